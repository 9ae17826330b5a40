/* image_cpio.c - archives of format newc (070701, 070702), as a stream; see image.h.
 *
 * The format: cpio(5), and buffer-format of the kernel's documentation. Stricter than the kernel:
 * an archive ends with its trailer, a name has no NUL inside, and only files and links have data.
 */
#include "image.h"

#include <string.h>
#include <sys/stat.h>

#define HEAD    110
#define FIELD   8
#define TRAILER LK_S("TRAILER!!!")

enum field {
	F_INO,
	F_MODE,
	F_UID,
	F_GID,
	F_NLINK,
	F_MTIME,
	F_SIZE,
	F_MAJOR,
	F_MINOR,
	F_RMAJOR,
	F_RMINOR,
	F_NAME,
	F_SUM,
	FIELDS
};

void lk_cpio_start(struct lk_cpio *c, uint64_t at, const struct lk_cpio_sink *sink)
{
	*c = (struct lk_cpio){.sink = sink, .state = LK_CPIO_BETWEEN, .at = at};
}

LK_CHECK static enum lk_code bad(const struct lk_cpio *c, const char *what, struct lk_err *e)
{
	return lk_fail(
	    e, LK_EPROTO, "cpio archive: %s, at byte %llu", what, (unsigned long long)c->at);
}

static bool number(const uint8_t *p, uint32_t *out)
{
	uint32_t n = 0;

	for (size_t i = 0; i < FIELD; i++) {
		uint8_t d = p[i];

		if (d >= '0' && d <= '9')
			d = (uint8_t)(d - '0');
		else if (d >= 'a' && d <= 'f')
			d = (uint8_t)(d - 'a' + 10);
		else if (d >= 'A' && d <= 'F')
			d = (uint8_t)(d - 'A' + 10);
		else
			return false;
		n = n << 4 | d;
	}
	*out = n;
	return true;
}

LK_CHECK static enum lk_code take_head(struct lk_cpio *c, struct lk_err *e)
{
	uint32_t v[FIELDS];

	if (memcmp(c->head, "070701", 6) != 0 && memcmp(c->head, "070702", 6) != 0)
		return bad(c, "no header where one belongs", e);
	for (size_t i = 0; i < FIELDS; i++)
		if (!number(c->head + 6 + i * FIELD, &v[i]))
			return bad(c, "a header that is not hexadecimal", e);
	/* with its NUL */
	if (v[F_NAME] < 2 || v[F_NAME] > LK_CPIO_NAME_MAX + 1)
		return bad(c, "an empty or too long name", e);
	c->entry = (struct lk_cpio_entry){.mode = v[F_MODE],
	    .ino = v[F_INO],
	    .nlink = v[F_NLINK],
	    .major = v[F_MAJOR],
	    .minor = v[F_MINOR],
	    .size = v[F_SIZE],
	    .name = lk_slice_of(c->name, v[F_NAME] - 1)};
	c->state = LK_CPIO_NAME;
	c->left = ((HEAD + v[F_NAME] + 3) & ~3u) - HEAD;
	return LK_OK;
}

/* Behind an entry: its padding, then the next header. */
static void next(struct lk_cpio *c)
{
	c->left = (uint32_t)(-c->at & 3);
	c->state = LK_CPIO_SKIP;
	if (c->left > 0)
		return;
	c->state = LK_CPIO_HEAD;
	c->left = HEAD;
}

LK_CHECK static enum lk_code check_entry(const struct lk_cpio *c, struct lk_err *e)
{
	const struct lk_cpio_entry *n = &c->entry;
	bool file = S_ISREG(n->mode), link = S_ISLNK(n->mode);

	if (!file && !link && !S_ISDIR(n->mode) && !S_ISCHR(n->mode) && !S_ISBLK(n->mode) &&
	    !S_ISFIFO(n->mode) && !S_ISSOCK(n->mode))
		return bad(c, "an entry of no known type", e);
	if (link && (n->size == 0 || n->size > LK_CPIO_NAME_MAX))
		return bad(c, "an empty or too long link", e);
	if (!file && !link && n->size > 0)
		return bad(c, "data of something that is neither file nor link", e);
	return LK_OK;
}

