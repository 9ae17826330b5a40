/* verb_unlock.c - `latchkey unlock` and `latchkey key`: a volume's key, to cryptsetup or to whom
 * asked. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "app.h"
#include "lk/cryptsetup.h"
#include "lk/fmt.h"
#include "lk/io.h"
#include "lk/log.h"
#include "lk/unlock.h"

/* What to do with the key, once it is there. */
typedef enum lk_code (*use_key)(const struct lk_conf *conf, const char *device, uint32_t slot,
    const struct lk_secret *key, lk_time deadline, struct lk_err *e);

LK_CHECK static enum lk_code with_key(
    const struct lk_conf *conf, use_key use, struct lk_run **run, struct lk_err *e)
{
	LK_SECRET key = {0};
	char device[300];
	uint32_t slot = 0;
	int fd = -1;
	enum lk_code rc;

	if (lk_unlock_ready(conf, e) != LK_OK || lk_app_start(conf, true, run, e) != LK_OK)
		return e->code;
	lk_log(LK_LOG_INFO, "volume %s: asking for %s, attested by %s", conf->name, conf->key,
	    conf->attest);
	rc = lk_device_open(conf, lk_run_deadline(*run), &fd, device, e);
	if (rc == LK_OK)
		rc = lk_unlock_key(*run, conf, fd, &key, &slot, e);
	if (rc == LK_OK)
		rc = use(conf, device, slot, &key, lk_run_deadline(*run), e);
	lk_close(&fd);
	return rc;
}

/* One volume from configuration to report. `done` is the word for success. */
LK_CHECK static enum lk_code work(
    struct lk_args *a, const char *name, use_key use, const char *done, struct lk_err *e)
{
	uint8_t store[1024];
	struct lk_buf steps = LK_BUF(store);
	struct lk_run *run = NULL;
	enum lk_code rc;

	if (lk_opts_volume(name, a, e) != LK_OK)
		return e->code;
	lk_app_log(a, a->conf.kmsg);
	rc = with_key(&a->conf, use, &run, e);
	if (rc == LK_OK) {
		lk_status_steps(lk_run_timeline(run), &steps);
		lk_log(LK_LOG_INFO, "volume %s: %s (%.*s)", a->conf.name, done, (int)steps.n,
		    (const char *)steps.p);
	} else {
		(void)lk_err_prefix(e, "volume %s", a->conf.name);
	}
	lk_status_write(
	    &a->conf, run == NULL ? NULL : lk_run_timeline(run), rc == LK_OK ? done : "failed", e);
	lk_run_end(run);
	return rc;
}

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

static bool is_open(const char *name)
{
	char path[128];

	lk_fmt(path, sizeof(path), "/dev/mapper/%s", name);
	return access(path, F_OK) == 0;
}

enum lk_code lk_verb_unlock(struct lk_args *a, struct lk_err *e)
{
	static struct lk_volumes v;
	static struct lk_args one;
	struct lk_err last = {0};

	if (lk_volumes(a, &v, e) != LK_OK)
		return e->code;
	for (size_t i = 0; i < v.n; i++) {
		struct lk_err mine = {0};

		if (is_open(v.name[i])) {
			lk_log(LK_LOG_INFO, "volume %s: open already", v.name[i]);
			continue;
		}
		one = *a;
		if (work(&one, v.name[i], open_mapping, "unlocked", &mine) == LK_OK)
			continue;
		/* The others are still tried; every failure but the last is told here. */
		if (last.code != LK_OK)
			lk_log_err(LK_LOG_ERR, &last);
		last = mine;
	}
	*e = last;
	return e->code;
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
		return work(a, a->words == 1 ? a->word[0] : name, write_key, "key handed over", e);
	}
	lk_app_log(a, true);
	if (peer_volume(name, e) != LK_OK ||
	    work(a, name, write_key, "key handed over", e) != LK_OK) {
		/* An empty answer and success make systemd ask for the passphrase; a failure would
		 * fail the unit, and the boot with it. */
		lk_log_err(LK_LOG_ERR, e);
		lk_log(LK_LOG_WARN, "no key for volume %s: the passphrase will be asked for", name);
		*e = (struct lk_err){0};
	}
	return LK_OK;
}
