/* Look-up in JSON of a peer: exactly one member, the right type, nothing else. */
#include "t.h"

#include <limits.h>

#include "lk/json.h"

static struct lk_json_tok toks[512];
static struct lk_json j;
static struct lk_err e;

/* Parse a literal; the test goes on with `j`. */
static void parse(const char *text)
{
	if (lk_json_parse(lk_slice_str(text), toks, 512, &j, &e) != LK_OK) {
		T_FAIL("%s: %s", text, e.msg);
		j = (struct lk_json){.n = 0};
	}
}

static bool str_is(const char *path, const char *want)
{
	struct lk_slice s;

	return lk_json_str(&j, path, &s, &e) == LK_OK && lk_slice_eq_str(s, want);
}

static bool copy_is(const char *path, const void *want, size_t n)
{
	uint8_t mem[64];
	struct lk_buf b = LK_BUF(mem);

	return lk_json_copy(&j, path, &b, &e) == LK_OK &&
	       lk_slice_eq(lk_slice_buf(&b), lk_slice_of(want, n));
}

static enum lk_code int_code(const char *path, int64_t min, int64_t max, int64_t *out)
{
	return lk_json_int(&j, path, min, max, out, &e);
}

T(paths)
{
	int64_t v = 0;

	parse("{\"response\":{\"key\":{\"key\":{\"key_hsm\":\"x\"}}},"
	      "\"keys\":[{\"kid\":\"a\"},{\"kid\":\"b\",\"n\":[[1,2],[3,-4]]},{\"kid\":\"c\"}],"
	      "\"x-ms-isolation-tee\":{\"x-ms-attestation-type\":\"sevsnpvm\"},\"\":5}");
	OK(str_is("response.key.key.key_hsm", "x"));
	OK(str_is("keys[0].kid", "a") && str_is("keys[1].kid", "b") && str_is("keys[2].kid", "c"));
	EQ_CODE(LK_OK, int_code("keys[1].n[1][1]", -9, 9, &v));
	EQ_I(v, -4);
	OK(str_is("x-ms-isolation-tee.x-ms-attestation-type", "sevsnpvm"));
}

T(absent)
{
	struct lk_slice s;

	parse("{\"a\":{\"b\":[1]},\"c\":null}");
	EQ_CODE(LK_EABSENT, lk_json_str(&j, "b", &s, &e));
	EQ_CODE(LK_EABSENT, lk_json_str(&j, "a.c", &s, &e));
	EQ_CODE(LK_EABSENT, lk_json_str(&j, "a.b[1]", &s, &e));
	EQ_CODE(LK_EABSENT, lk_json_str(&j, "a.b[2147483647]", &s, &e));
	EQ_CODE(LK_EABSENT, lk_json_str(&j, "A", &s, &e));
	EQ_CODE(LK_EABSENT, lk_json_str(&j, "a ", &s, &e));
	/* A name or a value further down is not a member here. */
	parse("{\"x\":{\"kid\":\"deep\"},\"y\":\"kid\"}");
	EQ_CODE(LK_EABSENT, lk_json_str(&j, "kid", &s, &e));
	EQ_CODE(LK_EABSENT, lk_json_str(&j, "deep", &s, &e));
}

