/* The loop that every courier runs: frames in, one request at a time, frames out. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "lk/dial.h"
#include "lk/io.h"
#include "lk/rng.h"
#include "serve.h"

#define CONNECT_MS   20000 /* one attempt to resolve, connect and shake hands */
#define EXCHANGE_MS  40000 /* one request and its answer */
#define STALE_MS     30000 /* an idle connection is not trusted longer than this */
#define TLS_TRIES    3
#define REFUSALS     3
#define PAUSE_MAX_MS 16000
#define LINK_MAX_MS  2000 /* longest pause while the network is not there */
#define ROUTE_MS     100
#define WAIT_MAX_S   60

struct lk_serve_room lk_room;

/* ---- log lines */

static struct {
	int fd;
	enum lk_peer peer;
} log_to;

static void send_line(void *ctx, enum lk_level level, const char *line)
{
	uint8_t store[LK_SERVE_LINE + 16];
	struct lk_buf b = LK_BUF(store);
	struct lk_slice text = lk_slice_str(line);
	struct lk_err e;

	(void)ctx;
	memset(&e, 0, sizeof(e));
	lk_frame_u32(&b, (uint32_t)level);
	lk_frame_field(&b, lk_slice_sub(text, 0, LK_SERVE_LINE - 1));
	/* A line that cannot be sent is lost: logging never fails its caller. */
	if (lk_frame_send(log_to.fd, LK_F_LOG, &b, lk_deadline_in(1000), &e) != LK_OK)
		return;
}

void lk_serve_log(int fd, enum lk_peer peer)
{
	log_to.fd = fd;
	log_to.peer = peer;
	lk_log_hook(send_line, NULL);
}

/* ---- answers */

enum lk_code lk_serve_reply(
    struct lk_serve *s, enum lk_frame type, const struct lk_buf *payload, struct lk_err *e)
{
	/* The keeper waits a little longer than our deadline. */
	return lk_frame_send(s->fd, type, payload, s->conf->deadline + 200, e);
}

enum lk_code lk_serve_unknown(enum lk_frame type, struct lk_err *e)
{
	return lk_fail(e, LK_EBUG, "a question of type %d for another courier", (int)type);
}

static enum lk_code send_error(struct lk_serve *s, const struct lk_err *what, struct lk_err *e)
{
	uint8_t store[sizeof(what->msg) + sizeof(what->hint) + 128];
	struct lk_buf b = LK_BUF(store);

	lk_frame_u32(&b, (uint32_t)what->code);
	lk_frame_u32(&b, what->retry);
	lk_frame_u32(&b, (uint32_t)what->sys);
	lk_frame_u32(&b, what->http);
	lk_frame_u32(&b, what->lib);
	lk_frame_u32(&b, what->wait_s);
	lk_frame_field(&b, lk_slice_str(what->msg));
	lk_frame_field(&b, lk_slice_str(what->hint));
	return lk_serve_reply(s, LK_F_ERROR, &b, e);
}

static void send_step(struct lk_serve *s, const char *name, lk_time since)
{
	uint8_t store[64];
	struct lk_buf b = LK_BUF(store);
	struct lk_err e;

	memset(&e, 0, sizeof(e));
	lk_frame_field(&b, lk_slice_str(name));
	lk_frame_u32(&b, (uint32_t)(lk_now() - since));
	if (lk_serve_reply(s, LK_F_STEP, &b, &e) != LK_OK)
		return; /* the answer that follows will meet the same failure */
}

/* ---- the connection */

static lk_time sooner(lk_time deadline, int64_t ms)
{
	const lk_time until = lk_deadline_in(ms);

	return until < deadline ? until : deadline;
}

static void drop(struct lk_serve *s)
{
	if (s->ready)
		lk_conn_close(&s->conn);
	s->ready = false;
}

/* With no way out yet, a look-up would sit out the resolver's time-out of seconds and miss the
 * moment when the network comes up. The metadata service is needed by every run, so a route to it
 * is what "up" means; connecting a datagram socket asks for the route and sends nothing. */
