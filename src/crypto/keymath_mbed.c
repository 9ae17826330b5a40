#include "keymath.h"

#include <string.h>

#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <mbedtls/rsa.h>

#include "crypto_mbed.h"

struct factors {
	mbedtls_mpi n, p, q, t;
};

/* 0 if p * q == n and neither is trivial. */
static int check_factors(struct factors *f)
{
	if (mbedtls_mpi_cmp_int(&f->p, 1) <= 0 || mbedtls_mpi_cmp_int(&f->q, 1) <= 0)
		return MBEDTLS_ERR_RSA_KEY_CHECK_FAILED;
	int ret = mbedtls_mpi_mul_mpi(&f->t, &f->p, &f->q);
	if (ret == 0 && mbedtls_mpi_cmp_mpi(&f->t, &f->n) != 0)
		ret = MBEDTLS_ERR_RSA_KEY_CHECK_FAILED;
	return ret;
}

/* e * d - 1 is a multiple of the group's exponent, whether d was reduced modulo phi(n) or
 * lambda(n), so both forms give the factors. */
static int recover_factors(const struct lk_rsa_parts *k, struct factors *f)
{
	mbedtls_rsa_context r;
	mbedtls_rsa_init(&r);
	int ret = mbedtls_rsa_import_raw(
	    &r, k->n.p, k->n.n, NULL, 0, NULL, 0, k->d.p, k->d.n, k->e.p, k->e.n);
	if (ret == 0)
		ret = mbedtls_rsa_complete(&r);
	if (ret == 0)
		ret = mbedtls_rsa_export(&r, NULL, &f->p, &f->q, NULL, NULL);
	mbedtls_rsa_free(&r);
	return ret == 0 ? check_factors(f) : ret;
}

enum lk_code lk_rsa_smaller_prime(
    const struct lk_rsa_parts *k, uint8_t *out, size_t len, struct lk_err *e)
{
	struct factors f;
	mbedtls_mpi_init(&f.n);
	mbedtls_mpi_init(&f.p);
	mbedtls_mpi_init(&f.q);
	mbedtls_mpi_init(&f.t);
	int ret = mbedtls_mpi_read_binary(&f.n, k->n.p, k->n.n);
	if (ret == 0)
		ret = mbedtls_mpi_read_binary(&f.p, k->p.p, k->p.n);
	if (ret == 0)
		ret = mbedtls_mpi_read_binary(&f.q, k->q.p, k->q.n);
	if (ret == 0 && check_factors(&f) != 0)
		ret = recover_factors(k, &f);
	if (ret == 0)
		ret = mbedtls_mpi_write_binary(
		    mbedtls_mpi_cmp_mpi(&f.p, &f.q) < 0 ? &f.p : &f.q, out, len);
	mbedtls_mpi_free(&f.n);
	mbedtls_mpi_free(&f.p);
	mbedtls_mpi_free(&f.q);
	mbedtls_mpi_free(&f.t);
	if (ret != 0)
		return lk_mbed_fail(e, LK_EUNWRAP, ret,
		    "the released RSA key is not consistent: its modulus has no factors in it");
	return LK_OK;
}

static mbedtls_ecp_group_id group_of(enum lk_curve c)
{
	switch (c) {
	case LK_P256:
		return MBEDTLS_ECP_DP_SECP256R1;
	case LK_P384:
		return MBEDTLS_ECP_DP_SECP384R1;
	case LK_P521:
		return MBEDTLS_ECP_DP_SECP521R1;
	}
	return MBEDTLS_ECP_DP_NONE;
}

static int multiply(mbedtls_ecp_group *g, struct lk_slice d, mbedtls_ecp_point *pt)
{
	mbedtls_mpi k;
	mbedtls_mpi_init(&k);
	int ret = mbedtls_mpi_read_binary(&k, d.p, d.n);
	if (ret == 0)
		ret = mbedtls_ecp_check_privkey(g, &k);
	if (ret == 0)
		ret = mbedtls_ecp_mul(g, pt, &k, &g->G, lk_mbed_rng, NULL);
	mbedtls_mpi_free(&k);
	return ret;
}

enum lk_code lk_ec_public(
    enum lk_curve c, struct lk_slice d, uint8_t *x, uint8_t *y, struct lk_err *e)
{
	mbedtls_ecp_group g;
	mbedtls_ecp_point pt;
	uint8_t enc[1 + 2 * LK_EC_MAX]; /* 04, x, y */
	size_t size = lk_curve_size(c);
	size_t n = 0;
	mbedtls_ecp_group_init(&g);
	mbedtls_ecp_point_init(&pt);
	int ret = mbedtls_ecp_group_load(&g, group_of(c));
	if (ret == 0)
		ret = multiply(&g, d, &pt);
	if (ret == 0)
		ret = mbedtls_ecp_point_write_binary(
		    &g, &pt, MBEDTLS_ECP_PF_UNCOMPRESSED, &n, enc, sizeof(enc));
	mbedtls_ecp_point_free(&pt);
	mbedtls_ecp_group_free(&g);
	if (ret != 0)
		return lk_mbed_fail(
		    e, LK_EUNWRAP, ret, "the released EC key is out of range for its curve");
	LK_BUG_ON(n != 1 + 2 * size);
	for (size_t i = 0; i < size; i++) {
		x[i] = enc[1 + i];
		y[i] = enc[1 + size + i];
	}
	return LK_OK;
}

static int load_point(const struct lk_pub *k, mbedtls_ecp_group *g, mbedtls_ecp_point *q)
{
	uint8_t enc[1 + 2 * LK_EC_MAX];
	size_t size = lk_curve_size(k->curve);
	enc[0] = 4; /* uncompressed */
	memcpy(enc + 1, k->n, size);
	memcpy(enc + 1 + size, k->e, size);
	int ret = mbedtls_ecp_group_load(g, group_of(k->curve));
	if (ret == 0)
		ret = mbedtls_ecp_point_read_binary(g, q, enc, 1 + 2 * size);
	return ret == 0 ? mbedtls_ecp_check_pubkey(g, q) : ret;
}

enum lk_code lk_ecdsa_verify(const struct lk_pub *k, struct lk_slice digest, struct lk_slice r,
    struct lk_slice s, struct lk_err *e)
{
	mbedtls_ecp_group g;
	mbedtls_ecp_point q;
	mbedtls_mpi mr, ms;
	LK_BUG_ON(k->kty != LK_KTY_EC);
	mbedtls_ecp_group_init(&g);
	mbedtls_ecp_point_init(&q);
	mbedtls_mpi_init(&mr);
	mbedtls_mpi_init(&ms);
	int bad_key = load_point(k, &g, &q);
	int ret = mbedtls_mpi_read_binary(&mr, r.p, r.n);
	if (ret == 0)
		ret = mbedtls_mpi_read_binary(&ms, s.p, s.n);
	if (ret == 0 && bad_key == 0)
		ret = mbedtls_ecdsa_verify(&g, digest.p, digest.n, &q, &mr, &ms);
	mbedtls_mpi_free(&ms);
	mbedtls_mpi_free(&mr);
	mbedtls_ecp_point_free(&q);
	mbedtls_ecp_group_free(&g);
	if (bad_key != 0)
		return lk_mbed_fail(e, LK_EPROTO, bad_key, "EC key is not a point on its curve");
	return ret == 0 ? LK_OK : lk_mbed_fail(e, LK_ETRUST, ret, "wrong ECDSA signature");
}
