/* What goes to a courier for a token and a key, and what is taken back from it. */
#include "t.h"

#include "liar.h"

/* ---- attestation, SNP path */

static enum lk_code token_of(enum lk_frame type, const struct lk_buf *b)
{
	struct lk_courier c;
	struct lk_buf s = store();
	struct lk_slice jwt = LK_S("left over");
	struct lk_err e = {0};

	start_liar(&c);
	say(type, b);
	enum lk_code rc = lk_wait_token(&c, &s, &jwt, &e);
	if (rc == LK_OK)
		EQ_BYTES(jwt.p, jwt.n, b->p + 4, b->n - 4);
	else
		EQ_U(jwt.n, 0);
	stop_liar(&c);
	return rc;
}

static enum lk_code token_text(struct lk_slice jwt)
{
	static uint8_t mem[LK_TOKEN_MAX + 64];
	struct lk_buf b = LK_BUF(mem);

	lk_frame_field(&b, jwt);
	return token_of(LK_F_TOKEN, &b);
}

T(a_token_has_the_form_of_one)
{
	static const char *const bad[] = {"", "e30", "e30.e30", "e30.e30.", ".e30.AAAA",
	    "e30.e30.AAAA.AAAA", "e30.e30.AA=", "e30.e30.AA+", "e30.e30.A A", "e30.e30.A\n",
	    "e30.e30.AAAA\"", "e30.e30.\xc3\xa4"};
	static uint8_t big[LK_TOKEN_MAX + 1];

	EQ_CODE(LK_OK, token_text(LK_S("e30.e30.AA-_")));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (token_text(lk_slice_str(bad[i])) != LK_EPROTO)
			T_FAIL("%s", bad[i]);
	EQ_CODE(LK_EPROTO, token_text(LK_S("e30.e30.A\0A")));
	memset(big, 'A', sizeof(big));
	big[3] = big[7] = '.';
	EQ_CODE(LK_OK, token_text(lk_slice_of(big, LK_TOKEN_MAX)));
	EQ_CODE(LK_EPROTO, token_text(lk_slice_of(big, LK_TOKEN_MAX + 1)));
}

T(a_token_frame_holds_just_that)
{
	uint8_t mem[64];
	struct lk_buf b = LK_BUF(mem);

	lk_frame_field(&b, LK_S("e30.e30.AAAA"));
	EQ_CODE(LK_OK, token_of(LK_F_TOKEN, &b));
	EQ_CODE(LK_EPROTO, token_of(LK_F_ENVELOPE, &b));
	for (b.n = 0; b.n < 16; b.n++)
		EQ_CODE(LK_EPROTO, token_of(LK_F_TOKEN, &b));
	lk_buf_byte(&b, 'A');
	EQ_CODE(LK_EPROTO, token_of(LK_F_TOKEN, &b));
	b.n = 16;
	lk_frame_field(&b, LK_S(""));
	EQ_CODE(LK_EPROTO, token_of(LK_F_TOKEN, &b));
	b.n = 16;
	mem[0] = 13; /* the field is longer than the frame */
	EQ_CODE(LK_EPROTO, token_of(LK_F_TOKEN, &b));
	mem[0] = 11;
	EQ_CODE(LK_EPROTO, token_of(LK_F_TOKEN, &b));
}

T(evidence_goes_out_in_order)
{
	static const char *const want[] = {"2022-08-01", "n", "r", "c", "{}", "i", "e"};
	const struct lk_maa_snp ev = {
	    .api_version = LK_S("2022-08-01"),
	    .nonce = LK_S("n"),
	    .report = LK_S("r"),
	    .certs_pem = LK_S("c"),
	    .runtime = LK_S("{}"),
	    .init_data = LK_S("i"),
	    .endorsements = LK_S("e"),
	};
	struct lk_buf s = store();
	struct lk_frame_reader r;
	struct lk_courier c;
	enum lk_frame type;
	struct lk_err e = {0};

	start_liar(&c);
	EQ_CODE(LK_OK, lk_ask_attest_snp(&c, &ev, &s, &e));
	s = store();
	NEED(lk_frame_recv(liar, &s, &type, &r, lk_deadline_in(1000), &e) == LK_OK);
	EQ_U(type, LK_F_ATTEST_SNP);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct lk_slice got = lk_frame_take(&r, 16);
		EQ_BYTES(got.p, got.n, want[i], strlen(want[i]));
	}
	EQ_CODE(LK_OK, lk_frame_done(&r, "attest", &e));
	s.cap = 20; /* what does not fit is not sent */
	s.n = 0;
	EQ_CODE(LK_ELIMIT, lk_ask_attest_snp(&c, &ev, &s, &e));
	stop_liar(&c);
}

static enum lk_code claims_of(const char *issuer, uint64_t expires, size_t summary, bool more)
{
	static uint8_t mem[4096];
	static char text[2048];
	static struct lk_maa_claims claims;
	struct lk_courier c;
	struct lk_buf s = store(), b = LK_BUF(mem);
	struct lk_err e = {0};

	start_liar(&c);
	memset(text, 's', sizeof(text));
	lk_frame_field(&b, lk_slice_str(issuer));
	lk_frame_u64(&b, expires);
	lk_frame_field(&b, lk_slice_of(text, summary));
	if (more)
		lk_frame_u32(&b, 0);
	say(LK_F_CLAIMS, &b);
	enum lk_code rc = lk_token_check(
	    &c, LK_MAA_SNP, LK_S("e30.e30.AAAA"), LK_S("n"), LK_S("nonce"), &s, &claims, &e);
	if (rc == LK_OK)
		EQ_U(strlen(claims.summary), summary);
	stop_liar(&c);
	return rc;
}

