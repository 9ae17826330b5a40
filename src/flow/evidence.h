/* evidence.h - what the vTPM says, checked against itself and ready for the attestation service. */
#ifndef LK_EVIDENCE_H
#define LK_EVIDENCE_H

#include "lk/conf.h"
#include "lk/hcl.h"
#include "lk/maa.h"
#include "lk/tpm.h"

#define LK_NONCE_BYTES 24
#define LK_NONCE_TEXT  32 /* base64url of it */

struct lk_evidence {
	uint8_t cert[LK_NV_MAX], hcl_raw[LK_NV_MAX];
	uint8_t ak_pub[600], ak_n[LK_RSA_MAX];
	uint8_t log[LK_EVENT_LOG_MAX];
	char nonce[LK_NONCE_TEXT + 1];
	struct lk_hcl hcl;
	struct lk_tpm_evidence tpm;
	struct lk_maa_evidence maa; /* points into the above; certs_pem is the caller's to set */
};

/* Random text for a nonce, safe in JSON. */
LK_CHECK enum lk_code lk_nonce(char out[static LK_NONCE_TEXT + 1], struct lk_err *e);

/* Read everything but the platform's certificates, with a fresh nonce. LK_EATTEST: the parts do not
 * belong together. LK_EABSENT: this TPM has no HCL report. LK_ETPM with retry: worth another try in
 * a moment. */
LK_CHECK enum lk_code lk_evidence_read(struct lk_tpm *tpm, const struct lk_conf *conf,
    lk_time deadline, struct lk_evidence *out, struct lk_err *e);

/* Do the certificates fit the TCB that the report states? LK_EATTEST names both values. */
LK_CHECK enum lk_code lk_evidence_tcb(
    uint64_t reported, const struct lk_certs *certs, struct lk_err *e);

#endif
