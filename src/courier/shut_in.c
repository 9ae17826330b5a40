/* Walls around a courier (design, section 2): descriptors, identity, privileges, limits.
 *
 * Order matters: the parent-death signal is cleared by every change of identity, so it comes after
 * it; the limits come last, because a limit of zero processes would fail the change itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shut_in.h"

/* One unused number per peer (systemd leaves 65520 to 65533 alone), so that a courier that was
 * taken over can neither signal nor trace another one. */
#define COURIER_ID 65520u

/* Old kernels have no close_range(2). */
static void close_from(unsigned first)
{
	struct rlimit lim = {4096, 4096};

#ifdef SYS_close_range
	if (syscall(SYS_close_range, first, ~0u, 0u) == 0)
		return;
#endif
	(void)prlimit(0, RLIMIT_NOFILE, NULL, &lim);
	for (unsigned i = first; i < lim.rlim_cur && i < 65536; i++)
		(void)close((int)i);
}

/* A stray write to the standard descriptors must reach neither the console nor the peer. Without
 * /dev/null, a pipe that nobody reads does. */
static int open_nowhere(void)
{
	int p[2], fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) != 0)
		return -1;
	(void)close(p[0]);
	return p[1];
}

int lk_courier_descriptors(int fd, int disk_fd)
{
	int nowhere = open_nowhere();
	/* Out of the way first: the descriptors may stand on each other's places. */
	int a = fcntl(fd, F_DUPFD_CLOEXEC, 16);
	int b = disk_fd >= 0 ? fcntl(disk_fd, F_DUPFD_CLOEXEC, 16) : -1;
	unsigned first = LK_COURIER_FD + 1;

	if (nowhere < 0 || a < 0 || (disk_fd >= 0 && b < 0))
		return errno;
	nowhere = fcntl(nowhere, F_DUPFD_CLOEXEC, 16);
	if (nowhere < 0)
		return errno;
	for (int i = 0; i < 3; i++)
		if (dup2(nowhere, i) < 0)
			return errno;
	if (dup3(a, LK_COURIER_FD, O_CLOEXEC) < 0)
		return errno;
	if (b >= 0) {
		if (dup3(b, LK_COURIER_DISK_FD, O_CLOEXEC) < 0)
			return errno;
		first++;
	}
	close_from(first);
	return 0;
}

/* In a user namespace that maps only root there is no other identity to change to (EINVAL), and the
 * groups may be locked (EPERM): then taking away the capabilities has to do. */
static enum lk_code drop_identity(enum lk_peer peer, struct lk_err *e)
{
	const uid_t id = COURIER_ID + (uid_t)peer;

	if (geteuid() != 0)
		return LK_OK;
	/* the calls themselves: the library's would first gather threads, and we have none */
	if (syscall(SYS_setgroups, 0, NULL) != 0 && errno != EPERM)
		return lk_fail_sys(e, errno, "setgroups");
	if (syscall(SYS_setresgid, id, id, id) != 0 && errno != EINVAL)
		return lk_fail_sys(e, errno, "setresgid");
	if (syscall(SYS_setresuid, id, id, id) != 0 && errno != EINVAL)
		return lk_fail_sys(e, errno, "setresuid");
	return LK_OK;
}

static enum lk_code drop_capabilities(struct lk_err *e)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[2];

	memset(none, 0, sizeof(none));
	if (syscall(SYS_capset, &head, none) != 0)
		return lk_fail_sys(e, errno, "capset");
	return LK_OK;
}

static enum lk_code limit(struct lk_err *e)
{
	static const struct {
		int what;
		rlim_t most;
		const char *name;
	} limits[] = {
	    {RLIMIT_CORE, 0, "core"},
	    {RLIMIT_NPROC, 0, "nproc"},
	    {RLIMIT_FSIZE, 0, "fsize"},
	    {RLIMIT_NOFILE, 16, "nofile"},
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		const struct rlimit r = {limits[i].most, limits[i].most};

		/* The call itself: C libraries disagree on the type of its first argument. */
		if (syscall(SYS_prlimit64, 0, limits[i].what, &r, NULL) != 0)
			return lk_fail_sys(e, errno, "rlimit %s", limits[i].name);
	}
	return LK_OK;
}

enum lk_code lk_courier_shut_in(enum lk_peer peer, pid_t keeper, struct lk_err *e)
{
	enum lk_code rc = drop_identity(peer, e);

	if (rc == LK_OK)
		rc = drop_capabilities(e);
	if (rc != LK_OK)
		return rc;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return lk_fail_sys(e, errno, "no_new_privs");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return lk_fail_sys(e, errno, "dumpable");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
		return lk_fail_sys(e, errno, "pdeathsig");
	/* The keeper may have died before the signal was asked for. */
	if (getppid() != keeper)
		return lk_fail(e, LK_ESYS, "the keeper is gone");
	return limit(e);
}
