/* Every error of the three report sources: what it means, what may be done after it, and whether
 * the guest's message key survived (protocol notes: snp-maa-akv, 1.1). */
#include <errno.h>
#include <string.h>

#include "snp_int.h"

#define VMM_LENGTH (UINT64_C(1) << 32)
#define VMM_BUSY   (UINT64_C(2) << 32)
#define UNTOUCHED  0xFFu /* what the kernel puts there before it asks */

#define AT(op)  (1u << (op))
#define DEVICE  (AT(LK_SNP_IOCTL) | AT(LK_SNP_OLD))
#define REQUEST (DEVICE | AT(LK_SNP_READ))
#define SETUP   (AT(LK_SNP_OPEN) | AT(LK_SNP_MKDIR) | AT(LK_SNP_ATTR))

static const char not_here[] =
    "load the sev-guest module; an Azure confidential VM has its report in the vTPM instead";

static const struct row {
	unsigned at;
	int err;
	struct lk_snp_verdict v;
} rows[] = {
    {AT(LK_SNP_OPEN), ENOENT, {LK_SNP_NEXT, false, "no such device", not_here}},
    {AT(LK_SNP_OPEN), ENODEV, {LK_SNP_NEXT, false, "no SNP device behind it", not_here}},
    {AT(LK_SNP_OPEN), ENXIO, {LK_SNP_NEXT, false, "no SNP device behind it", not_here}},
    {AT(LK_SNP_MKDIR), ENOENT,
	{LK_SNP_NEXT, false, "no configfs-tsm",
	    "mount configfs on /sys/kernel/config (Linux 6.7)"}},
    {AT(LK_SNP_MKDIR), ENOTDIR, {LK_SNP_NEXT, false, "no configfs-tsm", NULL}},
    {AT(LK_SNP_MKDIR), ENXIO,
	{LK_SNP_NEXT, false, "configfs-tsm has no provider of reports", not_here}},
    {SETUP, EACCES, {LK_SNP_STOP, false, "not permitted", "run as root"}},
    {SETUP, EPERM, {LK_SNP_STOP, false, "not permitted", "run as root"}},
    {SETUP, EBUSY, {LK_SNP_AGAIN, false, "another program is using it", NULL}},
    {AT(LK_SNP_ATTR), EINVAL,
	{LK_SNP_STOP, false, "the kernel refuses this value",
	    "the VMPL must not be below privlevel_floor"}},
    {AT(LK_SNP_READ), EBUSY,
	{LK_SNP_AGAIN, false, "another program changed the request meanwhile", NULL}},
    {AT(LK_SNP_READ), ENXIO,
	{LK_SNP_STOP, false, "the firmware refused the request",
	    "the kernel's log has its status; check the VMPL"}},
    {AT(LK_SNP_READ), EINVAL,
	{LK_SNP_STOP, false, "the kernel refuses the request's form",
	    "the VMPL must not be below privlevel_floor"}},
    {AT(LK_SNP_READ), EFBIG, {LK_SNP_STOP, false, "the report is larger than any can be", NULL}},
    {AT(LK_SNP_READ), EIO,
	{LK_SNP_STOP, true, "the firmware or the hypervisor failed the request",
	    "configfs does not tell the number: see the kernel's log"}},
    {AT(LK_SNP_OLD), EINVAL,
	{LK_SNP_STOP, false, "the device does not know report requests",
	    "on an SEV host this name is the security processor, not a guest's device"}},
    {AT(LK_SNP_OLD), ENOTTY,
	{LK_SNP_STOP, false, "the device does not know report requests",
	    "on an SEV host this name is the security processor, not a guest's device"}},
    {AT(LK_SNP_IOCTL), EINVAL,
	{LK_SNP_STOP, false, "the kernel refuses the request's form", "this is a bug in latchkey"}},
    {REQUEST, ETIMEDOUT,
	{LK_SNP_STOP, true,
	    "the host throttled the request for a minute and the kernel gave up its message key",
	    NULL}},
    {REQUEST, ENOTTY,
	{LK_SNP_STOP, true, "the message key (VMPCK) is disabled: an earlier request failed",
	    NULL}},
    {REQUEST, EBADMSG,
	{LK_SNP_STOP, true, "the firmware's answer cannot be decrypted or is out of sequence",
	    NULL}},
    {REQUEST, ENOSR,
	{LK_SNP_STOP, true, "the sequence numbers of the message key are used up", NULL}},
    {REQUEST, EFAULT,
	{LK_SNP_STOP, false, "the kernel cannot reach the buffers", "this is a bug in latchkey"}},
    {REQUEST, ENOMEM, {LK_SNP_STOP, false, "the kernel has no memory for the request", NULL}},
};

