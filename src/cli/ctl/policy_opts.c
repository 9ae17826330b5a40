/* The options of `latchkeyctl policy`. */
#include <string.h>

#include "opts_table.h"
#include "ctl.h"
#include "policy.h"

struct lk_policy_args lk_policy_args;

LK_CHECK static enum lk_code set_path(struct lk_slice v, void *to, size_t size, struct lk_err *e)
{
	(void)size;
	if (v.n == 0)
		return lk_fail(e, LK_ECONF, "must be a file");
	*(const char **)to = (const char *)v.p;
	return LK_OK;
}

LK_CHECK static enum lk_code set_text(struct lk_slice v, void *to, size_t size, struct lk_err *e)
{
	(void)size;
	(void)e;
	*(struct lk_slice *)to = v;
	return LK_OK;
}

LK_CHECK static enum lk_code set_word(struct lk_slice v, void *to, size_t size, struct lk_err *e)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] <= ' ' || v.p[i] > '~')
			return lk_fail(e, LK_ECONF, "must be printable text without blanks");
	if (v.n == 0 || v.n > 100)
		return lk_fail(e, LK_ECONF, "must have 1 to 100 characters");
	return set_text(v, to, size, e);
}

LK_CHECK static enum lk_code hex(struct lk_slice v, uint8_t *to, size_t want, struct lk_err *e)
{
	uint8_t store[LK_MEASURE_SIZE];
	struct lk_buf b = {.p = store, .n = 0, .cap = want, .bad = false};

	LK_BUG_ON(want > sizeof(store));
	if (v.n != 2 * want || lk_hex_decode(v, &b, e) != LK_OK)
		return lk_fail(e, LK_ECONF, "must be %zu hexadecimal digits", 2 * want);
	memcpy(to, store, want);
	return LK_OK;
}

LK_CHECK static enum lk_code set_digest(
    struct lk_slice v, struct lk_policy_digest *d, size_t n, struct lk_err *e)
{
	if (hex(v, d->v, n, e) != LK_OK)
		return e->code;
	d->n = n;
	return LK_OK;
}

LK_CHECK static enum lk_code set_48(struct lk_slice v, void *to, size_t size, struct lk_err *e)
{
	(void)size;
	return set_digest(v, to, 48, e);
}

LK_CHECK static enum lk_code set_32(struct lk_slice v, void *to, size_t size, struct lk_err *e)
{
	(void)size;
	return set_digest(v, to, 32, e);
}

LK_CHECK static enum lk_code set_measurement(
    struct lk_slice v, void *to, size_t size, struct lk_err *e)
{
	struct lk_policy *p = to;

	(void)size;
	if (p->measurements == LK_POLICY_PINS)
		return lk_fail(e, LK_ECONF, "given more than %d times", LK_POLICY_PINS);
	if (hex(v, p->measurement[p->measurements], LK_MEASURE_SIZE, e) != LK_OK)
		return e->code;
	p->measurements++;
	return LK_OK;
}

/* Hexadecimal with or without 0x, into an integer of `size` bytes. */
LK_CHECK static enum lk_code set_hex_number(
    struct lk_slice v, void *to, size_t size, struct lk_err *e)
{
	uint64_t n = 0;
	uint32_t n32;

