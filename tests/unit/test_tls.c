/* The stream against real servers (OpenSSL): versions, records, ends, deadlines. */
#include "t.h"

#include "tls_talk.h"

T(both_versions_with_rsa_and_ec)
{
	static const char *const names[] = {"rsa", "rsa-root", "ec", "ec384"};
	char name[40];
	for (unsigned i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "%s-1.2", names[i]);
		talks(name, 10);
		snprintf(name, sizeof(name), "%s-1.3", names[i]);
		talks(name, 10);
	}
}

T(long_writes_and_every_size_around_a_record)
{
	talks("rsa-1.2", 100000);
	talks("rsa-1.3", 100000);
	for (size_t n = 4094; n <= 4098; n++)
		talks("ec-1.3", n);
	for (size_t n = 16383; n <= 16386; n++)
		talks("ec-1.2", n);
}

/* Mbed TLS 3.6.6 failed on the first of these. */
T(tls12_signed_with_pss_and_pkcs1)
{
	static const char *const names[] = {"pss-1.2", "pkcs1-1.2"};
	for (unsigned i = 0; i < 2; i++) {
		struct lk_tls *t;
		int fd;
		bool truncated;
		uint8_t in[4];
		if (open_to(names[i], &fd, &t) != LK_OK) {
			T_FAIL("%s: %s", names[i], e.msg);
			continue;
		}
		EQ_CODE(LK_OK, lk_tls_write(t, "abc\n", 4, lk_deadline_in(5000), &e));
		EQ_U(read_all(t, in, 4, &truncated), 4);
		EQ_MEM(in, "cba\n", 4);
		lk_tls_close(t);
		close(fd);
	}
}

T(other_manners_of_servers)
{
	talks("hello-retry", 100);
	talks("asks-for-client-1.2", 100);
	talks("asks-for-client-1.3", 100);
	talks("upper", 100);
	talks("wildcard", 100);
}

T(protocols_that_are_not_spoken)
{
	refused("tls-1.1", LK_ETLS, "no protocol version in common");
	refused("static-rsa", LK_ETLS, "no cipher or group in common");
	refused("cbc", LK_ETLS, "no cipher or group in common");
	refused("dhe", LK_ETLS, "no cipher or group in common");
	refused("chacha", LK_ETLS, "no cipher or group in common");
	refused("group-521", LK_ETLS, "no cipher or group in common");
	refused("sha1-signature", LK_ETLS, "alert");
	refused("plain-http", LK_ETLS, "protocol failure");
}

static void ends(const char *name, const char *text, size_t n, bool cut)
{
	static uint8_t in[(1 << 20) + 1];
	struct lk_tls *t;
	int fd;
	bool truncated;
	if (open_to(name, &fd, &t) != LK_OK) {
		T_FAIL("%s: %s", name, e.msg);
		return;
	}
	EQ_U(read_all(t, in, sizeof(in), &truncated), n);
	if (truncated != cut)
		T_FAIL("%s: truncated is %d", name, truncated);
	if (text != NULL)
		EQ_MEM(in, text, n);
	for (size_t i = 0; text == NULL && i < n; i++)
		if (in[i] != (uint8_t)(i * 7)) {
			T_FAIL("%s: byte %zu", name, i);
			break;
		}
	size_t got = 9;
	EQ_CODE(LK_OK, lk_tls_read(t, in, 1, lk_deadline_in(1000), &got, &truncated, &e));
	EQ_U(got, 0);
	OK(truncated == cut); /* the end stays the end */
	lk_tls_close(t);
	close(fd);
}

T(an_end_without_goodbye_is_told_from_a_proper_one)
{
	ends("end-clean-1.2", "the end", 7, false);
	ends("end-clean-1.3", "the end", 7, false);
	ends("end-cut-1.2", "the end", 7, true);
	ends("end-cut-1.3", "the end", 7, true);
	ends("flood-1.2", NULL, 1 << 20, false);
	ends("flood-1.3", NULL, 1 << 20, false);
}

