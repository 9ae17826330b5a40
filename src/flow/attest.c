/* From evidence to an attestation token: which path, its token, the look into it. */
#include <string.h>

#include "lk/log.h"
#include "run.h"

struct lk_buf lk_run_frame(struct lk_run *r)
{
	return (struct lk_buf){.p = r->h->frame, .n = 0, .cap = sizeof(r->h->frame), .bad = false};
}

static enum lk_code check_token(struct lk_run *r, struct lk_err *e)
{
	const struct lk_evidence *ev = &r->h->ev;
	const struct lk_snp_proof *p = &r->h->snp;
	const struct lk_slice key_n = r->snp ? lk_slice_of(p->pub.n, p->pub.n_len)
					     : lk_slice_of(ev->tpm.key_n, sizeof(ev->tpm.key_n));

	for (;;) {
		struct lk_buf b = lk_run_frame(r);
		enum lk_code rc =
		    lk_token_check(&r->c[LK_PEER_MAA], r->snp ? LK_MAA_SNP : LK_MAA_GUEST, r->jwt,
			key_n, r->snp ? p->maa.nonce : ev->maa.nonce, &b, &r->claims, e);

		if (rc == LK_OK || !lk_run_revive(r, LK_PEER_MAA, e))
			return rc;
	}
}

static enum lk_code attest_once(struct lk_run *r, bool fresh, struct lk_err *e)
{
	enum lk_code rc = lk_run_decide(r, e);

	if (rc == LK_OK && !r->snp) {
		rc = lk_run_attest_vtpm(r, fresh, e);
		if (rc == LK_EABSENT)
			rc = lk_run_no_hcl(r, e);
	}
	if (rc == LK_OK && r->snp)
		rc = lk_run_attest_snp(r, fresh, e);
	const lk_time from = lk_now();
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
