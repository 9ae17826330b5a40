/* probe.c - `latchkey probe`: try every step of an unlock, say what was found and what to do.
 *
 * Steps that need an earlier one that failed are left out by name; everything else is tried, so
 * that one look shows all that is wrong. No key is written anywhere.
 */
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "lk/cryptsetup.h"
#include "lk/fmt.h"
#include "lk/hosts.h"
#include "lk/io.h"
#include "lk/log.h"
#include "lk/unlock.h"
#include "probe.h"

typedef enum lk_code (*step)(struct lk_probe *p, struct lk_err *e);

void lk_probe_say(struct lk_probe *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)lk_vfmt(p->found, sizeof(p->found), fmt, ap);
	va_end(ap);
}

static bool run(struct lk_probe *p, const char *name, step fn)
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

static enum lk_code settings(struct lk_probe *p, struct lk_err *e)
{
	const struct lk_conf *c = p->conf;

	if (c->attest[0] == '\0' || c->key[0] == '\0') {
		(void)lk_fail(
		    e, LK_ECONF, "%s is not set", c->attest[0] == '\0' ? "attest" : "key");
		return lk_hint(
		    e, "name a volume that is bound, or give --attest URL and --key URL");
	}
	lk_probe_say(p, "key %s, attestation %s", c->key, c->attest);
	return LK_OK;
}

static enum lk_code wall_clock(struct lk_probe *p, struct lk_err *e)
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
	lk_probe_say(p, "%s UTC", text);
	return LK_OK;
}

static enum lk_code trust(struct lk_probe *p, struct lk_err *e)
{
	struct lk_roots roots;
	unsigned count = 0;

	if (lk_app_trust(p->conf->trust, &p->roots, e) != LK_OK)
		return e->code;
	roots.pem = p->roots;
	if (lk_roots_check(&roots, &count, e) != LK_OK)
		return e->code;
	lk_probe_say(p, "%u trust anchors in %s", count, p->conf->trust);
	return LK_OK;
}

/* One question to the metadata service through a courier of its own. */
static enum lk_code ask_imds(struct lk_probe *p, bool bearer, struct lk_err *e)
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
		char resource[LK_AUDIENCE_MAX];

		lk_host_audience(url.url.host, resource);
		if (lk_ask_bearer(&c, resource, p->conf->identity, p->conf->identity_id, e) ==
			LK_OK &&
		    lk_wait_bearer(&c, &b, &token, e) == LK_OK)
			lk_probe_say(p, "token of %zu bytes for %s", token.n, resource);
	} else if (lk_ask_certs(&c, LK_CERTS_THIM, none, none, &b, e) == LK_OK &&
		   lk_wait_certs(&c, &b, &certs, e) == LK_OK) {
		struct lk_buf keep = LK_BUF(p->pem);

		lk_buf_slice(&keep, certs.pem);
		p->thim = keep.bad ? none : lk_slice_buf(&keep);
		lk_probe_say(
		    p, "platform certificates, TCB %016llx", (unsigned long long)certs.tcbm);
	}
	lk_courier_stop(&c);
	return e->code;
}

static enum lk_code metadata(struct lk_probe *p, struct lk_err *e)
{
	return ask_imds(p, false, e);
}

static enum lk_code identity(struct lk_probe *p, struct lk_err *e)
{
	return ask_imds(p, true, e);
}

/* One run for all that follows: a report of an SNP device is asked for seldom. */
static enum lk_code attestation(struct lk_probe *p, struct lk_err *e)
{
	static struct lk_maa_claims claims;
	struct lk_slice jwt;

	if (p->snp && lk_sleep(LK_SNP_PAUSE_MS, lk_deadline_in(60000), e) != LK_OK)
		return e->code;
	if (lk_app_start(p->conf, p->token, &p->run, e) == LK_OK &&
	    lk_run_attest(p->run, &jwt, &claims, e) == LK_OK)
		lk_probe_say(p, "%s", claims.summary);
	p->worn_out = e->code == LK_ETPM || e->code == LK_ESNP;
	return e->code;
}

