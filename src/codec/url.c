/* URLs: what is not plainly https://host:port/path is refused, so that no two readers can disagree
 * about the host. */
#include "lk/url.h"

#include <string.h>

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_ldh(uint8_t c)
{
	return is_letter(c) || is_digit(c) || c == '-';
}

static bool is_unreserved(uint8_t c)
{
	return is_ldh(c) || c == '.' || c == '_' || c == '~';
}

/* Take the part up to `stop` (or all) off the front of s; the stop byte goes, too. */
static struct lk_slice cut(struct lk_slice *s, uint8_t stop)
{
	struct lk_slice part;
	size_t at;

	if (!lk_slice_find(*s, stop, &at))
		at = s->n;
	part = lk_slice_sub(*s, 0, at);
	*s = lk_slice_sub(*s, at + 1, s->n);
	return part;
}

/* 1 to 63 letters, digits and hyphens, none at the ends. */
static bool is_label(struct lk_slice s)
{
	if (s.n < 1 || s.n > 63 || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!is_ldh(s.p[i]))
			return false;
	return true;
}

static enum lk_code parse_host(struct lk_slice host, struct lk_url *out, struct lk_err *e)
{
	struct lk_slice rest, label;

	if (lk_slice_ends(host, LK_S(".")))
		host.n--;
	if (host.n < 1 || host.n >= sizeof(out->host))
		return lk_fail(e, LK_EPROTO, "url: host of %zu bytes", host.n);
	rest = host;
	/* `rest` runs empty with the last label, but also after a dot at the end. */
	do {
		label = cut(&rest, '.');
		if (!is_label(label))
			return lk_fail(e, LK_EPROTO, "url: host name refused");
	} while (rest.n);
	/* Every spelling of an IPv4 address (1.2.3.4, 0x7f.1, 2130706433) ends with a label that
	 * begins with a digit; no top-level domain does. */
	if (host.p[host.n - 1] == '.' || !is_letter(label.p[0]))
		return lk_fail(e, LK_EPROTO, "url: host must be a name, not an address");
	for (size_t i = 0; i < host.n; i++)
		out->host[i] = (char)(host.p[i] >= 'A' && host.p[i] <= 'Z' ? host.p[i] + ('a' - 'A')
									   : host.p[i]);
	out->host[host.n] = '\0';
	return LK_OK;
}

static enum lk_code parse_port(struct lk_slice text, struct lk_url *out, struct lk_err *e)
{
	uint32_t v;

	if (!lk_slice_u32(text, UINT16_MAX, &v) || text.p[0] == '0')
		return lk_fail(e, LK_EPROTO, "url: port refused");
	out->port = (uint16_t)v;
	return LK_OK;
}

/* Unreserved bytes, sub-delims, ':' and '@' (RFC 3986), without percent-encoding. */
static bool is_path_byte(uint8_t c)
{
	return is_unreserved(c) || (c && strchr("!$&'()*+,;=:@", c));
}

/* `path` begins with the slash. No empty, "." or ".." segments: they are read differently by
 * different servers. A slash at the end is allowed. */
static enum lk_code parse_path(struct lk_slice path, struct lk_url *out, struct lk_err *e)
{
	struct lk_slice rest = lk_slice_sub(path, 1, path.n);

	while (rest.n) {
		struct lk_slice seg = cut(&rest, '/');

		if (!seg.n || lk_slice_eq_str(seg, ".") || lk_slice_eq_str(seg, ".."))
			return lk_fail(e, LK_EPROTO, "url: empty or dotted path segment");
		for (size_t i = 0; i < seg.n; i++)
			if (!is_path_byte(seg.p[i]))
				return lk_fail(e, LK_EPROTO, "url: path refused");
	}
	if (lk_slice_cstr(path, out->path, sizeof(out->path), e))
		return lk_err_prefix(e, "url: path");
	return LK_OK;
}

enum lk_code lk_url_parse(struct lk_slice text, struct lk_url *out, struct lk_err *e)
{
	struct lk_slice rest = text, authority, host, path = LK_S("");
	size_t at;
	enum lk_code code;

	*out = (struct lk_url){.port = 443};
	if (!lk_slice_starts(text, LK_S("https://")))
		return lk_fail(e, LK_EPROTO, "url: does not begin with https://");
	rest = lk_slice_sub(text, 8, text.n);
	if (lk_slice_find(rest, '/', &at)) {
		path = lk_slice_sub(rest, at, rest.n);
		rest = lk_slice_sub(rest, 0, at);
	}
	authority = rest;
	host = cut(&rest, ':');
	code = parse_host(host, out, e);
	if (!code && host.n != authority.n)
		code = parse_port(rest, out, e);
	if (!code && path.n)
		code = parse_path(path, out, e);
	return code;
}

bool lk_url_under(const char *host, const char *suffix)
{
	struct lk_slice h = lk_slice_str(host), s = lk_slice_str(suffix);

	return s.n && h.n > s.n + 1 && lk_slice_ends(h, s) && h.p[h.n - s.n - 1] == '.';
}

void lk_url_escape(struct lk_slice in, struct lk_buf *out)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < in.n; i++) {
		uint8_t c = in.p[i];

		if (is_unreserved(c)) {
			lk_buf_byte(out, c);
		} else {
			lk_buf_byte(out, '%');
			lk_buf_byte(out, (uint8_t)hex[c >> 4]);
			lk_buf_byte(out, (uint8_t)hex[c & 15]);
		}
	}
}

static bool is_key_name(struct lk_slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_ldh(s.p[i]))
			return false;
	return s.n >= 1 && s.n <= 127;
}

static bool is_key_version(struct lk_slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_digit(s.p[i]) && !(s.p[i] >= 'a' && s.p[i] <= 'f'))
			return false;
	return s.n == 32;
}

enum lk_code lk_key_url_parse(struct lk_slice text, struct lk_key_url *out, struct lk_err *e)
{
	struct lk_slice rest, name;
	bool has_version;
	size_t at;
	enum lk_code code;

	*out = (struct lk_key_url){.name = ""};
	code = lk_url_parse(text, &out->url, e);
	if (code)
		return code;
	rest = lk_slice_str(out->url.path);
	if (!lk_slice_starts(rest, LK_S("/keys/")))
		return lk_fail(e, LK_EPROTO, "key url: path is not /keys/NAME[/VERSION]");
	rest = lk_slice_sub(rest, 6, rest.n);
	has_version = lk_slice_find(rest, '/', &at);
	name = cut(&rest, '/');
	if (!is_key_name(name))
		return lk_fail(
		    e, LK_EPROTO, "key url: name must be 1 to 127 letters, digits, hyphens");
	if (has_version && !is_key_version(rest))
		return lk_fail(e, LK_EPROTO, "key url: version must be 32 hexadecimal digits");
	code = lk_slice_cstr(name, out->name, sizeof(out->name), e);
	if (!code && has_version)
		code = lk_slice_cstr(rest, out->version, sizeof(out->version), e);
	return code;
}
