/* mbed_config.h - the whole Mbed TLS configuration: a TLS 1.2 and 1.3 client and the primitives
 * that we use.
 *
 * It replaces mbedtls_config.h (MBEDTLS_CONFIG_FILE), for the library and for src/tls, src/crypto.
 * No entropy module and no DRBG: the library would open /dev/random under musl, which an initramfs
 * or a sandbox may not have. Randomness is getrandom(2), given as a callback to TLS and X.509 and
 * through mbedtls_psa_external_get_random() to PSA. It is fork-safe, as there is no state to copy.
 * No sockets, no files, no self tests, no error strings, no server side.
 */
#ifndef LK_MBED_CONFIG_H
#define LK_MBED_CONFIG_H

/* 3.6.6 refuses TLS 1.2 servers that sign with RSA-PSS; older ones have known holes. */
#if !defined(MBEDTLS_VERSION_NUMBER) || MBEDTLS_VERSION_NUMBER < 0x03060700
#error "latchkey needs Mbed TLS 3.6.7 or newer"
#endif
#if MBEDTLS_VERSION_NUMBER >= 0x04000000
#error "latchkey is written for Mbed TLS 3.6; 4.x has another API"
#endif

/* system */
#define MBEDTLS_HAVE_ASM
#define MBEDTLS_HAVE_TIME
#define MBEDTLS_HAVE_TIME_DATE
#define MBEDTLS_PLATFORM_C
#define MBEDTLS_PLATFORM_MEMORY   /* mbedtls_platform_set_calloc_free(): wiped on free */
#define MBEDTLS_PLATFORM_TIME_ALT /* mbedtls_platform_set_time(): never before the build */
#define MBEDTLS_DEPRECATED_REMOVED

/* primitives; of two forms always the smaller one: we do a handful of operations a boot */
#define MBEDTLS_AES_C
#define MBEDTLS_AESNI_C
#if defined(__x86_64__)
/* No table look-ups, whose timing tells about the key. Every processor with SEV-SNP has the
 * instructions; lk_crypto_start() says so where they are missing. */
#define MBEDTLS_AES_USE_HARDWARE_ONLY
#define MBEDTLS_AES_ROM_TABLES /* so none are computed at the start either */
#endif
#define MBEDTLS_GCM_C
#define MBEDTLS_CIPHER_C
#define MBEDTLS_MD_C
#define MBEDTLS_SHA1_C /* OAEP with SHA-1 (CKM_RSA_AES_KEY_WRAP) and X.509 key identifiers only */
#define MBEDTLS_SHA1_PROCESS_ALT /* src/deps/sha1_small.c */
#define MBEDTLS_SHA256_C
#define MBEDTLS_SHA256_SMALLER
#define MBEDTLS_SHA384_C
#define MBEDTLS_SHA512_C
#define MBEDTLS_SHA512_SMALLER
#define MBEDTLS_BIGNUM_C
#define MBEDTLS_RSA_C
#define MBEDTLS_GENPRIME /* the SNP path's own RSA key */
#define MBEDTLS_PKCS1_V15
#define MBEDTLS_PKCS1_V21
#define MBEDTLS_ECP_C
#define MBEDTLS_ECP_DP_SECP256R1_ENABLED
#define MBEDTLS_ECP_DP_SECP384R1_ENABLED
#define MBEDTLS_ECP_DP_SECP521R1_ENABLED /* released EC-HSM keys may be P-521 */
#define MBEDTLS_ECP_DP_CURVE25519_ENABLED
#define MBEDTLS_ECP_NIST_OPTIM
#define MBEDTLS_ECP_FIXED_POINT_OPTIM 0 /* its tables of multiples of G are 12 KiB */
#define MBEDTLS_ECDH_C
#define MBEDTLS_ECDSA_C

/* encodings */
#define MBEDTLS_ASN1_PARSE_C
#define MBEDTLS_ASN1_WRITE_C
#define MBEDTLS_OID_C
#define MBEDTLS_PK_C
#define MBEDTLS_PK_PARSE_C

/* X.509 */
#define MBEDTLS_X509_USE_C
#define MBEDTLS_X509_CRT_PARSE_C
#define MBEDTLS_X509_RSASSA_PSS_SUPPORT
#define MBEDTLS_X509_REMOVE_INFO

/* TLS */
#define MBEDTLS_SSL_TLS_C
#define MBEDTLS_SSL_CLI_C
#define MBEDTLS_SSL_PROTO_TLS1_2
#define MBEDTLS_SSL_EXTENDED_MASTER_SECRET
#define MBEDTLS_SSL_SERVER_NAME_INDICATION
#define MBEDTLS_SSL_KEEP_PEER_CERTIFICATE
#define MBEDTLS_KEY_EXCHANGE_ECDHE_RSA_ENABLED
#define MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED
#define MBEDTLS_SSL_OUT_CONTENT_LEN 4096 /* requests are small; servers send full 16 KiB records */

/* the suites of src/tls/tls_mbed.c; by default the library has a table of all that it knows */
#define MBEDTLS_SSL_CIPHERSUITES 0x1302, 0x1301, 0xC02C, 0xC030, 0xC02B, 0xC02F

/* TLS 1.3, which the library builds on PSA only: its key schedule and its key exchange. PSA gets
 * these alone; certificates, signatures and records go through the classic functions. */
#define MBEDTLS_SSL_PROTO_TLS1_3
#define MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ENABLED
#define MBEDTLS_SSL_TLS1_3_COMPATIBILITY_MODE
#define MBEDTLS_PSA_CRYPTO_C
#define MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG
#define MBEDTLS_PSA_ASSUME_EXCLUSIVE_BUFFERS /* no other world shares our memory */
#define MBEDTLS_PSA_CRYPTO_CONFIG
#define MBEDTLS_PSA_CRYPTO_CONFIG_FILE MBEDTLS_CONFIG_FILE /* this file: */
#define PSA_WANT_ALG_SHA_256 1
#define PSA_WANT_ALG_SHA_384 1
#define PSA_WANT_ALG_HMAC 1
#define PSA_WANT_ALG_HKDF_EXTRACT 1
#define PSA_WANT_ALG_HKDF_EXPAND 1
#define PSA_WANT_ALG_ECDH 1
#define PSA_WANT_ECC_MONTGOMERY_255 1
#define PSA_WANT_ECC_SECP_R1_256 1
#define PSA_WANT_ECC_SECP_R1_384 1
#define PSA_WANT_KEY_TYPE_HMAC 1
#define PSA_WANT_KEY_TYPE_DERIVE 1
#define PSA_WANT_KEY_TYPE_ECC_PUBLIC_KEY 1
#define PSA_WANT_KEY_TYPE_ECC_KEY_PAIR_BASIC 1
#define PSA_WANT_KEY_TYPE_ECC_KEY_PAIR_GENERATE 1
#define PSA_WANT_KEY_TYPE_ECC_KEY_PAIR_EXPORT 1

#endif
