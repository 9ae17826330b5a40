/* LUKS2 headers: made in memory, damaged in every way, and one made by cryptsetup itself. */
#include "t.h"

#include "lk/luks2.h"
#include "luks2_image.h"

#define TOKEN(slot, id)                                                                            \
	"{\"type\":\"latchkey\",\"keyslots\":[\"" slot "\"],\"version\":1,\"id\":\"" id "\","      \
	"\"kind\":\"derived\",\"key\":\"https://kv1.vault.azure.net/keys/disk\","                  \
	"\"attest\":\"https://a.attest.azure.net\",\"thumbprint\":\"\",\"uuid\":\"" IMG_UUID       \
	"\",\"salt\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","                             \
	"\"mac\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}"
#define ID        "0123456789abcdef"
#define CLEVIS    "{\"type\":\"clevis\",\"keyslots\":[\"2\"],\"jwe\":{\"a\":[1,{}]}}"
#define TEXT(tok) "{\"keyslots\":{\"0\":{},\"5\":{}},\"tokens\":{" tok "},\"segments\":{}}"
#define ONE       TEXT("\"3\":" TOKEN("5", ID))

static struct image m;
static struct lk_luks2 h;

static enum lk_code read_image(size_t n, struct lk_err *e)
{
	int fd = image_fd(&m, n);

	memset(e, 0, sizeof(*e));
	enum lk_code rc = lk_luks2_read(fd, &h, e);
	close(fd);
	return rc;
}

T(a_header_is_read)
{
	struct lk_err e;

	image_make(&m, 0x4000, TEXT("\"0\":" CLEVIS ",\"3\":" TOKEN("5", ID)));
	NEED(read_image(IMG_SIZE, &e) == LK_OK);
	EQ_S(h.uuid, IMG_UUID);
	EQ_U(h.count, 1);
	EQ_U(h.bindings[0].token, 3);
	EQ_U(h.bindings[0].slot, 5);
	EQ_S(h.bindings[0].id, ID);
	EQ_U(h.slots_used, 1u | 1u << 5);
	EQ_U(h.tokens_used, 1u | 1u << 3);
}

T(a_header_without_our_token_is_a_header)
{
	struct lk_err e;

	image_make(&m, 0x4000, TEXT(""));
	EQ_CODE(LK_OK, read_image(IMG_SIZE, &e));
	EQ_U(h.count, 0);
	EQ_U(h.tokens_used, 0);
}

T(every_size_of_the_format_that_fits_is_read)
{
	struct lk_err e;

	for (size_t size = 0x4000; size <= 0x10000; size *= 2) {
		image_make(&m, size, ONE);
		EQ_CODE(LK_OK, read_image(IMG_SIZE, &e));
		EQ_U(h.count, 1);
	}
	image_make(&m, 0x20000, ONE);
	EQ_CODE(LK_ELUKS, read_image(IMG_SIZE, &e));
	OK(strstr(e.hint, "--luks2-metadata-size") != NULL);
}

T(any_flipped_bit_of_both_copies_is_noticed)
{
	struct lk_err e;
	static const size_t at[] = {
	    0, 5, 7, 8, 15, 16, 72, 104, 168, 256, 300, 448, 479, 600, 4096, 4200, 0x3fff};

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		image_make(&m, 0x4000, ONE);
		m.p[at[i]] ^= 1;
		EQ_CODE(LK_OK, read_image(IMG_SIZE, &e)); /* the second copy stands in */
		EQ_U(e.code, LK_OK);
		EQ_U(h.count, 1);
		m.p[0x4000 + at[i]] ^= 1;
		if (read_image(IMG_SIZE, &e) != LK_ELUKS)
			T_FAIL("a bit flipped at %zu goes unnoticed", at[i]);
		m.p[at[i]] ^= 1;
		EQ_CODE(LK_OK, read_image(IMG_SIZE, &e)); /* the first alone */
	}
}

