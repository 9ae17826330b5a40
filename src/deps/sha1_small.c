/* sha1_small.c - SHA-1's block function (FIPS 180-4, section 6.1.2) as a loop, in place of Mbed
 * TLS' unrolled one of 4.7 KiB (MBEDTLS_SHA1_PROCESS_ALT). Part of libmbed.a.
 */
#include <stdint.h>

#include <mbedtls/platform_util.h>
#include <mbedtls/private_access.h>
#include <mbedtls/sha1.h>

static uint32_t rotate(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

static uint32_t round_value(unsigned t, const uint32_t v[5])
{
	uint32_t b = v[1], c = v[2], d = v[3];
	if (t < 20)
		return ((b & c) | (~b & d)) + 0x5A827999;
	if (t >= 40 && t < 60)
		return ((b & c) | (b & d) | (c & d)) + 0x8F1BBCDC;
	return (b ^ c ^ d) + (t < 40 ? 0x6ED9EBA1 : 0xCA62C1D6);
}

int mbedtls_internal_sha1_process(mbedtls_sha1_context *ctx, const unsigned char data[64])
{
	uint32_t w[80], v[5];
	uint32_t *state = ctx->MBEDTLS_PRIVATE(state);
	for (unsigned t = 0; t < 16; t++)
		w[t] = (uint32_t)data[4 * t] << 24 | (uint32_t)data[4 * t + 1] << 16 |
		       (uint32_t)data[4 * t + 2] << 8 | data[4 * t + 3];
	for (unsigned t = 16; t < 80; t++)
		w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
	for (unsigned i = 0; i < 5; i++)
		v[i] = state[i];
	for (unsigned t = 0; t < 80; t++) {
		uint32_t next = rotate(v[0], 5) + round_value(t, v) + v[4] + w[t];
		v[4] = v[3];
		v[3] = v[2];
		v[2] = rotate(v[1], 30);
		v[1] = v[0];
		v[0] = next;
	}
	for (unsigned i = 0; i < 5; i++)
		state[i] += v[i];
	/* HMAC and OAEP hash secrets */
	mbedtls_platform_zeroize(w, sizeof(w));
	mbedtls_platform_zeroize(v, sizeof(v));
	return 0;
}
