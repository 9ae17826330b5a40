/* Files of an image as the kernel makes them. */
#include "t.h"

#include "image_load.h"

T(folders_links_and_files)
{
	begin();
	rig_dir(&r, ".");
	rig_dir(&r, "./usr");
	rig_dir(&r, "/usr/lib");
	rig_dir(&r, "etc");
	rig_link(&r, "lib", "usr/lib");
	rig_link(&r, "usr/l", "../lib");
	rig_link(&r, "loop", "/loop2");
	rig_link(&r, "loop2", "loop");
	rig_link(&r, "nowhere", "etc/none");
	/* Through the link, as the kernel does. */
	rig_put(&r, "lib/a", "A");
	rig_link(&r, "etc/b", "/usr/l/./a");
	rig_dir(&r, "dev");
	rig_archive(&r);
	EQ_CODE(LK_OK, load(rig_slice(&r)));
	EQ_S(facts.packing, "cpio");
	EQ_U(facts.archives, 1);
	EQ_U(lk_image_count(img), 11);
	holds("/usr/lib/a", "A");
	holds("lib/a", "A");
	holds("/etc/../etc/b", "A");
	holds("/../../lib/a", "A");
	EQ_BYTES(f.path.p, f.path.n, "usr/lib/a", 9);
	OK(lk_image_find_link(img, "/etc/b", &f) && S_ISLNK(f.mode));
	OK(lk_slice_eq_str(f.data, "/usr/l/./a"));
	OK(!lk_image_find(img, "/loop", &f));
	OK(!lk_image_find(img, "/nowhere", &f));
	OK(lk_image_find_link(img, "/nowhere", &f));
	OK(!lk_image_find(img, "/etc/c", &f));
	OK(lk_image_has_name(img, LK_S("a")));
	OK(lk_image_has_name(img, LK_S("b")));
	OK(!lk_image_has_name(img, LK_S("nowhere")));
	OK(!lk_image_has_name(img, LK_S("usr")));
	EQ_U(lk_image_lost(img, &(struct lk_slice){NULL, 0}), 0);
}

T(what_comes_later_replaces)
{
	begin();
	rig_dir(&r, "etc");
	rig_put(&r, "etc/a", "old and long");
	rig_put(&r, "etc/l", "file");
	rig_archive(&r);
	rig_zeros(&r, 512);
	r.files = 0;
	rig_put(&r, "etc/a", "new");
	rig_link(&r, "etc/l", "a");
	rig_archive(&r);
	EQ_CODE(LK_OK, load(rig_slice(&r)));
	EQ_U(facts.archives, 2);
	EQ_U(lk_image_count(img), 3);
	holds("/etc/a", "new");
	EQ_U(f.size, 3);
	holds("/etc/l", "new");
}

T(files_without_their_folder_are_lost)
{
	struct lk_slice first;

	begin();
	rig_put(&r, "etc/a", "A");
	rig_dir(&r, "etc");
	rig_put(&r, "etc/b", "B");
	rig_put(&r, "etc/b/c", "C");
	rig_archive(&r);
	EQ_CODE(LK_OK, load(rig_slice(&r)));
	EQ_U(lk_image_lost(img, &first), 2);
	OK(lk_slice_eq_str(first, "etc/a"));
	OK(!lk_image_find(img, "/etc/a", &f));
	holds("/etc/b", "B");
}

static void names_of_one(
    unsigned ino, const char *a, const char *a_text, const char *b, const char *b_text)
{
	rig_put(&r, a, a_text);
	r.file[r.files - 1].ino = ino;
	r.file[r.files - 1].nlink = 2;
	rig_put(&r, b, b_text);
	r.file[r.files - 1].ino = ino;
	r.file[r.files - 1].nlink = 2;
}

T(several_names_of_one_file)
{
	begin();
	names_of_one(700, "a", "", "b", "data comes last");
	names_of_one(701, "c", "data comes first", "d", "");
	rig_put(&r, "e", "");
	rig_archive(&r);
	EQ_CODE(LK_OK, load(rig_slice(&r)));
	holds("/a", "data comes last");
	holds("/b", "data comes last");
	holds("/c", "data comes first");
	holds("/d", "data comes first");
	EQ_U(f.size, 16);
	holds("/e", "");
	/* The numbers mean nothing in the next archive. */
	rig_zeros(&r, 512);
	r.files = 0;
	names_of_one(700, "g", "other", "h", "");
	rig_archive(&r);
	EQ_CODE(LK_OK, load(rig_slice(&r)));
	holds("/a", "data comes last");
	holds("/h", "other");
}

T(what_is_kept)
{
	static char large[LK_IMAGE_KEEP + 1];

	begin();
	memset(large, 'x', sizeof(large));
	rig_raw(&r, "fits", S_IFREG | 0644, large, LK_IMAGE_KEEP);
	rig_raw(&r, "large", S_IFREG | 0644, large, LK_IMAGE_KEEP + 1);
	rig_put(&r, "program", "\177ELF...");
	rig_put(&r, "latchkey", "\177ELF...");
	rig_dir(&r, "lib");
	rig_dir(&r, "lib/modules");
	rig_put(&r, "lib/modules/dm.ko", "module");
	rig_put(&r, "lib/modules/modules.builtin", "list");
	rig_archive(&r);
	EQ_CODE(LK_OK, load(rig_slice(&r)));
	OK(lk_image_find(img, "/fits", &f) && f.kept && f.data.n == LK_IMAGE_KEEP);
	OK(lk_image_find(img, "/large", &f) && !f.kept && f.data.n == 0);
	EQ_U(f.size, LK_IMAGE_KEEP + 1);
	OK(lk_image_find(img, "/program", &f) && !f.kept && f.size == 7);
	holds("/latchkey", "\177ELF...");
	OK(lk_image_find(img, "/lib/modules/dm.ko", &f) && !f.kept && f.size == 6);
	holds("/lib/modules/modules.builtin", "list");
}

/* A cpio archive of n files, through a pipe of our own to the sink. */
static enum lk_code many(unsigned n)
{
	struct rig_file end = {.path = "TRAILER!!!", .nlink = 1};
	struct lk_cpio_sink sink;
	struct lk_cpio cpio;

	memset(&e, 0, sizeof(e));
	if (lk_image_new(&img, &e) != LK_OK)
		return e.code;
	sink = lk_image_sink(img);
	lk_cpio_start(&cpio, 0, &sink);
	for (unsigned i = 0; i <= n; i++) {
		char name[16];
		struct rig_file one = {
		    .path = name, .mode = S_IFREG, .nlink = 1, .data = "", .n = 0};
		struct lk_slice in;

		r.n = 0;
		snprintf(name, sizeof(name), "f%u", i);
		rig_entry(&r, i == n ? &end : &one);
		in = rig_slice(&r);
		if (lk_cpio_feed(&cpio, &in, &e) != LK_OK)
			return e.code;
	}
	return lk_cpio_end(&cpio, &e);
}

T(how_many_files)
{
	EQ_CODE(LK_OK, many(LK_IMAGE_FILES));
	OK(lk_image_find(img, "/f65535", &f));
	EQ_CODE(LK_ELIMIT, many(LK_IMAGE_FILES + 1));
}
