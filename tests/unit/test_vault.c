/* The release request, and the checks on its answer. */
#include "t.h"

#include "../../src/azure/vault_parse.h"
#include "azure_answer.h"
#include "lk/b64.h"
#include "lk/io.h"

#define VERSION "0123456789abcdef0123456789abcdef"
#define OTHER   "1123456789abcdef0123456789abcdef"
#define KID     "https://v.vault.azure.net/keys/disk/" VERSION

static uint8_t store_bytes[64 * 1024], file_bytes[2][32 * 1024];
static struct lk_key_url keys[2]; /* ours, and any other that a test asks for */
static struct lk_released got;
static struct lk_err err;

static struct lk_release_ask ask(const char *url)
{
	struct lk_key_url *key = &keys[strcmp(url, KID) != 0];

	if (lk_key_url_parse(text(url), key, &err) != LK_OK)
		abort();
	return (struct lk_release_ask){
	    .key = key,
	    .api_version = "7.4",
	    .bearer = text("b"),
	    .token = text("e30.e30.AAAA"),
	    .nonce = text("our-nonce"),
	    .enc = LK_ENC_SHA256,
	    .block = 256,
	    .wrap_kid = text("T"),
	};
}

static void target_is(const char *url, const char *version, const char *want)
{
	struct lk_release_ask a = ask(url);
	struct lk_buf b = LK_BUF(store_bytes);

	a.api_version = version;
	lk_vault_target(&a, &b);
	EQ_BYTES(b.p, b.n, want, strlen(want));
}

T(builds_the_target)
{
	target_is(KID, "7.4", "/keys/disk/" VERSION "/release?api-version=7.4");
	target_is("https://v.vault.azure.net/keys/a-B1", "2025-07-01",
	    "/keys/a-B1/release?api-version=2025-07-01");
	target_is(
	    "https://v.vault.azure.net/keys/k", "7 4&x", "/keys/k/release?api-version=7%204%26x");
}

static void body_is(enum lk_enc enc, const char *name)
{
	struct lk_release_ask a = ask(KID);
	struct lk_buf b = LK_BUF(store_bytes);
	char want[256];

	a.enc = enc;
	(void)snprintf(want, sizeof(want),
	    "{\"target\":\"e30.e30.AAAA\",\"nonce\":\"our-nonce\",\"enc\":\"%s\"}", name);
	EQ_CODE(LK_OK, lk_vault_body(&a, &b, &err));
	EQ_BYTES(b.p, b.n, want, strlen(want));
	EQ_S(lk_enc_name(enc), name);
}

T(builds_the_body)
{
	struct lk_release_ask a = ask(KID);
	struct lk_buf b = LK_BUF(store_bytes);

	body_is(LK_ENC_SHA256, "RSA_AES_KEY_WRAP_256");
	body_is(LK_ENC_SHA384, "RSA_AES_KEY_WRAP_384");
	body_is(LK_ENC_SHA1, "CKM_RSA_AES_KEY_WRAP");
	a.token = text("no token\xff");
	EQ_CODE(LK_EPROTO, lk_vault_body(&a, &b, &err));
	a = ask(KID);
	a.nonce = text("");
	EQ_CODE(LK_EBUG, lk_vault_body(&a, &b, &err));
	a = ask(KID);
	b.cap = 10;
	EQ_CODE(LK_ELIMIT, lk_vault_body(&a, &b, &err));
}

/* ---- the answer */

#define HSM                                                                                        \
	"{\"schema_version\":\"1.0\",\"header\":{\"kid\":\"T\",\"alg\":\"dir\",\"enc\":"           \
	"\"RSA_AES_KEY_WRAP_256\"},\"ciphertext\":\"%s\"}"
