/* Tokens of every kind as JSON: what is written is read, every member edited, oversized, absent. */
#include "t.h"

#include "kind_sample.h"
#include "lk/b64.h"

static struct lk_json_tok toks[256];
static struct lk_err e;

static enum lk_code read_text(const char *text, struct lk_binding *out)
{
	struct lk_json j;

	memset(&e, 0, sizeof(e));
	enum lk_code rc = lk_json_parse(lk_slice_str(text), toks, 256, &j, &e);
	return rc == LK_OK ? lk_binding_read(&j, 3, out, &e) : rc;
}

static void write_text(const struct lk_binding *b, char text[static LK_BINDING_JSON_MAX + 1])
{
	struct lk_buf json = {
	    .p = (uint8_t *)text, .n = 0, .cap = LK_BINDING_JSON_MAX, .bad = false};

	EQ_CODE(LK_OK, lk_binding_write(b, &json, &e));
	text[json.n] = '\0';
}

T(names)
{
	enum lk_kind k;

	for (enum lk_kind i = LK_DERIVED; i <= LK_WRAPPED; i++) {
		OK(lk_kind_parse(lk_slice_str(lk_kind_name(i)), &k));
		EQ_U(k, i);
	}
	OK(!lk_kind_parse(LK_S("Raw"), &k));
	OK(!lk_kind_parse(LK_S("ra"), &k));
	OK(!lk_kind_parse(LK_S(""), &k));
}

static void both_ways(const struct lk_binding *b)
{
	char text[LK_BINDING_JSON_MAX + 1];
	struct lk_binding got;

	write_text(b, text);
	EQ_CODE(LK_OK, read_text(text, &got));
	EQ_MEM(&got, b, sizeof(got));
	/* what a kind does not have is not written */
	OK((strstr(text, "\"salt\":") == NULL) == lk_binding_is(b, LK_WRAPPED));
	OK((strstr(text, "\"mac\":") == NULL) == lk_binding_is(b, LK_WRAPPED));
	OK((strstr(text, "\"wrapped\":") != NULL) == lk_binding_is(b, LK_WRAPPED));
	OK((strstr(text, "\"kdf-salt\":") != NULL) == lk_binding_is(b, LK_COMPAT));
	OK((strstr(text, "\"label\":") != NULL) == lk_binding_is(b, LK_COMPAT));
}

T(what_is_written_is_read)
{
	struct lk_binding b;

	for (enum lk_kind k = LK_DERIVED; k <= LK_WRAPPED; k++) {
		b = kind_sample(k);
		if (k != LK_WRAPPED)
			memset(b.mac, 0x5a, 32);
		both_ways(&b);
	}
	b = kind_sample(LK_WRAPPED);
	b.wrapped_len = 512;
	memset(b.wrapped, 0xff, 512);
	both_ways(&b);
	b = kind_sample(LK_COMPAT);
	b.kdf_salt_len = 64;
	memset(b.kdf_salt, 0xff, 64);
	memset(b.label, '"', 64);
	both_ways(&b);
	b.label[62] = '\\';
	b.label[63] = ' ';
	both_ways(&b);
	b.kdf_salt_len = 0;
	memset(b.kdf_salt, 0, 64);
	memset(b.label, 0, sizeof(b.label));
	b.label[0] = '~';
	both_ways(&b);
}

/* The longest token of every field at its limit has room. */
T(the_largest_token_fits)
{
	char text[LK_BINDING_JSON_MAX + 1];
	struct lk_binding b = kind_sample(LK_WRAPPED);

	b.wrapped_len = 512;
	memset(b.attest + 8, 'a', 240);
	strcpy(b.attest + 248, ".net");
	for (size_t i = 8 + 63; i < 240; i += 64)
		b.attest[i] = '.';
	snprintf(b.key, sizeof(b.key), "%s:65535/keys/", b.attest);
	memset(b.key + strlen(b.key), 'k', 127);
	strcat(b.key, "/00112233445566778899aabbccddeeff");
	write_text(&b, text);
	OK(strlen(text) > 1300);
}

