/* lk/maa.h - Microsoft Azure Attestation: POST /attest/AzureGuest (protocol notes, azure-guest
 * section 1.5) and POST /attest/SevSnpVm (snp-maa-akv sections 2 and 3).
 *
 * The evidence is given as slices; this layer knows nothing of the TPM or the SNP device. The
 * answer of the first is an envelope that only the TPM key opens, of the second the token itself;
 * the token is inspected here as well, since JSON is parsed in couriers only.
 */
#ifndef LK_MAA_H
#define LK_MAA_H

#include "lk/http.h"
#include "lk/json.h"
#include "lk/key.h"
#include "lk/url.h"

#define LK_TOKEN_MAX     32768
#define LK_EVENT_LOG_MAX ((size_t)128 * 1024)

#define LK_RUNTIME_MAX      2048 /* lk_maa_runtime of an RSA-4096 key takes less */
#define LK_INIT_DATA_MAX    ((size_t)64 * 1024)
#define LK_ENDORSEMENTS_MAX ((size_t)64 * 1024)
#define LK_MAA_API_MIN      4
#define LK_MAA_API_MAX      24

struct lk_maa_evidence {
	struct lk_slice nonce;           /* base64url text, 22 characters or more */
	struct lk_slice os_name;         /* os-release NAME, "Linux" when unknown */
	uint32_t os_major, os_minor;     /* major >= 1 */
	struct lk_slice ak_cert, ak_pub; /* whole NV index; TPM2B_PUBLIC */
	struct lk_slice quote, quote_sig;
	struct lk_slice key_pub, certify, certify_sig;
	struct lk_slice pcrs;      /* 8 * 32 bytes */
	struct lk_slice event_log; /* may be empty */
	struct lk_slice report;    /* SNP report, 1184 bytes */
	struct lk_slice runtime;
	struct lk_slice certs_pem;
};

/* For /attest/SevSnpVm. */
struct lk_maa_snp {
	struct lk_slice api_version; /* "2022-08-01" */
	struct lk_slice nonce;       /* base64url text, 22 characters or more */
	struct lk_slice report;      /* 1184 bytes */
	struct lk_slice certs_pem;   /* VCEK, ASK, ARK */
	struct lk_slice runtime;   /* the bytes of lk_maa_runtime, whose SHA-256 is in the report */
	struct lk_slice init_data; /* may be empty; the bytes whose SHA-256 is HOST_DATA */
	struct lk_slice endorsements; /* may be empty; a COSE_Sign1 with reference values */
};

struct lk_maa_envelope {
	struct lk_slice inner_key, iv, tag, ciphertext;
}; /* point into `store` */

/* What the flow needs to know of a token, and what an administrator needs to compare with a policy.
 */
struct lk_maa_claims {
	char issuer[LK_HOST_MAX + 16];
	int64_t expires;    /* unix */
	char summary[1024]; /* "name=value" pairs separated by "; ": the claims that release
			       policies test */
};

/* The AttestationInfo document, before base64url. */
LK_CHECK enum lk_code lk_maa_info(
    const struct lk_maa_evidence *ev, struct lk_buf *out, struct lk_err *e);
/* The request body around it; `scratch` holds the intermediate document. */
LK_CHECK enum lk_code lk_maa_body(
    const struct lk_maa_evidence *ev, struct lk_buf *scratch, struct lk_buf *out, struct lk_err *e);
LK_CHECK enum lk_code lk_maa_parse(const struct lk_http_rsp *rsp, struct lk_buf *store,
    struct lk_maa_envelope *out, struct lk_err *e);

/* The runtime data of the SNP path: a JWK set with the wrapping key (RFC 7517; kid: its RFC 7638
 * thumbprint), and beside it the member "latchkey" with "boot-nonce" and, where config is not
 * empty, "config", which a release policy sees as x-ms-runtime.latchkey.config. Built once, hashed
 * once, sent as it is. nonce: base64url text, 22 to 256 characters; config: at most 128 of the same
 * alphabet, so hexadecimal will do. At most LK_RUNTIME_MAX. LK_EBUG: not such a key, kid, nonce. */
LK_CHECK enum lk_code lk_maa_runtime(const struct lk_pub *key, const char *kid,
    struct lk_slice nonce, struct lk_slice config, struct lk_buf *out, struct lk_err *e);
/* 4 to 24 of 0-9, a-z, hyphen and dot. */
bool lk_maa_api_ok(struct lk_slice version);
/* "/attest/SevSnpVm?api-version=..." */
void lk_maa_snp_target(const struct lk_maa_snp *ev, struct lk_buf *out);
/* initTimeData goes as JSON if it is a JSON object, else as Binary; never a draft policy. The four
 * parts together are at most 144 KiB, for which scratch needs 232 KiB and out 320 KiB. LK_ECONF:
 * not an api-version. LK_EATTEST, LK_ELIMIT: a part is missing, or too long. */
LK_CHECK enum lk_code lk_maa_snp_body(
    const struct lk_maa_snp *ev, struct lk_buf *scratch, struct lk_buf *out, struct lk_err *e);
/* {"token": JWT}: of the form of a compact JWS, at most LK_TOKEN_MAX; points into `store`. */
LK_CHECK enum lk_code lk_maa_snp_parse(
    const struct lk_http_rsp *rsp, struct lk_buf *store, struct lk_slice *jwt, struct lk_err *e);

/* The path a token came by: where its nonce and its hardware's claims are. */
enum lk_maa_path { LK_MAA_GUEST, LK_MAA_SNP };
/* Refuses a token whose first encryption key in x-ms-runtime.keys is not (key_n, 65537), which does
 * not carry our nonce (LK_MAA_GUEST: client payload, base64 of it; LK_MAA_SNP:
 * x-ms-runtime.latchkey.boot-nonce as it is, and "nonce" if that is there), whose issuer is not
 * https://<host>, or whose attestation type is not sevsnpvm. LK_EATTEST. */
LK_CHECK enum lk_code lk_maa_token_check(enum lk_maa_path path, struct lk_slice jwt,
    const char *host, struct lk_slice key_n, struct lk_slice nonce, struct lk_buf *scratch,
    struct lk_maa_claims *out, struct lk_err *e);

/* An error answer of Key Vault, Managed HSM or MAA as an error value: code, inner code, message,
 * request id, and the remedy where the meaning is known (the four meanings of 403; protocol notes 3
 * and 4.6). Sets http, retry and wait_s (at most 60). retry with 403 means: with a fresh
 * attestation token. Evidence that the attestation service refuses (400) is LK_EATTEST. `service`
 * is "attestation" or "vault". */
enum lk_code lk_azure_error(
    const struct lk_http_rsp *rsp, const char *service, const char *host, struct lk_err *e);

#endif
