/* image_tree.c - names, links and small files of an image; see image.h.
 *
 * Paths are kept as the kernel makes them: a folder that is a symbolic link is followed when the
 * entry comes, a file in a folder that is not there yet is lost, and what comes later replaces what
 * came before.
 */
#include "image_tree.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define HOPS 40 /* links in a row, as the kernel allows */

enum lk_code lk_image_new(struct lk_image **out, struct lk_err *e)
{
	static struct lk_image *img;

	/* Most of it is never touched. */
	if (img != NULL && munmap(img, sizeof(*img)) != 0)
		return lk_fail_sys(e, errno, "memory");
	img = mmap(NULL, sizeof(*img), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (img == MAP_FAILED) {
		img = NULL;
		return lk_fail_sys(e, errno, "memory for the image's list of files");
	}
	img->current = LK_TREE_NOWHERE;
	*out = img;
	return LK_OK;
}

/* ---- look-up by canonical path */

uint32_t *lk_tree_slot(struct lk_image *img, struct lk_slice path)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < path.n; i++)
		h = (h ^ path.p[i]) * 16777619u;
	for (uint32_t at = h % LK_TREE_SLOTS;; at = (at + 1) % LK_TREE_SLOTS) {
		uint32_t i = img->slot[at];

		if (i == 0 || lk_slice_eq(path, lk_slice_of(img->names + img->node[i - 1].name,
						    img->node[i - 1].length)))
			return &img->slot[at];
	}
}

struct lk_node *lk_tree_node(struct lk_image *img, struct lk_slice path)
{
	uint32_t i = *lk_tree_slot(img, path);

	return i == 0 ? NULL : &img->node[i - 1];
}

static struct lk_slice content(const struct lk_image *img, const struct lk_node *n)
{
	const struct lk_node *body = &img->node[n->body];

	return body->kept ? lk_slice_of(img->store + body->data, body->size)
			  : (struct lk_slice){NULL, 0};
}

/* ---- paths */

static void pop(struct lk_walk *w)
{
	while (w->n > 0 && w->done[w->n - 1] != '/')
		w->n--;
	if (w->n > 0)
		w->n--;
}

bool lk_walk_push(struct lk_walk *w, struct lk_slice name)
{
	if (name.n == 0 || lk_slice_eq_str(name, "."))
		return true;
	if (lk_slice_eq_str(name, "..")) {
		pop(w);
		return true;
	}
	if (w->n + 1 + name.n > LK_CPIO_NAME_MAX)
		return false;
	if (w->n > 0)
		w->done[w->n++] = '/';
	memcpy(w->done + w->n, name.p, name.n);
	w->n += name.n;
	return true;
}

/* Put a link's target in place of the link that was pushed last, before the rest from `from`. */
static bool follow(struct lk_walk *w, struct lk_slice target, size_t from)
{
	size_t rest = strlen(w->rest + from);
	size_t n = target.n;

	if (n + 1 + rest >= sizeof(w->rest))
		return false;
	memmove(w->rest + n + 1, w->rest + from, rest + 1);
	if (n > 0)
		memcpy(w->rest, target.p, n);
	w->rest[n] = '/';
	if (n > 0 && target.p[0] == '/')
		w->n = 0;
	else
		pop(w);
	return true;
}

bool lk_walk(struct lk_image *img, struct lk_walk *w, bool last)
{
	size_t at = 0;

	w->n = 0;
	for (unsigned hops = 0; w->rest[at] != '\0';) {
		size_t n = strcspn(w->rest + at, "/");
		size_t next = at + n + strspn(w->rest + at + n, "/");
		struct lk_slice name = lk_slice_of(w->rest + at, n);
		struct lk_node *node;

		if (!lk_walk_push(w, name))
			return false;
		at = next;
		node = lk_tree_node(img, lk_slice_of(w->done, w->n));
		if (node == NULL || !S_ISLNK(node->mode) || (w->rest[at] == '\0' && !last))
			continue;
		if (++hops > HOPS || !follow(w, content(img, node), at))
			return false;
		at = 0;
	}
	return true;
}

bool lk_walk_start(struct lk_walk *w, struct lk_slice path)
{
	if (path.n >= sizeof(w->rest))
		return false;
	if (path.n > 0)
		memcpy(w->rest, path.p, path.n);
	w->rest[path.n] = '\0';
	w->n = 0;
	return true;
}

static void fill(const struct lk_image *img, const struct lk_node *n, struct lk_file *out)
{
	*out = (struct lk_file){.path = lk_slice_of(img->names + n->name, n->length),
	    .mode = n->mode,
	    .size = img->node[n->body].size,
	    .data = content(img, n),
	    .kept = img->node[n->body].kept};
}

static bool find(struct lk_image *img, const char *path, bool last, struct lk_file *out)
{
	static struct lk_walk w;
	struct lk_node *n;

	if (!lk_walk_start(&w, lk_slice_str(path)) || !lk_walk(img, &w, last))
		return false;
	n = lk_tree_node(img, lk_slice_of(w.done, w.n));
	if (n == NULL)
		return false;
	fill(img, n, out);
	return true;
}

bool lk_image_find(struct lk_image *img, const char *path, struct lk_file *out)
{
	return find(img, path, true, out);
}

bool lk_image_find_link(struct lk_image *img, const char *path, struct lk_file *out)
{
	return find(img, path, false, out);
}

size_t lk_image_count(const struct lk_image *img)
{
	return img->nodes;
}

void lk_image_at(const struct lk_image *img, size_t i, struct lk_file *out)
{
	fill(img, &img->node[i], out);
}

size_t lk_image_lost(const struct lk_image *img, struct lk_slice *first)
{
	*first = lk_slice_str(img->first_lost);
	return img->lost;
}

struct lk_slice lk_path_base(struct lk_slice path)
{
	for (size_t i = path.n; i > 0; i--)
		if (path.p[i - 1] == '/')
			return lk_slice_sub(path, i, path.n);
	return path;
}

bool lk_image_has_name(struct lk_image *img, struct lk_slice name)
{
	static char path[LK_CPIO_NAME_MAX + 1];
	struct lk_err ignored = {0};

	for (size_t i = 0; i < img->nodes; i++) {
		struct lk_file f;

		fill(img, &img->node[i], &f);
		if (lk_slice_eq(lk_path_base(f.path), name) &&
		    lk_slice_cstr(f.path, path, sizeof(path), &ignored) == LK_OK &&
		    find(img, path, true, &f) && S_ISREG(f.mode))
			return true;
	}
	return false;
}