T(what_could_not_be_read_is_not_written)
{
	uint8_t mem[LK_BINDING_JSON_MAX];
	struct lk_buf json = LK_BUF(mem);
	struct lk_binding b = kind_sample(LK_WRAPPED);

	b.wrapped_len = 255;
	OK(lk_binding_write(&b, &json, &e) != LK_OK);
	b.wrapped_len = 513;
	OK(lk_binding_write(&b, &json, &e) != LK_OK);
	b = kind_sample(LK_COMPAT);
	b.kdf_salt_len = 65;
	OK(lk_binding_write(&b, &json, &e) != LK_OK);
	b = kind_sample(LK_COMPAT);
	b.label[0] = '\0';
	OK(lk_binding_write(&b, &json, &e) != LK_OK);
	b.label[0] = '\t';
	OK(lk_binding_write(&b, &json, &e) != LK_OK);
	strcpy(b.kind, "better");
	EQ_CODE(LK_EUSAGE, lk_binding_write(&b, &json, &e));
	EQ_S(e.msg, "a binding that cannot be written: kind better is not known");
	EQ_U(json.n, 0);
}

/* ---- members */

#define HEAD(kind)                                                                                 \
	"{\"type\":\"latchkey\",\"keyslots\":[\"1\"],\"version\":1,\"id\":\"0123456789abcdef\","   \
	"\"kind\":\"" kind "\",\"key\":\"https://kv1.vault.azure.net/keys/disk\","                 \
	"\"attest\":\"https://a.attest.azure.net\",\"thumbprint\":\"\","                           \
	"\"uuid\":\"6a3b1f2e-0c4d-4e5f-8a9b-0123456789ab\""
#define B32    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define PROVED ",\"salt\":\"" B32 "\",\"mac\":\"" B32 "\""
#define OWN    PROVED ",\"kdf-salt\":\"AAAA\",\"label\":\"my label\"}"

/* HEAD, then `tail`: the code must be `want`, and the error names the token and the member. */
static void reads(
    const char *head, const char *tail, enum lk_code want, const char *member, int row)
{
	static char text[4096];
	struct lk_binding b;

	snprintf(text, sizeof(text), "%s%s", head, tail);
	enum lk_code rc = read_text(text, &b);
	if (rc != want)
		T_FAIL("row %d gives code %d: %s", row, (int)rc, e.msg);
	else if (rc != LK_OK && strncmp(e.msg, "token 3: ", 9) != 0)
		T_FAIL("row %d does not name the token: %s", row, e.msg);
	else if (rc != LK_OK && strstr(e.msg, member) == NULL)
		T_FAIL("row %d does not name %s: %s", row, member, e.msg);
}

T(members_that_every_proved_kind_needs)
{
	static const char *const head[] = {HEAD("derived"), HEAD("raw"), HEAD("compat")};
	static const struct {
		const char *tail, *member;
	} bad[] = {{"}", "salt"}, {",\"mac\":\"" B32 "\"}", "salt"},
	    {",\"salt\":\"" B32 "\"}", "mac"}, {",\"salt\":\"" B32 "\",\"mac\":\"\"}", "mac"},
	    {",\"salt\":\"\",\"mac\":\"" B32 "\"}", "salt"},
	    {",\"salt\":\"" B32 "A\",\"mac\":\"" B32 "\"}", "salt"},
	    {",\"salt\":\"" B32 "\",\"mac\":\"" B32 "AAA\"}", "mac"},
	    {",\"salt\":[],\"mac\":\"" B32 "\"}", "salt"}, {PROVED ",\"mac\":\"" B32 "\"}", "mac"}};

	for (int k = 0; k < 3; k++) {
		reads(head[k], PROVED "}", LK_OK, "", k);
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
			reads(head[k], bad[i].tail, LK_ELUKS, bad[i].member, 100 * k + (int)i);
	}
}

