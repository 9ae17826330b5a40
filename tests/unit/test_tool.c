/* Other programs: what they get, what is made of how they end. */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "../../src/cli/ctl/parts.h"

#define SH "/bin/sh"

static char said[4096], erred[4096];
static struct lk_err e;

static int scratch(void)
{
	char name[] = "/tmp/test_tool.XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);

	if (fd < 0 || unlink(name) != 0) {
		printf("Bail out! no temporary file\n");
		exit(1);
	}
	return fd;
}

static void take(int fd, char out[static 4096])
{
	ssize_t n = pread(fd, out, 4095, 0);

	out[n < 0 ? 0 : n] = '\0';
	close(fd);
}

/* Run a script; what it said is in `said`, and in `erred` unless it goes into the message. */
static enum lk_code sh(const char *script, struct lk_slice in, bool own_err, int64_t ms)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	struct lk_tool t = {SH, argv, in, scratch(), own_err ? -1 : scratch(), lk_deadline_in(ms)};
	enum lk_code rc;

	e = (struct lk_err){0};
	rc = lk_tool_run(&t, &e);
	EQ_I(rc, e.code);
	take(t.out, said);
	if (t.err >= 0)
		take(t.err, erred);
	return rc;
}

#define LONG 60000

T(input_and_output)
{
	EQ_CODE(LK_OK, sh("cat; echo loud >&2", LK_S("a\nb"), false, LONG));
	EQ_S(said, "a\nb");
	EQ_S(erred, "loud\n");
	EQ_CODE(LK_OK, sh("cat; echo end", (struct lk_slice){NULL, 0}, true, LONG));
	EQ_S(said, "end\n");
}

T(nothing_of_ours_comes_along)
{
	int fd = open("/dev/null", O_RDONLY);

	/* also one that somebody left open to us, where lk_cs_run() has the second input */
	if (fd != 3)
		close(fd);
	EQ_I(setenv("TEST_TOOL_LEAK", "1", 1), 0);
	EQ_CODE(LK_OK, sh("/usr/bin/env", LK_S(""), true, LONG));
	OK(strstr(said, "LEAK") == NULL && strstr(said, "LC_ALL=C\n") != NULL);
	OK(strstr(said, "PATH=/usr/sbin:/usr/bin:/sbin:/bin\n") != NULL);
	EQ_CODE(
	    LK_OK, sh("for i in 0 1 2 3 4 5 6 7 8 9; do [ ! -e /proc/$$/fd/$i ] || echo $i; done",
		       LK_S(""), true, LONG));
	EQ_S(said, "0\n1\n2\n");
	if (fd == 3)
		close(fd);
}

T(how_it_ends)
{
	EQ_CODE(LK_ESYS, sh("printf 'what\\033 it\\nsays' >&2; exit 7", LK_S(""), true, LONG));
	EQ_S(e.msg, "sh failed (exit 7): what? it?says");
	EQ_U(e.lib, 7);
	EQ_CODE(LK_ESYS, sh("echo more >&2; exit 3", LK_S(""), false, LONG));
	EQ_S(e.msg, "sh failed (exit 3)");
	EQ_S(erred, "more\n");
	EQ_CODE(LK_ESYS, sh("kill -9 $$", LK_S(""), true, LONG));
	EQ_S(e.msg, "sh: killed by signal 9");
	/* more than a message and a pipe hold */
	EQ_CODE(LK_ESYS,
	    sh("i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; "
	       "i=$((i+1)); done >&2; exit 1",
		LK_S(""), true, LONG));
	OK(strstr(e.msg, "(exit 1): 0123456789") != NULL);
}

T(what_cannot_be_run)
{
	const char *argv[] = {"none", NULL};
	struct lk_tool t = {"/nonexistent/none", argv, {NULL, 0}, -1, -1, lk_deadline_in(LONG)};
	static uint8_t much[1 << 21];

	e = (struct lk_err){0};
	EQ_CODE(LK_ESYS, lk_tool_run(&t, &e));
	OK(strstr(e.msg, "/nonexistent/none") != NULL);
	EQ_I(e.sys, ENOENT);
	memset(much, 'm', sizeof(much));
	EQ_CODE(LK_ESYS, sh("cat", lk_slice_of(much, sizeof(much)), true, LONG));
	EQ_S(said, "");
}

