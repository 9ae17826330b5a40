/* token_edits.h - tokens of type latchkey and LUKS2 headers, edited at random as a host could do it
 * who has the format's specification and time. Everything follows from the number of the edit. */
#ifndef LK_TEST_TOKEN_EDITS_H
#define LK_TEST_TOKEN_EDITS_H

#include <ctype.h>
#include <strings.h>

#include "t.h"

#include "lk/binding.h"
#include "luks2_image.h"

#define ED_SIZE 0x4000
#define ED_ROOM (ED_SIZE - 4096)

#define ED_HEAD                                                                                    \
	"{\"keyslots\":{\"0\":{\"type\":\"luks2\"},\"5\":{\"type\":\"luks2\",\"kdf\":{\"type\":"   \
	"\"pbkdf2\",\"iterations\":1000}}},\"tokens\":{\"0\":{\"type\":\"clevis\",\"keyslots\":"   \
	"[\"0\"],\"jwe\":{\"a\":[1,{}]}},\"5\":{\"type\":\"Azure_Disk_Encryption\",\"keyslots\":"  \
	"[]}"
#define ED_TAIL                                                                                    \
	"},\"segments\":{\"0\":{\"type\":\"crypt\",\"encryption\":\"aes-xts-plain64\"}},"          \
	"\"digests\":{},\"config\":{\"json_size\":\"12288\",\"keyslots_size\":\"16744448\"}}"

#define ED_FIELDS 24
#define ED_VALUE  2400
#define ED_TEXT   11000 /* what the smallest JSON area holds, less the rest of the document */

struct ed_token {
	size_t n;
	struct {
		char name[32], value[ED_VALUE]; /* the value as JSON */
	} f[ED_FIELDS];
};

/* ---- chance (splitmix64: any start is as good as another) */

static uint64_t ed_state;