T(members_of_compat)
{
	struct lk_binding b;

	EQ_CODE(LK_OK, read_text(HEAD("compat") OWN, &b));
	EQ_U(b.kdf_salt_len, 3);
	EQ_S(b.label, "my label");
	EQ_CODE(LK_OK, read_text(HEAD("compat") PROVED "}", &b));
	EQ_U(b.kdf_salt_len, 0);
	EQ_S(b.label, "Symmetric Encryption Key");
	/* of no kind that reads them, they are unknown members */
	EQ_CODE(LK_OK, read_text(HEAD("derived") PROVED ",\"kdf-salt\":7,\"label\":[]}", &b));
	EQ_U(b.kdf_salt_len, 0);
	EQ_S(b.label, "");

	static const struct {
		const char *tail, *member;
	} bad[] = {{PROVED ",\"kdf-salt\":\"A\"}", "kdf-salt"},
	    {PROVED ",\"kdf-salt\":\"AA==\"}", "kdf-salt"},
	    {PROVED ",\"kdf-salt\":null}", "kdf-salt"}, {PROVED ",\"kdf-salt\":0}", "kdf-salt"},
	    {PROVED ",\"kdf-salt\":\"" B32 B32 "A\"}", "kdf-salt"},
	    {PROVED ",\"kdf-salt\":\"\",\"kdf-salt\":\"\"}", "kdf-salt"},
	    {PROVED ",\"label\":\"\"}", "label"}, {PROVED ",\"label\":null}", "label"},
	    {PROVED ",\"label\":\"a\\u001f\"}", "label"},
	    {PROVED ",\"label\":\"a\\u00e9\"}", "label"},
	    {PROVED ",\"label\":\"" B32 B32 "\"}", "label"},
	    {PROVED ",\"label\":\"a\",\"label\":\"b\"}", "label"},
	    {PROVED ",\"label\":\"a\",\"lab\\u0065l\":\"b\"}", "label"}};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		reads(HEAD("compat"), bad[i].tail, LK_ELUKS, bad[i].member, (int)i);
}

/* A `wrapped` member of n bytes, and what follows. */
static const char *wrapped_of(size_t n, const char *more)
{
	static char text[1200];
	static const uint8_t bytes[600];
	uint8_t b64[900];
	struct lk_buf b = LK_BUF(b64);

	lk_b64url_encode(lk_slice_of(bytes, n), &b);
	snprintf(text, sizeof(text), ",\"wrapped\":\"%.*s\"%s}", (int)b.n, (char *)b64, more);
	return text;
}

T(members_of_wrapped)
{
	const char *head = HEAD("wrapped");

	reads(head, wrapped_of(256, ""), LK_OK, "", 0);
	reads(head, wrapped_of(384, ",\"mac\":\"\""), LK_OK, "", 1);
	reads(head, wrapped_of(512, ",\"salt\":5"), LK_OK, "", 2);
	reads(head, wrapped_of(255, ""), LK_ELUKS, "wrapped", 3);
	reads(head, wrapped_of(513, ""), LK_ELUKS, "wrapped", 4);
	reads(head, wrapped_of(600, ""), LK_ELUKS, "wrapped", 5);
	reads(head, wrapped_of(0, ""), LK_ELUKS, "wrapped", 6);
	reads(head, "}", LK_ELUKS, "wrapped", 7);
	reads(head, ",\"wrapped\":null}", LK_ELUKS, "wrapped", 8);
	reads(head, wrapped_of(256, ",\"wrapped\":\"\""), LK_ELUKS, "wrapped", 9);
	reads(head, wrapped_of(256, ",\"mac\":\"" B32 "\""), LK_ELUKS, "mac", 10);
	reads(head, wrapped_of(256, ",\"mac\":\"A\""), LK_ELUKS, "mac", 11);
	reads(head, wrapped_of(256, ",\"mac\":null"), LK_ELUKS, "mac", 12);
	reads(head, wrapped_of(256, ",\"mac\":\"\",\"mac\":\"\""), LK_ELUKS, "mac", 13);
}

/* Read as far as it can be, so that it is refused by name and not as damaged. */
T(a_kind_that_is_not_known)
{
	struct lk_binding b;

	EQ_CODE(LK_OK, read_text(HEAD("better") ",\"mac\":7}", &b));
	EQ_S(b.kind, "better");
	OK(!lk_binding_is(&b, LK_DERIVED));
	EQ_CODE(LK_ELUKS, read_text(HEAD("Better") "}", &b));
	EQ_CODE(LK_ELUKS, read_text(HEAD("abcdefghijklmnop") "}", &b));
}
