/* lk/err.h - one error value for the whole program.
 *
 * Every fallible function returns enum lk_code and takes a struct lk_err that it fills when it
 * fails. The first error wins: upper layers may put context in front (lk_err_prefix) or add a
 * remedy (lk_hint), never overwrite. `retry` is decided where the knowledge is, so that no caller
 * keeps a table of its own.
 *
 * A message is lower case, one line, "what: why", and holds neither a secret nor raw bytes from a
 * peer.
 */
#ifndef LK_ERR_H
#define LK_ERR_H

#include <stdbool.h>
#include <stdint.h>

#define LK_CHECK        __attribute__((warn_unused_result))
#define LK_PRINTF(f, a) __attribute__((format(printf, f, a)))

enum lk_code {
	LK_OK,
	LK_EUSAGE,  /* wrong call of the program */
	LK_ECONF,   /* configuration missing or wrong */
	LK_EABSENT, /* a member, index or file that is not there */
	LK_ENET,    /* name look-up, connect, reset */
	LK_ETIME,   /* the deadline passed */
	LK_ETLS,    /* handshake or record failure that is not a matter of trust */
	LK_ETRUST,  /* certificate chain, host name, signature or binding refused */
	LK_EPROTO,  /* malformed or ambiguous data from a peer */
	LK_ELIMIT,  /* larger than allowed */
	LK_EHTTP,   /* a status that means neither success nor denial */
	LK_EDENIED, /* the service's policy says no */
	LK_EATTEST, /* evidence unusable or refused */
	LK_ETPM,
	LK_ESNP,
	LK_ECRYPTO, /* a primitive failed: wrong key, tag, padding */
	LK_EUNWRAP, /* the released key cannot be unwrapped or is not the expected one */
	LK_ELUKS,   /* header, token or cryptsetup */
	LK_ESYS,    /* system call */
	LK_EBUG     /* a state that cannot be */
};

struct lk_err {
	enum lk_code code;
	bool retry;      /* the same call may succeed later */
	int sys;         /* errno, or 0 */
	uint16_t http;   /* HTTP status, or 0 */
	uint32_t lib;    /* raw code of Mbed TLS or the TSS, or 0 */
	uint32_t wait_s; /* Retry-After of the service, capped, or 0 */
	char msg[400];   /* what: why */
	char hint[800];  /* what to do about it, may be empty */
};

/* Record the failure and return `code`. */
enum lk_code lk_fail(struct lk_err *e, enum lk_code code, const char *fmt, ...) LK_PRINTF(3, 4);

/* The same with errno: records it and appends its text. */
enum lk_code lk_fail_sys(struct lk_err *e, int err, const char *fmt, ...) LK_PRINTF(3, 4);

/* Say what to do. Returns e->code, so that `return lk_hint(e, ...)` works. */
enum lk_code lk_hint(struct lk_err *e, const char *fmt, ...) LK_PRINTF(2, 3);

/* Put "text: " in front of the message. Returns e->code. */
enum lk_code lk_err_prefix(struct lk_err *e, const char *fmt, ...) LK_PRINTF(2, 3);

/* Mark as worth another try and return e->code. */
enum lk_code lk_err_retry(struct lk_err *e);

/* The sysexits code (design, section 8): 0, 64, 65, 69, 70, 71, 75, 76, 77 or 78. */
int lk_err_exit(const struct lk_err *e);

/* A short stable name, "denied", "trust", ... for logs and status files. */
const char *lk_code_name(enum lk_code code);

/* A state that cannot be: say where and abort; stays in release builds. */
#define LK_BUG_ON(cond)                                                                            \
	do {                                                                                       \
		if (cond)                                                                          \
			lk_bug(__FILE__, __LINE__);                                                \
	} while (0)
_Noreturn void lk_bug(const char *file, int line);

#endif
