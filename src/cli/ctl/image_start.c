/* image_start.c - is there what asks latchkey for a key: units, systemd-cryptsetup, cryptsetup. */
#include "image_check.h"

#include <string.h>
#include <sys/stat.h>

#include "lk/fmt.h"

static bool find_in(struct lk_image_look *l, const char *const *folders, const char *name,
    struct lk_file *out, char path[static 100])
{
	for (size_t i = 0; folders[i] != NULL; i++) {
		lk_fmt(path, 100, "%s/%s", folders[i], name);
		if (lk_image_find_link(l->img, path, out))
			return true;
	}
	return false;
}

/* A unit that is there, and neither masked nor a link to nothing. */
static bool check_unit(struct lk_image_look *l, const char *name, struct lk_findings *fs)
{
	static const char *const folders[] = {"/etc/systemd/system",
	    "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", NULL};
	struct lk_file f;
	char path[100];

	if (!find_in(l, folders, name, &f, path)) {
		lk_found(fs, LK_FOUND_FAIL, "units", "%s is not in the image", name);
		lk_found_hint(
		    fs, "install latchkey with its units and dracut module, then dracut -f");
		return false;
	}
	if (!lk_image_find(l->img, path, &f) || !S_ISREG(f.mode)) {
		lk_found(
		    fs, LK_FOUND_FAIL, "units", "%s is masked, or a link that leads nowhere", path);
		lk_found_hint(fs, "systemctl unmask %s, then dracut -f", name);
		return false;
	}
	return true;
}

static void check_units(struct lk_image_look *l, struct lk_findings *fs)
{
	static const char *const wants[] = {"/etc/systemd/system/sockets.target.wants",
	    "/usr/lib/systemd/system/sockets.target.wants", NULL};
	bool socket = check_unit(l, "latchkey.socket", fs);
	bool service = check_unit(l, "latchkey@.service", fs);
	struct lk_file f;
	char path[100];

	if (socket && !find_in(l, wants, "latchkey.socket", &f, path)) {
		lk_found(fs, LK_FOUND_FAIL, "units",
		    "nothing starts latchkey.socket: sockets.target does "
		    "not want it");
		lk_found_hint(fs, "latchkey's dracut module does that: install it, then dracut -f");
	} else if (socket && service) {
		lk_found(fs, LK_FOUND_OK, "units",
		    "latchkey.socket, wanted by sockets.target, and latchkey@.service");
	}
}

/* Every library that a program (or library) names is somewhere in the image. */
static bool check_needs(
    struct lk_image_look *l, const char *item, const struct lk_file *f, struct lk_findings *fs)
{
	struct lk_slice base = lk_path_base(f->path);
	struct lk_elf elf;
	bool good = true;

	lk_elf_read(f->data, &elf);
	for (size_t i = 0; i < elf.needs; i++) {
		if (lk_image_has_name(l->img, elf.need[i]))
			continue;
		good = false;
		lk_found(fs, LK_FOUND_FAIL, item, "%.*s needs %.*s, which is not in the image",
		    (int)base.n, (const char *)base.p, (int)elf.need[i].n,
		    (const char *)elf.need[i].p);
		lk_found_hint(fs, LK_REBUILD);
	}
	return good;
}

/* libcryptsetup and what it needs. */
static bool check_library(struct lk_image_look *l, const char *item, struct lk_findings *fs)
{
	for (size_t i = 0; i < lk_image_count(l->img); i++) {
		struct lk_file f;

		lk_image_at(l->img, i, &f);
		if (S_ISREG(f.mode) &&
		    lk_slice_starts(lk_path_base(f.path), LK_S("libcryptsetup.so.")))
			return check_needs(l, item, &f, fs);
	}
	lk_found(fs, LK_FOUND_FAIL, item, "libcryptsetup is not in the image");
	lk_found_hint(fs, "install cryptsetup, then " LK_REBUILD);
	return false;
}

static void check_systemd_cryptsetup(struct lk_image_look *l, struct lk_findings *fs)
{
	static const char item[] = "cryptsetup";
	static const char *const folders[] = {"/usr/lib/systemd", "/usr/bin", NULL};
	struct lk_file f;
	char path[100];
	bool good = true;

	if (!find_in(l, folders, "systemd-cryptsetup", &f, path) ||
	    !lk_image_find(l->img, path, &f)) {
		lk_found(fs, LK_FOUND_FAIL, item, "systemd-cryptsetup is not in the image");
		lk_found_hint(fs,
		    "dracut module crypt (from version 103: systemd-cryptsetup, too); on "
		    "Debian 13 and later it is in package systemd-cryptsetup");
		good = false;
	} else {
		good = check_needs(l, item, &f, fs);
	}
	if (!lk_image_find(
		l->img, "/usr/lib/systemd/system-generators/systemd-cryptsetup-generator", &f)) {
		lk_found(fs, LK_FOUND_FAIL, item,
		    "systemd-cryptsetup-generator is not in the image: nothing reads crypttab");
		lk_found_hint(fs, "dracut module crypt brings it: dracut -f --add crypt");
		good = false;
	}
	if (check_library(l, item, fs) && good)
		lk_found(fs, LK_FOUND_OK, item,
		    "systemd-cryptsetup, its generator, libcryptsetup and what they need");
}

