/* conf_text.c - the text of NAME.conf with other bindings than before. */
#include "conf_file.h"

#include <string.h>

#include "lk/fmt.h"
#include "lk/url.h"
#include "opts_table.h"

#define HEADER "[alternative]\n"

/* The old text, taken apart; part 0 is what comes before the first [alternative]. */
struct old {
	size_t n;
	struct lk_slice part[LK_BINDINGS_MAX];
	struct lk_conf conf[LK_BINDINGS_MAX];
};

static const struct lk_conf *normal(void)
{
	static struct lk_args built_in;

	lk_opts_defaults(&built_in);
	return &built_in.conf;
}

/* With its end, so that the lines are the text. */
static bool next_line(struct lk_slice *text, struct lk_slice *line)
{
	size_t end = 0;

	if (text->n == 0)
		return false;
	return lk_slice_take(text, lk_slice_find(*text, '\n', &end) ? end + 1 : text->n, line);
}

static bool is_blank(struct lk_slice line)
{
	for (size_t i = 0; i < line.n; i++)
		if (strchr(" \t\r\n", line.p[i]) == NULL || line.p[i] == '\0')
			return false;
	return true;
}

static bool is_remark(struct lk_slice line)
{
	size_t at = 0;

	return lk_slice_find(line, '#', &at) && is_blank(lk_slice_sub(line, 0, at));
}

/* A block of remarks right above a header belongs to it, when a blank line is above the block. */
static void split(struct lk_slice text, struct old *out)
{
	struct lk_slice rest = text, line;
	size_t from = 0, block = 0;
	bool blank = false, in_block = false;

	out->n = 0;
	while (next_line(&rest, &line)) {
		const size_t at = text.n - rest.n - line.n;

		if (is_remark(line)) {
			block = in_block ? block : at;
			in_block = in_block || blank;
		} else if (lk_opt_is_section(line)) {
			const size_t to = in_block ? block : at;

			LK_BUG_ON(out->n + 1 >= LK_BINDINGS_MAX);
			out->part[out->n++] = lk_slice_sub(text, from, to - from);
			from = to;
			in_block = false;
		} else {
			in_block = false;
		}
		blank = is_blank(line);
	}
	out->part[out->n++] = lk_slice_sub(text, from, text.n);
}

LK_CHECK static enum lk_code parse(
    struct lk_slice text, const char *path, struct lk_conf *out, size_t *n, struct lk_err *e)
{
	static struct lk_args args;

	*n = 1;
	for (size_t i = 0; i < *n; i++) {
		lk_opts_defaults(&args);
		if (lk_opts_text_binding(text, path, i, &args, e) != LK_OK)
			return e->code;
		out[i] = args.conf;
		*n = args.bindings;
	}
	return LK_OK;
}

static bool same_binding(const struct lk_conf *a, const struct lk_conf *b)
{
	for (size_t i = 0; i < lk_opt_count; i++)
		if ((lk_opt_table[i].flags & LK_OPT_ALT) != 0 &&
		    !lk_opt_same(&lk_opt_table[i], a, b))
			return false;
	return true;
}

/* Another version of the same key, attested by the same authority. */
static bool same_key(const struct lk_conf *a, const struct lk_conf *b)
{
	static struct lk_key_url x, y;
	struct lk_err ignored = {0};

	return lk_key_url_parse(lk_slice_str(a->key), &x, &ignored) == LK_OK &&
	       lk_key_url_parse(lk_slice_str(b->key), &y, &ignored) == LK_OK &&
	       strcmp(x.url.host, y.url.host) == 0 && x.url.port == y.url.port &&
	       strcmp(x.name, y.name) == 0 && strcmp(a->attest, b->attest) == 0;
}

/* For each alternative, the section that is to say it: its own, or that of its key's other version;
 * 0: a new one. */
static void match(const struct lk_conf_file *f, const struct old *old, size_t out[LK_BINDINGS_MAX])
{
	bool (*const same[])(const struct lk_conf *, const struct lk_conf *) = {
	    same_binding, same_key};
	bool taken[LK_BINDINGS_MAX] = {false};

	memset(out, 0, LK_BINDINGS_MAX * sizeof(out[0]));
	for (size_t how = 0; how < 2; how++)
		for (size_t i = 1; i < f->n; i++)
			for (size_t j = 1; j < old->n && out[i] == 0; j++)
				if (!taken[j] && same[how](&f->binding[i], &old->conf[j])) {
					out[i] = j;
					taken[j] = true;
				}
}

