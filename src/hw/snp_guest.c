/* Requests to /dev/sev-guest and, where the configuration names it, to the /dev/sev of old kernels.
 */
#include <errno.h>
#include <string.h>

#include "sev_guest.h"
#include "snp_int.h"

_Static_assert(SEV_CERTS_MAX == LK_SNP_CERTS_MAX, "room for the host's certificates");
_Static_assert(sizeof(((struct sev_report_rsp *)0)->report) == LK_SNP_RSP_MAX, "largest report");

static uint64_t address(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

/* A call that succeeded can still carry a refusal. Integers are little-endian, as this processor.
 */
static enum lk_code take_report(const char *path, const struct sev_report_rsp *in, size_t max,
    struct lk_buf *rsp, struct lk_err *e)
{
	if (in->status != 0) {
		(void)lk_fail(e, LK_ESNP, "%s: the firmware refused the request: %s (status 0x%x)",
		    path, lk_snp_status(in->status), in->status);
		return lk_hint(e, "%sno reboot is needed",
		    in->status == 0x16   ? "set vmpl to the level that this guest runs at; "
		    : in->status == 0x27 ? "the host must unmask the VCEK or load a VLEK; "
					 : "");
	}
	if (in->size < LK_SNP_REPORT_SIZE || in->size > max) {
		(void)lk_fail(e, LK_ESNP, "%s: the report has %u bytes; %d to %zu are possible",
		    path, in->size, LK_SNP_REPORT_SIZE, max);
		return lk_hint(e, "no reboot is needed");
	}
	lk_buf_put(rsp, in->report, in->size);
	return LK_OK;
}

enum lk_code lk_snp_ask_guest(struct lk_snp_dev *d, const uint8_t data[static 64],
    struct lk_snp_raw *out, struct lk_buf *rsp, struct lk_snp_try *t, struct lk_err *e)
{
	struct sev_report_rsp answer;
	struct sev_ext_report_req req;
	struct sev_guest_arg arg;
	memset(&answer, 0, sizeof(answer));
	memset(&req, 0, sizeof(req));
	memset(&arg, 0, sizeof(arg));
	memcpy(req.report.user_data, data, 64);
	req.report.vmpl = d->vmpl;
	if (!d->no_certs) {
		req.certs = address(out->certs);
		req.certs_len = SEV_CERTS_MAX;
	}
	arg.msg_version = 1;
	arg.req = address(&req); /* begins with the plain request */
	arg.rsp = address(&answer);
	t->op = LK_SNP_IOCTL;
	if (lk_snp_sys->ioctl(d->fd, d->no_certs ? SEV_GET_REPORT : SEV_GET_EXT_REPORT, &arg) !=
	    0) {
		t->err = errno;
		t->exitinfo2 = arg.exitinfo2;
		return LK_ESNP;
	}
	if (!d->no_certs && !lk_slice_is_zero(lk_slice_of(out->certs, sizeof(out->certs))))
		out->certs_n = sizeof(out->certs);
	return take_report(d->path, &answer, sizeof(answer.report), rsp, e);
}

enum lk_code lk_snp_ask_legacy(struct lk_snp_dev *d, const uint8_t data[static 64],
    struct lk_buf *rsp, struct lk_snp_try *t, struct lk_err *e)
{
	struct sev_report_rsp answer;
	struct sev_report_req req;
	struct sev_legacy_arg arg;
	memset(&answer, 0, sizeof(answer));
	memset(&req, 0, sizeof(req));
	memset(&arg, 0, sizeof(arg));
	memcpy(req.user_data, data, 64);
	req.vmpl = d->vmpl;
	arg.req_type = 5;
	arg.rsp_type = 6;
	arg.msg_version = 1;
	arg.req_len = sizeof(req);
	arg.req = address(&req);
	arg.rsp_len = SEV_LEGACY_RSP;
	arg.rsp = address(&answer);
	t->op = LK_SNP_OLD;
	if (lk_snp_sys->ioctl(d->fd, SEV_LEGACY_REPORT, &arg) != 0) {
		t->err = errno;
		t->exitinfo2 = arg.error;
		return LK_ESNP;
	}
	return take_report(
	    d->path, &answer, SEV_LEGACY_RSP - offsetof(struct sev_report_rsp, report), rsp, e);
}