static void check_cryptsetup(struct lk_image_look *l, struct lk_findings *fs)
{
	static const char item[] = "cryptsetup";
	struct lk_file f;
	bool good = true;

	if (!lk_image_find(l->img, "/scripts/local-top/cryptroot", &f)) {
		lk_found(fs, LK_FOUND_FAIL, item,
		    "scripts/local-top/cryptroot is not in the image: nothing opens volumes");
		lk_found_hint(fs, "install cryptsetup-initramfs, then update-initramfs -u");
		good = false;
	}
	if (!lk_image_find(l->img, "/sbin/cryptsetup", &f)) {
		lk_found(fs, LK_FOUND_FAIL, item, "/sbin/cryptsetup is not in the image");
		lk_found_hint(fs, "CRYPTSETUP=y in /etc/cryptsetup-initramfs/conf-hook, then "
				  "update-initramfs -u");
		good = false;
	} else {
		good = check_needs(l, item, &f, fs) && good;
	}
	if (check_library(l, item, fs) && good)
		lk_found(fs, LK_FOUND_OK, item, "cryptsetup, libcryptsetup and what they need");
}

static bool has_base(struct lk_image_look *l, struct lk_slice end)
{
	for (size_t i = 0; i < lk_image_count(l->img); i++) {
		struct lk_file f;

		lk_image_at(l->img, i, &f);
		if (S_ISREG(f.mode) && lk_slice_ends(f.path, end))
			return true;
	}
	return false;
}

/* dracut's own loop: our hook in it, cryptsetup, and who asks for the passphrase. */
static void check_loop(struct lk_image_look *l, struct lk_findings *fs)
{
	static const char item[] = "hook", tool[] = "cryptsetup";
	struct lk_slice value;
	struct lk_file f;
	bool own = false;

	if (!has_base(l, LK_S("/initqueue/settled/05-latchkey-settled.sh"))) {
		lk_found(fs, LK_FOUND_FAIL, item,
		    "latchkey-settled.sh is not in the image: without systemd nothing else starts "
		    "latchkey");
		lk_found_hint(fs, "dracut -f --add latchkey");
	} else if (!lk_image_find(l->img, "/sbin/cryptroot-ask", &f)) {
		lk_found(fs, LK_FOUND_FAIL, item,
		    "/sbin/cryptroot-ask is not in the image: no passphrase prompt");
		lk_found_hint(fs, "dracut module crypt brings it: dracut -f --add crypt");
	} else {
		lk_found(
		    fs, LK_FOUND_OK, item, "dracut's loop starts latchkey, and the prompt waits");
	}
	if (!lk_image_find(l->img, "/sbin/cryptsetup", &f)) {
		lk_found(fs, LK_FOUND_FAIL, tool, "/sbin/cryptsetup is not in the image");
		lk_found_hint(fs, "dracut module crypt brings it: dracut -f --add crypt");
	} else if (check_needs(l, tool, &f, fs) && check_library(l, tool, fs)) {
		lk_found(fs, LK_FOUND_OK, tool, "cryptsetup, libcryptsetup and what they need");
	}
	if (!lk_image_argument(l, "rd.luks.uuid", &value, &own) &&
	    !lk_image_argument(l, "rd.auto", &value, &own)) {
		lk_found(fs, LK_FOUND_NOTE, "command line",
		    "neither rd.luks.uuid= nor rd.auto: no passphrase prompt, should latchkey "
		    "fail");
		lk_found_hint(fs, "rd.luks.uuid=UUID of the volume on the kernel command line");
	}
}

void lk_image_check_start(struct lk_image_look *l, struct lk_findings *fs)
{
	if (l->flavor == LK_IMAGE_TOOLS) {
		check_cryptsetup(l, fs);
		return;
	}
	if (l->flavor == LK_IMAGE_PLAIN) {
		check_loop(l, fs);
		return;
	}
	check_units(l, fs);
	check_systemd_cryptsetup(l, fs);
}
