/* lk/kds.h - AMD's key distribution service: the VCEK of a processor and what signed it (protocol
 * notes, snp-maa-akv 1.6; AMD 57230).
 *
 * Builders append a request target; parsers read a response. This layer knows nothing of reports:
 * whether the VCEK is for the chip and the TCB that were asked for is the caller's to check.
 */
#ifndef LK_KDS_H
#define LK_KDS_H

#include "lk/http.h"

#define LK_KDS_HOST     "kdsintf.amd.com"
#define LK_KDS_VCEK_MAX 8192

struct lk_kds_ask {
	const char *product;  /* "Milan", "Genoa", "Turin" */
	struct lk_slice chip; /* 64 bytes, of Turin 8 */
	bool has_fmc;         /* Turin and later */
	uint8_t fmc, boot_loader, tee, snp, microcode;
};

void lk_kds_vcek_target(const struct lk_kds_ask *ask, struct lk_buf *out);
void lk_kds_chain_target(const char *product, struct lk_buf *out);
/* The certificates in DER lie in `store`, which needs LK_KDS_VCEK_MAX, for the chain of ASK and ARK
 * 2 * LK_PEM_DER_MAX. LK_EHTTP with e->http == 404: of this product, AMD knows no such chip and
 * TCB. Asked too often (429) is retry after ten seconds at least. LK_EPROTO, LK_ELIMIT. */
LK_CHECK enum lk_code lk_kds_vcek_parse(
    const struct lk_http_rsp *rsp, struct lk_buf *store, struct lk_slice *der, struct lk_err *e);
LK_CHECK enum lk_code lk_kds_chain_parse(const struct lk_http_rsp *rsp, struct lk_buf *store,
    struct lk_slice *ask, struct lk_slice *ark, struct lk_err *e);

#endif