T(claims_fit_and_are_text)
{
	EQ_CODE(LK_OK, claims_of("https://m", 1, 1023, false));
	EQ_CODE(LK_OK, claims_of("", INT64_MAX, 0, false));
	EQ_CODE(LK_EPROTO, claims_of("https://m", 1, 1024, false));
	EQ_CODE(LK_EPROTO, claims_of("https://m", (uint64_t)INT64_MAX + 1, 0, false));
	EQ_CODE(LK_EPROTO, claims_of("https://m\n", 1, 0, false));
	EQ_CODE(LK_EPROTO, claims_of("https://m", 1, 0, true));
}

/* ---- vault */

static size_t block = 256; /* of the key that we asked with */

static enum lk_code released_of(uint32_t kty, uint32_t curve, size_t n, size_t exp, size_t ct)
{
	static uint8_t mem[8192];
	static const uint8_t zero[4096];
	static struct lk_released got;
	struct lk_courier c;
	struct lk_buf s = store(), b = LK_BUF(mem);
	struct lk_err e = {0};

	start_liar(&c);
	lk_frame_u32(&b, kty);
	lk_frame_u32(&b, curve);
	lk_frame_field(&b, lk_slice_of(zero, n));
	lk_frame_field(&b, lk_slice_of(zero, exp));
	lk_frame_field(&b, LK_S("https://v/keys/k/1"));
	lk_frame_field(&b, lk_slice_of(zero, ct));
	say(LK_F_RELEASED, &b);
	enum lk_code rc = lk_wait_released(&c, block, &s, &got, &e);
	stop_liar(&c);
	return rc;
}

T(a_released_key_is_one)
{
	EQ_CODE(LK_OK, released_of(LK_KTY_RSA, 0, 256, 3, 296));
	EQ_CODE(LK_OK, released_of(LK_KTY_RSA, 0, 512, 3, 256 + 2400));
	EQ_CODE(LK_OK, released_of(LK_KTY_EC, LK_P521, 66, 66, 296));
	EQ_CODE(LK_OK, released_of(LK_KTY_OCT, 0, 0, 0, 272));
	EQ_CODE(LK_EPROTO, released_of(0, 0, 256, 3, 296));
	EQ_CODE(LK_EPROTO, released_of(4, 0, 256, 3, 296));
	EQ_CODE(LK_EPROTO, released_of(LK_KTY_RSA, 1, 256, 3, 296));
	EQ_CODE(LK_EPROTO, released_of(LK_KTY_RSA, 0, 128, 3, 296));
	EQ_CODE(LK_EPROTO, released_of(LK_KTY_EC, LK_P256, 48, 48, 296));
	EQ_CODE(LK_EPROTO, released_of(LK_KTY_EC, 4, 32, 32, 296));
	EQ_CODE(LK_EPROTO, released_of(LK_KTY_OCT, 0, 1, 0, 296));
	EQ_CODE(LK_EPROTO, released_of(LK_KTY_RSA, 0, 256, 3, 264));
	EQ_CODE(LK_EPROTO, released_of(LK_KTY_RSA, 0, 256, 3, 297));
	EQ_CODE(LK_EPROTO, released_of(LK_KTY_RSA, 0, 256, 3, 4096));
}

T(a_released_key_is_wrapped_for_our_key)
{
	for (block = 256; block <= 512; block += 128) {
		EQ_CODE(LK_OK, released_of(LK_KTY_OCT, 0, 0, 0, block + 16));
		EQ_CODE(LK_OK, released_of(LK_KTY_RSA, 0, 256, 3, block + 2400));
		EQ_CODE(LK_OK, released_of(LK_KTY_OCT, 0, 0, 0, block + LK_SECRET_MAX));
		EQ_CODE(LK_EPROTO, released_of(LK_KTY_OCT, 0, 0, 0, block + LK_SECRET_MAX + 8));
		for (size_t more = 0; more < 16; more++)
			EQ_CODE(LK_EPROTO, released_of(LK_KTY_OCT, 0, 0, 0, block + more));
		for (size_t more = 17; more < 24; more++)
			EQ_CODE(LK_EPROTO, released_of(LK_KTY_OCT, 0, 0, 0, block + more));
	}
	block = 384; /* for a key of 2048 bits */
	EQ_CODE(LK_EPROTO, released_of(LK_KTY_OCT, 0, 0, 0, 256 + 40));
	block = 256;
}

T(a_release_says_how_long_our_key_is)
{
	const struct lk_release_wire ask = {.key_url = "u",
	    .api_version = "7.4",
	    .bearer = LK_S("b"),
	    .token = LK_S("t"),
	    .nonce = LK_S("n"),
	    .wrap_kid = LK_S("k"),
	    .enc = LK_ENC_SHA384,
	    .block = 384};
	static const char *const want[] = {"u", "7.4", "b", "t", "n"};
	struct lk_buf s = store();
	struct lk_frame_reader r;
	struct lk_courier c;
	enum lk_frame type;
	struct lk_err e = {0};

	start_liar(&c);
	EQ_CODE(LK_OK, lk_ask_release(&c, &ask, &s, &e));
	s = store();
	NEED(lk_frame_recv(liar, &s, &type, &r, lk_deadline_in(1000), &e) == LK_OK);
	EQ_U(type, LK_F_RELEASE);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		OK(lk_slice_eq_str(lk_frame_take(&r, 16), want[i]));
	EQ_U(lk_frame_take_u32(&r), LK_ENC_SHA384);
	OK(lk_slice_eq_str(lk_frame_take(&r, 16), "k"));
	EQ_U(lk_frame_take_u32(&r), 384);
	EQ_CODE(LK_OK, lk_frame_done(&r, "release", &e));
	stop_liar(&c);
}
