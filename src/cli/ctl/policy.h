/* policy.h - the parts of `latchkeyctl policy`; private to src/cli/ctl/policy*.c and its test. */
#ifndef LK_CLI_POLICY_H
#define LK_CLI_POLICY_H

#include "lk/measure.h"
#include "lk/opts.h"

#define LK_POLICY_PINS 8

struct lk_policy_digest {
	size_t n; /* 0: not given */
	uint8_t v[LK_MEASURE_SIZE];
};

/* What the release policy pins. */
struct lk_policy {
	bool vtpm; /* a token of the AzureGuest endpoint: the claims lie below x-ms-isolation-tee */
	size_t measurements; /* the policy has one clause for each: the image before and after an
				update */
	uint8_t measurement[LK_POLICY_PINS][LK_MEASURE_SIZE];
	struct lk_policy_digest host_data, id_key;
	struct lk_slice compliance;
	uint32_t vmpl; /* LK_VMPL_ANY: not pinned */
	bool debuggable;
};
#define LK_VMPL_UNSET 0xfffffffeu /* on the command line */

/* The command line of the verb; text is borrowed from it. */
struct lk_policy_args {
	struct lk_policy pins;
	bool measure;
	const char *ovmf, *kernel, *initrd; /* paths, NULL: not given */
	struct lk_slice append;
	struct lk_slice cpu; /* a name */
	struct lk_policy_digest ovmf_digest;
	struct lk_measure in; /* vmm, vcpus, vcpu_sig and features */
};

/* Take over what `--vmpl`, an option of the settings, says. */
void lk_policy_vmpl(const struct lk_args *a);

/* The document, as `az keyvault key create --policy` takes it; `authority` is https://HOST. A
 * policy that any SNP machine could meet is refused with LK_ECONF. */
LK_CHECK enum lk_code lk_policy_write(
    const struct lk_policy *p, const char *authority, struct lk_buf *out, struct lk_err *e);

extern struct lk_policy_args lk_policy_args;

#endif
