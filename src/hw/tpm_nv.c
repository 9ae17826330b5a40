/* NV indices (TPM 2.0 part 3, section 31). */
#include "tpm_int.h"

#define NV_CHUNK_MIN 64
#define NV_CHUNK_OLD 512 /* every TPM takes it */

/* TPM_PT_NV_BUFFER_MAX, asked once. */
static enum lk_code ask_chunk(struct lk_tpm *t, lk_time deadline, struct lk_err *e)
{
	if (t->nv_chunk)
		return LK_OK;
	struct lk_tpm_answer a;
	struct lk_tpm_call c = {.name = "GetCapability",
	    .rc = Tss2_Sys_GetCapability_Prepare(
		t->sys, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_NV_BUFFER_MAX, 1),
	    .deadline = deadline};
	enum lk_code r = lk_tpm_run(t, &c, &a, e);
	if (r)
		return r;
	struct lk_slice more;
	uint32_t cap, count, prop = 0, value = 0;
	if (!lk_slice_take(&a.params, 1, &more) || !lk_slice_take_be32(&a.params, &cap) ||
	    !lk_slice_take_be32(&a.params, &count) || cap != TPM2_CAP_TPM_PROPERTIES)
		return lk_tpm_malformed(c.name, e);
	if (count &&
	    (!lk_slice_take_be32(&a.params, &prop) || !lk_slice_take_be32(&a.params, &value)))
		return lk_tpm_malformed(c.name, e);
	if (prop != TPM2_PT_NV_BUFFER_MAX || value < NV_CHUNK_MIN)
		value = NV_CHUNK_OLD;
	t->nv_chunk = value > TPM2_MAX_NV_BUFFER_SIZE ? TPM2_MAX_NV_BUFFER_SIZE : value;
	return LK_OK;
}

/* Size of the index; refused when it was never written. */
static enum lk_code nv_size(
    struct lk_tpm *t, uint32_t index, lk_time deadline, uint16_t *size, struct lk_err *e)
{
	struct lk_tpm_answer a;
	struct lk_tpm_call c = {.name = "NV_ReadPublic",
	    .what = "index",
	    .object = index,
	    .rc = Tss2_Sys_NV_ReadPublic_Prepare(t->sys, index),
	    .deadline = deadline};
	enum lk_code r = lk_tpm_run(t, &c, &a, e);
	if (r)
		return r;
	struct lk_slice pub, policy;
	uint32_t self, attributes;
	uint16_t alg;
	if (!lk_tpm_take2b(&a.params, &pub) || !lk_slice_take_be32(&pub, &self) ||
	    !lk_slice_take_be16(&pub, &alg) || !lk_slice_take_be32(&pub, &attributes) ||
	    !lk_tpm_take2b(&pub, &policy) || !lk_slice_take_be16(&pub, size) || self != index)
		return lk_tpm_malformed(c.name, e);
	if (!(attributes & TPMA_NV_WRITTEN))
		return lk_tpm_rc_fail(&c, TPM2_RC_NV_UNINITIALIZED, e);
	if (*size == 0 || *size > LK_NV_MAX)
		return lk_fail(e, LK_ELIMIT, "tpm: index 0x%08X has %u bytes, allowed are 1 to %u",
		    (unsigned)index, *size, LK_NV_MAX);
	return LK_OK;
}

enum lk_code lk_tpm_nv_read(
    struct lk_tpm *t, uint32_t index, struct lk_buf *out, lk_time deadline, struct lk_err *e)
{
	uint16_t size = 0;
	enum lk_code r = ask_chunk(t, deadline, e);
	if (!r)
		r = nv_size(t, index, deadline, &size, e);
	if (r)
		return r;
	if (out->bad || size > out->cap - out->n)
		return lk_fail(e, LK_ELIMIT,
		    "tpm: index 0x%08X has %u bytes, there is room for %zu", (unsigned)index, size,
		    out->cap - out->n);

	/* Ascending, offset 0 once: the paravisor renews the report when offset 0 is read. */
	for (uint32_t at = 0; at < size;) {
		uint32_t want = size - at < t->nv_chunk ? size - at : t->nv_chunk;
		struct lk_tpm_answer a;
		struct lk_slice data;
		struct lk_tpm_call c = {.name = "NV_Read",
		    .what = "index",
		    .object = index,
		    .rc = Tss2_Sys_NV_Read_Prepare(
			t->sys, TPM2_RH_OWNER, index, (uint16_t)want, (uint16_t)at),
		    .auths = 1,
		    .deadline = deadline};
		r = lk_tpm_run(t, &c, &a, e);
		if (r)
			return r;
		if (!lk_tpm_take2b(&a.params, &data) || data.n != want)
			return lk_tpm_malformed(c.name, e);
		lk_buf_slice(out, data);
		at += want;
	}
	return LK_OK;
}
