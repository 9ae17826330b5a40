/* Is this report AMD's? For diagnosis: what proves it to others is the attestation service. */
#include "lk/der.h"
#include "lk/snp.h"
#include "snp_cert.h"

#define ECDSA_P384_SHA384 1
#define FAMILY_TURIN      0x1A
#define NUMBER            48 /* r and s, little-endian, each in a field of 72 bytes */
#define FIELD             72
#define NOWHERE           0xff

const struct lk_snp_root lk_snp_roots[] = {
    {"Milan", {0x69, 0xd0, 0x63, 0xb4, 0x53, 0x44, 0xd2, 0x6a, 0x2e, 0x94, 0xe1, 0xf4, 0x21, 0x0d,
		  0xe4, 0x9e, 0xf5, 0x55, 0x30, 0x82, 0x87, 0xd4, 0xc1, 0x74, 0x44, 0x5c, 0x95,
		  0x63, 0x9a, 0x54, 0x0b, 0xcd}},
    {"Genoa", {0x4c, 0x65, 0x98, 0xd1, 0x9c, 0x18, 0x71, 0x9c, 0x5d, 0xfd, 0x4a, 0x7d, 0x33, 0x5f,
		  0x67, 0x4e, 0x5b, 0xfe, 0x1d, 0x8f, 0x80, 0x0c, 0xea, 0x2c, 0xf2, 0x70, 0xc1,
		  0x0d, 0x10, 0x3d, 0xb2, 0xf1}},
    {"Turin", {0x1f, 0x08, 0x41, 0x61, 0xa4, 0x4b, 0xb6, 0xd9, 0x37, 0x78, 0xa9, 0x04, 0x87, 0x7d,
		  0x48, 0x19, 0xca, 0xfa, 0x5d, 0x05, 0xef, 0x41, 0x93, 0xb2, 0xde, 0xd9, 0xdd,
		  0x9c, 0x73, 0xdd, 0x3f, 0x6a}},
    {NULL, {0}},
};

static enum lk_code find_root(
    struct lk_slice ark, const struct lk_snp_root *roots, const char **product, struct lk_err *e)
{
	uint8_t digest[48];
	enum lk_code rc = lk_sha256(ark, digest, e);
	if (rc != LK_OK)
		return rc;
	for (; roots->product != NULL; roots++)
		if (lk_slice_eq(lk_slice_of(digest, 32), lk_slice_of(roots->sha256, 32))) {
			*product = roots->product;
			return LK_OK;
		}
	return lk_fail(e, LK_ETRUST, "the chain does not end in an ARK of AMD that is known here");
}

/* The generation tells the layout of a TCB; of a family that is newer than this program, the newest
 * that it knows. */
static enum lk_snp_gen layout(const struct lk_snp *s)
{
	return s->gen == LK_SNP_GEN_UNKNOWN && s->family >= FAMILY_TURIN ? LK_SNP_GEN_TURIN
									 : s->gen;
}

/* A security version: an INTEGER of one byte. */
static bool level(const struct lk_snp_cert *c, uint8_t which, uint8_t *out)
{
	uint8_t oid[] = {3, which};
	struct lk_slice value, v;
	if (!lk_snp_cert_ext(c, lk_slice_of(oid, sizeof(oid)), &value) ||
	    !lk_der_uint(&value, &v) || value.n != 0 || v.n > 1)
		return false;
	*out = v.n != 0 ? v.p[0] : 0;
	return true;
}

/* What the certificate says, laid out as in this report. Bytes of a TCB of which certificates say
 * nothing are the report's. */
static enum lk_code cert_tcb(const struct lk_snp *s, const char *what,
    const struct lk_snp_cert *leaf, uint64_t *out, struct lk_err *e)
{
	static const struct {
		uint8_t ext, old, now; /* number of the extension, which byte it is */
	} places[] = {{1, 0, 1}, {2, 1, 2}, {3, 6, 3}, {8, 7, 7}, {9, NOWHERE, 0}};
	bool now = layout(s) == LK_SNP_GEN_TURIN || layout(s) == LK_SNP_GEN_VENICE;
	*out = s->reported_tcb;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		unsigned at = now ? places[i].now : places[i].old;
		uint8_t v;
		if (at == NOWHERE)
			continue;
		if (!level(leaf, places[i].ext, &v))
			return lk_fail(
			    e, LK_EPROTO, "the %s does not say which TCB it is for", what);
		*out = (*out & ~((uint64_t)0xff << 8 * at)) | (uint64_t)v << 8 * at;
	}
	return LK_OK;
}

