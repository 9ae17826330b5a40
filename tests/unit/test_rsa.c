/* RSA against another implementation and, with VECTORS, Wycheproof. */
#include "t.h"

#include "lines.h"
#include "lk/key.h"

static struct lk_err e;

__attribute__((constructor)) static void start(void)
{
	if (lk_crypto_start(&e) != LK_OK)
		abort();
}

static enum lk_hash hash_of(const char *name)
{
	switch (atoi(name)) {
	case 1:
		return LK_SHA1;
	case 256:
		return LK_SHA256;
	case 384:
		return LK_SHA384;
	default:
		return LK_SHA512;
	}
}

/* The key of the last line "verify" is that of the lines "oaep" behind it. */
static struct lk_pub last;

static void check_verify(struct line *l)
{
	struct lk_slice n = line_hex(l, 1), exp = line_hex(l, 2), digest = line_hex(l, 4),
			sig = line_hex(l, 5);
	enum lk_hash h = hash_of(l->w[3]);
	uint8_t bad[LK_HASH_MAX + 512];
	EQ_CODE(LK_OK, lk_pub_rsa(n, exp, &last, &e));
	EQ_CODE(LK_OK, lk_rsa_verify(n, exp, h, digest, sig, &e));
	memcpy(bad, digest.p, digest.n);
	bad[digest.n - 1] ^= 1;
	EQ_CODE(LK_ETRUST, lk_rsa_verify(n, exp, h, lk_slice_of(bad, digest.n), sig, &e));
	memcpy(bad, sig.p, sig.n);
	bad[sig.n - 1] ^= 1;
	EQ_CODE(LK_ETRUST, lk_rsa_verify(n, exp, h, digest, lk_slice_of(bad, sig.n), &e));
	EQ_CODE(LK_ETRUST, lk_rsa_verify(n, LK_S("\3"), h, digest, sig, &e));
	EQ_CODE(LK_EPROTO, lk_rsa_verify(n, exp, h, digest, n, &e)); /* not below the modulus */
	EQ_CODE(LK_EPROTO, lk_rsa_verify(n, exp, h, digest, lk_slice_sub(sig, 1, sig.n), &e));
	EQ_CODE(LK_EPROTO, lk_rsa_verify(n, exp, h, lk_slice_sub(digest, 1, 99), sig, &e));
	EQ_CODE(LK_EPROTO, lk_rsa_verify(n, LK_S("\1"), h, digest, sig, &e));
	EQ_CODE(LK_EPROTO, lk_rsa_verify(lk_slice_sub(n, 1, n.n), exp, h, digest, LK_S(""), &e));
}

/* Both ways. */
static void check_encrypt(enum lk_hash h, struct lk_slice der)
{
	uint8_t mem[2 * LK_RSA_MAX], plain[LK_RSA_MAX] = {1, 2, 3};
	struct lk_buf a = LK_BUF(mem);
	struct lk_secret back = {0};
	const size_t most = last.n_len - 2 * lk_hash_size(h) - 2, sizes[] = {0, 1, 32, most};
	for (size_t i = 0; i < 4; i++) {
		a.n = 1;
		EQ_CODE(LK_OK, lk_rsa_oaep_encrypt(&last, h, lk_slice_of(plain, sizes[i]), &a, &e));
		EQ_U(a.n, 1 + last.n_len);
		EQ_CODE(LK_OK,
		    lk_rsa_oaep_decrypt(der, h, lk_slice_of(mem + 1, last.n_len), &back, &e));
		EQ_BYTES(back.p, back.n, plain, sizes[i]);
	}
	a.n = 0;
	EQ_CODE(LK_ELIMIT, lk_rsa_oaep_encrypt(&last, h, lk_slice_of(plain, most + 1), &a, &e));
	EQ_U(a.n, 0);
	struct lk_buf small = {.p = mem, .n = 0, .cap = last.n_len - 1, .bad = false};
	EQ_CODE(LK_ELIMIT, lk_rsa_oaep_encrypt(&last, h, lk_slice_of(plain, 1), &small, &e));
	const struct lk_pub ec = {.kty = LK_KTY_EC, .curve = LK_P256, .n_len = 32, .e_len = 32};
	EQ_CODE(LK_EUSAGE, lk_rsa_oaep_encrypt(&ec, h, lk_slice_of(plain, 1), &a, &e));
}

