/* bind_opts.c - the options of the verbs about bindings; the contract is in bind_opts.h. */
#include "bind_opts.h"

#include <stddef.h>

#include "lk/b64.h"
#include "lk/binding.h"
#include "opts_table.h"

struct lk_bind_args lk_bind_args;

LK_CHECK static enum lk_code set_text(struct lk_slice v, void *to, size_t size, struct lk_err *e)
{
	(void)size;
	if (v.n == 0)
		return lk_fail(e, LK_ECONF, "must not be empty");
	*(const char **)to = (const char *)v.p;
	return LK_OK;
}

LK_CHECK static enum lk_code set_binding(struct lk_slice v, void *to, size_t size, struct lk_err *e)
{
	if (!lk_binding_id_ok(v))
		return lk_fail(
		    e, LK_ECONF, "must be 16 hexadecimal digits, as latchkeyctl list shows them");
	return set_text(v, to, size, e);
}

LK_CHECK static enum lk_code set_salt(struct lk_slice v, void *to, size_t size, struct lk_err *e)
{
	uint8_t bytes[64];
	struct lk_buf out = LK_BUF(bytes);

	(void)size;
	if (lk_b64url_decode(v, &out, e) != LK_OK || out.bad)
		return lk_fail(e, LK_ECONF, "must be 0 to 64 bytes of base64url without padding");
	*(const char **)to = (const char *)v.p;
	return LK_OK;
}

LK_CHECK static enum lk_code set_label(struct lk_slice v, void *to, size_t size, struct lk_err *e)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] < 0x20 || v.p[i] > 0x7e)
			return lk_fail(e, LK_ECONF, "must be printable ASCII");
	if (v.n > 64)
		return lk_fail(e, LK_ECONF, "longer than 64 characters");
	return set_text(v, to, size, e);
}

#define AT(member) offsetof(struct lk_bind_args, member), sizeof(lk_bind_args.member)

static const struct lk_own_opt rows[] = {
    {"alternative", NULL, NULL, AT(alternative),
	"enroll: a further binding of the volume, tried after those that are there"},
    {"first", NULL, NULL, AT(first), "enroll: a further binding, tried before the others"},
    {"offline", NULL, NULL, AT(offline), "enroll: with the vault key's public half alone"},
    {"public-key", "FILE", set_text, AT(public_key),
	"enroll --offline: PEM, JWK, or output of az keyvault key show"},
    {"kdf-salt", "TEXT", set_salt, AT(kdf_salt), "enroll --kind compat: salt, base64url [none]"},
    {"label", "TEXT", set_label, AT(label), "enroll --kind compat: label [" LK_BINDING_LABEL "]"},
    {"recovery", NULL, NULL, AT(recovery), "enroll: add a recovery key, too, and show it once"},
    {"write-crypttab", NULL, NULL, AT(write_crypttab),
	"enroll, remove: change the line in crypttab [it is shown]"},
    {"crypttab", "FILE", set_text, AT(crypttab), "which one [" LK_CRYPTTAB "]"},
    {"rebuild", NULL, NULL, AT(rebuild), "enroll, rotate, remove: rebuild the initramfs"},
    {"all", NULL, NULL, AT(all), "rotate: every volume that is configured"},
    {"drop-old", NULL, NULL, AT(drop_old),
	"rotate: remove the old binding at once, whatever image boots next"},
    {"binding", "ID", set_binding, AT(binding), "rotate, remove: this one of several bindings"},
    {"json", NULL, NULL, AT(json), "list: one JSON document instead of a table"},
};

void lk_bind_options(void)
{
	lk_bind_args = (struct lk_bind_args){.crypttab = LK_CRYPTTAB};
	lk_opts_more(rows, sizeof(rows) / sizeof(rows[0]), &lk_bind_args);
}
