/* remove.c - `latchkeyctl remove`: bindings of a volume go from its header and from NAME.conf.
 *
 * First the key slots, so that nothing is left that opens; then, where NAME.conf keeps other
 * bindings, its section, and the token last: it says what was meant to a call after one that was
 * cut off. Where no binding is left in NAME.conf, that says it, and goes last.
 */
#include <string.h>
#include <sys/stat.h>

#include "app.h"
#include "bind_opts.h"
#include "ctl.h"
#include "header.h"
#include "lk/fmt.h"
#include "lk/io.h"
#include "lk/log.h"
#include "parts.h"
#include "volume.h"

#define REBUILD_MS   (15 * 60 * 1000)
#define CRYPTTAB_MAX 65536

static struct {
	struct lk_volume v;
	struct lk_header h;
	uint32_t choice[LK_BINDINGS_MAX]; /* of the header's bindings in NAME.conf */
	bool goes[LK_BINDINGS_MAX];
	bool any;                 /* of these */
	struct lk_conf_file plan; /* NAME.conf as it will be */
	bool conf_changes;
	size_t text_n, table_n;
	uint8_t text[LK_CONF_FILE_MAX]; /* its text */
	bool table_changes;
	unsigned table_mode;
	uint8_t table[CRYPTTAB_MAX]; /* crypttab as it will be */
} r;

static const char *title(void)
{
	return r.v.name[0] != '\0' ? r.v.name : r.v.device;
}

/* ---- what goes */

static bool same(const char *a, const char *b)
{
	return lk_slice_eq(lk_slice_str(a), lk_slice_str(b));
}

/* All that NAME.conf names, what these took the place of, and what was never finished or is half
 * gone. An active one that it does not name may be another machine's. */
static void pick_all(void)
{
	const struct lk_luks2 *h = &r.h.now;

	for (size_t i = 0; i < h->count; i++)
		r.goes[i] = r.choice[i] > 0 || h->bindings[i].state != LK_BINDING_ACTIVE;
	for (size_t round = 0; round < h->count; round++)
		for (size_t i = 0; i < h->count; i++)
			for (size_t j = 0; j < h->count; j++)
				if (r.goes[j] &&
				    same(h->bindings[i].replaced_by, h->bindings[j].id))
					r.goes[i] = true;
}

static void pick(const char *id)
{
	if (id == NULL)
		pick_all();
	for (size_t i = 0; i < r.h.now.count; i++) {
		if (id != NULL)
			r.goes[i] = same(r.h.now.bindings[i].id, id);
		r.any = r.any || r.goes[i];
	}
}

/* Is this place in NAME.conf, from 1, a binding's that stays? */
static bool stands(uint32_t choice)
{
	for (size_t i = 0; i < r.h.now.count; i++)
		if (!r.goes[i] && r.choice[i] == choice &&
		    r.h.now.bindings[i].state == LK_BINDING_ACTIVE)
			return true;
	return false;
}

static bool is_going(uint32_t choice)
{
	for (size_t i = 0; i < r.h.now.count; i++)
		if (r.goes[i] && r.choice[i] == choice)
			return true;
	return false;
}

/* None of NAME.conf's bindings is in the header: the rest of a call that was cut off. */
static bool hollow(void)
{
	for (size_t i = 0; i < r.h.now.count; i++)
		if (r.choice[i] > 0)
			return false;
	return r.v.f.there;
}

LK_CHECK static enum lk_code plan_conf(const char *id, struct lk_err *e)
{
	struct lk_buf text = LK_BUF(r.text);

	r.plan = r.v.f;
	r.plan.n = 0;
	if (!r.v.f.there)
		return LK_OK;
	for (uint32_t c = 1; c <= r.v.f.n; c++)
		if (id != NULL && (r.any ? !is_going(c) || stands(c) : !hollow()))
			r.plan.binding[r.plan.n++] = r.v.f.binding[c - 1];
	r.conf_changes = r.plan.n == 0 || r.plan.n != r.v.f.n;
	if (!r.conf_changes || r.plan.n == 0)
		return LK_OK;
	if (lk_conf_file_text(&r.plan, "", &text, e) != LK_OK)
		return e->code;
	r.text_n = text.n;
	return LK_OK;
}

/* Where NAME.conf goes, the volume's line in crypttab asks for a key that nobody will give. */
LK_CHECK static enum lk_code plan_crypttab(struct lk_err *e)
{
	static uint8_t store[CRYPTTAB_MAX];
	struct lk_buf old = LK_BUF(store), new = LK_BUF(r.table);
	const char *path = lk_bind_args.crypttab;
	struct lk_err mine = {0};
	struct stat st;

	if (!r.conf_changes || r.plan.n > 0)
		return LK_OK;
	r.table_mode = stat(path, &st) == 0 ? st.st_mode & 0777 : 0644;
	enum lk_code rc = lk_file_read(path, &old, &mine);
	if (rc == LK_EABSENT)
		return LK_OK;
	if (rc == LK_OK)
		rc = lk_crypttab_edit(lk_slice_buf(&old), lk_boot_flavor(), r.v.name, r.h.now.uuid,
		    false, &new, &mine);
	if (rc == LK_OK) {
		r.table_n = new.n;
		r.table_changes = !lk_slice_eq(lk_slice_buf(&old), lk_slice_buf(&new));
		return LK_OK;
	}
	/* Without the option it is only looked at. */
	*e = mine;
	if (lk_bind_args.write_crypttab)
		return lk_err_prefix(e, "%s", path);
	lk_log(LK_LOG_WARN, "%s was not checked: %s", path, mine.msg);
	*e = (struct lk_err){0};
	return LK_OK;
}

