/* One exchange over TLS: only a close_notify ends a body that has no length. */
#include "tls_talk.h"

#include "lk/http.h"

static uint8_t store_bytes[256];
static struct lk_http_rsp rsp;

static enum lk_code exchange(const char *name)
{
	static const struct lk_http_req req = {
	    .method = "POST",
	    .host = PEER_HOST,
	    .target = {(const uint8_t *)"/", 1},
	    .body = {(const uint8_t *)"{}", 2},
	};
	struct lk_buf store = LK_BUF(store_bytes);
	struct lk_conn c;

	if (open_to(name, &c.fd, &c.tls) != LK_OK) {
		T_FAIL("%s: %s", name, e.msg);
		return e.code;
	}
	memset(&e, 0, sizeof(e));
	enum lk_code rc = lk_http_do(&c, &req, &store, &rsp, lk_deadline_in(10000), &e);
	OK(c.tls == NULL && c.fd == -1);
	return rc;
}

static void answers(const char *name)
{
	EQ_CODE(LK_OK, exchange(name));
	EQ_U(rsp.status, 200);
	EQ_BYTES(rsp.body.p, rsp.body.n, "{}", 2);
}

T(a_length_needs_no_clean_end)
{
	answers("http-length-clean");
	answers("http-length-cut");
}

T(no_length_needs_a_clean_end)
{
	answers("http-open-clean");
	EQ_CODE(LK_EPROTO, exchange("http-open-cut"));
	OK(strstr(e.msg, "truncated") != NULL);
	OK(e.retry);
}

/* It sends our own request back. */
T(a_peer_that_does_not_speak_http)
{
	EQ_CODE(LK_EPROTO, exchange("rsa-1.2"));
	EQ_CODE(LK_EPROTO, exchange("rsa-1.3"));
}
