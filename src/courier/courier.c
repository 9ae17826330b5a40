/* The keeper's side of a courier: start, restart, stop, ask, wait. The contract is in lk/courier.h.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lk/io.h"
#include "lk/log.h"
#include "serve.h"
#include "shut_in.h"

#define STOP_MS   100
#define GRACE_MS  250 /* the courier ends this much earlier, to say why */
#define CHATS_MAX 256 /* log and step frames between a question and its answer */

const char *lk_peer_name(enum lk_peer p)
{
	static const char *const name[LK_PEERS] = {"imds", "attestation", "vault", "kds", "disk"};

	return p < LK_PEERS ? name[p] : "unknown";
}

_Noreturn static void child(const struct lk_courier_conf *outer, int fd, pid_t keeper)
{
	static int (*const serve[LK_PEERS])(int, const struct lk_courier_conf *) = {
	    lk_serve_imds, lk_serve_maa, lk_serve_vault, lk_serve_kds, lk_serve_disk};
	struct lk_courier_conf conf = *outer;
	const int grace = lk_left(conf.deadline) / 10;
	struct lk_err e;

	memset(&e, 0, sizeof(e));
	if (lk_courier_descriptors(fd, conf.disk_fd) != 0)
		_exit(LK_SERVE_CONFINED);
	conf.deadline -= grace < GRACE_MS ? grace : GRACE_MS;
	conf.disk_fd = conf.disk_fd >= 0 ? LK_COURIER_DISK_FD : -1;
	lk_serve_log(LK_COURIER_FD, conf.peer);
	if (lk_courier_shut_in(conf.peer, keeper, &e) != LK_OK || lk_crypto_start(&e) != LK_OK) {
		lk_log_err(LK_LOG_ERR, &e);
		_exit(LK_SERVE_CONFINED);
	}
	_exit(serve[conf.peer](LK_COURIER_FD, &conf));
}

enum lk_code lk_courier_start(
    const struct lk_courier_conf *conf, struct lk_courier *out, struct lk_err *e)
{
	const pid_t keeper = getpid();
	int pair[2];

	LK_BUG_ON(conf->peer >= LK_PEERS);
	memset(out, 0, sizeof(*out));
	out->conf = *conf;
	out->fd = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return lk_fail_sys(e, errno, "socketpair");
	/* there are no threads, and no handlers of pthread_atfork() */
	pid_t pid = _Fork();
	if (pid == 0)
		child(conf, pair[1], keeper);
	int err = errno;
	lk_close(&pair[1]);
	if (pid < 0) {
		lk_close(&pair[0]);
		return lk_fail_sys(e, err, "starting the %s courier", lk_peer_name(conf->peer));
	}
	out->fd = pair[0];
	out->pid = pid;
	return LK_OK;
}

/* Reap for at most ms; *status only means something when true. */
static bool reap(pid_t pid, int ms, int *status)
{
	const lk_time until = lk_deadline_in(ms);
	struct lk_err e;

	for (;;) {
		pid_t got = waitpid(pid, status, WNOHANG);

		if (got == pid || (got < 0 && errno != EINTR))
			return got == pid;
		memset(&e, 0, sizeof(e));
		if (lk_sleep(1, until, &e) != LK_OK)
			return false;
	}
}

static bool stop(struct lk_courier *c, int *status)
{
	bool known = false;

	lk_close(&c->fd);
	if (c->pid > 0) {
		known = reap(c->pid, STOP_MS, status);
		if (!known) {
			/* Without CAP_KILL another identity cannot be signalled; then it is left to
			 * its parent-death signal rather than waited for. */
			(void)kill(c->pid, SIGKILL);
			(void)reap(c->pid, STOP_MS, status);
		}
	}
	c->pid = 0;
	return known;
}

void lk_courier_stop(struct lk_courier *c)
{
	int status = 0;

	(void)stop(c, &status);
}

enum lk_code lk_courier_restart(struct lk_courier *c, struct lk_err *e)
{
	const struct lk_courier_conf conf = c->conf;

	lk_courier_stop(c);
	return lk_courier_start(&conf, c, e);
}

/* The courier closed its end without being told to. */
static enum lk_code died(struct lk_courier *c, struct lk_err *e)
{
	const char *name = lk_peer_name(c->conf.peer);
	int status = 0;

	memset(e, 0, sizeof(*e));
	if (!stop(c, &status))
		(void)lk_fail(e, LK_EBUG, "the %s courier closed its socket", name);
	else if (WIFSIGNALED(status))
		(void)lk_fail(
		    e, LK_EBUG, "the %s courier died of signal %d", name, WTERMSIG(status));
	else if (WEXITSTATUS(status) == LK_SERVE_CONFINED)
		return lk_fail(e, LK_ESYS, "the %s courier could not be shut in", name);
	else
		(void)lk_fail(
		    e, LK_EBUG, "the %s courier ended with status %d", name, WEXITSTATUS(status));
	return lk_err_retry(e);
}

/* Nothing more can be understood of this courier. An end of file between two frames, or a reset, is
 * its death; anything else keeps its own message. */