/* One section: `was` is what its lines meant, `c` what they shall mean, `first` what an alternative
 * inherits (NULL: it is the top). */
struct section {
	struct lk_slice lines;
	const struct lk_conf *was, *c, *first;
};

/* Does it hold without a line? */
static bool goes_without(const struct section *s, const struct lk_opt *o)
{
	const bool inherits = s->first != NULL && (o->flags & LK_OPT_OWN) == 0;

	return lk_opt_same(o, s->c, inherits ? s->first : normal());
}

/* Or without it no binding would be what it is. */
static bool of_binding(const struct section *s, const struct lk_opt *o)
{
	return (o->flags & LK_OPT_ALT) != 0 ||
	       (s->first == NULL && (o->kind == LK_OPT_UUID || o->kind == LK_OPT_HOSTS));
}

/* What no line says yet. */
static void put_missing(const struct section *s, uint64_t said, struct lk_buf *out)
{
	for (size_t i = 0; i < lk_opt_count; i++)
		if ((said >> i & 1) == 0 && of_binding(s, &lk_opt_table[i]) &&
		    !goes_without(s, &lk_opt_table[i]))
			lk_opt_put(&lk_opt_table[i], s->c, out);
}

static void put_line(const struct section *s, struct lk_slice line, struct lk_buf *out)
{
	size_t index = 0;
	const struct lk_opt *o = lk_opt_of_line(line, &index);

	if (o == NULL || !of_binding(s, o) || lk_opt_same(o, s->was, s->c)) {
		lk_buf_slice(out, line);
		if (!lk_slice_ends(line, LK_S("\n")))
			lk_buf_byte(out, '\n');
	} else if (!goes_without(s, o)) {
		lk_opt_put(o, s->c, out);
	}
}

static void put_section(const struct section *s, struct lk_buf *out)
{
	struct lk_slice rest = s->lines, line;
	size_t last = SIZE_MAX, index = 0, number = 0;
	uint64_t said = 0;

	/* New lines come after the last one that is about the binding. */
	for (; next_line(&rest, &line); number++) {
		const struct lk_opt *o = lk_opt_of_line(line, &index);

		if (o != NULL && of_binding(s, o))
			said |= (uint64_t)1 << index;
		if (lk_opt_is_section(line) || (o != NULL && of_binding(s, o)))
			last = number;
	}
	rest = s->lines;
	for (number = 0; next_line(&rest, &line); number++) {
		put_line(s, line, out);
		if (number == last)
			put_missing(s, said, out);
	}
	if (last == SIZE_MAX)
		put_missing(s, said, out);
}

/* Blank lines between sections are one. */
static void end_section(struct lk_buf *out)
{
	while (lk_slice_ends(lk_slice_buf(out), LK_S("\n\n")))
		out->n--;
}

static void put_alternative(const struct lk_conf_file *f, size_t i, struct lk_slice lines,
    const struct lk_conf *was, struct lk_buf *out)
{
	const struct section s = {
	    .lines = lines, .was = was, .c = &f->binding[i], .first = &f->binding[0]};

	lk_buf_byte(out, '\n');
	put_section(&s, out);
	end_section(out);
}

static void put_all(const struct lk_conf_file *f, const struct lk_conf *first,
    const struct old *old, const char *note, struct lk_buf *out)
{
	const struct section top = {
	    .lines = old->part[0], .was = &old->conf[0], .c = first, .first = NULL};
	size_t from[LK_BINDINGS_MAX];

	match(f, old, from);
	if (f->text_n == 0) {
		lk_buf_fmt(out, "# %s\n", note);
		lk_opts_write(first, out);
	} else {
		put_section(&top, out);
	}
	end_section(out);
	for (size_t i = 1; i < f->n; i++)
		put_alternative(f, i, from[i] == 0 ? LK_S(HEADER) : old->part[from[i]],
		    from[i] == 0 ? normal() : &old->conf[from[i]], out);
}

