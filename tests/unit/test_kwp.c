/* RFC 5649, section 6; Wycheproof with VECTORS; and every kind of damage gives one answer. */
#include "t.h"

#include "lines.h"
#include "lk/crypto.h"
#include "lk/kwp.h"

static struct lk_err e;

static const uint8_t kek24[24] = {0x58, 0x40, 0xdf, 0x6e, 0x29, 0xb0, 0x2a, 0xf1, 0xab, 0x49, 0x3b,
    0x70, 0x5b, 0xf1, 0x6e, 0xa1, 0xae, 0x83, 0x38, 0xf4, 0xdc, 0xc1, 0x76, 0xa8};
static const uint8_t key20[20] = {0xc3, 0x7b, 0x7e, 0x64, 0x92, 0x58, 0x43, 0x40, 0xbe, 0xd1, 0x22,
    0x07, 0x80, 0x89, 0x41, 0x15, 0x50, 0x68, 0xf7, 0x38};
static const uint8_t wrapped20[32] = {0x13, 0x8b, 0xde, 0xaa, 0x9b, 0x8f, 0xa7, 0xfc, 0x61, 0xf9,
    0x77, 0x42, 0xe7, 0x22, 0x48, 0xee, 0x5a, 0xe6, 0xae, 0x53, 0x60, 0xd1, 0xae, 0x6a, 0x5f, 0x54,
    0xf3, 0x73, 0xfa, 0x54, 0x3b, 0x6a};
static const uint8_t wrapped7[16] = {
    0xaf, 0xbe, 0xb0, 0xf0, 0x7d, 0xfb, 0xf5, 0x41, 0x92, 0x00, 0xf2, 0xcc, 0xb5, 0x0b, 0xb2, 0x4f};
static const uint8_t key7[7] = {0x46, 0x6f, 0x72, 0x50, 0x61, 0x73, 0x69};

#define KEK lk_slice_of(kek24, sizeof(kek24))

/* The wrapping function W over whatever integrity value and plaintext the test likes. */
static void wrap(struct lk_slice kek, uint8_t *b, size_t n)
{
	uint8_t blk[16];
	if (n == 1) {
		EQ_CODE(LK_OK, lk_aes_block(kek, false, b, blk, &e));
		memcpy(b, blk, 16);
		return;
	}
	for (uint64_t t = 1; t <= 6 * n; t++) {
		uint8_t *r = b + ((t - 1) % n + 1) * 8;
		memcpy(blk, b, 8);
		memcpy(blk + 8, r, 8);
		EQ_CODE(LK_OK, lk_aes_block(kek, false, blk, blk, &e));
		for (unsigned i = 0; i < 8; i++)
			blk[7 - i] ^= (uint8_t)(t >> 8 * i);
		memcpy(b, blk, 8);
		memcpy(r, blk + 8, 8);
	}
}

/* aiv || mli || n semiblocks of which all bytes from `fill` on are `pad`. */
static enum lk_code wrapped_like(
    uint32_t aiv, uint32_t mli, size_t n, size_t fill, uint8_t pad, struct lk_secret *out)
{
	uint8_t raw[8 + 8 * 8];
	struct lk_buf b = LK_BUF(raw);
	lk_buf_be32(&b, aiv);
	lk_buf_be32(&b, mli);
	for (size_t i = 0; i < n * 8; i++)
		lk_buf_byte(&b, i < fill ? (uint8_t)(i + 1) : pad);
	wrap(KEK, raw, n);
	memset(&e, 0, sizeof(e));
	return lk_kwp_unwrap(KEK, lk_slice_of(raw, b.n), out, &e);
}

T(rfc5649_examples)
{
	struct lk_secret out = {0};
	EQ_CODE(LK_OK, lk_kwp_unwrap(KEK, lk_slice_of(wrapped20, 32), &out, &e));
	EQ_BYTES(out.p, out.n, key20, 20);
	EQ_CODE(LK_OK, lk_kwp_unwrap(KEK, lk_slice_of(wrapped7, 16), &out, &e));
	EQ_BYTES(out.p, out.n, key7, 7);
}

T(every_flipped_bit_gives_the_same_answer)
{
	struct lk_secret out = {0};
	uint8_t bad[32];
	for (unsigned bit = 0; bit < 256; bit++) {
		memcpy(bad, wrapped20, 32);
		bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
		memset(&e, 0, sizeof(e));
		out.n = 5;
		EQ_CODE(LK_ECRYPTO, lk_kwp_unwrap(KEK, lk_slice_of(bad, 32), &out, &e));
		EQ_S(e.msg, "key unwrap failed: wrong key or altered data");
		EQ_U(e.lib, 0);
		EQ_U(out.n, 0);
		OK(lk_slice_is_zero(lk_slice_of(out.p, sizeof(out.p))));
	}
}

