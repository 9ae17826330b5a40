/* The error value, its names and its exit statuses. */
#include "lk/err.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lk/fmt.h"

/* The one table of exit statuses (sysexits). The caller of the program asks a single question:
 * again, or give up?
 *
 *   0 done    64 usage    65 bad data from a service or in the header    69 unavailable, all
 *   attempts spent    70 bug    71 system or device    75 the service said: later    76 trust
 *   failure    77 denied by policy    78 configuration
 *
 * `again` applies when the error is marked for another try. Only a service that answers "later", or
 * a deadline that ran out in the middle of that, is 75: the other attempts were already made.
 */
static const struct {
	const char *name;
	uint8_t status, again;
} codes[] = {
    [LK_OK] = {"ok", 0, 0},
    [LK_EUSAGE] = {"usage", 64, 64},
    [LK_ECONF] = {"configuration", 78, 78},
    [LK_EABSENT] = {"absent", 65, 65},
    [LK_ENET] = {"network", 69, 69},
    [LK_ETIME] = {"time", 69, 75},
    [LK_ETLS] = {"tls", 69, 69},
    [LK_ETRUST] = {"trust", 76, 76},
    [LK_EPROTO] = {"protocol", 65, 65},
    [LK_ELIMIT] = {"limit", 65, 65},
    [LK_EHTTP] = {"http", 69, 75},
    [LK_EDENIED] = {"denied", 77, 77},
    [LK_EATTEST] = {"attestation", 76, 76},
    [LK_ETPM] = {"tpm", 71, 71},
    [LK_ESNP] = {"snp", 71, 71},
    [LK_ECRYPTO] = {"crypto", 65, 65},
    [LK_EUNWRAP] = {"unwrap", 65, 65},
    [LK_ELUKS] = {"luks", 65, 65},
    [LK_ESYS] = {"system", 71, 71},
    [LK_EBUG] = {"bug", 70, 70},
};
#define CODES (sizeof(codes) / sizeof(codes[0]))
_Static_assert(CODES == LK_EBUG + 1, "every code has a row");

/* The last line of defence of "one line, no raw bytes". */
static void make_printable(char *s)
{
	for (; *s; s++)
		if (*s < 0x20 || *s > 0x7e)
			*s = '?';
}

/* Through a copy: the arguments may point into the text that is replaced. */
static void LK_PRINTF(3, 0) set_text(char *dst, size_t cap, const char *fmt, va_list ap)
{
	char tmp[sizeof(((struct lk_err *)0)->hint)];

	(void)lk_vfmt(tmp, sizeof(tmp), fmt, ap);
	make_printable(tmp);
	(void)lk_fmt(dst, cap, "%s", tmp);
}

static void start(struct lk_err *e, enum lk_code code)
{
	LK_BUG_ON(code <= LK_OK || code > LK_EBUG);
	e->code = code;
	e->retry = false;
	e->sys = 0;
	e->http = 0;
	e->lib = 0;
	e->wait_s = 0;
}

enum lk_code lk_fail(struct lk_err *e, enum lk_code code, const char *fmt, ...)
{
	va_list ap;

	start(e, code);
	va_start(ap, fmt);
	set_text(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	e->hint[0] = '\0';
	return code;
}

enum lk_code lk_fail_sys(struct lk_err *e, int err, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	start(e, LK_ESYS);
	e->sys = err;
	va_start(ap, fmt);
	set_text(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	n = strlen(e->msg);
	(void)lk_fmt(e->msg + n, sizeof(e->msg) - n, ": %s", strerror(err));
	make_printable(e->msg);
	e->hint[0] = '\0';
	return LK_ESYS;
}

enum lk_code lk_hint(struct lk_err *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_text(e->hint, sizeof(e->hint), fmt, ap);
	va_end(ap);
	return e->code;
}

enum lk_code lk_err_prefix(struct lk_err *e, const char *fmt, ...)
{
	char old[sizeof(e->msg)];
	va_list ap;
	size_t n;

	memcpy(old, e->msg, sizeof(old));
	old[sizeof(old) - 1] = '\0';
	va_start(ap, fmt);
	set_text(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	n = strlen(e->msg);
	(void)lk_fmt(e->msg + n, sizeof(e->msg) - n, ": %s", old);
	return e->code;
}

enum lk_code lk_err_retry(struct lk_err *e)
{
	e->retry = true;
	return e->code;
}

int lk_err_exit(const struct lk_err *e)
{
	if ((size_t)e->code >= CODES)
		return codes[LK_EBUG].status;
	return e->retry ? codes[e->code].again : codes[e->code].status;
}

const char *lk_code_name(enum lk_code code)
{
	return (size_t)code < CODES ? codes[code].name : "unknown";
}

_Noreturn void lk_bug(const char *file, int line)
{
	char text[100];

	(void)lk_fmt(text, sizeof(text), "latchkey: bug at %s:%d\n", file, line);
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		abort();
	abort();
}
