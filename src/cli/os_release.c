/* os_release.c - the system's name and version for the attestation request, from os-release(5).
 *
 * A missing or odd file is no failure: the fields stay empty, and the request then says Linux 1.0.
 */
#include <string.h>

#include "app.h"
#include "lk/io.h"

static struct lk_slice unquote(struct lk_slice v)
{
	if (v.n >= 2 && (v.p[0] == '"' || v.p[0] == '\'') && v.p[v.n - 1] == v.p[0])
		return lk_slice_sub(v, 1, v.n - 2);
	return v;
}

static uint32_t leading_number(struct lk_slice v, struct lk_slice *rest)
{
	uint32_t value = 0;
	size_t i = 0;

	while (i < v.n && i < 6 && v.p[i] >= '0' && v.p[i] <= '9')
		value = value * 10 + (uint32_t)(v.p[i++] - '0');
	*rest = lk_slice_sub(v, i, v.n);
	return value;
}

static void take_version(struct lk_slice v, struct lk_conf *c)
{
	struct lk_slice rest;
	uint32_t major = leading_number(v, &rest);

	if (major == 0)
		return;
	c->os_major = major;
	c->os_minor = rest.n > 1 && rest.p[0] == '.'
			  ? leading_number(lk_slice_sub(rest, 1, rest.n), &rest)
			  : 0;
}

static void take_name(struct lk_slice v, struct lk_conf *c)
{
	if (v.n == 0 || v.n >= sizeof(c->os_name))
		return;
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] < 0x20 || v.p[i] > 0x7e)
			return;
	memcpy(c->os_name, v.p, v.n);
	c->os_name[v.n] = '\0';
}

void lk_os_release_text(struct lk_slice text, struct lk_conf *c)
{
	while (text.n > 0) {
		size_t end = text.n;
		bool more = lk_slice_find(text, '\n', &end);
		struct lk_slice line = lk_slice_sub(text, 0, end);

		if (lk_slice_starts(line, LK_S("NAME=")))
			take_name(unquote(lk_slice_sub(line, 5, line.n)), c);
		else if (lk_slice_starts(line, LK_S("VERSION_ID=")))
			take_version(unquote(lk_slice_sub(line, 11, line.n)), c);
		text = lk_slice_sub(text, end + (more ? 1 : 0), text.n);
	}
}

void lk_os_release(struct lk_conf *c)
{
	uint8_t store[4096];
	struct lk_buf text = LK_BUF(store);
	struct lk_err ignored = {0};

	if (lk_file_read("/etc/os-release", &text, &ignored) == LK_OK)
		lk_os_release_text(lk_slice_buf(&text), c);
}
