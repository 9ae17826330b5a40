/* RSA_Decrypt in a policy session (TPM 2.0 part 3, sections 11.1, 14.3, 23.7). */
#include "tpm_int.h"

#include <string.h>

#define RSA_BYTES   256
#define RC_BAD_PCRS 0x1C4 /* PolicyPCR: TPM_RC_VALUE, parameter 1 */
#define RC_POLICY   0x99D /* TPM_RC_POLICY_FAIL, session 1 */

static enum lk_code start_session(struct lk_tpm *t, lk_time deadline, struct lk_err *e)
{
	/* Nothing is computed with the nonces in a session that only carries a policy: zeros do, as
	 * in the known client. 16 bytes are the minimum. */
	TPM2B_NONCE nonce = {.size = 20};
	TPM2B_ENCRYPTED_SECRET salt = {0};
	TPMT_SYM_DEF symmetric = {.algorithm = TPM2_ALG_NULL};
	struct lk_tpm_answer a;
	struct lk_tpm_call c = {.name = "StartAuthSession",
	    .rc = Tss2_Sys_StartAuthSession_Prepare(t->sys, TPM2_RH_NULL, TPM2_RH_NULL, &nonce,
		&salt, TPM2_SE_POLICY, &symmetric, TPM2_ALG_SHA256),
	    .has_handle = true,
	    .deadline = deadline};
	enum lk_code r = lk_tpm_run(t, &c, &a, e);
	t->session = r ? 0 : a.handle;
	return r;
}

static enum lk_code policy_pcr(struct lk_tpm *t, lk_time deadline, struct lk_err *e)
{
	TPML_PCR_SELECTION pcrs = lk_tpm_selection();
	TPM2B_DIGEST digest = {.size = 32};
	memcpy(digest.buffer, t->pcr_digest, 32);
	struct lk_tpm_answer a;
	struct lk_tpm_call c = {.name = "PolicyPCR",
	    .rc = Tss2_Sys_PolicyPCR_Prepare(t->sys, t->session, &digest, &pcrs),
	    .deadline = deadline};
	return lk_tpm_run(t, &c, &a, e);
}

static TPMT_RSA_DECRYPT scheme_of(enum lk_tpm_scheme s)
{
	TPMT_RSA_DECRYPT d = {.scheme = TPM2_ALG_OAEP};
	switch (s) {
	case LK_TPM_RSAES:
		d.scheme = TPM2_ALG_RSAES;
		break;
	case LK_TPM_OAEP_SHA1:
		d.details.oaep.hashAlg = TPM2_ALG_SHA1;
		break;
	case LK_TPM_OAEP_SHA256:
		d.details.oaep.hashAlg = TPM2_ALG_SHA256;
		break;
	case LK_TPM_OAEP_SHA384:
		d.details.oaep.hashAlg = TPM2_ALG_SHA384;
		break;
	}
	return d;
}

static enum lk_code rsa_decrypt(struct lk_tpm *t, enum lk_tpm_scheme s, struct lk_slice in,
    struct lk_secret *out, lk_time deadline, struct lk_err *e)
{
	TPM2B_PUBLIC_KEY_RSA cipher = {.size = RSA_BYTES};
	TPMT_RSA_DECRYPT scheme = scheme_of(s);
	TPM2B_DATA label = {0};
	memcpy(cipher.buffer, in.p, RSA_BYTES);
	struct lk_tpm_answer a;
	struct lk_tpm_call c = {.name = "RSA_Decrypt",
	    .what = "handle",
	    .object = t->key,
	    .rc = Tss2_Sys_RSA_Decrypt_Prepare(t->sys, t->key, &cipher, &scheme, &label),
	    .auths = 1,
	    .session = t->session,
	    .deadline = deadline};
	enum lk_code r = lk_tpm_run(t, &c, &a, e);
	if (r)
		return r;
	t->session = 0; /* the TPM ended it */
	struct lk_slice plain;
	if (!lk_tpm_take2b(&a.params, &plain) || a.params.n)
		return lk_tpm_malformed(c.name, e);
	return lk_secret_set(out, plain, e);
}

/* Is it the policy that failed, or the padding? Implementations differ in what they answer to a
 * ciphertext that does not decrypt. */
static enum lk_code explain(struct lk_tpm *t, bool decrypting, lk_time deadline, struct lk_err *e)
{
	struct lk_err first = *e;
	uint32_t rc = first.lib & 0xFFFF;
	if (rc == RC_POLICY || rc == TPM2_RC_PCR_CHANGED || (!decrypting && rc == RC_BAD_PCRS))
		return lk_tpm_pcr_moved(t, t->pcrs, deadline, &first, e);
	bool value = (rc & 0xBF) == TPM2_RC_VALUE || (rc & 0xBF) == TPM2_RC_SIZE;
	if (decrypting && (rc == TPM2_RC_FAILURE || value)) {
		e->code = LK_ECRYPTO;
		(void)lk_hint(e, "the service encrypted to another key or with another padding; "
				 "restart the machine if the TPM fails altogether");
	}
	return e->code;
}

enum lk_code lk_tpm_decrypt(struct lk_tpm *t, enum lk_tpm_scheme scheme, struct lk_slice in,
    struct lk_secret *out, lk_time deadline, struct lk_err *e)
{
	if (!t->key || !t->have_pcrs)
		return lk_fail(e, LK_EBUG, "tpm: nothing to decrypt with before the evidence");
	if (in.n != RSA_BYTES)
		return lk_fail(e, LK_EPROTO, "tpm: %zu bytes to decrypt, not %d", in.n, RSA_BYTES);
	bool decrypting = false;
	enum lk_code r = start_session(t, deadline, e);
	if (!r)
		r = policy_pcr(t, deadline, e);
	if (!r) {
		decrypting = true;
		r = rsa_decrypt(t, scheme, in, out, deadline, e);
		lk_tpm_wipe(t); /* the plaintext passed through it */
	}
	if (r)
		r = explain(t, decrypting, deadline, e);
	lk_tpm_flush(t, &t->session, deadline);
	return r;
}
