/* Archives of format newc as a stream: what is taken, and what is refused. */
#include "t.h"

#include "image_rig.h"

static struct rig r;
static struct lk_cpio cpio;
static struct lk_err e;

/* What the parser delivered, as text: "NAME mode[data]|..." */
static char said[4096];
static unsigned trailers;

static void say(const void *p, size_t n)
{
	size_t at = strlen(said);

	if (at + n < sizeof(said)) {
		memcpy(said + at, p, n);
		said[at + n] = '\0';
	}
}

static enum lk_code on_entry(void *ctx, const struct lk_cpio_entry *in, struct lk_err *err)
{
	char type[20];

	(void)err;
	OK(ctx == said);
	say(in->name.p, in->name.n);
	snprintf(type, sizeof(type), " %o[", in->mode >> 12);
	say(type, strlen(type));
	return LK_OK;
}

static enum lk_code on_data(void *ctx, struct lk_slice piece, struct lk_err *err)
{
	(void)ctx;
	(void)err;
	OK(piece.n > 0);
	say(piece.p, piece.n);
	return LK_OK;
}

static enum lk_code on_done(void *ctx, struct lk_err *err)
{
	(void)ctx;
	(void)err;
	say("]|", 2);
	return LK_OK;
}

static void on_trailer(void *ctx)
{
	(void)ctx;
	trailers++;
}

static const struct lk_cpio_sink sink = {said, on_entry, on_data, on_done, on_trailer};

/* Parse in pieces of this size. */
static enum lk_code parse(struct lk_slice in, size_t piece, size_t *left)
{
	memset(&e, 0, sizeof(e));
	said[0] = '\0';
	trailers = 0;
	*left = 0;
	lk_cpio_start(&cpio, 0, &sink);
	for (size_t at = 0; at < in.n && *left == 0; at += piece) {
		struct lk_slice s = lk_slice_sub(in, at, piece);
		size_t n = s.n;

		if (lk_cpio_feed(&cpio, &s, &e) != LK_OK)
			return e.code;
		OK(s.n <= n);
		*left = s.n > 0 ? s.n + in.n - at - n : 0;
	}
	return lk_cpio_end(&cpio, &e);
}

static enum lk_code whole(size_t *left)
{
	return parse(rig_slice(&r), r.n + 1, left);
}

static void sample(void)
{
	memset(&r, 0, sizeof(r));
	rig_dir(&r, "etc");
	rig_put(&r, "etc/a", "12345");
	rig_put(&r, "etc/empty", "");
	rig_link(&r, "l", "etc/a");
	rig_raw(&r, "null", S_IFCHR | 0666, "", 0);
}

#define SAMPLE "etc 4[]|etc/a 10[12345]|etc/empty 10[]|l 12[etc/a]|null 2[]|"

T(entries_in_pieces_of_any_size)
{
	size_t left;

	sample();
	rig_archive(&r);
	for (size_t piece = 1; piece <= r.n + 1; piece++) {
		EQ_CODE(LK_OK, parse(rig_slice(&r), piece, &left));
		EQ_S(said, SAMPLE);
		EQ_U(left, 0);
		EQ_U(trailers, 1);
	}
	EQ_U(cpio.archives, 1);
}

T(archives_with_padding_between)
{
	size_t left;

	sample();
	rig_archive(&r);
	rig_zeros(&r, 512);
	rig_archive(&r);
	rig_zeros(&r, 512);
	EQ_CODE(LK_OK, whole(&left));
	EQ_S(said, SAMPLE SAMPLE);
	EQ_U(cpio.archives, 2);
	EQ_U(left, 0);
	EQ_CODE(LK_OK, parse(rig_slice(&r), 7, &left));
	EQ_S(said, SAMPLE SAMPLE);
}

T(what_is_not_an_archive_stays)
{
	size_t left;

	sample();
	rig_archive(&r);
	rig_bytes(&r, "\0\0\0\0\x28\xb5\x2f\xfdxyz", 11);
	EQ_CODE(LK_OK, whole(&left));
	EQ_U(left, 7);
	EQ_CODE(LK_OK, parse(LK_S("garbage"), 100, &left));
	EQ_U(left, 7);
	/* An archive begins at a multiple of four. */
	sample();
	rig_archive(&r);
	rig_bytes(&r, "\0\0", 2);
	rig_bytes(&r, "070701", 6);
	EQ_CODE(LK_OK, whole(&left));
	EQ_U(left, 6);
}

T(cut_off_at_every_byte)
{
	size_t left;

	sample();
	rig_archive(&r);
	EQ_CODE(LK_OK, parse(rig_slice(&r), 64, &left));
	EQ_CODE(LK_OK, parse((struct lk_slice){NULL, 0}, 64, &left));
	for (size_t n = 1; n < r.n; n++) {
		EQ_CODE(LK_EPROTO, parse(lk_slice_of(r.out, n), 64, &left));
		OK(strstr(e.msg, "cut off") != NULL);
	}
}

