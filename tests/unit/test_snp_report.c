/* Reports of versions 2, 3 and 5, and the host's certificate table as an attacker would write it.
 */
#include "lk/snp.h"

#include "lk/b64.h"
#include "lk/io.h"
#include "t.h"

#define SIZE LK_SNP_REPORT_SIZE

static uint8_t raw[SIZE + 8];
static struct lk_snp s;
static struct lk_err err;

/* Each byte says where it is, so a wrong offset shows. */
static void build(uint8_t version)
{
	memset(raw, 0, sizeof(raw));
	for (size_t i = 4; i < SIZE; i++)
		raw[i] = (uint8_t)(i * 13 + (i >> 8));
	raw[0] = version;
}

static uint64_t at64(size_t at)
{
	uint64_t v = 0;
	for (unsigned i = 8; i-- > 0;)
		v = v << 8 | raw[at + i];
	return v;
}

T(fields)
{
	static const uint8_t versions[] = {2, 3, 4, 5, 6};
	for (size_t i = 0; i < sizeof(versions); i++) {
		bool fms = versions[i] >= 3, mit = versions[i] >= 5;
		build(versions[i]);
		EQ_CODE(LK_OK, lk_snp_parse(lk_slice_of(raw, SIZE), &s, &err));
		EQ_U(s.version, versions[i]);
		EQ_U(s.guest_svn, at64(4) & UINT32_MAX);
		EQ_U(s.policy, at64(8));
		EQ_U(s.debug, raw[10] >> 3 & 1);
		EQ_U(s.vmpl, at64(0x30) & UINT32_MAX);
		EQ_U(s.sig_algo, at64(0x34) & UINT32_MAX);
		EQ_U(s.current_tcb, at64(0x38));
		EQ_U(s.platform, at64(0x40));
		EQ_U(s.chip_masked, raw[0x48] >> 1 & 1);
		EQ_U(s.signer, raw[0x48] >> 2 & 7);
		EQ_BYTES(s.report_data.p, s.report_data.n, raw + 0x50, 64);
		EQ_BYTES(s.measurement.p, s.measurement.n, raw + 0x90, 48);
		EQ_BYTES(s.host_data.p, s.host_data.n, raw + 0xC0, 32);
		EQ_BYTES(s.id_key_digest.p, s.id_key_digest.n, raw + 0xE0, 48);
		EQ_BYTES(s.author_key_digest.p, s.author_key_digest.n, raw + 0x110, 48);
		EQ_BYTES(s.report_id.p, s.report_id.n, raw + 0x140, 32);
		EQ_U(s.reported_tcb, at64(0x180));
		EQ_U(s.family, fms ? raw[0x188] : 0);
		EQ_U(s.model, fms ? raw[0x189] : 0);
		EQ_U(s.stepping, fms ? raw[0x18A] : 0);
		EQ_BYTES(s.chip_id.p, s.chip_id.n, raw + 0x1A0, 64);
		EQ_U(s.committed_tcb, at64(0x1E0));
		EQ_U(s.launch_tcb, at64(0x1F0));
		EQ_U(s.launch_mitigation, mit ? at64(0x1F8) : 0);
		EQ_U(s.current_mitigation, mit ? at64(0x200) : 0);
		EQ_BYTES(s.signed_part.p, s.signed_part.n, raw, 672);
		EQ_BYTES(s.signature.p, s.signature.n, raw + 672, 512);
	}
}

T(sizes_and_versions_refused)
{
	build(3);
	for (size_t n = 0; n < SIZE + 8; n++) {
		enum lk_code want = n == SIZE ? LK_OK : LK_EPROTO;
		EQ_CODE(want, lk_snp_parse(lk_slice_of(raw, n), &s, &err));
	}
	for (uint8_t v = 0; v < 2; v++) {
		build(v);
		EQ_CODE(LK_EPROTO, lk_snp_parse(lk_slice_of(raw, SIZE), &s, &err));
	}
	memset(raw, 0, sizeof(raw));
	EQ_CODE(LK_EPROTO, lk_snp_parse(lk_slice_of(raw, SIZE), &s, &err));
	OK(strstr(err.msg, "all zeros") != NULL);
}

