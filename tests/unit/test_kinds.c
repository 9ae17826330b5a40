/* The kinds of binding: what proves them, the secret of each, and keys whose encoding changes. */
#include "t.h"

#include "kind_sample.h"
#include "lines.h"

static struct lk_err e;

__attribute__((constructor)) static void start(void)
{
	if (lk_crypto_start(&e) != LK_OK)
		abort();
}

static void ikm_of(struct lk_secret *ikm)
{
	ikm->n = 128;
	for (size_t i = 0; i < ikm->n; i++)
		ikm->p[i] = (uint8_t)i;
}

/* ---- MAC */

/* Worked out as in test_binding.c; compat with "kdf-salt" bytes(range(32)) and the usual label, and
 * with an empty one and the label "x". That of derived is in test_binding.c: adding kinds must not
 * change it. */
static const uint8_t want_raw[32] = {0x73, 0x33, 0xd3, 0xc0, 0x36, 0xdc, 0x38, 0xc3, 0xf0, 0x5f,
    0x62, 0xe0, 0xd6, 0x4e, 0x23, 0xf7, 0x6f, 0x5d, 0x80, 0x51, 0x86, 0x48, 0xed, 0x44, 0x0d, 0xa5,
    0x6f, 0xe9, 0x68, 0x54, 0xa6, 0xef};
static const uint8_t want_compat[32] = {0x89, 0x72, 0x6b, 0x10, 0xbf, 0x86, 0xc4, 0xfb, 0xfe, 0x53,
    0xdf, 0xfe, 0x60, 0x9c, 0x8c, 0x3e, 0xbc, 0xf6, 0xb8, 0x1b, 0x3e, 0xaa, 0x9b, 0xe3, 0xa2, 0xf7,
    0x2d, 0x86, 0x0f, 0x17, 0xff, 0xce};
static const uint8_t want_short[32] = {0xa3, 0xc5, 0xc5, 0x83, 0x5c, 0xb6, 0xed, 0x00, 0xb0, 0x46,
    0xbd, 0x4c, 0x99, 0x83, 0xa8, 0x31, 0xb6, 0x55, 0x31, 0xb9, 0xdb, 0x12, 0x52, 0x36, 0x3c, 0x91,
    0xcd, 0x05, 0xb2, 0xc1, 0xa4, 0xa3};

T(the_macs_are_the_known_answers)
{
	struct lk_binding b = kind_sample(LK_RAW);
	LK_SECRET ikm = {0};

	ikm_of(&ikm);
	EQ_CODE(LK_OK, lk_binding_seal(&b, &ikm, &e));
	EQ_MEM(b.mac, want_raw, 32);
	b = kind_sample(LK_COMPAT);
	EQ_CODE(LK_OK, lk_binding_seal(&b, &ikm, &e));
	EQ_MEM(b.mac, want_compat, 32);
	EQ_CODE(LK_OK, lk_binding_verify(&b, &ikm, &e));
	b.kdf_salt_len = 0;
	strcpy(b.label, "x");
	EQ_CODE(LK_OK, lk_binding_seal(&b, &ikm, &e));
	EQ_MEM(b.mac, want_short, 32);
}

static bool edit(struct lk_binding *b, unsigned i)
{
	char *const text[] = {b->id, b->kind, b->key + 8, b->attest + 8, b->thumbprint, b->uuid};

	if (i < 6)
		text[i][0] ^= 1;
	else if (i == 6)
		b->salt[0] ^= 1;
	else if (i == 7)
		b->mac[31] ^= 1;
	else if (i == 8)
		strcpy(b->kind, lk_binding_is(b, LK_DERIVED) ? "raw" : "derived");
	else if (i == 9)
		strcpy(b->kind, lk_binding_is(b, LK_COMPAT) ? "raw" : "compat");
	else if (!lk_binding_is(b, LK_COMPAT))
		return false;
	else if (i == 10)
		b->kdf_salt[0] ^= 1;
	else if (i == 11)
		b->kdf_salt_len--;
	else if (i == 12)
		b->kdf_salt[b->kdf_salt_len++] = 0;
	else if (i == 13)
		b->label[0] ^= 1;
	else if (i == 14)
		b->label[strlen(b->label) - 1] = '\0';
	else if (i == 15) { /* a byte that moves from one field to the next */
		b->kdf_salt[31] = 'x';
		memmove(b->label + 1, b->label, strlen(b->label) + 1);
		b->label[0] = 'x';
		b->kdf_salt_len--;
	} else
		return false;
	return true;
}

