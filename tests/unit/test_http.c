/* The response parser: everything it must refuse (each row with the outcome we want), everything it
 * must take, in one piece, split at every byte, byte by byte, and cut off at every byte. */
#include "t.h"

#include "../../src/net/http_parse.h"
#include "http_rows.h"

static uint8_t store_bytes[ROOM];
static struct lk_buf store;
static struct lk_http_parse parse;
static struct lk_err err;

static void start(void)
{
	memset(&err, 0, sizeof(err));
	store = LK_BUF(store_bytes);
	lk_http_parse_start(&parse, &store);
}

static enum lk_code feed(const uint8_t *p, size_t n)
{
	return lk_http_parse_feed(&parse, lk_slice_of(p, n), &err);
}

/* Two pieces [0, cut) and [cut, n), then the peer's end. */
static enum lk_code run(struct lk_slice in, size_t cut)
{
	start();
	enum lk_code c = feed(in.p, cut);
	if (c == LK_OK)
		c = feed(in.p + cut, in.n - cut);
	return c == LK_OK ? lk_http_parse_eof(&parse, true, &err) : c;
}

static enum lk_code run_bytes(struct lk_slice in)
{
	enum lk_code c = LK_OK;

	start();
	for (size_t i = 0; i < in.n && c == LK_OK; i++)
		c = feed(in.p + i, 1);
	return c == LK_OK ? lk_http_parse_eof(&parse, true, &err) : c;
}

static void check_bad(const struct bad *b)
{
	for (size_t cut = 0; cut <= b->in.n; cut++) {
		enum lk_code c = run(b->in, cut);
		if (c != b->want)
			T_FAIL(
			    "%s, cut at %zu: code %d, not %d", b->name, cut, (int)c, (int)b->want);
	}
	if (run_bytes(b->in) != b->want)
		T_FAIL("%s, byte by byte: not %d", b->name, (int)b->want);
	OK(err.msg[0] != '\0');
	/* Cut off anywhere, it is never taken for an answer, unless one was complete there. */
	for (size_t n = 0; n < b->in.n; n++) {
		enum lk_code c = run(lk_slice_sub(b->in, 0, n), n / 2);
		if ((c == LK_OK) != (b->whole > 0 && n == b->whole))
			T_FAIL("%s, ends after %zu: code %d", b->name, n, (int)c);
	}
}

T(refuses)
{
	for (size_t i = 0; i < TABLE(bad_rows); i++)
		check_bad(&bad_rows[i]);
}

static void check_result(const struct good *g, size_t cut)
{
	struct lk_http_rsp rsp;

	if (!lk_http_parse_done(&parse)) {
		T_FAIL("%s, cut at %zu: not done", g->name, cut);
		return;
	}
	lk_http_parse_result(&parse, &rsp);
	EQ_U(rsp.status, g->status);
	EQ_U(rsp.json, g->json);
	EQ_BYTES(rsp.body.p, rsp.body.n, g->body, strlen(g->body));
}

static void check_good(const struct good *g)
{
	for (size_t cut = 0; cut <= g->in.n; cut++) {
		enum lk_code c = run(g->in, cut);
		if (c != LK_OK)
			T_FAIL("%s, cut at %zu: code %d, %s", g->name, cut, (int)c, err.msg);
		else
			check_result(g, cut);
	}
	EQ_CODE(LK_OK, run_bytes(g->in));
	check_result(g, 0);
	for (size_t n = 0; n < g->in.n; n++) {
		enum lk_code c = run(lk_slice_sub(g->in, 0, n), 0);
		if (g->until_close && n >= g->head)
			EQ_CODE(LK_OK, c);
		else if (c != (n == 0 ? LK_ENET : LK_EPROTO) || !err.retry)
			T_FAIL("%s, ends after %zu: code %d", g->name, n, (int)c);
	}
}

T(accepts)
{
	for (size_t i = 0; i < TABLE(good_rows); i++)
		check_good(&good_rows[i]);
}

/* Under TLS a body that only the end delimits needs a close_notify. */
T(unclean_end_is_truncation)
{
	for (size_t i = 0; i < TABLE(good_rows); i++) {
		const struct good *g = &good_rows[i];
		start();
		EQ_CODE(LK_OK, feed(g->in.p, g->in.n));
		EQ_CODE(g->until_close ? LK_EPROTO : LK_OK, lk_http_parse_eof(&parse, false, &err));
	}
}

/* Streams that would not fit a table: `first`, then `again` until the parser has had enough. */
static void endless(const char *name, const char *first, const char *again, size_t limit)
{
	start();
	enum lk_code c = feed((const uint8_t *)first, strlen(first));
	size_t fed = 0;
	while (c == LK_OK && fed < 10 * limit) {
		c = feed((const uint8_t *)again, strlen(again));
		fed += strlen(again);
	}
	if (c != LK_ELIMIT || fed > limit + 64)
		T_FAIL("%s: code %d after %zu bytes", name, (int)c, fed);
}

