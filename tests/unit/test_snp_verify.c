/* A report against its certificates: made ones of every generation, and the real Milan one, of
 * which no bit may be another. */
#include "lk/snp.h"

#include "lines.h"
#include "lk/b64.h"
#include "lk/io.h"
#include "lk/key.h"
#include "t.h"

/* Under the sanitizers an elliptic curve takes its time. */
#ifdef __SANITIZE_ADDRESS__
#define STEP 41
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STEP 41
#endif
#endif
#ifndef STEP
#define STEP 1
#endif

static struct lk_err err;

__attribute__((constructor)) static void start(void)
{
	if (lk_crypto_start(&err) != LK_OK)
		abort();
}

static enum lk_code code_of(const char *word)
{
	static const struct {
		const char *word;
		enum lk_code code;
	} codes[] = {
	    {"ok", LK_OK}, {"trust", LK_ETRUST}, {"attest", LK_EATTEST}, {"proto", LK_EPROTO}};
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcmp(word, codes[i].word) == 0)
			return codes[i].code;
	printf("Bail out! what is %s?\n", word);
	exit(1);
}

static void check(struct line *l)
{
	struct lk_snp_root roots[] = {{l->w[2], {0}}, {NULL, {0}}};
	const char *product = NULL;
	struct lk_snp s;
	memcpy(roots[0].sha256, line_hex(l, 3).p, 32);
	if (lk_snp_parse(line_hex(l, 4), &s, &err) != LK_OK) {
		T_FAIL("%s: %s", l->w[1], err.msg);
		return;
	}
	struct lk_slice leaf = line_hex(l, 5);
	struct lk_snp_certs certs = {.ask = line_hex(l, 6), .ark = line_hex(l, 7)};
	*(s.signer == LK_SNP_VLEK ? &certs.vlek : &certs.vcek) = leaf;
	for (char *p = l->w[8]; *p != '\0'; p++)
		if (*p == '_')
			*p = ' ';
	err = (struct lk_err){0};
	enum lk_code rc = lk_snp_verify(&s, &certs, roots, &product, &err);
	if (rc != code_of(l->w[0]) || (rc != LK_OK && !strstr(err.msg, l->w[8])))
		T_FAIL("%s: code %d, \"%s\" (%s)", l->w[1], (int)rc, err.msg, l->w[8]);
	if (rc == LK_OK)
		EQ_S(product, l->w[2]);
	/* AMD's own roots vouch for none of these. */
	if (rc == LK_OK)
		EQ_CODE(LK_ETRUST, lk_snp_verify(&s, &certs, NULL, &product, &err));
}

T(made_chains)
{
	FILE *f = popen(LINES_PYTHON "tests/unit/gen_snp.py", "r");
	struct line l = {0};
	unsigned n = 0;
	NEED(f != NULL);
	for (; line_next(f, &l); n++)
		check(&l);
	EQ_I(pclose(f), 0);
	EQ_U(n, 29);
}

/* ---- the real one */

static uint8_t report[LK_SNP_REPORT_SIZE], store[16384];
static struct lk_snp_certs real;
static const char *const skip = "VECTORS is not set";

/* One PEM certificate of the JSON text, whose line breaks are two characters. */
static struct lk_slice next_cert(const char **at, struct lk_buf *out)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	uint8_t text[4096];
	struct lk_buf b = LK_BUF(text);
	size_t from = out->n;
	const char *p = strstr(*at, begin);
	if (p == NULL)
		return lk_slice_of(NULL, 0);
	for (p += sizeof(begin) - 1; *p != '-' && *p != '\0'; p++) {
		if (p[0] == '\\' && (p[1] == 'n' || p[1] == 'r'))
			p++;
		else
			lk_buf_byte(&b, (uint8_t)*p);
	}
	*at = p;
	EQ_CODE(LK_OK, lk_b64_decode(lk_slice_buf(&b), out, &err));
	return lk_slice_of(out->p + from, out->n - from);
}

static bool load(void)
{
	static uint8_t file[10000];
	struct lk_buf b = {.p = file, .cap = sizeof(file) - 1}, r = LK_BUF(report);
	struct lk_buf certs = LK_BUF(store);
	const char *dir = getenv("VECTORS"), *at = (const char *)file;
	char path[300];
	if (!dir)
		return false;
	(void)snprintf(path, sizeof(path), "%s/snp/milan-v2-report.bin", dir);
	EQ_CODE(LK_OK, lk_file_read(path, &r, &err));
	(void)snprintf(path, sizeof(path), "%s/snp/milan-thim.json", dir);
	EQ_CODE(LK_OK, lk_file_read(path, &b, &err));
	/* The order of the members is that of this file. */
	real.vcek = next_cert(&at, &certs);
	real.ask = next_cert(&at, &certs);
	real.ark = next_cert(&at, &certs);
	return true;
}

static enum lk_code verify(const struct lk_snp_certs *certs)
{
	struct lk_snp s;
	const char *product;
	err = (struct lk_err){0};
	enum lk_code rc = lk_snp_parse(lk_slice_of(report, sizeof(report)), &s, &err);
	return rc != LK_OK ? rc : lk_snp_verify(&s, certs, NULL, &product, &err);
}

