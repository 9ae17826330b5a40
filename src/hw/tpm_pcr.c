/* PCR values and the policy over them (TPM 2.0 part 3, sections 22.4 and 23.7). */
#include "tpm_int.h"

#include <string.h>

TPML_PCR_SELECTION lk_tpm_selection(void)
{
	TPML_PCR_SELECTION s = {.count = 1};
	s.pcrSelections[0].hash = TPM2_ALG_SHA256;
	s.pcrSelections[0].sizeofSelect = 3;
	s.pcrSelections[0].pcrSelect[0] = 0xFF;
	return s;
}

enum lk_code lk_tpm_pcr_read(
    struct lk_tpm *t, uint8_t out[static LK_TPM_PCRS][32], lk_time deadline, struct lk_err *e)
{
	TPML_PCR_SELECTION want = lk_tpm_selection();
	struct lk_tpm_answer a;
	struct lk_tpm_call c = {.name = "PCR_Read",
	    .rc = Tss2_Sys_PCR_Read_Prepare(t->sys, &want),
	    .deadline = deadline};
	enum lk_code r = lk_tpm_run(t, &c, &a, e);
	if (r)
		return r;
	struct lk_slice selection, value;
	uint32_t counter, n;
	if (!lk_slice_take_be32(&a.params, &counter) ||
	    !lk_slice_take(&a.params, TPM_SELECTION.n, &selection) ||
	    !lk_slice_eq(selection, TPM_SELECTION)) {
		(void)lk_fail(e, LK_ETPM, "tpm: PCR_Read: no PCRs 0 to 7 in the SHA-256 bank");
		return lk_hint(e, "the firmware must allocate the SHA-256 bank of the TPM");
	}
	if (!lk_slice_take_be32(&a.params, &n) || n != LK_TPM_PCRS)
		return lk_tpm_malformed(c.name, e);
	for (unsigned i = 0; i < LK_TPM_PCRS; i++) {
		if (!lk_tpm_take2b(&a.params, &value) || value.n != 32)
			return lk_tpm_malformed(c.name, e);
		memcpy(out[i], value.p, 32);
	}
	return a.params.n ? lk_tpm_malformed(c.name, e) : LK_OK;
}

enum lk_code lk_tpm_pcr_digest(
    uint8_t pcrs[static LK_TPM_PCRS][32], uint8_t out[static 32], struct lk_err *e)
{
	return lk_sha256(lk_slice_of(pcrs, (size_t)LK_TPM_PCRS * 32), out, e);
}

enum lk_code lk_tpm_policy(
    const uint8_t pcr_digest[static 32], uint8_t out[static 32], struct lk_err *e)
{
	static const uint8_t zero[32];
	const struct lk_slice parts[] = {lk_slice_of(zero, 32),
	    LK_S("\0\0\x01\x7f"), /* TPM_CC_PolicyPCR
				   */
	    TPM_SELECTION, lk_slice_of(pcr_digest, 32)};
	return lk_hash(LK_SHA256, parts, 4, out, e);
}

enum lk_code lk_tpm_pcr_moved(struct lk_tpm *t, uint8_t then[static LK_TPM_PCRS][32],
    lk_time deadline, const struct lk_err *otherwise, struct lk_err *e)
{
	uint8_t now[LK_TPM_PCRS][32];
	struct lk_err ignored = {0};
	char names[64];
	struct lk_buf b = {.p = (uint8_t *)names, .cap = sizeof(names) - 1};
	if (!lk_tpm_pcr_read(t, now, deadline, &ignored))
		for (unsigned i = 0; i < LK_TPM_PCRS; i++)
			if (memcmp(now[i], then[i], 32) != 0)
				lk_buf_fmt(&b, "%s%u", b.n ? ", " : "", i);
	names[b.n] = 0;
	if (!b.n) {
		*e = *otherwise;
		return e->code;
	}
	(void)lk_fail(e, LK_ETPM, "tpm: PCR %s changed since the evidence was begun", names);
	e->lib = otherwise->lib;
	(void)lk_hint(e, "something still extends it (firmware, boot loader, systemd-pcrextend): "
			 "attest again, later in the boot");
	return lk_err_retry(e);
}
