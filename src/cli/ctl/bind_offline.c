/* bind_offline.c - a binding for whoever has the private key, made with the public half alone:
 * image builders have no machine that could attest. */
#include <string.h>

#include "bind.h"
#include "lk/fmt.h"
#include "lk/log.h"
#include "parts.h"

static bool same(const char *a, const char *b)
{
	return lk_slice_eq(lk_slice_str(a), lk_slice_str(b));
}

/* --key may be left to the file; when both name the key, they must mean the same. */
LK_CHECK static enum lk_code which_key(
    const struct lk_bind *w, const char *kid, char out[static 600], struct lk_err *e)
{
	struct lk_key_url asked, said;

	lk_fmt(out, 600, "%s", w->conf.key[0] != '\0' ? w->conf.key : kid);
	if (out[0] == '\0') {
		(void)lk_fail(
		    e, LK_ECONF, "no key is set, and the file of the public half names none");
		return lk_hint(e, "name it with --key https://HOST/keys/NAME/VERSION");
	}
	if (lk_key_url_parse(lk_slice_str(out), &asked, e) != LK_OK)
		return e->code;
	if (kid[0] != '\0') {
		if (lk_key_url_parse(lk_slice_str(kid), &said, e) != LK_OK)
			return lk_err_prefix(e, "the key's identifier in the file");
		if (!same(asked.url.host, said.url.host) || !same(asked.name, said.name) ||
		    (asked.version[0] != '\0' && !same(asked.version, said.version)))
			return lk_fail(e, LK_ECONF, "--key is %s, the file is of %s", out, kid);
		lk_fmt(out, 600, "%s", kid);
		asked = said;
	}
	if (asked.version[0] != '\0')
		return LK_OK;
	(void)lk_fail(e, LK_ECONF, "%s names no version of the key", out);
	return lk_hint(e, "only one version has this public half: add it to --key, or give the "
			  "output of az keyvault key show as the file");
}

/* A pending one's secret is lost with the call that made it. */
LK_CHECK static enum lk_code clean_up(struct lk_bind *w, const char *kid, struct lk_err *e)
{
	bool removed = false;

	for (size_t i = 0; i < w->h.now.count; i++) {
		const struct lk_binding *b = &w->h.now.bindings[i];

		if (b->state == LK_BINDING_ACTIVE || !lk_binding_is(b, LK_WRAPPED) ||
		    !same(b->key, kid))
			continue;
		lk_log(LK_LOG_WARN, "binding %s was not finished, and is removed", b->id);
		if (lk_header_remove(&w->h, b, NULL, e) != LK_OK)
			return e->code;
		removed = true;
	}
	return removed ? lk_header_read(&w->h, e) : LK_OK;
}

static bool there_already(struct lk_bind *w, const char *kid)
{
	struct lk_err e = {0};

	for (size_t i = 0; i < w->h.now.count; i++) {
		const struct lk_binding *b = &w->h.now.bindings[i];

		if (b->state != LK_BINDING_ACTIVE || !lk_binding_is(b, LK_WRAPPED) ||
		    !same(b->key, kid) || !same(b->attest, w->conf.attest))
			continue;
		for (size_t j = 0; j < w->file.n; j++)
			if (lk_binding_pinned(b, w->file.binding[j].wrapped, &e) == LK_OK) {
				w->b = *b;
				w->conf = w->file.binding[j];
				w->active = true;
				lk_log(LK_LOG_INFO, "binding %s is there already", b->id);
				return true;
			}
	}
	return false;
}

enum lk_code lk_bind_obtain_offline(struct lk_bind *w, const char *public_key, struct lk_err *e)
{
	struct lk_bind_held *held = NULL;
	static struct lk_pub pub;
	char kid[600] = "", key[600], thumbprint[44];

	w->conf.kind = LK_WRAPPED;
	if (w->conf.attest[0] == '\0') {
		(void)lk_fail(e, LK_ECONF, "no attestation provider is set");
		return lk_hint(e, "set it with --attest: the configuration pins it");
	}
	if (lk_pubkey_file(public_key, &pub, kid, e) != LK_OK ||
	    which_key(w, kid, key, e) != LK_OK || lk_pub_thumbprint(&pub, thumbprint, e) != LK_OK)
		return e->code;
	if (there_already(w, key))
		return LK_OK;
	if (clean_up(w, key, e) != LK_OK || lk_bind_held(&held, e) != LK_OK ||
	    lk_bind_describe(w, key, thumbprint, e) != LK_OK ||
	    lk_header_free(&w->h, w->a->flags.slot, &w->b, e) != LK_OK ||
	    lk_binding_wrap(&w->b, &pub, &held->slot, e) != LK_OK)
		return e->code;
	return lk_binding_pin(&w->b, w->conf.wrapped, e);
}
