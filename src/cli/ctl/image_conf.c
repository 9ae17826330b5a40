/* image_conf.c - program, configurations and trust anchors in an image. */
#include "image_check.h"

#include <string.h>
#include <sys/stat.h>

#include "lk/fmt.h"
#include "lk/tls.h"
#include "lk/unlock.h"
#include "opts_table.h"

#define TRUST_MAX (512 * 1024) /* what the program reads at boot */

void lk_image_check_program(struct lk_image_look *l, struct lk_findings *fs)
{
	static const char item[] = "program";
	struct lk_file f;
	struct lk_elf elf;

	if (!lk_image_find(l->img, LK_IMAGE_PROGRAM, &f)) {
		lk_found(fs, LK_FOUND_FAIL, item, "%s is not in the image", LK_IMAGE_PROGRAM);
		lk_found_hint(fs, "install latchkey with its dracut module or initramfs-tools "
				  "hook, then " LK_REBUILD);
		return;
	}
	lk_elf_read(f.data, &elf);
	if (!S_ISREG(f.mode) || (f.mode & 0111) == 0 || (f.kept && !elf.elf)) {
		lk_found(fs, LK_FOUND_FAIL, item, "%s cannot be run: %s", LK_IMAGE_PROGRAM,
		    (f.mode & 0111) == 0 ? "it lacks the executable bit" : "it is no program");
		lk_found_hint(fs, "install latchkey again (mode 0755), then " LK_REBUILD);
		return;
	}
	if (elf.interpreter.n > 0) {
		lk_found(fs, LK_FOUND_FAIL, item, "%s is not static: it needs %.*s",
		    LK_IMAGE_PROGRAM, (int)elf.interpreter.n, (const char *)elf.interpreter.p);
		lk_found_hint(fs, "install the static program, then " LK_REBUILD);
		return;
	}
	if (l->program.n == 0) {
		lk_found(fs, LK_FOUND_OK, item, "%s, static; there is no %s to compare it with",
		    LK_IMAGE_PROGRAM, l->program_path);
	} else if (f.kept && lk_slice_eq(f.data, l->program)) {
		lk_found(fs, LK_FOUND_OK, item, "%s, static, the same as %s", LK_IMAGE_PROGRAM,
		    l->program_path);
	} else {
		lk_found(fs, LK_FOUND_NOTE, item, "%s, static, is another version than %s",
		    LK_IMAGE_PROGRAM, l->program_path);
		lk_found_hint(fs, "if the installed one is newer, " LK_REBUILD);
	}
}

LK_CHECK static enum lk_code parse(const struct lk_image_volume *v, size_t binding,
    struct lk_conf *out, size_t *bindings, struct lk_err *e)
{
	static struct lk_args args;
	size_t index = 0;
	const struct lk_opt *name = lk_opt_find(LK_S("name"), &index);

	LK_BUG_ON(name == NULL);
	lk_opts_defaults(&args);
	if (v->text.n > LK_CONF_FILE_MAX)
		return lk_fail(e, LK_ECONF, "larger than %d bytes", LK_CONF_FILE_MAX);
	if (lk_opt_set(name, lk_slice_str(v->name), &args, e) != LK_OK ||
	    lk_opts_text_binding(v->text, "it", binding, &args, e) != LK_OK)
		return e->code;
	*out = args.conf;
	*bindings = args.bindings;
	return LK_OK;
}

enum lk_code lk_image_volume_read(struct lk_image_volume *v, struct lk_err *e)
{
	enum lk_code rc = parse(v, 0, &v->conf, &v->bindings, e);

	v->good = rc == LK_OK;
	return rc;
}

enum lk_code lk_image_binding(
    const struct lk_image_volume *v, size_t binding, struct lk_conf *out, struct lk_err *e)
{
	size_t bindings = 0;

	return parse(v, binding, out, &bindings, e);
}

static const struct lk_image_volume *on_host(const struct lk_image_look *l, const char *name)
{
	for (size_t i = 0; i < l->hosts; i++)
		if (strcmp(l->host[i].name, name) == 0)
			return &l->host[i];
	return NULL;
}

static const char *other_pin(const struct lk_conf *a, const struct lk_conf *b)
{
	if (strcmp(a->uuid, b->uuid) != 0)
		return "UUID";
	if (strcmp(a->key, b->key) != 0)
		return "key";
	if (strcmp(a->attest, b->attest) != 0)
		return "attestation provider";
	if (strcmp(a->thumbprint, b->thumbprint) != 0)
		return "thumbprint";
	return a->kind != b->kind || strcmp(a->wrapped, b->wrapped) != 0 ? "kind of binding" : NULL;
}

