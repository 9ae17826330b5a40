#include "lk/key.h"

#include <string.h>

#include "keymath.h"
#include "lk/der.h"

static const struct {
	const char *name;
	size_t size;
} curves[] = {[LK_P256] = {"P-256", 32}, [LK_P384] = {"P-384", 48}, [LK_P521] = {"P-521", 66}};

size_t lk_curve_size(enum lk_curve c)
{
	LK_BUG_ON(c < LK_P256 || c > LK_P521);
	return curves[c].size;
}

const char *lk_curve_name(enum lk_curve c)
{
	LK_BUG_ON(c < LK_P256 || c > LK_P521);
	return curves[c].name;
}

bool lk_curve_parse(struct lk_slice name, enum lk_curve *out)
{
	for (enum lk_curve c = LK_P256; c <= LK_P521; c++)
		if (lk_slice_eq_str(name, curves[c].name)) {
			*out = c;
			return true;
		}
	return false;
}

static unsigned bits(struct lk_slice v)
{
	unsigned n = (unsigned)v.n * 8;
	for (unsigned top = 0x80; v.n != 0 && (v.p[0] & top) == 0; top >>= 1)
		n--;
	return n;
}

enum lk_code lk_pub_rsa(
    struct lk_slice n, struct lk_slice exp, struct lk_pub *out, struct lk_err *e)
{
	n = lk_der_strip(n);
	exp = lk_der_strip(exp);
	if (n.n > LK_RSA_MAX || bits(n) < 2048)
		return lk_fail(e, LK_EPROTO, "RSA modulus of %u bits; 2048 to 4096 are accepted",
		    n.n > LK_RSA_MAX ? (unsigned)n.n * 8 : bits(n));
	if ((n.p[n.n - 1] & 1) == 0)
		return lk_fail(e, LK_EPROTO, "RSA modulus is even");
	if (exp.n == 0 || exp.n > n.n || (exp.p[exp.n - 1] & 1) == 0 ||
	    (exp.n == 1 && exp.p[0] < 3) || (exp.n == n.n && memcmp(exp.p, n.p, n.n) >= 0))
		return lk_fail(e, LK_EPROTO, "RSA exponent is even or out of range");
	memset(out, 0, sizeof(*out));
	out->kty = LK_KTY_RSA;
	out->n_len = n.n;
	out->e_len = exp.n;
	memcpy(out->n, n.p, n.n);
	memcpy(out->e, exp.p, exp.n);
	return LK_OK;
}

enum lk_code lk_pub_ec(
    enum lk_curve curve, struct lk_slice x, struct lk_slice y, struct lk_pub *out, struct lk_err *e)
{
	size_t size = lk_curve_size(curve);
	x = lk_der_strip(x);
	y = lk_der_strip(y);
	if (x.n > size || y.n > size)
		return lk_fail(
		    e, LK_EPROTO, "EC coordinates are too long for %s", lk_curve_name(curve));
	memset(out, 0, sizeof(*out));
	out->kty = LK_KTY_EC;
	out->curve = curve;
	out->n_len = size;
	out->e_len = size;
	memcpy(out->n + size - x.n, x.p, x.n);
	memcpy(out->e + size - y.n, y.p, y.n);
	return LK_OK;
}

bool lk_pub_eq(const struct lk_pub *a, const struct lk_pub *b)
{
	if (a->kty != b->kty)
		return false;
	if (a->kty == LK_KTY_OCT)
		return true;
	return (a->kty != LK_KTY_EC || a->curve == b->curve) &&
	       lk_slice_eq(lk_slice_of(a->n, a->n_len), lk_slice_of(b->n, b->n_len)) &&
	       lk_slice_eq(lk_slice_of(a->e, a->e_len), lk_slice_of(b->e, b->e_len));
}

static enum lk_code other_key(struct lk_err *e)
{
	return lk_fail(
	    e, LK_EUNWRAP, "the released private key does not belong to the expected public key");
}

static enum lk_code rsa_parts(
    const struct lk_pub *pub, struct lk_slice plain, struct lk_rsa_parts *k, struct lk_err *e)
{
	if (!lk_pkcs8_rsa(plain, k))
		return lk_fail(e, LK_EUNWRAP,
		    "the released key is not an RSA private key of two primes in PKCS#8");
	if (!lk_slice_eq(k->n, lk_slice_of(pub->n, pub->n_len)) ||
	    !lk_slice_eq(k->e, lk_slice_of(pub->e, pub->e_len)))
		return other_key(e);
	return LK_OK;
}

static enum lk_code canonical_rsa(
    const struct lk_pub *pub, struct lk_slice plain, struct lk_secret *ikm, struct lk_err *e)
{
	struct lk_rsa_parts k;
	enum lk_code rc = rsa_parts(pub, plain, &k, e);
	if (rc != LK_OK)
		return rc;
	/* p <= sqrt(n), so the smaller prime always fits into half of the modulus */
	ikm->n = (pub->n_len + 1) / 2;
	return lk_rsa_smaller_prime(&k, ikm->p, ikm->n, e);
}

static enum lk_code canonical_ec(
    const struct lk_pub *pub, struct lk_slice plain, struct lk_secret *ikm, struct lk_err *e)
{
	enum lk_curve curve;
	struct lk_slice d;
	uint8_t x[LK_EC_MAX], y[LK_EC_MAX];
	if (!lk_pkcs8_ec(plain, &curve, &d))
		return lk_fail(e, LK_EUNWRAP,
		    "the released key is not an EC private key on P-256, P-384 or P-521 in PKCS#8");
	size_t size = lk_curve_size(curve);
	if (curve != pub->curve || pub->n_len != size || pub->e_len != size || d.n > size)
		return other_key(e);
	enum lk_code rc = lk_ec_public(curve, d, x, y, e);
	if (rc != LK_OK)
		return rc;
	if (memcmp(x, pub->n, size) != 0 || memcmp(y, pub->e, size) != 0)
		return other_key(e);
	ikm->n = size;
	memset(ikm->p, 0, size);
	memcpy(ikm->p + size - d.n, d.p, d.n);
	return LK_OK;
}

enum lk_code lk_key_canonical(
    const struct lk_pub *pub, struct lk_slice plain, struct lk_secret *ikm, struct lk_err *e)
{
	enum lk_code rc = LK_OK;
	switch (pub->kty) {
	case LK_KTY_RSA:
		rc = canonical_rsa(pub, plain, ikm, e);
		break;
	case LK_KTY_EC:
		rc = canonical_ec(pub, plain, ikm, e);
		break;
	case LK_KTY_OCT:
		if (plain.n < 16 || plain.n > 64)
			rc = lk_fail(e, LK_EUNWRAP,
			    "the released oct key has %zu bytes; 16 to 64 are accepted", plain.n);
		else
			rc = lk_secret_set(ikm, plain, e);
		break;
	}
	if (rc != LK_OK)
		lk_secret_clear(ikm);
	return rc;
}

enum lk_code lk_key_rsa_exponent(
    const struct lk_pub *pub, struct lk_slice plain, struct lk_secret *d, struct lk_err *e)
{
	struct lk_rsa_parts k;
	enum lk_code rc = rsa_parts(pub, plain, &k, e);
	if (rc == LK_OK && k.d.n == 0)
		rc = lk_fail(e, LK_EUNWRAP, "the released RSA key has no private exponent in it");
	if (rc == LK_OK)
		rc = lk_secret_set(d, k.d, e);
	if (rc != LK_OK)
		lk_secret_clear(d);
	return rc;
}
