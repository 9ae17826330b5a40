/* Questions to a courier and their answers, typed. Every field of an answer is checked again here:
 * the courier speaks to the network and may no longer be ours.
 */
#include <string.h>

#include "lk/courier.h"
#include "lk/jwt.h"

static struct lk_buf small(uint8_t *p, size_t cap)
{
	return (struct lk_buf){.p = p, .n = 0, .cap = cap, .bad = false};
}

static bool all_in(struct lk_slice s, uint8_t lo, uint8_t hi)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < lo || s.p[i] > hi)
			return false;
	return true;
}

/* ---- metadata service */

enum lk_code lk_ask_certs(struct lk_courier *c, enum lk_certs_from from, struct lk_slice report,
    struct lk_slice data, struct lk_buf *scratch, struct lk_err *e)
{
	lk_frame_u32(scratch, (uint32_t)from);
	lk_frame_field(scratch, report);
	lk_frame_field(scratch, data);
	return lk_courier_ask(c, LK_F_CERTS, scratch, e);
}

enum lk_code lk_wait_certs(
    struct lk_courier *c, struct lk_buf *store, struct lk_certs *out, struct lk_err *e)
{
	struct lk_frame_reader r;
	enum lk_code rc = lk_courier_wait(c, LK_F_CERTS_OK, store, &r, e);

	if (rc != LK_OK)
		return rc;
	out->pem = lk_frame_take(&r, LK_CHAIN_PEM_MAX);
	out->tcbm = lk_frame_take_u64(&r);
	const uint32_t has = lk_frame_take_u32(&r);
	out->has_tcbm = has == 1;
	rc = lk_frame_done(&r, "certificates", e);
	if (rc == LK_OK && has > 1)
		rc = lk_fail(e, LK_EPROTO, "certificates: a flag that is none");
	for (size_t i = 0; rc == LK_OK && i < out->pem.n; i++) {
		const uint8_t ch = out->pem.p[i];

		if (ch != '\n' && ch != '\r' && (ch < 0x20 || ch > 0x7e))
			rc = lk_fail(e, LK_EPROTO, "certificates: not text");
	}
	return rc;
}

enum lk_code lk_ask_bearer(struct lk_courier *c, const char *resource, enum lk_identity kind,
    const char *id, struct lk_err *e)
{
	uint8_t text[LK_HOST_MAX + 400];
	struct lk_buf b = small(text, sizeof(text));

	lk_frame_field(&b, lk_slice_str(resource));
	lk_frame_u32(&b, (uint32_t)kind);
	lk_frame_field(&b, lk_slice_str(id));
	return lk_courier_ask(c, LK_F_BEARER, &b, e);
}

enum lk_code lk_wait_bearer(
    struct lk_courier *c, struct lk_buf *store, struct lk_slice *token, struct lk_err *e)
{
	struct lk_frame_reader r;
	enum lk_code rc = lk_courier_wait(c, LK_F_BEARER_OK, store, &r, e);

	if (rc != LK_OK)
		return rc;
	*token = lk_frame_take(&r, LK_BEARER_MAX);
	rc = lk_frame_done(&r, "bearer token", e);
	if (rc == LK_OK && (token->n == 0 || !all_in(*token, 0x21, 0x7e)))
		rc = lk_fail(e, LK_EPROTO, "bearer token: empty, or not printable");
	return rc;
}

/* ---- attestation */

enum lk_code lk_ask_attest(struct lk_courier *c, const struct lk_maa_evidence *ev,
    struct lk_buf *scratch, struct lk_err *e)
{
	lk_frame_field(scratch, ev->nonce);
	lk_frame_field(scratch, ev->os_name);
	lk_frame_u32(scratch, ev->os_major);
	lk_frame_u32(scratch, ev->os_minor);
	lk_frame_field(scratch, ev->ak_cert);
	lk_frame_field(scratch, ev->ak_pub);
	lk_frame_field(scratch, ev->quote);
	lk_frame_field(scratch, ev->quote_sig);
	lk_frame_field(scratch, ev->key_pub);
	lk_frame_field(scratch, ev->certify);
	lk_frame_field(scratch, ev->certify_sig);
	lk_frame_field(scratch, ev->pcrs);
	lk_frame_field(scratch, ev->event_log);
	lk_frame_field(scratch, ev->report);
	lk_frame_field(scratch, ev->runtime);
	lk_frame_field(scratch, ev->certs_pem);
	return lk_courier_ask(c, LK_F_ATTEST, scratch, e);
}

