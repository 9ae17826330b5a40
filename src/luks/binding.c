/* The LUKS2 token of type "latchkey" as JSON, both ways; the contract is in lk/binding.h. What
 * follows from it and a key is in binding_key.c. */
#include "lk/b64.h"
#include "lk/binding.h"
#include "lk/jsonw.h"

#include <string.h>

#define WRAPPED_MIN 256

static const char *const kinds[] = {
    [LK_DERIVED] = "derived", [LK_RAW] = "raw", [LK_COMPAT] = "compat", [LK_WRAPPED] = "wrapped"};

const char *lk_kind_name(enum lk_kind k)
{
	LK_BUG_ON(k > LK_WRAPPED);
	return kinds[k];
}

bool lk_kind_parse(struct lk_slice name, enum lk_kind *out)
{
	for (enum lk_kind k = LK_DERIVED; k <= LK_WRAPPED; k++)
		if (lk_slice_eq_str(name, kinds[k])) {
			*out = k;
			return true;
		}
	return false;
}

bool lk_binding_is(const struct lk_binding *b, enum lk_kind k)
{
	return lk_slice_eq_str(lk_slice_str(b->kind), lk_kind_name(k));
}

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

bool lk_binding_id_ok(struct lk_slice s)
{
	return s.n == 16 && is_hex(s);
}

/* One string member into out; unescaped, because json-c may write a slash as "\/". */
static enum lk_code get_text(const struct lk_json *j, const char *name, uint8_t lowest, char *out,
    size_t cap, struct lk_err *e)
{
	uint8_t text[640];
	struct lk_buf b = {.p = text, .n = 0, .cap = cap - 1, .bad = false};

	LK_BUG_ON(cap > sizeof(text));
	enum lk_code rc = lk_json_copy(j, name, &b, e);
	if (rc != LK_OK)
		return rc;
	const struct lk_slice s = lk_slice_buf(&b);
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < lowest || s.p[i] > 0x7e)
			return lk_fail(e, LK_EPROTO, "%s: unfit characters", name);
	return lk_slice_cstr(s, out, cap, e);
}

static enum lk_code get_str(
    const struct lk_json *j, const char *name, char *out, size_t cap, struct lk_err *e)
{
	return get_text(j, name, 0x21, out, cap, e);
}

static enum lk_code get_bytes(const struct lk_json *j, const char *name, size_t min, size_t max,
    uint8_t *out, size_t *n, struct lk_err *e)
{
	uint8_t text[(LK_RSA_MAX * 4 + 2) / 3];
	struct lk_buf t = {.p = text, .n = 0, .cap = (max * 4 + 2) / 3, .bad = false};
	struct lk_buf b = {.p = out, .n = 0, .cap = max, .bad = false};

	LK_BUG_ON(t.cap > sizeof(text));
	enum lk_code rc = lk_json_copy(j, name, &t, e);
	if (rc != LK_OK)
		return rc;
	rc = lk_b64url_decode(lk_slice_buf(&t), &b, e);
	if (rc == LK_OK && !b.bad && b.n >= min) {
		*n = b.n;
		return LK_OK;
	}
	if (min == max)
		return lk_fail(e, LK_EPROTO, "%s: not %zu bytes of base64url", name, max);
	return lk_fail(e, LK_EPROTO, "%s: not %zu to %zu bytes of base64url", name, min, max);
}

static bool absent(const struct lk_json *j, const char *name)
{
	struct lk_json value;
	struct lk_err e = {0};

	return lk_json_member(j, name, &value, &e) == LK_EABSENT;
}

static enum lk_code get_number(
    const struct lk_json *j, const char *name, uint32_t *out, struct lk_err *e)
{
	struct lk_slice text;
	enum lk_code rc = lk_json_str(j, "", &text, e);

	if (rc == LK_OK && !lk_slice_u32(text, LK_SLOT_MAX, out))
		rc = lk_fail(e, LK_EPROTO, "not a slot number");
	return rc == LK_OK ? rc : lk_err_prefix(e, "%s", name);
}

/* Which slot, and with it the state. */
static enum lk_code get_slot(const struct lk_json *j, struct lk_binding *out, struct lk_err *e)
{
	struct lk_json slot;
	size_t n = 0;
	const bool pending = !absent(j, "pending-slot");
	enum lk_code rc = lk_json_len(j, "keyslots", &n, e);

	if (rc != LK_OK)
		return rc;
	if (n > 1 || (n == 1 && pending))
		return lk_fail(e, LK_EPROTO, "keyslots: %zu of them instead of %s", n,
		    pending ? "none, with a pending-slot" : "one");
	if (pending)
		rc = lk_json_member(j, "pending-slot", &slot, e);
	else if (n == 1)
		rc = lk_json_at(j, "keyslots", 0, &slot, e);
	out->state = pending ? LK_BINDING_PENDING : n == 1 ? LK_BINDING_ACTIVE : LK_BINDING_CUT;
	if (rc != LK_OK || out->state == LK_BINDING_CUT)
		return rc;
	return get_number(&slot, pending ? "pending-slot" : "keyslots", &out->slot, e);
}

