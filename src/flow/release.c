/* The run: couriers, bearer token, release, unwrap. The contract is in lk/release.h. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lk/kwp.h"
#include "lk/log.h"
#include "run.h"

#define REATTEST_MAX     2
#define REATTEST_WAIT_MS 1500
#define CLAIMS_MAX       300 /* bytes of them in an error */

static struct lk_run the_run;
static struct lk_run_hidden hidden;

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
	enum lk_code rc = LK_OK;

	if (r->certs_asked)
		rc = lk_ask_certs(c, e);
	if (rc == LK_OK && r->bearer_asked)
		rc = lk_ask_bearer(c, lk_imds_resource(r->key.url.host), r->conf->identity,
		    r->conf->identity_id, e);
	return rc;
}

enum lk_code lk_run_bearer(struct lk_run *r, struct lk_err *e)
{
	const lk_time from = lk_now();
	enum lk_code rc = LK_OK;
	bool ask = !r->bearer_asked;

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
	r->certs_asked = true;
	r->bearer_asked = r->want_vault;
	return lk_run_ask_imds(r, e);
}

/* ---- start and end */

static enum lk_code parse_conf(struct lk_run *r, struct lk_err *e)
{
	enum lk_code rc = lk_url_parse(lk_slice_str(r->conf->attest), &r->maa, e);

	if (rc != LK_OK)
		return e->code = LK_ECONF, lk_err_prefix(e, "attestation service");
	if (r->maa.path[0] != '\0' && !lk_slice_eq_str(lk_slice_str(r->maa.path), "/"))
		return lk_fail(e, LK_ECONF, "attestation service: a path after the host");
	if (!r->want_vault)
		return LK_OK;
	rc = lk_key_url_parse(lk_slice_str(r->conf->key), &r->key, e);
	if (rc != LK_OK)
		return e->code = LK_ECONF, lk_err_prefix(e, "key");
	if (!lk_imds_resource(r->key.url.host)) {
		(void)lk_fail(
		    e, LK_ECONF, "key: %s is not a key vault or managed HSM", r->key.url.host);
		return lk_hint(e, "the host ends in .vault.azure.net or .managedhsm.azure.net, or "
				  "their like in a sovereign cloud");
	}
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
	r->conf = conf;
	r->want_vault = want_vault;
	r->h = &hidden;
	r->start = lk_now();
	r->deadline = lk_deadline_in((int64_t)conf->timeout_s * 1000);
	/* Kernels before 4.14 cannot; then a courier that is started again sees this run's tokens,
	 * which are of no use without the TPM. With larger pages it would take neighbours along. */
	if (sysconf(_SC_PAGESIZE) == LK_RUN_PAGE)
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
	lk_wipe(&hidden, sizeof(hidden));
	lk_wipe(r, sizeof(*r));
}

enum lk_code lk_run_use_key(struct lk_run *r, const char *url, struct lk_err *e)
{
	struct lk_key_url key;
	enum lk_code rc = lk_key_url_parse(lk_slice_str(url), &key, e);

	if (rc != LK_OK)
		return rc;
	if (!r->want_vault || key.url.port != r->key.url.port ||
	    !lk_slice_eq_str(lk_slice_str(key.url.host), r->key.url.host))
		return lk_fail(e, LK_EBUG, "a key of another host than this run's");
	r->key = key;
	return lk_slice_cstr(lk_slice_str(url), r->key_text, sizeof(r->key_text), e);
}

/* ---- release */

static enum lk_code ask_vault(struct lk_run *r, struct lk_released *got, struct lk_err *e)
{
	struct lk_courier *c = &r->c[LK_PEER_VAULT];
	const lk_time from = lk_now();
	char nonce[LK_NONCE_TEXT + 1];
	enum lk_code rc = lk_nonce(nonce, e);

	if (rc != LK_OK)
		return rc;
	const struct lk_release_wire ask = {
	    .key_url = r->key_text,
	    .api_version = r->conf->api_version[0] ? r->conf->api_version : "7.4",
	    .bearer = r->bearer,
	    .token = r->jwt,
	    .nonce = lk_slice_str(nonce),
	    .wrap_kid = {NULL, 0}, /* what the TPM opens was wrapped to its key */
	    .enc = r->conf->enc,
	};
	for (;;) {
		struct lk_buf b = lk_run_frame(r);

		rc = lk_ask_release(c, &ask, &b, e);
		b = lk_run_frame(r);
		if (rc == LK_OK)
			rc = lk_wait_released(c, &b, got, e);
		if (rc != LK_OK && lk_run_revive(r, LK_PEER_VAULT, e))
			continue;
		if (rc == LK_OK) {
			lk_run_step_courier(r, LK_PEER_VAULT);
			lk_run_step(r, "release", from);
		}
		return rc;
	}
}

/* The vault does not say which claim its policy missed: show ours. They are too many for one line
 * of the kernel's log, so the first of them go into the error and all of them into a line of their
 * own. */
static enum lk_code show_claims(const struct lk_run *r, struct lk_err *e)
{
	char before[sizeof(e->hint)];
	struct lk_slice all = lk_slice_str(r->claims.summary),
			some = lk_slice_sub(all, 0, CLAIMS_MAX);

