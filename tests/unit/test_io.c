/* Reads and writes under a deadline, and small files. */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "lk/io.h"

static uint8_t big[300000], back[300000];
static struct lk_err e;
static char dir[] = "/tmp/lk-test-io.XXXXXX", path[64];

static void ignore(int sig)
{
	(void)sig;
}

/* Signals every 2 ms: each poll and read is interrupted many times. */
static void disturb(bool on)
{
	struct sigaction sa = {.sa_handler = ignore};
	struct itimerval t = {{0, on ? 2000 : 0}, {0, on ? 2000 : 0}};

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
}

T(wait)
{
	int p[2], closed;
	lk_time a = lk_now();

	NEED(pipe2(p, O_CLOEXEC) == 0);
	EQ_CODE(LK_ETIME, lk_wait_fd(p[0], POLLIN, lk_deadline_in(40), &e));
	OK(lk_now() - a >= 40 && lk_now() - a < 3000);
	EQ_CODE(LK_ETIME, lk_wait_fd(p[0], POLLIN, 0, &e));
	EQ_CODE(LK_OK, lk_wait_fd(p[1], POLLOUT, 0, &e)); /* ready now is ready */
	OK(write(p[1], "x", 1) == 1);
	EQ_CODE(LK_OK, lk_wait_fd(p[0], POLLIN, 0, &e));
	disturb(true);
	EQ_CODE(LK_OK, lk_wait_fd(p[0], POLLIN, lk_deadline_in(50), &e));
	OK(read(p[0], back, 1) == 1);
	a = lk_now();
	EQ_CODE(LK_ETIME, lk_wait_fd(p[0], POLLIN, lk_deadline_in(50), &e));
	disturb(false);
	OK(lk_now() - a >= 50);
	closed = p[1];
	lk_close(&p[1]);
	EQ_I(p[1], -1);
	EQ_CODE(LK_ESYS, lk_wait_fd(closed, POLLOUT, 0, &e));
	EQ_I(e.sys, EBADF);
	lk_close(&p[0]);
	errno = EDOM;
	lk_close(&p[0]);
	EQ_I(errno, EDOM);
}

/* A child sends n bytes in small pieces with pauses. */
static pid_t drip(int fd, size_t n, size_t piece)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	for (size_t at = 0; at < n; at += piece) {
		usleep(1000);
		if (write(fd, big + at, n - at < piece ? n - at : piece) < 0)
			_exit(1);
	}
	_exit(0);
}

T(read_in_pieces)
{
	int s[2];
	pid_t pid;

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 31 + (i >> 8));
	NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s) == 0);
	pid = drip(s[1], 40, 1);
	lk_close(&s[1]);
	disturb(true);
	EQ_CODE(LK_OK, lk_read_full(s[0], back, 37, lk_deadline_in(20000), &e));
	EQ_MEM(back, big, 37);
	EQ_CODE(LK_EPROTO, lk_read_full(s[0], back, 4, lk_deadline_in(20000), &e));
	disturb(false);
	EQ_S(e.msg, "end of file, 1 bytes early");
	EQ_CODE(LK_OK, lk_read_full(s[0], back, 0, lk_deadline_in(0), &e));
	lk_close(&s[0]);
	OK(waitpid(pid, NULL, 0) == pid);
}

T(a_slow_peer_meets_the_deadline)
{
	int s[2];
	pid_t pid;
	lk_time a = lk_now();

	NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) == 0);
	pid = drip(s[1], 100000, 1);
	EQ_CODE(LK_ETIME, lk_read_full(s[0], back, 100000, lk_deadline_in(60), &e));
	OK(lk_now() - a < 3000);
	OK(kill(pid, SIGKILL) == 0);
	lk_close(&s[0]);
	lk_close(&s[1]);
	OK(waitpid(pid, NULL, 0) == pid);
}