/* What became of it. */
static enum lk_code get_marks(const struct lk_json *j, struct lk_binding *out, struct lk_err *e)
{
	enum lk_code rc = LK_OK;

	if (!absent(j, "replaced-by")) {
		rc = get_str(j, "replaced-by", out->replaced_by, sizeof(out->replaced_by), e);
		if (rc == LK_OK && !lk_binding_id_ok(lk_slice_str(out->replaced_by)))
			rc = lk_fail(e, LK_EPROTO, "replaced-by: not 16 hexadecimal digits");
	}
	if (rc != LK_OK || absent(j, "borrowed"))
		return rc;
	rc = lk_json_bool(j, "borrowed", &out->borrowed, e);
	if (rc == LK_OK && !out->borrowed)
		rc = lk_fail(e, LK_EPROTO, "borrowed: not true");
	return rc;
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

/* What only one kind has. */
static enum lk_code check_own(const struct lk_binding *b, enum lk_kind kind, struct lk_err *e)
{
	struct lk_slice label = lk_slice_str(b->label);

	if (kind == LK_WRAPPED && (b->wrapped_len < WRAPPED_MIN || b->wrapped_len > LK_RSA_MAX))
		return lk_fail(e, LK_EPROTO, "wrapped: %zu bytes instead of %d to %d",
		    b->wrapped_len, WRAPPED_MIN, LK_RSA_MAX);
	if (kind != LK_COMPAT)
		return LK_OK;
	if (b->kdf_salt_len > sizeof(b->kdf_salt))
		return lk_fail(e, LK_EPROTO, "kdf-salt: %zu bytes", b->kdf_salt_len);
	if (label.n == 0)
		return lk_fail(e, LK_EPROTO, "label: empty");
	for (size_t i = 0; i < label.n; i++)
		if (label.p[i] < 0x20 || label.p[i] > 0x7e)
			return lk_fail(e, LK_EPROTO, "label: unfit characters");
	return LK_OK;
}

static enum lk_code check_texts(const struct lk_binding *b, struct lk_err *e)
{
	struct lk_slice id = lk_slice_str(b->id), kind = lk_slice_str(b->kind);
	struct lk_slice thumb = lk_slice_str(b->thumbprint);
	uint8_t digest[32];
	struct lk_buf d = LK_BUF(digest);

	if (!lk_binding_id_ok(id))
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

static enum lk_code read_wrapped(const struct lk_json *j, struct lk_binding *out, struct lk_err *e)
{
	char mac[2];
	enum lk_code rc =
	    get_bytes(j, "wrapped", WRAPPED_MIN, LK_RSA_MAX, out->wrapped, &out->wrapped_len, e);

	if (rc != LK_OK || absent(j, "mac"))
		return rc;
	/* One that is there would look as if it proved something. */
	if (get_str(j, "mac", mac, sizeof(mac), e) != LK_OK || mac[0] != '\0')
		return lk_fail(e, LK_EPROTO, "mac: a wrapped secret has none");
	return LK_OK;
}

static enum lk_code read_compat(const struct lk_json *j, struct lk_binding *out, struct lk_err *e)
{
	enum lk_code rc = LK_OK;

	if (!absent(j, "kdf-salt"))
		rc = get_bytes(
		    j, "kdf-salt", 0, sizeof(out->kdf_salt), out->kdf_salt, &out->kdf_salt_len, e);
	if (rc != LK_OK)
		return rc;
	if (!absent(j, "label"))
		return get_text(j, "label", 0x20, out->label, sizeof(out->label), e);
	memcpy(out->label, LK_BINDING_LABEL, sizeof(LK_BINDING_LABEL));
	return LK_OK;
}

static enum lk_code read_own(
    const struct lk_json *j, enum lk_kind kind, struct lk_binding *out, struct lk_err *e)
{
	size_t n = 0;

	if (kind == LK_WRAPPED)
		return read_wrapped(j, out, e);
	enum lk_code rc =
	    get_bytes(j, "salt", sizeof(out->salt), sizeof(out->salt), out->salt, &n, e);
	if (rc == LK_OK)
		rc = get_bytes(j, "mac", sizeof(out->mac), sizeof(out->mac), out->mac, &n, e);
	return rc == LK_OK && kind == LK_COMPAT ? read_compat(j, out, e) : rc;
}

static enum lk_code binding_read(const struct lk_json *j, struct lk_binding *out, struct lk_err *e)
{
	char type[16];
	int64_t version = 0;
	enum lk_kind kind = LK_DERIVED;
	enum lk_code rc = get_str(j, "type", type, sizeof(type), e);

