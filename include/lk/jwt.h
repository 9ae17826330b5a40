/* lk/jwt.h - split a compact JWS (RFC 7515) into its three parts; no trust is implied by a split.
 */
#ifndef LK_JWT_H
#define LK_JWT_H

#include "lk/slice.h"

#define LK_JWT_MAX (64 * 1024)

struct lk_jwt {
	struct lk_slice head, body, sig, signed_part;
}; /* still base64url, as received */

/* Exactly two dots, three non-empty parts, base64url alphabet only, at most LK_JWT_MAX bytes. */
LK_CHECK enum lk_code lk_jwt_split(struct lk_slice text, struct lk_jwt *out, struct lk_err *e);

#endif
