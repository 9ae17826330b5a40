/* header.c - changes to a LUKS2 header, each by one call of cryptsetup(8), and taking them back;
 * the contract is in header.h. The bytes in front of the data are in header_bytes.c. */
#include "header.h"

#include <string.h>

#include "lk/cryptsetup.h"
#include "lk/fmt.h"
#include "lk/log.h"

#define CALL_MS   (5 * 60 * 1000)
#define SLOT_JSON 420 /* what a key slot takes of the JSON area, about */

/* ---- calls */

LK_CHECK static enum lk_code call(const struct lk_header *h, const char *const *argv,
    struct lk_slice first, struct lk_slice second, struct lk_buf *out, struct lk_err *e)
{
	struct lk_cs_call c = {h->cryptsetup, argv, {first, second}, out, lk_deadline_in(CALL_MS)};

	return lk_cs_run(&c, e);
}

/* One that changes the header. A call that was cut short may have done it: then it counts as done.
 */
LK_CHECK static enum lk_code change(struct lk_header *h, const char *const *argv,
    struct lk_slice first, struct lk_slice second, bool *done, struct lk_err *e)
{
	h->touched = true;
	enum lk_code rc = call(h, argv, first, second, NULL, e);
	*done = rc == LK_OK || rc == LK_ETIME || e->lib > LK_CS_SIGNAL;
	return rc;
}

LK_CHECK static enum lk_code drop_token(
    struct lk_header *h, uint32_t token, bool *done, struct lk_err *e)
{
	char number[12];
	const char *argv[] = {"token", "remove", "--token-id", number, h->device, NULL};
	const struct lk_slice none = {NULL, 0};

	lk_fmt(number, sizeof(number), "%u", (unsigned)token);
	if (change(h, argv, none, none, done, e) == LK_OK)
		h->now.tokens_used &= ~(1u << token);
	else
		return lk_err_prefix(e, "token %s", number);
	return LK_OK;
}

LK_CHECK static enum lk_code kill_slot(struct lk_header *h, uint32_t slot, struct lk_err *e)
{
	char number[12];
	const char *argv[] = {"luksKillSlot", "--batch-mode", h->device, number, NULL};
	const struct lk_slice none = {NULL, 0};
	bool done = false;

	lk_fmt(number, sizeof(number), "%u", (unsigned)slot);
	if (change(h, argv, none, none, &done, e) != LK_OK)
		return lk_err_prefix(e, "key slot %s", number);
	h->now.slots_used &= ~(1u << slot);
	h->now.slots_open &= ~(1u << slot);
	h->now.slots_light &= ~(1u << slot);
	return LK_OK;
}

LK_CHECK static enum lk_code import(struct lk_header *h, uint32_t token, struct lk_slice json,
    bool over, bool *done, struct lk_err *e)
{
	char number[12];
	const char *argv[] = {"token", "import", "--token-id", number, "--json-file", "-",
	    h->device, over ? "--token-replace" : NULL, NULL};
	size_t at = 0;

	lk_fmt(number, sizeof(number), "%u", (unsigned)token);
	enum lk_code rc = change(h, argv, json, (struct lk_slice){NULL, 0}, done, e);
	/* Before 2.5 cryptsetup did not have the option. */
	if (rc != LK_OK && over &&
	    lk_slice_search(lk_slice_str(e->msg), LK_S("--token-replace"), &at)) {
		rc = drop_token(h, token, done, e);
		argv[7] = NULL;
		if (rc == LK_OK)
			rc = change(h, argv, json, (struct lk_slice){NULL, 0}, done, e);
	}
	if (rc != LK_OK)
		return lk_err_prefix(e, "token %s", number);
	h->now.tokens_used |= 1u << token;
	return LK_OK;
}

/* ---- adding */

/* A call that failed may have come half the way: one copy of the header is damaged, or has what the
 * other one has not. cryptsetup mends that when it reads, and then it shows. */
