/* list.c - `latchkeyctl list`: the bindings of the volumes that are configured, or of those that
 * are named. Nothing is attested or opened, and nothing is waited for. */
#include "list.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "bind_opts.h"
#include "ctl.h"
#include "lk/fmt.h"
#include "lk/log.h"
#include "lk/unlock.h"
#include "opts_table.h"
#include "parts.h"

#define READ_MS (60 * 1000)

static struct lk_listed listed[LK_VOLUMES_MAX];
static uint8_t text[512 * 1024];

const char *lk_list_state(const struct lk_binding *b)
{
	switch (b->state) {
	case LK_BINDING_PENDING:
		return "pending";
	case LK_BINDING_CUT:
		return "cut";
	case LK_BINDING_ACTIVE:
		break;
	}
	return b->replaced_by[0] != '\0' ? "replaced" : "active";
}

void lk_list_identity(const struct lk_conf *c, struct lk_buf *out)
{
	uint8_t store[400];
	struct lk_buf line = LK_BUF(store);
	size_t index = 0, at = 0;
	const struct lk_opt *o = lk_opt_find(LK_S("identity"), &index);

	LK_BUG_ON(o == NULL);
	lk_opt_put(o, c, &line); /* "identity = ...\n" */
	const struct lk_slice all = lk_slice_buf(&line);
	if (lk_slice_find(all, '=', &at) && all.n > at + 3)
		lk_buf_slice(out, lk_slice_sub(all, at + 2, all.n - at - 3));
}

bool lk_list_has(const struct lk_listed *l, uint32_t choice)
{
	for (size_t i = 0; i < l->h.count; i++)
		if (l->choice[i] == choice)
			return true;
	return false;
}

void lk_list_proof(const struct lk_listed *l, size_t binding, struct lk_buf *out)
{
	const struct lk_binding *b = &l->h.bindings[binding];
	const uint32_t choice = l->choice[binding];
	char pin[65] = "";
	struct lk_err e = {0};

	if (b->state == LK_BINDING_PENDING)
		lk_buf_str(out, "unfinished, run enroll again or remove it: ");
	else if (b->state == LK_BINDING_CUT)
		lk_buf_str(out, "its key slot is gone, remove it or enroll anew: ");
	else if (b->replaced_by[0] != '\0')
		lk_buf_fmt(
		    out, "%s takes its place, run rotate again or remove it: ", b->replaced_by);
	lk_buf_fmt(out, "needs a release of %s attested by %s", b->key, b->attest);
	if (choice > 0) {
		lk_buf_str(out, ", identity ");
		lk_list_identity(&l->v.f.binding[choice - 1], out);
	} else {
		lk_buf_str(out, ", and a NAME.conf that names it");
	}
	if (lk_binding_is(b, LK_WRAPPED) && lk_binding_pin(b, pin, &e) == LK_OK)
		lk_buf_fmt(out, "%s wrapped = %s", choice > 0 ? "; pinned by" : " with", pin);
}

/* ---- looking */

static void look(const struct lk_args *a, struct lk_listed *l)
{
	if (lk_volume_find(a, l->operand, &l->v, &l->e) != LK_OK)
		return;
	int fd = open(l->v.device, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		(void)lk_fail_sys(&l->e, errno, "%s", l->v.device);
		return;
	}
	enum lk_code rc = lk_disk_header(fd, lk_deadline_in(READ_MS), &l->h, &l->e);
	close(fd);
	if (rc != LK_OK) {
		(void)lk_err_prefix(&l->e, "%s", l->v.device);
		return;
	}
	lk_volume_name(a, l->h.uuid, &l->v);
	for (size_t i = 0; i < l->h.count; i++)
		l->choice[i] = lk_volume_choice(&l->v, &l->h, &l->h.bindings[i]);
}

/* ---- the table */

static const char *title(const struct lk_listed *l)
{
	return l->v.name[0] != '\0' ? l->v.name : l->operand;
}

