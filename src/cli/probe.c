/* probe.c - `latchkey probe`: try every step of an unlock, say what was found and what to do.
 *
 * Steps that need an earlier one that failed are left out by name; everything else is tried, so
 * that one look shows all that is wrong. No key is written anywhere.
 */
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "app.h"
#include "lk/cryptsetup.h"
#include "lk/fmt.h"
#include "lk/hcl.h"
#include "lk/io.h"
#include "lk/log.h"
#include "lk/unlock.h"

struct probe {
	const struct lk_conf *conf;
	struct lk_slice roots;
	struct lk_err first; /* the first failure is the exit status */
	char found[480];
};

typedef enum lk_code (*step)(struct probe *p, struct lk_err *e);

static void say(struct probe *p, const char *fmt, ...) LK_PRINTF(2, 3);
static void say(struct probe *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)lk_vfmt(p->found, sizeof(p->found), fmt, ap);
	va_end(ap);
}

static bool run(struct probe *p, const char *name, step fn)
{
	struct lk_err e = {0};

	p->found[0] = '\0';
	if (fn(p, &e) == LK_OK) {
		lk_print(1, "ok    %-16s %s\n", name, p->found);
		return true;
	}
	lk_print(1, "FAIL  %-16s %s\n", name, e.msg);
	if (e.hint[0] != '\0')
		lk_print(1, "      %-16s %s\n", "  what to do:", e.hint);
	if (p->first.code == LK_OK)
		p->first = e;
	return false;
}

static void left_out(const char *name, const char *why)
{
	lk_print(1, "skip  %-16s %s\n", name, why);
}

static enum lk_code settings(struct probe *p, struct lk_err *e)
{
	const struct lk_conf *c = p->conf;

	if (c->attest[0] == '\0' || c->key[0] == '\0') {
		(void)lk_fail(
		    e, LK_ECONF, "%s is not set", c->attest[0] == '\0' ? "attest" : "key");
		return lk_hint(
		    e, "name a volume that is bound, or give --attest URL and --key URL");
	}
	say(p, "key %s, attestation %s", c->key, c->attest);
	return LK_OK;
}

static enum lk_code wall_clock(struct probe *p, struct lk_err *e)
{
	struct lk_wall w = lk_wall_now();
	time_t t = (time_t)w.unix_s;
	struct tm tm;
	char text[32] = "";

	if (gmtime_r(&t, &tm) != NULL)
		(void)lk_fmt(text, sizeof(text), "%04d-%02d-%02d %02d:%02d:%02d", tm.tm_year + 1900,
		    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	if (w.below_build) {
		(void)lk_fail(e, LK_ECONF,
		    "the machine's clock is before this program was built; %s UTC is used", text);
		return lk_hint(e, "set the clock: certificates that are not yet valid cannot be "
				  "told from others");
	}
	say(p, "%s UTC", text);
	return LK_OK;
}

static enum lk_code trust(struct probe *p, struct lk_err *e)
{
	struct lk_roots roots;
	unsigned count = 0;

	if (lk_app_trust(p->conf->trust, &p->roots, e) != LK_OK)
		return e->code;
	roots.pem = p->roots;
	if (lk_roots_check(&roots, &count, e) != LK_OK)
		return e->code;
	say(p, "%u trust anchors in %s", count, p->conf->trust);
	return LK_OK;
}

LK_CHECK static enum lk_code look_at_cert(
    struct probe *p, struct lk_slice cert, const struct lk_pub *ak, struct lk_err *e)
{
	static struct lk_pub key;
	int64_t not_after = 0;

	if (lk_cert_rsa(cert, &key, &not_after, e) != LK_OK)
		return lk_err_prefix(e, "attestation key certificate");
	if (!lk_pub_eq(&key, ak))
		return lk_fail(e, LK_EATTEST,
		    "the attestation key certificate and the report are for different keys");
	if (not_after < lk_wall_now().unix_s) {
		(void)lk_fail(e, LK_EATTEST, "the attestation key certificate has expired");
		return lk_hint(
		    e, "the platform renews it; restart the VM, or ask the cloud's support");
	}
	say(p, "%s; report and certificate are for the same key, valid for %lld more days",
	    p->found, (long long)((not_after - lk_wall_now().unix_s) / 86400));
	return LK_OK;
}

static enum lk_code machine(struct probe *p, struct lk_err *e)
{
	static uint8_t report_store[LK_NV_MAX], cert_store[LK_NV_MAX];
	struct lk_buf report = LK_BUF(report_store), cert = LK_BUF(cert_store);
	static struct lk_hcl hcl;
	lk_time deadline = lk_deadline_in(60000);
	struct lk_tpm *tpm = NULL;
	enum lk_code rc;