static bool has_token(const struct lk_header *h, uint32_t token, struct lk_slice json)
{
	char number[12];
	const char *argv[] = {"token", "export", "--token-id", number, h->device, NULL};
	const struct lk_slice none = {NULL, 0};
	uint8_t store[LK_BINDING_JSON_MAX];
	struct lk_buf text = LK_BUF(store);
	struct lk_err e = {0};

	lk_fmt(number, sizeof(number), "%u", (unsigned)token);
	if (call(h, argv, none, none, &text, &e) != LK_OK)
		return false;
	while (text.n > 0 && text.p[text.n - 1] == '\n')
		text.n--;
	return lk_slice_eq(lk_slice_buf(&text), json);
}

LK_CHECK static enum lk_code add_token(
    struct lk_header *h, uint32_t token, struct lk_slice json, struct lk_err *e)
{
	bool done = false;
	enum lk_code rc = import(h, token, json, false, &done, e);

	if (done || has_token(h, token, json))
		h->tokens_added |= 1u << token;
	return rc;
}

enum lk_code lk_header_token(
    struct lk_header *h, uint32_t number, struct lk_slice json, struct lk_err *e)
{
	if (number > LK_SLOT_MAX || number == LK_FOREIGN_TOKEN ||
	    (h->now.tokens_used >> number & 1) != 0)
		return lk_fail(e, LK_EBUG, "token %u is not free", (unsigned)number);
	return add_token(h, number, json, e);
}

enum lk_code lk_header_pend(struct lk_header *h, struct lk_binding *b, struct lk_err *e)
{
	uint8_t store[LK_BINDING_JSON_MAX];
	struct lk_buf json = LK_BUF(store);
	const uint32_t room = h->copy - 4096;

	b->state = LK_BINDING_PENDING;
	if (lk_binding_write(b, &json, e) != LK_OK)
		return e->code;
	if (h->now.json_len + json.n + SLOT_JSON >= room) {
		(void)lk_fail(e, LK_ELUKS,
		    "%s: the LUKS2 header is full: %u of %u bytes of JSON are in use, a binding "
		    "takes "
		    "about %zu",
		    h->device, (unsigned)h->now.json_len, (unsigned)room, json.n + SLOT_JSON);
		return lk_hint(e,
		    "nothing was changed; remove key slots or tokens that are no longer needed "
		    "(cryptsetup luksDump %s shows them)",
		    h->device);
	}
	return lk_header_token(h, b->token, lk_slice_buf(&json), e);
}

enum lk_code lk_header_add_slot(struct lk_header *h, uint32_t slot, struct lk_slice existing,
    struct lk_slice secret, struct lk_err *e)
{
	char number[12], rounds[12];
	const char *argv[] = {"luksAddKey", "--batch-mode", "--pbkdf", "pbkdf2",
	    "--pbkdf-force-iterations", rounds, "--key-slot", number, "--key-file", "-", h->device,
	    LK_CS_SECOND, NULL};
	bool done = false;

	lk_fmt(number, sizeof(number), "%u", (unsigned)slot);
	lk_fmt(rounds, sizeof(rounds), "%u", LK_SLOT_ITERATIONS);
	enum lk_code rc = change(h, argv, existing, secret, &done, e);
	struct lk_err other = {0};
	/* As above: a slot that opens with this secret is ours. */
	if (done || lk_header_test(h, slot, secret, &other) == LK_OK)
		h->slots_added |= 1u << slot;
	if (rc != LK_OK)
		return lk_err_prefix(e, "key slot %s", number);
	h->now.slots_used |= 1u << slot;
	h->now.slots_open |= 1u << slot;
	h->now.slots_light |= 1u << slot;
	return LK_OK;
}

/* Keep a token's text, so that it can be put back. */
LK_CHECK static enum lk_code save(struct lk_header *h, uint32_t token, struct lk_err *e)
{
	char number[12];
	const char *argv[] = {"token", "export", "--token-id", number, h->device, NULL};
	const struct lk_slice none = {NULL, 0};

	for (size_t i = 0; i < h->saved; i++)
		if (h->save[i].token == token)
			return LK_OK;
	if (h->saved == LK_HEADER_SAVED)
		return lk_fail(e, LK_EBUG, "too many tokens are written again");
	struct lk_buf text = LK_BUF(h->save[h->saved].text);
	lk_fmt(number, sizeof(number), "%u", (unsigned)token);
	if (call(h, argv, none, none, &text, e) != LK_OK)
		return lk_err_prefix(e, "token %s", number);
	if (text.n == text.cap) /* with members that are not ours; all of them cannot be kept */
		return lk_fail(e, LK_ELUKS, "token %s: more than %zu bytes", number, text.cap - 1);
	h->save[h->saved].token = token;
	h->save[h->saved++].n = text.n;
	return LK_OK;
}

