/* What a TLS handshake and the check of a chain have in common. */
#ifndef LK_VERIFY_MBED_H
#define LK_VERIFY_MBED_H

#include <mbedtls/x509_crt.h>

#include "lk/tls.h"

#define LK_HOST_MAX 253

/* What the library's callback saw: kept for the message, since the library keeps only flags. */
struct lk_verify {
	struct lk_wall wall;
	char leaf[200]; /* names, issuer and dates of the end entity */
	char ca[160];   /* of the refused certificate above it, empty if there is none */
};

/* A DNS name as it is compared and sent: lower case, without a final dot. LK_ECONF for everything
 * that is none: empty, an address, a wildcard, characters that host names do not have. */
LK_CHECK enum lk_code lk_host_normal(
    const char *host, char out[static LK_HOST_MAX + 1], struct lk_err *e);

/* All readable certificates of `roots` into `list` (initialised by the caller, who frees it); *bad
 * says how many were not, *first_bad which. LK_ECONF if there is none at all. */
LK_CHECK enum lk_code lk_roots_load(const struct lk_roots *roots, mbedtls_x509_crt *list,
    unsigned *count, unsigned *first_bad, struct lk_err *e);

void lk_verify_start(struct lk_verify *v);
/* f_vrfy of Mbed TLS. ctx is a struct lk_verify. It takes the flag for "not yet valid" away when
 * the clock is below build time, and sets the one for a wrong name when there are no alternative
 * names at all: the common name is no host name. */
int lk_verify_step(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags);
/* LK_ETRUST with all that is known. */
enum lk_code lk_verify_fail(
    const struct lk_verify *v, const char *host, uint32_t flags, struct lk_err *e);

#endif
