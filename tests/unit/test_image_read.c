/* From a file to its archives, compressed or not; and programs. */
#include "t.h"

#include <fcntl.h>

#include "ctl/image_check.h"
#include "image_load.h"
#include "lk/io.h"

T(no_image)
{
	begin();
	EQ_CODE(LK_EPROTO, load((struct lk_slice){NULL, 0}));
	EQ_S(e.msg, "it is empty");
	EQ_CODE(LK_EPROTO, load(LK_S("\0\0\0\0")));
	EQ_CODE(LK_EPROTO, load(LK_S("\0\0hello, world")));
	EQ_S(e.msg, "neither a cpio archive nor a known compression at byte 2 (68656c6c6f2c2077)");
	EQ_CODE(LK_EPROTO, load(LK_S("MZ\x90 and so on")));
	OK(strstr(e.hint, ".initrd") != NULL);
	rig_put(&r, "a", "A");
	rig_archive(&r);
	r.n -= 8;
	EQ_CODE(LK_EPROTO, load(rig_slice(&r)));
}

/* ---- compressed */

struct tool {
	const char *name, *command, *magic;
	enum lk_packing kind;
};

/* Replace what r holds by its compressed form. false: the tool is not installed. */
static bool squeeze(const char *command)
{
	char path[] = "/tmp/latchkey-image-XXXXXX", line[200];
	int fd = mkstemp(path);
	FILE *p;

	if (fd < 0 || write(fd, r.out, r.n) != (ssize_t)r.n)
		abort();
	close(fd);
	snprintf(line, sizeof(line), "exec 2>/dev/null; %s <%s", command, path);
	p = popen(line, "r");
	r.n = fread(r.out, 1, sizeof(r.out), p);
	(void)unlink(path);
	return pclose(p) == 0 && r.n > 0;
}

/* Some files, of which one does not compress. */
static void sample(void)
{
	static uint8_t noise[300000];
	uint32_t x = 1;

	for (size_t i = 0; i < sizeof(noise); i++) {
		x = x * 1664525u + 1013904223u;
		noise[i] = (uint8_t)(x >> 24);
	}
	begin();
	rig_dir(&r, "etc");
	rig_put(&r, "etc/a", "A");
	rig_raw(&r, "noise", S_IFREG | 0644, noise, sizeof(noise));
	rig_archive(&r);
}

static void append_overlay(void)
{
	rig_zeros(&r, 4);
	r.files = 0;
	rig_put(&r, "etc/a", "over");
	rig_archive(&r);
}

static void alone(const struct tool *t)
{
	OK(memcmp(r.out, t->magic, strlen(t->magic)) == 0);
	EQ_I(lk_image_packing(rig_slice(&r)), t->kind);
	if (load(rig_slice(&r)) != LK_OK)
		T_FAIL("%s: %s", t->command, e.msg);
	EQ_S(facts.packing, t->name);
	holds("/etc/a", "A");
	OK(lk_image_find(img, "/noise", &f) && f.kept && f.size == 300000);
}

/* Another archive before it, and one behind. */
static void in_the_middle(const struct tool *t)
{
	static struct rig packed;

	packed = r;
	begin();
	rig_dir(&r, "kernel");
	rig_put(&r, "kernel/microcode", "early");
	rig_archive(&r);
	rig_zeros(&r, 512);
	rig_bytes(&r, packed.out, packed.n);
	append_overlay();
	if (load(rig_slice(&r)) != LK_OK)
		T_FAIL("%s: %s", t->command, e.msg);
	EQ_U(facts.archives, 3);
	OK(strncmp(facts.packing, "cpio, ", 6) == 0);
	OK(strstr(facts.packing + 6, ", cpio") != NULL);
	OK(lk_image_find(img, "/kernel/microcode", &f) && f.size == 5);
	holds("/etc/a", "over");
	r = packed;
}

/* For formats that say how long they are. */
static void where_it_ends(const struct tool *t)
{
	size_t n = r.n;

	EQ_U(lk_image_packed_size(t->kind, rig_slice(&r)), n);
	/* Two in a row are for the tool, which takes both. */
	rig_bytes(&r, r.out, n);
	EQ_U(lk_image_packed_size(t->kind, rig_slice(&r)), 2 * n);
	rig_bytes(&r, "\0\0\0\0\0", 5);
	EQ_U(lk_image_packed_size(t->kind, rig_slice(&r)), 2 * n);
	/* Cut off: what is there belongs to the tool, which says so. */
	for (size_t cut = 1; cut < 40; cut++) {
		size_t got = lk_image_packed_size(t->kind, lk_slice_of(r.out, n - cut));

		OK(got <= n - cut && got > 0);
	}
}

