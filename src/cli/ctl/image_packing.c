/* image_packing.c - which compression begins here, and where its data ends; see image.h.
 *
 * The kernel takes what follows compressed data for more archives, but a decompressor that is fed
 * with it complains or drops it. Zstandard (RFC 8878, section 3.1) and the old format of LZ4 say in
 * their frames how long they are. The others do not; there an archive that reaches to the end of
 * the image is found. (A header alone is no sign: what does not compress is stored as it is, with
 * the headers between.)
 */
#include "image.h"

#include <string.h>

#define ZSTD_MAGIC 0xfd2fb528u
#define ZSTD_SKIP  0x184d2a50u /* and the 15 after it */
#define LZ4_MAGIC  0x184c2102u
#define LZ4_BLOCK  (8u << 20) /* uncompressed; an incompressible one may be a little longer */

static const struct {
	const char *name;
	struct lk_slice magic;
} kinds[LK_PACK_KINDS] = {
    [LK_PACK_NONE] = {"none", {NULL, 0}},
    [LK_PACK_GZIP] = {"gzip", {(const uint8_t *)"\x1f\x8b", 2}},
    [LK_PACK_BZIP2] = {"bzip2", {(const uint8_t *)"BZh", 3}},
    [LK_PACK_XZ] = {"xz", {(const uint8_t *)"\xfd\x37zXZ\0", 6}},
    [LK_PACK_LZMA] = {"lzma", {(const uint8_t *)"\x5d\0\0", 3}},
    [LK_PACK_LZO] = {"lzop", {(const uint8_t *)"\x89LZO", 4}},
    [LK_PACK_LZ4] = {"lz4", {(const uint8_t *)"\x02\x21\x4c\x18", 4}},
    [LK_PACK_ZSTD] = {"zstd", {(const uint8_t *)"\x28\xb5\x2f\xfd", 4}},
};

const char *lk_packing_name(enum lk_packing kind)
{
	return kinds[kind].name;
}

enum lk_packing lk_image_packing(struct lk_slice start)
{
	for (unsigned i = LK_PACK_NONE + 1; i < LK_PACK_KINDS; i++)
		if (lk_slice_starts(start, kinds[i].magic))
			return (enum lk_packing)i;
	return LK_PACK_NONE;
}

/* One frame off the front. false: there is none, or it is cut off. */
static bool zstd_frame(struct lk_slice *in)
{
	static const uint8_t dict[] = {0, 1, 2, 4}, content[] = {0, 2, 4, 8};
	struct lk_slice s = *in, skip;
	uint32_t magic = 0, size = 0;
	uint8_t flags;

	if (!lk_slice_take_le32(&s, &magic))
		return false;
	if (magic >> 4 == ZSTD_SKIP >> 4) {
		if (!lk_slice_take_le32(&s, &size) || !lk_slice_take(&s, size, &skip))
			return false;
		*in = s;
		return true;
	}
	if (magic != ZSTD_MAGIC || !lk_slice_take(&s, 1, &skip))
		return false;
	flags = skip.p[0];
	/* window descriptor or, with the single-segment flag, at least one byte of content size */
	size = dict[flags & 3] + content[flags >> 6];
	size += (flags & 0x20) == 0 || flags >> 6 == 0 ? 1 : 0;
	if (!lk_slice_take(&s, size, &skip))
		return false;
	for (bool last = false; !last;) {
		if (!lk_slice_take(&s, 3, &skip))
			return false;
		last = (skip.p[0] & 1) != 0;
		size = ((uint32_t)skip.p[2] << 16 | (uint32_t)skip.p[1] << 8 | skip.p[0]) >> 3;
		/* type 1: one byte, repeated */
		if (!lk_slice_take(&s, (skip.p[0] >> 1 & 3) == 1 ? 1 : size, &skip))
			return false;
	}
	if ((flags & 4) != 0 && !lk_slice_take(&s, 4, &skip))
		return false;
	*in = s;
	return true;
}

static size_t zstd_size(struct lk_slice in)
{
	struct lk_slice s = in;

	while (zstd_frame(&s))
		continue;
	return s.n < in.n ? in.n - s.n : in.n;
}

/* Blocks, each behind its length, until something else comes. */
static size_t lz4_size(struct lk_slice in)
{
	struct lk_slice s = lk_slice_sub(in, 4, in.n), block;

	for (;;) {
		struct lk_slice before = s;
		uint32_t size = 0;

		if (!lk_slice_take_le32(&s, &size))
			return in.n - before.n;
		if (size == LZ4_MAGIC)
			continue;
		if (size == 0 || size > LZ4_BLOCK + (LZ4_BLOCK >> 7))
			return in.n - before.n;
		if (!lk_slice_take(&s, size, &block))
			return in.n;
	}
}

LK_CHECK static enum lk_code no_entry(void *ctx, const struct lk_cpio_entry *in, struct lk_err *e)
{
	(void)ctx;
	(void)in;
	(void)e;
	return LK_OK;
}

LK_CHECK static enum lk_code no_data(void *ctx, struct lk_slice piece, struct lk_err *e)
{
	(void)ctx;
	(void)piece;
	(void)e;
	return LK_OK;
}

LK_CHECK static enum lk_code no_done(void *ctx, struct lk_err *e)
{
	(void)ctx;
	(void)e;
	return LK_OK;
}

static void no_trailer(void *ctx)
{
	(void)ctx;
}

/* Archives and padding, to the end? */
static bool is_archive(struct lk_slice s)
{
	static const struct lk_cpio_sink sink = {NULL, no_entry, no_data, no_done, no_trailer};
	static struct lk_cpio cpio;
	struct lk_err ignored = {0};

	if (!lk_slice_starts(s, LK_S("07070")))
		return false;
	lk_cpio_start(&cpio, 0, &sink);
	return lk_cpio_feed(&cpio, &s, &ignored) == LK_OK && s.n == 0 &&
	       lk_cpio_end(&cpio, &ignored) == LK_OK;
}

static size_t size_by_archive(struct lk_slice in)
{
	struct lk_slice end = in;

	while (end.n > 0 && end.p[end.n - 1] == 0)
		end.n--;
	if (!lk_slice_ends(end, LK_S("TRAILER!!!")))
		return in.n;
	for (size_t i = 0; i < in.n; i++) {
		const uint8_t *p = memchr(in.p + i, '0', in.n - i);

		if (p == NULL)
			break;
		i = (size_t)(p - in.p);
		if (is_archive(lk_slice_sub(in, i, in.n)))
			return i;
	}
	return in.n;
}

size_t lk_image_packed_size(enum lk_packing kind, struct lk_slice in)
{
	if (kind == LK_PACK_ZSTD)
		return zstd_size(in);
	if (kind == LK_PACK_LZ4)
		return lz4_size(in);
	return size_by_archive(in);
}
