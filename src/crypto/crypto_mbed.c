/* Start of the library, digests and ciphers over Mbed TLS. */
#include "crypto_mbed.h"

#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <mbedtls/aes.h>
#include <mbedtls/gcm.h>
#include <mbedtls/md.h>
#include <mbedtls/platform.h>
#include <mbedtls/platform_time.h>
#include <psa/crypto.h>

#include "lk/clock.h"
#include "lk/rng.h"

int lk_mbed_rng(void *ctx, unsigned char *out, size_t n)
{
	struct lk_err e;
	(void)ctx;
	return lk_rng(out, n, &e) == LK_OK ? 0 : PSA_ERROR_INSUFFICIENT_ENTROPY;
}

/* PSA (TLS 1.3) asks here; no generator of the library's own is linked. */
psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *context,
    uint8_t *output, size_t output_size, size_t *output_length)
{
	(void)context;
	if (lk_mbed_rng(NULL, output, output_size) != 0)
		return PSA_ERROR_INSUFFICIENT_ENTROPY;
	*output_length = output_size;
	return PSA_SUCCESS;
}

static mbedtls_time_t wall_time(mbedtls_time_t *out)
{
	mbedtls_time_t now = lk_wall_now().unix_s;
	if (out != NULL)
		*out = now;
	return now;
}

enum lk_code lk_mbed_fail(struct lk_err *e, enum lk_code code, int ret, const char *msg)
{
	enum lk_code rc = lk_fail(e, code, "%s", msg);
	e->lib = (uint32_t)-ret;
	return rc;
}

/* The library was built to use them unasked. */
static bool has_aes(void)
{
#if defined(__x86_64__)
	unsigned a, b, c = 0, d;
	return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_AES) != 0 && (c & bit_PCLMUL) != 0;
#else
	return true;
#endif
}

enum lk_code lk_crypto_start(struct lk_err *e)
{
	if (!has_aes())
		return lk_fail(e, LK_ESYS, "this processor has no AES instructions");
	/* Until here the library has no heap at all: forgetting this call fails, it does not leak.
	 */
	lk_mbed_heap();
	mbedtls_platform_set_time(wall_time);
	psa_status_t st = psa_crypto_init();
	if (st != PSA_SUCCESS)
		return lk_mbed_fail(e, LK_ECRYPTO, (int)st, "the crypto library does not start");
	return LK_OK;
}

static const mbedtls_md_info_t *md_of(enum lk_hash h)
{
	switch (h) {
	case LK_SHA1:
		return mbedtls_md_info_from_type(MBEDTLS_MD_SHA1);
	case LK_SHA256:
		return mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
	case LK_SHA384:
		return mbedtls_md_info_from_type(MBEDTLS_MD_SHA384);
	case LK_SHA512:
		return mbedtls_md_info_from_type(MBEDTLS_MD_SHA512);
	}
	return NULL;
}

size_t lk_hash_size(enum lk_hash h)
{
	return mbedtls_md_get_size(md_of(h));
}

/* HMAC when there is a key, else the plain digest. */
static int digest(const mbedtls_md_info_t *md, const struct lk_slice *key,
    const struct lk_slice *parts, size_t nparts, uint8_t *out)
{
	mbedtls_md_context_t c;
	mbedtls_md_init(&c);
	int ret = mbedtls_md_setup(&c, md, key != NULL);
	if (ret == 0)
		ret = key != NULL ? mbedtls_md_hmac_starts(&c, key->p, key->n)
				  : mbedtls_md_starts(&c);
	for (size_t i = 0; ret == 0 && i < nparts; i++)
		ret = key != NULL ? mbedtls_md_hmac_update(&c, parts[i].p, parts[i].n)
				  : mbedtls_md_update(&c, parts[i].p, parts[i].n);
	if (ret == 0)
		ret = key != NULL ? mbedtls_md_hmac_finish(&c, out) : mbedtls_md_finish(&c, out);
	mbedtls_md_free(&c);
	return ret;
}

enum lk_code lk_hash(
    enum lk_hash h, const struct lk_slice *parts, size_t nparts, uint8_t *out, struct lk_err *e)
{
	int ret = digest(md_of(h), NULL, parts, nparts, out);
	return ret == 0 ? LK_OK : lk_mbed_fail(e, LK_ECRYPTO, ret, "digest failed");
}

