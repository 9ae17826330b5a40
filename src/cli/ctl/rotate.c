/* rotate.c - `latchkeyctl rotate`: another key version, key, vault or attestation provider for a
 * volume, new before old. The old binding goes when the image that boots has the new configuration:
 * until then it is what the next boot would use. */
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "bind.h"
#include "bind_opts.h"
#include "ctl.h"
#include "lk/fmt.h"
#include "lk/io.h"
#include "lk/log.h"
#include "opts_table.h"
#include "parts.h"

#define REBUILD_MS (15 * 60 * 1000)
#define FIND_MS    5000

static struct lk_args cfg; /* the volume's settings, with this machine's paths */
static struct lk_bind w;

static bool same(const char *a, const char *b)
{
	return lk_slice_eq(lk_slice_str(a), lk_slice_str(b));
}

/* What --key, --attest and --identity say is for the new binding, not for finding the old one. */
static uint64_t without(uint64_t given, const char *const *names, size_t n)
{
	size_t index = 0;

	for (size_t i = 0; i < n; i++)
		if (lk_opt_find(lk_slice_str(names[i]), &index) != NULL)
			given &= ~((uint64_t)1 << index);
	return given;
}

static bool given(const struct lk_args *a, const char *name)
{
	size_t index = 0;

	return lk_opt_find(lk_slice_str(name), &index) != NULL && (a->given >> index & 1) != 0;
}

/* ---- the old binding */

/* Which binding of NAME.conf is replaced: the first, or the one of --binding. */
LK_CHECK static enum lk_code which(const char *id, size_t *out, struct lk_err *e)
{
	const struct lk_binding *b = NULL;

	*out = 0;
	if (id == NULL)
		return LK_OK;
	b = lk_header_find(&w.h, id);
	for (size_t i = 0; b != NULL && i < w.file.n; i++)
		if (same(w.file.binding[i].key, b->key) &&
		    same(w.file.binding[i].attest, b->attest)) {
			*out = i;
			return LK_OK;
		}
	(void)lk_fail(
	    e, LK_ECONF, "volume %s has no binding %s that %s names", w.conf.name, id, w.file.path);
	return lk_hint(e, "latchkeyctl list %s shows them", w.conf.name);
}

/* A key's URL without its version is its newest one. */
LK_CHECK static enum lk_code newest(const char *url, char *out, size_t cap, struct lk_err *e)
{
	struct lk_key_url key;

	if (lk_key_url_parse(lk_slice_str(url), &key, e) != LK_OK)
		return e->code;
	if (lk_fmt(out, cap, "https://%s/keys/%s", key.url.host, key.name) >= cap)
		return lk_fail(e, LK_EBUG, "a key's URL that does not fit");
	return LK_OK;
}

LK_CHECK static enum lk_code hold(
    void *ctx, uint32_t slot, const struct lk_secret *key, struct lk_err *e)
{
	struct lk_bind_held *held = ctx;

	(void)slot;
	return lk_secret_set(&held->existing, lk_secret_slice(key), e);
}

/* The old binding opens the header for the new one; where it is not released any more, the
 * passphrase is asked for. */
static void open_with_old(struct lk_bind_held *held)
{
	static struct lk_unlock_job job;
	struct lk_run *run = NULL;
	struct lk_err e = {0};
	int fd = -1;
	char path[300];

	lk_fmt(cfg.conf.device, sizeof(cfg.conf.device), "%s", w.h.device);
	if (lk_device_open(&cfg.conf, lk_deadline_in(FIND_MS), &fd, path, &e) == LK_OK &&
	    lk_app_start(&cfg.conf, true, &run, &e) == LK_OK) {
		job = (struct lk_unlock_job){
		    .conf = &cfg.conf, .disk_fd = fd, .use = hold, .ctx = held};
		lk_unlock_all(run, &job, 1);
		e = job.e;
	}
	lk_run_end(run);
	lk_close(&fd);
	if (e.code == LK_OK)
		return;
	lk_log_err(LK_LOG_WARN, &e);
	lk_log(LK_LOG_WARN, "volume %s: the old binding gives no key; the passphrase is needed",
	    cfg.conf.name);
}

/* The binding in the header that the configuration names so far; false: none. */
static bool find_old(struct lk_binding *old)
{
	const struct lk_binding *found = NULL;
	struct lk_err e = {0};

	if (lk_unlock_pins(&cfg.conf, &w.h.now, &found, &e) != LK_OK || found == NULL)
		return false;
	*old = *found;
	return true;
}

/* ---- one volume */

