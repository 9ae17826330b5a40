/* Answers of a courier that is not ours any more: the test itself plays the child on the other end
 * of a socket pair. */
#include "t.h"

#include "../../src/courier/serve.h"
#include "liar.h"

/* ---- a child that lies */

static void say_error(uint32_t code, uint32_t retry, uint32_t sys, uint32_t http, const char *msg)
{
	uint8_t mem[2048];
	struct lk_buf b = LK_BUF(mem);

	lk_frame_u32(&b, code);
	lk_frame_u32(&b, retry);
	lk_frame_u32(&b, sys);
	lk_frame_u32(&b, http);
	lk_frame_u32(&b, 0x1234);
	lk_frame_u32(&b, 7);
	lk_frame_field(&b, lk_slice_str(msg));
	lk_frame_field(&b, LK_S("hint"));
	say(LK_F_ERROR, &b);
}

T(an_error_frame_becomes_the_error)
{
	struct lk_courier c;
	struct lk_buf s = store();
	struct lk_certs certs;
	struct lk_err e = {0};

	start_liar(&c);
	say_error(LK_EDENIED, 1, 110, 403, "denied: no");
	EQ_CODE(LK_EDENIED, lk_wait_certs(&c, &s, &certs, &e));
	EQ_S(e.msg, "denied: no");
	EQ_S(e.hint, "hint");
	OK(e.retry);
	EQ_I(e.sys, 110);
	EQ_U(e.http, 403);
	EQ_U(e.lib, 0x1234);
	EQ_U(e.wait_s, 7);
	OK(c.fd >= 0);
	stop_liar(&c);
}

T(an_error_frame_with_impossible_values_ends_the_courier)
{
	static const uint32_t bad[][4] = {{LK_OK, 0, 0, 0}, {LK_EBUG + 1, 0, 0, 0},
	    {LK_ENET, 2, 0, 0}, {LK_ENET, 0, 5000, 0}, {LK_ENET, 0, 0, 600}};
	struct lk_certs certs;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct lk_courier c;
		struct lk_buf s = store();
		struct lk_err e = {0};

		start_liar(&c);
		say_error(bad[i][0], bad[i][1], bad[i][2], bad[i][3], "x");
		EQ_CODE(LK_EPROTO, lk_wait_certs(&c, &s, &certs, &e));
		EQ_I(c.fd, -1);
		stop_liar(&c);
	}
}

T(terminal_escapes_in_a_message_are_refused)
{
	struct lk_courier c;
	struct lk_buf s = store();
	struct lk_certs certs;
	struct lk_err e = {0};

	start_liar(&c);
	say_error(LK_ENET, 0, 0, 0, "\x1b[2Jgone");
	EQ_CODE(LK_EPROTO, lk_wait_certs(&c, &s, &certs, &e));
	stop_liar(&c);
}

T(the_wrong_answer_ends_the_courier)
{
	struct lk_courier c;
	struct lk_buf s = store();
	struct lk_certs certs;
	struct lk_err e = {0};

	start_liar(&c);
	say(LK_F_BEARER_OK, NULL);
	EQ_CODE(LK_EPROTO, lk_wait_certs(&c, &s, &certs, &e));
	EQ_S(e.msg, "the imds courier: answered with type 67 instead of 66");
	EQ_I(c.fd, -1);
	stop_liar(&c);
}

T(a_frame_cut_short_is_an_error)
{
	struct lk_courier c;
	struct lk_buf s = store();
	struct lk_certs certs;
	struct lk_err e = {0};

	start_liar(&c);
	OK(write(liar, "\x09\0\0\0\x42\0\0", 7) == 7);
	lk_close(&liar);
	EQ_CODE(LK_EPROTO, lk_wait_certs(&c, &s, &certs, &e));
	OK(!e.retry);
	stop_liar(&c);
}

T(an_oversized_frame_is_an_error)
{
	struct lk_courier c;
	struct lk_buf s = {.p = room, .n = 0, .cap = 64, .bad = false};
	struct lk_certs certs;
	struct lk_err e = {0};

	start_liar(&c);
	OK(write(liar, "\x01\0\x04\0\x42", 5) == 5);
	EQ_CODE(LK_EPROTO, lk_wait_certs(&c, &s, &certs, &e));
	stop_liar(&c);
	start_liar(&c);
	OK(write(liar, "\x42\0\0\0\x42", 5) == 5); /* 65 bytes of payload, room for 64 */
	EQ_CODE(LK_ELIMIT, lk_wait_certs(&c, &s, &certs, &e));
	stop_liar(&c);
}

