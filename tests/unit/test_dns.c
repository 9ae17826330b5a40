/* The stub resolver: messages, where name servers are found, and asking real sockets. */
#include "t.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/net/dns.h"
#include "lk/fmt.h"

static struct lk_err err;

/* ---- messages */

#define NAME           "\1v\5vault\0"
#define QUESTION       "\x12\x34\1\0\0\1\0\0\0\0\0\0" NAME "\0\1\0\1"
#define HEAD(flags, n) "\x12\x34" flags "\0\1\0" n "\0\0\0\0"
#define ASKED          NAME "\0\1\0\1"
#define RECORD         "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\1\2\3"
#define ALIAS          "\xc0\x0c\0\5\0\1\0\0\0\x3c\0\4\1w\xc0\x0e"

T(questions)
{
	static const char *const bad[] = {"", ".", "a..b", ".a", "a..",
	    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.b"};
	uint8_t store[300];
	struct lk_buf b = LK_BUF(store);

	OK(lk_dns_question("v.vault", LK_DNS_A, 0x1234, &b));
	EQ_BYTES(store, b.n, QUESTION, sizeof(QUESTION) - 1);
	b = LK_BUF(store);
	OK(lk_dns_question("v.vault.", LK_DNS_AAAA, 0x1234, &b));
	EQ_U(store[b.n - 3], LK_DNS_AAAA);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		b = LK_BUF(store);
		if (lk_dns_question(bad[i], LK_DNS_A, 1, &b))
			T_FAIL("'%s' was taken for a name", bad[i]);
	}
}

T(a_name_of_253_bytes_and_no_longer)
{
	char name[300];
	uint8_t store[300];
	struct lk_buf b = LK_BUF(store);

	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i % 32 == 31 ? '.' : 'a';
	name[254] = '\0';
	OK(!lk_dns_question(name, LK_DNS_A, 1, &b));
	name[253] = '\0';
	b = LK_BUF(store);
	OK(lk_dns_question(name, LK_DNS_A, 1, &b));
	EQ_U(b.n, 12 + 255 + 4);
}