/* "root" or "root, alternative 2" */
#define LABEL_MAX 100
static const char *label(const struct lk_image_volume *v, size_t binding, char out[LABEL_MAX])
{
	if (binding == 0)
		lk_fmt(out, LABEL_MAX, "%s", v->name);
	else
		lk_fmt(out, LABEL_MAX, "%s, alternative %zu", v->name, binding);
	return out;
}

/* What the image and the machine pin for each binding must be the same. */
static bool compare(
    const struct lk_image_volume *v, const struct lk_image_volume *h, struct lk_findings *fs)
{
	static const char item[] = "configuration";
	static struct lk_conf ours, theirs;
	struct lk_err ignored = {0};
	const char *other = other_pin(&v->conf, &h->conf);
	char text[LABEL_MAX];
	size_t i = 0;

	while (other == NULL && ++i < v->bindings && i < h->bindings)
		/* Both were read before, so that these cannot fail. */
		if (lk_image_binding(v, i, &ours, &ignored) != LK_OK ||
		    lk_image_binding(h, i, &theirs, &ignored) != LK_OK)
			other = "text";
		else
			other = other_pin(&ours, &theirs);
	if (other != NULL)
		lk_found(fs, LK_FOUND_FAIL, item,
		    "%s: the image pins another %s than this machine's %s.conf", label(v, i, text),
		    other, v->name);
	else if (v->bindings != h->bindings)
		lk_found(fs, LK_FOUND_FAIL, item,
		    "%s: %zu binding%s in the image, %zu in this machine's %s.conf", v->name,
		    v->bindings, v->bindings == 1 ? "" : "s", h->bindings, v->name);
	else
		return true;
	lk_found_hint(fs, "if the machine's is right, " LK_REBUILD);
	return false;
}

static void say_bindings(const struct lk_image_volume *v, const char *more, struct lk_findings *fs)
{
	static const char item[] = "configuration";
	static struct lk_conf c;
	struct lk_err ignored = {0};
	char text[LABEL_MAX];

	for (size_t i = 0; i < v->bindings; i++) {
		if (lk_image_binding(v, i, &c, &ignored) != LK_OK)
			continue;
		if (more != NULL)
			lk_found(fs, LK_FOUND_OK, item, "%s: key %s, attested by %s%s",
			    label(v, i, text), c.key, c.attest, more);
		if (c.thumbprint[0] == '\0') {
			lk_found(fs, LK_FOUND_NOTE, item, "%s: no thumbprint is pinned",
			    label(v, i, text));
			lk_found_hint(fs, "right for an oct key only; for another, enrol again");
		}
	}
}

/* Every binding is ready for a boot. */
static bool ready(struct lk_image_volume *v, struct lk_err *e)
{
	static struct lk_conf c;
	char text[LABEL_MAX];

	if (lk_image_volume_read(v, e) != LK_OK)
		return false;
	for (size_t i = 0; i < v->bindings; i++)
		if (lk_image_binding(v, i, &c, e) != LK_OK || lk_unlock_ready(&c, e) != LK_OK) {
			v->good = false;
			if (i > 0)
				(void)lk_err_prefix(e, "%s", label(v, i, text));
			return false;
		}
	return true;
}

static void check_volume(
    const struct lk_image_look *l, struct lk_image_volume *v, bool kept, struct lk_findings *fs)
{
	static const char item[] = "configuration";
	const struct lk_image_volume *h = on_host(l, v->name);
	struct lk_err e = {0};
	bool same = h == NULL || lk_slice_eq(v->text, h->text);

	v->good = false;
	if (!kept)
		(void)lk_fail(&e, LK_ECONF, "not a file, or too large");
	if (!kept || !ready(v, &e)) {
		lk_found(fs, LK_FOUND_FAIL, item, "%s/%s.conf: %s", LK_CONF_DIR, v->name, e.msg);
		lk_found_hint(
		    fs, "%s", e.hint[0] != '\0' ? e.hint : "correct it, then " LK_REBUILD);
		return;
	}
	if (h != NULL && h->good && !compare(v, h, fs))
		return;
	if (!same) {
		lk_found(fs, LK_FOUND_NOTE, item,
		    "%s: the same pins as in this machine's %s.conf, but not the same file",
		    v->name, v->name);
		lk_found_hint(fs, "if the machine's is newer, " LK_REBUILD);
	}
	say_bindings(v, !same ? NULL : h == NULL ? "; not configured on this machine" : "", fs);
}

