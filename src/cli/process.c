/* process.c - see process.h. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lk/io.h"

#define FDS 4

/* The whole input fits into the pipe's own buffer, so it is written before anybody reads. */
enum lk_code lk_process_pipe(const char *name, struct lk_slice data, int *end, struct lk_err *e)
{
	int p[2] = {-1, -1}, err = ENOBUFS; /* for a write cut short */
	ssize_t done = 0;

	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) != 0 ||
	    (data.n > 0 && (done = write(p[1], data.p, data.n)) < 0) ||
	    fcntl(p[0], F_SETFL, 0) != 0)
		err = errno;
	else if ((size_t)done == data.n)
		err = 0;
	lk_close(&p[1]);
	if (err != 0) {
		lk_close(&p[0]);
		return lk_fail_sys(e, err, "%s: pipe", name);
	}
	*end = p[0];
	return LK_OK;
}

/* Async-signal-safe only: the parent may hold locks of the C library. */
_Noreturn static void child_exec(
    const char *program, const char *const *argv, const int fds[static FDS])
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", lang[] = "LC_ALL=C";
	static char *env[] = {path, lang, NULL};
	int high[FDS];

	/* Move everything above the targets first, so that no dup2 below hits a source. */
	for (int i = 0; i < FDS; i++) {
		high[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, 10);
		if (fds[i] >= 0 && high[i] < 0)
			_exit(126);
	}
	for (int i = 0; i < FDS; i++)
		if (high[i] >= 0 ? dup2(high[i], i) < 0 : close(i) != 0 && errno != EBADF)
			_exit(126);
	lk_sigpipe(true);
	execve(program, (char *const *)(uintptr_t)argv, env);
	_exit(127);
}

enum lk_code lk_process_start(const char *program, const char *const *argv,
    const int fds[static FDS], pid_t *pid, struct lk_err *e)
{
	*pid = _Fork();
	if (*pid < 0)
		return lk_fail_sys(e, errno, "%s: cannot start a process", argv[0]);
	if (*pid == 0)
		child_exec(program, argv, fds);
	return LK_OK;
}

/* Keep what fits; a child that says more is still read to the end so that it never blocks. */
static void keep(int *fd, struct lk_buf *to)
{
	uint8_t chunk[512];
	ssize_t n = read(*fd, chunk, sizeof(chunk));

	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0) {
		lk_close(fd);
		return;
	}
	if (to != NULL) {
		size_t room = to->cap - to->n;
		lk_buf_put(to, chunk, (size_t)n < room ? (size_t)n : room);
	}
}

enum lk_code lk_process_hear(
    const char *name, struct lk_process_says *s, lk_time deadline, struct lk_err *e)
{
	while (s->out >= 0 || s->err >= 0) {
		struct pollfd p[2] = {{s->out, POLLIN, 0}, {s->err, POLLIN, 0}};
		int left = lk_left(deadline);

		if (left == 0)
			return lk_fail(e, LK_ETIME, "%s: not done when the time was up", name);
		if (poll(p, 2, left) < 0 && errno != EINTR)
			return lk_fail_sys(e, errno, "%s: poll", name);
		if (s->out >= 0 && p[0].revents != 0)
			keep(&s->out, s->to_out);
		if (s->err >= 0 && p[1].revents != 0)
			keep(&s->err, s->to_err);
	}
	return LK_OK;
}

enum lk_code lk_process_wait(const char *name, pid_t pid, int *status, struct lk_err *e)
{
	while (waitpid(pid, status, 0) < 0)
		if (errno != EINTR)
			return lk_fail_sys(e, errno, "%s: wait", name);
	return LK_OK;
}
