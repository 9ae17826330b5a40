/* The courier to the vault or managed HSM: token in, wrapped key out. */
#include <string.h>

#include "request_id.h"
#include "serve.h"

struct release {
	struct lk_key_url key;
	char api_version[24];
	struct lk_release_ask ask;
	struct lk_roots roots;
	struct lk_released got;
};

static struct release release; /* lk_released alone is over 1 KiB */

/* The bearer token is good for every vault of the audience: it only goes to a host that the
 * audience is for, and to the one this courier was made for. */
static enum lk_code check_host(const struct lk_serve *s, struct lk_err *e)
{
	const char *host = release.key.url.host;

	if (!lk_slice_eq_str(lk_slice_str(host), s->conf->host) ||
	    release.key.url.port != s->conf->port)
		return lk_fail(
		    e, LK_EBUG, "a key at %s asked of the courier for %s", host, s->conf->host);
	if (!s->conf->own_name && !lk_imds_resource(host))
		return lk_fail(e, LK_ETRUST,
		    "%s: no token is sent to a host that is not a key vault or managed HSM", host);
	return LK_OK;
}

static enum lk_code take_ask(const struct lk_serve *s, struct lk_frame_reader *in, struct lk_err *e)
{
	memset(&release, 0, sizeof(release));
	release.ask.key = &release.key;
	release.ask.api_version = release.api_version;
	release.roots.pem = s->conf->roots_pem;
	struct lk_slice url = lk_frame_take(in, 600);
	lk_frame_take_cstr(in, release.api_version, sizeof(release.api_version));
	release.ask.bearer = lk_frame_take(in, LK_BEARER_MAX);
	release.ask.token = lk_frame_take(in, LK_TOKEN_MAX);
	release.ask.nonce = lk_frame_take(in, 256);
	const uint32_t enc = lk_frame_take_u32(in);
	release.ask.wrap_kid = lk_frame_take(in, 256);
	release.ask.block = lk_frame_take_u32(in);
	enum lk_code rc = lk_frame_done(in, "release", e);
	if (rc == LK_OK && enc > LK_ENC_SHA1)
		rc = lk_fail(e, LK_EBUG, "release: wrapping of kind %u", (unsigned)enc);
	if (rc == LK_OK && release.ask.block != 256 && release.ask.block != 384 &&
	    release.ask.block != 512)
		rc = lk_fail(e, LK_EBUG, "release: a wrapping key of %zu bytes", release.ask.block);
	if (rc != LK_OK)
		return rc;
	release.ask.enc = (enum lk_enc)enc;
	rc = lk_key_url_parse(url, &release.key, e);
	return rc == LK_OK ? check_host(s, e) : rc;
}

static enum lk_code parse_release(void *ctx, const struct lk_http_rsp *rsp, struct lk_err *e)
{
	struct release *r = ctx;
	struct lk_buf store = LK_BUF(lk_room.parsed);

	if (rsp->status != 200)
		return lk_azure_error(rsp, "vault", r->key.url.host, e);
	return lk_vault_parse(rsp, &r->ask, &r->roots, &store, &r->got, e);
}

static enum lk_code reply_released(struct lk_serve *s, struct lk_err *e)
{
	const struct lk_released *got = &release.got;
	struct lk_buf reply = LK_BUF(lk_room.reply);

	lk_frame_u32(&reply, (uint32_t)got->pub.kty);
	lk_frame_u32(&reply, (uint32_t)got->pub.curve);
	lk_frame_field(&reply, lk_slice_of(got->pub.n, got->pub.n_len));
	lk_frame_field(&reply, lk_slice_of(got->pub.e, got->pub.e_len));
	lk_frame_field(&reply, lk_slice_str(got->kid));
	lk_frame_field(&reply, got->ciphertext);
	return lk_serve_reply(s, LK_F_RELEASED, &reply, e);
}

static enum lk_code serve_release(struct lk_serve *s, struct lk_frame_reader *in, struct lk_err *e)
{
	static const struct lk_retry retry = {.tries = 5, .pause_ms = 1000};
	struct lk_buf target = LK_BUF(lk_room.scratch), body = LK_BUF(lk_room.request);
	char id[LK_REQUEST_ID];
	enum lk_code rc = take_ask(s, in, e);

	if (rc != LK_OK)
		return rc;
	lk_vault_target(&release.ask, &target);
	if (target.bad)
		return lk_fail(e, LK_ELIMIT, "the key's URL is too long");
	rc = lk_vault_body(&release.ask, &body, e);
	if (rc == LK_OK)
		rc = lk_request_id(id, e);
	if (rc != LK_OK)
		return rc;
	const struct lk_http_req req = {.method = "POST",
	    .host = s->conf->host,
	    .target = lk_slice_buf(&target),
	    .bearer = release.ask.bearer,
	    .body = lk_slice_buf(&body),
	    .request_id = id};
	rc = lk_serve_request(s, &req, &retry, parse_release, &release, e);
	return rc == LK_OK ? reply_released(s, e) : rc;
}

static enum lk_code on_frame(
    struct lk_serve *s, enum lk_frame type, struct lk_frame_reader *in, struct lk_err *e)
{
	return type == LK_F_RELEASE ? serve_release(s, in, e) : lk_serve_unknown(type, e);
}

int lk_serve_vault(int fd, const struct lk_courier_conf *conf)
{
	return lk_serve_loop(fd, conf, on_frame);
}
