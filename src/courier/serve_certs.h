/* serve_certs.h - what the couriers that supply a report's certificates share. */
#ifndef LK_SERVE_CERTS_H
#define LK_SERVE_CERTS_H

#include "lk/snp.h"
#include "serve.h"

struct lk_certs_ask {
	uint32_t from; /* enum lk_certs_from, if it is one of them */
	struct lk_slice data;
	bool has_report;
	struct lk_snp report;
};

/* The question; a report that was not sent is LK_EBUG where the source needs one. */
LK_CHECK enum lk_code lk_certs_take(
    struct lk_frame_reader *in, struct lk_certs_ask *out, struct lk_err *e);
/* Certificates in DER as the answer; the text is in lk_room.parsed. LK_EABSENT: one is missing. */
LK_CHECK enum lk_code lk_certs_of_der(const struct lk_certs_ask *ask,
    const struct lk_snp_certs *der, struct lk_certs *out, struct lk_err *e);
/* Does the VCEK of an answer in PEM fit what is said of it, and the report's processor? Uses
 * lk_room.scratch; fills in the TCB where the answer does not say it. Without a report: LK_OK. */
LK_CHECK enum lk_code lk_certs_compare(
    const struct lk_certs_ask *ask, struct lk_certs *c, struct lk_err *e);
LK_CHECK enum lk_code lk_certs_reply(
    struct lk_serve *s, const struct lk_certs *c, struct lk_err *e);

#endif
