/* What the configuration pins against what a header says, and which volumes may share a run; the
 * contract is in lk/unlock.h. */
#include <stddef.h>
#include <string.h>

#include "lk/hosts.h"
#include "lk/log.h"
#include "lk/unlock.h"

static bool same(const char *a, const char *b)
{
	return lk_slice_eq(lk_slice_str(a), lk_slice_str(b));
}

static enum lk_code differs(const struct lk_binding *b, const char *what, const char *has,
    const char *pin, struct lk_err *e)
{
	return lk_fail(e, LK_ETRUST, "token %u: %s is %.150s, the configuration pins %.150s",
	    (unsigned)b->token, what, has[0] ? has : "missing", pin[0] ? pin : "none");
}

/* ---- which of the volume's bindings is meant */

static bool same_place(const struct lk_url *a, const struct lk_url *b)
{
	return a->port == b->port && same(a->host, b->host);
}

static bool same_authority(const char *a, const char *b)
{
	struct lk_url x, y;
	struct lk_err e = {0};

	return lk_url_parse(lk_slice_str(a), &x, &e) == LK_OK &&
	       lk_url_parse(lk_slice_str(b), &y, &e) == LK_OK && same_place(&x, &y);
}

/* `key` false: only the vault is compared. A pin without a version fits every version of that key;
 * which one it is, the thumbprint says. */
static bool same_vault(const char *pin, const char *has, bool key)
{
	struct lk_key_url x, y;
	struct lk_err e = {0};

	return lk_key_url_parse(lk_slice_str(pin), &x, &e) == LK_OK &&
	       lk_key_url_parse(lk_slice_str(has), &y, &e) == LK_OK && same_place(&x.url, &y.url) &&
	       (!key ||
		   (same(x.name, y.name) && (x.version[0] == '\0' || same(x.version, y.version))));
}

/* Volumes may have several bindings, so that one for another key or authority is nothing odd. */
static enum lk_code check_meant(
    const struct lk_conf *conf, const struct lk_binding *b, struct lk_err *e)
{
	if (!same_vault(conf->key, b->key, true))
		return differs(b, "key", b->key, conf->key, e);
	if (!same_authority(conf->attest, b->attest))
		return differs(b, "attest", b->attest, conf->attest, e);
	return LK_OK;
}

/* ---- may it be taken */

/* derived always is welcome: it proves itself. What else is must not be the host's choice. */
static enum lk_code check_kind(
    const struct lk_conf *conf, const struct lk_binding *b, struct lk_err *e)
{
	enum lk_kind kind = LK_DERIVED;

	if (!lk_kind_parse(lk_slice_str(b->kind), &kind)) {
		(void)lk_fail(
		    e, LK_ETRUST, "token %u: kind %s is not known", (unsigned)b->token, b->kind);
		return lk_hint(e, "made by a newer latchkey? then that one belongs into the "
				  "initramfs, too");
	}
	if (kind == LK_DERIVED)
		return LK_OK;
	if (kind != LK_WRAPPED)
		return kind == conf->kind
			   ? LK_OK
			   : differs(b, "kind", b->kind, lk_kind_name(conf->kind), e);
	if (lk_binding_pinned(b, conf->wrapped, e) == LK_OK)
		return LK_OK;
	return lk_hint(e,
	    "anybody who has the public half of the vault key can make a wrapped secret: it is "
	    "taken only if /etc/latchkey/%s.conf in the measured image pins it",
	    conf->name);
}

static enum lk_code check_rest(
    const struct lk_conf *conf, const struct lk_binding *b, struct lk_err *e)
{
	if (!same(b->uuid, conf->uuid))
		return differs(b, "uuid", b->uuid, conf->uuid, e);
	enum lk_code rc = check_kind(conf, b, e);
	if (rc == LK_OK && !same(b->thumbprint, conf->thumbprint))
		rc = differs(b, "thumbprint", b->thumbprint, conf->thumbprint, e);
	return rc;
}

/* The enrolment was cut off, or the slot was removed behind our back. */
static void unfinished(const struct lk_conf *conf, const struct lk_binding *b, struct lk_err *e)
{
	(void)lk_fail(e, LK_ELUKS, "token %u: %s", (unsigned)b->token,
	    b->state == LK_BINDING_PENDING ? "the enrolment of this binding was not finished"
					   : "the key slot of this binding is gone");
	(void)lk_hint(e,
	    "latchkeyctl enroll DEVICE --name %s --key %.300s --attest %.150s, given again, %s",
	    conf->name, b->key, b->attest,
	    b->state == LK_BINDING_PENDING ? "finishes it" : "binds the volume anew");
}

/* How much the binding says about why none was taken, the least first. */
enum verdict {
	NOTHING,
	IDLE,       /* another one that is not active */
	OTHER,      /* for another key or authority */
	UNFINISHED, /* the one that is meant, and not active */
	REFUSED,    /* it names a host that is never asked, or is meant and contradicts the pins */
	TAKEN
};

