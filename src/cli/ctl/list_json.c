/* list_json.c - `latchkeyctl list --json`: one document for other programs. Members are never
 * renamed or removed; new ones may come. What is not there is null.
 *
 * {"volumes": [{
 *   "name": NAME of NAME.conf, "device": path, "error": why its header was not read,
 *   and where that is null:
 *   "uuid": LUKS UUID, "cipher": as the header names it, "integrity": likewise, null without,
 *   "data": one line on data authentication, "slots": [numbers in use],
 *   "bindings": [{
 *     "id", "state": "active" | "pending" | "cut" | "replaced", "kind", "key", "attest",
 *     "thumbprint": null for an oct key, "slot": null when cut, "token",
 *     "choice": place in NAME.conf's order of preference, from 1, null when it does not name it,
 *     "identity": as NAME.conf says, null without a choice, "pin": SHA-256 of a wrapped secret,
 *     "replaced_by": an id, "borrowed": true when its slot was there before it,
 *     "proof": what is needed to use it, as text}],
 *   "malformed_tokens": [numbers of tokens of type latchkey that are none],
 *   "missing": [{"choice", "key", "attest"}] bindings of NAME.conf that the header does not have
 * }]} */
#include "list.h"

#include "lk/jsonw.h"
#include "lk/log.h"
#include "parts.h"

/* A peer's or an administrator's text may be no UTF-8. */
static void put_text(struct lk_jsonw *w, const char *name, const char *text)
{
	uint8_t store[640];
	struct lk_buf clean = LK_BUF(store);

	lk_log_printable(&clean, lk_slice_str(text), sizeof(store));
	if (clean.n == 0)
		lk_jsonw_null(w, name);
	else
		lk_jsonw_str(w, name, lk_slice_buf(&clean));
}

static void put_number(struct lk_jsonw *w, const char *name, bool there, uint32_t v)
{
	if (there)
		lk_jsonw_int(w, name, v);
	else
		lk_jsonw_null(w, name);
}

static void put_bits(struct lk_jsonw *w, const char *name, uint32_t bits)
{
	lk_jsonw_array(w, name);
	for (uint32_t i = 0; i < 32; i++)
		if ((bits >> i & 1) != 0)
			lk_jsonw_int(w, NULL, i);
	lk_jsonw_end(w);
}

static void put_binding(struct lk_jsonw *w, const struct lk_listed *l, size_t i)
{
	const struct lk_binding *b = &l->h.bindings[i];
	const uint32_t choice = l->choice[i];
	uint8_t store[1600], who[400];
	struct lk_buf proof = LK_BUF(store), identity = LK_BUF(who);
	char pin[65] = "";
	struct lk_err e = {0};

	if (lk_binding_is(b, LK_WRAPPED) && lk_binding_pin(b, pin, &e) != LK_OK)
		pin[0] = '\0';
	lk_list_proof(l, i, &proof);
	lk_jsonw_object(w, NULL);
	put_text(w, "id", b->id);
	put_text(w, "state", lk_list_state(b));
	put_text(w, "kind", b->kind);
	put_text(w, "key", b->key);
	put_text(w, "attest", b->attest);
	put_text(w, "thumbprint", b->thumbprint);
	put_number(w, "slot", b->state != LK_BINDING_CUT, b->slot);
	put_number(w, "token", true, b->token);
	put_number(w, "choice", choice > 0, choice);
	if (choice > 0) {
		lk_list_identity(&l->v.f.binding[choice - 1], &identity);
		lk_jsonw_str(w, "identity", lk_slice_buf(&identity));
	} else {
		lk_jsonw_null(w, "identity");
	}
	put_text(w, "pin", pin);
	put_text(w, "replaced_by", b->replaced_by);
	lk_jsonw_bool(w, "borrowed", b->borrowed);
	lk_jsonw_str(w, "proof", lk_slice_buf(&proof));
	lk_jsonw_end(w);
}

static void put_header(struct lk_jsonw *w, const struct lk_listed *l)
{
	uint8_t store[400];
	struct lk_buf data = LK_BUF(store);

	lk_integrity_line(&l->h, &data);
	put_text(w, "uuid", l->h.uuid);
	put_text(w, "cipher", l->h.cipher);
	put_text(w, "integrity", l->h.integrity);
	lk_jsonw_str(w, "data", lk_slice_buf(&data));
	put_bits(w, "slots", l->h.slots_used);
	lk_jsonw_array(w, "bindings");
	for (size_t i = 0; i < l->h.count; i++)
		put_binding(w, l, i);
	lk_jsonw_end(w);
	put_bits(w, "malformed_tokens", l->h.tokens_bad);
	lk_jsonw_array(w, "missing");
	for (uint32_t c = 1; c <= l->v.f.n; c++) {
		if (lk_list_has(l, c))
			continue;
		lk_jsonw_object(w, NULL);
		lk_jsonw_int(w, "choice", c);
		put_text(w, "key", l->v.f.binding[c - 1].key);
		put_text(w, "attest", l->v.f.binding[c - 1].attest);
		lk_jsonw_end(w);
	}
	lk_jsonw_end(w);
}

void lk_list_json(const struct lk_listed *l, size_t n, struct lk_buf *out)
{
	struct lk_jsonw w;

	lk_jsonw_start(&w, out);
	lk_jsonw_object(&w, NULL);
	lk_jsonw_array(&w, "volumes");
	for (size_t i = 0; i < n; i++) {
		lk_jsonw_object(&w, NULL);
		put_text(&w, "name", l[i].v.name);
		put_text(&w, "device", l[i].v.device);
		put_text(&w, "error", l[i].e.msg);
		if (l[i].e.code == LK_OK)
			put_header(&w, &l[i]);
		lk_jsonw_end(&w);
	}
	lk_jsonw_end(&w);
	lk_jsonw_end(&w);
	lk_buf_byte(out, '\n');
}