/* SEV firmware ABI, status codes from 0 up; one string, since each pointer in a table costs as much
 * again for its relocation. */
static const char statuses[] = "success\0"
			       "invalid platform state\0"
			       "invalid guest state\0"
			       "invalid configuration\0"
			       "invalid length\0"
			       "already owned\0"
			       "invalid certificate\0"
			       "policy failure\0"
			       "inactive\0"
			       "invalid address\0"
			       "bad signature\0"
			       "bad measurement\0"
			       "ASID owned\0"
			       "invalid ASID\0"
			       "WBINVD required\0"
			       "DF_FLUSH required\0"
			       "invalid guest\0"
			       "invalid command\0"
			       "active\0"
			       "hardware error (platform)\0"
			       "hardware error (unsafe)\0"
			       "unsupported\0"
			       "invalid parameter (VMPL or policy)\0"
			       "resource limit\0"
			       "secure data invalid\0"
			       "invalid page size\0"
			       "invalid page state\0"
			       "invalid metadata entry\0"
			       "invalid page owner\0"
			       "message sequence numbers differ\0"
			       "unknown status\0"
			       "ring-buffer mode exited\0"
			       "RMP initialisation required\0"
			       "bad security version\0"
			       "bad version\0"
			       "shutdown required\0"
			       "update failed\0"
			       "restore required\0"
			       "RMP initialisation failed\0"
			       "invalid key: VCEK or VLEK is masked or not loaded\0";

const char *lk_snp_status(uint32_t status)
{
	const char *s = statuses;
	if (status == UINT32_MAX)
		return "no firmware call was made";
	if (status == UNTOUCHED)
		return "no status was returned";
	while (*s != '\0' && status-- != 0)
		s += strlen(s) + 1;
	return *s != '\0' ? s : "unknown status";
}

/* EIO: the number that comes with it says what it is. */
static struct lk_snp_verdict judge_io(enum lk_snp_op op, uint64_t exitinfo2)
{
	struct lk_snp_verdict v = {LK_SNP_STOP, true, "the hypervisor failed the request", NULL};
	if (op == LK_SNP_IOCTL && exitinfo2 == VMM_LENGTH)
		return (struct lk_snp_verdict){LK_SNP_PLAIN, false,
		    "the host's certificates are larger than the kernel takes", NULL};
	if (op == LK_SNP_IOCTL && exitinfo2 == VMM_BUSY)
		return (struct lk_snp_verdict){LK_SNP_AGAIN, false, "the host throttles requests",
		    "try again in some seconds"};
	if (exitinfo2 >> 32 != 0)
		return v;
	v.cause = lk_snp_status((uint32_t)exitinfo2);
	if (exitinfo2 == 0)
		v.cause = "the request failed and no status says why";
	if (exitinfo2 == 0x16)
		v.remedy = "set vmpl to the level that this guest runs at";
	if (exitinfo2 == 0x27)
		v.remedy = "the host must unmask the VCEK or load a VLEK";
	return v;
}

struct lk_snp_verdict lk_snp_judge(enum lk_snp_op op, int err, uint64_t exitinfo2)
{
	if (err == EIO && (AT(op) & DEVICE) != 0)
		return judge_io(op, exitinfo2);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].err == err && (rows[i].at & AT(op)) != 0)
			return rows[i].v;
	/* An unknown failure of the request itself may have cost the key. */
	return (struct lk_snp_verdict){
	    LK_SNP_STOP, (AT(op) & REQUEST) != 0, "unexpected error", NULL};
}

enum lk_code lk_snp_fail(const char *path, enum lk_snp_op op, int err, uint64_t exitinfo2,
    const struct lk_snp_verdict *v, struct lk_err *e)
{
	char number[40] = "";
	if (err == EIO && (AT(op) & DEVICE) != 0) {
		struct lk_buf b = {.p = (uint8_t *)number, .cap = sizeof(number) - 1};
		lk_buf_fmt(&b, ", exitinfo2 0x%llx", (unsigned long long)exitinfo2);
		number[b.n] = '\0';
	}
	(void)lk_fail(e, v->action == LK_SNP_NEXT ? LK_EABSENT : LK_ESNP, "%s: %s (%s%s)", path,
	    v->cause, strerror(err), number);
	e->sys = err;
	e->lib = (uint32_t)(number[0] != '\0' ? exitinfo2 : 0);
	(void)lk_hint(e, "%s%s%s", v->remedy != NULL ? v->remedy : "",
	    v->remedy != NULL ? "; " : "",
	    v->reboot ? "no report can be had until this machine is rebooted"
		      : "no reboot is needed");
	return v->action == LK_SNP_AGAIN || v->action == LK_SNP_PLAIN ? lk_err_retry(e) : e->code;
}
