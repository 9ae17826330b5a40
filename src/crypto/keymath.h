/* The arithmetic behind lk_key_canonical, one file per library. */
#ifndef LK_KEYMATH_H
#define LK_KEYMATH_H

#include "pkcs8.h"

/* The smaller prime factor of k->n as len bytes, big-endian: of p and q if their product is n, else
 * found from e and d. LK_EUNWRAP if neither gives two factors. */
LK_CHECK enum lk_code lk_rsa_smaller_prime(
    const struct lk_rsa_parts *k, uint8_t *out, size_t len, struct lk_err *e);

/* The public point d * G, both coordinates at field length. LK_EUNWRAP if d is out of range. */
LK_CHECK enum lk_code lk_ec_public(
    enum lk_curve c, struct lk_slice d, uint8_t *x, uint8_t *y, struct lk_err *e);

#endif
