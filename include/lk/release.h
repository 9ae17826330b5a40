/* lk/release.h - the run itself: couriers, evidence, attestation, release, unwrap (design, sections
 * 2 and 3).
 *
 * The caller parses its options, then calls lk_run_start BEFORE it holds any secret: the couriers
 * are forked and connect while the rest of the start-up goes on. lk_run_attest gives the token,
 * lk_run_release the released key. One deadline rules everything. Retries follow the matrix of the
 * protocol notes (section 10): couriers repeat their own requests; here only fresh evidence (MAA
 * 400 once, "statement cannot be verified" twice), one new bearer token after a 401, and one
 * restart of a courier that died.
 */
#ifndef LK_RELEASE_H
#define LK_RELEASE_H

#include "lk/conf.h"
#include "lk/courier.h"
#include "lk/tpm.h"

#define LK_STEPS_MAX 24
struct lk_step {
	char name[24];
	uint32_t at_ms, took_ms;
}; /* at: since the run's start */
struct lk_timeline {
	size_t n;
	struct lk_step step[LK_STEPS_MAX];
	unsigned tpm_commands;
};

struct lk_run; /* static inside; one at a time */

/* `conf` outlives the run. roots_pem: content of conf->trust, read by the caller, outlives the run.
 * want_vault false: attest only. */
LK_CHECK enum lk_code lk_run_start(const struct lk_conf *conf, struct lk_slice roots_pem,
    bool want_vault, struct lk_run **out, struct lk_err *e);
/* Ask for this key (of the same host) instead of conf->key: a binding names the version.
 * `thumbprint` is pinned then instead of conf's ("": an oct key, or none is pinned). What was
 * attested stays good. */
LK_CHECK enum lk_code lk_run_use_key(
    struct lk_run *r, const char *url, const char *thumbprint, struct lk_err *e);
/* The attestation token (JWT text, points into the run). */
LK_CHECK enum lk_code lk_run_attest(
    struct lk_run *r, struct lk_slice *jwt, struct lk_maa_claims *claims, struct lk_err *e);

struct lk_key {
	struct lk_pub pub;
	char kid[600];
	char thumbprint[44]; /* "" for oct */
};
/* Attests if that has not happened, has the key released, unwraps it, and proves that it is the
 * private half of the public key the vault stated. plain: PKCS#8 DER or oct bytes. A pinned
 * thumbprint that differs: LK_ETRUST. */
LK_CHECK enum lk_code lk_run_release(
    struct lk_run *r, struct lk_key *key, struct lk_secret *plain, struct lk_err *e);

/* The SNP report's source as the settings name it; paths are borrowed from conf. */
struct lk_snp_conf lk_run_snp_conf(const struct lk_conf *conf);
const struct lk_timeline *lk_run_timeline(const struct lk_run *r);
lk_time lk_run_deadline(const struct lk_run *r);
void lk_run_end(struct lk_run *r); /* stops couriers, flushes the TPM key, wipes; NULL allowed */

#endif