T(integrity_value_length_and_padding_are_checked)
{
	const uint32_t aiv = 0xa65959a6;
	struct lk_secret out = {0};
	for (size_t n = 1; n <= 8; n++) {
		for (size_t mli = 0; mli <= 8 * n + 9; mli++) {
			bool right = mli > 8 * (n - 1) && mli <= 8 * n;
			EQ_CODE(right ? LK_OK : LK_ECRYPTO,
			    wrapped_like(aiv, (uint32_t)mli, n, mli, 0, &out));
			if (right)
				EQ_U(out.n, mli);
			else
				EQ_S(e.msg, "key unwrap failed: wrong key or altered data");
			if (right && mli < 8 * n)
				EQ_CODE(
				    LK_ECRYPTO, wrapped_like(aiv, (uint32_t)mli, n, mli, 1, &out));
			if (right && mli < 8 * n)
				EQ_CODE(LK_ECRYPTO,
				    wrapped_like(aiv, (uint32_t)mli, n, 8 * n, 0, &out));
		}
		for (unsigned bit = 0; bit < 32; bit++) {
			EQ_CODE(LK_ECRYPTO,
			    wrapped_like(aiv ^ 1u << bit, (uint32_t)n * 8, n, 64, 0, &out));
			EQ_CODE(LK_ECRYPTO,
			    wrapped_like(aiv, (uint32_t)(n * 8 - 4) ^ 1u << (bit < 3 ? 31 : bit), n,
				n * 8 - 4, 0, &out));
		}
		/* the integrity value of RFC 3394 is not that of 5649 */
		EQ_CODE(LK_ECRYPTO, wrapped_like(0xa6a6a6a6, 0xa6a6a6a6, n, n * 8, 0, &out));
	}
}

T(lengths_that_cannot_be)
{
	static const uint8_t zeros[LK_SECRET_MAX + 64];
	struct lk_secret out = {0};
	for (size_t n = 0; n < 64; n++)
		EQ_CODE(n < 16 || n % 8 != 0 ? LK_EPROTO : LK_ECRYPTO,
		    lk_kwp_unwrap(KEK, lk_slice_of(zeros, n), &out, &e));
	EQ_CODE(LK_ECRYPTO, lk_kwp_unwrap(KEK, lk_slice_of(zeros, LK_SECRET_MAX), &out, &e));
	EQ_CODE(LK_ELIMIT, lk_kwp_unwrap(KEK, lk_slice_of(zeros, LK_SECRET_MAX + 8), &out, &e));
	EQ_CODE(LK_EPROTO, lk_kwp_unwrap(lk_slice_of(kek24, 23), lk_slice_of(zeros, 32), &out, &e));
}

/* More than 42 semiblocks: the counter is wider than one byte. */
T(long_keys_against_another_implementation)
{
	FILE *f = popen(LINES_PYTHON "tests/unit/gen_keys.py kwp", "r");
	struct line l = {0};
	unsigned n = 0;
	NEED(f != NULL);
	while (line_next(f, &l)) {
		struct lk_secret out = {0};
		struct lk_slice kek = line_hex(&l, 1), plain = line_hex(&l, 2),
				in = line_hex(&l, 3);
		EQ_CODE(LK_OK, lk_kwp_unwrap(kek, in, &out, &e));
		EQ_BYTES(out.p, out.n, plain.p, plain.n);
		n++;
	}
	EQ_I(pclose(f), 0);
	EQ_U(n, 9);
}

T(wycheproof)
{
	const char *vectors = getenv("VECTORS");
	char cmd[1000];
	if (vectors == NULL || *vectors == 0)
		SKIP("VECTORS is not set");
	snprintf(cmd, sizeof(cmd), LINES_PYTHON "tests/unit/wycheproof.py '%s/wycheproof/%s'",
	    vectors, "aes_kwp_test.json");
	FILE *f = popen(cmd, "r");
	struct line l = {0};
	unsigned good = 0, bad = 0;
	NEED(f != NULL);
	while (line_next(f, &l)) {
		struct lk_secret out = {0};
		struct lk_slice kek = line_hex(&l, 2), plain = line_hex(&l, 3),
				in = line_hex(&l, 4);
		bool valid = strcmp(l.w[0], "valid") == 0;
		enum lk_code rc = lk_kwp_unwrap(kek, in, &out, &e);
		if ((rc == LK_OK) != valid)
			T_FAIL("case %s is %s, got code %d", l.w[1], l.w[0], (int)rc);
		if (rc == LK_OK)
			EQ_BYTES(out.p, out.n, plain.p, plain.n);
		valid ? good++ : bad++;
	}
	EQ_I(pclose(f), 0);
	EQ_U(good, 77);
	EQ_U(bad, 177);
}

/* The library must be started before anything else; this runs first of all constructors' users. */
__attribute__((constructor)) static void start(void)
{
	if (lk_crypto_start(&e) != LK_OK)
		abort();
}
