/* The stream against real servers (OpenSSL): names, trust anchors, dates, clocks. */
#include "t.h"

#include <sys/syscall.h>
#include <time.h>

#include "tls_talk.h"

static int64_t fake_now = -1; /* what CLOCK_REALTIME says, if >= 0 */

/* Stands before the C library's: the clock policy needs clocks that are wrong. */
int clock_gettime(clockid_t clock, struct timespec *ts)
{
	if (clock == CLOCK_REALTIME && fake_now >= 0) {
		*ts = (struct timespec){.tv_sec = fake_now};
		return 0;
	}
	return (int)syscall(SYS_clock_gettime, clock, ts);
}

T(names)
{
	refused("wrong-host", LK_ETRUST,
	    "certificate of service.test refused: it is for another name (it is for other.test, "
	    "b.test, "
	    "..., from \"Test Intermediate\", valid 20");
	refused("wildcard-deep", LK_ETRUST,
	    "it is for another name (it is for *.b.test, *.service.test");
	refused("no-san", LK_ETRUST, "it is for another name (it is for no host name, from");
	struct lk_tls *t;
	int fd;
	EQ_CODE(LK_OK, open_ms("rsa", "SERVICE.Test.", &peer.roots, 5000, &fd, &t));
	lk_tls_close(t);
	close(fd);
	EQ_CODE(LK_ETRUST, open_ms("rsa", "service.tes", &peer.roots, 5000, &fd, &t));
	EQ_CODE(LK_ETRUST, open_ms("rsa", "a.service.test", &peer.roots, 5000, &fd, &t));
}

T(hosts_that_are_no_names)
{
	static const char *const bad[] = {"", ".", "127.0.0.1", "127.1", "1", "0x7f.0.0.1",
	    "0x7f000001", "::1", "[::1]", "fe80::1%eth0", "1.2.3.4.", "*.test", "a..test", ".test",
	    "a test", "a.test\n", "a/b", "a:443", "-a.test", "a-.test", "caf\xc3\xa9.test",
	    "a123456789012345678901234567890123456789012345678901234567890123.test"};
	struct lk_tls *t;
	int fd;
	char longest[300];
	peer_start();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (open_ms("rsa", bad[i], &peer.roots, 5000, &fd, &t) != LK_ECONF)
			T_FAIL("\"%s\" is taken for a name: %s", bad[i], e.msg);
	EQ_CODE(LK_ECONF, open_ms("rsa", NULL, &peer.roots, 5000, &fd, &t));
	memset(longest, 'a', sizeof(longest));
	for (size_t i = 50; i < sizeof(longest); i += 51)
		longest[i] = '.';
	longest[254] = 0;
	EQ_CODE(LK_ECONF, open_ms("rsa", longest, &peer.roots, 5000, &fd, &t));
	longest[253] = 0;
	EQ_CODE(LK_ETRUST, open_ms("rsa", longest, &peer.roots, 5000, &fd, &t));
}

T(trust)
{
	refused("wrong-ca", LK_ETRUST, "refused: no trust anchor stands behind it");
	OK(strstr(e.hint, "trust file") != NULL);
	refused("self-signed", LK_ETRUST, "no trust anchor stands behind it");
	refused("no-intermediate", LK_ETRUST, "no trust anchor stands behind it");
	refused("leaf-as-ca", LK_ETRUST, "no trust anchor stands behind it");
	refused("client-only", LK_ETRUST, "it is not meant for a TLS server");
	refused("cannot-sign", LK_ETRUST, "it is not meant for a TLS server");
	refused("rsa-1024", LK_ETRUST, "its signature or key is too weak");
	refused("sha1", LK_ETRUST, "its signature or key is too weak");
	refused("escape", LK_ETRUST, "from \"E?[31m?\"");
	struct lk_tls *t;
	int fd;
	EQ_CODE(LK_ETRUST, open_ms("rsa", PEER_HOST, &peer.other_roots, 5000, &fd, &t));
	const struct lk_roots none = {LK_S("no certificate in here")};
	EQ_CODE(LK_ECONF, open_ms("rsa", PEER_HOST, &none, 5000, &fd, &t));
}

T(dates)
{
	refused("expired", LK_ETRUST, "refused: it has expired");
	OK(strstr(e.hint, "today is taken to be 20") != NULL);
	refused("not-yet", LK_ETRUST, "refused: it is not valid yet");
	refused("old-intermediate", LK_ETRUST, "it has expired");
	OK(strstr(e.msg, "; above it \"Old Intermediate\", from \"Test Root\", valid 20") != NULL);
	fake_now = INT64_C(4102444800); /* 2100 */
	refused("rsa", LK_ETRUST, "refused: it has expired");
	OK(strstr(e.hint, "today is taken to be 2100-01-01") != NULL);
	fake_now = -1;
	talks("rsa", 10);
}

/* A clock before the build time: "valid from" does not count, "valid to" is held against the build
 * time, and nothing else changes. */
T(a_clock_at_the_epoch)
{
	fake_now = 0;
	OK(lk_wall_now().below_build);
	talks("not-yet", 10);
	talks("rsa", 10);
	refused("expired-2001", LK_ETRUST, "refused: it has expired");
	OK(strstr(e.hint, "the build date, since the clock is earlier") != NULL);
	refused("wrong-host", LK_ETRUST, "refused: it is for another name");
	refused("wrong-ca", LK_ETRUST, "refused: no trust anchor");
	fake_now = lk_build_epoch();
	OK(!lk_wall_now().below_build);
	refused("not-yet", LK_ETRUST, "it is not valid yet");
	fake_now = -1;
}