static void check_oaep(struct line *l)
{
	struct lk_slice der = line_hex(l, 2), plain = line_hex(l, 3), in = line_hex(l, 4);
	enum lk_hash h = hash_of(l->w[1]);
	struct lk_secret out = {0};
	uint8_t bad[512];
	EQ_CODE(LK_OK, lk_rsa_oaep_decrypt(der, h, in, &out, &e));
	EQ_BYTES(out.p, out.n, plain.p, plain.n);
	EQ_CODE(
	    LK_ECRYPTO, lk_rsa_oaep_decrypt(der, h == LK_SHA1 ? LK_SHA256 : LK_SHA1, in, &out, &e));
	EQ_S(e.msg, "RSA-OAEP decryption failed: wrong key or altered data");
	EQ_U(e.lib, 0);
	EQ_U(out.n, 0);
	memcpy(bad, in.p, in.n);
	bad[in.n / 2] ^= 1;
	EQ_CODE(LK_ECRYPTO, lk_rsa_oaep_decrypt(der, h, lk_slice_of(bad, in.n), &out, &e));
	EQ_S(e.msg, "RSA-OAEP decryption failed: wrong key or altered data");
	memset(bad, 0xff, in.n); /* not below the modulus */
	EQ_CODE(LK_ECRYPTO, lk_rsa_oaep_decrypt(der, h, lk_slice_of(bad, in.n), &out, &e));
	EQ_CODE(LK_EPROTO, lk_rsa_oaep_decrypt(der, h, lk_slice_sub(in, 1, in.n), &out, &e));
	EQ_CODE(LK_EPROTO, lk_rsa_oaep_decrypt(lk_slice_sub(der, 0, der.n - 1), h, in, &out, &e));
	check_encrypt(h, der);
}

T(rsa_against_another_implementation)
{
	FILE *f = popen(LINES_PYTHON "tests/unit/gen_keys.py crypto", "r");
	struct line l = {0};
	unsigned n = 0;
	NEED(f != NULL);
	while (line_next(f, &l)) {
		strcmp(l.w[0], "verify") == 0 ? check_verify(&l) : check_oaep(&l);
		n++;
	}
	EQ_I(pclose(f), 0);
	EQ_U(n, 24);
}

static FILE *wycheproof(const char *name)
{
	char cmd[1000];
	snprintf(cmd, sizeof(cmd), LINES_PYTHON "tests/unit/wycheproof.py '%s/wycheproof/%s'",
	    getenv("VECTORS"), name);
	return popen(cmd, "r");
}

#define NEED_VECTORS                                                                               \
	if (getenv("VECTORS") == NULL || *getenv("VECTORS") == 0)                                  \
	SKIP("VECTORS is not set")

static void signatures(const char *name, unsigned want_good, unsigned want_all)
{
	FILE *f = wycheproof(name);
	struct line l = {0};
	unsigned good = 0, all = 0;
	NEED(f != NULL);
	while (line_next(f, &l)) {
		struct lk_slice n = line_hex(&l, 2), exp = line_hex(&l, 3), msg = line_hex(&l, 4),
				sig = line_hex(&l, 5);
		uint8_t digest[32];
		EQ_CODE(LK_OK, lk_sha256(msg, digest, &e));
		enum lk_code rc =
		    lk_rsa_verify(n, exp, LK_SHA256, lk_slice_of(digest, 32), sig, &e);
		bool valid = strcmp(l.w[0], "valid") == 0, may = strcmp(l.w[0], "acceptable") == 0;
		if (valid != (rc == LK_OK) && !may)
			T_FAIL("%s case %s is %s, got code %d", name, l.w[1], l.w[0], (int)rc);
		if (rc != LK_OK)
			OK(rc == LK_ETRUST || rc == LK_EPROTO);
		good += valid;
		all++;
	}
	EQ_I(pclose(f), 0);
	EQ_U(good, want_good);
	EQ_U(all, want_all);
}

T(wycheproof_signatures)
{
	NEED_VECTORS;
	signatures("rsa_signature_2048_sha256_test.json", 9, 259);
	signatures("rsa_signature_4096_sha256_test.json", 7, 258);
}

static void oaep(const char *name, enum lk_hash h, unsigned want_good, unsigned want_all)
{
	FILE *f = wycheproof(name);
	struct line l = {0};
	unsigned good = 0, all = 0;
	NEED(f != NULL);
	while (line_next(f, &l)) {
		struct lk_slice der = line_hex(&l, 2), plain = line_hex(&l, 3),
				in = line_hex(&l, 4);
		struct lk_secret out = {0};
		enum lk_code rc = lk_rsa_oaep_decrypt(der, h, in, &out, &e);
		bool valid = strcmp(l.w[0], "valid") == 0;
		/* a label is part of what must match, and ours is always empty */
		bool want = valid && line_hex(&l, 5).n == 0;
		if (want != (rc == LK_OK))
			T_FAIL("%s case %s is %s, got code %d", name, l.w[1], l.w[0], (int)rc);
		if (rc == LK_OK)
			EQ_BYTES(out.p, out.n, plain.p, plain.n);
		good += valid;
		all++;
	}
	EQ_I(pclose(f), 0);
	EQ_U(good, want_good);
	EQ_U(all, want_all);
}

T(wycheproof_oaep)
{
	NEED_VECTORS;
	oaep("rsa_oaep_2048_sha1_mgf1sha1_test.json", LK_SHA1, 17, 36);
	oaep("rsa_oaep_2048_sha256_mgf1sha256_test.json", LK_SHA256, 18, 37);
	oaep("rsa_oaep_2048_sha384_mgf1sha384_test.json", LK_SHA384, 16, 34);
}
