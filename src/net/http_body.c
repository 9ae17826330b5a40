/* http_body.c - the state machine of the response parser: lines, framing, chunks, the end. */
#include <string.h>

#include "http_parse.h"

void lk_http_parse_start(struct lk_http_parse *p, struct lk_buf *store)
{
	memset(p, 0, sizeof(*p));
	p->store = store;
	p->body_at = store->n;
}

bool lk_http_parse_done(const struct lk_http_parse *p)
{
	return p->at == LK_HTTP_AT_DONE;
}

static size_t room(const struct lk_http_parse *p)
{
	return p->store->bad ? 0 : p->store->cap - p->store->n;
}

static enum lk_code too_large(const struct lk_http_parse *p, struct lk_err *e)
{
	return lk_fail(
	    e, LK_ELIMIT, "http: the body is larger than %zu bytes", p->store->cap - p->body_at);
}

/* Decided once, after the head's last field (RFC 9112, section 6.3, without its leniency). */
static enum lk_code decide_framing(struct lk_http_parse *p, struct lk_err *e)
{
	struct lk_http_head *h = &p->head;

	p->spent = 0;
	if (h->has_te && h->has_length)
		return lk_fail(e, LK_EPROTO, "http: content-length and transfer-encoding");
	if (h->has_te && h->v10)
		return lk_fail(e, LK_EPROTO, "http: transfer-encoding in HTTP/1.0");
	if (h->status < 200) {
		if (h->has_te || h->has_length)
			return lk_fail(
			    e, LK_EPROTO, "http: a body announced with status %u", h->status);
		if (++p->informational > LK_HTTP_1XX_MAX)
			return lk_fail(e, LK_ELIMIT, "http: too many interim answers");
		memset(h, 0, sizeof(*h));
		p->fields = 0;
		p->at = LK_HTTP_AT_STATUS;
		return LK_OK;
	}
	if (h->status == 204 || h->status == 304) {
		p->at = LK_HTTP_AT_DONE;
	} else if (h->has_te) {
		p->at = LK_HTTP_AT_SIZE;
	} else if (h->has_length) {
		if (h->length > room(p))
			return too_large(p, e);
		p->left = h->length;
		p->at = h->length > 0 ? LK_HTTP_AT_LENGTH : LK_HTTP_AT_DONE;
	} else {
		p->at = LK_HTTP_AT_CLOSE;
	}
	return LK_OK;
}

/* chunk-size [ ";" extension ]: 1 to 8 hexadecimal digits, then the end or a semicolon. */
static enum lk_code chunk_size(struct lk_http_parse *p, struct lk_slice line, struct lk_err *e)
{
	size_t size = 0, i = 0;

	for (; i < line.n; i++) {
		uint8_t c = line.p[i];
		unsigned v;
		if (c >= '0' && c <= '9')
			v = (unsigned)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = (unsigned)((c | 0x20) - 'a') + 10;
		else
			break;
		if (i == 8)
			return lk_fail(e, LK_EPROTO, "http: chunk size of more than 8 digits");
		size = size << 4 | v;
	}
	if (i == 0 || (i < line.n && line.p[i] != ';'))
		return lk_fail(e, LK_EPROTO, "http: malformed chunk size");
	if (line.n - i > LK_HTTP_EXT_MAX)
		return lk_fail(e, LK_ELIMIT, "http: chunk extension too long");
	for (; i < line.n; i++)
		if (line.p[i] == '\t')
			return lk_fail(e, LK_EPROTO, "http: control byte in a chunk extension");
	if (size > room(p))
		return too_large(p, e);
	p->left = size;
	p->fields = 0;
	p->at = size > 0 ? LK_HTTP_AT_DATA : LK_HTTP_AT_TRAILER;
	return LK_OK;
}

static enum lk_code trailer(struct lk_http_parse *p, struct lk_slice line, struct lk_err *e)
{
	if (line.n == 0) {
		p->at = LK_HTTP_AT_DONE;
		return LK_OK;
	}
	if (++p->fields > LK_HTTP_TRAILERS_MAX)
		return lk_fail(e, LK_ELIMIT, "http: too many trailers");
	return lk_http_trailer_line(line, e);
}

static enum lk_code whole_line(struct lk_http_parse *p, struct lk_err *e)
{
	struct lk_slice line = lk_slice_of(p->line, p->line_n);

