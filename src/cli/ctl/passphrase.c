/* passphrase.c - the volume's existing key, needed to add a slot. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "ctl.h"
#include "lk/fmt.h"
#include "lk/io.h"

#define PATIENCE_MS (10 * 60 * 1000)

LK_CHECK static enum lk_code from_fd(int fd, struct lk_secret *out, struct lk_err *e)
{
	struct lk_buf b = {.p = out->p, .n = 0, .cap = sizeof(out->p), .bad = false};

	if (lk_read_all(fd, &b, lk_deadline_in(PATIENCE_MS), e) != LK_OK)
		return lk_err_prefix(e, "existing key");
	out->n = b.n;
	return out->n > 0 ? LK_OK : lk_fail(e, LK_EUSAGE, "existing key: nothing was given");
}

LK_CHECK static enum lk_code line(int tty, struct lk_secret *out, struct lk_err *e)
{
	for (out->n = 0; out->n < sizeof(out->p);) {
		size_t got = 0;

		if (lk_read_some(tty, out->p + out->n, 1, lk_deadline_in(PATIENCE_MS), &got, e) !=
		    LK_OK)
			return e->code;
		if (got == 0 || out->p[out->n] == '\n')
			return out->n > 0 ? LK_OK : lk_fail(e, LK_EUSAGE, "nothing was typed");
		out->n++;
	}
	return lk_fail(e, LK_ELIMIT, "passphrase too long");
}

LK_CHECK static enum lk_code from_terminal(
    const char *device, struct lk_secret *out, struct lk_err *e)
{
	struct termios shown, hidden;
	enum lk_code rc;
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (tty < 0) {
		(void)lk_fail(
		    e, LK_EUSAGE, "there is no terminal to ask for the existing passphrase");
		return lk_hint(
		    e, "give it with --key-file FILE, or --key-file - on standard input");
	}
	if (tcgetattr(tty, &shown) != 0) {
		(void)lk_fail_sys(e, errno, "terminal");
		close(tty);
		return e->code;
	}
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	hidden.c_lflag |= (tcflag_t)ICANON;
	(void)tcsetattr(tty, TCSAFLUSH, &hidden);
	lk_print(tty, "Existing passphrase of %s: ", device);
	rc = line(tty, out, e);
	(void)tcsetattr(tty, TCSAFLUSH, &shown);
	lk_print(tty, "\n");
	close(tty);
	return rc;
}

enum lk_code lk_ctl_passphrase(
    const char *file, const char *device, struct lk_secret *out, struct lk_err *e)
{
	enum lk_code rc;
	int fd;

	if (file[0] == '\0')
		return from_terminal(device, out, e);
	if (strcmp(file, "-") == 0)
		return from_fd(STDIN_FILENO, out, e);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return lk_fail_sys(e, errno, "%s", file);
	rc = from_fd(fd, out, e);
	close(fd);
	return rc;
}
