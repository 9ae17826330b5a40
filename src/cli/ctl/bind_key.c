/* bind_key.c - from a released key to the binding that belongs to it: one that the header has
 * already, finished or not, or a new one. */
#include <string.h>

#include "app.h"
#include "bind.h"
#include "bind_opts.h"
#include "lk/b64.h"
#include "lk/cryptsetup.h"
#include "lk/fmt.h"
#include "lk/log.h"
#include "lk/rng.h"

struct released {
	struct lk_key key;
	struct lk_secret plain, ikm;
};

static bool same(const char *a, const char *b)
{
	return lk_slice_eq(lk_slice_str(a), lk_slice_str(b));
}

/* ---- is it there already? */

static bool about_the_same(const struct lk_binding *a, const struct lk_binding *b)
{
	return same(a->kind, b->kind) && same(a->key, b->key) && same(a->attest, b->attest) &&
	       same(a->thumbprint, b->thumbprint) && same(a->uuid, b->uuid);
}

enum answer { OPENS, OPENS_NOT, ABSENT, UNKNOWN };

/* A failure that only says no is no failure. */
static enum answer ask_slot(const struct lk_bind *w, uint32_t slot, struct lk_slice secret)
{
	struct lk_err e = {0};

	if ((w->h.now.slots_used >> slot & 1) == 0)
		return ABSENT;
	if (lk_header_test(&w->h, slot, secret, &e) == LK_OK)
		return OPENS;
	return e.lib == LK_CS_NO_SLOT ? OPENS_NOT : UNKNOWN;
}

/* Made from this key, as nobody else can. */
static bool proved(const struct lk_bind *w, const struct lk_binding *c, const struct released *r)
{
	struct lk_err e = {0};

	return about_the_same(c, &w->b) && lk_binding_verify(c, &r->ikm, &e) == LK_OK;
}

/* Its slot is as it should be, or still to be added. Else it may be a ruin: cryptsetup takes a slot
 * off the list when it removes it, so one that is listed and does not open was cut off while it was
 * wiped, and a token that lists none while it was to follow its slot. (The slot that a pending one
 * waits for may be anybody's.) */
static bool usable(struct lk_bind *w, const struct lk_binding *c, const struct released *r,
    struct lk_secret *secret)
{
	struct lk_err e = {0};

	if (c->state == LK_BINDING_CUT)
		w->ruins |= 1u << c->token;
	if (c->state == LK_BINDING_CUT ||
	    lk_binding_disk_key(c, &r->key.pub, lk_secret_slice(&r->plain), &r->ikm, secret, &e) !=
		LK_OK)
		return false;
	const enum answer a = ask_slot(w, c->slot, lk_secret_slice(secret));
	w->slot_there = a == OPENS;
	w->token_there = c->state == LK_BINDING_PENDING;
	w->active = c->state == LK_BINDING_ACTIVE;
	if (w->active && a == OPENS_NOT)
		w->ruins |= 1u << c->token;
	return a == OPENS || (a == ABSENT && w->token_there);
}

static bool find(struct lk_bind *w, const struct released *r, struct lk_secret *secret)
{
	w->ruins = 0;
	for (size_t i = 0; i < w->h.now.count; i++) {
		const struct lk_binding *c = &w->h.now.bindings[i];

		if (!proved(w, c, r) || !usable(w, c, r, secret))
			continue;
		w->b = *c;
		lk_log(LK_LOG_INFO, "binding %s is in the header already%s", w->b.id,
		    w->active ? "" : ", and is completed now");
		return true;
	}
	w->active = w->slot_there = w->token_there = false;
	lk_secret_clear(secret);
	return false;
}

/* ---- a new one */

static bool is_ours(const struct lk_luks2 *h, uint32_t slot)
{
	for (size_t i = 0; i < h->count; i++)
		if (h->bindings[i].state != LK_BINDING_CUT && h->bindings[i].slot == slot &&
		    !h->bindings[i].borrowed)
			return true;
	return false;
}

/* A volume that was made for these bytes has a slot for them. */
static void borrow_slot(struct lk_bind *w, struct lk_slice secret)
{
	for (uint32_t slot = 0; slot <= LK_SLOT_MAX; slot++)
		if (ask_slot(w, slot, secret) == OPENS) {
			lk_log(LK_LOG_INFO, "key slot %u opens with it already", (unsigned)slot);
			w->b.slot = slot;
			w->b.borrowed = !is_ours(&w->h.now, slot);
			w->slot_there = true;
			return;
		}
}

