/* measure_int.h - the parts of the launch measurement; private to src/cli/ctl/measure*.c. */
#ifndef LK_CLI_MEASURE_INT_H
#define LK_CLI_MEASURE_INT_H

#include "lk/measure.h"

#define PAGE         4096u
#define FOUR_GIB     (UINT64_C(1) << 32)
#define SECTIONS_MAX 128
#define BOOT_ENTRY   0xfffffff0u /* where the first processor starts */

enum section_type {
	SEC_MEM = 1,
	SEC_SECRETS = 2,
	SEC_CPUID = 3,
	SEC_SVSM_CAA = 4,
	SEC_KERNEL_HASHES = 0x10
};

/* What an OVMF image says about its launch. */
struct ovmf {
	uint32_t reset;  /* where application processors start */
	uint32_t hashes; /* address of the kernel-hashes table; 0: none */
	size_t sections;
	struct section {
		uint32_t at, size, type;
	} section[SECTIONS_MAX];
};

/* Read and check the tables of an image whose length is right. LK_EPROTO, LK_ELIMIT. */
LK_CHECK enum lk_code lk_ovmf_read(struct lk_slice image, struct ovmf *out, struct lk_err *e);

/* The save area of a virtual processor as it is launched: `entry` is the first instruction's
 * address. */
void lk_vmsa_page(const struct lk_measure *in, uint32_t entry, uint8_t page[static PAGE]);

/* The page that holds the digests of kernel, initrd and command line. */
LK_CHECK enum lk_code lk_hashes_page(
    const struct lk_measure *in, uint32_t table_at, uint8_t page[static PAGE], struct lk_err *e);

void lk_put_le(uint8_t *to, size_t n, uint64_t v);

#endif
