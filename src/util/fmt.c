/* The formatter: one pass over the text, one conversion at a time. */
#include "lk/fmt.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

struct sink {
	char *out;
	size_t cap, n; /* n counts on behind the end */
};

struct spec {
	bool left, zero, exact; /* exact: there is a precision */
	size_t width, precision;
	unsigned longs; /* 1: long or size_t, 2: long long */
};

static void put(struct sink *s, char c)
{
	if (s->n + 1 < s->cap)
		s->out[s->n] = c;
	s->n++;
}

static void fill(struct sink *s, char c, size_t n)
{
	while (n-- != 0)
		put(s, c);
}

/* prefix is a sign or nothing; zeros go between it and the text. */
static void field(struct sink *s, const struct spec *f, const char *prefix, const char *text,
    size_t n, size_t zeros)
{
	size_t all = strlen(prefix) + zeros + n;
	size_t blanks = f->width > all ? f->width - all : 0;
	if (!f->left)
		fill(s, ' ', blanks);
	while (*prefix != '\0')
		put(s, *prefix++);
	fill(s, '0', zeros);
	while (n-- != 0)
		put(s, *text++);
	if (f->left)
		fill(s, ' ', blanks);
}

static void number(struct sink *s, const struct spec *f, unsigned long long v, bool minus, char how)
{
	const char *digits = how == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	unsigned base = how == 'x' || how == 'X' ? 16 : 10;
	char text[20]; /* of 64 bits, in decimal */
	size_t at = sizeof(text), zeros = 0, least = f->exact ? f->precision : 1;
	for (; v != 0; v /= base)
		text[--at] = digits[v % base];
	size_t n = sizeof(text) - at;
	if (f->zero && !f->left && !f->exact && f->width > minus)
		least = f->width - minus;
	if (least > n)
		zeros = least - n;
	field(s, f, minus ? "-" : "", text + at, n, zeros);
}

/* Reads a count, or takes it from the arguments; a negative width means `-`. */
static const char *count(const char *p, size_t *n, int star, bool *negative)
{
	*n = 0;
	*negative = false;
	if (*p == '*') {
		*negative = star < 0;
		*n = star < 0 ? 0U - (size_t)star : (size_t)star;
		return p + 1;
	}
	for (; *p >= '0' && *p <= '9'; p++)
		*n = *n * 10 + (size_t)(*p - '0');
	return p;
}

/* What stands between the percent sign and the letter. */
#define STAR(p, ap) (*(p) == '*' ? va_arg(ap, int) : 0)
#define SIGNED(f, ap)                                                                              \
	((f).longs == 0      ? va_arg(ap, int)                                                     \
	    : (f).longs == 1 ? va_arg(ap, long)                                                    \
			     : va_arg(ap, long long))
#define UNSIGNED(f, ap)                                                                            \
	((f).longs == 0      ? va_arg(ap, unsigned)                                                \
	    : (f).longs == 1 ? va_arg(ap, unsigned long)                                           \
			     : va_arg(ap, unsigned long long))

static const char *flags(const char *p, struct spec *f)
{
	for (; *p == '-' || *p == '0'; p++)
		if (*p == '-')
			f->left = true;
		else
			f->zero = true;
	return p;
}

static const char *lengths(const char *p, struct spec *f)
{
	_Static_assert(sizeof(size_t) == sizeof(long), "z reads as l");
	for (; *p == 'l' || *p == 'z'; p++)
		f->longs++;
	return p;
}

static void text(struct sink *s, const struct spec *f, const char *v)
{
	field(s, f, "", v, f->exact ? strnlen(v, f->precision) : strlen(v), 0);
}

size_t lk_vfmt(char *out, size_t cap, const char *fmt, va_list ap)
{
	struct sink s = {out, cap, 0};
	for (const char *p = fmt; *p != '\0'; p++) {
		const char *from = p;
		struct spec f = {0};
		bool negative;
		if (*p != '%') {
			put(&s, *p);
			continue;
		}
		p = flags(p + 1, &f);
		p = count(p, &f.width, STAR(p, ap), &negative);
		f.left = f.left || negative;
		if (*p == '.') {
			p++;
			p = count(p, &f.precision, STAR(p, ap), &negative);
			f.exact = !negative;
		}
		p = lengths(p, &f);
		if (*p == 's') {
			text(&s, &f, va_arg(ap, const char *));
		} else if (*p == 'c') {
			char c = (char)va_arg(ap, int);
			field(&s, &f, "", &c, 1, 0);
		} else if (*p == 'd' || *p == 'i') {
			long long v = SIGNED(f, ap);
			number(&s, &f, v < 0 ? 0 - (unsigned long long)v : (unsigned long long)v,
			    v < 0, *p);
		} else if (*p == 'u' || *p == 'x' || *p == 'X') {
			number(&s, &f, UNSIGNED(f, ap), false, *p);
		} else if (*p == '%') {
			put(&s, '%');
		} else {
			p = from;
			put(&s, *p);
		}
	}
	if (cap != 0)
		out[s.n < cap ? s.n : cap - 1] = '\0';
	return s.n;
}

size_t lk_fmt(char *out, size_t cap, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	size_t n = lk_vfmt(out, cap, fmt, ap);
	va_end(ap);
	return n;
}

void lk_print(int fd, const char *fmt, ...)
{
	char line[2048];
	va_list ap;
	va_start(ap, fmt);
	size_t n = lk_vfmt(line, sizeof(line), fmt, ap), at = 0;
	va_end(ap);
	if (n >= sizeof(line))
		n = sizeof(line) - 1;
	while (at < n) {
		ssize_t k = write(fd, line + at, n - at);
		if (k < 0 && errno != EINTR)
			return;
		if (k > 0)
			at += (size_t)k;
	}
}
