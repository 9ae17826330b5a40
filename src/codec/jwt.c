/* Splitting a compact JWS. */
#include "lk/jwt.h"

static bool is_base64url(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

enum lk_code lk_jwt_split(struct lk_slice text, struct lk_jwt *out, struct lk_err *e)
{
	size_t dot[2] = {0, 0}, dots = 0;

	if (text.n > LK_JWT_MAX)
		return lk_fail(e, LK_ELIMIT, "jwt: %zu bytes, at most %d", text.n, LK_JWT_MAX);
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '.') {
			if (dots == 2)
				return lk_fail(e, LK_EPROTO, "jwt: more than three parts");
			dot[dots++] = i;
		} else if (!is_base64url(text.p[i])) {
			return lk_fail(e, LK_EPROTO, "jwt: byte %zu is not base64url", i);
		}
	}
	if (dots != 2)
		return lk_fail(e, LK_EPROTO, "jwt: fewer than three parts");
	*out = (struct lk_jwt){
	    .head = lk_slice_sub(text, 0, dot[0]),
	    .body = lk_slice_sub(text, dot[0] + 1, dot[1] - dot[0] - 1),
	    .sig = lk_slice_sub(text, dot[1] + 1, text.n),
	    .signed_part = lk_slice_sub(text, 0, dot[1]),
	};
	if (!out->head.n || !out->body.n || !out->sig.n)
		return lk_fail(e, LK_EPROTO, "jwt: empty part");
	return LK_OK;
}