T(every_edited_field_is_refused)
{
	static const unsigned edits[] = {[LK_DERIVED] = 10, [LK_RAW] = 10, [LK_COMPAT] = 16};
	LK_SECRET ikm = {0};

	ikm_of(&ikm);
	for (enum lk_kind k = LK_DERIVED; k <= LK_COMPAT; k++) {
		unsigned done = 0;

		for (;;) {
			struct lk_binding b = kind_sample(k);

			NEED(lk_binding_seal(&b, &ikm, &e) == LK_OK);
			if (!edit(&b, done))
				break;
			/* an unknown kind is refused for itself */
			enum lk_code rc = lk_binding_verify(&b, &ikm, &e);
			if (rc != (done == 1 ? LK_ECONF : LK_ETRUST))
				T_FAIL("%s, edit %u: code %d", lk_kind_name(k), done, (int)rc);
			done++;
		}
		EQ_U(done, edits[k]);
	}
}

T(a_wrapped_one_has_no_mac)
{
	struct lk_binding b = kind_sample(LK_WRAPPED);
	LK_SECRET ikm = {0};

	ikm_of(&ikm);
	EQ_CODE(LK_EUSAGE, lk_binding_seal(&b, &ikm, &e));
	EQ_CODE(LK_EUSAGE, lk_binding_verify(&b, &ikm, &e));
	OK(lk_slice_is_zero(lk_slice_of(b.mac, 32)));
}

/* ---- which keys */

T(a_kind_is_for_its_keys)
{
	static const char *const name[] = {"", "RSA", "EC", "oct"};
	static const bool good[4][4] = {[LK_DERIVED] = {0, 1, 1, 1},
	    [LK_RAW] = {0, 0, 0, 1},
	    [LK_COMPAT] = {0, 1, 0, 0},
	    [LK_WRAPPED] = {0, 1, 0, 0}};
	LK_SECRET ikm = {0}, out = {0};

	ikm_of(&ikm);
	ikm.n = 32;
	for (enum lk_kind k = LK_DERIVED; k <= LK_WRAPPED; k++)
		for (enum lk_kty t = LK_KTY_RSA; t <= LK_KTY_OCT; t++) {
			struct lk_binding b = kind_sample(k);
			const struct lk_pub pub = {.kty = t};

			EQ_CODE(good[k][t] ? LK_OK : LK_ECONF, lk_binding_fits(&b, t, &e));
			if (good[k][t])
				continue;
			if (!strstr(e.msg, lk_kind_name(k)) || !strstr(e.msg, name[t]))
				T_FAIL("%s and %s are not in: %s", lk_kind_name(k), name[t], e.msg);
			out.n = 5;
			EQ_CODE(LK_ECONF, lk_binding_disk_key(&b, &pub, LK_S("x"), &ikm, &out, &e));
			EQ_U(out.n, 0);
		}
	struct lk_binding b = kind_sample(LK_RAW);
	strcpy(b.kind, "better");
	EQ_CODE(LK_ECONF, lk_binding_fits(&b, LK_KTY_OCT, &e));
	EQ_S(e.msg, "token 3: kind better is not known");
}

/* ---- secrets */

static void pub_of(struct line *l, struct lk_pub *pub)
{
	enum lk_curve c = LK_P256;

	memset(pub, 0, sizeof(*pub));
	pub->kty = LK_KTY_OCT;
	if (strcmp(l->w[1], "RSA") == 0)
		EQ_CODE(LK_OK, lk_pub_rsa(line_hex(l, 2), line_hex(l, 3), pub, &e));
	else if (lk_curve_parse(lk_slice_str(l->w[1]), &c))
		EQ_CODE(LK_OK, lk_pub_ec(c, line_hex(l, 2), line_hex(l, 3), pub, &e));
}

