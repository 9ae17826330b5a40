/* image_look.c - what kind of image it is, and the kernel command line as its programs see it. */
#include "image_check.h"

#include <string.h>
#include <sys/stat.h>

#include "lk/fmt.h"

static bool has(struct lk_image *img, const char *path)
{
	struct lk_file f;

	return lk_image_find(img, path, &f);
}

static enum lk_image_flavor flavor_of(struct lk_image *img)
{
	if (has(img, "/conf/initramfs.conf") || has(img, "/scripts/functions"))
		return LK_IMAGE_TOOLS;
	if (has(img, "/usr/lib/systemd/systemd"))
		return LK_IMAGE_SYSTEMD;
	return has(img, "/usr/lib/dracut") ? LK_IMAGE_PLAIN : LK_IMAGE_UNKNOWN;
}

/* "[usr/]lib/modules/VERSION" without anything behind it */
static bool is_version(struct lk_slice path, struct lk_slice *version)
{
	static const char *const folders[] = {"usr/lib/modules/", "lib/modules/"};
	size_t slash = 0;

	for (size_t i = 0; i < 2; i++) {
		struct lk_slice folder = lk_slice_str(folders[i]);

		*version = lk_slice_sub(path, folder.n, path.n);
		if (lk_slice_starts(path, folder) && version->n > 0 &&
		    !lk_slice_find(*version, '/', &slash))
			return true;
	}
	return false;
}

void lk_image_prepare(struct lk_image_look *l, const char *prefer)
{
	l->flavor = flavor_of(l->img);
	l->kernel[0] = '\0';
	l->kernels = 0;
	for (size_t i = 0; i < lk_image_count(l->img); i++) {
		struct lk_slice version;
		struct lk_file f;

		lk_image_at(l->img, i, &f);
		if (!S_ISDIR(f.mode) || !is_version(f.path, &version) ||
		    version.n >= sizeof(l->kernel))
			continue;
		l->kernels++;
		if (l->kernel[0] == '\0' || lk_slice_eq_str(version, prefer))
			lk_fmt(l->kernel, sizeof(l->kernel), "%.*s", (int)version.n,
			    (const char *)version.p);
	}
}

/* The last NAME or NAME=VALUE among the words; what follows "--" is for init. */
static bool argument_in(struct lk_slice text, const char *name, struct lk_slice *value)
{
	struct lk_slice word, want = lk_slice_str(name);
	bool found = false;

	while (lk_next_word(&text, &word) && !lk_slice_eq_str(word, "--")) {
		if (!lk_slice_starts(word, want))
			continue;
		if (word.n == want.n) {
			*value = LK_S("1");
			found = true;
		} else if (word.p[want.n] == '=') {
			*value = lk_slice_sub(word, want.n + 1, word.n);
			found = true;
		}
	}
	return found;
}

bool lk_image_argument(struct lk_image_look *l, const char *name, struct lk_slice *value, bool *own)
{
	bool found = false;

	*own = true;
	for (size_t i = 0; i < lk_image_count(l->img); i++) {
		struct lk_file f;

		lk_image_at(l->img, i, &f);
		if (f.kept && (lk_slice_starts(f.path, LK_S("etc/cmdline.d/")) ||
				  lk_slice_starts(f.path, LK_S("usr/lib/cmdline.d/")) ||
				  lk_slice_eq_str(f.path, "etc/cmdline")))
			found = argument_in(f.data, name, value) || found;
	}
	if (argument_in(l->cmdline, name, value)) {
		*own = false;
		found = true;
	}
	return found;
}

void lk_image_check(struct lk_image_look *l, struct lk_findings *fs)
{
	static const char *const flavors[] = {[LK_IMAGE_UNKNOWN] = "",
	    [LK_IMAGE_SYSTEMD] = "systemd",
	    [LK_IMAGE_TOOLS] = "initramfs-tools",
	    [LK_IMAGE_PLAIN] = "dracut without systemd"};
	bool good = l->flavor != LK_IMAGE_UNKNOWN;

	if (good) {
		lk_found(fs, LK_FOUND_OK, "kind", "%s%s%s", flavors[l->flavor],
		    l->kernel[0] != '\0' ? ", kernel " : "", l->kernel);
	} else {
		lk_found(fs, LK_FOUND_FAIL, "kind", "neither dracut's nor of initramfs-tools");
		lk_found_hint(fs, "make the image with one of them");
	}
	lk_image_check_program(l, fs);
	lk_image_check_conf(l, fs);
	if (good) {
		lk_image_check_crypttab(l, fs);
		lk_image_check_start(l, fs);
	}
	lk_image_check_modules(l, fs);
	lk_image_check_network(l, fs);
	lk_image_check_root(l, fs);
}
