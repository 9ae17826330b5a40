/* run.h - the state of one run, shared by the files of src/flow. */
#ifndef LK_RUN_H
#define LK_RUN_H

#include "evidence.h"
#include "lk/log.h"
#include "lk/release.h"

#define LK_RUN_PAGE  4096
#define LK_RUN_PEERS 4 /* LK_PEER_IMDS, LK_PEER_MAA, LK_PEER_VAULT, LK_PEER_KDS */

#define LK_HOST_FILE_MAX (LK_ENDORSEMENTS_MAX / 3 * 4 + 64) /* base64 */

/* The SNP path: the wrapping key, and the evidence over it. */
struct lk_snp_proof {
	struct lk_secret key; /* PKCS#1; .n == 0: not made yet */
	struct lk_pub pub;
	char kid[44], nonce[LK_NONCE_TEXT + 1];
	uint8_t runtime[LK_RUNTIME_MAX];
	struct lk_snp_raw raw;
	struct lk_snp report; /* points into raw */
	uint8_t init_data[LK_INIT_DATA_MAX], endorsements[LK_ENDORSEMENTS_MAX];
	uint8_t file[LK_HOST_FILE_MAX];
	struct lk_maa_snp maa; /* points into the above */
};

/* What a courier that is started again must not inherit: zero in every child (MADV_WIPEONFORK). */
struct lk_run_hidden {
	uint8_t bearer[LK_BEARER_MAX + 2048];
	uint8_t jwt[LK_TOKEN_MAX];
	uint8_t frame[LK_FRAME_MAX + 1024];
	struct lk_evidence ev;
	struct lk_snp_proof snp;
	struct lk_secret released, ikm, volume; /* of lk_unlock_all, while volumes are served */
} __attribute__((aligned(LK_RUN_PAGE)));

/* A question for certificates, kept until its answer is there. */
struct lk_run_question {
	bool asked;
	enum lk_certs_from from;
	struct lk_slice report, data;
};

struct lk_run {
	const struct lk_conf *conf;
	bool want_vault, attested;
	bool snp; /* the SNP path, not the vTPM's: presumed at the start, decided with the evidence
		   */
	bool decided;
	char key_text[600];
	char thumbprint[44]; /* of that key, pinned; "": none */
	struct lk_key_url key;
	struct lk_url maa;
	lk_time start, deadline;
	struct lk_courier c[LK_RUN_PEERS];
	bool restarted[LK_RUN_PEERS];
	struct lk_run_question question; /* to the metadata service's courier */
	bool bearer_asked;
	struct lk_certs certs;
	uint8_t pem[LK_CHAIN_PEM_MAX + 2048];
	struct lk_slice bearer, jwt;
	struct lk_maa_claims claims;
	struct lk_tpm *tpm;
	struct lk_snp_dev dev; /* .fd, .path: when snp and decided */
	struct lk_timeline t;
	struct lk_run_hidden *h;
};

/* The last request for a report, of this run or one before. */
extern lk_time lk_run_last_report;
/* A failure that was dealt with is said in the log and forgotten: callers look at e->code, too. */
void lk_run_forgive(struct lk_err *e, enum lk_level level, const char *then);
/* A courier that died is started again, once; true (and e forgotten): ask again. */
bool lk_run_revive(struct lk_run *r, enum lk_peer p, struct lk_err *e);
/* Ask the metadata service's courier for what is not there yet: certificates, then the bearer
 * token. */
LK_CHECK enum lk_code lk_run_ask_imds(struct lk_run *r, struct lk_err *e);
/* The bearer token into r->bearer, asked for if it was not. */
LK_CHECK enum lk_code lk_run_bearer(struct lk_run *r, struct lk_err *e);
/* A new attestation with fresh evidence, whatever there is already. */
LK_CHECK enum lk_code lk_run_attest_again(struct lk_run *r, struct lk_err *e);

/* Certificates into r->certs (certs.c). A question to THIM that is on its way already is not asked
 * again; one whose answer nobody wants any more is passed over. */
LK_CHECK enum lk_code lk_run_certs(struct lk_run *r, enum lk_certs_from from,
    struct lk_slice report, struct lk_slice data, struct lk_err *e);
void lk_run_drop_question(struct lk_run *r);

/* Which path is taken, as far as one look at the machine tells (choose.c). */
bool lk_run_presume_snp(const struct lk_conf *conf);
/* The vTPM or the SNP device is open afterwards, r->snp says which. Waits up to 10 s for either. */
LK_CHECK enum lk_code lk_run_decide(struct lk_run *r, struct lk_err *e);
/* The TPM has no HCL report: with LK_EV_AUTO on to the SNP device. `e` is the TPM's failure, which
 * stays when there is no such device. */
LK_CHECK enum lk_code lk_run_no_hcl(struct lk_run *r, struct lk_err *e);

/* One attestation, up to a token in r->jwt that was not looked at yet. fresh: nothing of an earlier
 * attempt is used again. LK_EABSENT from the first: no HCL report. */
LK_CHECK enum lk_code lk_run_attest_vtpm(struct lk_run *r, bool fresh, struct lk_err *e);
LK_CHECK enum lk_code lk_run_attest_snp(struct lk_run *r, bool fresh, struct lk_err *e);

/* The one buffer that frames are built in and received into; the next use ends the last. */
struct lk_buf lk_run_frame(struct lk_run *r);
void lk_run_step(struct lk_run *r, const char *name, lk_time from);
/* Of a courier's last exchange: its connect, handshake and exchange. */
void lk_run_step_courier(struct lk_run *r, enum lk_peer p);

#endif
