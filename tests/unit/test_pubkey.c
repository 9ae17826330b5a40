/* The public half of a vault key from a file that somebody else wrote. */
#include "t.h"

#include <unistd.h>

#include "../../src/cli/ctl/parts.h"
#include "lines.h"

static struct lk_pub pub;
static char kid[600];
static struct lk_err e;

static enum lk_code read_text(struct lk_slice text)
{
	e = (struct lk_err){0};
	memset(&pub, 0, sizeof(pub));
	memset(kid, 'x', sizeof(kid));
	return lk_pubkey_text(text, &pub, kid, &e);
}

static void good(struct line *l)
{
	struct lk_slice n = line_hex(l, 2), exp = line_hex(l, 3), want = line_hex(l, 4);

	if (read_text(line_hex(l, 5)) != LK_OK) {
		T_FAIL("%s: %s", l->w[1], e.msg);
		return;
	}
	if (pub.kty != LK_KTY_RSA || !lk_slice_eq(n, lk_slice_of(pub.n, pub.n_len)) ||
	    !lk_slice_eq(exp, lk_slice_of(pub.e, pub.e_len)) ||
	    !lk_slice_eq(want, lk_slice_str(kid)))
		T_FAIL("%s: another key, or kid \"%s\"", l->w[1], kid);
}

static void bad(struct line *l)
{
	struct lk_slice says = line_hex(l, 2);
	size_t at;

	if (read_text(line_hex(l, 3)) != LK_ECONF)
		T_FAIL("%s: code %d", l->w[1], e.code);
	else if (!lk_slice_search(lk_slice_str(e.msg), says, &at) || e.hint[0] == '\0')
		T_FAIL("%s: \"%s\" (%s)", l->w[1], e.msg, e.hint);
	EQ_S(kid, "");
}

T(files_of_all_kinds)
{
	FILE *f = popen(LINES_PYTHON "tests/unit/gen_pubkey.py", "r");
	struct line l = {0};
	unsigned goods = 0, bads = 0;

	NEED(f != NULL);
	while (line_next(f, &l))
		if (strcmp(l.w[0], "ok") == 0) {
			goods++;
			good(&l);
		} else {
			bads++;
			bad(&l);
		}
	EQ_I(pclose(f), 0);
	OK(goods > 30 && bads > 300);
}

/* openssl is another implementation than the one above; and through a file. */
T(from_openssl)
{
	char name[] = "/tmp/test_pubkey.XXXXXX", command[200];
	int fd = mkstemp(name);

	NEED(fd >= 0);
	close(fd);
	snprintf(command, sizeof(command),
	    "openssl genrsa 2048 2>/dev/null | openssl rsa -pubout >%s 2>/dev/null", name);
	NEED(system(command) == 0);
	e = (struct lk_err){0};
	EQ_CODE(LK_OK, lk_pubkey_file(name, &pub, kid, &e));
	EQ_U(pub.n_len, 256);
	EQ_BYTES(pub.e, pub.e_len, "\1\0\1", 3);
	snprintf(command, sizeof(command), "openssl genrsa 2048 >%s 2>/dev/null", name);
	NEED(system(command) == 0);
	EQ_CODE(LK_ECONF, lk_pubkey_file(name, &pub, kid, &e));
	OK(strstr(e.msg, name) != NULL && strstr(e.msg, "PRIVATE key") != NULL);
	(void)unlink(name);
	e = (struct lk_err){0};
	EQ_CODE(LK_ECONF, lk_pubkey_file(name, &pub, kid, &e));
	OK(strstr(e.msg, name) != NULL && e.hint[0] != '\0');
	e = (struct lk_err){0};
	EQ_CODE(LK_ECONF, lk_pubkey_file("/dev/zero", &pub, kid, &e));
	OK(strstr(e.msg, "larger than") != NULL);
}

/* Any bytes: an answer, and no fault for the sanitizers. */
T(random_edits)
{
	FILE *f = popen(LINES_PYTHON "tests/unit/gen_pubkey.py", "r");
	struct line l = {0};
	uint32_t r = 1;
	unsigned done = 0;

	NEED(f != NULL);
	while (line_next(f, &l)) {
		struct lk_slice text = line_hex(&l, l.n - 1);
		uint8_t *p = malloc(text.n + 1);

		/* the many truncated ones add nothing */
		for (unsigned i = 0; i < 40 && text.n > 0 && strstr(l.w[1], "-cut-") == NULL; i++) {
			memcpy(p, text.p, text.n);
			for (unsigned k = 0; k < 1 + i % 3; k++) {
				r = r * 1664525 + 1013904223;
				p[(r >> 8) % text.n] = (uint8_t)(r >> 20);
			}
			if (read_text(lk_slice_of(p, text.n)) != LK_OK && e.code != LK_ECONF)
				T_FAIL("%s: code %d: %s", l.w[1], e.code, e.msg);
			done++;
		}
		free(p);
	}
	EQ_I(pclose(f), 0);
	OK(done > 2000);
}
