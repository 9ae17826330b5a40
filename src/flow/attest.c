/* From evidence to an attestation token: TPM, metadata service, attestation service. */
#include <string.h>

#include "lk/log.h"
#include "run.h"

#define TPM_TRIES    5
#define TPM_PAUSE_MS 2000

struct lk_buf lk_run_frame(struct lk_run *r)
{
	return (struct lk_buf){.p = r->h->frame, .n = 0, .cap = sizeof(r->h->frame), .bad = false};
}

/* A PCR that moved during the quote, or an index that is still empty: another try in a moment. */
static enum lk_code read_evidence(struct lk_run *r, struct lk_err *e)
{
	const lk_time from = lk_now();
	struct lk_err late;

	if (!r->tpm && lk_tpm_open(r->conf->tpm, r->deadline, &r->tpm, e) != LK_OK)
		return e->code;
	for (unsigned i = 1;; i++) {
		enum lk_code rc = lk_evidence_read(r->tpm, r->conf, r->deadline, &r->h->ev, e);

		if (rc == LK_OK)
			lk_run_step(r, "evidence", from);
		if (rc != LK_ETPM || !e->retry || i == TPM_TRIES)
			return rc;
		memset(&late, 0, sizeof(late));
		if (lk_sleep(TPM_PAUSE_MS, r->deadline, &late) != LK_OK)
			return rc;
		lk_run_forgive(e, LK_LOG_INFO, "trying again");
	}
}

static enum lk_code wait_certs(struct lk_run *r, struct lk_err *e)
{
	const lk_time from = lk_now();

	for (;;) {
		struct lk_buf store = LK_BUF(r->pem);
		enum lk_code rc = lk_wait_certs(&r->c[LK_PEER_IMDS], &store, &r->certs, e);

		if (rc == LK_OK) {
			r->certs_asked = false;
			lk_run_step(r, "imds", from);
			lk_run_step_courier(r, LK_PEER_IMDS);
			return LK_OK;
		}
		if (!lk_run_revive(r, LK_PEER_IMDS, e))
			return rc;
		rc = lk_run_ask_imds(r, e);
		if (rc != LK_OK)
			return rc;
	}
}

static enum lk_code ask_certs(struct lk_run *r, struct lk_err *e)
{
	/* Answers come in the order of the questions. */
	enum lk_code rc = r->bearer_asked ? lk_run_bearer(r, e) : LK_OK;

	if (rc != LK_OK)
		return rc;
	r->certs_asked = true;
	rc = lk_run_ask_imds(r, e);
	if (rc != LK_OK && lk_run_revive(r, LK_PEER_IMDS, e))
		rc = lk_run_ask_imds(r, e);
	return rc;
}

/* Certificates that fit the report; the cache of the host may be a moment behind, once. */
static enum lk_code get_certs(struct lk_run *r, bool fresh, struct lk_err *e)
{
	for (int again = 0;; again++) {
		enum lk_code rc = fresh && !r->certs_asked ? ask_certs(r, e) : LK_OK;

		if (rc == LK_OK && r->certs_asked)
			rc = wait_certs(r, e);
		if (rc != LK_OK)
			return rc;
		rc = lk_evidence_tcb(&r->h->ev, &r->certs, e);
		if (rc == LK_OK || again > 0) {
			r->h->ev.maa.certs_pem = r->certs.pem;
			return rc;
		}
		lk_run_forgive(e, LK_LOG_INFO, "asking for the certificates again");
		fresh = true;
	}
}

static enum lk_code exchange(struct lk_run *r, struct lk_maa_envelope *env, struct lk_err *e)
{
	struct lk_courier *c = &r->c[LK_PEER_MAA];
	const lk_time from = lk_now();

	for (;;) {
		struct lk_buf b = lk_run_frame(r);
		enum lk_code rc = lk_ask_attest(c, &r->h->ev.maa, &b, e);

		b = lk_run_frame(r);
		if (rc == LK_OK)
			rc = lk_wait_envelope(c, &b, env, e);
		if (rc != LK_OK && lk_run_revive(r, LK_PEER_MAA, e))
			continue;
		if (rc == LK_OK) {
			lk_run_step_courier(r, LK_PEER_MAA);
			lk_run_step(r, "attest", from);
		}
		return rc;
	}
}

/* Only the TPM's key opens it: RSAES for the inner key, AES-GCM for the token. */
static enum lk_code open_token(
    struct lk_run *r, const struct lk_maa_envelope *env, struct lk_err *e)
{
	struct lk_buf jwt = LK_BUF(r->h->jwt);
	LK_SECRET inner = {0};
	enum lk_code rc =
	    lk_tpm_decrypt(r->tpm, LK_TPM_RSAES, env->inner_key, &inner, r->deadline, e);

	if (rc != LK_OK)
		return lk_err_prefix(e, "opening the attestation token");
	if (inner.n != 16 && inner.n != 24 && inner.n != 32)
		return lk_fail(e, LK_EPROTO,
		    "the attestation token is sealed with a key of %zu bytes", inner.n);
	rc = lk_gcm_decrypt(lk_secret_slice(&inner), env->iv, LK_S("Transport Key"), env->tag,
	    env->ciphertext, &jwt, e);
	if (rc != LK_OK)
		return lk_err_prefix(e, "opening the attestation token");
	r->jwt = lk_slice_buf(&jwt);
	return LK_OK;
}

static enum lk_code check_token(struct lk_run *r, struct lk_err *e)
{
	const struct lk_evidence *ev = &r->h->ev;

	for (;;) {
		struct lk_buf b = lk_run_frame(r);
		enum lk_code rc = lk_token_check(&r->c[LK_PEER_MAA], LK_MAA_GUEST, r->jwt,
		    lk_slice_of(ev->tpm.key_n, sizeof(ev->tpm.key_n)), ev->maa.nonce, &b,
		    &r->claims, e);

		if (rc == LK_OK || !lk_run_revive(r, LK_PEER_MAA, e))
			return rc;
	}
}

static enum lk_code attest_once(struct lk_run *r, bool fresh, struct lk_err *e)
{
	struct lk_maa_envelope env;
	enum lk_code rc = read_evidence(r, e);

	memset(&env, 0, sizeof(env));
	if (rc == LK_OK)
		rc = get_certs(r, fresh, e);
	if (rc == LK_OK)
		rc = exchange(r, &env, e);
	const lk_time from = lk_now();
	if (rc == LK_OK)
		rc = open_token(r, &env, e);
	if (rc == LK_OK)
		rc = check_token(r, e);
	if (rc == LK_OK)
		lk_run_step(r, "token", from);
	r->attested = rc == LK_OK;
	return rc;
}

enum lk_code lk_run_attest_again(struct lk_run *r, struct lk_err *e)
{
	return attest_once(r, true, e);
}

enum lk_code lk_run_attest(
    struct lk_run *r, struct lk_slice *jwt, struct lk_maa_claims *claims, struct lk_err *e)
{
	enum lk_code rc = r->attested ? LK_OK : attest_once(r, false, e);

	/* Evidence can be refused because it aged (certificates, report): fresh evidence, once. */
	if (rc != LK_OK && e->http == 400 && e->code != LK_ETIME) {
		lk_run_forgive(e, LK_LOG_INFO, "once more with fresh evidence");
		rc = attest_once(r, true, e);
	}
	if (rc != LK_OK)
		return rc;
	*jwt = r->jwt;
	if (claims)
		*claims = r->claims;
	return LK_OK;
}
