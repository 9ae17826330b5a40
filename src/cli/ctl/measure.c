/* The launch measurement: one digest over each page's digest, in the order of the launch. */
#include "lk/measure.h"

#include <string.h>

#include "measure_int.h"
#include "lk/crypto.h"

#define PAGE_INFO 112
#define VMSA_AT   UINT64_C(0x0000fffffffff000) /* by convention, of every VMSA */

enum page_type { NORMAL = 1, VMSA = 2, ZERO = 3, UNMEASURED = 4, SECRETS = 5, CPUID = 6 };

/* The digest so far takes in one page. `contents` is the page's SHA-384, or NULL for types that are
 * measured by their place alone. */
LK_CHECK static enum lk_code update(uint8_t ld[static LK_MEASURE_SIZE], enum page_type type,
    uint64_t at, const uint8_t *contents, struct lk_err *e)
{
	uint8_t info[PAGE_INFO] = {0};
	struct lk_slice all = lk_slice_of(info, sizeof(info));

	memcpy(info, ld, LK_MEASURE_SIZE);
	if (contents != NULL)
		memcpy(info + 0x30, contents, LK_MEASURE_SIZE);
	lk_put_le(info + 0x60, 2, PAGE_INFO);
	info[0x62] = (uint8_t)type;
	lk_put_le(info + 0x68, 8, at);
	return lk_hash(LK_SHA384, &all, 1, ld, e);
}

LK_CHECK static enum lk_code update_page(uint8_t ld[static LK_MEASURE_SIZE], enum page_type type,
    uint64_t at, const uint8_t *page, struct lk_err *e)
{
	uint8_t digest[LK_MEASURE_SIZE];
	struct lk_slice all = lk_slice_of(page, PAGE);

	if (lk_hash(LK_SHA384, &all, 1, digest, e) != LK_OK)
		return e->code;
	return update(ld, type, at, digest, e);
}

LK_CHECK static enum lk_code update_range(uint8_t ld[static LK_MEASURE_SIZE], enum page_type type,
    const struct section *s, struct lk_err *e)
{
	for (uint32_t off = 0; off < s->size; off += PAGE)
		if (update(ld, type, (uint64_t)s->at + off, NULL, e) != LK_OK)
			return e->code;
	return LK_OK;
}

LK_CHECK static enum lk_code firmware(
    const struct lk_measure *in, uint8_t ld[static LK_MEASURE_SIZE], struct lk_err *e)
{
	uint64_t base = FOUR_GIB - in->ovmf.n;

	if (in->ovmf_digest.n > 0) {
		memcpy(ld, in->ovmf_digest.p, LK_MEASURE_SIZE);
		return LK_OK;
	}
	for (size_t off = 0; off < in->ovmf.n; off += PAGE)
		if (update_page(ld, NORMAL, base + off, in->ovmf.p + off, e) != LK_OK)
			return e->code;
	return LK_OK;
}

/* A table entry: GUID, length, SHA-256. */
#define HASHES_SIZE 176 /* 168, padded to a multiple of 16 */
#define ENTRY_SIZE  50

enum lk_code lk_hashes_page(
    const struct lk_measure *in, uint32_t table_at, uint8_t page[static PAGE], struct lk_err *e)
{
	static const uint8_t guid[4][16] = {
	    {0x06, 0xd6, 0x38, 0x94, 0x22, 0x4f, 0xc9, 0x4c, 0xb4, 0x79, 0xa7, 0x93, 0xd4, 0x11,
		0xfd, 0x21}, /* the table */
	    {0xd8, 0x2d, 0xd0, 0x97, 0x20, 0xbd, 0x94, 0x4c, 0xaa, 0x78, 0xe7, 0x71, 0x4d, 0x36,
		0xab, 0x2a}, /* command line */
	    {0x31, 0xf7, 0xba, 0x44, 0x2f, 0x3a, 0xd7, 0x4b, 0x9a, 0xf1, 0x41, 0xe2, 0x91, 0x69,
		0x78, 0x1d}, /* initrd */
	    {0x37, 0x94, 0xe7, 0x4d, 0xd2, 0xab, 0x7f, 0x42, 0xb8, 0x35, 0xd5, 0xb1, 0x72, 0xd2,
		0x04, 0x5b}, /* kernel */
	};
	const struct lk_slice parts[3][2] = {
	    {in->append, LK_S("\0")}, {in->initrd, {NULL, 0}}, {in->kernel, {NULL, 0}}};
	uint8_t *table = page + (table_at & (PAGE - 1)), *p;

	if ((table_at & (PAGE - 1)) > PAGE - HASHES_SIZE)
		return lk_fail(
		    e, LK_EPROTO, "its SEV hash table at 0x%x leaves its page", table_at);
	memset(page, 0, PAGE);
	memcpy(table, guid[0], 16);
	lk_put_le(table + 16, 2, 18 + 3 * ENTRY_SIZE);
	p = table + 18;
	for (size_t i = 0; i < 3; i++, p += ENTRY_SIZE) {
		memcpy(p, guid[1 + i], 16);
		lk_put_le(p + 16, 2, ENTRY_SIZE);
		if (lk_hash(LK_SHA256, parts[i], 2, p + 18, e) != LK_OK)
			return e->code;
	}
	return LK_OK;
}

