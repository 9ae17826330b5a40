/* snp_rig.h - a /dev/sev-guest, a /dev/sev and a configfs-tsm made of functions: plain files cannot
 * count writes, answer a request or fail on purpose, so the system calls are replaced. */
#ifndef SNP_RIG_H
#define SNP_RIG_H

#include <errno.h>
#include <fcntl.h>

#include "../../src/hw/snp_int.h"
#include "sev_guest.h"
#include "t.h"

#define FD_DEV  100
#define FD_ATTR 200

/* What the machine does, and what it saw. */
static struct {
	int open_err, mkdir_err, read_err, attr_err; /* errno of each */
	int ioctl_err[4];                            /* of each request in turn */
	uint64_t exitinfo2[4];
	uint32_t status, size;
	bool zero, other_data, no_floor, stolen, lost_write, no_aux;
	const char *provider, *floor;
	uint8_t fill; /* first byte of the certificates */
	/* seen */
	unsigned requests, dirs, rmdirs, clashes, opened, closed, sleeps;
	int64_t slept;
	bool ext[4];
	uint32_t vmpl;
	char level[8], dir[300];
	uint8_t data[64];
	uint32_t generation;
} m;

static const struct lk_snp_sys *real; /* what the program uses */
static struct lk_snp_dev dev;
static struct lk_snp_raw raw;
static struct lk_err err;
static char attr_name[32];
static size_t attr_at;
static bool pending;

static int bad(int code)
{
	errno = code;
	return -1;
}

static void report(uint8_t *out)
{
	memset(out, 0, LK_SNP_REPORT_SIZE);
	if (m.zero)
		return;
	out[0] = 3;
	memcpy(out + 0x50, m.data, 64);
	out[0x50 + 63] ^= m.other_data;
}

static int my_open(const char *path, int flags)
{
	const char *slash = strrchr(path, '/');
	if (strncmp(path, "/dev/", 5) == 0) {
		OK((flags & O_ACCMODE) == O_RDWR && (flags & O_CLOEXEC) != 0);
		if (m.open_err != 0)
			return bad(m.open_err);
		m.opened++;
		return FD_DEV;
	}
	if (strncmp(path, m.dir, strlen(m.dir)) != 0 || m.dirs == m.rmdirs)
		T_FAIL("%s is outside of the request", path);
	if (strcmp(slash, "/privlevel_floor") == 0 && m.no_floor)
		return bad(ENOENT);
	if (strcmp(slash, "/auxblob") == 0 && m.no_aux)
		return bad(ENOENT);
	(void)snprintf(attr_name, sizeof(attr_name), "%s", slash + 1);
	attr_at = 0;
	pending = false;
	m.opened++;
	return FD_ATTR;
}

/* As configfs does: a binary attribute is taken at its end, and nobody hears of a failure. */
static int my_close(int fd)
{
	m.closed++;
	if (fd == FD_ATTR && pending && !m.lost_write)
		m.generation++;
	pending = false;
	return 0;
}

static ssize_t my_write(int fd, const void *p, size_t n)
{
	EQ_I(fd, FD_ATTR);
	if (strcmp(attr_name, "privlevel") == 0) {
		if (m.attr_err != 0)
			return bad(m.attr_err);
		OK(n < sizeof(m.level));
		memcpy(m.level, p, n);
		m.level[n] = '\0';
		m.generation++;
		return (ssize_t)n;
	}
	EQ_S(attr_name, "inblob");
	EQ_U(n, 64);
	memcpy(m.data, p, 64);
	pending = true;
	return (ssize_t)n;
}

static size_t content(uint8_t *out)
{
	if (strcmp(attr_name, "provider") == 0)
		return (size_t)sprintf((char *)out, "%s", m.provider);
	if (strcmp(attr_name, "generation") == 0)
		return (size_t)sprintf((char *)out, "%u\n", m.generation);
	if (strcmp(attr_name, "privlevel_floor") == 0)
		return (size_t)sprintf((char *)out, "%s", m.floor);
	if (strcmp(attr_name, "auxblob") == 0) {
		memset(out, 0, 4096);
		out[0] = m.fill;
		return 4096;
	}
	EQ_S(attr_name, "outblob");
	report(out);
	return m.size;
}

static ssize_t my_read(int fd, void *p, size_t n)
{
	static uint8_t store[20000];
	EQ_I(fd, FD_ATTR);
	if (strcmp(attr_name, "outblob") == 0 && attr_at == 0) {
		m.requests++;
		if (m.read_err != 0)
			return bad(m.read_err);
		m.generation += m.stolen;
	}
	size_t size = content(store);
	size_t left = attr_at < size ? size - attr_at : 0;
	if (n > left)
		n = left;
	if (n > 700)
		n = 700; /* short reads are allowed */
	memcpy(p, store + attr_at, n);
	attr_at += n;
	return (ssize_t)n;
}

