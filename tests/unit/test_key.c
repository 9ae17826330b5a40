/* Canonical form of released keys in every encoding that an HSM might choose; RFC 7638. */
#include "t.h"

#include "lines.h"
#include "lk/b64.h"
#include "lk/der.h"
#include "lk/key.h"

static struct lk_err e;

__attribute__((constructor)) static void start(void)
{
	if (lk_crypto_start(&e) != LK_OK)
		abort();
}

/* A line "ok|bad NAME ... IKM DER", its IKM in word i. */
static void check_canonical(const struct lk_pub *pub, struct line *l, unsigned i)
{
	struct lk_secret ikm = {.n = 7};
	struct lk_slice want = line_hex(l, i), der = line_hex(l, i + 1);
	memset(&e, 0, sizeof(e));
	enum lk_code rc = lk_key_canonical(pub, der, &ikm, &e);
	bool ok = strcmp(l->w[0], "ok") == 0;
	if (rc != (ok ? LK_OK : LK_EUNWRAP))
		T_FAIL("%s %s: code %d, %s", l->w[0], l->w[1], (int)rc, e.msg);
	if (ok && !lk_slice_eq(want, lk_secret_slice(&ikm)))
		T_FAIL("%s: another canonical form (%zu bytes)", l->w[1], ikm.n);
	if (!ok)
		OK(ikm.n == 0 && lk_slice_is_zero(lk_slice_of(ikm.p, sizeof(ikm.p))));
	if (!ok)
		OK(e.msg[0] != 0);
}

static void rsa(const char *cmd, size_t bytes)
{
	FILE *f = popen(cmd, "r");
	struct line l = {0};
	unsigned good = 0, bad = 0;
	NEED(f != NULL);
	while (line_next(f, &l)) {
		struct lk_pub pub;
		EQ_CODE(LK_OK, lk_pub_rsa(line_hex(&l, 2), line_hex(&l, 3), &pub, &e));
		EQ_U(pub.n_len, bytes);
		check_canonical(&pub, &l, 4);
		strcmp(l.w[0], "ok") == 0 ? good++ : bad++;
	}
	EQ_I(pclose(f), 0);
	EQ_U(good, 18);
	EQ_U(bad, 18);
}

T(rsa_2048)
{
	rsa(LINES_PYTHON "tests/unit/gen_keys.py rsa 2048", 256);
}

T(rsa_3072)
{
	rsa(LINES_PYTHON "tests/unit/gen_keys.py rsa 3072", 384);
}

T(rsa_4096)
{
	rsa(LINES_PYTHON "tests/unit/gen_keys.py rsa 4096", 512);
}

/* A modulus of an odd number of bytes: half of it is rounded up. */
T(rsa_2056)
{
	rsa(LINES_PYTHON "tests/unit/gen_keys.py rsa 2056", 257);
}

T(ec_and_its_thumbprints)
{
	FILE *f = popen(LINES_PYTHON "tests/unit/gen_keys.py ec", "r");
	struct line l = {0};
	unsigned good = 0, bad = 0, thumbs = 0;
	NEED(f != NULL);
	while (line_next(f, &l)) {
		struct lk_pub pub;
		enum lk_curve c = LK_P256;
		char text[44];
		OK(lk_curve_parse(lk_slice_str(l.w[2]), &c));
		EQ_S(lk_curve_name(c), l.w[2]);
		EQ_CODE(LK_OK, lk_pub_ec(c, line_hex(&l, 3), line_hex(&l, 4), &pub, &e));
		EQ_U(pub.n_len, lk_curve_size(c));
		EQ_U(pub.e_len, lk_curve_size(c));
		if (strcmp(l.w[0], "thumb") == 0) {
			EQ_CODE(LK_OK, lk_pub_thumbprint(&pub, text, &e));
			EQ_S(text, l.w[5]);
			thumbs++;
			continue;
		}
		check_canonical(&pub, &l, 5);
		strcmp(l.w[0], "ok") == 0 ? good++ : bad++;
	}
	EQ_I(pclose(f), 0);
	EQ_U(thumbs, 6);
	EQ_U(good, 30);
	EQ_U(bad, 84);
}

