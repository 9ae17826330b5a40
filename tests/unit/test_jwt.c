/* Splitting a compact JWS. */
#include "t.h"

#include "lk/jwt.h"

static struct lk_jwt t;
static struct lk_err e;

T(three_parts)
{
	EQ_CODE(LK_OK, lk_jwt_split(LK_S("eyJh.bGc_.i-O"), &t, &e));
	OK(lk_slice_eq_str(t.head, "eyJh"));
	OK(lk_slice_eq_str(t.body, "bGc_"));
	OK(lk_slice_eq_str(t.sig, "i-O"));
	OK(lk_slice_eq_str(t.signed_part, "eyJh.bGc_"));
	EQ_CODE(LK_OK, lk_jwt_split(LK_S("a.b.c"), &t, &e));
	OK(lk_slice_eq_str(t.signed_part, "a.b"));
}

T(other_shapes)
{
	static const char *const texts[] = {"", ".", "..", "...", "a", "a.b", "a.b.", "a..c",
	    ".b.c", "a.b.c.", ".a.b.c", "a.b.c.d", "a.b.c.d.e", "a.b..c", "a..b.c", "..c", "a..",
	    ".b."};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		EQ_CODE(LK_EPROTO, lk_jwt_split(lk_slice_str(texts[i]), &t, &e));
}

T(alphabet)
{
	static const char ok[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (int c = 0; c < 256; c++) {
		for (size_t k = 0; k < 3; k++) {
			uint8_t text[8] = "aa.bb.cc";
			bool good = c && strchr(ok, c);

			text[k * 3 + 1] = (uint8_t)c;
			EQ_CODE(good ? LK_OK : LK_EPROTO,
			    lk_jwt_split(lk_slice_of(text, sizeof(text)), &t, &e));
		}
	}
	EQ_CODE(LK_EPROTO, lk_jwt_split(LK_S("aa.bb.cc=="), &t, &e));
	EQ_CODE(LK_EPROTO, lk_jwt_split(LK_S("aa.bb.cc\n"), &t, &e));
	EQ_CODE(LK_EPROTO, lk_jwt_split(LK_S(" aa.bb.cc"), &t, &e));
	EQ_CODE(LK_EPROTO, lk_jwt_split(lk_slice_of("aa.bb.cc", 9), &t, &e));
}

T(size)
{
	static char text[LK_JWT_MAX + 1];

	memset(text, 'a', sizeof(text));
	text[10] = text[20] = '.';
	EQ_CODE(LK_OK, lk_jwt_split(lk_slice_of(text, LK_JWT_MAX), &t, &e));
	EQ_U(t.sig.n, LK_JWT_MAX - 21);
	EQ_CODE(LK_ELIMIT, lk_jwt_split(lk_slice_of(text, LK_JWT_MAX + 1), &t, &e));
}
