/* volume.c - see volume.h. */
#include "volume.h"

#include <string.h>
#include <unistd.h>

#include "app.h"
#include "lk/fmt.h"
#include "lk/log.h"
#include "lk/unlock.h"

LK_CHECK static enum lk_code by_name(
    const struct lk_args *a, const char *name, struct lk_volume *out, struct lk_err *e)
{
	static struct lk_conf conf;
	int fd = -1;

	if (lk_conf_file_read(a, name, &out->f, e) != LK_OK)
		return e->code;
	if (!out->f.there) {
		(void)lk_fail(e, LK_ECONF, "volume %s: there is no %s", name, out->f.path);
		return lk_hint(e, "name a volume that is configured, or a device by its path");
	}
	lk_fmt(out->name, sizeof(out->name), "%s", name);
	conf = out->f.binding[0];
	if (a->conf.device[0] != '\0')
		lk_fmt(conf.device, sizeof(conf.device), "%s", a->conf.device);
	if (lk_device_open(&conf, lk_now(), &fd, out->device, e) != LK_OK)
		return lk_err_prefix(e, "volume %s", name);
	close(fd);
	return LK_OK;
}

enum lk_code lk_volume_find(
    const struct lk_args *a, const char *operand, struct lk_volume *out, struct lk_err *e)
{
	out->name[0] = '\0';
	out->f.n = 0;
	out->f.there = false;
	if (strchr(operand, '/') == NULL)
		return by_name(a, operand, out, e);
	if (strlen(operand) >= sizeof(out->device))
		return lk_fail(
		    e, LK_EUSAGE, "a path of more than %zu characters", sizeof(out->device) - 1);
	lk_fmt(out->device, sizeof(out->device), "%s", operand);
	return LK_OK;
}

void lk_volume_name(const struct lk_args *a, const char *uuid, struct lk_volume *v)
{
	static struct lk_volumes all;
	static struct lk_args none;
	struct lk_err e = {0};

	if (v->name[0] != '\0')
		return;
	none = *a;
	none.words = 0;
	if (lk_volumes(&none, &all, &e) != LK_OK)
		return;
	for (size_t i = 0; i < all.n; i++) {
		memset(&e, 0, sizeof(e));
		if (lk_conf_file_read(a, all.name[i], &v->f, &e) != LK_OK) {
			lk_log_err(LK_LOG_WARN, &e);
			continue;
		}
		if (lk_slice_eq(lk_slice_str(v->f.binding[0].uuid), lk_slice_str(uuid))) {
			lk_fmt(v->name, sizeof(v->name), "%s", all.name[i]);
			return;
		}
	}
	v->f.n = 0;
	v->f.there = false;
}

uint32_t lk_volume_choice(
    const struct lk_volume *v, const struct lk_luks2 *h, const struct lk_binding *b)
{
	static struct lk_luks2 alone;
	const struct lk_binding *found = NULL;

	alone = *h;
	alone.count = 1;
	alone.bindings[0] = *b;
	alone.bindings[0].state = LK_BINDING_ACTIVE;
	for (uint32_t i = 0; i < v->f.n; i++) {
		struct lk_err e = {0};

		if (lk_unlock_pins(&v->f.binding[i], &alone, &found, &e) == LK_OK)
			return i + 1;
	}
	return 0;
}
