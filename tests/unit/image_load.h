/* image_load.h - an image read by the program, and what it holds: for the tests of image-check. */
#ifndef LK_TEST_IMAGE_LOAD_H
#define LK_TEST_IMAGE_LOAD_H

#include <signal.h>

#include "image_rig.h"
#include "t.h"

static struct rig r;
static struct lk_image *img;
static struct lk_image_facts facts;
static struct lk_file f;
static struct lk_err e;

static enum lk_code load(struct lk_slice in)
{
	memset(&e, 0, sizeof(e));
	if (lk_image_new(&img, &e) != LK_OK)
		return e.code;
	return lk_image_read(in, lk_deadline_in(60000), img, &facts, &e);
}

static void begin(void)
{
	signal(SIGPIPE, SIG_IGN);
	r.n = r.files = 0;
}

static void holds(const char *path, const char *want)
{
	if (!lk_image_find(img, path, &f))
		T_FAIL("%s is not there", path);
	else if (!lk_slice_eq_str(f.data, want))
		T_FAIL("%s is \"%.*s\"", path, (int)f.data.n, (const char *)f.data.p);
}

#endif
