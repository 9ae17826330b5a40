/* The courier to the attestation service: evidence in, token out, which is sealed for the TPM on
 * the vTPM path; and the look into the opened token, since JSON is parsed in couriers only.
 */
#include <string.h>

#include "request_id.h"
#include "serve.h"

#define ATTEST_TARGET "/attest/AzureGuest?api-version=2020-10-01"

static enum lk_code take_evidence(
    struct lk_frame_reader *in, struct lk_maa_evidence *ev, struct lk_err *e)
{
	memset(ev, 0, sizeof(*ev));
	ev->nonce = lk_frame_take(in, 256);
	ev->os_name = lk_frame_take(in, 256);
	ev->os_major = lk_frame_take_u32(in);
	ev->os_minor = lk_frame_take_u32(in);
	ev->ak_cert = lk_frame_take(in, LK_FRAME_MAX);
	ev->ak_pub = lk_frame_take(in, LK_FRAME_MAX);
	ev->quote = lk_frame_take(in, LK_FRAME_MAX);
	ev->quote_sig = lk_frame_take(in, LK_FRAME_MAX);
	ev->key_pub = lk_frame_take(in, LK_FRAME_MAX);
	ev->certify = lk_frame_take(in, LK_FRAME_MAX);
	ev->certify_sig = lk_frame_take(in, LK_FRAME_MAX);
	ev->pcrs = lk_frame_take(in, LK_FRAME_MAX);
	ev->event_log = lk_frame_take(in, LK_FRAME_MAX);
	ev->report = lk_frame_take(in, LK_FRAME_MAX);
	ev->runtime = lk_frame_take(in, LK_FRAME_MAX);
	ev->certs_pem = lk_frame_take(in, LK_FRAME_MAX);
	return lk_frame_done(in, "attest", e);
}

struct answer {
	const char *host;
	struct lk_maa_envelope env;
	struct lk_slice jwt;
};

static enum lk_code parse_envelope(void *ctx, const struct lk_http_rsp *rsp, struct lk_err *e)
{
	struct answer *a = ctx;
	struct lk_buf store = LK_BUF(lk_room.parsed);

	if (rsp->status != 200)
		return lk_azure_error(rsp, "attestation", a->host, e);
	return lk_maa_parse(rsp, &store, &a->env, e);
}

static enum lk_code parse_token(void *ctx, const struct lk_http_rsp *rsp, struct lk_err *e)
{
	struct answer *a = ctx;
	struct lk_buf store = LK_BUF(lk_room.parsed);

	if (rsp->status != 200)
		return lk_azure_error(rsp, "attestation", a->host, e);
	return lk_maa_snp_parse(rsp, &store, &a->jwt, e);
}

static enum lk_code post(struct lk_serve *s, struct lk_slice target, struct lk_slice body,
    lk_serve_parse parse, struct answer *a, struct lk_err *e)
{
	static const struct lk_retry retry = {.tries = 4, .pause_ms = 1000};
	char id[LK_REQUEST_ID];
	enum lk_code rc = lk_request_id(id, e);

	if (rc != LK_OK)
		return rc;
	const struct lk_http_req req = {.method = "POST",
	    .host = s->conf->host,
	    .target = target,
	    .body = body,
	    .request_id = id};
	return lk_serve_request(s, &req, &retry, parse, a, e);
}

static enum lk_code serve_attest(struct lk_serve *s, struct lk_frame_reader *in, struct lk_err *e)
{
	struct lk_buf scratch = LK_BUF(lk_room.scratch), body = LK_BUF(lk_room.request);
	struct lk_buf reply = LK_BUF(lk_room.reply);
	struct answer a = {.host = s->conf->host};
	struct lk_maa_evidence ev;
	enum lk_code rc = take_evidence(in, &ev, e);

	if (rc == LK_OK)
		rc = lk_maa_body(&ev, &scratch, &body, e);
	if (rc == LK_OK)
		rc = post(s, LK_S(ATTEST_TARGET), lk_slice_buf(&body), parse_envelope, &a, e);
	if (rc != LK_OK)
		return rc;
	lk_frame_field(&reply, a.env.inner_key);
	lk_frame_field(&reply, a.env.iv);
	lk_frame_field(&reply, a.env.tag);
	lk_frame_field(&reply, a.env.ciphertext);
	return lk_serve_reply(s, LK_F_ENVELOPE, &reply, e);
}

