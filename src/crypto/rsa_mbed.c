/* RSA of the contracts in lk/crypto.h over Mbed TLS. */
#include <string.h>

#include <mbedtls/md.h>
#include <mbedtls/rsa.h>

#include "crypto_mbed.h"
#include "lk/der.h"
#include "pkcs8.h"

static mbedtls_md_type_t md_type(enum lk_hash h)
{
	switch (h) {
	case LK_SHA1:
		return MBEDTLS_MD_SHA1;
	case LK_SHA256:
		return MBEDTLS_MD_SHA256;
	case LK_SHA384:
		return MBEDTLS_MD_SHA384;
	case LK_SHA512:
		return MBEDTLS_MD_SHA512;
	}
	return MBEDTLS_MD_NONE;
}

static int check(mbedtls_rsa_context *r, bool pss, mbedtls_md_type_t h, struct lk_slice digest,
    struct lk_slice sig)
{
	unsigned n = (unsigned)digest.n;
	return pss ? mbedtls_rsa_rsassa_pss_verify_ext(r, h, n, digest.p, h, (int)n, sig.p)
		   : mbedtls_rsa_rsassa_pkcs1_v15_verify(r, h, n, digest.p, sig.p);
}

static int load_public(const struct lk_pub *pub, mbedtls_rsa_context *r)
{
	int ret = mbedtls_rsa_import_raw(
	    r, pub->n, pub->n_len, NULL, 0, NULL, 0, NULL, 0, pub->e, pub->e_len);
	return ret == 0 ? mbedtls_rsa_complete(r) : ret;
}

static enum lk_code verify(struct lk_slice n, struct lk_slice exp, bool pss, enum lk_hash h,
    struct lk_slice digest, struct lk_slice sig, struct lk_err *e)
{
	struct lk_pub pub;
	enum lk_code rc = lk_pub_rsa(n, exp, &pub, e);
	if (rc != LK_OK)
		return rc;
	if (digest.n != lk_hash_size(h))
		return lk_fail(e, LK_EPROTO, "digest of %zu bytes", digest.n);
	if (sig.n != pub.n_len || memcmp(sig.p, pub.n, sig.n) >= 0)
		return lk_fail(e, LK_EPROTO, "RSA signature out of range for its key");
	mbedtls_rsa_context r;
	mbedtls_rsa_init(&r);
	int ret = load_public(&pub, &r);
	if (ret == 0)
		ret = check(&r, pss, md_type(h), digest, sig);
	mbedtls_rsa_free(&r);
	if (ret == MBEDTLS_ERR_RSA_VERIFY_FAILED || ret == MBEDTLS_ERR_RSA_INVALID_PADDING)
		return lk_mbed_fail(e, LK_ETRUST, ret, "wrong RSA signature");
	return ret == 0 ? LK_OK : lk_mbed_fail(e, LK_ECRYPTO, ret, "RSA verification failed");
}

enum lk_code lk_rsa_verify(struct lk_slice n, struct lk_slice exp, enum lk_hash h,
    struct lk_slice digest, struct lk_slice sig, struct lk_err *e)
{
	return verify(n, exp, false, h, digest, sig, e);
}

enum lk_code lk_rsa_pss_verify(struct lk_slice n, struct lk_slice exp, enum lk_hash h,
    struct lk_slice digest, struct lk_slice sig, struct lk_err *e)
{
	return verify(n, exp, true, h, digest, sig, e);
}

/* Only n, e, p and q go in; the library computes d and the CRT members itself, so that a key with
 * inconsistent ones cannot make it leak the primes through a wrong result. */
static int load_private(const struct lk_rsa_parts *k, mbedtls_rsa_context *r)
{
	bool primes = k->p.n != 0 && k->q.n != 0;
	int ret = primes ? mbedtls_rsa_import_raw(
			       r, NULL, 0, k->p.p, k->p.n, k->q.p, k->q.n, NULL, 0, k->e.p, k->e.n)
			 : mbedtls_rsa_import_raw(
			       r, k->n.p, k->n.n, NULL, 0, NULL, 0, k->d.p, k->d.n, k->e.p, k->e.n);
	return ret == 0 ? mbedtls_rsa_complete(r) : ret;
}

enum lk_code lk_rsa_oaep_encrypt(const struct lk_pub *pub, enum lk_hash h, struct lk_slice in,
    struct lk_buf *out, struct lk_err *e)
{
	mbedtls_rsa_context r;
	if (pub->kty != LK_KTY_RSA)
		return lk_fail(e, LK_EUSAGE, "only an RSA key can encrypt");
	if (in.n + 2 * lk_hash_size(h) + 2 > pub->n_len)
		return lk_fail(
		    e, LK_ELIMIT, "%zu bytes are too long for RSA-OAEP with this key", in.n);
	uint8_t *to = lk_buf_room(out, pub->n_len);
	if (to == NULL)
		return lk_fail(e, LK_ELIMIT, "no room for an RSA ciphertext");
	mbedtls_rsa_init(&r);
	int ret = load_public(pub, &r);
	if (ret == 0)
		ret = mbedtls_rsa_set_padding(&r, MBEDTLS_RSA_PKCS_V21, md_type(h));
	if (ret == 0)
		ret =
		    mbedtls_rsa_rsaes_oaep_encrypt(&r, lk_mbed_rng, NULL, NULL, 0, in.n, in.p, to);
	mbedtls_rsa_free(&r);
	if (ret == 0)
		return LK_OK;
	out->n -= pub->n_len;
	return lk_mbed_fail(e, LK_ECRYPTO, ret, "RSA-OAEP encryption failed");
}

enum lk_code lk_rsa_oaep_decrypt(struct lk_slice key_der, enum lk_hash h, struct lk_slice in,
    struct lk_secret *out, struct lk_err *e)
{
	struct lk_rsa_parts k;
	mbedtls_rsa_context r;
	if (!lk_pkcs8_rsa(key_der, &k))
		return lk_fail(e, LK_EPROTO, "RSA private key is neither PKCS#8 nor PKCS#1");
	if (k.n.n < 256 || k.n.n > LK_RSA_MAX)
		return lk_fail(e, LK_EPROTO, "RSA private key of %zu bytes", k.n.n);
	if (in.n != k.n.n)
		return lk_fail(
		    e, LK_EPROTO, "RSA ciphertext of %zu bytes for a key of %zu", in.n, k.n.n);
	size_t got = 0;
	mbedtls_rsa_init(&r);
	int ret = load_private(&k, &r);
	if (ret == 0 && mbedtls_rsa_get_len(&r) != in.n)
		ret = MBEDTLS_ERR_RSA_KEY_CHECK_FAILED;
	if (ret == 0)
		ret = mbedtls_rsa_set_padding(&r, MBEDTLS_RSA_PKCS_V21, md_type(h));
	if (ret == 0)
		ret = mbedtls_rsa_rsaes_oaep_decrypt(
		    &r, lk_mbed_rng, NULL, NULL, 0, &got, in.p, out->p, sizeof(out->p));
	mbedtls_rsa_free(&r);
	if (ret == 0) {
		out->n = got;
		return LK_OK;
	}
	lk_secret_clear(out);
	/* one code and one text: which check failed would help an attacker who asks often */
	return lk_fail(e, LK_ECRYPTO, "RSA-OAEP decryption failed: wrong key or altered data");
}
