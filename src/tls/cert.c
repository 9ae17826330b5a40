/* The few fields that lk_cert_rsa wants, read from the DER itself (RFC 5280, section 4.1): the
 * TPM's certificates come with extensions that a TLS library has no business to judge. */
#include "lk/der.h"
#include "lk/tls.h"

static const uint8_t oid_rsa[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};

/* The two digits at the front. */
static bool two(struct lk_slice *s, int max, int *out)
{
	struct lk_slice d;
	uint32_t v;
	if (!lk_slice_take(s, 2, &d) || !lk_slice_u32(d, (uint32_t)max, &v))
		return false;
	*out = (int)v;
	return true;
}

/* Days from 1970-01-01 in the Gregorian calendar. */
static int64_t days(int64_t y, int m, int d)
{
	/* years begin in March: then the leap day is the last one, and 153 days are five months */
	y -= m <= 2;
	m += m <= 2 ? 9 : -3;
	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + d - 1 - 719468;
}

/* UTCTime (two digits for the year: 1950 to 2049) or GeneralizedTime, both in Zulu with seconds. */
static bool take_time(struct lk_slice *in, int64_t *out)
{
	struct lk_slice t;
	int cc = 0;
	int yy, mon, day, hour, min, sec;
	bool utc = lk_der_is(*in, LK_DER_UTCTIME);
	if (!lk_der_take(in, utc ? LK_DER_UTCTIME : LK_DER_GENTIME, &t))
		return false;
	if (!utc && !two(&t, 99, &cc))
		return false;
	if (!two(&t, 99, &yy) || !two(&t, 12, &mon) || !two(&t, 31, &day) || !two(&t, 23, &hour) ||
	    !two(&t, 59, &min) || !two(&t, 59, &sec) || !lk_slice_eq_str(t, "Z") || mon == 0 ||
	    day == 0)
		return false;
	if (utc)
		cc = yy < 50 ? 20 : 19;
	*out = days(cc * 100 + yy, mon, day) * 86400 + (hour * 60 + min) * INT64_C(60) + sec;
	return true;
}

/* subjectPublicKeyInfo of an RSA key. */
static bool take_rsa(struct lk_slice *in, struct lk_slice *n, struct lk_slice *exp)
{
	struct lk_slice info, alg, oid, bits, unused, key;
	return lk_der_take(in, LK_DER_SEQUENCE, &info) &&
	       lk_der_take(&info, LK_DER_SEQUENCE, &alg) && lk_der_take(&alg, LK_DER_OID, &oid) &&
	       lk_slice_eq(oid, lk_slice_of(oid_rsa, sizeof(oid_rsa))) &&
	       lk_der_take(&info, LK_DER_BITSTR, &bits) && info.n == 0 &&
	       lk_slice_take(&bits, 1, &unused) && unused.p[0] == 0 &&
	       lk_der_take(&bits, LK_DER_SEQUENCE, &key) && bits.n == 0 && lk_der_uint(&key, n) &&
	       lk_der_uint(&key, exp) && key.n == 0;
}

enum lk_code lk_cert_rsa(
    struct lk_slice der, struct lk_pub *key, int64_t *not_after, struct lk_err *e)
{
	struct lk_slice cert, tbs, skipped, validity, n, exp;
	int64_t not_before;
	if (!lk_der_take(&der, LK_DER_SEQUENCE, &cert) || !lk_slice_is_zero(der))
		return lk_fail(
		    e, LK_EPROTO, "not a certificate: its DER is cut off or followed by data");
	if (!lk_der_take(&cert, LK_DER_SEQUENCE, &tbs) ||
	    (lk_der_is(tbs, LK_DER_CONTEXT_0) && !lk_der_skip(&tbs, &skipped)) ||
	    !lk_der_take(&tbs, LK_DER_INTEGER, &skipped) ||  /* serial number */
	    !lk_der_take(&tbs, LK_DER_SEQUENCE, &skipped) || /* signature algorithm */
	    !lk_der_take(&tbs, LK_DER_SEQUENCE, &skipped) || /* issuer */
	    !lk_der_take(&tbs, LK_DER_SEQUENCE, &validity) || !take_time(&validity, &not_before) ||
	    !take_time(&validity, not_after) || validity.n != 0 ||
	    !lk_der_take(&tbs, LK_DER_SEQUENCE, &skipped)) /* subject */
		return lk_fail(e, LK_EPROTO, "not a certificate: its fields cannot be read");
	if (!take_rsa(&tbs, &n, &exp))
		return lk_fail(e, LK_EPROTO, "the certificate does not hold an RSA key");
	return lk_pub_rsa(n, exp, key, e);
}