T(no_trailer_is_cut_off)
{
	size_t left;

	sample();
	for (size_t i = 0; i < r.files; i++)
		rig_entry(&r, &r.file[i]);
	EQ_CODE(LK_EPROTO, whole(&left));
	EQ_S(said, SAMPLE);
}

static void refused(const char *why)
{
	size_t left;

	EQ_CODE(LK_EPROTO, whole(&left));
	if (strstr(e.msg, why) == NULL)
		T_FAIL("\"%s\" is not in: %s", why, e.msg);
}

/* One entry with these properties, and a good trailer behind. */
static void one(const struct rig_file *f, size_t name_size, const char *name, size_t n)
{
	struct rig_file end = {.path = "TRAILER!!!", .nlink = 1};

	r.n = 0;
	rig_head(&r, f, name_size);
	rig_bytes(&r, name, n);
	rig_zeros(&r, 4);
	rig_bytes(&r, f->data, f->n);
	rig_zeros(&r, 4);
	rig_entry(&r, &end);
}

T(headers)
{
	size_t left;

	sample();
	rig_archive(&r);
	r.out[5] = '2'; /* with a checksum, which nothing looks at */
	EQ_CODE(LK_OK, whole(&left));
	r.out[5] = '3';
	refused("no header");
	r.out[5] = '1';
	r.out[14] = 'F'; /* upper case will do */
	EQ_CODE(LK_OK, whole(&left));
	r.out[14] = 'g';
	refused("hexadecimal");
	r.out[14] = '0';
	/* The next header is not where this entry ends. */
	r.out[110 + 2] = 'X';
	EQ_CODE(LK_OK, whole(&left));
	r.out[110 + 4 + 2] = 'X';
	refused("no header");
}

T(names)
{
	static char name[LK_CPIO_NAME_MAX + 2];
	struct rig_file f = {.mode = S_IFREG, .nlink = 1, .data = "x", .n = 1};
	size_t left;

	memset(name, 'n', sizeof(name));
	name[LK_CPIO_NAME_MAX] = '\0';
	one(&f, sizeof(name) - 1, name, sizeof(name) - 1);
	EQ_CODE(LK_OK, whole(&left));
	EQ_U(strlen(said), LK_CPIO_NAME_MAX + strlen(" 10[x]|"));
	name[LK_CPIO_NAME_MAX] = 'n';
	name[LK_CPIO_NAME_MAX + 1] = '\0';
	one(&f, sizeof(name), name, sizeof(name));
	refused("too long name");
	one(&f, 0xffffffff, "", 0);
	refused("too long name");
	one(&f, 1, "", 1);
	refused("empty");
	one(&f, 0, "", 0);
	refused("empty");
	one(&f, 4, "abcd", 4);
	refused("does not end");
	one(&f, 4, "a\0c", 4);
	refused("does not end");
	one(&f, 4, "abc", 4);
	EQ_CODE(LK_OK, whole(&left));
}

T(types)
{
	static char far[LK_CPIO_NAME_MAX + 1];
	struct rig_file f = {.path = "d", .mode = S_IFDIR, .nlink = 1, .data = "x", .n = 1};
	size_t left;

	one(&f, 2, "d", 2);
	refused("neither file nor link");
	f.mode = 0644;
	one(&f, 2, "d", 2);
	refused("no known type");
	f.mode = S_IFLNK;
	f.n = 0;
	one(&f, 2, "d", 2);
	refused("empty or too long link");
	memset(far, 'f', sizeof(far));
	f.data = far;
	f.n = LK_CPIO_NAME_MAX;
	one(&f, 2, "d", 2);
	EQ_CODE(LK_OK, whole(&left));
	f.n++;
	one(&f, 2, "d", 2);
	refused("empty or too long link");
	/* A trailer has no data; one that does is a file of that name. */
	f = (struct rig_file){.mode = S_IFREG, .nlink = 1, .data = "x", .n = 1};
	one(&f, 11, "TRAILER!!!", 11);
	EQ_CODE(LK_OK, whole(&left));
	EQ_S(said, "TRAILER!!! 10[x]|");
}

/* Whatever is changed, the parser ends, and keeps within its bounds. */
T(random_edits)
{
	static struct rig good;
	uint32_t seed = 12345;
	unsigned taken = 0;
	size_t left;

	sample();
	rig_archive(&r);
	rig_archive(&r);
	good = r;
	for (unsigned i = 0; i < 20000; i++) {
		memcpy(r.out, good.out, good.n);
		for (unsigned k = 0; k <= i % 4; k++) {
			seed = seed * 1664525u + 1013904223u;
			r.out[(seed >> 8) % good.n] =
			    k % 2 != 0 ? (uint8_t)seed : (uint8_t) "0f8\0"[seed >> 30];
		}
		if (parse(lk_slice_of(r.out, good.n), 1 + i % 300, &left) == LK_OK)
			taken++;
		else
			OK(e.msg[0] != '\0');
	}
	OK(taken > 1000 && taken < 19000);
}
