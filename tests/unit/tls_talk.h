/* tls_talk.h - handshakes and echoes with the servers of tls_peer.h. */
#ifndef LK_TEST_TLS_TALK_H
#define LK_TEST_TLS_TALK_H

#include "t.h"
#include "tls_peer.h"

static struct lk_err e;

__attribute__((constructor)) static void start(void)
{
	if (lk_crypto_start(&e) != LK_OK)
		abort();
}

static inline enum lk_code open_ms(const char *name, const char *host, const struct lk_roots *roots,
    int64_t ms, int *fd, struct lk_tls **t)
{
	*fd = peer_connect(name);
	*t = NULL;
	memset(&e, 0, sizeof(e));
	enum lk_code rc = lk_tls_open(*fd, host, roots, lk_deadline_in(ms), t, &e);
	if (rc != LK_OK) {
		OK(*t == NULL);
		close(*fd);
	}
	return rc;
}

static inline enum lk_code open_to(const char *name, int *fd, struct lk_tls **t)
{
	peer_start();
	return open_ms(name, PEER_HOST, &peer.roots, 10000, fd, t);
}

/* n bytes, or fewer at the end. */
static inline size_t read_all(struct lk_tls *t, uint8_t *p, size_t n, bool *truncated)
{
	size_t have = 0, got = 1;
	*truncated = false;
	while (have < n && got != 0) {
		enum lk_code rc =
		    lk_tls_read(t, p + have, n - have, lk_deadline_in(10000), &got, truncated, &e);
		if (rc != LK_OK) {
			T_FAIL("read: %s", e.msg);
			break;
		}
		have += got;
	}
	return have;
}

/* A handshake and an echo of n bytes. */
static inline void talks(const char *name, size_t n)
{
	static uint8_t out[100000], in[100000];
	struct lk_tls *t;
	int fd;
	bool truncated;
	if (open_to(name, &fd, &t) != LK_OK) {
		T_FAIL("%s: %s", name, e.msg);
		return;
	}
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(i * 31 + i / 256);
	EQ_CODE(LK_OK, lk_tls_write(t, out, n, lk_deadline_in(10000), &e));
	EQ_U(read_all(t, in, n, &truncated), n);
	if (memcmp(in, out, n) != 0)
		T_FAIL("%s: other bytes come back", name);
	lk_tls_close(t);
	close(fd);
}

static inline void refused(const char *name, enum lk_code want, const char *text)
{
	struct lk_tls *t;
	int fd;
	enum lk_code rc = open_to(name, &fd, &t);
	if (rc == LK_OK) {
		lk_tls_close(t);
		close(fd);
	}
	if (rc != want || strstr(e.msg, text) == NULL)
		T_FAIL("%s: code %d, \"%s\"", name, (int)rc, rc == LK_OK ? "accepted" : e.msg);
	else if (getenv("SHOW") != NULL)
		printf("# %s: %s | %s\n", name, e.msg, e.hint);
}

#endif
