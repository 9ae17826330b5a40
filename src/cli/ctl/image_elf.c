/* image_elf.c - does a program need an interpreter, and which libraries? (System V ABI, gABI
 * chapters 4 and 5, and the AMD64 supplement)
 */
#include "image_check.h"

#include <elf.h>
#include <string.h>

/* `n` structures of `size` bytes at `at`, if all of them lie within the file. */
static bool within(struct lk_slice file, uint64_t at, uint64_t n, uint64_t size)
{
	return at <= file.n && n <= (file.n - at) / size;
}

static struct lk_slice text_at(struct lk_slice file, uint64_t at)
{
	size_t end = 0;
	struct lk_slice rest = {NULL, 0};

	if (at < file.n)
		rest = lk_slice_sub(file, (size_t)at, file.n);
	if (!lk_slice_find(rest, 0, &end))
		return (struct lk_slice){NULL, 0};
	return lk_slice_sub(rest, 0, end);
}

static void header_at(struct lk_slice file, const Elf64_Ehdr *h, unsigned i, Elf64_Phdr *out)
{
	memcpy(out, file.p + h->e_phoff + (uint64_t)i * sizeof(*out), sizeof(*out));
}

/* Where in the file an address of the running program is. */
static bool offset_of(struct lk_slice file, const Elf64_Ehdr *h, uint64_t address, uint64_t *out)
{
	for (unsigned i = 0; i < h->e_phnum; i++) {
		Elf64_Phdr p;

		header_at(file, h, i, &p);
		if (p.p_type == PT_LOAD && address >= p.p_vaddr &&
		    address - p.p_vaddr < p.p_filesz) {
			*out = p.p_offset + (address - p.p_vaddr);
			return true;
		}
	}
	return false;
}

static void read_dynamic(
    struct lk_slice file, const Elf64_Ehdr *h, const Elf64_Phdr *p, struct lk_elf *out)
{
	uint64_t names = 0;
	Elf64_Dyn d;

	if (!within(file, p->p_offset, p->p_filesz / sizeof(d), sizeof(d)))
		return;
	for (unsigned pass = 0; pass < 2; pass++)
		for (uint64_t i = 0; i < p->p_filesz / sizeof(d); i++) {
			struct lk_slice name;

			memcpy(&d, file.p + p->p_offset + i * sizeof(d), sizeof(d));
			if (d.d_tag == DT_NULL)
				break;
			if (pass == 0 && d.d_tag == DT_STRTAB &&
			    !offset_of(file, h, d.d_un.d_ptr, &names))
				return;
			if (pass == 0 || d.d_tag != DT_NEEDED || d.d_un.d_val > file.n)
				continue;
			name = text_at(file, names + d.d_un.d_val);
			if (name.n > 0 && out->needs < LK_ELF_NEEDS)
				out->need[out->needs++] = name;
		}
}

void lk_elf_read(struct lk_slice file, struct lk_elf *out)
{
	Elf64_Ehdr h;

	memset(out, 0, sizeof(*out));
	if (file.n < sizeof(h))
		return;
	memcpy(&h, file.p, sizeof(h));
	if (memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 || h.e_ident[EI_CLASS] != ELFCLASS64 ||
	    h.e_ident[EI_DATA] != ELFDATA2LSB || h.e_phentsize != sizeof(Elf64_Phdr) ||
	    !within(file, h.e_phoff, h.e_phnum, sizeof(Elf64_Phdr)))
		return;
	out->elf = true;
	for (unsigned i = 0; i < h.e_phnum; i++) {
		Elf64_Phdr p;

		header_at(file, &h, i, &p);
		if (p.p_type == PT_INTERP)
			out->interpreter = text_at(file, p.p_offset);
		if (p.p_type == PT_DYNAMIC)
			read_dynamic(file, &h, &p, out);
	}
}