T(oct)
{
	const struct lk_pub pub = {.kty = LK_KTY_OCT};
	uint8_t key[80];
	char text[44];
	memset(key, 0x5a, sizeof(key));
	for (size_t n = 0; n <= sizeof(key); n++) {
		struct lk_secret ikm = {.n = 3};
		enum lk_code want = n >= 16 && n <= 64 ? LK_OK : LK_EUNWRAP;
		EQ_CODE(want, lk_key_canonical(&pub, lk_slice_of(key, n), &ikm, &e));
		EQ_BYTES(ikm.p, ikm.n, key, want == LK_OK ? n : 0);
	}
	EQ_CODE(LK_EUSAGE, lk_pub_thumbprint(&pub, text, &e));
}

/* RFC 7638, section 3.1 */
static const char rfc7638_n[] =
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPeb"
    "WKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368Q"
    "QMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2"
    "NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

static void rsa_example(struct lk_pub *pub)
{
	uint8_t n[257] = {0};
	struct lk_buf b = LK_BUF(n);
	lk_buf_byte(&b, 0); /* leading zeros change nothing */
	EQ_CODE(LK_OK, lk_b64url_decode(lk_slice_str(rfc7638_n), &b, &e));
	EQ_CODE(LK_OK, lk_pub_rsa(lk_slice_buf(&b), LK_S("\0\x01\0\x01"), pub, &e));
}

