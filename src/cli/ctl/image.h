/* image.h - the parts of `latchkeyctl image-check`; private to src/cli/ctl/image_*.c and its tests.
 *
 * Reading: image_read.c finds the archives of an initramfs (documentation of the kernel,
 * driver-api/early-userspace/buffer-format), image_unpack.c runs the system's decompressor,
 * image_cpio.c takes the archives apart as a stream, image_tree.c keeps names, links and the
 * contents of small files. Checking: the other files are functions from that tree and from what is
 * known of the machine to a list of findings; they read nothing else.
 */
#ifndef LK_CLI_IMAGE_H
#define LK_CLI_IMAGE_H

#include "lk/clock.h"
#include "lk/slice.h"

#define LK_IMAGE_PROGRAM "/usr/bin/latchkey"

/* ---- archives of format newc, pushed in pieces of any size */

#define LK_CPIO_NAME_MAX 1023

struct lk_cpio_entry {
	struct lk_slice name; /* without NUL bytes; whatever the archive says otherwise */
	uint32_t mode, ino, nlink, major, minor, size;
};

struct lk_cpio_sink {
	void *ctx;
	/* entry, its data in order, done; a failure ends the parse. */
	enum lk_code (*entry)(void *ctx, const struct lk_cpio_entry *entry, struct lk_err *e);
	enum lk_code (*data)(void *ctx, struct lk_slice piece, struct lk_err *e);
	enum lk_code (*done)(void *ctx, struct lk_err *e);
	void (*trailer)(void *ctx); /* links lead no further back than this */
};

struct lk_cpio {
	const struct lk_cpio_sink *sink;
	enum { LK_CPIO_BETWEEN, LK_CPIO_HEAD, LK_CPIO_NAME, LK_CPIO_DATA, LK_CPIO_SKIP } state;
	uint64_t at;   /* bytes taken so far; headers begin at multiples of 4 */
	uint32_t left; /* bytes of this state that are still to come */
	uint8_t head[110];
	char name[LK_CPIO_NAME_MAX + 4]; /* with its padding */
	struct lk_cpio_entry entry;
	unsigned archives; /* that have ended */
};

/* `at`: how far into the stream the first byte lies. */
void lk_cpio_start(struct lk_cpio *c, uint64_t at, const struct lk_cpio_sink *sink);
/* Take from the front of `in`, which gets shorter. All of it is taken, unless what follows an
 * archive (or begins the stream) is neither padding nor an archive: that stays. LK_EPROTO:
 * malformed. */
LK_CHECK enum lk_code lk_cpio_feed(struct lk_cpio *c, struct lk_slice *in, struct lk_err *e);
/* The stream ends here. LK_EPROTO: in the middle of an archive. */
LK_CHECK enum lk_code lk_cpio_end(const struct lk_cpio *c, struct lk_err *e);

/* ---- what is in an image */

#define LK_IMAGE_FILES 65536u
#define LK_IMAGE_KEEP  (1024u * 1024u) /* contents of larger files are not kept */

struct lk_image;
struct lk_file {
	struct lk_slice path; /* from the root, without a leading slash */
	uint32_t mode;
	uint32_t size;
	struct lk_slice data; /* of a regular file or a link */
	bool kept;            /* `data` is there: small, and neither a kernel module nor (with
				 exceptions) a program */
};

/* An empty one; there is one per process. */
LK_CHECK enum lk_code lk_image_new(struct lk_image **out, struct lk_err *e);
struct lk_cpio_sink lk_image_sink(struct lk_image *img);
size_t lk_image_count(const struct lk_image *img);
void lk_image_at(const struct lk_image *img, size_t i, struct lk_file *out);
/* Follows symbolic links as the booted kernel would. */
bool lk_image_find(struct lk_image *img, const char *path, struct lk_file *out);
/* The same without following a link in the last place. */
bool lk_image_find_link(struct lk_image *img, const char *path, struct lk_file *out);
/* The last component. */
struct lk_slice lk_path_base(struct lk_slice path);
/* Is there a file of this name in any folder (a library, say)? */
bool lk_image_has_name(struct lk_image *img, struct lk_slice name);
/* Files that the kernel will not make because their folder is not in the archive before them; the
 * path of the first. */
size_t lk_image_lost(const struct lk_image *img, struct lk_slice *first);

/* ---- from the file to the tree */

struct lk_image_facts {
	unsigned archives;
	char packing[60]; /* "cpio, zstd" */
};

enum lk_packing {
	LK_PACK_NONE, /* nothing known */
	LK_PACK_GZIP,
	LK_PACK_BZIP2,
	LK_PACK_XZ,
	LK_PACK_LZMA,
	LK_PACK_LZO,
	LK_PACK_LZ4,
	LK_PACK_ZSTD,
	LK_PACK_KINDS
};
enum lk_packing lk_image_packing(struct lk_slice start);
/* Length of the compressed data at the start of `in`; what follows may be padding and more
 * archives. */
size_t lk_image_packed_size(enum lk_packing kind, struct lk_slice in);

/* The whole image into the tree. LK_EPROTO: damaged, or no initramfs. LK_ELIMIT: more than
 * LK_IMAGE_FILES files or 2 GiB. LK_ETIME. LK_ECONF: the decompressor is not installed. */
LK_CHECK enum lk_code lk_image_read(struct lk_slice file, lk_time deadline, struct lk_image *img,
    struct lk_image_facts *facts, struct lk_err *e);
LK_CHECK enum lk_code lk_image_unpack(enum lk_packing kind, struct lk_slice in, lk_time deadline,
    uint64_t *room, struct lk_cpio *to, struct lk_err *e);
const char *lk_packing_name(enum lk_packing kind);

#endif