T(the_newer_copy_wins)
{
	struct lk_err e;

	image_make(&m, 0x4000, ONE);
	image_copy(&m, 0x4000, 0x4000, 5, TEXT("\"4\":" TOKEN("5", "00000000000000bb")));
	EQ_CODE(LK_OK, read_image(IMG_SIZE, &e));
	EQ_S(h.bindings[0].id, "00000000000000bb");
	image_copy(&m, 0x4000, 0x4000, 3, TEXT("\"4\":" TOKEN("5", "00000000000000bb")));
	EQ_CODE(LK_OK, read_image(IMG_SIZE, &e));
	EQ_S(h.bindings[0].id, ID);
}

T(the_second_copy_is_found_wherever_it_may_be)
{
	struct lk_err e;

	for (size_t size = 0x4000; size <= 0x10000; size *= 2) {
		image_make(&m, size, ONE);
		memset(m.p, 0xff, 4096);
		EQ_CODE(LK_OK, read_image(IMG_SIZE, &e));
		EQ_U(h.count, 1);
	}
}

T(what_is_no_luks2_header_is_refused)
{
	struct lk_err e;

	memset(&m, 0, sizeof(m));
	EQ_CODE(LK_ELUKS, read_image(IMG_SIZE, &e));
	EQ_CODE(LK_ELUKS, read_image(0, &e));
	EQ_CODE(LK_ELUKS, read_image(100, &e));
	image_make(&m, 0x4000, ONE);
	EQ_CODE(LK_ELUKS, read_image(0x3fff, &e)); /* cut short */
	memset(&m, 0, sizeof(m));
	image_copy(&m, 0, 0x4000, 1, ONE);
	m.p[7] = 1;
	EQ_CODE(LK_ELUKS, read_image(IMG_SIZE, &e));
	EQ_S(e.msg, "LUKS of version 1 where 2 is needed");
}

/* Fields that lie, with a right checksum: the host can compute one as well. */
T(lying_fields_are_refused)
{
	struct lk_err e;

	for (int i = 0; i < 6; i++) {
		memset(&m, 0, sizeof(m));
		image_copy(&m, 0, 0x4000, 1, ONE);
		if (i == 0)
			put_be64(m.p + 8, 0x5000);
		else if (i == 1)
			put_be64(m.p + 8, 0);
		else if (i == 2)
			put_be64(m.p + 8, UINT64_MAX);
		else if (i == 3)
			put_be64(m.p + 256, 0x4000);
		else if (i == 4)
			strcpy((char *)m.p + 72, "sha1");
		else
			memset(m.p + 168, 'a', 40);
		image_sum(&m, 0, 0x4000);
		if (read_image(IMG_SIZE, &e) != LK_ELUKS)
			T_FAIL("field %d may lie", i);
	}
}

T(json_that_lies_is_refused)
{
	static const char *const bad[] = {"", "{", "[]", "null", "{}", "{\"tokens\":{}}",
	    "{\"keyslots\":[],\"tokens\":{}}", "{\"keyslots\":{},\"tokens\":[]}",
	    "{\"keyslots\":{},\"tokens\":{},\"tokens\":{}}", "{\"keyslots\":{},\"tokens\":{}} x"};
	struct lk_err e;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		image_make(&m, 0x4000, bad[i]);
		if (read_image(IMG_SIZE, &e) != LK_ELUKS)
			T_FAIL("accepted: %s", bad[i]);
	}
	/* No end of the text within the area. */
	image_make(&m, 0x4000, ONE);
	memset(m.p + 4096, ' ', 0x3000);
	image_sum(&m, 0, 0x4000);
	memset(m.p + 0x4000, 0, 0x4000);
	EQ_CODE(LK_ELUKS, read_image(IMG_SIZE, &e));
}

