/* Look-up in checked JSON. jsmn makes the tokens; nothing reaches it that lk_json_check has not
 * passed, so its tokens are well-formed: an object's children are names, a name's child is the
 * value, and it stands right behind the name. */
#include "lk/json.h"

#include <limits.h>
#include <string.h>

#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#define JSMN_STATIC
#include <jsmn.h>

#include "lexical.h"

_Static_assert(sizeof(struct lk_json_tok) == sizeof(jsmntok_t), "layout");
_Static_assert(offsetof(struct lk_json_tok, type) == offsetof(jsmntok_t, type), "layout");
_Static_assert(offsetof(struct lk_json_tok, start) == offsetof(jsmntok_t, start), "layout");
_Static_assert(offsetof(struct lk_json_tok, end) == offsetof(jsmntok_t, end), "layout");
_Static_assert(offsetof(struct lk_json_tok, size) == offsetof(jsmntok_t, size), "layout");
_Static_assert(offsetof(struct lk_json_tok, parent) == offsetof(jsmntok_t, parent), "layout");
_Static_assert(sizeof(jsmntype_t) == sizeof(int), "layout");

/* jsmn's type of the caller's storage: one cast, here, by way of void. */
static int tokenise(struct lk_slice text, void *toks, size_t cap)
{
	jsmn_parser p;

	jsmn_init(&p);
	return jsmn_parse(&p, (const char *)text.p, text.n, toks, (unsigned)cap);
}

enum lk_code lk_json_parse(struct lk_slice text, struct lk_json_tok *toks, size_t cap,
    struct lk_json *out, struct lk_err *e)
{
	enum lk_code code;
	int n;

	if (text.n > INT_MAX / 2)
		return lk_fail(e, LK_ELIMIT, "json: %zu bytes", text.n);
	code = lk_json_check(text, e);
	if (code)
		return code;
	for (size_t i = 0; i < text.n && text.p[i] != '{'; i++)
		if (text.p[i] > ' ')
			return lk_fail(e, LK_EPROTO, "json: not an object");
	if (cap > INT_MAX)
		cap = INT_MAX;
	n = tokenise(text, toks, cap);
	if (n == JSMN_ERROR_NOMEM)
		return lk_fail(e, LK_ELIMIT, "json: more than %zu values and names", cap);
	LK_BUG_ON(n < 1 || toks[0].type != JSMN_OBJECT);
	*out = (struct lk_json){.src = text, .t = toks, .n = n, .at = 0};
	return LK_OK;
}

static const struct lk_json_tok *here(const struct lk_json *j)
{
	LK_BUG_ON(j->at < 0 || j->at >= j->n);
	return &j->t[j->at];
}

static struct lk_json view(const struct lk_json *j, int at)
{
	return (struct lk_json){.src = j->src, .t = j->t, .n = j->n, .at = at};
}

struct lk_slice lk_json_raw(const struct lk_json *j)
{
	const struct lk_json_tok *t = here(j);

	return lk_slice_sub(j->src, (size_t)t->start, (size_t)(t->end - t->start));
}

enum lk_json_type lk_json_type(const struct lk_json *j)
{
	switch (here(j)->type) {
	case JSMN_OBJECT:
		return LK_JSON_OBJECT;
	case JSMN_ARRAY:
		return LK_JSON_ARRAY;
	case JSMN_STRING:
		return LK_JSON_STRING;
	default:
		break;
	}
	switch (lk_json_raw(j).p[0]) {
	case 't':
	case 'f':
		return LK_JSON_BOOL;
	case 'n':
		return LK_JSON_NULL;
	default:
		return LK_JSON_NUMBER;
	}
}

static const char *type_name(enum lk_json_type type)
{
	static const char *const names[] = {
	    "an object", "an array", "a string", "a number", "true or false", "null"};

	return names[type];
}

/* The next child of the value the view stands on, from token `from` on; -1: no more. */
static int next_child(const struct lk_json *j, int from)
{
	int end = here(j)->end;

	for (int k = from; k < j->n && j->t[k].start < end; k++)
		if (j->t[k].parent == j->at)
			return k;
	return -1;
}

/* The i-th child, or -1. */
static int nth_child(const struct lk_json *j, size_t i)
{
	int k = next_child(j, j->at + 1);

	while (k >= 0 && i-- > 0)
		k = next_child(j, k + 1);
	return k;
}