/* Before anything is changed: did latchkey make every slot that goes, and is one left that opens?
 * The tokens are not sealed in what slot they name: the host could have ours name another one. */
LK_CHECK static enum lk_code check_slots(struct lk_err *e)
{
	const struct lk_luks2 *h = &r.h.now;
	uint32_t going = 0, kept = 0;

	for (size_t i = 0; i < h->count; i++) {
		const struct lk_binding *b = &h->bindings[i];
		const uint32_t bit = 1u << b->slot;

		if (b->state == LK_BINDING_CUT)
			continue;
		if (!r.goes[i] || b->borrowed ||
		    (b->state == LK_BINDING_PENDING && !(h->slots_light & bit)))
			kept |= bit;
		else
			going |= bit;
	}
	going &= ~kept & h->slots_used;
	for (uint32_t n = 0; n <= LK_SLOT_MAX; n++)
		if ((going & ~h->slots_light) >> n & 1) {
			(void)lk_fail(e, LK_ELUKS, "key slot %u of %s is none that latchkey made",
			    (unsigned)n, r.h.device);
			return lk_hint(e,
			    "nothing was changed; the host may have edited the token: cryptsetup "
			    "luksDump shows the slot, and luksKillSlot removes it if it is to go");
		}
	if (going == 0 || (h->slots_open & ~going) != 0)
		return LK_OK;
	(void)lk_fail(e, LK_EUSAGE, "%s would have no key slot left that opens it", r.h.device);
	return lk_hint(e,
	    "nothing was changed; add another key first (cryptsetup luksAddKey %s), or remove one "
	    "binding of several with --binding",
	    r.h.device);
}

/* ---- doing it */

/* The first pass: no slot is left that opens. Two bindings may name one: then it goes with the
 * second token. */
LK_CHECK static enum lk_code cut_slots(struct lk_err *e)
{
	for (size_t i = 0; i < r.h.now.count; i++)
		if (r.goes[i] && lk_header_cut(&r.h, &r.h.now.bindings[i], NULL, e) != LK_OK)
			return e->code;
	return LK_OK;
}

LK_CHECK static enum lk_code drop_tokens(uint32_t slots_before, struct lk_err *e)
{
	for (size_t i = 0; i < r.h.now.count; i++) {
		const struct lk_binding *b = &r.h.now.bindings[i];
		const bool slot = b->state != LK_BINDING_CUT && (slots_before >> b->slot & 1) != 0;
		const char *stays = NULL;
		char which[24] = "";

		if (!r.goes[i])
			continue;
		if (lk_header_remove(&r.h, b, &stays, e) != LK_OK)
			return e->code;
		if (slot && stays == NULL)
			lk_fmt(which, sizeof(which), "key slot %u, ", (unsigned)b->slot);
		lk_print(1, "%s: binding %s of %s is gone: %stoken %u\n", title(), b->id, b->key,
		    which, (unsigned)b->token);
		if (slot && stays != NULL)
			lk_print(1, "  key slot %u stays: %s\n", (unsigned)b->slot, stays);
	}
	return LK_OK;
}

LK_CHECK static enum lk_code change_conf(struct lk_err *e)
{
	if (lk_conf_file_write(&r.plan, lk_slice_of(r.text, r.text_n), e) != LK_OK)
		return e->code;
	if (r.plan.n == 0)
		lk_print(1, "  %s is gone\n", r.plan.path);
	else
		lk_print(1, "  %s names %zu of %zu bindings now\n", r.plan.path, r.plan.n, r.v.f.n);
	return LK_OK;
}

LK_CHECK static enum lk_code change_crypttab(struct lk_err *e)
{
	const char *path = lk_bind_args.crypttab;

	if (!r.table_changes)
		return LK_OK;
	if (!lk_bind_args.write_crypttab) {
		lk_print(1,
		    "  %s still has latchkey's key for %s: put none in its place, or the "
		    "passphrase is not asked for (--write-crypttab does it)\n",
		    path, r.v.name);
		return LK_OK;
	}
	if (lk_file_replace(path, lk_slice_of(r.table, r.table_n), r.table_mode, e) != LK_OK)
		return e->code;
	lk_print(1, "  %s: the passphrase of %s is asked for\n", path, r.v.name);
	return LK_OK;
}

