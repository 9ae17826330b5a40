/* policy.c - `latchkeyctl policy`: a release policy to standard output, or a launch measurement. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app.h"
#include "ctl.h"
#include "lk/io.h"
#include "lk/log.h"
#include "policy.h"

#define IMAGE_MAX (UINT64_C(2) << 30)

LK_CHECK static enum lk_code map_fd(int fd, struct lk_slice *out, struct lk_err *e)
{
	struct stat st;
	void *p;

	*out = (struct lk_slice){NULL, 0};
	if (fd < 0 || fstat(fd, &st) != 0)
		return lk_fail_sys(e, errno, "cannot be read");
	if (!S_ISREG(st.st_mode))
		return lk_fail(e, LK_ECONF, "not a regular file");
	if ((uint64_t)st.st_size > IMAGE_MAX)
		return lk_fail(e, LK_ELIMIT, "more than 2 GiB");
	if (st.st_size == 0)
		return LK_OK;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return lk_fail_sys(e, errno, "cannot be mapped");
	*out = lk_slice_of(p, (size_t)st.st_size);
	return LK_OK;
}

/* A whole file, mapped for the rest of the program. */
LK_CHECK static enum lk_code map(const char *path, struct lk_slice *out, struct lk_err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	enum lk_code rc = map_fd(fd, out, e);

	lk_close(&fd);
	return rc == LK_OK ? LK_OK : lk_err_prefix(e, "%s", path);
}

/* What is wrong with the inputs of a measurement, or NULL. */
static const char *wrong_inputs(const struct lk_policy_args *p)
{
	if (p->ovmf == NULL)
		return "--measure needs --ovmf FILE";
	if (p->in.vcpus == 0)
		return "--measure needs --vcpus N";
	if (p->cpu.n > 0 && p->in.vcpu_sig != 0)
		return "--vcpu-type and --vcpu-sig exclude each other";
	if (p->in.vmm == LK_VMM_QEMU && p->cpu.n == 0 && p->in.vcpu_sig == 0)
		return "--measure needs --vcpu-type NAME or --vcpu-sig HEX";
	if (p->kernel == NULL && (p->initrd != NULL || p->append.n > 0))
		return "--initrd and --append are measured only with --kernel";
	if (p->pins.vtpm)
		return "what a paravisor launches cannot be worked out: --measure or --vtpm";
	if (p->pins.measurements == LK_POLICY_PINS)
		return "too many measurements";
	return NULL;
}

static bool has_inputs(const struct lk_policy_args *p)
{
	return p->kernel != NULL || p->initrd != NULL || p->append.n > 0 || p->cpu.n > 0 ||
	       p->ovmf_digest.n > 0 || p->in.vcpus > 0 || p->in.vcpu_sig != 0 ||
	       p->in.features != 1 || p->in.vmm != LK_VMM_QEMU;
}

static bool has_pins(const struct lk_policy *p)
{
	return p->vtpm || p->measurements > 0 || p->host_data.n > 0 || p->id_key.n > 0 ||
	       p->compliance.n > 0 || p->debuggable || p->vmpl != LK_VMPL_UNSET;
}

LK_CHECK static enum lk_code usage(const struct lk_args *a, bool measure, struct lk_err *e)
{
	const struct lk_policy_args *p = &lk_policy_args;
	bool policy = a->conf.attest[0] != '\0';
	const char *wrong = NULL;

	if (a->words > 0)
		wrong = "it takes no operands";
	else if (measure)
		wrong = wrong_inputs(p);
	else if (has_inputs(p))
		wrong = "what is launched is measured only with --measure --ovmf FILE";
	if (wrong == NULL && !policy && has_pins(&p->pins))
		wrong = "pins belong to a policy: give --attest https://HOST as well";
	if (wrong == NULL && !policy && !measure)
		wrong = "give --attest https://HOST for a policy, --measure for a measurement";
	return wrong == NULL ? LK_OK : lk_fail(e, LK_EUSAGE, "policy: %s", wrong);
}

LK_CHECK static enum lk_code measure_files(
    struct lk_policy_args *p, uint8_t out[static LK_MEASURE_SIZE], struct lk_err *e)
{
	struct lk_measure *in = &p->in;

	if (p->cpu.n > 0 && lk_measure_cpu(p->cpu, &in->vcpu_sig, e) != LK_OK)
		return e->code;
	if (map(p->ovmf, &in->ovmf, e) != LK_OK ||
	    (p->kernel != NULL && map(p->kernel, &in->kernel, e) != LK_OK) ||
	    (p->initrd != NULL && map(p->initrd, &in->initrd, e) != LK_OK))
		return e->code;
	in->with_kernel = p->kernel != NULL;
	in->append = p->append;
	in->ovmf_digest = lk_slice_of(p->ovmf_digest.v, p->ovmf_digest.n);
	if (lk_measure_snp(in, out, e) != LK_OK)
		return e->code;
	if (!in->with_kernel)
		lk_log(LK_LOG_WARN, "without --kernel the measurement covers the firmware alone, "
				    "not what it boots");
	return LK_OK;
}

enum lk_code lk_verb_policy(struct lk_args *a, struct lk_err *e)
{
	static uint8_t store[16384];
	struct lk_buf out = LK_BUF(store);
	struct lk_policy_args *p = &lk_policy_args;
	struct lk_policy *pins = &p->pins;
	bool measure = p->measure || p->ovmf != NULL;
	uint8_t digest[LK_MEASURE_SIZE];

	lk_policy_vmpl(a);
	if (usage(a, measure, e) != LK_OK)
		return e->code;
	if (measure && measure_files(p, digest, e) != LK_OK)
		return e->code;
	if (a->conf.attest[0] == '\0') {
		lk_hex_encode(lk_slice_of(digest, sizeof(digest)), &out);
		lk_buf_str(&out, "\n");
		return lk_app_print(lk_slice_buf(&out), e);
	}
	if (measure)
		memcpy(pins->measurement[pins->measurements++], digest, sizeof(digest));
	if (pins->vmpl == LK_VMPL_UNSET)
		pins->vmpl = pins->vtpm ? LK_VMPL_ANY : 0;
	if (pins->debuggable)
		lk_log(
		    LK_LOG_WARN, "the host can read the memory of a debuggable guest, and the key");
	if (lk_policy_write(pins, a->conf.attest, &out, e) != LK_OK)
		return e->code;
	return lk_app_print(lk_slice_buf(&out), e);
}
