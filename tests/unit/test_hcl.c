/* The paravisor's report: built ones with one thing wrong each, and the real ones in VECTORS. */
#include "lk/hcl.h"

#include <stdarg.h>

#include "lk/b64.h"
#include "lk/io.h"
#include "t.h"

#define DATA_AT  0x4C0
#define FIXED    0x4D4
#define REPORT   0x20
#define NV_SIZE  2600
#define REQUEST  12
#define DVERSION (DATA_AT + 4)
#define TYPE     (DATA_AT + 8)
#define HASH     (DATA_AT + 12)
#define VARSIZE  (DATA_AT + 16)

static uint8_t raw[NV_SIZE + 1];
static size_t raw_n;
static uint8_t modulus[256];
static struct lk_hcl hcl;
static struct lk_err err;

static void put32(size_t at, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		raw[at + i] = (uint8_t)(v >> 8 * i);
}

static uint32_t get32(size_t at)
{
	return raw[at] | (uint32_t)raw[at + 1] << 8 | (uint32_t)raw[at + 2] << 16 |
	       (uint32_t)raw[at + 3] << 24;
}

static const char *jwk(const char *kid, const char *n_suffix)
{
	static char text[2][800];
	static unsigned turn;
	uint8_t store[400];
	struct lk_buf b = LK_BUF(store);
	for (size_t i = 0; i < sizeof(modulus); i++)
		modulus[i] = (uint8_t)(0xC1 + i * 7);
	lk_b64url_encode(lk_slice_of(modulus, sizeof(modulus)), &b);
	turn ^= 1;
	(void)snprintf(text[turn], sizeof(text[turn]),
	    "{\"kid\":\"%s\",\"key_ops\":[\"sign\"],\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"%.*s%"
	    "s\"}",
	    kid, (int)b.n, (const char *)store, n_suffix);
	return text[turn];
}

/* A good report around this runtime data, in a zero-padded index of 2600 bytes. */
static void build(const char *json)
{
	size_t n = strlen(json);
	memset(raw, 0, sizeof(raw));
	memcpy(raw, LK_S("HCLA").p, 4);
	put32(4, 2);
	put32(8, (uint32_t)(FIXED + n));
	put32(REQUEST, 2);
	put32(REPORT, 3); /* version of the SNP report */
	put32(REPORT + 0x180, 0x00000004);
	put32(REPORT + 0x184, 0xD3180000);
	put32(DATA_AT, (uint32_t)(20 + n));
	put32(DVERSION, 1);
	put32(TYPE, 2);
	put32(HASH, 1);
	put32(VARSIZE, (uint32_t)n);
	memcpy(raw + FIXED, json, n);
	raw_n = NV_SIZE;
	if (lk_sha256(lk_slice_of(json, n), raw + REPORT + 0x50, &err))
		T_FAIL("%s", err.msg);
}

static void LK_PRINTF(1, 2) build_fmt(const char *fmt, ...)
{
	char json[NV_SIZE - FIXED + 1];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(json, sizeof(json), fmt, ap);
	va_end(ap);
	OK(n > 0 && (size_t)n < sizeof(json));
	build(json);
}

static void build_good(void)
{
	build_fmt(
	    "{\"keys\":[%s,%s],\"vm-configuration\":{\"secure-boot\":true},\"user-data\":\"00\"}",
	    jwk("HCLAkPub", ""), jwk("HCLEkPub", ""));
}

static enum lk_code parse(void)
{
	err = (struct lk_err){0};
	return lk_hcl_parse(lk_slice_of(raw, raw_n), &hcl, &err);
}

/* Fails with this code and these words. */
static void refused(enum lk_code code, const char *words)
{
	EQ_CODE(code, parse());
	if (!strstr(err.msg, words))
		T_FAIL("\"%s\" does not say \"%s\"", err.msg, words);
}

T(starts)
{
	EQ_CODE(LK_OK, lk_crypto_start(&err));
}