LK_CHECK static enum lk_code kdf(struct lk_binding *b, struct lk_err *e)
{
	const struct lk_bind_args *o = &lk_bind_args;
	struct lk_buf salt = LK_BUF(b->kdf_salt);

	if (!lk_binding_is(b, LK_COMPAT)) {
		if (o->kdf_salt == NULL && o->label == NULL)
			return LK_OK;
		return lk_fail(e, LK_EUSAGE, "--kdf-salt and --label are for --kind compat");
	}
	if (o->kdf_salt != NULL &&
	    (lk_b64url_decode(lk_slice_str(o->kdf_salt), &salt, e) != LK_OK || salt.bad))
		return lk_fail(e, LK_EUSAGE, "--kdf-salt: not 1 to %zu bytes of base64url",
		    sizeof(b->kdf_salt));
	b->kdf_salt_len = salt.n;
	lk_fmt(b->label, sizeof(b->label), "%s", LK_BINDING_LABEL);
	if (o->label != NULL &&
	    lk_slice_cstr(lk_slice_str(o->label), b->label, sizeof(b->label), e) != LK_OK)
		return lk_fail(
		    e, LK_EUSAGE, "--label: longer than %zu characters", sizeof(b->label) - 1);
	return LK_OK;
}

enum lk_code lk_bind_describe(
    struct lk_bind *w, const char *kid, const char *thumbprint, struct lk_err *e)
{
	struct lk_binding *b = &w->b;
	uint8_t random[8];
	struct lk_buf hex = {.p = (uint8_t *)b->id, .cap = sizeof(b->id) - 1};

	memset(b, 0, sizeof(*b));
	if (lk_rng(random, sizeof(random), e) != LK_OK ||
	    lk_rng(b->salt, sizeof(b->salt), e) != LK_OK)
		return e->code;
	lk_hex_encode(lk_slice_of(random, sizeof(random)), &hex);
	lk_fmt(b->kind, sizeof(b->kind), "%s", lk_kind_name(w->conf.kind));
	lk_fmt(b->key, sizeof(b->key), "%s", kid);
	lk_fmt(b->attest, sizeof(b->attest), "%s", w->conf.attest);
	lk_fmt(b->thumbprint, sizeof(b->thumbprint), "%s", thumbprint);
	memcpy(b->uuid, w->h.now.uuid, sizeof(b->uuid));
	/* What boot will be told to insist on. */
	memcpy(w->conf.key, b->key, sizeof(w->conf.key));
	memcpy(w->conf.thumbprint, b->thumbprint, sizeof(w->conf.thumbprint));
	return kdf(b, e);
}

LK_CHECK static enum lk_code make(
    struct lk_bind *w, const struct released *r, struct lk_secret *secret, struct lk_err *e)
{
	struct lk_binding *b = &w->b;

	if (lk_header_free(&w->h, w->a->flags.slot, b, e) != LK_OK ||
	    lk_binding_disk_key(b, &r->key.pub, lk_secret_slice(&r->plain), &r->ikm, secret, e) !=
		LK_OK)
		return e->code;
	if (!lk_binding_is(b, LK_DERIVED))
		borrow_slot(w, lk_secret_slice(secret));
	return lk_binding_seal(b, &r->ikm, e);
}

LK_CHECK static enum lk_code take(struct lk_bind *w, struct released *r, struct lk_err *e)
{
	struct lk_bind_held *held = NULL;

	if (lk_bind_held(&held, e) != LK_OK ||
	    lk_key_canonical(&r->key.pub, lk_secret_slice(&r->plain), &r->ikm, e) != LK_OK ||
	    lk_bind_describe(w, r->key.kid, r->key.thumbprint, e) != LK_OK ||
	    lk_binding_fits(&w->b, r->key.pub.kty, e) != LK_OK)
		return e->code;
	return find(w, r, &held->slot) ? LK_OK : make(w, r, &held->slot, e);
}

enum lk_code lk_bind_obtain(struct lk_bind *w, struct lk_err *e)
{
	static struct released r;
	struct lk_run *run = NULL;
	enum lk_code rc;

	if (w->conf.kind == LK_WRAPPED) {
		(void)lk_fail(e, LK_EUSAGE, "kind wrapped is made without a release");
		return lk_hint(e, "use --offline --public-key FILE; where a release is possible, "
				  "a derived binding is the stronger one");
	}
	if (lk_app_start(&w->conf, true, &run, e) != LK_OK)
		return e->code;
	rc = lk_run_release(run, &r.key, &r.plain, e);
	lk_run_end(run);
	if (rc == LK_OK)
		rc = take(w, &r, e);
	lk_secret_clear(&r.plain);
	lk_secret_clear(&r.ikm);
	return rc;
}
