/* crypttab.c - the line of a volume in crypttab(5): made, put in, taken back; see parts.h. */
#include "crypttab.h"

#include <unistd.h>

#include "image_check.h"
#include "lk/fmt.h"
#include "lk/io.h"
#include "parts.h"

#define OWNER_LIST "/var/lib/dpkg/info/initramfs-tools.list"

static bool runs(const char *root, const char *program)
{
	char path[512];

	return lk_fmt(path, sizeof(path), "%s%s", root, program) < sizeof(path) &&
	       access(path, X_OK) == 0;
}

/* Is update-initramfs that of initramfs-tools? Newer dracut packages have one of this name, too,
 * and mkinitramfs may be left over beside it. The package's list names it while it is installed. */
static bool tools_own_it(const char *root)
{
	static uint8_t store[65536];
	struct lk_buf text = LK_BUF(store);
	struct lk_slice list, line;
	struct lk_err e = {0};
	char path[512];

	lk_fmt(path, sizeof(path), "%s" OWNER_LIST, root);
	if (lk_file_read(path, &text, &e) != LK_OK)
		return false;
	list = lk_slice_buf(&text);
	while (lk_next_line(&list, &line))
		if (lk_slice_ends(line, LK_S("/sbin/update-initramfs")))
			return true;
	return false;
}

enum lk_boot_flavor lk_boot_flavor_of(const char *root)
{
	bool dracut = runs(root, "/usr/bin/dracut") || runs(root, "/usr/sbin/dracut");

	if (runs(root, "/usr/sbin/update-initramfs") && runs(root, "/usr/sbin/mkinitramfs") &&
	    (!dracut || tools_own_it(root)))
		return LK_BOOT_TOOLS;
	return dracut ? LK_BOOT_DRACUT : LK_BOOT_UNKNOWN;
}

enum lk_boot_flavor lk_boot_flavor(void)
{
	return lk_boot_flavor_of("");
}

static const char *key_field(enum lk_boot_flavor flavor)
{
	return flavor == LK_BOOT_TOOLS ? "latchkey" : LK_KEY_SOCKET;
}

/* What has to be among the options, by flavor. */
#define NEEDED 3
static const char *const needed[][NEEDED] = {
    [LK_BOOT_UNKNOWN] = {"luks", "x-initrd.attach", NULL},
    [LK_BOOT_DRACUT] = {"luks", "x-initrd.attach", NULL},
    [LK_BOOT_TOOLS] = {"luks", "initramfs", "keyscript=" LK_KEYSCRIPT},
};

void lk_crypttab_line(
    enum lk_boot_flavor flavor, const char *name, const char *uuid, struct lk_buf *out)
{
	lk_buf_fmt(out, "%s UUID=%s %s ", name, uuid, key_field(flavor));
	for (size_t i = 0; i < NEEDED && needed[flavor][i] != NULL; i++)
		lk_buf_fmt(out, "%s%s", i > 0 ? "," : "", needed[flavor][i]);
}

/* ---- the table with one line changed */

struct edit {
	enum lk_boot_flavor flavor;
	const char *name, *uuid;
	bool add;
	unsigned found, line; /* lines of this name, and the last of them */
};

static bool has(struct lk_slice options, const char *exactly)
{
	struct lk_slice one;

	while (lk_tab_next(&options, &one))
		if (lk_slice_eq_str(one, exactly))
			return true;
	return false;
}

/* Does the key come from latchkey, in either form? */
static bool is_ours(const struct lk_tab_entry *t)
{
	return lk_slice_eq_str(t->key, LK_KEY_SOCKET) || has(t->options, "keyscript=" LK_KEYSCRIPT);
}

/* Does this option go? Somebody else's key script counts in initramfs-tools alone. With headless
 * and without a binding nothing would be left that opens the volume. */
static bool goes(const struct edit *ed, struct lk_slice one)
{
	bool ours = lk_slice_eq_str(one, "keyscript=" LK_KEYSCRIPT);
	struct lk_slice value;

	if (!ed->add)
		return ours || lk_tab_is(one, "headless", &value);
	if (lk_tab_is(one, "keyscript", &value))
		return ours != (ed->flavor == LK_BOOT_TOOLS);
	return lk_tab_bad_option(one) != NULL;
}

static void put_options(const struct edit *ed, struct lk_slice options, struct lk_buf *out)
{
	struct lk_slice rest = options, one;
	size_t n = 0;

	if (options.n == 0 || lk_slice_eq_str(options, "-") || lk_slice_eq_str(options, "none"))
		rest = (struct lk_slice){NULL, 0};
	while (lk_tab_next(&rest, &one)) {
		if (goes(ed, one))
			continue;
		lk_buf_str(out, n++ > 0 ? "," : "");
		lk_buf_slice(out, one);
	}
	for (size_t i = 0; ed->add && i < NEEDED && needed[ed->flavor][i] != NULL; i++) {
		if (has(options, needed[ed->flavor][i]))
			continue;
		lk_buf_str(out, n++ > 0 ? "," : "");
		lk_buf_str(out, needed[ed->flavor][i]);
	}
	/* Debian's reader wants a fourth field. */
	if (n == 0)
		lk_buf_str(out, "luks");
}

