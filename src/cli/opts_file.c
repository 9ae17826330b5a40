/* opts_file.c - read /etc/latchkey/NAME.conf: `name = value` lines and [alternative], #
 * starts a comment line. */
#include <string.h>

#include "app.h"
#include "opts_table.h"
#include "lk/fmt.h"
#include "lk/hosts.h"
#include "lk/io.h"

static struct lk_slice trim(struct lk_slice s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = lk_slice_sub(s, 1, s.n);
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r'))
		s = lk_slice_sub(s, 0, s.n - 1);
	return s;
}

/* false: not of the form name = value */
static bool split(struct lk_slice text, struct lk_slice *name, struct lk_slice *value)
{
	size_t eq = 0;

	if (!lk_slice_find(text, '=', &eq))
		return false;
	*name = trim(lk_slice_sub(text, 0, eq));
	*value = trim(lk_slice_sub(text, eq + 1, text.n));
	return true;
}

static bool is_remark(struct lk_slice trimmed)
{
	return trimmed.n == 0 || trimmed.p[0] == '#';
}

bool lk_opt_is_section(struct lk_slice line)
{
	return lk_slice_starts(trim(line), LK_S("["));
}

const struct lk_opt *lk_opt_of_line(struct lk_slice line, size_t *index)
{
	struct lk_slice text = trim(line), name, value;

	if (is_remark(text) || lk_opt_is_section(line) || !split(text, &name, &value))
		return NULL;
	return lk_opt_find(name, index);
}

/* Where the reader of a file is. */
struct reader {
	struct lk_args *a; /* gets what the wanted binding has */
	size_t want, section;
	unsigned line, header; /* the line at hand; that of the section's name */
	uint64_t seen;         /* settings of this section */
	unsigned url_line[2];  /* by enum lk_host_of: where the file says it, or 0 */
};

/* What does not count is checked all the same, and ends here. */
static struct lk_args aside;

static bool given(const struct lk_args *a, const char *name)
{
	size_t index = 0;

	LK_BUG_ON(lk_opt_find(lk_slice_str(name), &index) == NULL);
	return (a->given >> index & 1) != 0;
}

static bool counts(const struct reader *r)
{
	return r->section == 0 || r->section == r->want;
}

/* At the end of a section, since allow-hosts may stand below key. */
LK_CHECK static enum lk_code check_hosts(struct reader *r, struct lk_err *e)
{
	const unsigned here = r->line;
	const struct lk_conf *c = &(counts(r) ? r->a : &aside)->conf;

	memcpy(aside.conf.allow_hosts, r->a->conf.allow_hosts, sizeof(aside.conf.allow_hosts));
	for (unsigned of = LK_HOST_OF_KEY; of <= LK_HOST_OF_ATTEST; of++) {
		if (r->url_line[of] == 0)
			continue;
		r->line = r->url_line[of];
		if (lk_host_check_url(c, (enum lk_host_of)of,
			of == LK_HOST_OF_KEY ? c->key : c->attest, e) != LK_OK)
			return e->code;
	}
	r->line = here;
	return LK_OK;
}

/* With more than one binding, each says what it is. */
LK_CHECK static enum lk_code complete(struct reader *r, struct lk_err *e)
{
	static const char *const must[] = {"key", "attest"};
	size_t index = 0;

	for (size_t i = 0; i < sizeof(must) / sizeof(must[0]); i++) {
		LK_BUG_ON(lk_opt_find(lk_slice_str(must[i]), &index) == NULL);
		if ((r->seen >> index & 1) != 0)
			continue;
		if (r->section == 0)
			return lk_fail(
			    e, LK_ECONF, "%s is not set before the first [alternative]", must[i]);
		r->line = r->header;
		return lk_fail(e, LK_ECONF, "this [alternative] sets no %s", must[i]);
	}
	return check_hosts(r, e);
}

LK_CHECK static enum lk_code section(struct reader *r, struct lk_slice name, struct lk_err *e)
{
	if (!lk_slice_eq_str(name, "[alternative]"))
		return lk_fail(e, LK_ECONF, "unknown section: [alternative] is the only one");
	if (complete(r, e) != LK_OK)
		return e->code;
	if (++r->section == LK_BINDINGS_MAX)
		return lk_fail(e, LK_ECONF, "more than %d bindings", LK_BINDINGS_MAX);
	r->header = r->line;
	r->seen = 0;
	for (size_t i = 0; i < lk_opt_count && r->section == r->want; i++) {
		const struct lk_opt *o = &lk_opt_table[i];

		/* The built-in value of all of these is zero. */
		if ((o->flags & LK_OPT_OWN) != 0 && (r->a->given >> i & 1) == 0)
			memset((uint8_t *)r->a + o->offset, 0, o->size);
	}
	return LK_OK;
}

