/* Which proof this machine can give: the paravisor's vTPM, or a report of its own SNP device.
 *
 * Not being there is the only reason to go from one to the other. Neither is the weaker proof: both
 * end in an SNP report, and the release policy says which is believed.
 */
#include <string.h>
#include <unistd.h>

#include "lk/log.h"
#include "run.h"

#define APPEAR_MS 10000 /* modules are still being loaded when early boot starts us */
#define LOOK_MS   200

struct lk_snp_conf lk_run_snp_conf(const struct lk_conf *conf)
{
	static const enum lk_snp_source source[] = {[LK_EV_AUTO] = LK_SNP_AUTO,
	    [LK_EV_VTPM] = LK_SNP_AUTO, /* never opened */
	    [LK_EV_TSM] = LK_SNP_TSM,
	    [LK_EV_GUEST] = LK_SNP_GUEST,
	    [LK_EV_LEGACY] = LK_SNP_LEGACY};

	return (struct lk_snp_conf){.source = source[conf->evidence],
	    .path = conf->snp_path,
	    .has_vmpl = conf->vmpl != LK_VMPL_ANY,
	    .vmpl = conf->vmpl};
}

bool lk_run_presume_snp(const struct lk_conf *conf)
{
	if (conf->evidence != LK_EV_AUTO)
		return conf->evidence != LK_EV_VTPM;
	return access(conf->tpm, F_OK) != 0 &&
	       (access(LK_SNP_TSM_ROOT, F_OK) == 0 || access(LK_SNP_GUEST_DEV, F_OK) == 0);
}

static enum lk_code open_snp(struct lk_run *r, struct lk_err *e)
{
	const struct lk_snp_conf conf = lk_run_snp_conf(r->conf);
	enum lk_code rc = lk_snp_open(&conf, &r->dev, e);

	if (rc == LK_OK) {
		r->snp = true;
		r->dev.last = lk_run_last_report;
		lk_log(LK_LOG_DEBUG, "evidence: SNP report from %s", r->dev.path);
	}
	return rc;
}

static enum lk_code open_tpm(struct lk_run *r, struct lk_err *e)
{
	r->snp = false;
	return lk_tpm_open(r->conf->tpm, r->deadline, &r->tpm, e);
}

/* Without either, the failure is the one of the SNP device: it names both. */
static enum lk_code look(struct lk_run *r, struct lk_err *e)
{
	const bool tpm_too = r->conf->evidence == LK_EV_AUTO;

	if (tpm_too && access(r->conf->tpm, F_OK) == 0)
		return open_tpm(r, e);
	enum lk_code rc = open_snp(r, e);
	if (rc == LK_EABSENT && tpm_too)
		(void)lk_err_prefix(e, "there is no %s", r->conf->tpm);
	return rc;
}

enum lk_code lk_run_decide(struct lk_run *r, struct lk_err *e)
{
	const lk_time until = lk_now() + APPEAR_MS;

	if (r->decided)
		return LK_OK;
	if (r->conf->evidence == LK_EV_VTPM) {
		enum lk_code rc = open_tpm(r, e); /* which waits by itself */

		r->decided = rc == LK_OK;
		return rc;
	}
	for (;;) {
		enum lk_code rc = look(r, e);
		struct lk_err late = {0};

		r->decided = rc == LK_OK;
		if (rc != LK_EABSENT)
			return rc;
		if (lk_now() >= until || lk_sleep(LOOK_MS, r->deadline, &late) != LK_OK) {
			e->code = LK_ESNP;
			return e->code;
		}
		memset(e, 0, sizeof(*e));
	}
}

enum lk_code lk_run_no_hcl(struct lk_run *r, struct lk_err *e)
{
	struct lk_err no_snp = {0};

	if (r->conf->evidence == LK_EV_AUTO) {
		enum lk_code rc = open_snp(r, &no_snp);

		if (rc == LK_OK) {
			lk_log(LK_LOG_INFO, "the TPM has no HCL report; asking %s", r->dev.path);
			lk_tpm_close(r->tpm);
			r->tpm = NULL;
			memset(e, 0, sizeof(*e));
			return LK_OK;
		}
		if (rc != LK_EABSENT) {
			*e = no_snp;
			return rc;
		}
	}
	e->code = LK_EATTEST;
	return e->code;
}
