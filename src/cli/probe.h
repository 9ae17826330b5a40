/* probe.h - what the files of `latchkey probe` share. */
#ifndef LK_CLI_PROBE_H
#define LK_CLI_PROBE_H

#include "app.h"
#include "lk/snp.h"

struct lk_probe {
	const struct lk_conf *conf;
	struct lk_slice roots;
	struct lk_err first; /* the first failure is the exit status */
	char found[480];
	bool snp; /* the machine's proof is a report of its own device; then: */
	struct lk_snp_raw raw;
	struct lk_snp report;              /* points into raw */
	uint8_t pem[LK_CHAIN_PEM_MAX + 1]; /* THIM's answer */
	struct lk_slice thim;              /* n == 0: none */
	bool token;                        /* there is a bearer token: the vault can be asked */
	struct lk_run *run;
	bool trusted;  /* there are trust anchors */
	bool proof;    /* what an attestation needs of the machine and of metadata is there */
	bool worn_out; /* the TPM or the SNP device failed in a run: it is left alone */
};

void lk_probe_say(struct lk_probe *p, const char *fmt, ...) LK_PRINTF(2, 3);

/* What the vTPM or the SNP device says. */
LK_CHECK enum lk_code lk_probe_machine(struct lk_probe *p, struct lk_err *e);
/* Report, certificates and AMD's roots against each other, with the host's table, or without one
 * with THIM's answer. Only after lk_probe_machine said p->snp. */
LK_CHECK enum lk_code lk_probe_certs(struct lk_probe *p, struct lk_err *e);

#endif
