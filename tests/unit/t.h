/* t.h - the unit test harness: one program per module, TAP on stdout.
 *
 *	#include "t.h"
 *	T(parses_the_empty_object)
 *	{
 *		OK(lk_json_check(...) == LK_OK);
 *		EQ_U(n, 3);
 *	}
 *
 * A failed check prints where and what, and the test goes on: the next check may say more. Tests
 * run in file order. `-k text` runs those whose name contains text, `-l` lists the names.
 * SKIP("why") ends a test that cannot run here. main() is in this header, so a program is one file.
 */
#ifndef LK_TEST_T_H
#define LK_TEST_T_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct t_case {
	const char *name;
	void (*run)(void);
	struct t_case *next;
};

static struct t_case *t_first, **t_last = &t_first;
static unsigned t_failures;   /* in the test that runs */
static const char *t_skipped; /* why, or NULL */

static inline void t_add(struct t_case *c)
{
	*t_last = c;
	t_last = &c->next;
}

#define T_HELPER __attribute__((unused)) static void

#define T(id)                                                                                      \
	static void t_run_##id(void);                                                              \
	__attribute__((constructor)) static void t_register_##id(void)                             \
	{                                                                                          \
		static struct t_case c = { #id, t_run_##id, NULL };                                \
		t_add(&c);                                                                         \
	}                                                                                          \
	static void t_run_##id(void)

/* Diagnostics are counted as failures; at most some of them are printed, for loops over tables. */
#define T_FAIL(...)                                                                                \
	do {                                                                                       \
		if (t_failures++ < 20) {                                                           \
			printf("# %s:%d: ", __FILE__, __LINE__);                                   \
			printf(__VA_ARGS__);                                                       \
			putchar('\n');                                                             \
			fflush(stdout);                                                            \
		}                                                                                  \
	} while (0)

#define OK(expr)                                                                                   \
	do {                                                                                       \
		if (!(expr))                                                                       \
			T_FAIL("%s is not true", #expr);                                           \
	} while (0)

/* The same for conditions that the rest of the test stands on: the test ends here. */
#define NEED(expr)                                                                                 \
	do {                                                                                       \
		if (!(expr)) {                                                                     \
			T_FAIL("%s is not true", #expr);                                           \
			return;                                                                    \
		}                                                                                  \
	} while (0)

#define EQ_U(got, want) t_eq_u(__FILE__, __LINE__, #got, (uintmax_t)(got), (uintmax_t)(want))
#define EQ_I(got, want) t_eq_i(__FILE__, __LINE__, #got, (intmax_t)(got), (intmax_t)(want))
#define EQ_S(got, want) t_eq_s(__FILE__, __LINE__, #got, (got), (want))
#define EQ_MEM(got, want, n) t_eq_mem(__FILE__, __LINE__, #got, (got), (n), (want), (n))
/* Bytes of two lengths, for instance of a slice: EQ_BYTES(s.p, s.n, "abc", 3) */
#define EQ_BYTES(got, got_n, want, want_n)                                                         \
	t_eq_mem(__FILE__, __LINE__, #got, (got), (got_n), (want), (want_n))
/* The enum lk_code that expr returns. Its error text is yours to print: T_FAIL("%s", e.msg) */
#define EQ_CODE(want, expr) t_eq_code(__FILE__, __LINE__, #expr, (int)(expr), (int)(want), #want)
/* expr ends its process by a signal (abort, seccomp) or with a status other than 0. */
#define DIES(expr)                                                                                 \
	do {                                                                                       \
		pid_t t_pid;                                                                       \
		fflush(NULL);                                                                      \
		t_pid = fork();                                                                    \
		if (t_pid == 0) {                                                                  \
			(void)freopen("/dev/null", "w", stderr);                                   \
			(void)(expr);                                                              \
			_exit(0);                                                                  \
		}                                                                                  \
		t_died(__FILE__, __LINE__, #expr, t_pid);                                          \
	} while (0)
#define SKIP(why)                                                                                  \
	do {                                                                                       \
		t_skipped = (why);                                                                 \
		return;                                                                            \
	} while (0)

T_HELPER t_eq_u(const char *file, int line, const char *what, uintmax_t got, uintmax_t want)
{
	if (got != want && t_failures++ < 20)
		printf("# %s:%d: %s is %ju (0x%jx), not %ju (0x%jx)\n", file, line, what, got,
		    got, want, want);
}

T_HELPER t_eq_i(const char *file, int line, const char *what, intmax_t got, intmax_t want)
{
	if (got != want && t_failures++ < 20)
		printf("# %s:%d: %s is %jd, not %jd\n", file, line, what, got, want);
}

T_HELPER t_eq_s(const char *file, int line, const char *what, const char *got, const char *want)
{
	if (got && want && !strcmp(got, want))
		return;
	if (t_failures++ < 20)
		printf("# %s:%d: %s is \"%s\", not \"%s\"\n", file, line, what,
		    got ? got : "(null)", want ? want : "(null)");
}

T_HELPER t_eq_code(
    const char *file, int line, const char *what, int got, int want, const char *name)
{
	if (got != want && t_failures++ < 20)
		printf("# %s:%d: %s returned code %d, not %s (%d)\n", file, line, what, got, name,
		    want);
}

static inline void t_hex(const char *label, const void *bytes, size_t n, size_t at)
{
	const unsigned char *p = bytes;
	size_t from = at > 8 ? at - 8 : 0;

	printf("#   %s, %zu bytes, from %zu:", label, n, from);
	for (size_t i = from; i < n && i < from + 24; i++)
		printf(" %s%02x", i == at ? ">" : "", p[i]);
	putchar('\n');
}

T_HELPER t_eq_mem(const char *file, int line, const char *what, const void *got, size_t got_n,
    const void *want, size_t want_n)
{
	size_t n = got_n < want_n ? got_n : want_n, at = 0;

	while (at < n && ((const unsigned char *)got)[at] == ((const unsigned char *)want)[at])
		at++;
	if ((at == n && got_n == want_n) || t_failures++ >= 20)
		return;
	printf("# %s:%d: %s differs at byte %zu\n", file, line, what, at);
	t_hex("got ", got, got_n, at);
	t_hex("want", want, want_n, at);
}

T_HELPER t_died(const char *file, int line, const char *what, pid_t pid)
{
	int st = 0;

	if (pid < 0 || waitpid(pid, &st, 0) != pid || (WIFEXITED(st) && WEXITSTATUS(st) == 0)) {
		if (t_failures++ < 20)
			printf("# %s:%d: %s survives\n", file, line, what);
	}
}

/* 1 if the test failed. */
static inline int t_one(const struct t_case *c, unsigned n)
{
	t_failures = 0;
	t_skipped = NULL;
	c->run();
	if (t_failures)
		printf("not ok %u - %s\n", n, c->name);
	else if (t_skipped)
		printf("ok %u - %s # SKIP %s\n", n, c->name, t_skipped);
	else
		printf("ok %u - %s\n", n, c->name);
	fflush(stdout);
	return t_failures != 0;
}

int main(int argc, char **argv)
{
	const char *only = argc == 3 && !strcmp(argv[1], "-k") ? argv[2] : "";
	bool list = argc == 2 && !strcmp(argv[1], "-l");
	unsigned n = 0, failed = 0;

	if (argc != 1 && !*only && !list) {
		fprintf(stderr, "usage: %s [-k text | -l]\n", argv[0]);
		return 64;
	}
	for (const struct t_case *c = t_first; c; c = c->next) {
		if (!strstr(c->name, only))
			continue;
		n++;
		if (list)
			puts(c->name);
		else
			failed += (unsigned)t_one(c, n);
	}
	if (!list)
		printf("1..%u\n", n);
	return failed != 0 || n == 0;
}

#endif
