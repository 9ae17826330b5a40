/* Log lines: their form on each sink, what is dropped, what is made printable. */
#include "t.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include "lk/log.h"

static char seen[8192];
static int saved = -1, pipe_fd[2];

/* stderr goes into a pipe from here on. */
static void catch_stderr(void)
{
	fflush(NULL);
	saved = dup(STDERR_FILENO);
	OK(pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK) == 0);
	dup2(pipe_fd[1], STDERR_FILENO);
}

static const char *caught(void)
{
	ssize_t n;

	dup2(saved, STDERR_FILENO);
	close(saved);
	close(pipe_fd[1]);
	n = read(pipe_fd[0], seen, sizeof(seen) - 1);
	seen[n > 0 ? n : 0] = '\0';
	close(pipe_fd[0]);
	return seen;
}

/* The milliseconds become '#'. */
static const char *without_time(char *line)
{
	for (char *c = strchr(line, '['); c && *c != ']'; c++)
		if (*c >= '0' && *c <= '9')
			*c = '#';
	return line;
}

static void open_log(enum lk_level level, bool quiet, bool journal)
{
	struct lk_log_conf c = {
	    .level = level, .quiet = quiet, .journal = journal, .tag = "latchkey"};

	lk_log_open(&c);
}

T(line_on_stderr)
{
	catch_stderr();
	open_log(LK_LOG_INFO, false, false);
	lk_log(LK_LOG_INFO, "hello %d", 5);
	EQ_S(without_time((char *)(uintptr_t)caught()), "latchkey: [     # ms] hello 5\n");
}

T(prefix_for_the_journal)
{
	catch_stderr();
	open_log(LK_LOG_DEBUG, false, true);
	lk_log(LK_LOG_ERR, "x");
	(void)caught();
	OK(strncmp(seen, "<3>latchkey: [", 14) == 0);
	catch_stderr();
	lk_log(LK_LOG_DEBUG, "x");
	(void)caught();
	OK(strncmp(seen, "<7>latchkey: [", 14) == 0);
}

T(levels_and_quiet)
{
	catch_stderr();
	open_log(LK_LOG_WARN, false, false);
	OK(lk_log_wants(LK_LOG_ERR) && lk_log_wants(LK_LOG_WARN));
	OK(!lk_log_wants(LK_LOG_INFO) && !lk_log_wants(LK_LOG_DEBUG));
	lk_log(LK_LOG_INFO, "x");
	EQ_S(caught(), "");
	catch_stderr();
	open_log(LK_LOG_DEBUG, true, false);
	lk_log(LK_LOG_ERR, "x");
	EQ_S(caught(), "");
}

T(one_printable_line_of_bounded_length)
{
	static char big[4000];

	memset(big, 'y', sizeof(big) - 1);
	catch_stderr();
	open_log(LK_LOG_INFO, false, false);
	lk_log(LK_LOG_INFO, "a%cb%c\x80%c", '\n', 0x1b, 0x7f);
	EQ_S(strchr(caught(), ']'), "] a?b???\n");
	catch_stderr();
	lk_log(LK_LOG_INFO, "%s", big);
	(void)caught();
	OK(strlen(seen) > 700 && strlen(seen) <= 900);
	OK(seen[0] && seen[strlen(seen) - 1] == '\n');
}

T(errors)
{
	struct lk_err e;

	(void)lk_fail(&e, LK_ENET, "vault: refused");
	catch_stderr();
	open_log(LK_LOG_INFO, false, false);
	lk_log_err(LK_LOG_ERR, &e);
	EQ_S(strchr(caught(), ']'), "] vault: refused\n");
	(void)lk_hint(&e, "open port 443");
	catch_stderr();
	lk_log_err(LK_LOG_ERR, &e);
	EQ_S(strchr(caught(), ']'), "] vault: refused; open port 443\n");
}

static char hooked[64];
static enum lk_level hooked_level;

static void hook(void *ctx, enum lk_level level, const char *line)
{
	hooked_level = level;
	(void)snprintf(hooked, sizeof(hooked), "%s:%s", (char *)ctx, line);
	lk_log(LK_LOG_ERR, "from the hook: dropped, no loop");
}

T(a_hook_takes_the_lines)
{
	char ctx[] = "ctx";

	catch_stderr();
	open_log(LK_LOG_INFO, false, false);
	lk_log_hook(hook, ctx);
	lk_log(LK_LOG_WARN, "line");
	lk_log(LK_LOG_DEBUG, "not wanted");
	lk_log_hook(NULL, NULL);
	EQ_S(hooked, "ctx:line");
	EQ_I(hooked_level, LK_LOG_WARN);
	lk_log(LK_LOG_INFO, "back");
	EQ_S(strchr(caught(), ']'), "] back\n");
}

T(a_full_pipe_does_not_block)
{
	static char junk[4096];
	unsigned lines = 0;

	catch_stderr();
	open_log(LK_LOG_INFO, false, false);
	while (write(pipe_fd[1], junk, sizeof(junk)) > 0)
		lines++;
	OK(lines > 0);
	/* A description shared with other programs may well be a blocking one. */
	OK(fcntl(pipe_fd[1], F_SETFL, 0) == 0);
	alarm(5);
	lk_log(LK_LOG_INFO, "lost");
	alarm(0);
	(void)caught();
}

T(closed_stderr_is_no_failure)
{
	fflush(NULL);
	saved = dup(STDERR_FILENO);
	close(STDERR_FILENO);
	open_log(LK_LOG_INFO, false, false);
	lk_log(LK_LOG_INFO, "nowhere");
	dup2(saved, STDERR_FILENO);
	close(saved);
}

/* In a mount namespace of its own, where /dev/kmsg is a file of ours. 2: not possible here. */
static int write_kmsg(void)
{
	struct lk_log_conf c = {.level = LK_LOG_INFO, .kmsg = true, .quiet = true, .tag = "lk"};
	char text[2500] = "";
	int fd;

	if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
		return 2;
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", "/dev", "tmpfs", 0, NULL) != 0)
		return 2;
	fd = open("/dev/kmsg", O_CREAT | O_RDWR, 0600);
	if (fd < 0)
		return 2;
	lk_log_open(&c);
	lk_log(LK_LOG_INFO, "one %d", 1);
	lk_log(LK_LOG_ERR, "two");
	lk_log(LK_LOG_ERR, "%01500d", 3);
	if (read(fd, text, sizeof(text) - 1) <= 0)
		return 1;
	if (strncmp(text, "<30>lk: [", 9) != 0 || !strstr(text, " ms] one 1\n<27>lk: ["))
		return 1;
	return strlen(text) < 60 + 900 ? 0 : 1;
}

T(kernel_log_records)
{
	int st = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(write_kmsg());
	NEED(waitpid(pid, &st, 0) == pid && WIFEXITED(st));
	if (WEXITSTATUS(st) == 2)
		SKIP("no mount namespace here");
	EQ_I(WEXITSTATUS(st), 0);
}

T(printable)
{
	uint8_t mem[16];
	struct lk_buf b = LK_BUF(mem);

	lk_log_printable(&b, lk_slice_of("a\0\n\x1b \x7e\x7f\xff", 8), 99);
	EQ_BYTES(b.p, b.n, "a??? ~??", 8);
	lk_log_printable(&b, LK_S("123456"), 4);
	EQ_BYTES(b.p, b.n, "a??? ~??1234", 12);
	lk_log_printable(&b, LK_S("123456"), 0);
	OK(b.n == 12 && !b.bad);
	lk_log_printable(&b, LK_S("123456"), 9);
	OK(b.bad);
}