	p->line_n = 0;
	p->cr = false;
	if (p->at == LK_HTTP_AT_STATUS) {
		p->at = LK_HTTP_AT_FIELD;
		return lk_http_status_line(line, &p->head, e);
	}
	if (p->at == LK_HTTP_AT_SIZE)
		return chunk_size(p, line, e);
	if (p->at == LK_HTTP_AT_TRAILER)
		return trailer(p, line, e);
	if (p->at == LK_HTTP_AT_GAP) { /* empty: see line_byte */
		p->at = LK_HTTP_AT_SIZE;
		return LK_OK;
	}
	if (line.n == 0)
		return decide_framing(p, e);
	if (++p->fields > LK_HTTP_FIELDS_MAX)
		return lk_fail(e, LK_ELIMIT, "http: more than %d fields", LK_HTTP_FIELDS_MAX);
	return lk_http_field_line(line, &p->head, e);
}

static enum lk_code line_byte(struct lk_http_parse *p, uint8_t c, struct lk_err *e)
{
	bool head = p->at == LK_HTTP_AT_STATUS || p->at == LK_HTTP_AT_FIELD;

	if (++p->spent > (head ? LK_HTTP_HEAD_MAX : LK_HTTP_OVERHEAD_MAX))
		return lk_fail(e, LK_ELIMIT, "http: %s larger than %d bytes",
		    head ? "head" : "chunk overhead",
		    head ? LK_HTTP_HEAD_MAX : LK_HTTP_OVERHEAD_MAX);
	if (p->cr != (c == '\n'))
		return lk_fail(e, LK_EPROTO, "http: a line does not end in CR LF");
	if (c == '\n')
		return whole_line(p, e);
	if (c == '\r') {
		p->cr = true;
		return LK_OK;
	}
	/* Said at once: the end of the line might never come. */
	if (p->at == LK_HTTP_AT_GAP)
		return lk_fail(e, LK_EPROTO, "http: chunk data longer than its size");
	if ((c < 0x20 && c != '\t') || c == 0x7f)
		return lk_fail(e, LK_EPROTO, "http: control byte in the head");
	p->line[p->line_n++] = c; /* line_n < spent <= the line's size */
	return LK_OK;
}

static enum lk_code body_bytes(struct lk_http_parse *p, struct lk_slice *in, struct lk_err *e)
{
	size_t n = in->n;
	struct lk_slice part;

	if (p->at != LK_HTTP_AT_CLOSE && n > p->left)
		n = p->left;
	if (n > room(p))
		return too_large(p, e);
	LK_BUG_ON(!lk_slice_take(in, n, &part));
	lk_buf_slice(p->store, part);
	if (p->at == LK_HTTP_AT_CLOSE)
		return LK_OK;
	p->left -= n;
	if (p->left == 0)
		p->at = p->at == LK_HTTP_AT_DATA ? LK_HTTP_AT_GAP : LK_HTTP_AT_DONE;
	return LK_OK;
}

enum lk_code lk_http_parse_feed(struct lk_http_parse *p, struct lk_slice in, struct lk_err *e)
{
	enum lk_code c = LK_OK;

	while (in.n > 0 && c == LK_OK) {
		p->begun = true;
		if (p->at == LK_HTTP_AT_DONE)
			return lk_fail(e, LK_EPROTO, "http: bytes after the end of the answer");
		if (p->at == LK_HTTP_AT_LENGTH || p->at == LK_HTTP_AT_CLOSE ||
		    p->at == LK_HTTP_AT_DATA) {
			c = body_bytes(p, &in, e);
		} else {
			c = line_byte(p, in.p[0], e);
			in = lk_slice_sub(in, 1, in.n - 1);
		}
	}
	return c;
}

enum lk_code lk_http_parse_eof(struct lk_http_parse *p, bool clean, struct lk_err *e)
{
	enum lk_code c;

	if (p->at == LK_HTTP_AT_DONE)
		return LK_OK;
	if (p->at == LK_HTTP_AT_CLOSE && clean) {
		p->at = LK_HTTP_AT_DONE;
		return LK_OK;
	}
	if (!p->begun)
		c = lk_fail(e, LK_ENET, "http: the peer closed without an answer");
	else
		c = lk_fail(e, LK_EPROTO, "http: the answer is truncated");
	(void)lk_err_retry(e);
	return c;
}

void lk_http_parse_result(const struct lk_http_parse *p, struct lk_http_rsp *rsp)
{
	const struct lk_http_head *h = &p->head;
	uint64_t s = (h->retry_ms + 999) / 1000;

	memset(rsp, 0, sizeof(*rsp));
	rsp->status = h->status;
	rsp->body = lk_slice_of(p->store->p + p->body_at, p->store->n - p->body_at);
	rsp->json = h->json;
	rsp->retry_s = s > LK_HTTP_RETRY_MAX ? LK_HTTP_RETRY_MAX : (uint32_t)s;
	memcpy(rsp->request_id, h->request_id, sizeof(rsp->request_id));
}
