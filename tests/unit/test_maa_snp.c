/* The SNP path's request and its answer. */
#include "t.h"

#include "azure_answer.h"
#include "lines.h"
#include "lk/b64.h"
#include "lk/io.h"
#include "lk/imds.h"
#include "lk/maa.h"

#define FRAME_MAX ((size_t)256 * 1024) /* a courier's scratch and incoming frame */
#define BODY_MAX  ((size_t)512 * 1024) /* its request */

static uint8_t scratch_bytes[FRAME_MAX], body_bytes[BODY_MAX], store_bytes[128 * 1024];
static struct lk_json_tok toks[64], more_toks[64];
static struct lk_err err;

__attribute__((constructor)) static void start(void)
{
	if (lk_crypto_start(&err) != LK_OK)
		abort();
}

#define NONCE "0123456789_bcdef-BCDEF"

/* ---- request */

static void compare(struct line *l)
{
	struct lk_buf scratch = LK_BUF(scratch_bytes), body = LK_BUF(body_bytes);
	struct lk_maa_snp ev;

	memset(&ev, 0, sizeof(ev));
	ev.api_version = line_hex(l, 1);
	ev.nonce = line_hex(l, 2);
	ev.report = line_hex(l, 3);
	ev.certs_pem = line_hex(l, 4);
	ev.runtime = line_hex(l, 5);
	ev.init_data = line_hex(l, 6);
	ev.endorsements = line_hex(l, 7);
	struct lk_slice want = line_hex(l, 8);
	EQ_CODE(LK_OK, lk_maa_snp_body(&ev, &scratch, &body, &err));
	EQ_BYTES(body.p, body.n, want.p, want.n);
}

T(writes_what_another_writer_writes)
{
	FILE *f = popen(LINES_PYTHON "tests/unit/gen_maa.py body", "r");
	struct line l = {0};
	unsigned n = 0;

	NEED(f != NULL);
	for (; line_next(f, &l); n++)
		compare(&l);
	EQ_I(pclose(f), 0);
	EQ_U(n, 14);
}

static uint8_t ramp[1184];

static struct lk_maa_snp evidence(void)
{
	for (size_t i = 0; i < sizeof(ramp); i++)
		ramp[i] = (uint8_t)(i * 7 + i / 256);
	return (struct lk_maa_snp){
	    .api_version = text("2022-08-01"),
	    .nonce = text(NONCE),
	    .report = lk_slice_of(ramp, sizeof(ramp)),
	    .certs_pem = text("-----BEGIN CERTIFICATE-----\n"),
	    .runtime = text("{\"keys\":[]}"),
	};
}

static enum lk_code body_of(const struct lk_maa_snp *ev)
{
	struct lk_buf scratch = LK_BUF(scratch_bytes), body = LK_BUF(body_bytes);

	memset(&err, 0, sizeof(err));
	return lk_maa_snp_body(ev, &scratch, &body, &err);
}

static void target_is(const char *version, const char *want)
{
	struct lk_maa_snp ev = evidence();
	struct lk_buf b = LK_BUF(store_bytes);

	ev.api_version = text(version);
	lk_maa_snp_target(&ev, &b);
	EQ_BYTES(b.p, b.n, want, strlen(want));
}

T(names_the_target)
{
	target_is("2022-08-01", "/attest/SevSnpVm?api-version=2022-08-01");
	target_is("2026-03-11-preview", "/attest/SevSnpVm?api-version=2026-03-11-preview");
	target_is("7&x=/ \n", "/attest/SevSnpVm?api-version=7%26x%3D%2F%20%0A");
}

T(takes_api_versions)
{
	static const char *const bad[] = {"", "7.4", "2022-08-0A", "2022 08", "2022-08-01&x",
	    "2022/1", "2022_08_01", "2022-08-01\n", "aaaaaaaaaaaaaaaaaaaaaaaaa"};
	static const char *const good[] = {
	    "2022", "2022-08-01", "7.4-preview.1", "aaaaaaaaaaaaaaaaaaaaaaaa", "09az"};
	struct lk_maa_snp ev = evidence();

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ev.api_version = text(bad[i]);
		EQ_CODE(LK_ECONF, body_of(&ev));
		OK(!lk_maa_api_ok(text(bad[i])));
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ev.api_version = text(good[i]);
		EQ_CODE(LK_OK, body_of(&ev));
		OK(lk_maa_api_ok(text(good[i])));
	}
}

