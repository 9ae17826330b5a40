/* lk/http.h - one HTTP/1.1 exchange over a connected stream, then close.
 *
 * The response is hostile until proven otherwise (RFC 9112, strict reading): head at most 16 KiB
 * and 64 fields, CRLF only, unambiguous framing (Content-Length or exactly "chunked", never both;
 * neither needs a clean close, under TLS a close_notify), up to four 1xx consumed, body limited by
 * the room in `store`, nothing after the end. Redirects are not followed: a 3xx comes back as a
 * status. Nothing is allocated; slices in the response point into `store`.
 */
#ifndef LK_HTTP_H
#define LK_HTTP_H

#include "lk/tls.h"

/* A connection: plain (tls == NULL) or TLS; owns neither until lk_conn_close. */
struct lk_conn {
	int fd;
	struct lk_tls *tls;
};
void lk_conn_close(struct lk_conn *c);

struct lk_http_req {
	const char *method;     /* "GET" or "POST" */
	const char *host;       /* Host field */
	struct lk_slice target; /* path and query */
	struct lk_slice bearer; /* Authorization: Bearer, or empty */
	bool metadata;          /* IMDS: "Metadata: true" */
	struct lk_slice body;   /* JSON, or empty */
	const char *request_id; /* x-ms-client-request-id, or NULL */
	const char *accept;     /* NULL: application/json */
};

struct lk_http_rsp {
	unsigned status;      /* 200..599 */
	struct lk_slice body; /* complete, de-chunked */
	bool json;            /* Content-Type starts with application/json or a +json type */
	uint32_t retry_s; /* Retry-After or retry-after-ms, rounded up, 0 if absent or unusable, at
			     most 300 */
	char request_id[64]; /* x-ms-request-id, filtered to [0-9A-Za-z-], or "" */
};

/* LK_EPROTO: malformed, ambiguous or truncated. LK_ELIMIT: larger than allowed. LK_ENET: reset
 * or no answer at all (retry). LK_ETIME: the deadline, or no byte for 30 s (retry). A status other
 * than 2xx is not an error here. The connection is closed in every case. */
LK_CHECK enum lk_code lk_http_do(struct lk_conn *c, const struct lk_http_req *req,
    struct lk_buf *store, struct lk_http_rsp *rsp, lk_time deadline, struct lk_err *e);

#endif
