/* conf_rig.h - bindings and configuration files made up at random, with what they mean, for the
 * tests of conf_file. What they mean is worked out here, not with the code under test. */
#ifndef LK_TEST_CONF_RIG_H
#define LK_TEST_CONF_RIG_H

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/conf_file.h"
#include "lk/io.h"
#include "opts_table.h"

#define UUID   "6a3b5f3e-1111-2222-3333-444455556666"
#define A      "https://a.vault.azure.net/keys/k"
#define B      "https://b.managedhsm.azure.net/keys/k"
#define C      "https://c.vault.azure.net/keys/k/0123456789abcdef0123456789abcdef"
#define MA     "https://m.weu.attest.azure.net"
#define MB     "https://m.neu.attest.azure.net"
#define THUMB  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"
#define DIGEST "00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210"
#define TOP    "uuid = " UUID "\nkey = " A "\nattest = " MA "\ntimeout = 99\n"
#define ALT    "\n[alternative]\nkey = " B "\nattest = " MB "\n"

struct rig_random {
	uint64_t state;
};

static inline unsigned rig_below(struct rig_random *r, size_t n)
{
	r->state ^= r->state << 13;
	r->state ^= r->state >> 7;
	r->state ^= r->state << 17;
	return (unsigned)(r->state % n);
}

static inline void rig_text(char *out, size_t cap, const char *text)
{
	if (strlen(text) >= cap)
		abort();
	memcpy(out, text, strlen(text) + 1);
}

/* ---- a binding */

static inline bool rig_same(const struct lk_conf *a, const struct lk_conf *b)
{
	return strcmp(a->key, b->key) == 0 && strcmp(a->attest, b->attest) == 0 &&
	       strcmp(a->thumbprint, b->thumbprint) == 0 && a->kind == b->kind &&
	       strcmp(a->wrapped, b->wrapped) == 0 && a->identity == b->identity &&
	       strcmp(a->identity_id, b->identity_id) == 0 && a->enc == b->enc &&
	       strcmp(a->api_version, b->api_version) == 0 &&
	       strcmp(a->attest_api_version, b->attest_api_version) == 0 &&
	       strcmp(a->uuid, b->uuid) == 0;
}

static inline void rig_identity(struct rig_random *r, struct lk_conf *c)
{
	c->identity = (enum lk_identity)rig_below(r, 4);
	c->identity_id[0] = '\0';
	if (c->identity != LK_ID_SYSTEM)
		snprintf(c->identity_id, sizeof(c->identity_id), "id-%u", rig_below(r, 3));
}

static inline void rig_enc(struct rig_random *r, struct lk_conf *c)
{
	c->enc = (enum lk_enc)rig_below(r, 3);
}

static inline void rig_api(struct rig_random *r, struct lk_conf *c)
{
	rig_text(c->api_version, sizeof(c->api_version), rig_below(r, 2) ? "7.4" : "7.6");
}

static inline void rig_attest_api(struct rig_random *r, struct lk_conf *c)
{
	rig_text(c->attest_api_version, sizeof(c->attest_api_version),
	    rig_below(r, 2) ? "2022-08-01" : "2025-06-01");
}

static inline void rig_own(struct rig_random *r, struct lk_conf *c)
{
	static const char *const hosts[] = {"a.vault.azure.net", "b.managedhsm.azure.net"};
	char version[40] = "";

	if (rig_below(r, 2))
		snprintf(version, sizeof(version), "/%032x", rig_below(r, 3));
	snprintf(c->key, sizeof(c->key), "https://%s/keys/k%u%s", hosts[rig_below(r, 2)],
	    rig_below(r, 3), version);
	rig_text(c->attest, sizeof(c->attest), rig_below(r, 2) ? MA : MB);
	rig_text(c->thumbprint, sizeof(c->thumbprint), rig_below(r, 2) ? THUMB : "");
	c->kind = (enum lk_kind)rig_below(r, 4);
	rig_text(c->wrapped, sizeof(c->wrapped), rig_below(r, 3) ? "" : DIGEST);
}