static void check_compat(const struct lk_pub *pub, struct lk_slice der, struct lk_slice want,
    const struct lk_secret *ikm, const char *name)
{
	struct lk_binding b = kind_sample(LK_COMPAT);
	LK_SECRET out = {0};
	enum lk_code rc = lk_binding_disk_key(&b, pub, der, ikm, &out, &e);

	if (rc != (want.n ? LK_OK : LK_EUNWRAP))
		T_FAIL("%s: code %d, %s", name, (int)rc, e.msg);
	EQ_BYTES(out.p, out.n, want.p, want.n);
}

/* A token sealed with the first encoding is proved by every other, and gives the secret that
 * another implementation worked out. `other` counts the encodings whose compat secret is not that
 * of the first. */
static void reencoded(const char *cmd, unsigned lines, unsigned other)
{
	FILE *f = popen(cmd, "r");
	struct line l = {0};
	struct lk_binding b = kind_sample(LK_DERIVED);
	uint8_t first[32] = {0};
	unsigned n = 0, differ = 0;

	NEED(f != NULL);
	for (; line_next(f, &l); n++) {
		struct lk_pub pub;
		LK_SECRET ikm = {0}, out = {0};

		pub_of(&l, &pub);
		struct lk_slice der = line_hex(&l, 4), want = line_hex(&l, 5),
				compat = line_hex(&l, 6);
		EQ_CODE(LK_OK, lk_key_canonical(&pub, der, &ikm, &e));
		if (n == 0 || pub.kty != LK_KTY_RSA)
			EQ_CODE(LK_OK, lk_binding_seal(&b, &ikm, &e));
		EQ_CODE(LK_OK, lk_binding_verify(&b, &ikm, &e));
		EQ_CODE(LK_OK, lk_binding_disk_key(&b, &pub, der, &ikm, &out, &e));
		EQ_BYTES(out.p, out.n, want.p, want.n);
		if (pub.kty == LK_KTY_RSA)
			check_compat(&pub, der, compat, &ikm, l.w[0]);
		if (n == 0 && compat.n == 32)
			memcpy(first, compat.p, 32);
		differ += pub.kty == LK_KTY_RSA && !lk_slice_eq(compat, lk_slice_of(first, 32));
		struct lk_binding r = kind_sample(LK_RAW);
		EQ_CODE(pub.kty == LK_KTY_OCT ? LK_OK : LK_ECONF,
		    lk_binding_disk_key(&r, &pub, der, &ikm, &out, &e));
		if (pub.kty == LK_KTY_OCT)
			EQ_BYTES(out.p, out.n, der.p, der.n);
	}
	EQ_I(pclose(f), 0);
	EQ_U(n, lines);
	EQ_U(differ, other);
}

/* Of 18 encodings three have another exponent than the first: two are reduced modulo phi(n) where
 * the library's is modulo lambda(n) or the other way round, one leaves it out. */
T(an_rsa_key_in_every_encoding)
{
	reencoded(LINES_PYTHON "tests/unit/gen_kinds.py rsa 2048", 18, 3);
	reencoded(LINES_PYTHON "tests/unit/gen_kinds.py rsa 3072", 18, 3);
}

T(an_ec_key_in_every_encoding)
{
	reencoded(LINES_PYTHON "tests/unit/gen_kinds.py ec", 9, 0);
}

T(oct_keys)
{
	reencoded(LINES_PYTHON "tests/unit/gen_kinds.py oct", 4, 0);
}

/* The private exponent of the RSA test key in microsoft/confidential-sidecar-containers,
 * pkg/skr/skr_test.go. What that project's derivation gives for it was worked out with Python. */
