/* enroll.c - `latchkeyctl enroll`: bind a LUKS2 volume, prove that the next boot will open it, or
 * leave everything as it was. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bind.h"
#include "bind_opts.h"
#include "ctl.h"
#include "lk/fmt.h"
#include "lk/io.h"
#include "lk/log.h"
#include "parts.h"

#define REBUILD_MS   (15 * 60 * 1000)
#define CRYPTTAB_MAX 65536

/* ---- crypttab */

struct table {
	bool write;
	unsigned mode;
	size_t n;
	uint8_t text[CRYPTTAB_MAX]; /* as it will be */
};

/* Before anything is changed: a table that cannot be edited is known then. */
LK_CHECK static enum lk_code plan_crypttab(
    const struct lk_bind *w, struct table *t, struct lk_err *e)
{
	static uint8_t store[CRYPTTAB_MAX];
	struct lk_buf old = LK_BUF(store), new = LK_BUF(t->text);
	const char *path = lk_bind_args.crypttab;
	struct stat st;

	t->mode = stat(path, &st) == 0 ? st.st_mode & 0777 : 0644;
	if (lk_file_read(path, &old, e) != LK_OK) {
		if (e->code != LK_EABSENT)
			return e->code;
		*e = (struct lk_err){0};
	}
	if (lk_crypttab_edit(lk_slice_buf(&old), lk_boot_flavor(), w->conf.name, w->conf.uuid, true,
		&new, e) != LK_OK)
		return lk_err_prefix(e, "%s", path);
	t->n = new.n;
	t->write = !lk_slice_eq(lk_slice_buf(&old), lk_slice_buf(&new));
	return LK_OK;
}

/* ---- recovery key */

LK_CHECK static enum lk_code add_recovery(struct lk_bind *w, struct lk_err *e)
{
	LK_SECRET key = {0};
	struct lk_bind_held *held = NULL;
	struct lk_binding b = {0};
	uint8_t store[80];
	struct lk_buf json = LK_BUF(store);
	enum lk_code rc;

	if (lk_bind_held(&held, e) != LK_OK || lk_header_read(&w->h, e) != LK_OK)
		return e->code;
	if (held->existing.n == 0 && lk_ctl_passphrase(w->a->flags.passphrase_file, w->h.device,
					 &held->existing, e) != LK_OK)
		return e->code;
	/* Shown before it is added: a cut in between leaves a note that opens nothing, and never a
	 * slot that nobody has the key of. */
	if (lk_header_free(&w->h, LK_SLOT_ANY, &b, e) != LK_OK ||
	    lk_recovery_make(&key, e) != LK_OK ||
	    lk_recovery_show(STDOUT_FILENO, &key, w->h.device, e) != LK_OK)
		return e->code;
	lk_buf_fmt(&json, LK_RECOVERY_TOKEN, (unsigned)b.slot);
	rc = lk_header_add_slot(
	    &w->h, b.slot, lk_secret_slice(&held->existing), lk_secret_slice(&key), e);
	if (rc == LK_OK)
		rc = lk_header_token(&w->h, b.token, lk_slice_buf(&json), e);
	if (rc == LK_OK)
		rc = lk_header_test(&w->h, b.slot, lk_secret_slice(&key), e);
	if (rc != LK_OK)
		return lk_err_prefix(e, "the recovery key above is NOT valid");
	lk_print(STDOUT_FILENO, "the recovery key above is valid: key slot %u\n", (unsigned)b.slot);
	return LK_OK;
}

/* ---- the verb */

LK_CHECK static enum lk_code bind_released(
    struct lk_bind *w, enum lk_bind_place how, struct table *t, struct lk_err *e)
{
	const struct lk_bind_args *o = &lk_bind_args;

	if (lk_bind_obtain(w, e) != LK_OK || lk_bind_plan(w, how, e) != LK_OK ||
	    (o->write_crypttab && plan_crypttab(w, t, e) != LK_OK) ||
	    lk_bind_write(w, e) != LK_OK || lk_bind_prove(w, e) != LK_OK)
		return e->code;
	return lk_bind_save(w, e);
}

LK_CHECK static enum lk_code bind_offline(
    struct lk_bind *w, enum lk_bind_place how, struct table *t, struct lk_err *e)
{
	const struct lk_bind_args *o = &lk_bind_args;

	if (o->public_key == NULL) {
		(void)lk_fail(e, LK_EUSAGE, "--offline needs the public half of the key");
		return lk_hint(e, "give it with --public-key FILE: PEM, or what az keyvault key "
				  "show prints");
	}
	if (lk_bind_obtain_offline(w, o->public_key, e) != LK_OK ||
	    lk_bind_plan(w, how, e) != LK_OK ||
	    (o->write_crypttab && plan_crypttab(w, t, e) != LK_OK) ||
	    lk_bind_write(w, e) != LK_OK || lk_bind_save(w, e) != LK_OK ||
	    lk_bind_activate(w, e) != LK_OK)
		return e->code;
	return lk_bind_prove(w, e);
}

