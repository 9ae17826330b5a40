/* The sealed answer of the attestation service, and the look into the opened token. */
#include "t.h"

#include "azure_answer.h"
#include "lk/b64.h"
#include "lk/maa.h"

static uint8_t store_bytes[128 * 1024];
static struct lk_err err;

/* ---- the sealed answer */

#define INNER                                                                                      \
	"{\"AuthenticationData\":\"AAECAwQFBgcICQoLDA0ODw==\",\"EncryptedInnerKey\":\"%s\","       \
	"\"EncryptionParams\":{\"BlockMode\":\"ChainingModeGCM\",\"BlockPadding\":\"PKCS7\","      \
	"\"Cipher\":\"AES\",\"Iv\":\"AAECAwQFBgcICQoL\",\"KeySizeInBits\":256},"                   \
	"\"Jwt\":\"/+//\"}"

static const char *encode(struct lk_slice v, bool url)
{
	static char out[2][60000];
	static unsigned turn;
	struct lk_buf b = {.p = (uint8_t *)out[turn % 2], .n = 0, .cap = sizeof(out[0]) - 1};

	if (url)
		lk_b64url_encode(v, &b);
	else
		lk_b64_encode(v, &b);
	if (b.bad)
		abort();
	out[turn % 2][b.n] = '\0';
	return out[turn++ % 2];
}

static const char *inner(void)
{
	static char out[1024];
	uint8_t key[256];

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i ^ 0xa5);
	(void)snprintf(out, sizeof(out), INNER, encode(lk_slice_of(key, sizeof(key)), false));
	return out;
}

static enum lk_code open_token(const char *token, struct lk_maa_envelope *env)
{
	static char body[65536];
	struct lk_buf store = LK_BUF(store_bytes);

	(void)snprintf(body, sizeof(body), "{\"token\":\"%s\"}", token);
	struct lk_http_rsp rsp = answer(200, body);
	memset(&err, 0, sizeof(err));
	return lk_maa_parse(&rsp, &store, env, &err);
}

static enum lk_code open_inner(const char *document)
{
	struct lk_maa_envelope env;

	return open_token(encode(text(document), true), &env);
}

static void is_whole(const struct lk_maa_envelope *env)
{
	EQ_U(env->inner_key.n, 256);
	OK(env->inner_key.p[0] == 0xa5 && env->inner_key.p[255] == 0x5a);
	EQ_BYTES(env->iv.p, env->iv.n, "\0\1\2\3\4\5\6\7\10\11\12\13", 12);
	EQ_BYTES(env->tag.p, env->tag.n, "\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17", 16);
	EQ_BYTES(env->ciphertext.p, env->ciphertext.n, "\xff\xef\xff", 3);
}

T(opens_an_answer)
{
	static const char *const padding[] = {"", "", "==", "="};
	struct lk_maa_envelope env;
	char padded[2048];

	EQ_CODE(LK_OK, open_token(encode(text(inner()), true), &env));
	is_whole(&env);
	/* Blanks behind the document give every padding. */
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(padded, sizeof(padded), "%s%.*s", inner(), (int)i, "  ");
		const char *token = encode(text(padded), true);
		(void)snprintf(padded, sizeof(padded), "%s%s", token, padding[strlen(token) % 4]);
		EQ_CODE(LK_OK, open_token(padded, &env));
		is_whole(&env);
	}
	/* Some JSON writers escape the slash and the plus. */
	EQ_CODE(LK_OK,
	    open_token(encode(text(swap(inner(), "/+//", "\\/\\u002b\\u002F/")), true), &env));
	is_whole(&env);
}

