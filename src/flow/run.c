/* The run: its couriers, its bearer token, its timeline, its end. The contract is in lk/release.h.
 */
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "lk/hosts.h"
#include "lk/log.h"
#include "lk/kds.h"
#include "run.h"

static struct lk_run the_run;
static struct lk_run_hidden hidden;
lk_time lk_run_last_report;

/* ---- timeline */

static void add_step(struct lk_run *r, const char *name, lk_time at, int64_t took)
{
	struct lk_buf b;

	if (r->t.n == LK_STEPS_MAX)
		return;
	struct lk_step *s = &r->t.step[r->t.n++];
	memset(s, 0, sizeof(*s));
	b = (struct lk_buf){
	    .p = (uint8_t *)s->name, .n = 0, .cap = sizeof(s->name) - 1, .bad = false};
	lk_buf_str(&b, name);
	s->at_ms = (uint32_t)(at > r->start ? at - r->start : 0);
	s->took_ms = (uint32_t)took;
}

void lk_run_step(struct lk_run *r, const char *name, lk_time from)
{
	add_step(r, name, from, lk_now() - from);
	lk_log(LK_LOG_DEBUG, "%s: %lld ms", name, (long long)(lk_now() - from));
}

void lk_run_step_courier(struct lk_run *r, enum lk_peer p)
{
	static const char *const name[LK_RUN_PEERS][3] = {
	    {"imds connect", "", "imds exchange"},
	    {"attestation dns+connect", "attestation tls", "attestation exchange"},
	    {"vault dns+connect", "vault tls", "vault exchange"},
	    {"kds dns+connect", "kds tls", "kds exchange"},
	};
	const struct lk_courier *c = &r->c[p];

	LK_BUG_ON((unsigned)p >= LK_RUN_PEERS);
	add_step(r, name[p][0], r->start, c->connect_ms);
	if (p != LK_PEER_IMDS)
		add_step(r, name[p][1], r->start + c->connect_ms, c->tls_ms);
	add_step(r, name[p][2], lk_now() - c->exchange_ms, c->exchange_ms);
}

const struct lk_timeline *lk_run_timeline(const struct lk_run *r)
{
	the_run.t.tpm_commands = r->tpm ? lk_tpm_commands(r->tpm) : 0;
	return &r->t;
}

lk_time lk_run_deadline(const struct lk_run *r)
{
	return r->deadline;
}

/* ---- couriers */

void lk_run_forgive(struct lk_err *e, enum lk_level level, const char *then)
{
	lk_log(level, "%s; %s", e->msg, then);
	memset(e, 0, sizeof(*e));
}

bool lk_run_revive(struct lk_run *r, enum lk_peer p, struct lk_err *e)
{
	struct lk_err again;

	if (e->code != LK_EBUG || !e->retry || r->c[p].fd >= 0 || r->restarted[p])
		return false;
	r->restarted[p] = true;
	memset(&again, 0, sizeof(again));
	if (lk_courier_restart(&r->c[p], &again) != LK_OK)
		return false;
	lk_run_forgive(e, LK_LOG_WARN, "started it again");
	return true;
}

enum lk_code lk_run_ask_imds(struct lk_run *r, struct lk_err *e)
{
	struct lk_courier *c = &r->c[LK_PEER_IMDS];
	struct lk_buf b = lk_run_frame(r);
	enum lk_code rc = LK_OK;

	if (r->question.asked)
		rc = lk_ask_certs(c, r->question.from, r->question.report, r->question.data, &b, e);
	if (rc == LK_OK && r->bearer_asked) {
		char audience[LK_AUDIENCE_MAX];

		lk_host_audience(r->key.url.host, audience);
		rc = lk_ask_bearer(c, audience, r->conf->identity, r->conf->identity_id, e);
	}
	return rc;
}

enum lk_code lk_run_bearer(struct lk_run *r, struct lk_err *e)
{
	const lk_time from = lk_now();
	enum lk_code rc = LK_OK;
	bool ask = !r->bearer_asked;

	lk_run_drop_question(r);

	for (;;) {
		struct lk_buf store = LK_BUF(r->h->bearer);

		r->bearer_asked = true;
		if (ask)
			rc = lk_run_ask_imds(r, e);
		if (rc == LK_OK)
			rc = lk_wait_bearer(&r->c[LK_PEER_IMDS], &store, &r->bearer, e);
		if (rc == LK_OK)
			break;
		if (!lk_run_revive(r, LK_PEER_IMDS, e))
			return rc;
		ask = true;
		rc = LK_OK;
	}
	r->bearer_asked = false;
	lk_run_step(r, "bearer", from);
	return LK_OK;
}

static enum lk_code start_courier(struct lk_run *r, enum lk_peer p, const char *host, uint16_t port,
    struct lk_slice roots, struct lk_err *e)
{
	struct lk_courier_conf conf;

	memset(&conf, 0, sizeof(conf));
	conf.peer = p;
	conf.port = port;
	conf.roots_pem = roots;
	conf.disk_fd = -1;
	conf.own_name = p == LK_PEER_VAULT && lk_imds_resource(host) == NULL; /* and allowed */
	conf.deadline = r->deadline;
	enum lk_code rc = lk_slice_cstr(lk_slice_str(host), conf.host, sizeof(conf.host), e);
	return rc == LK_OK ? lk_courier_start(&conf, &r->c[p], e) : rc;
}

