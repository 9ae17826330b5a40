/* The LUKS2 token of type "latchkey", its MAC and the disk key; the contract is in lk/binding.h. */
#include "lk/b64.h"
#include "lk/binding.h"
#include "lk/jsonw.h"
#include "lk/key.h"

#include <string.h>

#define DISK_INFO  "latchkey disk v1"
#define TOKEN_INFO "latchkey token v1"

static bool is_hex(struct lk_slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
	}
	return true;
}

bool lk_uuid_ok(struct lk_slice s)
{
	static const size_t dash[4] = {8, 13, 18, 23};
	size_t from = 0;

	if (s.n != 36)
		return false;
	for (size_t i = 0; i < 4; i++) {
		if (s.p[dash[i]] != '-' || !is_hex(lk_slice_sub(s, from, dash[i] - from)))
			return false;
		from = dash[i] + 1;
	}
	return is_hex(lk_slice_sub(s, from, s.n - from));
}

/* One string member into out; unescaped, because json-c may write a slash as "\/". */
static enum lk_code get_str(
    const struct lk_json *j, const char *name, char *out, size_t cap, struct lk_err *e)
{
	uint8_t text[640];
	struct lk_buf b = {.p = text, .n = 0, .cap = cap - 1, .bad = false};

	LK_BUG_ON(cap > sizeof(text));
	enum lk_code rc = lk_json_copy(j, name, &b, e);
	if (rc != LK_OK)
		return rc;
	const struct lk_slice s = lk_slice_buf(&b);
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= 0x20 || s.p[i] > 0x7e)
			return lk_fail(e, LK_EPROTO, "%s: unfit characters", name);
	return lk_slice_cstr(s, out, cap, e);
}

static enum lk_code get_bytes32(
    const struct lk_json *j, const char *name, uint8_t out[static 32], struct lk_err *e)
{
	char text[48];
	struct lk_buf b = {.p = out, .n = 0, .cap = 32, .bad = false};
	enum lk_code rc = get_str(j, name, text, sizeof(text), e);

	if (rc != LK_OK)
		return rc;
	rc = lk_b64url_decode(lk_slice_str(text), &b, e);
	if (rc != LK_OK || b.bad || b.n != 32)
		return lk_fail(e, LK_EPROTO, "%s: not 32 bytes of base64url", name);
	return LK_OK;
}

static enum lk_code get_slot(const struct lk_json *j, uint32_t *out, struct lk_err *e)
{
	struct lk_slice text;
	struct lk_json slot;
	size_t n = 0;
	enum lk_code rc = lk_json_len(j, "keyslots", &n, e);

	if (rc != LK_OK)
		return rc;
	if (n != 1)
		return lk_fail(e, LK_EPROTO, "keyslots: %zu of them instead of one", n);
	rc = lk_json_at(j, "keyslots", 0, &slot, e);
	if (rc == LK_OK)
		rc = lk_json_str(&slot, "", &text, e);
	if (rc != LK_OK)
		return rc;
	if (!lk_slice_u32(text, LK_SLOT_MAX, out))
		return lk_fail(e, LK_EPROTO, "keyslots: not a slot number");
	return LK_OK;
}

static enum lk_code check_urls(const struct lk_binding *b, struct lk_err *e)
{
	struct lk_key_url key;
	struct lk_url url;
	enum lk_code rc = lk_key_url_parse(lk_slice_str(b->key), &key, e);

	if (rc != LK_OK)
		return lk_err_prefix(e, "key");
	rc = lk_url_parse(lk_slice_str(b->attest), &url, e);
	if (rc != LK_OK)
		return lk_err_prefix(e, "attest");
	if (url.path[0] != '\0')
		return lk_fail(e, LK_EPROTO, "attest: a path after the host");
	return LK_OK;
}

static enum lk_code check_texts(const struct lk_binding *b, struct lk_err *e)
{
	struct lk_slice id = lk_slice_str(b->id), kind = lk_slice_str(b->kind);
	struct lk_slice thumb = lk_slice_str(b->thumbprint);
	uint8_t digest[32];
	struct lk_buf d = LK_BUF(digest);

	if (id.n != 16 || !is_hex(id))
		return lk_fail(e, LK_EPROTO, "id: not 16 hexadecimal digits");
	for (size_t i = 0; i < kind.n; i++)
		if (kind.p[i] < 'a' || kind.p[i] > 'z')
			return lk_fail(e, LK_EPROTO, "kind: not a word in lower case");
	if (kind.n == 0)
		return lk_fail(e, LK_EPROTO, "kind: empty");
	if (!lk_uuid_ok(lk_slice_str(b->uuid)))
		return lk_fail(e, LK_EPROTO, "uuid: not a UUID in lower case");
	if (thumb.n != 0 && (lk_b64url_decode(thumb, &d, e) != LK_OK || d.n != 32))
		return lk_fail(e, LK_EPROTO, "thumbprint: not 32 bytes of base64url");
	return check_urls(b, e);
}

static enum lk_code binding_read(const struct lk_json *j, struct lk_binding *out, struct lk_err *e)
{
	char type[16];
	int64_t version = 0;
	enum lk_code rc = get_str(j, "type", type, sizeof(type), e);

