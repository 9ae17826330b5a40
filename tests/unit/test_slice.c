/* Slices, the bounded writer, hexadecimal. */
#include "t.h"

#include "lk/slice.h"

static bool is(struct lk_slice s, const char *text)
{
	return lk_slice_eq_str(s, text);
}

T(compare)
{
	struct lk_slice nothing = {NULL, 0};

	OK(lk_slice_eq(LK_S("abc"), lk_slice_of("abcd", 3)));
	OK(!lk_slice_eq(LK_S("abc"), LK_S("abd")));
	OK(!lk_slice_eq(LK_S("abc"), LK_S("ab")));
	OK(lk_slice_eq(nothing, LK_S("")));
	OK(is(nothing, ""));
	OK(!is(lk_slice_of("ab\0", 3), "ab"));
	OK(lk_slice_ieq_str(LK_S("Content-Length"), "content-LENGTH"));
	OK(!lk_slice_ieq_str(LK_S("a@"), "a`"));
	OK(!lk_slice_ieq_str(LK_S("a["), "a{"));
	OK(!lk_slice_ieq_str(LK_S("abc"), "abcd"));
	OK(!lk_slice_ieq_str(lk_slice_of("\xc4", 1), "\xe4"));
}

T(parts)
{
	struct lk_slice s = LK_S("hello");
	size_t at = 99;

	OK(lk_slice_starts(s, LK_S("he")) && lk_slice_starts(s, LK_S("")));
	OK(lk_slice_starts(s, s) && lk_slice_ends(s, s));
	OK(!lk_slice_starts(s, LK_S("hello!")) && !lk_slice_starts(s, LK_S("el")));
	OK(lk_slice_ends(s, LK_S("lo")) && !lk_slice_ends(s, LK_S("ll")));
	OK(!lk_slice_ends(s, LK_S("xhello")));
	OK(lk_slice_find(s, 'l', &at));
	EQ_U(at, 2);
	OK(!lk_slice_find(s, 'x', &at));
	OK(!lk_slice_find((struct lk_slice){NULL, 0}, 0, &at));
	OK(lk_slice_search(LK_S("aababc"), LK_S("abc"), &at));
	EQ_U(at, 3);
	OK(lk_slice_search(LK_S("abc"), LK_S("abc"), &at));
	EQ_U(at, 0);
	OK(!lk_slice_search(LK_S("ababab"), LK_S("abc"), &at));
	OK(!lk_slice_search(LK_S("ab"), LK_S("abc"), &at));
	OK(!lk_slice_search((struct lk_slice){NULL, 0}, LK_S("a"), &at));
	OK(is(lk_slice_sub(s, 1, 3), "ell"));
	OK(is(lk_slice_sub(s, 3, 99), "lo"));
	OK(is(lk_slice_sub(s, 3, SIZE_MAX), "lo"));
	OK(is(lk_slice_sub(s, 5, 1), "") && is(lk_slice_sub(s, SIZE_MAX, SIZE_MAX), ""));
	OK(lk_slice_is_zero(lk_slice_of("\0\0\0", 3)) && lk_slice_is_zero(LK_S("")));
	OK(!lk_slice_is_zero(lk_slice_of("\0\0\x80", 3)));
}

T(take)
{
	struct lk_slice s = LK_S("\x01\x02\x03\x84\x85\x06\x07\x88\x99\xaa!"), part;
	uint32_t v32 = 0;
	uint16_t v16 = 0;

	OK(lk_slice_take_le32(&s, &v32));
	EQ_U(v32, 0x84030201);
	OK(lk_slice_take_be32(&s, &v32));
	EQ_U(v32, 0x85060788);
	OK(lk_slice_take_be16(&s, &v16));
	EQ_U(v16, 0x99aa);
	EQ_U(s.n, 1);
	OK(!lk_slice_take_be16(&s, &v16) && !lk_slice_take_be32(&s, &v32));
	OK(!lk_slice_take_le32(&s, &v32));
	EQ_U(v16, 0x99aa);
	OK(!lk_slice_take(&s, 2, &part));
	OK(part.n == 0 && part.p == NULL && is(s, "!"));
	OK(lk_slice_take(&s, 1, &part) && is(part, "!") && s.n == 0);
	OK(lk_slice_take(&s, 0, &part) && part.n == 0);
	OK(!lk_slice_take(&s, SIZE_MAX, &part));
}

T(decimal)
{
	uint32_t v = 77;

	OK(lk_slice_u32(LK_S("0"), 10, &v) && v == 0);
	OK(lk_slice_u32(LK_S("4294967295"), UINT32_MAX, &v) && v == UINT32_MAX);
	OK(lk_slice_u32(LK_S("0000000010"), 10, &v) && v == 10);
	v = 77;
	OK(!lk_slice_u32(LK_S("4294967296"), UINT32_MAX, &v));
	OK(!lk_slice_u32(LK_S("9999999999"), UINT32_MAX, &v));
	OK(!lk_slice_u32(LK_S("00000000001"), UINT32_MAX, &v));
	OK(!lk_slice_u32(LK_S("11"), 10, &v));
	OK(!lk_slice_u32(LK_S(""), 10, &v) && !lk_slice_u32(LK_S("+1"), 10, &v));
	OK(!lk_slice_u32(LK_S("-1"), 10, &v) && !lk_slice_u32(LK_S(" 1"), 10, &v));
	OK(!lk_slice_u32(LK_S("1 "), 10, &v) && !lk_slice_u32(LK_S("1a"), 10, &v));
	OK(!lk_slice_u32(LK_S("0x1"), 10, &v) && !lk_slice_u32(lk_slice_of("1\0", 2), 10, &v));
	EQ_U(v, 77);
}

