/* lk/snp.h - the SNP attestation report from the machine itself, and what belongs to it.
 *
 * For guests that own their SNP device (protocol notes: snp-maa-akv, section 1; AMD 56860, GHCB
 * 56421, Linux' configfs-tsm ABI). Three parts that know nothing of each other: getting a report,
 * reading one (and the host's certificate table, which is hostile input), and checking one against
 * AMD's roots, which is for diagnosis only: the attestation service does it anyway.
 *
 * The guest's message key (VMPCK) is lost for this boot when a request fails in an ambiguous way.
 * So a device sends at most LK_SNP_REQUESTS of them, LK_SNP_PAUSE_MS apart, and none after an error
 * that may have cost the key. Every failure names the cause; its hint says whether a reboot is
 * needed.
 */
#ifndef LK_SNP_H
#define LK_SNP_H

#include "lk/clock.h"
#include "lk/crypto.h"

#define LK_SNP_REPORT_SIZE 1184
#define LK_SNP_CERTS_MAX   16384
#define LK_SNP_REQUESTS    3
#define LK_SNP_PAUSE_MS    2000

#define LK_SNP_TSM_ROOT   "/sys/kernel/config/tsm/report"
#define LK_SNP_GUEST_DEV  "/dev/sev-guest"
#define LK_SNP_LEGACY_DEV "/dev/sev"

/* ---- getting one */

/* LK_SNP_AUTO is configfs-tsm if its provider is SNP, else /dev/sev-guest; never the legacy device,
 * whose name an SEV host uses for something else. */
enum lk_snp_source { LK_SNP_AUTO, LK_SNP_TSM, LK_SNP_GUEST, LK_SNP_LEGACY };

struct lk_snp_conf {
	enum lk_snp_source source;
	const char *path; /* of the source that is named, NULL or "": the usual one */
	bool has_vmpl;    /* else 0, with configfs-tsm the lowest that the kernel allows */
	uint32_t vmpl;    /* 0 to 3 */
};

struct lk_snp_dev {
	enum lk_snp_source source;
	char path[200];
	int fd; /* of a device, -1 with configfs-tsm */
	bool has_vmpl, spent, no_certs;
	uint32_t vmpl;
	unsigned requests;
	lk_time last; /* request; 0: none. Whoever opens a source again sets it to the one before */
};

struct lk_snp_raw {
	uint8_t report[LK_SNP_REPORT_SIZE];
	size_t certs_n; /* of the host's table as it came; 0: none */
	uint8_t certs[LK_SNP_CERTS_MAX];
};

/* Choose the source and open it; no request is sent. LK_EABSENT: this machine has none. Not there
 * is the only reason for which LK_SNP_AUTO goes on to the next. */
LK_CHECK enum lk_code lk_snp_open(
    const struct lk_snp_conf *conf, struct lk_snp_dev *out, struct lk_err *e);
void lk_snp_close(struct lk_snp_dev *d);
/* A report over report_data: right size, version 2 or later, all of report_data echoed. The kernel
 * may hold the call for a minute when the host throttles; the deadline only keeps it from starting
 * or repeating. LK_ESNP; retry is set when a later call may succeed. */
LK_CHECK enum lk_code lk_snp_get(struct lk_snp_dev *d, const uint8_t report_data[static 64],
    lk_time deadline, struct lk_snp_raw *out, struct lk_err *e);

/* ---- reading one */

enum lk_snp_gen {
	LK_SNP_GEN_UNKNOWN,
	LK_SNP_GEN_MILAN_GENOA, /* version 2 says no more */
	LK_SNP_GEN_MILAN,
	LK_SNP_GEN_GENOA,
	LK_SNP_GEN_TURIN,
	LK_SNP_GEN_VENICE
};
enum lk_snp_signer { LK_SNP_VCEK = 0, LK_SNP_VLEK = 1, LK_SNP_UNSIGNED = 7 };

struct lk_snp_tcb {
	bool has_fmc;
	uint8_t fmc, boot_loader, tee, snp, microcode;
};

struct lk_snp {
	struct lk_slice raw; /* LK_SNP_REPORT_SIZE bytes; the other slices point into it */
	uint32_t version, guest_svn, vmpl, sig_algo, signer;
	uint64_t policy, platform;
	bool debug, chip_masked;
	enum lk_snp_gen gen;
	uint8_t family, model, stepping; /* 0 before version 3 */
	uint64_t current_tcb, reported_tcb, committed_tcb, launch_tcb;
	uint64_t launch_mitigation, current_mitigation; /* 0 before version 5 */
	struct lk_slice report_data, measurement, host_data, id_key_digest, author_key_digest,
	    report_id, chip_id, signed_part, signature;
};

/* Versions above 5 are read as far as they are known. LK_EPROTO. */
LK_CHECK enum lk_code lk_snp_parse(struct lk_slice raw, struct lk_snp *out, struct lk_err *e);
const char *lk_snp_gen_name(enum lk_snp_gen g);
/* A TCB as THIM's tcbm has it: 16 hexadecimal digits, most significant byte first. */
void lk_snp_tcb_text(uint64_t tcb, char out[static 17]);
void lk_snp_tcb_split(enum lk_snp_gen gen, uint64_t tcb, struct lk_snp_tcb *out);

/* ---- certificates (DER; slices into the table) */

struct lk_snp_certs {
	struct lk_slice vcek, vlek, ask, ark; /* ask: ASVK where there is a VLEK; n == 0: absent */
};

/* The table that came with a report: entries of GUID (either byte order), offset and length.
 * LK_EABSENT: empty. LK_EPROTO: an entry that is not inside, is there twice or is no DER. */
LK_CHECK enum lk_code lk_snp_certs_parse(
    struct lk_slice table, struct lk_snp_certs *out, struct lk_err *e);
/* The chain as the attestation service wants it: VCEK (VLEK, if that signed the report), ASK, ARK.
 * LK_EABSENT names the one that is missing, LK_ELIMIT: out is too small. */
LK_CHECK enum lk_code lk_snp_certs_pem(
    const struct lk_snp_certs *certs, uint32_t signer, struct lk_buf *out, struct lk_err *e);

/* The TCB that the VCEK (VLEK, if that signed the report) is for, laid out as in this report: it is
 * the right one if that is reported_tcb. No signature is checked. LK_EATTEST: the VCEK is of
 * another processor than the report, where that names one, or an unknown key signed it. LK_EABSENT:
 * there is no such certificate; LK_EPROTO. */
LK_CHECK enum lk_code lk_snp_certs_tcb(
    const struct lk_snp *report, const struct lk_snp_certs *certs, uint64_t *tcb, struct lk_err *e);

/* ---- checking one, for diagnosis */

struct lk_snp_root {
	const char *product;
	uint8_t sha256[32]; /* of the ARK in DER */
};

/* AMD's ARKs for Milan, Genoa and Turin, ended by product == NULL. */
extern const struct lk_snp_root lk_snp_roots[];

/* Signature of the report by the VCEK (or VLEK), that by the ASK, that by an ARK of `roots` (NULL:
 * lk_snp_roots); TCB and chip of the VCEK against the report. *product is the root's. Dates are not
 * looked at: the clock is the host's, and the attestation service looks. LK_ETRUST: a signature or
 * root; LK_EATTEST: certificates of another firmware or processor, said in words; LK_EPROTO. */
LK_CHECK enum lk_code lk_snp_verify(const struct lk_snp *report, const struct lk_snp_certs *certs,
    const struct lk_snp_root *roots, const char **product, struct lk_err *e);

#endif
