/* bind.c - a volume's new binding on disk and in NAME.conf: plan, write, save, undo. What it is
 * made from is in bind_key.c, its proof in bind_prove.c; the contract is in bind.h. */
#include "bind.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "ctl.h"
#include "lk/fmt.h"
#include "lk/log.h"

#define PAGE 4096

static struct {
	struct lk_bind_held held;
} __attribute__((aligned(PAGE))) hidden;

enum lk_code lk_bind_held(struct lk_bind_held **out, struct lk_err *e)
{
	*out = &hidden.held;
	if (madvise(&hidden, sizeof(hidden), MADV_WIPEONFORK) == 0)
		return LK_OK;
	(void)lk_fail_sys(e, errno, "secrets cannot be hidden from child processes");
	return lk_hint(e, "run it with Linux 4.14 or later");
}

enum lk_code lk_bind_open(struct lk_bind *w, const char *device, struct lk_err *e)
{
	if (lk_header_open(device, w->a->conf.cryptsetup, &w->h, e) != LK_OK ||
	    lk_conf_file_read(w->a, w->conf.name, &w->file, e) != LK_OK)
		return e->code;
	memcpy(w->conf.uuid, w->h.now.uuid, sizeof(w->conf.uuid));
	w->was = w->file;
	return LK_OK;
}

/* ---- plan */

static bool same(const char *a, const char *b)
{
	return lk_slice_eq(lk_slice_str(a), lk_slice_str(b));
}

static void insert(struct lk_conf_file *f, size_t at)
{
	for (size_t i = f->n; i > at; i--)
		f->binding[i] = f->binding[i - 1];
	f->n++;
}

static bool in_header(const struct lk_bind *w, const char *pin)
{
	struct lk_err e = {0};

	for (size_t i = 0; i < w->h.now.count; i++)
		if (lk_binding_is(&w->h.now.bindings[i], LK_WRAPPED) &&
		    lk_binding_pinned(&w->h.now.bindings[i], pin, &e) == LK_OK)
			return true;
	return false;
}

/* For the same key? A pin whose secret the header does not have is an interrupted call's. */
static bool takes_place_of(const struct lk_bind *w, const struct lk_conf *c)
{
	return same(c->key, w->conf.key) && same(c->attest, w->conf.attest) &&
	       c->kind == w->conf.kind &&
	       (c->kind != LK_WRAPPED || same(c->wrapped, w->conf.wrapped) ||
		   !in_header(w, c->wrapped));
}

/* The binding may be in the file already: an earlier call came as far as that. */
LK_CHECK static enum lk_code choose_place(
    struct lk_bind *w, enum lk_bind_place how, struct lk_err *e)
{
	struct lk_conf_file *f = &w->file;

	if (how == LK_BIND_INSTEAD)
		return LK_OK;
	for (size_t i = 0; i < f->n; i++)
		if (takes_place_of(w, &f->binding[i])) {
			w->place = i;
			return LK_OK;
		}
	if (f->n > 0 && how == LK_BIND_ONLY) {
		(void)lk_fail(
		    e, LK_ECONF, "%s binds the volume to %s already", f->path, f->binding[0].key);
		return lk_hint(e, "--alternative or --first adds a binding, latchkeyctl rotate "
				  "replaces one, --force writes the file anew");
	}
	if (f->n == LK_BINDINGS_MAX)
		return lk_fail(
		    e, LK_ECONF, "%s has %d bindings, and no more fit", f->path, LK_BINDINGS_MAX);
	w->place = how == LK_BIND_LAST ? f->n : 0;
	insert(f, w->place);
	return LK_OK;
}

enum lk_code lk_bind_plan(struct lk_bind *w, enum lk_bind_place how, struct lk_err *e)
{
	struct lk_buf text = LK_BUF(w->text);
	char note[120];

	if (choose_place(w, how, e) != LK_OK)
		return e->code;
	w->file.binding[w->place] = w->conf;
	lk_fmt(note, sizeof(note), "Written by latchkeyctl. Belongs into the measured initramfs.");
	if (lk_conf_file_text(&w->file, note, &text, e) != LK_OK)
		return e->code;
	w->text_n = text.n;
	return LK_OK;
}

/* ---- header */