T(read_some_and_all)
{
	int p[2];
	size_t got = 9;
	struct lk_buf b = {.p = back, .cap = 4};

	NEED(pipe2(p, O_CLOEXEC) == 0);
	OK(write(p[1], "abcd", 4) == 4);
	EQ_CODE(LK_OK, lk_read_some(p[0], back, 100, lk_deadline_in(1000), &got, &e));
	EQ_BYTES(back, got, "abcd", 4);
	EQ_CODE(LK_ETIME, lk_read_some(p[0], back, 100, lk_deadline_in(5), &got, &e));
	EQ_CODE(LK_ELIMIT, lk_read_some(p[0], back, 0, lk_deadline_in(5), &got, &e));
	OK(write(p[1], "efgh", 4) == 4);
	lk_close(&p[1]);
	EQ_CODE(LK_OK, lk_read_all(p[0], &b, lk_deadline_in(1000), &e));
	EQ_BYTES(b.p, b.n, "efgh", 4);
	EQ_CODE(LK_OK, lk_read_some(p[0], back, 1, lk_deadline_in(1000), &got, &e));
	EQ_U(got, 0);
	lk_close(&p[0]);

	NEED(pipe2(p, O_CLOEXEC) == 0);
	OK(write(p[1], "efghi", 5) == 5);
	b.n = 0;
	memset(back, '.', 8);
	EQ_CODE(LK_ELIMIT, lk_read_all(p[0], &b, lk_deadline_in(1000), &e));
	EQ_MEM(back, "efgh....", 8);
	EQ_CODE(LK_ETIME, lk_read_all(p[0], &b, lk_deadline_in(5), &e));
	lk_close(&p[1]);
	b.bad = true;
	EQ_CODE(LK_ELIMIT, lk_read_all(p[0], &b, lk_deadline_in(5), &e));
	lk_close(&p[0]);
}

/* A child that reads everything, slowly, and says whether it was `big`. */
static pid_t sink(int fd, int other)
{
	pid_t pid = fork();
	size_t n = 0;
	ssize_t got;

	if (pid != 0)
		return pid;
	close(other);
	while ((got = read(fd, back + n, sizeof(back) - n < 7001 ? sizeof(back) - n : 7001)) > 0) {
		n += (size_t)got;
		usleep(200);
	}
	_exit(n == sizeof(big) && memcmp(big, back, n) == 0 ? 0 : 1);
}

T(write_in_pieces)
{
	for (int kind = 0; kind < 4; kind++) { /* pipe or socket, blocking or not */
		int s[2], st = 1;
		pid_t pid;

		if (kind < 2)
			NEED(pipe2(s, O_CLOEXEC) == 0);
		else
			NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) == 0);
		if (kind % 2)
			OK(fcntl(s[1], F_SETFL, O_NONBLOCK) == 0);
		pid = sink(s[0], s[1]);
		disturb(true);
		EQ_CODE(LK_OK, lk_write_full(s[1], big, sizeof(big), lk_deadline_in(20000), &e));
		disturb(false);
		lk_close(&s[0]);
		lk_close(&s[1]);
		OK(waitpid(pid, &st, 0) == pid && st == 0);
	}
}

T(a_peer_that_does_not_read_meets_the_deadline)
{
	for (int kind = 0; kind < 2; kind++) {
		lk_time a = lk_now();
		int s[2];

		if (kind)
			NEED(pipe2(s, O_CLOEXEC) == 0);
		else
			NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) == 0);
		alarm(5); /* if it blocks after all */
		EQ_CODE(LK_ETIME, lk_write_full(s[1], big, sizeof(big), lk_deadline_in(50), &e));
		alarm(0);
		OK(lk_now() - a < 3000);
		lk_close(&s[0]);
		lk_close(&s[1]);
	}
}

T(ready_but_never_accepting)
{
	/* An eventfd that is nearly full polls writable and still answers EAGAIN. */
	uint64_t half = (uint64_t)1 << 63, most = UINT64_MAX - 1;
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	lk_time a = lk_now();

	NEED(fd >= 0);
	OK(write(fd, &half, sizeof(half)) == (ssize_t)sizeof(half));
	EQ_CODE(LK_OK, lk_wait_fd(fd, POLLOUT, 0, &e));
	EQ_CODE(LK_ETIME, lk_write_full(fd, &most, sizeof(most), lk_deadline_in(40), &e));
	OK(lk_now() - a < 3000);
	lk_close(&fd);
}

T(a_peer_that_went_away)
{
	int s[2];
	size_t got;

	NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) == 0);
	lk_close(&s[0]);
	EQ_CODE(LK_ENET, lk_write_full(s[1], "x", 1, lk_deadline_in(1000), &e)); /* no SIGPIPE */
	OK(e.code == LK_ENET && e.retry && e.sys == EPIPE);
	lk_close(&s[1]);

	NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) == 0);
	OK(write(s[1], "x", 1) == 1);
	lk_close(&s[0]); /* with an unread byte: a reset */
	EQ_CODE(LK_ENET, lk_read_some(s[1], back, 1, lk_deadline_in(1000), &got, &e));
	OK(e.code == LK_ENET && e.retry && e.sys == ECONNRESET);
	lk_close(&s[1]);
}

