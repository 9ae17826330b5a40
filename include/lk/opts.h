/* lk/opts.h - one table of settings for the command line and for /etc/latchkey/NAME.conf.
 *
 * A setting `name` is written `--name VALUE` or `--name=VALUE` on the command line and `name =
 * VALUE` in a file. Later wins: built-in value, file, command line. An unknown name, a name given
 * twice in a file, or a value that does not fit is an error (78 in a file, 64 on the command line),
 * never a warning.
 *
 * Several bindings of a volume, in order of preference: the settings before the first line
 * `[alternative]` are the first binding's and the volume's; each `[alternative]` starts another
 * binding, which is tried when those before it gave no key. It says key and attest; thumbprint,
 * kind and wrapped are its own (nothing is inherited); identity, enc, api-version and
 * attest-api-version are the first's unless it says otherwise; other settings do not belong there.
 * At most LK_BINDINGS_MAX bindings. Where the command line names key or attest, the file's
 * alternatives are not used.
 */
#ifndef LK_OPTS_H
#define LK_OPTS_H

#include "lk/conf.h"

#define LK_CONF_DIR      "/etc/latchkey"
#define LK_ARGS_MAX      16
#define LK_CONF_FILE_MAX 16384 /* bytes of a NAME.conf: eight bindings of the longest kind */

/* What only the command line can say. */
struct lk_flags {
	char conf_dir[256];
	char passphrase_file[256]; /* latchkeyctl enroll: existing key; "-" standard input */
	uint32_t fd;               /* release: where the key goes */
	uint32_t slot;             /* latchkeyctl enroll: key slot, or LK_SLOT_ANY */
	bool socket;               /* key: standard input is systemd's key socket */
	bool force;
	bool help;
	bool verbose;
	bool quiet;
	bool journal; /* set by main from the environment of the service manager */
};
#define LK_SLOT_ANY 0xffffffffu

struct lk_args {
	struct lk_conf conf; /* built-in values plus what the command line said */
	struct lk_flags flags;
	uint64_t given; /* bit i: setting i of the table came from the command line */
	const char *word[LK_ARGS_MAX]; /* verb's operands */
	size_t words;
	size_t bindings; /* of the file that was read: 1 and its alternatives */
};

void lk_opts_defaults(struct lk_args *out);
/* argv without program and verb. */
LK_CHECK enum lk_code lk_opts_argv(
    int argc, char *const argv[], struct lk_args *out, struct lk_err *e);
/* Settings of a file go into conf, except those that the command line gave; conf.digest is the
 * text's. `path` is for messages. */
LK_CHECK enum lk_code lk_opts_text(
    struct lk_slice text, const char *path, struct lk_args *a, struct lk_err *e);
/* DIR/NAME.conf for the volume; sets conf.name. NAME is [0-9A-Za-z._-], not starting with a dot.
 * Binding 0; the whole file is checked. */
LK_CHECK enum lk_code lk_opts_volume(const char *name, struct lk_args *a, struct lk_err *e);
/* The same file, for a binding < a->bindings. `a` is as it was before lk_opts_volume. LK_ECONF also
 * when the file has no such binding (any more). */
LK_CHECK enum lk_code lk_opts_binding(
    const char *name, size_t binding, struct lk_args *a, struct lk_err *e);
/* The same from text instead of a file. */
LK_CHECK enum lk_code lk_opts_text_binding(
    struct lk_slice text, const char *path, size_t binding, struct lk_args *a, struct lk_err *e);
/* The settings as a file again, defaults left out; for `latchkeyctl enroll`. Paths that belong to
 * the machine where one enrols (device, tpm, event-log, cryptsetup) are not written: the one that
 * boots may be another. */
void lk_opts_write(const struct lk_conf *conf, struct lk_buf *out);
/* The part of --help about options: those that a file may hold, then the others. */
void lk_opts_help(bool ctl, struct lk_buf *out);

#endif