T(refuses_evidence_with_holes)
{
	static uint8_t big[LK_INIT_DATA_MAX + 1];
	struct lk_maa_snp ev = evidence();
	struct lk_slice *needed[] = {&ev.nonce, &ev.report, &ev.certs_pem, &ev.runtime};
	struct {
		struct lk_slice *part;
		size_t max;
		const char *name;
	} limits[] = {
	    {&ev.certs_pem, LK_CHAIN_PEM_MAX, "certificates"},
	    {&ev.runtime, LK_RUNTIME_MAX, "runtime data"},
	    {&ev.init_data, LK_INIT_DATA_MAX, "init data"},
	    {&ev.endorsements, LK_ENDORSEMENTS_MAX, "endorsements"},
	};

	EQ_CODE(LK_OK, body_of(&ev));
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		struct lk_slice keep = *needed[i];
		needed[i]->n = 0;
		EQ_CODE(LK_EATTEST, body_of(&ev));
		*needed[i] = keep;
	}
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct lk_slice keep = *limits[i].part;
		*limits[i].part = lk_slice_of(big, limits[i].max);
		EQ_CODE(LK_OK, body_of(&ev));
		limits[i].part->n++;
		EQ_CODE(LK_ELIMIT, body_of(&ev));
		OK(strstr(err.msg, limits[i].name) != NULL);
		*limits[i].part = keep;
	}
	ev.report.n--;
	EQ_CODE(LK_EATTEST, body_of(&ev));
	ev.report = lk_slice_of(big, sizeof(ramp) + 1);
	EQ_CODE(LK_EATTEST, body_of(&ev));
	ev = evidence();
	ev.nonce.n = 21;
	EQ_CODE(LK_EATTEST, body_of(&ev));
	ev.nonce = text("0123456789_bcdef-BCDE\"");
	EQ_CODE(LK_EATTEST, body_of(&ev));
	ev.nonce = lk_slice_of(big, 257);
	EQ_CODE(LK_EATTEST, body_of(&ev));
}

/* What the limits allow goes through a courier's buffers, and less room is noticed. */
T(the_largest_evidence_fits_its_limits)
{
	static uint8_t big[LK_INIT_DATA_MAX], long_nonce[256];
	struct lk_buf scratch = LK_BUF(scratch_bytes), body = LK_BUF(body_bytes);
	struct lk_maa_snp ev = evidence();

	memset(long_nonce, 'n', sizeof(long_nonce));
	ev.nonce = lk_slice_of(long_nonce, sizeof(long_nonce));
	ev.certs_pem = lk_slice_of(big, LK_CHAIN_PEM_MAX);
	ev.runtime = lk_slice_of(big, LK_RUNTIME_MAX);
	ev.init_data = lk_slice_of(big, LK_INIT_DATA_MAX);
	ev.endorsements = lk_slice_of(big, LK_ENDORSEMENTS_MAX);
	EQ_CODE(LK_OK, lk_maa_snp_body(&ev, &scratch, &body, &err));
	OK(scratch.n <= (size_t)232 * 1024 && body.n <= (size_t)320 * 1024);
	for (size_t less = 1; less < 300000; less *= 7) {
		struct lk_buf s = LK_BUF(scratch_bytes), b = LK_BUF(body_bytes);

		s.cap = scratch.n - (less < scratch.n ? less : scratch.n);
		EQ_CODE(LK_ELIMIT, lk_maa_snp_body(&ev, &s, &b, &err));
		s = LK_BUF(scratch_bytes);
		b.n = 0;
		b.bad = false;
		b.cap = body.n - less;
		EQ_CODE(LK_ELIMIT, lk_maa_snp_body(&ev, &s, &b, &err));
	}
}

/* ---- real evidence, and the check that the service does on it */

static struct lk_slice load(const char *name, struct lk_buf *to)
{
	const size_t at = to->n;
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/snp/%s", getenv("VECTORS"), name);
	if (lk_file_read(path, to, &err) != LK_OK)
		T_FAIL("%s", err.msg);
	return lk_slice_of(to->p + at, to->n - at);
}

static struct lk_slice decoded(const struct lk_json *j, const char *path, struct lk_buf *to)
{
	const size_t at = to->n;
	struct lk_slice v = {NULL, 0};

	OK(lk_json_str(j, path, &v, &err) == LK_OK && lk_b64url_decode(v, to, &err) == LK_OK);
	return lk_slice_of(to->p + at, to->n - at);
}

static void check_as_the_service(struct lk_slice request, const struct lk_maa_snp *ev)
{
	static uint8_t bytes[64 * 1024];
	struct lk_buf b = LK_BUF(bytes);
	struct lk_json j, proof;
	uint8_t sum[32];

	NEED(lk_json_parse(request, toks, 64, &j, &err) == LK_OK);
	EQ_U(j.t[0].size, 3);
	struct lk_slice doc = decoded(&j, "report", &b);
	NEED(lk_json_parse(doc, more_toks, 64, &proof, &err) == LK_OK);
	EQ_U(proof.t[0].size, 2);
	struct lk_slice report = decoded(&proof, "SnpReport", &b);
	EQ_BYTES(report.p, report.n, ev->report.p, ev->report.n);
	struct lk_slice chain = decoded(&proof, "VcekCertChain", &b);
	EQ_BYTES(chain.p, chain.n, ev->certs_pem.p, ev->certs_pem.n);
	EQ_CODE(LK_OK, lk_sha256(decoded(&j, "runtimeData.data", &b), sum, &err));
	NEED(report.n == 1184);
	EQ_MEM(report.p + 0x50, sum, 32);
	OK(lk_slice_is_zero(lk_slice_sub(report, 0x70, 32)));
}

