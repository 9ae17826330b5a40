/* dial.c - name look-up and staggered connection attempts (after RFC 8305, without its caches). */
#include "lk/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "dns.h"
#include "lk/io.h"
#include "lk/slice.h"

socklen_t lk_addr_len(const union lk_addr *a)
{
	return a->sa.sa_family == AF_INET6 ? sizeof(a->v6) : sizeof(a->v4);
}

/* No other spelling of an address, as "0x7f.1" or "2130706433", is one here; nor is it a name: one
 * whose last label begins with a digit cannot be in the DNS (RFC 3696, section 2). */
static bool is_name(struct lk_slice host)
{
	size_t last = 0;

	if (host.n > 0 && host.p[host.n - 1] == '.')
		host.n--;
	for (size_t i = 0; i < host.n; i++) {
		if (host.p[i] == '.')
			last = i + 1;
		if (host.p[i] <= 0x20 || host.p[i] >= 0x7f || host.p[i] == ':')
			return false;
	}
	return last < host.n && !(host.p[last] >= '0' && host.p[last] <= '9');
}

void lk_race_order(struct lk_race *r, const struct lk_addrs *list, uint16_t port)
{
	memset(r, 0, sizeof(*r));
	for (size_t i = 0; i < LK_RACE_MAX; i++) {
		if (i < list->n6 && r->n < LK_RACE_MAX)
			r->addr[r->n++].v6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
			    .sin6_port = htons(port),
			    .sin6_addr = list->v6[i]};
		if (i < list->n4 && r->n < LK_RACE_MAX)
			r->addr[r->n++].v4 = (struct sockaddr_in){.sin_family = AF_INET,
			    .sin_port = htons(port),
			    .sin_addr = list->v4[i]};
	}
}

static enum lk_code resolve(
    const char *host, uint16_t port, lk_time deadline, struct lk_race *r, struct lk_err *e)
{
	struct lk_addrs list = {0};

	if (inet_pton(AF_INET, host, &list.v4[0]) == 1) {
		list.n4 = 1;
		lk_race_order(r, &list, port);
		return LK_OK;
	}
	if (!is_name(lk_slice_str(host)))
		return lk_fail(e, LK_EUSAGE, "connect: not a host name");
	if (lk_dns_resolve(host, deadline, &list, e) != LK_OK)
		return lk_err_prefix(e, "cannot resolve %s", host);
	lk_race_order(r, &list, port);
	return LK_OK;
}

static void note(struct lk_race *r, int err)
{
	if (r->first_err == 0)
		r->first_err = err;
}

/* Begin one attempt. *won >= 0 when it connected at once. */
static void attempt(struct lk_race *r, int *won)
{
	const union lk_addr *a = &r->addr[r->next++];
	int one = 1;

	int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0) {
		note(r, errno);
		return;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, &a->sa, lk_addr_len(a)) == 0) {
		*won = fd;
	} else if (errno == EINPROGRESS || errno == EINTR) {
		r->open[r->n_open++] = (struct pollfd){.fd = fd, .events = POLLOUT};
	} else {
		note(r, errno);
		lk_close(&fd);
	}
}

/* Look at what poll found: a winner leaves the list, losers are closed. */
static void harvest(struct lk_race *r, int *won)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->n_open; i++) {
		struct pollfd *p = &r->open[i];
		int err = 0;
		socklen_t n = sizeof(err);

		if (p->revents == 0 || *won >= 0) {
			r->open[kept++] = *p;
			continue;
		}
		if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0)
			err = errno;
		if (err == 0) {
			*won = p->fd;
			continue;
		}
		note(r, err);
		lk_close(&p->fd);
	}
	r->n_open = kept;
}

static enum lk_code race(struct lk_race *r, lk_time deadline, int *won, struct lk_err *e)
{
	lk_time start_next = lk_now();

	while (*won < 0 && (r->next < r->n || r->n_open > 0)) {
		if (r->next < r->n && (r->n_open == 0 || lk_left(start_next) == 0)) {
			attempt(r, won);
			start_next = lk_deadline_in(LK_RACE_STAGGER_MS);
			continue;
		}
		lk_time until = r->next < r->n && start_next < deadline ? start_next : deadline;
		int n = poll(r->open, r->n_open, lk_left(until));
		if (n < 0 && errno != EINTR)
			return lk_fail_sys(e, errno, "poll");
		if (n > 0)
			harvest(r, won);
		else if (lk_left(deadline) == 0)
			return lk_fail(e, LK_ETIME, "time is up");
	}
	return LK_OK;
}

enum lk_code lk_race_run(struct lk_race *r, lk_time deadline, int *won, struct lk_err *e)
{
	*won = -1;
	enum lk_code c = race(r, deadline, won, e);
	for (size_t i = 0; i < r->n_open; i++)
		lk_close(&r->open[i].fd);
	r->n_open = 0;
	if (c == LK_OK && *won < 0) {
		(void)lk_fail(e, LK_ENET, "%s", strerror(r->first_err));
		e->sys = r->first_err;
		return lk_err_retry(e);
	}
	return c;
}

enum lk_code lk_dial(const char *host, uint16_t port, lk_time deadline, int *fd, struct lk_err *e)
{
	struct lk_race r;

	*fd = -1;
	enum lk_code c = resolve(host, port, deadline, &r, e);
	if (c != LK_OK)
		return c;
	c = lk_race_run(&r, deadline, fd, e);
	if (c != LK_OK)
		(void)lk_err_prefix(e, "cannot connect to %s port %u", host, port);
	return c;
}
