/* verb_unlock.c - `latchkey unlock` and `latchkey key`: a volume's key, to cryptsetup or to whom
 * asked. */
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "app.h"
#include "lk/cryptsetup.h"
#include "lk/fmt.h"
#include "lk/io.h"
#include "lk/log.h"

LK_CHECK static enum lk_code open_mapping(const struct lk_conf *conf, const char *device,
    uint32_t slot, const struct lk_secret *key, lk_time deadline, struct lk_err *e)
{
	return lk_cs_open(
	    conf->cryptsetup, device, conf->name, slot, lk_secret_slice(key), deadline, e);
}

LK_CHECK static enum lk_code write_key(const struct lk_conf *conf, const char *device,
    uint32_t slot, const struct lk_secret *key, lk_time deadline, struct lk_err *e)
{
	(void)conf;
	(void)device;
	(void)slot;
	if (lk_write_full(STDOUT_FILENO, key->p, key->n, deadline, e) != LK_OK)
		return lk_err_prefix(e, "standard output");
	return LK_OK;
}

enum lk_code lk_verb_unlock(struct lk_args *a, struct lk_err *e)
{
	static const struct lk_serving how = {"unlocked", true, false, open_mapping};
	static struct lk_volumes names;

	if (lk_volumes(a, &names, e) != LK_OK)
		return e->code;
	return lk_volumes_serve(a, &names, &how, e);
}

/* systemd's cryptsetup connects from the abstract name <random>/cryptsetup/VOLUME. */
LK_CHECK static enum lk_code peer_volume(char name[static 64], struct lk_err *e)
{
	struct sockaddr_un peer = {0};
	socklen_t len = sizeof(peer), cred_len = sizeof(struct ucred);
	struct ucred cred = {0};
	struct lk_slice text, middle = LK_S("/cryptsetup/");
	size_t at = 0;

	if (getpeername(STDIN_FILENO, (struct sockaddr *)&peer, &len) != 0 ||
	    getsockopt(STDIN_FILENO, SOL_SOCKET, SO_PEERCRED, &cred, &cred_len) != 0)
		return lk_fail_sys(e, errno, "standard input is not a key socket");
	if (cred.uid != 0)
		return lk_fail(
		    e, LK_EDENIED, "user %u asked for a key: only root may", (unsigned)cred.uid);
	len = len > sizeof(peer) ? sizeof(peer) : len;
	text = lk_slice_of(peer.sun_path, len > offsetof(struct sockaddr_un, sun_path)
					      ? len - offsetof(struct sockaddr_un, sun_path)
					      : 0);
	if (text.n == 0 || text.p[0] != '\0')
		return lk_fail(e, LK_EPROTO, "the asking process has no name of the key protocol");
	text = lk_slice_sub(text, 1, text.n);
	if (!lk_slice_find(text, '/', &at) ||
	    !lk_slice_starts(lk_slice_sub(text, at, text.n), middle))
		return lk_fail(e, LK_EPROTO, "the asking process does not ask for a volume's key");
	return lk_slice_cstr(lk_slice_sub(text, at + middle.n, text.n), name, 64, e);
}

LK_CHECK static enum lk_code hand_over(const struct lk_args *a, const char *name, struct lk_err *e)
{
	static const struct lk_serving how = {"key handed over", false, true, write_key};
	static struct lk_volumes one = {.n = 1};

	if (lk_fmt(one.name[0], sizeof(one.name[0]), "%s", name) >= sizeof(one.name[0]))
		return lk_fail(e, LK_ECONF, "the volume's name is too long");
	return lk_volumes_serve(a, &one, &how, e);
}

enum lk_code lk_verb_key(struct lk_args *a, struct lk_err *e)
{
	char name[64] = "root";

	if (a->words > 1 || (a->flags.socket && a->words > 0))
		return lk_fail(e, LK_EUSAGE, "one volume's name is wanted, or --socket");
	if (!a->flags.socket) {
		if (isatty(STDOUT_FILENO)) {
			(void)lk_fail(e, LK_EUSAGE,
			    "standard output is a terminal: a key is not shown there");
			return lk_hint(e, "send it into a pipe");
		}
		return hand_over(a, a->words == 1 ? a->word[0] : name, e);
	}
	lk_app_log(a, true);
	if (peer_volume(name, e) != LK_OK || hand_over(a, name, e) != LK_OK) {
		/* An empty answer and success make systemd ask for the passphrase; a failure would
		 * fail the unit, and the boot with it. */
		lk_log_err(LK_LOG_ERR, e);
		lk_log(LK_LOG_WARN, "no key for volume %s: the passphrase will be asked for", name);
		*e = (struct lk_err){0};
	}
	return LK_OK;
}
