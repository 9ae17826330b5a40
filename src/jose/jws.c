/* jws.c - a compact JWS whose signer is named by an x5c chain (RFC 7515, sections 4.1 and 5.2).
 *
 * Of the header only alg and x5c are believed, and those only as far as they are checked here. jku,
 * jwk, x5u and kid would let the signer choose where its key comes from: they are not looked at.
 * crit and b64 would change what the signature means: they are refused.
 */
#include "lk/jws.h"

#include "lk/b64.h"

#define HEAD_MAX  (56 * 1024)
#define CERTS_MAX 6
#define CERT_MAX  (8 * 1024)
#define SIG_MAX   512
#define TOKS      64

static uint8_t head_store[HEAD_MAX], cert_store[CERTS_MAX * CERT_MAX];
static struct lk_json_tok toks[TOKS];

/* Whatever is missing or of another kind makes the header wrong as a whole. */
static enum lk_code bad_head(struct lk_err *e)
{
	e->code = LK_EPROTO;
	return lk_err_prefix(e, "jws header");
}

LK_CHECK static enum lk_code refuse_member(
    const struct lk_json *head, const char *name, struct lk_err *e)
{
	struct lk_err absent = {0};
	struct lk_json value;

	if (lk_json_member(head, name, &value, &absent) == LK_EABSENT)
		return LK_OK;
	return lk_fail(e, LK_ETRUST,
	    "jws: the header has %s, which would change the signature's meaning", name);
}

LK_CHECK static enum lk_code check_head(const struct lk_json *head, struct lk_err *e)
{
	struct lk_slice alg;

	if (lk_json_str(head, "alg", &alg, e) != LK_OK)
		return bad_head(e);
	if (!lk_slice_eq_str(alg, "RS256"))
		return lk_fail(e, LK_ETRUST, "jws: the signature algorithm is not RS256");
	if (refuse_member(head, "crit", e) != LK_OK)
		return e->code;
	return refuse_member(head, "b64", e);
}

/* x5c is standard base64 with padding, unlike everything else in a JWS. */
LK_CHECK static enum lk_code read_chain(
    const struct lk_json *head, struct lk_slice der[CERTS_MAX], size_t *count, struct lk_err *e)
{
	struct lk_buf all = LK_BUF(cert_store);

	if (lk_json_len(head, "x5c", count, e) != LK_OK)
		return bad_head(e);
	if (*count == 0 || *count > CERTS_MAX)
		return lk_fail(e, *count == 0 ? LK_EPROTO : LK_ELIMIT,
		    "jws: the chain has %zu certificates, 1 to %d are taken", *count, CERTS_MAX);
	for (size_t i = 0; i < *count; i++) {
		struct lk_json one;
		struct lk_slice text;
		size_t from = all.n;

		if (lk_json_at(head, "x5c", i, &one, e) != LK_OK ||
		    lk_json_str(&one, "", &text, e) != LK_OK)
			return bad_head(e);
		if (lk_b64_decode(text, &all, e) != LK_OK)
			return lk_err_prefix(e, "jws: certificate %zu", i + 1);
		if (all.n - from > CERT_MAX)
			return lk_fail(
			    e, LK_ELIMIT, "jws: a certificate of more than %d bytes", CERT_MAX);
		der[i] = lk_slice_sub(lk_slice_buf(&all), from, all.n);
	}
	return LK_OK;
}

LK_CHECK static enum lk_code check_signature(
    const struct lk_jwt *jwt, const struct lk_pub *leaf, struct lk_err *e)
{
	uint8_t digest[32], store[SIG_MAX];
	struct lk_buf sig = LK_BUF(store);

	if (leaf->kty != LK_KTY_RSA)
		return lk_fail(e, LK_ETRUST, "jws: the signer's certificate holds no RSA key");
	if (lk_b64url_decode(jwt->sig, &sig, e) != LK_OK ||
	    lk_sha256(jwt->signed_part, digest, e) != LK_OK)
		return lk_err_prefix(e, "jws signature");
	if (lk_rsa_verify(lk_slice_of(leaf->n, leaf->n_len), lk_slice_of(leaf->e, leaf->e_len),
		LK_SHA256, lk_slice_of(digest, sizeof(digest)), lk_slice_buf(&sig), e) != LK_OK) {
		e->code = LK_ETRUST;
		return lk_err_prefix(e, "jws signature");
	}
	return LK_OK;
}

enum lk_code lk_jws_verify_x5c(struct lk_slice text, const char *host, const struct lk_roots *roots,
    struct lk_buf *payload, struct lk_err *e)
{
	struct lk_buf head_text = LK_BUF(head_store);
	struct lk_slice der[CERTS_MAX];
	static struct lk_pub leaf;
	struct lk_json head;
	struct lk_jwt jwt;
	size_t count = 0;

	if (lk_jwt_split(text, &jwt, e) != LK_OK ||
	    lk_b64url_decode(jwt.head, &head_text, e) != LK_OK ||
	    lk_json_parse(lk_slice_buf(&head_text), toks, TOKS, &head, e) != LK_OK)
		return lk_err_prefix(e, "jws");
	if (check_head(&head, e) != LK_OK || read_chain(&head, der, &count, e) != LK_OK)
		return e->code;
	if (lk_chain_verify(der, count, host, roots, &leaf, e) != LK_OK)
		return lk_err_prefix(e, "jws signer");
	if (check_signature(&jwt, &leaf, e) != LK_OK)
		return e->code;
	if (lk_b64url_decode(jwt.body, payload, e) != LK_OK)
		return lk_err_prefix(e, "jws payload");
	return LK_OK;
}
