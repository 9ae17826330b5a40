/* header_bytes.c - the bytes in front of a LUKS2 volume's data: kept, compared and put back; the
 * contract is in header.h.
 *
 * cryptsetup has taken back its changes by then, so both copies say what they said before; they
 * differ in sequence number and checksum, and the area of a slot that is gone was overwritten with
 * random bytes. The copies are written one after the other: at any time one is whole, and which of
 * the two a reader takes makes no difference.
 */
#include "header.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lk/crypto.h"
#include "lk/fmt.h"
#include "lk/io.h"
#include "lk/log.h"

#define BIN_SIZE 4096u
#define COPY_MAX 0x10000u
#define AREA_MAX                                                                                   \
	((128u << 20) + 2 * COPY_MAX) /* what the format allows for key slots, and copies          \
				       */
#define OFF_CSUM  448
#define CSUM_SIZE 64
#define BLOCK     4096u
#define LOCK_MS   (60 * 1000)

/* As it was, and as it is. */
static uint8_t was[COPY_MAX], is[COPY_MAX];

LK_CHECK static enum lk_code get(int fd, uint8_t *p, size_t n, uint64_t at, struct lk_err *e)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = pread(fd, p + done, n - done, (off_t)(at + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return lk_fail_sys(e, errno, "reading the LUKS2 header");
		if (got == 0)
			return lk_fail(e, LK_ELUKS, "the device ends inside the LUKS2 header");
		done += (size_t)got;
	}
	return LK_OK;
}

LK_CHECK static enum lk_code put(int fd, const uint8_t *p, size_t n, uint64_t at, struct lk_err *e)
{
	for (size_t done = 0; done < n;) {
		ssize_t put_n = pwrite(fd, p + done, n - done, (off_t)(at + done));

		if (put_n < 0 && errno == EINTR)
			continue;
		if (put_n < 0)
			return lk_fail_sys(e, errno, "writing the LUKS2 header back");
		done += (size_t)put_n;
	}
	return LK_OK;
}

LK_CHECK static enum lk_code sync_now(int fd, struct lk_err *e)
{
	if (fsync(fd) != 0)
		return lk_fail_sys(e, errno, "writing the LUKS2 header back");
	return LK_OK;
}

static struct lk_slice text_of(const uint8_t *copy, size_t size)
{
	struct lk_slice all = {copy + BIN_SIZE, size - BIN_SIZE};
	size_t end = all.n;

	(void)lk_slice_find(all, 0, &end);
	return lk_slice_sub(all, 0, end);
}

/* Would a reader take this copy? Magic, size and checksum. */
static bool valid(const uint8_t *copy, uint32_t size, bool second)
{
	static const uint8_t zero[CSUM_SIZE];
	const struct lk_slice part[3] = {
	    {copy, OFF_CSUM},
	    {zero, CSUM_SIZE},
	    {copy + OFF_CSUM + CSUM_SIZE, size - OFF_CSUM - CSUM_SIZE},
	};
	const uint8_t length[8] = {0, 0, 0, 0, (uint8_t)(size >> 24), (uint8_t)(size >> 16),
	    (uint8_t)(size >> 8), (uint8_t)size};
	uint8_t sum[32];
	struct lk_err e = {0};

	return memcmp(copy, second ? "SKUL\xba\xbe" : "LUKS\xba\xbe", 6) == 0 &&
	       memcmp(copy + 8, length, sizeof(length)) == 0 &&
	       lk_hash(LK_SHA256, part, 3, sum, &e) == LK_OK &&
	       memcmp(sum, copy + OFF_CSUM, sizeof(sum)) == 0;
}

/* ---- keeping */

enum lk_code lk_header_keep(struct lk_header *h, int fd, struct lk_err *e)
{
	h->area = h->now.area;
	h->copy = h->now.size;
	LK_BUG_ON(h->copy > COPY_MAX || h->copy <= BIN_SIZE);
	if (h->area < 2 * h->copy || h->area > AREA_MAX)
		return lk_fail(
		    e, LK_ELUKS, "the LUKS2 header does not say how large its key slots are");
	/* Not the heap, which we do not have, and not counted as locked memory. */
	h->before = memfd_create("header", MFD_CLOEXEC);
	if (h->before < 0)
		return lk_fail_sys(e, errno, "memory for the LUKS2 header");
	for (uint32_t at = 0; at < h->area; at += COPY_MAX) {
		const uint32_t left = h->area - at, n = left < COPY_MAX ? left : COPY_MAX;

		if (get(fd, is, n, at, e) != LK_OK || put(h->before, is, n, at, e) != LK_OK)
			return e->code;
	}
	if (get(h->before, was, h->copy, 0, e) != LK_OK ||
	    get(h->before, is, h->copy, h->copy, e) != LK_OK)
		return e->code;
	h->sound = valid(was, h->copy, false) && valid(is, h->copy, true) &&
		   lk_slice_eq(text_of(was, h->copy), text_of(is, h->copy));
	return LK_OK;
}

/* ---- cryptsetup's lock */

/* An image file is locked itself, a device by a file in a folder that cryptsetup has made, and that
 * it removes when it is the last: then it must be opened again. */