enum lk_code lk_wait_envelope(
    struct lk_courier *c, struct lk_buf *store, struct lk_maa_envelope *out, struct lk_err *e)
{
	struct lk_frame_reader r;
	enum lk_code rc = lk_courier_wait(c, LK_F_ENVELOPE, store, &r, e);

	if (rc != LK_OK)
		return rc;
	out->inner_key = lk_frame_take(&r, 256);
	out->iv = lk_frame_take(&r, 64);
	out->tag = lk_frame_take(&r, 16);
	out->ciphertext = lk_frame_take(&r, LK_TOKEN_MAX);
	rc = lk_frame_done(&r, "sealed token", e);
	if (rc == LK_OK && (out->inner_key.n != 256 || out->iv.n == 0 || out->tag.n != 16 ||
			       out->ciphertext.n == 0))
		rc = lk_fail(e, LK_EPROTO, "sealed token: a part of the wrong length");
	return rc;
}

enum lk_code lk_ask_attest_snp(
    struct lk_courier *c, const struct lk_maa_snp *ev, struct lk_buf *scratch, struct lk_err *e)
{
	lk_frame_field(scratch, ev->api_version);
	lk_frame_field(scratch, ev->nonce);
	lk_frame_field(scratch, ev->report);
	lk_frame_field(scratch, ev->certs_pem);
	lk_frame_field(scratch, ev->runtime);
	lk_frame_field(scratch, ev->init_data);
	lk_frame_field(scratch, ev->endorsements);
	return lk_courier_ask(c, LK_F_ATTEST_SNP, scratch, e);
}

enum lk_code lk_wait_token(
    struct lk_courier *c, struct lk_buf *store, struct lk_slice *jwt, struct lk_err *e)
{
	struct lk_frame_reader r;
	struct lk_jwt parts;
	enum lk_code rc = lk_courier_wait(c, LK_F_TOKEN, store, &r, e);

	*jwt = lk_slice_of(NULL, 0);
	if (rc != LK_OK)
		return rc;
	struct lk_slice token = lk_frame_take(&r, LK_TOKEN_MAX);
	rc = lk_frame_done(&r, "attestation token", e);
	if (rc == LK_OK && lk_jwt_split(token, &parts, e) != LK_OK)
		rc = lk_err_prefix(e, "attestation token");
	if (rc == LK_OK)
		*jwt = token;
	return rc;
}

enum lk_code lk_token_check(struct lk_courier *c, enum lk_maa_path path, struct lk_slice jwt,
    struct lk_slice key_n, struct lk_slice nonce, struct lk_buf *scratch, struct lk_maa_claims *out,
    struct lk_err *e)
{
	struct lk_frame_reader r;
	const size_t mark = scratch->n;

	memset(out, 0, sizeof(*out));
	lk_frame_u32(scratch, (uint32_t)path);
	lk_frame_field(scratch, jwt);
	lk_frame_field(scratch, key_n);
	lk_frame_field(scratch, nonce);
	enum lk_code rc = lk_courier_ask(c, LK_F_TOKEN_CHECK, scratch, e);
	scratch->n = mark;
	if (rc == LK_OK)
		rc = lk_courier_wait(c, LK_F_CLAIMS, scratch, &r, e);
	if (rc != LK_OK)
		return rc;
	lk_frame_take_cstr(&r, out->issuer, sizeof(out->issuer));
	const uint64_t expires = lk_frame_take_u64(&r);
	lk_frame_take_cstr(&r, out->summary, sizeof(out->summary));
	if (expires > INT64_MAX)
		r.bad = true;
	out->expires = (int64_t)expires;
	return lk_frame_done(&r, "claims", e);
}

