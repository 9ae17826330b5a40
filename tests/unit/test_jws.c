/* Signed objects and keys in JSON: what is accepted, and that nothing else is. */
#include "t.h"

#include "lines.h"
#include "lk/jws.h"

#define HOST "service.test"

static struct lk_err e;
static uint8_t store[1 << 16];

__attribute__((constructor)) static void start(void)
{
	if (lk_crypto_start(&e) != LK_OK)
		abort();
}

static enum lk_code verify(
    struct lk_slice text, const char *host, const struct lk_roots *roots, struct lk_buf *out)
{
	memset(&e, 0, sizeof(e));
	*out = LK_BUF(store);
	return lk_jws_verify_x5c(text, host, roots, out, &e);
}

static enum lk_code verdict(const char *word)
{
	return strcmp(word, "ok") == 0         ? LK_OK
	       : strcmp(word, "trust") == 0    ? LK_ETRUST
	       : strcmp(word, "protocol") == 0 ? LK_EPROTO
					       : LK_ELIMIT;
}

/* With other hosts, other roots and changed bytes the same text is refused. */
static void only_this(const struct lk_slice text, const struct lk_roots *roots)
{
	struct lk_buf out;
	uint8_t *bad = malloc(text.n);
	const struct lk_roots none = {LK_S("")};
	NEED(bad != NULL);
	EQ_CODE(LK_ETRUST, verify(text, "service.tes", roots, &out));
	EQ_CODE(LK_ECONF, verify(text, "", roots, &out));
	EQ_CODE(LK_ECONF, verify(text, HOST, &none, &out));
	for (size_t i = 0; i < text.n; i += 23) {
		memcpy(bad, text.p, text.n);
		bad[i] = bad[i] == 'A' ? 'B' : 'A';
		enum lk_code rc = verify(lk_slice_of(bad, text.n), HOST, roots, &out);
		if (rc != LK_ETRUST && rc != LK_EPROTO && rc != LK_ELIMIT)
			T_FAIL("byte %zu: code %d", i, (int)rc);
		EQ_U(out.n, 0);
	}
	for (size_t n = 0; n < text.n; n += 23)
		OK(verify(lk_slice_sub(text, 0, n), HOST, roots, &out) != LK_OK);
	free(bad);
}

T(signed_objects)
{
	FILE *f = popen(LINES_PYTHON "tests/unit/gen_jws.py", "r");
	static uint8_t pem[1 << 14];
	struct lk_roots roots = {LK_S("")};
	struct line l = {0};
	unsigned good = 0, bad = 0;
	NEED(f != NULL);
	while (line_next(f, &l)) {
		struct lk_buf out;
		if (strcmp(l.w[0], "roots") == 0) {
			struct lk_slice v = line_hex(&l, 1);
			NEED(v.n <= sizeof(pem));
			memcpy(pem, v.p, v.n);
			roots.pem = lk_slice_of(pem, v.n);
			continue;
		}
		struct lk_slice text = line_hex(&l, 3), body = line_hex(&l, 4);
		enum lk_code want = verdict(l.w[2]), rc = verify(text, HOST, &roots, &out);
		if (rc != want)
			T_FAIL("%s is %s, got code %d: %s", l.w[1], l.w[2], (int)rc, e.msg);
		else if (rc == LK_OK)
			EQ_BYTES(out.p, out.n, body.p, body.n);
		if (rc != LK_OK)
			EQ_U(out.n, 0);
		if (strcmp(l.w[1], "plain") == 0)
			only_this(text, &roots);
		if (strcmp(l.w[1], "plain") == 0) {
			out = (struct lk_buf){.p = store, .cap = body.n - 1};
			EQ_CODE(LK_ELIMIT, lk_jws_verify_x5c(text, HOST, &roots, &out, &e));
		}
		want == LK_OK ? good++ : bad++;
	}
	EQ_I(pclose(f), 0);
	EQ_U(good, 5);
	EQ_U(bad, 62);
}

static enum lk_code jwk(const char *text, struct lk_pub *out)
{
	struct lk_json_tok toks[32];
	struct lk_json j;
	memset(&e, 0, sizeof(e));
	if (lk_json_parse(lk_slice_str(text), toks, 32, &j, &e) != LK_OK)
		return LK_EBUG;
	return lk_jwk_read(&j, out, &e);
}