/* The name is there, and the padding after it. */
LK_CHECK static enum lk_code take_name(struct lk_cpio *c, struct lk_err *e)
{
	size_t nul = 0;

	if (!lk_slice_find(lk_slice_of(c->name, c->entry.name.n + 1), 0, &nul) ||
	    nul != c->entry.name.n)
		return bad(c, "a name that does not end where it should", e);
	if (lk_slice_eq(c->entry.name, TRAILER) && c->entry.size == 0) {
		c->state = LK_CPIO_BETWEEN;
		c->archives++;
		c->sink->trailer(c->sink->ctx);
		return LK_OK;
	}
	if (check_entry(c, e) != LK_OK || c->sink->entry(c->sink->ctx, &c->entry, e) != LK_OK)
		return e->code;
	if (c->entry.size > 0) {
		c->state = LK_CPIO_DATA;
		c->left = c->entry.size;
		return LK_OK;
	}
	next(c);
	return c->sink->done(c->sink->ctx, e);
}

/* Collect up to `want` bytes of a header or a name; true: complete. */
static bool collect(struct lk_cpio *c, void *to, size_t want, struct lk_slice *in)
{
	size_t n = in->n < c->left ? in->n : c->left;

	memcpy((uint8_t *)to + want - c->left, in->p, n);
	*in = lk_slice_sub(*in, n, in->n);
	c->at += n;
	c->left -= (uint32_t)n;
	return c->left == 0;
}

LK_CHECK static enum lk_code take_data(struct lk_cpio *c, struct lk_slice *in, struct lk_err *e)
{
	struct lk_slice piece = lk_slice_sub(*in, 0, c->left);

	*in = lk_slice_sub(*in, piece.n, in->n);
	c->at += piece.n;
	c->left -= (uint32_t)piece.n;
	if (c->sink->data(c->sink->ctx, piece, e) != LK_OK)
		return e->code;
	if (c->left > 0)
		return LK_OK;
	next(c);
	return c->sink->done(c->sink->ctx, e);
}

/* Zeros between archives; true: an archive begins, false: something else does. */
static bool begins(struct lk_cpio *c, struct lk_slice *in)
{
	while (in->n > 0 && in->p[0] == 0) {
		*in = lk_slice_sub(*in, 1, in->n);
		c->at++;
	}
	if (in->n == 0 || in->p[0] != '0' || (c->at & 3) != 0)
		return false;
	c->state = LK_CPIO_HEAD;
	c->left = HEAD;
	return true;
}

LK_CHECK static enum lk_code step(struct lk_cpio *c, struct lk_slice *in, struct lk_err *e)
{
	struct lk_slice gap;

	switch (c->state) {
	case LK_CPIO_HEAD:
		return collect(c, c->head, HEAD, in) ? take_head(c, e) : LK_OK;
	case LK_CPIO_NAME:
		/* The header said how long: name, NUL, padding. */
		return collect(c, c->name, ((HEAD + c->entry.name.n + 4) & ~(size_t)3) - HEAD, in)
			   ? take_name(c, e)
			   : LK_OK;
	case LK_CPIO_DATA:
		return take_data(c, in, e);
	case LK_CPIO_SKIP:
		gap = lk_slice_sub(*in, 0, c->left);
		*in = lk_slice_sub(*in, gap.n, in->n);
		c->at += gap.n;
		c->left -= (uint32_t)gap.n;
		if (c->left == 0)
			next(c);
		return LK_OK;
	case LK_CPIO_BETWEEN:
		break;
	}
	return lk_fail(e, LK_EBUG, "cpio archive: no such state");
}

enum lk_code lk_cpio_feed(struct lk_cpio *c, struct lk_slice *in, struct lk_err *e)
{
	while (in->n > 0) {
		if (c->state == LK_CPIO_BETWEEN && !begins(c, in))
			return LK_OK;
		if (step(c, in, e) != LK_OK)
			return e->code;
	}
	return LK_OK;
}

enum lk_code lk_cpio_end(const struct lk_cpio *c, struct lk_err *e)
{
	return c->state == LK_CPIO_BETWEEN ? LK_OK : bad(c, "it is cut off", e);
}
