/* cryptsetup.c - see lk/cryptsetup.h. */
#include "lk/cryptsetup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lk/fmt.h"
#include "lk/io.h"
#include "lk/log.h"
#include "process.h"

#define MESSAGE_MAX 512
#define ARGS_MAX    24
#define NAME        "cryptsetup"

static const char *find_program(const char *given)
{
	static const char *const places[] = {
	    "/usr/sbin/cryptsetup", "/sbin/cryptsetup", "/usr/bin/cryptsetup", NULL};

	if (given != NULL && given[0] != '\0')
		return given;
	for (size_t i = 0; places[i] != NULL; i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return places[0];
}

static const char *status_meaning(int status)
{
	switch (status) {
	case 1:
		return "wrong parameters, or not a LUKS2 device";
	case LK_CS_NO_SLOT:
		return "no key slot opens with this key";
	case 3:
		return "out of memory";
	case 4:
		return "no such device, or no access to it";
	case 5:
		return "the device exists already or is busy";
	case 127:
		return "the program cannot be run";
	default:
		return "unexpected exit status";
	}
}

LK_CHECK static enum lk_code verdict(
    int status, const char *verb, const struct lk_buf *message, struct lk_err *e)
{
	uint8_t text[200];
	struct lk_buf clean = LK_BUF(text);
	struct lk_slice said = lk_slice_buf(message);

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return LK_OK;
	while (said.n > 0 && said.p[said.n - 1] == '\n')
		said.n--;
	lk_log_printable(&clean, said, sizeof(text) - 1);
	if (WIFSIGNALED(status)) {
		(void)lk_fail(
		    e, LK_ELUKS, "cryptsetup %s: killed by signal %d", verb, WTERMSIG(status));
		e->lib = LK_CS_SIGNAL + (uint32_t)WTERMSIG(status);
		return e->code;
	}
	(void)lk_fail(e, LK_ELUKS, "cryptsetup %s: %s (exit %d)%s%.*s", verb,
	    status_meaning(WEXITSTATUS(status)), WEXITSTATUS(status), clean.n > 0 ? ": " : "",
	    (int)clean.n, (const char *)clean.p);
	e->lib = (uint32_t)WEXITSTATUS(status);
	if (WEXITSTATUS(status) == LK_CS_NO_SLOT && lk_slice_eq_str(lk_slice_str(verb), "open"))
		return lk_hint(e,
		    "use the passphrase and bind the volume again; with kind compat, the vault may "
		    "now encode the private exponent of the same key in another way");
	return e->code;
}

LK_CHECK static enum lk_code start(const char *program, const struct lk_cs_call *call, pid_t *pid,
    struct lk_process_says *says, struct lk_err *e)
{
	int out[2] = {-1, -1}, err[2] = {-1, -1}, in[2] = {-1, -1};
	const char *argv[ARGS_MAX + 1] = {NAME};
	enum lk_code rc;

	for (size_t n = 0; call->argv[n] != NULL; n++) {
		LK_BUG_ON(n + 1 >= ARGS_MAX);
		argv[n + 1] = call->argv[n];
	}
	rc = lk_process_pipe(NAME, call->input[0], &in[0], e);
	if (rc == LK_OK)
		rc = lk_process_pipe(NAME, call->input[1], &in[1], e);
	if (rc == LK_OK && (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0))
		rc = lk_fail_sys(e, errno, NAME ": pipe");
	if (rc == LK_OK)
		rc = lk_process_start(
		    program, argv, (const int[]){in[0], out[1], err[1], in[1]}, pid, e);
	lk_close(&in[0]);
	lk_close(&in[1]);
	lk_close(&out[1]);
	lk_close(&err[1]);
	says->out = out[0];
	says->err = err[0];
	return rc;
}

enum lk_code lk_cs_run(const struct lk_cs_call *call, struct lk_err *e)
{
	const char *program = find_program(call->program);
	uint8_t store[MESSAGE_MAX];
	struct lk_buf message = LK_BUF(store);
	struct lk_process_says says = {-1, -1, call->out, &message};
	pid_t pid = -1;
	int status = 0;
	enum lk_code rc;

	if (access(program, X_OK) != 0) {
		(void)lk_fail_sys(e, errno, "%s", program);
		return lk_hint(e, "install cryptsetup (in an initramfs: add it to the image)");
	}
	rc = start(program, call, &pid, &says, e);
	if (rc == LK_OK)
		rc = lk_process_hear(NAME, &says, call->deadline, e);
	if (rc != LK_OK && pid > 0)
		(void)kill(pid, SIGKILL);
	lk_close(&says.out);
	lk_close(&says.err);
	if (pid > 0 && lk_process_wait(NAME, pid, &status, e) != LK_OK)
		rc = e->code;
	return rc == LK_OK ? verdict(status, call->argv[0], &message, e) : rc;
}

LK_CHECK static enum lk_code open_slot(const char *program, const char *device, const char *name,
    uint32_t slot, struct lk_slice key, lk_time deadline, struct lk_err *e)
{
	char number[12];
	const char *argv[] = {"open", "--type", "luks2", "--batch-mode", "--tries", "1",
	    "--key-slot", number, "--key-file", "-", device, name, NULL};
	struct lk_cs_call call = {program, argv, {key, {NULL, 0}}, NULL, deadline};

	if (name == NULL)
		argv[11] = "--test-passphrase";
	lk_fmt(number, sizeof(number), "%u", (unsigned)slot);
	return lk_cs_run(&call, e) == LK_OK ? LK_OK : lk_err_prefix(e, "key slot %s", number);
}

enum lk_code lk_cs_open(const char *program, const char *device, const char *name, uint32_t slot,
    struct lk_slice key, lk_time deadline, struct lk_err *e)
{
	return open_slot(program, device, name, slot, key, deadline, e);
}

enum lk_code lk_cs_test(const char *program, const char *device, uint32_t slot, struct lk_slice key,
    lk_time deadline, struct lk_err *e)
{
	return open_slot(program, device, NULL, slot, key, deadline, e);
}
