/* lk/json.h - read JSON that a peer wrote.
 *
 * lk_json_check is a strict RFC 8259 validator (depth <= 16, valid UTF-8, paired surrogates, no NUL
 * and no \u0000, one root); only what passed it reaches jsmn. The token array is the caller's and
 * is never grown: too many tokens is LK_ELIMIT. Look-up is by path ("response.key.key.key_hsm",
 * "keys[3].kid"); at each step the parent must be an object (or array), a key must occur exactly
 * once (a duplicate, also one spelled with escapes, is LK_EPROTO), the type must match. Absent:
 * LK_EABSENT. JSON null or another type: LK_EPROTO. Members that nobody asks for are ignored. A
 * member whose name holds a dot or bracket is reached with lk_json_member.
 */
#ifndef LK_JSON_H
#define LK_JSON_H

#include "lk/slice.h"

#define LK_JSON_DEPTH_MAX 16

struct lk_json_tok {
	int type, start, end, size, parent;
}; /* same layout as jsmntok_t, asserted in json.c */
struct lk_json {
	struct lk_slice src;
	struct lk_json_tok *t;
	int n, at;
}; /* `at`: the token this view stands on */

/* Any JSON text, scalars included. */
LK_CHECK enum lk_code lk_json_check(struct lk_slice text, struct lk_err *e);
/* Check and tokenise; the root must be an object. `toks` and `text` must outlive `out`. */
LK_CHECK enum lk_code lk_json_parse(struct lk_slice text, struct lk_json_tok *toks, size_t cap,
    struct lk_json *out, struct lk_err *e);

/* Descend to any value. */
LK_CHECK enum lk_code lk_json_get(
    const struct lk_json *j, const char *path, struct lk_json *out, struct lk_err *e);
LK_CHECK enum lk_code lk_json_member(
    const struct lk_json *j, const char *name, struct lk_json *out, struct lk_err *e);
/* A string without any backslash: protocol fields never need one. Borrowed from the text. */
LK_CHECK enum lk_code lk_json_str(
    const struct lk_json *j, const char *path, struct lk_slice *out, struct lk_err *e);
/* A string, unescaped into `out`. */
LK_CHECK enum lk_code lk_json_copy(
    const struct lk_json *j, const char *path, struct lk_buf *out, struct lk_err *e);
/* An integer: no fraction, no exponent, within [min, max]. */
LK_CHECK enum lk_code lk_json_int(const struct lk_json *j, const char *path, int64_t min,
    int64_t max, int64_t *out, struct lk_err *e);
LK_CHECK enum lk_code lk_json_bool(
    const struct lk_json *j, const char *path, bool *out, struct lk_err *e);
/* Elements of an array, and the i-th. Path "" is the value itself. */
LK_CHECK enum lk_code lk_json_len(
    const struct lk_json *j, const char *path, size_t *out, struct lk_err *e);
LK_CHECK enum lk_code lk_json_at(
    const struct lk_json *j, const char *path, size_t i, struct lk_json *out, struct lk_err *e);
/* i-th member of an object: its raw name and value (for walks over unknown members, as LUKS2
 * needs). false: past the end. */
bool lk_json_pair(const struct lk_json *j, size_t i, struct lk_slice *name, struct lk_json *value);
/* The value's text as it stands in the source (objects with their braces, strings without quotes).
 */
struct lk_slice lk_json_raw(const struct lk_json *j);
enum lk_json_type {
	LK_JSON_OBJECT,
	LK_JSON_ARRAY,
	LK_JSON_STRING,
	LK_JSON_NUMBER,
	LK_JSON_BOOL,
	LK_JSON_NULL
};
enum lk_json_type lk_json_type(const struct lk_json *j);

#endif