	if (e->code != LK_EDENIED || e->http != 403 ||
	    (!strstr(e->msg, "key release policy") && !strstr(e->msg, "cannot be verified")))
		return e->code;
	lk_log(
	    LK_LOG_ERR, "claims of our token, to compare with the policy: %s", r->claims.summary);
	while (some.n > 0 && some.n < all.n && all.p[some.n] != ';')
		some.n--;
	memcpy(before, e->hint, sizeof(before));
	return lk_hint(e, "%s%sour token says %.*s", before, before[0] ? "; " : "", (int)some.n,
	    (const char *)some.p);
}

static enum lk_code released(struct lk_run *r, struct lk_released *got, struct lk_err *e)
{
	bool new_bearer = false;
	int attested = 0;

	for (;;) {
		enum lk_code rc = r->bearer.n > 0 ? LK_OK : lk_run_bearer(r, e);

		if (rc != LK_OK)
			return rc;
		rc = ask_vault(r, got, e);
		if (rc == LK_OK)
			return LK_OK;
		if (e->http == 401 && !new_bearer) {
			lk_run_forgive(e, LK_LOG_INFO, "once more with a new bearer token");
			new_bearer = true;
			r->bearer.n = 0;
			continue;
		}
		if (e->http != 403 || !e->retry || attested == REATTEST_MAX)
			return show_claims(r, e);
		struct lk_err late;
		memset(&late, 0, sizeof(late));
		if (lk_sleep(REATTEST_WAIT_MS, r->deadline, &late) != LK_OK)
			return rc;
		lk_run_forgive(e, LK_LOG_INFO, "once more with a new attestation token");
		attested++;
		rc = lk_run_attest_again(r, e);
		if (rc != LK_OK)
			return rc;
	}
}

static enum lk_code check_pin(const struct lk_run *r, const struct lk_key *key, struct lk_err *e)
{
	const char *pin = r->conf->thumbprint;

	if (pin[0] == '\0' || lk_slice_eq_str(lk_slice_str(pin), key->thumbprint))
		return LK_OK;
	(void)lk_fail(e, LK_ETRUST, "the vault's key has the thumbprint %s, pinned is %s",
	    key->thumbprint[0] ? key->thumbprint : "of no public key", pin);
	return lk_hint(e, "somebody replaced the key, or the configuration is older than it");
}

static enum lk_code unwrap(
    struct lk_run *r, const struct lk_released *got, struct lk_secret *plain, struct lk_err *e)
{
	static const enum lk_tpm_scheme scheme[] = {[LK_ENC_SHA256] = LK_TPM_OAEP_SHA256,
	    [LK_ENC_SHA384] = LK_TPM_OAEP_SHA384,
	    [LK_ENC_SHA1] = LK_TPM_OAEP_SHA1};
	LK_SECRET kek = {0};
	enum lk_code rc = lk_tpm_decrypt(r->tpm, scheme[r->conf->enc],
	    lk_slice_sub(got->ciphertext, 0, 256), &kek, r->deadline, e);

	if (rc != LK_OK)
		return lk_err_prefix(e, "unwrapping the released key");
	if (kek.n != 32)
		return lk_fail(e, LK_EUNWRAP,
		    "the released key is wrapped with %zu bytes where 32 are needed", kek.n);
	rc = lk_kwp_unwrap(
	    lk_secret_slice(&kek), lk_slice_sub(got->ciphertext, 256, got->ciphertext.n), plain, e);
	if (rc != LK_OK) {
		e->code = LK_EUNWRAP;
		return lk_err_prefix(e, "unwrapping the released key");
	}
	return LK_OK;
}

/* The plaintext is the private half of the public key that the vault stated. */
static enum lk_code prove(const struct lk_pub *pub, const struct lk_secret *plain, struct lk_err *e)
{
	LK_SECRET ikm = {0};

	return lk_key_canonical(pub, lk_secret_slice(plain), &ikm, e);
}

enum lk_code lk_run_release(
    struct lk_run *r, struct lk_key *key, struct lk_secret *plain, struct lk_err *e)
{
	struct lk_slice jwt;
	struct lk_released got = {0};
	enum lk_code rc = lk_run_attest(r, &jwt, NULL, e);

	memset(key, 0, sizeof(*key));
	memset(&got, 0, sizeof(got));
	if (rc == LK_OK)
		rc = released(r, &got, e);
	if (rc != LK_OK)
		return rc;
	const lk_time from = lk_now();
	key->pub = got.pub;
	memcpy(key->kid, got.kid, sizeof(key->kid));
	if (key->pub.kty != LK_KTY_OCT)
		rc = lk_pub_thumbprint(&key->pub, key->thumbprint, e);
	if (rc == LK_OK)
		rc = check_pin(r, key, e);
	if (rc == LK_OK)
		rc = unwrap(r, &got, plain, e);
	if (rc == LK_OK)
		rc = prove(&key->pub, plain, e);
	if (rc != LK_OK)
		lk_secret_clear(plain);
	else
		lk_run_step(r, "unwrap", from);
	return rc;
}