T(generations)
{
	static const struct {
		uint8_t family, model;
		enum lk_snp_gen gen;
	} rows[] = {
	    {0x19, 0x00, LK_SNP_GEN_MILAN},
	    {0x19, 0x0F, LK_SNP_GEN_MILAN},
	    {0x19, 0x10, LK_SNP_GEN_GENOA},
	    {0x19, 0x1F, LK_SNP_GEN_GENOA},
	    {0x19, 0x20, LK_SNP_GEN_UNKNOWN},
	    {0x19, 0x9F, LK_SNP_GEN_UNKNOWN},
	    {0x19, 0xA0, LK_SNP_GEN_GENOA},
	    {0x19, 0xAF, LK_SNP_GEN_GENOA},
	    {0x19, 0xB0, LK_SNP_GEN_UNKNOWN},
	    {0x1A, 0x00, LK_SNP_GEN_TURIN},
	    {0x1A, 0x11, LK_SNP_GEN_TURIN},
	    {0x1A, 0x12, LK_SNP_GEN_UNKNOWN},
	    {0x1A, 0x50, LK_SNP_GEN_VENICE},
	    {0x1A, 0x58, LK_SNP_GEN_UNKNOWN},
	    {0x1A, 0x90, LK_SNP_GEN_VENICE},
	    {0x1A, 0xAF, LK_SNP_GEN_VENICE},
	    {0x1A, 0xC7, LK_SNP_GEN_VENICE},
	    {0x1A, 0xC8, LK_SNP_GEN_UNKNOWN},
	    {0x18, 0x01, LK_SNP_GEN_UNKNOWN},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		build(3);
		raw[0x188] = rows[i].family;
		raw[0x189] = rows[i].model;
		EQ_CODE(LK_OK, lk_snp_parse(lk_slice_of(raw, SIZE), &s, &err));
		EQ_U(s.gen, rows[i].gen);
		OK(lk_snp_gen_name(s.gen)[0] != '\0');
	}
	build(2);
	EQ_CODE(LK_OK, lk_snp_parse(lk_slice_of(raw, SIZE), &s, &err));
	EQ_U(s.gen, LK_SNP_GEN_MILAN_GENOA);
	memset(raw + 0x1A8, 0, 56);
	EQ_CODE(LK_OK, lk_snp_parse(lk_slice_of(raw, SIZE), &s, &err));
	EQ_U(s.gen, LK_SNP_GEN_TURIN);
	memset(raw + 0x1A0, 0, 8); /* a masked chip says nothing */
	EQ_CODE(LK_OK, lk_snp_parse(lk_slice_of(raw, SIZE), &s, &err));
	EQ_U(s.gen, LK_SNP_GEN_MILAN_GENOA);
}

T(tcb)
{
	struct lk_snp_tcb t;
	char text[17];
	lk_snp_tcb_text(UINT64_C(0x7308000000000003), text);
	EQ_S(text, "7308000000000003");
	lk_snp_tcb_text(0xAB, text);
	EQ_S(text, "00000000000000ab");
	lk_snp_tcb_split(LK_SNP_GEN_GENOA, UINT64_C(0x8807060504030201), &t);
	OK(!t.has_fmc);
	EQ_U(t.boot_loader, 1);
	EQ_U(t.tee, 2);
	EQ_U(t.snp, 7);
	EQ_U(t.microcode, 0x88);
	lk_snp_tcb_split(LK_SNP_GEN_TURIN, UINT64_C(0x8807060504030201), &t);
	OK(t.has_fmc);
	EQ_U(t.fmc, 1);
	EQ_U(t.boot_loader, 2);
	EQ_U(t.tee, 3);
	EQ_U(t.snp, 4);
	EQ_U(t.microcode, 0x88);
}

/* ---- the certificate table */

#define ROOM 4096
static uint8_t table[ROOM];
static struct lk_snp_certs certs;

static const uint8_t guids[4][16] = {
    {0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac,
	0xcd},
    {0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4, 0xa0, 0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7,
	0x82},
    {0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52, 0x97, 0x43, 0x3f, 0xb6, 0x01, 0x4c, 0xd0,
	0xae},
    {0xa8, 0x07, 0x4b, 0xc2, 0xa2, 0x5a, 0x48, 0x3e, 0xaa, 0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8,
	0xa1},
};
enum { VCEK, ASK, ARK, VLEK };

static void put32(size_t at, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		table[at + i] = (uint8_t)(v >> 8 * i);
}

static void entry(size_t i, const uint8_t *guid, uint32_t at, uint32_t n)
{
	memcpy(table + i * 24, guid, 16);
	put32(i * 24 + 16, at);
	put32(i * 24 + 20, n);
}

/* A "certificate": SEQUENCE of n - 4 bytes. */
static void blob(size_t at, size_t n)
{
	memset(table + at, 0x11, n);
	table[at] = 0x30;
	table[at + 1] = 0x82;
	table[at + 2] = (uint8_t)((n - 4) >> 8);
	table[at + 3] = (uint8_t)(n - 4);
}

