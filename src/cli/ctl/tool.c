/* tool.c - other programs of the system; see parts.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lk/io.h"
#include "lk/log.h"
#include "parts.h"
#include "process.h"

#define MESSAGE_MAX 512
#define GRACE_MS    5000 /* dracut has a temporary folder to remove */
#define LOOK_MS     50

struct tool {
	const struct lk_tool *t;
	pid_t pid;
	struct lk_process_says says;
};

LK_CHECK static enum lk_code start(struct tool *r, struct lk_err *e)
{
	const struct lk_tool *t = r->t;
	const char *name = t->argv[0];
	int in = -1, nowhere, err[2] = {-1, -1};
	enum lk_code rc = lk_process_pipe(name, t->input, &in, e);

	nowhere = t->out >= 0 ? -1 : open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (rc == LK_OK && t->out < 0 && nowhere < 0)
		rc = lk_fail_sys(e, errno, "/dev/null");
	if (rc == LK_OK && t->err < 0 && pipe2(err, O_CLOEXEC) != 0)
		rc = lk_fail_sys(e, errno, "%s: pipe", name);
	if (rc == LK_OK)
		rc = lk_process_start(t->program, t->argv,
		    (const int[]){
			in, t->out >= 0 ? t->out : nowhere, t->err >= 0 ? t->err : err[1], -1},
		    &r->pid, e);
	lk_close(&in);
	lk_close(&nowhere);
	lk_close(&err[1]);
	r->says.err = err[0];
	return rc;
}

/* Looks now and then: a process with nothing open to us gives no sign when it ends. */
LK_CHECK static enum lk_code ended(
    const struct tool *r, lk_time deadline, int *status, struct lk_err *e)
{
	for (;;) {
		pid_t got = waitpid(r->pid, status, WNOHANG);

		if (got == r->pid)
			return LK_OK;
		if (got < 0 && errno != EINTR)
			return lk_fail_sys(e, errno, "%s: wait", r->t->argv[0]);
		if (lk_sleep(LOOK_MS, deadline, e) != LK_OK)
			return lk_err_prefix(
			    e, "%s is not done when the time is up", r->t->argv[0]);
	}
}

static void put_down(const struct tool *r)
{
	struct lk_err ignored = {0};
	int status;

	(void)kill(r->pid, SIGTERM);
	if (ended(r, lk_deadline_in(GRACE_MS), &status, &ignored) == LK_OK)
		return;
	(void)kill(r->pid, SIGKILL);
	while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
		continue;
}

LK_CHECK static enum lk_code verdict(
    const char *name, int status, const struct lk_buf *message, struct lk_err *e)
{
	uint8_t store[200];
	struct lk_buf text = LK_BUF(store);

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return LK_OK;
	if (WIFSIGNALED(status))
		return lk_fail(e, LK_ESYS, "%s: killed by signal %d", name, WTERMSIG(status));
	lk_log_printable(&text, lk_slice_buf(message), sizeof(store));
	(void)lk_fail(e, LK_ESYS, "%s failed (exit %d)%s%.*s", name, WEXITSTATUS(status),
	    text.n > 0 ? ": " : "", (int)text.n, (const char *)text.p);
	e->lib = (uint32_t)WEXITSTATUS(status);
	return e->code;
}

enum lk_code lk_tool_run(const struct lk_tool *t, struct lk_err *e)
{
	uint8_t store[MESSAGE_MAX];
	struct lk_buf message = LK_BUF(store);
	struct tool r = {t, -1, {-1, -1, NULL, &message}};
	int status = 0;
	enum lk_code rc;

	if (access(t->program, X_OK) != 0)
		return lk_fail_sys(e, errno, "%s", t->program);
	rc = start(&r, e);
	if (rc == LK_OK)
		rc = lk_process_hear(t->argv[0], &r.says, t->deadline, e);
	if (rc == LK_OK)
		rc = ended(&r, t->deadline, &status, e);
	lk_close(&r.says.err);
	if (rc == LK_OK)
		return verdict(t->argv[0], status, &message, e);
	if (r.pid > 0)
		put_down(&r);
	return rc;
}

enum lk_code lk_image_rebuild(enum lk_boot_flavor flavor, lk_time deadline, struct lk_err *e)
{
	static const char *const dracut[] = {"dracut", "--force", "--regenerate-all", NULL};
	static const char *const tools[] = {"update-initramfs", "-u", "-k", "all", NULL};
	struct lk_tool t = {.program = "/usr/sbin/update-initramfs",
	    .argv = tools,
	    .out = STDERR_FILENO,
	    .err = STDERR_FILENO,
	    .deadline = deadline};

	if (flavor == LK_BOOT_UNKNOWN) {
		(void)lk_fail(e, LK_ECONF, "neither dracut nor initramfs-tools is installed");
		return lk_hint(e, "rebuild the initramfs with what makes it on this machine");
	}
	if (flavor == LK_BOOT_DRACUT) {
		t.argv = dracut;
		t.program =
		    access("/usr/bin/dracut", X_OK) == 0 ? "/usr/bin/dracut" : "/usr/sbin/dracut";
	}
	if (lk_tool_run(&t, e) == LK_OK)
		return LK_OK;
	return lk_hint(e,
	    "see what %s said; an image that was not rebuilt asks for the passphrase at boot",
	    t.argv[0]);
}
