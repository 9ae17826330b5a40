/* Frames: what goes over the socket, and every way in which it can be wrong. */
#include "t.h"

#include <sys/socket.h>

#include "lk/frame.h"

static int pair[2];
static uint8_t room[LK_FRAME_MAX];

static struct lk_buf store(size_t cap)
{
	return (struct lk_buf){.p = room, .n = 0, .cap = cap, .bad = false};
}

static void open_pair(void)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		abort();
}

static void close_pair(void)
{
	close(pair[0]);
	close(pair[1]);
}

/* Raw bytes, then the end of file. */
static enum lk_code receive(const void *p, size_t n, size_t cap, struct lk_err *e)
{
	struct lk_buf s = store(cap);
	struct lk_frame_reader r;
	enum lk_frame type;

	open_pair();
	if (write(pair[0], p, n) != (ssize_t)n)
		abort();
	close(pair[0]);
	enum lk_code rc = lk_frame_recv(pair[1], &s, &type, &r, lk_deadline_in(2000), e);
	close(pair[1]);
	return rc;
}

T(fields_arrive_as_sent)
{
	uint8_t mem[256];
	struct lk_buf b = LK_BUF(mem), s = store(sizeof(room));
	struct lk_frame_reader r;
	enum lk_frame type;
	struct lk_err e = {0};
	char text[8];

	open_pair();
	lk_frame_field(&b, LK_S("abc"));
	lk_frame_u32(&b, 0x01020304);
	lk_frame_u64(&b, 0x8877665544332211u);
	lk_frame_field(&b, LK_S(""));
	lk_frame_field(&b, LK_S("text"));
	NEED(lk_frame_send(pair[0], LK_F_CLAIMS, &b, lk_deadline_in(1000), &e) == LK_OK);
	NEED(lk_frame_recv(pair[1], &s, &type, &r, lk_deadline_in(1000), &e) == LK_OK);
	EQ_U(type, LK_F_CLAIMS);
	OK(lk_slice_eq_str(lk_frame_take(&r, 3), "abc"));
	EQ_U(lk_frame_take_u32(&r), 0x01020304);
	EQ_U(lk_frame_take_u64(&r), 0x8877665544332211u);
	EQ_U(lk_frame_take(&r, 9).n, 0);
	lk_frame_take_cstr(&r, text, sizeof(text));
	EQ_S(text, "text");
	EQ_CODE(LK_OK, lk_frame_done(&r, "frame", &e));
	close_pair();
}

T(the_bytes_on_the_wire_are_the_documented_ones)
{
	static const uint8_t want[] = {6, 0, 0, 0, LK_F_STEP, 1, 0, 0, 0, 'x'};
	uint8_t mem[16], got[16];
	struct lk_buf b = LK_BUF(mem);
	struct lk_err e = {0};

	open_pair();
	lk_frame_field(&b, LK_S("x"));
	NEED(lk_frame_send(pair[0], LK_F_STEP, &b, lk_deadline_in(1000), &e) == LK_OK);
	EQ_I(read(pair[1], got, sizeof(got)), (ssize_t)sizeof(want));
	EQ_MEM(got, want, sizeof(want));
	close_pair();
}

T(an_empty_payload_is_a_frame)
{
	struct lk_buf s = store(sizeof(room));
	struct lk_frame_reader r;
	enum lk_frame type;
	struct lk_err e = {0};

	open_pair();
	NEED(lk_frame_send(pair[0], LK_F_CERTS, NULL, lk_deadline_in(1000), &e) == LK_OK);
	NEED(lk_frame_recv(pair[1], &s, &type, &r, lk_deadline_in(1000), &e) == LK_OK);
	EQ_U(type, LK_F_CERTS);
	EQ_CODE(LK_OK, lk_frame_done(&r, "frame", &e));
	close_pair();
}

T(payloads_are_appended_to_the_store)
{
	uint8_t mem[16];
	struct lk_buf b = LK_BUF(mem), s = store(sizeof(room));
	struct lk_frame_reader r1, r2;
	enum lk_frame type;
	struct lk_err e = {0};

	open_pair();
	lk_frame_field(&b, LK_S("one"));
	NEED(lk_frame_send(pair[0], LK_F_CERTS, &b, lk_deadline_in(1000), &e) == LK_OK);
	mem[4] = 'T';
	NEED(lk_frame_send(pair[0], LK_F_CERTS, &b, lk_deadline_in(1000), &e) == LK_OK);
	NEED(lk_frame_recv(pair[1], &s, &type, &r1, lk_deadline_in(1000), &e) == LK_OK);
	NEED(lk_frame_recv(pair[1], &s, &type, &r2, lk_deadline_in(1000), &e) == LK_OK);
	OK(lk_slice_eq_str(lk_frame_take(&r1, 3), "one"));
	OK(lk_slice_eq_str(lk_frame_take(&r2, 3), "Tne"));
	close_pair();
}