static void put_tcb(const struct lk_snp *s, uint64_t tcb, struct lk_buf *b)
{
	struct lk_snp_tcb t;
	lk_snp_tcb_split(layout(s), tcb, &t);
	if (t.has_fmc)
		lk_buf_fmt(b, "fmc %u ", t.fmc);
	lk_buf_fmt(b, "boot loader %u tee %u snp %u microcode %u", t.boot_loader, t.tee, t.snp,
	    t.microcode);
	lk_buf_byte(b, 0);
}

static enum lk_code check_tcb(
    const struct lk_snp *s, const char *what, const struct lk_snp_cert *leaf, struct lk_err *e)
{
	uint64_t is;
	uint8_t texts[2][80];
	struct lk_buf a = LK_BUF(texts[0]), b = LK_BUF(texts[1]);
	enum lk_code rc = cert_tcb(s, what, leaf, &is, e);
	if (rc != LK_OK || is == s->reported_tcb)
		return rc;
	put_tcb(s, is, &a);
	put_tcb(s, s->reported_tcb, &b);
	(void)lk_fail(e, LK_EATTEST, "the %s is for another firmware (%s) than the report (%s)",
	    what, (const char *)texts[0], (const char *)texts[1]);
	return lk_hint(e,
	    "the host's firmware was updated and its certificate is behind, or the "
	    "report is older: fetch both again; the attestation service refuses this pair");
}

/* The start of a chip id is enough to tell two apart. */
static void put_chip(struct lk_slice id, struct lk_buf *b)
{
	lk_hex_encode(lk_slice_sub(id, 0, 8), b);
	lk_buf_byte(b, 0);
}

/* Raw, or in an OCTET STRING; processors since Turin have 8 bytes of it. */
static enum lk_code check_chip(
    const struct lk_snp *s, const struct lk_snp_cert *leaf, struct lk_err *e)
{
	struct lk_slice id, inner;
	uint8_t texts[2][20];
	struct lk_buf a = LK_BUF(texts[0]), b = LK_BUF(texts[1]);
	if (!lk_snp_cert_ext(leaf, LK_S("\4"), &id))
		return lk_fail(e, LK_EPROTO, "the VCEK does not say which processor it is for");
	if (id.n != 64 && id.n != 8 && lk_der_take(&id, LK_DER_OCTETS, &inner))
		id = inner;
	if (id.n != 64 && id.n != 8)
		return lk_fail(e, LK_EPROTO, "the VCEK's processor id has %zu bytes", id.n);
	if (lk_slice_eq(lk_slice_sub(s->chip_id, 0, id.n), id) &&
	    lk_slice_is_zero(lk_slice_sub(s->chip_id, id.n, 64)))
		return LK_OK;
	put_chip(id, &a);
	put_chip(s->chip_id, &b);
	(void)lk_fail(e, LK_EATTEST, "the VCEK is for another processor (%s) than the report (%s)",
	    (const char *)texts[0], (const char *)texts[1]);
	return lk_hint(e,
	    "the machine has moved to another host since one of them was fetched: fetch "
	    "both again");
}

static enum lk_code check_signature(
    const struct lk_snp *s, const char *what, const struct lk_snp_cert *leaf, struct lk_err *e)
{
	uint8_t digest[48], numbers[2][NUMBER];
	struct lk_pub key;
	for (size_t k = 0; k < 2; k++) {
		for (size_t i = 0; i < NUMBER; i++)
			numbers[k][NUMBER - 1 - i] = s->signature.p[k * FIELD + i];
		if (!lk_slice_is_zero(
			lk_slice_sub(s->signature, k * FIELD + NUMBER, FIELD - NUMBER)))
			return lk_fail(
			    e, LK_EPROTO, "the report's signature is too long for P-384");
	}
	if (!lk_slice_is_zero(lk_slice_sub(s->signature, 2 * FIELD, s->signature.n)))
		return lk_fail(e, LK_EPROTO, "the report's signature has something behind it");
	enum lk_code rc = lk_snp_cert_ec(leaf, &key, e);
	if (rc == LK_OK)
		rc = lk_hash(LK_SHA384, &s->signed_part, 1, digest, e);
	if (rc == LK_OK)
		rc = lk_ecdsa_verify(&key, lk_slice_of(digest, sizeof(digest)),
		    lk_slice_of(numbers[0], NUMBER), lk_slice_of(numbers[1], NUMBER), e);
	return rc == LK_OK ? rc : lk_err_prefix(e, "the report is not signed by this %s", what);
}

