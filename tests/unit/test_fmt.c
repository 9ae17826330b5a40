/* The formatter against the C library's, and its bounds. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lk/fmt.h"
#include "t.h"

static char ours[256], theirs[256];

/* The same format and arguments to both, into 256 bytes and into 5. */
#define SAME(...)                                                                                  \
	do {                                                                                       \
		int want = snprintf(theirs, sizeof(theirs), __VA_ARGS__);                          \
		EQ_U(lk_fmt(ours, sizeof(ours), __VA_ARGS__), (size_t)want);                       \
		EQ_S(ours, theirs);                                                                \
		memset(ours, 'x', sizeof(ours));                                                   \
		EQ_U(lk_fmt(ours, 5, __VA_ARGS__), (size_t)want);                                  \
		OK(strlen(ours) == (want < 4 ? (size_t)want : 4));                                 \
		OK(strncmp(ours, theirs, strlen(ours)) == 0 && ours[5] == 'x');                    \
	} while (0)

T(text)
{
	char open[3] = {'a', 'b', 'c'}; /* no NUL: the precision is the bound */
	SAME("%s", "");
	SAME("plain 100%% text");
	SAME("<%s> <%10s> <%-10s> <%.2s> <%10.2s> <%-10.2s>", "abc", "abc", "abc", "abc", "abc",
	    "abc");
	SAME("<%.*s> <%*s> <%-*s>", 2, "abc", 6, "abc", 6, "abc");
	SAME("<%*s> <%.*s>", -6, "abc", -1, "abc");
	SAME("%.3s%.0s", open, "gone");
	SAME("%c%3c%-3c|", 'a', 'b', 'c');
}

T(numbers)
{
	SAME("%d %i %d %d", 0, -1, INT_MAX, INT_MIN);
	SAME("%u %u %x %X", 0U, UINT_MAX, 0xdeadbeefU, 0xdeadbeefU);
	SAME("%ld %lu %lx", LONG_MIN, ULONG_MAX, ULONG_MAX);
	SAME("%lld %llu %llx %llX", LLONG_MIN, ULLONG_MAX, ULLONG_MAX, ULLONG_MAX);
	SAME("%zu %zd %zx", SIZE_MAX, (ssize_t)-5, (size_t)255);
	SAME("<%5d> <%-5d> <%05d> <%5d> <%05d> <%2d>", 42, 42, 42, -42, -42, 12345);
	SAME("<%08x> <%016llx> <%4X> <%-4x>", 0xabcU, 0xabcULL, 10U, 10U);
	SAME("<%.3d> <%6.3d> <%-6.3d> <%.0d> <%.0u> <%.5x>", 7, -7, -7, 0, 0U, 0xfU);
	SAME("<%*d> <%-*d> <%.*d>", 6, 42, 6, 42, 4, 42);
	SAME("%04d-%02d-%02d", 2026, 1, 2);
}

T(bounds)
{
	char one[1] = {'x'};
	EQ_U(lk_fmt(one, 1, "%s", "abc"), 3);
	EQ_U((unsigned)one[0], 0);
	EQ_U(lk_fmt(NULL, 0, "%s", "abc"), 3);
	EQ_U(lk_fmt(ours, 5, "%s", "abcd"), 4);
	EQ_S(ours, "abcd");
	EQ_U(lk_fmt(ours, 5, "%s", "abcde"), 5);
	EQ_S(ours, "abcd");
}

T(what_it_does_not_know_stays)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat"
	(void)lk_fmt(ours, sizeof(ours), "a %q b %");
#pragma GCC diagnostic pop
	EQ_S(ours, "a %q b %");
}

T(print)
{
	int p[2];
	char got[3000];
	static char large[2600];
	NEED(pipe(p) == 0);
	lk_print(p[1], "%s %d\n", "line", 7);
	EQ_U((size_t)read(p[0], got, sizeof(got)), 7);
	EQ_MEM(got, "line 7\n", 7);
	memset(large, 'x', sizeof(large) - 1);
	lk_print(p[1], "%s", large); /* cut */
	EQ_U((size_t)read(p[0], got, sizeof(got)), 2047);
	close(p[0]);
	close(p[1]);
	lk_print(p[1], "nobody reads this\n");
}