static void rewrite(
    const struct edit *ed, struct lk_slice line, const struct lk_tab_entry *t, struct lk_buf *out)
{
	const uint8_t *at = line.p, *end = line.p + line.n;
	struct lk_slice before = t->key.n > 0 ? t->key : lk_slice_of(t->device.p + t->device.n, 0);

	lk_buf_put(out, at, (size_t)(before.p - at));
	lk_buf_str(out, t->key.n > 0 ? "" : " ");
	lk_buf_str(out, ed->add ? key_field(ed->flavor) : "none");
	at = before.p + before.n;
	if (t->options.n > 0) {
		lk_buf_put(out, at, (size_t)(t->options.p - at));
		at = t->options.p + t->options.n;
	} else if (ed->add) {
		lk_buf_byte(out, ' ');
	}
	if (t->options.n > 0 || ed->add)
		put_options(ed, t->options, out);
	lk_buf_put(out, at, (size_t)(end - at));
}

/* Is this line of our name one that can be changed? */
LK_CHECK static enum lk_code check(
    const struct edit *ed, const struct lk_tab_entry *t, struct lk_err *e)
{
	struct lk_slice said, rest = t->rest, one, word;
	const struct lk_tab_bad *bad;

	if (t->device.n == 0 || t->device.p[0] == '#')
		return lk_fail(e, LK_ECONF, "there is no device");
	if ((t->key.n > 0 && t->key.p[0] == '#') || (t->options.n > 0 && t->options.p[0] == '#') ||
	    (ed->flavor == LK_BOOT_TOOLS && lk_next_word(&rest, &word)))
		return lk_fail(e, LK_ECONF, "there is text behind the fields");
	if (lk_tab_device(t->device, ed->uuid, &said) == LK_TAB_OTHER)
		return lk_fail(e, LK_ECONF, "%s is there for UUID %.*s, not %s", ed->name,
		    (int)said.n, (const char *)said.p, ed->uuid);
	for (rest = t->options; lk_tab_next(&rest, &one);) {
		bad = lk_tab_bad_option(one);
		if (bad != NULL && bad->other)
			return lk_fail(e, LK_ECONF, "option %s: %s", bad->name, bad->why);
	}
	return LK_OK;
}

/* Everything that keeps the change from being made, before any of it is written. */
LK_CHECK static enum lk_code look(struct edit *ed, struct lk_slice table, struct lk_err *e)
{
	struct lk_slice line, said, other = {NULL, 0};
	struct lk_tab_entry t;

	for (unsigned n = 1; lk_next_line(&table, &line); n++) {
		if (!lk_tab_parse(line, &t))
			continue;
		if (!lk_slice_eq_str(t.name, ed->name)) {
			if (lk_tab_device(t.device, ed->uuid, &said) == LK_TAB_THIS)
				other = t.name;
			continue;
		}
		if (ed->found++ > 0 && ed->add)
			return lk_fail(
			    e, LK_ECONF, "lines %u and %u are both for %s", ed->line, n, ed->name);
		ed->line = n;
		if (ed->add && check(ed, &t, e) != LK_OK)
			return lk_err_prefix(e, "line %u", n);
	}
	if (!ed->add || ed->found > 0 || other.n == 0)
		return LK_OK;
	(void)lk_fail(
	    e, LK_ECONF, "the volume is there as %.*s", (int)other.n, (const char *)other.p);
	return lk_hint(
	    e, "bind it by that name (--name): what asks for the key goes by the name in crypttab");
}

enum lk_code lk_crypttab_edit(struct lk_slice table, enum lk_boot_flavor flavor, const char *name,
    const char *uuid, bool add, struct lk_buf *out, struct lk_err *e)
{
	struct edit ed = {.flavor = flavor, .name = name, .uuid = uuid, .add = add};
	struct lk_slice rest = table, line;
	struct lk_tab_entry t;
	size_t at = 0;

	if (lk_slice_find(table, '\r', &at) || lk_slice_find(table, '\0', &at)) {
		(void)lk_fail(e, LK_ECONF, "crypttab: a %s in it",
		    table.p[at] == '\r' ? "carriage return" : "NUL byte");
		return lk_hint(e, "write its lines with newlines alone, as text for Unix");
	}
	if (look(&ed, table, e) != LK_OK) {
		(void)lk_err_prefix(e, "crypttab");
		return e->hint[0] != '\0' ? e->code
					  : lk_hint(e, "correct the line, then run this again");
	}
	while (lk_next_line(&rest, &line)) {
		if (lk_tab_parse(line, &t) && lk_slice_eq_str(t.name, name) && (add || is_ours(&t)))
			rewrite(&ed, line, &t, out);
		else
			lk_buf_slice(out, line);
		if (rest.n > 0 || lk_slice_ends(table, LK_S("\n")))
			lk_buf_byte(out, '\n');
	}
	if (add && ed.found == 0) {
		lk_buf_str(out, table.n == 0 || lk_slice_ends(table, LK_S("\n")) ? "" : "\n");
		lk_crypttab_line(flavor, name, uuid, out);
		lk_buf_byte(out, '\n');
	}
	return out->bad ? lk_fail(e, LK_ELIMIT, "crypttab: too long") : LK_OK;
}
