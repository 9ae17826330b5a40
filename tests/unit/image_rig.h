/* image_rig.h - archives of format newc made in memory, for the tests of image-check. */
#ifndef LK_TEST_IMAGE_RIG_H
#define LK_TEST_IMAGE_RIG_H

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/image.h"

#define RIG_FILES 160
#define RIG_SIZE  ((size_t)4 << 20)

struct rig_file {
	const char *path;
	unsigned mode, ino, nlink;
	const char *data;
	size_t n;
};

struct rig {
	size_t files, n;
	struct rig_file file[RIG_FILES];
	uint8_t out[RIG_SIZE];
};

static inline void rig_bytes(struct rig *r, const void *p, size_t n)
{
	if (r->n + n > sizeof(r->out))
		abort();
	if (n > 0)
		memcpy(r->out + r->n, p, n);
	r->n += n;
}

static inline void rig_zeros(struct rig *r, size_t align)
{
	while (r->n % align != 0)
		rig_bytes(r, "", 1);
}

/* A header as it stands, with any size of the name. */
static inline void rig_head(struct rig *r, const struct rig_file *f, size_t name_size)
{
	char head[111];

	snprintf(head, sizeof(head), "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
	    f->ino, f->mode, 0u, 0u, f->nlink, 0u, (unsigned)f->n, 8u, 1u, 0u, 0u,
	    (unsigned)name_size, 0u);
	rig_bytes(r, head, 110);
}

static inline void rig_entry(struct rig *r, const struct rig_file *f)
{
	rig_head(r, f, strlen(f->path) + 1);
	rig_bytes(r, f->path, strlen(f->path) + 1);
	rig_zeros(r, 4);
	rig_bytes(r, f->data, f->n);
	rig_zeros(r, 4);
}

static inline struct rig_file *rig_find(struct rig *r, const char *path)
{
	for (size_t i = 0; i < r->files; i++)
		if (strcmp(r->file[i].path, path) == 0)
			return &r->file[i];
	return NULL;
}

/* Add a file, or replace it. */
static inline void rig_raw(
    struct rig *r, const char *path, unsigned mode, const void *data, size_t n)
{
	struct rig_file *f = rig_find(r, path);

	if (f == NULL) {
		if (r->files == RIG_FILES)
			abort();
		f = &r->file[r->files++];
	}
	*f = (struct rig_file){path, mode, (unsigned)r->files, 1, data, n};
}

static inline void rig_put(struct rig *r, const char *path, const char *text)
{
	rig_raw(r, path, S_IFREG | 0644, text, strlen(text));
}

static inline void rig_link(struct rig *r, const char *path, const char *to)
{
	rig_raw(r, path, S_IFLNK | 0777, to, strlen(to));
}

static inline void rig_dir(struct rig *r, const char *path)
{
	rig_raw(r, path, S_IFDIR | 0755, "", 0);
}

/* Without this file; false: it is not there. */
static inline bool rig_drop(struct rig *r, const char *path)
{
	struct rig_file *f = rig_find(r, path);

	if (f == NULL)
		return false;
	memmove(f, f + 1, (size_t)(&r->file[r->files] - (f + 1)) * sizeof(*f));
	r->files--;
	return true;
}

/* The files as an archive behind what is there. */
static inline void rig_archive(struct rig *r)
{
	struct rig_file end = {.path = "TRAILER!!!", .nlink = 1};

	for (size_t i = 0; i < r->files; i++)
		rig_entry(r, &r->file[i]);
	rig_entry(r, &end);
}

static inline struct lk_slice rig_slice(const struct rig *r)
{
	return lk_slice_of(r->out, r->n);
}

#endif
