/* The attestation document, the sealed answer, and the look into the token. */
#include "t.h"

#include "azure_answer.h"
#include "lk/b64.h"
#include "lk/io.h"
#include "lk/maa.h"

static uint8_t info_bytes[64 * 1024], body_bytes[64 * 1024], store_bytes[128 * 1024];
static struct lk_json_tok toks[128], more_toks[128];
static struct lk_err err;

/* ---- the document */

static uint8_t ramp[1184]; /* no two parts of the evidence begin alike */

static struct lk_maa_evidence evidence(void)
{
	for (size_t i = 0; i < sizeof(ramp); i++)
		ramp[i] = (uint8_t)(i * 7 + i / 256);
	return (struct lk_maa_evidence){
	    .nonce = text("0123456789abcdefABCDEF"),
	    .os_name = text("Debian GNU/Linux"),
	    .os_major = 12,
	    .os_minor = 3,
	    .ak_cert = lk_slice_of(ramp + 1, 50),
	    .ak_pub = lk_slice_of(ramp + 2, 51),
	    .quote = lk_slice_of(ramp + 3, 52),
	    .quote_sig = lk_slice_of(ramp + 4, 53),
	    .key_pub = lk_slice_of(ramp + 5, 54),
	    .certify = lk_slice_of(ramp + 6, 55),
	    .certify_sig = lk_slice_of(ramp + 7, 56),
	    .pcrs = lk_slice_of(ramp + 100, 256),
	    .event_log = lk_slice_of(ramp + 8, 57),
	    .report = lk_slice_of(ramp, 1184),
	    .runtime = text("{\"keys\":[]}"),
	    .certs_pem = text("-----BEGIN CERTIFICATE-----\n"),
	};
}

static enum lk_code make_info(const struct lk_maa_evidence *ev, struct lk_json *out)
{
	struct lk_buf b = LK_BUF(info_bytes);

	memset(&err, 0, sizeof(err));
	enum lk_code c = lk_maa_info(ev, &b, &err);
	if (c == LK_OK)
		c = lk_json_parse(lk_slice_buf(&b), toks, 128, out, &err);
	if (c != LK_OK && out)
		*out = (struct lk_json){0};
	return c;
}

/* The member is `want` in (padded) base64. */
static void holds(const struct lk_json *j, const char *path, struct lk_slice want)
{
	struct lk_buf b = LK_BUF(store_bytes);
	struct lk_slice got;

	if (lk_json_str(j, path, &got, &err) != LK_OK || lk_b64_decode(got, &b, &err) != LK_OK)
		T_FAIL("%s: %s", path, err.msg);
	else
		EQ_BYTES(b.p, b.n, want.p, want.n);
}

static void says(const struct lk_json *j, const char *path, const char *want)
{
	struct lk_slice got = {NULL, 0};

	EQ_CODE(LK_OK, lk_json_str(j, path, &got, &err));
	EQ_BYTES(got.p, got.n, want, strlen(want));
}

static void counts(const struct lk_json *j, const char *path, int64_t want)
{
	int64_t got = -1;

	EQ_CODE(LK_OK, lk_json_int(j, path, 0, 1 << 20, &got, &err));
	EQ_I(got, want);
}

static void holds_tpm(const struct lk_json *j, const struct lk_maa_evidence *ev)
{
	char path[64];
	size_t n = 0;

	holds(j, "TpmInfo.AikCert", ev->ak_cert);
	holds(j, "TpmInfo.AikPub", ev->ak_pub);
	holds(j, "TpmInfo.PcrQuote", ev->quote);
	holds(j, "TpmInfo.PcrSignature", ev->quote_sig);
	holds(j, "TpmInfo.EncKeyPub", ev->key_pub);
	holds(j, "TpmInfo.EncKeyCertifyInfo", ev->certify);
	holds(j, "TpmInfo.EncKeyCertifyInfoSignature", ev->certify_sig);
	for (unsigned i = 0; i < 8; i++) {
		(void)snprintf(path, sizeof(path), "TpmInfo.PCRs[%u].Digest", i);
		holds(j, path, lk_slice_sub(ev->pcrs, i * 32, 32));
		(void)snprintf(path, sizeof(path), "TpmInfo.PCRs[%u].Index", i);
		counts(j, path, i);
		(void)snprintf(path, sizeof(path), "TpmInfo.PcrSet[%u]", i);
		counts(j, path, i);
	}
	EQ_CODE(LK_OK, lk_json_len(j, "TpmInfo.PCRs", &n, &err));
	EQ_U(n, 8);
	EQ_CODE(LK_OK, lk_json_len(j, "TpmInfo.PcrSet", &n, &err));
	EQ_U(n, 8);
}

