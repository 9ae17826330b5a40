/* Signing a report as the security processor does. */
#include <string.h>

#include <mbedtls/ecdsa.h>
#include <mbedtls/sha512.h>

#include "device.h"
#include "lk/rng.h"

#define SIGNED 0x2a0
#define FIELD  72 /* r and s, little-endian, of which 48 bytes are used */

static int random_bytes(void *unused, unsigned char *out, size_t n)
{
	struct lk_err e;
	(void)unused;
	return lk_rng(out, n, &e) == LK_OK ? 0 : MBEDTLS_ERR_ECP_RANDOM_FAILED;
}

bool report_sign(uint8_t report[static REPORT_SIZE], const uint8_t key[static 48])
{
	mbedtls_ecp_group group;
	mbedtls_mpi d, r, s;
	uint8_t digest[48];
	mbedtls_ecp_group_init(&group);
	mbedtls_mpi_init(&d);
	mbedtls_mpi_init(&r);
	mbedtls_mpi_init(&s);
	memset(report + SIGNED, 0, REPORT_SIZE - SIGNED);
	bool ok = mbedtls_sha512(report, SIGNED, digest, 1) == 0 &&
		  mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP384R1) == 0 &&
		  mbedtls_mpi_read_binary(&d, key, 48) == 0 &&
		  mbedtls_ecdsa_sign(
		      &group, &r, &s, &d, digest, sizeof(digest), random_bytes, NULL) == 0 &&
		  mbedtls_mpi_write_binary_le(&r, report + SIGNED, FIELD) == 0 &&
		  mbedtls_mpi_write_binary_le(&s, report + SIGNED + FIELD, FIELD) == 0;
	mbedtls_ecp_group_free(&group);
	mbedtls_mpi_free(&d);
	mbedtls_mpi_free(&r);
	mbedtls_mpi_free(&s);
	return ok;
}
