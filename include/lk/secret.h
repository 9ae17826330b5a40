/* lk/secret.h - the only place where a secret may live.
 *
 * Fixed capacity, wiped at the end of its scope (declare with LK_SECRET), never printed: there is
 * no function that formats one. The process that holds secrets calls lk_secret_lock_process first.
 */
#ifndef LK_SECRET_H
#define LK_SECRET_H

#include "lk/slice.h"

#define LK_SECRET_MAX 3072 /* PKCS#8 of RSA-4096 is about 2400 bytes */

struct lk_secret {
	size_t n;
	uint8_t p[LK_SECRET_MAX];
};
#define LK_SECRET __attribute__((cleanup(lk_secret_clear))) struct lk_secret

void lk_wipe(void *p, size_t n); /* not optimised away, also under LTO */
void lk_secret_clear(struct lk_secret *s);
LK_CHECK enum lk_code lk_secret_set(struct lk_secret *s, struct lk_slice v, struct lk_err *e);
struct lk_slice lk_secret_slice(const struct lk_secret *s);
/* Constant time for equal lengths; lengths are not secret. */
bool lk_secret_eq(struct lk_slice a, struct lk_slice b);

/* mlockall (best effort, *locked says whether), RLIMIT_CORE 0, not dumpable; the tables that only
 * the start code writes become read-only. */
void lk_secret_lock_process(bool *locked);

#endif
