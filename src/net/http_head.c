/* http_head.c - status line and fields of an HTTP/1.1 response (RFC 9112, sections 4 and 5). */
#include "http_parse.h"

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(uint8_t c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* RFC 9110, section 5.6.2. */
static bool is_token(uint8_t c)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < sizeof(others) - 1; i++)
		if (c == (uint8_t)others[i])
			return true;
	return is_alnum(c);
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct lk_slice trim(struct lk_slice v)
{
	while (v.n > 0 && is_blank(v.p[0]))
		v = lk_slice_sub(v, 1, v.n - 1);
	while (v.n > 0 && is_blank(v.p[v.n - 1]))
		v.n--;
	return v;
}

enum lk_code lk_http_status_line(struct lk_slice line, struct lk_http_head *out, struct lk_err *e)
{
	/* "HTTP/1.1 200 ": the space after the number is there even when the reason is empty. */
	bool v11 = lk_slice_starts(line, LK_S("HTTP/1.1 "));
	bool v10 = lk_slice_starts(line, LK_S("HTTP/1.0 "));

	if (!v11 && !v10)
		return lk_fail(e, LK_EPROTO, "http: the answer does not begin with HTTP/1.1");
	if (line.n < 13 || line.p[12] != ' ')
		return lk_fail(e, LK_EPROTO, "http: malformed status line");
	for (size_t i = 9; i < 12; i++)
		if (!is_digit(line.p[i]))
			return lk_fail(e, LK_EPROTO, "http: the status is not three digits");
	out->status = (unsigned)(line.p[9] - '0') * 100 + (unsigned)(line.p[10] - '0') * 10 +
		      (unsigned)(line.p[11] - '0');
	out->v10 = v10;
	if (out->status < 100 || out->status > 599)
		return lk_fail(e, LK_EPROTO, "http: status %u does not exist", out->status);
	if (out->status == 101)
		return lk_fail(e, LK_EPROTO, "http: the peer switches protocols unasked");
	return LK_OK;
}

static enum lk_code split_field(
    struct lk_slice line, struct lk_slice *name, struct lk_slice *value, struct lk_err *e)
{
	size_t colon;

	if (line.n > 0 && is_blank(line.p[0]))
		return lk_fail(e, LK_EPROTO, "http: folded field");
	if (!lk_slice_find(line, ':', &colon) || colon == 0)
		return lk_fail(e, LK_EPROTO, "http: a field without a name");
	for (size_t i = 0; i < colon; i++)
		if (!is_token(line.p[i]))
			return lk_fail(e, LK_EPROTO, "http: malformed field name");
	*name = lk_slice_sub(line, 0, colon);
	*value = lk_slice_sub(line, colon + 1, line.n - colon - 1);
	return LK_OK;
}

/* The two framing fields are taken as every server writes them, at most one space before and
 * nothing around, so that no second reader of the same bytes can come to another length. */
static struct lk_slice framing_value(struct lk_slice v)
{
	return v.n > 0 && v.p[0] == ' ' ? lk_slice_sub(v, 1, v.n - 1) : v;
}

static enum lk_code content_length(struct lk_slice v, struct lk_http_head *out, struct lk_err *e)
{
	v = framing_value(v);
	if (out->has_length)
		return lk_fail(e, LK_EPROTO, "http: two content-length fields");
	if (v.n == 0)
		return lk_fail(e, LK_EPROTO, "http: empty content-length");
	for (size_t i = 0; i < v.n; i++)
		if (!is_digit(v.p[i]))
			return lk_fail(e, LK_EPROTO, "http: content-length is not a number");
	if (v.n > 10)
		return lk_fail(e, LK_ELIMIT, "http: content-length of %zu digits", v.n);
	uint64_t n = 0;
	for (size_t i = 0; i < v.n; i++)
		n = n * 10 + (uint64_t)(v.p[i] - '0');
	if (n > SIZE_MAX)
		return lk_fail(e, LK_ELIMIT, "http: content-length does not fit");
	out->has_length = true;
	out->length = (size_t)n;
	return LK_OK;
}

static enum lk_code transfer_encoding(struct lk_slice v, struct lk_http_head *out, struct lk_err *e)
{
	if (out->has_te)
		return lk_fail(e, LK_EPROTO, "http: two transfer-encoding fields");
	if (!lk_slice_eq_str(framing_value(v), "chunked"))
		return lk_fail(e, LK_EPROTO, "http: transfer-encoding is not exactly \"chunked\"");
	out->has_te = true;
	return LK_OK;
}

static bool media_is_json(struct lk_slice v)
{
	size_t semicolon;

	if (lk_slice_find(v, ';', &semicolon))
		v = lk_slice_sub(v, 0, semicolon);
	v = trim(v);
	for (size_t i = 0; i < v.n; i++)
		if (!is_token(v.p[i]) && v.p[i] != '/')
			return false;
	return lk_slice_ieq_str(v, "application/json") ||
	       (v.n > 5 && lk_slice_ieq_str(lk_slice_sub(v, v.n - 5, 5), "+json"));
}

/* A date or anything else that is not a plain number counts as absent. The longest wins. */
static void retry_after(struct lk_slice v, uint64_t unit_ms, struct lk_http_head *out)
{
	uint32_t n;

	if (lk_slice_u32(trim(v), UINT32_MAX, &n) && (uint64_t)n * unit_ms > out->retry_ms)
		out->retry_ms = (uint64_t)n * unit_ms;
}

static void request_id(struct lk_slice v, struct lk_http_head *out)
{
	size_t n = 0;

	for (size_t i = 0; i < v.n && n < sizeof(out->request_id) - 1; i++)
		if (is_alnum(v.p[i]) || v.p[i] == '-')
			out->request_id[n++] = (char)v.p[i];
	out->request_id[n] = '\0';
}

enum lk_code lk_http_field_line(struct lk_slice line, struct lk_http_head *out, struct lk_err *e)
{
	struct lk_slice name, value;

	enum lk_code c = split_field(line, &name, &value, e);
	if (c != LK_OK)
		return c;
	if (lk_slice_ieq_str(name, "content-length"))
		return content_length(value, out, e);
	if (lk_slice_ieq_str(name, "transfer-encoding"))
		return transfer_encoding(value, out, e);
	if (lk_slice_ieq_str(name, "content-type")) {
		if (out->has_type)
			return lk_fail(e, LK_EPROTO, "http: two content-type fields");
		out->has_type = true;
		out->json = media_is_json(value);
	} else if (lk_slice_ieq_str(name, "retry-after")) {
		retry_after(value, 1000, out);
	} else if (lk_slice_ieq_str(name, "retry-after-ms") ||
		   lk_slice_ieq_str(name, "x-ms-retry-after-ms")) {
		retry_after(value, 1, out);
	} else if (lk_slice_ieq_str(name, "x-ms-request-id")) {
		request_id(value, out);
	}
	return LK_OK;
}

enum lk_code lk_http_trailer_line(struct lk_slice line, struct lk_err *e)
{
	struct lk_slice name, value;

	enum lk_code c = split_field(line, &name, &value, e);
	if (c != LK_OK)
		return c;
	if (lk_slice_ieq_str(name, "content-length") || lk_slice_ieq_str(name, "transfer-encoding"))
		return lk_fail(e, LK_EPROTO, "http: a framing field in the trailer");
	return LK_OK;
}
