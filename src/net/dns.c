/* Asking name servers: all of them at once, both questions at once, and again when nothing comes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "dns.h"
#include "lk/fmt.h"
#include "lk/io.h"
#include "lk/rng.h"

#define ROUNDS    4
#define ROUND_MS  1500
#define OTHER_MS  200 /* for the other family, once there are addresses */
#define TCP_MS    3000
#define HOSTS_MAX 16384

struct ask {
	const struct lk_dns_servers *servers;
	struct pollfd fd[LK_DNS_SERVERS];
	struct {
		uint8_t store[12 + LK_DNS_NAME_MAX + 2 + 4];
		struct lk_slice text;
		enum lk_dns_type type;
		bool done;
	} q[2];
	unsigned failed; /* answers of this round that were refusals */
	bool no_name;
	int err; /* errno of what could not be sent */
	struct lk_addrs *out;
};

static bool found(const struct ask *a)
{
	return a->out->n4 + a->out->n6 > 0;
}

static bool finished(const struct ask *a)
{
	return a->no_name || (a->q[0].done && a->q[1].done);
}

static enum lk_code prepare(struct ask *a, const char *host, struct lk_err *e)
{
	static const enum lk_dns_type type[2] = {LK_DNS_A, LK_DNS_AAAA};
	uint16_t id[2];
	enum lk_code rc = lk_rng(id, sizeof(id), e);

	for (size_t i = 0; rc == LK_OK && i < 2; i++) {
		struct lk_buf b = LK_BUF(a->q[i].store);

		a->q[i].type = type[i];
		if (!lk_dns_question(host, type[i], id[i], &b)) {
			(void)lk_fail(e, LK_ENET, "not a name that the DNS can have");
			return lk_err_retry(e);
		}
		a->q[i].text = lk_slice_buf(&b);
	}
	return rc;
}

/* Connected, so that only this server's packets come in, and its refusals are seen. */
static void open_sockets(struct ask *a)
{
	for (size_t i = 0; i < a->servers->n; i++) {
		const union lk_addr *to = &a->servers->at[i];
		int fd = socket(
		    to->sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);

		if (fd < 0 || connect(fd, &to->sa, lk_addr_len(to)) != 0) {
			a->err = errno;
			lk_close(&fd);
		}
		a->fd[i] = (struct pollfd){.fd = fd, .events = POLLIN};
	}
}

/* A packet to where nobody listens makes the next call on its socket fail. */
static void send_all(struct ask *a)
{
	a->failed = 0;
	for (size_t i = 0; i < a->servers->n; i++)
		for (size_t k = 0; k < 2 && a->fd[i].fd >= 0; k++) {
			const struct lk_slice q = a->q[k].text;

			if (a->q[k].done || send(a->fd[i].fd, q.p, q.n, MSG_NOSIGNAL) >= 0)
				continue;
			a->err = errno;
			a->failed += 2;
			break;
		}
}

/* The whole answer, with its length in front, over TCP. */
static enum lk_dns_verdict over_tcp(struct ask *a, size_t server, size_t k, lk_time deadline)
{
	static uint8_t msg[4096];
	const lk_time soon = lk_deadline_in(TCP_MS);
	const lk_time until = soon < deadline ? soon : deadline;
	struct lk_race race = {.addr = {a->servers->at[server]}, .n = 1};
	struct lk_slice text = a->q[k].text;
	uint8_t n[2] = {(uint8_t)(text.n >> 8), (uint8_t)text.n};
	struct lk_err e = {0};
	size_t len;
	int fd = -1;
	enum lk_code rc = lk_race_run(&race, until, &fd, &e);

	if (rc == LK_OK)
		rc = lk_write_full(fd, n, sizeof(n), until, &e);
	if (rc == LK_OK)
		rc = lk_write_full(fd, text.p, text.n, until, &e);
	if (rc == LK_OK)
		rc = lk_read_full(fd, n, sizeof(n), until, &e);
	len = (size_t)n[0] << 8 | n[1];
	if (rc == LK_OK && len > sizeof(msg))
		rc = LK_ELIMIT;
	if (rc == LK_OK)
		rc = lk_read_full(fd, msg, len, until, &e);
	lk_close(&fd);
	if (rc != LK_OK)
		return LK_DNS_FAILED;
	enum lk_dns_verdict v = lk_dns_answer(text, lk_slice_of(msg, len), a->q[k].type, a->out);
	return v == LK_DNS_TRUNCATED || v == LK_DNS_OTHER ? LK_DNS_FAILED : v;
}

