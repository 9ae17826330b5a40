/* ctl.h - the verbs of latchkeyctl; private to src/cli. */
#ifndef LK_CLI_CTL_H
#define LK_CLI_CTL_H

#include "lk/opts.h"
#include "lk/unlock.h"

LK_CHECK enum lk_code lk_verb_enroll(struct lk_args *a, struct lk_err *e);
LK_CHECK enum lk_code lk_verb_rotate(struct lk_args *a, struct lk_err *e);
LK_CHECK enum lk_code lk_verb_remove(struct lk_args *a, struct lk_err *e);
LK_CHECK enum lk_code lk_verb_list(struct lk_args *a, struct lk_err *e);
LK_CHECK enum lk_code lk_verb_policy(struct lk_args *a, struct lk_err *e);
LK_CHECK enum lk_code lk_verb_image_check(struct lk_args *a, struct lk_err *e);
/* Make the options of `policy` and of `image-check` known; before the command line is read. */
void lk_policy_options(void);
void lk_image_options(void);

/* The existing key of the volume: from a file, from standard input ("-"), or typed twice-unseen on
 * the terminal. One trailing newline of typed text is not part of it; a file counts to its last
 * byte. */
LK_CHECK enum lk_code lk_ctl_passphrase(
    const char *file, const char *device, struct lk_secret *out, struct lk_err *e);

#endif
