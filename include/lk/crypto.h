/* lk/crypto.h - the primitives, from the library that the build chose (one file,
 * src/crypto/crypto_mbed.c).
 *
 * Sources: FIPS 180-4, RFC 2104, RFC 5869, RFC 8017, FIPS 186-5, NIST SP 800-38D. Verification
 * answers LK_ETRUST for a wrong signature and LK_EPROTO for inputs that cannot be one (length,
 * range). No function here logs.
 */
#ifndef LK_CRYPTO_H
#define LK_CRYPTO_H

#include "lk/secret.h"

enum lk_hash { LK_SHA1 = 1, LK_SHA256, LK_SHA384, LK_SHA512 };
#define LK_HASH_MAX 64

/* Call once per process before anything else here. */
LK_CHECK enum lk_code lk_crypto_start(struct lk_err *e);

size_t lk_hash_size(enum lk_hash h);
/* Digest of the parts in order; out holds lk_hash_size(h) bytes. */
LK_CHECK enum lk_code lk_hash(
    enum lk_hash h, const struct lk_slice *parts, size_t nparts, uint8_t *out, struct lk_err *e);
LK_CHECK enum lk_code lk_sha256(struct lk_slice in, uint8_t out[static 32], struct lk_err *e);
LK_CHECK enum lk_code lk_hmac_sha256(struct lk_slice key, const struct lk_slice *parts,
    size_t nparts, uint8_t out[static 32], struct lk_err *e);
/* HKDF-SHA256; out->n is the wanted length, set by the caller (1 to 255). */
LK_CHECK enum lk_code lk_hkdf_sha256(struct lk_slice ikm, struct lk_slice salt,
    struct lk_slice info, struct lk_secret *out, struct lk_err *e);

/* RSASSA-PKCS1-v1_5 over a digest. n and e big-endian, leading zeros allowed; modulus 2048 to 4096
 * bits and odd, e odd and >= 3. */
LK_CHECK enum lk_code lk_rsa_verify(struct lk_slice n, struct lk_slice exp, enum lk_hash h,
    struct lk_slice digest, struct lk_slice sig, struct lk_err *e);
/* RSASSA-PSS likewise: MGF1 over the same hash, a salt of the hash's length. */
LK_CHECK enum lk_code lk_rsa_pss_verify(struct lk_slice n, struct lk_slice exp, enum lk_hash h,
    struct lk_slice digest, struct lk_slice sig, struct lk_err *e);

/* AES-GCM (key 16, 24 or 32 bytes, tag 16 bytes): plaintext into out only if the tag is right, else
 * LK_ECRYPTO and nothing. */
LK_CHECK enum lk_code lk_gcm_decrypt(struct lk_slice key, struct lk_slice iv, struct lk_slice aad,
    struct lk_slice tag, struct lk_slice in, struct lk_buf *out, struct lk_err *e);

/* One AES block, both directions (KWP is built on them). key 16, 24 or 32 bytes. */
LK_CHECK enum lk_code lk_aes_block(struct lk_slice key, bool decrypt, const uint8_t in[static 16],
    uint8_t out[static 16], struct lk_err *e);

/* RSA-OAEP with the same hash for label and MGF1, empty label. The private key is PKCS#8 or PKCS#1
 * DER. */
LK_CHECK enum lk_code lk_rsa_oaep_decrypt(struct lk_slice key_der, enum lk_hash h,
    struct lk_slice in, struct lk_secret *out, struct lk_err *e);

#endif
