/* snp_int.h - what the files that get a report share. */
#ifndef SNP_INT_H
#define SNP_INT_H

#include <sys/types.h>

#include "lk/snp.h"

/* Where an error came from: the same errno means different things at each place. */
enum lk_snp_op {
	LK_SNP_OPEN,  /* open of a device node */
	LK_SNP_IOCTL, /* request to /dev/sev-guest: the only one with exitinfo2 */
	LK_SNP_OLD,   /* request to /dev/sev; its 32-bit error stands in for exitinfo2 */
	LK_SNP_MKDIR, /* configfs-tsm: new report */
	LK_SNP_ATTR,  /* its attributes, before the request */
	LK_SNP_READ   /* outblob: the request itself */
};

enum lk_snp_action {
	LK_SNP_STOP,
	LK_SNP_NEXT,  /* this source is not there */
	LK_SNP_AGAIN, /* after a pause */
	LK_SNP_PLAIN  /* after a pause, without certificates */
};

struct lk_snp_verdict {
	enum lk_snp_action action;
	bool reboot; /* the message key is or may be gone: nothing more can be asked in this boot */
	const char *cause;
	const char *remedy; /* or NULL */
};

/* Which row of the table is it? A pure function; exitinfo2 counts with EIO alone, since old kernels
 * leave what was on their stack in it otherwise. */
struct lk_snp_verdict lk_snp_judge(enum lk_snp_op op, int err, uint64_t exitinfo2);
/* The SEV firmware's status in words. */
const char *lk_snp_status(uint32_t status);
/* The error for a verdict: cause in the message, remedy and reboot in the hint. */
enum lk_code lk_snp_fail(const char *path, enum lk_snp_op op, int err, uint64_t exitinfo2,
    const struct lk_snp_verdict *v, struct lk_err *e);

/* What a request came to; `rc` is LK_OK, or e is filled. */
struct lk_snp_try {
	enum lk_snp_op op;
	int err; /* errno, 0: no system call failed */
	uint64_t exitinfo2;
};

/* The system calls, which only tests replace: a directory of plain files cannot behave like
 * configfs-tsm, and a device that fails on purpose needs a kernel. All set errno. */
struct lk_snp_sys {
	int (*open)(const char *path, int flags);
	int (*close)(int fd);
	ssize_t (*read)(int fd, void *p, size_t n);
	ssize_t (*write)(int fd, const void *p, size_t n);
	int (*mkdir)(const char *path);
	int (*rmdir)(const char *path);
	int (*ioctl)(int fd, unsigned long request, void *arg);
	enum lk_code (*sleep)(int64_t ms, lk_time deadline, struct lk_err *e);
};
extern const struct lk_snp_sys *lk_snp_sys;

/* One request each. LK_OK: *rsp_n bytes of report are in `rsp`, which holds 4000 - 32. On failure
 * either t->err is set and e is not, or the other way round (t->err == 0): the answer is wrong. */
#define LK_SNP_RSP_MAX (4000 - 32)
enum lk_code lk_snp_ask_guest(struct lk_snp_dev *d, const uint8_t data[static 64],
    struct lk_snp_raw *out, struct lk_buf *rsp, struct lk_snp_try *t, struct lk_err *e);
enum lk_code lk_snp_ask_legacy(struct lk_snp_dev *d, const uint8_t data[static 64],
    struct lk_buf *rsp, struct lk_snp_try *t, struct lk_err *e);
enum lk_code lk_snp_ask_tsm(struct lk_snp_dev *d, const uint8_t data[static 64],
    struct lk_snp_raw *out, struct lk_buf *rsp, struct lk_snp_try *t, struct lk_err *e);
/* Is SNP the provider at d->path? No request is sent. As above; LK_EABSENT: another one is. */
enum lk_code lk_snp_tsm_provider(struct lk_snp_dev *d, struct lk_snp_try *t, struct lk_err *e);

#endif
