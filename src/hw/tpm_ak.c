/* The attestation key (TPM 2.0 part 3, section 12.4; part 2, section 12.2). */
#include "tpm_int.h"

#include <string.h>

#define RSA_BYTES 256

/* NULL, or what is wrong with it. */
static const char *refuse(struct lk_slice area, struct lk_slice *modulus)
{
	uint16_t type, name_alg, symmetric, scheme, hash, bits;
	uint32_t attributes, exponent;
	struct lk_slice policy;
	if (!lk_slice_take_be16(&area, &type) || !lk_slice_take_be16(&area, &name_alg) ||
	    !lk_slice_take_be32(&area, &attributes) || !lk_tpm_take2b(&area, &policy) ||
	    !lk_slice_take_be16(&area, &symmetric))
		return "public area cut short";
	if (type != TPM2_ALG_RSA)
		return type == TPM2_ALG_ECC ? "elliptic curve key" : "neither RSA nor EC";
	if (name_alg != TPM2_ALG_SHA256)
		return "name algorithm is not SHA-256";
	if (!(attributes & TPMA_OBJECT_FIXEDTPM))
		return "not bound to this TPM";
	if (!(attributes & TPMA_OBJECT_SIGN_ENCRYPT) || attributes & TPMA_OBJECT_DECRYPT)
		return "not a signing key";
	if (!(attributes & TPMA_OBJECT_RESTRICTED))
		return "not restricted: it signs anything";
	if (symmetric != TPM2_ALG_NULL || !lk_slice_take_be16(&area, &scheme))
		return "public area cut short";
	if (scheme != TPM2_ALG_RSASSA)
		return scheme == TPM2_ALG_RSAPSS ? "signs with RSAPSS" : "no RSASSA scheme";
	if (!lk_slice_take_be16(&area, &hash) || hash != TPM2_ALG_SHA256)
		return "signs over another hash than SHA-256";
	if (!lk_slice_take_be16(&area, &bits) || bits != RSA_BYTES * 8)
		return "not 2048 bits";
	if (!lk_slice_take_be32(&area, &exponent) || (exponent && exponent != 65537))
		return "exponent is not 65537";
	if (!lk_tpm_take2b(&area, modulus) || modulus->n != RSA_BYTES || area.n)
		return "modulus of another size";
	return NULL;
}

enum lk_code lk_tpm_ak(struct lk_tpm *t, struct lk_buf *pub, struct lk_buf *modulus,
    lk_time deadline, struct lk_err *e)
{
	struct lk_tpm_answer a;
	struct lk_tpm_call c = {.name = "ReadPublic",
	    .what = "handle",
	    .object = LK_AK_HANDLE,
	    .rc = Tss2_Sys_ReadPublic_Prepare(t->sys, LK_AK_HANDLE),
	    .deadline = deadline};
	enum lk_code r = lk_tpm_run(t, &c, &a, e);
	if (r)
		return r;
	struct lk_slice all = a.params, area, n;
	if (!lk_tpm_take2b(&a.params, &area))
		return lk_tpm_malformed(c.name, e);
	const char *why = refuse(area, &n);
	if (why) {
		(void)lk_fail(e, LK_EATTEST, "tpm: attestation key 0x%08X refused: %s",
		    (unsigned)LK_AK_HANDLE, why);
		return lk_hint(e,
		    "an RSA-2048 restricted signing key with RSASSA-SHA256 is needed, "
		    "as Azure's vTPM has it");
	}
	lk_buf_slice(pub, lk_slice_sub(all, 0, 2 + area.n));
	while (n.n && !n.p[0])
		n = lk_slice_sub(n, 1, n.n);
	lk_buf_slice(modulus, n);
	if (pub->bad || modulus->bad)
		return lk_fail(e, LK_ELIMIT, "tpm: no room for the attestation key");
	t->ak_checked = true;
	return LK_OK;
}
