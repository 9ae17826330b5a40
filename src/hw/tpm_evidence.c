/* Quote, ephemeral key and its certification (TPM 2.0 part 3, sections 18.2, 18.4, 24.1). The
 * commands are those of Microsoft's client (protocol notes: azure-guest, 2.5 and 2.6). */
#include "tpm_int.h"

#include <string.h>

#define ATTEST_MAGIC 0xFF544347u

/* fixedTPM, fixedParent, sensitiveDataOrigin, noDA, decrypt. Without userWithAuth the policy is the
 * only way to use it. */
#define KEY_ATTRIBUTES 0x00020432u
#define RSA_BYTES      256

static enum lk_code store(struct lk_slice s, uint8_t *out, size_t cap, size_t *n)
{
	if (s.n > cap)
		return LK_ELIMIT;
	memcpy(out, s.p, s.n);
	*n = s.n;
	return LK_OK;
}

/* TPM2B_ATTEST and TPMT_SIGNATURE, which make up the answer of both commands. */
struct signed_attest {
	struct lk_slice attest, sig;
};

static enum lk_code split_signed(
    const char *command, struct lk_slice s, struct signed_attest *out, struct lk_err *e)
{
	uint16_t alg, hash;
	if (!lk_tpm_take2b(&s, &out->attest) || !lk_slice_take_be16(&s, &alg) ||
	    !lk_slice_take_be16(&s, &hash))
		return lk_tpm_malformed(command, e);
	if (alg != TPM2_ALG_RSASSA || hash != TPM2_ALG_SHA256)
		return lk_fail(e, LK_EATTEST,
		    "tpm: %s: signed with algorithm 0x%04x and hash 0x%04x, not RSASSA-SHA256",
		    command, alg, hash);
	if (!lk_tpm_take2b(&s, &out->sig) || out->sig.n != RSA_BYTES || s.n)
		return lk_tpm_malformed(command, e);
	return LK_OK;
}

/* The frame of a TPMS_ATTEST; what is left is the body of the given type. */
static bool attest_body(struct lk_slice s, uint16_t want, struct lk_slice *body)
{
	uint32_t magic;
	uint16_t type;
	struct lk_slice signer, extra, clock;
	bool ok = lk_slice_take_be32(&s, &magic) && magic == ATTEST_MAGIC &&
		  lk_slice_take_be16(&s, &type) && type == want && lk_tpm_take2b(&s, &signer) &&
		  lk_tpm_take2b(&s, &extra) && extra.n == 0 && /* none was asked for */
		  lk_slice_take(&s, 8 + 4 + 4 + 1 + 8, &clock);
	*body = s;
	return ok;
}

static enum lk_code quote(
    struct lk_tpm *t, struct lk_tpm_evidence *out, lk_time deadline, struct lk_err *e)
{
	TPML_PCR_SELECTION pcrs = lk_tpm_selection();
	TPM2B_DATA none = {0};
	TPMT_SIG_SCHEME own = {.scheme = TPM2_ALG_NULL};
	struct lk_tpm_answer a;
	struct lk_tpm_call c = {.name = "Quote",
	    .what = "handle",
	    .object = LK_AK_HANDLE,
	    .rc = Tss2_Sys_Quote_Prepare(t->sys, LK_AK_HANDLE, &none, &own, &pcrs),
	    .auths = 1,
	    .deadline = deadline};
	struct signed_attest q;
	struct lk_slice body, selection, digest;
	enum lk_code r = lk_tpm_run(t, &c, &a, e);
	if (!r)
		r = split_signed(c.name, a.params, &q, e);
	if (r)
		return r;
	if (!attest_body(q.attest, TPM2_ST_ATTEST_QUOTE, &body) ||
	    !lk_slice_take(&body, TPM_SELECTION.n, &selection) ||
	    !lk_slice_eq(selection, TPM_SELECTION) || !lk_tpm_take2b(&body, &digest) || body.n ||
	    store(q.attest, out->quote, sizeof(out->quote), &out->quote_n) ||
	    store(q.sig, out->quote_sig, sizeof(out->quote_sig), &out->quote_sig_n))
		return lk_tpm_malformed(c.name, e);
	if (lk_slice_eq(digest, lk_slice_of(t->pcr_digest, 32)))
		return LK_OK;
	struct lk_err odd = {0};
	(void)lk_fail(&odd, LK_EATTEST, "tpm: Quote: its digest is not that of the PCRs read");
	(void)lk_err_retry(&odd);
	return lk_tpm_pcr_moved(t, t->pcrs, deadline, &odd, e);
}

/* What the TPM gives back must be what was asked for, with a modulus. */
static enum lk_code check_key(struct lk_slice area, const uint8_t policy[static 32],
    struct lk_tpm_evidence *out, struct lk_err *e)
{
	uint8_t want_store[64];
	struct lk_buf want = LK_BUF(want_store);
	lk_buf_be16(&want, TPM2_ALG_RSA);
	lk_buf_be16(&want, TPM2_ALG_SHA256);
	lk_buf_be32(&want, KEY_ATTRIBUTES);
	lk_buf_be16(&want, 32);
	lk_buf_put(&want, policy, 32);
	lk_buf_be16(&want, TPM2_ALG_NULL);
	lk_buf_be16(&want, TPM2_ALG_NULL);
	lk_buf_be16(&want, RSA_BYTES * 8);
	lk_buf_be32(&want, 0);
	struct lk_slice head, n;
	if (!lk_slice_take(&area, want.n, &head) || !lk_slice_eq(head, lk_slice_buf(&want)) ||
	    !lk_tpm_take2b(&area, &n) || n.n != RSA_BYTES || area.n || !(n.p[0] & 0x80))
		return lk_fail(e, LK_ETPM, "tpm: CreatePrimary: the key is not as asked for");
	memcpy(out->key_n, n.p, RSA_BYTES);
	return LK_OK;
}