/* The value of the member whose name is token k. */
static int value_of(const struct lk_json *j, int k)
{
	LK_BUG_ON(k + 1 >= j->n || j->t[k + 1].parent != k);
	return k + 1;
}

/* Is the string's text, its escapes resolved, `want`? */
static bool text_is(struct lk_slice raw, struct lk_slice want)
{
	uint8_t utf8[4];
	size_t step, n;

	for (size_t i = 0; i < raw.n; i += step) {
		step = n = 1;
		utf8[0] = raw.p[i];
		if (raw.p[i] == '\\') {
			step = lk_escape_step(raw, i, utf8, &n);
			LK_BUG_ON(!step);
		}
		if (!lk_slice_starts(want, lk_slice_of(utf8, n)))
			return false;
		want = lk_slice_sub(want, n, want.n);
	}
	return want.n == 0;
}

/* `path` is the whole path, for the message. */
static enum lk_code find_member(const struct lk_json *j, struct lk_slice name, const char *path,
    struct lk_json *out, struct lk_err *e)
{
	int found = -1;

	if (here(j)->type != JSMN_OBJECT)
		return lk_fail(e, LK_EPROTO, "json: %s: %s where an object must be", path,
		    type_name(lk_json_type(j)));
	for (int k = next_child(j, j->at + 1); k >= 0; k = next_child(j, k + 1)) {
		struct lk_json key = view(j, k);

		if (!text_is(lk_json_raw(&key), name))
			continue;
		if (found >= 0)
			return lk_fail(e, LK_EPROTO, "json: %s: member occurs twice", path);
		found = k;
	}
	if (found < 0)
		return lk_fail(e, LK_EABSENT, "json: %s: not there", path);
	*out = view(j, value_of(j, found));
	return LK_OK;
}

enum lk_code lk_json_member(
    const struct lk_json *j, const char *name, struct lk_json *out, struct lk_err *e)
{
	return find_member(j, lk_slice_str(name), name, out, e);
}

static enum lk_code find_element(
    const struct lk_json *j, size_t i, const char *path, struct lk_json *out, struct lk_err *e)
{
	int k;

	if (here(j)->type != JSMN_ARRAY)
		return lk_fail(e, LK_EPROTO, "json: %s: %s where an array must be", path,
		    type_name(lk_json_type(j)));
	k = nth_child(j, i);
	if (k < 0)
		return lk_fail(e, LK_EABSENT, "json: %s: element %zu is not there", path, i);
	*out = view(j, k);
	return LK_OK;
}

/* Length of the name at the front of a path. */
static size_t name_length(struct lk_slice path)
{
	size_t n = 0;

	while (n < path.n && path.p[n] != '.' && path.p[n] != '[')
		n++;
	return n;
}

/* One step of the path. A path is our own text: a malformed one is a bug. */
static enum lk_code descend(
    struct lk_json *j, struct lk_slice *rest, const char *path, struct lk_err *e)
{
	size_t n;
	uint32_t i = 0;
	enum lk_code code;

	if (rest->p[0] == '[') {
		LK_BUG_ON(!lk_slice_find(*rest, ']', &n));
		LK_BUG_ON(!lk_slice_u32(lk_slice_sub(*rest, 1, n - 1), INT_MAX, &i));
		code = find_element(j, i, path, j, e);
		n++;
	} else {
		n = name_length(*rest);
		LK_BUG_ON(n == 0);
		code = find_member(j, lk_slice_sub(*rest, 0, n), path, j, e);
	}
	*rest = lk_slice_sub(*rest, n, rest->n);
	if (rest->n && rest->p[0] == '.') {
		*rest = lk_slice_sub(*rest, 1, rest->n);
		LK_BUG_ON(!rest->n);
	}
	return code;
}

enum lk_code lk_json_get(
    const struct lk_json *j, const char *path, struct lk_json *out, struct lk_err *e)
{
	struct lk_slice rest = lk_slice_str(path);
	struct lk_json v = *j;

	while (rest.n) {
		enum lk_code code = descend(&v, &rest, path, e);

		if (code)
			return code;
	}
	*out = v;
	return LK_OK;
}

/* Descend and insist on a type. */
static enum lk_code get_typed(const struct lk_json *j, const char *path, enum lk_json_type want,
    struct lk_json *out, struct lk_err *e)
{
	enum lk_code code = lk_json_get(j, path, out, e);

