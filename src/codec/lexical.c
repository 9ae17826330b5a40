/* UTF-8 and JSON escapes. */
#include "lexical.h"

static bool between(uint32_t v, uint32_t lo, uint32_t hi)
{
	return v >= lo && v <= hi;
}

size_t lk_utf8_step(struct lk_slice s, size_t at)
{
	struct lk_slice c = lk_slice_sub(s, at, 4);
	size_t n;

	if (!c.n)
		return 0;
	if (c.p[0] < 0x80)
		return 1;
	n = between(c.p[0], 0xc2, 0xdf)   ? 2
	    : between(c.p[0], 0xe0, 0xef) ? 3
	    : between(c.p[0], 0xf0, 0xf4) ? 4
					  : 0;
	if (n == 0 || c.n < n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if (!between(c.p[i], 0x80, 0xbf))
			return 0;
	/* The second byte decides about overlong forms, surrogates and the end of Unicode. */
	if ((c.p[0] == 0xe0 && c.p[1] < 0xa0) || (c.p[0] == 0xed && c.p[1] > 0x9f) ||
	    (c.p[0] == 0xf0 && c.p[1] < 0x90) || (c.p[0] == 0xf4 && c.p[1] > 0x8f))
		return 0;
	return n;
}

bool lk_utf8_ok(struct lk_slice s)
{
	for (size_t i = 0, n; i < s.n; i += n) {
		n = lk_utf8_step(s, i);
		if (!n)
			return false;
	}
	return true;
}

/* \uXXXX at `at`. */
static bool unit(struct lk_slice s, size_t at, uint32_t *out)
{
	struct lk_slice c = lk_slice_sub(s, at, 6);
	uint8_t two[2] = {0, 0};
	struct lk_buf b = LK_BUF(two);
	struct lk_err e;

	if (c.n != 6 || c.p[0] != '\\' || c.p[1] != 'u' ||
	    lk_hex_decode(lk_slice_sub(c, 2, 4), &b, &e) != LK_OK)
		return false;
	*out = (uint32_t)two[0] << 8 | two[1];
	return true;
}

static size_t put_utf8(uint32_t c, uint8_t utf8[static 4])
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = n; i-- > 1; c >>= 6)
		utf8[i] = (uint8_t)(0x80 | (c & 0x3f));
	utf8[0] = (uint8_t)(lead[n] | c);
	return n;
}

static size_t unicode_step(struct lk_slice s, size_t at, uint8_t utf8[static 4], size_t *n)
{
	uint32_t c, low;

	if (!unit(s, at, &c) || c == 0 || between(c, 0xdc00, 0xdfff))
		return 0;
	if (!between(c, 0xd800, 0xdbff)) {
		*n = put_utf8(c, utf8);
		return 6;
	}
	if (!unit(s, at + 6, &low) || !between(low, 0xdc00, 0xdfff))
		return 0;
	*n = put_utf8(0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00), utf8);
	return 12;
}

size_t lk_escape_step(struct lk_slice s, size_t at, uint8_t utf8[static 4], size_t *n)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	size_t i;

	if (at >= s.n || s.n - at < 2)
		return 0;
	if (s.p[at + 1] == 'u')
		return unicode_step(s, at, utf8, n);
	if (!lk_slice_find(lk_slice_str(names), s.p[at + 1], &i))
		return 0;
	utf8[0] = (uint8_t)values[i];
	*n = 1;
	return 2;
}