	if (rc == LK_OK && !lk_slice_eq_str(lk_slice_str(type), LK_BINDING_TYPE))
		return lk_fail(e, LK_EPROTO, "type: not %s", LK_BINDING_TYPE);
	if (rc == LK_OK)
		rc = lk_json_int(j, "version", 1, 1, &version, e);
	if (rc == LK_OK)
		rc = get_slot(j, &out->slot, e);
	if (rc == LK_OK)
		rc = get_str(j, "id", out->id, sizeof(out->id), e);
	if (rc == LK_OK)
		rc = get_str(j, "kind", out->kind, sizeof(out->kind), e);
	if (rc == LK_OK)
		rc = get_str(j, "key", out->key, sizeof(out->key), e);
	if (rc == LK_OK)
		rc = get_str(j, "attest", out->attest, sizeof(out->attest), e);
	if (rc == LK_OK)
		rc = get_str(j, "thumbprint", out->thumbprint, sizeof(out->thumbprint), e);
	if (rc == LK_OK)
		rc = get_str(j, "uuid", out->uuid, sizeof(out->uuid), e);
	if (rc == LK_OK)
		rc = get_bytes32(j, "salt", out->salt, e);
	if (rc == LK_OK)
		rc = get_bytes32(j, "mac", out->mac, e);
	return rc == LK_OK ? check_texts(out, e) : rc;
}

enum lk_code lk_binding_read(
    const struct lk_json *token, uint32_t number, struct lk_binding *out, struct lk_err *e)
{
	memset(out, 0, sizeof(*out));
	out->token = number;
	if (binding_read(token, out, e) == LK_OK)
		return LK_OK;
	e->code = LK_ELUKS;
	return lk_err_prefix(e, "token %u", (unsigned)number);
}

enum lk_code lk_binding_write(const struct lk_binding *b, struct lk_buf *json, struct lk_err *e)
{
	char slot[12];
	struct lk_buf s = {.p = (uint8_t *)slot, .n = 0, .cap = sizeof(slot), .bad = false};
	struct lk_jsonw w;
	enum lk_code rc = check_texts(b, e);

	if (rc != LK_OK)
		return lk_err_prefix(e, "a binding that cannot be written");
	if (b->slot > LK_SLOT_MAX)
		return lk_fail(
		    e, LK_EUSAGE, "key slot %u: LUKS2 has %u", (unsigned)b->slot, LK_SLOT_MAX + 1);
	lk_buf_u64(&s, b->slot);
	lk_jsonw_start(&w, json);
	lk_jsonw_object(&w, NULL);
	lk_jsonw_str(&w, "type", LK_S(LK_BINDING_TYPE));
	lk_jsonw_array(&w, "keyslots");
	lk_jsonw_str(&w, NULL, lk_slice_buf(&s));
	lk_jsonw_end(&w);
	lk_jsonw_int(&w, "version", 1);
	lk_jsonw_str(&w, "id", lk_slice_str(b->id));
	lk_jsonw_str(&w, "kind", lk_slice_str(b->kind));
	lk_jsonw_str(&w, "key", lk_slice_str(b->key));
	lk_jsonw_str(&w, "attest", lk_slice_str(b->attest));
	lk_jsonw_str(&w, "thumbprint", lk_slice_str(b->thumbprint));
	lk_jsonw_str(&w, "uuid", lk_slice_str(b->uuid));
	lk_jsonw_b64url(&w, "salt", lk_slice_of(b->salt, sizeof(b->salt)));
	lk_jsonw_b64url(&w, "mac", lk_slice_of(b->mac, sizeof(b->mac)));
	lk_jsonw_end(&w);
	if (json->bad)
		return lk_fail(e, LK_ELIMIT, "the token does not fit");
	return LK_OK;
}

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
	out->n = 32;
	return lk_hkdf_sha256(lk_secret_slice(ikm), lk_slice_of(b->salt, sizeof(b->salt)),
	    lk_slice_buf(&info), out, e);
}

static enum lk_code binding_mac(const struct lk_binding *b, const struct lk_secret *ikm,
    uint8_t mac[static 32], struct lk_err *e)
{
	const struct lk_slice field[9] = {
	    LK_S(LK_BINDING_TYPE),
	    LK_S("1"),
	    lk_slice_str(b->id),
	    lk_slice_str(b->kind),
	    lk_slice_str(b->key),
	    lk_slice_str(b->attest),
	    lk_slice_str(b->thumbprint),
	    lk_slice_str(b->uuid),
	    lk_slice_of(b->salt, sizeof(b->salt)),
	};
	uint8_t text[2048];
	struct lk_buf t = LK_BUF(text);
	LK_SECRET key = {0};
	enum lk_code rc = binding_hkdf(b, ikm, TOKEN_INFO, &key, e);

	if (rc != LK_OK)
		return rc;
	for (size_t i = 0; i < 9; i++) {
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
	uint8_t mac[32];
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

enum lk_code lk_binding_disk_key(const struct lk_binding *b, const struct lk_secret *ikm,
    struct lk_secret *out, struct lk_err *e)
{
	LK_SECRET raw = {0};
	struct lk_buf text = {.p = out->p, .n = 0, .cap = LK_DISK_KEY_LEN, .bad = false};
	enum lk_code rc = binding_hkdf(b, ikm, DISK_INFO, &raw, e);

	if (rc != LK_OK)
		return rc;
	lk_b64url_encode(lk_secret_slice(&raw), &text);
	LK_BUG_ON(text.bad || text.n != LK_DISK_KEY_LEN);
	out->n = text.n;
	return LK_OK;
}
