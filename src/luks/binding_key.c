/* A token and a key: what proves the one, and the secret that follows from both; the contract is in
 * lk/binding.h. */
#include "lk/b64.h"
#include "lk/binding.h"
#include "lk/rng.h"

#include <string.h>

#define DISK_INFO   "latchkey disk v1"
#define TOKEN_INFO  "latchkey token v1"
#define SECRET_SIZE 32

static enum lk_code kind_of(const struct lk_binding *b, enum lk_kind *out, struct lk_err *e)
{
	if (lk_kind_parse(lk_slice_str(b->kind), out))
		return LK_OK;
	return lk_fail(e, LK_ECONF, "token %u: kind %s is not known", (unsigned)b->token, b->kind);
}

static const char *kty_name(enum lk_kty kty)
{
	switch (kty) {
	case LK_KTY_RSA:
		return "RSA";
	case LK_KTY_EC:
		return "EC";
	case LK_KTY_OCT:
		return "oct";
	}
	return "unknown";
}

enum lk_code lk_binding_fits(const struct lk_binding *b, enum lk_kty kty, struct lk_err *e)
{
	enum lk_kind kind = LK_DERIVED;
	enum lk_code rc = kind_of(b, &kind, e);

	if (rc != LK_OK)
		return rc;
	if (kind == LK_DERIVED || kty == (kind == LK_RAW ? LK_KTY_OCT : LK_KTY_RSA))
		return LK_OK;
	return lk_fail(e, LK_ECONF, "token %u: kind %s is for %s keys, the vault's is of type %s",
	    (unsigned)b->token, b->kind, kind == LK_RAW ? "oct" : "RSA", kty_name(kty));
}

/* ---- what proves it */

/* One of the two outputs of HKDF over the released key: info names which, and for which volume. */
static enum lk_code binding_hkdf(const struct lk_binding *b, const struct lk_secret *ikm,
    const char *label, struct lk_secret *out, struct lk_err *e)
{
	uint8_t text[64];
	struct lk_buf info = LK_BUF(text);

	lk_buf_str(&info, label);
	lk_buf_str(&info, b->uuid);
	LK_BUG_ON(info.bad);
	if (ikm->n == 0)
		return lk_fail(e, LK_EBUG, "no key to derive from");
	out->n = SECRET_SIZE;
	return lk_hkdf_sha256(lk_secret_slice(ikm), lk_slice_of(b->salt, sizeof(b->salt)),
	    lk_slice_buf(&info), out, e);
}

/* Kind decides how many fields there are and is one of them, so no two tokens give one text. */
static enum lk_code binding_mac(const struct lk_binding *b, const struct lk_secret *ikm,
    uint8_t mac[static 32], struct lk_err *e)
{
	const struct lk_slice field[11] = {
	    LK_S(LK_BINDING_TYPE),
	    LK_S("1"),
	    lk_slice_str(b->id),
	    lk_slice_str(b->kind),
	    lk_slice_str(b->key),
	    lk_slice_str(b->attest),
	    lk_slice_str(b->thumbprint),
	    lk_slice_str(b->uuid),
	    lk_slice_of(b->salt, sizeof(b->salt)),
	    lk_slice_of(b->kdf_salt, b->kdf_salt_len),
	    lk_slice_str(b->label),
	};
	uint8_t text[2048];
	struct lk_buf t = LK_BUF(text);
	LK_SECRET key = {0};
	enum lk_kind kind = LK_DERIVED;
	enum lk_code rc = kind_of(b, &kind, e);

	if (rc == LK_OK && kind == LK_WRAPPED)
		rc = lk_fail(
		    e, LK_EUSAGE, "token %u: a wrapped secret has no MAC", (unsigned)b->token);
	if (rc == LK_OK)
		rc = binding_hkdf(b, ikm, TOKEN_INFO, &key, e);
	if (rc != LK_OK)
		return rc;
	for (size_t i = 0; i < (kind == LK_COMPAT ? 11 : 9); i++) {
		lk_buf_le32(&t, (uint32_t)field[i].n);
		lk_buf_slice(&t, field[i]);
	}
	if (t.bad)
		return lk_fail(e, LK_ELIMIT, "the token's fields are too long");
	const struct lk_slice all = lk_slice_buf(&t);
	return lk_hmac_sha256(lk_secret_slice(&key), &all, 1, mac, e);
}

enum lk_code lk_binding_seal(struct lk_binding *b, const struct lk_secret *ikm, struct lk_err *e)
{
	return binding_mac(b, ikm, b->mac, e);
}

enum lk_code lk_binding_verify(
    const struct lk_binding *b, const struct lk_secret *ikm, struct lk_err *e)
{
	uint8_t mac[32] = {0};
	enum lk_code rc = binding_mac(b, ikm, mac, e);

	if (rc == LK_OK && !lk_secret_eq(lk_slice_of(mac, 32), lk_slice_of(b->mac, 32))) {
		rc = lk_fail(e, LK_ETRUST,
		    "token %u: its MAC is not the one that the released key gives",
		    (unsigned)b->token);
		(void)lk_hint(e, "the token was changed, or written by somebody who never had the "
				 "key: nothing on this disk can be trusted");
	}
	lk_wipe(mac, sizeof(mac));
	return rc;
}

enum lk_code lk_binding_pin(const struct lk_binding *b, char out[static 65], struct lk_err *e)
{
	uint8_t digest[32];
	struct lk_buf hex = {.p = (uint8_t *)out, .n = 0, .cap = 64, .bad = false};