	if (rc == LK_OK && !lk_slice_eq_str(lk_slice_str(type), LK_BINDING_TYPE))
		return lk_fail(e, LK_EPROTO, "type: not %s", LK_BINDING_TYPE);
	if (rc == LK_OK)
		rc = lk_json_int(j, "version", 1, 1, &version, e);
	if (rc == LK_OK)
		rc = get_slot(j, out, e);
	if (rc == LK_OK)
		rc = get_marks(j, out, e);
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
		rc = check_texts(out, e);
	/* A newer one's members cannot be judged; whoever wants to use it refuses it by name. */
	if (rc != LK_OK || !lk_kind_parse(lk_slice_str(out->kind), &kind))
		return rc;
	rc = read_own(j, kind, out, e);
	return rc == LK_OK ? check_own(out, kind, e) : rc;
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

static void write_own(struct lk_jsonw *w, const struct lk_binding *b, enum lk_kind kind)
{
	if (kind == LK_WRAPPED) {
		lk_jsonw_b64url(w, "wrapped", lk_slice_of(b->wrapped, b->wrapped_len));
		return;
	}
	lk_jsonw_b64url(w, "salt", lk_slice_of(b->salt, sizeof(b->salt)));
	lk_jsonw_b64url(w, "mac", lk_slice_of(b->mac, sizeof(b->mac)));
	if (kind == LK_COMPAT) {
		lk_jsonw_b64url(w, "kdf-salt", lk_slice_of(b->kdf_salt, b->kdf_salt_len));
		lk_jsonw_str(w, "label", lk_slice_str(b->label));
	}
}

static void write_slot(struct lk_jsonw *w, const struct lk_binding *b)
{
	char slot[12];
	struct lk_buf s = {.p = (uint8_t *)slot, .n = 0, .cap = sizeof(slot), .bad = false};

	lk_buf_u64(&s, b->slot);
	lk_jsonw_array(w, "keyslots");
	if (b->state == LK_BINDING_ACTIVE)
		lk_jsonw_str(w, NULL, lk_slice_buf(&s));
	lk_jsonw_end(w);
	if (b->state == LK_BINDING_PENDING)
		lk_jsonw_str(w, "pending-slot", lk_slice_buf(&s));
}

static void write_marks(struct lk_jsonw *w, const struct lk_binding *b)
{
	if (b->replaced_by[0] != '\0')
		lk_jsonw_str(w, "replaced-by", lk_slice_str(b->replaced_by));
	if (b->borrowed)
		lk_jsonw_bool(w, "borrowed", true);
}

enum lk_code lk_binding_write(const struct lk_binding *b, struct lk_buf *json, struct lk_err *e)
{
	struct lk_jsonw w;
	enum lk_kind kind = LK_DERIVED;
	enum lk_code rc = check_texts(b, e);

	if (rc == LK_OK && !lk_kind_parse(lk_slice_str(b->kind), &kind))
		rc = lk_fail(e, LK_EUSAGE, "kind %s is not known", b->kind);
	if (rc == LK_OK)
		rc = check_own(b, kind, e);
	if (rc == LK_OK && b->replaced_by[0] != '\0' &&
	    !lk_binding_id_ok(lk_slice_str(b->replaced_by)))
		rc = lk_fail(e, LK_EUSAGE, "replaced-by: not 16 hexadecimal digits");
	if (rc == LK_OK && b->slot > LK_SLOT_MAX)
		rc = lk_fail(
		    e, LK_EUSAGE, "key slot %u: LUKS2 has %u", (unsigned)b->slot, LK_SLOT_MAX + 1);
	if (rc != LK_OK)
		return lk_err_prefix(e, "a binding that cannot be written");
	lk_jsonw_start(&w, json);
	lk_jsonw_object(&w, NULL);
	lk_jsonw_str(&w, "type", LK_S(LK_BINDING_TYPE));
	write_slot(&w, b);
	lk_jsonw_int(&w, "version", 1);
	lk_jsonw_str(&w, "id", lk_slice_str(b->id));
	lk_jsonw_str(&w, "kind", lk_slice_str(b->kind));
	lk_jsonw_str(&w, "key", lk_slice_str(b->key));
	lk_jsonw_str(&w, "attest", lk_slice_str(b->attest));
	lk_jsonw_str(&w, "thumbprint", lk_slice_str(b->thumbprint));
	lk_jsonw_str(&w, "uuid", lk_slice_str(b->uuid));
	write_own(&w, b, kind);
	write_marks(&w, b);
	lk_jsonw_end(&w);
	if (json->bad)
		return lk_fail(e, LK_ELIMIT, "the token does not fit");
	return LK_OK;
}
