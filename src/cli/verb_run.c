/* verb_run.c - `latchkey attest` and `latchkey release`: the run without a disk. */
#include <unistd.h>

#include "app.h"
#include "lk/io.h"
#include "lk/log.h"

/* An operand names a volume whose configuration gives what the command line does not. */
LK_CHECK static enum lk_code configure(struct lk_args *a, struct lk_err *e)
{
	if (a->words > 1)
		return lk_fail(e, LK_EUSAGE, "at most one volume's name is wanted");
	return a->words == 0 ? LK_OK : lk_opts_volume(a->word[0], a, e);
}

enum lk_code lk_verb_attest(struct lk_args *a, struct lk_err *e)
{
	static struct lk_maa_claims claims;
	struct lk_run *run = NULL;
	struct lk_slice jwt;
	enum lk_code rc;

	if (configure(a, e) != LK_OK || lk_app_start(&a->conf, false, &run, e) != LK_OK)
		return e->code;
	rc = lk_run_attest(run, &jwt, &claims, e);
	if (rc == LK_OK) {
		lk_log(LK_LOG_INFO, "attested: %s", claims.summary);
		rc = lk_app_print(jwt, e);
	}
	if (rc == LK_OK)
		rc = lk_app_print(LK_S("\n"), e);
	lk_run_end(run);
	return rc;
}

enum lk_code lk_verb_release(struct lk_args *a, struct lk_err *e)
{
	LK_SECRET plain = {0};
	static struct lk_key key;
	uint8_t store[1024];
	struct lk_buf steps = LK_BUF(store);
	struct lk_run *run = NULL;
	int fd = (int)a->flags.fd;
	enum lk_code rc;

	if (isatty(fd)) {
		(void)lk_fail(
		    e, LK_EUSAGE, "descriptor %d is a terminal: a key is not shown there", fd);
		return lk_hint(e, "send it into a pipe or a file, or name another with --fd");
	}
	if (configure(a, e) != LK_OK || lk_app_start(&a->conf, true, &run, e) != LK_OK)
		return e->code;
	rc = lk_run_release(run, &key, &plain, e);
	if (rc == LK_OK) {
		lk_status_steps(lk_run_timeline(run), &steps);
		lk_log(LK_LOG_INFO, "released %s (%.*s)", key.kid, (int)steps.n,
		    (const char *)steps.p);
		rc = lk_write_full(fd, plain.p, plain.n, lk_run_deadline(run), e);
		if (rc != LK_OK)
			(void)lk_err_prefix(e, "descriptor %d", fd);
	}
	lk_run_end(run);
	return rc;
}
