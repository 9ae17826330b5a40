/* A TLS library has other opinions on serial number 0 and extensions it does not know, so this
 * reads the few fields from the DER itself. */
#include "snp_cert.h"

#include "lk/der.h"

#define CONTEXT_3 0xa3
#define BOOLEAN   0x01
#define MODULUS   512
#define COORD     48

/* AlgorithmIdentifier of RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes. The
 * trailer field, which comes last, is written although 1 is its default; others leave it out. */
static const uint8_t pss[] = {0x30, 0x46, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01,
    0x01, 0x0a, 0x30, 0x39, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03,
    0x04, 0x02, 0x02, 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7,
    0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
    0x02, 0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, 0x30, 0xa3, 0x03, 0x02, 0x01, 0x01};
#define TRAILER   5
#define OUTER_LEN 1 /* offsets of the two lengths that count it */
#define INNER_LEN 14

/* subjectPublicKeyInfo up to the modulus, and what follows: RSA-4096 with exponent 65537. */
static const uint8_t rsa_head[] = {0x30, 0x82, 0x02, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48,
    0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00, 0x03, 0x82, 0x02, 0x0f, 0x00, 0x30, 0x82, 0x02,
    0x0a, 0x02, 0x82, 0x02, 0x01, 0x00};
static const uint8_t rsa_tail[] = {0x02, 0x03, 0x01, 0x00, 0x01};

/* The same up to the coordinates: P-384, uncompressed. */
static const uint8_t ec_head[] = {0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d,
    0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04};

/* 1.3.6.1.4.1.3704.1 */
static const uint8_t amd[] = {0x2b, 0x06, 0x01, 0x04, 0x01, 0x9c, 0x78, 0x01};

#define BYTES(a) lk_slice_of(a, sizeof(a))

static bool is_pss(struct lk_slice alg)
{
	uint8_t without[sizeof(pss) - TRAILER];
	for (size_t i = 0; i < sizeof(without); i++)
		without[i] = pss[i];
	without[OUTER_LEN] -= TRAILER;
	without[INNER_LEN] -= TRAILER;
	return lk_slice_eq(alg, BYTES(pss)) || lk_slice_eq(alg, BYTES(without));
}

static bool parse_tbs(struct lk_slice tbs, struct lk_slice alg, struct lk_snp_cert *out)
{
	struct lk_slice body, version, skipped, inner, wrapped;
	if (!lk_der_take(&tbs, LK_DER_SEQUENCE, &body) ||
	    !lk_der_take(&body, LK_DER_CONTEXT_0, &version) ||
	    !lk_slice_eq(version, LK_S("\x02\x01\x02")) ||   /* v3 */
	    !lk_der_take(&body, LK_DER_INTEGER, &skipped) || /* serial number */
	    !lk_der_skip(&body, &inner) || !lk_slice_eq(inner, alg) ||
	    !lk_der_take(&body, LK_DER_SEQUENCE, &skipped) || /* issuer */
	    !lk_der_take(&body, LK_DER_SEQUENCE, &skipped) || /* validity */
	    !lk_der_take(&body, LK_DER_SEQUENCE, &skipped) || /* subject */
	    !lk_der_skip(&body, &out->key) || !lk_der_take(&body, CONTEXT_3, &wrapped) ||
	    body.n != 0)
		return false;
	return lk_der_take(&wrapped, LK_DER_SEQUENCE, &out->exts) && wrapped.n == 0;
}

enum lk_code lk_snp_cert_parse(
    const char *what, struct lk_slice der, struct lk_snp_cert *out, struct lk_err *e)
{
	struct lk_slice cert, alg, unused;
	*out = (struct lk_snp_cert){0};
	if (!lk_der_take(&der, LK_DER_SEQUENCE, &cert) || der.n != 0 ||
	    !lk_der_skip(&cert, &out->tbs) || !lk_der_skip(&cert, &alg) ||
	    !lk_der_take(&cert, LK_DER_BITSTR, &out->sig) || cert.n != 0 ||
	    !lk_slice_take(&out->sig, 1, &unused) || unused.p[0] != 0 ||
	    !parse_tbs(out->tbs, alg, out))
		return lk_fail(
		    e, LK_EPROTO, "the %s is not a certificate as AMD writes them", what);
	if (!is_pss(alg))
		return lk_fail(e, LK_EPROTO,
		    "the %s is not signed with RSASSA-PSS over SHA-384 and a salt of 48 bytes",
		    what);
	return LK_OK;
}

enum lk_code lk_snp_cert_signed(
    const char *what, const struct lk_snp_cert *c, const struct lk_snp_cert *by, struct lk_err *e)
{
	uint8_t digest[48];
	struct lk_slice modulus = lk_slice_sub(by->key, sizeof(rsa_head), MODULUS);
	if (!lk_slice_starts(by->key, BYTES(rsa_head)) ||
	    !lk_slice_ends(by->key, BYTES(rsa_tail)) ||
	    by->key.n != sizeof(rsa_head) + MODULUS + sizeof(rsa_tail))
		return lk_fail(e, LK_EPROTO, "the issuer of the %s has no RSA-4096 key", what);
	enum lk_code rc = lk_hash(LK_SHA384, &c->tbs, 1, digest, e);
	if (rc == LK_OK)
		rc = lk_rsa_pss_verify(modulus, LK_S("\1\0\1"), LK_SHA384,
		    lk_slice_of(digest, sizeof(digest)), c->sig, e);
	if (rc == LK_OK)
		return rc;
	/* Another key's signature may just as well be a number that this key cannot have made. */
	if (rc == LK_EPROTO)
		e->code = LK_ETRUST;
	return lk_err_prefix(e, "the %s is not signed by its issuer", what);
}

enum lk_code lk_snp_cert_ec(const struct lk_snp_cert *c, struct lk_pub *out, struct lk_err *e)
{
	if (!lk_slice_starts(c->key, BYTES(ec_head)) || c->key.n != sizeof(ec_head) + 2 * COORD)
		return lk_fail(e, LK_EPROTO, "the processor's certificate has no P-384 key");
	return lk_pub_ec(LK_P384, lk_slice_sub(c->key, sizeof(ec_head), COORD),
	    lk_slice_sub(c->key, sizeof(ec_head) + COORD, COORD), out, e);
}

/* One extension off the front: is it AMD's `oid`? False in *ok: malformed. */
static bool take_ext(struct lk_slice *exts, struct lk_slice oid, struct lk_slice *value, bool *ok)
{
	struct lk_slice ext, id, critical;
	*ok = lk_der_take(exts, LK_DER_SEQUENCE, &ext) && lk_der_take(&ext, LK_DER_OID, &id) &&
	      (!lk_der_is(ext, BOOLEAN) || lk_der_take(&ext, BOOLEAN, &critical)) &&
	      lk_der_take(&ext, LK_DER_OCTETS, value) && ext.n == 0;
	return *ok && lk_slice_starts(id, BYTES(amd)) &&
	       lk_slice_eq(lk_slice_sub(id, sizeof(amd), id.n), oid);
}

bool lk_snp_cert_ext(const struct lk_snp_cert *c, struct lk_slice oid, struct lk_slice *value)
{
	struct lk_slice exts = c->exts, v;
	unsigned found = 0;
	bool ok = true;
	while (ok && exts.n != 0)
		if (take_ext(&exts, oid, &v, &ok)) {
			*value = v;
			found++;
		}
	return ok && found == 1;
}
