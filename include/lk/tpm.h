/* lk/tpm.h - the vTPM through its resource manager device (TPM 2.0 parts 2 and 3; protocol notes:
 * azure-guest, section 2).
 *
 * One open device per process. Commands answered RETRY, YIELDED, TESTING or NV_RATE are sent again
 * within the deadline; a device that does not exist yet is waited for up to 10 s. Every failure
 * names the command, the index or handle, the response code in hexadecimal and, where known, its
 * meaning and the remedy. Empty authorisation values throughout. The ephemeral key is made once and
 * stays loaded until lk_tpm_close.
 */
#ifndef LK_TPM_H
#define LK_TPM_H

#include "lk/clock.h"
#include "lk/crypto.h"

#define LK_TPM_PCRS      8 /* 0 to 7, SHA-256 bank */
#define LK_NV_AK_CERT    0x01C101D0u
#define LK_NV_HCL_REPORT 0x01400001u
#define LK_AK_HANDLE     0x81000003u
#define LK_NV_MAX        8192 /* larger indices are refused */

struct lk_tpm; /* static inside; one at a time */

struct lk_tpm_evidence {
	uint8_t pcrs[LK_TPM_PCRS][32];
	uint8_t quote[256];
	size_t quote_n; /* TPMS_ATTEST */
	uint8_t quote_sig[512];
	size_t quote_sig_n; /* bare RSA signature */
	uint8_t key_pub[600];
	size_t key_pub_n; /* TPM2B_PUBLIC of the ephemeral key, size field included */
	uint8_t certify[256];
	size_t certify_n; /* TPMS_ATTEST */
	uint8_t certify_sig[512];
	size_t certify_sig_n;
	uint8_t key_n[256]; /* modulus of the ephemeral key (RSA-2048, e = 65537) */
};

LK_CHECK enum lk_code lk_tpm_open(
    const char *device, lk_time deadline, struct lk_tpm **out, struct lk_err *e);
void lk_tpm_close(struct lk_tpm *t);              /* flushes the ephemeral key; NULL is allowed */
unsigned lk_tpm_commands(const struct lk_tpm *t); /* sent so far, repeats included */

/* One ascending pass over the index, owner authorisation. Absent: LK_EABSENT; defined but never
 * written: LK_ETPM with retry. */
LK_CHECK enum lk_code lk_tpm_nv_read(
    struct lk_tpm *t, uint32_t index, struct lk_buf *out, lk_time deadline, struct lk_err *e);
/* TPM2B_PUBLIC of the attestation key, size field included, and its RSA modulus (leading zeros
 * stripped). */
LK_CHECK enum lk_code lk_tpm_ak(struct lk_tpm *t, struct lk_buf *pub, struct lk_buf *modulus,
    lk_time deadline, struct lk_err *e);
/* PCR values, quote, ephemeral key under PolicyPCR(0-7), its certification; checked against each
 * other before return (quote's pcrDigest equals the PCRs read, certify's name equals the key's; a
 * PCR that moved in between is named: retry). */
LK_CHECK enum lk_code lk_tpm_evidence(
    struct lk_tpm *t, struct lk_tpm_evidence *out, lk_time deadline, struct lk_err *e);

enum lk_tpm_scheme { LK_TPM_RSAES, LK_TPM_OAEP_SHA1, LK_TPM_OAEP_SHA256, LK_TPM_OAEP_SHA384 };
/* Decrypt 256 bytes with the ephemeral key in a policy session over the PCR values of the evidence.
 * A PCR that changed since is named. */
LK_CHECK enum lk_code lk_tpm_decrypt(struct lk_tpm *t, enum lk_tpm_scheme scheme,
    struct lk_slice in, struct lk_secret *out, lk_time deadline, struct lk_err *e);

#endif