static enum lk_code release(struct lk_probe *p, struct lk_err *e)
{
	LK_SECRET plain = {0};
	static struct lk_key key;
	uint8_t store[400];
	struct lk_buf steps = LK_BUF(store);

	if (lk_run_release(p->run, &key, &plain, e) == LK_OK) {
		lk_status_steps(lk_run_timeline(p->run), &steps);
		lk_probe_say(p, "%s (%.*s)", key.kid, (int)steps.n, (const char *)steps.p);
	}
	return e->code;
}

static enum lk_code volume(struct lk_probe *p, struct lk_err *e)
{
	LK_SECRET key = {0};
	const lk_time deadline = lk_run_deadline(p->run);
	char device[300];
	uint32_t slot = 0;
	int fd = -1;

	if (lk_device_open(p->conf, deadline, &fd, device, e) == LK_OK &&
	    lk_unlock_key(p->run, p->conf, fd, &key, &slot, e) == LK_OK &&
	    lk_cs_test(p->conf->cryptsetup, device, slot, lk_secret_slice(&key), deadline, e) ==
		LK_OK)
		lk_probe_say(p, "%s: the derived key opens slot %u; nothing was opened", device,
		    (unsigned)slot);
	lk_close(&fd);
	return e->code;
}

static void release_steps(struct lk_probe *p, bool ready)
{
	if (!ready) {
		left_out("release", "needs attestation and identity");
		return;
	}
	if (!run(p, "release", release))
		left_out("volume", "needs the release");
	else if (p->conf->uuid[0] == '\0')
		left_out("volume", "no volume was named");
	else
		(void)run(p, "volume", volume);
}

/* A run of its own, as boot has one. */
static void binding_steps(struct lk_probe *p, bool configured)
{
	const bool ready = configured && p->trusted;

	p->token = ready && run(p, "identity", identity);
	if (!ready)
		left_out("identity", "settings or trust anchors are missing");
	if (!ready || !p->proof)
		left_out("attestation", "needs settings, trust anchors, machine and metadata");
	release_steps(p, ready && p->proof && run(p, "attestation", attestation) && p->token);
	lk_run_end(p->run);
	p->run = NULL;
}

/* The bindings that boot tries when those before them gave no key. */
LK_CHECK static enum lk_code alternatives(
    struct lk_probe *p, const struct lk_args *given, size_t n, struct lk_err *e)
{
	static struct lk_args a;
	char name[24];

	for (size_t i = 1; i < n; i++) {
		lk_fmt(name, sizeof(name), "alternative %zu", i);
		a = *given;
		if (lk_opts_binding(given->word[0], i, &a, e) != LK_OK)
			return e->code;
		p->conf = &a.conf;
		if (p->worn_out)
			left_out(name, "the machine's own failure would be the same");
		else
			binding_steps(p, run(p, name, settings));
	}
	return LK_OK;
}

enum lk_code lk_verb_probe(struct lk_args *a, struct lk_err *e)
{
	static struct lk_probe p;
	static struct lk_args given;
	bool configured, machine_ok, imds;

	if (a->words > 1)
		return lk_fail(e, LK_EUSAGE, "at most one volume's name is wanted");
	given = *a;
	if (a->words == 1 && lk_opts_volume(a->word[0], a, e) != LK_OK)
		return e->code;
	p.conf = &a->conf;
	configured = run(&p, "settings", settings);
	(void)run(&p, "clock", wall_clock);
	p.trusted = run(&p, "trust anchors", trust);
	machine_ok = run(&p, "machine", lk_probe_machine);
	imds = run(&p, "metadata", metadata);
	if (p.snp)
		(void)run(&p, "certificates", lk_probe_certs); /* advice: the service judges them */
	p.proof = machine_ok && (imds || p.snp);
	binding_steps(&p, configured);
	if (alternatives(&p, &given, a->bindings, e) != LK_OK)
		return e->code;
	*e = p.first;
	return e->code;
}