static enum lk_code broken(struct lk_courier *c, struct lk_err *e)
{
	if (e->code == LK_EABSENT || e->code == LK_ENET)
		return died(c, e);
	lk_courier_stop(c);
	return lk_err_prefix(e, "the %s courier", lk_peer_name(c->conf.peer));
}

static enum lk_code not_running(const struct lk_courier *c, struct lk_err *e)
{
	(void)lk_fail(e, LK_EBUG, "the %s courier is not running", lk_peer_name(c->conf.peer));
	return lk_err_retry(e);
}

enum lk_code lk_courier_ask(
    struct lk_courier *c, enum lk_frame type, const struct lk_buf *payload, struct lk_err *e)
{
	if (c->fd < 0)
		return not_running(c, e);
	enum lk_code rc = lk_frame_send(c->fd, type, payload, c->conf.deadline, e);
	if (rc == LK_ENET)
		return died(c, e);
	return rc;
}

static enum lk_code take_step(struct lk_courier *c, struct lk_frame_reader *r, struct lk_err *e)
{
	char name[24];

	lk_frame_take_cstr(r, name, sizeof(name));
	uint32_t ms = lk_frame_take_u32(r);
	enum lk_code rc = lk_frame_done(r, "step", e);
	if (rc != LK_OK)
		return rc;
	if (!strcmp(name, LK_STEP_CONNECT))
		c->connect_ms = ms;
	else if (!strcmp(name, LK_STEP_TLS))
		c->tls_ms = ms;
	else if (!strcmp(name, LK_STEP_EXCHANGE))
		c->exchange_ms = ms;
	return LK_OK;
}

static enum lk_code take_log(struct lk_courier *c, struct lk_frame_reader *r, struct lk_err *e)
{
	static const enum lk_level known[] = {LK_LOG_ERR, LK_LOG_WARN, LK_LOG_INFO, LK_LOG_DEBUG};
	uint32_t level = lk_frame_take_u32(r);
	char line[LK_SERVE_LINE];

	lk_frame_take_cstr(r, line, sizeof(line));
	enum lk_code rc = lk_frame_done(r, "log", e);
	if (rc != LK_OK)
		return rc;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (level == (uint32_t)known[i])
			lk_log(known[i], "%s: %s", lk_peer_name(c->conf.peer), line);
	return LK_OK;
}

/* The courier's error as ours. What it says is checked like everything else that it sends. */
static enum lk_code take_error(struct lk_courier *c, struct lk_frame_reader *r, struct lk_err *e)
{
	struct lk_err got;

	memset(&got, 0, sizeof(got));
	const uint32_t code = lk_frame_take_u32(r);
	const uint32_t retry = lk_frame_take_u32(r);
	const uint32_t sys = lk_frame_take_u32(r);
	const uint32_t http = lk_frame_take_u32(r);
	got.lib = lk_frame_take_u32(r);
	got.wait_s = lk_frame_take_u32(r);
	lk_frame_take_cstr(r, got.msg, sizeof(got.msg));
	lk_frame_take_cstr(r, got.hint, sizeof(got.hint));
	enum lk_code rc = lk_frame_done(r, "error", e);
	if (rc == LK_OK &&
	    (code == LK_OK || code > LK_EBUG || retry > 1 || sys > 4095 || http > 599))
		rc = lk_fail(e, LK_EPROTO, "error: a frame with a value out of range");
	if (rc != LK_OK)
		return broken(c, e);
	got.code = (enum lk_code)code;
	got.retry = retry == 1;
	got.sys = (int)sys;
	got.http = (uint16_t)http;
	if (got.wait_s > 300)
		got.wait_s = 300;
	*e = got;
	return got.code;
}

enum lk_code lk_courier_wait(struct lk_courier *c, enum lk_frame want, struct lk_buf *store,
    struct lk_frame_reader *out, struct lk_err *e)
{
	const size_t mark = store->n;

	if (c->fd < 0)
		return not_running(c, e);
	for (unsigned chats = 0; chats < CHATS_MAX; chats++) {
		enum lk_frame type;

		store->n = mark;
		enum lk_code rc = lk_frame_recv(c->fd, store, &type, out, c->conf.deadline, e);
		if (rc == LK_ETIME)
			return lk_err_prefix(e, "the %s courier", lk_peer_name(c->conf.peer));
		if (rc == LK_OK && type == want)
			return LK_OK;
		if (rc == LK_OK && type == LK_F_ERROR)
			return take_error(c, out, e);
		if (rc == LK_OK && type == LK_F_LOG)
			rc = take_log(c, out, e);
		else if (rc == LK_OK && type == LK_F_STEP)
			rc = take_step(c, out, e);
		else if (rc == LK_OK)
			rc = lk_fail(e, LK_EPROTO, "answered with type %d instead of %d", (int)type,
			    (int)want);
		if (rc != LK_OK)
			return broken(c, e);
	}
	(void)lk_fail(e, LK_EPROTO, "talks without answering");
	return broken(c, e);
}
