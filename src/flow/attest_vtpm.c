/* The vTPM path: evidence of the paravisor's TPM, and a token that only its key opens. */
#include <string.h>

#include "run.h"

#define TPM_TRIES    5
#define TPM_PAUSE_MS 2000

/* A PCR that moved during the quote, or an index that is still empty: another try in a moment. */
static enum lk_code read_evidence(struct lk_run *r, struct lk_err *e)
{
	const lk_time from = lk_now();
	struct lk_err late;

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

/* Certificates that fit the report; the cache of the host may be a moment behind, once. */
static enum lk_code get_certs(struct lk_run *r, bool fresh, struct lk_err *e)
{
	const struct lk_slice none = {NULL, 0};

	for (int again = 0;; again++) {
		enum lk_code rc = LK_OK;

		if (fresh || r->certs.pem.n == 0)
			rc = lk_run_certs(r, LK_CERTS_THIM, none, none, e);
		if (rc == LK_OK)
			rc = lk_evidence_tcb(r->h->ev.hcl.reported_tcb, &r->certs, e);
		if (rc == LK_OK || e->code != LK_EATTEST || again > 0) {
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

enum lk_code lk_run_attest_vtpm(struct lk_run *r, bool fresh, struct lk_err *e)
{
	struct lk_maa_envelope env;
	enum lk_code rc = read_evidence(r, e);

	memset(&env, 0, sizeof(env));
	if (rc == LK_OK)
		rc = get_certs(r, fresh, e);
	if (rc == LK_OK)
		rc = exchange(r, &env, e);
	return rc == LK_OK ? open_token(r, &env, e) : rc;
}
