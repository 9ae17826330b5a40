/* image_fill.c - entries of the archives into the tree of image_tree.c; see image.h. */
#include "image_tree.h"

#include <string.h>
#include <sys/stat.h>

/* The canonical path of a new entry in w->done. false: its folder is not there. */
static bool place(struct lk_image *img, struct lk_slice name, struct lk_walk *w)
{
	struct lk_slice base;
	struct lk_node *folder;

	while (name.n > 0 && name.p[name.n - 1] == '/')
		name = lk_slice_sub(name, 0, name.n - 1);
	base = lk_path_base(name);
	if (!lk_walk_start(w, lk_slice_sub(name, 0, name.n - base.n)) || !lk_walk(img, w, true))
		return false;
	folder = lk_tree_node(img, lk_slice_of(w->done, w->n));
	if (w->n > 0 && (folder == NULL || !S_ISDIR(folder->mode)))
		return false;
	return lk_walk_push(w, base);
}

/* The node for this path, new or to be replaced. */
LK_CHECK static enum lk_code claim(
    struct lk_image *img, struct lk_slice path, uint32_t *out, struct lk_err *e)
{
	uint32_t *slot = lk_tree_slot(img, path);

	if (*slot != 0) {
		*out = *slot - 1;
		return LK_OK;
	}
	if (img->nodes == LK_IMAGE_FILES || img->names_used + path.n > LK_TREE_NAMES)
		return lk_fail(
		    e, LK_ELIMIT, "more than %u files, or too long names", LK_IMAGE_FILES);
	memcpy(img->names + img->names_used, path.p, path.n);
	img->node[img->nodes] =
	    (struct lk_node){.name = (uint32_t)img->names_used, .length = (uint32_t)path.n};
	img->names_used += path.n;
	*out = (uint32_t)img->nodes++;
	*slot = *out + 1;
	return LK_OK;
}

/* Another name of a file of this archive? Then both have one body. */
LK_CHECK static enum lk_code link_up(
    struct lk_image *img, uint32_t me, const struct lk_cpio_entry *in, struct lk_err *e)
{
	struct lk_node *n = &img->node[me];

	for (size_t i = 0; i < img->groups; i++) {
		const struct lk_node *first = &img->node[img->group[i]];

		if (first->ino == in->ino && first->major == in->major &&
		    first->minor == in->minor && first->body == img->group[i]) {
			n->body = img->group[i];
			return LK_OK;
		}
	}
	if (img->groups == LK_TREE_GROUPS)
		return lk_fail(
		    e, LK_ELIMIT, "more than %d files with several names", LK_TREE_GROUPS);
	img->group[img->groups++] = me;
	return LK_OK;
}

/* Modules and firmware fill most of an image, and only their names matter. */
static bool by_name_only(struct lk_slice path)
{
	return !lk_slice_starts(lk_path_base(path), LK_S("modules.")) &&
	       (lk_slice_starts(path, LK_S("usr/lib/modules/")) ||
		   lk_slice_starts(path, LK_S("lib/modules/")) ||
		   lk_slice_starts(path, LK_S("usr/lib/firmware/")) ||
		   lk_slice_starts(path, LK_S("lib/firmware/")) ||
		   lk_slice_starts(path, LK_S("kernel/")));
}

/* Data that comes now belongs to this node. */
static void open_body(struct lk_image *img, uint32_t body, uint32_t size)
{
	struct lk_node *n = &img->node[body];

	n->size = size;
	n->data = (uint32_t)img->store_used;
	n->kept = (S_ISREG(n->mode) || S_ISLNK(n->mode)) && size <= LK_IMAGE_KEEP &&
		  img->store_used + size <= LK_TREE_STORE &&
		  !by_name_only(lk_slice_of(img->names + n->name, n->length));
	img->current = body;
	img->got = 0;
}

LK_CHECK static enum lk_code on_entry(void *ctx, const struct lk_cpio_entry *in, struct lk_err *e)
{
	static struct lk_walk w;
	struct lk_image *img = ctx;
	struct lk_node *n;
	uint32_t me;

	img->current = LK_TREE_NOWHERE;
	if (!place(img, in->name, &w)) {
		if (img->lost++ == 0)
			return lk_slice_cstr(in->name, img->first_lost, sizeof(img->first_lost), e);
		return LK_OK;
	}
	if (w.n == 0) /* the root itself */
		return LK_OK;
	if (claim(img, lk_slice_of(w.done, w.n), &me, e) != LK_OK)
		return e->code;
	n = &img->node[me];
	/* A file is written over, and shows under its other names, too. */
	if (!S_ISREG(n->mode) || !S_ISREG(in->mode))
		n->body = me;
	n->mode = in->mode;
	n->ino = in->ino;
	n->major = in->major;
	n->minor = in->minor;
	if (in->nlink > 1 && S_ISREG(in->mode) && link_up(img, me, in, e) != LK_OK)
		return e->code;
	/* The data comes with any one of the names. */
	if (n->body == me || in->size > 0)
		open_body(img, n->body, in->size);
	return LK_OK;
}

LK_CHECK static enum lk_code on_data(void *ctx, struct lk_slice piece, struct lk_err *e)
{
	struct lk_image *img = ctx;
	struct lk_node *n;

	if (img->current == LK_TREE_NOWHERE || !img->node[img->current].kept)
		return LK_OK;
	n = &img->node[img->current];
	if (piece.n > n->size - img->got)
		return lk_fail(e, LK_EBUG, "more data than an entry has");
	memcpy(img->store + n->data + img->got, piece.p, piece.n);
	img->got += (uint32_t)piece.n;
	return LK_OK;
}

/* Programs and libraries are not looked into, but for these. */
static bool worth_keeping(struct lk_slice path, struct lk_slice data)
{
	struct lk_slice name = lk_path_base(path);

	return !lk_slice_starts(data, LK_S("\177ELF")) || lk_slice_eq_str(name, "latchkey") ||
	       lk_slice_eq_str(name, "systemd-cryptsetup") || lk_slice_eq_str(name, "cryptsetup") ||
	       lk_slice_starts(name, LK_S("libcryptsetup.so"));
}

LK_CHECK static enum lk_code on_done(void *ctx, struct lk_err *e)
{
	struct lk_image *img = ctx;
	struct lk_node *n;

	(void)e;
	if (img->current == LK_TREE_NOWHERE)
		return LK_OK;
	n = &img->node[img->current];
	img->current = LK_TREE_NOWHERE;
	if (!n->kept)
		return LK_OK;
	n->kept = worth_keeping(lk_slice_of(img->names + n->name, n->length),
	    lk_slice_of(img->store + n->data, n->size));
	if (n->kept)
		img->store_used += n->size;
	return LK_OK;
}

static void on_trailer(void *ctx)
{
	struct lk_image *img = ctx;

	img->groups = 0;
}

struct lk_cpio_sink lk_image_sink(struct lk_image *img)
{
	return (struct lk_cpio_sink){
	    .ctx = img, .entry = on_entry, .data = on_data, .done = on_done, .trailer = on_trailer};
}
