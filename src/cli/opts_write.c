/* opts_write.c - settings as the text of a file. */
#include <stddef.h>
#include <string.h>

#include "lk/fmt.h"
#include "opts_table.h"

#define VALUE_MAX 640 /* the longest is a key's URL */

static void put_number(const void *at, struct lk_buf *out)
{
	uint32_t v = 0;

	memcpy(&v, at, sizeof(v));
	lk_buf_u64(out, v);
}

static void put_value(const struct lk_opt *o, const struct lk_conf *c, struct lk_buf *out)
{
	static const char *const who[] = {"system", "client:", "object:", "resource:"};
	const uint8_t *at = (const uint8_t *)c + (o->offset - offsetof(struct lk_args, conf));

	switch (o->kind) {
	case LK_OPT_WORD:
	case LK_OPT_PATH:
	case LK_OPT_NAME:
	case LK_OPT_UUID:
	case LK_OPT_KEY:
	case LK_OPT_HOST:
	case LK_OPT_HOSTS:
	case LK_OPT_THUMB:
	case LK_OPT_DIGEST:
		lk_buf_str(out, (const char *)at);
		break;
	case LK_OPT_KIND:
		lk_buf_str(out, lk_kind_name(c->kind));
		break;
	case LK_OPT_IDENTITY:
		lk_buf_str(out, who[c->identity]);
		lk_buf_str(out, c->identity == LK_ID_SYSTEM ? "" : c->identity_id);
		break;
	case LK_OPT_ENC:
		lk_buf_str(out, lk_enc_name(c->enc));
		break;
	case LK_OPT_EVIDENCE:
		lk_buf_str(out, lk_opt_evidence_name(c->evidence));
		break;
	case LK_OPT_VMPL:
		if (c->vmpl == LK_VMPL_ANY)
			lk_buf_str(out, "any");
		else
			put_number(at, out);
		break;
	case LK_OPT_BITS:
	case LK_OPT_TIMEOUT:
	case LK_OPT_FD:
	case LK_OPT_SLOT:
		put_number(at, out);
		break;
	case LK_OPT_YESNO:
	case LK_OPT_BOOL:
		lk_buf_str(out, *at != 0 ? "yes" : "no");
		break;
	}
}

void lk_opt_put(const struct lk_opt *o, const struct lk_conf *c, struct lk_buf *out)
{
	uint8_t store[VALUE_MAX];
	struct lk_buf value = LK_BUF(store);

	LK_BUG_ON((o->flags & LK_OPT_FILE) == 0);
	put_value(o, c, &value);
	LK_BUG_ON(value.bad);
	if (value.n > 0)
		lk_buf_fmt(out, "%s = %.*s\n", o->name, (int)value.n, (const char *)store);
}

bool lk_opt_same(const struct lk_opt *o, const struct lk_conf *a, const struct lk_conf *b)
{
	uint8_t a_store[VALUE_MAX], b_store[VALUE_MAX];
	struct lk_buf a_value = LK_BUF(a_store), b_value = LK_BUF(b_store);

	put_value(o, a, &a_value);
	put_value(o, b, &b_value);
	LK_BUG_ON(a_value.bad || b_value.bad);
	return lk_slice_eq(lk_slice_buf(&a_value), lk_slice_buf(&b_value));
}

void lk_opts_write(const struct lk_conf *conf, struct lk_buf *out)
{
	static struct lk_args normal;

	lk_opts_defaults(&normal);
	for (size_t i = 0; i < lk_opt_count; i++) {
		const struct lk_opt *o = &lk_opt_table[i];

		if ((o->flags & LK_OPT_FILE) != 0 && (o->flags & LK_OPT_HERE) == 0 &&
		    !lk_opt_same(o, conf, &normal.conf))
			lk_opt_put(o, conf, out);
	}
}