static inline uint64_t ed_next(void)
{
	uint64_t z = ed_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline size_t ed_below(size_t n)
{
	return (size_t)(ed_next() % n);
}

#define ED_PICK(list) ((list)[ed_below(sizeof(list) / sizeof((list)[0]))])

/* ---- a token as fields, and back */

/* Where the JSON value at p ends; for what lk_binding_write makes. */
static inline const char *ed_value_end(const char *p)
{
	bool quoted = false;
	int depth = 0;

	for (; *p; p++) {
		if (*p == '"' && p[-1] != '\\')
			quoted = !quoted;
		else if (!quoted && (*p == '[' || *p == '{'))
			depth++;
		else if (!quoted && depth > 0 && (*p == ']' || *p == '}'))
			depth--;
		else if (!quoted && depth == 0 && (*p == ',' || *p == '}'))
			break;
	}
	return p;
}

static inline void ed_split(const char *json, struct ed_token *out)
{
	const char *p = json + 1, *end;

	out->n = 0;
	while (*p == '"') {
		end = strchr(p + 1, '"');
		snprintf(out->f[out->n].name, 32, "%.*s", (int)(end - p - 1), p + 1);
		p = end + 2;
		end = ed_value_end(p);
		snprintf(out->f[out->n++].value, ED_VALUE, "%.*s", (int)(end - p), p);
		p = *end == ',' ? end + 1 : end;
	}
}

static inline void ed_join(const struct ed_token *t, char *out, size_t cap)
{
	size_t n = (size_t)snprintf(out, cap, "{");

	for (size_t i = 0; i < t->n && n < cap; i++)
		n += (size_t)snprintf(
		    out + n, cap - n, "%s\"%s\":%s", i ? "," : "", t->f[i].name, t->f[i].value);
	if (n < cap)
		snprintf(out + n, cap - n, "}");
}

/* ---- edits of fields */

static inline char *ed_any(struct ed_token *t)
{
	return t->f[ed_below(t->n)].value;
}

/* Values that fit somewhere, or look as if they did. */
static inline void ed_replace(struct ed_token *t, const struct ed_token *unused)
{
	static const char *const values[] = {"\"\"", "null", "true", "false", "0", "1", "2", "1.0",
	    "1e0", "-0", "-1", "18446744073709551617", "[]", "{}", "[\"5\"]", "[\"0\"]", "[\"05\"]",
	    "[5]", "[\"5\",\"0\"]", "[\"32\"]", "\"5\"", "\"latchkey\"", "\"derived\"", "\"raw\"",
	    "\"compat\"", "\"wrapped\"", "\"better\"", "\"https://evil.vault.azure.net/keys/disk\"",
	    "\"https://kv1.vault.azure.net.evil.example/keys/disk\"",
	    "\"https://kv1.vault.azure.net@evil.example/keys/disk\"",
	    "\"https://KV1.vault.azure.net/keys/disk/00112233445566778899aabbccddeeff\"",
	    "\"https://kv1.vault.azure.net:443/keys/disk/00112233445566778899aabbccddeeff\"",
	    "\"https://kv1.vault.azure.net/keys/disk/../evil/00112233445566778899aabbccddeeff\"",
	    "\"http://kv1.vault.azure.net/keys/disk/00112233445566778899aabbccddeeff\"",
	    "\"https://sharedweu.weu.attest.azure.net/\"", "\"https://evil.weu.attest.azure.net\"",
	    "\"https://SHAREDWEU.weu.attest.azure.net\"", "\"0123456789abcdef\"",
	    "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"", "\"AAAA\\nAAAA\"", "\"\\u0000\"",
	    "\"\\ud800\"", "\"\x01\"", "\"\xff\xfe\"", "\"\\\\\"", "\"\\\"\"", "\"\xc3\xa9\""};

	char *const v = ed_any(t);

	(void)unused;
	strcpy(v, ED_PICK(values));
}

static inline void ed_swap(struct ed_token *t, const struct ed_token *other)
{
	const size_t i = ed_below(t->n), j = ed_below(other->n);

	/* Mostly the field of the same name, sometimes any other one. */
	for (size_t k = 0; k < other->n; k++)
		if (strcmp(other->f[k].name, t->f[i].name) == 0 && ed_below(8)) {
			strcpy(t->f[i].value, other->f[k].value);
			return;
		}
	strcpy(t->f[i].value, other->f[j].value);
}

static inline void ed_delete(struct ed_token *t, const struct ed_token *unused)
{
	const size_t i = ed_below(t->n);

	(void)unused;
	if (t->n > 1)
		memmove(&t->f[i], &t->f[i + 1], (--t->n - i) * sizeof(t->f[0]));
}

/* One more field: a member of another kind or state, one of that name again, or a new one. */
static inline void ed_insert(struct ed_token *t, const struct ed_token *other)
{
	static const char *const names[] = {"pending-slot", "replaced-by", "borrowed", "label",
	    "kdf-salt", "wrapped", "mac", "salt", "", "x", "Type", "key\\u0000", "type"};
	const size_t at = ed_below(t->n + 1);

	if (t->n == ED_FIELDS)
		return;
	memmove(&t->f[at + 1], &t->f[at], (t->n++ - at) * sizeof(t->f[0]));
	strcpy(t->f[at].name, ED_PICK(names));
	strcpy(t->f[at].value, other->f[ed_below(other->n)].value);
	if (ed_below(2))
		t->f[at] = other->f[ed_below(other->n)];
}

static inline void ed_reorder(struct ed_token *t, const struct ed_token *unused)
{
	const size_t i = ed_below(t->n), j = ed_below(t->n);

	(void)unused;
	char name[32], value[ED_VALUE];
	strcpy(name, t->f[i].name);
	strcpy(value, t->f[i].value);
	t->f[i] = t->f[j];
	strcpy(t->f[j].name, name);
	strcpy(t->f[j].value, value);
}

/* The same text in other words: boot has to read it, unless it breaks a number or a bracket. */
static inline void ed_escape(struct ed_token *t, const struct ed_token *unused)
{
	char *v = ed_any(t), out[ED_VALUE];
	size_t n = 0;

	(void)unused;
	for (const char *p = v; *p && n < sizeof(out) - 8; p++) {
		if (isalnum((unsigned char)*p) && p > v && p[-1] != '\\' && ed_below(12) == 0)
			n += (size_t)snprintf(out + n, sizeof(out) - n, "\\u%04x",
			    (unsigned)*p ^ (ed_below(40) == 0));
		else
			out[n++] = *p;
	}
	out[n] = '\0';
	strcpy(v, out);
}

static inline void ed_nest(struct ed_token *t, const struct ed_token *unused)
{
	static const char *const open[] = {"[", "{\"a\":", "[0,"}, *const shut[] = {"]", "}", "]"};
	char *v = ed_any(t), out[ED_VALUE] = "";
	size_t depth = 1 + ed_below(ed_below(2) ? 400 : 8), kind = ed_below(3);

	(void)unused;
	if (depth * 6 + strlen(v) >= sizeof(out))
		return;
	for (size_t i = 0; i < depth; i++)
		strcat(out, open[kind]);
	strcat(out, v);
	for (size_t i = 0; i < depth; i++)
		strcat(out, shut[kind]);
	strcpy(v, out);
}

static inline void ed_lengthen(struct ed_token *t, const struct ed_token *unused)
{
	char *v = ed_any(t);
	size_t n = strlen(v), more = 1 + ed_below(ed_below(4) ? 40 : 1500);

	(void)unused;
	if (n < 2 || v[n - 1] != '"' || n + more >= ED_VALUE)
		return;
	memset(v + n - 1, "Aa0/"[ed_below(4)], more);
	strcpy(v + n - 1 + more, "\"");
}

/* ---- edits of text */

static inline void ed_flip(char *p, size_t cap)
{
	const size_t n = strlen(p), at = n ? ed_below(n) : 0, bit = ed_below(8);

	(void)cap;
	if (n > 0)
		p[at] = ed_below(2) ? (char)(p[at] ^ 1 << bit) : (char)ed_next();
}

static inline void ed_spaces(char *p, size_t cap)
{
	size_t n = strlen(p), at = ed_below(n + 1), more = 1 + ed_below(3);

	if (n + more >= cap)
		return;
	/* Next to a comma it changes nothing. */
	char *comma = strchr(p + at, ',');
	if (comma && ed_below(4))
		at = (size_t)(comma - p);
	memmove(p + at + more, p + at, n - at + 1);
	memset(p + at, " \t\n"[ed_below(3)], more);
}

static inline void ed_cut(char *p, size_t cap)
{
	size_t n = strlen(p), at = ed_below(n + 1), len = ed_below(ed_below(2) ? 4 : 200);

	(void)cap;
	if (ed_below(4) == 0)
		p[at] = '\0'; /* truncation */
	else if (at + len <= n)
		memmove(p + at, p + at + len, n - at - len + 1);
}

/* A part of the text twice. */
static inline void ed_double(char *p, size_t cap)
{
	size_t n = strlen(p), at = ed_below(n + 1), len = ed_below(300);

	if (at + len > n || n + len >= cap)
		return;
	memmove(p + at + len, p + at, n - at + 1);
}
/* ---- the document around tokens */

static inline void add(char *doc, const char *text)
{
	size_t n = strlen(doc), more = strlen(text);

	if (more >= ED_ROOM - n)
		more = ED_ROOM - n - 1; /* as the area ends */
	memcpy(doc + n, text, more);
	doc[n + more] = '\0';
}

static inline void add_token(char *doc, size_t as, const char *text)
{
	char name[16];

	snprintf(name, sizeof(name), ",\"%zu\":", as);
	add(doc, name);
	add(doc, text);
}

static inline void document(char *doc, const char *token)
{
	doc[0] = '\0';
	add(doc, ED_HEAD);
	add_token(doc, 3, token);
	add(doc, ED_TAIL);
}

/* ---- to judge by */

static inline bool one_line(const char *s)
{
	for (const char *p = s; *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			return false;
	return *s != '\0';
}

/* Do two https URLs name the same host and path? Worked out here, not by the product. */
static inline bool same_place(const char *a, const char *b)
{
	size_t n = strcspn(a + 8, "/:"), k = strcspn(b + 8, "/:");
	const char *rest_a = a + 8 + n, *rest_b = b + 8 + k;

	if (strncmp(a, "https://", 8) != 0 || n != k || strncasecmp(a + 8, b + 8, n) != 0)
		return false;
	if (strncmp(rest_a, ":443", 4) == 0)
		rest_a += 4;
	if (rest_a[0] == '/' && rest_a[1] == '\0')
		rest_a++;
	return strcmp(rest_a, rest_b) == 0;
}

#endif