T(sends_real_evidence_that_is_bound)
{
	struct lk_buf file = LK_BUF(store_bytes), scratch = LK_BUF(scratch_bytes);
	struct lk_buf body = LK_BUF(body_bytes);
	static uint8_t pem_bytes[LK_CHAIN_PEM_MAX];
	struct lk_buf pem = LK_BUF(pem_bytes);
	struct lk_maa_snp ev = evidence();
	struct lk_certs certs;

	if (!getenv("VECTORS"))
		SKIP("VECTORS is not set");
	ev.report = load("milan-v2-report.bin", &file);
	struct lk_http_rsp thim = answer(200, "");
	thim.body = load("milan-thim.json", &file);
	NEED(lk_imds_certs_parse(&thim, &pem, &certs, &err) == LK_OK);
	ev.certs_pem = certs.pem;
	ev.runtime = text("{\n   \"akey\" : \"avalue\"\n}\n");
	NEED(lk_maa_snp_body(&ev, &scratch, &body, &err) == LK_OK);
	check_as_the_service(lk_slice_buf(&body), &ev);
}

/* ---- answer */

static enum lk_code parse(const char *body, struct lk_slice *jwt)
{
	struct lk_buf store = LK_BUF(store_bytes);
	struct lk_http_rsp rsp = answer(200, body);

	memset(&err, 0, sizeof(err));
	return lk_maa_snp_parse(&rsp, &store, jwt, &err);
}

T(takes_an_answer)
{
	struct lk_slice jwt;

	EQ_CODE(LK_OK, parse("{\"token\":\"e30.e30.AA-_\"}", &jwt));
	EQ_BYTES(jwt.p, jwt.n, "e30.e30.AA-_", 12);
	OK(jwt.p == store_bytes);
	EQ_CODE(LK_OK, parse(" {\"more\":[1],\"token\":\"e30.e30.AAAA\"}\n", &jwt));
	EQ_BYTES(jwt.p, jwt.n, "e30.e30.AAAA", 12);
}

T(refuses_an_answer)
{
	static const char *const bad[] = {"", "x", "[]", "{}", "{\"token\":null}", "{\"token\":7}",
	    "{\"token\":\"\"}", "{\"token\":\"e30\"}", "{\"token\":\"e30.e30\"}",
	    "{\"token\":\"e30.e30.\"}", "{\"token\":\".e30.AAAA\"}", "{\"token\":\"e30..AAAA\"}",
	    "{\"token\":\"e30.e30.AAAA.AAAA\"}", "{\"token\":\"e30.e30=.AAAA\"}",
	    "{\"token\":\"e30.e30.AA/+\"}", "{\"token\":\"e30.e30.AA A\"}",
	    "{\"token\":\"e30.e30.\\u0041AAA\"}", "{\"Token\":\"e30.e30.AAAA\"}",
	    "{\"token\":\"e30.e30.AAAA\",\"token\":\"e30.e30.AAAA\"}",
	    "{\"token\":[\"e30.e30.AAAA\"]}", "{\"token\":\"e30.e30.AAAA\"}x",
	    "{\"a\":{\"token\":\"e30.e30.AAAA\"}}"};
	struct lk_slice jwt;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse(bad[i], &jwt) != LK_EPROTO || err.code != LK_EPROTO)
			T_FAIL("%s: code %d", bad[i], (int)err.code);
		OK(strncmp(err.msg, "attestation: ", 13) == 0);
		EQ_U(jwt.n, 0);
	}
}

T(refuses_a_wrapper)
{
	struct lk_http_rsp rsp = answer(202, "{\"token\":\"e30.e30.AAAA\"}");
	struct lk_buf store = LK_BUF(store_bytes);
	struct lk_slice jwt;

	EQ_CODE(LK_EPROTO, lk_maa_snp_parse(&rsp, &store, &jwt, &err));
	OK(strstr(err.msg, "unexpected status 202") != NULL);
	rsp.status = 200;
	rsp.json = false;
	EQ_CODE(LK_EPROTO, lk_maa_snp_parse(&rsp, &store, &jwt, &err));
	OK(strstr(err.msg, "not JSON") != NULL);
	rsp.json = true;
	store.cap = 11;
	EQ_CODE(LK_ELIMIT, lk_maa_snp_parse(&rsp, &store, &jwt, &err));
	EQ_U(jwt.n, 0);
}

T(limits_an_answer)
{
	static char body[LK_TOKEN_MAX + 64], sig[LK_TOKEN_MAX];
	struct lk_slice jwt;

	memset(sig, 's', sizeof(sig));
	(void)snprintf(body, sizeof(body), "{\"token\":\"e30.e30.%.*s\"}", LK_TOKEN_MAX - 8, sig);
	EQ_CODE(LK_OK, parse(body, &jwt));
	EQ_U(jwt.n, LK_TOKEN_MAX);
	(void)snprintf(body, sizeof(body), "{\"token\":\"e30.e30.%.*s\"}", LK_TOKEN_MAX - 7, sig);
	EQ_CODE(LK_ELIMIT, parse(body, &jwt));
}