static enum lk_code create(
    struct lk_tpm *t, struct lk_tpm_evidence *out, lk_time deadline, struct lk_err *e)
{
	TPM2B_SENSITIVE_CREATE sensitive = {0};
	TPM2B_PUBLIC tmpl = {0};
	TPM2B_DATA none = {0};
	TPML_PCR_SELECTION no_pcrs = {0};
	TPMT_PUBLIC *p = &tmpl.publicArea;
	p->type = TPM2_ALG_RSA;
	p->nameAlg = TPM2_ALG_SHA256;
	p->objectAttributes = KEY_ATTRIBUTES;
	p->authPolicy.size = 32;
	p->parameters.rsaDetail.symmetric.algorithm = TPM2_ALG_NULL;
	p->parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL;
	p->parameters.rsaDetail.keyBits = RSA_BYTES * 8;
	p->unique.rsa.size = RSA_BYTES; /* zeros: part of the template, hence of the key */
	enum lk_code r = lk_tpm_policy(t->pcr_digest, p->authPolicy.buffer, e);
	if (r)
		return r;
	struct lk_tpm_answer a;
	struct lk_tpm_call c = {.name = "CreatePrimary",
	    .rc = Tss2_Sys_CreatePrimary_Prepare(
		t->sys, TPM2_RH_NULL, &sensitive, &tmpl, &none, &no_pcrs),
	    .auths = 1,
	    .has_handle = true,
	    .deadline = deadline};
	r = lk_tpm_run(t, &c, &a, e);
	if (r)
		return r;
	t->key = a.handle; /* from here on it is flushed, whatever happens */
	struct lk_slice all = a.params, area;
	if (!lk_tpm_take2b(&a.params, &area) ||
	    store(lk_slice_sub(all, 0, 2 + area.n), out->key_pub, sizeof(out->key_pub),
		&out->key_pub_n))
		return lk_tpm_malformed(c.name, e);
	return check_key(area, p->authPolicy.buffer, out, e);
}

static enum lk_code certify(
    struct lk_tpm *t, struct lk_tpm_evidence *out, lk_time deadline, struct lk_err *e)
{
	TPM2B_DATA none = {0};
	TPMT_SIG_SCHEME own = {.scheme = TPM2_ALG_NULL};
	struct lk_tpm_answer a;
	struct lk_tpm_call c = {.name = "Certify",
	    .what = "handle",
	    .object = t->key,
	    .rc = Tss2_Sys_Certify_Prepare(t->sys, t->key, LK_AK_HANDLE, &none, &own),
	    .auths = 2,
	    .deadline = deadline};
	uint8_t name[2 + 32] = {TPM2_ALG_SHA256 >> 8, TPM2_ALG_SHA256 & 0xFF};
	struct signed_attest q;
	struct lk_slice body, got, qualified;
	enum lk_code r = lk_tpm_run(t, &c, &a, e);
	if (!r)
		r = split_signed(c.name, a.params, &q, e);
	if (!r)
		r = lk_sha256(lk_slice_of(out->key_pub + 2, out->key_pub_n - 2), name + 2, e);
	if (r)
		return r;
	if (!attest_body(q.attest, TPM2_ST_ATTEST_CERTIFY, &body) || !lk_tpm_take2b(&body, &got) ||
	    !lk_tpm_take2b(&body, &qualified) || body.n ||
	    store(q.attest, out->certify, sizeof(out->certify), &out->certify_n) ||
	    store(q.sig, out->certify_sig, sizeof(out->certify_sig), &out->certify_sig_n))
		return lk_tpm_malformed(c.name, e);
	if (!lk_slice_eq(got, lk_slice_of(name, sizeof(name))))
		return lk_fail(e, LK_EATTEST, "tpm: Certify: it certifies another key");
	return LK_OK;
}

static enum lk_code ak_known(struct lk_tpm *t, lk_time deadline, struct lk_err *e)
{
	uint8_t pub_store[600], n_store[RSA_BYTES];
	struct lk_buf pub = LK_BUF(pub_store), n = LK_BUF(n_store);
	return t->ak_checked ? LK_OK : lk_tpm_ak(t, &pub, &n, deadline, e);
}

enum lk_code lk_tpm_evidence(
    struct lk_tpm *t, struct lk_tpm_evidence *out, lk_time deadline, struct lk_err *e)
{
	memset(out, 0, sizeof(*out));
	lk_tpm_flush(t, &t->key, deadline); /* of an earlier try, over other PCRs perhaps */
	t->have_pcrs = false;
	enum lk_code r = ak_known(t, deadline, e);
	if (!r)
		r = lk_tpm_pcr_read(t, t->pcrs, deadline, e);
	if (!r)
		r = lk_tpm_pcr_digest(t->pcrs, t->pcr_digest, e);
	if (!r)
		r = quote(t, out, deadline, e);
	if (!r)
		r = create(t, out, deadline, e);
	if (!r)
		r = certify(t, out, deadline, e);
	if (r)
		return r;
	memcpy(out->pcrs, t->pcrs, sizeof(out->pcrs));
	t->have_pcrs = true;
	return LK_OK;
}
