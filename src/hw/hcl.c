#include "lk/hcl.h"

#include "lk/b64.h"
#include "lk/json.h"

/* Offsets, little-endian, packed. */
#define HEADER    32
#define DATA_AT   (HEADER + LK_SNP_REPORT_SIZE) /* 0x4C0 */
#define DATA_HEAD 20
#define FIXED     (DATA_AT + DATA_HEAD)

#define SNP_REPORT_DATA  0x50
#define SNP_REPORTED_TCB 0x180

#define REQUEST_AK_CERT 2
#define TYPE_SNP        2
#define HASH_SHA256     1

#define RSA_BYTES 256 /* the vTPM has no other attestation key */

#define TOKENS 256 /* OpenHCL's runtime data has about 60 */
static struct lk_json_tok tokens[TOKENS];

static uint32_t le32(struct lk_slice raw, size_t at)
{
	struct lk_slice s = lk_slice_sub(raw, at, 4);
	uint32_t v = 0;
	LK_BUG_ON(!lk_slice_take_le32(&s, &v));
	return v;
}

static enum lk_code wrong(struct lk_err *e, const char *what, uint32_t is)
{
	return lk_fail(e, LK_EPROTO, "hcl report: %s is %u (0x%08x)", what, is, is);
}

static enum lk_code wrong_type(uint32_t type, struct lk_err *e)
{
	static const char *const names[] = {
	    "no hardware at all", "VBS", "SEV-SNP", "Trusted Launch (TVM)", "Intel TDX", "Arm CCA"};
	(void)lk_fail(e, LK_EATTEST, "hcl report: report type %u is %s, not SEV-SNP", type,
	    type < sizeof(names) / sizeof(names[0]) ? names[type] : "unknown");
	return lk_hint(
	    e, "this attestation needs a confidential VM on AMD SEV-SNP (DCas, ECas sizes)");
}

static enum lk_code wrong_hash(uint32_t type, struct lk_err *e)
{
	static const char *const names[] = {"none", "SHA-256", "SHA-384", "SHA-512"};
	return lk_fail(e, LK_EATTEST, "hcl report: hash type %u is %s, not SHA-256", type,
	    type < sizeof(names) / sizeof(names[0]) ? names[type] : "unknown");
}

/* The two headers; *runtime_n is proved to lie within raw. */
static enum lk_code headers(struct lk_slice raw, uint32_t *runtime_n, struct lk_err *e)
{
	if (raw.n < FIXED)
		return lk_fail(
		    e, LK_EPROTO, "hcl report: %zu bytes, at least %d are needed", raw.n, FIXED);
	if (!lk_slice_starts(raw, LK_S("HCLA")))
		return lk_fail(e, LK_EPROTO, "hcl report: signature is not HCLA");
	uint32_t version = le32(raw, 4), size = le32(raw, 8), request = le32(raw, 12);
	uint32_t data = le32(raw, DATA_AT), data_version = le32(raw, DATA_AT + 4);
	uint32_t type = le32(raw, DATA_AT + 8), hash = le32(raw, DATA_AT + 12);
	*runtime_n = le32(raw, DATA_AT + 16);

	if (version != 1 && version != 2)
		return wrong(e, "header version", version);
	if (request != REQUEST_AK_CERT)
		return wrong(e, "request type", request);
	/* Version 2 puts a field in front of the JSON. */
	if (data_version != 1)
		return wrong(e, "data version", data_version);
	if (type != TYPE_SNP)
		return wrong_type(type, e);
	if (hash != HASH_SHA256)
		return wrong_hash(hash, e);
	if (*runtime_n > raw.n - FIXED)
		return lk_fail(e, LK_EPROTO, "hcl report: %u bytes of runtime data, there are %zu",
		    *runtime_n, raw.n - FIXED);
	if (data != DATA_HEAD + *runtime_n)
		return wrong(e, "data size", data);
	if (size != DATA_AT + data)
		return wrong(e, "report size", size);
	return LK_OK;
}

