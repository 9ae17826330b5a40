/* The tables of an OVMF image: the list of GUIDs at its end and the SEV metadata it points to. */
#include "measure_int.h"

#define RESET_VECTOR 32u /* after the last entry */
#define TAIL         18u /* of an entry: u16 size of the whole entry, GUID */
#define META_HEADER  16u
#define DESCRIPTOR   12u
#define MEMORY_MAX   (64u << 20)

/* As they lie in the file: the first three groups are little-endian. */
static const uint8_t footer_guid[16] = {
    0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45, 0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d};

enum { HASHES, RESET, METADATA, WANTED };
static const struct {
	uint8_t guid[16];
	const char *what;
} wanted[WANTED] = {
    [HASHES] = {{0x1f, 0x37, 0x55, 0x72, 0x3b, 0x3a, 0x04, 0x4b, 0x92, 0x7b, 0x1d, 0xa6, 0xef, 0xa8,
		    0xd4, 0x54},
	"SEV hash table"},
    [RESET] = {{0xde, 0x71, 0xf7, 0x00, 0x7e, 0x1a, 0xcb, 0x4f, 0x89, 0x0e, 0x68, 0xc7, 0x7e, 0x2f,
		   0xb4, 0x4e},
	"SEV-ES reset block"},
    [METADATA] = {{0x66, 0x65, 0x88, 0xdc, 0x4a, 0x98, 0x98, 0x47, 0xa7, 0x5e, 0x55, 0x85, 0xa7,
		      0xbf, 0x67, 0xcc},
	"SEV metadata"},
};

static uint32_t le(struct lk_slice s, size_t at, size_t n)
{
	uint32_t v = 0;

	LK_BUG_ON(at > s.n || n > s.n - at);
	for (size_t i = n; i-- > 0;)
		v = v << 8 | s.p[at + i];
	return v;
}

struct entries {
	bool there[WANTED];
	uint32_t value[WANTED]; /* the first four bytes of the entry's data */
};

/* One entry, taken off the end of what remains of the table. */
LK_CHECK static enum lk_code entry(struct lk_slice *rest, struct entries *out, struct lk_err *e)
{
	uint32_t size;
	struct lk_slice guid;

	if (rest->n < TAIL)
		return lk_fail(e, LK_EPROTO, "its GUID table ends in a fragment");
	size = le(*rest, rest->n - TAIL, 2);
	if (size < TAIL || size > rest->n)
		return lk_fail(e, LK_EPROTO,
		    "its GUID table has an entry of %u bytes where %u to %zu fit", size, TAIL,
		    rest->n);
	guid = lk_slice_sub(*rest, rest->n - 16, 16);
	for (size_t i = 0; i < WANTED; i++) {
		if (!lk_slice_eq(guid, lk_slice_of(wanted[i].guid, 16)))
			continue;
		if (out->there[i])
			return lk_fail(
			    e, LK_EPROTO, "its GUID table has the %s twice", wanted[i].what);
		if (size < TAIL + 4)
			return lk_fail(e, LK_EPROTO, "its %s entry is too short", wanted[i].what);
		out->there[i] = true;
		out->value[i] = le(*rest, rest->n - size, 4);
	}
	rest->n -= size;
	return LK_OK;
}

LK_CHECK static enum lk_code footer(struct lk_slice image, struct entries *out, struct lk_err *e)
{
	size_t tail = image.n - RESET_VECTOR - TAIL;
	struct lk_slice rest;
	uint32_t size;

	if (!lk_slice_eq(lk_slice_sub(image, tail + 2, 16), lk_slice_of(footer_guid, 16))) {
		(void)lk_fail(
		    e, LK_EPROTO, "no GUID table at its end: not an OVMF image, or cut off");
		return lk_hint(e, "give the file that QEMU gets with -bios");
	}
	size = le(image, tail, 2);
	if (size < TAIL || size - TAIL > tail)
		return lk_fail(e, LK_EPROTO, "its GUID table of %u bytes leaves the file", size);
	rest = lk_slice_sub(image, tail - (size - TAIL), size - TAIL);
	while (rest.n > 0)
		if (entry(&rest, out, e) != LK_OK)
			return e->code;
	return LK_OK;
}