T(refuses_an_answer)
{
	struct lk_maa_envelope env;

	EQ_CODE(LK_OK, open_inner(inner()));
	EQ_CODE(LK_EPROTO, open_token("", &env));
	EQ_CODE(LK_EPROTO, open_token("e30", &env)); /* {} */
	EQ_CODE(LK_EPROTO, open_token("W10", &env)); /* [] */
	EQ_CODE(LK_EPROTO, open_token("e30====", &env));
	EQ_CODE(LK_EPROTO, open_token("e 30", &env));
	EQ_CODE(LK_EPROTO, open_token("e30\\n", &env));
	EQ_CODE(LK_EPROTO, open_inner(swap(inner(), "Jwt", "jwt")));
	EQ_CODE(LK_EPROTO, open_inner(swap(inner(), "Jwt", "Iv\":\"\",\"Jwt\":\"AAAA\",\"Jwt")));
	EQ_CODE(LK_EPROTO, open_inner(swap(inner(), "\"Cipher\":\"AES\",", "")));
	EQ_CODE(LK_EPROTO, open_inner(swap(inner(), "\"AES\"", "\"aes\"")));
	EQ_CODE(LK_EPROTO, open_inner(swap(inner(), "ChainingModeGCM", "ChainingModeCBC")));
	EQ_CODE(LK_EPROTO, open_inner(swap(inner(), "PKCS7", "None")));
	EQ_CODE(LK_EPROTO, open_inner(swap(inner(), "256}", "0}")));
	EQ_CODE(LK_EPROTO, open_inner(swap(inner(), "256}", "255}")));
	EQ_CODE(LK_EPROTO, open_inner(swap(inner(), "256}", "\"256\"}")));
	EQ_CODE(LK_EPROTO, open_inner(swap(inner(), "AAECAwQFBgcICQoL\"", "\"")));
	EQ_CODE(LK_EPROTO, open_inner(swap(inner(), "AAECAwQFBgcICQoL\"", "AAEC-_QF\"")));
	EQ_CODE(LK_EPROTO, open_inner(swap(inner(), "DA0ODw==", "DA0ODw")));
	EQ_CODE(LK_EPROTO, open_inner(swap(inner(), "DA0ODw==", "DA0O")));
	EQ_CODE(LK_EPROTO, open_inner(swap(inner(), "DA0ODw==", "DA0ODwAA")));
	EQ_CODE(LK_EPROTO, open_inner(swap(inner(), "/+//", "")));
	EQ_CODE(LK_EPROTO,
	    open_inner(swap(inner(), "EncryptedInnerKey\":\"", "EncryptedInnerKey\":\"AAAA")));
	EQ_CODE(LK_EPROTO, open_inner(swap(inner(), "\"/+//\"", "[]")));
	OK(strncmp(err.msg, "attestation: ", 13) == 0);
}

T(refuses_a_wrapper)
{
	struct lk_http_rsp rsp = answer(200, "{\"Token\":\"e30\"}");
	struct lk_buf store = LK_BUF(store_bytes);
	struct lk_maa_envelope env;

	EQ_CODE(LK_EPROTO, lk_maa_parse(&rsp, &store, &env, &err));
	rsp.body = text("{\"token\":null}");
	EQ_CODE(LK_EPROTO, lk_maa_parse(&rsp, &store, &env, &err));
	rsp.body = text("{\"token\":\"e30\",\"token\":\"e30\"}");
	EQ_CODE(LK_EPROTO, lk_maa_parse(&rsp, &store, &env, &err));
	rsp.body = text("<html>");
	EQ_CODE(LK_EPROTO, lk_maa_parse(&rsp, &store, &env, &err));
	rsp = answer(202, "{\"token\":\"e30\"}");
	EQ_CODE(LK_EPROTO, lk_maa_parse(&rsp, &store, &env, &err));
	OK(strstr(err.msg, "unexpected status 202") != NULL);
	rsp = answer(200, "{\"token\":\"e30\"}");
	rsp.json = false;
	EQ_CODE(LK_EPROTO, lk_maa_parse(&rsp, &store, &env, &err));
	OK(strstr(err.msg, "not JSON") != NULL);
}

T(limits_an_answer)
{
	static uint8_t big[LK_TOKEN_MAX + 3];
	struct lk_maa_envelope env;
	const char *jwt;

	jwt = encode(lk_slice_of(big, LK_TOKEN_MAX), false);
	EQ_CODE(LK_OK, open_token(encode(text(swap(inner(), "/+//", jwt)), true), &env));
	EQ_U(env.ciphertext.n, LK_TOKEN_MAX);
	jwt = encode(lk_slice_of(big, sizeof(big)), false);
	EQ_CODE(LK_ELIMIT, open_inner(swap(inner(), "/+//", jwt)));
}

/* ---- the opened token: key 00 01 02 03 .. with a leading zero, nonce "a nonce of ours, ok" */

#define N     "AQIDBAUGBwgJCgsMDQ4PEA"
#define NONCE "YSBub25jZSBvZiBvdXJzLCBvaw=="
#define KEYS                                                                                       \
	"[{\"kid\":\"HCLAkPub\",\"kty\":\"RSA\",\"key_ops\":[\"sign\"],\"n\":\"AAAA\",\"e\":"      \
	"\"AQAB\"},{\"kid\":\"T\",\"kty\":\"RSA\",\"key_ops\":[\"decrypt\",\"encrypt\"],\"n\":"    \
	"\"" N "\",\"e\":\"AQAB\"}]"
