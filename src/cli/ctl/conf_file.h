/* conf_file.h - NAME.conf as latchkeyctl changes it; private to src/cli/ctl and its tests.
 *
 * What an administrator wrote by hand stays: remarks and settings of the volume are kept line by
 * line. Only the lines that say a binding (key, attest, thumbprint, kind, wrapped, identity, enc,
 * api-version, attest-api-version, and [alternative]) change, and of these only those that have to.
 * The remarks of an [alternative], among them those right above its line with a blank line before,
 * go where it goes. A binding means the same wherever it is moved: what an alternative had from the
 * first binding it says itself when another becomes the first.
 */
#ifndef LK_CLI_CONF_FILE_H
#define LK_CLI_CONF_FILE_H

#include "lk/opts.h"

struct lk_conf_file {
	char path[400];
	bool there;
	unsigned mode;                           /* of the file, or 0644 */
	size_t n;                                /* bindings; 0: no file, or one without a key */
	struct lk_conf binding[LK_BINDINGS_MAX]; /* each as boot would have it, with the digest */
	size_t text_n;
	uint8_t text[LK_CONF_FILE_MAX]; /* as it was */
};

/* Read what is there; `a` gives conf_dir and what the machine is (os_name and so on), nothing else
 * of the command line counts. That there is none is no failure. LK_ECONF: not readable or wrong. */
LK_CHECK enum lk_code lk_conf_file_read(
    const struct lk_args *a, const char *name, struct lk_conf_file *out, struct lk_err *e);
/* The new text: f->binding[0..n) in this order of preference, around what the old text says
 * besides; settings of the volume are the old text's where there is one, else binding[0]'s, but
 * what any binding has in allow-hosts is added. Nothing when n is 0. It is read again before it
 * counts, so that it says just these bindings. `note`: a comment for the first line of a new file,
 * without "# ". To replace a file whole, give a copy of f with text_n = 0. LK_ELIMIT: boot would
 * not read so much. LK_ECONF: a binding lacks key or attest, or the file is another volume's
 * (uuid). */
LK_CHECK enum lk_code lk_conf_file_text(
    const struct lk_conf_file *f, const char *note, struct lk_buf *out, struct lk_err *e);
/* Atomically; the folder is made if it is missing. n == 0: the file goes. */
LK_CHECK enum lk_code lk_conf_file_write(
    const struct lk_conf_file *f, struct lk_slice text, struct lk_err *e);
/* Put the old state back, as far as it is another now. */
LK_CHECK enum lk_code lk_conf_file_restore(const struct lk_conf_file *f, struct lk_err *e);

#endif
