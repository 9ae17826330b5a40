/* lk/rng.h - randomness from getrandom(2) alone, blocking until the kernel's generator is seeded.
 */
#ifndef LK_RNG_H
#define LK_RNG_H

#include "lk/slice.h"

LK_CHECK enum lk_code lk_rng(void *out, size_t n, struct lk_err *e);

#endif
