/* What the files over Mbed TLS share: its callbacks and its error codes. */
#ifndef LK_CRYPTO_MBED_H
#define LK_CRYPTO_MBED_H

#include "lk/crypto.h"

/* Random bytes from lk_rng, in the form that the library calls; ctx is not used. */
int lk_mbed_rng(void *ctx, unsigned char *out, size_t n);

/* Gives the library its heap; until then it has none. */
void lk_mbed_heap(void);

/* lk_fail, with the library's (negative) code recorded in e->lib. */
enum lk_code lk_mbed_fail(struct lk_err *e, enum lk_code code, int ret, const char *msg);

#endif
