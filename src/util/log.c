/* Lines for the console and the kernel's log. */
#include "lk/log.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "lk/clock.h"
#include "lk/fmt.h"

#define TEXT_MAX   800
#define RECORD_MAX 900 /* /dev/kmsg refuses records of 1 KiB and more */
#define DAEMON     24  /* facility 3 of syslog, shifted */

static struct lk_log_conf conf = {.level = LK_LOG_INFO, .tag = "latchkey"};
static void (*hook_fn)(void *ctx, enum lk_level level, const char *line);
static void *hook_ctx;
static bool in_hook;
static int kmsg = -1;
static lk_time begin;

void lk_log_open(const struct lk_log_conf *c)
{
	if (!begin)
		begin = lk_now();
	conf = *c;
	if (!conf.tag)
		conf.tag = "latchkey";
	if (kmsg >= 0)
		(void)close(kmsg);
	kmsg = conf.kmsg ? open("/dev/kmsg", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY) : -1;
}

void lk_log_hook(void (*hook)(void *ctx, enum lk_level level, const char *line), void *ctx)
{
	hook_fn = hook;
	hook_ctx = ctx;
}

bool lk_log_wants(enum lk_level level)
{
	return level <= conf.level;
}

/* One write: a record is whole or lost. */
static void emit(int fd, const char *record)
{
	ssize_t n = write(fd, record, strlen(record));

	(void)n;
}

/* A full pipe or a stopped terminal loses the record. (Only here: /dev/kmsg takes every write at
 * once, and its poll(2) never says POLLOUT.) */
static bool takes_a_write(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

static void to_sinks(enum lk_level level, const char *text)
{
	long long ms = lk_now() - begin;
	char record[RECORD_MAX], prefix[8] = "";

	if (!conf.quiet) {
		if (conf.journal)
			(void)lk_fmt(prefix, sizeof(prefix), "<%u>", (unsigned)level & 7);
		(void)lk_fmt(
		    record, sizeof(record), "%s%.32s: [%6lld ms] %s\n", prefix, conf.tag, ms, text);
		if (takes_a_write(STDERR_FILENO))
			emit(STDERR_FILENO, record);
	}
	if (kmsg >= 0) {
		(void)lk_fmt(record, sizeof(record), "<%u>%.32s: [%lld ms] %s\n",
		    DAEMON + ((unsigned)level & 7), conf.tag, ms, text);
		emit(kmsg, record);
	}
}

void lk_log(enum lk_level level, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	if (!lk_log_wants(level) || in_hook)
		return;
	if (!begin)
		begin = lk_now();
	va_start(ap, fmt);
	(void)lk_vfmt(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *c = text; *c; c++)
		if (*c < 0x20 || *c > 0x7e)
			*c = '?';
	if (!hook_fn) {
		to_sinks(level, text);
		return;
	}
	/* A hook that fails and logs it must not come back here. */
	in_hook = true;
	hook_fn(hook_ctx, level, text);
	in_hook = false;
}

void lk_log_err(enum lk_level level, const struct lk_err *e)
{
	if (e->hint[0])
		lk_log(level, "%.*s; %.*s", (int)sizeof(e->msg), e->msg, (int)sizeof(e->hint),
		    e->hint);
	else
		lk_log(level, "%.*s", (int)sizeof(e->msg), e->msg);
}

void lk_log_printable(struct lk_buf *out, struct lk_slice text, size_t max)
{
	for (size_t i = 0; i < text.n && i < max; i++) {
		uint8_t c = text.p[i];

		lk_buf_byte(out, c >= 0x20 && c <= 0x7e ? c : '?');
	}
}
