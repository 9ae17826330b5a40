/* A new RSA key (lk/key.h) over Mbed TLS.
 *
 * What FIPS 186-5, A.1.1 and A.1.3, asks of the primes, mbedtls_rsa_gen_key() sees to:
 * - p and q are independent random odd numbers of half the modulus' length, each at least
 *   sqrt(2) * 2^(bits/2 - 1), so that n has exactly `bits` bits;
 * - each passes Miller-Rabin with random bases, 6 times at 1024 bits and 4 times at 1536 and 2048;
 *   table B.1 asks for 5 and 4 and 4;
 * - e is prime to p - 1 and to q - 1; |p - q| >= 2^(bits/2 - 99);
 * - d is the inverse of e modulo lcm(p - 1, q - 1), and greater than 2^(bits/2);
 * - then n = p * q, d and the CRT members are checked against each other.
 * One thing differs: nothing bounds the number of tries. Of random numbers that are large enough
 * and odd, one in 355 is a prime at 1024 bits, one in 710 at 2048.
 *
 * Most of the time goes into a greatest common divisor with the product of the small primes, which
 * throws out most candidates. Dividing by those primes would take a tenth of it, but takes longer
 * for some numbers than for others, which a host that steps through its guest can see.
 */
#include <string.h>

#include <mbedtls/asn1write.h>
#include <mbedtls/rsa.h>

#include "crypto_mbed.h"
#include "lk/der.h"
#include "lk/key.h"
#include "lk/rng.h"
#include "pkcs8.h"

/* As lk_mbed_rng, but keeps why it failed. */
static int rng(void *e, unsigned char *out, size_t n)
{
	return lk_rng(out, n, e) == LK_OK ? 0 : MBEDTLS_ERR_RSA_RNG_FAILED;
}

/* RSAPrivateKey (RFC 8017, A.1.2), written from its end. The members are read in place, as the
 * library's function for it would copy each of them. */
static int put_pkcs1(const mbedtls_rsa_context *r, struct lk_secret *key)
{
	const mbedtls_mpi *const member[] = {&r->MBEDTLS_PRIVATE(QP), &r->MBEDTLS_PRIVATE(DQ),
	    &r->MBEDTLS_PRIVATE(DP), &r->MBEDTLS_PRIVATE(Q), &r->MBEDTLS_PRIVATE(P),
	    &r->MBEDTLS_PRIVATE(D), &r->MBEDTLS_PRIVATE(E), &r->MBEDTLS_PRIVATE(N)};
	uint8_t *end = key->p + sizeof(key->p), *at = end;
	int ret = 0;

	for (size_t i = 0; ret >= 0 && i < sizeof(member) / sizeof(member[0]); i++)
		ret = mbedtls_asn1_write_mpi(&at, key->p, member[i]);
	if (ret >= 0)
		ret = mbedtls_asn1_write_int(&at, key->p, 0); /* two primes */
	if (ret >= 0)
		ret = mbedtls_asn1_write_len(&at, key->p, (size_t)(end - at));
	if (ret >= 0)
		ret = mbedtls_asn1_write_tag(&at, key->p, LK_DER_SEQUENCE);
	if (ret < 0)
		return ret;
	key->n = (size_t)(end - at);
	memmove(key->p, at, key->n);
	lk_wipe(key->p + key->n, sizeof(key->p) - key->n);
	return 0;
}

enum lk_code lk_rsa_generate(
    unsigned bits, struct lk_secret *key, struct lk_pub *pub, struct lk_err *e)
{
	struct lk_rsa_parts k;
	mbedtls_rsa_context r;

	lk_secret_clear(key);
	if (bits != 2048 && bits != 3072 && bits != 4096)
		return lk_fail(e, LK_EBUG, "RSA key of %u bits", bits);
	mbedtls_rsa_init(&r);
	int ret = mbedtls_rsa_gen_key(&r, rng, e, bits, 65537);
	if (ret == 0)
		ret = put_pkcs1(&r, key);
	mbedtls_rsa_free(&r);
	if (ret == 0 && lk_pkcs8_rsa(lk_secret_slice(key), &k) &&
	    lk_pub_rsa(k.n, k.e, pub, e) == LK_OK)
		return LK_OK;
	lk_secret_clear(key);
	return ret == MBEDTLS_ERR_RSA_RNG_FAILED
		   ? e->code
		   : lk_mbed_fail(e, LK_ECRYPTO, ret, "no RSA key could be made");
}