	if (lk_slice_starts(v, LK_S("0x")))
		v = lk_slice_sub(v, 2, v.n);
	for (size_t i = 0; i < v.n; i++) {
		uint8_t c = v.p[i];
		unsigned digit = 16;

		if (c >= '0' && c <= '9')
			digit = (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (unsigned)(c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			digit = (unsigned)(c - 'A' + 10);
		if (digit == 16)
			return lk_fail(e, LK_ECONF, "must be hexadecimal");
		n = n << 4 | digit;
	}
	if (v.n == 0 || v.n > 2 * size)
		return lk_fail(e, LK_ECONF, "must have 1 to %zu hexadecimal digits", 2 * size);
	n32 = (uint32_t)n;
	memcpy(to, size == 8 ? (const void *)&n : (const void *)&n32, size);
	return LK_OK;
}

LK_CHECK static enum lk_code set_vcpus(struct lk_slice v, void *to, size_t size, struct lk_err *e)
{
	uint32_t n = 0;

	(void)size;
	if (!lk_slice_u32(v, LK_MEASURE_VCPUS_MAX, &n) || n == 0)
		return lk_fail(e, LK_ECONF, "must be a number from 1 to %u", LK_MEASURE_VCPUS_MAX);
	memcpy(to, &n, sizeof(n));
	return LK_OK;
}

LK_CHECK static enum lk_code set_yesno(struct lk_slice v, void *to, size_t size, struct lk_err *e)
{
	(void)size;
	if (!lk_slice_eq_str(v, "yes") && !lk_slice_eq_str(v, "no"))
		return lk_fail(e, LK_ECONF, "must be yes or no");
	*(bool *)to = lk_slice_eq_str(v, "yes");
	return LK_OK;
}

LK_CHECK static enum lk_code set_vmm(struct lk_slice v, void *to, size_t size, struct lk_err *e)
{
	static const char *const name[] = {
	    [LK_VMM_QEMU] = "qemu", [LK_VMM_EC2] = "ec2", [LK_VMM_GCE] = "gce"};

	(void)size;
	for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		if (lk_slice_eq_str(v, name[i])) {
			*(enum lk_vmm *)to = (enum lk_vmm)i;
			return LK_OK;
		}
	return lk_fail(e, LK_ECONF, "must be qemu, ec2 or gce");
}

LK_CHECK static enum lk_code set_cpu(struct lk_slice v, void *to, size_t size, struct lk_err *e)
{
	uint32_t sig = 0;

	if (lk_measure_cpu(v, &sig, e) != LK_OK)
		return e->code;
	return set_text(v, to, size, e);
}

#define AT(member)                                                                                 \
	offsetof(struct lk_policy_args, member), sizeof(((struct lk_policy_args *)0)->member)

static const struct lk_own_opt rows[] = {
    {"measurement", "HEX", set_measurement, AT(pins),
	"policy: pin this launch measurement; may be repeated, any of them will do"},
    {"host-data", "HEX", set_32, AT(pins.host_data), "policy: pin the host data"},
    {"id-key-digest", "HEX", set_48, AT(pins.id_key), "policy: pin the signer of the ID block"},
    {"compliance", "TEXT", set_word, AT(pins.compliance),
	"policy: pin the compliance status [--vtpm: azure-compliant-cvm]"},
    {"debuggable", "yes|no", set_yesno, AT(pins.debuggable),
	"policy: yes takes guests that the host can read [no]"},
    {"vtpm", NULL, NULL, AT(pins.vtpm), "policy: for VMs of Azure with a paravisor"},
    {"measure", NULL, NULL, AT(measure),
	"policy: work the measurement out from --ovmf, --vcpus and --vcpu-type"},
    {"ovmf", "FILE", set_path, AT(ovmf), "policy: the firmware image"},
    {"kernel", "FILE", set_path, AT(kernel), "policy: the kernel, with QEMU's kernel-hashes=on"},
    {"initrd", "FILE", set_path, AT(initrd), "policy: the initramfs"},
    {"append", "TEXT", set_text, AT(append), "policy: the kernel command line"},
    {"vcpus", "N", set_vcpus, AT(in.vcpus), "policy: number of processors"},
    {"vcpu-type", "NAME", set_cpu, AT(cpu), "policy: QEMU's CPU model, as EPYC-Milan"},
    {"vcpu-sig", "HEX", set_hex_number, AT(in.vcpu_sig), "policy: CPUID signature instead"},
    {"guest-features", "HEX", set_hex_number, AT(in.features), "policy: SEV_FEATURES [1]"},
    {"vmm", "NAME", set_vmm, AT(in.vmm), "policy: hypervisor, qemu, ec2 or gce [qemu]"},
    {"ovmf-digest", "HEX", set_48, AT(ovmf_digest),
	"policy: digest after the firmware's pages instead of hashing them"},
};

/* The settings have an option of that name already; here it says what is pinned. */
void lk_policy_vmpl(const struct lk_args *a)
{
	size_t index = 0;
	const struct lk_opt *o = lk_opt_find(LK_S("vmpl"), &index);

	LK_BUG_ON(o == NULL);
	if ((a->given >> index & 1) != 0)
		lk_policy_args.pins.vmpl = a->conf.vmpl;
}

void lk_policy_options(void)
{
	lk_policy_args = (struct lk_policy_args){.in.features = 1};
	lk_policy_args.pins.vmpl = LK_VMPL_UNSET;
	lk_opts_more(rows, sizeof(rows) / sizeof(rows[0]), &lk_policy_args);
}
