/* Choosing a report source and asking it, seldom. */
#include "lk/snp.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lk/fmt.h"
#include "lk/log.h"
#include "snp_int.h"

static int sys_open(const char *path, int flags)
{
	return open(path, flags);
}

static int sys_mkdir(const char *path)
{
	return mkdir(path, 0700);
}

/* musl's request is an int, glibc's a long: the bits are the same. */
static int sys_ioctl(int fd, unsigned long request, void *arg)
{
#ifdef __GLIBC__
	return ioctl(fd, request, arg);
#else
	return ioctl(fd, (int)request, arg);
#endif
}

static const struct lk_snp_sys real = {
    .open = sys_open,
    .close = close,
    .read = read,
    .write = write,
    .mkdir = sys_mkdir,
    .rmdir = rmdir,
    .ioctl = sys_ioctl,
    .sleep = lk_sleep,
};
const struct lk_snp_sys *lk_snp_sys = &real;

static const char *const usual[] = {[LK_SNP_AUTO] = "",
    [LK_SNP_TSM] = LK_SNP_TSM_ROOT,
    [LK_SNP_GUEST] = LK_SNP_GUEST_DEV,
    [LK_SNP_LEGACY] = LK_SNP_LEGACY_DEV};

static enum lk_code set_path(struct lk_snp_dev *d, const char *path, struct lk_err *e)
{
	if (path == NULL || path[0] == '\0')
		path = usual[d->source];
	if (lk_fmt(d->path, sizeof(d->path), "%s", path) >= sizeof(d->path))
		return lk_fail(e, LK_ECONF, "the report source's path is too long");
	return LK_OK;
}

static enum lk_code open_one(
    struct lk_snp_dev *d, enum lk_snp_source source, const char *path, struct lk_err *e)
{
	struct lk_snp_try t = {.op = LK_SNP_OPEN};
	d->source = source;
	enum lk_code rc = set_path(d, path, e);
	if (rc != LK_OK)
		return rc;
	if (source == LK_SNP_TSM) {
		rc = lk_snp_tsm_provider(d, &t, e);
	} else {
		d->fd = lk_snp_sys->open(d->path, O_RDWR | O_CLOEXEC);
		t.err = d->fd < 0 ? errno : 0;
	}
	if (t.err == 0)
		return rc;
	struct lk_snp_verdict v = lk_snp_judge(t.op, t.err, 0);
	return lk_snp_fail(d->path, t.op, t.err, 0, &v, e);
}

enum lk_code lk_snp_open(const struct lk_snp_conf *conf, struct lk_snp_dev *out, struct lk_err *e)
{
	*out = (struct lk_snp_dev){.fd = -1, .has_vmpl = conf->has_vmpl};
	out->vmpl = conf->has_vmpl ? conf->vmpl : 0;
	if (conf->has_vmpl && conf->vmpl > 3)
		return lk_fail(e, LK_ECONF, "vmpl is %u; 0 to 3 are possible", conf->vmpl);
	if (conf->source != LK_SNP_AUTO)
		return open_one(out, conf->source, conf->path, e);
	enum lk_code rc = open_one(out, LK_SNP_TSM, NULL, e);
	if (rc == LK_EABSENT) {
		memset(e, 0, sizeof(*e)); /* no failure, as long as the other is there */
		rc = open_one(out, LK_SNP_GUEST, NULL, e);
	}
	if (rc != LK_EABSENT)
		return rc;
	(void)lk_fail(e, LK_EABSENT, "this machine has neither %s nor an SNP provider in %s",
	    LK_SNP_GUEST_DEV, LK_SNP_TSM_ROOT);
	return lk_hint(e,
	    "load the sev-guest module; an Azure confidential VM has its report in the "
	    "vTPM instead; no reboot is needed");
}

void lk_snp_close(struct lk_snp_dev *d)
{
	if (d->fd >= 0)
		(void)lk_snp_sys->close(d->fd);
	d->fd = -1;
}

/* What an emulator or a driver may get wrong although all went well. Nothing of it costs the key.
 */
