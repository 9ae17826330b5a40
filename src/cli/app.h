/* app.h - what the verbs of both programs share; private to src/cli. */
#ifndef LK_CLI_APP_H
#define LK_CLI_APP_H

#include "lk/opts.h"
#include "lk/unlock.h"

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

/* conf->device, or the block device whose LUKS header carries conf->uuid, opened for reading, its
 * path in `path`. One look; e->retry: it may still come. */
LK_CHECK enum lk_code lk_device_look(
    const struct lk_conf *conf, int *fd, char path[static 300], struct lk_err *e);
/* The same, waited for. */
#define LK_DEVICE_WAIT_MS 30000 /* drivers may still be loaded, and machines may be slow */
#define LK_DEVICE_POLL_MS 100
LK_CHECK enum lk_code lk_device_open(
    const struct lk_conf *conf, lk_time deadline, int *fd, char path[static 300], struct lk_err *e);

/* Keep what the last run for a volume did in LK_RUN_DIR/NAME.status: with binding `turn` of
 * `bindings`. e: the failure, or that of the binding before; LK_OK: none. */
void lk_status_write(const struct lk_conf *conf, size_t turn, size_t bindings,
    const struct lk_timeline *t, const char *result, const struct lk_err *e);
/* "imds 12 ms, evidence 80 ms, ..." */
void lk_status_steps(const struct lk_timeline *t, struct lk_buf *out);

/* Volumes to work on: the operands, or every NAME.conf in the folder. */
#define LK_VOLUMES_MAX 16
struct lk_volumes {
	size_t n;
	char name[LK_VOLUMES_MAX][64];
};
LK_CHECK enum lk_code lk_volumes(const struct lk_args *a, struct lk_volumes *out, struct lk_err *e);

/* What is done with the volumes' keys, and what a success is called. */
struct lk_serving {
	const char *done;
	bool mapping; /* a volume whose mapping is there already is served */
	bool once;    /* what was begun with a key is not repeated with another */
	LK_CHECK enum lk_code (*use)(const struct lk_conf *conf, const char *device, uint32_t slot,
	    const struct lk_secret *key, lk_time deadline, struct lk_err *e);
};
/* Each volume with the first of its bindings that gives its key (volumes.c). A failure of one does
 * not end the others; `e` is the last one, those before it were logged. */
LK_CHECK enum lk_code lk_volumes_serve(const struct lk_args *a, const struct lk_volumes *names,
    const struct lk_serving *how, struct lk_err *e);

/* As sha256sum prints it. */
LK_CHECK enum lk_code lk_sha256_hex(struct lk_slice text, char out[static 65], struct lk_err *e);
/* What stands for the settings of several volumes: the SHA-256 of all their files, one after the
 * other in the order of their names. digest: of the first one's own file, or "", which stays.
 * LK_ECONF: a file is not what was read before. */
LK_CHECK enum lk_code lk_volumes_digest(const char *conf_dir, const struct lk_unlock_job *jobs,
    size_t n, char digest[static 65], struct lk_err *e);

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
