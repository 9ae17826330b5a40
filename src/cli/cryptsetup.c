/* cryptsetup.c - see lk/cryptsetup.h. */
#include "lk/cryptsetup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lk/fmt.h"
#include "lk/io.h"
#include "lk/log.h"

#define MESSAGE_MAX 512
#define CS_NO_SLOT  2 /* exit status */

struct child {
	pid_t pid;
	int in[2]; /* ends that the child reads */
	int out;   /* we read its stdout here */
	int err;   /* and its stderr here */
};

static const char *find_program(const char *given)
{
	static const char *const places[] = {
	    "/usr/sbin/cryptsetup", "/sbin/cryptsetup", "/usr/bin/cryptsetup", NULL};

	if (given != NULL && given[0] != '\0')
		return given;
	for (size_t i = 0; places[i] != NULL; i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return places[0];
}

/* The whole input fits into the pipe's own buffer, so it is written before anybody reads. */
LK_CHECK static enum lk_code filled_pipe(struct lk_slice data, int *end, struct lk_err *e)
{
	int p[2];
	ssize_t done;

	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) != 0)
		return lk_fail_sys(e, errno, "cryptsetup: cannot make a pipe");
	done = data.n == 0 ? 0 : write(p[1], data.p, data.n);
	if (done < 0 || (size_t)done != data.n) {
		int err = done < 0 ? errno : ENOBUFS;
		close(p[0]);
		close(p[1]);
		return lk_fail_sys(e, err, "cryptsetup: cannot fill a pipe");
	}
	close(p[1]);
	if (fcntl(p[0], F_SETFL, 0) != 0) {
		int err = errno;
		close(p[0]);
		return lk_fail_sys(e, err, "cryptsetup: cannot set up a pipe");
	}
	*end = p[0];
	return LK_OK;
}

static void child_dup(int from, int to)
{
	/* dup2 onto itself would keep close-on-exec */
	if (from == to ? fcntl(from, F_SETFD, 0) != 0 : dup2(from, to) < 0)
		_exit(126);
}

/* Async-signal-safe only: the parent may hold locks of the C library. */
_Noreturn static void child_exec(
    const char *program, const struct lk_cs_call *call, const struct child *c, int out, int err)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", lang[] = "LC_ALL=C";
	static char *env[] = {path, lang, NULL};
	const char *argv[24];
	size_t n = 0;
	int high[4] = {c->in[0], c->in[1], out, err};

	/* Move everything above the targets first, so that no dup2 below hits a source. */
	for (size_t i = 0; i < 4; i++) {
		high[i] = fcntl(high[i], F_DUPFD_CLOEXEC, 10);
		if (high[i] < 0)
			_exit(126);
	}
	child_dup(high[0], 0);
	child_dup(high[2], 1);
	child_dup(high[3], 2);
	child_dup(high[1], 3);
	argv[n++] = "cryptsetup";
	for (size_t i = 0; call->argv[i] != NULL && n < 23; i++)
		argv[n++] = call->argv[i];
	argv[n] = NULL;
	lk_sigpipe(true);
	execve(program, (char *const *)(uintptr_t)argv, env);
	_exit(127);
}

LK_CHECK static enum lk_code start(
    const char *program, const struct lk_cs_call *call, struct child *c, struct lk_err *e)
{
	int out[2] = {-1, -1}, err[2] = {-1, -1};

	*c = (struct child){.pid = -1, .in = {-1, -1}, .out = -1, .err = -1};
	if (filled_pipe(call->input[0], &c->in[0], e) != LK_OK ||
	    filled_pipe(call->input[1], &c->in[1], e) != LK_OK)
		goto fail;
	if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) {
		(void)lk_fail_sys(e, errno, "cryptsetup: cannot make a pipe");
		goto fail;
	}
	c->pid = _Fork();
	if (c->pid < 0) {
		(void)lk_fail_sys(e, errno, "cryptsetup: cannot start a process");
		goto fail;
	}
	if (c->pid == 0)
		child_exec(program, call, c, out[1], err[1]);
	lk_close(&c->in[0]);
	lk_close(&c->in[1]);
	lk_close(&out[1]);
	lk_close(&err[1]);
	c->out = out[0];
	c->err = err[0];
	return LK_OK;
fail:
	lk_close(&c->in[0]);
	lk_close(&c->in[1]);
	lk_close(&out[0]);
	lk_close(&out[1]);
	lk_close(&err[0]);
	lk_close(&err[1]);
	return e->code;
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

