/* vault.c - the release request, and its answer down to the wrapped key.
 *
 * Source: protocol notes, snp-maa-akv 4.1 and 4.2. The answer is {"value": JWS}; the JWS says for
 * which request it is, and holds the public key and key_hsm: base64url of a JSON document with the
 * ciphertext.
 */
#include "lk/vault.h"

#include "azure_text.h"
#include "lk/jsonw.h"
#include "lk/log.h"
#include "lk/maa.h"
#include "vault_parse.h"

#define TOKENS         64
#define PAYLOAD_TOKENS 512
#define KWP_MIN        16
#define KEY            "response.key.key"

/* ---- request */

const char *lk_enc_name(enum lk_enc enc)
{
	switch (enc) {
	case LK_ENC_SHA256:
		return "RSA_AES_KEY_WRAP_256";
	case LK_ENC_SHA384:
		return "RSA_AES_KEY_WRAP_384";
	case LK_ENC_SHA1:
		return "CKM_RSA_AES_KEY_WRAP";
	}
	LK_BUG_ON(true);
}

void lk_vault_target(const struct lk_release_ask *ask, struct lk_buf *out)
{
	lk_buf_str(out, "/keys/");
	lk_buf_str(out, ask->key->name);
	if (ask->key->version[0] != '\0') {
		lk_buf_byte(out, '/');
		lk_buf_str(out, ask->key->version);
	}
	lk_buf_str(out, "/release?api-version=");
	lk_url_escape(lk_slice_str(ask->api_version), out);
}

enum lk_code lk_vault_body(const struct lk_release_ask *ask, struct lk_buf *out, struct lk_err *e)
{
	struct lk_jsonw w;
	struct lk_jwt parts;

	enum lk_code c = lk_jwt_split(ask->token, &parts, e);
	if (c != LK_OK)
		return lk_err_prefix(e, "release: the attestation token");
	if (ask->nonce.n == 0)
		return lk_fail(e, LK_EBUG, "release: no nonce");
	lk_jsonw_start(&w, out);
	lk_jsonw_object(&w, NULL);
	lk_jsonw_str(&w, "target", ask->token);
	lk_jsonw_str(&w, "nonce", ask->nonce);
	lk_jsonw_str(&w, "enc", lk_slice_str(lk_enc_name(ask->enc)));
	lk_jsonw_end(&w);
	return out->bad ? lk_fail(e, LK_ELIMIT, "release: the request does not fit") : LK_OK;
}

/* ---- answer */

static bool eq_fold(const char *a, const char *b)
{
	return lk_slice_ieq_str(lk_slice_str(a), b);
}

/* Does `path` name our key? Hosts and names have no case (the vault keeps whichever it was created
 * with); a version counts when both sides have one. *kid is the text. */
static enum lk_code check_kid(const struct lk_json *j, const char *path,
    const struct lk_key_url *ours, struct lk_slice *kid, struct lk_key_url *got, struct lk_err *e)
{
	enum lk_code c = lk_json_str(j, path, kid, e);
	if (c == LK_OK)
		c = lk_key_url_parse(*kid, got, e);
	if (c != LK_OK)
		return lk_err_prefix(e, "%s", path);
	if (!eq_fold(got->url.host, ours->url.host))
		return lk_fail(e, LK_ETRUST, "%s: a key at another host than ours", path);
	if (!eq_fold(got->name, ours->name))
		return lk_fail(e, LK_ETRUST, "%s: another key than ours", path);
	if (ours->version[0] != '\0' && got->version[0] != '\0' &&
	    !eq_fold(got->version, ours->version))
		return lk_fail(e, LK_ETRUST, "%s: another version of the key than ours", path);
	return LK_OK;
}

static enum lk_code check_kids(const struct lk_json *j, const struct lk_release_ask *ask,
    struct lk_released *out, struct lk_err *e)
{
	struct lk_key_url asked, got;
	struct lk_slice kid;

	enum lk_code c = check_kid(j, "request.kid", ask->key, &kid, &asked, e);
	if (c == LK_OK)
		c = check_kid(j, KEY ".kid", ask->key, &kid, &got, e);
	if (c != LK_OK)
		return c;
	if (got.version[0] == '\0')
		return lk_fail(e, LK_EPROTO, KEY ".kid: no version");
	if (asked.version[0] != '\0' && !eq_fold(asked.version, got.version))
		return lk_fail(e, LK_ETRUST, "request and key name two versions");
	return lk_slice_cstr(kid, out->kid, sizeof(out->kid), e);
}

/* The hash of the wrapping is the caller's decision, never the answer's. */
static enum lk_code check_enc(
    const struct lk_json *j, const char *path, enum lk_enc want, struct lk_err *e)
{
	uint8_t bytes[48];
	struct lk_buf b = LK_BUF(bytes);
	struct lk_slice got;

	enum lk_code c = lk_json_str(j, path, &got, e);
	if (c != LK_OK || lk_slice_eq_str(got, lk_enc_name(want)))
		return c;
	lk_log_printable(&b, got, sizeof(bytes));
	return lk_fail(e, LK_ETRUST, "%s is %.*s, but %s was asked for", path, (int)b.n,
	    (const char *)b.p, lk_enc_name(want));
}