T(real_report_and_chain)
{
	struct lk_snp s;
	const char *product = NULL;
	if (!load())
		SKIP(skip);
	EQ_CODE(LK_OK, lk_snp_parse(lk_slice_of(report, sizeof(report)), &s, &err));
	EQ_CODE(LK_OK, lk_snp_verify(&s, &real, NULL, &product, &err));
	EQ_S(product, "Milan");
}

/* Every byte of the report, another bit each time: signed part, signature and what must be zero. */
T(real_report_with_one_bit_flipped)
{
	if (!load())
		SKIP(skip);
	for (size_t i = 0; i < sizeof(report); i += STEP) {
		uint8_t bit = (uint8_t)(1u << (i * 3 + i / 8) % 8);
		report[i] ^= bit;
		if (verify(&real) == LK_OK)
			T_FAIL("byte %zu, mask %02x is accepted", i, bit);
		report[i] ^= bit;
	}
	EQ_CODE(LK_OK, verify(&real));
}

/* Every bit of the VCEK, and many of the two above it. */
T(real_chain_with_one_bit_flipped)
{
	if (!load())
		SKIP(skip);
	struct lk_slice all[] = {real.vcek, real.ask, real.ark};
	for (size_t k = 0; k < 3; k++)
		for (size_t bit = 0; bit < all[k].n * 8; bit += k == 0 ? STEP : STEP * 7) {
			uint8_t *p = store + (all[k].p - store) + bit / 8;
			*p ^= (uint8_t)(1u << bit % 8);
			if (verify(&real) == LK_OK)
				T_FAIL("certificate %zu, bit %zu is accepted", k, bit);
			*p ^= (uint8_t)(1u << bit % 8);
		}
	EQ_CODE(LK_OK, verify(&real));
}

/* Cut off or with something behind. */
T(real_chain_of_other_lengths)
{
	if (!load())
		SKIP(skip);
	for (size_t n = 0; n < real.vcek.n + 3; n++) {
		struct lk_snp_certs certs = real;
		certs.vcek.n = n;
		if ((verify(&certs) == LK_OK) != (n == real.vcek.n))
			T_FAIL("%zu bytes of %zu: %s", n, real.vcek.n, err.msg);
	}
	struct lk_snp_certs swapped = {.vcek = real.vcek, .ask = real.ark, .ark = real.ask};
	EQ_CODE(LK_ETRUST, verify(&swapped));
	swapped = (struct lk_snp_certs){.vcek = real.ask, .ask = real.ask, .ark = real.ark};
	OK(verify(&swapped) != LK_OK);
	swapped = (struct lk_snp_certs){.vlek = real.vcek, .ask = real.ask, .ark = real.ark};
	EQ_CODE(LK_EABSENT, verify(&swapped));
}

/* A report of other firmware: the message has both in words. */
T(real_report_of_other_firmware)
{
	if (!load())
		SKIP(skip);
	report[0x187] = 0x74;
	EQ_CODE(LK_EATTEST, verify(&real));
	OK(strstr(err.msg, "snp 8 microcode 115)") != NULL);
	OK(strstr(err.msg, "snp 8 microcode 116)") != NULL);
	OK(err.hint[0] != '\0');
}

/* ---- the primitive itself */

T(ecdsa_refuses_what_is_no_signature)
{
	static const uint8_t one[48] = {[47] = 1}, zero[48];
	struct lk_slice d = lk_slice_of(one, 48), z = lk_slice_of(zero, 48);
	uint8_t big[48];
	struct lk_pub k;
	memset(big, 0xFF, sizeof(big));
	EQ_CODE(LK_OK, lk_pub_ec(LK_P384, d, d, &k, &err));
	EQ_CODE(LK_EPROTO, lk_ecdsa_verify(&k, d, d, d, &err)); /* no point on the curve */
	if (!load())
		SKIP(skip);
	size_t at = real.vcek.n;
	for (size_t i = 0; i + 120 < real.vcek.n; i++) /* subjectPublicKeyInfo of P-384 */
		if (memcmp(real.vcek.p + i, "\x30\x76\x30\x10\x06\x07", 6) == 0)
			at = i + 24;
	NEED(at < real.vcek.n);
	EQ_CODE(LK_OK, lk_pub_ec(LK_P384, lk_slice_of(real.vcek.p + at, 48),
			   lk_slice_of(real.vcek.p + at + 48, 48), &k, &err));
	EQ_CODE(LK_ETRUST, lk_ecdsa_verify(&k, d, z, z, &err));
	EQ_CODE(LK_ETRUST, lk_ecdsa_verify(&k, d, z, d, &err));
	EQ_CODE(LK_ETRUST, lk_ecdsa_verify(&k, d, d, z, &err));
	EQ_CODE(LK_ETRUST, lk_ecdsa_verify(&k, d, lk_slice_of(big, 48), d, &err));
	EQ_CODE(LK_ETRUST, lk_ecdsa_verify(&k, d, d, lk_slice_of(big, 48), &err));
	EQ_CODE(LK_ETRUST, lk_ecdsa_verify(&k, d, d, d, &err));
	EQ_CODE(LK_ETRUST, lk_ecdsa_verify(&k, d, lk_slice_of(NULL, 0), d, &err));
}
