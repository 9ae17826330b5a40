/* cut.c - for LD_PRELOAD: cryptsetup's writes to one file are counted, and one of them is cut
 * short, as by a power cut: half of it reaches the disk, and nobody goes on.
 *
 * CUT_IMAGE the file; CUT_COUNT a file with the number of writes so far, one byte each; CUT_AT
 * which one (from 1; 0: none); CUT_PARENT a process that dies as well (0: none). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static long setting(const char *name)
{
	const char *text = getenv(name);

	return text ? strtol(text, NULL, 10) : 0;
}

static int is_image(int fd)
{
	struct stat a, b;
	const char *path = getenv("CUT_IMAGE");

	return path && fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

/* The number of this write. */
static long counted(void)
{
	static ssize_t (*real)(int, const void *, size_t);
	struct stat st = {0};
	int fd = open(getenv("CUT_COUNT"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	if (!real)
		real = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
	if (fd < 0 || real(fd, ".", 1) != 1 || fstat(fd, &st) != 0)
		abort();
	close(fd);
	return (long)st.st_size;
}

static void perhaps_cut(int fd, const void *p, size_t n, off_t at)
{
	int image;

	if (!is_image(fd) || counted() != setting("CUT_AT"))
		return;
	/* Opened anew: half a block does not go through O_DIRECT. */
	image = open(getenv("CUT_IMAGE"), O_WRONLY | O_CLOEXEC);
	if (image < 0 || pwrite64(image, p, n / 2, at < 0 ? lseek(fd, 0, SEEK_CUR) : at) < 0)
		abort();
	if (setting("CUT_PARENT") > 1)
		kill((pid_t)setting("CUT_PARENT"), SIGKILL);
	_exit(1);
}

ssize_t write(int fd, const void *p, size_t n)
{
	static ssize_t (*real)(int, const void *, size_t);

	if (!real)
		real = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
	perhaps_cut(fd, p, n, -1);
	return real(fd, p, n);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	static ssize_t (*real)(int, const void *, size_t, off_t);

	if (!real)
		real = (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
	perhaps_cut(fd, p, n, at);
	return real(fd, p, n, at);
}
