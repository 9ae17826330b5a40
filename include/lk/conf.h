/* lk/conf.h - the settings of one volume and of the run; filled by the command line and
 * /etc/latchkey/NAME.conf (src/cli). */
#ifndef LK_CONF_H
#define LK_CONF_H

#include "lk/binding.h"
#include "lk/imds.h"
#include "lk/snp.h"
#include "lk/vault.h"

/* Where the proof comes from; auto: the vTPM if it has an HCL report, else what LK_SNP_AUTO finds.
 */
enum lk_evidence_from { LK_EV_AUTO, LK_EV_VTPM, LK_EV_TSM, LK_EV_GUEST, LK_EV_LEGACY };
#define LK_VMPL_ANY 0xffffffffu

struct lk_conf {
	char name[64];                 /* volume: the mapping's name */
	char uuid[37];                 /* LUKS UUID, pinned */
	char device[256];              /* "": found by UUID */
	char key[600];                 /* https://HOST/keys/NAME[/VERSION], pinned */
	char attest[LK_HOST_MAX + 16]; /* https://HOST, pinned */
	char thumbprint[44];           /* of the vault key, pinned; "": oct key */
	char wrapped[65];              /* SHA-256 of a wrapped secret, pinned; "": none is taken */
	char allow_hosts[256];         /* lk/hosts.h: NAME,.SUFFIX,... in lower case; "": none */
	enum lk_kind kind;             /* of the binding, beside derived, which always is welcome */
	enum lk_identity identity;
	char identity_id[300];
	enum lk_enc enc;
	char api_version[24];        /* "7.4" */
	char trust[256];             /* PEM file of trust anchors */
	char tpm[128];               /* "/dev/tpmrm0" */
	char event_log[128];         /* "/sys/kernel/security/tpm0/binary_bios_measurements" */
	char cryptsetup[128];        /* "" : looked for in /usr/sbin, /sbin */
	char os_name[64];            /* os-release NAME; "": Linux */
	uint32_t os_major, os_minor; /* of os-release VERSION_ID; major 0: 1.0 */
	uint32_t timeout_s;          /* 120: the one deadline */
	/* SNP path */
	enum lk_evidence_from evidence;
	char snp_path[128];          /* of the source that is named; "": the usual one */
	uint32_t vmpl;               /* or LK_VMPL_ANY: the one this guest runs at, see lk/snp.h */
	uint32_t wrap_bits;          /* 2048, 3072, 4096: of the wrapping key made in the guest */
	char attest_api_version[24]; /* "2022-08-01", of /attest/SevSnpVm */
	char security_context[256];  /* folder with the host's files for confidential containers */
	char init_data[256];         /* "": none; file whose SHA-256 is HOST_DATA */
	bool kmsg;
	bool kds;        /* may AMD's key distribution service be asked? */
	char digest[65]; /* SHA-256 of the configuration file in hexadecimal, or "" when there is
			    none or the command line says something else */
};

#endif