static const char sidecar_d[] =
    "6f4883d8c521dcb73162087d598694f82facbd054ee5a24db6e3f4349a3f45615e5ab47181728d2aea646ed9192a41"
    "43677fc7f61ae5404a757ed7d2b2ca82fc4ba5cb85dd12ef6194acb908b5f0d8b22067e3a7dd351f09fd907d9f3b36"
    "6dd0d1c67b909be87ed81f3becbfbff64498a64b643ac68f4e9b8390ca63bfd67e2967e64c893cb9e80bc8619fd3a0"
    "3f25a2b97390614d42c96399348220712a46ecadb48d137fae2335a0fc2bbe044e19591bc004ff2346d85891b4ddfb"
    "fa0020321c4d5a817ae2cfbd0ff1b4d712fde9634fe469b15e274ae01014c166662c94ed8140dc1a325b99f4ae10c1"
    "63a5103dc1f70bef5ee30f307400898e3a76528161";

/* PKCS#1 of that exponent with a modulus that is none: the derivation sees the exponent alone. */
static void sidecar_key(struct lk_pub *pub, struct lk_buf *der)
{
	uint8_t n[256];

	memset(n, 0xff, sizeof(n));
	EQ_CODE(LK_OK, lk_pub_rsa(lk_slice_of(n, 256), LK_S("\1\0\1"), pub, &e));
	lk_buf_put(der, "\x30\x82\x02\x11\x02\x01\x00\x02\x82\x01\x01\x00", 12);
	lk_buf_put(der, n, 256);
	lk_buf_put(der, "\x02\x03\x01\x00\x01\x02\x82\x01\x00", 9);
	EQ_CODE(LK_OK, lk_hex_decode(lk_slice_str(sidecar_d), der, &e));
	OK(!der->bad);
}

T(compat_gives_what_the_sidecar_gives)
{
	static const char *const want[] = {
	    "0f048beaf41930dc6d05d18cec3a370cc13c0b5f7a3312a58d0a5c31acd9462f",
	    "d44aea0db74566c3b1a7898dc7928f924670e5ea940e4f954ca39b13b416e83e"};
	struct lk_binding b = kind_sample(LK_COMPAT);
	uint8_t mem[600], hex[64];
	struct lk_buf der = LK_BUF(mem);
	struct lk_pub pub;
	LK_SECRET ikm = {.n = 1}, out = {0};

	sidecar_key(&pub, &der);
	for (int i = 0; i < 2; i++) {
		struct lk_buf text = LK_BUF(hex);

		EQ_CODE(LK_OK, lk_binding_disk_key(&b, &pub, lk_slice_buf(&der), &ikm, &out, &e));
		lk_hex_encode(lk_secret_slice(&out), &text);
		EQ_BYTES(hex, text.n, want[i], 64);
		b.kdf_salt_len = 0;
	}
}

/* ---- wrapped */

static char *rsa_line(struct line *l, struct lk_pub *pub, uint8_t *der, size_t *n)
{
	FILE *f = popen(LINES_PYTHON "tests/unit/gen_kinds.py rsa 2048", "r");

	if (f == NULL || !line_next(f, l))
		return NULL;
	pub_of(l, pub);
	struct lk_slice d = line_hex(l, 4);
	memcpy(der, d.p, *n = d.n);
	while (line_next(f, l))
		;
	pclose(f);
	return l->text;
}