T(c_string)
{
	char out[4] = "zzz";
	struct lk_err e;

	EQ_CODE(LK_OK, lk_slice_cstr(LK_S("abc"), out, sizeof(out), &e));
	EQ_S(out, "abc");
	EQ_CODE(LK_ELIMIT, lk_slice_cstr(LK_S("abcd"), out, sizeof(out), &e));
	EQ_CODE(LK_EPROTO, lk_slice_cstr(lk_slice_of("a\0b", 3), out, sizeof(out), &e));
	EQ_CODE(LK_ELIMIT, lk_slice_cstr(LK_S(""), out, 0, &e));
	EQ_CODE(LK_OK, lk_slice_cstr((struct lk_slice){NULL, 0}, out, 1, &e));
	EQ_S(out, "");
}

T(append)
{
	uint8_t mem[64];
	struct lk_buf b = LK_BUF(mem);
	static const uint8_t want[] = {'a', 'b', 'c', 'd', '!', 4, 3, 2, 1, 8, 7, 6, 5, 4, 3, 2, 1,
	    1, 2, 1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 8, '0', '1', '8', '4', '4', '6', '7', '4', '4',
	    '0', '7', '3', '7', '0', '9', '5', '5', '1', '6', '1', '5', 'x', '=', '5'};

	lk_buf_put(&b, "ab", 2);
	lk_buf_put(&b, NULL, 0);
	lk_buf_str(&b, "c");
	lk_buf_slice(&b, LK_S("d"));
	lk_buf_byte(&b, '!');
	lk_buf_le32(&b, 0x01020304);
	lk_buf_le64(&b, 0x0102030405060708);
	lk_buf_be16(&b, 0x0102);
	lk_buf_be32(&b, 0x01020304);
	lk_buf_be64(&b, 0x0102030405060708);
	lk_buf_u64(&b, 0);
	lk_buf_u64(&b, UINT64_MAX);
	lk_buf_fmt(&b, "x=%d", 5);
	OK(!b.bad);
	EQ_BYTES(lk_slice_buf(&b).p, lk_slice_buf(&b).n, want, sizeof(want));
}

T(overflow_is_sticky_and_writes_nothing)
{
	uint8_t mem[8] = "........";
	struct lk_buf b = {.p = mem, .cap = 4};

	lk_buf_str(&b, "abc");
	lk_buf_str(&b, "de");
	OK(b.bad);
	EQ_U(b.n, 3);
	lk_buf_byte(&b, 'f');
	EQ_U(b.n, 3);
	EQ_MEM(mem, "abc.....", 8);
	OK(lk_buf_room(&b, 0) == NULL);

	b = (struct lk_buf){.p = mem, .cap = 4};
	lk_buf_fmt(&b, "%s", "wxyz"); /* no room for a NUL, and none wanted */
	OK(!b.bad && b.n == 4);
	EQ_MEM(mem, "wxyz....", 8);
	OK(lk_buf_room(&b, SIZE_MAX) == NULL && b.bad);
}

T(format_has_its_own_limit)
{
	static uint8_t mem[4096];
	struct lk_buf b = LK_BUF(mem);

	lk_buf_fmt(&b, "%2047d", 1);
	OK(!b.bad && b.n == 2047);
	lk_buf_fmt(&b, "%2048d", 1);
	OK(b.bad && b.n == 2047);
}

T(hex)
{
	uint8_t mem[8];
	struct lk_buf b = LK_BUF(mem);
	struct lk_err e;

	lk_hex_encode(LK_S("\x00\x9f\xA0\xff"), &b);
	OK(!b.bad && is(lk_slice_buf(&b), "009fa0ff"));
	lk_hex_encode(LK_S("\x01"), &b);
	OK(b.bad);

	b = LK_BUF(mem);
	EQ_CODE(LK_OK, lk_hex_decode(LK_S("009fA0fF"), &b, &e));
	EQ_BYTES(b.p, b.n, "\x00\x9f\xa0\xff", 4);
	EQ_CODE(LK_OK, lk_hex_decode(LK_S(""), &b, &e));
	EQ_CODE(LK_EPROTO, lk_hex_decode(LK_S("123"), &b, &e));
	EQ_U(b.n, 4);
	EQ_CODE(LK_ELIMIT, lk_hex_decode(LK_S("0011223344"), &b, &e));
}

T(hex_takes_digits_only)
{
	struct lk_err e;

	for (int c = 0; c < 256; c++) {
		uint8_t mem[1], text[2] = {'1', (uint8_t)c};
		struct lk_buf b = LK_BUF(mem);
		bool digit =
		    (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');

		EQ_CODE(digit ? LK_OK : LK_EPROTO, lk_hex_decode(lk_slice_of(text, 2), &b, &e));
		EQ_U(b.n, digit ? 1 : 0);
	}
}
