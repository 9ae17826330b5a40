/* maa_snp.c - the request for a machine that has its SNP report itself, and the answer: the token.
 *
 * Members and encodings: protocol notes, snp-maa-akv 2.2 and 2.3; everything is base64url without
 * padding. The runtime data is hashed into the report before it is sent, so its bytes are made once
 * and never parsed or written again here.
 */
#include "lk/maa.h"

#include "azure_text.h"
#include "lk/imds.h"
#include "lk/jsonw.h"
#include "lk/jwt.h"

#define REPORT_SIZE 1184
#define NONCE_MIN   22 /* base64url of 16 bytes */
#define NONCE_MAX   256
#define KID         43
#define CONFIG_MAX  128 /* what the summary of the claims shows of it */
#define TOKENS      32

static bool is_word(struct lk_slice v, size_t min, size_t max)
{
	if (v.n < min || v.n > max)
		return false;
	for (size_t i = 0; i < v.n; i++) {
		const uint8_t ch = v.p[i];

		if (!((ch >= '0' && ch <= '9') || (ch >= 'A' && ch <= 'Z') ||
			(ch >= 'a' && ch <= 'z') || ch == '-' || ch == '_'))
			return false;
	}
	return true;
}

/* ---- runtime data */

static enum lk_code check_runtime(const struct lk_pub *key, const char *kid, struct lk_slice nonce,
    struct lk_slice config, struct lk_err *e)
{
	static const uint8_t f4[] = {1, 0, 1};

	if (key->kty != LK_KTY_RSA || key->n_len < 256 || key->n_len > LK_RSA_MAX ||
	    key->n[0] == 0 || !lk_slice_eq(lk_slice_of(key->e, key->e_len), lk_slice_of(f4, 3)))
		return lk_fail(e, LK_EBUG, "runtime data: not a wrapping key");
	if (!is_word(lk_slice_str(kid), KID, KID))
		return lk_fail(e, LK_EBUG, "runtime data: the kid is not a thumbprint");
	if (!is_word(nonce, NONCE_MIN, NONCE_MAX))
		return lk_fail(e, LK_EBUG, "runtime data: the nonce is not base64url of 16 bytes");
	if (!is_word(config, 0, CONFIG_MAX))
		return lk_fail(e, LK_EBUG, "runtime data: config is not hexadecimal or base64url");
	return LK_OK;
}

enum lk_code lk_maa_runtime(const struct lk_pub *key, const char *kid, struct lk_slice nonce,
    struct lk_slice config, struct lk_buf *out, struct lk_err *e)
{
	struct lk_jsonw w;
	enum lk_code c = check_runtime(key, kid, nonce, config, e);

	if (c != LK_OK)
		return c;
	lk_jsonw_start(&w, out);
	lk_jsonw_object(&w, NULL);
	lk_jsonw_array(&w, "keys");
	lk_jsonw_object(&w, NULL);
	lk_jsonw_b64url(&w, "e", lk_slice_of(key->e, key->e_len));
	lk_jsonw_array(&w, "key_ops");
	lk_jsonw_str(&w, NULL, LK_S("encrypt"));
	lk_jsonw_end(&w);
	lk_jsonw_str(&w, "kid", lk_slice_str(kid));
	lk_jsonw_str(&w, "kty", LK_S("RSA"));
	lk_jsonw_b64url(&w, "n", lk_slice_of(key->n, key->n_len));
	lk_jsonw_end(&w);
	lk_jsonw_end(&w);
	lk_jsonw_object(&w, "latchkey");
	lk_jsonw_str(&w, "boot-nonce", nonce);
	if (config.n > 0)
		lk_jsonw_str(&w, "config", config);
	lk_jsonw_end(&w);
	lk_jsonw_end(&w);
	return out->bad ? lk_fail(e, LK_ELIMIT, "runtime data: larger than %zu bytes", out->cap)
			: LK_OK;
}

/* ---- request */

bool lk_maa_api_ok(struct lk_slice version)
{
	if (version.n < LK_MAA_API_MIN || version.n > LK_MAA_API_MAX)
		return false;
	for (size_t i = 0; i < version.n; i++) {
		const uint8_t ch = version.p[i];

		if (!((ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || ch == '-' ||
			ch == '.'))
			return false;
	}
	return true;
}

void lk_maa_snp_target(const struct lk_maa_snp *ev, struct lk_buf *out)
{
	lk_buf_str(out, "/attest/SevSnpVm?api-version=");
	lk_url_escape(ev->api_version, out);
}

static enum lk_code check(const struct lk_maa_snp *ev, struct lk_err *e)
{
	const struct {
		const char *name;
		struct lk_slice v;
		size_t max;
	} parts[] = {
	    {"platform certificates", ev->certs_pem, LK_CHAIN_PEM_MAX},
	    {"runtime data", ev->runtime, LK_RUNTIME_MAX},
	    {"init data", ev->init_data, LK_INIT_DATA_MAX},
	    {"endorsements", ev->endorsements, LK_ENDORSEMENTS_MAX},
	};
	const size_t needed = 2;

	if (!lk_maa_api_ok(ev->api_version))
		return lk_fail(e, LK_ECONF,
		    "attestation: an api-version is 4 to 24 of 0-9, a-z, hyphen and dot");
	if (!is_word(ev->nonce, NONCE_MIN, NONCE_MAX))
		return lk_fail(e, LK_EATTEST, "evidence: the nonce is not base64url of 16 bytes");
	if (ev->report.n != REPORT_SIZE)
		return lk_fail(e, LK_EATTEST, "evidence: an SNP report of %zu bytes", ev->report.n);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (i < needed && parts[i].v.n == 0)
			return lk_fail(e, LK_EATTEST, "evidence: no %s", parts[i].name);
		if (parts[i].v.n > parts[i].max)
			return lk_fail(e, LK_ELIMIT, "evidence: %zu bytes of %s, at most %zu",
			    parts[i].v.n, parts[i].name, parts[i].max);
	}
	return LK_OK;
}

