/* The SNP path: a report of the machine's own device over a key made here, its certificates, and
 * the token for both.
 */
#include <string.h>

#include "lk/b64.h"
#include "lk/fmt.h"
#include "lk/io.h"
#include "run.h"

#define CERTS_FILE        "host-amd-cert-base64"
#define ENDORSEMENTS_FILE "reference-info-base64"
#define THIM_TRIES        3 /* the last with a new report */

/* ---- the key and what is said of it */

/* Once a run: the report is over these very bytes, and these very bytes are sent. */
static enum lk_code make_key(struct lk_run *r, struct lk_err *e)
{
	struct lk_snp_proof *p = &r->h->snp;
	struct lk_buf runtime = LK_BUF(p->runtime);
	const lk_time from = lk_now();

	if (p->key.n > 0)
		return LK_OK;
	enum lk_code rc = lk_nonce(p->nonce, e);
	if (rc == LK_OK)
		rc = lk_rsa_generate(r->conf->wrap_bits, &p->key, &p->pub, e);
	if (rc == LK_OK)
		rc = lk_pub_thumbprint(&p->pub, p->kid, e);
	if (rc == LK_OK)
		rc = lk_maa_runtime(&p->pub, p->kid, lk_slice_str(p->nonce),
		    lk_slice_str(r->conf->digest), &runtime, e);
	if (rc != LK_OK) {
		lk_secret_clear(&p->key);
		return lk_err_prefix(e, "wrapping key");
	}
	p->maa.nonce = lk_slice_str(p->nonce);
	p->maa.runtime = lk_slice_buf(&runtime);
	lk_run_step(r, "key", from);
	return LK_OK;
}

static enum lk_code get_report(struct lk_run *r, struct lk_err *e)
{
	struct lk_snp_proof *p = &r->h->snp;
	uint8_t data[64] = {0};
	const lk_time from = lk_now();
	enum lk_code rc = lk_sha256(p->maa.runtime, data, e);

	if (rc == LK_OK)
		rc = lk_snp_get(&r->dev, data, r->deadline, &p->raw, e);
	lk_run_last_report = r->dev.last;
	if (rc == LK_OK)
		rc = lk_snp_parse(lk_slice_of(p->raw.report, sizeof(p->raw.report)), &p->report, e);
	if (rc != LK_OK)
		return rc;
	p->maa.report = p->report.raw;
	if (p->report.debug)
		lk_log(LK_LOG_WARN, "the guest's policy lets the host debug it: its memory is no "
				    "secret");
	lk_run_step(r, "evidence", from);
	return LK_OK;
}

/* ---- what the administrator or the host of a confidential container adds */

static enum lk_code read_init_data(struct lk_run *r, struct lk_err *e)
{
	struct lk_snp_proof *p = &r->h->snp;
	struct lk_buf b = LK_BUF(p->init_data);
	uint8_t digest[32];

	if (r->conf->init_data[0] == '\0')
		return LK_OK;
	enum lk_code rc = lk_file_read(r->conf->init_data, &b, e);
	if (rc != LK_OK)
		return e->code = LK_ECONF, lk_err_prefix(e, "init-data");
	rc = lk_sha256(lk_slice_buf(&b), digest, e);
	if (rc == LK_OK && !lk_slice_eq(p->report.host_data, lk_slice_of(digest, sizeof(digest)))) {
		(void)lk_fail(e, LK_EATTEST,
		    "init-data: %s is not what HOST_DATA of this machine "
		    "is the SHA-256 of",
		    r->conf->init_data);
		return lk_hint(e, "start the machine with host-data set to that file's SHA-256, or "
				  "correct init-data");
	}
	p->maa.init_data = lk_slice_buf(&b);
	return rc;
}

/* A file of the host's folder into `b`; LK_EABSENT: no folder, no such file, an empty one. */
static enum lk_code host_file(
    const struct lk_run *r, const char *name, struct lk_buf *b, struct lk_err *e)
{
	char path[sizeof(r->conf->security_context) + 32];

	if (r->conf->security_context[0] == '\0')
		return lk_fail(e, LK_EABSENT, "no security context");
	(void)lk_fmt(path, sizeof(path), "%s/%s", r->conf->security_context, name);
	enum lk_code rc = lk_file_read(path, b, e);
	while (rc == LK_OK && b->n > 0 && b->p[b->n - 1] <= ' ')
		b->n--;
	return rc == LK_OK && b->n == 0 ? lk_fail(e, LK_EABSENT, "%s is empty", path) : rc;
}

/* Reference values of the utility VM: they add claims, and a policy that needs those says so. */
static void read_endorsements(struct lk_run *r)
{
	struct lk_snp_proof *p = &r->h->snp;
	struct lk_buf text = LK_BUF(p->file), out = LK_BUF(p->endorsements);
	struct lk_err e = {0};
	enum lk_code rc = host_file(r, ENDORSEMENTS_FILE, &text, &e);

	if (rc == LK_OK)
		rc = lk_b64_decode(lk_slice_buf(&text), &out, &e);
	if (rc == LK_OK)
		p->maa.endorsements = lk_slice_buf(&out);
	else if (rc != LK_EABSENT)
		lk_log(LK_LOG_WARN, "no endorsements are sent: %s", e.msg);
}

