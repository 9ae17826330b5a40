/* status.c - what the last run for a volume did, kept below /run and shown by `latchkey status`. */
#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#include "app.h"
#include "lk/fmt.h"
#include "lk/io.h"
#include "lk/log.h"

#define STATUS_MAX 4096

void lk_status_steps(const struct lk_timeline *t, struct lk_buf *out)
{
	for (size_t i = 0; t != NULL && i < t->n; i++)
		lk_buf_fmt(out, "%s%s %u ms", i == 0 ? "" : ", ", t->step[i].name,
		    (unsigned)t->step[i].took_ms);
}

static void say(const char *label, const struct lk_err *e, struct lk_buf *out)
{
	lk_buf_fmt(out, "%-10s %s\n", label, e->msg);
	if (e->hint[0] != '\0')
		lk_buf_fmt(out, "remedy     %s\n", e->hint);
}

void lk_status_write(const struct lk_conf *conf, size_t turn, size_t bindings,
    const struct lk_timeline *t, const char *result, const struct lk_err *e)
{
	uint8_t store[STATUS_MAX];
	struct lk_buf out = LK_BUF(store);
	struct lk_err ignored = {0};
	char path[128];

	lk_buf_fmt(&out, "volume     %s\nresult     %s\nwhen       %lld\n", conf->name, result,
	    (long long)time(NULL));
	lk_buf_fmt(&out, "binding    %zu of %zu, %s\n", turn + 1, bindings, conf->key);
	if (e->code != LK_OK)
		say(lk_slice_eq_str(lk_slice_str(result), "failed") ? "failure" : "before", e,
		    &out);
	if (t != NULL)
		lk_buf_fmt(&out, "tpm        %u commands\n", t->tpm_commands);
	for (size_t i = 0; t != NULL && i < t->n; i++)
		lk_buf_fmt(&out, "step       %-16s at %6u ms, took %6u ms\n", t->step[i].name,
		    (unsigned)t->step[i].at_ms, (unsigned)t->step[i].took_ms);
	/* Only a report: a volume is not refused because /run cannot be written. */
	(void)mkdir(LK_RUN_DIR, 0700);
	lk_fmt(path, sizeof(path), LK_RUN_DIR "/%s.status", conf->name);
	if (out.bad || lk_file_replace(path, lk_slice_buf(&out), 0600, &ignored) != LK_OK)
		lk_log(LK_LOG_DEBUG, "cannot keep %s: %s", path, ignored.msg);
}

enum lk_code lk_verb_status(struct lk_args *a, struct lk_err *e)
{
	static struct lk_volumes v;
	bool any = false;

	if (lk_volumes(a, &v, e) != LK_OK)
		return e->code;
	for (size_t i = 0; i < v.n; i++) {
		uint8_t store[STATUS_MAX];
		struct lk_buf text = LK_BUF(store);
		struct lk_err absent = {0};
		char path[128];

		lk_fmt(path, sizeof(path), LK_RUN_DIR "/%s.status", v.name[i]);
		if (lk_file_read(path, &text, &absent) != LK_OK) {
			if (absent.code != LK_EABSENT) {
				*e = absent;
				return e->code;
			}
			lk_print(
			    1, "volume     %s\nresult     not tried since this boot\n", v.name[i]);
			continue;
		}
		any = true;
		if (lk_app_print(lk_slice_buf(&text), e) != LK_OK)
			return e->code;
	}
	if (!any) {
		(void)lk_fail(e, LK_EABSENT, "no volume was tried since this boot");
		return lk_hint(e, "status speaks of what latchkey unlock and latchkey key did");
	}
	return LK_OK;
}