T(thumbprint_of_rfc7638)
{
	struct lk_pub pub;
	char text[44];
	rsa_example(&pub);
	EQ_CODE(LK_OK, lk_pub_thumbprint(&pub, text, &e));
	EQ_S(text, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

T(public_keys_out_of_range)
{
	struct lk_pub pub, out;
	rsa_example(&pub);
	struct lk_slice n = lk_slice_of(pub.n, pub.n_len), exp = LK_S("\x01\0\x01");
	uint8_t big[LK_RSA_MAX + 1];
	memset(big, 0xff, sizeof(big));
	EQ_CODE(LK_OK, lk_pub_rsa(lk_slice_of(big, LK_RSA_MAX), exp, &out, &e));
	EQ_CODE(LK_EPROTO, lk_pub_rsa(lk_slice_of(big, LK_RSA_MAX + 1), exp, &out, &e));
	EQ_CODE(LK_EPROTO, lk_pub_rsa(lk_slice_of(big, 255), exp, &out, &e));
	big[0] = 0x7f; /* 2047 bits */
	EQ_CODE(LK_EPROTO, lk_pub_rsa(lk_slice_of(big, 256), exp, &out, &e));
	big[0] = 0x80;
	EQ_CODE(LK_OK, lk_pub_rsa(lk_slice_of(big, 256), exp, &out, &e));
	big[255] = 0xfe;
	EQ_CODE(LK_EPROTO, lk_pub_rsa(lk_slice_of(big, 256), exp, &out, &e));
	EQ_CODE(LK_EPROTO, lk_pub_rsa(LK_S(""), exp, &out, &e));
	EQ_CODE(LK_OK, lk_pub_rsa(n, LK_S("\x03"), &out, &e));
	EQ_CODE(LK_EPROTO, lk_pub_rsa(n, LK_S("\x01"), &out, &e));
	EQ_CODE(LK_EPROTO, lk_pub_rsa(n, LK_S("\x01\0"), &out, &e));
	EQ_CODE(LK_EPROTO, lk_pub_rsa(n, LK_S("\0"), &out, &e));
	EQ_CODE(LK_EPROTO, lk_pub_rsa(n, LK_S(""), &out, &e));
	EQ_CODE(LK_EPROTO, lk_pub_rsa(n, n, &out, &e));
	EQ_CODE(LK_EPROTO, lk_pub_ec(LK_P256, lk_slice_of(big, 33), LK_S("\1"), &out, &e));
	EQ_CODE(LK_OK, lk_pub_ec(LK_P384, lk_slice_of(big, 48), LK_S("\1"), &out, &e));
	EQ_U(out.e[47], 1);
	EQ_U(out.e[0], 0);
}

T(equality)
{
	struct lk_pub a, b;
	rsa_example(&a);
	rsa_example(&b);
	OK(lk_pub_eq(&a, &b));
	b.n[255] ^= 1;
	OK(!lk_pub_eq(&a, &b));
	EQ_CODE(LK_OK, lk_pub_rsa(lk_slice_of(a.n, a.n_len), LK_S("\x03"), &b, &e));
	OK(!lk_pub_eq(&a, &b));
	struct lk_pub x = {.kty = LK_KTY_EC, .curve = LK_P256, .n_len = 32, .e_len = 32};
	struct lk_pub y = x;
	OK(lk_pub_eq(&x, &y));
	OK(!lk_pub_eq(&a, &x));
	y.curve = LK_P384;
	OK(!lk_pub_eq(&x, &y));
	enum lk_curve c;
	OK(!lk_curve_parse(LK_S("P-256K"), &c));
	OK(!lk_curve_parse(LK_S("p-256"), &c));
	OK(!lk_curve_parse(LK_S(""), &c));
}

T(der_lengths_and_tags)
{
	const struct {
		const char *name;
		struct lk_slice in;
		bool take, skip;
	} cases[] = {
	    {"empty content", LK_S("\x04\x00"), true, true},
	    {"one byte", LK_S("\x04\x01x"), true, true},
	    {"nothing", LK_S(""), false, false},
	    {"tag only", LK_S("\x04"), false, false},
	    {"too short", LK_S("\x04\x02x"), false, false},
	    {"other tag", LK_S("\x05\x00"), false, true},
	    {"0x81 for a short length", LK_S("\x04\x81\x01x"), false, false},
	    {"0x81 without a byte", LK_S("\x04\x81"), false, false},
	    {"0x82 with a zero", LK_S("\x04\x82\x00\x01x"), false, false},
	    {"0x82 cut", LK_S("\x04\x82\x01"), false, false},
	    {"indefinite", LK_S("\x04\x80x\0\0"), false, false},
	    {"0x84", LK_S("\x04\x84\0\0\0\x01x"), false, false},
	    {"0xff", LK_S("\x04\xff"), false, false},
	    {"long tag", LK_S("\x1f\x04\x01x"), false, false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lk_slice in = cases[i].in, body;
		if (lk_der_take(&in, LK_DER_OCTETS, &body) != cases[i].take)
			T_FAIL("take: %s", cases[i].name);
		EQ_U(in.n, cases[i].take ? 0 : cases[i].in.n);
		in = cases[i].in;
		if (lk_der_skip(&in, &body) != cases[i].skip)
			T_FAIL("skip: %s", cases[i].name);
		EQ_U(in.n, cases[i].skip ? 0 : cases[i].in.n);
	}
	uint8_t big[4 + 0x1234] = {0x04, 0x82, 0x12, 0x34};
	struct lk_slice in = lk_slice_of(big, sizeof(big)), body;
	OK(lk_der_take(&in, LK_DER_OCTETS, &body));
	EQ_U(body.n, 0x1234);
	in = lk_slice_of(big, sizeof(big) - 1);
	OK(!lk_der_take(&in, LK_DER_OCTETS, &body));
	in = LK_S("\x02\x03\0\0\x05\x02\x01\0\x02\0");
	OK(lk_der_uint(&in, &body));
	EQ_BYTES(body.p, body.n, "\x05", 1);
	OK(lk_der_uint(&in, &body));
	EQ_U(body.n, 0);
	OK(!lk_der_uint(&in, &body)); /* an INTEGER has at least one byte */
	EQ_U(in.n, 2);
}
