/* http.c - send one request, read one response, close. */
#include <string.h>

#include "http_parse.h"
#include "lk/io.h"
#include "lk/secret.h"

#ifndef LK_VERSION
#define LK_VERSION "dev"
#endif

#define REQUEST_HEAD_MAX 12288 /* a bearer token of 8 KiB, a target, and the rest */
#define READ_MAX         4096
#define STALL_MS         30000

void lk_conn_close(struct lk_conn *c)
{
	if (c->tls)
		lk_tls_close(c->tls);
	c->tls = NULL;
	lk_close(&c->fd);
}

/* Nothing of ours may break out of its line: a token or a name came from elsewhere before. */
static bool is_clean(struct lk_slice v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] <= 0x20 || v.p[i] >= 0x7f)
			return false;
	return true;
}

static enum lk_code check_request(const struct lk_http_req *q, struct lk_err *e)
{
	struct lk_slice host = lk_slice_str(q->host);

	if (!lk_slice_starts(q->target, LK_S("/")) || !is_clean(q->target) || host.n == 0 ||
	    !is_clean(host) || !is_clean(q->bearer) || !is_clean(lk_slice_str(q->method)) ||
	    (q->request_id && !is_clean(lk_slice_str(q->request_id))) ||
	    (q->accept && !is_clean(lk_slice_str(q->accept))))
		return lk_fail(e, LK_EUSAGE, "http: a blank or control byte in the request's head");
	return LK_OK;
}

static void write_head(const struct lk_http_req *q, struct lk_buf *out)
{
	lk_buf_str(out, q->method);
	lk_buf_byte(out, ' ');
	lk_buf_slice(out, q->target);
	lk_buf_str(out, " HTTP/1.1\r\nHost: ");
	lk_buf_str(out, q->host);
	lk_buf_str(out, "\r\nUser-Agent: latchkey/" LK_VERSION "\r\nAccept: ");
	lk_buf_str(out, q->accept ? q->accept : "application/json");
	lk_buf_str(out, "\r\nAccept-Encoding: identity\r\nConnection: close\r\n");
	if (q->metadata)
		lk_buf_str(out, "Metadata: true\r\n");
	if (q->bearer.n > 0) {
		lk_buf_str(out, "Authorization: Bearer ");
		lk_buf_slice(out, q->bearer);
		lk_buf_str(out, "\r\n");
	}
	if (q->request_id) {
		lk_buf_str(out, "x-ms-client-request-id: ");
		lk_buf_str(out, q->request_id);
		lk_buf_str(out, "\r\n");
	}
	if (q->body.n > 0) {
		lk_buf_str(out, "Content-Type: application/json\r\nContent-Length: ");
		lk_buf_u64(out, q->body.n);
		lk_buf_str(out, "\r\n");
	}
	lk_buf_str(out, "\r\n");
}

static enum lk_code conn_write(
    struct lk_conn *c, struct lk_slice v, lk_time deadline, struct lk_err *e)
{
	if (v.n == 0)
		return LK_OK;
	return c->tls ? lk_tls_write(c->tls, v.p, v.n, deadline, e)
		      : lk_write_full(c->fd, v.p, v.n, deadline, e);
}

static enum lk_code send_request(
    struct lk_conn *c, const struct lk_http_req *q, lk_time deadline, struct lk_err *e)
{
	static uint8_t bytes[REQUEST_HEAD_MAX];
	struct lk_buf head = LK_BUF(bytes);

	enum lk_code code = check_request(q, e);
	if (code != LK_OK)
		return code;
	write_head(q, &head);
	if (head.bad)
		return lk_fail(e, LK_ELIMIT, "http: the request's head is larger than %d bytes",
		    REQUEST_HEAD_MAX);
	code = conn_write(c, lk_slice_buf(&head), deadline, e);
	lk_wipe(bytes, head.n); /* it held the bearer token */
	if (code != LK_OK)
		return code;
	return conn_write(c, q->body, deadline, e);
}

/* One read, at most STALL_MS long. *got == 0: the end; *clean: not a truncated TLS stream. */
static enum lk_code conn_read(struct lk_conn *c, uint8_t *p, size_t cap, lk_time deadline,
    size_t *got, bool *clean, struct lk_err *e)
{
	lk_time stall = lk_deadline_in(STALL_MS);
	bool truncated = false;

	enum lk_code code =
	    c->tls ? lk_tls_read(
			 c->tls, p, cap, stall < deadline ? stall : deadline, got, &truncated, e)
		   : lk_read_some(c->fd, p, cap, stall < deadline ? stall : deadline, got, e);
	*clean = !truncated;
	if (code == LK_ETIME && lk_left(deadline) > 0) {
		(void)lk_fail(e, LK_ETIME, "http: no byte for %d s", STALL_MS / 1000);
		(void)lk_err_retry(e);
	}
	return code;
}

static enum lk_code receive(
    struct lk_conn *c, struct lk_http_parse *p, lk_time deadline, struct lk_err *e)
{
	uint8_t bytes[READ_MAX];
	size_t got;
	bool clean;

	while (!lk_http_parse_done(p)) {
		enum lk_code code = conn_read(c, bytes, sizeof(bytes), deadline, &got, &clean, e);
		if (code != LK_OK)
			return code;
		code = got > 0 ? lk_http_parse_feed(p, lk_slice_of(bytes, got), e)
			       : lk_http_parse_eof(p, clean, e);
		if (code != LK_OK)
			return code;
	}
	return LK_OK;
}

enum lk_code lk_http_do(struct lk_conn *c, const struct lk_http_req *req, struct lk_buf *store,
    struct lk_http_rsp *rsp, lk_time deadline, struct lk_err *e)
{
	static struct lk_http_parse parse;

	memset(rsp, 0, sizeof(*rsp));
	lk_http_parse_start(&parse, store);
	enum lk_code code = send_request(c, req, deadline, e);
	if (code == LK_OK)
		code = receive(c, &parse, deadline, e);
	if (code == LK_OK)
		lk_http_parse_result(&parse, rsp);
	lk_conn_close(c);
	return code;
}