T(a_wrapped_secret_comes_back)
{
	struct lk_binding b = kind_sample(LK_COMPAT), again;
	struct line l = {0};
	struct lk_pub pub;
	static uint8_t der[3000];
	size_t n = 0;
	LK_SECRET ikm = {.n = 1}, made = {0}, out = {0};
	char pin[65], other[65];

	(void)rsa_line(&l, &pub, der, &n);
	NEED(n > 0);
	EQ_CODE(LK_OK, lk_binding_wrap(&b, &pub, &made, &e));
	OK(lk_binding_is(&b, LK_WRAPPED));
	EQ_U(made.n, 43);
	EQ_U(b.wrapped_len, 256);
	OK(lk_slice_is_zero(lk_slice_of(b.salt, 32)) && b.kdf_salt_len == 0 && b.label[0] == 0);
	EQ_CODE(LK_OK, lk_binding_disk_key(&b, &pub, lk_slice_of(der, n), &ikm, &out, &e));
	EQ_BYTES(out.p, out.n, made.p, made.n);
	EQ_CODE(LK_OK, lk_binding_pin(&b, pin, &e));
	EQ_U(strlen(pin), 64);
	EQ_CODE(LK_OK, lk_binding_pinned(&b, pin, &e));
	EQ_CODE(LK_ETRUST, lk_binding_pinned(&b, "", &e));
	OK(strstr(e.msg, pin) != NULL && strstr(e.msg, "none") != NULL);
	again = b;
	EQ_CODE(LK_OK, lk_binding_wrap(&again, &pub, &out, &e));
	OK(!lk_secret_eq(lk_secret_slice(&out), lk_secret_slice(&made)));
	EQ_CODE(LK_OK, lk_binding_pin(&again, other, &e));
	EQ_CODE(LK_ETRUST, lk_binding_pinned(&again, pin, &e));
	OK(strstr(e.msg, pin) != NULL && strstr(e.msg, other) != NULL);
	b.wrapped[255] ^= 1;
	EQ_CODE(LK_EUNWRAP, lk_binding_disk_key(&b, &pub, lk_slice_of(der, n), &ikm, &out, &e));
	EQ_U(out.n, 0);
	OK(strncmp(e.msg, "token 3: the wrapped secret: ", 29) == 0);
	b.wrapped_len = 255;
	EQ_CODE(LK_EUNWRAP, lk_binding_disk_key(&b, &pub, lk_slice_of(der, n), &ikm, &out, &e));
	b = kind_sample(LK_COMPAT);
	EQ_CODE(LK_EUSAGE, lk_binding_pin(&b, pin, &e));
	EQ_CODE(LK_EUSAGE, lk_binding_pinned(&b, pin, &e));
}

static enum lk_code wrapped_as(
    const struct lk_pub *pub, enum lk_hash h, size_t n, struct lk_slice der, struct lk_secret *out)
{
	struct lk_binding b = kind_sample(LK_WRAPPED);
	struct lk_buf to = LK_BUF(b.wrapped);
	LK_SECRET ikm = {.n = 1};
	uint8_t plain[64];

	memset(plain, 7, sizeof(plain));
	EQ_CODE(LK_OK, lk_rsa_oaep_encrypt(pub, h, lk_slice_of(plain, n), &to, &e));
	b.wrapped_len = to.n;
	return lk_binding_disk_key(&b, pub, der, &ikm, out, &e);
}

T(what_else_may_be_wrapped_is_refused)
{
	struct line l = {0};
	struct lk_pub pub;
	static uint8_t mem[3000];
	size_t n = 0;
	LK_SECRET out = {0};

	(void)rsa_line(&l, &pub, mem, &n);
	NEED(n > 0);
	const struct lk_slice der = lk_slice_of(mem, n);
	EQ_CODE(LK_OK, wrapped_as(&pub, LK_SHA256, 32, der, &out));
	EQ_CODE(LK_EUNWRAP, wrapped_as(&pub, LK_SHA256, 31, der, &out));
	EQ_S(e.msg, "token 3: the wrapped secret: 31 bytes instead of 32 were wrapped");
	EQ_CODE(LK_EUNWRAP, wrapped_as(&pub, LK_SHA256, 33, der, &out));
	EQ_CODE(LK_EUNWRAP, wrapped_as(&pub, LK_SHA256, 0, der, &out));
	EQ_CODE(LK_EUNWRAP, wrapped_as(&pub, LK_SHA1, 32, der, &out));
	EQ_CODE(LK_EUNWRAP, wrapped_as(&pub, LK_SHA384, 32, der, &out));
	struct lk_binding b = kind_sample(LK_WRAPPED);
	const struct lk_pub ec = {.kty = LK_KTY_EC, .curve = LK_P256, .n_len = 32, .e_len = 32};
	EQ_CODE(LK_ECONF, lk_binding_wrap(&b, &ec, &out, &e));
	OK(strstr(e.msg, "EC") != NULL);
}