LK_CHECK static enum lk_code change_all(struct lk_err *e)
{
	const uint32_t slots_before = r.h.now.slots_used;

	if (cut_slots(e) != LK_OK)
		return e->code;
	if (r.conf_changes && r.plan.n > 0 && change_conf(e) != LK_OK)
		return e->code;
	if (drop_tokens(slots_before, e) != LK_OK)
		return e->code;
	if (r.conf_changes && r.plan.n == 0 &&
	    (change_crypttab(e) != LK_OK || change_conf(e) != LK_OK))
		return e->code;
	return LK_OK;
}

/* ---- the verb */

static void tell_rest(void)
{
	uint8_t store[120];
	struct lk_buf slots = LK_BUF(store);

	for (uint32_t i = 0; i <= LK_SLOT_MAX; i++)
		if ((r.h.now.slots_open >> i & 1) != 0)
			lk_buf_fmt(&slots, " %u", (unsigned)i);
	lk_print(1, "key slots that open %s now:%.*s\n", r.v.device, (int)slots.n,
	    (const char *)slots.p);
	for (size_t i = 0; i < r.h.now.count; i++)
		if (!r.goes[i] && r.choice[i] == 0)
			lk_log(LK_LOG_WARN,
			    "binding %s (key slot %u, %s) stays: no NAME.conf names it; if no "
			    "other "
			    "machine uses it, latchkeyctl remove %s --binding %s",
			    r.h.now.bindings[i].id, (unsigned)r.h.now.bindings[i].slot,
			    r.h.now.bindings[i].key, r.v.device, r.h.now.bindings[i].id);
	for (uint32_t t = 0; t <= LK_SLOT_MAX; t++)
		if ((r.h.now.tokens_bad >> t & 1) != 0)
			lk_log(LK_LOG_WARN,
			    "token %u of type latchkey is malformed, and stays: no boot takes it",
			    (unsigned)t);
}

/* The image that boots has the old settings until then. */
LK_CHECK static enum lk_code rebuild(const struct lk_args *a, bool configured, struct lk_err *e)
{
	static struct lk_args check;

	if (!lk_bind_args.rebuild) {
		lk_print(1, "next: rebuild the initramfs, which has the old settings still\n");
		return LK_OK;
	}
	if (lk_image_rebuild(lk_boot_flavor(), lk_deadline_in(REBUILD_MS), e) != LK_OK)
		return lk_err_prefix(e, "removed, but");
	if (!configured)
		return LK_OK;
	check = *a;
	check.words = 0;
	return lk_verb_image_check(&check, e);
}

/* *left: there is something to remove. */
LK_CHECK static enum lk_code prepare(
    const struct lk_args *a, const char *id, bool *left, struct lk_err *e)
{
	*left = false;
	if (lk_volume_find(a, a->word[0], &r.v, e) != LK_OK)
		return e->code;
	if (lk_header_open(r.v.device, a->conf.cryptsetup, &r.h, e) != LK_OK)
		return e->code;
	lk_volume_name(a, r.h.now.uuid, &r.v);
	for (size_t i = 0; i < r.h.now.count; i++)
		r.choice[i] = lk_volume_choice(&r.v, &r.h.now, &r.h.now.bindings[i]);
	pick(id);
	if (plan_conf(id, e) != LK_OK || check_slots(e) != LK_OK || plan_crypttab(e) != LK_OK)
		return e->code;
	*left = r.any || r.conf_changes;
	return LK_OK;
}

/* Done already, by a call that was cut off after its last step, or by hand: no failure, so that the
 * same call always comes to the same end. */
LK_CHECK static enum lk_code nothing(const struct lk_args *a, const char *id, struct lk_err *e)
{
	if (r.h.device == NULL)
		lk_log(LK_LOG_WARN, "there is no %s: nothing to remove", r.v.f.path);
	else
		lk_log(LK_LOG_WARN, "%s has no binding %s: nothing to remove", r.v.device, id);
	return lk_bind_args.rebuild ? rebuild(a, r.v.f.there, e) : LK_OK;
}

enum lk_code lk_verb_remove(struct lk_args *a, struct lk_err *e)
{
	const char *id = lk_bind_args.binding;
	bool left = false;

	if (a->words != 1)
		return lk_fail(e, LK_EUSAGE, "remove wants one NAME or DEVICE");
	if (strchr(a->word[0], '/') != NULL && id == NULL) {
		(void)lk_fail(e, LK_EUSAGE, "with a device, --binding says which one goes");
		return lk_hint(e, "latchkeyctl list %s shows them", a->word[0]);
	}
	r.h.before = -1;
	enum lk_code rc = prepare(a, id, &left, e);
	if (rc == LK_ECONF && r.h.device == NULL && !r.v.f.there && r.v.f.path[0] != '\0') {
		*e = (struct lk_err){0};
		rc = nothing(a, id, e);
	} else if (rc == LK_OK && !left) {
		rc = nothing(a, id, e);
	} else if (rc == LK_OK) {
		rc = change_all(e);
		if (rc == LK_OK) {
			tell_rest();
			rc = rebuild(a, r.plan.n > 0, e);
		} else if (e->hint[0] == '\0') {
			(void)lk_hint(e, "run it again: what is done is not done twice");
		}
	}
	lk_header_close(&r.h);
	return rc;
}