/* ---- certificates */

static enum lk_code fitting(
    struct lk_run *r, enum lk_certs_from from, struct lk_slice data, struct lk_err *e)
{
	const struct lk_snp *report = &r->h->snp.report;
	enum lk_code rc = lk_run_certs(r, from, report->raw, data, e);

	return rc == LK_OK ? lk_evidence_tcb(report->reported_tcb, &r->certs, e) : rc;
}

/* The host's own words first: they cost no request. What does not fit is passed over; a failure
 * other than absence is said aloud. */
static bool from_host(struct lk_run *r)
{
	struct lk_snp_proof *p = &r->h->snp;
	struct lk_buf file = LK_BUF(p->file);
	struct lk_err e = {0};
	enum lk_code rc = LK_EABSENT;

	if (p->raw.certs_n > 0)
		rc = fitting(r, LK_CERTS_TABLE, lk_slice_of(p->raw.certs, p->raw.certs_n), &e);
	if (rc != LK_OK && rc != LK_EABSENT)
		lk_run_forgive(&e, LK_LOG_WARN, "the host's certificate table is passed over");
	if (rc == LK_OK)
		return true;
	memset(&e, 0, sizeof(e));
	rc = host_file(r, CERTS_FILE, &file, &e);
	if (rc == LK_OK)
		rc = fitting(r, LK_CERTS_FILE, lk_slice_buf(&file), &e);
	if (rc != LK_OK && rc != LK_EABSENT)
		lk_run_forgive(&e, LK_LOG_WARN, "the host's " CERTS_FILE " is passed over");
	return rc == LK_OK;
}

/* The cache may be a moment behind the firmware, and so may the report: ask again, then once more
 * with a new report. */
static enum lk_code from_thim(struct lk_run *r, struct lk_err *e)
{
	for (unsigned i = 1;; i++) {
		const struct lk_slice none = {NULL, 0};
		enum lk_code rc = i == THIM_TRIES ? get_report(r, e) : LK_OK;

		if (rc == LK_OK)
			rc = fitting(r, LK_CERTS_THIM, none, e);
		if (rc != LK_EATTEST || i == THIM_TRIES)
			return rc;
		lk_run_forgive(e, LK_LOG_INFO, "asking again");
	}
}

/* fresh: what the host handed over may be what was refused, so the others are asked first. */
static enum lk_code get_certs(struct lk_run *r, bool fresh, struct lk_err *e)
{
	const struct lk_slice none = {NULL, 0};
	enum lk_code rc = !fresh && from_host(r) ? LK_OK : from_thim(r, e);

	if (rc != LK_OK && r->conf->kds && rc != LK_ESNP) {
		lk_run_forgive(e, LK_LOG_INFO, "asking AMD");
		rc = fitting(r, LK_CERTS_KDS, none, e);
	}
	if (rc != LK_OK && rc != LK_ESNP && fresh && from_host(r)) {
		lk_run_forgive(e, LK_LOG_INFO, "staying with the host's certificates");
		rc = LK_OK;
	}
	r->h->snp.maa.certs_pem = r->certs.pem;
	return rc;
}

/* ---- the attestation service */

static enum lk_code exchange(struct lk_run *r, struct lk_err *e)
{
	struct lk_courier *c = &r->c[LK_PEER_MAA];
	struct lk_buf jwt = LK_BUF(r->h->jwt);
	const lk_time from = lk_now();

	for (;;) {
		struct lk_buf b = lk_run_frame(r);
		enum lk_code rc = lk_ask_attest_snp(c, &r->h->snp.maa, &b, e);

		b = lk_run_frame(r);
		if (rc == LK_OK)
			rc = lk_wait_token(c, &b, &r->jwt, e);
		if (rc != LK_OK && lk_run_revive(r, LK_PEER_MAA, e))
			continue;
		if (rc != LK_OK)
			return rc;
		lk_buf_slice(&jwt, r->jwt); /* out of the frame */
		LK_BUG_ON(jwt.bad);
		r->jwt = lk_slice_buf(&jwt);
		lk_run_step_courier(r, LK_PEER_MAA);
		lk_run_step(r, "attest", from);
		return LK_OK;
	}
}

enum lk_code lk_run_attest_snp(struct lk_run *r, bool fresh, struct lk_err *e)
{
	enum lk_code rc = make_key(r, e);

	r->h->snp.maa.api_version = lk_slice_str(r->conf->attest_api_version);
	if (rc == LK_OK)
		rc = get_report(r, e);
	if (rc == LK_OK)
		rc = read_init_data(r, e);
	if (rc != LK_OK)
		return rc;
	read_endorsements(r);
	rc = get_certs(r, fresh, e);
	return rc == LK_OK ? exchange(r, e) : rc;
}