/* VCEK at 96, ASK at 500, ARK up to the very end. */
static void good(void)
{
	memset(table, 0, sizeof(table));
	entry(0, guids[VCEK], 96, 300);
	entry(1, guids[ASK], 500, 301);
	entry(2, guids[ARK], ROOM - 302, 302);
	blob(96, 300);
	blob(500, 301);
	blob(ROOM - 302, 302);
}

static enum lk_code parse(size_t n)
{
	/* On the heap, so that the sanitizer sees a read past the end. */
	uint8_t *p = malloc(n + 1);
	memcpy(p, table, n);
	enum lk_code rc = lk_snp_certs_parse(lk_slice_of(p, n), &certs, &err);
	if (rc == LK_OK && certs.vcek.n != 0)
		OK(certs.vcek.p >= p && certs.vcek.p + certs.vcek.n <= p + n);
	free(p);
	return rc;
}

T(table_good)
{
	good();
	EQ_CODE(LK_OK, parse(ROOM));
	EQ_CODE(LK_OK, lk_snp_certs_parse(lk_slice_of(table, ROOM), &certs, &err));
	OK(certs.vcek.p == table + 96 && certs.vcek.n == 300);
	OK(certs.ask.p == table + 500 && certs.ask.n == 301);
	OK(certs.ark.p == table + ROOM - 302 && certs.ark.n == 302);
	EQ_U(certs.vlek.n, 0);
}

T(table_mixed_endian_guids)
{
	static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
	good();
	for (unsigned i = 0; i < 3; i++)
		for (unsigned k = 0; k < 16; k++)
			table[i * 24 + order[k]] = guids[i][k];
	EQ_CODE(LK_OK, lk_snp_certs_parse(lk_slice_of(table, ROOM), &certs, &err));
	OK(certs.vcek.n == 300 && certs.ask.n == 301 && certs.ark.n == 302);
	table[4] ^= 1; /* neither order: unknown, and so left out */
	EQ_CODE(LK_OK, lk_snp_certs_parse(lk_slice_of(table, ROOM), &certs, &err));
	EQ_U(certs.vcek.n, 0);
}

T(table_absent)
{
	memset(table, 0, sizeof(table));
	EQ_CODE(LK_EABSENT, parse(0));
	EQ_CODE(LK_EABSENT, parse(ROOM));
}

/* Cut off at each length: never read behind it, and good only when all of it is there. */
T(table_cut_off)
{
	good();
	for (size_t n = 1; n < ROOM; n++) {
		EQ_CODE(LK_EPROTO, parse(n));
		EQ_U(certs.vcek.n + certs.ask.n + certs.ark.n, 0);
	}
}

T(table_hostile_entries)
{
	static const struct {
		uint32_t at, n;
		enum lk_code code;
	} rows[] = {
	    {96, 300, LK_OK},
	    {95, 300, LK_EPROTO}, /* inside of the entries */
	    {72, 24, LK_EPROTO},
	    {0, 96, LK_EPROTO},
	    {97, 300, LK_EPROTO}, /* inside, but no DER there */
	    {96, 299, LK_EPROTO},
	    {96, 301, LK_EPROTO},
	    {96, ROOM - 95, LK_EPROTO}, /* one byte behind the end */
	    {ROOM, 1, LK_EPROTO},
	    {ROOM + 1, 0, LK_EPROTO},
	    {UINT32_MAX, 1, LK_EPROTO},
	    {96, UINT32_MAX, LK_EPROTO},
	    {UINT32_MAX, UINT32_MAX, LK_EPROTO},
	    {0x80000000, 0x80000000, LK_EPROTO},
	    {ROOM, 0, LK_OK}, /* nothing, at the end */
	    {96, 1, LK_EPROTO},
	    {96, 0, LK_OK},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		good();
		entry(0, guids[VCEK], rows[i].at, rows[i].n);
		enum lk_code rc = parse(ROOM);
		if (rc != rows[i].code)
			T_FAIL("row %zu: %d, %s", i, (int)rc, err.msg);
		/* An entry of another kind has to be inside just the same. */
		table[0] ^= 0xFF;
		OK(rows[i].at < 96 || rows[i].at + (uint64_t)rows[i].n > ROOM
			? parse(ROOM) == LK_EPROTO
			: parse(ROOM) == LK_OK);
	}
}

T(table_twice_the_same)
{
	good();
	entry(1, guids[VCEK], 500, 301);
	EQ_CODE(LK_EPROTO, parse(ROOM));
	OK(strstr(err.msg, "two VCEK") != NULL);
}

