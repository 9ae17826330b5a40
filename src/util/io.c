/* Descriptors under a deadline. Blocking and non-blocking ones are served alike: wait with poll,
 * then move only what does not block. */
#include "lk/io.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The C library's signal() would bring in all of its signal handling. The kernel's structure: the
 * handler, flags, how to return from a handler, and the mask. */
void lk_sigpipe(bool deadly)
{
	const uint64_t action[4] = {(uintptr_t)(deadly ? SIG_DFL : SIG_IGN)};

	(void)syscall(SYS_rt_sigaction, SIGPIPE, action, NULL, sizeof(action[3]));
}

#define PIPE_PAGE 4096 /* a pipe that polls writable takes this much at once (pipe(7)) */

/* What a broken connection looks like is the network's fault, and worth another try. */
static enum lk_code fail_io(struct lk_err *e, int err, const char *what)
{
	enum lk_code code = lk_fail_sys(e, err, "%s", what);

	switch (err) {
	case EAGAIN:
		return lk_fail(e, LK_ETIME, "time is up: %s did not move", what);
	case ECONNRESET:
	case ECONNABORTED:
	case ECONNREFUSED:
	case EPIPE:
	case ETIMEDOUT:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTUNREACH:
		e->code = LK_ENET;
		return lk_err_retry(e);
	default:
		return code;
	}
}

/* May the call be repeated? Also a descriptor that is always ready and never serves must meet the
 * deadline. */
static bool is_again(int err, lk_time deadline)
{
	return err == EINTR || (err == EAGAIN && lk_left(deadline) > 0);
}

enum lk_code lk_wait_fd(int fd, short events, lk_time deadline, struct lk_err *e)
{
	struct pollfd p = {.fd = fd, .events = events};

	/* At least one look, so that a deadline of now means: is it ready? */
	for (;;) {
		int n = poll(&p, 1, lk_left(deadline));

		if (n > 0)
			break;
		if (n < 0 && errno != EINTR)
			return lk_fail_sys(e, errno, "poll");
		if (lk_left(deadline) == 0)
			return lk_fail(e, LK_ETIME, "time is up while waiting to %s",
			    events & POLLOUT ? "write" : "read");
	}
	if (p.revents & POLLNVAL)
		return lk_fail_sys(e, EBADF, "poll");
	/* POLLERR and POLLHUP are ready, too: the call that follows says what it is. */
	return LK_OK;
}

enum lk_code lk_read_some(
    int fd, void *p, size_t cap, lk_time deadline, size_t *got, struct lk_err *e)
{
	enum lk_code code;
	ssize_t n;

	*got = 0;
	if (!cap)
		/* A read of nothing would look like the end of the file. */
		return lk_fail(e, LK_ELIMIT, "no room left to read into");
	do {
		code = lk_wait_fd(fd, POLLIN, deadline, e);
		if (code)
			return code;
		n = read(fd, p, cap);
	} while (n < 0 && is_again(errno, deadline));
	if (n < 0)
		return fail_io(e, errno, "read");
	*got = (size_t)n;
	return LK_OK;
}

enum lk_code lk_read_full(int fd, void *p, size_t n, lk_time deadline, struct lk_err *e)
{
	uint8_t *at = p;

	while (n) {
		size_t got;
		enum lk_code code = lk_read_some(fd, at, n, deadline, &got, e);

		if (code)
			return code;
		if (!got)
			return lk_fail(e, LK_EPROTO, "end of file, %zu bytes early", n);
		at += got;
		n -= got;
	}
	return LK_OK;
}

enum lk_code lk_read_all(int fd, struct lk_buf *out, lk_time deadline, struct lk_err *e)
{
	for (;;) {
		size_t room = out->bad ? 0 : out->cap - out->n, got;
		uint8_t extra;
		enum lk_code code = room
					? lk_read_some(fd, out->p + out->n, room, deadline, &got, e)
					: lk_read_some(fd, &extra, 1, deadline, &got, e);

		if (code)
			return code;
		if (!got)
			return out->bad ? lk_fail(e, LK_ELIMIT, "buffer had overflowed") : LK_OK;
		if (!room)
			return lk_fail(e, LK_ELIMIT, "more than %zu bytes", out->cap);
		out->n += got;
	}
}

/* MSG_DONTWAIT and the page: a blocking descriptor must not hold us past the deadline. */
static ssize_t write_once(int fd, const uint8_t *p, size_t n, bool *is_socket)
{
	if (*is_socket) {
		ssize_t done = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (done >= 0 || errno != ENOTSOCK)
			return done;
		*is_socket = false;
	}
	return write(fd, p, n < PIPE_PAGE ? n : PIPE_PAGE);
}

enum lk_code lk_write_full(int fd, const void *p, size_t n, lk_time deadline, struct lk_err *e)
{
	const uint8_t *at = p;
	bool is_socket = true;

	while (n) {
		ssize_t done;
		enum lk_code code = lk_wait_fd(fd, POLLOUT, deadline, e);

		if (code)
			return code;
		done = write_once(fd, at, n, &is_socket);
		if (done < 0 && is_again(errno, deadline))
			continue;
		if (done < 0)
			return fail_io(e, errno, "write");
		at += (size_t)done;
		n -= (size_t)done;
	}
	return LK_OK;
}

void lk_close(int *fd)
{
	int keep = errno;

	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
	errno = keep;
}
