/* Getting a report: which source, how often, and what is believed of the answer. */
#include "snp_rig.h"

T(guest_device)
{
	reset();
	m.fill = 0x5A;
	EQ_CODE(LK_OK, open_it(LK_SNP_GUEST));
	EQ_S(dev.path, "/dev/sev-guest");
	EQ_U(m.requests, 0);
	EQ_CODE(LK_OK, ask());
	EQ_MEM(raw.report + 0x50, data, 64);
	EQ_U(raw.certs_n, 16384);
	EQ_U(raw.certs[0], 0x5A);
	EQ_U(m.requests, 1);
	OK(m.ext[0]);
	EQ_U(m.sleeps, 0);
	tidy();
}

T(no_certificates_from_the_host)
{
	reset();
	EQ_CODE(LK_OK, open_it(LK_SNP_GUEST));
	EQ_CODE(LK_OK, ask());
	EQ_U(raw.certs_n, 0);
}

T(vmpl_is_passed_on)
{
	struct lk_snp_conf conf = {.source = LK_SNP_GUEST, .has_vmpl = true, .vmpl = 2};
	reset();
	EQ_CODE(LK_OK, lk_snp_open(&conf, &dev, &err));
	EQ_CODE(LK_OK, ask());
	EQ_U(m.vmpl, 2);
	conf.vmpl = 4;
	EQ_CODE(LK_ECONF, lk_snp_open(&conf, &dev, &err));
}

/* What stands there when none is wished for is not the device's business. */
T(no_vmpl_is_vmpl_0)
{
	struct lk_snp_conf conf = {.source = LK_SNP_GUEST, .has_vmpl = false, .vmpl = UINT32_MAX};
	reset();
	EQ_CODE(LK_OK, lk_snp_open(&conf, &dev, &err));
	EQ_CODE(LK_OK, ask());
	EQ_U(m.vmpl, 0);
}

/* Once without certificates, and the certificates that a failed request left are not used. */
T(certificates_too_large)
{
	reset();
	m.fill = 1;
	m.ioctl_err[0] = EIO;
	m.exitinfo2[0] = UINT64_C(1) << 32;
	EQ_CODE(LK_OK, open_it(LK_SNP_GUEST));
	EQ_CODE(LK_OK, ask());
	EQ_U(m.requests, 2);
	OK(m.ext[0] && !m.ext[1]);
	EQ_U(raw.certs_n, 0);
	EQ_U(m.sleeps, 1);
	OK(m.slept > 1000 && m.slept <= 2000);
}

T(too_large_twice_ends)
{
	reset();
	for (unsigned i = 0; i < 4; i++) {
		m.ioctl_err[i] = EIO;
		m.exitinfo2[i] = UINT64_C(1) << 32;
	}
	EQ_CODE(LK_OK, open_it(LK_SNP_GUEST));
	fails("no reboot is needed");
	EQ_U(m.requests, 2);
}

T(throttled_at_most_three_times)
{
	reset();
	for (unsigned i = 0; i < 4; i++) {
		m.ioctl_err[i] = EIO;
		m.exitinfo2[i] = UINT64_C(2) << 32;
	}
	EQ_CODE(LK_OK, open_it(LK_SNP_GUEST));
	fails("throttles");
	OK(err.retry);
	EQ_U(m.requests, 3);
	EQ_U(m.sleeps, 2);
	fails("more are not risked"); /* the budget is the device's, not the call's */
	EQ_U(m.requests, 3);
}

T(throttled_once)
{
	reset();
	m.ioctl_err[0] = EIO;
	m.exitinfo2[0] = UINT64_C(2) << 32;
	EQ_CODE(LK_OK, open_it(LK_SNP_GUEST));
	EQ_CODE(LK_OK, ask());
	EQ_CODE(LK_OK, err.code); /* what was overcome is no failure */
	EQ_CODE(LK_OK, ask());
	EQ_U(m.requests, 3);
	EQ_U(m.sleeps, 2); /* the second call of the program waits as well */
}

T(a_pause_after_the_request_of_an_earlier_run)
{
	reset();
	EQ_CODE(LK_OK, open_it(LK_SNP_GUEST));
	EQ_U(dev.last, 0);
	EQ_CODE(LK_OK, ask());
	EQ_U(m.sleeps, 0);
	lk_time last = dev.last;
	EQ_CODE(LK_OK, open_it(LK_SNP_GUEST));
	dev.last = last;
	EQ_CODE(LK_OK, ask());
	EQ_U(m.sleeps, 1);
}

