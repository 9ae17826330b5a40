/* Couriers as processes: what they give up and how they die. The disk courier needs no network, so
 * the real one is started. */
#include "t.h"

#include <fcntl.h>
#include <signal.h>

#include "../../src/courier/shut_in.h"

static uint8_t room[LK_FRAME_MAX];

static struct lk_buf store(void)
{
	return (struct lk_buf){.p = room, .n = 0, .cap = sizeof(room), .bad = false};
}

/* ---- the real child */

static struct lk_courier_conf disk_conf(int fd)
{
	struct lk_courier_conf conf;

	memset(&conf, 0, sizeof(conf));
	conf.peer = LK_PEER_DISK;
	conf.disk_fd = fd;
	conf.deadline = lk_deadline_in(5000);
	return conf;
}

/* What /proc says of a process: the numbers after "name:". */
static long proc_value(pid_t pid, const char *file, const char *name, int column)
{
	char path[64], line[256];
	long v[4] = {-1, -1, -1, -1};

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	FILE *f = fopen(path, "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			sscanf(line + strlen(name), "%ld %ld %ld %ld", &v[0], &v[1], &v[2], &v[3]);
	fclose(f);
	return v[column];
}

/* Started, and past its walls: it has answered a question. */
static bool start_disk(struct lk_courier *c, struct lk_err *e)
{
	struct lk_buf s = store();
	struct lk_luks2 h;
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct lk_courier_conf conf = disk_conf(fd);

	if (lk_courier_start(&conf, c, e) != LK_OK)
		return false;
	close(fd);
	return lk_read_tokens(c, &s, &h, e) == LK_ELUKS;
}

T(a_courier_answers_and_ends_when_the_keeper_closes)
{
	struct lk_courier c;
	struct lk_err e = {0};

	NEED(start_disk(&c, &e));
	EQ_S(e.msg, "no LUKS header");
	pid_t pid = c.pid;
	lk_courier_stop(&c);
	EQ_I(c.fd, -1);
	EQ_I(kill(pid, 0), -1); /* reaped */
}

T(a_courier_gives_up_what_it_does_not_need)
{
	struct lk_courier c;
	struct lk_err e = {0};

	NEED(start_disk(&c, &e));
	EQ_I(proc_value(c.pid, "status", "NoNewPrivs:", 0), 1);
	EQ_I(proc_value(c.pid, "status", "CapEff:", 0), 0);
	EQ_I(proc_value(c.pid, "status", "CapPrm:", 0), 0);
	if (geteuid() == 0) {
		for (int i = 0; i < 4; i++) {
			EQ_I(proc_value(c.pid, "status", "Uid:", i), 65520 + LK_PEER_DISK);
			EQ_I(proc_value(c.pid, "status", "Gid:", i), 65520 + LK_PEER_DISK);
		}
		EQ_I(proc_value(c.pid, "status", "Groups:", 0), -1);
	}
	EQ_I(proc_value(c.pid, "limits", "Max core file size", 1), 0);
	EQ_I(proc_value(c.pid, "limits", "Max processes", 1), 0);
	EQ_I(proc_value(c.pid, "limits", "Max file size", 1), 0);
	EQ_I(proc_value(c.pid, "limits", "Max open files", 1), 16);
	lk_courier_stop(&c);
}

T(a_courier_holds_its_socket_and_the_disk_only)
{
	struct lk_courier c;
	struct lk_err e = {0};
	char path[64], target[64];
	int extra = open("/dev/zero", O_RDONLY);

	NEED(start_disk(&c, &e));
	for (int i = 0; i < 64; i++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)c.pid, i);
		ssize_t n = readlink(path, target, sizeof(target) - 1);
		if (i > LK_COURIER_DISK_FD) {
			EQ_I(n, -1);
			continue;
		}
		NEED(n > 0);
		target[n] = '\0';
		if (i < 3)
			EQ_S(target, "/dev/null");
		else if (i == LK_COURIER_FD)
			OK(!strncmp(target, "socket:", 7));
		else
			EQ_S(target, "/dev/zero");
	}
	close(extra);
	lk_courier_stop(&c);
}

T(a_killed_courier_is_named_with_its_signal_and_can_be_started_again)
{
	struct lk_courier c;
	struct lk_err e = {0};
	struct lk_buf s = store();
	struct lk_luks2 h;

	NEED(start_disk(&c, &e));
	kill(c.pid, SIGKILL);
	EQ_CODE(LK_EBUG, lk_read_tokens(&c, &s, &h, &e));
	OK(e.retry);
	EQ_S(e.msg, "the disk courier died of signal 9");
	EQ_I(c.fd, -1);
	EQ_I(c.pid, 0);
	EQ_CODE(LK_EBUG, lk_read_tokens(&c, &s, &h, &e)); /* still dead */
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	c.conf.disk_fd = fd;
	EQ_CODE(LK_OK, lk_courier_restart(&c, &e));
	close(fd);
	EQ_CODE(LK_ELUKS, lk_read_tokens(&c, &s, &h, &e));
	lk_courier_stop(&c);
}

T(a_courier_does_not_outlive_its_keeper)
{
	struct lk_err e = {0};
	int p[2];
	pid_t pid = -1;

	NEED(pipe(p) == 0);
	pid_t keeper = fork();
	if (keeper == 0) {
		struct lk_courier c;

		/* A second holder of the socket, so that no end of file tells the courier. */
		if (!start_disk(&c, &e) || write(p[1], &c.pid, sizeof(c.pid)) != sizeof(c.pid))
			_exit(1);
		raise(SIGKILL);
	}
	NEED(read(p[0], &pid, sizeof(pid)) == sizeof(pid));
	waitpid(keeper, NULL, 0);
	for (int i = 0; i < 200 && proc_value(pid, "status", "Uid:", 0) >= 0; i++)
		usleep(10000);
	/* Gone, or a zombie that nobody here can reap. */
	OK(proc_value(pid, "status", "VmSize:", 0) < 0);
	close(p[0]);
	close(p[1]);
}

T(a_question_for_another_courier_is_an_error_not_an_end)
{
	struct lk_courier c;
	struct lk_err e = {0};
	struct lk_buf s = store();
	struct lk_certs certs;

	NEED(start_disk(&c, &e));
	struct lk_slice none = {NULL, 0};
	EQ_CODE(LK_OK, lk_ask_certs(&c, LK_CERTS_THIM, none, none, &s, &e));
	s = store();
	EQ_CODE(LK_EBUG, lk_wait_certs(&c, &s, &certs, &e));
	OK(!e.retry);
	EQ_CODE(LK_OK, lk_courier_ask(&c, LK_F_TOKENS, NULL, &e));
	lk_courier_stop(&c);
}