T(a_reset_is_the_networks_fault)
{
	static const char *const names[] = {"end-reset-1.2", "end-reset-1.3"};
	for (unsigned i = 0; i < 2; i++) {
		struct lk_tls *t;
		int fd;
		uint8_t in[100];
		size_t got = 1;
		bool truncated;
		enum lk_code rc = LK_OK;
		NEED(open_to(names[i], &fd, &t) == LK_OK);
		usleep(400000); /* the reset is there, and the data before it is gone */
		while (rc == LK_OK && got != 0)
			rc = lk_tls_read(
			    t, in, sizeof(in), lk_deadline_in(5000), &got, &truncated, &e);
		EQ_CODE(LK_ENET, rc);
		OK(e.retry);
		OK(e.sys != 0);
		lk_tls_close(t);
		close(fd);
	}
	refused("hang-up", LK_ENET, "TLS handshake with service.test: ");
	OK(e.retry);
}

static void times_out(const char *name, int64_t ms)
{
	struct lk_tls *t;
	int fd;
	lk_time began = lk_now();
	EQ_CODE(LK_ETIME, open_ms(name, PEER_HOST, &peer.roots, ms, &fd, &t));
	int64_t took = lk_now() - began;
	if (took < ms - 5 || took > ms + 1500)
		T_FAIL("%s: %lld ms instead of %lld", name, (long long)took, (long long)ms);
	OK(strstr(e.msg, "TLS handshake with service.test: ") != NULL);
}

T(deadlines)
{
	static const char *const silent[] = {"silent-1.2", "silent-1.3"};
	peer_start();
	times_out("mute", 300);
	times_out("slow-drip", 400); /* there is always a byte to come */
	times_out("rsa", 0);
	for (unsigned i = 0; i < 2; i++) {
		struct lk_tls *t;
		int fd;
		uint8_t in[1];
		size_t got;
		bool truncated;
		NEED(open_to(silent[i], &fd, &t) == LK_OK);
		lk_time began = lk_now();
		EQ_CODE(LK_ETIME, lk_tls_read(t, in, 1, lk_deadline_in(200), &got, &truncated, &e));
		OK(lk_now() - began >= 195 && lk_now() - began < 2000);
		/* it does not read either: the buffers fill up */
		static const uint8_t zeros[1 << 16];
		enum lk_code rc = LK_OK;
		lk_time until = lk_deadline_in(300);
		for (unsigned k = 0; k < 1000 && rc == LK_OK; k++)
			rc = lk_tls_write(t, zeros, sizeof(zeros), until, &e);
		EQ_CODE(LK_ETIME, rc);
		began = lk_now();
		lk_tls_close(t); /* not held up by that */
		OK(lk_now() - began < 1000);
		close(fd);
	}
}

/* Bytes that are there already are not a reason to go on for ever. */
T(no_reading_after_the_deadline)
{
	struct lk_tls *t;
	int fd;
	uint8_t in[100];
	size_t got;
	bool truncated;
	NEED(open_to("flood-1.3", &fd, &t) == LK_OK);
	EQ_CODE(LK_OK, lk_tls_read(t, in, 100, lk_deadline_in(5000), &got, &truncated, &e));
	enum lk_code rc = LK_OK;
	usleep(200000);
	for (unsigned i = 0; i < 300 && rc == LK_OK; i++) /* what is decrypted already is given */
		rc = lk_tls_read(t, in, 100, lk_deadline_in(0), &got, &truncated, &e);
	EQ_CODE(LK_ETIME, rc);
	lk_tls_close(t);
	close(fd);
}

T(a_byte_at_a_time)
{
	struct lk_tls *t;
	int fd;
	bool truncated;
	uint8_t in[4];
	NEED(open_to("drip", &fd, &t) == LK_OK);
	EQ_U(read_all(t, in, 4, &truncated), 4);
	EQ_MEM(in, "drip", 4);
	lk_tls_close(t);
	close(fd);
}

T(one_stream_at_a_time)
{
	struct lk_tls *t, *u;
	int fd;
	NEED(open_to("rsa", &fd, &t) == LK_OK);
	DIES(lk_tls_open(fd, PEER_HOST, &peer.roots, lk_deadline_in(100), &u, &e) == LK_OK);
	lk_tls_close(t);
	lk_tls_close(t); /* twice does nothing */
	lk_tls_close(NULL);
	close(fd);
}
