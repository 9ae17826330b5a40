/* The client stream. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ciphersuites.h>

#include "lk/io.h"
#include "lk/rng.h"
#include "lk/tls.h"
#include "verify_mbed.h"

#define CLOSE_MS 50 /* a goodbye is sent if the socket takes it, and not waited for */

struct lk_tls {
	bool open, ended, truncated;
	int fd;
	lk_time deadline; /* of the call that is running */
	struct lk_err io; /* why the socket failed: the library passes on a number only */
	struct lk_verify verify;
	char host[LK_HOST_MAX + 1];
	mbedtls_ssl_context ssl;
	mbedtls_ssl_config conf;
	mbedtls_x509_crt anchors;
};

static struct lk_tls stream;

/* Every suite has forward secrecy and an authenticated cipher. */
static const int suites[] = {MBEDTLS_TLS1_3_AES_256_GCM_SHA384, MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    0};
static const uint16_t groups[] = {MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1,
    MBEDTLS_SSL_IANA_TLS_GROUP_NONE};

static int random_bytes(void *ctx, unsigned char *out, size_t n)
{
	struct lk_tls *t = ctx;
	return lk_rng(out, n, &t->io) == LK_OK ? 0 : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

/* Waits in here, not in the callers, so that every byte of the library's is under the deadline. A
 * peer whose bytes are always there already does not get more time either. */
static bool wait_for(struct lk_tls *t, short events)
{
	if (lk_left(t->deadline) == 0) {
		lk_fail(&t->io, LK_ETIME, "time is up");
		return false;
	}
	return events == 0 || lk_wait_fd(t->fd, events, t->deadline, &t->io) == LK_OK;
}

/* After a failed call: go on? */
static bool again(struct lk_tls *t, short events)
{
	if (errno == EINTR)
		return wait_for(t, 0);
	if (errno == EAGAIN)
		return wait_for(t, events);
	lk_fail_sys(&t->io, errno, "connection lost");
	t->io.code = LK_ENET;
	lk_err_retry(&t->io);
	return false;
}

static int bio_send(void *ctx, const unsigned char *p, size_t n)
{
	struct lk_tls *t = ctx;
	bool go = wait_for(t, 0);
	while (go) {
		ssize_t k = send(t->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (k >= 0)
			return (int)k;
		go = again(t, POLLOUT);
	}
	return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

static int bio_recv(void *ctx, unsigned char *p, size_t n)
{
	struct lk_tls *t = ctx;
	bool go = wait_for(t, 0);
	while (go) {
		ssize_t k = recv(t->fd, p, n, MSG_DONTWAIT);
		if (k >= 0)
			return (int)k;
		go = again(t, POLLIN);
	}
	return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

static const char *alert_name(unsigned alert)
{
	switch (alert) {
	case MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE:
		return "no cipher or group in common";
	case MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION:
		return "no protocol version in common; 1.2 and 1.3 are spoken here";
	case MBEDTLS_SSL_ALERT_MSG_UNRECOGNIZED_NAME:
		return "it does not know that server name";
	case MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR:
		return "internal error";
	default:
		return "see RFC 8446, section 6";
	}
}

/* What the library's number means, for the caller and for a person. */
static enum lk_code fail(struct lk_tls *t, int ret, const char *what, struct lk_err *e)
{
	if (t->io.code != LK_OK) {
		*e = t->io;
		return lk_err_prefix(e, "%s %s", what, t->host);
	}
	if (ret == MBEDTLS_ERR_SSL_CONN_EOF) {
		lk_fail(e, LK_ENET, "%s %s: closed by the server", what, t->host);
		return lk_err_retry(e);
	}
	if (ret == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) {
		/* there is no function for it; the version check in mbed_config.h guards the member
		 */
		unsigned alert = t->ssl.MBEDTLS_PRIVATE(in_msg)[1];
		lk_fail(e, LK_ETLS, "%s %s: refused by the server with alert %u (%s)", what,
		    t->host, alert, alert_name(alert));
	} else if (ret == MBEDTLS_ERR_SSL_ALLOC_FAILED || ret == MBEDTLS_ERR_X509_ALLOC_FAILED) {
		lk_fail(e, LK_ESYS, "%s %s: out of memory", what, t->host);
	} else {
		lk_fail(
		    e, LK_ETLS, "%s %s: protocol failure -0x%04x", what, t->host, (unsigned)-ret);
	}
	e->lib = (uint32_t)-ret;
	return e->code;
}

static int configure(struct lk_tls *t)
{
	mbedtls_ssl_config *c = &t->conf;
	int ret = mbedtls_ssl_config_defaults(
	    c, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
	if (ret != 0)
		return ret;
	mbedtls_ssl_conf_authmode(c, MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_rng(c, random_bytes, t);
	mbedtls_ssl_conf_min_tls_version(c, MBEDTLS_SSL_VERSION_TLS1_2);
	mbedtls_ssl_conf_max_tls_version(c, MBEDTLS_SSL_VERSION_TLS1_3);
	mbedtls_ssl_conf_ciphersuites(c, suites);
	mbedtls_ssl_conf_groups(c, groups);
	mbedtls_ssl_conf_ca_chain(c, &t->anchors, NULL);
	mbedtls_ssl_conf_verify(c, lk_verify_step, &t->verify);
	ret = mbedtls_ssl_setup(&t->ssl, c);
	if (ret != 0)
		return ret;
	mbedtls_ssl_set_bio(&t->ssl, t, bio_send, bio_recv, NULL);
	return mbedtls_ssl_set_hostname(&t->ssl, t->host);
}

static bool is_again(int ret)
{
	return ret == MBEDTLS_ERR_SSL_WANT_READ || ret == MBEDTLS_ERR_SSL_WANT_WRITE;
}

static enum lk_code handshake(struct lk_tls *t, struct lk_err *e)
{
	int ret;
	do
		ret = mbedtls_ssl_handshake(&t->ssl);
	while (is_again(ret) && wait_for(t, 0));
	uint32_t flags = mbedtls_ssl_get_verify_result(&t->ssl);
	/* all ones: it did not come to a check; after a success that must not be */
	if (t->io.code == LK_OK && flags != 0 && (ret == 0 || flags != UINT32_MAX))
		return lk_verify_fail(&t->verify, t->host, flags, e);
	return ret == 0 ? LK_OK : fail(t, ret, "TLS handshake with", e);
}

static void release(struct lk_tls *t)
{
	mbedtls_ssl_free(&t->ssl);
	mbedtls_ssl_config_free(&t->conf);
	mbedtls_x509_crt_free(&t->anchors);
	lk_wipe(t, sizeof(*t));
}

enum lk_code lk_tls_open(int fd, const char *host, const struct lk_roots *roots, lk_time deadline,
    struct lk_tls **out, struct lk_err *e)
{
	struct lk_tls *t = &stream;
	unsigned count, first_bad;
	LK_BUG_ON(t->open);
	enum lk_code rc = lk_host_normal(host, t->host, e);
	if (rc != LK_OK)
		return rc;
	t->open = true;
	t->fd = fd;
	t->deadline = deadline;
	mbedtls_ssl_init(&t->ssl);
	mbedtls_ssl_config_init(&t->conf);
	mbedtls_x509_crt_init(&t->anchors);
	lk_verify_start(&t->verify);
	rc = lk_roots_load(roots, &t->anchors, &count, &first_bad, e);
	if (rc == LK_OK) {
		int ret = configure(t);
		rc = ret == 0 ? handshake(t, e) : fail(t, ret, "TLS set-up for", e);
	}
	if (rc != LK_OK) {
		release(t);
		return rc;
	}
	*out = t;
	return LK_OK;
}

enum lk_code lk_tls_read(struct lk_tls *t, void *p, size_t cap, lk_time deadline, size_t *got,
    bool *truncated, struct lk_err *e)
{
	int ret = 0;
	LK_BUG_ON(!t->open || cap == 0);
	*got = 0;
	t->deadline = deadline;
	t->io.code = LK_OK;
	if (!t->ended) {
		/* "again" also means: a session ticket came and was dropped */
		do
			ret = mbedtls_ssl_read(&t->ssl, p, cap);
		while (is_again(ret) && wait_for(t, 0));
		if (ret > 0) {
			*got = (size_t)ret;
			*truncated = false;
			return LK_OK;
		}
		if (ret != 0 && ret != MBEDTLS_ERR_SSL_CONN_EOF &&
		    ret != MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
			return fail(t, ret, "reading from", e);
		t->ended = true;
		t->truncated = ret != MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY;
	}
	*truncated = t->truncated;
	return LK_OK;
}

enum lk_code lk_tls_write(
    struct lk_tls *t, const void *p, size_t n, lk_time deadline, struct lk_err *e)
{
	const unsigned char *at = p;
	LK_BUG_ON(!t->open);
	t->deadline = deadline;
	t->io.code = LK_OK;
	while (n != 0) {
		int ret = mbedtls_ssl_write(&t->ssl, at, n);
		if (is_again(ret) && wait_for(t, 0))
			continue;
		if (ret <= 0)
			return fail(t, ret, "writing to", e);
		at += ret;
		n -= (size_t)ret;
	}
	return LK_OK;
}

void lk_tls_close(struct lk_tls *t)
{
	if (t == NULL || !t->open)
		return;
	t->deadline = lk_deadline_in(CLOSE_MS);
	(void)mbedtls_ssl_close_notify(&t->ssl);
	release(t);
}
