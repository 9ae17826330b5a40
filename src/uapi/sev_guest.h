/* sev_guest.h - what we need of the kernel's SNP guest devices; C libraries ship no header for it.
 *
 * Facts of the Linux ABI (/dev/sev-guest since 5.19; /dev/sev of the 5.15 kernels of Azure's
 * utility VMs), in declarations of our own. Addresses travel as 64-bit numbers.
 */
#ifndef UAPI_SEV_GUEST_H
#define UAPI_SEV_GUEST_H

#include <stddef.h>
#include <stdint.h>

#define SEV_GET_REPORT     0xC0205300u
#define SEV_GET_EXT_REPORT 0xC0205302u
#define SEV_LEGACY_REPORT  0xC0285301u

#define SEV_CERTS_MAX 0x4000u /* and a multiple of 4096 */

/* Argument of the two requests of /dev/sev-guest. */
struct sev_guest_arg {
	uint8_t msg_version; /* 1 */
	uint8_t pad[7];
	uint64_t req, rsp;
	uint64_t exitinfo2; /* low half: firmware's error, high half: hypervisor's */
};

struct sev_report_req {
	uint8_t user_data[64];
	uint32_t vmpl;
	uint8_t zero[28];
};

struct sev_ext_report_req {
	struct sev_report_req report;
	uint64_t certs;
	uint32_t certs_len; /* the needed length comes back here */
	uint32_t pad;
};

/* Firmware's MSG_REPORT_RSP. */
struct sev_report_rsp {
	uint32_t status, size;
	uint8_t zero[24];
	uint8_t report[4000 - 32];
};

/* Argument of /dev/sev: the message types are the caller's to name. */
struct sev_legacy_arg {
	uint8_t req_type, rsp_type, msg_version, pad1; /* 5, 6, 1 */
	uint16_t req_len, pad2;
	uint64_t req;
	uint16_t rsp_len, pad3[3]; /* SEV_LEGACY_RSP */
	uint64_t rsp;
	uint32_t error, pad4;
};
#define SEV_LEGACY_RSP 1280

_Static_assert(sizeof(struct sev_guest_arg) == 32, "argument of the ioctl");
_Static_assert(offsetof(struct sev_guest_arg, req) == 8, "request's address");
_Static_assert(offsetof(struct sev_guest_arg, exitinfo2) == 24, "error");
_Static_assert(sizeof(struct sev_report_req) == 96, "report request");
_Static_assert(offsetof(struct sev_report_req, vmpl) == 64, "vmpl");
_Static_assert(sizeof(struct sev_ext_report_req) == 112, "extended report request");
_Static_assert(offsetof(struct sev_ext_report_req, certs) == 96, "certificates' address");
_Static_assert(offsetof(struct sev_ext_report_req, certs_len) == 104, "certificates' length");
_Static_assert(sizeof(struct sev_report_rsp) == 4000, "report response");
_Static_assert(offsetof(struct sev_report_rsp, report) == 32, "report");
_Static_assert(sizeof(struct sev_legacy_arg) == 40, "argument of the old ioctl");
_Static_assert(offsetof(struct sev_legacy_arg, req) == 8, "request's address");
_Static_assert(offsetof(struct sev_legacy_arg, rsp_len) == 16, "response's length");
_Static_assert(offsetof(struct sev_legacy_arg, rsp) == 24, "response's address");
_Static_assert(offsetof(struct sev_legacy_arg, error) == 32, "error");

#endif