#define PAYLOAD                                                                                    \
	"{\"request\":{\"api-version\":\"7.4\",\"enc\":\"RSA_AES_KEY_WRAP_256\",\"kid\":\"" KID    \
	"\",\"nonce\":\"our-nonce\"},\"response\":{\"key\":{\"key\":{\"kid\":\"" KID               \
	"\",\"kty\":\"RSA-HSM\",\"key_ops\":[\"wrapKey\"],\"n\":\"%s\",\"e\":\"AAEAAQ\","          \
	"\"key_hsm\":\"%s\"},\"attributes\":{\"enabled\":true,\"exportable\":true}}}}"

static const char *encode(struct lk_slice v)
{
	static char out[2][16384];
	static unsigned turn;
	struct lk_buf b = {.p = (uint8_t *)out[turn % 2], .n = 0, .cap = sizeof(out[0]) - 1};

	lk_b64url_encode(v, &b);
	if (b.bad)
		abort();
	out[turn % 2][b.n] = '\0';
	return out[turn++ % 2];
}

static uint8_t ramp[4096];

static const char *hsm(size_t n)
{
	static char out[8192];

	for (size_t i = 0; i < sizeof(ramp); i++)
		ramp[i] = (uint8_t)(i * 3 + i / 256) | 1; /* odd, and the first bit set below */
	ramp[0] = 0xc1;
	(void)snprintf(out, sizeof(out), HSM, encode(lk_slice_of(ramp, n)));
	return out;
}

static const char *payload(const char *document)
{
	static char out[16384];

	(void)snprintf(
	    out, sizeof(out), PAYLOAD, encode(lk_slice_of(ramp, 256)), encode(text(document)));
	return out;
}

static enum lk_code read_as(const struct lk_release_ask *a, const char *p)
{
	struct lk_buf store = LK_BUF(store_bytes);

	memset(&err, 0, sizeof(err));
	return lk_vault_payload(text(p), a, &store, &got, &err);
}

static enum lk_code read_answer(const char *p)
{
	struct lk_release_ask a = ask(KID);

	return read_as(&a, p);
}

static enum lk_code read_hsm(const char *document)
{
	return read_answer(payload(document));
}

T(takes_an_answer)
{
	struct lk_release_ask a = ask("https://V.Vault.Azure.net/keys/DISK");

	EQ_CODE(LK_OK, read_hsm(hsm(296)));
	EQ_S(got.kid, KID);
	EQ_BYTES(got.ciphertext.p, got.ciphertext.n, ramp, 296);
	EQ_U(got.pub.kty, LK_KTY_RSA);
	EQ_BYTES(got.pub.n, got.pub.n_len, ramp, 256);
	EQ_BYTES(got.pub.e, got.pub.e_len, "\1\0\1", 3);
	EQ_CODE(LK_OK, read_hsm(hsm(272)));
	EQ_CODE(LK_OK, read_hsm(hsm(256 + 2400)));
	/* We named no version, and the vault writes host and name in its own way. */
	EQ_CODE(LK_OK, read_as(&a, payload(hsm(272))));
	EQ_CODE(LK_OK, read_as(&a, swap(payload(hsm(272)), "/" VERSION, "")));
	/* A wrapping key that we do not compare. */
	a.wrap_kid = text("");
	EQ_CODE(LK_OK, read_as(&a, payload(swap(hsm(272), "\"T\"", "\"U\""))));
	EQ_CODE(LK_OK, read_as(&a, payload(swap(hsm(272), "\"kid\":\"T\",", ""))));
}

static const char *second(const char *p, const char *old, const char *new_text)
{
	static char front[16384];
	const char *at = strstr(p, old);

	at = at ? at + strlen(old) : p;
	(void)snprintf(front, sizeof(front), "%.*s%s", (int)(at - p), p, swap(at, old, new_text));
	return front;
}