enum lk_code lk_header_put(struct lk_header *h, const struct lk_binding *b, struct lk_err *e)
{
	uint8_t store[LK_BINDING_JSON_MAX];
	struct lk_buf json = LK_BUF(store);
	bool ours = b->token <= LK_SLOT_MAX && (h->tokens_added >> b->token & 1) != 0, done = false;
	const bool added = ours;

	if (lk_binding_write(b, &json, e) != LK_OK)
		return e->code;
	if (b->token <= LK_SLOT_MAX && (h->now.tokens_used >> b->token & 1) == 0)
		return lk_header_token(h, b->token, lk_slice_buf(&json), e);
	for (size_t i = 0; i < h->now.count; i++)
		ours = ours || h->now.bindings[i].token == b->token;
	if (!ours)
		return lk_fail(e, LK_EBUG, "token %u is not ours", (unsigned)b->token);
	if (!added && save(h, b->token, e) != LK_OK)
		return e->code;
	return import(h, b->token, lk_slice_buf(&json), true, &done, e);
}

enum lk_code lk_header_test(
    const struct lk_header *h, uint32_t slot, struct lk_slice secret, struct lk_err *e)
{
	return lk_cs_test(h->cryptsetup, h->device, slot, secret, lk_deadline_in(CALL_MS), e);
}

/* ---- removing */

/* Does another binding of ours name this slot, or wait for it? */
static bool shared(const struct lk_header *h, const struct lk_binding *b)
{
	for (size_t i = 0; i < h->now.count; i++) {
		const struct lk_binding *o = &h->now.bindings[i];

		if (o->token != b->token && (h->now.tokens_used >> o->token & 1) != 0 &&
		    o->state != LK_BINDING_CUT && o->slot == b->slot)
			return true;
	}
	return false;
}

enum lk_code lk_header_goes(const struct lk_header *h, const struct lk_binding *b, bool *goes,
    const char **stays, struct lk_err *e)
{
	const uint32_t bit = 1u << b->slot;

	*goes = false;
	*stays = NULL;
	if (b->state == LK_BINDING_CUT || !(h->now.slots_used & bit))
		return LK_OK;
	if (b->borrowed)
		*stays = "it was there before the binding";
	else if (shared(h, b))
		*stays = "another binding names it";
	else if (b->state == LK_BINDING_PENDING && !(h->now.slots_light & bit))
		*stays = "nothing says that latchkey made it";
	*goes = *stays == NULL;
	if (!*goes || (h->now.slots_light & bit))
		return LK_OK;
	(void)lk_fail(e, LK_ELUKS, "key slot %u of binding %s is none that latchkey made",
	    (unsigned)b->slot, b->id);
	return lk_hint(e,
	    "nothing was changed; the host may have edited the token: cryptsetup luksDump shows "
	    "the slot, and luksKillSlot removes it if it is to go");
}

/* What was removed is not put back. */
static void forget(struct lk_header *h, uint32_t token)
{
	h->changed = true;
	for (size_t i = 0; i < h->saved; i++)
		if (h->save[i].token == token)
			h->save[i] = h->save[--h->saved];
}

/* No boot takes it from now on: it is written as one that is not finished. Should its slot be
 * destroyed only half the way, nobody tries to open with it. Where this fails, the rest is as good.
 */
