/* jwk.c - a JSON web key's public half (RFC 7517, RFC 7518 section 6). */
#include <string.h>

#include "lk/b64.h"
#include "lk/jws.h"

LK_CHECK static enum lk_code member(
    const struct lk_json *jwk, const char *name, struct lk_buf *out, struct lk_err *e)
{
	struct lk_slice text;

	if (lk_json_str(jwk, name, &text, e) != LK_OK)
		return e->code;
	if (lk_b64url_decode(text, out, e) != LK_OK)
		return lk_err_prefix(e, "jwk member %s", name);
	return LK_OK;
}

LK_CHECK static enum lk_code pair(const struct lk_json *jwk, const char *first, const char *second,
    struct lk_buf *a, struct lk_buf *b, struct lk_err *e)
{
	if (member(jwk, first, a, e) != LK_OK)
		return e->code;
	return member(jwk, second, b, e);
}

enum lk_code lk_jwk_read(const struct lk_json *jwk, struct lk_pub *out, struct lk_err *e)
{
	/* A vault may put zero bytes in front (e as AAEAAQ): room for some. */
	uint8_t a_store[LK_RSA_MAX + 8], b_store[LK_RSA_MAX + 8];
	struct lk_buf a = LK_BUF(a_store), b = LK_BUF(b_store);
	struct lk_slice kty, crv;
	enum lk_curve curve;

	memset(out, 0, sizeof(*out));
	if (lk_json_str(jwk, "kty", &kty, e) != LK_OK)
		return lk_err_prefix(e, "jwk");
	if (lk_slice_ends(kty, LK_S("-HSM")))
		kty = lk_slice_sub(kty, 0, kty.n - 4);
	if (lk_slice_eq_str(kty, "oct")) {
		out->kty = LK_KTY_OCT;
		return LK_OK;
	}
	if (lk_slice_eq_str(kty, "RSA")) {
		if (pair(jwk, "n", "e", &a, &b, e) != LK_OK ||
		    lk_pub_rsa(lk_slice_buf(&a), lk_slice_buf(&b), out, e) != LK_OK)
			return lk_err_prefix(e, "jwk");
		return LK_OK;
	}
	if (!lk_slice_eq_str(kty, "EC"))
		return lk_fail(e, LK_EPROTO, "jwk: the key is neither RSA, EC nor oct");
	if (lk_json_str(jwk, "crv", &crv, e) != LK_OK)
		return lk_err_prefix(e, "jwk");
	if (!lk_curve_parse(crv, &curve))
		return lk_fail(e, LK_EPROTO, "jwk: the curve is none of P-256, P-384, P-521");
	if (pair(jwk, "x", "y", &a, &b, e) != LK_OK ||
	    lk_pub_ec(curve, lk_slice_buf(&a), lk_slice_buf(&b), out, e) != LK_OK)
		return lk_err_prefix(e, "jwk");
	return LK_OK;
}
