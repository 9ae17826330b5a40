/* crypttab.h - lines of crypttab(5), of systemd and of Debian's cryptsetup, for the check of an
 * image and for the change of the table; private to src/cli/ctl and its tests.
 */
#ifndef LK_CLI_CRYPTTAB_H
#define LK_CLI_CRYPTTAB_H

#include "lk/slice.h"

#define LK_KEY_SOCKET "/run/latchkey/key.sock"
#define LK_KEYSCRIPT  "/usr/lib/latchkey/keyscript"

/* Borrowed from the table; a field that is not there is empty. */
struct lk_tab_entry {
	struct lk_slice name, device, key, options;
	struct lk_slice rest; /* of the line, behind the options: systemd does not read it */
};
/* One line; false: empty or a remark. */
bool lk_tab_parse(struct lk_slice line, struct lk_tab_entry *out);

/* Take the next option off a list, which may be empty in between; false at the end. `rest` with a
 * NULL pointer is the end. */
bool lk_tab_next(struct lk_slice *rest, struct lk_slice *one);
/* Is it NAME or NAME=VALUE? */
bool lk_tab_is(struct lk_slice one, const char *name, struct lk_slice *value);
/* The first of this name. */
bool lk_tab_option(struct lk_slice options, const char *name, struct lk_slice *value);

enum lk_tab_device {
	LK_TAB_THIS,
	LK_TAB_OTHER,  /* by UUID, and it is another one */
	LK_TAB_UNKNOWN /* named in another way */
};
/* UUID=..., also in quotes, or the link of that name in /dev/disk/by-uuid; `said`: the UUID. */
enum lk_tab_device lk_tab_device(struct lk_slice device, const char *uuid, struct lk_slice *said);

/* Options that keep the volume from being opened with latchkey's key, or the prompt from working.
 */
struct lk_tab_bad {
	const char *name, *why;
	bool other; /* it makes another kind of volume of it: nothing to be taken out unasked */
};
extern const struct lk_tab_bad lk_tab_bad[];
extern const size_t lk_tab_bads;
/* The row that forbids this option, or NULL. */
const struct lk_tab_bad *lk_tab_bad_option(struct lk_slice one);

#endif
