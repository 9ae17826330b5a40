/* image_crypttab.c - does crypttab in the image lead each volume to latchkey? (crypttab(5) of
 * systemd and of Debian's cryptsetup) */
#include "image_check.h"

#include <string.h>
#include <sys/stat.h>

#include "crypttab.h"
#include "lk/fmt.h"
#include "parts.h"

#define ENTRIES 64

static const char item[] = "crypttab";

struct table {
	const char *path;
	size_t n;
	struct lk_tab_entry e[ENTRIES];
};

static void parse(struct lk_slice text, struct table *t)
{
	struct lk_slice line;

	t->n = 0;
	while (t->n < ENTRIES && lk_next_line(&text, &line))
		if (lk_tab_parse(line, &t->e[t->n]))
			t->n++;
}

static const struct lk_tab_entry *entry_of(const struct table *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (lk_slice_eq_str(t->e[i].name, name))
			return &t->e[i];
	return NULL;
}

static void line_hint(
    const struct lk_image_look *l, const struct lk_image_volume *v, struct lk_findings *fs)
{
	bool tools = l->flavor == LK_IMAGE_TOOLS;
	uint8_t store[300];
	struct lk_buf line = LK_BUF(store);

	lk_crypttab_line(
	    tools ? LK_BOOT_TOOLS : LK_BOOT_DRACUT, v->name, v->good ? v->conf.uuid : "...", &line);
	lk_found_hint(fs, "/etc/crypttab: %.*s; then %s", (int)line.n, (const char *)line.p,
	    tools ? "update-initramfs -u" : "dracut -f");
}

static bool bad_options(
    const struct lk_image_volume *v, const struct lk_tab_entry *e, struct lk_findings *fs)
{
	struct lk_slice value;
	bool found = false;

	for (size_t i = 0; i < lk_tab_bads; i++) {
		const struct lk_tab_bad *bad = &lk_tab_bad[i];

		if (!lk_tab_option(e->options, bad->name, &value))
			continue;
		lk_found(
		    fs, LK_FOUND_FAIL, item, "%s: option %s: %s", v->name, bad->name, bad->why);
		lk_found_hint(fs, "take it out of /etc/crypttab, then " LK_REBUILD);
		found = true;
	}
	return found;
}

/* true: it is this volume's. */
static bool right_device(
    const struct lk_image_volume *v, const struct lk_tab_entry *e, struct lk_findings *fs)
{
	struct lk_slice said;

	switch (lk_tab_device(e->device, v->conf.uuid, &said)) {
	case LK_TAB_THIS:
		return true;
	case LK_TAB_OTHER:
		lk_found(fs, LK_FOUND_FAIL, item, "%s: the entry is for UUID %.*s, not %s", v->name,
		    (int)said.n, (const char *)said.p, v->conf.uuid);
		return false;
	case LK_TAB_UNKNOWN:
		break;
	}
	lk_found(fs, LK_FOUND_NOTE, item,
	    "%s: named by %.*s, which the host can give to another disk", v->name, (int)e->device.n,
	    (const char *)e->device.p);
	lk_found_hint(fs,
	    "latchkey refuses a disk with another UUID, but the prompt does not: write UUID=%s",
	    v->conf.uuid);
	return true;
}

static void check_systemd(const struct lk_image_look *l, const struct lk_image_volume *v,
    const struct lk_tab_entry *e, struct lk_findings *fs)
{
	struct lk_slice value;

	if (!lk_slice_eq_str(e->key, LK_KEY_SOCKET)) {
		lk_found(fs, LK_FOUND_FAIL, item, "%s: the key file is %.*s, not " LK_KEY_SOCKET,
		    v->name, (int)e->key.n, e->key.n > 0 ? (const char *)e->key.p : "");
		line_hint(l, v, fs);
		return;
	}
	if (bad_options(v, e, fs))
		return;
	if (l->flavor == LK_IMAGE_PLAIN) {
		lk_found(fs, LK_FOUND_OK, item, "%s: the name under which it is opened", v->name);
		return;
	}
	lk_found(fs, LK_FOUND_OK, item, "%s: opened with the key from " LK_KEY_SOCKET, v->name);
	if (!lk_tab_option(e->options, "x-initrd.attach", &value)) {
		lk_found(fs, LK_FOUND_NOTE, item, "%s: without x-initrd.attach", v->name);
		lk_found_hint(fs,
		    "needed for the volume of the root: it is kept open to the end of a "
		    "shutdown, and host-only images take the line over");
	}
	if (lk_tab_option(e->options, "headless", &value))
		lk_found(fs, LK_FOUND_NOTE, item,
		    "%s: headless: there will be no passphrase prompt", v->name);
}

/* The script that cryptsetup's hook put into the image. */
static void check_script(struct lk_image_look *l, const struct lk_image_volume *v,
    struct lk_slice script, struct lk_findings *fs)
{
	char path[256];
	struct lk_err e = {0};
	struct lk_file f;

