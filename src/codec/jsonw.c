/* The JSON writer. Wrong use is a bug of the caller and ends the process. */
#include "lk/jsonw.h"

#include "lexical.h"
#include "lk/b64.h"

#define DEPTH_MAX 16

static void put_string(struct lk_buf *out, struct lk_slice v)
{
	static const char hex[] = "0123456789abcdef";

	LK_BUG_ON(!lk_utf8_ok(v));
	lk_buf_byte(out, '"');
	for (size_t i = 0; i < v.n; i++) {
		uint8_t c = v.p[i];

		if (c == '"' || c == '\\') {
			lk_buf_byte(out, '\\');
			lk_buf_byte(out, c);
		} else if (c < 0x20) {
			lk_buf_str(out, "\\u00");
			lk_buf_byte(out, (uint8_t)hex[c >> 4]);
			lk_buf_byte(out, (uint8_t)hex[c & 15]);
		} else {
			lk_buf_byte(out, c);
		}
	}
	lk_buf_byte(out, '"');
}

/* What stands before each value: comma and name. */
static void lead(struct lk_jsonw *w, const char *name)
{
	uint32_t bit = 1U << w->depth;
	bool in_object = w->depth > 0 && !(w->array & bit);

	LK_BUG_ON(in_object != (name != NULL));
	if (!(w->first & bit)) {
		LK_BUG_ON(!w->depth); /* a second root */
		lk_buf_byte(w->out, ',');
	}
	w->first &= ~bit;
	if (name) {
		put_string(w->out, lk_slice_str(name));
		lk_buf_byte(w->out, ':');
	}
}

static void open_bracket(struct lk_jsonw *w, const char *name, bool array)
{
	uint32_t bit;

	lead(w, name);
	LK_BUG_ON(w->depth >= DEPTH_MAX);
	w->depth++;
	bit = 1U << w->depth;
	w->first |= bit;
	w->array = array ? w->array | bit : w->array & ~bit;
	lk_buf_byte(w->out, array ? '[' : '{');
}

void lk_jsonw_start(struct lk_jsonw *w, struct lk_buf *out)
{
	*w = (struct lk_jsonw){.out = out, .first = 1};
}

void lk_jsonw_object(struct lk_jsonw *w, const char *name)
{
	open_bracket(w, name, false);
}

void lk_jsonw_array(struct lk_jsonw *w, const char *name)
{
	open_bracket(w, name, true);
}

void lk_jsonw_end(struct lk_jsonw *w)
{
	LK_BUG_ON(!w->depth);
	lk_buf_byte(w->out, w->array & 1U << w->depth ? ']' : '}');
	w->depth--;
}

void lk_jsonw_str(struct lk_jsonw *w, const char *name, struct lk_slice v)
{
	lead(w, name);
	put_string(w->out, v);
}

void lk_jsonw_int(struct lk_jsonw *w, const char *name, int64_t v)
{
	lead(w, name);
	if (v < 0)
		lk_buf_byte(w->out, '-');
	lk_buf_u64(w->out, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void lk_jsonw_bool(struct lk_jsonw *w, const char *name, bool v)
{
	lead(w, name);
	lk_buf_str(w->out, v ? "true" : "false");
}

void lk_jsonw_null(struct lk_jsonw *w, const char *name)
{
	lead(w, name);
	lk_buf_str(w->out, "null");
}

void lk_jsonw_b64(struct lk_jsonw *w, const char *name, struct lk_slice bytes)
{
	lead(w, name);
	lk_buf_byte(w->out, '"');
	lk_b64_encode(bytes, w->out);
	lk_buf_byte(w->out, '"');
}

void lk_jsonw_b64url(struct lk_jsonw *w, const char *name, struct lk_slice bytes)
{
	lead(w, name);
	lk_buf_byte(w->out, '"');
	lk_b64url_encode(bytes, w->out);
	lk_buf_byte(w->out, '"');
}

void lk_jsonw_raw(struct lk_jsonw *w, const char *name, struct lk_slice json)
{
	lead(w, name);
	lk_buf_slice(w->out, json);
}