static void check_trust(struct lk_image_look *l, size_t i, struct lk_findings *fs)
{
	static const char item[] = "trust anchors";
	const struct lk_image_volume *v = &l->volume[i];
	const char *path = v->conf.trust;
	struct lk_err e = {0};
	struct lk_roots roots;
	struct lk_file f;
	unsigned count = 0;

	for (size_t j = 0; j < i; j++)
		if (l->volume[j].good && strcmp(l->volume[j].conf.trust, path) == 0)
			return;
	if (!lk_image_find(l->img, path, &f)) {
		lk_found(fs, LK_FOUND_FAIL, item, "%s: %s is not in the image", v->name, path);
		lk_found_hint(fs, "see that the file is there on the machine, then " LK_REBUILD);
		return;
	}
	roots.pem = f.data;
	if (!S_ISREG(f.mode) || !f.kept || f.size > TRUST_MAX)
		(void)lk_fail(&e, LK_ECONF, "not a file, or larger than %d bytes", TRUST_MAX);
	else
		(void)!lk_roots_check(&roots, &count, &e);
	if (e.code != LK_OK) {
		lk_found(fs, LK_FOUND_FAIL, item, "%s: %s: %s", v->name, path, e.msg);
		lk_found_hint(fs, "name a PEM file with trust = FILE, then " LK_REBUILD);
		return;
	}
	lk_found(fs, LK_FOUND_OK, item, "%s: %u in %s", v->name, count, path);
}

static void check_init_data(
    struct lk_image_look *l, const struct lk_image_volume *v, struct lk_findings *fs)
{
	static const char item[] = "init-data";
	struct lk_file f;

	if (v->conf.init_data[0] == '\0')
		return;
	if (lk_image_find(l->img, v->conf.init_data, &f) && S_ISREG(f.mode) && f.size > 0) {
		lk_found(fs, LK_FOUND_OK, item, "%s: %s", v->name, v->conf.init_data);
		return;
	}
	lk_found(fs, LK_FOUND_FAIL, item, "%s: %s is not in the image, or empty", v->name,
	    v->conf.init_data);
	lk_found_hint(fs, "see that the file is there on the machine, then " LK_REBUILD);
}

/* "etc/latchkey/NAME.conf" */
static bool volume_name(struct lk_slice path, char name[static 64])
{
	struct lk_slice folder = LK_S("etc/latchkey/"), end = LK_S(".conf"), s;
	struct lk_err ignored = {0};
	size_t slash = 0;

	if (!lk_slice_starts(path, folder) || !lk_slice_ends(path, end) ||
	    path.n <= folder.n + end.n)
		return false;
	s = lk_slice_sub(path, folder.n, path.n - folder.n - end.n);
	return !lk_slice_find(s, '/', &slash) && lk_slice_cstr(s, name, 64, &ignored) == LK_OK;
}

void lk_image_check_conf(struct lk_image_look *l, struct lk_findings *fs)
{
	static const char item[] = "configuration";

	l->volumes = 0;
	for (size_t i = 0; i < lk_image_count(l->img); i++) {
		struct lk_image_volume *v = &l->volume[l->volumes];
		struct lk_file f;
		char name[64], path[100];

		lk_image_at(l->img, i, &f);
		if (!volume_name(f.path, name))
			continue;
		if (l->volumes == LK_IMAGE_VOLUMES) {
			lk_found(fs, LK_FOUND_FAIL, item, "more than %d volumes", LK_IMAGE_VOLUMES);
			lk_found_hint(
			    fs, "remove configurations that are not used, then " LK_REBUILD);
			break;
		}
		l->volumes++;
		memcpy(v->name, name, sizeof(name));
		lk_fmt(path, sizeof(path), LK_CONF_DIR "/%s.conf", name);
		if (!lk_image_find(l->img, path, &f))
			f.kept = false;
		v->text = f.data;
		check_volume(l, v, f.kept && S_ISREG(f.mode), fs);
		if (!v->good)
			continue;
		check_trust(l, l->volumes - 1, fs);
		check_init_data(l, v, fs);
	}
	if (l->volumes > 0)
		return;
	lk_found(fs, LK_FOUND_FAIL, item, "there is no %s/NAME.conf in the image", LK_CONF_DIR);
	lk_found_hint(fs, "bind the volume with latchkeyctl enroll, then " LK_REBUILD);
}