T(good_report)
{
	build_good();
	EQ_CODE(LK_OK, parse());
	EQ_S(err.msg, "");
	EQ_U(hcl.report.n, 1184);
	OK(hcl.report.p == raw + REPORT);
	EQ_U(hcl.runtime.n, get32(VARSIZE));
	OK(hcl.runtime.p == raw + FIXED);
	EQ_U(hcl.report_version, 3);
	EQ_U(hcl.reported_tcb, UINT64_C(0xD318000000000004));
	EQ_U(hcl.ak.kty, LK_KTY_RSA);
	EQ_BYTES(hcl.ak.n, hcl.ak.n_len, modulus, 256);
	EQ_BYTES(hcl.ak.e, hcl.ak.e_len, "\1\0\1", 3);
	put32(4, 1); /* the old paravisor's header */
	EQ_CODE(LK_OK, parse());
	raw_n = FIXED + get32(VARSIZE); /* without padding */
	EQ_CODE(LK_OK, parse());
}

T(every_shorter_length_is_refused)
{
	build_good();
	size_t end = FIXED + get32(VARSIZE);
	for (raw_n = 0; raw_n < end; raw_n++)
		if (parse() != LK_EPROTO)
			T_FAIL("%zu bytes: %s", raw_n, err.msg);
}

T(header_fields)
{
	build_good();
	raw[0] ^= 1;
	refused(LK_EPROTO, "signature");
	for (uint32_t v = 0; v < 5; v++) {
		build_good();
		put32(4, v);
		if (v != 1 && v != 2)
			refused(LK_EPROTO, "header version");
		build_good();
		put32(REQUEST, v);
		if (v != 2)
			refused(LK_EPROTO, "request type");
		build_good();
		put32(DVERSION, v);
		if (v != 1)
			refused(LK_EPROTO, "data version");
	}
}

T(sizes_must_agree)
{
	static const uint32_t delta[] = {1, UINT32_MAX, 20, 0x80000000u, 0xFFFFF000u};
	for (size_t i = 0; i < sizeof(delta) / sizeof(delta[0]); i++) {
		build_good();
		put32(8, get32(8) + delta[i]);
		refused(LK_EPROTO, "report size");
		build_good();
		put32(DATA_AT, get32(DATA_AT) + delta[i]);
		refused(LK_EPROTO, "data size");
		build_good();
		put32(VARSIZE, get32(VARSIZE) + delta[i]);
		refused(LK_EPROTO, "data");
	}
	build_good(); /* all three agree, but the index ends before */
	put32(VARSIZE, NV_SIZE - FIXED + 1);
	put32(DATA_AT, NV_SIZE - FIXED + 21);
	put32(8, NV_SIZE + 1);
	refused(LK_EPROTO, "runtime data");
	build_good(); /* sums that wrap to something that agrees */
	put32(VARSIZE, UINT32_MAX - 19);
	put32(DATA_AT, 0);
	put32(8, DATA_AT);
	refused(LK_EPROTO, "runtime data");
}

T(other_technologies_are_named)
{
	static const struct {
		uint32_t type;
		const char *name;
	} cases[] = {{0, "no hardware"}, {1, "VBS"}, {3, "Trusted Launch"}, {4, "TDX"},
	    {5, "Arm CCA"}, {6, "unknown"}, {0xFFFFFFFF, "unknown"}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		build_good();
		put32(TYPE, cases[i].type);
		refused(LK_EATTEST, cases[i].name);
		OK(strstr(err.hint, "SEV-SNP"));
	}
}

T(hash_types)
{
	build_good();
	put32(HASH, 2);
	refused(LK_EATTEST, "SHA-384");
	put32(HASH, 3);
	refused(LK_EATTEST, "SHA-512");
	put32(HASH, 0);
	refused(LK_EATTEST, "none");
	put32(HASH, 9);
	refused(LK_EATTEST, "unknown");
}

T(binding)
{
	build_good();
	raw[REPORT + 0x50] ^= 1;
	refused(LK_ETRUST, "not bound");
	build_good();
	raw[FIXED + 20] ^= 1;
	refused(LK_ETRUST, "not bound");
	build_good(); /* one byte less is hashed */
	put32(VARSIZE, get32(VARSIZE) - 1);
	put32(DATA_AT, get32(DATA_AT) - 1);
	put32(8, get32(8) - 1);
	refused(LK_ETRUST, "not bound");
	for (size_t i = 32; i < 64; i++) {
		build_good();
		raw[REPORT + 0x50 + i] = 0x80;
		refused(LK_ETRUST, "second half");
	}
}

