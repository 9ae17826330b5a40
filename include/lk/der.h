/* lk/der.h - step through DER (X.690) that a peer or an HSM wrote.
 *
 * The slice is a cursor: what was read is taken off its front; on false nothing is taken. Lengths
 * are definite, minimal and below 64 KiB; tags are single bytes. Never looks behind the slice.
 */
#ifndef LK_DER_H
#define LK_DER_H

#include "lk/slice.h"

#define LK_DER_INTEGER   0x02
#define LK_DER_BITSTR    0x03
#define LK_DER_OCTETS    0x04
#define LK_DER_NULL      0x05
#define LK_DER_OID       0x06
#define LK_DER_UTCTIME   0x17
#define LK_DER_GENTIME   0x18
#define LK_DER_SEQUENCE  0x30
#define LK_DER_CONTEXT_0 0xa0 /* constructed [0] */

/* Does the next element have this tag? */
bool lk_der_is(struct lk_slice in, uint8_t tag);
/* The next element, which must have this tag: its content. */
bool lk_der_take(struct lk_slice *in, uint8_t tag, struct lk_slice *body);
/* The next element whatever it is: all of it, tag and length included. */
bool lk_der_skip(struct lk_slice *in, struct lk_slice *whole);
/* An INTEGER as an unsigned magnitude: leading zeros are stripped (zero is empty), and a set top
 * bit is not a sign, since some encoders of keys leave the zero byte out. What is read this way has
 * to be proved right by other means. */
bool lk_der_uint(struct lk_slice *in, struct lk_slice *out);
struct lk_slice lk_der_strip(struct lk_slice v); /* without leading zero bytes */

#endif
