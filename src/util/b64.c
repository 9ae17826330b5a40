/* Base64 without tables: no memory address and no branch depends on a character's value. */
#include "lk/b64.h"

#include "lk/secret.h"

/* 62 and 63: the only characters in which the two alphabets differ. */
struct alphabet {
	uint8_t c62, c63;
};
static const struct alphabet standard = {'+', '/'}, url = {'-', '_'};

/* All ones if lo <= v <= hi, else 0. All three below 256: a negative difference sets bit 31. */
static uint32_t between(uint32_t v, uint32_t lo, uint32_t hi)
{
	uint32_t outside = ((v - lo) | (hi - v)) >> 31;

	/* Opaque, so that the compiler does not turn the mask back into a branch. */
	__asm__("" : "+r"(outside));
	return outside - 1;
}

static uint8_t char_of(uint32_t v, const struct alphabet *a)
{
	uint32_t c = (between(v, 0, 25) & (v + 'A')) | (between(v, 26, 51) & (v - 26 + 'a')) |
		     (between(v, 52, 61) & (v - 52 + '0')) | (between(v, 62, 62) & a->c62) |
		     (between(v, 63, 63) & a->c63);

	return (uint8_t)c;
}

/* The six bits of c; 0 and a mark in *bad if c is not of the alphabet. */
static uint32_t bits_of(uint32_t c, const struct alphabet *a, uint32_t *bad)
{
	uint32_t upper = between(c, 'A', 'Z'), lower = between(c, 'a', 'z');
	uint32_t digit = between(c, '0', '9');
	uint32_t m62 = between(c, a->c62, a->c62), m63 = between(c, a->c63, a->c63);

	*bad |= ~(upper | lower | digit | m62 | m63);
	return (upper & (c - 'A')) | (lower & (c - 'a' + 26)) | (digit & (c - '0' + 52)) |
	       (m62 & 62) | (m63 & 63);
}

static void encode(struct lk_slice in, const struct alphabet *a, bool pad, struct lk_buf *out)
{
	size_t whole = in.n / 3, rest = in.n % 3, tail = rest ? (pad ? 4 : rest + 1) : 0;
	uint8_t *at;

	at = lk_buf_room(out, whole < SIZE_MAX / 4 - 1 ? whole * 4 + tail : SIZE_MAX);
	if (!at)
		return;
	for (size_t i = 0; i < in.n; i += 3) {
		size_t have = in.n - i < 3 ? in.n - i : 3;
		uint32_t v = (uint32_t)in.p[i] << 16;

		if (have > 1)
			v |= (uint32_t)in.p[i + 1] << 8;
		if (have > 2)
			v |= in.p[i + 2];
		for (size_t k = 0; k <= have; k++)
			*at++ = char_of(v >> (18 - 6 * k) & 63, a);
		for (size_t k = have + 1; pad && k < 4; k++)
			*at++ = '=';
	}
}

void lk_b64_encode(struct lk_slice in, struct lk_buf *out)
{
	encode(in, &standard, true, out);
}

void lk_b64url_encode(struct lk_slice in, struct lk_buf *out)
{
	encode(in, &url, false, out);
}

/* `in` without padding. All characters are looked at before the verdict. */
static enum lk_code decode(
    struct lk_slice in, const struct alphabet *a, struct lk_buf *out, struct lk_err *e)
{
	size_t size = in.n / 4 * 3 + (in.n % 4 ? in.n % 4 - 1 : 0), before = out->n;
	uint32_t bad = 0;
	uint8_t *at;

	if (in.n % 4 == 1)
		return lk_fail(e, LK_EPROTO, "base64: length %zu is impossible", in.n);
	at = lk_buf_room(out, size);
	if (!at)
		return lk_fail(e, LK_ELIMIT, "base64: %zu bytes do not fit", size);
	for (size_t i = 0; i < in.n; i += 4) {
		size_t have = in.n - i < 4 ? in.n - i : 4;
		uint32_t v = 0;

		for (size_t k = 0; k < have; k++)
			v |= bits_of(in.p[i + k], a, &bad) << (18 - 6 * k);
		for (size_t k = 0; k + 1 < have; k++)
			*at++ = (uint8_t)(v >> (16 - 8 * k));
		/* What no byte took must be zero: one text for one value. */
		bad |= have < 4 ? v & (0xffffffU >> (8 * (have - 1))) : 0;
	}
	if (bad) {
		lk_wipe(out->p + before, size);
		out->n = before;
		return lk_fail(e, LK_EPROTO, "base64: character or unused bits refused");
	}
	return LK_OK;
}

enum lk_code lk_b64_decode(struct lk_slice in, struct lk_buf *out, struct lk_err *e)
{
	size_t pad = 0;

	if (in.n % 4)
		return lk_fail(e, LK_EPROTO, "base64: length %zu, padding missing", in.n);
	while (pad < 2 && pad < in.n && in.p[in.n - 1 - pad] == '=')
		pad++;
	return decode(lk_slice_sub(in, 0, in.n - pad), &standard, out, e);
}

enum lk_code lk_b64url_decode(struct lk_slice in, struct lk_buf *out, struct lk_err *e)
{
	return decode(in, &url, out, e);
}