static enum lk_code check_request(
    const struct lk_json *j, const struct lk_release_ask *ask, struct lk_err *e)
{
	struct lk_slice nonce;

	enum lk_code c = lk_json_str(j, "request.nonce", &nonce, e);
	if (c != LK_OK)
		return c;
	if (!lk_slice_eq(nonce, ask->nonce))
		return lk_fail(e, LK_ETRUST, "an answer to another request: the nonce differs");
	return check_enc(j, "request.enc", ask->enc, e);
}

static enum lk_code read_hsm(struct lk_slice text, const struct lk_release_ask *ask,
    struct lk_buf *store, struct lk_slice *ciphertext, struct lk_err *e)
{
	static struct lk_json_tok toks[TOKENS];
	struct lk_slice kid, alg;
	struct lk_json j;

	enum lk_code c = lk_json_parse(text, toks, TOKENS, &j, e);
	if (c == LK_OK)
		c = lk_json_str(&j, "header.alg", &alg, e);
	if (c == LK_OK && !lk_slice_eq_str(alg, "dir"))
		c = lk_fail(e, LK_EPROTO, "header.alg is not dir");
	if (c == LK_OK)
		c = check_enc(&j, "header.enc", ask->enc, e);
	if (c == LK_OK && ask->wrap_kid.n > 0) {
		c = lk_json_str(&j, "header.kid", &kid, e);
		if (c == LK_OK && !lk_slice_eq(kid, ask->wrap_kid))
			c = lk_fail(e, LK_ETRUST, "wrapped for another key than ours");
	}
	if (c == LK_OK)
		c = lk_azure_bytes(&j, "ciphertext", false, store, ciphertext, e);
	if (c != LK_OK)
		return c;
	if (ciphertext->n < ask->block + KWP_MIN || (ciphertext->n - ask->block) % 8 != 0)
		return lk_fail(e, LK_EPROTO, "ciphertext: %zu bytes", ciphertext->n);
	return LK_OK;
}

static enum lk_code read_payload(struct lk_slice payload, const struct lk_release_ask *ask,
    struct lk_buf *store, struct lk_released *out, struct lk_err *e)
{
	static struct lk_json_tok toks[PAYLOAD_TOKENS];
	struct lk_slice hsm;
	struct lk_json j, key;

	enum lk_code c = lk_json_parse(payload, toks, PAYLOAD_TOKENS, &j, e);
	if (c == LK_OK)
		c = check_request(&j, ask, e);
	if (c == LK_OK)
		c = check_kids(&j, ask, out, e);
	if (c == LK_OK)
		c = lk_json_get(&j, KEY, &key, e);
	if (c == LK_OK)
		c = lk_jwk_read(&key, &out->pub, e);
	if (c == LK_OK)
		c = lk_azure_bytes(&j, KEY ".key_hsm", false, store, &hsm, e);
	if (c != LK_OK)
		return c;
	c = read_hsm(hsm, ask, store, &out->ciphertext, e);
	return c == LK_OK ? c : lk_err_prefix(e, "key_hsm");
}

enum lk_code lk_vault_payload(struct lk_slice payload, const struct lk_release_ask *ask,
    struct lk_buf *store, struct lk_released *out, struct lk_err *e)
{
	*out = (struct lk_released){0};
	enum lk_code c = read_payload(payload, ask, store, out, e);
	if (c == LK_EABSENT)
		e->code = c = LK_EPROTO; /* whatever is missing, this is no release answer */
	return c;
}

enum lk_code lk_vault_parse(const struct lk_http_rsp *rsp, const struct lk_release_ask *ask,
    const struct lk_roots *roots, struct lk_buf *store, struct lk_released *out, struct lk_err *e)
{
	static struct lk_json_tok toks[TOKENS];
	const char *host = ask->key->url.host;
	struct lk_slice value;
	struct lk_json j;
	size_t at = store->n;

	if (rsp->status != 200)
		return lk_azure_error(rsp, "vault", host, e);
	enum lk_code c = lk_azure_json(rsp, "answer", toks, TOKENS, &j, e);
	if (c == LK_OK)
		c = lk_json_str(&j, "value", &value, e);
	if (c == LK_OK)
		c = lk_jws_verify_x5c(value, host, roots, store, e);
	if (c == LK_OK)
		c = lk_vault_payload(lk_slice_of(store->p + at, store->n - at), ask, store, out, e);
	if (c == LK_EABSENT)
		e->code = LK_EPROTO;
	return c == LK_OK ? c : lk_err_prefix(e, "vault %.80s", host);
}
