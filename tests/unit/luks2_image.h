/* luks2_image.h - LUKS2 headers made in memory, from the format's specification (sections 2 and 3),
 * for the tests: both copies, any JSON, right checksums. */
#ifndef LK_TEST_LUKS2_IMAGE_H
#define LK_TEST_LUKS2_IMAGE_H

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "lk/crypto.h"

#define IMG_UUID "6a3b1f2e-0c4d-4e5f-8a9b-0123456789ab"
#define IMG_SIZE (512 * 1024)

struct image {
	uint8_t p[IMG_SIZE];
};

static inline void put_be64(uint8_t *p, uint64_t v)
{
	for (int i = 7; i >= 0; i--, v >>= 8)
		p[i] = (uint8_t)v;
}

static inline void image_sum(struct image *m, size_t at, size_t size)
{
	struct lk_slice all = {m->p + at, size};
	struct lk_err e = {0};

	memset(m->p + at + 448, 0, 64);
	if (lk_crypto_start(&e) != LK_OK || lk_sha256(all, m->p + at + 448, &e) != LK_OK)
		abort();
}

/* One copy at `at`; the second one has the other magic. */
static inline void image_copy(
    struct image *m, size_t at, size_t size, uint64_t seq, const char *json)
{
	uint8_t *p = m->p + at;

	memset(p, 0, size);
	memcpy(p, at ? "SKUL\xba\xbe" : "LUKS\xba\xbe", 6);
	p[7] = 2;
	put_be64(p + 8, size);
	put_be64(p + 16, seq);
	strcpy((char *)p + 72, "sha256");
	strcpy((char *)p + 168, IMG_UUID);
	put_be64(p + 256, at);
	strcpy((char *)p + 4096, json);
	image_sum(m, at, size);
}

static inline void image_make(struct image *m, size_t size, const char *json)
{
	memset(m, 0, sizeof(*m));
	image_copy(m, 0, size, 4, json);
	image_copy(m, size, size, 4, json);
}

/* The image as a file without a name. */
static inline int image_fd(const struct image *m, size_t n)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	if (fd < 0 || write(fd, m->p, n) != (ssize_t)n)
		abort();
	return fd;
}

#endif
