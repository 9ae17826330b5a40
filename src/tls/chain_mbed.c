/* Chains that come inside a message, and the trust file. */
#include "lk/der.h"
#include "lk/tls.h"
#include "verify_mbed.h"

#include <mbedtls/oid.h>

#define CHAIN_MAX 6

enum lk_code lk_roots_check(const struct lk_roots *roots, unsigned *count, struct lk_err *e)
{
	mbedtls_x509_crt list;
	unsigned first_bad;
	mbedtls_x509_crt_init(&list);
	enum lk_code rc = lk_roots_load(roots, &list, count, &first_bad, e);
	mbedtls_x509_crt_free(&list);
	if (rc == LK_OK && first_bad != 0)
		return lk_fail(
		    e, LK_ECONF, "trust anchor %u of the file cannot be read", first_bad);
	return rc;
}

static enum lk_code parse(
    const struct lk_slice *der, size_t count, mbedtls_x509_crt *chain, struct lk_err *e)
{
	for (size_t i = 0; i < count; i++) {
		struct lk_slice rest = der[i], body;
		/* the library would ignore what follows the certificate */
		if (!lk_der_take(&rest, LK_DER_SEQUENCE, &body) || rest.n != 0 ||
		    mbedtls_x509_crt_parse_der_nocopy(chain, der[i].p, der[i].n) != 0)
			return lk_fail(
			    e, LK_EPROTO, "certificate %zu of the chain cannot be read", i + 1);
	}
	return LK_OK;
}

/* The library checks the usages only within a handshake. */
static uint32_t usage_flags(const mbedtls_x509_crt *leaf)
{
	uint32_t flags = 0;
	if (mbedtls_x509_crt_check_key_usage(leaf, MBEDTLS_X509_KU_DIGITAL_SIGNATURE) != 0)
		flags |= MBEDTLS_X509_BADCERT_KEY_USAGE;
	if (mbedtls_x509_crt_check_extended_key_usage(
		leaf, MBEDTLS_OID_SERVER_AUTH, MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)) != 0)
		flags |= MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
	return flags;
}

static enum lk_code verify(
    mbedtls_x509_crt *chain, mbedtls_x509_crt *anchors, const char *host, struct lk_err *e)
{
	struct lk_verify v;
	uint32_t flags = UINT32_MAX;
	lk_verify_start(&v);
	int ret = mbedtls_x509_crt_verify_with_profile(chain, anchors, NULL,
	    &mbedtls_x509_crt_profile_default, host, &flags, lk_verify_step, &v);
	if (ret == 0 || ret == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED)
		flags |= usage_flags(chain);
	if (ret == 0 && flags == 0)
		return LK_OK;
	return lk_verify_fail(&v, host, flags, e);
}

enum lk_code lk_chain_verify(const struct lk_slice *der, size_t count, const char *host,
    const struct lk_roots *roots, struct lk_pub *leaf, struct lk_err *e)
{
	char name[LK_HOST_MAX + 1];
	mbedtls_x509_crt chain, anchors;
	unsigned n, first_bad;
	int64_t not_after;
	if (count < 1 || count > CHAIN_MAX)
		return lk_fail(e, count == 0 ? LK_EPROTO : LK_ELIMIT,
		    "a chain of %zu certificates; 1 to %d are accepted", count, CHAIN_MAX);
	enum lk_code rc = lk_host_normal(host, name, e);
	if (rc != LK_OK)
		return rc;
	mbedtls_x509_crt_init(&chain);
	mbedtls_x509_crt_init(&anchors);
	rc = parse(der, count, &chain, e);
	if (rc == LK_OK)
		rc = lk_roots_load(roots, &anchors, &n, &first_bad, e);
	if (rc == LK_OK)
		rc = verify(&chain, &anchors, name, e);
	if (rc == LK_OK)
		rc = lk_cert_rsa(der[0], leaf, &not_after, e);
	mbedtls_x509_crt_free(&chain);
	mbedtls_x509_crt_free(&anchors);
	return rc;
}
