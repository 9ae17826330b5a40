/* lk/b64.h - base64 and base64url (RFC 4648), strict, in constant time for the bytes (key material
 * passes through).
 *
 * Decoders accept the alphabet only, no white space, and zero unused bits. Standard base64 wants
 * exactly the right padding, base64url none: two functions, no guessing.
 */
#ifndef LK_B64_H
#define LK_B64_H

#include "lk/slice.h"

void lk_b64_encode(struct lk_slice in, struct lk_buf *out);
void lk_b64url_encode(struct lk_slice in, struct lk_buf *out);
LK_CHECK enum lk_code lk_b64_decode(struct lk_slice in, struct lk_buf *out, struct lk_err *e);
LK_CHECK enum lk_code lk_b64url_decode(struct lk_slice in, struct lk_buf *out, struct lk_err *e);

#endif
