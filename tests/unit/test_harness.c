/* The harness itself: each check passes on what is right and fails on what is not. */
#include "t.h"

#include <fcntl.h>

static int quiet_begin(void)
{
	int keep, null;

	fflush(stdout);
	keep = dup(STDOUT_FILENO);
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (keep < 0 || null < 0 || dup2(null, STDOUT_FILENO) < 0)
		abort();
	close(null);
	return keep;
}

static void quiet_end(int keep)
{
	fflush(stdout);
	if (dup2(keep, STDOUT_FILENO) < 0)
		abort();
	close(keep);
}

/* The check must count one failure; it is then forgotten. */
#define FAILS(check)                                                                               \
	do {                                                                                       \
		unsigned before_ = t_failures;                                                     \
		int keep_ = quiet_begin();                                                         \
		check;                                                                             \
		quiet_end(keep_);                                                                  \
		if (t_failures == before_ + 1)                                                     \
			t_failures = before_;                                                      \
		else                                                                               \
			T_FAIL("%s does not fail", #check);                                        \
	} while (0)

static int reached;

static void needs_the_impossible(void)
{
	NEED(reached == 99);
	reached = 1;
}

T(right_passes)
{
	const unsigned char a[3] = { 1, 2, 3 };

	OK(a[0] == 1);
	NEED(a[1] == 2);
	EQ_U(a[2], 3U);
	EQ_I(-3, -3);
	EQ_S("abc", "abc");
	EQ_MEM(a, "\1\2\3", 3);
	EQ_BYTES(a, 0, "", 0);
	EQ_CODE(0, 0);
	DIES(abort());
	DIES(_exit(3));
}

T(wrong_fails)
{
	FAILS(OK(reached == 99));
	FAILS(needs_the_impossible());
	EQ_I(reached, 0);
	FAILS(EQ_U(3, 4));
	FAILS(EQ_I(-3, 3));
	FAILS(EQ_S("abc", "abd"));
	FAILS(EQ_S("abc", "ab"));
	FAILS(EQ_S(NULL, "abd"));
	FAILS(EQ_MEM("abc", "abd", 3));
	FAILS(EQ_BYTES("abc", 3, "abcd", 4));
	FAILS(EQ_CODE(0, 1));
	FAILS(DIES((void)0));
}
