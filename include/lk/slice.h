/* lk/slice.h - borrowed bytes and bounded writers.
 *
 * A slice is never NUL-terminated and owns nothing. A buffer writes into storage of its caller;
 * overflow is sticky: append as often as you like and test `bad` once (an overflowing append writes
 * nothing).
 */
#ifndef LK_SLICE_H
#define LK_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lk/err.h"

struct lk_slice {
	const uint8_t *p;
	size_t n;
};
struct lk_buf {
	uint8_t *p;
	size_t n, cap;
	bool bad;
};

#define LK_S(lit)     ((struct lk_slice){(const uint8_t *)("" lit), sizeof(lit) - 1})
#define LK_BUF(array) ((struct lk_buf){.p = (array), .n = 0, .cap = sizeof(array), .bad = false})

struct lk_slice lk_slice_of(const void *p, size_t n);
struct lk_slice lk_slice_str(const char *s);          /* s is our own text, not a peer's */
struct lk_slice lk_slice_buf(const struct lk_buf *b); /* what has been written so far */
bool lk_slice_eq(struct lk_slice a, struct lk_slice b);
bool lk_slice_eq_str(struct lk_slice a, const char *s);
bool lk_slice_ieq_str(struct lk_slice a, const char *s); /* ASCII case folded */
bool lk_slice_starts(struct lk_slice a, struct lk_slice prefix);
bool lk_slice_ends(struct lk_slice a, struct lk_slice suffix);
bool lk_slice_find(struct lk_slice a, uint8_t byte, size_t *at);
/* Where the first `part` begins; it is not empty. */
bool lk_slice_search(struct lk_slice a, struct lk_slice part, size_t *at);
/* The part [from, from + n), clipped to a. */
struct lk_slice lk_slice_sub(struct lk_slice a, size_t from, size_t n);
/* Take n bytes off the front; false (and *out empty, *a unchanged) when there are fewer. */
bool lk_slice_take(struct lk_slice *a, size_t n, struct lk_slice *out);
bool lk_slice_take_le32(struct lk_slice *a, uint32_t *out);
bool lk_slice_take_be16(struct lk_slice *a, uint16_t *out);
bool lk_slice_take_be32(struct lk_slice *a, uint32_t *out);
bool lk_slice_is_zero(struct lk_slice a);
/* Decimal digits only, no sign, no blanks, 1 to 10 of them, up to max. */
bool lk_slice_u32(struct lk_slice a, uint32_t max, uint32_t *out);
/* Copy as a C string; LK_ELIMIT if it does not fit, LK_EPROTO if it holds a NUL. */
LK_CHECK enum lk_code lk_slice_cstr(struct lk_slice a, char *out, size_t cap, struct lk_err *e);

void lk_buf_put(struct lk_buf *b, const void *p, size_t n);
void lk_buf_slice(struct lk_buf *b, struct lk_slice s);
void lk_buf_str(struct lk_buf *b, const char *s);
void lk_buf_byte(struct lk_buf *b, uint8_t v);
void lk_buf_le32(struct lk_buf *b, uint32_t v);
void lk_buf_le64(struct lk_buf *b, uint64_t v);
void lk_buf_be16(struct lk_buf *b, uint16_t v);
void lk_buf_be32(struct lk_buf *b, uint32_t v);
void lk_buf_be64(struct lk_buf *b, uint64_t v);
void lk_buf_u64(struct lk_buf *b, uint64_t v); /* decimal */
void lk_buf_fmt(struct lk_buf *b, const char *fmt, ...) LK_PRINTF(2, 3);
uint8_t *lk_buf_room(struct lk_buf *b, size_t n); /* reserve n bytes; NULL (and bad) if they do not
						     fit */

/* Hexadecimal, lower case out; either case in, even count, exact. Not for secrets. */
void lk_hex_encode(struct lk_slice in, struct lk_buf *out);
LK_CHECK enum lk_code lk_hex_decode(struct lk_slice in, struct lk_buf *out, struct lk_err *e);

#endif