/* Proof: base64 of a document of its own, the report in base64url there. */
static void holds_proof(const struct lk_json *j, const struct lk_maa_evidence *ev)
{
	static uint8_t proof[8192], report[2048];
	struct lk_buf b = LK_BUF(proof), r = LK_BUF(report);
	struct lk_slice v;
	struct lk_json p;

	NEED(lk_json_str(j, "IsolationInfo.Evidence.Proof", &v, &err) == LK_OK);
	NEED(lk_b64_decode(v, &b, &err) == LK_OK);
	NEED(lk_json_parse(lk_slice_buf(&b), more_toks, 128, &p, &err) == LK_OK);
	NEED(lk_json_str(&p, "SnpReport", &v, &err) == LK_OK);
	NEED(lk_b64url_decode(v, &r, &err) == LK_OK);
	EQ_BYTES(r.p, r.n, ev->report.p, ev->report.n);
	holds(&p, "VcekCertChain", ev->certs_pem);
}

static void holds_all(const struct lk_json *j, const struct lk_maa_evidence *ev)
{
	says(j, "AttestationProtocolVersion", "2.0");
	holds(j, "ClientPayload.nonce", ev->nonce);
	says(j, "OSBuild", "Tm90QXBwbGljYXRpb24=");
	says(j, "OSType", "TGludXg=");
	holds(j, "OSDistro", ev->os_name);
	counts(j, "OSVersionMajor", ev->os_major);
	counts(j, "OSVersionMinor", ev->os_minor);
	holds(j, "TcgLogs", ev->event_log);
	says(j, "IsolationInfo.Type", "SevSnp");
	holds(j, "IsolationInfo.Evidence.RunTimeData", ev->runtime);
	holds_proof(j, ev);
	holds_tpm(j, ev);
}

T(builds_the_document)
{
	struct lk_maa_evidence ev = evidence();
	struct lk_json j;

	NEED(make_info(&ev, &j) == LK_OK);
	holds_all(&j, &ev);
	ev.event_log = lk_slice_of(NULL, 0);
	NEED(make_info(&ev, &j) == LK_OK);
	says(&j, "TcgLogs", "");
}

T(wraps_it_into_a_request)
{
	static uint8_t again[64 * 1024];
	struct lk_maa_evidence ev = evidence();
	struct lk_buf scratch = LK_BUF(info_bytes), body = LK_BUF(body_bytes), b = LK_BUF(again);
	struct lk_slice v;
	struct lk_json j;

	NEED(lk_maa_body(&ev, &scratch, &body, &err) == LK_OK);
	NEED(lk_json_parse(lk_slice_buf(&body), toks, 128, &j, &err) == LK_OK);
	EQ_I(j.n, 3);
	NEED(lk_json_str(&j, "AttestationInfo", &v, &err) == LK_OK);
	NEED(lk_b64url_decode(v, &b, &err) == LK_OK);
	EQ_BYTES(b.p, b.n, scratch.p, scratch.n);
	NEED(lk_json_parse(lk_slice_buf(&b), toks, 128, &j, &err) == LK_OK);
	holds_all(&j, &ev);
}

T(refuses_evidence_with_holes)
{
	static uint8_t big[16385];
	struct lk_maa_evidence ev = evidence();
	struct lk_slice *parts[] = {&ev.nonce, &ev.os_name, &ev.ak_cert, &ev.ak_pub, &ev.quote,
	    &ev.quote_sig, &ev.key_pub, &ev.certify, &ev.certify_sig, &ev.pcrs, &ev.report,
	    &ev.runtime, &ev.certs_pem};
	struct lk_json j;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		struct lk_slice keep = *parts[i];
		parts[i]->n = 0;
		EQ_CODE(LK_EATTEST, make_info(&ev, &j));
		*parts[i] = keep;
	}
	ev.os_major = 0;
	EQ_CODE(LK_EATTEST, make_info(&ev, &j));
	ev = evidence();
	ev.nonce.n = 21;
	EQ_CODE(LK_EATTEST, make_info(&ev, &j));
	ev = evidence();
	ev.pcrs.n--;
	EQ_CODE(LK_EATTEST, make_info(&ev, &j));
	ev = evidence();
	ev.report.n--;
	EQ_CODE(LK_EATTEST, make_info(&ev, &j));
	ev = evidence();
	ev.certs_pem = lk_slice_of(big, 16385);
	EQ_CODE(LK_ELIMIT, make_info(&ev, &j));
}

T(the_largest_evidence_fits_its_limits)
{
	static uint8_t big[LK_EVENT_LOG_MAX + 1], scratch_bytes[320 * 1024], out_bytes[512 * 1024];
	struct lk_maa_evidence ev = evidence();
	struct lk_buf scratch = LK_BUF(scratch_bytes), out = LK_BUF(out_bytes);

	ev.event_log = lk_slice_of(big, sizeof(big));
	ev.certs_pem = lk_slice_of(big, 16384);
	EQ_CODE(LK_ELIMIT, lk_maa_body(&ev, &scratch, &out, &err));
	out.n = scratch.n = 0;
	ev.event_log.n--;
	EQ_CODE(LK_OK, lk_maa_body(&ev, &scratch, &out, &err));
	out.n = scratch.n = 0;
	out.cap = 1000;
	EQ_CODE(LK_ELIMIT, lk_maa_body(&ev, &scratch, &out, &err));
	scratch.n = 0;
	scratch.cap = 1000;
	EQ_CODE(LK_ELIMIT, lk_maa_body(&ev, &scratch, &out, &err));
}

