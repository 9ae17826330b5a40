/* Monotonic deadlines and the wall clock. */
#include "lk/clock.h"

#include <errno.h>
#include <limits.h>
#include <time.h>

/* Seconds since 1970 of the sources (SOURCE_DATE_EPOCH), from the Makefile; else 2026-01-01. */
#ifndef LK_BUILD_EPOCH
#define LK_BUILD_EPOCH 1767225600
#endif

lk_time lk_now(void)
{
	struct timespec ts;

	LK_BUG_ON(clock_gettime(CLOCK_BOOTTIME, &ts) != 0);
	return (lk_time)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

lk_time lk_deadline_in(int64_t ms)
{
	lk_time now = lk_now();

	if (ms < 0)
		ms = 0;
	return ms > INT64_MAX - now ? INT64_MAX : now + ms;
}

int lk_left(lk_time deadline)
{
	lk_time now = lk_now();

	if (deadline <= now)
		return 0;
	return deadline - now > INT_MAX ? INT_MAX : (int)(deadline - now);
}

enum lk_code lk_sleep(int64_t ms, lk_time deadline, struct lk_err *e)
{
	lk_time until = lk_deadline_in(ms);
	struct timespec ts = {.tv_sec = (time_t)(until / 1000), .tv_nsec = until % 1000 * 1000000};
	int err;

	if (until > deadline)
		return lk_fail(e, LK_ETIME, "no time left to wait %lld ms", (long long)ms);
	do
		err = clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &ts, NULL);
	while (err == EINTR);
	if (err)
		return lk_fail_sys(e, err, "clock_nanosleep");
	return LK_OK;
}

int64_t lk_build_epoch(void)
{
	return LK_BUILD_EPOCH;
}

struct lk_wall lk_wall_now(void)
{
	struct timespec ts;
	struct lk_wall w = {.unix_s = lk_build_epoch(), .below_build = true};

	LK_BUG_ON(clock_gettime(CLOCK_REALTIME, &ts) != 0);
	if (ts.tv_sec >= w.unix_s) {
		w.unix_s = ts.tv_sec;
		w.below_build = false;
	}
	return w;
}