T(wrong_types)
{
	static const char *const paths[] = {"s", "n", "t", "z", "a", "o"};
	struct lk_slice s;
	struct lk_json v;
	int64_t n;
	size_t len;
	bool b;

	parse("{\"s\":\"1\",\"n\":1,\"t\":true,\"z\":null,\"a\":[],\"o\":{}}");
	for (size_t i = 0; i < 6; i++) {
		EQ_CODE(i == 0 ? LK_OK : LK_EPROTO, lk_json_str(&j, paths[i], &s, &e));
		EQ_CODE(i == 1 ? LK_OK : LK_EPROTO, lk_json_int(&j, paths[i], 0, 9, &n, &e));
		EQ_CODE(i == 2 ? LK_OK : LK_EPROTO, lk_json_bool(&j, paths[i], &b, &e));
		EQ_CODE(i == 4 ? LK_OK : LK_EPROTO, lk_json_len(&j, paths[i], &len, &e));
		EQ_CODE(i == 4 ? LK_EABSENT : LK_EPROTO, lk_json_at(&j, paths[i], 0, &v, &e));
		EQ_CODE(LK_OK, lk_json_get(&j, paths[i], &v, &e));
		EQ_CODE(i == 5 ? LK_EABSENT : LK_EPROTO, lk_json_member(&v, "x", &v, &e));
	}
	EQ_CODE(LK_EPROTO, lk_json_get(&j, "s.x", &v, &e));
	EQ_CODE(LK_EPROTO, lk_json_get(&j, "z.x", &v, &e));
	EQ_CODE(LK_EPROTO, lk_json_get(&j, "a.x", &v, &e));
	EQ_CODE(LK_EPROTO, lk_json_get(&j, "o[0]", &v, &e));
	EQ_CODE(LK_EPROTO, lk_json_get(&j, "s[0]", &v, &e));
	OK(strstr(e.msg, "s[0]: a string where an array must be") != NULL);
}

T(duplicates)
{
	struct lk_slice s;
	struct lk_json v;

	parse("{\"kid\":\"a\",\"x\":1,\"kid\":\"b\",\"x\\u0079\":2,\"xy\":3,\"ok\":\"o\"}");
	EQ_CODE(LK_EPROTO, lk_json_str(&j, "kid", &s, &e));
	OK(strstr(e.msg, "twice") != NULL);
	EQ_CODE(LK_EPROTO, lk_json_get(&j, "xy", &v, &e)); /* one spelled with an escape */
	OK(str_is("ok", "o"));                             /* others may be doubled */
	parse("{\"a\":{\"k\":1,\"k\":1},\"b\":{\"k\":1}}");
	EQ_CODE(LK_EPROTO, lk_json_get(&j, "a.k", &v, &e));
	EQ_CODE(LK_OK, lk_json_get(&j, "b.k", &v, &e));
	parse("{\"kid\":\"a\",\"\\u006b\\u0069\\u0064\":\"b\"}");
	EQ_CODE(LK_EPROTO, lk_json_str(&j, "kid", &s, &e));
	parse("{\"a\":{\"b\":1},\"a\":{\"c\":2}}");
	EQ_CODE(LK_EPROTO, lk_json_get(&j, "a.b", &v, &e));
	parse("{\"ki\":1,\"kid\":\"z\",\"kidd\":2,\"\":3}");
	OK(str_is("kid", "z"));
	parse("{\"k\\u0069d\":\"z\"}"); /* the same name, spelled otherwise */
	OK(str_is("kid", "z"));
}

T(strings)
{
	struct lk_slice s;
	uint8_t mem[3];
	struct lk_buf b = LK_BUF(mem);

	parse("{\"e\":\"a\\nb\",\"q\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\",\"u\":\"\\u00e9\\u20ac\\uD83D"
	      "\\uDE00\\u0001\\uffff\",\"p\":\"plain \xc3\xa9\",\"0\":\"\"}");
	EQ_CODE(LK_EPROTO, lk_json_str(&j, "e", &s, &e));
	OK(str_is("p", "plain \xc3\xa9") && str_is("0", ""));
	OK(copy_is("e", "a\nb", 3));
	OK(copy_is("q", "\"\\/\b\f\n\r\t", 8));
	OK(copy_is("u", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x01\xef\xbf\xbf", 13));
	OK(copy_is("p", "plain \xc3\xa9", 8));
	EQ_CODE(LK_OK, lk_json_copy(&j, "e", &b, &e));
	EQ_CODE(LK_ELIMIT, lk_json_copy(&j, "e", &b, &e));
}

T(integers)
{
	static const struct {
		const char *text;
		enum lk_code code;
		int64_t value;
	} rows[] = {
	    {"0", LK_OK, 0},
	    {"-0", LK_OK, 0},
	    {"9223372036854775807", LK_OK, INT64_MAX},
	    {"-9223372036854775808", LK_OK, INT64_MIN},
	    {"9223372036854775808", LK_EPROTO, 0},
	    {"-9223372036854775809", LK_EPROTO, 0},
	    {"18446744073709551616", LK_EPROTO, 0},
	    {"99999999999999999999999999", LK_EPROTO, 0},
	    {"1.0", LK_EPROTO, 0},
	    {"1e3", LK_EPROTO, 0},
	    {"1E0", LK_EPROTO, 0},
	    {"\"1\"", LK_EPROTO, 0},
	};
	int64_t v;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "{\"n\":%s}", rows[i].text);
		parse(text);
		v = 77;
		EQ_CODE(rows[i].code, int_code("n", INT64_MIN, INT64_MAX, &v));
		EQ_I(v, rows[i].code ? 77 : rows[i].value);
	}
	parse("{\"n\":-5}");
	EQ_CODE(LK_OK, int_code("n", -5, -5, &v));
	EQ_CODE(LK_EPROTO, int_code("n", -4, 0, &v));
	EQ_CODE(LK_EPROTO, int_code("n", -9, -6, &v));
}

