/* Deadlines and the wall clock. */
#include "t.h"

#include <limits.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include "lk/clock.h"

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

T(deadlines)
{
	lk_time a = lk_now(), b;

	OK(a > 0);
	b = lk_deadline_in(5000);
	OK(b >= a + 5000 && b < a + 6000);
	OK(lk_left(b) > 4000 && lk_left(b) <= 5000);
	EQ_I(lk_left(lk_now()), 0);
	EQ_I(lk_left(lk_now() - 1000), 0);
	EQ_I(lk_left(INT64_MIN), 0);
	EQ_I(lk_left(INT64_MAX), INT_MAX);
	EQ_I(lk_deadline_in(INT64_MAX), INT64_MAX);
	OK(lk_deadline_in(-5) <= lk_now());
}

T(sleep_keeps_to_the_deadline)
{
	struct lk_err e;
	lk_time a = lk_now();

	EQ_CODE(LK_OK, lk_sleep(30, lk_deadline_in(5000), &e));
	OK(lk_now() - a >= 30 && lk_now() - a < 2000);
	a = lk_now();
	EQ_CODE(LK_ETIME, lk_sleep(60000, lk_deadline_in(1000), &e));
	OK(lk_now() - a < 500);
	EQ_CODE(LK_OK, lk_sleep(0, lk_deadline_in(1000), &e));
	EQ_CODE(LK_OK, lk_sleep(-1, lk_deadline_in(1000), &e));
}

T(sleep_survives_signals)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	struct itimerval often = {{0, 5000}, {0, 5000}}, off = {{0, 0}, {0, 0}};
	struct lk_err e;
	lk_time a;

	alarms = 0;
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	a = lk_now();
	EQ_CODE(LK_OK, lk_sleep(60, lk_deadline_in(5000), &e));
	OK(lk_now() - a >= 60);
	setitimer(ITIMER_REAL, &off, NULL);
	OK(alarms > 2);
}

T(wall_clock_is_never_below_the_build)
{
	struct lk_wall w = lk_wall_now();
	int64_t real = (int64_t)time(NULL);

	OK(lk_build_epoch() > 1700000000);
	OK(w.unix_s >= lk_build_epoch());
	if (real >= lk_build_epoch()) {
		OK(!w.below_build);
		OK(w.unix_s >= real && w.unix_s <= real + 5);
	} else {
		OK(w.below_build);
		EQ_I(w.unix_s, lk_build_epoch());
	}
}