LK_CHECK static enum lk_code line(struct reader *r, struct lk_slice text, struct lk_err *e)
{
	struct lk_slice name, value;
	const struct lk_opt *o;
	size_t index = 0;

	text = trim(text);
	if (is_remark(text))
		return LK_OK;
	if (lk_opt_is_section(text))
		return section(r, text, e);
	if (!split(text, &name, &value))
		return lk_fail(e, LK_ECONF, "not of the form name = value");
	o = lk_opt_find(name, &index);
	if (o == NULL || (o->flags & LK_OPT_FILE) == 0)
		return lk_fail(e, LK_ECONF, "unknown setting");
	if (r->section > 0 && (o->flags & LK_OPT_ALT) == 0)
		return lk_fail(e, LK_ECONF,
		    "%s is the volume's: it belongs before the first [alternative]", o->name);
	if ((r->seen >> index & 1) != 0)
		return lk_fail(e, LK_ECONF, "%s is set twice", o->name);
	r->seen |= (uint64_t)1 << index;
	const bool ours = (r->a->given >> index & 1) == 0;

	if (lk_opt_set(o, value, ours && counts(r) ? r->a : &aside, e) != LK_OK)
		return lk_err_prefix(e, "%s", o->name);
	if (ours && (o->kind == LK_OPT_KEY || o->kind == LK_OPT_HOST))
		r->url_line[o->kind == LK_OPT_KEY ? LK_HOST_OF_KEY : LK_HOST_OF_ATTEST] = r->line;
	return LK_OK;
}

LK_CHECK static enum lk_code parse(
    struct lk_slice text, const char *path, size_t binding, struct lk_args *a, struct lk_err *e)
{
	struct reader r = {.a = a, .want = binding, .line = 1};
	enum lk_code rc = LK_OK;

	for (; text.n > 0; r.line++) {
		size_t end = text.n;
		bool more = lk_slice_find(text, '\n', &end);

		rc = line(&r, lk_slice_sub(text, 0, end), e);
		if (rc != LK_OK)
			break;
		text = lk_slice_sub(text, end + (more ? 1 : 0), text.n);
	}
	if (rc == LK_OK)
		rc = r.section > 0 ? complete(&r, e) : check_hosts(&r, e);
	if (rc != LK_OK) {
		(void)lk_err_prefix(e, "%s, line %u", path, r.line);
		return e->hint[0] != '\0'
			   ? e->code
			   : lk_hint(e, "correct the file; --help lists the settings");
	}
	a->bindings = given(a, "key") || given(a, "attest") ? 1 : r.section + 1;
	if (binding >= a->bindings)
		return lk_fail(e, LK_ECONF, "%s: binding %zu is asked for, the file has %zu", path,
		    binding + 1, a->bindings);
	return LK_OK;
}

/* What a release policy may test is the file's digest as sha256sum prints it: it stands for the
 * settings only where nothing on the command line overrides the file. */
LK_CHECK static enum lk_code digest(struct lk_slice text, struct lk_args *a, struct lk_err *e)
{
	a->conf.digest[0] = '\0';
	for (size_t i = 0; i < lk_opt_count; i++)
		if ((lk_opt_table[i].flags & LK_OPT_FILE) != 0 && (a->given >> i & 1) != 0)
			return LK_OK;
	return lk_sha256_hex(text, a->conf.digest, e);
}

enum lk_code lk_opts_text_binding(
    struct lk_slice text, const char *path, size_t binding, struct lk_args *a, struct lk_err *e)
{
	if (parse(text, path, binding, a, e) != LK_OK)
		return e->code;
	return digest(text, a, e);
}

enum lk_code lk_opts_text(
    struct lk_slice text, const char *path, struct lk_args *a, struct lk_err *e)
{
	return lk_opts_text_binding(text, path, 0, a, e);
}

enum lk_code lk_opts_binding(const char *name, size_t binding, struct lk_args *a, struct lk_err *e)
{
	static uint8_t store[LK_CONF_FILE_MAX];
	struct lk_buf text = LK_BUF(store);
	size_t index = 0;
	const struct lk_opt *o = lk_opt_find(LK_S("name"), &index);
	char path[400];

	LK_BUG_ON(o == NULL);
	if (lk_opt_set(o, lk_slice_str(name), a, e) != LK_OK)
		return lk_err_prefix(e, "volume name");
	lk_fmt(path, sizeof(path), "%s/%s.conf", a->flags.conf_dir, a->conf.name);
	if (lk_file_read(path, &text, e) != LK_OK) {
		if (e->code == LK_EABSENT) {
			(void)lk_fail(e, LK_ECONF, "volume %s: there is no %s", a->conf.name, path);
			(void)lk_hint(e,
			    "bind the volume with latchkeyctl enroll, and rebuild the initramfs");
		}
		e->code = LK_ECONF;
		return e->code;
	}
	return lk_opts_text_binding(lk_slice_buf(&text), path, binding, a, e);
}

enum lk_code lk_opts_volume(const char *name, struct lk_args *a, struct lk_err *e)
{
	return lk_opts_binding(name, 0, a, e);
}
