/* Every row of the table of errors, and that nothing outside of it is taken for harmless. */
#include <errno.h>

#include "../../src/hw/snp_int.h"
#include "t.h"

#define VMM(n) ((uint64_t)(n) << 32)

static const struct {
	enum lk_snp_op op;
	int err;
	uint64_t exitinfo2;
	enum lk_snp_action action;
	bool reboot;
	const char *cause;
} rows[] = {
    /* the request to /dev/sev-guest */
    {LK_SNP_IOCTL, EIO, VMM(1), LK_SNP_PLAIN, false, "certificates are larger"},
    {LK_SNP_IOCTL, EIO, VMM(2), LK_SNP_AGAIN, false, "throttles"},
    {LK_SNP_IOCTL, EIO, VMM(3), LK_SNP_STOP, true, "hypervisor"},
    {LK_SNP_IOCTL, EIO, VMM(1) | 0x16, LK_SNP_STOP, true, "hypervisor"},
    {LK_SNP_IOCTL, EIO, VMM(2) | 1, LK_SNP_STOP, true, "hypervisor"},
    {LK_SNP_IOCTL, EIO, 0x16, LK_SNP_STOP, true, "invalid parameter"},
    {LK_SNP_IOCTL, EIO, 0x1D, LK_SNP_STOP, true, "sequence numbers differ"},
    {LK_SNP_IOCTL, EIO, 0x27, LK_SNP_STOP, true, "masked or not loaded"},
    {LK_SNP_IOCTL, EIO, 0x28, LK_SNP_STOP, true, "unknown status"},
    {LK_SNP_IOCTL, EIO, 0, LK_SNP_STOP, true, "no status says why"},
    {LK_SNP_IOCTL, EIO, 0xFF, LK_SNP_STOP, true, "no status was returned"},
    {LK_SNP_IOCTL, EIO, 0xFFFFFFFF, LK_SNP_STOP, true, "no firmware call"},
    {LK_SNP_IOCTL, ETIMEDOUT, VMM(2), LK_SNP_STOP, true, "throttled the request for a minute"},
    {LK_SNP_IOCTL, ENOTTY, 0, LK_SNP_STOP, true, "VMPCK) is disabled"},
    {LK_SNP_IOCTL, EBADMSG, 0, LK_SNP_STOP, true, "decrypted"},
    {LK_SNP_IOCTL, EINVAL, 0, LK_SNP_STOP, false, "form"},
    {LK_SNP_IOCTL, ENOSR, 0, LK_SNP_STOP, true, "used up"},
    {LK_SNP_IOCTL, EFAULT, 0, LK_SNP_STOP, false, "buffers"},
    {LK_SNP_IOCTL, ENOMEM, 0, LK_SNP_STOP, false, "memory"},
    {LK_SNP_IOCTL, EBUSY, 0, LK_SNP_STOP, true, "unexpected"},
    /* the same in configfs */
    {LK_SNP_READ, EIO, 0, LK_SNP_STOP, true, "firmware or the hypervisor"},
    {LK_SNP_READ, ETIMEDOUT, 0, LK_SNP_STOP, true, "throttled"},
    {LK_SNP_READ, ENOTTY, 0, LK_SNP_STOP, true, "VMPCK"},
    {LK_SNP_READ, EBADMSG, 0, LK_SNP_STOP, true, "decrypted"},
    {LK_SNP_READ, ENOSR, 0, LK_SNP_STOP, true, "used up"},
    {LK_SNP_READ, ENXIO, 0, LK_SNP_STOP, false, "firmware refused"},
    {LK_SNP_READ, EINVAL, 0, LK_SNP_STOP, false, "form"},
    {LK_SNP_READ, EBUSY, 0, LK_SNP_AGAIN, false, "another program"},
    {LK_SNP_READ, ENOMEM, 0, LK_SNP_STOP, false, "memory"},
    {LK_SNP_READ, EFBIG, 0, LK_SNP_STOP, false, "larger than any"},
    {LK_SNP_READ, EDOM, 0, LK_SNP_STOP, true, "unexpected"},
    {LK_SNP_ATTR, EINVAL, 0, LK_SNP_STOP, false, "refuses this value"},
    {LK_SNP_ATTR, EBUSY, 0, LK_SNP_AGAIN, false, "another program"},
    {LK_SNP_ATTR, EIO, 0, LK_SNP_STOP, false, "unexpected"},
    {LK_SNP_MKDIR, ENXIO, 0, LK_SNP_NEXT, false, "provider"},
    {LK_SNP_MKDIR, ENOENT, 0, LK_SNP_NEXT, false, "no configfs-tsm"},
    {LK_SNP_MKDIR, ENOTDIR, 0, LK_SNP_NEXT, false, "no configfs-tsm"},
    {LK_SNP_MKDIR, EEXIST, 0, LK_SNP_STOP, false, "unexpected"},
    {LK_SNP_MKDIR, EPERM, 0, LK_SNP_STOP, false, "not permitted"},
    {LK_SNP_OPEN, ENOENT, 0, LK_SNP_NEXT, false, "no such device"},
    {LK_SNP_OPEN, ENODEV, 0, LK_SNP_NEXT, false, "no SNP device"},
    {LK_SNP_OPEN, ENXIO, 0, LK_SNP_NEXT, false, "no SNP device"},
    {LK_SNP_OPEN, EACCES, 0, LK_SNP_STOP, false, "not permitted"},
    {LK_SNP_OPEN, EBUSY, 0, LK_SNP_AGAIN, false, "another program"},
    /* the old device */
    {LK_SNP_OLD, EINVAL, 0, LK_SNP_STOP, false, "does not know"},
    {LK_SNP_OLD, ENOTTY, 0, LK_SNP_STOP, false, "does not know"},
    {LK_SNP_OLD, EIO, 0x16, LK_SNP_STOP, true, "invalid parameter"},
    {LK_SNP_OLD, EIO, VMM(2), LK_SNP_STOP, true, "hypervisor"},
};

