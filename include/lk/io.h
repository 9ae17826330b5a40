/* lk/io.h - whole reads and writes on descriptors, under a deadline; small files. EINTR is handled
 * here. */
#ifndef LK_IO_H
#define LK_IO_H

#include "lk/clock.h"
#include "lk/slice.h"

/* Exactly n bytes. End of file before: LK_EPROTO. */
LK_CHECK enum lk_code lk_read_full(int fd, void *p, size_t n, lk_time deadline, struct lk_err *e);
/* At least one byte or end of file (*got == 0). */
LK_CHECK enum lk_code lk_read_some(
    int fd, void *p, size_t cap, lk_time deadline, size_t *got, struct lk_err *e);
/* To the end of file, at most what fits into out; more: LK_ELIMIT. */
LK_CHECK enum lk_code lk_read_all(int fd, struct lk_buf *out, lk_time deadline, struct lk_err *e);
/* SIGPIPE of this process: ignored, or deadly again before another program takes its place. */
void lk_sigpipe(bool deadly);
/* Sockets are written with MSG_NOSIGNAL; a pipe's SIGPIPE must be ignored by the program. */
LK_CHECK enum lk_code lk_write_full(
    int fd, const void *p, size_t n, lk_time deadline, struct lk_err *e);
/* Wait for readiness (POLLIN or POLLOUT). LK_ETIME. */
LK_CHECK enum lk_code lk_wait_fd(int fd, short events, lk_time deadline, struct lk_err *e);

/* A regular file or a device node's content up to the room in out. Absent: LK_EABSENT. Larger:
 * LK_ELIMIT. */
LK_CHECK enum lk_code lk_file_read(const char *path, struct lk_buf *out, struct lk_err *e);
/* Write to a temporary name in the same folder, fsync, rename, fsync the folder. */
LK_CHECK enum lk_code lk_file_replace(
    const char *path, struct lk_slice data, unsigned mode, struct lk_err *e);
/* Remove and fsync the folder. That it is not there is no failure. */
LK_CHECK enum lk_code lk_file_remove(const char *path, struct lk_err *e);
void lk_close(int *fd); /* closes when >= 0, sets to -1 */

#endif
