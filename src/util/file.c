/* Small files, whole. */
#include "lk/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lk/fmt.h"

#define PATH_LEN 1024 /* ours are short; two of them fit into a frame */

static enum lk_code open_for_reading(const char *path, int *fd, struct lk_err *e)
{
	struct stat st;

	/* O_NONBLOCK: opening a FIFO by mistake must not hang a boot. */
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (*fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
		int err = errno;
		enum lk_code code = lk_fail(e, LK_EABSENT, "%s: not there", path);

		e->sys = err;
		return code;
	}
	if (*fd < 0)
		return lk_fail_sys(e, errno, "%s", path);
	if (fstat(*fd, &st) != 0)
		return lk_fail_sys(e, errno, "%s", path);
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
		return lk_fail(e, LK_ESYS, "%s: neither a file nor a device", path);
	return LK_OK;
}

/* Reads until nothing comes: files of securityfs and sysfs state a size of 0 or of a page. */
static enum lk_code read_to_end(int fd, const char *path, struct lk_buf *out, struct lk_err *e)
{
	for (;;) {
		size_t room = out->cap - out->n;
		uint8_t extra;
		ssize_t n = room ? read(fd, out->p + out->n, room) : read(fd, &extra, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return lk_fail_sys(e, errno, "%s", path);
		if (n == 0)
			return LK_OK;
		if (!room)
			return lk_fail(e, LK_ELIMIT, "%s: larger than %zu bytes", path, out->cap);
		out->n += (size_t)n;
	}
}

enum lk_code lk_file_read(const char *path, struct lk_buf *out, struct lk_err *e)
{
	int fd;
	enum lk_code code;

	if (out->bad)
		return lk_fail(e, LK_ELIMIT, "%s: buffer had overflowed", path);
	code = open_for_reading(path, &fd, e);
	if (!code)
		code = read_to_end(fd, path, out, e);
	lk_close(&fd);
	return code;
}

static enum lk_code fill(
    int fd, const char *tmp, struct lk_slice data, unsigned mode, struct lk_err *e)
{
	while (data.n) {
		ssize_t n = write(fd, data.p, data.n);

		if (n < 0 && errno != EINTR)
			return lk_fail_sys(e, errno, "%s", tmp);
		if (n > 0)
			data = lk_slice_sub(data, (size_t)n, data.n);
	}
	if (fchmod(fd, (mode_t)mode) != 0 || fsync(fd) != 0)
		return lk_fail_sys(e, errno, "%s", tmp);
	return LK_OK;
}

/* The rename lasts only when the folder is on disk, too. */
static enum lk_code sync_folder(const char *path, struct lk_err *e)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_LEN];
	enum lk_code code = LK_OK;
	int fd;

	if (!slash)
		(void)lk_fmt(folder, sizeof(folder), ".");
	else
		(void)lk_fmt(folder, sizeof(folder), "%.*s/", (int)(slash - path), path);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* EINVAL: a file system that has nothing to sync, as some virtual ones. */
	if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL))
		code = lk_fail_sys(e, errno, "%s", folder);
	lk_close(&fd);
	return code;
}

enum lk_code lk_file_replace(
    const char *path, struct lk_slice data, unsigned mode, struct lk_err *e)
{
	char tmp[PATH_LEN];
	enum lk_code code;
	int fd;

	if (lk_fmt(tmp, sizeof(tmp), "%s.XXXXXX", path) >= sizeof(tmp))
		return lk_fail(e, LK_ELIMIT, "%.64s...: path too long", path);
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return lk_fail_sys(e, errno, "%s", tmp);
	code = fill(fd, tmp, data, mode, e);
	lk_close(&fd);
	if (!code && rename(tmp, path) != 0)
		code = lk_fail_sys(e, errno, "%s", path);
	if (code) {
		(void)unlink(tmp);
		return code;
	}
	return sync_folder(path, e);
}

enum lk_code lk_file_remove(const char *path, struct lk_err *e)
{
	if (unlink(path) == 0)
		return sync_folder(path, e);
	return errno == ENOENT || errno == ENOTDIR ? LK_OK : lk_fail_sys(e, errno, "%s", path);
}