T(a_closed_pipe_is_an_error_or_the_end)
{
	int p[2];

	NEED(pipe(p) == 0);
	lk_close(&p[0]);
	lk_sigpipe(false);
	EQ_CODE(LK_ENET, lk_write_full(p[1], "x", 1, lk_deadline_in(1000), &e));
	EQ_I(e.sys, EPIPE);
	DIES((lk_sigpipe(true), write(p[1], "x", 1)));
	lk_close(&p[1]);
}

static const char *in_dir(const char *name)
{
	if (dir[sizeof(dir) - 2] == 'X')
		OK(mkdtemp(dir) != NULL);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

T(file_read)
{
	static uint8_t mem[16];
	struct lk_buf b = LK_BUF(mem);
	lk_time a;
	int fd = open(in_dir("f"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	OK(fd >= 0 && write(fd, "0123456789abcdef", 16) == 16);
	EQ_CODE(LK_OK, lk_file_read(path, &b, &e));
	EQ_BYTES(b.p, b.n, "0123456789abcdef", 16);
	OK(write(fd, "!", 1) == 1);
	lk_close(&fd);
	b.n = 0;
	EQ_CODE(LK_ELIMIT, lk_file_read(path, &b, &e));
	b = LK_BUF(mem);
	EQ_CODE(LK_EABSENT, lk_file_read(in_dir("none"), &b, &e));
	EQ_I(e.sys, ENOENT);
	EQ_CODE(LK_EABSENT, lk_file_read(in_dir("f/g"), &b, &e));
	EQ_CODE(LK_ESYS, lk_file_read(dir, &b, &e));
	OK(mkfifo(in_dir("fifo"), 0600) == 0);
	alarm(5);
	a = lk_now();
	EQ_CODE(LK_ESYS, lk_file_read(path, &b, &e));
	OK(lk_now() - a < 3000);
	alarm(0);
	EQ_CODE(LK_ELIMIT, lk_file_read("/dev/zero", &b, &e));
	b = LK_BUF(mem);
	EQ_CODE(LK_OK, lk_file_read("/dev/null", &b, &e));
	EQ_U(b.n, 0);
	OK(unlink(path) == 0 && unlink(in_dir("f")) == 0);
}

T(file_whose_size_says_zero)
{
	struct lk_buf b = {.p = back, .cap = sizeof(back)};
	struct stat st;

	OK(stat("/proc/self/maps", &st) == 0 && st.st_size == 0);
	EQ_CODE(LK_OK, lk_file_read("/proc/self/maps", &b, &e));
	OK(b.n > 100); /* more than one read's worth: the kernel hands out whole lines */
}

static unsigned files_in_dir(void)
{
	char cmd[64], text[8] = "";
	FILE *f;

	(void)snprintf(cmd, sizeof(cmd), "ls -A %s | wc -l", dir);
	f = popen(cmd, "r");
	OK(f != NULL && fgets(text, sizeof(text), f) != NULL);
	if (f)
		pclose(f);
	return (unsigned)strtoul(text, NULL, 10);
}

T(file_replace)
{
	struct lk_buf b = {.p = back, .cap = sizeof(back)};
	char name[2000];
	struct stat st;

	umask(077);
	EQ_CODE(LK_OK, lk_file_replace(in_dir("conf"), LK_S("old"), 0644, &e));
	OK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0644);
	EQ_CODE(LK_OK, lk_file_replace(path, lk_slice_of(big, sizeof(big)), 0600, &e));
	OK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600);
	EQ_CODE(LK_OK, lk_file_read(path, &b, &e));
	EQ_BYTES(b.p, b.n, big, sizeof(big));
	EQ_U(files_in_dir(), 1); /* no temporary name stays */

	OK(mkdir(in_dir("d"), 0700) == 0);
	EQ_CODE(LK_ESYS, lk_file_replace(path, LK_S("x"), 0600, &e)); /* rename onto a folder */
	EQ_U(files_in_dir(), 2);
	OK(rmdir(path) == 0);
	EQ_CODE(LK_ESYS, lk_file_replace(in_dir("none/f"), LK_S("x"), 0600, &e));
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	EQ_CODE(LK_ELIMIT, lk_file_replace(name, LK_S("x"), 0600, &e));

	OK(chdir(dir) == 0);
	EQ_CODE(LK_OK, lk_file_replace("plain", LK_S("x"), 0600, &e));
	EQ_U(files_in_dir(), 2);
	OK(unlink(in_dir("plain")) == 0 && unlink(in_dir("conf")) == 0);
	OK(chdir("/") == 0 && rmdir(dir) == 0);
}
