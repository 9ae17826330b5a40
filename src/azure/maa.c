/* maa.c - the AttestationInfo document, the request around it, and the sealed answer.
 *
 * Members, order, types and encodings are those of Microsoft's client (protocol notes, azure-guest
 * section 1.5): base64 with padding nearly everywhere, base64url without for the SNP report and for
 * the whole.
 */
#include "lk/maa.h"

#include "azure_text.h"
#include "lk/b64.h"
#include "lk/imds.h"
#include "lk/jsonw.h"

#define PCRS        8
#define PCR_SIZE    32
#define REPORT_SIZE 1184
#define INNER_KEY   256 /* RSA-2048 */
#define TAG_SIZE    16
#define IV_MAX      64
#define TOKENS      64
#define PROOF_MAX   (REPORT_SIZE * 4 / 3 + LK_CHAIN_PEM_MAX * 4 / 3 + 128)

/* ---- request */

static enum lk_code check(const struct lk_maa_evidence *ev, struct lk_err *e)
{
	const struct {
		const char *name;
		struct lk_slice v;
	} wanted[] = {
	    {"os name", ev->os_name},
	    {"attestation key certificate", ev->ak_cert},
	    {"attestation key", ev->ak_pub},
	    {"quote", ev->quote},
	    {"quote signature", ev->quote_sig},
	    {"release key", ev->key_pub},
	    {"certification", ev->certify},
	    {"certification signature", ev->certify_sig},
	    {"runtime data", ev->runtime},
	    {"platform certificates", ev->certs_pem},
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (wanted[i].v.n == 0)
			return lk_fail(e, LK_EATTEST, "evidence: the %s is empty", wanted[i].name);
	if (ev->nonce.n < 22)
		return lk_fail(e, LK_EATTEST, "evidence: the nonce is shorter than 16 bytes");
	if (ev->os_major == 0)
		return lk_fail(e, LK_EATTEST, "evidence: the os version is 0");
	if (ev->pcrs.n != (size_t)PCRS * PCR_SIZE)
		return lk_fail(e, LK_EATTEST, "evidence: %zu bytes of PCR values", ev->pcrs.n);
	if (ev->report.n != REPORT_SIZE)
		return lk_fail(e, LK_EATTEST, "evidence: an SNP report of %zu bytes", ev->report.n);
	if (ev->certs_pem.n > LK_CHAIN_PEM_MAX)
		return lk_fail(e, LK_ELIMIT, "evidence: platform certificates too long");
	if (ev->event_log.n > LK_EVENT_LOG_MAX)
		return lk_fail(e, LK_ELIMIT, "evidence: event log too long");
	return LK_OK;
}

static enum lk_code isolation(
    struct lk_jsonw *w, const struct lk_maa_evidence *ev, struct lk_err *e)
{
	static uint8_t bytes[PROOF_MAX];
	struct lk_buf proof = LK_BUF(bytes);
	struct lk_jsonw p;