T(answers)
{
	const struct {
		const char *about;
		struct lk_slice msg;
		enum lk_dns_verdict want;
		size_t found;
	} rows[] = {
	    {"one address", LK_S(HEAD("\x81\x80", "\1") ASKED RECORD), LK_DNS_ADDRESSES, 1},
	    {"alias and address", LK_S(HEAD("\x81\x80", "\2") ASKED ALIAS RECORD), LK_DNS_ADDRESSES,
		1},
	    {"none", LK_S(HEAD("\x81\x80", "\0") ASKED), LK_DNS_ADDRESSES, 0},
	    {"letters in the other case",
		LK_S(HEAD("\x81\x80", "\1") "\1V\5VAULT\0\0\1\0\1" RECORD), LK_DNS_ADDRESSES, 1},
	    {"no such name", LK_S(HEAD("\x81\x83", "\0") ASKED), LK_DNS_NO_NAME, 0},
	    {"server failure", LK_S(HEAD("\x81\x82", "\0") ASKED), LK_DNS_FAILED, 0},
	    {"truncated", LK_S(HEAD("\x83\x80", "\1") ASKED RECORD), LK_DNS_TRUNCATED, 0},
	    {"a question", LK_S(HEAD("\1\0", "\0") ASKED), LK_DNS_OTHER, 0},
	    {"another id", LK_S("\x12\x35\x81\x80\0\1\0\1\0\0\0\0" ASKED RECORD), LK_DNS_OTHER, 0},
	    {"another name", LK_S(HEAD("\x81\x80", "\1") "\1w\5vault\0\0\1\0\1" RECORD),
		LK_DNS_OTHER, 0},
	    {"another type", LK_S(HEAD("\x81\x80", "\1") NAME "\0\x1c\0\1" RECORD), LK_DNS_OTHER,
		0},
	    {"fewer records than said", LK_S(HEAD("\x81\x80", "\2") ASKED RECORD), LK_DNS_FAILED,
		0},
	    {"a record that is cut off",
		LK_S(HEAD("\x81\x80", "\1") ASKED "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\1\2"),
		LK_DNS_FAILED, 0},
	    {"an address of five bytes",
		LK_S(HEAD("\x81\x80", "\1") ASKED "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\5\x0a\1\2\3\4"),
		LK_DNS_ADDRESSES, 0},
	    {"a label of 64 bytes", LK_S(HEAD("\x81\x80", "\1") ASKED "\x40" RECORD), LK_DNS_FAILED,
		0},
	    {"cut in the question", LK_S(HEAD("\x81\x80", "\1") "\1v"), LK_DNS_OTHER, 0},
	    {"nothing", {NULL, 0}, LK_DNS_OTHER, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lk_addrs got = {0};
		enum lk_dns_verdict v = lk_dns_answer(LK_S(QUESTION), rows[i].msg, LK_DNS_A, &got);

		if (v != rows[i].want || got.n4 != rows[i].found || got.n6 != 0)
			T_FAIL("%s: verdict %d, %zu addresses", rows[i].about, (int)v, got.n4);
		if (got.n4 == 1)
			EQ_U(ntohl(got.v4[0].s_addr), 0x0a010203);
	}
}

/* ---- files */

static void servers_of(const char *text, const char *want)
{
	struct lk_dns_servers s = {0};
	char got[200] = "", one[INET6_ADDRSTRLEN];
	size_t n = 0;

	lk_dns_read_servers(lk_slice_str(text), &s);
	for (size_t i = 0; i < s.n; i++) {
		const union lk_addr *a = &s.at[i];
		bool v6 = a->sa.sa_family == AF_INET6;

		EQ_U(ntohs(v6 ? a->v6.sin6_port : a->v4.sin_port), 53);
		(void)inet_ntop(a->sa.sa_family,
		    v6 ? (const void *)&a->v6.sin6_addr : (const void *)&a->v4.sin_addr, one,
		    sizeof(one));
		n += lk_fmt(got + n, sizeof(got) - n, "%s%s", i > 0 ? " " : "", one);
	}
	EQ_S(got, want);
}

T(name_servers_in_files)
{
	servers_of("# x\nsearch a.b\nnameserver 10.0.0.1\nnameserver\t::1\n", "10.0.0.1 ::1");
	servers_of(
	    "nameserver 1.1.1.1\nnameserver 1.1.1.2\nnameserver 1.1.1.3\nnameserver 1.1.1.4\n",
	    "1.1.1.1 1.1.1.2 1.1.1.3");
	servers_of(
	    "# This is private data. Do not parse.\nADDRESS=10.0.2.15\nDNS=10.0.2.3 10.0.2.4\n",
	    "10.0.2.3 10.0.2.4");
	servers_of("IPV4ADDR='10.0.2.15'\nIPV4DNS0='10.0.2.3'\nIPV4DNS1='0.0.0.0'\n", "10.0.2.3");
	servers_of(
	    "nameserver fe80::1%eth0\nnameserver 10.0.0.300\nnameserver\n#nameserver 1.2.3.4\n"
	    "xnameserver 1.2.3.4",
	    "");
	servers_of("nameserver 9.9.9.9", "9.9.9.9");
}

T(hosts_file)
{
	static const char text[] = "127.0.0.1 localhost\n10.0.0.9\tother A.example # me.example\n"
				   "fd00::1 a.example\nnonsense a.example\n";
	struct lk_addrs got = {0};

	OK(lk_dns_read_hosts(lk_slice_str(text), "a.EXAMPLE", &got));
	EQ_U(got.n4, 1);
	EQ_U(got.n6, 1);
	EQ_U(ntohl(got.v4[0].s_addr), 0x0a000009);
	got = (struct lk_addrs){0};
	OK(!lk_dns_read_hosts(lk_slice_str(text), "me.example", &got));
}

static void put(const char *root, const char *path, const char *text)
{
	char full[200];
	FILE *f;

	lk_fmt(full, sizeof(full), "%s%s", root, path);
	for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')) != NULL; *p++ = '/') {
		*p = '\0';
		(void)mkdir(full, 0755);
	}
	f = fopen(full, "w");
	NEED(f != NULL);
	NEED(fputs(text, f) >= 0 && fclose(f) == 0);
}