/* Whatever has been put together: it counts only if boot reads just these bindings from it. */
LK_CHECK static enum lk_code check(
    const struct lk_conf_file *f, struct lk_slice text, struct lk_err *e)
{
	static struct lk_conf now[LK_BINDINGS_MAX];
	size_t n = 0;

	if (parse(text, "the new configuration", now, &n, e) != LK_OK)
		return e->code;
	for (size_t i = 0; i < n && n == f->n; i++)
		if (!same_binding(&now[i], &f->binding[i]) ||
		    strcmp(now[i].uuid, f->binding[i].uuid) != 0)
			return lk_fail(
			    e, LK_EBUG, "the new configuration says another binding %zu", i + 1);
	if (n != f->n)
		return lk_fail(
		    e, LK_EBUG, "the new configuration has %zu bindings, not %zu", n, f->n);
	return LK_OK;
}

static bool is_in(struct lk_slice list, struct lk_slice one)
{
	while (list.n > 0) {
		size_t end = list.n;

		(void)lk_slice_find(list, ',', &end);
		if (lk_slice_eq(lk_slice_sub(list, 0, end), one))
			return true;
		list = lk_slice_sub(list, end + 1, list.n);
	}
	return false;
}

/* What is on the list stays there, and what a binding needs comes to it. */
LK_CHECK static enum lk_code join_hosts(
    const struct lk_conf_file *f, const struct lk_conf *old, struct lk_conf *out, struct lk_err *e)
{
	struct lk_buf list = {
	    .p = (uint8_t *)out->allow_hosts, .cap = sizeof(out->allow_hosts) - 1};

	*out = f->binding[0];
	lk_buf_str(&list, old->allow_hosts);
	for (size_t i = 0; i < f->n; i++) {
		struct lk_slice rest = lk_slice_str(f->binding[i].allow_hosts);

		while (rest.n > 0) {
			size_t end = rest.n;

			(void)lk_slice_find(rest, ',', &end);
			if (!is_in(lk_slice_buf(&list), lk_slice_sub(rest, 0, end))) {
				lk_buf_str(&list, list.n > 0 ? "," : "");
				lk_buf_slice(&list, lk_slice_sub(rest, 0, end));
			}
			rest = lk_slice_sub(rest, end + 1, rest.n);
		}
	}
	if (list.bad)
		return lk_fail(e, LK_ELIMIT, "%s: allow-hosts would be longer than %zu characters",
		    f->path, list.cap);
	out->allow_hosts[list.n] = '\0';
	return LK_OK;
}

static bool unchanged(
    const struct lk_conf_file *f, const struct lk_conf *first, const struct old *old)
{
	for (size_t i = 0; i < f->n; i++)
		if (i >= old->n || !same_binding(&f->binding[i], &old->conf[i]))
			return false;
	return f->n == old->n && strcmp(first->uuid, old->conf[0].uuid) == 0 &&
	       strcmp(first->allow_hosts, old->conf[0].allow_hosts) == 0;
}

enum lk_code lk_conf_file_text(
    const struct lk_conf_file *f, const char *note, struct lk_buf *out, struct lk_err *e)
{
	static struct old old;
	static struct lk_conf first;
	const struct lk_slice text = lk_slice_of(f->text, f->text_n);
	const size_t at = out->n;
	size_t n = 0;

	LK_BUG_ON(f->n > LK_BINDINGS_MAX);
	if (f->n == 0)
		return LK_OK;
	if (parse(text, f->path, old.conf, &n, e) != LK_OK)
		return e->code;
	split(text, &old);
	LK_BUG_ON(old.n != n);
	if (old.conf[0].uuid[0] != '\0' && strcmp(old.conf[0].uuid, f->binding[0].uuid) != 0)
		return lk_fail(e, LK_ECONF, "%s is for the volume %s, not for %s", f->path,
		    old.conf[0].uuid, f->binding[0].uuid);
	if (join_hosts(f, &old.conf[0], &first, e) != LK_OK)
		return e->code;
	if (f->text_n > 0 && unchanged(f, &first, &old))
		lk_buf_slice(out, text);
	else
		put_all(f, &first, &old, note, out);
	if (out->bad || out->n - at > LK_CONF_FILE_MAX) {
		(void)lk_fail(
		    e, LK_ELIMIT, "%s would be longer than %d bytes", f->path, LK_CONF_FILE_MAX);
		return lk_hint(e, "shorten its remarks, or remove a binding");
	}
	return check(f, lk_slice_of(out->p + at, out->n - at), e);
}