/* Before anything is compared: such a binding is not one that was merely not meant. */
static bool elsewhere(const struct lk_conf *conf, const struct lk_binding *b, struct lk_err *e)
{
	if (lk_host_check_url(conf, LK_HOST_OF_KEY, b->key, e) == LK_OK &&
	    lk_host_check_url(conf, LK_HOST_OF_ATTEST, b->attest, e) == LK_OK)
		return false;
	e->code = LK_ETRUST;
	(void)lk_err_prefix(e, "token %u", (unsigned)b->token);
	(void)lk_hint(e, "the token was changed or comes from elsewhere; this host is not asked");
	return true;
}

static enum verdict judge(const struct lk_conf *conf, const struct lk_binding *b, struct lk_err *e)
{
	if (elsewhere(conf, b, e))
		return REFUSED;
	const bool meant = check_meant(conf, b, e) == LK_OK;

	if (b->state != LK_BINDING_ACTIVE) {
		unfinished(conf, b, e);
		return meant ? UNFINISHED : IDLE;
	}
	if (!meant)
		return OTHER;
	return check_rest(conf, b, e) == LK_OK ? TAKEN : REFUSED;
}

static void skip(enum verdict v, const struct lk_err *e)
{
	if (v != NOTHING)
		lk_log(v == REFUSED ? LK_LOG_WARN : LK_LOG_DEBUG, "%s; skipped", e->msg);
}

/* The first that may be taken; else e says what stood most in its way. */
static const struct lk_binding *pick(
    const struct lk_conf *conf, const struct lk_luks2 *h, struct lk_err *e)
{
	enum verdict worst = NOTHING;

	for (size_t i = 0; i < h->count; i++) {
		struct lk_err now = {0};
		const enum verdict v = judge(conf, &h->bindings[i], &now);

		if (v <= worst) {
			skip(v, &now);
			continue;
		}
		skip(worst, e);
		if (v == TAKEN) {
			memset(e, 0, sizeof(*e));
			return &h->bindings[i];
		}
		worst = v;
		*e = now;
	}
	return NULL;
}

enum lk_code lk_unlock_ready(const struct lk_conf *conf, struct lk_err *e)
{
	const char *missing = !conf->uuid[0]                                  ? "uuid"
			      : !conf->key[0]                                 ? "key"
			      : !conf->attest[0]                              ? "attest"
			      : conf->kind == LK_WRAPPED && !conf->wrapped[0] ? "wrapped"
									      : NULL;

	if (!missing)
		return LK_OK;
	(void)lk_fail(e, LK_ECONF, "the configuration pins no %s", missing);
	return lk_hint(e,
	    "bind the volume with latchkeyctl enroll, or set %s in /etc/latchkey/%s.conf; rebuild "
	    "the initramfs",
	    missing, conf->name);
}

enum lk_code lk_unlock_pins(const struct lk_conf *conf, const struct lk_luks2 *h,
    const struct lk_binding **out, struct lk_err *e)
{
	enum lk_code rc = lk_unlock_ready(conf, e);

	*out = NULL;
	if (rc != LK_OK)
		return rc;
	if (!same(h->uuid, conf->uuid)) {
		(void)lk_fail(e, LK_ETRUST, "the disk has the UUID %s, the configuration pins %s",
		    h->uuid, conf->uuid);
		return lk_hint(e, "this is not the volume that was enrolled");
	}
	if (h->count == 0) {
		(void)lk_fail(e, LK_ELUKS, "the disk has no token of type " LK_BINDING_TYPE);
		return lk_hint(e, "enrol the volume with latchkeyctl enroll");
	}
	*out = pick(conf, h, e);
	if (*out)
		return LK_OK;
	if (e->code == LK_ETRUST && e->hint[0] == '\0')
		return lk_hint(e, "the disk's token was changed or comes from another disk, or "
				  "the configuration is out of date");
	return e->code;
}

/* ---- volumes that may share a run */

bool lk_unlock_same_machine(const struct lk_conf *a, const struct lk_conf *b)
{
	return a->evidence == b->evidence && same(a->snp_path, b->snp_path) && same(a->tpm, b->tpm);
}

bool lk_unlock_together(const struct lk_conf *a, const struct lk_conf *b)
{
	static const uint16_t texts[] = {offsetof(struct lk_conf, identity_id),
	    offsetof(struct lk_conf, api_version), offsetof(struct lk_conf, trust),
	    offsetof(struct lk_conf, event_log), offsetof(struct lk_conf, attest_api_version),
	    offsetof(struct lk_conf, security_context), offsetof(struct lk_conf, init_data)};
	bool as_one = lk_unlock_same_machine(a, b) && same_authority(a->attest, b->attest) &&
		      same_vault(a->key, b->key, false) && a->identity == b->identity &&
		      a->enc == b->enc && a->vmpl == b->vmpl && a->wrap_bits == b->wrap_bits &&
		      a->kds == b->kds;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		as_one = as_one && same((const char *)a + texts[i], (const char *)b + texts[i]);
	return as_one;
}
