/* lk/hcl.h - the paravisor's attestation report as read from NV index 0x01400001 (protocol notes:
 * HCL report layout).
 *
 * Slices point into the bytes given. Every length is checked before use. The parser insists on:
 * signature "HCLA", header version 1 or 2, request type 2, data version 1, report type SNP, hash
 * type SHA-256, sizes that agree, and SHA-256(runtime data) || 32 zero bytes == report_data. TDX,
 * VBS and Trusted Launch are refused by name.
 */
#ifndef LK_HCL_H
#define LK_HCL_H

#include "lk/key.h"
#include "lk/snp.h"

struct lk_hcl {
	struct lk_slice report;  /* SNP attestation report, LK_SNP_REPORT_SIZE bytes */
	struct lk_slice runtime; /* JSON, exactly as hashed */
	uint64_t reported_tcb;   /* of the report, as THIM's tcbm prints it (%016x) */
	uint32_t report_version;
	struct lk_pub ak; /* HCLAkPub of the runtime data */
};

LK_CHECK enum lk_code lk_hcl_parse(struct lk_slice raw, struct lk_hcl *out, struct lk_err *e);

#endif
