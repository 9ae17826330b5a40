/* image_read.c - the archives of an image, one after the other; see image.h.
 *
 * An image is any number of archives, each as it is or compressed, with zeros between them: first
 * often an uncompressed one with microcode, then the compressed one with everything else.
 */
#include "image.h"

#include <string.h>

#include "lk/fmt.h"

#define UNPACKED_MAX (UINT64_C(2) << 30)

static void note_packing(struct lk_image_facts *facts, const char *name)
{
	size_t n = strlen(facts->packing);

	lk_fmt(facts->packing + n, sizeof(facts->packing) - n, "%s%s", n > 0 ? ", " : "", name);
}

LK_CHECK static enum lk_code unknown(struct lk_slice rest, uint64_t at, struct lk_err *e)
{
	uint8_t store[17];
	struct lk_buf hex = LK_BUF(store);

	lk_hex_encode(lk_slice_sub(rest, 0, 8), &hex);
	if (at == 0 && lk_slice_starts(rest, LK_S("MZ"))) {
		(void)lk_fail(e, LK_EPROTO, "an EFI program, not an initramfs");
		return lk_hint(e, "take the initramfs out of a unified kernel image: objcopy -O "
				  "binary --only-section=.initrd IMAGE FILE");
	}
	(void)lk_fail(e, LK_EPROTO,
	    "neither a cpio archive nor a known compression at byte %llu (%.*s)",
	    (unsigned long long)at, (int)hex.n, (const char *)hex.p);
	return lk_hint(e, "name an initramfs made by dracut or initramfs-tools");
}

/* Compressed archives at the front of `rest`, which gets shorter. */
LK_CHECK static enum lk_code packed(struct lk_slice *rest, uint64_t at, lk_time deadline,
    uint64_t *room, const struct lk_cpio_sink *sink, struct lk_image_facts *facts, struct lk_err *e)
{
	static struct lk_cpio inner;
	enum lk_packing kind = lk_image_packing(*rest);
	size_t n;

	if (kind == LK_PACK_NONE)
		return unknown(*rest, at, e);
	note_packing(facts, lk_packing_name(kind));
	n = lk_image_packed_size(kind, *rest);
	lk_cpio_start(&inner, 0, sink);
	if (lk_image_unpack(kind, lk_slice_sub(*rest, 0, n), deadline, room, &inner, e) != LK_OK)
		return e->code;
	facts->archives += inner.archives;
	*rest = lk_slice_sub(*rest, n, rest->n);
	return LK_OK;
}

enum lk_code lk_image_read(struct lk_slice file, lk_time deadline, struct lk_image *img,
    struct lk_image_facts *facts, struct lk_err *e)
{
	struct lk_cpio_sink sink = lk_image_sink(img);
	static struct lk_cpio outer;
	struct lk_slice rest = file;
	uint64_t room = UNPACKED_MAX;

	memset(facts, 0, sizeof(*facts));
	while (rest.n > 0) {
		lk_cpio_start(&outer, file.n - rest.n, &sink);
		if (lk_cpio_feed(&outer, &rest, e) != LK_OK || lk_cpio_end(&outer, e) != LK_OK)
			return e->code;
		if (outer.archives > 0)
			note_packing(facts, "cpio");
		facts->archives += outer.archives;
		if (rest.n > 0 &&
		    packed(&rest, file.n - rest.n, deadline, &room, &sink, facts, e) != LK_OK)
			return e->code;
	}
	if (facts->archives == 0)
		return lk_fail(e, LK_EPROTO, "it is empty");
	return LK_OK;
}
