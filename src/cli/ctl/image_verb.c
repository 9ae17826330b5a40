/* image_verb.c - `latchkeyctl image-check`: gather what the machine knows, read the image, report.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "app.h"
#include "ctl.h"
#include "image_check.h"
#include "lk/fmt.h"
#include "lk/io.h"

#define IMAGE_MAX   (UINT64_C(2) << 30)
#define PROGRAM_MAX LK_IMAGE_KEEP
/* The tag by which Azure's guests are told (cloud-init and others look at it, too). */
#define AZURE_TAG "7783-7084-3265-9085-8269-3286-77"

const char *lk_image_place(unsigned i, const char *release, const char *machine)
{
	static const struct {
		const char *before, *after;
		bool id; /* kernel-install puts the machine's id before the release */
	} places[] = {{"/boot/initrd.img-", "", false}, {"/boot/initramfs-", ".img", false},
	    {"/boot/initrd-", "", false}, {"/boot/", "/initrd", true}, {"/efi/", "/initrd", true},
	    {"/boot/efi/", "/initrd", true}, {"/usr/lib/modules/", "/initramfs.img", false}};
	static char path[300];
	size_t n = sizeof(places) / sizeof(places[0]);

	if (i == n)
		return "/boot/initramfs-linux.img";
	if (i > n)
		return NULL;
	lk_fmt(path, sizeof(path), "%s%s%s%s%s", places[i].before, places[i].id ? machine : "",
	    places[i].id ? "/" : "", release, places[i].after);
	return path;
}

/* A small file of the machine, or nothing. */
static struct lk_slice machine_text(const char *path, struct lk_buf *b)
{
	struct lk_err ignored = {0};

	b->n = 0;
	return lk_file_read(path, b, &ignored) == LK_OK ? lk_slice_buf(b)
							: (struct lk_slice){NULL, 0};
}

/* The image to look at, for messages and for open. */
LK_CHECK static enum lk_code find_image(
    const struct lk_args *a, const char *release, const char **out, struct lk_err *e)
{
	uint8_t store[64];
	struct lk_buf b = LK_BUF(store);
	struct lk_slice id = machine_text("/etc/machine-id", &b), word;
	char machine[33] = "";

	if (a->words == 1) {
		*out = a->word[0];
		return LK_OK;
	}
	if (lk_next_word(&id, &word) && word.n == 32)
		memcpy(machine, word.p, 32);
	for (unsigned i = 0; (*out = lk_image_place(i, release, machine)) != NULL; i++)
		if (access(*out, F_OK) == 0)
			return LK_OK;
	(void)lk_fail(e, LK_ECONF, "there is no initramfs for the running kernel %s", release);
	return lk_hint(e, "name the image: latchkeyctl image-check IMAGE");
}

LK_CHECK static enum lk_code map_image(const char *path, struct lk_slice *out, struct lk_err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st = {0};
	void *p = MAP_FAILED;

	*out = (struct lk_slice){NULL, 0};
	if (fd < 0 || fstat(fd, &st) != 0)
		(void)lk_fail_sys(e, errno, "%s", path);
	else if (!S_ISREG(st.st_mode))
		(void)lk_fail(e, LK_ECONF, "%s: not a regular file", path);
	else if ((uint64_t)st.st_size > IMAGE_MAX)
		(void)lk_fail(e, LK_ELIMIT, "%s: more than 2 GiB", path);
	else if (st.st_size > 0)
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (e->code == LK_OK && st.st_size > 0 && p == MAP_FAILED)
		(void)lk_fail_sys(e, errno, "%s", path);
	lk_close(&fd);
	if (e->code == LK_OK && st.st_size > 0)
		*out = lk_slice_of(p, (size_t)st.st_size);
	return e->code;
}

LK_CHECK static enum lk_code load_cmdline(struct lk_image_look *l, struct lk_err *e)
{
	static uint8_t store[65536];
	struct lk_buf b = LK_BUF(store);

	l->cmdline_next = lk_image_args.cmdline != NULL;
	l->cmdline_from = l->cmdline_next ? lk_image_args.cmdline : "/proc/cmdline";
	if (lk_file_read(l->cmdline_from, &b, e) != LK_OK) {
		e->code = LK_ECONF;
		return e->code;
	}
	l->cmdline = lk_slice_buf(&b);
	return LK_OK;
}

static bool is_azure(void)
{
	uint8_t store[128];
	struct lk_buf b = LK_BUF(store);
	struct lk_slice tag = machine_text("/sys/class/dmi/id/chassis_asset_tag", &b), word;

	if (lk_image_args.azure != LK_AZURE_LOOK)
		return lk_image_args.azure == LK_AZURE_YES;
	return lk_next_word(&tag, &word) && lk_slice_eq_str(word, AZURE_TAG);
}

