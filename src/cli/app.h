/* app.h - what the verbs of both programs share; private to src/cli. */
#ifndef LK_CLI_APP_H
#define LK_CLI_APP_H

#include "lk/opts.h"
#include "lk/release.h"

#define LK_RUN_DIR "/run/latchkey"

/* One verb: `run` returns the exit code's error; LK_OK is 0. */
struct lk_verb {
	const char *name, *operands, *help;
	LK_CHECK enum lk_code (*run)(struct lk_args *a, struct lk_err *e);
};
/* Parse the words after the program's name, set the process up, run the verb, report. Returns the
 * exit status. */
int lk_app_main(const char *program, const char *about, const struct lk_verb *verbs, size_t n,
    int argc, char *argv[]);
void lk_app_version(void);
/* Sinks as the flags say; kmsg: the kernel log too. */
void lk_app_log(const struct lk_args *a, bool kmsg);

/* Before any secret: the settings that a run needs are there; trust anchors read; couriers started.
 */
LK_CHECK enum lk_code lk_app_start(
    const struct lk_conf *conf, bool want_vault, struct lk_run **run, struct lk_err *e);
LK_CHECK enum lk_code lk_app_trust(const char *path, struct lk_slice *pem, struct lk_err *e);

/* conf->device, or the block device whose LUKS header carries conf->uuid, waited for up to 30 s;
 * opened for reading, its path in `path`. */
LK_CHECK enum lk_code lk_device_open(
    const struct lk_conf *conf, lk_time deadline, int *fd, char path[static 300], struct lk_err *e);

/* Keep what the last run for a volume did in LK_RUN_DIR/NAME.status, and say it in one line. */
void lk_status_write(const struct lk_conf *conf, const struct lk_timeline *t, const char *result,
    const struct lk_err *e);
/* "imds 12 ms, evidence 80 ms, ..." */
void lk_status_steps(const struct lk_timeline *t, struct lk_buf *out);

/* Volumes to work on: the operands, or every NAME.conf in the folder. */
#define LK_VOLUMES_MAX 16
struct lk_volumes {
	size_t n;
	char name[LK_VOLUMES_MAX][64];
};
LK_CHECK enum lk_code lk_volumes(const struct lk_args *a, struct lk_volumes *out, struct lk_err *e);

/* os_name, os_major and os_minor from /etc/os-release, or from its text. */
void lk_os_release(struct lk_conf *c);
void lk_os_release_text(struct lk_slice text, struct lk_conf *c);

/* Text to standard output, whole. */
LK_CHECK enum lk_code lk_app_print(struct lk_slice text, struct lk_err *e);

LK_CHECK enum lk_code lk_verb_attest(struct lk_args *a, struct lk_err *e);
LK_CHECK enum lk_code lk_verb_release(struct lk_args *a, struct lk_err *e);
LK_CHECK enum lk_code lk_verb_unlock(struct lk_args *a, struct lk_err *e);
LK_CHECK enum lk_code lk_verb_key(struct lk_args *a, struct lk_err *e);
LK_CHECK enum lk_code lk_verb_probe(struct lk_args *a, struct lk_err *e);
LK_CHECK enum lk_code lk_verb_status(struct lk_args *a, struct lk_err *e);
LK_CHECK enum lk_code lk_verb_version(struct lk_args *a, struct lk_err *e);

#endif
