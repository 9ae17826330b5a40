/* The SNP path's runtime data: the wrapping key as the attestation service and the vault read it.
 */
#include "t.h"

#include "azure_answer.h"
#include "lines.h"
#include "lk/b64.h"
#include "lk/maa.h"

static uint8_t store_bytes[4096];
static struct lk_err err;

__attribute__((constructor)) static void start(void)
{
	if (lk_crypto_start(&err) != LK_OK)
		abort();
}

/* RFC 7638, section 3.1 */
#define N                                                                                          \
	"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_"  \
	"BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-"          \
	"65YGjQR0_"                                                                                \
	"FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt"         \
	"-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
#define KID   "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
#define NONCE "0123456789_bcdef-BCDEF"

static struct lk_pub rsa(struct lk_slice n)
{
	static const uint8_t f4[] = {1, 0, 1};
	struct lk_pub key;

	if (lk_pub_rsa(n, lk_slice_of(f4, 3), &key, &err) != LK_OK)
		abort();
	return key;
}

static struct lk_pub published(void)
{
	uint8_t bytes[256];
	struct lk_buf n = LK_BUF(bytes);

	if (lk_b64url_decode(text(N), &n, &err) != LK_OK)
		abort();
	return rsa(lk_slice_buf(&n));
}

static enum lk_code make(const struct lk_pub *key, const char *kid, const char *nonce,
    const char *config, struct lk_buf *out)
{
	*out = LK_BUF(store_bytes);
	memset(&err, 0, sizeof(err));
	return lk_maa_runtime(key, kid, text(nonce), text(config), out, &err);
}

T(writes_the_runtime_data)
{
	static const char head[] =
	    "{\"keys\":[{\"e\":\"AQAB\",\"key_ops\":[\"encrypt\"],\"kid\":\"" KID
	    "\",\"kty\":\"RSA\",\"n\":\"" N "\"}],\"latchkey\":{"
	    "\"boot-nonce\":\"" NONCE "\"";
	const struct lk_pub key = published();
	char kid[44], want[1024];
	struct lk_buf b;

	EQ_CODE(LK_OK, lk_pub_thumbprint(&key, kid, &err));
	EQ_S(kid, KID);
	EQ_CODE(LK_OK, make(&key, kid, NONCE, "", &b));
	(void)snprintf(want, sizeof(want), "%s}}", head);
	EQ_BYTES(b.p, b.n, want, strlen(want));
	EQ_CODE(LK_OK, make(&key, kid, NONCE, "c0ffee", &b));
	(void)snprintf(want, sizeof(want), "%s,\"config\":\"c0ffee\"}}", head);
	EQ_BYTES(b.p, b.n, want, strlen(want));
}

static const char *word(struct line *l, unsigned i)
{
	static char out[4][512];
	static unsigned turn;
	struct lk_slice v = line_hex(l, i);

	if (v.n >= sizeof(out[0]))
		abort();
	memcpy(out[++turn % 4], v.p, v.n);
	out[turn % 4][v.n] = '\0';
	return out[turn % 4];
}

static void compare(struct line *l)
{
	const struct lk_pub key = rsa(line_hex(l, 1));
	const char *kid = word(l, 2), *nonce = word(l, 3), *config = word(l, 4);
	struct lk_slice want = line_hex(l, 5);
	char ours[44];
	struct lk_buf b;

	EQ_CODE(LK_OK, lk_pub_thumbprint(&key, ours, &err));
	EQ_S(ours, kid);
	EQ_CODE(LK_OK, make(&key, ours, nonce, config, &b));
	EQ_BYTES(b.p, b.n, want.p, want.n);
	OK(b.n <= LK_RUNTIME_MAX);
}

T(writes_what_another_writer_writes)
{
	FILE *f = popen(LINES_PYTHON "tests/unit/gen_maa.py runtime", "r");
	struct line l = {0};
	unsigned n = 0;

	NEED(f != NULL);
	for (; line_next(f, &l); n++)
		compare(&l);
	EQ_I(pclose(f), 0);
	EQ_U(n, 11);
}

static void refuses_key(struct lk_pub key)
{
	struct lk_buf b;

	EQ_CODE(LK_EBUG, make(&key, KID, NONCE, "", &b));
	EQ_U(b.n, 0);
}

T(refuses_runtime_data_that_nobody_would_take)
{
	static const char *const kids[] = {"", "x", KID "x",
	    "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9X",
	    "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9X=",
	    "NzbLsXh8uDCcd+6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"};
	static const char *const nonces[] = {"", "0123456789_bcdef-BCDE",
	    "0123456789_bcdef-BCDE=", "0123456789_bcdef-BCDE\"", "0123456789_bcdef-BCDE\xff",
	    "0123456789 bcdef-BCDEF"};
	static const char *const configs[] = {"\"", "a b", "a\\", "a\n", "\xc3\xa4", "a=", "a.b"};
	struct lk_pub key = published();
	char most[300];
	struct lk_buf b;

	for (size_t i = 0; i < sizeof(kids) / sizeof(kids[0]); i++)
		EQ_CODE(LK_EBUG, make(&key, kids[i], NONCE, "", &b));
	for (size_t i = 0; i < sizeof(nonces) / sizeof(nonces[0]); i++)
		EQ_CODE(LK_EBUG, make(&key, KID, nonces[i], "", &b));
	for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++)
		EQ_CODE(LK_EBUG, make(&key, KID, NONCE, configs[i], &b));
	memset(most, 'm', sizeof(most));
	most[257] = '\0';
	EQ_CODE(LK_EBUG, make(&key, KID, most, "", &b));
	EQ_CODE(LK_OK, make(&key, KID, most + 1, "", &b));
	EQ_CODE(LK_EBUG, make(&key, KID, NONCE, most + 128, &b));
	EQ_CODE(LK_OK, make(&key, KID, NONCE, most + 129, &b));
	b = (struct lk_buf){.p = store_bytes, .n = 0, .cap = 500, .bad = false};
	EQ_CODE(LK_ELIMIT, lk_maa_runtime(&key, KID, text(NONCE), text(""), &b, &err));
}

T(refuses_a_key_that_cannot_wrap)
{
	struct lk_pub key = published();

	key.kty = LK_KTY_EC;
	refuses_key(key);
	key.kty = LK_KTY_OCT;
	refuses_key(key);
	key = published();
	key.n[0] = 0;
	refuses_key(key);
	key = published();
	key.n_len = 255;
	refuses_key(key);
	key.n_len = 513;
	refuses_key(key);
	key = published();
	key.e[2] = 3;
	refuses_key(key);
	key = published();
	key.e_len = 2;
	refuses_key(key);
	key.e_len = 0;
	refuses_key(key);
}