T(refuses_another_key)
{
	const char *p = payload(hsm(272));
	struct lk_release_ask a = ask("https://v.vault.azure.net/keys/disk");

	EQ_CODE(LK_ETRUST, read_answer(swap(p, "v.vault", "w.vault")));
	EQ_CODE(LK_ETRUST, read_answer(second(p, "v.vault", "w.vault")));
	EQ_CODE(LK_ETRUST, read_answer(swap(p, "/disk/", "/disk2/")));
	EQ_CODE(LK_ETRUST, read_answer(second(p, "/disk/", "/disk2/")));
	EQ_CODE(LK_ETRUST, read_answer(swap(p, VERSION, OTHER)));
	EQ_CODE(LK_ETRUST, read_answer(second(p, VERSION, OTHER)));
	EQ_CODE(LK_ETRUST, read_as(&a, swap(p, VERSION, OTHER)));
	EQ_CODE(LK_OK, read_as(&a, swap(swap(p, VERSION, OTHER), VERSION, OTHER)));
	EQ_CODE(LK_ETRUST, read_answer(swap(swap(p, VERSION, OTHER), VERSION, OTHER)));
	EQ_CODE(LK_EPROTO, read_as(&a, second(p, "/" VERSION, "")));
	EQ_CODE(LK_EPROTO, read_answer(swap(p, "https://v", "http://v")));
	EQ_CODE(LK_EPROTO, read_answer(swap(p, "/keys/", "/secrets/")));
	EQ_CODE(LK_EPROTO, read_answer(swap(p, "\"kid\":\"" KID "\",", "")));
	EQ_CODE(LK_EPROTO, read_answer(second(p, "\"kid\"", "\"k\"")));
}

T(refuses_another_request)
{
	const char *p = payload(hsm(272));

	EQ_CODE(LK_ETRUST, read_answer(swap(p, "our-nonce", "our-nonc")));
	EQ_CODE(LK_ETRUST, read_answer(swap(p, "our-nonce", "our-nonce2")));
	EQ_CODE(LK_ETRUST, read_answer(swap(p, "our-nonce", "")));
	EQ_CODE(LK_EPROTO, read_answer(swap(p, "\"nonce\"", "\"n0nce\"")));
	EQ_CODE(LK_EPROTO, read_answer(swap(p, "\"our-nonce\"", "null")));
	EQ_CODE(LK_EPROTO, read_answer(swap(p, "api-version", "nonce")));
}

static void enc_is(enum lk_enc enc, const char *request, const char *header, enum lk_code want)
{
	struct lk_release_ask a = ask(KID);
	const char *p = payload(swap(hsm(272), "RSA_AES_KEY_WRAP_256", header));

	a.enc = enc;
	EQ_CODE(want, read_as(&a, swap(p, "RSA_AES_KEY_WRAP_256", request)));
	if (want == LK_ETRUST)
		OK(strstr(err.msg, lk_enc_name(enc)) &&
		    (strstr(err.msg, request) || strstr(err.msg, header)));
}

T(refuses_another_wrapping)
{
	static const enum lk_enc encs[] = {LK_ENC_SHA256, LK_ENC_SHA384, LK_ENC_SHA1};

	for (size_t asked = 0; asked < 3; asked++)
		for (size_t r = 0; r < 3; r++)
			for (size_t h = 0; h < 3; h++)
				enc_is(encs[asked], lk_enc_name(encs[r]), lk_enc_name(encs[h]),
				    r == asked && h == asked ? LK_OK : LK_ETRUST);
	enc_is(LK_ENC_SHA256, "rsa_aes_key_wrap_256", "RSA_AES_KEY_WRAP_256", LK_ETRUST);
	enc_is(LK_ENC_SHA256, "", "RSA_AES_KEY_WRAP_256", LK_ETRUST);
	enc_is(LK_ENC_SHA1, "RSA1_5", "CKM_RSA_AES_KEY_WRAP", LK_ETRUST);
	EQ_CODE(LK_EPROTO, read_answer(swap(payload(hsm(272)), "\"enc\"", "\"e\"")));
	EQ_CODE(LK_EPROTO, read_hsm(swap(hsm(272), "\"enc\"", "\"e\"")));
}