static void expect_server(const char *root, const char *want)
{
	struct lk_dns_servers s;
	char got[INET_ADDRSTRLEN] = "";

	lk_dns_find_servers(root, &s);
	NEED(s.n > 0);
	(void)inet_ntop(AF_INET, &s.at[0].v4.sin_addr, got, sizeof(got));
	EQ_S(got, want);
}

/* From the last resort up: each place is preferred to those before. */
T(places_in_order)
{
	char root[] = "/tmp/latchkey-dns.XXXXXX", clean[100];

	NEED(mkdtemp(root) != NULL);
	expect_server(root, "168.63.129.16");
	put(root, "/run/systemd/netif/links/2", "DNS=10.0.0.1\n");
	expect_server(root, "10.0.0.1");
	put(root, "/run/systemd/netif/leases/2", "DNS=10.0.0.2\n");
	expect_server(root, "10.0.0.2");
	put(root, "/run/net-eth0.conf", "IPV4DNS0='10.0.0.3'\n");
	put(root, "/run/netxx", "IPV4DNS0='10.0.0.9'\n");
	expect_server(root, "10.0.0.3");
	put(root, "/run/NetworkManager/resolv.conf", "nameserver 10.0.0.4\n");
	expect_server(root, "10.0.0.4");
	put(root, "/run/systemd/resolve/resolv.conf", "nameserver 10.0.0.5\n");
	expect_server(root, "10.0.0.5");
	put(root, "/etc/resolv.conf", "# no server\n");
	expect_server(root, "10.0.0.5");
	put(root, "/etc/resolv.conf", "nameserver 10.0.0.6\n");
	expect_server(root, "10.0.0.6");
	lk_fmt(clean, sizeof(clean), "rm -rf %s", root);
	EQ_I(system(clean), 0);
}

/* ---- sockets */

enum manner {
	GOOD,
	NO_NAME,
	NOTHING,
	SERVFAIL,
	SILENT,
	LIES_FIRST,
	TRUNCATES,
	ONLY_A,
	SILENT_ONCE
};

static size_t reply(enum manner m, const uint8_t *q, size_t n, bool tcp, uint8_t *out)
{
	static const uint8_t a[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 1, 2, 3};
	const bool is_a = q[n - 3] == LK_DNS_A;

	memcpy(out, q, n);
	out[2] = 0x81;
	out[3] = m == NO_NAME ? 0x83 : m == SERVFAIL ? 0x82 : 0x80;
	if (m == TRUNCATES && !tcp)
		out[2] |= 2;
	if (!is_a || m == NO_NAME || m == NOTHING || m == SERVFAIL || (m == TRUNCATES && !tcp))
		return n;
	out[7] = 1;
	memcpy(out + n, a, sizeof(a));
	return n + sizeof(a);
}

static void serve_udp(int fd, enum manner m)
{
	uint8_t q[512], out[600];
	struct sockaddr_in from;
	unsigned seen = 0;

	for (;;) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, q, sizeof(q), 0, (struct sockaddr *)&from, &len);

		if (n < 16 || m == SILENT || (m == SILENT_ONCE && seen++ < 2) ||
		    (m == ONLY_A && q[n - 3] != LK_DNS_A))
			continue;
		size_t k = reply(m, q, (size_t)n, false, out);
		if (m == LIES_FIRST) {
			out[0] ^= 1; /* another's answer: 10.1.2.9 */
			out[k - 1] = 9;
			(void)sendto(fd, out, k, 0, (struct sockaddr *)&from, len);
			k = reply(GOOD, q, (size_t)n, false, out);
		}
		(void)sendto(fd, out, k, 0, (struct sockaddr *)&from, len);
	}
}