LK_CHECK static enum lk_code section_alone(
    const struct section *s, uint64_t firmware, struct lk_err *e)
{
	switch (s->type) {
	case SEC_MEM:
	case SEC_SVSM_CAA:
		break;
	case SEC_SECRETS:
	case SEC_CPUID:
	case SEC_KERNEL_HASHES:
		if (s->type != SEC_KERNEL_HASHES && s->size != PAGE)
			return lk_fail(e, LK_EPROTO, "0x%x bytes where one page belongs", s->size);
		break;
	default:
		return lk_fail(e, LK_EPROTO, "unknown type 0x%x", s->type);
	}
	if (s->at % PAGE != 0 || s->size % PAGE != 0 || s->size == 0)
		return lk_fail(
		    e, LK_EPROTO, "0x%x bytes at 0x%x are not whole pages", s->size, s->at);
	if ((uint64_t)s->at + s->size > firmware)
		return lk_fail(e, LK_EPROTO, "0x%x bytes at 0x%x reach into the firmware at 0x%llx",
		    s->size, s->at, (unsigned long long)firmware);
	return LK_OK;
}

LK_CHECK static enum lk_code sections_fit(const struct ovmf *o, uint64_t firmware, struct lk_err *e)
{
	uint64_t total = 0;

	for (size_t i = 0; i < o->sections; i++) {
		const struct section *a = &o->section[i];

		if (section_alone(a, firmware, e) != LK_OK)
			return lk_err_prefix(e, "section %zu", i);
		total += a->size;
		for (size_t j = 0; j < i; j++) {
			const struct section *b = &o->section[j];
			if ((uint64_t)a->at < (uint64_t)b->at + b->size &&
			    (uint64_t)b->at < (uint64_t)a->at + a->size)
				return lk_fail(e, LK_EPROTO, "sections %zu and %zu overlap", j, i);
		}
	}
	if (total > MEMORY_MAX)
		return lk_fail(
		    e, LK_ELIMIT, "its sections have more than %u MiB", MEMORY_MAX >> 20);
	return LK_OK;
}

LK_CHECK static enum lk_code metadata(
    struct lk_slice image, uint32_t from_end, struct ovmf *out, struct lk_err *e)
{
	struct lk_slice m;
	uint32_t size, count;

	if (from_end < META_HEADER || from_end > image.n)
		return lk_fail(e, LK_EPROTO, "its SEV metadata lies outside of the file");
	m = lk_slice_sub(image, image.n - from_end, from_end);
	size = le(m, 4, 4);
	count = le(m, 12, 4);
	if (!lk_slice_starts(m, LK_S("ASEV")) || le(m, 8, 4) != 1)
		return lk_fail(e, LK_EPROTO, "its SEV metadata is not of version 1");
	if (size < META_HEADER || size > m.n)
		return lk_fail(e, LK_EPROTO, "its SEV metadata of %u bytes leaves the file", size);
	if (count > SECTIONS_MAX)
		return lk_fail(e, LK_ELIMIT, "it has %u sections, over %d", count, SECTIONS_MAX);
	if (count > (size - META_HEADER) / DESCRIPTOR)
		return lk_fail(e, LK_EPROTO, "%u sections do not fit into %u bytes of SEV metadata",
		    count, size);
	for (uint32_t i = 0; i < count; i++) {
		size_t at = META_HEADER + DESCRIPTOR * (size_t)i;
		out->section[i] = (struct section){
		    .at = le(m, at, 4), .size = le(m, at + 4, 4), .type = le(m, at + 8, 4)};
	}
	out->sections = count;
	return LK_OK;
}

enum lk_code lk_ovmf_read(struct lk_slice image, struct ovmf *out, struct lk_err *e)
{
	struct entries found = {.there = {false}};

	*out = (struct ovmf){.reset = 0};
	if (footer(image, &found, e) != LK_OK)
		return e->code;
	if (!found.there[RESET] || found.value[RESET] == 0)
		return lk_fail(e, LK_EPROTO, "no SEV-ES reset block: not built for SEV");
	if (!found.there[METADATA])
		return lk_fail(e, LK_EPROTO, "no SEV metadata: not built for SEV-SNP");
	out->reset = found.value[RESET];
	out->hashes = found.value[HASHES];
	if (metadata(image, found.value[METADATA], out, e) != LK_OK)
		return e->code;
	return sections_fit(out, FOUR_GIB - image.n, e);
}