T(every_row)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lk_err e = {0};
		struct lk_snp_verdict v = lk_snp_judge(rows[i].op, rows[i].err, rows[i].exitinfo2);
		if (v.action != rows[i].action || v.reboot != rows[i].reboot ||
		    !strstr(v.cause, rows[i].cause))
			T_FAIL("row %zu: action %d, reboot %d, \"%s\"", i, (int)v.action,
			    (int)v.reboot, v.cause);
		OK(lk_snp_fail("/dev/x", rows[i].op, rows[i].err, rows[i].exitinfo2, &v, &e) ==
		    (v.action == LK_SNP_NEXT ? LK_EABSENT : LK_ESNP));
		if (strncmp(e.msg, "/dev/x: ", 8) != 0 || !strstr(e.msg, rows[i].cause) ||
		    !strstr(e.hint,
			v.reboot ? "until this machine is rebooted" : "no reboot is needed"))
			T_FAIL("row %zu: \"%s\"; \"%s\"", i, e.msg, e.hint);
		EQ_I(e.sys, rows[i].err);
		EQ_U(e.retry, v.action == LK_SNP_AGAIN || v.action == LK_SNP_PLAIN);
	}
}

/* Everything else that a request can come to is taken for the loss of the key. */
T(unknown_failures_cost_the_key)
{
	static const int harmless[] = {EINVAL, EFAULT, ENOMEM};
	for (int err = 1; err < 200; err++) {
		struct lk_snp_verdict v = lk_snp_judge(LK_SNP_IOCTL, err, 0);
		bool known = false;
		for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
			known = known || harmless[i] == err;
		if (v.reboot == known || v.action != LK_SNP_STOP)
			T_FAIL("errno %d: action %d, reboot %d", err, (int)v.action, (int)v.reboot);
	}
	for (uint32_t fw = 0; fw < 0x400; fw++) {
		struct lk_snp_verdict v = lk_snp_judge(LK_SNP_IOCTL, EIO, fw);
		OK(v.reboot && v.action == LK_SNP_STOP && v.cause != NULL);
	}
	for (unsigned vmm = 3; vmm < 300; vmm++)
		OK(lk_snp_judge(LK_SNP_IOCTL, EIO, VMM(vmm)).reboot);
}

/* Old kernels leave their stack in exitinfo2. */
T(exitinfo2_counts_with_eio_alone)
{
	static const uint64_t junk[] = {VMM(1), VMM(2), 0x16, UINT64_MAX};
	for (int err = 1; err < 200; err++)
		for (size_t i = 0; err != EIO && i < sizeof(junk) / sizeof(junk[0]); i++) {
			struct lk_snp_verdict a = lk_snp_judge(LK_SNP_IOCTL, err, 0);
			struct lk_snp_verdict b = lk_snp_judge(LK_SNP_IOCTL, err, junk[i]);
			OK(a.action == b.action && a.reboot == b.reboot && a.cause == b.cause);
		}
}

T(statuses_have_words)
{
	EQ_S(lk_snp_status(0), "success");
	EQ_S(lk_snp_status(0x13), "hardware error (platform)");
	EQ_S(lk_snp_status(0x1C), "invalid page owner");
	EQ_S(lk_snp_status(0x20), "RMP initialisation required");
	EQ_S(lk_snp_status(0x26), "RMP initialisation failed");
	EQ_S(lk_snp_status(0x28), "unknown status");
}