LK_CHECK static enum lk_code existing_key(
    const struct lk_bind *w, struct lk_bind_held *held, struct lk_err *e)
{
	if (held->existing.n > 0)
		return LK_OK;
	return lk_ctl_passphrase(w->a->flags.passphrase_file, w->h.device, &held->existing, e);
}

/* Before the new one is written: boot would take the first that the pins fit. */
LK_CHECK static enum lk_code remove_ruins(struct lk_bind *w, struct lk_err *e)
{
	static struct lk_luks2 now; /* as it was read, whatever becomes of h.now */
	const char *stays = NULL;

	now = w->h.now;
	for (size_t i = 0; w->ruins != 0 && i < now.count; i++) {
		const struct lk_binding *b = &now.bindings[i];

		if (!(w->ruins >> b->token & 1))
			continue;
		if (lk_header_remove(&w->h, b, &stays, e) != LK_OK)
			return e->code;
		lk_log(LK_LOG_INFO,
		    "binding %s, left without its key slot by a call that was cut "
		    "off, was removed",
		    b->id);
	}
	return LK_OK;
}

enum lk_code lk_bind_write(struct lk_bind *w, struct lk_err *e)
{
	struct lk_bind_held *held = NULL;

	if (remove_ruins(w, e) != LK_OK)
		return e->code;
	if (w->active)
		return LK_OK;
	if (lk_bind_held(&held, e) != LK_OK)
		return e->code;
	if (!w->slot_there && existing_key(w, held, e) != LK_OK)
		return e->code;
	if (!w->token_there && lk_header_pend(&w->h, &w->b, e) != LK_OK)
		return e->code;
	if (!w->slot_there && lk_header_add_slot(&w->h, w->b.slot, lk_secret_slice(&held->existing),
				  lk_secret_slice(&held->slot), e) != LK_OK)
		return e->code;
	if (lk_header_test(&w->h, w->b.slot, lk_secret_slice(&held->slot), e) != LK_OK)
		return e->code;
	lk_secret_clear(&held->slot);
	return w->conf.kind == LK_WRAPPED ? LK_OK : lk_bind_activate(w, e);
}

enum lk_code lk_bind_activate(struct lk_bind *w, struct lk_err *e)
{
	if (w->active)
		return LK_OK;
	w->b.state = LK_BINDING_ACTIVE;
	return lk_header_put(&w->h, &w->b, e);
}

/* ---- configuration */

enum lk_code lk_bind_save(struct lk_bind *w, struct lk_err *e)
{
	return lk_conf_file_write(&w->file, lk_slice_of(w->text, w->text_n), e);
}

void lk_bind_undo(struct lk_bind *w)
{
	struct lk_err e = {0};

	if (lk_conf_file_restore(&w->was, &e) != LK_OK)
		lk_log_err(LK_LOG_ERR, &e);
	if (!w->h.touched)
		return;
	/* A listed slot is ours: should this be cut off, too, the next call knows what is left. */
	if (w->b.state == LK_BINDING_PENDING && w->conf.kind != LK_WRAPPED &&
	    (w->h.slots_added >> w->b.slot & 1) != 0) {
		e = (struct lk_err){0};
		if (lk_bind_activate(w, &e) != LK_OK)
			lk_log_err(LK_LOG_DEBUG, &e);
	}
	e = (struct lk_err){0};
	if (lk_header_undo(&w->h, &e) != LK_OK)
		lk_log_err(LK_LOG_ERR, &e);
	else
		lk_log(LK_LOG_WARN, "%s: what was added to the header has been taken back",
		    w->h.device);
}

void lk_bind_close(struct lk_bind *w)
{
	lk_header_close(&w->h);
	lk_wipe(&hidden, sizeof(hidden));
}

void lk_bind_strangers(const struct lk_bind *w)
{
	for (size_t i = 0; i < w->h.now.count; i++) {
		const struct lk_binding *b = &w->h.now.bindings[i];
		bool named = same(b->id, w->b.id);

		for (size_t j = 0; j < w->file.n && !named; j++)
			named = same(b->key, w->file.binding[j].key) &&
				same(b->attest, w->file.binding[j].attest);
		if (!named)
			lk_log(LK_LOG_WARN,
			    "binding %s (key slot %u, %s) is named by no binding of %s: if no "
			    "other machine uses it, latchkeyctl remove %s --binding %s",
			    b->id, (unsigned)b->slot, b->key, w->file.path, w->h.device, b->id);
	}
}
