/* Connecting: loopback listeners, refusals, a peer that does not answer, the deadline. */
#include "t.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "../../src/net/dial_race.h"
#include "lk/dial.h"

static struct lk_err err;

static int listen_at(const char *address, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || inet_pton(AF_INET, address, &a.sin_addr) != 1 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(fd, 0) != 0)
		return -1;
	return fd;
}

static int listen_on(uint16_t *port)
{
	struct sockaddr_in a;
	socklen_t n = sizeof(a);
	int fd = listen_at("127.0.0.1", 0);

	if (fd < 0 || getsockname(fd, (struct sockaddr *)&a, &n) != 0)
		return -1;
	*port = ntohs(a.sin_port);
	return fd;
}

static int dial(const char *host, uint16_t port, int64_t ms, enum lk_code want)
{
	int fd = -1;

	memset(&err, 0, sizeof(err));
	enum lk_code c = lk_dial(host, port, lk_deadline_in(ms), &fd, &err);
	if (c != want)
		T_FAIL("%s: code %d, %s", host, (int)c, err.msg);
	EQ_U(fd >= 0, want == LK_OK);
	return fd;
}

T(connects_to_an_address)
{
	uint16_t port = 0;
	int l = listen_on(&port), one = 0;
	socklen_t n = sizeof(one);

	NEED(l >= 0);
	int fd = dial("127.0.0.1", port, 5000, LK_OK);
	OK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	OK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	EQ_I(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, &n), 0);
	OK(one);
	int peer = accept(l, NULL, NULL);
	OK(peer >= 0 && write(peer, "x", 1) == 1);
	close(peer);
	close(fd);
	close(l);
}

/* So many of each family: ::1, ::2 and on, 127.0.0.1 and on. */
static void order(struct lk_race *r, size_t n6, size_t n4, uint16_t port)
{
	struct lk_addrs list = {.n6 = n6, .n4 = n4};

	for (size_t i = 0; i < LK_RACE_MAX; i++) {
		list.v6[i].s6_addr[15] = (uint8_t)(i + 1);
		list.v4[i].s_addr = htonl(0x7f000001 + (uint32_t)i);
	}
	lk_race_order(r, &list, port);
}

static void expect_order(size_t n6, size_t n4, const char *want)
{
	struct lk_race r;
	char got[LK_RACE_MAX * 2 + 1];
	size_t n = 0;

	order(&r, n6, n4, 1);
	for (size_t i = 0; i < r.n; i++) {
		const union lk_addr *a = &r.addr[i];
		bool v6 = a->sa.sa_family == AF_INET6;
		EQ_U(v6 ? a->v6.sin6_port : a->v4.sin_port, htons(1));
		got[n++] = v6 ? '6' : '4';
		got[n++] = (char)('0' + (v6 ? a->v6.sin6_addr.s6_addr[15]
					    : ntohl(a->v4.sin_addr.s_addr) & 0xff));
	}
	got[n] = '\0';
	EQ_S(got, want);
}

T(takes_the_families_by_turns)
{
	expect_order(0, 1, "41");
	expect_order(2, 0, "6162");
	expect_order(2, 1, "614162");
	expect_order(1, 3, "61414243");
	expect_order(0, 8, "4142434445464748");
	expect_order(8, 1, "6141626364656667");
	expect_order(8, 8, "6141624263436444");
}

/* A refusal is no reason to wait: the next address at once. */
T(takes_the_address_that_answers)
{
	struct lk_race r;
	int l = listen_at("127.0.0.2", 0), fd;
	struct sockaddr_in a;
	socklen_t n = sizeof(a);
	lk_time before = lk_now();

	NEED(l >= 0 && getsockname(l, (struct sockaddr *)&a, &n) == 0);
	order(&r, 0, 2, ntohs(a.sin_port));
	EQ_CODE(LK_OK, lk_race_run(&r, lk_deadline_in(5000), &fd, &err));
	OK(lk_now() - before < 4000);
	close(fd);
	close(l);
}

T(refused)
{
	uint16_t port = 0;
	int l = listen_on(&port);
	lk_time before = lk_now();
	char want[64];

	NEED(l >= 0);
	close(l);
	(void)dial("127.0.0.1", port, 5000, LK_ENET);
	OK(err.retry);
	EQ_I(err.sys, ECONNREFUSED);
	(void)snprintf(want, sizeof(want), "cannot connect to 127.0.0.1 port %u", port);
	OK(strncmp(err.msg, want, strlen(want)) == 0);
	OK(lk_now() - before < 4000);
}

/* A full backlog drops further SYNs: the attempt hangs as towards a black hole. */
T(deadline_over_a_black_hole)
{
	uint16_t port = 0;
	int l = listen_on(&port), fill[8];
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	lk_time before;

	NEED(l >= 0);
	a.sin_port = htons(port);
	for (size_t i = 0; i < 8; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fill[i], (struct sockaddr *)&a, sizeof(a));
	}
	before = lk_now();
	(void)dial("127.0.0.1", port, 300, LK_ETIME);
	OK(lk_now() - before >= 290 && lk_now() - before < 10000);
	OK(strstr(err.msg, "127.0.0.1") != NULL);
	for (size_t i = 0; i < 8; i++)
		close(fill[i]);
	close(l);
}

/* The first address hangs, the second answers: it is tried 250 ms later and wins. */
T(overtakes_a_black_hole)
{
	uint16_t port = 0;
	int hole = listen_on(&port), l, fill[8], fd;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct sockaddr_in got;
	socklen_t n = sizeof(got);
	struct lk_race r;
	lk_time before;

	NEED(hole >= 0);
	l = listen_at("127.0.0.2", port);
	NEED(l >= 0);
	a.sin_port = htons(port);
	for (size_t i = 0; i < 8; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fill[i], (struct sockaddr *)&a, sizeof(a));
	}
	before = lk_now();
	order(&r, 0, 2, port);
	EQ_CODE(LK_OK, lk_race_run(&r, lk_deadline_in(5000), &fd, &err));
	OK(lk_now() - before >= 240 && lk_now() - before < 4000);
	EQ_I(getpeername(fd, (struct sockaddr *)&got, &n), 0);
	EQ_U(ntohl(got.sin_addr.s_addr), INADDR_LOOPBACK + 1);
	for (size_t i = 0; i < 8; i++)
		close(fill[i]);
	close(fd);
	close(hole);
	close(l);
}

T(names)
{
	static const char long_label[] =
	    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.invalid";
	static const char *const bad[] = {"", ".", "127.1", "0x7f.0.0.1", "2130706433", "::1",
	    "127.0.0.1.", "1.2.3.4.5", "a b", "a\nb", "[::1]", "host.1"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		(void)dial(bad[i], 443, 1000, LK_EUSAGE);
	/* A label of 64 bytes is refused before anything is sent. */
	(void)dial(long_label, 443, 5000, LK_ENET);
	OK(err.retry);
	OK(strstr(err.msg, long_label) != NULL);
}
