/* lk/cryptsetup.h - run cryptsetup(8): keys go through pipes only, the environment is empty, every
 * call has the deadline.
 *
 * Its stderr is kept (at most 512 printable bytes) for the error message. Exit statuses: 1 wrong
 * parameters, 2 no permission (bad passphrase), 3 out of memory, 4 wrong device, 5 exists or busy.
 * The status is in e->lib, with LK_CS_SIGNAL added to the signal that ended it.
 */
#ifndef LK_CRYPTSETUP_H
#define LK_CRYPTSETUP_H

#include "lk/clock.h"
#include "lk/secret.h"

struct lk_cs_call {
	const char *program;      /* path of cryptsetup, or "" for /usr/sbin, /sbin, /usr/bin */
	const char *const *argv;  /* arguments after the program name, NULL-terminated */
	struct lk_slice input[2]; /* what the child reads from stdin ("-") and from LK_CS_SECOND */
	struct lk_buf *out;       /* its stdout, or NULL */
	lk_time deadline;
};
#define LK_CS_NO_SLOT 2u
#define LK_CS_SIGNAL  128u
#define LK_CS_SECOND  "/dev/fd/3"
LK_CHECK enum lk_code lk_cs_run(const struct lk_cs_call *call, struct lk_err *e);

/* cryptsetup open --type luks2 --key-slot SLOT --key-file=<pipe> DEVICE NAME */
LK_CHECK enum lk_code lk_cs_open(const char *program, const char *device, const char *name,
    uint32_t slot, struct lk_slice key, lk_time deadline, struct lk_err *e);
/* The same with --test-passphrase: nothing is opened. */
LK_CHECK enum lk_code lk_cs_test(const char *program, const char *device, uint32_t slot,
    struct lk_slice key, lk_time deadline, struct lk_err *e);

#endif
