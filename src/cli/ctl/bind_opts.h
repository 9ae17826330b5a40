/* bind_opts.h - the options of enroll, rotate, remove and list that no file can hold; private to
 * src/cli/ctl.
 */
#ifndef LK_CLI_BIND_OPTS_H
#define LK_CLI_BIND_OPTS_H

#include <stdbool.h>

#define LK_CRYPTTAB "/etc/crypttab"

/* Text is borrowed from the command line; NULL: not given. */
struct lk_bind_args {
	bool alternative, first; /* enroll: where among the bindings that are there */
	bool offline, recovery;  /* enroll */
	bool write_crypttab;     /* enroll, remove */
	bool rebuild;            /* enroll, rotate, remove: the initramfs */
	bool all, drop_old;      /* rotate */
	bool json;               /* list */
	const char *public_key;  /* enroll --offline: a file */
	const char *crypttab;    /* a file [LK_CRYPTTAB] */
	const char *binding;     /* rotate, remove: 16 hexadecimal digits */
	const char *kdf_salt;    /* enroll --kind compat: base64url of 0 to 64 bytes */
	const char *label;       /* enroll --kind compat: 1 to 64 printable characters */
};
extern struct lk_bind_args lk_bind_args;

/* Make them known; before the command line is read. */
void lk_bind_options(void);

#endif