T(table_without_end)
{
	memset(table, 0xAA, sizeof(table));
	for (size_t n = 0; n < 1000; n++)
		OK(parse(n) == (n == 0 ? LK_EABSENT : LK_EPROTO));
	/* 32 entries, and one more */
	for (unsigned count = 32; count <= 33; count++) {
		memset(table, 0, sizeof(table));
		for (unsigned i = 0; i < count; i++) {
			uint8_t other[16] = {(uint8_t)(i + 1)};
			entry(i, other, 2000, 5);
		}
		EQ_CODE(count == 32 ? LK_OK : LK_EPROTO, parse(ROOM));
	}
}

T(pem)
{
	static uint8_t store[4096];
	struct lk_buf b = LK_BUF(store);
	good();
	EQ_CODE(LK_OK, lk_snp_certs_parse(lk_slice_of(table, ROOM), &certs, &err));
	EQ_CODE(LK_OK, lk_snp_certs_pem(&certs, LK_SNP_VCEK, &b, &err));
	struct lk_slice text = lk_slice_buf(&b), want[] = {certs.vcek, certs.ask, certs.ark};
	for (unsigned i = 0; i < 3; i++) {
		uint8_t base64[600], der[400];
		struct lk_buf t = LK_BUF(base64), d = LK_BUF(der);
		size_t nl;
		NEED(lk_slice_starts(text, LK_S("-----BEGIN CERTIFICATE-----\n")));
		text = lk_slice_sub(text, 28, text.n);
		while (!lk_slice_starts(text, LK_S("-")) && lk_slice_find(text, '\n', &nl)) {
			OK(nl <= 64);
			lk_buf_slice(&t, lk_slice_sub(text, 0, nl));
			text = lk_slice_sub(text, nl + 1, text.n);
		}
		NEED(lk_slice_starts(text, LK_S("-----END CERTIFICATE-----\n")));
		text = lk_slice_sub(text, 26, text.n);
		EQ_CODE(LK_OK, lk_b64_decode(lk_slice_buf(&t), &d, &err));
		EQ_BYTES(d.p, d.n, want[i].p, want[i].n);
	}
	EQ_U(text.n, 0);
	struct lk_buf tight = {.p = store, .cap = b.n - 1};
	EQ_CODE(LK_ELIMIT, lk_snp_certs_pem(&certs, LK_SNP_VCEK, &tight, &err));
}

T(pem_needs_the_signer)
{
	static uint8_t store[4096];
	struct lk_buf b = LK_BUF(store);
	good();
	EQ_CODE(LK_OK, lk_snp_certs_parse(lk_slice_of(table, ROOM), &certs, &err));
	EQ_CODE(LK_EABSENT, lk_snp_certs_pem(&certs, LK_SNP_VLEK, &b, &err));
	OK(strstr(err.msg, "no VLEK") != NULL);
	entry(0, guids[VLEK], 96, 300);
	EQ_CODE(LK_OK, lk_snp_certs_parse(lk_slice_of(table, ROOM), &certs, &err));
	EQ_CODE(LK_OK, lk_snp_certs_pem(&certs, LK_SNP_VLEK, &b, &err));
	EQ_CODE(LK_EABSENT, lk_snp_certs_pem(&certs, LK_SNP_VCEK, &b, &err));
	certs.ark.n = 0;
	EQ_CODE(LK_EABSENT, lk_snp_certs_pem(&certs, LK_SNP_VLEK, &b, &err));
	OK(strstr(err.msg, "no ARK") != NULL);
}

/* The real report: what the protocol notes say of it. */
T(real_report)
{
	static uint8_t file[2000];
	struct lk_buf b = LK_BUF(file);
	char path[300];
	const char *dir = getenv("VECTORS");
	char text[17];
	if (!dir)
		SKIP("VECTORS is not set");
	(void)snprintf(path, sizeof(path), "%s/snp/milan-v2-report.bin", dir);
	EQ_CODE(LK_OK, lk_file_read(path, &b, &err));
	EQ_CODE(LK_OK, lk_snp_parse(lk_slice_buf(&b), &s, &err));
	EQ_U(s.version, 2);
	EQ_U(s.policy, 0x3001f);
	EQ_U(s.vmpl, 0);
	EQ_U(s.sig_algo, 1);
	EQ_U(s.signer, LK_SNP_VCEK);
	OK(!s.debug && !s.chip_masked);
	EQ_U(s.gen, LK_SNP_GEN_MILAN_GENOA);
	lk_snp_tcb_text(s.reported_tcb, text);
	EQ_S(text, "7308000000000003");
	EQ_MEM(s.chip_id.p, "\xb1\x21\x64\xb4", 4);
	EQ_MEM(s.host_data.p, "\xca\xdd\x74\xf7", 4);
	EQ_MEM(s.measurement.p, "\x51\x06\x81\x07", 4);
	OK(lk_slice_is_zero(lk_slice_sub(s.report_data, 32, 32)));
}
