/* Base64 and base64url: RFC 4648 section 10, every character, every length, every dirty bit. */
#include "t.h"

#include "lk/b64.h"

static const char alpha[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

static const struct {
	const char *plain, *std, *url;
} rfc[] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
    {"\xfb\xff\xbf", "+/+/", "-_-_"},
};

T(known_answers)
{
	for (size_t i = 0; i < sizeof(rfc) / sizeof(rfc[0]); i++) {
		uint8_t mem[32];
		struct lk_buf b = LK_BUF(mem);
		struct lk_err e;

		lk_b64_encode(lk_slice_str(rfc[i].plain), &b);
		OK(!b.bad && lk_slice_eq_str(lk_slice_buf(&b), rfc[i].std));
		b = LK_BUF(mem);
		lk_b64url_encode(lk_slice_str(rfc[i].plain), &b);
		OK(!b.bad && lk_slice_eq_str(lk_slice_buf(&b), rfc[i].url));
		b = LK_BUF(mem);
		EQ_CODE(LK_OK, lk_b64_decode(lk_slice_str(rfc[i].std), &b, &e));
		OK(lk_slice_eq_str(lk_slice_buf(&b), rfc[i].plain));
		b = LK_BUF(mem);
		EQ_CODE(LK_OK, lk_b64url_decode(lk_slice_str(rfc[i].url), &b, &e));
		OK(lk_slice_eq_str(lk_slice_buf(&b), rfc[i].plain));
	}
}

T(every_length_comes_back)
{
	uint8_t in[256], text[400], out[256];
	struct lk_err e;

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 167 + 13);
	for (size_t n = 0; n <= sizeof(in); n++) {
		struct lk_buf t = LK_BUF(text), o = {.p = out, .cap = n};

		lk_b64_encode(lk_slice_of(in, n), &t);
		EQ_U(t.n, (n + 2) / 3 * 4);
		EQ_CODE(LK_OK, lk_b64_decode(lk_slice_buf(&t), &o, &e));
		EQ_BYTES(o.p, o.n, in, n);
		t = LK_BUF(text);
		o.n = 0;
		lk_b64url_encode(lk_slice_of(in, n), &t);
		EQ_U(t.n, (n * 4 + 2) / 3);
		EQ_CODE(LK_OK, lk_b64url_decode(lk_slice_buf(&t), &o, &e));
		EQ_BYTES(o.p, o.n, in, n);
	}
}

/* The value that `c` has, 64 for none. */
static unsigned value(int c, char c62, char c63)
{
	const char *at = c ? strchr(alpha, c) : NULL;

	if (at)
		return (unsigned)(at - alpha);
	return c == c62 ? 62 : c == c63 ? 63 : 64;
}

T(every_character_in_every_place)
{
	for (int c = 0; c < 256; c++) {
		for (unsigned k = 0; k < 4; k++) {
			uint8_t text[4] = {'A', 'A', 'A', 'A'}, mem[3];
			struct lk_buf b = LK_BUF(mem);
			unsigned v = value(c, '+', '/'), w = value(c, '-', '_');
			struct lk_err e;

			text[k] = (uint8_t)c;
			if (v < 64 || c != '=' || k != 3) {
				EQ_CODE(v < 64 ? LK_OK : LK_EPROTO,
				    lk_b64_decode(lk_slice_of(text, 4), &b, &e));
				EQ_U(b.n, v < 64 ? 3 : 0);
			}
			if (v < 64)
				EQ_U((unsigned)(mem[0] << 16 | mem[1] << 8 | mem[2]),
				    v << (18 - 6 * k));
			b = LK_BUF(mem);
			EQ_CODE(w < 64 ? LK_OK : LK_EPROTO,
			    lk_b64url_decode(lk_slice_of(text, 4), &b, &e));
			if (w < 64)
				EQ_U((unsigned)(mem[0] << 16 | mem[1] << 8 | mem[2]),
				    w << (18 - 6 * k));
		}
	}
}

T(unused_bits_must_be_zero)
{
	for (unsigned v = 0; v < 64; v++) {
		uint8_t mem[2];
		char text[4] = {'A', "-_"[v & 1], '=', '='};
		struct lk_err e;
		struct lk_buf b = LK_BUF(mem);

		text[1] = v < 62 ? alpha[v] : "-_"[v - 62];
		EQ_CODE(v % 16 ? LK_EPROTO : LK_OK, lk_b64url_decode(lk_slice_of(text, 2), &b, &e));
		text[2] = text[1];
		text[1] = 'A';
		b = LK_BUF(mem);
		EQ_CODE(v % 4 ? LK_EPROTO : LK_OK, lk_b64url_decode(lk_slice_of(text, 3), &b, &e));
		if (v >= 62)
			text[2] = "+/"[v - 62];
		b = LK_BUF(mem);
		EQ_CODE(v % 4 ? LK_EPROTO : LK_OK, lk_b64_decode(lk_slice_of(text, 4), &b, &e));
	}
}

T(refused_texts)
{
	static const char *const std[] = {"Zg", "Zg=", "Zg===", "Zm8",
	    "Zm9v=", "Zm9v====", "====", "=", "==", "Z===", "Zg=A",
	    "Z=g=", "=Zg=", "Zg==Zg==", "Zm9v\n", "Zm9\n", " Zm9", "Zm 9", "Zm-_", "Zm9vY"};
	static const char *const url[] = {"Z", "A", "AAAAA", "Zg==", "Zm8=", "Zm9vY", "Zm+/",
	    "Zm 9", "Zm9\n", "\nZm9", "Zm.9", "Zm9%"};
	uint8_t mem[32];
	struct lk_err e;

	for (size_t i = 0; i < sizeof(std) / sizeof(std[0]); i++) {
		struct lk_buf b = LK_BUF(mem);

		EQ_CODE(LK_EPROTO, lk_b64_decode(lk_slice_str(std[i]), &b, &e));
		OK(b.n == 0 && !b.bad);
	}
	for (size_t i = 0; i < sizeof(url) / sizeof(url[0]); i++) {
		struct lk_buf b = LK_BUF(mem);

		EQ_CODE(LK_EPROTO, lk_b64url_decode(lk_slice_str(url[i]), &b, &e));
		OK(b.n == 0 && !b.bad);
	}
}

T(room)
{
	uint8_t mem[8] = "........";
	struct lk_buf b = {.p = mem, .cap = 2};
	struct lk_err e;

	EQ_CODE(LK_ELIMIT, lk_b64_decode(LK_S("Zm9v"), &b, &e));
	OK(b.bad);
	EQ_MEM(mem, "........", 8);
	b = (struct lk_buf){.p = mem, .cap = 3};
	lk_b64_encode(LK_S("foo"), &b);
	OK(b.bad && b.n == 0);
	EQ_MEM(mem, "........", 8);
	/* What a refused text had begun to yield is wiped. */
	b = (struct lk_buf){.p = mem, .cap = 8};
	EQ_CODE(LK_EPROTO, lk_b64_decode(LK_S("Zm9v!m9v"), &b, &e));
	EQ_MEM(mem, "\0\0\0\0\0\0..", 8);
}