T(too_many_json_tokens_are_refused)
{
	static char text[0xf000];
	struct lk_err e;
	size_t n = (size_t)snprintf(text, sizeof(text), "{\"keyslots\":{},\"tokens\":{},\"x\":[");

	for (int i = 0; i < 5000; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s0", i ? "," : "");
	snprintf(text + n, sizeof(text) - n, "]}");
	image_make(&m, 0x10000, text);
	EQ_CODE(LK_ELUKS, read_image(IMG_SIZE, &e));
}

T(malformed_tokens_are_skipped)
{
	struct lk_err e;

	image_make(&m, 0x4000,
	    TEXT("\"1\":{\"type\":\"latchkey\",\"keyslots\":[5]},\"2\":5,\"4\":{\"type\":7},"
		 "\"99\":" TOKEN("5", ID) ",\"x\":{},\"3\":" TOKEN("5", ID)));
	EQ_CODE(LK_OK, read_image(IMG_SIZE, &e));
	EQ_U(h.count, 1);
	EQ_U(h.bindings[0].token, 3);
	EQ_U(h.tokens_bad, 1u << 1);
}

T(a_token_that_is_there_twice_counts_once_and_is_told)
{
	struct lk_err e;

	image_make(
	    &m, 0x4000, TEXT("\"3\":" TOKEN("5", ID) ",\"3\":" TOKEN("5", "00000000000000bb")));
	EQ_CODE(LK_OK, read_image(IMG_SIZE, &e));
	EQ_U(h.count, 1);
	EQ_S(h.bindings[0].id, ID);
	EQ_U(h.tokens_bad, 1u << 3);
}

T(more_bindings_than_there_is_room_for_are_skipped)
{
	static char text[0xf000];
	struct lk_err e;
	size_t n = (size_t)snprintf(text, sizeof(text), "{\"keyslots\":{},\"tokens\":{");

	for (int i = 0; i < 12; i++)
		n += (size_t)snprintf(
		    text + n, sizeof(text) - n, "%s\"%d\":%s", i ? "," : "", i, TOKEN("5", ID));
	snprintf(text + n, sizeof(text) - n, "}}");
	image_make(&m, 0x10000, text);
	EQ_CODE(LK_OK, read_image(IMG_SIZE, &e));
	EQ_U(h.count, LK_BINDINGS_MAX);
	EQ_U(h.tokens_used, 0xfff);
	EQ_U(h.tokens_bad, 0xf00);
}

/* ---- the real thing */

static bool run(const char *head, const char *path)
{
	char cmd[1024];

	snprintf(cmd, sizeof(cmd), "%s %s", head, path);
	return system(cmd) == 0;
}

T(an_image_made_by_cryptsetup_is_read)
{
	char path[] = "/tmp/latchkey-luks2.XXXXXX";
	struct lk_err e = {0};
	int fd;

	if (system("PATH=/usr/sbin:/sbin:$PATH command -v cryptsetup >/dev/null") != 0)
		SKIP("cryptsetup is not installed");
	fd = mkstemp(path);
	NEED(fd >= 0 && ftruncate(fd, 20 << 20) == 0);
	bool made =
	    run("printf secret | /usr/sbin/cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 "
		"--pbkdf-force-iterations 1000 --uuid " IMG_UUID " --key-file=-",
		path) &&
	    run("printf '%s' '" TOKEN(
		    "0", ID) "' | /usr/sbin/cryptsetup token import --json-file -",
		path);
	lk_luks2_more = lk_luks2_facts;
	if (made)
		NEED(lk_luks2_read(fd, &h, &e) == LK_OK);
	close(fd);
	unlink(path);
	OK(made);
	EQ_S(h.uuid, IMG_UUID);
	EQ_U(h.slots_used, 1);
	EQ_U(h.tokens_used, 1);
	EQ_U(h.count, 1);
	EQ_S(h.bindings[0].id, ID);
	EQ_S(h.bindings[0].key, "https://kv1.vault.azure.net/keys/disk");
	EQ_U(h.slots_light, 1);
	EQ_U(h.slots_open, 1);
	EQ_U(h.size, 0x4000);
	EQ_U(h.area, 16 << 20);
	EQ_S(h.cipher, "aes-xts-plain64");
	EQ_S(h.integrity, "");
	OK(!h.reencrypting);
}
