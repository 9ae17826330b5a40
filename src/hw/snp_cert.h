/* snp_cert.h - AMD's certificates, read as strictly as they are written (X.509 v3; one signature
 * algorithm, two kinds of key, each with one encoding). */
#ifndef SNP_CERT_H
#define SNP_CERT_H

#include "lk/key.h"

struct lk_snp_cert {
	struct lk_slice tbs, sig; /* what is signed, tag included; the signature */
	struct lk_slice key;      /* subjectPublicKeyInfo */
	struct lk_slice exts;     /* the list of extensions; empty: none */
};

/* `what` is for messages. LK_EPROTO. */
LK_CHECK enum lk_code lk_snp_cert_parse(
    const char *what, struct lk_slice der, struct lk_snp_cert *out, struct lk_err *e);
/* Signed by the RSA-4096 key in `by`? LK_ETRUST, LK_EPROTO. */
LK_CHECK enum lk_code lk_snp_cert_signed(
    const char *what, const struct lk_snp_cert *c, const struct lk_snp_cert *by, struct lk_err *e);
/* The P-384 key. LK_EPROTO. */
LK_CHECK enum lk_code lk_snp_cert_ec(
    const struct lk_snp_cert *c, struct lk_pub *out, struct lk_err *e);
/* Value of the extension 1.3.6.1.4.1.3704.1.`oid`, which is there exactly once: else false. */
bool lk_snp_cert_ext(const struct lk_snp_cert *c, struct lk_slice oid, struct lk_slice *value);

#endif
