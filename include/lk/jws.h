/* lk/jws.h - verify a compact JWS (RFC 7515) whose algorithm the caller fixes: RS256. */
#ifndef LK_JWS_H
#define LK_JWS_H

#include "lk/json.h"
#include "lk/jwt.h"
#include "lk/tls.h"

/* Header: alg must be exactly RS256; any crit, b64, jwk or jku that would change the meaning is
 * refused or ignored as said in jws.c; x5c (standard base64, 1 to 6 certificates of at most 8 KiB)
 * must chain to roots for `host`, and its leaf must have made the signature over the received
 * bytes. Only then is the payload decoded into `payload`. LK_ETRUST / LK_EPROTO / LK_ELIMIT. */
LK_CHECK enum lk_code lk_jws_verify_x5c(struct lk_slice text, const char *host,
    const struct lk_roots *roots, struct lk_buf *payload, struct lk_err *e);

/* A JWK (RSA, EC, oct; "-HSM" variants equal) as a public key; oct gives kty only. */
LK_CHECK enum lk_code lk_jwk_read(const struct lk_json *jwk, struct lk_pub *out, struct lk_err *e);

#endif
