/* The launch state of a virtual processor, and the signatures of QEMU's CPU models. */
#include <string.h>

#include "measure_int.h"

/* Every field that is not zero and the same for all: offset, length, value. A segment register is
 * selector u16, attributes u16, limit u32, base u64. */
static const struct {
	uint16_t at, n;
	uint64_t value;
} fixed[] = {
    {0x002, 2, 0x93}, {0x004, 4, 0xffff},                     /* ES */
    {0x010, 2, 0xf000}, {0x012, 2, 0x9b}, {0x014, 4, 0xffff}, /* CS */
    {0x022, 2, 0x93}, {0x024, 4, 0xffff},                     /* SS */
    {0x032, 2, 0x93}, {0x034, 4, 0xffff},                     /* DS */
    {0x042, 2, 0x93}, {0x044, 4, 0xffff},                     /* FS */
    {0x052, 2, 0x93}, {0x054, 4, 0xffff},                     /* GS */
    {0x064, 4, 0xffff},                                       /* GDTR */
    {0x072, 2, 0x82}, {0x074, 4, 0xffff},                     /* LDTR */
    {0x084, 4, 0xffff},                                       /* IDTR */
    {0x092, 2, 0x8b}, {0x094, 4, 0xffff},                     /* TR */
    {0x0d0, 8, 0x1000},                                       /* EFER: SVME */
    {0x148, 8, 0x40}, {0x158, 8, 0x10},                       /* CR4: MCE, CR0: ET */
    {0x160, 8, 0x400}, {0x168, 8, 0xffff0ff0},                /* DR7, DR6 */
    {0x170, 8, 0x2},                                          /* RFLAGS */
    {0x268, 8, UINT64_C(0x0007040600070406)},                 /* G_PAT */
    {0x3e8, 8, 0x1},                                          /* XCR0 */
};

#define AT_CS_ATTR  0x012
#define AT_CS_BASE  0x018
#define AT_SS_ATTR  0x022
#define AT_TR_ATTR  0x092
#define AT_RIP      0x178
#define AT_G_PAT    0x268
#define AT_RDX      0x310
#define AT_FEATURES 0x3b0
#define AT_MXCSR    0x408
#define AT_X87_FCW  0x410

void lk_put_le(uint8_t *to, size_t n, uint64_t v)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)(v >> 8 * i);
}

void lk_vmsa_page(const struct lk_measure *in, uint32_t entry, uint8_t page[static PAGE])
{
	memset(page, 0, PAGE);
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		lk_put_le(page + fixed[i].at, fixed[i].n, fixed[i].value);
	lk_put_le(page + AT_CS_BASE, 8, entry & 0xffff0000u);
	lk_put_le(page + AT_RIP, 8, entry & 0xffffu);
	lk_put_le(page + AT_FEATURES, 8, in->features);
	switch (in->vmm) {
	case LK_VMM_QEMU:
		lk_put_le(page + AT_RDX, 8, in->vcpu_sig);
		/* Since KVM_SEV_INIT2 (Linux 6.10) KVM copies the FPU's reset state. */
		lk_put_le(page + AT_MXCSR, 4, 0x1f80);
		lk_put_le(page + AT_X87_FCW, 2, 0x37f);
		break;
	case LK_VMM_EC2:
		lk_put_le(page + AT_RDX, 8, 0x600);
		lk_put_le(page + AT_CS_ATTR, 2, entry == BOOT_ENTRY ? 0x9a : 0x9b);
		lk_put_le(page + AT_SS_ATTR, 2, 0x92);
		lk_put_le(page + AT_TR_ATTR, 2, 0x83);
		break;
	case LK_VMM_GCE:
		lk_put_le(page + AT_RDX, 8, 0x600);
		lk_put_le(page + AT_G_PAT, 8, 0x00070106);
		break;
	}
}

/* CPUID Fn0000_0001 EAX of family, model and stepping. */
#define SIG(f, m, s)                                                                               \
	((uint32_t)((f)-15) << 20 | (uint32_t)(m) >> 4 << 16 | 15u << 8 |                          \
	    ((uint32_t)(m)&15u) << 4 | (s))

enum lk_code lk_measure_cpu(struct lk_slice name, uint32_t *sig, struct lk_err *e)
{
	/* A model's versions differ in features, not in the signature; a version that QEMU (10.1)
	 * does not have is not accepted, since it would be a typing error. */
	static const struct {
		const char *name;
		uint32_t versions, sig;
	} models[] = {
	    {"EPYC", 5, SIG(23, 1, 2)},
	    {"EPYC-Rome", 5, SIG(23, 49, 0)},
	    {"EPYC-Milan", 3, SIG(25, 1, 1)},
	    {"EPYC-Genoa", 2, SIG(25, 17, 0)},
	    {"EPYC-Turin", 1, SIG(26, 0, 0)},
	    {"EPYC-IBPB", 0, SIG(23, 1, 2)},
	};

	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
		struct lk_slice base = lk_slice_str(models[i].name), rest;
		uint32_t version = 0;

		if (!lk_slice_starts(name, base))
			continue;
		rest = lk_slice_sub(name, base.n, name.n);
		if (rest.n > 0 &&
		    !(rest.n == 3 && lk_slice_starts(rest, LK_S("-v")) &&
			lk_slice_u32(lk_slice_sub(rest, 2, 1), models[i].versions, &version) &&
			version > 0))
			continue;
		*sig = models[i].sig;
		return LK_OK;
	}
	(void)lk_fail(e, LK_ECONF, "must be a model of QEMU whose signature is known");
	return lk_hint(e,
	    "EPYC, EPYC-Rome, EPYC-Milan, EPYC-Genoa, EPYC-Turin, with -v1.. where there "
	    "is one; any other with --vcpu-sig HEX");
}
