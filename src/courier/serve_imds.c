/* The courier to the metadata service: platform certificates, and the managed identity's token. It
 * also reads what came from the host by other ways, since that is as little to be trusted. */
#include <string.h>

#include "lk/b64.h"
#include "serve_certs.h"

static enum lk_code parse_certs(void *ctx, const struct lk_http_rsp *rsp, struct lk_err *e)
{
	struct lk_certs *out = ctx;
	struct lk_buf pem = LK_BUF(lk_room.parsed);

	return lk_imds_certs_parse(rsp, &pem, out, e);
}

static enum lk_code parse_token(void *ctx, const struct lk_http_rsp *rsp, struct lk_err *e)
{
	struct lk_slice *out = ctx;
	struct lk_buf token = LK_BUF(lk_room.parsed);
	enum lk_code rc = lk_imds_token_parse(rsp, &token, e);

	if (rc == LK_OK)
		*out = lk_slice_buf(&token);
	return rc;
}

static enum lk_code from_thim(
    struct lk_serve *s, const struct lk_certs_ask *ask, struct lk_certs *out, struct lk_err *e)
{
	static const struct lk_retry retry = {.tries = 5, .pause_ms = 1000};
	struct lk_buf target = LK_BUF(lk_room.request);

	lk_imds_certs_target(&target);
	const struct lk_http_req req = {.method = "GET",
	    .host = s->conf->host,
	    .target = lk_slice_buf(&target),
	    .metadata = true};
	enum lk_code rc = lk_serve_request(s, &req, &retry, parse_certs, out, e);
	if (rc == LK_OK)
		rc = lk_certs_compare(ask, out, e);
	return rc == LK_OK ? rc : lk_err_prefix(e, "platform certificates");
}

/* Padded or not, with line ends anywhere. */
static enum lk_code from_file(
    const struct lk_certs_ask *ask, struct lk_certs *out, struct lk_err *e)
{
	struct lk_buf text = LK_BUF(lk_room.scratch), json = LK_BUF(lk_room.response);
	struct lk_buf pem = LK_BUF(lk_room.parsed);

	for (size_t i = 0; i < ask->data.n; i++) {
		const uint8_t ch = ask->data.p[i];

		if (ch != '\n' && ch != '\r' && ch != ' ' && ch != '\t')
			lk_buf_byte(&text, ch);
	}
	while (text.n % 4 != 0)
		lk_buf_byte(&text, '=');
	enum lk_code rc = lk_b64_decode(lk_slice_buf(&text), &json, e);
	if (rc == LK_OK)
		rc = lk_imds_certs_json(lk_slice_buf(&json), &pem, out, e);
	if (rc == LK_OK)
		rc = lk_certs_compare(ask, out, e);
	return rc == LK_OK ? rc : lk_err_prefix(e, "the file of platform certificates");
}

static enum lk_code from_table(
    const struct lk_certs_ask *ask, struct lk_certs *out, struct lk_err *e)
{
	struct lk_snp_certs der;
	enum lk_code rc = lk_snp_certs_parse(ask->data, &der, e);

	if (rc != LK_OK)
		return rc;
	rc = lk_certs_of_der(ask, &der, out, e);
	return rc == LK_OK ? rc : lk_err_prefix(e, "the host's certificate table");
}

static enum lk_code serve_certs(struct lk_serve *s, struct lk_frame_reader *in, struct lk_err *e)
{
	struct lk_certs_ask ask;
	struct lk_certs certs;
	enum lk_code rc = lk_certs_take(in, &ask, e);

	memset(&certs, 0, sizeof(certs));
	if (rc != LK_OK)
		return rc;
	if (ask.from == LK_CERTS_THIM)
		rc = from_thim(s, &ask, &certs, e);
	else if (ask.from == LK_CERTS_FILE)
		rc = from_file(&ask, &certs, e);
	else if (ask.from == LK_CERTS_TABLE)
		rc = from_table(&ask, &certs, e);
	else
		rc = lk_serve_unknown(LK_F_CERTS, e);
	return rc == LK_OK ? lk_certs_reply(s, &certs, e) : rc;
}

static enum lk_code serve_bearer(struct lk_serve *s, struct lk_frame_reader *in, struct lk_err *e)
{
	/* Until the deadline: a new identity, or IMDS itself, may take a minute to come up. */
	static const struct lk_retry retry = {.tries = 0, .pause_ms = 2000};
	struct lk_buf target = LK_BUF(lk_room.request), reply = LK_BUF(lk_room.reply);
	struct lk_slice token = {NULL, 0};
	char resource[LK_HOST_MAX + 16], id[300];

	lk_frame_take_cstr(in, resource, sizeof(resource));
	const uint32_t kind = lk_frame_take_u32(in);
	lk_frame_take_cstr(in, id, sizeof(id));
	enum lk_code rc = lk_frame_done(in, "bearer", e);
	if (rc == LK_OK && kind > LK_ID_RESOURCE)
		rc = lk_fail(e, LK_EBUG, "bearer: identity of kind %u", (unsigned)kind);
	if (rc != LK_OK)
		return rc;
	lk_imds_token_target(resource, (enum lk_identity)kind, id, &target);
	if (target.bad)
		return lk_fail(e, LK_ELIMIT, "the identity's name is too long");
	const struct lk_http_req req = {.method = "GET",
	    .host = s->conf->host,
	    .target = lk_slice_buf(&target),
	    .metadata = true};
	rc = lk_serve_request(s, &req, &retry, parse_token, &token, e);
	if (rc != LK_OK)
		return lk_err_prefix(e, "managed identity");
	lk_frame_field(&reply, token);
	return lk_serve_reply(s, LK_F_BEARER_OK, &reply, e);
}

static enum lk_code on_frame(
    struct lk_serve *s, enum lk_frame type, struct lk_frame_reader *in, struct lk_err *e)
{
	if (type == LK_F_CERTS)
		return serve_certs(s, in, e);
	if (type == LK_F_BEARER)
		return serve_bearer(s, in, e);
	return lk_serve_unknown(type, e);
}

int lk_serve_imds(int fd, const struct lk_courier_conf *conf)
{
	return lk_serve_loop(fd, conf, on_frame);
}
