/* maa_token.c - a look into the attestation token.
 *
 * Its signature is the vault's business: whoever could forge a token here gains nothing, since only
 * the vault acts on it. What is checked is that the answer is ours: our key, our nonce, our
 * authority. Source: protocol notes, azure-guest 1.5 and snp-maa-akv 2.4.
 */

#include "azure_text.h"
#include "lk/b64.h"
#include "lk/fmt.h"
#include "lk/jwt.h"
#include "lk/log.h"
#include "lk/maa.h"

#define TOKENS     1536
#define NONCE_MAX  256
#define CLAIM_MAX  128 /* of one claim's value in the summary */
#define TEE        "x-ms-isolation-tee"
#define EXPIRY_MAX INT64_C(253402300799) /* the year 9999 */

static struct lk_json_tok toks[TOKENS];

static struct lk_slice no_zeros(struct lk_slice v)
{
	while (v.n > 0 && v.p[0] == 0)
		v = lk_slice_sub(v, 1, v.n - 1);
	return v;
}

/* use == "enc", or key_ops with "encrypt": the vault takes the first such RSA key. */
static bool encrypts(const struct lk_json *key)
{
	struct lk_json ops, op;
	struct lk_err ignored;
	size_t n = 0;

	if (lk_slice_eq_str(lk_azure_text(key, "use"), "enc"))
		return true;
	if (lk_json_get(key, "key_ops", &ops, &ignored) != LK_OK ||
	    lk_json_len(&ops, "", &n, &ignored) != LK_OK)
		return false;
	for (size_t i = 0; i < n; i++)
		if (lk_json_at(&ops, "", i, &op, &ignored) == LK_OK &&
		    lk_json_type(&op) == LK_JSON_STRING &&
		    lk_slice_eq_str(lk_json_raw(&op), "encrypt"))
			return true;
	return false;
}

static enum lk_code compare_key(
    const struct lk_json *key, struct lk_slice key_n, struct lk_buf *scratch, struct lk_err *e)
{
	static const uint8_t f4[] = {1, 0, 1};
	struct lk_slice n, exp;

	enum lk_code c = lk_azure_bytes(key, "n", false, scratch, &n, e);
	if (c == LK_OK)
		c = lk_azure_bytes(key, "e", false, scratch, &exp, e);
	if (c != LK_OK)
		return c;
	if (!lk_slice_eq(no_zeros(n), no_zeros(key_n)) ||
	    !lk_slice_eq(no_zeros(exp), lk_slice_of(f4, sizeof(f4))))
		return lk_fail(e, LK_EATTEST, "made for another key than ours");
	return LK_OK;
}

static enum lk_code check_key(
    const struct lk_json *j, struct lk_slice key_n, struct lk_buf *scratch, struct lk_err *e)
{
	struct lk_json keys, key;
	size_t n;

	enum lk_code c = lk_json_get(j, "x-ms-runtime.keys", &keys, e);
	if (c == LK_OK)
		c = lk_json_len(&keys, "", &n, e);
	for (size_t i = 0; c == LK_OK && i < n; i++) {
		c = lk_json_at(&keys, "", i, &key, e);
		if (c == LK_OK && lk_json_type(&key) == LK_JSON_OBJECT &&
		    lk_slice_eq_str(lk_azure_text(&key, "kty"), "RSA") && encrypts(&key))
			return compare_key(&key, key_n, scratch, e);
	}
	return c == LK_OK ? lk_fail(e, LK_EATTEST, "holds no encryption key") : c;
}

static enum lk_code check_nonce(
    const struct lk_json *j, struct lk_slice nonce, struct lk_buf *scratch, struct lk_err *e)
{
	struct lk_slice got;

	enum lk_code c =
	    lk_azure_bytes(j, "x-ms-runtime.client-payload.nonce", true, scratch, &got, e);
	if (c == LK_OK && !lk_slice_eq(got, nonce))
		c = lk_fail(e, LK_EATTEST, "another nonce than ours");
	return c;
}

/* The report vouches for the one in the runtime data; the service's own echo is optional. */
static enum lk_code check_bound_nonce(
    const struct lk_json *j, struct lk_slice nonce, struct lk_err *e)
{
	struct lk_json echo;
	struct lk_slice got;
	struct lk_err ignored;

	enum lk_code c = lk_json_str(j, "x-ms-runtime.latchkey.boot-nonce", &got, e);
	if (c == LK_OK && !lk_slice_eq(got, nonce))
		c = lk_fail(e, LK_EATTEST, "another nonce than ours");
	if (c != LK_OK || lk_json_member(j, "nonce", &echo, &ignored) == LK_EABSENT)
		return c;
	c = lk_json_str(j, "nonce", &got, e);
	if (c == LK_OK && !lk_slice_eq(got, nonce))
		c = lk_fail(e, LK_EATTEST, "another nonce than ours");
	return c;
}

static enum lk_code check_issuer(
    const struct lk_json *j, const char *host, struct lk_maa_claims *out, struct lk_err *e)
{
	struct lk_slice issuer;

	enum lk_code c = lk_json_str(j, "iss", &issuer, e);
	if (c != LK_OK)
		return c;
	(void)lk_fmt(out->issuer, sizeof(out->issuer), "https://%s", host);
	if (!lk_slice_ieq_str(issuer, out->issuer)) {
		uint8_t bytes[100];
		struct lk_buf b = LK_BUF(bytes);
		lk_log_printable(&b, issuer, sizeof(bytes));
		return lk_fail(e, LK_EATTEST, "issued by %.*s, not by %s", (int)b.n,
		    (const char *)b.p, out->issuer);
	}
	return LK_OK;
}

