/* lk/tls.h - a TLS client stream and the check of certificate chains.
 *
 * TLS 1.2 and 1.3, ECDHE with AES-GCM only. The server's name is mandatory and always verified
 * together with the chain; there is no switch to turn that off. Trust anchors are PEM text of the
 * caller. Time: lk_wall_now (never below build time). Randomness: lk_rng. Failures: LK_ETRUST for
 * chain, name or dates (the message says which, and for whom the certificate is), LK_ECONF for a
 * host that is no DNS name or for roots without a certificate, LK_ETLS for protocol failures,
 * LK_ENET for resets, LK_ETIME. An end without close_notify is reported as `truncated`. One stream
 * per process at a time (static storage inside).
 */
#ifndef LK_TLS_H
#define LK_TLS_H

#include "lk/clock.h"
#include "lk/key.h"

struct lk_roots {
	struct lk_slice pem;
};
struct lk_tls;

/* Are there certificates in `pem`, and can all be read? *count says how many. Also the check behind
 * `trust = FILE`. */
LK_CHECK enum lk_code lk_roots_check(
    const struct lk_roots *roots, unsigned *count, struct lk_err *e);

/* Handshake over a connected, non-blocking socket. On failure nothing stays open but fd, which
 * remains the caller's. */
LK_CHECK enum lk_code lk_tls_open(int fd, const char *host, const struct lk_roots *roots,
    lk_time deadline, struct lk_tls **out, struct lk_err *e);
LK_CHECK enum lk_code lk_tls_read(struct lk_tls *t, void *p, size_t cap, lk_time deadline,
    size_t *got, bool *truncated, struct lk_err *e);
LK_CHECK enum lk_code lk_tls_write(
    struct lk_tls *t, const void *p, size_t n, lk_time deadline, struct lk_err *e);
void lk_tls_close(struct lk_tls *t);

/* Chain of DER certificates, leaf first, against the roots and `host`; 1 <= count <= 6. The leaf
 * must be for a TLS server and hold an RSA key, which goes to `leaf`. */
LK_CHECK enum lk_code lk_chain_verify(const struct lk_slice *der, size_t count, const char *host,
    const struct lk_roots *roots, struct lk_pub *leaf, struct lk_err *e);

/* The RSA public key of one DER certificate (trailing zero bytes after it allowed, as TPM NV
 * indices have), notAfter in unix time. No trust is implied. */
LK_CHECK enum lk_code lk_cert_rsa(
    struct lk_slice der, struct lk_pub *key, int64_t *not_after, struct lk_err *e);

#endif