LK_CHECK static enum lk_code load(
    const struct lk_args *a, const char *name, const char *id, struct lk_err *e)
{
	static const char *const news[] = {
	    "key", "attest", "identity", "kind", "thumbprint", "wrapped", "uuid"};
	static char device[300];
	size_t place = 0;
	int fd = -1;

	cfg = *a;
	cfg.given = without(a->given, news, sizeof(news) / sizeof(news[0]));
	cfg.words = 0;
	memset(&w, 0, sizeof(w));
	w.a = &cfg;
	if (lk_opts_volume(name, &cfg, e) != LK_OK)
		return e->code;
	w.conf = cfg.conf;
	if (lk_device_open(&cfg.conf, lk_deadline_in(FIND_MS), &fd, device, e) != LK_OK)
		return e->code;
	lk_close(&fd);
	if (lk_bind_open(&w, device, e) != LK_OK || which(id, &place, e) != LK_OK)
		return e->code;
	w.place = place;
	cfg = *a;
	cfg.given = without(a->given, news, sizeof(news) / sizeof(news[0]));
	cfg.words = 0;
	return lk_opts_binding(name, place, &cfg, e);
}

/* What the new binding is for. */
LK_CHECK static enum lk_code aim(const struct lk_args *a, struct lk_err *e)
{
	w.conf = cfg.conf;
	w.conf.kind = a->conf.kind;
	w.conf.thumbprint[0] = '\0';
	w.conf.wrapped[0] = '\0';
	if (given(a, "attest"))
		memcpy(w.conf.attest, a->conf.attest, sizeof(w.conf.attest));
	if (given(a, "identity")) {
		w.conf.identity = a->conf.identity;
		memcpy(w.conf.identity_id, a->conf.identity_id, sizeof(w.conf.identity_id));
	}
	if (!given(a, "key"))
		return newest(cfg.conf.key, w.conf.key, sizeof(w.conf.key), e);
	memcpy(w.conf.key, a->conf.key, sizeof(w.conf.key));
	return LK_OK;
}

/* Only now may the old one be called replaced: the new one has proved itself. */
LK_CHECK static enum lk_code commit(const struct lk_binding *old, struct lk_err *e)
{
	struct lk_binding marked = *old;

	memcpy(marked.replaced_by, w.b.id, sizeof(marked.replaced_by));
	return lk_header_put(&w.h, &marked, e) == LK_OK ? lk_bind_save(&w, e) : e->code;
}

LK_CHECK static enum lk_code replace(
    const struct lk_args *a, struct lk_bind_held *held, struct lk_err *e)
{
	static struct lk_binding old;
	bool had = find_old(&old);

	if (aim(a, e) != LK_OK || lk_bind_obtain(&w, e) != LK_OK)
		return e->code;
	if (had && w.active && same(w.b.id, old.id)) {
		lk_print(
		    1, "volume %s: binding %s is of %s already\n", w.conf.name, w.b.id, w.b.key);
		return LK_OK;
	}
	if (!w.active && !w.slot_there && held->existing.n == 0) {
		if (a->flags.passphrase_file[0] == '\0' && had)
			open_with_old(held);
	}
	if (lk_bind_plan(&w, LK_BIND_INSTEAD, e) != LK_OK || lk_bind_write(&w, e) != LK_OK ||
	    lk_bind_prove(&w, e) != LK_OK ||
	    (had ? commit(&old, e) : lk_bind_save(&w, e)) != LK_OK) {
		lk_bind_undo(&w);
		return e->code;
	}
	lk_print(1, "volume %s: binding %s, key slot %u, of %s, proved by a second run\n",
	    w.conf.name, w.b.id, (unsigned)w.b.slot, w.b.key);
	return LK_OK;
}

LK_CHECK static enum lk_code one(const struct lk_args *a, const char *name, struct lk_err *e)
{
	struct lk_bind_held *held = NULL;
	enum lk_code rc;

	if (lk_bind_held(&held, e) != LK_OK)
		return e->code;
	rc = load(a, name, lk_bind_args.binding, e);
	if (rc == LK_OK)
		rc = replace(a, held, e);
	lk_secret_clear(&held->slot);
	/* A passphrase is for all the volumes; what one volume's binding gave is for that alone. */
	if (a->flags.passphrase_file[0] == '\0')
		lk_secret_clear(&held->existing);
	lk_header_close(&w.h);
	return rc == LK_OK ? rc : lk_err_prefix(e, "volume %s", name);
}

/* ---- what was replaced */

static bool replaced(const struct lk_binding *b)
{
	const struct lk_binding *by = lk_header_find(&w.h, b->replaced_by);

	if (b->replaced_by[0] == '\0' || by == NULL || by->state != LK_BINDING_ACTIVE)
		return false;
	for (size_t i = 0; i < w.file.n; i++)
		if (same(w.file.binding[i].key, by->key) &&
		    same(w.file.binding[i].attest, by->attest))
			return true;
	return false;
}