T(refuses_a_malformed_key_hsm)
{
	static const size_t lengths[] = {0, 1, 8, 255, 256, 257, 264, 271, 273, 279, 281, 297};
	const char *p = payload(hsm(272));

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		EQ_CODE(LK_EPROTO, read_hsm(hsm(lengths[i])));
	EQ_CODE(LK_ETRUST, read_hsm(swap(hsm(272), "\"T\"", "\"TT\"")));
	EQ_CODE(LK_EPROTO, read_hsm(swap(hsm(272), "\"kid\"", "\"k\"")));
	EQ_CODE(LK_EPROTO, read_hsm(swap(hsm(272), "\"dir\"", "\"RSA1_5\"")));
	EQ_CODE(LK_EPROTO, read_hsm(swap(hsm(272), "\"alg\"", "\"a\"")));
	EQ_CODE(LK_EPROTO, read_hsm(swap(hsm(272), "\"ciphertext\"", "\"c\"")));
	EQ_CODE(LK_EPROTO, read_hsm(swap(hsm(272), "\"ciphertext\":\"", "\"ciphertext\":\"=")));
	EQ_CODE(LK_EPROTO,
	    read_hsm(swap(hsm(272), "\"schema_version\":\"1.0\"", "\"ciphertext\":\"\"")));
	EQ_CODE(LK_EPROTO, read_hsm(swap(hsm(272), "\"header\"", "\"h\"")));
	EQ_CODE(LK_EPROTO, read_hsm("[]"));
	EQ_CODE(LK_EPROTO, read_hsm("x"));
	EQ_CODE(LK_EPROTO, read_answer(swap(p, "\"key_hsm\"", "\"hsm\"")));
	EQ_CODE(LK_EPROTO, read_answer(swap(p, "\"key_hsm\":\"", "\"key_hsm\":\"+")));
}

static enum lk_code read_block(size_t block, size_t n)
{
	struct lk_release_ask a = ask(KID);

	a.block = block;
	return read_as(&a, payload(hsm(n)));
}

/* The RSA block is as long as our key, which the vault took from the token. */
T(expects_the_block_of_our_key)
{
	for (size_t block = 256; block <= 512; block += 128) {
		EQ_CODE(LK_OK, read_block(block, block + 16));
		EQ_BYTES(got.ciphertext.p, got.ciphertext.n, ramp, block + 16);
		EQ_CODE(LK_OK, read_block(block, block + 2400));
		EQ_CODE(LK_EPROTO, read_block(block, block));
		EQ_CODE(LK_EPROTO, read_block(block, block + 8));
		for (size_t more = 1; more < 24; more++)
			EQ_CODE(more == 16 ? LK_OK : LK_EPROTO, read_block(block, block + more));
	}
	EQ_CODE(LK_EPROTO, read_block(384, 256 + 40));
	EQ_CODE(LK_EPROTO, read_block(512, 384 + 40));
}

T(refuses_a_malformed_payload)
{
	const char *p = payload(hsm(272));

	EQ_CODE(LK_EPROTO, read_answer(""));
	EQ_CODE(LK_EPROTO, read_answer("{}"));
	EQ_CODE(LK_EPROTO, read_answer("[]"));
	EQ_CODE(LK_EPROTO, read_answer(swap(p, "\"request\"", "\"r\"")));
	EQ_CODE(LK_EPROTO, read_answer(swap(p, "\"response\"", "\"r\"")));
	EQ_CODE(LK_EPROTO, read_answer(swap(p, "\"response\"", "\"request\"")));
	EQ_CODE(LK_EPROTO, read_answer(swap(p, "\"key\":{\"key\":{", "\"key\":{\"k\":{")));
	OK(read_answer(swap(p, "RSA-HSM", "DSA")) != LK_OK);
	OK(read_answer(swap(p, "\"e\":\"AAEAAQ\",", "")) != LK_OK);
	OK(read_answer(swap(p, "\"n\":\"", "\"n\":\"=")) != LK_OK);
}