LK_CHECK static enum lk_code kernel_hashes(const struct lk_measure *in, const struct ovmf *o,
    const struct section *s, uint8_t ld[static LK_MEASURE_SIZE], struct lk_err *e)
{
	static uint8_t page[PAGE];

	if (!in->with_kernel)
		return update_range(ld, ZERO, s, e);
	if (s->size != PAGE)
		return lk_fail(e, LK_EPROTO, "its section for kernel hashes is not one page");
	if ((o->hashes & ~(PAGE - 1)) != s->at)
		return lk_fail(e, LK_EPROTO,
		    "its SEV hash table at 0x%x is not in the page for kernel hashes at 0x%x",
		    o->hashes, s->at);
	if (lk_hashes_page(in, o->hashes, page, e) != LK_OK)
		return e->code;
	return update_page(ld, NORMAL, s->at, page, e);
}

/* ec2 launches CPUID pages after all others. */
LK_CHECK static enum lk_code metadata(const struct lk_measure *in, const struct ovmf *o,
    bool cpuid_only, uint8_t ld[static LK_MEASURE_SIZE], struct lk_err *e)
{
	bool late = in->vmm == LK_VMM_EC2;
	enum lk_code rc = LK_OK;

	for (size_t i = 0; i < o->sections && rc == LK_OK; i++) {
		const struct section *s = &o->section[i];

		if (late && (s->type == SEC_CPUID) != cpuid_only)
			continue;
		switch ((enum section_type)s->type) {
		case SEC_MEM:
			rc = update_range(ld, in->vmm == LK_VMM_GCE ? UNMEASURED : ZERO, s, e);
			break;
		case SEC_SECRETS:
			rc = update(ld, SECRETS, s->at, NULL, e);
			break;
		case SEC_CPUID:
			rc = update(ld, CPUID, s->at, NULL, e);
			break;
		case SEC_SVSM_CAA:
			rc = update_range(ld, ZERO, s, e);
			break;
		case SEC_KERNEL_HASHES:
			rc = kernel_hashes(in, o, s, ld, e);
			break;
		}
	}
	return rc;
}

LK_CHECK static enum lk_code processors(const struct lk_measure *in, const struct ovmf *o,
    uint8_t ld[static LK_MEASURE_SIZE], struct lk_err *e)
{
	static uint8_t page[PAGE];

	for (uint32_t i = 0; i < in->vcpus; i++) {
		if (i < 2) /* from the second on they are alike */
			lk_vmsa_page(in, i == 0 ? BOOT_ENTRY : o->reset, page);
		if (update_page(ld, VMSA, VMSA_AT, page, e) != LK_OK)
			return e->code;
	}
	return LK_OK;
}

LK_CHECK static enum lk_code inputs(const struct lk_measure *in, struct lk_err *e)
{
	if (in->vcpus < 1 || in->vcpus > LK_MEASURE_VCPUS_MAX)
		return lk_fail(
		    e, LK_ECONF, "the number of processors must be 1 to %u", LK_MEASURE_VCPUS_MAX);
	if (in->ovmf_digest.n != 0 && in->ovmf_digest.n != LK_MEASURE_SIZE)
		return lk_fail(e, LK_ECONF, "the firmware's digest must have 48 bytes");
	if (!in->with_kernel && (in->kernel.n > 0 || in->initrd.n > 0 || in->append.n > 0))
		return lk_fail(
		    e, LK_ECONF, "without a kernel, initrd and command line are not measured");
	return LK_OK;
}

enum lk_code lk_measure_snp(
    const struct lk_measure *in, uint8_t out[static LK_MEASURE_SIZE], struct lk_err *e)
{
	static struct ovmf o;
	uint8_t ld[LK_MEASURE_SIZE] = {0};
	bool hashes = false;

	if (inputs(in, e) != LK_OK)
		return e->code;
	if (in->ovmf.n > LK_MEASURE_OVMF_MAX)
		return lk_fail(
		    e, LK_ELIMIT, "firmware image: more than %u MiB", LK_MEASURE_OVMF_MAX >> 20);
	if (in->ovmf.n == 0 || in->ovmf.n % PAGE != 0)
		return lk_fail(
		    e, LK_EPROTO, "firmware image: %zu bytes are not whole pages", in->ovmf.n);
	if (lk_ovmf_read(in->ovmf, &o, e) != LK_OK)
		return lk_err_prefix(e, "firmware image");
	for (size_t i = 0; i < o.sections; i++)
		hashes = hashes || o.section[i].type == SEC_KERNEL_HASHES;
	if (in->with_kernel && !hashes) {
		(void)lk_fail(e, LK_EPROTO,
		    "firmware image: no page for kernel hashes, so the kernel is not measured");
		return lk_hint(
		    e, "use an OVMF built from AmdSev/AmdSevX64.dsc, or leave out --kernel");
	}
	if (firmware(in, ld, e) != LK_OK || metadata(in, &o, false, ld, e) != LK_OK)
		return lk_err_prefix(e, "firmware image");
	if (in->vmm == LK_VMM_EC2 && metadata(in, &o, true, ld, e) != LK_OK)
		return lk_err_prefix(e, "firmware image");
	if (processors(in, &o, ld, e) != LK_OK)
		return e->code;
	memcpy(out, ld, LK_MEASURE_SIZE);
	return LK_OK;
}
