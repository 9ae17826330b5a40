/* lk/clock.h - one monotonic deadline, and a wall clock that is never below build time.
 *
 * lk_time counts milliseconds of CLOCK_BOOTTIME (a suspended machine does not gain time). A
 * deadline is an absolute lk_time.
 */
#ifndef LK_CLOCK_H
#define LK_CLOCK_H

#include "lk/err.h"

typedef int64_t lk_time;

lk_time lk_now(void);
lk_time lk_deadline_in(int64_t ms);
/* Milliseconds left, 0 when passed, at most INT_MAX: fit for poll(2). */
int lk_left(lk_time deadline);
/* Sleep ms, but not past the deadline: LK_ETIME if it would be (without sleeping). */
LK_CHECK enum lk_code lk_sleep(int64_t ms, lk_time deadline, struct lk_err *e);

struct lk_wall {
	int64_t unix_s;   /* max(machine's clock, build time) */
	bool below_build; /* the machine's clock was before the build: ignore notBefore, say so */
};
/* The machine's clock belongs to the host; see design, section 5. */
struct lk_wall lk_wall_now(void);
int64_t lk_build_epoch(void);

#endif