T(attestation_key_in_the_runtime_data)
{
	build_fmt("{\"keys\":[%s]}", jwk("HCLEkPub", ""));
	refused(LK_EPROTO, "0 keys HCLAkPub");
	build("{\"keys\":[]}");
	refused(LK_EPROTO, "0 keys HCLAkPub");
	build_fmt("{\"keys\":[%s,%s]}", jwk("HCLAkPub", ""), jwk("HCLAkPub", ""));
	refused(LK_EPROTO, "2 keys HCLAkPub");
	build_fmt("{\"keys\":[%s]}", jwk("\\u0048CLAkPub", ""));
	refused(LK_EPROTO, "runtime data");
	build_fmt("{\"keys\":[{\"kty\":\"RSA\"},%s]}", jwk("HCLAkPub", ""));
	EQ_CODE(LK_OK, parse());
	build_fmt("{\"keys\":[{\"kid\":7},%s]}", jwk("HCLAkPub", ""));
	refused(LK_EPROTO, "runtime data");
	build_fmt("{\"keys\":[%s]}", jwk("HCLAkPub", "="));
	refused(LK_EPROTO, "HCLAkPub");
	build_fmt("{\"keys\":[%s]}", jwk("HCLAkPub", "A"));
	refused(LK_EPROTO, "257 bytes of modulus");
	build_fmt("{\"keys\":[%s]}", jwk("HCLAkPub", "AA"));
	refused(LK_EPROTO, "HCLAkPub");
	build("{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"EC\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}");
	refused(LK_EPROTO, "not an RSA key");
	build("{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}");
	refused(LK_EPROTO, "3 bytes of modulus");
	build("{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"RSA\",\"e\":\"AQAB\"}]}");
	refused(LK_EABSENT, "HCLAkPub");
}

T(runtime_data_that_is_no_json)
{
	static const char *const bad[] = {"", "x", "[]", "null", "{\"keys\":{}}", "{\"keys\":[1]}",
	    "{}", "{\"keys\":[]", "{\"keys\":[],\"keys\":[]}", "{\"keys\":[]}x", "\xff\xfe"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		build(bad[i]);
		enum lk_code r = parse();
		if (r != LK_EPROTO && r != LK_EABSENT)
			T_FAIL("%s: code %d %s", bad[i], (int)r, err.msg);
	}
}

T(every_flipped_bit_of_the_data_part_is_refused)
{
	build_good();
	size_t end = FIXED + get32(VARSIZE);
	for (size_t bit = (size_t)DATA_AT * 8; bit < end * 8; bit++) {
		raw[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (parse() == LK_OK)
			T_FAIL("bit %zu", bit);
		raw[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static bool load(const char *name, struct lk_buf *out)
{
	char path[400];
	const char *dir = getenv("VECTORS");
	(void)snprintf(path, sizeof(path), "%s/hcl/%s", dir, name);
	if (lk_file_read(path, out, &err)) {
		T_FAIL("%s", err.msg);
		return false;
	}
	return true;
}

T(real_snp_report)
{
	if (!getenv("VECTORS"))
		SKIP("VECTORS is not set");
	struct lk_buf b = LK_BUF(raw);
	NEED(load("hcl-report-snp.bin", &b));
	raw_n = b.n;
	EQ_CODE(LK_OK, parse());
	EQ_S(err.msg, "");
	EQ_U(hcl.runtime.n, 583);
	EQ_U(hcl.report_version, 2);
	EQ_U(hcl.reported_tcb, UINT64_C(0x7308000000000003));
	EQ_BYTES(hcl.ak.e, hcl.ak.e_len, "\1\0\1", 3);

	/* SHA-256 of the modulus, as another implementation reads it. The akpub.pem beside the
	 * report is the key of another machine. */
	static const uint8_t want[] =
	    "\x3a\xfa\x87\x4d\xa4\x92\xe4\xad\xc3\x45\x74\x12\x69\x2f\xcd\x1f"
	    "\xcb\xbe\x0b\x7b\x07\x89\x23\xef\x8d\x74\x1a\xd3\x01\xfa\xe3\x79";
	uint8_t digest[32];
	EQ_CODE(LK_OK, lk_sha256(lk_slice_of(hcl.ak.n, hcl.ak.n_len), digest, &err));
	EQ_MEM(digest, want, 32);
}

T(real_tdx_report)
{
	if (!getenv("VECTORS"))
		SKIP("VECTORS is not set");
	struct lk_buf b = LK_BUF(raw);
	NEED(load("hcl-report-tdx.bin", &b));
	raw_n = b.n;
	refused(LK_EATTEST, "Intel TDX");
}
