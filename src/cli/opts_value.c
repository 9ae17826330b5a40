/* opts_value.c - check one setting's value and store it. */
#include <string.h>

#include "opts_table.h"
#include "lk/fmt.h"

#define SYSTEM_SLOTS 32

static bool is_word(struct lk_slice v, bool blanks)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] <= (blanks ? 0x1f : 0x20) || v.p[i] >= 0x7f)
			return false;
	return v.n > 0;
}

LK_CHECK static enum lk_code text(struct lk_slice v, void *to, size_t cap, struct lk_err *e)
{
	if (v.n >= cap)
		return lk_fail(e, LK_ECONF, "longer than %zu characters", cap - 1);
	if (!is_word(v, false))
		return lk_fail(e, LK_ECONF, "must be printable text without blanks");
	memcpy(to, v.p, v.n);
	((char *)to)[v.n] = '\0';
	return LK_OK;
}

LK_CHECK static enum lk_code path(struct lk_slice v, void *to, size_t cap, struct lk_err *e)
{
	if (v.n == 0 || v.p[0] != '/')
		return lk_fail(e, LK_ECONF, "must be an absolute path");
	return text(v, to, cap, e);
}

LK_CHECK static enum lk_code name(struct lk_slice v, void *to, size_t cap, struct lk_err *e)
{
	for (size_t i = 0; i < v.n; i++) {
		uint8_t c = v.p[i];
		bool ok = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			  (c >= 'a' && c <= 'z') || c == '_' || c == '-' || c == '.';
		if (!ok || (i == 0 && (c == '.' || c == '-')))
			return lk_fail(e, LK_ECONF, "a volume's name is made of 0-9 A-Z a-z _ - .");
	}
	return text(v, to, cap, e);
}

LK_CHECK static enum lk_code uuid(struct lk_slice v, void *to, size_t cap, struct lk_err *e)
{
	bool good = v.n == 36;

	for (size_t i = 0; good && i < v.n; i++) {
		uint8_t c = v.p[i];
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		good = dash ? c == '-' : (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
	}
	if (!good)
		return lk_fail(e, LK_ECONF, "must be a UUID in lower case");
	return text(v, to, cap, e);
}

LK_CHECK static enum lk_code key_url(struct lk_slice v, void *to, size_t cap, struct lk_err *e)
{
	struct lk_key_url parsed;

	if (lk_key_url_parse(v, &parsed, e) != LK_OK) {
		e->code = LK_ECONF;
		return e->code;
	}
	return text(v, to, cap, e);
}

LK_CHECK static enum lk_code host_url(struct lk_slice v, void *to, size_t cap, struct lk_err *e)
{
	struct lk_url u;

	if (lk_url_parse(v, &u, e) != LK_OK) {
		e->code = LK_ECONF;
		return e->code;
	}
	if (u.port != 443 || (u.path[0] != '\0' && strcmp(u.path, "/") != 0))
		return lk_fail(e, LK_ECONF, "must be https://HOST without port and path");
	if (lk_fmt(to, cap, "https://%s", u.host) >= cap)
		return lk_fail(e, LK_ECONF, "too long");
	return LK_OK;
}

LK_CHECK static enum lk_code hosts(struct lk_slice v, void *to, size_t cap, struct lk_err *e)
{
	struct lk_buf out = {.p = to, .cap = cap - 1};

	for (struct lk_slice rest = v;;) {
		uint8_t store[LK_HOST_MAX + 8];
		struct lk_buf url = LK_BUF(store);
		struct lk_url u;
		size_t end = rest.n;

		(void)lk_slice_find(rest, ',', &end);
		const struct lk_slice one = lk_slice_sub(rest, 0, end);
		const size_t dot = lk_slice_starts(one, LK_S(".")) ? 1 : 0;

		lk_buf_str(&url, "https://");
		lk_buf_slice(&url, lk_slice_sub(one, dot, one.n));
		if (url.bad || lk_url_parse(lk_slice_buf(&url), &u, e) != LK_OK || u.port != 443 ||
		    u.path[0] != '\0')
			return lk_fail(
			    e, LK_ECONF, "must be host names or .suffixes, separated by commas");
		lk_buf_str(&out, out.n > 0 ? "," : "");
		lk_buf_str(&out, dot != 0 ? "." : "");
		lk_buf_str(&out, u.host);
		if (end == rest.n)
			break;
		rest = lk_slice_sub(rest, end + 1, rest.n);
	}
	if (out.bad)
		return lk_fail(e, LK_ECONF, "longer than %zu characters", cap - 1);
	((char *)to)[out.n] = '\0';
	return LK_OK;
}

LK_CHECK static enum lk_code thumb(struct lk_slice v, void *to, size_t cap, struct lk_err *e)
{
	for (size_t i = 0; i < v.n; i++) {
		uint8_t c = v.p[i];
		if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
			c == '-' || c == '_'))
			return lk_fail(e, LK_ECONF, "must be base64url");
	}
	if (v.n != 43)
		return lk_fail(e, LK_ECONF, "must have 43 characters");
	return text(v, to, cap, e);
}

