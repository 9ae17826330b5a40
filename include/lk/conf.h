/* lk/conf.h - the settings of one volume and of the run; filled by the command line and
 * /etc/latchkey/NAME.conf (src/cli). */
#ifndef LK_CONF_H
#define LK_CONF_H

#include "lk/imds.h"
#include "lk/vault.h"

struct lk_conf {
	char name[64];                 /* volume: the mapping's name */
	char uuid[37];                 /* LUKS UUID, pinned */
	char device[256];              /* "": found by UUID */
	char key[600];                 /* https://HOST/keys/NAME[/VERSION], pinned */
	char attest[LK_HOST_MAX + 16]; /* https://HOST, pinned */
	char thumbprint[44];           /* of the vault key, pinned; "": oct key */
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
	bool kmsg;
};

#endif
