/* Private keys as HSMs and libraries encode them: PKCS#8 (RFC 5958) around PKCS#1 (RFC 8017,
 * appendix A.1.2) or ECPrivateKey (RFC 5915). The slices point into the input. */
#ifndef LK_PKCS8_H
#define LK_PKCS8_H

#include "lk/key.h"

/* Magnitudes without leading zeros. d, p and q are empty when the encoding leaves them out. The CRT
 * members are not read: whoever needs them computes them. */
struct lk_rsa_parts {
	struct lk_slice n, e, d, p, q;
};

/* PKCS#8 or bare PKCS#1, two primes. Nothing may follow. */
bool lk_pkcs8_rsa(struct lk_slice der, struct lk_rsa_parts *out);
/* PKCS#8; the scalar without leading zeros. */
bool lk_pkcs8_ec(struct lk_slice der, enum lk_curve *curve, struct lk_slice *scalar);

#endif