/* ---- Microsoft's client as the reference: its document, rebuilt from its own inputs */

static uint8_t real_bytes[64 * 1024], input_bytes[64 * 1024];
static struct lk_buf inputs;

static struct lk_slice input(const struct lk_json *j, const char *path, bool url)
{
	size_t at = inputs.n;
	struct lk_slice v = {NULL, 0};

	OK(lk_json_str(j, path, &v, &err) == LK_OK);
	OK((url ? lk_b64url_decode(v, &inputs, &err) : lk_b64_decode(v, &inputs, &err)) == LK_OK);
	return lk_slice_of(inputs.p + at, inputs.n - at);
}

static void real_evidence(const struct lk_json *j, struct lk_maa_evidence *ev)
{
	static struct lk_json_tok proof_toks[16];
	struct lk_json proof;
	int64_t major = 0, minor = 0;
	char path[64];
	size_t at;

	OK(lk_json_int(j, "OSVersionMajor", 1, 1000, &major, &err) == LK_OK);
	OK(lk_json_int(j, "OSVersionMinor", 0, 1000, &minor, &err) == LK_OK);
	*ev = (struct lk_maa_evidence){
	    .os_major = (uint32_t)major,
	    .os_minor = (uint32_t)minor,
	    .os_name = input(j, "OSDistro", false),
	    .ak_cert = input(j, "TpmInfo.AikCert", false),
	    .ak_pub = input(j, "TpmInfo.AikPub", false),
	    .quote = input(j, "TpmInfo.PcrQuote", false),
	    .quote_sig = input(j, "TpmInfo.PcrSignature", false),
	    .key_pub = input(j, "TpmInfo.EncKeyPub", false),
	    .certify = input(j, "TpmInfo.EncKeyCertifyInfo", false),
	    .certify_sig = input(j, "TpmInfo.EncKeyCertifyInfoSignature", false),
	    .event_log = input(j, "TcgLogs", false),
	    .runtime = input(j, "IsolationInfo.Evidence.RunTimeData", false),
	    .nonce = text("0123456789abcdefABCDEF"), /* the capture's is too short for us */
	};
	at = inputs.n;
	for (unsigned i = 0; i < 8; i++) {
		(void)snprintf(path, sizeof(path), "TpmInfo.PCRs[%u].Digest", i);
		(void)input(j, path, false);
	}
	ev->pcrs = lk_slice_of(inputs.p + at, inputs.n - at);
	NEED(lk_json_parse(input(j, "IsolationInfo.Evidence.Proof", false), proof_toks, 16, &proof,
		 &err) == LK_OK);
	ev->report = input(&proof, "SnpReport", true);
	ev->certs_pem = input(&proof, "VcekCertChain", false);
}

/* Both documents, value by value in the order they stand: jsmn's tokens are a flat list. */
static void same_tokens(const struct lk_json *got, const struct lk_json *want)
{
	EQ_I(got->n, want->n);
	for (int i = 0; i < got->n && i < want->n; i++) {
		struct lk_json g = *got, w = *want;
		g.at = w.at = i;
		EQ_I(g.t[i].type, w.t[i].type);
		EQ_I(g.t[i].size, w.t[i].size);
		EQ_I(g.t[i].parent, w.t[i].parent);
		bool nonce =
		    i > 0 && w.t[i].parent > 0 &&
		    lk_slice_eq_str(lk_slice_sub(w.src, (size_t)w.t[i - 1].start, 5), "nonce");
		bool proof =
		    i > 0 &&
		    lk_slice_eq_str(lk_slice_sub(w.src, (size_t)w.t[i - 1].start, 6), "Proof\"");
		if (lk_json_type(&w) == LK_JSON_OBJECT || lk_json_type(&w) == LK_JSON_ARRAY ||
		    nonce || proof)
			continue;
		struct lk_slice a = lk_json_raw(&g), b = lk_json_raw(&w);
		EQ_BYTES(a.p, a.n, b.p, b.n);
	}
}

T(builds_what_the_reference_client_builds)
{
	const char *dir = getenv("VECTORS");
	struct lk_buf file = LK_BUF(real_bytes);
	struct lk_maa_evidence ev;
	struct lk_json want, got;
	char path[512];

	if (!dir)
		SKIP("VECTORS is not set");
	(void)snprintf(path, sizeof(path), "%s/azureguest/attest.AttestationInfo.json", dir);
	NEED(lk_file_read(path, &file, &err) == LK_OK);
	NEED(lk_json_parse(lk_slice_buf(&file), more_toks, 128, &want, &err) == LK_OK);
	inputs = LK_BUF(input_bytes);
	real_evidence(&want, &ev);
	holds(&want, "ClientPayload.nonce", text("abc"));
	NEED(make_info(&ev, &got) == LK_OK);
	same_tokens(&got, &want);
	holds_all(&got, &ev);
}