LK_CHECK static enum lk_code kind(struct lk_slice v, enum lk_kind *to, struct lk_err *e)
{
	if (!lk_kind_parse(v, to))
		return lk_fail(e, LK_ECONF, "must be %s, %s, %s or %s", lk_kind_name(LK_DERIVED),
		    lk_kind_name(LK_RAW), lk_kind_name(LK_COMPAT), lk_kind_name(LK_WRAPPED));
	return LK_OK;
}

LK_CHECK static enum lk_code digest(struct lk_slice v, void *to, size_t cap, struct lk_err *e)
{
	uint8_t raw[32];
	struct lk_buf bytes = LK_BUF(raw), hex = {.p = to, .n = 0, .cap = cap - 1, .bad = false};
	struct lk_err unused = {0};

	if (lk_hex_decode(v, &bytes, &unused) != LK_OK || bytes.bad || bytes.n != sizeof(raw))
		return lk_fail(e, LK_ECONF, "must have 64 hexadecimal digits");
	lk_hex_encode(lk_slice_buf(&bytes), &hex);
	((char *)to)[hex.n] = '\0';
	return LK_OK;
}

LK_CHECK static enum lk_code identity(struct lk_slice v, struct lk_conf *c, struct lk_err *e)
{
	static const struct {
		const char *prefix;
		enum lk_identity kind;
	} forms[] = {
	    {"client:", LK_ID_CLIENT}, {"object:", LK_ID_OBJECT}, {"resource:", LK_ID_RESOURCE}};

	if (lk_slice_eq_str(v, "system")) {
		c->identity = LK_ID_SYSTEM;
		c->identity_id[0] = '\0';
		return LK_OK;
	}
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct lk_slice prefix = lk_slice_str(forms[i].prefix);
		if (!lk_slice_starts(v, prefix))
			continue;
		c->identity = forms[i].kind;
		return text(
		    lk_slice_sub(v, prefix.n, v.n), c->identity_id, sizeof(c->identity_id), e);
	}
	return lk_fail(e, LK_ECONF, "must be system, client:ID, object:ID or resource:ID");
}

LK_CHECK static enum lk_code enc(struct lk_slice v, enum lk_enc *to, struct lk_err *e)
{
	static const enum lk_enc all[] = {LK_ENC_SHA256, LK_ENC_SHA384, LK_ENC_SHA1};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (lk_slice_eq_str(v, lk_enc_name(all[i]))) {
			*to = all[i];
			return LK_OK;
		}
	return lk_fail(e, LK_ECONF, "must be %s, %s or %s", lk_enc_name(LK_ENC_SHA256),
	    lk_enc_name(LK_ENC_SHA384), lk_enc_name(LK_ENC_SHA1));
}

static const char *const evidence_names[] = {[LK_EV_AUTO] = "auto",
    [LK_EV_VTPM] = "vtpm",
    [LK_EV_TSM] = "tsm",
    [LK_EV_GUEST] = "sev-guest",
    [LK_EV_LEGACY] = "sev"};
