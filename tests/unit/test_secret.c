/* Secrets: set, compare, wiped when their scope ends. */
#include "t.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "lk/secret.h"

static struct lk_secret a, b;

T(set_and_clear)
{
	static uint8_t big[LK_SECRET_MAX + 1];
	struct lk_err e;

	EQ_CODE(LK_OK, lk_secret_set(&a, LK_S("longer secret"), &e));
	EQ_CODE(LK_OK, lk_secret_set(&a, LK_S("short"), &e));
	OK(lk_slice_eq_str(lk_secret_slice(&a), "short"));
	EQ_U(a.p[6], 0); /* nothing of the longer one is left behind */
	OK(lk_slice_is_zero(lk_slice_of(a.p + 5, sizeof(a.p) - 5)));
	EQ_CODE(LK_OK, lk_secret_set(&a, lk_slice_of(a.p + 1, 3), &e)); /* a part of itself */
	OK(lk_slice_eq_str(lk_secret_slice(&a), "hor"));
	EQ_CODE(LK_ELIMIT, lk_secret_set(&a, lk_slice_of(big, sizeof(big)), &e));
	OK(lk_slice_eq_str(lk_secret_slice(&a), "hor"));
	EQ_CODE(LK_OK, lk_secret_set(&a, lk_slice_of(big, sizeof(big) - 1), &e));
	EQ_CODE(LK_OK, lk_secret_set(&a, LK_S("x"), &e));
	lk_secret_clear(&a);
	OK(a.n == 0 && lk_slice_is_zero(lk_slice_of(a.p, sizeof(a.p))));
	lk_wipe(NULL, 0);
	b.n = LK_SECRET_MAX + 1;
	DIES(lk_secret_slice(&b));
	b.n = 0;
}

T(equal)
{
	uint8_t x[64], y[64];

	OK(lk_secret_eq(LK_S(""), LK_S("")));
	OK(lk_secret_eq(LK_S("abc"), LK_S("abc")));
	OK(!lk_secret_eq(LK_S("abc"), LK_S("abcd")));
	for (size_t i = 0; i < sizeof(x) * 8; i++) {
		memset(x, 0x5a, sizeof(x));
		memcpy(y, x, sizeof(x));
		y[i / 8] ^= (uint8_t)(1 << i % 8);
		OK(!lk_secret_eq(lk_slice_of(x, sizeof(x)), lk_slice_of(y, sizeof(y))));
	}
}

/* No second copy of the pattern exists anywhere. */
static uint8_t pattern(size_t i)
{
	return (uint8_t)((i * 37 + 11) ^ 0x5a ^ (i >> 3));
}

static uintptr_t where;

__attribute__((noinline)) static void hold_a_secret(bool leave_it)
{
	LK_SECRET s = {.n = 64};
	struct lk_secret bare = {.n = 64};
	struct lk_secret *used = leave_it ? &bare : &s;

	for (size_t i = 0; i < used->n; i++)
		used->p[i] = pattern(i);
	where = (uintptr_t)used->p;
	__asm__ __volatile__("" : : "r"(used) : "memory");
}

/* Further down, where the calls that look at it afterwards do not reach. */
__attribute__((noinline)) static void hold_deeper(bool leave_it)
{
	uint8_t pad[4096];

	__asm__ __volatile__("" : : "r"(pad) : "memory");
	hold_a_secret(leave_it);
	__asm__ __volatile__("" : : "r"(pad) : "memory");
}

/* Through the kernel: neither the compiler nor a sanitizer has a say in what is there. */
static size_t bytes_left(void)
{
	uint8_t now[64] = {0};
	size_t left = 0;
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);

	OK(fd >= 0 && pread(fd, now, sizeof(now), (off_t)where) == (ssize_t)sizeof(now));
	close(fd);
	for (size_t i = 0; i < sizeof(now); i++)
		left += now[i] == pattern(i);
	return left;
}

T(wiped_at_the_end_of_the_scope)
{
	hold_deeper(true);
	OK(bytes_left() > 32); /* the method sees a secret that is not wiped */
	hold_deeper(false);
	OK(bytes_left() < 8);
}

static int lock_and_look(void)
{
	struct rlimit core = {1, 1};
	bool locked = false;

	lk_secret_lock_process(&locked);
	if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 || core.rlim_max != 0)
		return 1;
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 2;
	return 0;
}

/* Pointers, so that the start code has to relocate them. */
static const char *const table[] = {"written", "once"};

static int write_to_constants(void)
{
	uintptr_t at = (uintptr_t)table;
	bool locked;

	lk_secret_lock_process(&locked);
	__asm__ __volatile__("" : "+r"(at) : : "memory"); /* or the pointers need not be there */
	*(volatile char *)at = 1;
	return 0;
}

T(constants_are_read_only)
{
	OK(table[0] != table[1]);
	DIES(write_to_constants());
}

T(process_is_locked)
{
	int st = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(lock_and_look());
	OK(waitpid(pid, &st, 0) == pid && WIFEXITED(st));
	EQ_I(WEXITSTATUS(st), 0);
}
