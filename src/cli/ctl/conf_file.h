/* conf_file.h - NAME.conf as latchkeyctl changes it; private to src/cli/ctl and its tests.
 *
 * What an administrator wrote by hand stays: comments and settings of the volume are kept line by
 * line. Only the lines that say a binding (key, attest, thumbprint, kind, wrapped, identity of the
 * first one, and the [alternative] sections as a whole) are written anew.
 */
#ifndef LK_CLI_CONF_FILE_H
#define LK_CLI_CONF_FILE_H

#include "lk/opts.h"

struct lk_conf_file {
	char path[400];
	bool there;
	size_t n;                                /* bindings; 0 when the file is not there */
	struct lk_conf binding[LK_BINDINGS_MAX]; /* each as boot would have it */
	size_t text_n;
	uint8_t text[LK_CONF_FILE_MAX]; /* as it was */
};

/* Read what is there; `a` gives conf_dir. That there is none is no failure. LK_ECONF: not readable
 * or wrong. */
LK_CHECK enum lk_code lk_conf_file_read(
    const struct lk_args *a, const char *name, struct lk_conf_file *out, struct lk_err *e);
/* The new text: f->binding[0..n) in this order of preference, around what the old text says
 * besides. `note`: a comment for the first line of a new file, without "# ". LK_ELIMIT. */
LK_CHECK enum lk_code lk_conf_file_text(
    const struct lk_conf_file *f, const char *note, struct lk_buf *out, struct lk_err *e);
/* Atomically, mode 0644, the folder made if it is missing. n == 0: the file goes. */
LK_CHECK enum lk_code lk_conf_file_write(
    const struct lk_conf_file *f, struct lk_slice text, struct lk_err *e);
/* Put the old state back, as far as it is another now. */
LK_CHECK enum lk_code lk_conf_file_restore(const struct lk_conf_file *f, struct lk_err *e);

#endif
