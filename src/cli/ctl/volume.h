/* volume.h - a volume as an operand names it, its NAME.conf, and which of its bindings that names;
 * private to src/cli/ctl.
 */
#ifndef LK_CLI_VOLUME_H
#define LK_CLI_VOLUME_H

#include "conf_file.h"
#include "lk/luks2.h"

struct lk_volume {
	char name[64];         /* "": no NAME.conf names it */
	char device[300];      /* path */
	struct lk_conf_file f; /* n is 0 without a name */
};

/* An operand with a slash is a device or an image file, any other is a NAME, whose device is
 * --device, its `device` or the one with its UUID; nothing is waited for. LK_ECONF: no such
 * NAME.conf, or a wrong one. */
LK_CHECK enum lk_code lk_volume_find(
    const struct lk_args *a, const char *operand, struct lk_volume *out, struct lk_err *e);
/* For one that was given as a device: find its NAME.conf by the UUID of its header. That there is
 * none is no failure. */
void lk_volume_name(const struct lk_args *a, const char *uuid, struct lk_volume *v);
/* The place of a binding in the order of preference, from 1; 0: NAME.conf does not name it. One
 * that has no slot yet, or no more, is judged as if it had. */
uint32_t lk_volume_choice(
    const struct lk_volume *v, const struct lk_luks2 *h, const struct lk_binding *b);

#endif