static enum lk_code check(const struct lk_snp_dev *d, const uint8_t *data, const struct lk_buf *rsp,
    struct lk_snp_raw *out, struct lk_err *e)
{
	struct lk_snp report;
	enum lk_code rc;
	if (rsp->n < LK_SNP_REPORT_SIZE)
		rc = lk_fail(e, LK_ESNP, "a report of %zu bytes; %d are the least", rsp->n,
		    LK_SNP_REPORT_SIZE);
	else if (lk_slice_is_zero(lk_slice_buf(rsp)))
		rc = lk_fail(e, LK_ESNP, "the report is all zeros");
	else
		rc = lk_snp_parse(
		    lk_slice_sub(lk_slice_buf(rsp), 0, LK_SNP_REPORT_SIZE), &report, e);
	if (rc == LK_OK && !lk_slice_eq(report.report_data, lk_slice_of(data, 64)))
		rc = lk_fail(e, LK_ESNP, "the report is over other data than what was asked for");
	if (rc == LK_OK) {
		memcpy(out->report, rsp->p, LK_SNP_REPORT_SIZE);
		return LK_OK;
	}
	e->code = LK_ESNP;
	(void)lk_err_prefix(e, "%s", d->path);
	return lk_hint(e, "the driver, or what emulates it, is at fault; no reboot is needed");
}

/* May another request go out, and not too early? */
static enum lk_code pace(struct lk_snp_dev *d, lk_time deadline, struct lk_err *e)
{
	if (d->spent) {
		(void)lk_fail(e, LK_ESNP, "%s: an earlier request failed for good", d->path);
		return lk_hint(e, "no report can be had until this machine is rebooted");
	}
	if (d->requests >= LK_SNP_REQUESTS) {
		(void)lk_fail(e, LK_ESNP, "%s: %d requests were made, more are not risked", d->path,
		    LK_SNP_REQUESTS);
		return lk_hint(e, "try again later; no reboot is needed");
	}
	lk_time since = lk_now() - d->last;
	if (d->last != 0 && since < LK_SNP_PAUSE_MS)
		return lk_snp_sys->sleep(LK_SNP_PAUSE_MS - since, deadline, e);
	return lk_left(deadline) > 0 ? LK_OK
				     : lk_fail(e, LK_ETIME, "no time left to ask for a report");
}

static enum lk_code ask(struct lk_snp_dev *d, const uint8_t data[static 64], struct lk_snp_raw *out,
    struct lk_snp_try *t, struct lk_err *e)
{
	uint8_t store[LK_SNP_RSP_MAX];
	struct lk_buf rsp = LK_BUF(store);
	enum lk_code rc = LK_EBUG;
	memset(out, 0, sizeof(*out));
	d->requests++;
	switch (d->source) {
	case LK_SNP_TSM:
		rc = lk_snp_ask_tsm(d, data, out, &rsp, t, e);
		break;
	case LK_SNP_GUEST:
		rc = lk_snp_ask_guest(d, data, out, &rsp, t, e);
		break;
	case LK_SNP_LEGACY:
		rc = lk_snp_ask_legacy(d, data, &rsp, t, e);
		break;
	case LK_SNP_AUTO:
		LK_BUG_ON(true); /* lk_snp_open names the source */
	}
	d->last = lk_now();
	return rc == LK_OK ? check(d, data, &rsp, out, e) : rc;
}

enum lk_code lk_snp_get(struct lk_snp_dev *d, const uint8_t report_data[static 64],
    lk_time deadline, struct lk_snp_raw *out, struct lk_err *e)
{
	for (;;) {
		struct lk_snp_try t = {0};
		enum lk_code rc = pace(d, deadline, e);
		if (rc == LK_OK)
			rc = ask(d, report_data, out, &t, e);
		if (rc == LK_OK || t.err == 0)
			return rc;
		struct lk_snp_verdict v = lk_snp_judge(t.op, t.err, t.exitinfo2);
		(void)lk_snp_fail(d->path, t.op, t.err, t.exitinfo2, &v, e);
		d->spent = v.reboot;
		bool plain = v.action == LK_SNP_PLAIN && !d->no_certs;
		if (plain)
			d->no_certs = true;
		if ((!plain && v.action != LK_SNP_AGAIN) || d->requests >= LK_SNP_REQUESTS ||
		    lk_left(deadline) < LK_SNP_PAUSE_MS)
			return e->code;
		lk_log(LK_LOG_DEBUG, "%s; asking again", e->msg);
		memset(e, 0, sizeof(*e));
	}
}