static void tell(const struct lk_bind *w)
{
	uint8_t store[300], line[300];
	struct lk_buf integrity = LK_BUF(store), crypttab = LK_BUF(line);
	const char *path = lk_bind_args.crypttab;

	lk_integrity_line(&w->h.now, &integrity);
	lk_crypttab_line(lk_boot_flavor(), w->conf.name, w->conf.uuid, &crypttab);
	lk_print(1,
	    "bound %s as volume %s: key slot %u, token %u, binding %s, %s\n"
	    "  key            %s\n  attestation    %s\n  configuration  %s\n  %.*s\n",
	    w->h.device, w->conf.name, (unsigned)w->b.slot, (unsigned)w->b.token, w->b.id,
	    w->conf.kind == LK_WRAPPED
		? "its slot tested (a release was not: that takes the machine)"
		: "proved by a second run",
	    w->b.key, w->b.attest, w->file.path, (int)integrity.n, (const char *)integrity.p);
	if (w->conf.kind == LK_WRAPPED)
		lk_print(1, "  pinned secret  %s\n", w->conf.wrapped);
	lk_print(1, "%s %s:\n  %.*s\n",
	    lk_bind_args.write_crypttab ? "the line in" : "next: the line for", path,
	    (int)crypttab.n, (const char *)crypttab.p);
	if (!lk_bind_args.rebuild)
		lk_print(1, "next: rebuild the initramfs, then latchkeyctl image-check\n");
}

/* The binding stands; what comes now can be repeated by the same command. */
LK_CHECK static enum lk_code afterwards(
    struct lk_args *a, struct lk_bind *w, const struct table *t, struct lk_err *e)
{
	const struct lk_bind_args *o = &lk_bind_args;

	if (t->write &&
	    lk_file_replace(o->crypttab, lk_slice_of(t->text, t->n), t->mode, e) != LK_OK)
		return lk_err_prefix(e, "the volume is bound, but");
	tell(w);
	lk_bind_strangers(w);
	if (o->recovery && add_recovery(w, e) != LK_OK)
		return lk_err_prefix(e, "the volume is bound, but");
	lk_bind_close(w);
	if (!o->rebuild)
		return LK_OK;
	if (lk_image_rebuild(lk_boot_flavor(), lk_deadline_in(REBUILD_MS), e) != LK_OK)
		return lk_err_prefix(e, "the volume is bound, but");
	a->words = 0;
	return lk_verb_image_check(a, e);
}

LK_CHECK static enum lk_code start(struct lk_args *a, struct lk_bind *w, struct lk_err *e)
{
	const struct lk_bind_args *o = &lk_bind_args;

	if (a->words != 1)
		return lk_fail(e, LK_EUSAGE, "enroll wants one DEVICE");
	if (o->alternative && o->first)
		return lk_fail(e, LK_EUSAGE, "--alternative and --first exclude each other");
	if (!o->offline && o->public_key != NULL)
		return lk_fail(e, LK_EUSAGE, "--public-key is for --offline");
	if (a->conf.name[0] == '\0')
		lk_fmt(a->conf.name, sizeof(a->conf.name), "root");
	w->a = a;
	w->conf = a->conf;
	if (lk_bind_open(w, a->word[0], e) != LK_OK)
		return e->code;
	if (a->flags.force) {
		w->file.n = 0;
		w->file.text_n = 0;
	} else if (w->file.n > 0 && strcmp(w->file.binding[0].uuid, w->h.now.uuid) != 0) {
		(void)lk_fail(e, LK_ECONF, "%s is for the volume %s, %s is %s", w->file.path,
		    w->file.binding[0].uuid, w->h.device, w->h.now.uuid);
		return lk_hint(e, "choose another --name, or replace the file with --force");
	}
	return LK_OK;
}

enum lk_code lk_verb_enroll(struct lk_args *a, struct lk_err *e)
{
	static struct lk_bind w;
	static struct table t;
	const struct lk_bind_args *o = &lk_bind_args;
	enum lk_bind_place how = o->alternative ? LK_BIND_LAST
				 : o->first     ? LK_BIND_FIRST
						: LK_BIND_ONLY;

	if (start(a, &w, e) == LK_OK &&
	    (o->offline ? bind_offline(&w, how, &t, e) : bind_released(&w, how, &t, e)) == LK_OK)
		return afterwards(a, &w, &t, e);
	lk_bind_undo(&w);
	lk_bind_close(&w);
	return e->code;
}
