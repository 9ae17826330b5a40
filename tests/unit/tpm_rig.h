/* tpm_rig.h - a provisioned software TPM behind a pty for the TPM tests.
 *
 * Made once per program in a folder of its own under /tmp, removed at exit. Programs run from the
 * top folder. rig_ready() returns NULL or the reason to skip.
 */
#ifndef TPM_RIG_H
#define TPM_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <time.h>

#include "lk/io.h"
#include "lk/tpm.h"
#include "t.h"

#define RIG_PYTHON "/usr/bin/python3"
#define RIG_ARGS   24

static char rig_dir[64], rig_link[96], rig_log[96];
static pid_t rig_server;
static struct lk_err err;

static void rig_path(char *out, size_t cap, const char *name)
{
	(void)snprintf(out, cap, "%s/%s", rig_dir, name);
}

static pid_t rig_spawn(const char *const *argv, int out)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* also when the test crashes */
		(void)dup2(out >= 0 ? out : open("/dev/null", O_WRONLY), 1); /* TAP is ours */
		char *args[RIG_ARGS + 1] = {0};
		for (unsigned i = 0; argv[i] && i < RIG_ARGS; i++)
			args[i] = strdup(argv[i]);
		execv(args[0], args);
		_exit(127);
	}
	return pid;
}

static bool rig_run(const char *const *argv)
{
	int st = 0;
	pid_t pid = rig_spawn(argv, -1);
	if (pid < 0 || waitpid(pid, &st, 0) != pid || st != 0) {
		T_FAIL("%s %s failed (status %d)", argv[1], argv[2], st);
		return false;
	}
	return true;
}

static void rig_remove(void)
{
	if (rig_server > 0) {
		(void)kill(rig_server, SIGTERM);
		(void)waitpid(rig_server, NULL, 0);
	}
	const char *argv[] = {"/bin/rm", "-rf", rig_dir, NULL};
	(void)rig_run(argv);
}

/* NULL: provisioned; else why not. */
__attribute__((unused)) static const char *rig_ready(void)
{
	static bool done, ok;
	if (access("/usr/bin/swtpm", X_OK))
		return "swtpm is not installed";
	if (access("tests/cloud/vtpm.py", R_OK))
		return "not run from the top folder";
	if (!done) {
		done = true;
		(void)snprintf(rig_dir, sizeof(rig_dir), "/tmp/lk-tpm-XXXXXX");
		if (!mkdtemp(rig_dir))
			return "no folder under /tmp";
		(void)atexit(rig_remove);
		rig_path(rig_link, sizeof(rig_link), "dev");
		rig_path(rig_log, sizeof(rig_log), "log");
		char state[96], tpm[96];
		rig_path(state, sizeof(state), "state");
		rig_path(tpm, sizeof(tpm), "good");
		const char *argv[] = {RIG_PYTHON, "tests/cloud/vtpm.py", "provision", "--state",
		    state, "--tpm", tpm, NULL};
		ok = rig_run(argv) && !lk_crypto_start(&err);
	}
	if (!ok)
		T_FAIL("the TPM is not provisioned");
	return NULL;
}

__attribute__((unused)) static void rig_stop(void)
{
	if (rig_server <= 0)
		return;
	(void)kill(rig_server, SIGTERM);
	(void)waitpid(rig_server, NULL, 0);
	rig_server = 0;
}

/* Serve the TPM state `name` at rig_link with these faults (NULL-terminated). */
__attribute__((unused)) static bool rig_serve(const char *name, ...)
{
	char tpm[96];
	rig_path(tpm, sizeof(tpm), name);
	(void)unlink(rig_log);
	const char *argv[RIG_ARGS] = {RIG_PYTHON, "tests/cloud/vtpm.py", "serve", "--tpm", tpm,
	    "--link", rig_link, "--log", rig_log};
	unsigned n = 9;
	va_list ap;
	va_start(ap, name);
	for (const char *f = va_arg(ap, const char *); f && n < RIG_ARGS - 3;
	     f = va_arg(ap, const char *)) {
		argv[n++] = "--fault";
		argv[n++] = f;
	}
	va_end(ap);
	rig_server = rig_spawn(argv, -1);
	for (unsigned i = 0; i < 2000; i++) {
		if (!access(rig_link, F_OK))
			return true;
		(void)usleep(10000);
	}
	T_FAIL("the relay does not come up");
	return false;
}

static uint8_t rig_log_text[128 * 1024];

/* The log once the client's end has been noted in it ("FINALIZE"). */
__attribute__((unused)) static struct lk_slice rig_read_log(const char *path, bool wait)
{
	struct lk_buf b = LK_BUF(rig_log_text);
	for (unsigned i = 0; i < 500; i++) {
		b = LK_BUF(rig_log_text);
		if (lk_file_read(path, &b, &err))
			T_FAIL("%s", err.msg);
		if (!wait || memmem(b.p, b.n, "\nFINALIZE", 9))
			break;
		(void)usleep(10000);
	}
	return lk_slice_buf(&b);
}

/* The hexadecimal part of the next command line, or false at the end. */
__attribute__((unused)) static bool rig_next_command(struct lk_slice *log, struct lk_slice *hex)
{
	size_t at;
	struct lk_slice line;
	while (lk_slice_find(*log, '\n', &at) && lk_slice_take(log, at, &line)) {
		*log = lk_slice_sub(*log, 1, log->n);
		if (!lk_slice_starts(line, LK_S("C ")))
			continue;
		line = lk_slice_sub(line, 2, line.n);
		if (lk_slice_find(line, ' ', &at)) {
			*hex = lk_slice_sub(line, at + 1, line.n);
			return true;
		}
	}
	return false;
}

/* Text encrypted to the key by another implementation. */
__attribute__((unused)) static bool rig_encrypt(
    const char *scheme, const uint8_t n[256], const char *text, uint8_t out[256])
{
	uint8_t hex[520], answer[520];
	struct lk_buf h = LK_BUF(hex), a = LK_BUF(answer), o = {.p = out, .cap = 256};
	lk_hex_encode(lk_slice_of(n, 256), &h);
	hex[h.n] = 0;
	int p[2];
	if (pipe(p))
		return false;
	const char *argv[] = {RIG_PYTHON, "tests/unit/tpm_fixture.py", "encrypt", scheme,
	    (const char *)hex, text, NULL};
	pid_t pid = rig_spawn(argv, p[1]);
	(void)close(p[1]);
	bool ok = !lk_read_all(p[0], &a, lk_deadline_in(20000), &err);
	(void)close(p[0]);
	(void)waitpid(pid, NULL, 0);
	ok = ok && a.n == 513 && !lk_hex_decode(lk_slice_of(answer, 512), &o, &err);
	if (!ok)
		T_FAIL("tpm_fixture.py encrypt: %zu bytes", a.n);
	return ok;
}

__attribute__((unused)) static bool rig_variant(const char *kind)
{
	char from[96], to[96];
	rig_path(from, sizeof(from), "good");
	rig_path(to, sizeof(to), kind);
	const char *argv[] = {
	    RIG_PYTHON, "tests/unit/tpm_fixture.py", "variant", from, to, kind, NULL};
	return rig_run(argv);
}

#endif