/* The certificate of the key that signed the report. */
static enum lk_code find_leaf(const struct lk_snp *s, const struct lk_snp_certs *certs,
    const char **what, struct lk_slice *der, struct lk_err *e)
{
	bool vlek = s->signer == LK_SNP_VLEK;
	if (s->signer != LK_SNP_VCEK && !vlek)
		return lk_fail(e, LK_EATTEST, "the report is signed by no key that is known (%u)%s",
		    s->signer, s->signer == LK_SNP_UNSIGNED ? ": the host masks its key" : "");
	*what = vlek ? "VLEK" : "VCEK";
	*der = vlek ? certs->vlek : certs->vcek;
	return der->n != 0
		   ? LK_OK
		   : lk_fail(e, LK_EABSENT, "there is no %s, which signed the report", *what);
}

enum lk_code lk_snp_certs_tcb(
    const struct lk_snp *report, const struct lk_snp_certs *certs, uint64_t *tcb, struct lk_err *e)
{
	struct lk_snp_cert leaf;
	struct lk_slice der;
	const char *what;
	enum lk_code rc = find_leaf(report, certs, &what, &der, e);
	if (rc == LK_OK)
		rc = lk_snp_cert_parse(what, der, &leaf, e);
	if (rc == LK_OK && report->signer == LK_SNP_VCEK && !lk_slice_is_zero(report->chip_id))
		rc = check_chip(report, &leaf, e);
	return rc == LK_OK ? cert_tcb(report, what, &leaf, tcb, e) : rc;
}

static enum lk_code check_report(
    const struct lk_snp *s, const struct lk_snp_certs *certs, struct lk_err *e)
{
	if (s->sig_algo != ECDSA_P384_SHA384)
		return lk_fail(
		    e, LK_EATTEST, "the report's signature algorithm is %u, not 1", s->sig_algo);
	if (certs->ask.n == 0 || certs->ark.n == 0)
		return lk_fail(e, LK_EABSENT, "ASK and ARK are needed to check the report");
	if (s->signer == LK_SNP_VCEK && lk_slice_is_zero(s->chip_id))
		return lk_fail(e, LK_EATTEST, "the report hides which processor it is from");
	return LK_OK;
}

/* A report that names its generation, and certificates of another. */
static enum lk_code check_product(const struct lk_snp *s, const char *product, struct lk_err *e)
{
	bool named =
	    s->gen == LK_SNP_GEN_MILAN || s->gen == LK_SNP_GEN_GENOA || s->gen == LK_SNP_GEN_TURIN;
	if (!named || lk_slice_eq_str(lk_slice_str(product), lk_snp_gen_name(s->gen)))
		return LK_OK;
	return lk_fail(e, LK_EATTEST,
	    "the certificates are for %s processors, the report is from %s", product,
	    lk_snp_gen_name(s->gen));
}

enum lk_code lk_snp_verify(const struct lk_snp *report, const struct lk_snp_certs *certs,
    const struct lk_snp_root *roots, const char **product, struct lk_err *e)
{
	struct lk_snp_cert leaf, ask, ark;
	bool vlek = report->signer == LK_SNP_VLEK;
	const char *what, *above = vlek ? "ASVK" : "ASK";
	struct lk_slice csp, der;
	enum lk_code rc = find_leaf(report, certs, &what, &der, e);
	if (rc == LK_OK)
		rc = check_report(report, certs, e);
	if (rc == LK_OK)
		rc = lk_snp_cert_parse(what, der, &leaf, e);
	if (rc == LK_OK)
		rc = lk_snp_cert_parse(above, certs->ask, &ask, e);
	if (rc == LK_OK)
		rc = lk_snp_cert_parse("ARK", certs->ark, &ark, e);
	/* The root by its digest: its own signature says nothing more. */
	if (rc == LK_OK)
		rc = find_root(certs->ark, roots != NULL ? roots : lk_snp_roots, product, e);
	if (rc == LK_OK)
		rc = lk_snp_cert_signed(above, &ask, &ark, e);
	if (rc == LK_OK)
		rc = lk_snp_cert_signed(what, &leaf, &ask, e);
	if (rc != LK_OK)
		return rc;
	/* Before the signature, which cannot fit then: this says why. */
	rc = check_product(report, *product, e);
	if (rc == LK_OK)
		rc = check_tcb(report, what, &leaf, e);
	if (rc == LK_OK && !vlek)
		rc = check_chip(report, &leaf, e);
	/* A VLEK is a provider's, not a processor's. */
	if (rc == LK_OK && vlek && !lk_snp_cert_ext(&leaf, LK_S("\5"), &csp))
		rc = lk_fail(e, LK_EPROTO, "the VLEK does not say whose it is");
	return rc == LK_OK ? check_signature(report, what, &leaf, e) : rc;
}
