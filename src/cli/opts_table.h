/* opts_table.h - the rows of the settings table; private to src/cli/opts*.c. */
#ifndef LK_CLI_OPTS_TABLE_H
#define LK_CLI_OPTS_TABLE_H

#include "lk/opts.h"

enum __attribute__((packed)) lk_opt_kind {
	LK_OPT_WORD, /* printable ASCII without blanks */
	LK_OPT_PATH, /* absolute path */
	LK_OPT_NAME, /* volume name */
	LK_OPT_UUID,
	LK_OPT_KEY,
	LK_OPT_HOST,
	LK_OPT_HOSTS, /* names and .suffixes, separated by commas */
	LK_OPT_THUMB,
	LK_OPT_KIND,
	LK_OPT_DIGEST, /* SHA-256 in hexadecimal */
	LK_OPT_IDENTITY,
	LK_OPT_ENC,
	LK_OPT_EVIDENCE,
	LK_OPT_VMPL,
	LK_OPT_BITS,
	LK_OPT_TIMEOUT,
	LK_OPT_FD,
	LK_OPT_SLOT,
	LK_OPT_YESNO,
	LK_OPT_BOOL /* no value; command line only */
};

#define LK_OPT_FILE 1u  /* may stand in a configuration file */
#define LK_OPT_CTL  2u  /* latchkeyctl only */
#define LK_OPT_ALT  4u  /* may stand in an [alternative], too */
#define LK_OPT_OWN  8u  /* an [alternative] does not inherit it */
#define LK_OPT_HERE 16u /* the machine's where one enrols: the one that boots may be another */

struct lk_opt {
	const char *name;
	const char *value; /* placeholder of the value, NULL: takes none */
	enum lk_opt_kind kind;
	uint8_t flags;
	uint16_t offset, size; /* within struct lk_args */
	const char *help;
};

const char *lk_opt_evidence_name(enum lk_evidence_from from);

extern const struct lk_opt lk_opt_table[];
extern const size_t lk_opt_count;

const struct lk_opt *lk_opt_find(struct lk_slice name, size_t *index);
/* Check `value` and store it. LK_ECONF. */
LK_CHECK enum lk_code lk_opt_set(
    const struct lk_opt *o, struct lk_slice value, struct lk_args *out, struct lk_err *e);

/* A line of a file: NULL for a remark, a section's name, and what is no setting. */
const struct lk_opt *lk_opt_of_line(struct lk_slice line, size_t *index);
bool lk_opt_is_section(struct lk_slice line);
/* The line `name = value`, as lk_opt_set() reads it; nothing when the value is "". For settings
 * that a file may hold. */
void lk_opt_put(const struct lk_opt *o, const struct lk_conf *c, struct lk_buf *out);
bool lk_opt_same(const struct lk_opt *o, const struct lk_conf *a, const struct lk_conf *b);

/* An option of one verb whose value no file can hold and no other verb wants. `set` checks the
 * value and stores it (LK_ECONF); NULL: a bool that takes none. Values are borrowed from the
 * command line and end with a NUL. */
struct lk_own_opt {
	const char *name, *value;
	LK_CHECK enum lk_code (*set)(
	    struct lk_slice value, void *to, size_t size, struct lk_err *e);
	size_t offset, size; /* within what lk_opts_more() was given */
	const char *help;
};

/* Look these up after the table's, and list them in the help; `to` is where they go. Call before
 * the command line is read, up to LK_OWN_MAX times; with NULL all are forgotten. */
#define LK_OWN_MAX 4
void lk_opts_more(const struct lk_own_opt *row, size_t n, void *to);

#endif