	lk_jsonw_start(&p, &proof);
	lk_jsonw_object(&p, NULL);
	lk_jsonw_b64url(&p, "SnpReport", ev->report);
	lk_jsonw_b64(&p, "VcekCertChain", ev->certs_pem);
	lk_jsonw_end(&p);
	if (proof.bad)
		return lk_fail(e, LK_EBUG, "evidence: the proof does not fit");
	lk_jsonw_object(w, "IsolationInfo");
	lk_jsonw_object(w, "Evidence");
	lk_jsonw_b64(w, "Proof", lk_slice_buf(&proof));
	lk_jsonw_b64(w, "RunTimeData", ev->runtime);
	lk_jsonw_end(w);
	lk_jsonw_str(w, "Type", LK_S("SevSnp"));
	lk_jsonw_end(w);
	return LK_OK;
}

static void tpm_info(struct lk_jsonw *w, const struct lk_maa_evidence *ev)
{
	lk_jsonw_object(w, "TpmInfo");
	lk_jsonw_b64(w, "AikCert", ev->ak_cert);
	lk_jsonw_b64(w, "AikPub", ev->ak_pub);
	lk_jsonw_b64(w, "EncKeyCertifyInfo", ev->certify);
	lk_jsonw_b64(w, "EncKeyCertifyInfoSignature", ev->certify_sig);
	lk_jsonw_b64(w, "EncKeyPub", ev->key_pub);
	lk_jsonw_array(w, "PCRs");
	for (size_t i = 0; i < PCRS; i++) {
		lk_jsonw_object(w, NULL);
		lk_jsonw_b64(w, "Digest", lk_slice_sub(ev->pcrs, i * PCR_SIZE, PCR_SIZE));
		lk_jsonw_int(w, "Index", (int64_t)i);
		lk_jsonw_end(w);
	}
	lk_jsonw_end(w);
	lk_jsonw_b64(w, "PcrQuote", ev->quote);
	lk_jsonw_array(w, "PcrSet");
	for (size_t i = 0; i < PCRS; i++)
		lk_jsonw_int(w, NULL, (int64_t)i);
	lk_jsonw_end(w);
	lk_jsonw_b64(w, "PcrSignature", ev->quote_sig);
	lk_jsonw_end(w);
}

enum lk_code lk_maa_info(const struct lk_maa_evidence *ev, struct lk_buf *out, struct lk_err *e)
{
	struct lk_jsonw w;

	enum lk_code c = check(ev, e);
	if (c != LK_OK)
		return c;
	lk_jsonw_start(&w, out);
	lk_jsonw_object(&w, NULL);
	lk_jsonw_str(&w, "AttestationProtocolVersion", LK_S("2.0"));
	lk_jsonw_object(&w, "ClientPayload");
	lk_jsonw_b64(&w, "nonce", ev->nonce);
	lk_jsonw_end(&w);
	c = isolation(&w, ev, e);
	if (c != LK_OK)
		return c;
	lk_jsonw_b64(&w, "OSBuild", LK_S("NotApplication"));
	lk_jsonw_b64(&w, "OSDistro", ev->os_name);
	lk_jsonw_b64(&w, "OSType", LK_S("Linux"));
	lk_jsonw_int(&w, "OSVersionMajor", ev->os_major);
	lk_jsonw_int(&w, "OSVersionMinor", ev->os_minor);
	lk_jsonw_b64(&w, "TcgLogs", ev->event_log);
	tpm_info(&w, ev);
	lk_jsonw_end(&w);
	return out->bad ? lk_fail(e, LK_ELIMIT, "evidence: larger than %zu bytes", out->cap)
			: LK_OK;
}

enum lk_code lk_maa_body(
    const struct lk_maa_evidence *ev, struct lk_buf *scratch, struct lk_buf *out, struct lk_err *e)
{
	struct lk_jsonw w;
	size_t at = scratch->n;

	enum lk_code c = lk_maa_info(ev, scratch, e);
	if (c != LK_OK)
		return c;
	lk_jsonw_start(&w, out);
	lk_jsonw_object(&w, NULL);
	lk_jsonw_b64url(&w, "AttestationInfo", lk_slice_of(scratch->p + at, scratch->n - at));
	lk_jsonw_end(&w);
	return out->bad ? lk_fail(e, LK_ELIMIT, "evidence: larger than %zu bytes", out->cap)
			: LK_OK;
}

/* ---- answer: {"token": base64url of a JSON document that only our TPM key opens} */

static enum lk_code want_str(
    const struct lk_json *j, const char *path, const char *want, struct lk_err *e)
{
	struct lk_slice got;

	enum lk_code c = lk_json_str(j, path, &got, e);
	if (c == LK_OK && !lk_slice_eq_str(got, want))
		c = lk_fail(e, LK_EPROTO, "%s is not %s", path, want);
	return c;
}

static enum lk_code check_cipher(const struct lk_json *j, struct lk_err *e)
{
	int64_t bits;