/* The machine's own configurations; one that cannot be read is none to compare with. */
static void load_volumes(const struct lk_args *a, struct lk_image_look *l)
{
	static struct lk_image_volume host[LK_VOLUMES_MAX];
	static uint8_t store[LK_VOLUMES_MAX][LK_CONF_FILE_MAX];
	static struct lk_args all;
	struct lk_volumes names;
	struct lk_err ignored = {0};

	all = *a;
	all.words = 0;
	l->host = host;
	if (lk_volumes(&all, &names, &ignored) != LK_OK)
		return;
	for (size_t i = 0; i < names.n; i++) {
		struct lk_buf b = LK_BUF(store[i]);
		char path[400];

		lk_fmt(path, sizeof(path), "%s/%s.conf", a->flags.conf_dir, names.name[i]);
		memcpy(host[i].name, names.name[i], sizeof(host[i].name));
		host[i].text = machine_text(path, &b);
		ignored = (struct lk_err){0};
		(void)!lk_image_volume_read(&host[i], &ignored);
	}
	l->hosts = names.n;
}

static void report(const struct lk_findings *fs)
{
	static const char *const words[] = {
	    [LK_FOUND_OK] = "ok", [LK_FOUND_NOTE] = "note", [LK_FOUND_FAIL] = "FAIL"};

	for (size_t i = 0; i < fs->n; i++) {
		const struct lk_finding *f = &fs->f[i];

		lk_print(STDOUT_FILENO, "%-5s %-16s %s\n", words[f->kind], f->item, f->text);
		if (f->hint[0] != '\0')
			lk_print(STDOUT_FILENO, "      %-16s %s\n", "  what to do:", f->hint);
	}
}

LK_CHECK static enum lk_code read_image(const struct lk_args *a, const char *path,
    struct lk_image_look *l, struct lk_findings *fs, struct lk_err *e)
{
	struct lk_image_facts facts;
	struct lk_slice file, lost;
	size_t n;

	if (map_image(path, &file, e) != LK_OK || lk_image_new(&l->img, e) != LK_OK)
		return e->code;
	if (lk_image_read(file, lk_deadline_in((int64_t)a->conf.timeout_s * 1000), l->img, &facts,
		e) != LK_OK)
		return lk_err_prefix(e, "%s", path);
	lk_found(fs, LK_FOUND_OK, "image", "%s: %s; %zu files", path, facts.packing,
	    lk_image_count(l->img));
	n = lk_image_lost(l->img, &lost);
	if (n > 0) {
		lk_found(fs, LK_FOUND_NOTE, "image",
		    "%zu files have no folder in the archive and will not be there: %.*s%s", n,
		    (int)(lost.n < 100 ? lost.n : 100), (const char *)lost.p,
		    n > 1 ? " and others" : "");
		lk_found_hint(fs, "archives must hold each folder before what is in it");
	}
	return LK_OK;
}

LK_CHECK static enum lk_code verdict(const struct lk_findings *fs, struct lk_err *e)
{
	if (fs->failed == 0)
		return LK_OK;
	for (size_t i = 0; i < fs->n; i++)
		if (fs->f[i].kind == LK_FOUND_FAIL)
			return lk_fail(e, LK_ECONF,
			    "%zu things are missing or wrong; the first: %s: %s", fs->failed,
			    fs->f[i].item, fs->f[i].text);
	return lk_fail(e, LK_ECONF, "%zu things are missing or wrong", fs->failed);
}

enum lk_code lk_verb_image_check(struct lk_args *a, struct lk_err *e)
{
	static uint8_t program[PROGRAM_MAX], builtin[LK_IMAGE_KEEP];
	static struct lk_findings fs;
	static struct lk_image_look l;
	struct lk_buf b = LK_BUF(program), m = LK_BUF(builtin);
	struct utsname uts;
	const char *path;
	char modules[200];

	if (a->words > 1)
		return lk_fail(e, LK_EUSAGE, "at most one image is wanted");
	/* There is no secret here, and the lists are larger than what users may lock. */
	(void)munlockall();
	if (uname(&uts) != 0)
		return lk_fail_sys(e, errno, "uname");
	if (find_image(a, uts.release, &path, e) != LK_OK || load_cmdline(&l, e) != LK_OK ||
	    read_image(a, path, &l, &fs, e) != LK_OK)
		return e->code;
	lk_image_prepare(&l, uts.release);
	l.azure = is_azure();
	l.cipher = lk_image_args.cipher;
	l.program_path = lk_image_args.program;
	l.program = machine_text(lk_image_args.program, &b);
	lk_fmt(modules, sizeof(modules), "/lib/modules/%s/modules.builtin", l.kernel);
	l.builtin = machine_text(modules, &m);
	load_volumes(a, &l);
	lk_image_check(&l, &fs);
	report(&fs);
	return verdict(&fs, e);
}
