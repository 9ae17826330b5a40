/* http_parse.h - the HTTP/1.1 response parser behind lk_http_do; it takes its bytes in pieces of
 * any size.
 *
 * It sees bytes only, never a descriptor, so that tests and fuzzers can drive it. One state machine
 * for head, body, chunks and trailers; the body goes to the caller's buffer, the line being read
 * stays in the parser (16 KiB, so parsers are static objects). Source: RFC 9112, read strictly:
 * what two readers could take in two ways is refused.
 */
#ifndef LK_NET_HTTP_PARSE_H
#define LK_NET_HTTP_PARSE_H

#include "lk/http.h"

#define LK_HTTP_HEAD_MAX     16384 /* bytes of one head, status line to empty line */
#define LK_HTTP_FIELDS_MAX   64
#define LK_HTTP_1XX_MAX      4
#define LK_HTTP_OVERHEAD_MAX 8192 /* chunk lines, their line ends and trailers together */
#define LK_HTTP_EXT_MAX      256  /* one chunk extension */
#define LK_HTTP_TRAILERS_MAX 8
#define LK_HTTP_RETRY_MAX    300 /* seconds */

enum lk_http_at {
	LK_HTTP_AT_STATUS, /* status line */
	LK_HTTP_AT_FIELD,
	LK_HTTP_AT_LENGTH, /* body of `left` more bytes */
	LK_HTTP_AT_CLOSE,  /* body until the peer closes */
	LK_HTTP_AT_SIZE,   /* chunk size line */
	LK_HTTP_AT_DATA,   /* chunk data, `left` more bytes */
	LK_HTTP_AT_GAP,    /* line end after chunk data */
	LK_HTTP_AT_TRAILER,
	LK_HTTP_AT_DONE
};

/* What a head says, as far as we ask. */
struct lk_http_head {
	unsigned status;
	bool v10; /* HTTP/1.0 */
	bool has_length, has_te, has_type, json;
	size_t length;
	uint64_t retry_ms;
	char request_id[64];
};

struct lk_http_parse {
	enum lk_http_at at;
	struct lk_buf *store;
	size_t body_at; /* where the body begins in store */
	size_t left;
	size_t spent; /* bytes of this head, or of chunk overhead */
	unsigned fields, informational;
	bool begun; /* a byte has come */
	bool cr;    /* the line's last byte was CR */
	size_t line_n;
	uint8_t line[LK_HTTP_HEAD_MAX];
	struct lk_http_head head;
};

/* http_body.c */
void lk_http_parse_start(struct lk_http_parse *p, struct lk_buf *store);
/* Take all of `in`. Bytes after the end of the response are LK_EPROTO. */
LK_CHECK enum lk_code lk_http_parse_feed(
    struct lk_http_parse *p, struct lk_slice in, struct lk_err *e);
/* The peer sent its end; clean: not a reset, and under TLS a close_notify. LK_OK when that
 * completes the response; nothing at all is LK_ENET, a part LK_EPROTO, both with retry. */
LK_CHECK enum lk_code lk_http_parse_eof(struct lk_http_parse *p, bool clean, struct lk_err *e);
bool lk_http_parse_done(const struct lk_http_parse *p);
/* The response; only after done. */
void lk_http_parse_result(const struct lk_http_parse *p, struct lk_http_rsp *rsp);

/* http_head.c: one line each, without its CRLF and with control bytes already refused. */
LK_CHECK enum lk_code lk_http_status_line(
    struct lk_slice line, struct lk_http_head *out, struct lk_err *e);
LK_CHECK enum lk_code lk_http_field_line(
    struct lk_slice line, struct lk_http_head *out, struct lk_err *e);
/* A trailer: the same syntax, framing fields refused, the rest ignored. */
LK_CHECK enum lk_code lk_http_trailer_line(struct lk_slice line, struct lk_err *e);

#endif
