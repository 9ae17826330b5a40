/* Borrowed bytes: comparing, splitting, taking. */
#include "lk/slice.h"

#include <string.h>

struct lk_slice lk_slice_of(const void *p, size_t n)
{
	return (struct lk_slice){p, n};
}

struct lk_slice lk_slice_str(const char *s)
{
	return lk_slice_of(s, strlen(s));
}

struct lk_slice lk_slice_buf(const struct lk_buf *b)
{
	return lk_slice_of(b->p, b->n);
}

bool lk_slice_eq(struct lk_slice a, struct lk_slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool lk_slice_eq_str(struct lk_slice a, const char *s)
{
	return lk_slice_eq(a, lk_slice_str(s));
}

/* Not tolower(3): a locale must not decide. */
static uint8_t fold(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

bool lk_slice_ieq_str(struct lk_slice a, const char *s)
{
	struct lk_slice b = lk_slice_str(s);

	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (fold(a.p[i]) != fold(b.p[i]))
			return false;
	return true;
}

bool lk_slice_starts(struct lk_slice a, struct lk_slice prefix)
{
	return a.n >= prefix.n && lk_slice_eq(lk_slice_sub(a, 0, prefix.n), prefix);
}

bool lk_slice_ends(struct lk_slice a, struct lk_slice suffix)
{
	return a.n >= suffix.n && lk_slice_eq(lk_slice_sub(a, a.n - suffix.n, suffix.n), suffix);
}

bool lk_slice_find(struct lk_slice a, uint8_t byte, size_t *at)
{
	const uint8_t *hit = a.n ? memchr(a.p, byte, a.n) : NULL;

	if (!hit)
		return false;
	*at = (size_t)(hit - a.p);
	return true;
}

bool lk_slice_search(struct lk_slice a, struct lk_slice part, size_t *at)
{
	size_t off = 0, next;

	LK_BUG_ON(part.n == 0);
	while (lk_slice_find(lk_slice_sub(a, off, a.n), part.p[0], &next)) {
		off += next;
		if (lk_slice_starts(lk_slice_sub(a, off, a.n), part)) {
			*at = off;
			return true;
		}
		off++;
	}
	return false;
}

struct lk_slice lk_slice_sub(struct lk_slice a, size_t from, size_t n)
{
	LK_BUG_ON(a.n > 0 && !a.p);
	if (from > a.n)
		from = a.n;
	if (n > a.n - from)
		n = a.n - from;
	return lk_slice_of(a.p ? a.p + from : NULL, n);
}

bool lk_slice_take(struct lk_slice *a, size_t n, struct lk_slice *out)
{
	if (n > a->n) {
		*out = lk_slice_of(NULL, 0);
		return false;
	}
	*out = lk_slice_sub(*a, 0, n);
	LK_BUG_ON(n > 0 && !out->p);
	*a = lk_slice_sub(*a, n, a->n - n);
	return true;
}

bool lk_slice_take_le32(struct lk_slice *a, uint32_t *out)
{
	struct lk_slice s;

	if (!lk_slice_take(a, 4, &s))
		return false;
	*out = (uint32_t)s.p[0] | (uint32_t)s.p[1] << 8 | (uint32_t)s.p[2] << 16 |
	       (uint32_t)s.p[3] << 24;
	return true;
}

bool lk_slice_take_be16(struct lk_slice *a, uint16_t *out)
{
	struct lk_slice s;

	if (!lk_slice_take(a, 2, &s))
		return false;
	*out = (uint16_t)(s.p[0] << 8 | s.p[1]);
	return true;
}

bool lk_slice_take_be32(struct lk_slice *a, uint32_t *out)
{
	struct lk_slice s;

	if (!lk_slice_take(a, 4, &s))
		return false;
	*out = (uint32_t)s.p[0] << 24 | (uint32_t)s.p[1] << 16 | (uint32_t)s.p[2] << 8 |
	       (uint32_t)s.p[3];
	return true;
}

bool lk_slice_is_zero(struct lk_slice a)
{
	uint8_t any = 0;

	for (size_t i = 0; i < a.n; i++)
		any |= a.p[i];
	return any == 0;
}

bool lk_slice_u32(struct lk_slice a, uint32_t max, uint32_t *out)
{
	uint64_t v = 0;

	if (a.n < 1 || a.n > 10)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		if (a.p[i] < '0' || a.p[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(a.p[i] - '0');
	}
	if (v > max)
		return false;
	*out = (uint32_t)v;
	return true;
}

enum lk_code lk_slice_cstr(struct lk_slice a, char *out, size_t cap, struct lk_err *e)
{
	size_t at;

	if (a.n >= cap)
		return lk_fail(
		    e, LK_ELIMIT, "text of %zu bytes: at most %zu", a.n, cap ? cap - 1 : 0);
	if (lk_slice_find(a, 0, &at))
		return lk_fail(e, LK_EPROTO, "text holds a zero byte");
	if (a.n)
		memcpy(out, a.p, a.n);
	out[a.n] = '\0';
	return LK_OK;
}