enum lk_code lk_sha256(struct lk_slice in, uint8_t out[static 32], struct lk_err *e)
{
	return lk_hash(LK_SHA256, &in, 1, out, e);
}

enum lk_code lk_hmac_sha256(struct lk_slice key, const struct lk_slice *parts, size_t nparts,
    uint8_t out[static 32], struct lk_err *e)
{
	int ret = digest(md_of(LK_SHA256), &key, parts, nparts, out);
	return ret == 0 ? LK_OK : lk_mbed_fail(e, LK_ECRYPTO, ret, "HMAC failed");
}

/* RFC 5869. */
enum lk_code lk_hkdf_sha256(struct lk_slice ikm, struct lk_slice salt, struct lk_slice info,
    struct lk_secret *out, struct lk_err *e)
{
	LK_BUG_ON(out->n < 1 || out->n > 255);
	uint8_t prk[32], block[32], count = 0;
	struct lk_slice key = {prk, sizeof(prk)};
	struct lk_slice parts[] = {{block, 0}, info, {&count, 1}};
	enum lk_code rc = lk_hmac_sha256(salt, &ikm, 1, prk, e);
	for (size_t at = 0; rc == LK_OK && at < out->n; at += sizeof(block)) {
		size_t rest = out->n - at;
		count++;
		rc = lk_hmac_sha256(key, parts, 3, block, e);
		parts[0].n = sizeof(block);
		memcpy(out->p + at, block, rest < sizeof(block) ? rest : sizeof(block));
	}
	lk_wipe(prk, sizeof(prk));
	lk_wipe(block, sizeof(block));
	if (rc != LK_OK)
		lk_secret_clear(out);
	return rc;
}

static bool aes_key_ok(struct lk_slice key)
{
	return key.n == 16 || key.n == 24 || key.n == 32;
}

enum lk_code lk_gcm_decrypt(struct lk_slice key, struct lk_slice iv, struct lk_slice aad,
    struct lk_slice tag, struct lk_slice in, struct lk_buf *out, struct lk_err *e)
{
	if (!aes_key_ok(key))
		return lk_fail(e, LK_EPROTO, "AES key of %zu bytes", key.n);
	if (tag.n != 16 || iv.n == 0)
		return lk_fail(e, LK_EPROTO, "AES-GCM tag of %zu bytes, nonce of %zu", tag.n, iv.n);
	size_t was = out->n;
	uint8_t *room = lk_buf_room(out, in.n);
	if (room == NULL)
		return lk_fail(e, LK_ELIMIT, "no room for %zu bytes of plaintext", in.n);
	mbedtls_gcm_context c;
	mbedtls_gcm_init(&c);
	int ret = mbedtls_gcm_setkey(&c, MBEDTLS_CIPHER_ID_AES, key.p, (unsigned)key.n * 8);
	if (ret == 0)
		ret = mbedtls_gcm_auth_decrypt(
		    &c, in.n, iv.p, iv.n, aad.p, aad.n, tag.p, tag.n, in.p, room);
	mbedtls_gcm_free(&c);
	if (ret == 0)
		return LK_OK;
	lk_wipe(room, in.n);
	out->n = was;
	return lk_mbed_fail(e, LK_ECRYPTO, ret, "AES-GCM tag mismatch: wrong key or altered data");
}

enum lk_code lk_aes_block(struct lk_slice key, bool decrypt, const uint8_t in[static 16],
    uint8_t out[static 16], struct lk_err *e)
{
	if (!aes_key_ok(key))
		return lk_fail(e, LK_EPROTO, "AES key of %zu bytes", key.n);
	mbedtls_aes_context c;
	mbedtls_aes_init(&c);
	int ret = decrypt ? mbedtls_aes_setkey_dec(&c, key.p, (unsigned)key.n * 8)
			  : mbedtls_aes_setkey_enc(&c, key.p, (unsigned)key.n * 8);
	if (ret == 0)
		ret = mbedtls_aes_crypt_ecb(
		    &c, decrypt ? MBEDTLS_AES_DECRYPT : MBEDTLS_AES_ENCRYPT, in, out);
	mbedtls_aes_free(&c);
	return ret == 0 ? LK_OK : lk_mbed_fail(e, LK_ECRYPTO, ret, "AES failed");
}
