/* lk/key.h - keys that a vault releases: kind, public half, and the canonical private half that
 * latchkey derives from.
 *
 * Canonical form (design, section 4), whatever the HSM's encoding (order of the primes, CRT
 * members, d modulo phi or lambda, leading zeros): RSA: the smaller prime, big-endian, half the
 * modulus' length; EC: the scalar at field length; oct: the bytes.
 */
#ifndef LK_KEY_H
#define LK_KEY_H

#include "lk/crypto.h"

enum lk_kty { LK_KTY_RSA = 1, LK_KTY_EC, LK_KTY_OCT };
enum lk_curve { LK_P256 = 1, LK_P384, LK_P521 };

#define LK_RSA_MAX 512
#define LK_EC_MAX  66

struct lk_pub {
	enum lk_kty kty;
	enum lk_curve curve; /* EC */
	size_t n_len, e_len; /* RSA: without leading zeros; EC: n is x, e is y, at field length;
				oct: 0 */
	uint8_t n[LK_RSA_MAX], e[LK_RSA_MAX];
};

size_t lk_curve_size(enum lk_curve c);      /* field length in bytes: 32, 48, 66 */
const char *lk_curve_name(enum lk_curve c); /* "P-256", ... */
bool lk_curve_parse(struct lk_slice name, enum lk_curve *out);
/* From big-endian parts, leading zeros allowed. RSA: modulus of 2048 to 4096 bits and odd, exponent
 * odd and >= 3; EC: coordinates that fit (that the point is on the curve is not checked).
 * LK_EPROTO. */
LK_CHECK enum lk_code lk_pub_rsa(
    struct lk_slice n, struct lk_slice exp, struct lk_pub *out, struct lk_err *e);
LK_CHECK enum lk_code lk_pub_ec(enum lk_curve curve, struct lk_slice x, struct lk_slice y,
    struct lk_pub *out, struct lk_err *e);
/* Two oct keys compare equal: they have no public half. */
bool lk_pub_eq(const struct lk_pub *a, const struct lk_pub *b);
/* RFC 7638 thumbprint, SHA-256, base64url (43 characters). oct keys have none: LK_EUSAGE. */
LK_CHECK enum lk_code lk_pub_thumbprint(
    const struct lk_pub *k, char out[static 44], struct lk_err *e);

/* A new RSA key, e = 65537, from getrandom(2) alone; bits: 2048, 3072 or 4096 (else LK_EBUG). key
 * is PKCS#1 DER as lk_rsa_oaep_decrypt takes it; on failure it is empty. On average 0.5, 1.2 and 3
 * seconds of processor time, now and then three times that: start what can run meanwhile before. */
LK_CHECK enum lk_code lk_rsa_generate(
    unsigned bits, struct lk_secret *key, struct lk_pub *pub, struct lk_err *e);

/* Append RSA-OAEP of `in` for the public key, as long as its modulus: the same hash for label and
 * MGF1, empty label. LK_ELIMIT: more than the modulus less two digests and two bytes, or no room in
 * `out`; LK_EUSAGE: not an RSA key. */
LK_CHECK enum lk_code lk_rsa_oaep_encrypt(const struct lk_pub *pub, enum lk_hash h,
    struct lk_slice in, struct lk_buf *out, struct lk_err *e);

/* ECDSA over a digest by an EC key, which must be a point on its curve (LK_EPROTO); r and s
 * big-endian. */
LK_CHECK enum lk_code lk_ecdsa_verify(const struct lk_pub *k, struct lk_slice digest,
    struct lk_slice r, struct lk_slice s, struct lk_err *e);

/* `plain` is what the unwrap gave: PKCS#8 DER (RSA 2048 to 4096 two-prime, EC P-256/384/521) or raw
 * bytes (oct, 16 to 64). Must be the private half of `pub` (recomputed: p * q == n, d * G == Q),
 * else LK_EUNWRAP. ikm receives the canonical form. */
LK_CHECK enum lk_code lk_key_canonical(
    const struct lk_pub *pub, struct lk_slice plain, struct lk_secret *ikm, struct lk_err *e);
/* The private exponent as this encoding of an RSA key has it, big-endian, without leading zeros.
 * Not canonical: reduced modulo phi(n) or lambda(n), d is another number of the same key. That it
 * fits the modulus is not checked here. LK_EUNWRAP: not an encoding of pub's private half, or one
 * that leaves d out. */
LK_CHECK enum lk_code lk_key_rsa_exponent(
    const struct lk_pub *pub, struct lk_slice plain, struct lk_secret *d, struct lk_err *e);

#endif