/* ---- vault */

enum lk_code lk_ask_release(struct lk_courier *c, const struct lk_release_wire *ask,
    struct lk_buf *scratch, struct lk_err *e)
{
	lk_frame_field(scratch, lk_slice_str(ask->key_url));
	lk_frame_field(scratch, lk_slice_str(ask->api_version));
	lk_frame_field(scratch, ask->bearer);
	lk_frame_field(scratch, ask->token);
	lk_frame_field(scratch, ask->nonce);
	lk_frame_u32(scratch, (uint32_t)ask->enc);
	lk_frame_field(scratch, ask->wrap_kid);
	lk_frame_u32(scratch, (uint32_t)ask->block);
	return lk_courier_ask(c, LK_F_RELEASE, scratch, e);
}

static bool pub_ok(uint32_t kty, uint32_t curve, struct lk_slice n, struct lk_slice exp)
{
	switch (kty) {
	case LK_KTY_RSA:
		return curve == 0 && n.n >= 256 && n.n <= LK_RSA_MAX && exp.n >= 1 && exp.n <= 8;
	case LK_KTY_EC:
		return curve >= LK_P256 && curve <= LK_P521 &&
		       n.n == lk_curve_size((enum lk_curve)curve) && exp.n == n.n;
	case LK_KTY_OCT:
		return curve == 0 && n.n == 0 && exp.n == 0;
	default:
		return false;
	}
}

enum lk_code lk_wait_released(struct lk_courier *c, size_t block, struct lk_buf *store,
    struct lk_released *out, struct lk_err *e)
{
	struct lk_frame_reader r;
	enum lk_code rc = lk_courier_wait(c, LK_F_RELEASED, store, &r, e);

	if (rc != LK_OK)
		return rc;
	memset(out, 0, sizeof(*out));
	const uint32_t kty = lk_frame_take_u32(&r), curve = lk_frame_take_u32(&r);
	struct lk_slice n = lk_frame_take(&r, LK_RSA_MAX), exp = lk_frame_take(&r, LK_RSA_MAX);
	lk_frame_take_cstr(&r, out->kid, sizeof(out->kid));
	out->ciphertext = lk_frame_take(&r, LK_FRAME_MAX);
	rc = lk_frame_done(&r, "released key", e);
	if (rc != LK_OK)
		return rc;
	if (!pub_ok(kty, curve, n, exp))
		return lk_fail(e, LK_EPROTO, "released key: a public key that cannot be one");
	/* One block for our RSA key, then whole blocks of RFC 5649, two at least. */
	if (out->ciphertext.n < block + 16 || out->ciphertext.n % 8 != 0 ||
	    out->ciphertext.n > block + LK_SECRET_MAX)
		return lk_fail(
		    e, LK_EPROTO, "released key: %zu bytes of ciphertext", out->ciphertext.n);
	out->pub.kty = (enum lk_kty)kty;
	out->pub.curve = (enum lk_curve)curve;
	out->pub.n_len = n.n;
	out->pub.e_len = exp.n;
	for (size_t i = 0; i < n.n; i++)
		out->pub.n[i] = n.p[i];
	for (size_t i = 0; i < exp.n; i++)
		out->pub.e[i] = exp.p[i];
	return LK_OK;
}

/* ---- disk */

/* Up to `cap` of them: how many. */
static size_t take_bytes(struct lk_frame_reader *r, uint8_t *out, size_t cap)
{
	struct lk_slice v = lk_frame_take(r, cap);

	for (size_t i = 0; i < v.n; i++)
		out[i] = v.p[i];
	return v.n;
}

static bool take_flag(struct lk_frame_reader *r)
{
	const uint32_t v = lk_frame_take_u32(r);

	if (v > 1)
		r->bad = true;
	return v == 1;
}

