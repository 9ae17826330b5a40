/* conf_file.c - read, replace and restore NAME.conf; its new text is conf_text.c's. */
#include "conf_file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lk/fmt.h"
#include "lk/io.h"
#include "opts_table.h"

#define FILE_MODE   0644u
#define FOLDER_MODE 0700u

static struct lk_slice old_text(const struct lk_conf_file *f)
{
	return lk_slice_of(f->text, f->text_n);
}

/* false: there is none. */
LK_CHECK static enum lk_code load(
    const char *path, struct lk_buf *text, bool *there, struct lk_err *e)
{
	struct lk_err mine = {0};

	*there = lk_file_read(path, text, &mine) == LK_OK;
	if (*there || mine.code == LK_EABSENT)
		return LK_OK;
	*e = mine;
	return e->code = LK_ECONF;
}

/* What a program finds before it reads a file. */
static void start(const struct lk_args *a, struct lk_args *out)
{
	lk_opts_defaults(out);
	memcpy(out->flags.conf_dir, a->flags.conf_dir, sizeof(out->flags.conf_dir));
	memcpy(out->conf.os_name, a->conf.os_name, sizeof(out->conf.os_name));
	out->conf.os_major = a->conf.os_major;
	out->conf.os_minor = a->conf.os_minor;
}

enum lk_code lk_conf_file_read(
    const struct lk_args *a, const char *name, struct lk_conf_file *out, struct lk_err *e)
{
	static struct lk_args args, one;
	struct lk_buf text = LK_BUF(out->text);
	size_t index = 0, n = 1;
	const struct lk_opt *o = lk_opt_find(LK_S("name"), &index);
	struct stat st;

	LK_BUG_ON(o == NULL);
	out->n = out->text_n = 0;
	out->mode = FILE_MODE;
	start(a, &args);
	if (lk_opt_set(o, lk_slice_str(name), &args, e) != LK_OK)
		return lk_err_prefix(e, "volume name");
	lk_fmt(out->path, sizeof(out->path), "%s/%s.conf", args.flags.conf_dir, args.conf.name);
	if (load(out->path, &text, &out->there, e) != LK_OK || !out->there)
		return e->code;
	out->text_n = text.n;
	if (stat(out->path, &st) == 0)
		out->mode = st.st_mode & 0777;
	for (size_t i = 0; i < n; i++) {
		one = args;
		if (lk_opts_text_binding(old_text(out), out->path, i, &one, e) != LK_OK)
			return e->code;
		out->binding[i] = one.conf;
		n = one.bindings;
	}
	out->n = n == 1 && out->binding[0].key[0] == '\0' ? 0 : n;
	return LK_OK;
}

LK_CHECK static enum lk_code make_folder(const char *path, struct lk_err *e)
{
	const char *slash = strrchr(path, '/');
	char folder[sizeof(((struct lk_conf_file *)0)->path)];

	if (slash == NULL || slash == path)
		return LK_OK;
	lk_fmt(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
	if (mkdir(folder, FOLDER_MODE) != 0 && errno != EEXIST)
		return lk_fail_sys(e, errno, "%s", folder);
	return LK_OK;
}

enum lk_code lk_conf_file_write(
    const struct lk_conf_file *f, struct lk_slice text, struct lk_err *e)
{
	if (f->n == 0)
		return lk_file_remove(f->path, e);
	if (make_folder(f->path, e) != LK_OK)
		return e->code;
	return lk_file_replace(f->path, text, f->mode, e);
}

enum lk_code lk_conf_file_restore(const struct lk_conf_file *f, struct lk_err *e)
{
	static uint8_t store[LK_CONF_FILE_MAX];
	struct lk_buf now = LK_BUF(store);
	struct lk_err unread = {0};
	bool there = false;

	if (!f->there)
		return lk_file_remove(f->path, e);
	if (load(f->path, &now, &there, &unread) == LK_OK && there &&
	    lk_slice_eq(lk_slice_buf(&now), old_text(f)))
		return LK_OK;
	return lk_file_replace(f->path, old_text(f), f->mode, e);
}
