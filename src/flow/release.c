/* From an attestation token to the plaintext key: ask the vault, unwrap, prove. */
#include <string.h>

#include "lk/kwp.h"
#include "lk/log.h"
#include "run.h"

#define REATTEST_MAX     2
#define REATTEST_WAIT_MS 1500
#define CLAIMS_MAX       300 /* bytes of them in an error */

/* Length of what our RSA key opens, in front of the ciphertext. */
static size_t block(const struct lk_run *r)
{
	return r->snp ? r->h->snp.pub.n_len : 256;
}

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
	    /* What the TPM opens was wrapped to its key; that has no kid of ours. */
	    .wrap_kid = r->snp ? lk_slice_str(r->h->snp.kid) : (struct lk_slice){NULL, 0},
	    .enc = r->conf->enc,
	    .block = block(r),
	};
	for (;;) {
		struct lk_buf b = lk_run_frame(r);

		rc = lk_ask_release(c, &ask, &b, e);
		b = lk_run_frame(r);
		if (rc == LK_OK)
			rc = lk_wait_released(c, ask.block, &b, got, e);
		if (rc != LK_OK && lk_run_revive(r, LK_PEER_VAULT, e))
			continue;
		if (rc == LK_OK) {
			lk_run_step_courier(r, LK_PEER_VAULT);
			lk_run_step(r, "release", from);
		}
		return rc;
	}
}

static bool says(const struct lk_err *e, struct lk_slice what)
{
	size_t at;

	return lk_slice_search(lk_slice_str(e->msg), what, &at);
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
	    (!says(e, LK_S("key release policy")) && !says(e, LK_S("cannot be verified"))))
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
	const char *pin = r->thumbprint;

	if (pin[0] == '\0' || lk_slice_eq_str(lk_slice_str(pin), key->thumbprint))
		return LK_OK;
	(void)lk_fail(e, LK_ETRUST, "the vault's key has the thumbprint %s, pinned is %s",
	    key->thumbprint[0] ? key->thumbprint : "of no public key", pin);
	return lk_hint(e, "somebody replaced the key, or the configuration is older than it");
}

static enum lk_code open_kek(
    struct lk_run *r, struct lk_slice in, struct lk_secret *kek, struct lk_err *e)
{
	static const struct {
		enum lk_tpm_scheme scheme;
		enum lk_hash hash;
	} how[] = {[LK_ENC_SHA256] = {LK_TPM_OAEP_SHA256, LK_SHA256},
	    [LK_ENC_SHA384] = {LK_TPM_OAEP_SHA384, LK_SHA384},
	    [LK_ENC_SHA1] = {LK_TPM_OAEP_SHA1, LK_SHA1}};
	const enum lk_enc enc = r->conf->enc;

	if (!r->snp)
		return lk_tpm_decrypt(r->tpm, how[enc].scheme, in, kek, r->deadline, e);
	enum lk_code rc =
	    lk_rsa_oaep_decrypt(lk_secret_slice(&r->h->snp.key), how[enc].hash, in, kek, e);
	return rc == LK_OK ? rc : (e->code = LK_EUNWRAP);
}

static enum lk_code unwrap(
    struct lk_run *r, const struct lk_released *got, struct lk_secret *plain, struct lk_err *e)
{
	const size_t rsa = block(r);
	LK_SECRET kek = {0};
	enum lk_code rc = open_kek(r, lk_slice_sub(got->ciphertext, 0, rsa), &kek, e);

	if (rc != LK_OK)
		return lk_err_prefix(e, "unwrapping the released key");
	if (kek.n != 32)
		return lk_fail(e, LK_EUNWRAP,
		    "the released key is wrapped with %zu bytes where 32 are needed", kek.n);
	rc = lk_kwp_unwrap(
	    lk_secret_slice(&kek), lk_slice_sub(got->ciphertext, rsa, got->ciphertext.n), plain, e);
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