/* SHA-256(runtime data) || zeros is what the processor signed. */
static enum lk_code binding(const struct lk_hcl *h, struct lk_err *e)
{
	uint8_t digest[32];
	enum lk_code r = lk_sha256(h->runtime, digest, e);
	if (r)
		return r;
	struct lk_slice bound = lk_slice_sub(h->report, SNP_REPORT_DATA, 32);
	struct lk_slice rest = lk_slice_sub(h->report, SNP_REPORT_DATA + 32, 32);
	if (!lk_slice_eq(bound, lk_slice_of(digest, 32)))
		return lk_fail(
		    e, LK_ETRUST, "hcl report: the SNP report is not bound to the runtime data");
	if (!lk_slice_is_zero(rest))
		return lk_fail(
		    e, LK_ETRUST, "hcl report: second half of the report data is not zero");
	return LK_OK;
}

static enum lk_code number(
    const struct lk_json *key, const char *name, uint8_t *out, size_t *n, struct lk_err *e)
{
	uint8_t store[LK_RSA_MAX];
	struct lk_buf b = LK_BUF(store);
	struct lk_slice text;
	enum lk_code r = lk_json_str(key, name, &text, e);
	if (!r)
		r = lk_b64url_decode(text, &b, e);
	if (r)
		return lk_err_prefix(e, "hcl report: HCLAkPub");
	struct lk_slice v = lk_slice_buf(&b);
	while (v.n && !v.p[0])
		v = lk_slice_sub(v, 1, v.n);
	struct lk_buf to = {.p = out, .cap = LK_RSA_MAX};
	lk_buf_slice(&to, v);
	*n = to.n;
	return LK_OK;
}

/* The one element of "keys" that is called HCLAkPub. Others are not ours and may have no name, but
 * a name spelled with escapes is refused by lk_json_str. */
static enum lk_code find_ak(const struct lk_json *doc, struct lk_json *out, struct lk_err *e)
{
	size_t n, found = 0;
	enum lk_code r = lk_json_len(doc, "keys", &n, e);
	for (size_t i = 0; !r && i < n; i++) {
		struct lk_json key;
		struct lk_slice kid;
		r = lk_json_at(doc, "keys", i, &key, e);
		if (!r)
			r = lk_json_str(&key, "kid", &kid, e);
		if (r == LK_EABSENT) {
			r = LK_OK;
		} else if (!r && lk_slice_eq_str(kid, "HCLAkPub")) {
			*out = key;
			found++;
		}
	}
	if (r)
		return lk_err_prefix(e, "hcl report: runtime data");
	if (found != 1)
		return lk_fail(
		    e, LK_EPROTO, "hcl report: runtime data has %zu keys HCLAkPub, not one", found);
	return LK_OK;
}

static enum lk_code parse_ak(struct lk_slice runtime, struct lk_pub *ak, struct lk_err *e)
{
	struct lk_json doc, key;
	struct lk_slice kty;
	enum lk_code r = lk_json_parse(runtime, tokens, TOKENS, &doc, e);
	if (r)
		return lk_err_prefix(e, "hcl report: runtime data");
	r = find_ak(&doc, &key, e);
	if (r)
		return r;
	r = lk_json_str(&key, "kty", &kty, e);
	if (r)
		return lk_err_prefix(e, "hcl report: HCLAkPub");
	if (!lk_slice_eq_str(kty, "RSA"))
		return lk_fail(e, LK_EPROTO, "hcl report: HCLAkPub is not an RSA key");
	ak->kty = LK_KTY_RSA;
	r = number(&key, "n", ak->n, &ak->n_len, e);
	if (!r)
		r = number(&key, "e", ak->e, &ak->e_len, e);
	if (!r && (ak->n_len != RSA_BYTES || !ak->e_len))
		r = lk_fail(
		    e, LK_EPROTO, "hcl report: HCLAkPub has %zu bytes of modulus", ak->n_len);
	return r;
}

enum lk_code lk_hcl_parse(struct lk_slice raw, struct lk_hcl *out, struct lk_err *e)
{
	uint32_t runtime_n = 0;
	*out = (struct lk_hcl){0};
	enum lk_code r = headers(raw, &runtime_n, e);
	if (r)
		return r;
	out->report = lk_slice_sub(raw, HEADER, LK_SNP_REPORT_SIZE);
	out->runtime = lk_slice_sub(raw, FIXED, runtime_n);
	out->report_version = le32(out->report, 0);
	out->reported_tcb = (uint64_t)le32(out->report, SNP_REPORTED_TCB + 4) << 32 |
			    le32(out->report, SNP_REPORTED_TCB);
	r = binding(out, e);
	return r ? r : parse_ak(out->runtime, &out->ak, e);
}