/* lzma's and lzop's own programs take the padding before an overlay for damage. */
static void compressed(const struct tool *t)
{
	sample();
	if (!squeeze(t->command))
		SKIP("the tool is not installed");
	alone(t);
	if (t->kind != LK_PACK_LZMA && t->kind != LK_PACK_LZO)
		in_the_middle(t);
	if (t->kind == LK_PACK_ZSTD || t->kind == LK_PACK_LZ4)
		where_it_ends(t);
}

#define TOOL(id, name, command, magic, kind)                                                       \
	T(id)                                                                                      \
	{                                                                                          \
		compressed(&(struct tool){name, command, magic, kind});                            \
	}
TOOL(gzip, "gzip", "gzip -c", "\x1f\x8b", LK_PACK_GZIP)
TOOL(bzip2, "bzip2", "bzip2 -c", "BZh", LK_PACK_BZIP2)
TOOL(xz, "xz", "xz -c --check=crc32", "\xfd\x37zXZ", LK_PACK_XZ)
TOOL(lzma, "lzma", "xz -c --format=lzma", "\x5d", LK_PACK_LZMA)
TOOL(lz4, "lz4", "lz4 -c -l", "\x02\x21L\x18", LK_PACK_LZ4)
TOOL(zstd, "zstd", "zstd -cq", "\x28\xb5\x2f\xfd", LK_PACK_ZSTD)
TOOL(zstd_without_checksum, "zstd", "zstd -cq --no-check --no-content-size", "\x28\xb5\x2f\xfd",
    LK_PACK_ZSTD)
TOOL(lzop, "lzop", "lzop -c", "\x89LZO", LK_PACK_LZO)

T(damaged_and_too_slow)
{
	sample();
	if (!squeeze("gzip -c"))
		SKIP("gzip is not installed");
	r.out[r.n / 2] ^= 1;
	EQ_CODE(LK_EPROTO, load(rig_slice(&r)));
	OK(strncmp(e.msg, "gzip cannot read it (exit 1): ", 30) == 0);
	r.out[r.n / 2] ^= 1;
	r.n -= 100;
	EQ_CODE(LK_EPROTO, load(rig_slice(&r)));
	/* What is inside is no archive, or more than one. */
	begin();
	rig_bytes(&r, "hello, world", 12);
	NEED(squeeze("gzip -c"));
	EQ_CODE(LK_EPROTO, load(rig_slice(&r)));
	EQ_S(e.msg, "there is something else than archives inside");
	sample();
	NEED(squeeze("gzip -c"));
	memset(&e, 0, sizeof(e));
	NEED(lk_image_new(&img, &e) == LK_OK);
	EQ_CODE(LK_ETIME, lk_image_read(rig_slice(&r), lk_now() - 1, img, &facts, &e));
}

T(a_bomb_ends_at_its_limit)
{
	struct lk_cpio_sink sink;
	struct lk_cpio cpio;
	uint64_t room = 100000;

	sample();
	if (!squeeze("gzip -c"))
		SKIP("gzip is not installed");
	memset(&e, 0, sizeof(e));
	NEED(lk_image_new(&img, &e) == LK_OK);
	sink = lk_image_sink(img);
	lk_cpio_start(&cpio, 0, &sink);
	EQ_CODE(LK_ELIMIT,
	    lk_image_unpack(LK_PACK_GZIP, rig_slice(&r), lk_deadline_in(60000), &room, &cpio, &e));
}

/* ---- programs */

T(programs)
{
	static uint8_t store[4 << 20];
	struct lk_buf b = LK_BUF(store);
	struct lk_elf elf;

	if (lk_file_read("/bin/cat", &b, &e) != LK_OK && b.n < 64)
		SKIP("there is no dynamic program to look at");
	lk_elf_read(lk_slice_buf(&b), &elf);
	OK(elf.elf);
	OK(lk_slice_starts(elf.interpreter, LK_S("/lib")));
	OK(elf.needs > 0);
	for (size_t i = 0; i < elf.needs; i++)
		OK(lk_slice_starts(elf.need[i], LK_S("lib")));
	/* Wherever it is cut or changed, nothing outside of it is read. */
	for (size_t n = 0; n < 1024; n++) {
		static uint8_t part[1024];

		memcpy(part, store, n);
		lk_elf_read(lk_slice_of(part, n), &elf);
		OK(n >= 64 || !elf.elf);
	}
	for (size_t i = 0; i < 20000; i++) {
		uint8_t *p = &store[(i * 7919) % (i % 3 == 0 ? 1024 : b.n)], was = *p;

		*p = (uint8_t)(i % 5 == 0 ? 0xff : i);
		lk_elf_read(lk_slice_buf(&b), &elf);
		OK(elf.needs <= LK_ELF_NEEDS);
		*p = was;
	}
	b.n = 0;
	memset(&e, 0, sizeof(e));
	NEED(lk_file_read("/proc/self/exe", &b, &e) == LK_OK);
	lk_elf_read(lk_slice_buf(&b), &elf);
	OK(elf.elf);
}
