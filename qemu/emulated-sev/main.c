/* emulated-sev - plays the devices of an SEV-SNP guest, for the boots that test latchkey.
 *
 * usage: emulated-sev FILES STATE DOOR...      DOOR: sev-guest, sev (both CUSE), tsm
 *
 * Goes into the background as soon as all of them can be used. See device.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device.h"
#include "lk/fmt.h"

#define DOORS 3

static void line(const char *fmt, va_list ap)
{
	char text[300] = "emulated-sev: ";
	size_t n = strlen(text);
	(void)lk_vfmt(text + n, sizeof(text) - n, fmt, ap);
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	lk_print(fd >= 0 ? fd : STDERR_FILENO, "%s\n", text);
	if (fd >= 0)
		(void)close(fd);
}

void say(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	line(fmt, ap);
	va_end(ap);
}

void die(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	line(fmt, ap);
	va_end(ap);
	_exit(1);
}

/* The parent ends when there is nothing left to wait for. */
static void into_background(void)
{
	pid_t child = fork();
	if (child < 0)
		die("fork: %s", strerror(errno));
	if (child != 0)
		_exit(0);
	(void)setsid();
}

static void serve(struct door *doors, size_t n, struct device *d)
{
	struct pollfd fds[DOORS];
	bool background = false;
	for (;;) {
		bool ready = true;
		for (size_t i = 0; i < n; i++) {
			fds[i] = (struct pollfd){.fd = doors[i].fd, .events = POLLIN};
			ready = ready && doors[i].ready;
		}
		if (ready && !background) {
			background = true;
			into_background();
		}
		if (poll(fds, n, -1) < 0 && errno != EINTR)
			die("poll: %s", strerror(errno));
		for (size_t i = 0; i < n; i++)
			if (fds[i].revents != 0)
				doors[i].serve(&doors[i], d);
	}
}

int main(int argc, char **argv)
{
	static struct device d;
	struct door doors[DOORS];
	struct lk_err e;
	if (argc < 4 || argc > 3 + DOORS)
		die("usage: emulated-sev FILES STATE DOOR...");
	d.files = argv[1];
	d.state = argv[2];
	if (mkdir(d.state, 0700) != 0 && errno != EEXIST)
		die("%s: %s", d.state, strerror(errno));
	if (device_load(&d, &e) != LK_OK)
		die("%s", e.msg);
	for (int i = 3; i < argc; i++) {
		struct door *door = &doors[i - 3];
		if (!(strcmp(argv[i], "tsm") == 0 ? tsm_open(door) : cuse_open(door, argv[i])))
			die("%s: %s", argv[i], strerror(errno));
	}
	serve(doors, (size_t)(argc - 3), &d);
}