	enum lk_code c = want_str(j, "EncryptionParams.Cipher", "AES", e);
	if (c == LK_OK)
		c = want_str(j, "EncryptionParams.BlockMode", "ChainingModeGCM", e);
	if (c == LK_OK)
		c = want_str(j, "EncryptionParams.BlockPadding", "PKCS7", e);
	if (c == LK_OK)
		c = lk_json_int(j, "EncryptionParams.KeySizeInBits", 128, 256, &bits, e);
	if (c == LK_OK && bits % 64 != 0)
		c = lk_fail(e, LK_EPROTO, "EncryptionParams.KeySizeInBits is no AES key size");
	return c;
}

static enum lk_code envelope(
    const struct lk_json *j, struct lk_buf *store, struct lk_maa_envelope *out, struct lk_err *e)
{
	enum lk_code c = check_cipher(j, e);
	if (c == LK_OK)
		c = lk_azure_bytes(j, "EncryptedInnerKey", true, store, &out->inner_key, e);
	if (c == LK_OK)
		c = lk_azure_bytes(j, "EncryptionParams.Iv", true, store, &out->iv, e);
	if (c == LK_OK)
		c = lk_azure_bytes(j, "AuthenticationData", true, store, &out->tag, e);
	if (c == LK_OK)
		c = lk_azure_bytes(j, "Jwt", true, store, &out->ciphertext, e);
	if (c != LK_OK)
		return c;
	if (out->inner_key.n != INNER_KEY)
		return lk_fail(e, LK_EPROTO, "EncryptedInnerKey: %zu bytes", out->inner_key.n);
	if (out->iv.n == 0 || out->iv.n > IV_MAX)
		return lk_fail(e, LK_EPROTO, "EncryptionParams.Iv: %zu bytes", out->iv.n);
	if (out->tag.n != TAG_SIZE)
		return lk_fail(e, LK_EPROTO, "AuthenticationData: %zu bytes", out->tag.n);
	if (out->ciphertext.n == 0)
		return lk_fail(e, LK_EPROTO, "Jwt: empty");
	if (out->ciphertext.n > LK_TOKEN_MAX)
		return lk_fail(e, LK_ELIMIT, "Jwt: %zu bytes", out->ciphertext.n);
	return LK_OK;
}

/* Microsoft's client takes the token padded and unpadded, so the service may send either. */
static struct lk_slice unpad(struct lk_slice text)
{
	if (text.n % 4 == 0 && lk_slice_ends(text, LK_S("==")))
		return lk_slice_sub(text, 0, text.n - 2);
	if (text.n % 4 == 0 && lk_slice_ends(text, LK_S("=")))
		return lk_slice_sub(text, 0, text.n - 1);
	return text;
}

static enum lk_code parse(const struct lk_http_rsp *rsp, struct lk_buf *store,
    struct lk_maa_envelope *out, struct lk_err *e)
{
	static struct lk_json_tok toks[TOKENS], inner_toks[TOKENS];
	struct lk_json j, inner;
	struct lk_slice token;
	size_t at = store->n;

	enum lk_code c = lk_azure_json(rsp, "answer", toks, TOKENS, &j, e);
	if (c == LK_OK)
		c = lk_json_str(&j, "token", &token, e);
	if (c == LK_OK)
		c = lk_b64url_decode(unpad(token), store, e);
	if (c == LK_OK)
		c = lk_json_parse(
		    lk_slice_of(store->p + at, store->n - at), inner_toks, TOKENS, &inner, e);
	return c == LK_OK ? envelope(&inner, store, out, e) : c;
}

enum lk_code lk_maa_parse(const struct lk_http_rsp *rsp, struct lk_buf *store,
    struct lk_maa_envelope *out, struct lk_err *e)
{
	*out = (struct lk_maa_envelope){0};
	enum lk_code c = parse(rsp, store, out, e);
	if (c == LK_EABSENT)
		e->code = LK_EPROTO;
	return c == LK_OK ? c : lk_err_prefix(e, "attestation");
}
