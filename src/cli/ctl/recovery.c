/* recovery.c - a recovery key, made and shown once; see parts.h.
 *
 * The format is that of systemd-cryptenroll(1): letters that lie in the same places on almost every
 * keyboard, so that it can be typed at a prompt whatever layout the initramfs has.
 */
#include <unistd.h>

#include "lk/fmt.h"
#include "lk/io.h"
#include "lk/log.h"
#include "lk/rng.h"
#include "parts.h"

#define BYTES    32
#define GROUP    4 /* bytes, then a dash */
#define QRENCODE "/usr/bin/qrencode"
#define SHOW_MS  (5 * 60 * 1000) /* somebody may have stopped the terminal */

enum lk_code lk_recovery_make(struct lk_secret *out, struct lk_err *e)
{
	static const char letters[] = "cbdefghijklnrtuv";
	uint8_t raw[BYTES];

	lk_secret_clear(out);
	if (lk_rng(raw, sizeof(raw), e) != LK_OK)
		return e->code;
	for (size_t i = 0; i < BYTES; i++) {
		if (i > 0 && i % GROUP == 0)
			out->p[out->n++] = '-';
		out->p[out->n++] = (uint8_t)letters[raw[i] >> 4];
		out->p[out->n++] = (uint8_t)letters[raw[i] & 15];
	}
	lk_wipe(raw, sizeof(raw));
	return LK_OK;
}

/* The text is there by now, so that a failure costs no more than the picture. */
static void show_code(int to, const struct lk_secret *key)
{
	static const char *const argv[] = {"qrencode", "-t", "UTF8", "-m", "2", "-o", "-", NULL};
	struct lk_tool t = {.program = QRENCODE,
	    .argv = argv,
	    .input = lk_secret_slice(key),
	    .out = to,
	    .err = -1,
	    .deadline = lk_deadline_in(SHOW_MS)};
	struct lk_err e = {0};

	if (access(QRENCODE, X_OK) == 0 && lk_tool_run(&t, &e) != LK_OK)
		lk_log_err(LK_LOG_WARN, &e);
}

LK_CHECK static enum lk_code put(int to, struct lk_slice text, struct lk_err *e)
{
	if (lk_write_full(to, text.p, text.n, lk_deadline_in(SHOW_MS), e) == LK_OK)
		return LK_OK;
	return lk_err_prefix(e, "the recovery key cannot be shown");
}

enum lk_code lk_recovery_show(
    int to, const struct lk_secret *key, const char *device, struct lk_err *e)
{
	uint8_t store[400];
	struct lk_buf head = LK_BUF(store);

	lk_buf_fmt(&head, "Recovery key of %s, shown this once:\n\n    ", device);
	if (head.bad)
		return lk_fail(e, LK_ELIMIT, "%.40s...: name too long", device);
	if (put(to, lk_slice_buf(&head), e) != LK_OK || put(to, lk_secret_slice(key), e) != LK_OK ||
	    put(to, LK_S("\n\n"), e) != LK_OK)
		return e->code;
	show_code(to, key);
	return put(to,
	    LK_S("Keep it where this machine and its vault cannot lose it. It opens the volume "
		 "when typed as its\npassphrase, with its dashes.\n"),
	    e);
}
