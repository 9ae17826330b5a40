/* run.h - the state of one run, shared by attest.c and release.c. */
#ifndef LK_RUN_H
#define LK_RUN_H

#include "evidence.h"
#include "lk/log.h"
#include "lk/release.h"

#define LK_RUN_PAGE  4096
#define LK_RUN_PEERS 3 /* LK_PEER_IMDS, LK_PEER_MAA, LK_PEER_VAULT */

/* What a courier that is started again must not inherit: zero in every child (MADV_WIPEONFORK). */
struct lk_run_hidden {
	uint8_t bearer[LK_BEARER_MAX + 2048];
	uint8_t jwt[LK_TOKEN_MAX];
	uint8_t frame[LK_FRAME_MAX + 1024];
	struct lk_evidence ev;
} __attribute__((aligned(LK_RUN_PAGE)));

struct lk_run {
	const struct lk_conf *conf;
	bool want_vault, attested;
	char key_text[600];
	struct lk_key_url key;
	struct lk_url maa;
	lk_time start, deadline;
	struct lk_courier c[LK_RUN_PEERS];
	bool restarted[LK_RUN_PEERS];
	bool certs_asked, bearer_asked; /* questions whose answers are still to come */
	struct lk_certs certs;
	uint8_t pem[LK_CHAIN_PEM_MAX + 2048];
	struct lk_slice bearer, jwt;
	struct lk_maa_claims claims;
	struct lk_tpm *tpm;
	struct lk_timeline t;
	struct lk_run_hidden *h;
};

/* A failure that was dealt with is said in the log and forgotten: callers look at e->code, too. */
void lk_run_forgive(struct lk_err *e, enum lk_level level, const char *then);
/* A courier that died is started again, once; true (and e forgotten): ask again. */
bool lk_run_revive(struct lk_run *r, enum lk_peer p, struct lk_err *e);
/* Ask the metadata service for what is not there yet: certificates, then the bearer token. */
LK_CHECK enum lk_code lk_run_ask_imds(struct lk_run *r, struct lk_err *e);
/* The bearer token into r->bearer, asked for if it was not. */
LK_CHECK enum lk_code lk_run_bearer(struct lk_run *r, struct lk_err *e);
/* A new attestation with fresh evidence, whatever there is already. */
LK_CHECK enum lk_code lk_run_attest_again(struct lk_run *r, struct lk_err *e);

/* The one buffer that frames are built in and received into; the next use ends the last. */
struct lk_buf lk_run_frame(struct lk_run *r);
void lk_run_step(struct lk_run *r, const char *name, lk_time from);
/* Of a courier's last exchange: its connect, handshake and exchange. */
void lk_run_step_courier(struct lk_run *r, enum lk_peer p);

#endif