static void take(struct ask *a, size_t server, struct lk_slice msg, lk_time deadline)
{
	for (size_t k = 0; k < 2; k++) {
		enum lk_dns_verdict v = LK_DNS_OTHER;

		if (!a->q[k].done)
			v = lk_dns_answer(a->q[k].text, msg, a->q[k].type, a->out);
		if (v == LK_DNS_TRUNCATED)
			v = over_tcp(a, server, k, deadline);
		a->q[k].done = a->q[k].done || v == LK_DNS_ADDRESSES;
		a->no_name = a->no_name || v == LK_DNS_NO_NAME;
		a->failed += v == LK_DNS_FAILED ? 1 : 0;
	}
}

static void receive(struct ask *a, lk_time deadline)
{
	uint8_t msg[LK_DNS_MSG_MAX];

	for (size_t i = 0; i < a->servers->n; i++) {
		ssize_t n;

		if (a->fd[i].fd < 0 || a->fd[i].revents == 0)
			continue;
		n = recv(a->fd[i].fd, msg, sizeof(msg), 0);
		if (n >= 0) {
			take(a, i, lk_slice_of(msg, (size_t)n), deadline);
		} else if (errno != EAGAIN && errno != EINTR) {
			a->err = errno; /* nobody listens there */
			a->failed += 2;
		}
	}
}

/* How many refusals there can be before it is clear that nothing else will come. */
static unsigned questions(const struct ask *a)
{
	unsigned open = 0;

	for (size_t i = 0; i < a->servers->n; i++)
		open += a->fd[i].fd >= 0 ? 1 : 0;
	return open * ((a->q[0].done ? 0u : 1u) + (a->q[1].done ? 0u : 1u));
}

static void listen_for(struct ask *a, lk_time until, lk_time deadline)
{
	const unsigned all = questions(a);
	bool cut = false;

	while (!finished(a) && a->failed < all) {
		if (found(a) && !cut) {
			const lk_time soon = lk_deadline_in(OTHER_MS);

			until = soon < until ? soon : until;
			cut = true;
		}
		if (lk_left(until) == 0)
			return;
		if (poll(a->fd, a->servers->n, lk_left(until)) > 0)
			receive(a, deadline);
	}
}

static enum lk_code verdict(const struct ask *a, struct lk_err *e)
{
	if (found(a))
		return LK_OK;
	if (a->no_name)
		(void)lk_fail(e, LK_ENET, "there is no such name");
	else if (finished(a))
		(void)lk_fail(e, LK_ENET, "the name has no address");
	else if (a->failed > 0 && a->err == 0)
		(void)lk_fail(e, LK_ENET, "the name server cannot answer");
	else if (a->err != 0)
		(void)lk_fail_sys(e, a->err, "the name server cannot be asked");
	else
		(void)lk_fail(e, LK_ENET, "no answer from the name server");
	e->code = LK_ENET;
	(void)lk_hint(e, "check the name, and that the network's DNS is reachable");
	if (a->err == ENETUNREACH)
		e->hint[0] = '\0'; /* no network at all: whoever waits for it knows better */
	return lk_err_retry(e);
}

enum lk_code lk_dns_ask(const struct lk_dns_servers *servers, const char *host, lk_time deadline,
    struct lk_addrs *out, struct lk_err *e)
{
	struct ask a = {.servers = servers, .out = out};
	enum lk_code rc = prepare(&a, host, e);

	memset(out, 0, sizeof(*out));
	if (rc != LK_OK)
		return rc;
	open_sockets(&a);
	for (unsigned i = 0; i < ROUNDS && !finished(&a) && !found(&a) && lk_left(deadline) > 0;
	     i++) {
		const lk_time round = lk_deadline_in(ROUND_MS);

		if (questions(&a) == 0)
			break;
		send_all(&a);
		listen_for(&a, round < deadline ? round : deadline, deadline);
	}
	for (size_t i = 0; i < servers->n; i++)
		lk_close(&a.fd[i].fd);
	if (!found(&a) && !finished(&a) && lk_left(deadline) == 0)
		return lk_fail(e, LK_ETIME, "no answer from the name server in time");
	return verdict(&a, e);
}

enum lk_code lk_dns_resolve(
    const char *host, lk_time deadline, struct lk_addrs *out, struct lk_err *e)
{
	static uint8_t store[HOSTS_MAX];
	struct lk_buf text = LK_BUF(store);
	struct lk_dns_servers servers;
	struct lk_err ignored = {0};

	memset(out, 0, sizeof(*out));
	if (lk_file_read("/etc/hosts", &text, &ignored) == LK_OK &&
	    lk_dns_read_hosts(lk_slice_buf(&text), host, out))
		return LK_OK;
	lk_dns_find_servers("", &servers);
	return lk_dns_ask(&servers, host, deadline, out, e);
}