static void gone(void)
{
	long pid = strtol(said, NULL, 10);

	/* one that had not come to say so is not a finding about us */
	OK(pid <= 0 || (kill((pid_t)pid, 0) != 0 && errno == ESRCH));
}

T(the_deadline)
{
	EQ_CODE(LK_ETIME, sh("echo $$; exec sleep 600", LK_S(""), true, 500));
	OK(strstr(e.msg, "sh: not done when the time was up") != NULL);
	gone();
	EQ_CODE(LK_ETIME, sh("echo $$; exec sleep 600", LK_S(""), false, 500));
	OK(strstr(e.msg, "sh is not done when the time is up") != NULL);
	gone();
	/* it puts its things in order */
	(void)sh("trap 'echo tidy; exit 1' TERM; echo $$; while :; do sleep 0.1; done", LK_S(""),
	    false, 1000);
	EQ_I(e.code, LK_ETIME);
	OK(said[0] == '\0' || strstr(said, "tidy") != NULL);
	gone();
	/* and has to end in any case */
	EQ_CODE(LK_ETIME,
	    sh("trap '' TERM; echo $$; while :; do sleep 0.1; done", LK_S(""), false, 1000));
	gone();
}

/* ---- the image, by programs that only say what they were told */

static char spy[64], failing[64];

static bool script(char name[static 64], const char *text)
{
	int fd;
	bool good;

	strcpy(name, "/tmp/test_tool.XXXXXX");
	fd = mkstemp(name);
	good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) &&
	       fchmod(fd, 0755) == 0;
	close(fd);
	return good;
}

/* In a mount namespace of its own, with `name` in front of the program's path. */
static int rebuild(const char *name, const char *path, enum lk_boot_flavor flavor, int to)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		struct lk_err why = {0};

		if (unshare(CLONE_NEWNS) != 0 ||
		    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
			_exit(100);
		if (mount("none", "/usr/sbin", "tmpfs", 0, NULL) != 0)
			_exit(100);
		if (strncmp(path, "/usr/sbin/", 10) == 0)
			close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0755));
		if (mount(name, path, NULL, MS_BIND, NULL) != 0)
			_exit(101);
		dup2(to, 2);
		if (lk_image_rebuild(flavor, lk_deadline_in(LONG), &why) == LK_OK)
			_exit(0);
		_exit(why.code == LK_ESYS && why.lib == 9 && why.hint[0] != '\0' ? 50 : 102);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

T(the_image_is_rebuilt)
{
	static const struct {
		enum lk_boot_flavor flavor;
		const char *path, *says;
	} rows[] = {
	    {LK_BOOT_TOOLS, "/usr/sbin/update-initramfs",
		"/usr/sbin/update-initramfs -u -k all\ntold\n"},
	    {LK_BOOT_DRACUT, "/usr/bin/dracut", "/usr/bin/dracut --force --regenerate-all\ntold\n"},
	};

	e = (struct lk_err){0};
	EQ_CODE(LK_ECONF, lk_image_rebuild(LK_BOOT_UNKNOWN, lk_deadline_in(LONG), &e));
	OK(e.hint[0] != '\0');
	NEED(script(spy, "#!/bin/sh\necho \"$0 $*\"\necho told >&2\n"));
	NEED(script(failing, "#!/bin/sh\nexit 9\n"));
	for (size_t i = 0; i < 2 && t_skipped == NULL; i++) {
		int to = scratch(), status;

		if (access("/usr/bin/dracut", X_OK) != 0 && rows[i].flavor == LK_BOOT_DRACUT) {
			t_skipped = "dracut is not installed";
			break;
		}
		status = rebuild(spy, rows[i].path, rows[i].flavor, to);
		take(to, said);
		if (status == 100) {
			t_skipped = "no mount namespace here";
			break;
		}
		EQ_I(status, 0);
		EQ_S(said, rows[i].says);
		to = scratch();
		EQ_I(rebuild(failing, rows[i].path, rows[i].flavor, to), 50);
		close(to);
	}
	(void)unlink(spy);
	(void)unlink(failing);
}
