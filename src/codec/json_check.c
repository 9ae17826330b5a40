/* The strict look at JSON text (RFC 8259) before anything else reads it. One pass, no recursion:
 * the open brackets are bits. */
#include "lk/json.h"

#include "lexical.h"

enum state {
	VALUE,        /* a value must come */
	FIRST_VALUE,  /* a value, or the end of an empty array */
	FIRST_MEMBER, /* a name, or the end of an empty object */
	MEMBER,       /* a name */
	AFTER         /* a value has ended */
};

struct scan {
	struct lk_slice s;
	size_t at;
	uint32_t in_array; /* bit d: level d is an array */
	unsigned depth;
	enum state state;
	const char *why; /* the first thing that is wrong */
};

static bool wrong(struct scan *c, const char *why)
{
	c->why = why;
	return false;
}

/* The byte at the cursor; 0 at the end, which no state accepts (a zero byte is refused anyway). */
static uint8_t peek(const struct scan *c)
{
	return c->at < c->s.n ? c->s.p[c->at] : 0;
}

static void skip_blanks(struct scan *c)
{
	while (peek(c) == ' ' || peek(c) == '\t' || peek(c) == '\n' || peek(c) == '\r')
		c->at++;
}

static size_t skip_digits(struct scan *c)
{
	size_t from = c->at;

	while (peek(c) >= '0' && peek(c) <= '9')
		c->at++;
	return c->at - from;
}

static bool string(struct scan *c)
{
	uint8_t utf8[4];
	size_t n;

	for (c->at++; c->at < c->s.n; c->at += n) {
		uint8_t b = peek(c);

		if (b == '"') {
			c->at++;
			return true;
		}
		if (b < 0x20)
			return wrong(c, "control byte in a string");
		if (b == '\\') {
			size_t len;

			n = lk_escape_step(c->s, c->at, utf8, &len);
			if (!n)
				return wrong(c, "escape refused");
		} else {
			n = lk_utf8_step(c->s, c->at);
			if (!n)
				return wrong(c, "not UTF-8");
		}
	}
	return wrong(c, "string does not end");
}

static bool number(struct scan *c)
{
	uint8_t first;

	if (peek(c) == '-')
		c->at++;
	first = peek(c);
	switch (skip_digits(c)) {
	case 0:
		return wrong(c, "digit missing");
	case 1:
		break;
	default:
		if (first == '0')
			return wrong(c, "leading zero");
	}
	if (peek(c) == '.') {
		c->at++;
		if (!skip_digits(c))
			return wrong(c, "digit missing");
	}
	if (peek(c) == 'e' || peek(c) == 'E') {
		c->at++;
		if (peek(c) == '+' || peek(c) == '-')
			c->at++;
		if (!skip_digits(c))
			return wrong(c, "digit missing");
	}
	return true;
}

static bool word(struct scan *c, struct lk_slice w)
{
	if (!lk_slice_starts(lk_slice_sub(c->s, c->at, w.n), w))
		return wrong(c, "unknown word");
	c->at += w.n;
	return true;
}

static bool open_bracket(struct scan *c, bool array)
{
	if (c->depth >= LK_JSON_DEPTH_MAX)
		return wrong(c, "nested too deeply");
	c->depth++;
	c->in_array = (c->in_array & ~(1U << c->depth)) | (uint32_t)array << c->depth;
	c->at++;
	c->state = array ? FIRST_VALUE : FIRST_MEMBER;
	return true;
}

static bool in_array(const struct scan *c)
{
	return (c->in_array >> c->depth & 1) != 0;
}

static bool close_bracket(struct scan *c)
{
	c->depth--;
	c->at++;
	c->state = AFTER;
	return true;
}

static bool value(struct scan *c)
{
	c->state = AFTER;
	switch (peek(c)) {
	case '{':
		return open_bracket(c, false);
	case '[':
		return open_bracket(c, true);
	case '"':
		return string(c);
	case 't':
		return word(c, LK_S("true"));
	case 'f':
		return word(c, LK_S("false"));
	case 'n':
		return word(c, LK_S("null"));
	default:
		if (peek(c) == '-' || (peek(c) >= '0' && peek(c) <= '9'))
			return number(c);
		return wrong(c, "value missing");
	}
}

static bool member(struct scan *c)
{
	if (peek(c) != '"')
		return wrong(c, "name missing");
	if (!string(c))
		return false;
	skip_blanks(c);
	if (peek(c) != ':')
		return wrong(c, "colon missing");
	c->at++;
	c->state = VALUE;
	return true;
}

static bool after(struct scan *c)
{
	if (!c->depth)
		return wrong(c, "more than one value");
	if (peek(c) == ',') {
		c->at++;
		c->state = in_array(c) ? VALUE : MEMBER;
		return true;
	}
	if (peek(c) == (in_array(c) ? ']' : '}'))
		return close_bracket(c);
	return wrong(c, "comma or closing bracket missing");
}

static bool step(struct scan *c)
{
	switch (c->state) {
	case FIRST_VALUE:
		return peek(c) == ']' ? close_bracket(c) : value(c);
	case FIRST_MEMBER:
		return peek(c) == '}' ? close_bracket(c) : member(c);
	case MEMBER:
		return member(c);
	case AFTER:
		return after(c);
	case VALUE:
	default:
		return value(c);
	}
}

enum lk_code lk_json_check(struct lk_slice text, struct lk_err *e)
{
	struct scan c = {.s = text, .state = VALUE};

	for (;;) {
		skip_blanks(&c);
		if (c.state == AFTER && !c.depth && c.at == text.n)
			return LK_OK;
		if (!step(&c))
			return lk_fail(e, LK_EPROTO, "json: %s at byte %zu", c.why, c.at);
	}
}
