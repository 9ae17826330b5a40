/* device.h - an SNP guest device that tests can have fail in every way that the real one can.
 *
 * It has one message key, whatever the way that a request comes by. A failure that would make Linux
 * give that key up makes every later request fail as the real one would (ENOTTY), so a program that
 * asks once too often is found out.
 *
 * In the folder FILES are `template`, the report whose fields are given; `key`, the signing key's
 * 48 bytes; `certs`, the host's certificate table. Each request reads STATE/plan (else FILES/plan),
 * which has a line for each request, with words out of these:
 *
 *   err=N        the request fails with this errno
 *   exit=N       ... and this exitinfo2
 *   need=N       this length is written back to certs_len
 *   status=N     the firmware refuses, in its answer
 *   size=N       the report's length as stated
 *   zero         a report of zeros
 *   other        a report over other data than asked for
 *   nocerts      the host has no certificates
 *   @OFFSET=N    eight bytes of the report are this number
 *
 * Requests beyond the last line succeed. Each request adds a line to STATE/seen; whoever removes
 * that file has the device begin anew.
 */
#ifndef EMULATED_SEV_DEVICE_H
#define EMULATED_SEV_DEVICE_H

#include "lk/clock.h"
#include "lk/slice.h"

#define REPORT_SIZE 1184
#define REPORT_MAX  (4000 - 32)
#define CERTS_MAX   16384

enum device_kind { DEVICE_REPORT, DEVICE_EXT_REPORT, DEVICE_LEGACY, DEVICE_TSM };

struct device {
	const char *files, *state;
	uint8_t template[REPORT_SIZE], key[48], certs[CERTS_MAX];
	size_t certs_n;
	unsigned requests;
	bool spent; /* the message key is gone */
	lk_time last;
};

struct device_request {
	enum device_kind kind;
	uint8_t data[64];
	uint32_t vmpl;
	bool bad_form; /* bytes that must be zero are not: the firmware refuses */
};

struct device_answer {
	int err; /* errno, 0: the rest counts */
	uint64_t exitinfo2;
	uint32_t need;
	uint32_t status, size;
	uint8_t report[REPORT_MAX];
	bool certs;
};

LK_CHECK enum lk_code device_load(struct device *d, struct lk_err *e);
void device_ask(struct device *d, const struct device_request *q, struct device_answer *out);

/* ECDSA P-384 over SHA-384 of the first 672 bytes, in the report's own form. */
bool report_sign(uint8_t report[static REPORT_SIZE], const uint8_t key[static 48]);

/* A way in: its descriptor is polled, and `serve` is called when it is readable. */
struct door {
	int fd;
	bool ready;
	const char *name;
	void (*serve)(struct door *door, struct device *d);
};
LK_CHECK bool cuse_open(struct door *door, const char *name);
LK_CHECK bool tsm_open(struct door *door);

/* One line in the kernel's log. */
void say(const char *fmt, ...) LK_PRINTF(1, 2);
_Noreturn void die(const char *fmt, ...) LK_PRINTF(1, 2);

#endif