T(talk_without_an_answer_ends)
{
	struct lk_courier c;
	struct lk_buf s = store();
	struct lk_certs certs;
	struct lk_err e = {0};
	static uint8_t mem[256 * 32];
	struct lk_buf b = LK_BUF(mem);

	start_liar(&c);
	for (int i = 0; i < 256; i++) { /* as raw bytes: so many writes would fill the socket */
		lk_buf_le32(&b, 1 + 4 + 3 + 4 + 4);
		lk_buf_byte(&b, LK_F_STEP);
		lk_frame_field(&b, LK_S(LK_STEP_TLS));
		lk_frame_u32(&b, 42);
	}
	OK(!b.bad && write(liar, mem, b.n) == (ssize_t)b.n);
	EQ_CODE(LK_EPROTO, lk_wait_certs(&c, &s, &certs, &e));
	EQ_U(c.tls_ms, 42);
	stop_liar(&c);
}

T(silence_ends_at_the_deadline)
{
	struct lk_courier c;
	struct lk_buf s = store();
	struct lk_certs certs;
	struct lk_err e = {0};

	start_liar(&c);
	c.conf.deadline = lk_deadline_in(50);
	EQ_CODE(LK_ETIME, lk_wait_certs(&c, &s, &certs, &e));
	stop_liar(&c);
}

/* ---- typed answers */

T(certificates_are_text_and_flags_are_flags)
{
	struct lk_courier c;
	struct lk_certs certs;
	static const struct {
		const char *pem;
		uint32_t flag;
		enum lk_code want;
	} row[] = {{"-----BEGIN\nx\r\n", 1, LK_OK}, {"a\x01", 1, LK_EPROTO}, {"a", 2, LK_EPROTO}};

	for (size_t i = 0; i < 3; i++) {
		struct lk_buf s = store();
		struct lk_err e = {0};
		uint8_t mem[64];
		struct lk_buf b = LK_BUF(mem);

		start_liar(&c);
		lk_frame_field(&b, lk_slice_str(row[i].pem));
		lk_frame_u64(&b, 0x7308000000000003u);
		lk_frame_u32(&b, row[i].flag);
		say(LK_F_CERTS_OK, &b);
		EQ_CODE(row[i].want, lk_wait_certs(&c, &s, &certs, &e));
		EQ_U(certs.tcbm, 0x7308000000000003u);
		stop_liar(&c);
	}
}

static enum lk_code bearer_of(const char *text)
{
	struct lk_courier c;
	struct lk_buf s = store();
	struct lk_slice token;
	struct lk_err e = {0};
	uint8_t mem[64];
	struct lk_buf b = LK_BUF(mem);

	start_liar(&c);
	lk_frame_field(&b, lk_slice_str(text));
	say(LK_F_BEARER_OK, &b);
	enum lk_code rc = lk_wait_bearer(&c, &s, &token, &e);
	stop_liar(&c);
	return rc;
}

T(a_bearer_token_cannot_break_a_header)
{
	EQ_CODE(LK_OK, bearer_of("eyJ0.e30.c2ln"));
	EQ_CODE(LK_EPROTO, bearer_of(""));
	EQ_CODE(LK_EPROTO, bearer_of("a b"));
	EQ_CODE(LK_EPROTO, bearer_of("a\r\nHost: x"));
}

static enum lk_code envelope_of(size_t key, size_t iv, size_t tag, size_t ct)
{
	static uint8_t mem[1024];
	static const uint8_t zero[512];
	struct lk_courier c;
	struct lk_maa_envelope env;
	struct lk_buf s = store(), b = LK_BUF(mem);
	struct lk_err e = {0};

	start_liar(&c);
	lk_frame_field(&b, lk_slice_of(zero, key));
	lk_frame_field(&b, lk_slice_of(zero, iv));
	lk_frame_field(&b, lk_slice_of(zero, tag));
	lk_frame_field(&b, lk_slice_of(zero, ct));
	say(LK_F_ENVELOPE, &b);
	enum lk_code rc = lk_wait_envelope(&c, &s, &env, &e);
	stop_liar(&c);
	return rc;
}

T(a_sealed_token_has_parts_of_the_right_length)
{
	EQ_CODE(LK_OK, envelope_of(256, 12, 16, 100));
	EQ_CODE(LK_EPROTO, envelope_of(255, 12, 16, 100));
	EQ_CODE(LK_EPROTO, envelope_of(257, 12, 16, 100));
	EQ_CODE(LK_EPROTO, envelope_of(256, 0, 16, 100));
	EQ_CODE(LK_EPROTO, envelope_of(256, 12, 15, 100));
	EQ_CODE(LK_EPROTO, envelope_of(256, 12, 16, 0));
}