static enum lk_code need_route(const char *host, struct lk_err *e)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0 || inet_pton(AF_INET, LK_IMDS_HOST, &to.sin_addr) != 1 ||
	    connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0)
		err = errno;
	lk_close(&fd);
	if (err != ENETUNREACH && err != ENETDOWN)
		return LK_OK; /* whatever else it is, the real connection will tell */
	(void)lk_fail(e, LK_ENET, "cannot connect to %s: no network yet", host);
	e->sys = ENETUNREACH;
	return lk_err_retry(e);
}

static enum lk_code connect_now(struct lk_serve *s, struct lk_err *e)
{
	const struct lk_courier_conf *conf = s->conf;
	const lk_time until = sooner(conf->deadline, CONNECT_MS);
	const struct lk_roots roots = {conf->roots_pem};
	lk_time from = lk_now();

	drop(s);
	s->conn = (struct lk_conn){.fd = -1, .tls = NULL};
	enum lk_code rc = conf->roots_pem.n > 0 ? need_route(conf->host, e) : LK_OK;
	if (rc == LK_OK)
		rc = lk_dial(conf->host, conf->port, until, &s->conn.fd, e);
	if (rc != LK_OK)
		return rc;
	send_step(s, LK_STEP_CONNECT, from);
	if (conf->roots_pem.n > 0) {
		from = lk_now();
		rc = lk_tls_open(s->conn.fd, conf->host, &roots, until, &s->conn.tls, e);
		if (rc != LK_OK) {
			lk_close(&s->conn.fd);
			return rc;
		}
		send_step(s, LK_STEP_TLS, from);
	}
	s->ready = true;
	s->ready_at = lk_now();
	return LK_OK;
}

/* Has the peer hung up on the connection that waits? Readable alone says nothing: TLS 1.3 sends
 * tickets after the handshake. */
static bool is_stale(const struct lk_serve *s)
{
	struct pollfd p = {.fd = s->conn.fd, .events = POLLRDHUP};

	return lk_now() - s->ready_at > STALE_MS || poll(&p, 1, 0) > 0;
}

/* A failure of the way to the peer, not an answer of the peer. */
static bool is_transport(const struct lk_err *e)
{
	return e->http == 0 && (e->code == LK_ENET || e->code == LK_ETIME || e->code == LK_ETLS);
}

static enum lk_code exchange(
    struct lk_serve *s, const struct lk_http_req *req, struct lk_http_rsp *rsp, struct lk_err *e)
{
	bool waited = s->ready;

	if (s->ready && is_stale(s))
		drop(s);
	for (;;) {
		struct lk_buf store = LK_BUF(lk_room.response);
		enum lk_code rc = s->ready ? LK_OK : connect_now(s, e);

		if (rc != LK_OK)
			return rc;
		const lk_time from = lk_now();
		s->ready = false; /* lk_http_do closes it, whatever happens */
		rc = lk_http_do(
		    &s->conn, req, &store, rsp, sooner(s->conf->deadline, EXCHANGE_MS), e);
		if (rc == LK_OK)
			send_step(s, LK_STEP_EXCHANGE, from);
		/* The connection may have died while it waited: that one is not an attempt. */
		if (!waited || (rc != LK_ENET && rc != LK_ETLS && rc != LK_EPROTO))
			return rc;
		waited = false;
	}
}

/* ---- repeats */

struct tries {
	unsigned answers, tls, links, refusals;
	uint32_t pause_ms;
};

static uint32_t jitter(uint32_t ms)
{
	struct lk_err e;
	uint8_t r = 128;

	memset(&e, 0, sizeof(e));
	if (lk_rng(&r, sizeof(r), &e) != LK_OK)
		r = 128;
	return ms * (80u + 50u * r / 255u) / 100u; /* 0.8 to 1.3 of it */
}

static uint32_t next_pause(struct tries *t, uint32_t first, uint32_t most)
{
	const uint32_t now = t->pause_ms < first ? first : t->pause_ms;

	t->pause_ms = now * 2 < most ? now * 2 : most;
	return jitter(now < most ? now : most);
}

/* No route: asking again costs nothing, and the network may come up any moment. */
static uint32_t link_pause(struct tries *t, const struct lk_err *e)
{
	return e->sys == ENETUNREACH ? ROUTE_MS : next_pause(t, 250, LINK_MAX_MS);
}