	if (code)
		return code;
	if (lk_json_type(out) != want)
		return lk_fail(e, LK_EPROTO, "json: %s: %s where %s must be",
		    *path ? path : "value", type_name(lk_json_type(out)), type_name(want));
	return LK_OK;
}

enum lk_code lk_json_str(
    const struct lk_json *j, const char *path, struct lk_slice *out, struct lk_err *e)
{
	struct lk_json v;
	size_t at;
	enum lk_code code = get_typed(j, path, LK_JSON_STRING, &v, e);

	if (code)
		return code;
	if (lk_slice_find(lk_json_raw(&v), '\\', &at))
		return lk_fail(e, LK_EPROTO, "json: %s: escape refused here", path);
	*out = lk_json_raw(&v);
	return LK_OK;
}

enum lk_code lk_json_copy(
    const struct lk_json *j, const char *path, struct lk_buf *out, struct lk_err *e)
{
	struct lk_json v;
	struct lk_slice raw;
	uint8_t utf8[4];
	size_t step, n;
	enum lk_code code = get_typed(j, path, LK_JSON_STRING, &v, e);

	if (code)
		return code;
	raw = lk_json_raw(&v);
	for (size_t i = 0; i < raw.n; i += step) {
		step = n = 1;
		utf8[0] = raw.p[i];
		if (raw.p[i] == '\\') {
			step = lk_escape_step(raw, i, utf8, &n);
			LK_BUG_ON(!step);
		}
		lk_buf_put(out, utf8, n);
	}
	if (out->bad)
		return lk_fail(e, LK_ELIMIT, "json: %s: text does not fit", path);
	return LK_OK;
}

/* -|value|, so that INT64_MIN fits; false if it does not. */
static bool parse_negative(struct lk_slice digits, int64_t *out)
{
	int64_t v = 0;

	for (size_t i = 0; i < digits.n; i++) {
		int d = digits.p[i] - '0';

		if (d < 0 || d > 9)
			return false; /* a fraction or an exponent */
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, d, &v))
			return false;
	}
	*out = v;
	return true;
}

enum lk_code lk_json_int(const struct lk_json *j, const char *path, int64_t min, int64_t max,
    int64_t *out, struct lk_err *e)
{
	struct lk_json v;
	struct lk_slice raw;
	bool negative;
	int64_t n;
	enum lk_code code = get_typed(j, path, LK_JSON_NUMBER, &v, e);

	if (code)
		return code;
	raw = lk_json_raw(&v);
	negative = raw.p[0] == '-';
	if (!parse_negative(lk_slice_sub(raw, negative, raw.n), &n) ||
	    (!negative && __builtin_sub_overflow((int64_t)0, n, &n)) || n < min || n > max)
		return lk_fail(e, LK_EPROTO, "json: %s: not an integer from %lld to %lld", path,
		    (long long)min, (long long)max);
	*out = n;
	return LK_OK;
}

enum lk_code lk_json_bool(const struct lk_json *j, const char *path, bool *out, struct lk_err *e)
{
	struct lk_json v;
	enum lk_code code = get_typed(j, path, LK_JSON_BOOL, &v, e);

	if (code)
		return code;
	*out = lk_json_raw(&v).p[0] == 't';
	return LK_OK;
}

enum lk_code lk_json_len(const struct lk_json *j, const char *path, size_t *out, struct lk_err *e)
{
	struct lk_json v;
	enum lk_code code = get_typed(j, path, LK_JSON_ARRAY, &v, e);

	if (code)
		return code;
	*out = (size_t)here(&v)->size;
	return LK_OK;
}

enum lk_code lk_json_at(
    const struct lk_json *j, const char *path, size_t i, struct lk_json *out, struct lk_err *e)
{
	struct lk_json v;
	enum lk_code code = get_typed(j, path, LK_JSON_ARRAY, &v, e);

	if (code)
		return code;
	return find_element(&v, i, *path ? path : "value", out, e);
}

bool lk_json_pair(const struct lk_json *j, size_t i, struct lk_slice *name, struct lk_json *value)
{
	struct lk_json key;
	int k = here(j)->type == JSMN_OBJECT ? nth_child(j, i) : -1;

	if (k < 0)
		return false;
	key = view(j, k);
	*name = lk_json_raw(&key);
	*value = view(j, value_of(j, k));
	return true;
}