/* RFC 7638, section 3.1, and RFC 7515, appendix A.3 */
#define N                                                                                          \
	"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_"  \
	"BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-"          \
	"65YGjQR0_"                                                                                \
	"FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt"         \
	"-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
#define X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"

T(json_web_keys)
{
	struct lk_pub a, b;
	char thumb[44];
	EQ_CODE(LK_OK, jwk("{\"kty\":\"RSA\",\"n\":\"" N "\",\"e\":\"AQAB\",\"kid\":7}", &a));
	EQ_CODE(LK_OK, lk_pub_thumbprint(&a, thumb, &e));
	EQ_S(thumb, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
	/* as vaults write it: the HSM's name and a leading zero */
	EQ_CODE(LK_OK, jwk("{\"kty\":\"RSA-HSM\",\"n\":\"" N "\",\"e\":\"AAEAAQ\"}", &b));
	OK(lk_pub_eq(&a, &b));
	EQ_CODE(
	    LK_OK, jwk("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" Y "\"}", &a));
	EQ_U(a.n_len, 32);
	EQ_U(a.e_len, 32);
	EQ_U(a.n[0], 0x7f);
	EQ_U(a.e[31], 0xad);
	OK(a.kty == LK_KTY_EC && a.curve == LK_P256);
	EQ_CODE(LK_OK,
	    jwk("{\"y\":\"" Y "\",\"crv\":\"P-256\",\"x\":\"" X "\",\"kty\":\"EC-HSM\"}", &b));
	OK(lk_pub_eq(&a, &b));
	EQ_CODE(LK_OK, jwk("{\"kty\":\"oct-HSM\"}", &a));
	EQ_CODE(LK_OK, jwk("{\"kty\":\"oct\",\"k\":\"AAAA\"}", &b));
	OK(a.kty == LK_KTY_OCT && lk_pub_eq(&a, &b));
}

T(json_that_is_no_key)
{
	static const char *const bad[] = {
	    "{}",
	    "{\"kty\":1}",
	    "{\"kty\":\"\"}",
	    "{\"kty\":\"-HSM\"}",
	    "{\"kty\":\"rsa\",\"n\":\"" N "\",\"e\":\"AQAB\"}",
	    "{\"kty\":\"RSA-HSM-HSM\",\"n\":\"" N "\",\"e\":\"AQAB\"}",
	    "{\"kty\":\"RSA-hsm\",\"n\":\"" N "\",\"e\":\"AQAB\"}",
	    "{\"kty\":\"RSA\",\"e\":\"AQAB\"}",
	    "{\"kty\":\"RSA\",\"n\":\"" N "\"}",
	    "{\"kty\":\"RSA\",\"n\":null,\"e\":\"AQAB\"}",
	    "{\"kty\":\"RSA\",\"n\":\"" N "==\",\"e\":\"AQAB\"}",
	    "{\"kty\":\"RSA\",\"n\":\"" N "\",\"n\":\"" N "\",\"e\":\"AQAB\"}",
	    "{\"kty\":\"RSA\",\"n\":\"" N "\",\"e\":\"AQ\"}",
	    "{\"kty\":\"RSA\",\"n\":\"" N "\",\"e\":\"\"}",
	    "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
	    "{\"kty\":\"RSA\",\"n\":\"" N N N "\",\"e\":\"AQAB\"}",
	    "{\"kty\":\"EC\",\"x\":\"" X "\",\"y\":\"" Y "\"}",
	    "{\"kty\":\"EC\",\"crv\":\"P-256K\",\"x\":\"" X "\",\"y\":\"" Y "\"}",
	    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\"}",
	    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X X "\",\"y\":\"" Y "\"}",
	    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X "\"}",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct lk_pub out;
		enum lk_code rc = jwk(bad[i], &out);
		if (rc != LK_EPROTO && rc != LK_EABSENT && rc != LK_ELIMIT)
			T_FAIL("%.60s...: code %d", bad[i], (int)rc);
	}
}