static void take_binding(struct lk_frame_reader *r, struct lk_binding *b)
{
	b->token = lk_frame_take_u32(r);
	const uint32_t state = lk_frame_take_u32(r);
	b->slot = lk_frame_take_u32(r);
	b->borrowed = take_flag(r);
	lk_frame_take_cstr(r, b->replaced_by, sizeof(b->replaced_by));
	lk_frame_take_cstr(r, b->id, sizeof(b->id));
	lk_frame_take_cstr(r, b->kind, sizeof(b->kind));
	lk_frame_take_cstr(r, b->key, sizeof(b->key));
	lk_frame_take_cstr(r, b->attest, sizeof(b->attest));
	lk_frame_take_cstr(r, b->thumbprint, sizeof(b->thumbprint));
	lk_frame_take_cstr(r, b->uuid, sizeof(b->uuid));
	if (take_bytes(r, b->salt, sizeof(b->salt)) != sizeof(b->salt) ||
	    take_bytes(r, b->mac, sizeof(b->mac)) != sizeof(b->mac))
		r->bad = true;
	b->kdf_salt_len = take_bytes(r, b->kdf_salt, sizeof(b->kdf_salt));
	lk_frame_take_cstr(r, b->label, sizeof(b->label));
	b->wrapped_len = take_bytes(r, b->wrapped, sizeof(b->wrapped));
	const struct lk_slice next = lk_slice_str(b->replaced_by);
	if (b->token > LK_SLOT_MAX || b->slot > LK_SLOT_MAX || state > LK_BINDING_CUT ||
	    (state == LK_BINDING_CUT && b->slot != 0) || !lk_uuid_ok(lk_slice_str(b->uuid)) ||
	    !lk_binding_id_ok(lk_slice_str(b->id)) || (next.n > 0 && !lk_binding_id_ok(next)))
		r->bad = true;
	else
		b->state = (enum lk_binding_state)state;
}

/* What the header says besides its bindings. */
static void take_head(struct lk_frame_reader *r, struct lk_luks2 *h)
{
	h->slots_used = lk_frame_take_u32(r);
	h->slots_open = lk_frame_take_u32(r);
	h->slots_light = lk_frame_take_u32(r);
	h->tokens_used = lk_frame_take_u32(r);
	h->tokens_bad = lk_frame_take_u32(r);
	h->size = lk_frame_take_u32(r);
	h->json_len = lk_frame_take_u32(r);
	h->area = lk_frame_take_u32(r);
	h->reencrypting = take_flag(r);
	h->count = lk_frame_take_u32(r);
	lk_frame_take_cstr(r, h->uuid, sizeof(h->uuid));
	lk_frame_take_cstr(r, h->cipher, sizeof(h->cipher));
	lk_frame_take_cstr(r, h->integrity, sizeof(h->integrity));
	if (((h->slots_open | h->slots_light) & ~h->slots_used) != 0 || h->size < 0x4000 ||
	    (h->size & (h->size - 1)) != 0 || (h->tokens_bad & ~h->tokens_used) != 0 ||
	    h->size > LK_LUKS2_JSON_MAX + 4096 || h->json_len >= h->size ||
	    (h->area != 0 && h->area < 2 * h->size) || h->count > LK_BINDINGS_MAX ||
	    !lk_uuid_ok(lk_slice_str(h->uuid)))
		r->bad = true;
}

enum lk_code lk_read_tokens(
    struct lk_courier *c, struct lk_buf *store, struct lk_luks2 *out, struct lk_err *e)
{
	struct lk_frame_reader r;
	enum lk_code rc = lk_courier_ask(c, LK_F_TOKENS, NULL, e);

	memset(out, 0, sizeof(*out));
	if (rc == LK_OK)
		rc = lk_courier_wait(c, LK_F_TOKENS_OK, store, &r, e);
	if (rc != LK_OK)
		return rc;
	take_head(&r, out);
	for (size_t i = 0; !r.bad && i < out->count; i++)
		take_binding(&r, &out->bindings[i]);
	rc = lk_frame_done(&r, "LUKS2 header", e);
	if (rc != LK_OK)
		memset(out, 0, sizeof(*out));
	return rc;
}
