/* bind_prove.c - before anything is called done: what the next boot will do, with what it will
 * have. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "bind.h"
#include "lk/io.h"
#include "lk/log.h"
#include "opts_table.h"

/* Settings of the machine where one enrols; the rest must come from the text. */
static const char *const ours[] = {
    "tpm", "event-log", "cryptsetup", "snp-path", "security-context", "kmsg", "trust", "timeout"};

static uint64_t ours_given(const struct lk_args *a)
{
	uint64_t mask = 0;
	size_t index = 0;

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (lk_opt_find(lk_slice_str(ours[i]), &index) != NULL)
			mask |= (uint64_t)1 << index;
	return a->given & mask;
}

LK_CHECK static enum lk_code boot_args(
    const struct lk_bind *w, struct lk_args *out, struct lk_err *e)
{
	*out = *w->a;
	struct lk_conf mine = out->conf;
	lk_opts_defaults(out);
	out->flags = w->a->flags;
	out->given = ours_given(w->a);
	memcpy(out->conf.tpm, mine.tpm, sizeof(mine.tpm));
	memcpy(out->conf.event_log, mine.event_log, sizeof(mine.event_log));
	memcpy(out->conf.cryptsetup, mine.cryptsetup, sizeof(mine.cryptsetup));
	memcpy(out->conf.snp_path, mine.snp_path, sizeof(mine.snp_path));
	memcpy(out->conf.security_context, mine.security_context, sizeof(mine.security_context));
	memcpy(out->conf.trust, mine.trust, sizeof(mine.trust));
	memcpy(out->conf.os_name, mine.os_name, sizeof(mine.os_name));
	out->conf.os_major = mine.os_major;
	out->conf.os_minor = mine.os_minor;
	out->conf.timeout_s = mine.timeout_s;
	memcpy(out->conf.name, w->conf.name, sizeof(out->conf.name));
	return lk_opts_text_binding(
	    lk_slice_of(w->text, w->text_n), w->file.path, w->place, out, e);
}

LK_CHECK static enum lk_code test_slot(
    void *ctx, uint32_t slot, const struct lk_secret *key, struct lk_err *e)
{
	const struct lk_bind *w = ctx;

	return lk_header_test(&w->h, slot, lk_secret_slice(key), e);
}

LK_CHECK static enum lk_code as_expected(
    const struct lk_bind *w, const struct lk_binding *found, struct lk_err *e)
{
	if (found->slot == w->b.slot && lk_slice_eq(lk_slice_str(found->id), lk_slice_str(w->b.id)))
		return LK_OK;
	(void)lk_fail(e, LK_ELUKS, "boot would take binding %s of key slot %u instead", found->id,
	    (unsigned)found->slot);
	return lk_hint(
	    e, "remove that one first: latchkeyctl remove %s --binding %s", w->h.device, found->id);
}

LK_CHECK static enum lk_code as_boot(
    const struct lk_bind *w, const struct lk_conf *conf, struct lk_err *e)
{
	static struct lk_unlock_job job;
	struct lk_run *run = NULL;
	int fd = open(w->h.device, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return lk_fail_sys(e, errno, "%s", w->h.device);
	job = (struct lk_unlock_job){
	    .conf = conf, .disk_fd = fd, .use = test_slot, .ctx = (void *)(uintptr_t)w};
	if (lk_app_start(conf, true, &run, e) == LK_OK) {
		lk_unlock_all(run, &job, 1);
		*e = job.e;
	}
	lk_run_end(run);
	lk_close(&fd);
	return e->code == LK_OK ? as_expected(w, &job.found, e) : e->code;
}

enum lk_code lk_bind_prove(struct lk_bind *w, struct lk_err *e)
{
	static struct lk_args boot;
	const struct lk_binding *found = NULL;
	enum lk_code rc;

	lk_log(LK_LOG_INFO, "volume %s: the proof: what the next boot will do", w->conf.name);
	if (lk_header_read(&w->h, e) != LK_OK || boot_args(w, &boot, e) != LK_OK)
		return lk_err_prefix(e, "the proof failed");
	if (w->conf.kind != LK_WRAPPED)
		rc = as_boot(w, &boot.conf, e);
	else if ((rc = lk_unlock_pins(&boot.conf, &w->h.now, &found, e)) == LK_OK)
		rc = as_expected(w, found, e);
	return rc == LK_OK ? rc : lk_err_prefix(e, "the proof failed");
}