#define TEE                                                                                        \
	"{\"x-ms-attestation-type\":\"sevsnpvm\",\"x-ms-compliance-status\":\"azure-compliant-"    \
	"cvm\",\"x-ms-sevsnpvm-is-debuggable\":false,\"x-ms-sevsnpvm-vmpl\":0,\"x-ms-runtime\":"   \
	"{\"keys\":[]}}"
#define CLAIMS                                                                                     \
	"{\"iss\":\"https://m.example\",\"exp\":1767225600,\"secureboot\":true,"                   \
	"\"x-ms-attestation-type\":\"azurevm\",\"x-ms-isolation-tee\":" TEE ",\"x-ms-runtime\":{"  \
	"\"client-payload\":{\"nonce\":\"" NONCE "\"},\"keys\":" KEYS "}}"

static struct lk_maa_claims claims;

static enum lk_code check_as(enum lk_maa_path path, const char *payload)
{
	static const uint8_t key[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
	static char jwt[65536];
	struct lk_buf scratch = LK_BUF(store_bytes);

	(void)snprintf(jwt, sizeof(jwt), "e30.%s.AAAA", encode(text(payload), true));
	memset(&err, 0, sizeof(err));
	return lk_maa_token_check(path, text(jwt), "m.example", lk_slice_of(key, sizeof(key)),
	    text("a nonce of ours, ok"), &scratch, &claims, &err);
}

static enum lk_code check(const char *payload)
{
	return check_as(LK_MAA_GUEST, payload);
}

T(takes_our_token)
{
	EQ_CODE(LK_OK, check(CLAIMS));
	EQ_S(claims.issuer, "https://m.example");
	EQ_I(claims.expires, 1767225600);
	EQ_S(claims.summary,
	    "iss=https://m.example; x-ms-isolation-tee.x-ms-attestation-type=sevsnpvm; "
	    "x-ms-isolation-tee.x-ms-compliance-status=azure-compliant-cvm; "
	    "x-ms-isolation-tee.x-ms-sevsnpvm-is-debuggable=false; "
	    "x-ms-isolation-tee.x-ms-sevsnpvm-vmpl=0; secureboot=true");
	EQ_CODE(LK_OK, check(swap(CLAIMS, "[\"decrypt\",\"encrypt\"]", "[],\"use\":\"enc\"")));
	EQ_CODE(LK_OK, check(swap(CLAIMS, "\"" N, "\"AAECAwQFBgcICQoLDA0ODxA")));
	/* Without an object of its own, the hardware's claims stand on top. */
	const char *flat = swap(CLAIMS, "\"x-ms-isolation-tee\":" TEE ",", "");
	EQ_CODE(LK_EATTEST, check(flat));
	EQ_CODE(LK_OK, check(swap(flat, "azurevm", "sevsnpvm")));
	OK(strstr(claims.summary, "; x-ms-attestation-type=sevsnpvm") != NULL);
}

T(refuses_another_token)
{
	/* issuer */
	EQ_CODE(LK_EATTEST, check(swap(CLAIMS, "m.example", "n.example")));
	EQ_CODE(LK_EATTEST, check(swap(CLAIMS, "m.example", "m.example.evil")));
	EQ_CODE(LK_EATTEST, check(swap(CLAIMS, "https://m", "http://m")));
	EQ_CODE(LK_EATTEST, check(swap(CLAIMS, "iss", "is")));
	EQ_CODE(LK_EPROTO, check(swap(CLAIMS, "\"https://m.example\"", "null")));
	/* type */
	EQ_CODE(LK_EATTEST, check(swap(CLAIMS, "sevsnpvm\"", "tdxvm\"")));
	EQ_CODE(LK_EATTEST, check(swap(CLAIMS, TEE, "{}")));
	EQ_CODE(LK_EPROTO, check(swap(CLAIMS, TEE, "null")));
	EQ_CODE(
	    LK_EPROTO, check(swap(CLAIMS, "\"secureboot\":true", "\"x-ms-isolation-tee\":" TEE)));
	/* key */
	EQ_CODE(LK_EATTEST, check(swap(CLAIMS, N, "AQIDBAUGBwgJCgsMDQ4PEQ")));
	EQ_CODE(LK_EATTEST, check(swap(CLAIMS, N, "AQIDBAUGBwgJCgsMDQ4P")));
	EQ_CODE(LK_EATTEST, check(swap(CLAIMS, "\"" N "\",\"e\":\"AQAB", "\"" N "\",\"e\":\"Aw")));
	EQ_CODE(LK_EATTEST, check(swap(CLAIMS, "\"encrypt\"", "\"wrapKey\"")));
	EQ_CODE(LK_EATTEST, check(swap(CLAIMS, KEYS, "[]")));
	EQ_CODE(LK_EATTEST, check(swap(CLAIMS, KEYS, "[1,\"x\",null]")));
	EQ_CODE(LK_EPROTO, check(swap(CLAIMS, KEYS, "{}")));
	EQ_CODE(LK_EATTEST, check(swap(CLAIMS, "\"keys\":[{", "\"k\":[{")));
	EQ_CODE(LK_EPROTO, check(swap(CLAIMS, N, N "=")));
	/* The first encryption key counts, not any. */
	EQ_CODE(LK_EATTEST, check(swap(CLAIMS, "\"sign\"", "\"encrypt\"")));
	/* nonce */
	EQ_CODE(LK_EATTEST, check(swap(CLAIMS, NONCE, "YSBub25jZSBvZiBvdXJz")));
	EQ_CODE(LK_EATTEST, check(swap(CLAIMS, NONCE, "")));
	EQ_CODE(LK_EATTEST, check(swap(CLAIMS, "client-payload", "payload")));
	EQ_CODE(LK_EPROTO, check(swap(CLAIMS, "\"" NONCE "\"", "7")));
	/* expiry */
	EQ_CODE(LK_EATTEST, check(swap(CLAIMS, "exp", "nbf")));
	EQ_CODE(LK_EPROTO, check(swap(CLAIMS, "1767225600", "\"1767225600\"")));
	EQ_CODE(LK_EPROTO, check(swap(CLAIMS, "1767225600", "-1")));
	EQ_CODE(LK_EPROTO, check(swap(CLAIMS, "1767225600", "1e3")));
	EQ_CODE(LK_EPROTO, check(swap(CLAIMS, "1767225600", "9223372036854775808")));
	/* form */
	EQ_CODE(LK_EPROTO, check("[]"));
	EQ_CODE(LK_EPROTO, check("x"));
}

T(refuses_no_token)
{
	static const char *const bad[] = {"", ".", "..", "a.b", "e30.e30.", "e30.e30.AA.AA",
	    "e30.e3$.AAAA", "e30.e30=.AAAA", "e30.e.AAAA"};
	struct lk_buf scratch = LK_BUF(store_bytes);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EQ_CODE(LK_EPROTO, lk_maa_token_check(LK_MAA_GUEST, text(bad[i]), "m.example",
				       text("n"), text("o"), &scratch, &claims, &err));
	/* Nothing to compare with would match nothing. */
	EQ_CODE(LK_EBUG, lk_maa_token_check(LK_MAA_GUEST, text("e30.e30.AAAA"), "m.example",
			     text(""), text("o"), &scratch, &claims, &err));
	EQ_CODE(LK_EBUG, lk_maa_token_check(LK_MAA_GUEST, text("e30.e30.AAAA"), "m.example",
			     text("n"), text(""), &scratch, &claims, &err));
}

T(cuts_the_summary)
{
	static char big[2000];
	char claim[2100];

	memset(big, 'h', sizeof(big) - 1);
	(void)snprintf(claim, sizeof(claim), "\"x-ms-compliance-status\":\"%s\"", big);
	EQ_CODE(LK_OK,
	    check(swap(CLAIMS, "\"x-ms-compliance-status\":\"azure-compliant-cvm\"", claim)));
	const char *at = strstr(claims.summary, "status=");
	NEED(at);
	EQ_U(strspn(at + 7, "h"), 128);
	OK(strstr(claims.summary, "secureboot=true") != NULL);
}

/* ---- the token of the SNP path: the claims on top, the nonce as it is in the runtime data */

#define HASH64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HASH96 HASH64 "0123456789abcdef0123456789abcdef"
#define BOUND  "\"boot-nonce\":\"a nonce of ours, ok\""
#define SNP                                                                                        \
	"{\"exp\":1767225600,\"iss\":\"https://m.example\",\"nonce\":\"a nonce of ours, ok\","     \
	"\"x-ms-attestation-type\":\"sevsnpvm\",\"x-ms-policy-hash\":\"p\",\"x-ms-runtime\":{"     \
	"\"keys\":" KEYS ",\"latchkey\":{" BOUND ",\"config\":\"" HASH64 "\"}},"                   \
	"\"x-ms-sevsnpvm-hostdata\":\"" HASH64 "\",\"x-ms-sevsnpvm-idkeydigest\":\"" HASH96        \
	"\",\"x-ms-sevsnpvm-is-debuggable\":false,\"x-ms-sevsnpvm-launchmeasurement\":\"" HASH96   \
	"\",\"x-ms-sevsnpvm-vmpl\":0}"

static enum lk_code check_snp(const char *payload)
{
	return check_as(LK_MAA_SNP, payload);
}

T(takes_our_snp_token)
{
	EQ_CODE(LK_OK, check_snp(SNP));
	EQ_S(claims.issuer, "https://m.example");
	EQ_I(claims.expires, 1767225600);
	EQ_S(claims.summary,
	    "iss=https://m.example; x-ms-attestation-type=sevsnpvm; "
	    "x-ms-sevsnpvm-is-debuggable=false; x-ms-sevsnpvm-vmpl=0; "
	    "x-ms-sevsnpvm-hostdata=" HASH64 "; x-ms-sevsnpvm-launchmeasurement=" HASH96
	    "; x-ms-sevsnpvm-idkeydigest=" HASH96 "; x-ms-runtime.latchkey.config=" HASH64
	    "; x-ms-policy-hash=p");
	/* The service's echo and our config are optional. */
	EQ_CODE(LK_OK, check_snp(swap(SNP, "\"nonce\":\"a nonce of ours, ok\",", "")));
	EQ_CODE(LK_OK, check_snp(swap(SNP, ",\"config\":\"" HASH64 "\"", "")));
	OK(!strstr(claims.summary, "latchkey.config"));
	EQ_CODE(LK_OK, check_snp(swap(SNP, "\"p\"", "\"p\",\"x-ms-compliance-status\":\"cvm\"")));
	OK(strstr(claims.summary, "; x-ms-compliance-status=cvm; ") != NULL);
}

T(refuses_another_snp_token)
{
	/* nonce */
	EQ_CODE(LK_EATTEST, check_snp(swap(SNP, BOUND, "\"boot-nonce\":\"a nonce of ours, o\"")));
	EQ_CODE(LK_EATTEST, check_snp(swap(SNP, BOUND, "\"boot-nonce\":\"a nonce of ours, ok2\"")));
	EQ_CODE(LK_EATTEST, check_snp(swap(SNP, BOUND, "\"boot-nonce\":\"" NONCE "\"")));
	EQ_CODE(LK_EATTEST, check_snp(swap(SNP, BOUND, "\"boot-nonce\":\"\"")));
	EQ_CODE(LK_EPROTO, check_snp(swap(SNP, BOUND, "\"boot-nonce\":7")));
	EQ_CODE(LK_EPROTO, check_snp(swap(SNP, BOUND, BOUND "," BOUND)));
	EQ_CODE(LK_EATTEST, check_snp(swap(SNP, BOUND ",", "")));
	EQ_CODE(LK_EATTEST, check_snp(swap(SNP, "\"latchkey\"", "\"latchkez\"")));
	/* The echo does not stand for the bound one, but if there is one it must be right. */
	EQ_CODE(LK_EATTEST,
	    check_snp(swap(SNP, "\"nonce\":\"a nonce of ours, ok\"", "\"nonce\":\"\"")));
	EQ_CODE(
	    LK_EPROTO, check_snp(swap(SNP, "\"nonce\":\"a nonce of ours, ok\"", "\"nonce\":7")));
	EQ_CODE(LK_EPROTO,
	    check_snp(swap(SNP, "\"exp\"", "\"nonce\":\"a nonce of ours, ok\",\"exp\"")));
	/* issuer, key */
	EQ_CODE(LK_EATTEST, check_snp(swap(SNP, "m.example", "n.example")));
	EQ_CODE(LK_EATTEST, check_snp(swap(SNP, N, "AQIDBAUGBwgJCgsMDQ4PEQ")));
	EQ_CODE(LK_EATTEST, check_snp(swap(SNP, KEYS, "[]")));
	/* The type counts that a policy tests: the one on top. */
	EQ_CODE(LK_EATTEST, check_snp(swap(SNP, "sevsnpvm", "azurevm")));
	EQ_CODE(LK_EATTEST,
	    check_snp(swap(SNP, "sevsnpvm\"", "azurevm\",\"x-ms-isolation-tee\":" TEE)));
	EQ_CODE(LK_EATTEST, check_snp(swap(SNP, "-type", "-typo")));
}

/* Tokens of one path do not pass for the other's. */
T(paths_do_not_mix)
{
	EQ_CODE(LK_EATTEST, check(SNP));
	EQ_CODE(LK_EATTEST, check_snp(CLAIMS));
	const char *both =
	    swap(CLAIMS, "\"client-payload\"", "\"latchkey\":{" BOUND "},\"client-payload\"");
	EQ_CODE(LK_OK, check(both));
	EQ_CODE(LK_EATTEST, check_snp(both)); /* azurevm */
}
