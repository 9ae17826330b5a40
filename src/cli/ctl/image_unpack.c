/* image_unpack.c - run the system's decompressor and take its output apart; see image.h.
 *
 * No shell, no PATH, a short environment. Data goes in and comes out in pieces, so that nothing
 * but the archive's small files is ever held.
 */
#include "image.h"

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
#include "process.h"

#define MESSAGE_MAX 300

struct child {
	pid_t pid;
	int in, out, err; /* our ends */
};

/* What to run; lzma is a matter of xz. */
static const char *const arguments[LK_PACK_KINDS][4] = {
    [LK_PACK_GZIP] = {"gzip", "-dc", NULL},
    [LK_PACK_BZIP2] = {"bzip2", "-dc", NULL},
    [LK_PACK_XZ] = {"xz", "-dc", "--single-stream", NULL},
    [LK_PACK_LZMA] = {"xz", "-dc", "--format=lzma", NULL},
    [LK_PACK_LZO] = {"lzop", "-dc", NULL},
    [LK_PACK_LZ4] = {"lz4", "-dc", NULL},
    [LK_PACK_ZSTD] = {"zstd", "-dcq", NULL},
};

LK_CHECK static enum lk_code find_program(const char *name, char path[static 40], struct lk_err *e)
{
	static const char *const folders[] = {"/usr/bin", "/bin", "/usr/local/bin"};

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		lk_fmt(path, 40, "%s/%s", folders[i], name);
		if (access(path, X_OK) == 0)
			return LK_OK;
	}
	(void)lk_fail(e, LK_ECONF, "the image is compressed with %s, which is not installed", name);
	return lk_hint(e, "install it, or check the image where it was made");
}

LK_CHECK static enum lk_code start(enum lk_packing kind, struct child *c, struct lk_err *e)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
	enum lk_code rc;
	char path[40];

	if (find_program(arguments[kind][0], path, e) != LK_OK)
		return e->code;
	if (pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0 &&
	    fcntl(in[1], F_SETFL, O_NONBLOCK) == 0)
		rc = lk_process_start(
		    path, arguments[kind], (int[]){in[0], out[1], err[1], -1}, &c->pid, e);
	else
		rc = lk_fail_sys(e, errno, "cannot start %s", path);
	lk_close(&in[0]);
	lk_close(&out[1]);
	lk_close(&err[1]);
	c->in = in[1];
	c->out = out[0];
	c->err = err[0];
	return rc;
}

static void feed(struct child *c, struct lk_slice *in)
{
	ssize_t n = in->n == 0 ? 0 : write(c->in, in->p, in->n);

	if (n > 0)
		*in = lk_slice_sub(*in, (size_t)n, in->n);
	/* One that takes no more says why by its status. */
	if (in->n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		lk_close(&c->in);
}

static void listen_to(struct child *c, struct lk_buf *message)
{
	uint8_t piece[256];
	ssize_t n = read(c->err, piece, sizeof(piece));

	if (n == 0 || (n < 0 && errno != EINTR))
		lk_close(&c->err);
	if (n > 0)
		lk_buf_put(message, piece,
		    (size_t)n < message->cap - message->n ? (size_t)n : message->cap - message->n);
}

LK_CHECK static enum lk_code drain(
    struct child *c, uint64_t *room, struct lk_cpio *to, struct lk_err *e)
{
	static uint8_t piece[65536];
	ssize_t n = read(c->out, piece, sizeof(piece));
	struct lk_slice in;

	if (n < 0 && errno == EINTR)
		return LK_OK;
	if (n <= 0) {
		lk_close(&c->out);
		return LK_OK;
	}
	if ((uint64_t)n > *room)
		return lk_fail(e, LK_ELIMIT, "the image unpacks to more than 2 GiB");
	*room -= (uint64_t)n;
	in = lk_slice_of(piece, (size_t)n);
	if (lk_cpio_feed(to, &in, e) != LK_OK)
		return e->code;
	if (in.n > 0)
		return lk_fail(e, LK_EPROTO, "there is something else than archives inside");
	return LK_OK;
}

LK_CHECK static enum lk_code pump(struct child *c, struct lk_slice in, lk_time deadline,
    uint64_t *room, struct lk_cpio *to, struct lk_buf *message, struct lk_err *e)
{
	while (c->out >= 0 || c->err >= 0) {
		struct pollfd p[3] = {
		    {c->in, POLLOUT, 0}, {c->out, POLLIN, 0}, {c->err, POLLIN, 0}};
		int left = lk_left(deadline);

		if (left == 0)
			return lk_fail(e, LK_ETIME, "unpacking the image took too long");
		if (poll(p, 3, left) < 0 && errno != EINTR)
			return lk_fail_sys(e, errno, "poll");
		if (c->in >= 0 && p[0].revents != 0)
			feed(c, &in);
		if (c->err >= 0 && p[2].revents != 0)
			listen_to(c, message);
		if (c->out >= 0 && p[1].revents != 0 && drain(c, room, to, e) != LK_OK)
			return e->code;
	}
	return LK_OK;
}

LK_CHECK static enum lk_code verdict(
    enum lk_packing kind, int status, const struct lk_buf *message, struct lk_err *e)
{
	uint8_t store[200];
	struct lk_buf text = LK_BUF(store);

	/* gzip has 2 for a warning: zeros after the end, say */
	if (WIFEXITED(status) &&
	    (WEXITSTATUS(status) == 0 || (kind == LK_PACK_GZIP && WEXITSTATUS(status) == 2)))
		return LK_OK;
	lk_log_printable(&text, lk_slice_buf(message), sizeof(store));
	if (WIFSIGNALED(status))
		return lk_fail(e, LK_EPROTO, "%s was ended by signal %d", arguments[kind][0],
		    WTERMSIG(status));
	return lk_fail(e, LK_EPROTO, "%s cannot read it (exit %d)%s%.*s", arguments[kind][0],
	    WEXITSTATUS(status), text.n > 0 ? ": " : "", (int)text.n, (const char *)text.p);
}

enum lk_code lk_image_unpack(enum lk_packing kind, struct lk_slice in, lk_time deadline,
    uint64_t *room, struct lk_cpio *to, struct lk_err *e)
{
	uint8_t store[MESSAGE_MAX];
	struct lk_buf message = LK_BUF(store);
	struct child c = {-1, -1, -1, -1};
	int status = 0;

	if (start(kind, &c, e) == LK_OK && pump(&c, in, deadline, room, to, &message, e) != LK_OK)
		kill(c.pid, SIGKILL);
	lk_close(&c.in);
	lk_close(&c.out);
	lk_close(&c.err);
	if (c.pid > 0)
		while (waitpid(c.pid, &status, 0) < 0 && errno == EINTR)
			continue;
	if (e->code != LK_OK || verdict(kind, status, &message, e) != LK_OK)
		return e->code;
	return lk_cpio_end(to, e);
}