/* Both write into scratch and give where that lies. */
static struct lk_slice uvm(const struct lk_maa_snp *ev, struct lk_buf *scratch)
{
	struct lk_jsonw w;
	const size_t at = scratch->n;

	lk_jsonw_start(&w, scratch);
	lk_jsonw_object(&w, NULL);
	lk_jsonw_array(&w, "Uvm");
	lk_jsonw_b64url(&w, NULL, ev->endorsements);
	lk_jsonw_end(&w);
	lk_jsonw_end(&w);
	return lk_slice_of(scratch->p + at, scratch->n - at);
}

static struct lk_slice report(const struct lk_maa_snp *ev, struct lk_buf *scratch)
{
	struct lk_slice endorsements = lk_slice_of(NULL, 0);
	struct lk_jsonw w;

	if (ev->endorsements.n > 0)
		endorsements = uvm(ev, scratch);
	const size_t at = scratch->n;
	lk_jsonw_start(&w, scratch);
	lk_jsonw_object(&w, NULL);
	lk_jsonw_b64url(&w, "SnpReport", ev->report);
	lk_jsonw_b64url(&w, "VcekCertChain", ev->certs_pem);
	if (endorsements.n > 0)
		lk_jsonw_b64url(&w, "Endorsements", endorsements);
	lk_jsonw_end(&w);
	return lk_slice_of(scratch->p + at, scratch->n - at);
}

static bool is_json_object(struct lk_slice text)
{
	struct lk_err ignored;
	size_t at = 0;

	while (at < text.n && (text.p[at] == ' ' || (text.p[at] >= '\t' && text.p[at] <= '\r')))
		at++;
	return at < text.n && text.p[at] == '{' && lk_json_check(text, &ignored) == LK_OK;
}

static void data(struct lk_jsonw *w, const char *name, struct lk_slice bytes, bool json)
{
	lk_jsonw_object(w, name);
	lk_jsonw_b64url(w, "data", bytes);
	lk_jsonw_str(w, "dataType", json ? LK_S("JSON") : LK_S("Binary"));
	lk_jsonw_end(w);
}

enum lk_code lk_maa_snp_body(
    const struct lk_maa_snp *ev, struct lk_buf *scratch, struct lk_buf *out, struct lk_err *e)
{
	struct lk_jsonw w;
	enum lk_code c = check(ev, e);

	if (c != LK_OK)
		return c;
	struct lk_slice doc = report(ev, scratch);
	lk_jsonw_start(&w, out);
	lk_jsonw_object(&w, NULL);
	lk_jsonw_b64url(&w, "report", doc);
	data(&w, "runtimeData", ev->runtime, true);
	if (ev->init_data.n > 0)
		data(&w, "initTimeData", ev->init_data, is_json_object(ev->init_data));
	lk_jsonw_str(&w, "nonce", ev->nonce);
	lk_jsonw_end(&w);
	if (scratch->bad || out->bad)
		return lk_fail(e, LK_ELIMIT, "evidence: larger than %zu bytes",
		    scratch->bad ? scratch->cap : out->cap);
	return LK_OK;
}

/* ---- answer */

static enum lk_code parse(
    const struct lk_http_rsp *rsp, struct lk_buf *store, struct lk_slice *jwt, struct lk_err *e)
{
	static struct lk_json_tok toks[TOKENS];
	const size_t at = store->n;
	struct lk_slice token;
	struct lk_jwt parts;
	struct lk_json j;

	enum lk_code c = lk_azure_json(rsp, "answer", toks, TOKENS, &j, e);
	if (c == LK_OK)
		c = lk_json_str(&j, "token", &token, e);
	if (c != LK_OK)
		return c;
	if (token.n > LK_TOKEN_MAX)
		return lk_fail(e, LK_ELIMIT, "a token of %zu bytes", token.n);
	c = lk_jwt_split(token, &parts, e);
	if (c != LK_OK)
		return lk_err_prefix(e, "token");
	lk_buf_slice(store, token);
	if (store->bad)
		return lk_fail(e, LK_ELIMIT, "token: too long");
	*jwt = lk_slice_of(store->p + at, store->n - at);
	return LK_OK;
}

enum lk_code lk_maa_snp_parse(
    const struct lk_http_rsp *rsp, struct lk_buf *store, struct lk_slice *jwt, struct lk_err *e)
{
	*jwt = lk_slice_of(NULL, 0);
	enum lk_code c = parse(rsp, store, jwt, e);
	if (c == LK_EABSENT)
		e->code = LK_EPROTO;
	return c == LK_OK ? c : lk_err_prefix(e, "attestation");
}
