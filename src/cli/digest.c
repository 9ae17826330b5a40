/* digest.c - what a release policy may test of the settings: the SHA-256 of their files. */
#include <string.h>

#include "app.h"
#include "lk/fmt.h"
#include "lk/io.h"

enum lk_code lk_sha256_hex(struct lk_slice text, char out[static 65], struct lk_err *e)
{
	struct lk_buf hex = {.p = (uint8_t *)out, .n = 0, .cap = 64, .bad = false};
	uint8_t raw[32];

	if (lk_sha256(text, raw, e) != LK_OK)
		return e->code;
	lk_hex_encode(lk_slice_of(raw, sizeof(raw)), &hex);
	out[hex.n] = '\0';
	return LK_OK;
}

static const struct lk_conf *next_name(
    const struct lk_unlock_job *jobs, size_t n, const char *before)
{
	const struct lk_conf *next = NULL;

	for (size_t i = 0; i < n; i++)
		if (strcmp(jobs[i].conf->name, before) > 0 &&
		    (next == NULL || strcmp(jobs[i].conf->name, next->name) < 0))
			next = jobs[i].conf;
	return next;
}

enum lk_code lk_volumes_digest(const char *conf_dir, const struct lk_unlock_job *jobs, size_t n,
    char digest[static 65], struct lk_err *e)
{
	static uint8_t store[LK_VOLUMES_MAX * LK_CONF_FILE_MAX];
	struct lk_buf text = LK_BUF(store);
	const struct lk_conf *c = next_name(jobs, n, "");

	if (n == 1 || digest[0] == '\0')
		return LK_OK;
	for (; c != NULL; c = next_name(jobs, n, c->name)) {
		const size_t from = text.n;
		char path[400];

		lk_fmt(path, sizeof(path), "%s/%s.conf", conf_dir, c->name);
		if (lk_file_read(path, &text, e) != LK_OK ||
		    lk_sha256_hex(lk_slice_sub(lk_slice_buf(&text), from, text.n), digest, e) !=
			LK_OK)
			return e->code;
		if (strcmp(digest, c->digest) != 0)
			return lk_fail(e, LK_ECONF, "%s was changed a moment ago", path);
	}
	return lk_sha256_hex(lk_slice_buf(&text), digest, e);
}