static enum lk_code start_couriers(struct lk_run *r, struct lk_slice roots, struct lk_err *e)
{
	enum lk_code rc =
	    start_courier(r, LK_PEER_IMDS, LK_IMDS_HOST, 80, (struct lk_slice){NULL, 0}, e);

	if (rc == LK_OK)
		rc = start_courier(r, LK_PEER_MAA, r->maa.host, r->maa.port, roots, e);
	if (rc == LK_OK && r->want_vault)
		rc = start_courier(r, LK_PEER_VAULT, r->key.url.host, r->key.url.port, roots, e);
	if (rc != LK_OK)
		return rc;
	if (r->conf->kds)
		rc = start_courier(r, LK_PEER_KDS, LK_KDS_HOST, 443, roots, e);
	if (rc != LK_OK)
		return rc;
	/* A report of the machine's own often comes with its certificates. */
	r->snp = lk_run_presume_snp(r->conf);
	r->question = (struct lk_run_question){.asked = !r->snp, .from = LK_CERTS_THIM};
	r->bearer_asked = r->want_vault;
	return lk_run_ask_imds(r, e);
}

/* ---- start and end */

static enum lk_code parse_conf(struct lk_run *r, struct lk_err *e)
{
	enum lk_code rc = lk_url_parse(lk_slice_str(r->conf->attest), &r->maa, e);

	if (rc != LK_OK)
		return e->code = LK_ECONF, lk_err_prefix(e, "attestation service");
	if (lk_host_check(r->conf, LK_HOST_OF_ATTEST, r->maa.host, e) != LK_OK)
		return e->code;
	if (r->maa.path[0] != '\0' && !lk_slice_eq_str(lk_slice_str(r->maa.path), "/"))
		return lk_fail(e, LK_ECONF, "attestation service: a path after the host");
	if (r->conf->snp_path[0] != '\0' && r->conf->evidence <= LK_EV_VTPM)
		return lk_fail(
		    e, LK_ECONF, "snp-path is set, and evidence does not say what is behind it");
	if (!r->want_vault)
		return LK_OK;
	rc = lk_key_url_parse(lk_slice_str(r->conf->key), &r->key, e);
	if (rc != LK_OK)
		return e->code = LK_ECONF, lk_err_prefix(e, "key");
	if (lk_host_check(r->conf, LK_HOST_OF_KEY, r->key.url.host, e) != LK_OK)
		return e->code;
	memcpy(r->thumbprint, r->conf->thumbprint, sizeof(r->thumbprint));
	return lk_slice_cstr(lk_slice_str(r->conf->key), r->key_text, sizeof(r->key_text), e);
}

enum lk_code lk_run_start(const struct lk_conf *conf, struct lk_slice roots_pem, bool want_vault,
    struct lk_run **out, struct lk_err *e)
{
	struct lk_run *r = &the_run;

	*out = NULL;
	memset(r, 0, sizeof(*r));
	for (size_t i = 0; i < LK_RUN_PEERS; i++)
		r->c[i].fd = -1;
	r->dev.fd = -1;
	r->conf = conf;
	r->want_vault = want_vault;
	r->h = &hidden;
	r->start = lk_now();
	r->deadline = lk_deadline_in((int64_t)conf->timeout_s * 1000);
	/* Kernels before 4.14 cannot; then a courier that is started again sees this run's tokens,
	 * which are of no use without the TPM. With larger pages it would take neighbours along. */
	if (getauxval(AT_PAGESZ) == LK_RUN_PAGE)
		(void)madvise(&hidden, sizeof(hidden), MADV_WIPEONFORK);
	enum lk_code rc = parse_conf(r, e);
	if (rc == LK_OK && roots_pem.n == 0)
		rc = lk_fail(e, LK_ECONF, "no trust anchors: nobody could be believed");
	if (rc == LK_OK)
		rc = start_couriers(r, roots_pem, e);
	if (rc != LK_OK) {
		lk_run_end(r);
		return rc;
	}
	lk_run_step(r, "start", r->start);
	*out = r;
	return LK_OK;
}

void lk_run_end(struct lk_run *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < LK_RUN_PEERS; i++)
		if (r->c[i].pid > 0)
			lk_courier_stop(&r->c[i]);
	lk_tpm_close(r->tpm);
	lk_snp_close(&r->dev);
	lk_wipe(&hidden, sizeof(hidden));
	lk_wipe(r, sizeof(*r));
}

enum lk_code lk_run_use_key(
    struct lk_run *r, const char *url, const char *thumbprint, struct lk_err *e)
{
	struct lk_key_url key;
	enum lk_code rc = lk_key_url_parse(lk_slice_str(url), &key, e);

	if (rc != LK_OK)
		return rc;
	if (!r->want_vault || key.url.port != r->key.url.port ||
	    !lk_slice_eq_str(lk_slice_str(key.url.host), r->key.url.host))
		return lk_fail(e, LK_EBUG, "a key of another host than this run's");
	r->key = key;
	rc = lk_slice_cstr(lk_slice_str(thumbprint), r->thumbprint, sizeof(r->thumbprint), e);
	if (rc != LK_OK)
		return rc;
	return lk_slice_cstr(lk_slice_str(url), r->key_text, sizeof(r->key_text), e);
}