static inline void rig_binding(struct rig_random *r, struct lk_conf *c)
{
	static struct lk_args normal;

	lk_opts_defaults(&normal);
	*c = normal.conf;
	rig_own(r, c);
	rig_identity(r, c);
	rig_enc(r, c);
	rig_api(r, c);
	rig_attest_api(r, c);
}

/* ---- a file */

struct rig_lines {
	size_t n;
	char line[40][700];
};

static inline void rig_line(struct rig_random *r, struct rig_lines *l, const char *name,
    const char *value, const char *more)
{
	static const char *const equals[] = {" = ", "=", "\t=  "}, *const ends[] = {
								       "", " \t", "\r"};

	snprintf(l->line[l->n++], sizeof(l->line[0]), "%s%s%s%s%s%s", rig_below(r, 5) ? "" : "  ",
	    name, equals[rig_below(r, 3)], value, more, ends[rig_below(r, 6) % 3]);
}

static inline void rig_own_lines(
    struct rig_random *r, const struct lk_conf *c, struct rig_lines *out)
{
	static const char *const kinds[] = {"derived", "raw", "compat", "wrapped"};

	rig_line(r, out, "key", c->key, "");
	rig_line(r, out, "attest", c->attest, "");
	if (c->thumbprint[0] != '\0')
		rig_line(r, out, "thumbprint", c->thumbprint, "");
	if (c->kind != LK_DERIVED || rig_below(r, 2))
		rig_line(r, out, "kind", kinds[c->kind], "");
	if (c->wrapped[0] != '\0')
		rig_line(r, out, "wrapped", c->wrapped, "");
}

/* Some of what may be inherited: said anew, or left to what `c` has already. */
static inline void rig_other_lines(struct rig_random *r, struct lk_conf *c, struct rig_lines *out)
{
	static const char *const who[] = {"system", "client:", "object:", "resource:"};
	static const char *const enc[] = {
	    "RSA_AES_KEY_WRAP_256", "RSA_AES_KEY_WRAP_384", "CKM_RSA_AES_KEY_WRAP"};

	if (rig_below(r, 2)) {
		rig_identity(r, c);
		rig_line(r, out, "identity", who[c->identity], c->identity_id);
	}
	if (rig_below(r, 2)) {
		rig_enc(r, c);
		rig_line(r, out, "enc", enc[c->enc], "");
	}
	if (rig_below(r, 2)) {
		rig_api(r, c);
		rig_line(r, out, "api-version", c->api_version, "");
	}
	if (rig_below(r, 2)) {
		rig_attest_api(r, c);
		rig_line(r, out, "attest-api-version", c->attest_api_version, "");
	}
}

static const char *const rig_volume[][2] = {{"uuid", UUID}, {"timeout", "61"}, {"kmsg", "no"},
    {"trust", "/etc/t.pem"}, {"evidence", "tsm"}, {"vmpl", "2"}, {"wrap-bits", "3072"},
    {"tpm", "/dev/tpm7"}, {"device", "/dev/vda"}, {"init-data", "/etc/i"}, {"kds", "yes"},
    {"security-context", "/sc"}, {"cryptsetup", "/sbin/cs"}, {"event-log", "/log"}};
#define RIG_VOLUME (sizeof(rig_volume) / sizeof(rig_volume[0]))

static inline bool rig_of_volume(const char *line)
{
	size_t index = 0;
	const struct lk_opt *o = lk_opt_of_line(lk_slice_str(line), &index);

	for (size_t i = 0; o != NULL && i < RIG_VOLUME; i++)
		if (strcmp(o->name, rig_volume[i][0]) == 0)
			return true;
	return false;
}

/* The lines in any order, remarks and blank lines between them. */
static inline void rig_mix(
    struct rig_random *r, struct rig_lines *l, const char *mark, struct lk_buf *out)
{
	while (l->n > 0) {
		const size_t i = rig_below(r, l->n);

		if (rig_below(r, 4) == 0)
			lk_buf_str(out, "\n");
		if (rig_below(r, 3) == 0) {
			char remark[64];

			snprintf(remark, sizeof(remark), "%s#%s %u key = x\n",
			    rig_below(r, 2) ? "" : " ", mark, rig_below(r, 1000000));
			lk_buf_str(out, remark);
		}
		lk_buf_str(out, l->line[i]);
		lk_buf_str(out, "\n");
		memmove(l->line[i], l->line[--l->n], sizeof(l->line[0]));
	}
}