/* Tokens of the vTPM path have the hardware's claims in an object of their own. */
static bool has_tee(const struct lk_json *j, enum lk_maa_path path)
{
	struct lk_json tee;
	struct lk_err ignored;

	return path == LK_MAA_GUEST && lk_json_member(j, TEE, &tee, &ignored) != LK_EABSENT;
}

static enum lk_code check_type(const struct lk_json *j, bool tee, struct lk_err *e)
{
	struct lk_slice type;

	enum lk_code c =
	    lk_json_str(j, tee ? TEE ".x-ms-attestation-type" : "x-ms-attestation-type", &type, e);
	if (c == LK_OK && !lk_slice_eq_str(type, "sevsnpvm"))
		c = lk_fail(e, LK_EATTEST, "not for an SEV-SNP machine");
	return c;
}

/* ---- what an administrator compares with the release policy */

static void add_claim(const struct lk_json *j, const char *path, struct lk_buf *out)
{
	uint8_t bytes[sizeof(((struct lk_maa_claims *)0)->summary)];
	struct lk_buf b = LK_BUF(bytes);
	struct lk_json v;
	struct lk_err ignored;

	if (lk_json_get(j, path, &v, &ignored) != LK_OK)
		return;
	enum lk_json_type t = lk_json_type(&v);
	if (t == LK_JSON_OBJECT || t == LK_JSON_ARRAY)
		return;
	if (out->n > 0)
		lk_buf_str(&b, "; ");
	lk_buf_str(&b, path);
	lk_buf_byte(&b, '=');
	lk_log_printable(&b, lk_json_raw(&v), CLAIM_MAX);
	if (!b.bad && b.n < out->cap - out->n)
		lk_buf_slice(out, lk_slice_buf(&b));
}

static void summarise(const struct lk_json *j, bool tee, struct lk_maa_claims *out)
{
	static const char *const flat[] = {"x-ms-attestation-type", "x-ms-compliance-status",
	    "x-ms-sevsnpvm-is-debuggable", "x-ms-sevsnpvm-vmpl", "x-ms-sevsnpvm-hostdata",
	    "x-ms-sevsnpvm-launchmeasurement"};
	static const char *const nested[] = {TEE ".x-ms-attestation-type",
	    TEE ".x-ms-compliance-status", TEE ".x-ms-sevsnpvm-is-debuggable",
	    TEE ".x-ms-sevsnpvm-vmpl", TEE ".x-ms-sevsnpvm-hostdata",
	    TEE ".x-ms-sevsnpvm-launchmeasurement"};
	static const char *const more[] = {"x-ms-sevsnpvm-idkeydigest",
	    "x-ms-runtime.latchkey.config", "secureboot", "x-ms-azurevm-vmid", "x-ms-policy-hash"};
	const char *const *hw = tee ? nested : flat;
	struct lk_buf b = {.p = (uint8_t *)out->summary, .n = 0, .cap = sizeof(out->summary) - 1};

	add_claim(j, "iss", &b);
	for (size_t i = 0; i < sizeof(flat) / sizeof(flat[0]); i++)
		add_claim(j, hw[i], &b);
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		add_claim(j, more[i], &b);
	out->summary[b.n] = '\0';
}

static enum lk_code check(const struct lk_json *j, enum lk_maa_path path, const char *host,
    struct lk_slice key_n, struct lk_slice nonce, struct lk_buf *scratch, struct lk_maa_claims *out,
    struct lk_err *e)
{
	const bool tee = has_tee(j, path);
	enum lk_code c = check_issuer(j, host, out, e);
	if (c == LK_OK)
		c = check_type(j, tee, e);
	if (c == LK_OK)
		c = check_key(j, key_n, scratch, e);
	if (c == LK_OK)
		c = path == LK_MAA_SNP ? check_bound_nonce(j, nonce, e)
				       : check_nonce(j, nonce, scratch, e);
	if (c == LK_OK)
		c = lk_json_int(j, "exp", 0, EXPIRY_MAX, &out->expires, e);
	if (c == LK_OK)
		summarise(j, tee, out);
	return c;
}

enum lk_code lk_maa_token_check(enum lk_maa_path path, struct lk_slice jwt, const char *host,
    struct lk_slice key_n, struct lk_slice nonce, struct lk_buf *scratch, struct lk_maa_claims *out,
    struct lk_err *e)
{
	struct lk_jwt parts;
	struct lk_json j;
	size_t at = scratch->n;

	*out = (struct lk_maa_claims){0};
	enum lk_code c = LK_OK;
	if (key_n.n == 0 || nonce.n == 0 || nonce.n > NONCE_MAX)
		c = lk_fail(e, LK_EBUG, "no key or nonce to compare with");
	if (c == LK_OK)
		c = lk_jwt_split(jwt, &parts, e);
	if (c == LK_OK)
		c = lk_b64url_decode(parts.body, scratch, e);
	if (c == LK_OK)
		c = lk_json_parse(
		    lk_slice_of(scratch->p + at, scratch->n - at), toks, TOKENS, &j, e);
	if (c == LK_OK)
		c = check(&j, path, host, key_n, nonce, scratch, out, e);
	if (c == LK_EABSENT) /* a claim that every token of ours has */
		e->code = c = LK_EATTEST;
	return c;
}
