/* A report's certificates: the question, two ways to the answer, the answer. */
#include "serve_certs.h"

#include <string.h>

#include "lk/pem.h"

enum lk_code lk_certs_take(struct lk_frame_reader *in, struct lk_certs_ask *out, struct lk_err *e)
{
	memset(out, 0, sizeof(*out));
	out->from = lk_frame_take_u32(in);
	struct lk_slice report = lk_frame_take(in, LK_SNP_REPORT_SIZE);
	out->data = lk_frame_take(in, LK_FRAME_MAX);
	enum lk_code rc = lk_frame_done(in, "certs", e);
	if (rc != LK_OK)
		return rc;
	out->has_report = report.n > 0;
	if (out->from >= LK_CERTS_TABLE && !out->has_report)
		return lk_fail(
		    e, LK_EBUG, "certificates from %u without a report", (unsigned)out->from);
	return out->has_report ? lk_snp_parse(report, &out->report, e) : LK_OK;
}

enum lk_code lk_certs_of_der(const struct lk_certs_ask *ask, const struct lk_snp_certs *der,
    struct lk_certs *out, struct lk_err *e)
{
	struct lk_buf pem = {.p = lk_room.parsed, .cap = LK_CHAIN_PEM_MAX};
	enum lk_code rc = lk_snp_certs_pem(der, ask->report.signer, &pem, e);

	if (rc == LK_OK)
		rc = lk_snp_certs_tcb(&ask->report, der, &out->tcbm, e);
	out->has_tcbm = true;
	out->pem = lk_slice_buf(&pem);
	return rc;
}

enum lk_code lk_certs_compare(const struct lk_certs_ask *ask, struct lk_certs *c, struct lk_err *e)
{
	struct lk_buf der = {.p = lk_room.scratch, .cap = LK_PEM_DER_MAX};
	struct lk_slice text = c->pem;
	struct lk_snp_certs certs = {0};
	uint64_t tcb = 0;

	if (!ask->has_report)
		return LK_OK;
	if (lk_pem_next(&text, &der) != LK_PEM_CERT)
		return lk_fail(e, LK_EPROTO, "the VCEK's PEM is damaged");
	certs.vcek = certs.vlek = lk_slice_buf(&der); /* whichever signed the report */
	enum lk_code rc = lk_snp_certs_tcb(&ask->report, &certs, &tcb, e);
	if (rc == LK_OK && c->has_tcbm && c->tcbm != tcb)
		rc = lk_fail(e, LK_EATTEST, "tcbm is %016llx, but the VCEK is for TCB %016llx",
		    (unsigned long long)c->tcbm, (unsigned long long)tcb);
	c->tcbm = tcb;
	c->has_tcbm = true;
	return rc;
}

enum lk_code lk_certs_reply(struct lk_serve *s, const struct lk_certs *c, struct lk_err *e)
{
	struct lk_buf reply = LK_BUF(lk_room.reply);

	lk_frame_field(&reply, c->pem);
	lk_frame_u64(&reply, c->tcbm);
	lk_frame_u32(&reply, c->has_tcbm);
	return lk_serve_reply(s, LK_F_CERTS_OK, &reply, e);
}