LK_CHECK static enum lk_code collect(
    struct child *c, const struct lk_cs_call *call, struct lk_buf *message, struct lk_err *e)
{
	while (c->out >= 0 || c->err >= 0) {
		struct pollfd p[2] = {{c->out, POLLIN, 0}, {c->err, POLLIN, 0}};
		int left = lk_left(call->deadline);

		if (left == 0)
			return lk_fail(e, LK_ETIME, "cryptsetup: not done when the time was up");
		if (poll(p, 2, left) < 0 && errno != EINTR)
			return lk_fail_sys(e, errno, "cryptsetup: poll");
		if (c->out >= 0 && p[0].revents != 0)
			keep(&c->out, call->out);
		if (c->err >= 0 && p[1].revents != 0)
			keep(&c->err, message);
	}
	return LK_OK;
}

static const char *status_meaning(int status)
{
	switch (status) {
	case 1:
		return "wrong parameters, or not a LUKS2 device";
	case CS_NO_SLOT:
		return "no key slot opens with this key";
	case 3:
		return "out of memory";
	case 4:
		return "no such device, or no access to it";
	case 5:
		return "the device exists already or is busy";
	case 127:
		return "the program cannot be run";
	default:
		return "unexpected exit status";
	}
}

LK_CHECK static enum lk_code verdict(
    int status, const char *verb, const struct lk_buf *message, struct lk_err *e)
{
	uint8_t text[200];
	struct lk_buf clean = LK_BUF(text);

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return LK_OK;
	lk_log_printable(&clean, lk_slice_buf(message), sizeof(text) - 1);
	if (WIFSIGNALED(status))
		return lk_fail(
		    e, LK_ELUKS, "cryptsetup %s: killed by signal %d", verb, WTERMSIG(status));
	(void)lk_fail(e, LK_ELUKS, "cryptsetup %s: %s (exit %d)%s%.*s", verb,
	    status_meaning(WEXITSTATUS(status)), WEXITSTATUS(status), clean.n > 0 ? ": " : "",
	    (int)clean.n, (const char *)clean.p);
	if (WEXITSTATUS(status) == CS_NO_SLOT && lk_slice_eq_str(lk_slice_str(verb), "open"))
		return lk_hint(e,
		    "use the passphrase and bind the volume again; with kind compat, the vault may "
		    "now encode the private exponent of the same key in another way");
	return e->code;
}

enum lk_code lk_cs_run(const struct lk_cs_call *call, struct lk_err *e)
{
	const char *program = find_program(call->program);
	uint8_t store[MESSAGE_MAX];
	struct lk_buf message = LK_BUF(store);
	struct child c;
	int status = 0;

	if (access(program, X_OK) != 0) {
		(void)lk_fail_sys(e, errno, "%s", program);
		return lk_hint(e, "install cryptsetup (in an initramfs: add it to the image)");
	}
	if (start(program, call, &c, e) != LK_OK)
		return e->code;
	if (collect(&c, call, &message, e) != LK_OK) {
		kill(c.pid, SIGKILL);
		(void)waitpid(c.pid, &status, 0);
		lk_close(&c.out);
		lk_close(&c.err);
		return e->code;
	}
	while (waitpid(c.pid, &status, 0) < 0)
		if (errno != EINTR)
			return lk_fail_sys(e, errno, "cryptsetup: wait");
	return verdict(status, call->argv[0], &message, e);
}

LK_CHECK static enum lk_code open_slot(const char *program, const char *device, const char *name,
    uint32_t slot, struct lk_slice key, lk_time deadline, struct lk_err *e)
{
	char number[12];
	const char *argv[] = {"open", "--type", "luks2", "--batch-mode", "--tries", "1",
	    "--key-slot", number, "--key-file", "-", device, name, NULL};
	struct lk_cs_call call = {program, argv, {key, {NULL, 0}}, NULL, deadline};

	if (name == NULL)
		argv[11] = "--test-passphrase";
	lk_fmt(number, sizeof(number), "%u", (unsigned)slot);
	return lk_cs_run(&call, e) == LK_OK ? LK_OK : lk_err_prefix(e, "key slot %s", number);
}

enum lk_code lk_cs_open(const char *program, const char *device, const char *name, uint32_t slot,
    struct lk_slice key, lk_time deadline, struct lk_err *e)
{
	return open_slot(program, device, name, slot, key, deadline, e);
}

enum lk_code lk_cs_test(const char *program, const char *device, uint32_t slot, struct lk_slice key,
    lk_time deadline, struct lk_err *e)
{
	return open_slot(program, device, NULL, slot, key, deadline, e);
}