/* A file with n bindings, and what each of them is. */
static inline void rig_file(
    struct rig_random *r, struct lk_conf *want, size_t n, char *text, size_t cap)
{
	static struct rig_lines l;
	static struct lk_args normal;
	struct lk_buf out = {.p = (uint8_t *)text, .cap = cap - 1};

	lk_opts_defaults(&normal);
	for (size_t i = 0; i < n; i++) {
		l.n = 0;
		want[i] = i == 0 ? normal.conf : want[0];
		rig_own(r, &want[i]);
		rig_text(want[i].uuid, sizeof(want[i].uuid), UUID);
		rig_own_lines(r, &want[i], &l);
		rig_other_lines(r, &want[i], &l);
		for (size_t j = 0; i == 0 && j < RIG_VOLUME; j++)
			if (j == 0 || rig_below(r, 2))
				rig_line(r, &l, rig_volume[j][0], rig_volume[j][1], "");
		if (i > 0 && rig_below(r, 2))
			lk_buf_str(&out, "\n");
		if (i > 0 && rig_below(r, 2))
			lk_buf_str(&out, "# of the next one\n");
		if (i > 0)
			lk_buf_str(
			    &out, rig_below(r, 3) ? "[alternative]\n" : " [alternative]\t\r\n");
		rig_mix(r, &l, i == 0 ? "top" : "alt", &out);
	}
	if (rig_below(r, 2))
		lk_buf_str(&out, "# no newline");
	if (out.bad)
		abort();
	text[out.n] = '\0';
}

/* ---- on a disk */

static struct lk_args a;
static struct lk_err e;
static struct lk_conf_file f, g;
static uint8_t store[LK_CONF_FILE_MAX + 512];
static struct lk_buf text;
static char dir[] = "/tmp/latchkey-conf.XXXXXX", path[64];

static void clean(void)
{
	(void)unlink(path);
	(void)rmdir(a.flags.conf_dir);
	(void)rmdir(dir);
}

T_HELPER start(void)
{
	memset(&e, 0, sizeof(e));
	lk_opts_defaults(&a);
	if (strstr(dir, "XXXXXX") != NULL)
		NEED(mkdtemp(dir) != NULL && atexit(clean) == 0);
	snprintf(a.flags.conf_dir, sizeof(a.flags.conf_dir), "%s/etc", dir);
	snprintf(path, sizeof(path), "%s/etc/root.conf", dir);
}

/* The file as if it stood there. */
T_HELPER load(const char *content)
{
	start();
	(void)mkdir(a.flags.conf_dir, 0755);
	EQ_CODE(LK_OK, lk_file_replace(path, lk_slice_str(content), 0644, &e));
	EQ_CODE(LK_OK, lk_conf_file_read(&a, "root", &f, &e));
}

static inline const char *now(void)
{
	static char content[LK_CONF_FILE_MAX + 1];
	struct lk_buf b = {.p = (uint8_t *)content, .cap = LK_CONF_FILE_MAX};
	struct lk_err ignored = {0};

	if (lk_file_read(path, &b, &ignored) != LK_OK)
		return "(none)";
	content[b.n] = '\0';
	return content;
}

/* Write what f says; boot must find just that. */
T_HELPER save(void)
{
	memset(&e, 0, sizeof(e));
	text = LK_BUF(store);
	if (lk_conf_file_text(&f, "Written by a test.", &text, &e) != LK_OK ||
	    lk_conf_file_write(&f, lk_slice_buf(&text), &e) != LK_OK ||
	    lk_conf_file_read(&a, "root", &g, &e) != LK_OK) {
		T_FAIL("%s", e.msg);
		return;
	}
	EQ_U(g.n, f.n);
	for (size_t i = 0; i < f.n; i++)
		if (!rig_same(&g.binding[i], &f.binding[i]))
			T_FAIL("binding %zu is another now in:\n%s", i, now());
}

#endif
