/* Randomness: all bytes are filled, and not twice with the same. */
#include "t.h"

#include <signal.h>
#include <sys/time.h>

#include "lk/rng.h"

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

T(fills_exactly)
{
	uint8_t a[66] = {0}, b[66] = {0};
	struct lk_err e;
	unsigned never = 0;

	EQ_CODE(LK_OK, lk_rng(a + 1, 64, &e));
	EQ_CODE(LK_OK, lk_rng(b + 1, 64, &e));
	OK(memcmp(a, b, sizeof(a)) != 0);
	OK(a[0] == 0 && a[65] == 0);
	EQ_CODE(LK_OK, lk_rng(NULL, 0, &e));

	/* Every byte is written: 40 rounds leave one zero by chance with 2^-320. */
	for (size_t i = 1; i < 65; i++) {
		uint8_t any = 0;

		for (int round = 0; round < 40; round++) {
			memset(a, 0, sizeof(a));
			(void)!lk_rng(a + 1, i, &e);
			any |= a[i];
		}
		never += any == 0;
	}
	EQ_U(never, 0);
}

T(more_than_one_call_of_the_kernel)
{
	/* Above 256 bytes getrandom(2) may be interrupted and return less. */
	static uint8_t big[16 << 20];
	struct sigaction sa = {.sa_handler = on_alarm};
	struct itimerval often = {{0, 1000}, {0, 1000}}, off = {{0, 0}, {0, 0}};
	size_t zeros = 0;
	struct lk_err e;

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	EQ_CODE(LK_OK, lk_rng(big, sizeof(big), &e));
	setitimer(ITIMER_REAL, &off, NULL);
	OK(alarms > 1);
	for (size_t i = sizeof(big) - 4096; i < sizeof(big); i++)
		zeros += big[i] == 0;
	OK(zeros < 200);
}