static void rows(const struct lk_listed *l, int width, struct lk_buf *out)
{
	for (size_t i = 0; i < l->h.count; i++) {
		const struct lk_binding *b = &l->h.bindings[i];
		char slot[12] = "-", choice[12] = "-";

		if (b->state != LK_BINDING_CUT)
			lk_fmt(slot, sizeof(slot), "%u", (unsigned)b->slot);
		if (l->choice[i] > 0)
			lk_fmt(choice, sizeof(choice), "%u", (unsigned)l->choice[i]);
		lk_buf_fmt(out, "%-*s %-16s %-9s %-8s %-4s %-5u %-6s %s %s\n", width, title(l),
		    b->id, lk_list_state(b), b->kind, slot, (unsigned)b->token, choice, b->key,
		    b->attest);
	}
	for (uint32_t t = 0; t <= LK_SLOT_MAX; t++)
		if ((l->h.tokens_bad >> t & 1) != 0)
			lk_buf_fmt(out, "%-*s %-16s %-9s %-8s %-4s %-5u %-6s %s %s\n", width,
			    title(l), "-", "malformed", "-", "-", (unsigned)t, "-", "-", "-");
}

static void notes(const struct lk_listed *l, struct lk_buf *out)
{
	lk_buf_fmt(out, "\n%s: %s, LUKS UUID %s", title(l), l->v.device, l->h.uuid);
	if (l->v.name[0] == '\0')
		lk_buf_str(out, ", no NAME.conf names it");
	if (l->h.reencrypting)
		lk_buf_str(out, ", a reencryption is under way");
	lk_buf_str(out, "\n  ");
	lk_integrity_line(&l->h, out);
	lk_buf_str(out, l->h.count == 0 ? "\n  no binding\n" : "\n");
	for (size_t i = 0; i < l->h.count; i++) {
		lk_buf_fmt(out, "  %s ", l->h.bindings[i].id);
		lk_list_proof(l, i, out);
		lk_buf_str(out, "\n");
	}
	for (uint32_t t = 0; t <= LK_SLOT_MAX; t++)
		if ((l->h.tokens_bad >> t & 1) != 0)
			lk_buf_fmt(out,
			    "  token %u is of type latchkey and malformed: no boot takes it; "
			    "cryptsetup token remove --token-id %u %s\n",
			    (unsigned)t, (unsigned)t, l->v.device);
	for (uint32_t c = 1; c <= l->v.f.n; c++)
		if (!lk_list_has(l, c))
			lk_buf_fmt(out, "  choice %u of %s is not in the header: %s\n", (unsigned)c,
			    l->v.f.path, l->v.f.binding[c - 1].key);
}

static void table(const struct lk_listed *l, size_t n, struct lk_buf *out)
{
	int width = 6; /* "volume" */

	for (size_t i = 0; i < n; i++)
		if (strlen(title(&l[i])) > (size_t)width)
			width = (int)strlen(title(&l[i]));
	lk_buf_fmt(out, "%-*s %-16s %-9s %-8s %-4s %-5s %-6s %s\n", width, "volume", "binding",
	    "state", "kind", "slot", "token", "choice", "key and attestation authority");
	for (size_t i = 0; i < n; i++)
		if (l[i].e.code == LK_OK)
			rows(&l[i], width, out);
	for (size_t i = 0; i < n; i++)
		if (l[i].e.code == LK_OK)
			notes(&l[i], out);
}

/* One that cannot be read does not hide the others; the first failure is the verb's. */
LK_CHECK static enum lk_code verdict(size_t n, struct lk_err *e)
{
	for (size_t i = 0; i < n; i++) {
		if (listed[i].e.code == LK_OK)
			continue;
		if (e->code == LK_OK)
			*e = listed[i].e;
		else
			lk_log_err(LK_LOG_ERR, &listed[i].e);
	}
	return e->code;
}

enum lk_code lk_verb_list(struct lk_args *a, struct lk_err *e)
{
	static struct lk_volumes configured;
	struct lk_buf out = LK_BUF(text);
	size_t n = a->words;

	if (n == 0) {
		if (lk_volumes(a, &configured, e) != LK_OK)
			return e->code;
		n = configured.n;
	}
	for (size_t i = 0; i < n; i++) {
		listed[i].operand = a->words > 0 ? a->word[i] : configured.name[i];
		look(a, &listed[i]);
	}
	if (lk_bind_args.json)
		lk_list_json(listed, n, &out);
	else
		table(listed, n, &out);
	if (out.bad)
		return lk_fail(e, LK_ELIMIT, "too much to list at once: name fewer volumes");
	if (lk_app_print(lk_slice_buf(&out), e) != LK_OK)
		return e->code;
	return verdict(n, e);
}