T(booleans)
{
	bool b = false;

	parse("{\"t\":true,\"f\":false}");
	EQ_CODE(LK_OK, lk_json_bool(&j, "t", &b, &e));
	OK(b);
	EQ_CODE(LK_OK, lk_json_bool(&j, "f", &b, &e));
	OK(!b);
}

T(arrays)
{
	struct lk_json a, v;
	size_t n = 0;
	int64_t i = 0;

	parse("{\"a\":[10,[20,21],{\"k\":[30]},\"\",40],\"none\":[]}");
	EQ_CODE(LK_OK, lk_json_len(&j, "a", &n, &e));
	EQ_U(n, 5);
	EQ_CODE(LK_OK, lk_json_len(&j, "none", &n, &e));
	EQ_U(n, 0);
	EQ_CODE(LK_OK, lk_json_get(&j, "a", &a, &e));
	EQ_CODE(LK_OK, lk_json_len(&a, "", &n, &e));
	EQ_U(n, 5);
	EQ_CODE(LK_OK, lk_json_at(&a, "", 4, &v, &e));
	EQ_CODE(LK_OK, lk_json_int(&v, "", 0, 99, &i, &e));
	EQ_I(i, 40);
	EQ_CODE(LK_OK, lk_json_at(&j, "a", 1, &v, &e));
	OK(lk_json_type(&v) == LK_JSON_ARRAY);
	EQ_CODE(LK_OK, lk_json_int(&v, "[1]", 0, 99, &i, &e));
	EQ_I(i, 21);
	EQ_CODE(LK_OK, lk_json_int(&j, "a[2].k[0]", 0, 99, &i, &e));
	EQ_I(i, 30);
	EQ_CODE(LK_EABSENT, lk_json_at(&a, "", 5, &v, &e));
	EQ_CODE(LK_EABSENT, lk_json_at(&a, "", SIZE_MAX, &v, &e));
}

T(walk_over_members)
{
	struct lk_slice name;
	struct lk_json o, v;

	parse("{\"tokens\":{\"0\":{\"type\":\"x\"},\"1\":\"\",\"\":[],\"a.b[0]\":null}}");
	EQ_CODE(LK_OK, lk_json_get(&j, "tokens", &o, &e));
	OK(lk_json_pair(&o, 0, &name, &v) && lk_slice_eq_str(name, "0"));
	OK(lk_json_type(&v) == LK_JSON_OBJECT);
	OK(lk_slice_eq_str(lk_json_raw(&v), "{\"type\":\"x\"}"));
	OK(lk_json_pair(&o, 1, &name, &v) && lk_slice_eq_str(name, "1"));
	OK(lk_json_type(&v) == LK_JSON_STRING && lk_json_raw(&v).n == 0);
	OK(lk_json_pair(&o, 2, &name, &v) && name.n == 0 && lk_json_type(&v) == LK_JSON_ARRAY);
	OK(lk_json_pair(&o, 3, &name, &v) && lk_json_type(&v) == LK_JSON_NULL);
	OK(!lk_json_pair(&o, 4, &name, &v) && !lk_json_pair(&o, SIZE_MAX, &name, &v));
	OK(!lk_json_pair(&v, 0, &name, &v));
	EQ_CODE(LK_OK, lk_json_member(&o, "a.b[0]", &v, &e));
	OK(lk_json_type(&v) == LK_JSON_NULL);
	EQ_CODE(LK_OK, lk_json_member(&o, "", &v, &e));
	OK(lk_slice_eq_str(lk_json_raw(&v), "[]"));
}