LK_CHECK static enum lk_code drop_old(const char *name, struct lk_err *e)
{
	static struct lk_binding old[LK_BINDINGS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < w.h.now.count; i++)
		if (replaced(&w.h.now.bindings[i]))
			old[n++] = w.h.now.bindings[i];
	for (size_t i = 0; i < n; i++) {
		const char *stays = NULL;

		if (lk_header_remove(&w.h, &old[i], &stays, e) != LK_OK)
			return e->code;
		lk_print(1, "volume %s: the old binding %s of %s is gone%s%s\n", name, old[i].id,
		    old[i].key, stays ? "; its key slot stays: " : "", stays ? stays : "");
	}
	return LK_OK;
}

static void keep_old(const char *name)
{
	for (size_t i = 0; i < w.h.now.count; i++)
		if (replaced(&w.h.now.bindings[i]))
			lk_print(1,
			    "volume %s: the old binding %s stays for the initramfs there is: "
			    "rebuild that, then latchkeyctl rotate %s --drop-old\n",
			    name, w.h.now.bindings[i].id, name);
}

LK_CHECK static enum lk_code finish(
    const struct lk_args *a, const char *name, bool drop, struct lk_err *e)
{
	if (load(a, name, NULL, e) == LK_OK) {
		if (!drop)
			keep_old(name);
		else if (drop_old(name, e) == LK_OK && lk_header_read(&w.h, e) == LK_OK)
			lk_bind_strangers(&w);
	}
	lk_header_close(&w.h);
	return e->code == LK_OK ? LK_OK : lk_err_prefix(e, "volume %s", name);
}

/* ---- the verb */

LK_CHECK static enum lk_code usage(const struct lk_args *a, struct lk_err *e)
{
	const struct lk_bind_args *o = &lk_bind_args;

	if (o->all == (a->words > 0))
		return lk_fail(e, LK_EUSAGE, "rotate wants volumes' names, or --all");
	if (o->binding != NULL && a->words != 1)
		return lk_fail(e, LK_EUSAGE, "--binding is of one volume");
	if (o->drop_old && o->rebuild)
		return lk_fail(e, LK_EUSAGE, "--drop-old is for an image that was rebuilt already");
	return LK_OK;
}

LK_CHECK static enum lk_code rebuild(const struct lk_args *a, struct lk_err *e)
{
	static struct lk_args check;

	if (lk_image_rebuild(lk_boot_flavor(), lk_deadline_in(REBUILD_MS), e) != LK_OK)
		return e->code;
	check = *a;
	check.words = 0;
	return lk_verb_image_check(&check, e);
}

/* Every volume is tried; every failure but the last is told here. */
static void note(struct lk_err *last, const struct lk_err *mine)
{
	if (mine->code == LK_OK)
		return;
	if (last->code != LK_OK)
		lk_log_err(LK_LOG_ERR, last);
	*last = *mine;
}

static void rotate_all(
    const struct lk_args *a, const struct lk_volumes *v, bool ok[], struct lk_err *last)
{
	for (size_t i = 0; i < v->n; i++) {
		struct lk_err mine = {0};

		ok[i] = one(a, v->name[i], &mine) == LK_OK;
		note(last, &mine);
	}
}

static void finish_all(const struct lk_args *a, const struct lk_volumes *v, const bool ok[],
    bool drop, struct lk_err *last)
{
	for (size_t i = 0; i < v->n; i++) {
		struct lk_err mine = {0};

		if (ok[i] && finish(a, v->name[i], drop, &mine) != LK_OK)
			note(last, &mine);
	}
}

enum lk_code lk_verb_rotate(struct lk_args *a, struct lk_err *e)
{
	static struct lk_volumes v;
	struct lk_bind_held *held = NULL;
	struct lk_err last = {0};
	bool ok[LK_VOLUMES_MAX] = {false}, drop = lk_bind_args.drop_old;

	if (usage(a, e) != LK_OK || lk_volumes(a, &v, e) != LK_OK ||
	    lk_bind_held(&held, e) != LK_OK)
		return e->code;
	if (a->flags.passphrase_file[0] != '\0' &&
	    lk_ctl_passphrase(a->flags.passphrase_file, "the volumes", &held->existing, e) != LK_OK)
		return e->code;
	rotate_all(a, &v, ok, &last);
	lk_wipe(held, sizeof(*held));
	/* One image serves all the volumes: none is built over a failure. */
	if (last.code == LK_OK && lk_bind_args.rebuild) {
		drop = rebuild(a, &last) == LK_OK;
		if (!drop)
			(void)lk_err_prefix(
			    &last, "the new bindings stand, the old ones stay, but");
	}
	finish_all(a, &v, ok, drop, &last);
	*e = last;
	return e->code;
}
