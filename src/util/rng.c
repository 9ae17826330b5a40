/* Randomness from the kernel. */
#include "lk/rng.h"

#include <errno.h>
#include <sys/random.h>

enum lk_code lk_rng(void *out, size_t n, struct lk_err *e)
{
	uint8_t *at = out;

	while (n) {
		ssize_t got = getrandom(at, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return lk_fail_sys(e, errno, "getrandom");
		at += (size_t)got;
		n -= (size_t)got;
	}
	return LK_OK;
}