LK_CHECK static enum lk_code try_lock(int fd, const char *path, int *lock, struct lk_err *e)
{
	struct stat mine, there;

	*lock = path[0] == '\0' ? fcntl(fd, F_DUPFD_CLOEXEC, 3)
				: open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (*lock < 0)
		return errno == ENOENT ? LK_OK : lk_fail_sys(e, errno, "lock of the LUKS2 header");
	enum lk_code rc = LK_OK;
	if (flock(*lock, LOCK_EX | LOCK_NB) != 0)
		rc = lk_fail_sys(e, errno, "lock of the LUKS2 header");
	else if (path[0] != '\0' && (fstat(*lock, &mine) != 0 || stat(path, &there) != 0 ||
					mine.st_ino != there.st_ino))
		rc = lk_fail(e, LK_ESYS, "lock of the LUKS2 header: it went away");
	if (rc != LK_OK)
		lk_close(lock);
	return rc;
}

LK_CHECK static enum lk_code take_lock(int fd, int *lock, struct lk_err *e)
{
	const lk_time end = lk_deadline_in(LOCK_MS);
	char path[64] = "";
	struct stat st;

	if (fstat(fd, &st) != 0)
		return lk_fail_sys(e, errno, "lock of the LUKS2 header");
	if (S_ISBLK(st.st_mode))
		lk_fmt(path, sizeof(path), "/run/cryptsetup/L_%u:%u", major(st.st_rdev),
		    minor(st.st_rdev));
	for (;;) {
		struct lk_err late = {0};

		enum lk_code rc = try_lock(fd, path, lock, e);
		if (rc == LK_OK || lk_sleep(20, end, &late) != LK_OK)
			return rc;
	}
}

/* ---- putting back */

/* The key slots: blocks that differ, in runs. */
LK_CHECK static enum lk_code restore_slots(struct lk_header *h, int fd, struct lk_err *e)
{
	for (uint32_t at = 2 * h->copy; at < h->area; at += COPY_MAX) {
		const uint32_t left = h->area - at, n = left < COPY_MAX ? left : COPY_MAX;

		if (get(h->before, was, n, at, e) != LK_OK || get(fd, is, n, at, e) != LK_OK)
			return e->code;
		for (uint32_t b = 0; b < n; b += BLOCK) {
			const uint32_t size = n - b < BLOCK ? n - b : BLOCK;

			if (memcmp(was + b, is + b, size) != 0 &&
			    put(fd, was + b, size, at + b, e) != LK_OK)
				return e->code;
		}
	}
	return sync_now(fd, e);
}

LK_CHECK static enum lk_code restore_copy(
    struct lk_header *h, int fd, uint32_t at, struct lk_err *e)
{
	if (get(h->before, was, h->copy, at, e) != LK_OK || get(fd, is, h->copy, at, e) != LK_OK)
		return e->code;
	if (memcmp(was, is, h->copy) == 0)
		return LK_OK;
	if (put(fd, was, h->copy, at, e) != LK_OK)
		return e->code;
	return sync_now(fd, e);
}

/* Both copies are valid and say what they said. */
LK_CHECK static enum lk_code as_before(struct lk_header *h, int fd, bool *same, struct lk_err *e)
{
	*same = true;
	for (uint32_t i = 0; i < 2; i++) {
		const uint32_t at = i * h->copy;

		if (get(h->before, was, h->copy, at, e) != LK_OK ||
		    get(fd, is, h->copy, at, e) != LK_OK)
			return e->code;
		*same = *same && valid(is, h->copy, i == 1) &&
			lk_slice_eq(text_of(was, h->copy), text_of(is, h->copy));
	}
	return LK_OK;
}

LK_CHECK static enum lk_code read_back(struct lk_header *h, int fd, struct lk_err *e)
{
	/* From the device, not from what was just written. */
	(void)posix_fadvise(fd, 0, (off_t)h->area, POSIX_FADV_DONTNEED);
	for (uint32_t at = 0; at < h->area; at += COPY_MAX) {
		const uint32_t left = h->area - at, n = left < COPY_MAX ? left : COPY_MAX;

		if (get(h->before, was, n, at, e) != LK_OK || get(fd, is, n, at, e) != LK_OK)
			return e->code;
		if (memcmp(was, is, n) == 0)
			continue;
		(void)lk_fail(e, LK_ELUKS,
		    "the LUKS2 header was written back, but reads differently near byte %u",
		    (unsigned)at);
		return lk_hint(e,
		    "look for errors of the device in the kernel's log, and keep a copy: "
		    "cryptsetup luksHeaderBackup");
	}
	return LK_OK;
}

LK_CHECK static enum lk_code restore(struct lk_header *h, int fd, bool *theirs, struct lk_err *e)
{
	bool same = false;

	if (as_before(h, fd, &same, e) != LK_OK)
		return e->code;
	*theirs = !same;
	if (!same)
		return LK_OK;
	if (restore_slots(h, fd, e) != LK_OK || restore_copy(h, fd, 0, e) != LK_OK ||
	    restore_copy(h, fd, h->copy, e) != LK_OK)
		return e->code;
	return read_back(h, fd, e);
}

enum lk_code lk_header_restore(struct lk_header *h, bool *theirs, struct lk_err *e)
{
	int lock = -1, fd = open(h->device, O_RDWR | O_CLOEXEC);

	*theirs = false;
	if (fd < 0)
		return lk_fail_sys(e, errno, "writing the LUKS2 header back");
	enum lk_code rc = take_lock(fd, &lock, e);
	if (rc == LK_OK)
		rc = restore(h, fd, theirs, e);
	lk_close(&lock);
	lk_close(&fd);
	return rc;
}