	if (lk_slice_cstr(script, path, sizeof(path), &e) != LK_OK || path[0] != '/') {
		lk_found(fs, LK_FOUND_FAIL, item, "%s: keyscript is no absolute path", v->name);
		line_hint(l, v, fs);
	} else if (!lk_image_find(l->img, path, &f) || !S_ISREG(f.mode) || (f.mode & 0111) == 0) {
		lk_found(fs, LK_FOUND_FAIL, item, "%s: %s is not in the image, or cannot be run",
		    v->name, path);
		lk_found_hint(fs, "see that it is there with mode 0755, then update-initramfs -u");
	} else if (f.kept && !lk_slice_eq_str(lk_path_base(f.path), "latchkey") &&
		   memmem(f.data.p, f.data.n, "latchkey", 8) == NULL) {
		lk_found(
		    fs, LK_FOUND_NOTE, item, "%s: %s does not mention latchkey", v->name, path);
	} else {
		lk_found(fs, LK_FOUND_OK, item, "%s: opened with the key from %s", v->name, path);
	}
}

static void check_tools(struct lk_image_look *l, const struct lk_image_volume *v,
    const struct lk_tab_entry *e, struct lk_findings *fs)
{
	struct lk_slice script;
	struct lk_file f;

	if (!lk_tab_option(e->options, "keyscript", &script)) {
		lk_found(fs, LK_FOUND_FAIL, item, "%s: there is no keyscript among the options",
		    v->name);
		line_hint(l, v, fs);
		return;
	}
	if (bad_options(v, e, fs))
		return;
	check_script(l, v, script, fs);
	if (!lk_image_find(l->img, "/lib/cryptsetup/askpass", &f)) {
		lk_found(fs, LK_FOUND_FAIL, item,
		    "%s: /lib/cryptsetup/askpass is not in the image: no passphrase prompt",
		    v->name);
		lk_found_hint(fs, "ASKPASS=y in /etc/cryptsetup-initramfs/conf-hook, then "
				  "update-initramfs -u");
	}
}

static void check_entry(struct lk_image_look *l, const struct lk_image_volume *v,
    const struct lk_tab_entry *e, struct lk_findings *fs)
{
	if (!right_device(v, e, fs)) {
		line_hint(l, v, fs);
		return;
	}
	if (l->flavor == LK_IMAGE_TOOLS)
		check_tools(l, v, e, fs);
	else
		check_systemd(l, v, e, fs);
}

/* Entries that come to latchkey although it has no configuration for them. */
static void check_strays(
    const struct lk_image_look *l, const struct table *t, struct lk_findings *fs)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct lk_tab_entry *e = &t->e[i];
		bool known = false;

		for (size_t j = 0; j < l->volumes; j++)
			known = known || lk_slice_eq_str(e->name, l->volume[j].name);
		if (known || !lk_slice_eq_str(e->key, LK_KEY_SOCKET))
			continue;
		lk_found(fs, LK_FOUND_FAIL, item,
		    "%.*s: the key is to come from latchkey, which has no %s/%.*s.conf in the "
		    "image",
		    (int)e->name.n, (const char *)e->name.p, LK_CONF_DIR, (int)e->name.n,
		    (const char *)e->name.p);
		lk_found_hint(fs, "bind the volume with latchkeyctl enroll, then " LK_REBUILD);
	}
}

static bool read_table(struct lk_image_look *l, struct table *t)
{
	struct lk_file f;

	t->path = l->flavor == LK_IMAGE_TOOLS ? "/cryptroot/crypttab" : "/etc/crypttab";
	t->n = 0;
	if (!lk_image_find(l->img, t->path, &f) || !S_ISREG(f.mode) || !f.kept)
		return false;
	parse(f.data, t);
	return true;
}

void lk_image_check_crypttab(struct lk_image_look *l, struct lk_findings *fs)
{
	static struct table t;
	bool there = read_table(l, &t);
	const struct lk_image_volume *root = lk_image_root_volume(l);
	size_t found = 0;

	for (size_t i = 0; i < l->volumes; i++)
		found += entry_of(&t, l->volume[i].name) != NULL;
	for (size_t i = 0; i < l->volumes; i++) {
		const struct lk_image_volume *v = &l->volume[i];
		const struct lk_tab_entry *e = entry_of(&t, v->name);

		if (e != NULL && v->good) {
			check_entry(l, v, e, fs);
		} else if (e == NULL && found > 0 && v != root) {
			lk_found(fs, LK_FOUND_NOTE, item,
			    "%s: no entry in the image; for a volume that is opened later",
			    v->name);
		} else if (e == NULL) {
			lk_found(fs, LK_FOUND_FAIL, item, "%s: no entry in the image's %s%s",
			    v->name, t.path, there ? "" : ", which is not there");
			line_hint(l, v, fs);
		}
	}
	check_strays(l, &t, fs);
}