/* May it be sent again, and after which pause? */
static bool again(
    struct tries *t, const struct lk_retry *retry, const struct lk_err *e, uint32_t *ms)
{
	if (is_transport(e)) {
		if (e->code == LK_ETLS && ++t->tls >= TLS_TRIES)
			return false;
		t->links++;
		*ms = link_pause(t, e);
		return true;
	}
	/* Another bearer or attestation token is the keeper's decision. */
	if (!e->retry || e->http == 401 || e->http == 403)
		return false;
	/* "Identity not found": just assigned, or never. */
	if (e->http == 400 && ++t->refusals > REFUSALS)
		return false;
	if ((retry->tries != 0 && ++t->answers >= retry->tries))
		return false;
	*ms = next_pause(t, retry->pause_ms, PAUSE_MAX_MS);
	if (e->wait_s > 0) {
		const uint32_t s = e->wait_s < WAIT_MAX_S ? e->wait_s : WAIT_MAX_S;

		*ms = *ms > s * 1000 ? *ms : s * 1000;
	}
	return true;
}

static enum lk_code give_up(struct lk_err *e)
{
	if (e->sys == ENETUNREACH && e->hint[0] == '\0')
		return lk_hint(e, "there was no network before the deadline: check the network "
				  "card's driver and the network's configuration at boot");
	return e->code;
}

enum lk_code lk_serve_request(struct lk_serve *s, const struct lk_http_req *req,
    const struct lk_retry *retry, lk_serve_parse parse, void *ctx, struct lk_err *e)
{
	struct tries t = {0};
	struct lk_http_rsp rsp;
	struct lk_err late;
	uint32_t ms = 0;

	for (;;) {
		memset(&rsp, 0, sizeof(rsp));
		enum lk_code rc = exchange(s, req, &rsp, e);
		if (rc == LK_OK)
			rc = parse(ctx, &rsp, e);
		if (rc == LK_OK || !again(&t, retry, e, &ms))
			return rc;
		if (t.links + t.answers == 1 || e->sys != ENETUNREACH)
			lk_log(t.links + t.answers == 1 ? LK_LOG_INFO : LK_LOG_DEBUG,
			    "%s; trying again in %u ms", e->msg, (unsigned)ms);
		/* No time for another one: what failed says more than "time is up". */
		memset(&late, 0, sizeof(late));
		if (lk_sleep(ms, s->conf->deadline, &late) != LK_OK)
			return give_up(e);
	}
}

/* ---- the loop */

/* Connect while the keeper is busy. With no network yet, keep trying until there is a question. */
static void connect_early(struct lk_serve *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLIN};
	struct tries t = {0};
	struct lk_err e;

	for (;;) {
		memset(&e, 0, sizeof(e));
		if (connect_now(s, &e) == LK_OK)
			return;
		if (t.links++ == 0)
			lk_log(LK_LOG_DEBUG, "%s", e.msg);
		if (!is_transport(&e) || e.code == LK_ETLS || lk_left(s->conf->deadline) == 0)
			return;
		if (poll(&p, 1, (int)link_pause(&t, &e)) != 0)
			return;
	}
}

int lk_serve_loop(int fd, const struct lk_courier_conf *conf, lk_serve_fn on_frame)
{
	struct lk_serve s = {.fd = fd, .conf = conf, .conn = {.fd = -1, .tls = NULL}};
	struct lk_frame_reader in;
	enum lk_frame type;
	struct lk_err e, sent;

	/* The others are asked at once, or for something that needs no peer, or perhaps never. */
	if (conf->peer == LK_PEER_MAA || conf->peer == LK_PEER_VAULT)
		connect_early(&s);
	for (;;) {
		struct lk_buf store = LK_BUF(lk_room.ask);

		memset(&e, 0, sizeof(e));
		enum lk_code rc = lk_frame_recv(fd, &store, &type, &in, conf->deadline, &e);
		if (rc == LK_EABSENT || rc == LK_ETIME)
			break;
		if (rc != LK_OK)
			return 1;
		rc = on_frame(&s, type, &in, &e);
		if (rc == LK_OK)
			continue;
		memset(&sent, 0, sizeof(sent));
		if (send_error(&s, &e, &sent) != LK_OK)
			return 1;
	}
	drop(&s);
	return 0;
}