	if (lk_tpm_open(p->conf->tpm, deadline, &tpm, e) != LK_OK)
		return e->code;
	rc = lk_tpm_nv_read(tpm, LK_NV_AK_CERT, &cert, deadline, e);
	if (rc == LK_OK)
		rc = lk_tpm_nv_read(tpm, LK_NV_HCL_REPORT, &report, deadline, e);
	if (rc == LK_OK)
		rc = lk_hcl_parse(lk_slice_buf(&report), &hcl, e);
	if (rc == LK_OK) {
		say(p, "%s, SEV-SNP report version %u, TCB %016llx", p->conf->tpm,
		    (unsigned)hcl.report_version, (unsigned long long)hcl.reported_tcb);
		rc = look_at_cert(p, lk_slice_buf(&cert), &hcl.ak, e);
	}
	lk_tpm_close(tpm);
	return rc;
}

/* One question to the metadata service through a courier of its own. */
static enum lk_code ask_imds(struct probe *p, bool bearer, struct lk_err *e)
{
	static uint8_t store[LK_FRAME_MAX];
	struct lk_buf b = LK_BUF(store);
	struct lk_courier_conf conf = {.peer = LK_PEER_IMDS,
	    .host = LK_IMDS_HOST,
	    .port = 80,
	    .disk_fd = -1,
	    .deadline = lk_deadline_in((int64_t)p->conf->timeout_s * 1000)};
	static struct lk_key_url url;
	struct lk_slice token = {NULL, 0}, none = {NULL, 0};
	struct lk_certs certs = {0};
	struct lk_courier c;

	if (bearer && lk_key_url_parse(lk_slice_str(p->conf->key), &url, e) != LK_OK)
		return e->code;
	if (lk_courier_start(&conf, &c, e) != LK_OK)
		return e->code;
	if (bearer) {
		const char *resource = lk_imds_resource(url.url.host);
		if (lk_ask_bearer(&c, resource, p->conf->identity, p->conf->identity_id, e) ==
			LK_OK &&
		    lk_wait_bearer(&c, &b, &token, e) == LK_OK)
			say(p, "token of %zu bytes for %s", token.n, resource);
	} else if (lk_ask_certs(&c, LK_CERTS_THIM, none, none, &b, e) == LK_OK &&
		   lk_wait_certs(&c, &b, &certs, e) == LK_OK) {
		say(p, "platform certificates, TCB %016llx", (unsigned long long)certs.tcbm);
	}
	lk_courier_stop(&c);
	return e->code;
}

static enum lk_code metadata(struct probe *p, struct lk_err *e)
{
	return ask_imds(p, false, e);
}

static enum lk_code identity(struct probe *p, struct lk_err *e)
{
	return ask_imds(p, true, e);
}

static enum lk_code attestation(struct probe *p, struct lk_err *e)
{
	static struct lk_maa_claims claims;
	struct lk_run *r = NULL;
	struct lk_slice jwt;

	if (lk_app_start(p->conf, false, &r, e) != LK_OK)
		return e->code;
	if (lk_run_attest(r, &jwt, &claims, e) == LK_OK)
		say(p, "%s", claims.summary);
	lk_run_end(r);
	return e->code;
}

static enum lk_code release(struct probe *p, struct lk_err *e)
{
	LK_SECRET plain = {0};
	static struct lk_key key;
	uint8_t store[400];
	struct lk_buf steps = LK_BUF(store);
	struct lk_run *r = NULL;

	if (lk_app_start(p->conf, true, &r, e) != LK_OK)
		return e->code;
	if (lk_run_release(r, &key, &plain, e) == LK_OK) {
		lk_status_steps(lk_run_timeline(r), &steps);
		say(p, "%s (%.*s)", key.kid, (int)steps.n, (const char *)steps.p);
	}
	lk_run_end(r);
	return e->code;
}

static enum lk_code volume(struct probe *p, struct lk_err *e)
{
	LK_SECRET key = {0};
	struct lk_run *r = NULL;
	char device[300];
	uint32_t slot = 0;
	int fd = -1;

	if (lk_app_start(p->conf, true, &r, e) != LK_OK)
		return e->code;
	if (lk_device_open(p->conf, lk_run_deadline(r), &fd, device, e) == LK_OK &&
	    lk_unlock_key(r, p->conf, fd, &key, &slot, e) == LK_OK &&
	    lk_cs_test(p->conf->cryptsetup, device, slot, lk_secret_slice(&key), lk_run_deadline(r),
		e) == LK_OK)
		say(p, "%s: the derived key opens slot %u; nothing was opened", device,
		    (unsigned)slot);
	lk_close(&fd);
	lk_run_end(r);
	return e->code;
}

enum lk_code lk_verb_probe(struct lk_args *a, struct lk_err *e)
{
	static struct probe p;
	bool configured, machine_ok, imds, token, attested;

	if (a->words > 1)
		return lk_fail(e, LK_EUSAGE, "at most one volume's name is wanted");
	if (a->words == 1 && lk_opts_volume(a->word[0], a, e) != LK_OK)
		return e->code;
	p.conf = &a->conf;
	configured = run(&p, "settings", settings);
	(void)run(&p, "clock", wall_clock);
	configured = run(&p, "trust anchors", trust) && configured;
	machine_ok = run(&p, "machine", machine);
	imds = run(&p, "metadata", metadata);
	token = configured && run(&p, "identity", identity);
	attested = configured && machine_ok && imds && run(&p, "attestation", attestation);
	if (!configured)
		left_out("identity", "settings or trust anchors are missing");
	if (!(configured && machine_ok && imds))
		left_out("attestation", "needs settings, trust anchors, machine and metadata");
	if (!(attested && token))
		left_out("release", "needs attestation and identity");
	else if (run(&p, "release", release)) {
		if (a->conf.uuid[0] == '\0')
			left_out("volume", "no volume was named");
		else
			(void)run(&p, "volume", volume);
	} else {
		left_out("volume", "needs the release");
	}
	*e = p.first;
	return e->code;
}
