/* image_found.c - the list of findings, and text line by line; see image_check.h. */
#include "image_check.h"

#include <stdarg.h>
#include <string.h>

#include "lk/fmt.h"

/* Names come from the image. */
static void make_printable(char *s)
{
	for (; *s != '\0'; s++)
		if (*s < ' ' || *s > '~')
			*s = '?';
}

void lk_found(
    struct lk_findings *fs, enum lk_finding_kind kind, const char *item, const char *fmt, ...)
{
	struct lk_finding *f;
	va_list ap;

	if (kind == LK_FOUND_FAIL)
		fs->failed++;
	/* The last place says that there was more. */
	if (fs->n >= LK_FINDINGS_MAX - 1) {
		fs->n = LK_FINDINGS_MAX;
		fs->f[fs->n - 1] =
		    (struct lk_finding){LK_FOUND_NOTE, "more", "than can be listed", ""};
		return;
	}
	f = &fs->f[fs->n++];
	f->kind = kind;
	f->item = item;
	f->hint[0] = '\0';
	va_start(ap, fmt);
	(void)lk_vfmt(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	make_printable(f->text);
}

void lk_found_hint(struct lk_findings *fs, const char *fmt, ...)
{
	va_list ap;

	if (fs->n == 0 || fs->n >= LK_FINDINGS_MAX)
		return;
	va_start(ap, fmt);
	(void)lk_vfmt(fs->f[fs->n - 1].hint, sizeof(fs->f[0].hint), fmt, ap);
	va_end(ap);
	make_printable(fs->f[fs->n - 1].hint);
}

bool lk_next_line(struct lk_slice *text, struct lk_slice *line)
{
	size_t end = text->n;
	bool more = lk_slice_find(*text, '\n', &end);

	if (text->n == 0)
		return false;
	*line = lk_slice_sub(*text, 0, end);
	*text = lk_slice_sub(*text, end + (more ? 1 : 0), text->n);
	return true;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool lk_next_word(struct lk_slice *line, struct lk_slice *word)
{
	size_t n = 0;

	while (line->n > 0 && is_blank(line->p[0]))
		*line = lk_slice_sub(*line, 1, line->n);
	while (n < line->n && !is_blank(line->p[n]))
		n++;
	*word = lk_slice_sub(*line, 0, n);
	*line = lk_slice_sub(*line, n, line->n);
	return n > 0;
}