#define EVIDENCES (sizeof(evidence_names) / sizeof(evidence_names[0]))

const char *lk_opt_evidence_name(enum lk_evidence_from from)
{
	return evidence_names[from];
}

LK_CHECK static enum lk_code evidence(
    struct lk_slice v, enum lk_evidence_from *to, struct lk_err *e)
{
	for (size_t i = 0; i < EVIDENCES; i++)
		if (lk_slice_eq_str(v, evidence_names[i])) {
			*to = (enum lk_evidence_from)i;
			return LK_OK;
		}
	return lk_fail(e, LK_ECONF, "must be auto, vtpm, tsm, sev-guest or sev");
}

LK_CHECK static enum lk_code bits(struct lk_slice v, uint32_t *to, struct lk_err *e)
{
	if (!lk_slice_u32(v, 4096, to) || (*to != 2048 && *to != 3072 && *to != 4096))
		return lk_fail(e, LK_ECONF, "must be 2048, 3072 or 4096");
	return LK_OK;
}

LK_CHECK static enum lk_code number(
    struct lk_slice v, uint32_t min, uint32_t max, uint32_t *to, struct lk_err *e)
{
	if (!lk_slice_u32(v, max, to) || *to < min)
		return lk_fail(e, LK_ECONF, "must be a number from %u to %u", min, max);
	return LK_OK;
}

LK_CHECK static enum lk_code vmpl(struct lk_slice v, uint32_t *to, struct lk_err *e)
{
	*to = LK_VMPL_ANY;
	if (!lk_slice_eq_str(v, "any") && !lk_slice_u32(v, 3, to))
		return lk_fail(e, LK_ECONF, "must be 0 to 3, or any");
	return LK_OK;
}

enum lk_code lk_opt_set(
    const struct lk_opt *o, struct lk_slice v, struct lk_args *out, struct lk_err *e)
{
	void *to = (uint8_t *)out + o->offset;

	switch (o->kind) {
	case LK_OPT_WORD:
		return text(v, to, o->size, e);
	case LK_OPT_PATH:
		return path(v, to, o->size, e);
	case LK_OPT_NAME:
		return name(v, to, o->size, e);
	case LK_OPT_UUID:
		return uuid(v, to, o->size, e);
	case LK_OPT_KEY:
		return key_url(v, to, o->size, e);
	case LK_OPT_HOST:
		return host_url(v, to, o->size, e);
	case LK_OPT_HOSTS:
		return hosts(v, to, o->size, e);
	case LK_OPT_THUMB:
		return thumb(v, to, o->size, e);
	case LK_OPT_KIND:
		return kind(v, &out->conf.kind, e);
	case LK_OPT_DIGEST:
		return digest(v, to, o->size, e);
	case LK_OPT_IDENTITY:
		return identity(v, &out->conf, e);
	case LK_OPT_ENC:
		return enc(v, &out->conf.enc, e);
	case LK_OPT_EVIDENCE:
		return evidence(v, &out->conf.evidence, e);
	case LK_OPT_VMPL:
		return vmpl(v, &out->conf.vmpl, e);
	case LK_OPT_BITS:
		return bits(v, &out->conf.wrap_bits, e);
	case LK_OPT_TIMEOUT:
		return number(v, 5, 3600, &out->conf.timeout_s, e);
	case LK_OPT_FD:
		return number(v, 0, 1023, to, e);
	case LK_OPT_SLOT:
		return number(v, 0, SYSTEM_SLOTS - 1, to, e);
	case LK_OPT_YESNO:
		if (!lk_slice_eq_str(v, "yes") && !lk_slice_eq_str(v, "no"))
			return lk_fail(e, LK_ECONF, "must be yes or no");
		*(bool *)to = lk_slice_eq_str(v, "yes");
		return LK_OK;
	case LK_OPT_BOOL:
		break;
	}
	return lk_fail(e, LK_EBUG, "no such kind of setting");
}