T(no_pause_past_the_deadline)
{
	reset();
	m.ioctl_err[0] = EIO;
	m.exitinfo2[0] = UINT64_C(2) << 32;
	EQ_CODE(LK_OK, open_it(LK_SNP_GUEST));
	EQ_CODE(LK_ESNP, lk_snp_get(&dev, data, lk_deadline_in(1000), &raw, &err));
	EQ_U(m.sleeps, 0);
	EQ_CODE(LK_ETIME, lk_snp_get(&dev, data, lk_deadline_in(0), &raw, &err));
	EQ_U(m.requests, 1);
}

/* After an error that may have cost the message key nothing is ever sent again. */
T(nothing_after_the_loss_of_the_key)
{
	static const int errs[] = {EIO, ENOTTY, ETIMEDOUT, EBADMSG, ENOSR, ENODATA};
	for (size_t i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
		reset();
		m.ioctl_err[0] = errs[i];
		m.exitinfo2[0] = 0x1D;
		EQ_CODE(LK_OK, open_it(LK_SNP_GUEST));
		fails("until this machine is rebooted");
		EQ_U(m.requests, 1);
		fails("until this machine is rebooted");
		EQ_U(m.requests, 1);
		OK(!err.retry);
	}
}

T(harmless_failure_does_not_repeat)
{
	reset();
	m.ioctl_err[0] = ENOMEM;
	EQ_CODE(LK_OK, open_it(LK_SNP_GUEST));
	fails("no memory");
	EQ_U(m.requests, 1);
}

