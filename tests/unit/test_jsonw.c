/* The JSON writer: what it writes, and that its own reader agrees. */
#include "t.h"

#include "lk/json.h"
#include "lk/jsonw.h"

static uint8_t mem[2048];
static struct lk_buf b;
static struct lk_jsonw w;
static struct lk_err e;

static void start(void)
{
	b = LK_BUF(mem);
	lk_jsonw_start(&w, &b);
}

static bool wrote(const char *want)
{
	bool same = !b.bad && lk_slice_eq_str(lk_slice_buf(&b), want);

	if (!same)
		T_FAIL("wrote %.*s", (int)b.n, (const char *)b.p);
	return same && lk_json_check(lk_slice_buf(&b), &e) == LK_OK;
}

T(everything)
{
	start();
	lk_jsonw_object(&w, NULL);
	lk_jsonw_str(&w, "s", LK_S("text"));
	lk_jsonw_int(&w, "i", -42);
	lk_jsonw_bool(&w, "t", true);
	lk_jsonw_bool(&w, "f", false);
	lk_jsonw_null(&w, "n");
	lk_jsonw_b64(&w, "b", LK_S("\xfb\xff\xbf!"));
	lk_jsonw_b64url(&w, "u", LK_S("\xfb\xff\xbf!"));
	lk_jsonw_raw(&w, "r", LK_S("{\"x\":[1]}"));
	lk_jsonw_array(&w, "a");
	lk_jsonw_end(&w);
	lk_jsonw_object(&w, "o");
	lk_jsonw_end(&w);
	lk_jsonw_array(&w, "l");
	lk_jsonw_int(&w, NULL, 1);
	lk_jsonw_object(&w, NULL);
	lk_jsonw_int(&w, "k", 2);
	lk_jsonw_end(&w);
	lk_jsonw_array(&w, NULL);
	lk_jsonw_str(&w, NULL, LK_S(""));
	lk_jsonw_null(&w, NULL);
	lk_jsonw_end(&w);
	lk_jsonw_end(&w);
	lk_jsonw_int(&w, "z", 0);
	lk_jsonw_end(&w);
	OK(wrote("{\"s\":\"text\",\"i\":-42,\"t\":true,\"f\":false,\"n\":null,\"b\":\"+/+/IQ==\","
		 "\"u\":\"-_-_IQ\",\"r\":{\"x\":[1]},\"a\":[],\"o\":{},\"l\":[1,{\"k\":2},[\"\","
		 "null]],\"z\":0}"));
}

T(scalar_roots)
{
	start();
	lk_jsonw_int(&w, NULL, INT64_MIN);
	OK(wrote("-9223372036854775808"));
	start();
	lk_jsonw_int(&w, NULL, INT64_MAX);
	OK(wrote("9223372036854775807"));
	start();
	lk_jsonw_str(&w, NULL, LK_S("x"));
	OK(wrote("\"x\""));
}

T(escapes)
{
	start();
	lk_jsonw_object(&w, NULL);
	lk_jsonw_str(&w, "q\"\\\n", LK_S("\"\\/\b\f\n\r\t\x01\x1f\x7f\xc3\xa9\xf0\x9f\x98\x80"));
	lk_jsonw_end(&w);
	OK(wrote("{\"q\\\"\\\\\\u000a\":\"\\\"\\\\/\\u0008\\u000c\\u000a\\u000d\\u0009\\u0001"
		 "\\u001f\x7f\xc3\xa9\xf0\x9f\x98\x80\"}"));
}

/* Every byte value that is text comes back through the reader. */
T(round_trip)
{
	static struct lk_json_tok toks[8];
	uint8_t text[127], out_mem[256];
	struct lk_buf out = LK_BUF(out_mem);
	struct lk_json j;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i + 1);
	start();
	lk_jsonw_object(&w, NULL);
	lk_jsonw_str(&w, "t", lk_slice_of(text, sizeof(text)));
	lk_jsonw_end(&w);
	EQ_CODE(LK_OK, lk_json_parse(lk_slice_buf(&b), toks, 8, &j, &e));
	EQ_CODE(LK_OK, lk_json_copy(&j, "t", &out, &e));
	EQ_BYTES(out.p, out.n, text, sizeof(text));
}

static void nest(unsigned levels)
{
	start();
	lk_jsonw_array(&w, NULL);
	for (unsigned i = 1; i < levels; i += 2) {
		lk_jsonw_object(&w, NULL);
		lk_jsonw_array(&w, "a");
	}
}

T(depth)
{
	nest(15);
	lk_jsonw_object(&w, NULL);
	lk_jsonw_int(&w, "x", 1);
	for (unsigned i = 0; i < 16; i++)
		lk_jsonw_end(&w);
	OK(lk_json_check(lk_slice_buf(&b), &e) == LK_OK);
	nest(15);
	lk_jsonw_object(&w, NULL);
	DIES((lk_jsonw_array(&w, "x"), 0));
}

T(overflow_is_sticky)
{
	uint8_t small[10];

	b = (struct lk_buf){.p = small, .cap = sizeof(small)};
	lk_jsonw_start(&w, &b);
	lk_jsonw_object(&w, NULL);
	lk_jsonw_str(&w, "a", LK_S("0123456789"));
	lk_jsonw_end(&w);
	OK(b.bad && b.n <= sizeof(small));
}

T(wrong_use_ends_the_process)
{
	start();
	DIES((lk_jsonw_end(&w), 0));
	DIES((lk_jsonw_int(&w, "name", 1), 0)); /* a name at the root */
	DIES((lk_jsonw_str(&w, NULL, LK_S("\xff")), 0));
	DIES((lk_jsonw_str(&w, NULL, LK_S("\xed\xa0\x80")), 0));
	lk_jsonw_object(&w, NULL);
	DIES((lk_jsonw_int(&w, NULL, 1), 0)); /* a member without a name */
	DIES((lk_jsonw_null(&w, "\xff"), 0));
	lk_jsonw_array(&w, "a");
	DIES((lk_jsonw_int(&w, "name", 1), 0)); /* an element with a name */
	lk_jsonw_end(&w);
	lk_jsonw_end(&w);
	DIES((lk_jsonw_null(&w, NULL), 0)); /* a second root */
	OK(wrote("{\"a\":[]}"));
}