T(closed_between_frames_is_told_from_closed_inside_one)
{
	static const uint8_t frame[] = {6, 0, 0, 0, LK_F_STEP, 1, 0, 0, 0, 'x'};
	struct lk_err e = {0};

	EQ_CODE(LK_EABSENT, receive("", 0, sizeof(room), &e));
	for (size_t n = 1; n < sizeof(frame); n++)
		EQ_CODE(LK_EPROTO, receive(frame, n, sizeof(room), &e));
	EQ_CODE(LK_OK, receive(frame, sizeof(frame), sizeof(room), &e));
}

T(lengths_are_refused_before_anything_is_read)
{
	static const uint8_t zero[] = {0, 0, 0, 0, LK_F_STEP};
	static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, LK_F_STEP};
	static const uint8_t over[] = {1, 0, 4, 0, LK_F_STEP}; /* LK_FRAME_MAX + 1 */
	static const uint8_t ten[] = {11, 0, 0, 0, LK_F_STEP};
	struct lk_err e = {0};

	EQ_CODE(LK_EPROTO, receive(zero, sizeof(zero), sizeof(room), &e));
	EQ_CODE(LK_EPROTO, receive(huge, sizeof(huge), sizeof(room), &e));
	EQ_CODE(LK_EPROTO, receive(over, sizeof(over), sizeof(room), &e));
	EQ_CODE(LK_ELIMIT, receive(ten, sizeof(ten), 9, &e));
}

T(unknown_types_are_refused)
{
	static const uint8_t bad[] = {0, LK_F_TOKENS + 1, LK_F_LOG - 1, LK_F_STEP + 1, 255};
	struct lk_err e = {0};

	for (size_t i = 0; i < sizeof(bad); i++) {
		const uint8_t frame[] = {1, 0, 0, 0, bad[i]};

		EQ_CODE(LK_EPROTO, receive(frame, sizeof(frame), sizeof(room), &e));
	}
}

T(too_much_is_not_sent)
{
	struct lk_buf b = store(sizeof(room));
	struct lk_err e = {0};

	open_pair();
	b.n = LK_FRAME_MAX;
	EQ_CODE(LK_ELIMIT, lk_frame_send(pair[0], LK_F_CERTS, &b, lk_deadline_in(100), &e));
	b.n = 1;
	b.bad = true;
	EQ_CODE(LK_ELIMIT, lk_frame_send(pair[0], LK_F_CERTS, &b, lk_deadline_in(100), &e));
	close_pair();
}

static struct lk_frame_reader reader(const struct lk_buf *b)
{
	return (struct lk_frame_reader){.left = lk_slice_buf(b), .bad = false};
}

T(readers_are_strict_and_sticky)
{
	uint8_t mem[64];
	struct lk_buf b = LK_BUF(mem);
	struct lk_err e = {0};
	char text[4];

	lk_frame_field(&b, LK_S("abcd"));
	struct lk_frame_reader r = reader(&b);
	EQ_U(lk_frame_take(&r, 3).n, 0); /* over its limit */
	OK(r.bad);
	EQ_CODE(LK_EPROTO, lk_frame_done(&r, "frame", &e));
	r = reader(&b);
	lk_frame_take_cstr(&r, text, sizeof(text)); /* no room for the terminator */
	OK(r.bad);
	EQ_S(text, "");
	r = reader(&b);
	EQ_U(lk_frame_take_u64(&r), 0); /* four bytes are no u64 */
	OK(r.bad);
	r = reader(&b);
	EQ_CODE(LK_EPROTO, lk_frame_done(&r, "frame", &e)); /* left over */
	r = reader(&b);
	r.left.n = 7;
	EQ_U(lk_frame_take(&r, 9).n, 0); /* the field ends early */
	EQ_U(lk_frame_take_u32(&r), 0);
	OK(r.bad);
	r = reader(&b);
	r.left.n = 3;
	EQ_U(lk_frame_take_u32(&r), 0); /* not even a length */
	OK(r.bad);
}

T(text_is_printable_ascii_only)
{
	static const char *const bad[] = {"a\n", "\x1b[2J", "caf\xc3\xa9", "\x7f"};
	uint8_t mem[64];
	char text[16];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct lk_buf b = LK_BUF(mem);

		lk_frame_field(&b, lk_slice_str(bad[i]));
		struct lk_frame_reader r = reader(&b);
		lk_frame_take_cstr(&r, text, sizeof(text));
		OK(r.bad);
		EQ_S(text, "");
	}
}

T(a_stuck_peer_is_left_at_the_deadline)
{
	struct lk_buf s = store(sizeof(room));
	struct lk_frame_reader r;
	enum lk_frame type;
	struct lk_err e = {0};
	lk_time from = lk_now();

	open_pair();
	OK(write(pair[0], "\x05\x00", 2) == 2);
	EQ_CODE(LK_ETIME, lk_frame_recv(pair[1], &s, &type, &r, lk_deadline_in(50), &e));
	OK(lk_now() - from >= 50 && lk_now() - from < 2000);
	close_pair();
}