T(has_limits)
{
	endless("one field for ever", H "A: ", "x", LK_HTTP_HEAD_MAX);
	endless("one reason for ever", "HTTP/1.1 200 ", "x", LK_HTTP_HEAD_MAX);
	endless("no line at all", "", "x", LK_HTTP_HEAD_MAX);
	endless("fields for ever", H, "A: b\r\n", LK_HTTP_FIELDS_MAX * 6);
	endless("fields of 1 KB for ever", H "A:", "0123456789abcdef\r\nA:", LK_HTTP_HEAD_MAX);
	endless("interim answers for ever", "", "HTTP/1.1 100 C\r\n\r\n", 5 * 18);
	endless("body until close for ever", H "\r\n", "x", ROOM);
	endless("chunks for ever", CH, "10\r\n0123456789abcdef\r\n", (ROOM / 16 + 1) * 22);
	endless("zeros for ever", CH, "0", LK_HTTP_OVERHEAD_MAX);
	endless("extension for ever", CH "1;", "x", LK_HTTP_OVERHEAD_MAX);
	endless("trailer for ever", CH "0\r\nA: ", "x", LK_HTTP_OVERHEAD_MAX);
}

/* The chunk overhead alone: room enough for the data, but it comes byte by byte. */
T(limits_one_byte_chunks)
{
	static uint8_t big[64 * 1024];
	size_t chunks = 0;

	start();
	store = LK_BUF(big);
	OK(feed((const uint8_t *)CH, sizeof(CH) - 1) == LK_OK);
	while (chunks < 1000000 && feed((const uint8_t *)"1\r\nx\r\n", 6) == LK_OK)
		chunks++;
	EQ_U(err.code, LK_ELIMIT);
	EQ_U(chunks, LK_HTTP_OVERHEAD_MAX / 5);
}

/* Exactly at each limit is fine. */
T(takes_what_just_fits)
{
	static uint8_t text[LK_HTTP_HEAD_MAX];
	struct lk_buf b = LK_BUF(text);

	lk_buf_str(&b, H "Content-Length: 0\r\nA: ");
	while (b.n < LK_HTTP_HEAD_MAX - 4)
		lk_buf_byte(&b, 'x');
	lk_buf_str(&b, "\r\n\r\n");
	EQ_CODE(LK_OK, run(lk_slice_buf(&b), 0));
	b.n = 0;
	lk_buf_str(&b, CH);
	lk_buf_str(&b, "1;");
	for (int i = 0; i < LK_HTTP_EXT_MAX - 1; i++)
		lk_buf_byte(&b, 'x');
	size_t at = b.n;
	lk_buf_str(&b, "\r\nz\r\n0\r\n\r\n");
	EQ_CODE(LK_OK, run(lk_slice_buf(&b), 0));
	b.n = at;
	lk_buf_str(&b, "x\r\nz\r\n0\r\n\r\n");
	EQ_CODE(LK_ELIMIT, run(lk_slice_buf(&b), 0));
	b.n = 0;
	lk_buf_str(&b, H);
	for (int i = 0; i < LK_HTTP_FIELDS_MAX - 1; i++)
		lk_buf_str(&b, "A: b\r\n");
	lk_buf_str(&b, "Content-Length: 1024\r\n\r\n");
	for (int i = 0; i < ROOM; i++)
		lk_buf_byte(&b, 'x');
	EQ_CODE(LK_OK, run(lk_slice_buf(&b), 100));
}

static struct lk_http_rsp with(const char *fields)
{
	struct lk_http_rsp rsp = {0};

	start();
	OK(feed((const uint8_t *)"HTTP/1.1 429 T\r\n", 16) == LK_OK);
	OK(feed((const uint8_t *)fields, strlen(fields)) == LK_OK);
	OK(feed((const uint8_t *)"Content-Length: 0\r\n\r\n", 21) == LK_OK);
	if (lk_http_parse_done(&parse))
		lk_http_parse_result(&parse, &rsp);
	return rsp;
}

T(reads_retry_after)
{
	EQ_U(with("").retry_s, 0);
	EQ_U(with("Retry-After: 7\r\n").retry_s, 7);
	EQ_U(with("retry-after:  7 \r\n").retry_s, 7);
	EQ_U(with("Retry-After: 300\r\n").retry_s, 300);
	EQ_U(with("Retry-After: 301\r\n").retry_s, 300);
	EQ_U(with("Retry-After: 4294967295\r\n").retry_s, 300);
	EQ_U(with("Retry-After: 4294967296\r\n").retry_s, 0);
	EQ_U(with("Retry-After: -5\r\n").retry_s, 0);
	EQ_U(with("Retry-After: 1.5\r\n").retry_s, 0);
	EQ_U(with("Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n").retry_s, 0);
	EQ_U(with("Retry-After-Ms: 1\r\n").retry_s, 1);
	EQ_U(with("x-ms-retry-after-ms: 2000\r\n").retry_s, 2);
	EQ_U(with("x-ms-retry-after-ms: 2001\r\n").retry_s, 3);
	EQ_U(with("Retry-After: 9\r\nretry-after-ms: 2000\r\n").retry_s, 9);
}

T(reads_the_request_id)
{
	char id[128];

	EQ_S(with("").request_id, "");
	EQ_S(with("X-Ms-Request-Id: 0123-aBc\r\n").request_id, "0123-aBc");
	EQ_S(with("x-ms-request-id: a b;\xff<c>\r\n").request_id, "abc");
	(void)snprintf(id, sizeof(id), "x-ms-request-id: %061d\r\n", 0);
	EQ_U(strlen(with(id).request_id), 61);
	(void)snprintf(id, sizeof(id), "x-ms-request-id:%0100d\r\n", 0);
	EQ_U(strlen(with(id).request_id), 63);
}