static void retire(struct lk_header *h, const struct lk_binding *b)
{
	uint8_t store[LK_BINDING_JSON_MAX];
	struct lk_buf json = LK_BUF(store);
	struct lk_binding pending = *b;
	struct lk_err e = {0};
	bool done = false;

	pending.state = LK_BINDING_PENDING;
	if (b->state != LK_BINDING_ACTIVE || lk_binding_write(&pending, &json, &e) != LK_OK)
		return;
	if (import(h, b->token, lk_slice_buf(&json), true, &done, &e) != LK_OK)
		lk_log_err(LK_LOG_DEBUG, &e);
}

enum lk_code lk_header_cut(
    struct lk_header *h, const struct lk_binding *b, const char **stays, struct lk_err *e)
{
	const char *why = NULL;
	bool goes = false;

	if (lk_header_goes(h, b, &goes, &why, e) != LK_OK)
		return e->code;
	if (stays != NULL)
		*stays = why;
	if (!goes)
		return LK_OK;
	if (!(h->now.slots_open & ~(1u << b->slot))) {
		(void)lk_fail(e, LK_EUSAGE, "key slot %u is the only one that opens %s",
		    (unsigned)b->slot, h->device);
		return lk_hint(e,
		    "nothing was changed; add another key first: cryptsetup luksAddKey %s",
		    h->device);
	}
	forget(h, b->token);
	retire(h, b);
	return kill_slot(h, b->slot, e);
}

enum lk_code lk_header_remove(
    struct lk_header *h, const struct lk_binding *b, const char **stays, struct lk_err *e)
{
	bool done = false;

	if (lk_header_cut(h, b, stays, e) != LK_OK)
		return e->code;
	forget(h, b->token);
	return drop_token(h, b->token, &done, e);
}

enum lk_code lk_header_remove_bad(struct lk_header *h, uint32_t token, struct lk_err *e)
{
	bool done = false;

	if (token > LK_SLOT_MAX || !(h->now.tokens_bad >> token & 1))
		return lk_fail(e, LK_EBUG, "token %u is not a malformed one", (unsigned)token);
	forget(h, token);
	return drop_token(h, token, &done, e);
}

/* ---- taking back */

/* In an order that leaves something sensible at every point: what was written again gets its old
 * text, then the slots go, then their tokens. The first failure is kept, the rest is tried. */
LK_CHECK static enum lk_code undo_calls(struct lk_header *h, struct lk_err *e)
{
	struct lk_err later;
	bool done = false;

	for (size_t i = 0; i < h->saved; i++) {
		memset(&later, 0, sizeof(later));
		const struct lk_slice text = lk_slice_of(h->save[i].text, h->save[i].n);
		if (import(h, h->save[i].token, text, true, &done, &later) != LK_OK && !e->code)
			*e = later;
	}
	for (uint32_t n = 0; n <= LK_SLOT_MAX; n++) {
		memset(&later, 0, sizeof(later));
		if ((h->slots_added >> n & 1) && kill_slot(h, n, &later) != LK_OK && !e->code)
			*e = later;
	}
	for (uint32_t n = 0; n <= LK_SLOT_MAX; n++) {
		memset(&later, 0, sizeof(later));
		if ((h->tokens_added >> n & 1) && drop_token(h, n, &done, &later) != LK_OK &&
		    !e->code)
			*e = later;
	}
	return e->code;
}

enum lk_code lk_header_undo(struct lk_header *h, struct lk_err *e)
{
	struct lk_err calls;
	bool theirs = false;

	if (!h->touched)
		return LK_OK;
	memset(&calls, 0, sizeof(calls));
	const enum lk_code rc = undo_calls(h, &calls);
	if (h->changed || !h->sound) {
		if (rc != LK_OK)
			*e = calls;
		return rc;
	}
	if (lk_header_restore(h, &theirs, e) != LK_OK)
		return lk_err_prefix(e, "%s", h->device);
	if (!theirs) {
		h->touched = false;
		return LK_OK;
	}
	/* A slot or token that was never added makes its call fail; here one that was is left. */
	if (rc != LK_OK) {
		*e = calls;
		return lk_err_prefix(e, "%s: taking back what was added", h->device);
	}
	lk_log(LK_LOG_WARN, "%s: somebody else changed the LUKS2 header meanwhile; theirs is kept",
	    h->device);
	return LK_OK;
}