	if (!lk_binding_is(b, LK_WRAPPED))
		return lk_fail(e, LK_EUSAGE, "kind %s has no wrapped secret", b->kind);
	enum lk_code rc = lk_sha256(lk_slice_of(b->wrapped, b->wrapped_len), digest, e);
	if (rc != LK_OK)
		return rc;
	lk_hex_encode(lk_slice_of(digest, sizeof(digest)), &hex);
	out[64] = '\0';
	return LK_OK;
}

enum lk_code lk_binding_pinned(const struct lk_binding *b, const char *pin, struct lk_err *e)
{
	char has[65];
	enum lk_code rc = lk_binding_pin(b, has, e);

	if (rc != LK_OK || lk_slice_eq_str(lk_slice_str(pin), has))
		return rc;
	return lk_fail(e, LK_ETRUST, "token %u: wrapped is %s, the configuration pins %s",
	    (unsigned)b->token, has, pin[0] ? pin : "none");
}

/* ---- the secret */

static void as_text(const struct lk_secret *raw, struct lk_secret *out)
{
	struct lk_buf text = {.p = out->p, .n = 0, .cap = LK_DISK_KEY_LEN, .bad = false};

	lk_b64url_encode(lk_secret_slice(raw), &text);
	LK_BUG_ON(text.bad || text.n != LK_DISK_KEY_LEN);
	out->n = text.n;
}

static enum lk_code derived(const struct lk_binding *b, const struct lk_secret *ikm,
    struct lk_secret *out, struct lk_err *e)
{
	LK_SECRET raw = {0};
	enum lk_code rc = binding_hkdf(b, ikm, DISK_INFO, &raw, e);

	if (rc == LK_OK)
		as_text(&raw, out);
	return rc;
}

static enum lk_code compat(const struct lk_binding *b, const struct lk_pub *pub,
    struct lk_slice plain, struct lk_secret *out, struct lk_err *e)
{
	LK_SECRET d = {0};
	enum lk_code rc = lk_key_rsa_exponent(pub, plain, &d, e);

	if (rc != LK_OK)
		return rc;
	out->n = SECRET_SIZE;
	return lk_hkdf_sha256(lk_secret_slice(&d), lk_slice_of(b->kdf_salt, b->kdf_salt_len),
	    lk_slice_str(b->label), out, e);
}

static enum lk_code unwrapped(
    const struct lk_binding *b, struct lk_slice plain, struct lk_secret *out, struct lk_err *e)
{
	LK_SECRET raw = {0};
	enum lk_code rc =
	    lk_rsa_oaep_decrypt(plain, LK_SHA256, lk_slice_of(b->wrapped, b->wrapped_len), &raw, e);

	if (rc == LK_OK && raw.n != SECRET_SIZE)
		rc = lk_fail(
		    e, LK_EUNWRAP, "%zu bytes instead of %d were wrapped", raw.n, SECRET_SIZE);
	if (rc != LK_OK) {
		e->code = LK_EUNWRAP;
		return lk_err_prefix(e, "token %u: the wrapped secret", (unsigned)b->token);
	}
	as_text(&raw, out);
	return LK_OK;
}

enum lk_code lk_binding_disk_key(const struct lk_binding *b, const struct lk_pub *pub,
    struct lk_slice plain, const struct lk_secret *ikm, struct lk_secret *out, struct lk_err *e)
{
	enum lk_kind kind = LK_DERIVED;
	enum lk_code rc = lk_binding_fits(b, pub->kty, e);

	if (rc == LK_OK)
		rc = kind_of(b, &kind, e);
	if (rc != LK_OK) {
		lk_secret_clear(out);
		return rc;
	}
	switch (kind) {
	case LK_DERIVED:
		rc = derived(b, ikm, out, e);
		break;
	case LK_RAW: /* their canonical form are the bytes themselves */
		rc = lk_secret_set(out, lk_secret_slice(ikm), e);
		break;
	case LK_COMPAT:
		rc = compat(b, pub, plain, out, e);
		break;
	case LK_WRAPPED:
		rc = unwrapped(b, plain, out, e);
		break;
	}
	if (rc != LK_OK)
		lk_secret_clear(out);
	return rc;
}

enum lk_code lk_binding_wrap(
    struct lk_binding *b, const struct lk_pub *pub, struct lk_secret *out, struct lk_err *e)
{
	LK_SECRET raw = {.n = SECRET_SIZE};
	struct lk_buf to = LK_BUF(b->wrapped);
	const char *name = lk_kind_name(LK_WRAPPED);

	memcpy(b->kind, name, strlen(name) + 1);
	enum lk_code rc = lk_binding_fits(b, pub->kty, e);
	if (rc == LK_OK)
		rc = lk_rng(raw.p, raw.n, e);
	if (rc == LK_OK)
		rc = lk_rsa_oaep_encrypt(pub, LK_SHA256, lk_secret_slice(&raw), &to, e);
	if (rc != LK_OK)
		return rc;
	b->wrapped_len = to.n;
	memset(b->salt, 0, sizeof(b->salt));
	memset(b->mac, 0, sizeof(b->mac));
	memset(b->kdf_salt, 0, sizeof(b->kdf_salt));
	memset(b->label, 0, sizeof(b->label));
	b->kdf_salt_len = 0;
	as_text(&raw, out);
	return LK_OK;
}