static void serve_tcp(int l, enum manner m)
{
	uint8_t q[514], out[602];

	for (;;) {
		int fd = accept(l, NULL, NULL);
		ssize_t n = read(fd, q, sizeof(q));

		if (n > 18) {
			size_t k = reply(m, q + 2, (size_t)n - 2, true, out + 2);
			out[0] = (uint8_t)(k >> 8);
			out[1] = (uint8_t)k;
			if (write(fd, out, k + 2) < 0)
				_exit(1);
		}
		close(fd);
	}
}

/* A name server on 127.0.0.1; its processes in pid[]. */
static union lk_addr start(enum manner m, pid_t pid[2])
{
	union lk_addr at = {.v4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}}};
	socklen_t n = sizeof(at.v4);
	int udp = socket(AF_INET, SOCK_DGRAM, 0), tcp = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(udp, &at.sa, n) != 0 || getsockname(udp, &at.sa, &n) != 0 ||
	    bind(tcp, &at.sa, n) != 0 || listen(tcp, 4) != 0)
		T_FAIL("no name server: %s", strerror(errno));
	for (int i = 0; i < 2; i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			i == 0 ? serve_udp(udp, m) : serve_tcp(tcp, m);
	}
	close(udp);
	close(tcp);
	return at;
}

static void stop(pid_t pid[2])
{
	for (int i = 0; i < 2; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
}

static struct lk_addrs asked(enum manner first, int second, int64_t ms, enum lk_code want)
{
	struct lk_dns_servers s = {.n = second < 0 ? 1 : 2};
	struct lk_addrs got;
	pid_t a[2], b[2];

	memset(&err, 0, sizeof(err));
	s.at[0] = start(first, a);
	if (second >= 0)
		s.at[1] = start((enum manner)second, b);
	enum lk_code rc = lk_dns_ask(&s, "v.vault.example", lk_deadline_in(ms), &got, &err);
	if (rc != want)
		T_FAIL("manner %d: code %d, %s", (int)first, (int)rc, err.msg);
	EQ_U(got.n4, rc == LK_OK ? 1 : 0);
	if (got.n4 > 0)
		EQ_U(ntohl(got.v4[0].s_addr), 0x0a010203);
	EQ_U(got.n6, 0);
	stop(a);
	if (second >= 0)
		stop(b);
	return got;
}

T(asks)
{
	(void)asked(GOOD, -1, 5000, LK_OK);
	(void)asked(ONLY_A, -1, 5000, LK_OK);
	(void)asked(LIES_FIRST, -1, 5000, LK_OK);
	(void)asked(TRUNCATES, -1, 5000, LK_OK);
	(void)asked(SILENT_ONCE, -1, 8000, LK_OK);
	(void)asked(SERVFAIL, GOOD, 5000, LK_OK);
	(void)asked(SILENT, GOOD, 5000, LK_OK);
}

T(says_what_was_wrong)
{
	(void)asked(NO_NAME, -1, 5000, LK_ENET);
	OK(err.retry && strstr(err.msg, "no such name") != NULL);
	(void)asked(NOTHING, -1, 5000, LK_ENET);
	OK(err.retry && strstr(err.msg, "no address") != NULL);
	(void)asked(SERVFAIL, -1, 5000, LK_ENET);
	OK(err.retry && strstr(err.msg, "cannot answer") != NULL);
	(void)asked(SILENT, -1, 300, LK_ETIME);
}

T(nobody_listens)
{
	struct lk_dns_servers s = {.n = 1};
	struct lk_addrs got;
	pid_t pid[2];

	s.at[0] = start(GOOD, pid);
	stop(pid);
	EQ_CODE(LK_ENET, lk_dns_ask(&s, "v.example", lk_deadline_in(5000), &got, &err));
	EQ_I(err.sys, ECONNREFUSED);
	OK(err.retry && err.hint[0] != '\0');
}