/* ---- evidence of a machine with an SNP device of its own */

static enum lk_code take_snp(struct lk_frame_reader *in, struct lk_maa_snp *ev, struct lk_err *e)
{
	ev->api_version = lk_frame_take(in, LK_FRAME_MAX);
	ev->nonce = lk_frame_take(in, LK_FRAME_MAX);
	ev->report = lk_frame_take(in, LK_FRAME_MAX);
	ev->certs_pem = lk_frame_take(in, LK_FRAME_MAX);
	ev->runtime = lk_frame_take(in, LK_FRAME_MAX);
	ev->init_data = lk_frame_take(in, LK_FRAME_MAX);
	ev->endorsements = lk_frame_take(in, LK_FRAME_MAX);
	return lk_frame_done(in, "attest", e);
}

static enum lk_code serve_attest_snp(
    struct lk_serve *s, struct lk_frame_reader *in, struct lk_err *e)
{
	uint8_t path[128];
	struct lk_buf scratch = LK_BUF(lk_room.scratch), body = LK_BUF(lk_room.request);
	struct lk_buf reply = LK_BUF(lk_room.reply), target = LK_BUF(path);
	struct answer a = {.host = s->conf->host};
	struct lk_maa_snp ev;
	enum lk_code rc = take_snp(in, &ev, e);

	if (rc == LK_OK)
		rc = lk_maa_snp_body(&ev, &scratch, &body, e);
	if (rc != LK_OK)
		return rc;
	lk_maa_snp_target(&ev, &target);
	rc = post(s, lk_slice_buf(&target), lk_slice_buf(&body), parse_token, &a, e);
	if (rc != LK_OK)
		return rc;
	lk_frame_field(&reply, a.jwt);
	return lk_serve_reply(s, LK_F_TOKEN, &reply, e);
}

/* ---- the token */

static enum lk_code serve_check(struct lk_serve *s, struct lk_frame_reader *in, struct lk_err *e)
{
	struct lk_buf scratch = LK_BUF(lk_room.parsed), reply = LK_BUF(lk_room.reply);
	struct lk_maa_claims claims;
	const uint32_t path = lk_frame_take_u32(in);
	struct lk_slice jwt = lk_frame_take(in, LK_TOKEN_MAX);
	struct lk_slice key_n = lk_frame_take(in, LK_RSA_MAX);
	struct lk_slice nonce = lk_frame_take(in, 256);
	enum lk_code rc = lk_frame_done(in, "token check", e);

	memset(&claims, 0, sizeof(claims));
	if (rc == LK_OK && path > LK_MAA_SNP)
		rc = lk_fail(e, LK_EBUG, "token check: path %u", (unsigned)path);
	if (rc == LK_OK)
		rc = lk_maa_token_check(
		    (enum lk_maa_path)path, jwt, s->conf->host, key_n, nonce, &scratch, &claims, e);
	if (rc != LK_OK)
		return lk_err_prefix(e, "the attestation token");
	lk_frame_field(&reply, lk_slice_str(claims.issuer));
	lk_frame_u64(&reply, (uint64_t)claims.expires);
	lk_frame_field(&reply, lk_slice_str(claims.summary));
	return lk_serve_reply(s, LK_F_CLAIMS, &reply, e);
}

static enum lk_code on_frame(
    struct lk_serve *s, enum lk_frame type, struct lk_frame_reader *in, struct lk_err *e)
{
	if (type == LK_F_ATTEST)
		return serve_attest(s, in, e);
	if (type == LK_F_ATTEST_SNP)
		return serve_attest_snp(s, in, e);
	if (type == LK_F_TOKEN_CHECK)
		return serve_check(s, in, e);
	return lk_serve_unknown(type, e);
}

int lk_serve_maa(int fd, const struct lk_courier_conf *conf)
{
	return lk_serve_loop(fd, conf, on_frame);
}
