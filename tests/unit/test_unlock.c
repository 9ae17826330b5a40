/* Pins: what the configuration says against what the disk says, before anything else happens. */
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

static void sample(void)
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

static enum lk_code pins(struct lk_err *e)
{
	const struct lk_binding *b = &h.bindings[7];

	memset(e, 0, sizeof(*e));
	enum lk_code rc = lk_unlock_pins(&conf, &h, &b, e);
	if (rc != LK_OK)
		OK(b == NULL);
	return rc;
}

T(a_binding_that_agrees_is_taken)
{
	const struct lk_binding *b = NULL;
	struct lk_err e = {0};

	sample();
	EQ_CODE(LK_OK, lk_unlock_pins(&conf, &h, &b, &e));
	OK(b == &h.bindings[0]);
}

/* Each disagreement is named, with both values. */
static void refused(const char *field, const char *has, const char *pin)
{
	struct lk_err e;

	EQ_CODE(LK_ETRUST, pins(&e));
	if (!strstr(e.msg, field) || !strstr(e.msg, has) || !strstr(e.msg, pin))
		T_FAIL("%s, %s and %s are not all in: %s", field, has, pin, e.msg);
	OK(e.hint[0] != '\0');
}

T(another_disk_is_refused)
{
	sample();
	h.uuid[0] = '7';
	refused("UUID", "7a3b1f2e", "6a3b1f2e");
}

T(a_token_moved_from_another_disk_is_refused)
{
	sample();
	h.bindings[0].uuid[0] = '7';
	refused("token 2: uuid", "7a3b1f2e", "6a3b1f2e");
}

T(another_vault_is_refused)
{
	sample();
	strcpy(h.bindings[0].key, "https://evil.vault.azure.net/keys/disk" V1);
	refused("token 2: key", "evil.vault", "kv1.vault");
}

T(another_key_of_the_vault_is_refused)
{
	sample();
	strcpy(h.bindings[0].key, "https://kv1.vault.azure.net/keys/disk2" V1);
	refused("token 2: key", "/disk2/", "/disk/");
}

T(another_port_is_refused)
{
	sample();
	strcpy(h.bindings[0].key, "https://kv1.vault.azure.net:8443/keys/disk" V1);
	refused("token 2: key", ":8443", KEY);
}

T(another_version_is_refused_when_one_is_pinned)
{
	struct lk_err e;

	sample();
	strcpy(h.bindings[0].key, KEY V2);
	refused("token 2: key", V2, V1);
	strcpy(h.bindings[0].key, KEY);
	EQ_CODE(LK_ETRUST, pins(&e));
	strcpy(conf.key, KEY);
	EQ_CODE(LK_OK, pins(&e));
	strcpy(h.bindings[0].key, KEY V2);
	EQ_CODE(LK_OK, pins(&e));
}

T(another_attestation_service_is_refused)
{
	sample();
	strcpy(h.bindings[0].attest, "https://evil.weu.attest.azure.net");
	refused("token 2: attest", "evil.weu", "sharedweu.weu");
}

T(another_thumbprint_is_refused)
{
	sample();
	h.bindings[0].thumbprint[0] = 'M';
	refused("token 2: thumbprint", "MzbLs", "NzbLs");
	h.bindings[0].thumbprint[0] = '\0';
	refused("token 2: thumbprint", "missing", "NzbLs");
	sample();
	conf.thumbprint[0] = '\0'; /* an oct key was enrolled, the disk says otherwise */
	refused("token 2: thumbprint", "NzbLs", "none");
}

T(another_kind_is_refused)
{
	sample();
	strcpy(h.bindings[0].kind, "wrapped");
	refused("token 2: kind", "wrapped", "derived");
}

T(the_host_names_case_does_not_matter)
{
	struct lk_err e;

	sample();
	strcpy(h.bindings[0].key, "https://KV1.vault.azure.net/keys/disk" V1);
	strcpy(h.bindings[0].attest, "https://SharedWEU.weu.attest.azure.net");
	EQ_CODE(LK_OK, pins(&e));
}

T(a_missing_pin_is_a_matter_of_configuration)
{
	struct lk_err e;

	sample();
	conf.uuid[0] = '\0';
	EQ_CODE(LK_ECONF, pins(&e));
	sample();
	conf.key[0] = '\0';
	EQ_CODE(LK_ECONF, pins(&e));
	sample();
	conf.attest[0] = '\0';
	EQ_CODE(LK_ECONF, pins(&e));
	EQ_S(e.msg, "the configuration pins no attest");
	OK(strstr(e.hint, "/etc/latchkey/root.conf") != NULL);
	EQ_CODE(LK_ECONF, lk_unlock_ready(&conf, &e));
	sample();
	EQ_CODE(LK_OK, lk_unlock_ready(&conf, &e));
}

T(a_disk_without_a_token_says_so)
{
	struct lk_err e;

	sample();
	h.count = 0;
	EQ_CODE(LK_ELUKS, pins(&e));
	OK(strstr(e.hint, "enroll") != NULL);
}

T(the_one_that_agrees_is_found_among_others)
{
	const struct lk_binding *b = NULL;
	struct lk_err e = {0};

	sample();
	h.bindings[1] = h.bindings[0];
	h.bindings[1].token = 9;
	h.bindings[0].thumbprint[0] = 'M';
	h.count = 2;
	EQ_CODE(LK_OK, lk_unlock_pins(&conf, &h, &b, &e));
	EQ_U(e.code, LK_OK);
	OK(b == &h.bindings[1]);
}

/* ---- the header through a courier */

#define TOKEN                                                                                      \
	"{\"type\":\"latchkey\",\"keyslots\":[\"5\"],\"version\":1,\"id\":\"0123456789abcdef\","   \
	"\"kind\":\"derived\",\"key\":\"" KEY V1 "\",\"attest\":\"" ATTEST                         \
	"\",\"thumbprint\":\"" THUMB "\",\"uuid\":\"" IMG_UUID "\","                               \
	"\"salt\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\","                                \
	"\"mac\":\"__79_Pv6-fj39vX08_Lx8O_u7ezr6uno5-bl5OPi4eA\"}"

T(the_header_arrives_through_the_disk_courier)
{
	static struct image m;
	static struct lk_luks2 direct;
	struct lk_err e = {0};

	image_make(&m, 0x4000,
	    "{\"keyslots\":{\"0\":{},\"5\":{}},\"tokens\":{\"3\":" TOKEN ",\"4\":" TOKEN "}}");
	int fd = image_fd(&m, IMG_SIZE);
	EQ_CODE(LK_OK, lk_disk_header(fd, lk_deadline_in(5000), &h, &e));
	EQ_CODE(LK_OK, lk_luks2_read(fd, &direct, &e));
	EQ_U(h.count, 2);
	EQ_MEM(&h, &direct, sizeof(h));
	close(fd);
}

T(a_damaged_header_is_the_couriers_error)
{
	static struct image m;
	struct lk_err e = {0};

	memset(&m, 0, sizeof(m));
	int fd = image_fd(&m, IMG_SIZE);
	EQ_CODE(LK_ELUKS, lk_disk_header(fd, lk_deadline_in(5000), &h, &e));
	EQ_S(e.msg, "no LUKS header");
	close(fd);
}