T(refuses_a_wrapper)
{
	static const char *const bad[] = {"", "[]", "{}", "{\"value\":null}", "{\"value\":7}",
	    "{\"value\":\"\"}", "{\"value\":\"e30.e30.AAAA\"}", "{\"value\":\"a\",\"value\":\"a\"}",
	    "{\"Value\":\"e30.e30.AAAA\"}", "{\"error\":{\"code\":\"x\"}}"};
	struct lk_release_ask a = ask(KID);
	struct lk_roots roots = {.pem = text("")};
	struct lk_http_rsp rsp;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct lk_buf store = LK_BUF(store_bytes);
		rsp = answer(200, bad[i]);
		enum lk_code c = lk_vault_parse(&rsp, &a, &roots, &store, &got, &err);
		if (c != LK_EPROTO && c != LK_ETRUST)
			T_FAIL("%s: code %d", bad[i], (int)c);
		OK(strncmp(err.msg, "vault v.vault.azure.net: ", 25) == 0);
	}
	struct lk_buf store = LK_BUF(store_bytes);
	rsp = answer(200, "{\"value\":\"e30.e30.AAAA\"}");
	rsp.json = false;
	EQ_CODE(LK_EPROTO, lk_vault_parse(&rsp, &a, &roots, &store, &got, &err));
	rsp.status = 503;
	EQ_CODE(LK_EHTTP, lk_vault_parse(&rsp, &a, &roots, &store, &got, &err));
	OK(err.retry);
}

/* ---- with a signature: made by tests/unit/release_answer.py */

static struct lk_slice load(const char *dir, const char *name, uint8_t *to, size_t cap)
{
	struct lk_buf b = {.p = to, .n = 0, .cap = cap};
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (lk_file_read(path, &b, &err) != LK_OK)
		T_FAIL("%s: %s", path, err.msg);
	return lk_slice_buf(&b);
}

static enum lk_code read_signed(const char *dir, const char *name, const char *url)
{
	struct lk_roots roots = {
	    .pem = load(dir, "roots.pem", file_bytes[0], sizeof(file_bytes[0]))};
	struct lk_slice body = load(dir, name, file_bytes[1], sizeof(file_bytes[1]));
	struct lk_http_rsp rsp = {.status = 200, .json = true, .body = body};
	struct lk_buf store = LK_BUF(store_bytes);
	struct lk_release_ask a = ask(url);

	return lk_vault_parse(&rsp, &a, &roots, &store, &got, &err);
}

T(verifies_the_signature)
{
	char dir[] = "/tmp/latchkey-release-XXXXXX", command[512];

	NEED(mkdtemp(dir));
	NEED(lk_crypto_start(&err) == LK_OK);
	(void)snprintf(command, sizeof(command),
	    "/usr/bin/python3 tests/unit/release_answer.py %s %s our-nonce", dir, KID);
	if (system(command) != 0)
		SKIP("no python3 with python3-cryptography");
	EQ_CODE(LK_OK, read_signed(dir, "good.json", KID));
	EQ_S(got.kid, KID);
	EQ_U(got.ciphertext.n, 296);
	EQ_CODE(LK_ETRUST, read_signed(dir, "payload.json", KID));
	EQ_CODE(LK_ETRUST, read_signed(dir, "other-host.json", KID));
	EQ_CODE(LK_ETRUST, read_signed(dir, "other-root.json", KID));
	EQ_CODE(LK_ETRUST, read_signed(dir, "nonce.json", KID));
	OK(read_signed(dir, "hs256.json", KID) != LK_OK);
	OK(read_signed(dir, "none.json", KID) != LK_OK);
	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	OK(system(command) == 0);
}