T(types_and_raw_text)
{
	static const char *const raw[] = {"{ }", "[ 1 ]", "s", "-1.5e3", "true", "false", "null"};
	static const enum lk_json_type types[] = {LK_JSON_OBJECT, LK_JSON_ARRAY, LK_JSON_STRING,
	    LK_JSON_NUMBER, LK_JSON_BOOL, LK_JSON_BOOL, LK_JSON_NULL};
	struct lk_json v;

	parse(" {\"v\": [{ },[ 1 ],\"s\", -1.5e3 ,true,false,null]} ");
	for (size_t i = 0; i < 7; i++) {
		EQ_CODE(LK_OK, lk_json_at(&j, "v", i, &v, &e));
		OK(lk_json_type(&v) == types[i]);
		OK(lk_slice_eq_str(lk_json_raw(&v), raw[i]));
	}
}

T(roots)
{
	static const char *const other[] = {"[]", "[{}]", "1", "\"{}\"", "true", "null"};

	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		EQ_CODE(LK_EPROTO, lk_json_parse(lk_slice_str(other[i]), toks, 512, &j, &e));
	EQ_CODE(LK_EPROTO, lk_json_parse(LK_S("{} x"), toks, 512, &j, &e));
	EQ_CODE(LK_EPROTO, lk_json_parse(LK_S(""), toks, 512, &j, &e));
	EQ_CODE(LK_OK, lk_json_parse(LK_S("\n {} "), toks, 1, &j, &e));
}

T(token_limit)
{
	struct lk_json_tok guard[4];
	static char text[3000];
	size_t n = 0;

	memset(guard, 0x55, sizeof(guard));
	EQ_CODE(LK_OK, lk_json_parse(LK_S("{\"a\":1}"), guard, 3, &j, &e));
	EQ_CODE(LK_ELIMIT, lk_json_parse(LK_S("{\"a\":[1]}"), guard, 3, &j, &e));
	EQ_CODE(LK_ELIMIT, lk_json_parse(LK_S("{}"), guard, 0, &j, &e));
	EQ_I(guard[3].start, 0x55555555);
	/* 1 object, 1 name, 1 array and 509 or 510 numbers. */
	for (unsigned numbers = 509; numbers <= 510; numbers++) {
		n = (size_t)snprintf(text, sizeof(text), "{\"a\":[1");
		for (unsigned i = 1; i < numbers; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, ",1");
		n += (size_t)snprintf(text + n, sizeof(text) - n, "]}");
		EQ_CODE(numbers == 509 ? LK_OK : LK_ELIMIT,
		    lk_json_parse(lk_slice_of(text, n), toks, 512, &j, &e));
	}
}

T(malformed_paths_are_bugs)
{
	struct lk_json v;

	parse("{\"a\":[1]}");
	DIES(!lk_json_get(&j, "a..b", &v, &e));
	DIES(!lk_json_get(&j, "a[", &v, &e));
	DIES(!lk_json_get(&j, "a[x]", &v, &e));
	DIES(!lk_json_get(&j, "a.", &v, &e));
	j.at = 99;
	DIES(lk_json_type(&j));
}

T(text_of_64_kib)
{
	static char text[65536 + 32];
	struct lk_slice s;
	size_t n = (size_t)snprintf(text, sizeof(text), "{\"a\":\"");

	memset(text + n, 'x', 65536);
	memcpy(text + n + 65536, "\"}", 2);
	EQ_CODE(LK_OK, lk_json_parse(lk_slice_of(text, n + 65538), toks, 512, &j, &e));
	EQ_CODE(LK_OK, lk_json_str(&j, "a", &s, &e));
	EQ_U(s.n, 65536);
}
