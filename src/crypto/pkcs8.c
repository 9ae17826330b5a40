#include "pkcs8.h"

#include "lk/der.h"

#define DER_ATTRIBUTES 0xa0 /* [0], constructed */
#define DER_PUBLIC_KEY 0x81 /* [1], primitive: version 2 carries the public half */

static const uint8_t oid_rsa[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
static const uint8_t oid_ec[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
static const uint8_t oid_p256[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
static const uint8_t oid_p384[] = {0x2b, 0x81, 0x04, 0x00, 0x22};
static const uint8_t oid_p521[] = {0x2b, 0x81, 0x04, 0x00, 0x23};

static bool is_oid(struct lk_slice v, const uint8_t *oid, size_t n)
{
	return lk_slice_eq(v, lk_slice_of(oid, n));
}

/* A version number that fits into one byte. */
static bool take_version(struct lk_slice *in, unsigned max, unsigned *out)
{
	struct lk_slice v;
	if (!lk_der_uint(in, &v) || v.n > 1)
		return false;
	*out = v.n == 0 ? 0 : v.p[0];
	return *out <= max;
}

/* The outer layer: algorithm, its parameters (empty when absent) and the key's own encoding. */
static bool unpack(
    struct lk_slice der, struct lk_slice *alg, struct lk_slice *params, struct lk_slice *key)
{
	struct lk_slice s, id, skipped;
	unsigned version;
	if (!lk_der_take(&der, LK_DER_SEQUENCE, &s) || der.n != 0 ||
	    !take_version(&s, 1, &version) || !lk_der_take(&s, LK_DER_SEQUENCE, &id) ||
	    !lk_der_take(&s, LK_DER_OCTETS, key) || !lk_der_take(&id, LK_DER_OID, alg))
		return false;
	*params = lk_slice_of(id.p, 0);
	if (id.n != 0 && !lk_der_skip(&id, params))
		return false;
	if (id.n != 0)
		return false;
	while (s.n != 0)
		if (!(lk_der_is(s, DER_ATTRIBUTES) || lk_der_is(s, DER_PUBLIC_KEY)) ||
		    !lk_der_skip(&s, &skipped))
			return false;
	return true;
}

/* Members that are missing from the end read as zero. */
static bool take_rest(struct lk_slice *s, struct lk_slice *const member[], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		*member[i] = lk_slice_of(s->p, 0);
		if (s->n != 0 && !lk_der_uint(s, member[i]))
			return false;
	}
	return s->n == 0;
}

static bool pkcs1(struct lk_slice der, struct lk_rsa_parts *out)
{
	struct lk_slice s, dp, dq, qi;
	unsigned version;
	/* version 1 has more than two primes */
	if (!lk_der_take(&der, LK_DER_SEQUENCE, &s) || der.n != 0 ||
	    !take_version(&s, 0, &version) || !lk_der_uint(&s, &out->n) ||
	    !lk_der_uint(&s, &out->e))
		return false;
	struct lk_slice *const member[] = {&out->d, &out->p, &out->q, &dp, &dq, &qi};
	return take_rest(&s, member, sizeof(member) / sizeof(member[0]));
}

bool lk_pkcs8_rsa(struct lk_slice der, struct lk_rsa_parts *out)
{
	struct lk_slice alg, params, key;
	if (!unpack(der, &alg, &params, &key))
		return pkcs1(der, out);
	return is_oid(alg, oid_rsa, sizeof(oid_rsa)) && pkcs1(key, out);
}

bool lk_pkcs8_ec(struct lk_slice der, enum lk_curve *curve, struct lk_slice *scalar)
{
	struct lk_slice alg, params, key, oid, s;
	unsigned version;
	if (!unpack(der, &alg, &params, &key) || !is_oid(alg, oid_ec, sizeof(oid_ec)) ||
	    !lk_der_take(&params, LK_DER_OID, &oid))
		return false;
	if (is_oid(oid, oid_p256, sizeof(oid_p256)))
		*curve = LK_P256;
	else if (is_oid(oid, oid_p384, sizeof(oid_p384)))
		*curve = LK_P384;
	else if (is_oid(oid, oid_p521, sizeof(oid_p521)))
		*curve = LK_P521;
	else
		return false;
	/* what follows the scalar (curve, public half) says nothing that is not checked anyway */
	if (!lk_der_take(&key, LK_DER_SEQUENCE, &s) || key.n != 0 ||
	    !take_version(&s, 1, &version) || version != 1 ||
	    !lk_der_take(&s, LK_DER_OCTETS, scalar))
		return false;
	*scalar = lk_der_strip(*scalar);
	return true;
}