T(answers_that_are_wrong)
{
	static const struct {
		uint32_t status, size;
		bool zero, other;
		const char *words;
	} rows[] = {
	    {0x16, 1184, false, false, "set vmpl"},
	    {0x27, 1184, false, false, "load a VLEK"},
	    {5, 1184, false, false, "already owned (status 0x5)"},
	    {0, 1183, false, false, "1183 bytes"},
	    {0, 3969, false, false, "3969 bytes"},
	    {0, 0, false, false, " 0 bytes"},
	    {0, 1184, true, false, "all zeros"},
	    {0, 1184, false, true, "other data"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		reset();
		m.status = rows[i].status;
		m.size = rows[i].size;
		m.zero = rows[i].zero;
		m.other_data = rows[i].other;
		EQ_CODE(LK_OK, open_it(LK_SNP_GUEST));
		fails(rows[i].words);
		OK(strstr(err.hint, "no reboot is needed") != NULL);
		EQ_U(m.requests, 1);
		OK(lk_slice_is_zero(lk_slice_of(raw.report, sizeof(raw.report))));
	}
	reset();
	m.size = 3968;
	EQ_CODE(LK_OK, open_it(LK_SNP_GUEST));
	EQ_CODE(LK_OK, ask());
}

T(legacy_device)
{
	reset();
	EQ_CODE(LK_OK, open_it(LK_SNP_LEGACY));
	EQ_S(dev.path, "/dev/sev");
	EQ_CODE(LK_OK, ask());
	EQ_U(raw.certs_n, 0);
	reset();
	m.size = 1249; /* one more than its answer holds */
	EQ_CODE(LK_OK, open_it(LK_SNP_LEGACY));
	fails("1249 bytes");
	reset();
	m.ioctl_err[0] = ENOTTY;
	EQ_CODE(LK_OK, open_it(LK_SNP_LEGACY));
	fails("security processor");
}

T(tsm)
{
	reset();
	m.fill = 7;
	EQ_CODE(LK_OK, open_it(LK_SNP_TSM));
	EQ_U(m.dirs, 1);
	EQ_U(m.requests, 0);
	EQ_CODE(LK_OK, ask());
	EQ_MEM(raw.report + 0x50, data, 64);
	EQ_U(raw.certs_n, 4096);
	EQ_U(m.requests, 1);
	EQ_U(m.dirs, 2);
	EQ_S(m.level, "");
	tidy();
}

T(tsm_levels)
{
	struct lk_snp_conf conf = {.source = LK_SNP_TSM, .has_vmpl = true, .vmpl = 3};
	reset();
	EQ_CODE(LK_OK, lk_snp_open(&conf, &dev, &err));
	EQ_CODE(LK_OK, ask());
	EQ_S(m.level, "3");
	reset();
	m.floor = "2\n"; /* under an SVSM */
	EQ_CODE(LK_OK, open_it(LK_SNP_TSM));
	EQ_CODE(LK_OK, ask());
	EQ_S(m.level, "2");
	reset();
	m.no_floor = true;
	EQ_CODE(LK_OK, open_it(LK_SNP_TSM));
	EQ_CODE(LK_OK, ask());
	EQ_S(m.level, "");
	reset();
	m.attr_err = EINVAL;
	EQ_CODE(LK_OK, lk_snp_open(&conf, &dev, &err));
	fails("privlevel_floor");
	EQ_U(m.requests, 0);
	tidy();
	reset();
	m.floor = "x\n";
	EQ_CODE(LK_OK, open_it(LK_SNP_TSM));
	fails("unexpected");
	tidy();
}

T(tsm_without_certificates)
{
	reset();
	m.no_aux = true;
	EQ_CODE(LK_OK, open_it(LK_SNP_TSM));
	EQ_CODE(LK_OK, ask());
	EQ_U(raw.certs_n, 0);
	tidy();
}

/* Somebody else wrote: three new directories, then the end. */
T(tsm_generation_moves)
{
	reset();
	m.stolen = true;
	EQ_CODE(LK_OK, open_it(LK_SNP_TSM));
	fails("another program");
	EQ_U(m.requests, 3);
	EQ_U(m.sleeps, 2);
	OK(err.retry);
	OK(lk_slice_is_zero(lk_slice_of(raw.report, sizeof(raw.report))));
	tidy();
}

/* configfs says nothing when it drops a blob: no request may go out then. */
T(tsm_write_that_was_dropped)
{
	reset();
	m.lost_write = true;
	EQ_CODE(LK_OK, open_it(LK_SNP_TSM));
	fails("another program");
	EQ_U(m.requests, 0);
	tidy();
}

T(tsm_failures_clean_up)
{
	static const int errs[] = {EIO, ENOTTY, ETIMEDOUT, EBADMSG, ENXIO, EINVAL};
	for (size_t i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
		reset();
		m.read_err = errs[i];
		EQ_CODE(LK_OK, open_it(LK_SNP_TSM));
		fails("reboot");
		EQ_I(err.sys, errs[i]);
		EQ_U(m.requests, 1);
		tidy();
	}
	reset();
	m.size = 3969; /* larger than a response can be */
	EQ_CODE(LK_OK, open_it(LK_SNP_TSM));
	fails("larger than any");
	tidy();
	reset();
	m.size = 1183;
	EQ_CODE(LK_OK, open_it(LK_SNP_TSM));
	fails("1183");
	tidy();
}

T(tsm_names_clash)
{
	reset();
	m.clashes = 3;
	EQ_CODE(LK_OK, open_it(LK_SNP_TSM));
	m.clashes = 4;
	fails("unexpected");
	tidy();
}

T(auto_prefers_configfs)
{
	reset();
	EQ_CODE(LK_OK, open_it(LK_SNP_AUTO));
	EQ_U(dev.source, LK_SNP_TSM);
	EQ_S(dev.path, LK_SNP_TSM_ROOT);
}

T(auto_goes_on_only_when_it_is_absent)
{
	static const int absent[] = {ENOENT, ENXIO, ENOTDIR};
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
		reset();
		m.mkdir_err = absent[i];
		EQ_CODE(LK_OK, open_it(LK_SNP_AUTO));
		EQ_CODE(LK_OK, err.code);
		EQ_U(dev.source, LK_SNP_GUEST);
		tidy();
	}
	reset();
	m.provider = "tdx_guest\n";
	EQ_CODE(LK_OK, open_it(LK_SNP_AUTO));
	EQ_U(dev.source, LK_SNP_GUEST);
	tidy();
	reset();
	m.mkdir_err = EACCES;
	EQ_CODE(LK_ESNP, open_it(LK_SNP_AUTO));
	OK(strstr(err.msg, "not permitted") != NULL);
	EQ_U(m.opened, 0);
	reset();
	m.mkdir_err = ENXIO;
	m.open_err = EACCES;
	EQ_CODE(LK_ESNP, open_it(LK_SNP_AUTO));
	reset();
	m.mkdir_err = ENXIO;
	m.open_err = ENOENT;
	EQ_CODE(LK_EABSENT, open_it(LK_SNP_AUTO));
	OK(strstr(err.hint, "vTPM") != NULL);
}

/* The real calls, on a machine without any of it. */
T(real_calls)
{
	struct lk_snp_conf conf = {.source = LK_SNP_GUEST, .path = "/nonexistent/sev-guest"};
	reset();
	lk_snp_sys = real;
	EQ_CODE(LK_EABSENT, lk_snp_open(&conf, &dev, &err));
	conf.path = "/dev/null"; /* opens, and knows no such request */
	EQ_CODE(LK_OK, lk_snp_open(&conf, &dev, &err));
	fails("VMPCK");
	EQ_I(err.sys, ENOTTY);
	lk_snp_close(&dev);
	conf.source = LK_SNP_TSM;
	conf.path = "/nonexistent/tsm";
	EQ_CODE(LK_EABSENT, lk_snp_open(&conf, &dev, &err));
}
