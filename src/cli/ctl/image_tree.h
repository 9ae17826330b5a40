/* image_tree.h - how an image's files are kept; private to src/cli/ctl/image_tree.c and
 * image_fill.c.
 */
#ifndef LK_CLI_IMAGE_TREE_H
#define LK_CLI_IMAGE_TREE_H

#include "image.h"

#define LK_TREE_NAMES   ((size_t)8 << 20)
#define LK_TREE_STORE   ((size_t)48 << 20)
#define LK_TREE_SLOTS   (2 * LK_IMAGE_FILES)
#define LK_TREE_GROUPS  4096 /* files with several names, in one archive */
#define LK_TREE_PATH    (2 * (LK_CPIO_NAME_MAX + 1))
#define LK_TREE_NOWHERE 0xffffffffu

struct lk_node {
	uint32_t name, length; /* in names */
	uint32_t mode, size;
	uint32_t ino, major, minor;
	uint32_t body; /* the node that has the data: itself, or the first of its links */
	uint32_t data; /* in store */
	bool kept;
};

struct lk_image {
	struct lk_node node[LK_IMAGE_FILES];
	uint32_t slot[LK_TREE_SLOTS]; /* index + 1 */
	uint32_t group[LK_TREE_GROUPS];
	char names[LK_TREE_NAMES];
	uint8_t store[LK_TREE_STORE];
	size_t nodes, groups, names_used, store_used;
	uint32_t current; /* node that data goes to, or LK_TREE_NOWHERE */
	uint32_t got;     /* data of it so far */
	size_t lost;
	char first_lost[LK_CPIO_NAME_MAX + 1];
};

struct lk_walk {
	char done[LK_TREE_PATH]; /* canonical so far, without a leading slash */
	size_t n;
	char rest[LK_TREE_PATH];
};

/* The slot of this path; empty (0) when there is no node. */
uint32_t *lk_tree_slot(struct lk_image *img, struct lk_slice path);
struct lk_node *lk_tree_node(struct lk_image *img, struct lk_slice path);
/* w->rest is `path`. false: too long */
bool lk_walk_start(struct lk_walk *w, struct lk_slice path);
/* w->rest to w->done. `last`: a link in the last place is followed, too. false: too long, or links
 * in a circle. */
bool lk_walk(struct lk_image *img, struct lk_walk *w, bool last);
/* One component more, "." and ".." as usual. false: too long */
bool lk_walk_push(struct lk_walk *w, struct lk_slice name);

#endif
