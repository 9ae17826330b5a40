/* mbed_client.h - put before some files of Mbed TLS (mbedtls.mk says which): what a client without
 * a certificate of its own never does.
 *
 * The library has no option for "only verifies": pk_wrap.c's tables of functions hold the private
 * operations as well, and the handshakes reach them where a client shows a certificate. Functions
 * become macros here after their declarations were read, so that the linker finds nothing that
 * calls for the private RSA and ECDSA operations. lk_rsa_oaep_decrypt() calls its own directly.
 */
#ifndef LK_MBED_CLIENT_H
#define LK_MBED_CLIENT_H

#if defined(LK_MBED_NO_PRIVATE_KEY) /* pk_wrap.c */
#include "common.h"

#include "mbedtls/ecdsa.h"
#include "mbedtls/ecp.h"
#include "mbedtls/pk.h"
#include "mbedtls/rsa.h"

#define mbedtls_rsa_pkcs1_sign(...)                     MBEDTLS_ERR_PK_FEATURE_UNAVAILABLE
#define mbedtls_rsa_pkcs1_encrypt(...)                  MBEDTLS_ERR_PK_FEATURE_UNAVAILABLE
#define mbedtls_rsa_pkcs1_decrypt(...)                  MBEDTLS_ERR_PK_FEATURE_UNAVAILABLE
#define mbedtls_rsa_check_pub_priv(...)                 MBEDTLS_ERR_PK_FEATURE_UNAVAILABLE
#define mbedtls_ecdsa_write_signature(...)              MBEDTLS_ERR_PK_FEATURE_UNAVAILABLE
#define mbedtls_ecdsa_write_signature_restartable(...)  MBEDTLS_ERR_PK_FEATURE_UNAVAILABLE
#define mbedtls_ecp_check_pub_priv(...)                 MBEDTLS_ERR_PK_FEATURE_UNAVAILABLE
#endif

#if defined(LK_MBED_NO_CLIENT_CERT) /* ssl_*.c */
#include "common.h"

#include "ssl_misc.h"

/* The TLS 1.2 client looks here whether it may accept RSA-PSS, and checks it without PSA. */
#define PSA_WANT_ALG_RSA_PSS 1

#define mbedtls_ssl_own_key(ssl)  ((mbedtls_pk_context *) NULL)
#define mbedtls_ssl_own_cert(ssl) ((mbedtls_x509_crt *) NULL)
#endif

#endif
