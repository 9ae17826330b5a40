/* pins_sample.h - a configuration and a header that agree, for the tests of lk_unlock_pins. */
#ifndef LK_TEST_PINS_SAMPLE_H
#define LK_TEST_PINS_SAMPLE_H

#include "t.h"

#include "lk/unlock.h"
#include "luks2_image.h"

#define KEY    "https://kv1.vault.azure.net/keys/disk"
#define V1     "/00112233445566778899aabbccddeeff"
#define V2     "/ff112233445566778899aabbccddeeff"
#define ATTEST "https://sharedweu.weu.attest.azure.net"
#define THUMB  "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"

static struct lk_conf conf;
static struct lk_luks2 h;

static inline void sample(void)
{
	struct lk_binding *b = &h.bindings[0];

	memset(&conf, 0, sizeof(conf));
	memset(&h, 0, sizeof(h));
	strcpy(conf.name, "root");
	strcpy(conf.uuid, IMG_UUID);
	strcpy(conf.key, KEY V1);
	strcpy(conf.attest, ATTEST);
	strcpy(conf.thumbprint, THUMB);
	strcpy(h.uuid, IMG_UUID);
	h.count = 1;
	b->token = 2;
	b->slot = 1;
	strcpy(b->id, "0123456789abcdef");
	strcpy(b->kind, "derived");
	strcpy(b->key, KEY V1);
	strcpy(b->attest, ATTEST);
	strcpy(b->thumbprint, THUMB);
	strcpy(b->uuid, IMG_UUID);
}

static inline enum lk_code pins(struct lk_err *e)
{
	const struct lk_binding *b = &h.bindings[7];

	memset(e, 0, sizeof(*e));
	enum lk_code rc = lk_unlock_pins(&conf, &h, &b, e);
	if (rc != LK_OK)
		OK(b == NULL);
	return rc;
}

/* Each disagreement is named, with both values. */
static inline void refused(const char *field, const char *has, const char *pin)
{
	struct lk_err e;

	EQ_CODE(LK_ETRUST, pins(&e));
	if (!strstr(e.msg, field) || !strstr(e.msg, has) || !strstr(e.msg, pin))
		T_FAIL("%s, %s and %s are not all in: %s", field, has, pin, e.msg);
	OK(e.hint[0] != '\0');
}

#endif
