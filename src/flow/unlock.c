/* From pins and a LUKS2 header to the volume's key; the contract is in lk/unlock.h. */
#include <string.h>

#include "lk/log.h"
#include "lk/unlock.h"

static bool same(const char *a, const char *b)
{
	return lk_slice_eq(lk_slice_str(a), lk_slice_str(b));
}

enum lk_code lk_disk_header(int disk_fd, lk_time deadline, struct lk_luks2 *out, struct lk_err *e)
{
	static uint8_t room[32u * 1024u];
	struct lk_buf store = LK_BUF(room);
	struct lk_courier_conf conf;
	struct lk_courier c;

	memset(&conf, 0, sizeof(conf));
	conf.peer = LK_PEER_DISK;
	conf.disk_fd = disk_fd;
	conf.deadline = deadline;
	enum lk_code rc = lk_courier_start(&conf, &c, e);
	if (rc != LK_OK)
		return rc;
	rc = lk_read_tokens(&c, &store, out, e);
	lk_courier_stop(&c);
	return rc;
}

/* ---- pins */

static enum lk_code differs(const struct lk_binding *b, const char *what, const char *has,
    const char *pin, struct lk_err *e)
{
	return lk_fail(e, LK_ETRUST, "token %u: %s is %.150s, the configuration pins %.150s",
	    (unsigned)b->token, what, has[0] ? has : "missing", pin[0] ? pin : "none");
}

/* A pin without a version fits every version of that key; which one it is, the thumbprint says. */
static enum lk_code check_key(const char *pin, const struct lk_binding *b, struct lk_err *e)
{
	struct lk_key_url want, has;
	enum lk_code rc = lk_key_url_parse(lk_slice_str(pin), &want, e);

	if (rc != LK_OK)
		return e->code = LK_ECONF, lk_err_prefix(e, "the pinned key");
	rc = lk_key_url_parse(lk_slice_str(b->key), &has, e);
	if (rc != LK_OK)
		return rc;
	if (!same(want.url.host, has.url.host) || want.url.port != has.url.port ||
	    !same(want.name, has.name) ||
	    (want.version[0] != '\0' && !same(want.version, has.version)))
		return differs(b, "key", b->key, pin, e);
	return LK_OK;
}

static enum lk_code check_attest(const char *pin, const struct lk_binding *b, struct lk_err *e)
{
	struct lk_url want, has;
	enum lk_code rc = lk_url_parse(lk_slice_str(pin), &want, e);

	if (rc != LK_OK)
		return e->code = LK_ECONF, lk_err_prefix(e, "the pinned attestation service");
	rc = lk_url_parse(lk_slice_str(b->attest), &has, e);
	if (rc != LK_OK)
		return rc;
	if (!same(want.host, has.host) || want.port != has.port)
		return differs(b, "attest", b->attest, pin, e);
	return LK_OK;
}

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

static enum lk_code check_binding(
    const struct lk_conf *conf, const struct lk_binding *b, struct lk_err *e)
{
	if (!same(b->uuid, conf->uuid))
		return differs(b, "uuid", b->uuid, conf->uuid, e);
	enum lk_code rc = check_kind(conf, b, e);
	if (rc == LK_OK)
		rc = check_key(conf->key, b, e);
	if (rc == LK_OK)
		rc = check_attest(conf->attest, b, e);
	if (rc == LK_OK && !same(b->thumbprint, conf->thumbprint))
		rc = differs(b, "thumbprint", b->thumbprint, conf->thumbprint, e);
	return rc;
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
	rc = lk_fail(e, LK_ELUKS, "no token of type " LK_BINDING_TYPE " has a key slot");
	(void)lk_hint(e, "an enrolment was cut short: run latchkeyctl enroll again");
	for (size_t i = 0; i < h->count; i++) {
		if (h->bindings[i].state != LK_BINDING_ACTIVE)
			continue;
		rc = check_binding(conf, &h->bindings[i], e);
		if (rc == LK_OK) {
			*out = &h->bindings[i];
			memset(e, 0, sizeof(*e));
			return LK_OK;
		}
		if (i + 1 < h->count)
			lk_log(LK_LOG_WARN, "%s; skipped", e->msg);
	}
	if (rc == LK_ETRUST && e->hint[0] == '\0')
		return lk_hint(e, "the disk's token was changed or comes from another disk, or "
				  "the configuration is out of date");
	return rc;
}

/* ---- key */

/* What proves the token comes first: a MAC needs the private key, so a disk that was made with the
 * public half alone ends here, before anything is opened. A wrapped secret is proved by its pin. */
static enum lk_code secret_of(const struct lk_conf *conf, const struct lk_binding *b,
    const struct lk_pub *pub, const struct lk_secret *plain, struct lk_secret *out,
    struct lk_err *e)
{
	LK_SECRET ikm = {0};
	enum lk_code rc = lk_binding_fits(b, pub->kty, e);

	if (rc == LK_OK)
		rc = lk_key_canonical(pub, lk_secret_slice(plain), &ikm, e);
	if (rc == LK_OK)
		rc = lk_binding_is(b, LK_WRAPPED) ? lk_binding_pinned(b, conf->wrapped, e)
						  : lk_binding_verify(b, &ikm, e);
	if (rc == LK_OK)
		rc = lk_binding_disk_key(b, pub, lk_secret_slice(plain), &ikm, out, e);
	return rc;
}

static enum lk_code unlock_with(struct lk_run *r, const struct lk_conf *conf,
    const struct lk_binding *b, struct lk_secret *key, struct lk_err *e)
{
	struct lk_key released;
	LK_SECRET plain = {0};
	enum lk_code rc = lk_run_use_key(r, b->key, b->thumbprint, e);

	if (rc == LK_OK)
		rc = lk_run_release(r, &released, &plain, e);
	if (rc != LK_OK)
		return rc;
	/* For an oct key both are empty, and the MAC alone tells. */
	if (!same(released.thumbprint, b->thumbprint))
		return lk_fail(e, LK_ETRUST, "token %u: thumbprint is %s, the vault's key has %s",
		    (unsigned)b->token, b->thumbprint[0] ? b->thumbprint : "missing",
		    released.thumbprint[0] ? released.thumbprint : "none");
	return secret_of(conf, b, &released.pub, &plain, key, e);
}

enum lk_code lk_unlock_key(struct lk_run *r, const struct lk_conf *conf, int disk_fd,
    struct lk_secret *key, uint32_t *slot, struct lk_err *e)
{
	static struct lk_luks2 h;
	const struct lk_binding *b = NULL;
	enum lk_code rc = lk_disk_header(disk_fd, lk_run_deadline(r), &h, e);

	if (rc == LK_OK)
		rc = lk_unlock_pins(conf, &h, &b, e);
	if (rc != LK_OK || !b)
		return rc;
	rc = unlock_with(r, conf, b, key, e);
	if (rc != LK_OK)
		lk_secret_clear(key);
	else
		*slot = b->slot;
	return rc;
}