static int my_mkdir(const char *path)
{
	OK(strstr(path, "/latchkey-") != NULL);
	if (m.clashes != 0) {
		OK(strcmp(m.dir, path) != 0);
		(void)snprintf(m.dir, sizeof(m.dir), "%s", path);
		m.clashes--;
		return bad(EEXIST);
	}
	if (m.mkdir_err != 0)
		return bad(m.mkdir_err);
	OK(strcmp(m.dir, path) != 0);
	(void)snprintf(m.dir, sizeof(m.dir), "%s", path);
	m.dirs++;
	m.generation = 0;
	return 0;
}

static int my_rmdir(const char *path)
{
	EQ_S(path, m.dir);
	m.rmdirs++;
	return bad(EBUSY); /* of no interest */
}

static int my_ioctl(int fd, unsigned long request, void *arg)
{
	struct sev_guest_arg *a = arg;
	unsigned i = m.requests++;
	struct sev_ext_report_req req;
	struct sev_report_rsp *rsp;
	EQ_I(fd, FD_DEV);
	if (i >= 4)
		return bad(EDOM);
	if (request == SEV_LEGACY_REPORT) {
		struct sev_legacy_arg *l = arg;
		EQ_U(l->req_type, 5);
		EQ_U(l->rsp_type, 6);
		EQ_U(l->msg_version, 1);
		EQ_U(l->req_len, 96);
		EQ_U(l->rsp_len, 1280);
		memcpy(&req, (void *)(uintptr_t)l->req, sizeof(req.report));
		rsp = (void *)(uintptr_t)l->rsp;
		l->error = (uint32_t)m.exitinfo2[i];
	} else {
		m.ext[i] = request == SEV_GET_EXT_REPORT;
		EQ_U(request, m.ext[i] ? 0xC0205302u : 0xC0205300u);
		EQ_U(a->msg_version, 1);
		memcpy(&req, (void *)(uintptr_t)a->req, m.ext[i] ? 112 : 96);
		rsp = (void *)(uintptr_t)a->rsp;
		a->exitinfo2 = m.exitinfo2[i];
		if (m.ext[i]) {
			EQ_U(req.certs_len, 16384);
			if (m.fill != 0)
				*(uint8_t *)(uintptr_t)req.certs = m.fill;
		}
	}
	if (m.ioctl_err[i] != 0)
		return bad(m.ioctl_err[i]);
	OK(lk_slice_is_zero(lk_slice_of(req.report.zero, 28)));
	memcpy(m.data, req.report.user_data, 64);
	m.vmpl = req.report.vmpl;
	rsp->status = m.status;
	rsp->size = m.size;
	report(rsp->report);
	return 0;
}

static enum lk_code my_sleep(int64_t ms, lk_time deadline, struct lk_err *e)
{
	m.sleeps++;
	m.slept += ms;
	if (lk_left(deadline) < ms)
		return lk_fail(e, LK_ETIME, "no time");
	return LK_OK;
}

static const struct lk_snp_sys fake = {
    my_open, my_close, my_read, my_write, my_mkdir, my_rmdir, my_ioctl, my_sleep};
static const uint8_t data[64] = {1, 2, 3, [63] = 64};

static void reset(void)
{
	memset(&m, 0, sizeof(m));
	m.size = LK_SNP_REPORT_SIZE;
	m.provider = "sev_guest\n";
	m.floor = "0\n";
	memset(&err, 0, sizeof(err));
	if (real == NULL)
		real = lk_snp_sys;
	lk_snp_sys = &fake;
}

static enum lk_code open_it(enum lk_snp_source source)
{
	struct lk_snp_conf conf = {.source = source};
	return lk_snp_open(&conf, &dev, &err);
}

static enum lk_code ask(void)
{
	return lk_snp_get(&dev, data, lk_deadline_in(60000), &raw, &err);
}

/* Everything that was opened is closed, every directory is gone. */
static void tidy(void)
{
	lk_snp_close(&dev);
	EQ_U(m.closed, m.opened);
	EQ_U(m.rmdirs, m.dirs);
}

static void fails(const char *words)
{
	EQ_CODE(LK_ESNP, ask());
	if (!strstr(err.msg, words) && !strstr(err.hint, words))
		T_FAIL("\"%s\"; \"%s\" do not say \"%s\"", err.msg, err.hint, words);
	OK(strstr(err.hint, "reboot") != NULL);
}

#endif
