/* The bounded writer: every append goes through lk_buf_room, the one place that checks. */
#include "lk/slice.h"

#include <stdarg.h>
#include <string.h>

#include "lk/fmt.h"

uint8_t *lk_buf_room(struct lk_buf *b, size_t n)
{
	uint8_t *at;

	if (b->bad || b->n > b->cap || n > b->cap - b->n) {
		b->bad = true;
		return NULL;
	}
	at = b->p + b->n;
	b->n += n;
	return at;
}

void lk_buf_put(struct lk_buf *b, const void *p, size_t n)
{
	uint8_t *at = lk_buf_room(b, n);

	/* memmove: a slice of the same storage may be appended. */
	if (at && n)
		memmove(at, p, n);
}

void lk_buf_slice(struct lk_buf *b, struct lk_slice s)
{
	lk_buf_put(b, s.p, s.n);
}

void lk_buf_str(struct lk_buf *b, const char *s)
{
	lk_buf_put(b, s, strlen(s));
}

void lk_buf_byte(struct lk_buf *b, uint8_t v)
{
	lk_buf_put(b, &v, 1);
}

static void put_le(struct lk_buf *b, uint64_t v, size_t n)
{
	uint8_t *at = lk_buf_room(b, n);

	for (size_t i = 0; at && i < n; i++)
		at[i] = (uint8_t)(v >> (8 * i));
}

static void put_be(struct lk_buf *b, uint64_t v, size_t n)
{
	uint8_t *at = lk_buf_room(b, n);

	for (size_t i = 0; at && i < n; i++)
		at[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
}

void lk_buf_le32(struct lk_buf *b, uint32_t v)
{
	put_le(b, v, 4);
}

void lk_buf_le64(struct lk_buf *b, uint64_t v)
{
	put_le(b, v, 8);
}

void lk_buf_be16(struct lk_buf *b, uint16_t v)
{
	put_be(b, v, 2);
}

void lk_buf_be32(struct lk_buf *b, uint32_t v)
{
	put_be(b, v, 4);
}

void lk_buf_be64(struct lk_buf *b, uint64_t v)
{
	put_be(b, v, 8);
}

void lk_buf_u64(struct lk_buf *b, uint64_t v)
{
	uint8_t digits[20];
	size_t n = 0;

	do {
		digits[sizeof(digits) - ++n] = (uint8_t)('0' + v % 10);
		v /= 10;
	} while (v);
	lk_buf_put(b, digits + sizeof(digits) - n, n);
}

/* Formatted aside, because lk_vfmt wants room for a NUL that the buffer need not have. */
void lk_buf_fmt(struct lk_buf *b, const char *fmt, ...)
{
	char tmp[2048];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = lk_vfmt(tmp, sizeof(tmp), fmt, ap);
	va_end(ap);
	if (n >= sizeof(tmp))
		b->bad = true;
	else
		lk_buf_put(b, tmp, n);
}
