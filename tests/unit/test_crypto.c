/* Known answers: RFC 6234, 4231, 5869, FIPS 197, the GCM specification. */
#include "t.h"

#include "lk/crypto.h"

static struct lk_err e;

__attribute__((constructor)) static void start(void)
{
	if (lk_crypto_start(&e) != LK_OK)
		abort();
}

struct bytes {
	uint8_t p[512];
	size_t n;
};

static struct bytes hex(const char *s)
{
	struct bytes b = {.n = 0};
	struct lk_buf out = LK_BUF(b.p);
	EQ_CODE(LK_OK, lk_hex_decode(lk_slice_str(s), &out, &e));
	b.n = out.n;
	return b;
}

#define OF(b) lk_slice_of((b).p, (b).n)

static void is_hex(const char *what, const uint8_t *got, size_t n, const char *want)
{
	struct bytes w = hex(want);
	if (w.n != n || memcmp(got, w.p, n) != 0)
		T_FAIL("%s: other bytes", what);
}

#define TWO_BLOCKS "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
#define FOUR_BLOCKS                                                                                \
	"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqr" \
	"lm"                                                                                       \
	"nopqrsmnopqrstnopqrstu"

T(digests)
{
	static const struct {
		enum lk_hash h;
		size_t size;
		const char *in, *out;
	} v[] = {
	    {LK_SHA1, 20, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
	    {LK_SHA1, 20, TWO_BLOCKS, "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
	    {LK_SHA256, 32, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	    {LK_SHA256, 32, "abc",
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	    {LK_SHA256, 32, TWO_BLOCKS,
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	    {LK_SHA384, 48, "abc",
		"cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358"
		"bae"
		"ca134c825a7"},
	    {LK_SHA384, 48, FOUR_BLOCKS,
		"09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712fcc7c71a557e2db966"
		"c3e"
		"9fa91746039"},
	    {LK_SHA512, 64, "abc",
		"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836"
		"ba3"
		"c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
	    {LK_SHA512, 64, FOUR_BLOCKS,
		"8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e433"
		"1b9"
		"9dec4b5433ac7d329eeb6dd26545e96e55b874be909"},
	};
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct lk_slice in = lk_slice_str(v[i].in);
		uint8_t out[LK_HASH_MAX];
		EQ_U(lk_hash_size(v[i].h), v[i].size);
		/* in three parts, one of them empty */
		struct lk_slice parts[] = {
		    lk_slice_sub(in, 0, in.n / 3), LK_S(""), lk_slice_sub(in, in.n / 3, in.n)};
		EQ_CODE(LK_OK, lk_hash(v[i].h, parts, 3, out, &e));
		is_hex(v[i].in, out, v[i].size, v[i].out);
		EQ_CODE(LK_OK, lk_hash(v[i].h, &in, 1, out, &e));
		is_hex(v[i].in, out, v[i].size, v[i].out);
	}
	uint8_t out[32];
	EQ_CODE(LK_OK, lk_sha256(LK_S("abc"), out, &e));
	is_hex("sha256", out, 32, v[3].out);
	EQ_CODE(LK_OK, lk_hash(LK_SHA256, NULL, 0, out, &e));
	is_hex("no parts", out, 32, v[2].out);
}

T(hmac_rfc4231)
{
	struct bytes k20 = {.n = 20}, k25 = {.n = 25}, k131 = {.n = 131}, dd = {.n = 50},
		     cd = {.n = 50};
	memset(k20.p, 0x0b, 20);
	memset(k131.p, 0xaa, 131);
	memset(dd.p, 0xdd, 50);
	memset(cd.p, 0xcd, 50);
	for (unsigned i = 0; i < 25; i++)
		k25.p[i] = (uint8_t)(i + 1);
	const struct {
		struct lk_slice key, in;
		const char *out;
	} v[] = {
	    {OF(k20), LK_S("Hi There"),
		"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
	    {LK_S("Jefe"), LK_S("what do ya want for nothing?"),
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
	    {lk_slice_of(k131.p, 20), OF(dd),
		"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
	    {OF(k25), OF(cd), "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
	    {OF(k131), LK_S("Test Using Larger Than Block-Size Key - Hash Key First"),
		"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
	    {OF(k131),
		LK_S("This is a test using a larger than block-size key and a larger than "
		     "block-size "
		     "data. The key needs to be hashed before being used by the HMAC algorithm."),
		"9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
	};
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct lk_slice parts[] = {
		    lk_slice_sub(v[i].in, 0, 3), lk_slice_sub(v[i].in, 3, v[i].in.n)};
		uint8_t out[32];
		EQ_CODE(LK_OK, lk_hmac_sha256(v[i].key, parts, 2, out, &e));
		is_hex("hmac", out, 32, v[i].out);
	}
}

T(hkdf_rfc5869)
{
	struct bytes ikm = {.n = 22}, salt = {.n = 13}, info = {.n = 10}, ikm2 = {.n = 80},
		     salt2 = {.n = 80}, info2 = {.n = 80};
	memset(ikm.p, 0x0b, 22);
	for (unsigned i = 0; i < 80; i++) {
		if (i < 13)
			salt.p[i] = (uint8_t)i;
		if (i < 10)
			info.p[i] = (uint8_t)(0xf0 + i);
		ikm2.p[i] = (uint8_t)i;
		salt2.p[i] = (uint8_t)(0x60 + i);
		info2.p[i] = (uint8_t)(0xb0 + i);
	}
	struct lk_secret out = {.n = 42};
	EQ_CODE(LK_OK, lk_hkdf_sha256(OF(ikm), OF(salt), OF(info), &out, &e));
	is_hex("case 1", out.p, out.n,
	    "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
	out.n = 82;
	EQ_CODE(LK_OK, lk_hkdf_sha256(OF(ikm2), OF(salt2), OF(info2), &out, &e));
	is_hex("case 2", out.p, out.n,
	    "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41"
	    "c65e"
	    "590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
	out.n = 42;
	EQ_CODE(LK_OK, lk_hkdf_sha256(OF(ikm), LK_S(""), LK_S(""), &out, &e));
	is_hex("case 3", out.p, out.n,
	    "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
	out.n = 0;
	DIES(lk_hkdf_sha256(OF(ikm), OF(salt), OF(info), &out, &e) == LK_OK);
	out.n = 256;
	DIES(lk_hkdf_sha256(OF(ikm), OF(salt), OF(info), &out, &e) == LK_OK);
}

T(aes_block_fips197)
{
	static const struct {
		size_t key;
		const char *out;
	} v[] = {{16, "69c4e0d86a7b0430d8cdb78070b4c55a"}, {24, "dda97ca4864cdfe06eaf70a0ec0d7191"},
	    {32, "8ea2b7ca516745bfeafc49904b496089"}};
	uint8_t key[33], in[16], out[16];
	for (uint8_t i = 0; i < 33; i++)
		key[i] = i;
	for (uint8_t i = 0; i < 16; i++)
		in[i] = (uint8_t)(i << 4 | i);
	for (size_t i = 0; i < 3; i++) {
		EQ_CODE(LK_OK, lk_aes_block(lk_slice_of(key, v[i].key), false, in, out, &e));
		is_hex("encrypt", out, 16, v[i].out);
		EQ_CODE(LK_OK, lk_aes_block(lk_slice_of(key, v[i].key), true, out, out, &e));
		EQ_MEM(out, in, 16);
	}
	for (size_t n = 0; n <= 33; n++)
		if (n != 16 && n != 24 && n != 32)
			EQ_CODE(LK_EPROTO, lk_aes_block(lk_slice_of(key, n), true, in, out, &e));
}

#define GCM_IV    "cafebabefacedbaddecaf888"
#define GCM_AAD   "feedfacedeadbeeffeedfacedeadbeefabaddad2"
#define GCM_KEY16 "feffe9928665731c6d6a8f9467308308"
#define GCM_PLAIN                                                                                  \
	"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e24" \
	"49a6"                                                                                     \
	"b525b16aedf5aa0de657ba637b39"

/* "The Galois/Counter Mode of Operation", test cases 1, 2, 4, 5 (short nonce) and 16 */
T(gcm_known_answers)
{
	static const struct {
		const char *key, *iv, *aad, *plain, *in, *tag;
	} v[] = {
	    {"00000000000000000000000000000000", "000000000000000000000000", "", "", "",
		"58e2fccefa7e3061367f1d57a4e7455a"},
	    {"00000000000000000000000000000000", "000000000000000000000000", "",
		"00000000000000000000000000000000", "0388dace60b6a392f328c2b971b2fe78",
		"ab6e47d42cec13bdf53a67b21257bddf"},
	    {GCM_KEY16, GCM_IV, GCM_AAD, GCM_PLAIN,
		"42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d"
		"8f6"
		"a5aac84aa051ba30b396a0aac973d58e091",
		"5bc94fbc3221a5db94fae95ae7121a47"},
	    {GCM_KEY16, "cafebabefacedbad", GCM_AAD, GCM_PLAIN,
		"61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c742373806900e49f24b22b"
		"097"
		"544d4896b424989b5e1ebac0f07c23f4598",
		"3612d2e79e3b0785561be14aaca2fccb"},
	    {GCM_KEY16 GCM_KEY16, GCM_IV, GCM_AAD, GCM_PLAIN,
		"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7"
		"b08"
		"b1056828838c5f61e6393ba7a0abcc9f662",
		"76fc6ece0f4e1768cddf8853bb2d551b"},
	};
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct bytes key = hex(v[i].key), iv = hex(v[i].iv), aad = hex(v[i].aad),
			     in = hex(v[i].in), tag = hex(v[i].tag);
		uint8_t room[64];
		struct lk_buf out = LK_BUF(room);
		EQ_CODE(LK_OK, lk_gcm_decrypt(OF(key), OF(iv), OF(aad), OF(tag), OF(in), &out, &e));
		is_hex("plain", out.p, out.n, v[i].plain);
	}
}

T(gcm_gives_nothing_when_the_tag_is_wrong)
{
	struct bytes key = hex("00000000000000000000000000000000"),
		     iv = hex("000000000000000000000000");
	struct bytes in = hex("0388dace60b6a392f328c2b971b2fe78");
	struct bytes tag = hex("ab6e47d42cec13bdf53a67b21257bddf");
	uint8_t room[20];
	struct lk_buf out = LK_BUF(room);
	lk_buf_byte(&out, 7);
	for (size_t bit = 0; bit < 128; bit++) {
		memset(room + 1, 0xee, 19);
		tag.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		EQ_CODE(LK_ECRYPTO,
		    lk_gcm_decrypt(OF(key), OF(iv), LK_S(""), OF(tag), OF(in), &out, &e));
		tag.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		EQ_U(out.n, 1);
		OK(lk_slice_is_zero(lk_slice_of(room + 1, 16)));
	}
	EQ_CODE(LK_ECRYPTO, lk_gcm_decrypt(OF(key), OF(iv), LK_S("x"), OF(tag), OF(in), &out, &e));
	EQ_CODE(LK_EPROTO, lk_gcm_decrypt(OF(key), OF(iv), LK_S(""), lk_slice_sub(OF(tag), 0, 15),
			       OF(in), &out, &e));
	EQ_CODE(LK_EPROTO, lk_gcm_decrypt(OF(key), LK_S(""), LK_S(""), OF(tag), OF(in), &out, &e));
	EQ_CODE(LK_EPROTO, lk_gcm_decrypt(LK_S("k"), OF(iv), LK_S(""), OF(tag), OF(in), &out, &e));
	EQ_CODE(LK_OK, lk_gcm_decrypt(OF(key), OF(iv), LK_S(""), OF(tag), OF(in), &out, &e));
	EQ_U(out.n, 17);
	EQ_CODE(LK_ELIMIT, lk_gcm_decrypt(OF(key), OF(iv), LK_S(""), OF(tag), OF(in), &out, &e));
}
