/* The platform's certificates from whoever has them, through the courier that may ask them. */
#include <string.h>

#include "run.h"

static enum lk_code wait_imds(struct lk_run *r, struct lk_err *e)
{
	for (;;) {
		struct lk_buf store = LK_BUF(r->pem);
		enum lk_code rc = lk_wait_certs(&r->c[LK_PEER_IMDS], &store, &r->certs, e);

		if (rc == LK_OK || !lk_run_revive(r, LK_PEER_IMDS, e)) {
			r->question.asked = false;
			return rc;
		}
		rc = lk_run_ask_imds(r, e);
		if (rc != LK_OK)
			return rc;
	}
}

void lk_run_drop_question(struct lk_run *r)
{
	struct lk_err ignored = {0};

	if (r->question.asked && wait_imds(r, &ignored) != LK_OK)
		lk_log(LK_LOG_DEBUG, "%s; not needed", ignored.msg);
	r->question.asked = false;
}

static enum lk_code ask_imds(struct lk_run *r, const struct lk_run_question *q, struct lk_err *e)
{
	enum lk_code rc = LK_OK;

	/* Answers come in the order of the questions. */
	if (r->question.asked && r->question.from == q->from)
		return LK_OK;
	lk_run_drop_question(r);
	if (r->bearer_asked)
		rc = lk_run_bearer(r, e);
	if (rc != LK_OK)
		return rc;
	r->question = *q;
	rc = lk_run_ask_imds(r, e);
	if (rc != LK_OK && lk_run_revive(r, LK_PEER_IMDS, e))
		rc = lk_run_ask_imds(r, e);
	return rc;
}

static enum lk_code kds(struct lk_run *r, const struct lk_run_question *q, struct lk_err *e)
{
	struct lk_courier *c = &r->c[LK_PEER_KDS];

	for (;;) {
		struct lk_buf b = lk_run_frame(r), store = LK_BUF(r->pem);
		enum lk_code rc = lk_ask_certs(c, q->from, q->report, q->data, &b, e);

		if (rc == LK_OK)
			rc = lk_wait_certs(c, &store, &r->certs, e);
		if (rc == LK_OK || !lk_run_revive(r, LK_PEER_KDS, e))
			return rc;
	}
}

enum lk_code lk_run_certs(struct lk_run *r, enum lk_certs_from from, struct lk_slice report,
    struct lk_slice data, struct lk_err *e)
{
	const struct lk_run_question q = {
	    .asked = true, .from = from, .report = report, .data = data};
	const lk_time start = lk_now();
	const enum lk_peer peer = from == LK_CERTS_KDS ? LK_PEER_KDS : LK_PEER_IMDS;
	enum lk_code rc = from == LK_CERTS_KDS ? kds(r, &q, e) : ask_imds(r, &q, e);

	if (rc == LK_OK && peer == LK_PEER_IMDS)
		rc = wait_imds(r, e);
	if (rc == LK_OK && (from == LK_CERTS_THIM || from == LK_CERTS_KDS)) {
		lk_run_step(r, lk_peer_name(peer), start);
		lk_run_step_courier(r, peer);
	}
	return rc;
}
