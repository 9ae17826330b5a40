/* lk/measure.h - the launch measurement of an SEV-SNP guest, worked out from files alone.
 *
 * What the secure processor arrives at (MEASUREMENT of the report, the claim
 * x-ms-sevsnpvm-launchmeasurement) for a guest that QEMU/KVM, or the hypervisor of ec2 or gce,
 * starts from an OVMF image and, with QEMU's kernel-hashes, from a kernel, initrd and command line.
 * Not for guests with an SVSM, nor for SEV and SEV-ES, whose digests are made otherwise.
 *
 * Sources: AMD SEV-SNP firmware ABI (PAGE_INFO of SNP_LAUNCH_UPDATE), AMD64 Architecture Manual
 * volume 2 (VMSA), the GUID table and SEV metadata of edk2's OvmfPkg; protocol/
 * snp-launch-digest.md has them together, with the values that the hypervisors put into the VMSA.
 *
 * The image is not trusted to be well-formed. Refused are: a length that is not whole pages or over
 * 16 MiB; no GUID table at its end, or one that leaves the file, ends in a fragment or has an entry
 * twice; no reset block, no metadata, another version of it, descriptors outside of what it states
 * or of the file, over 128 of them; sections of unknown type, of no or broken pages, over 64 MiB
 * together, that overlap or reach into the image; secrets and CPUID sections of more than one page;
 * a kernel for an image that has no page for its hashes, or elsewhere than the table says. All of
 * that is LK_EPROTO or LK_ELIMIT; the caller's own numbers out of range are LK_ECONF.
 */
#ifndef LK_MEASURE_H
#define LK_MEASURE_H

#include "lk/slice.h"

#define LK_MEASURE_SIZE      48
#define LK_MEASURE_OVMF_MAX  (16u << 20)
#define LK_MEASURE_VCPUS_MAX 512u

enum lk_vmm { LK_VMM_QEMU, LK_VMM_EC2, LK_VMM_GCE };

/* All slices are borrowed for the call. */
struct lk_measure {
	enum lk_vmm vmm;
	struct lk_slice ovmf;
	/* The digest after the image's own pages, instead of hashing them (the tables are read all
	 * the same); empty, or 48 bytes. */
	struct lk_slice ovmf_digest;
	bool with_kernel; /* given, be it empty: the hashes are part of the measurement */
	struct lk_slice kernel, initrd; /* as on disk */
	struct lk_slice append;         /* without the NUL that is hashed with it */
	uint32_t vcpus;                 /* 1 to LK_MEASURE_VCPUS_MAX */
	uint32_t vcpu_sig;              /* CPUID Fn0000_0001 EAX; used by QEMU only */
	uint64_t features;              /* SEV_FEATURES; 1: SNP and nothing else */
};

LK_CHECK enum lk_code lk_measure_snp(
    const struct lk_measure *in, uint8_t out[static LK_MEASURE_SIZE], struct lk_err *e);

/* The signature of one of QEMU's CPU models by name ("EPYC-Milan-v2"). LK_ECONF. */
LK_CHECK enum lk_code lk_measure_cpu(struct lk_slice name, uint32_t *sig, struct lk_err *e);

#endif
