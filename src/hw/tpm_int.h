/* tpm_int.h - what the files of the TPM module share.
 *
 * Commands are built by tpm2-tss' SAPI (Tss2_Sys_*_Prepare) in a static context and sent through a
 * TCTI of our own that wraps the device TCTI: it counts, keeps to the deadline and hands out the
 * response as it came. Responses are read with slices, bounded by what was received; nothing is
 * unmarshalled into the TSS' large structures, and the bytes that go into evidence are the TPM's
 * own.
 */
#ifndef TPM_INT_H
#define TPM_INT_H

#include <tss2/tss2_sys.h>
#include <tss2/tss2_tcti.h>
#include <tss2/tss2_tpm2_types.h>

#include "lk/tpm.h"

#define TPM_BUFFER    4096 /* largest command or response */
#define TPM_SYS_STORE (TPM_BUFFER + 512)
#define TPM_DEV_STORE 512

struct lk_tpm {
	/* First member: SAPI sees this context, the device TCTI is behind it. */
	TSS2_TCTI_CONTEXT_COMMON_V1 shim;
	TSS2_TCTI_CONTEXT *dev;
	TSS2_SYS_CONTEXT *sys;
	bool open, broken; /* broken: an exchange was cut off, nothing more can be sent */
	int fd;            /* of the device TCTI, which owns it */
	unsigned sent;
	lk_time deadline;    /* of the command that is running */
	struct lk_slice rsp; /* last complete response, inside the SAPI context */
	uint32_t code;       /* and its response code */
	uint32_t nv_chunk;   /* 0: not asked yet */
	uint32_t key;        /* ephemeral key's handle, 0: none */
	uint32_t session;    /* policy session's handle, 0: none */
	bool ak_checked, have_pcrs;
	uint8_t pcrs[LK_TPM_PCRS][32]; /* as in the evidence */
	uint8_t pcr_digest[32];
};

/* One command. `rc` is what its Prepare function returned. */
struct lk_tpm_call {
	const char *name; /* "NV_Read" */
	const char *what; /* "index" or "handle", NULL: none */
	uint32_t object;
	TSS2_RC rc;
	unsigned auths;   /* authorisations: 0, 1, 2 */
	uint32_t session; /* 0: empty password */
	bool has_handle;  /* the response begins with a handle */
	lk_time deadline;
};

/* A successful command's answer; `params` points into the SAPI context until the next command. */
struct lk_tpm_answer {
	uint32_t handle;
	struct lk_slice params;
};

/* Send, repeat while the TPM asks for it, check the frame. A response code becomes an error through
 * lk_tpm_rc_fail; e->lib holds it. */
LK_CHECK enum lk_code lk_tpm_run(
    struct lk_tpm *t, const struct lk_tpm_call *c, struct lk_tpm_answer *out, struct lk_err *e);
/* Wipe the buffer that commands and responses pass through. */
void lk_tpm_wipe(struct lk_tpm *t);
/* FlushContext; failures are of no interest to anybody. */
void lk_tpm_flush(struct lk_tpm *t, uint32_t *handle, lk_time deadline);
/* LK_ETPM for an answer that does not parse. */
enum lk_code lk_tpm_malformed(const char *command, struct lk_err *e);

/* tpm_rc.c: words and remedy for a response code. */
enum lk_code lk_tpm_rc_fail(const struct lk_tpm_call *c, uint32_t rc, struct lk_err *e);
bool lk_tpm_rc_again(uint32_t rc);

/* A TPM2B off the front. */
bool lk_tpm_take2b(struct lk_slice *s, struct lk_slice *out);

/* tpm_pcr.c. The selection as it is marshalled: SHA-256 bank, registers 0 to 7. */
#define TPM_SELECTION LK_S("\0\0\0\1\0\x0b\3\xff\0\0")
TPML_PCR_SELECTION lk_tpm_selection(void);
LK_CHECK enum lk_code lk_tpm_pcr_read(
    struct lk_tpm *t, uint8_t out[static LK_TPM_PCRS][32], lk_time deadline, struct lk_err *e);
LK_CHECK enum lk_code lk_tpm_pcr_digest(
    uint8_t pcrs[static LK_TPM_PCRS][32], uint8_t out[static 32], struct lk_err *e);
/* Policy digest of PolicyPCR over the selection (TPM 2.0 part 3, 23.7). */
LK_CHECK enum lk_code lk_tpm_policy(
    const uint8_t pcr_digest[static 32], uint8_t out[static 32], struct lk_err *e);
/* Read the registers again and fail with the names of those that differ from `then`; when none
 * does, the error is `otherwise`. */
enum lk_code lk_tpm_pcr_moved(struct lk_tpm *t, uint8_t then[static LK_TPM_PCRS][32],
    lk_time deadline, const struct lk_err *otherwise, struct lk_err *e);

#endif
