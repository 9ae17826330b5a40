/* azure_text.c - see azure_text.h. */
#include "azure_text.h"

#include "lk/b64.h"

struct lk_slice lk_azure_text(const struct lk_json *j, const char *path)
{
	struct lk_json v;
	struct lk_err ignored;

	if (lk_json_get(j, path, &v, &ignored) != LK_OK || lk_json_type(&v) != LK_JSON_STRING)
		return lk_slice_of(NULL, 0);
	return lk_json_raw(&v);
}

bool lk_azure_has(struct lk_slice text, const char *part)
{
	size_t n = lk_slice_str(part).n;

	for (size_t i = 0; i + n <= text.n; i++)
		if (lk_slice_ieq_str(lk_slice_sub(text, i, n), part))
			return true;
	return false;
}

bool lk_azure_status_again(unsigned status)
{
	return status == 408 || status == 429 || status >= 500;
}

enum lk_code lk_azure_set(
    const struct lk_http_rsp *rsp, bool retry, uint32_t at_least_s, struct lk_err *e)
{
	uint32_t wait = rsp->retry_s > at_least_s ? rsp->retry_s : at_least_s;

	e->http = (uint16_t)rsp->status;
	e->retry = retry;
	if (retry)
		e->wait_s = wait < LK_AZURE_WAIT_MAX ? wait : LK_AZURE_WAIT_MAX;
	return e->code;
}

enum lk_code lk_azure_json(const struct lk_http_rsp *rsp, const char *what,
    struct lk_json_tok *toks, size_t cap, struct lk_json *out, struct lk_err *e)
{
	if (rsp->status != 200)
		return lk_fail(e, LK_EPROTO, "%s: unexpected status %u", what, rsp->status);
	if (!rsp->json)
		return lk_fail(e, LK_EPROTO, "%s: the answer is not JSON", what);
	if (lk_json_parse(rsp->body, toks, cap, out, e) != LK_OK)
		return lk_err_prefix(e, "%s", what);
	return LK_OK;
}

/* The string at `path`, unescaped into `store` only when it holds an escape. */
static enum lk_code text_of(const struct lk_json *j, const char *path, struct lk_buf *store,
    struct lk_slice *out, struct lk_err *e)
{
	struct lk_json v;
	size_t at;

	enum lk_code c = lk_json_get(j, path, &v, e);
	if (c != LK_OK)
		return c;
	*out = lk_json_raw(&v);
	if (lk_json_type(&v) == LK_JSON_STRING && !lk_slice_find(*out, '\\', &at))
		return LK_OK;
	at = store->n;
	c = lk_json_copy(j, path, store, e);
	if (c != LK_OK)
		return c;
	if (store->bad)
		return lk_fail(e, LK_ELIMIT, "%s: too long", path);
	*out = lk_slice_of(store->p + at, store->n - at);
	return LK_OK;
}

enum lk_code lk_azure_bytes(const struct lk_json *j, const char *path, bool std,
    struct lk_buf *store, struct lk_slice *out, struct lk_err *e)
{
	struct lk_slice text;

	enum lk_code c = text_of(j, path, store, &text, e);
	if (c != LK_OK)
		return c;
	size_t at = store->n;
	c = std ? lk_b64_decode(text, store, e) : lk_b64url_decode(text, store, e);
	if (c != LK_OK)
		return lk_err_prefix(e, "%s", path);
	*out = lk_slice_of(store->p + at, store->n - at);
	return LK_OK;
}
