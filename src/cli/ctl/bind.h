/* bind.h - the steps that enroll and rotate are made of; private to src/cli/ctl.
 *
 * One volume at a time: lk_bind_open, lk_bind_obtain, lk_bind_plan, lk_bind_write, lk_bind_prove,
 * lk_bind_save; with a public half alone lk_bind_open, lk_bind_obtain_offline, lk_bind_plan,
 * lk_bind_write, lk_bind_save, lk_bind_activate, lk_bind_prove. After a failure lk_bind_undo. What
 * an earlier call left unfinished is found by lk_bind_obtain and completed by the steps after it.
 */
#ifndef LK_CLI_BIND_H
#define LK_CLI_BIND_H

#include "conf_file.h"
#include "header.h"

/* Secrets that outlive a fork: every child sees zeros here. */
struct lk_bind_held {
	struct lk_secret slot;     /* of the new binding's key slot */
	struct lk_secret existing; /* opens another slot; n == 0: not known yet */
};

struct lk_bind {
	const struct lk_args *a; /* the command line: paths of this machine, flags */
	struct lk_conf conf;     /* of the binding: what NAME.conf will say */
	struct lk_header h;
	struct lk_conf_file was;  /* as it was found */
	struct lk_conf_file file; /* the plan, once there is one */
	size_t place;             /* of the binding in it */
	struct lk_binding b;
	bool active;      /* the header has it, and its slot opens */
	bool slot_there;  /* the slot opens; the token is not active */
	bool token_there; /* as pending */
	uint32_t ruins;   /* bit n: token n is ours, and its key slot is gone or destroyed */
	size_t text_n;
	uint8_t text[LK_CONF_FILE_MAX]; /* NAME.conf as it will be */
};

/* How a new binding joins those of NAME.conf. */
enum lk_bind_place {
	LK_BIND_ONLY,   /* there is none yet, or it is this one */
	LK_BIND_LAST,   /* after the others */
	LK_BIND_FIRST,  /* before them */
	LK_BIND_INSTEAD /* of binding w->place */
};

/* LK_ESYS: this kernel cannot hide memory from children. */
LK_CHECK enum lk_code lk_bind_held(struct lk_bind_held **out, struct lk_err *e);
/* Header and NAME.conf; w->conf has name and device. Starts a courier. */
LK_CHECK enum lk_code lk_bind_open(struct lk_bind *w, const char *device, struct lk_err *e);
/* Attest, have w->conf.key released, and find or make the binding that belongs to it: w->b, w->conf
 * with its pins, and the slot's secret in the held memory. Nothing is written. */
LK_CHECK enum lk_code lk_bind_obtain(struct lk_bind *w, struct lk_err *e);
/* The same for kind wrapped from the public half alone (bind_offline.c). What an interrupted call
 * left is removed first: its secret is lost. */
LK_CHECK enum lk_code lk_bind_obtain_offline(
    struct lk_bind *w, const char *public_key, struct lk_err *e);
/* A new binding for w->conf without a salt's consequences: id, salt, kind, pins of w->conf. */
LK_CHECK enum lk_code lk_bind_describe(
    struct lk_bind *w, const char *kid, const char *thumbprint, struct lk_err *e);
/* Where it goes in NAME.conf, and the text that this gives. LK_ECONF: there are others, and the
 * place does not say what becomes of them. */
LK_CHECK enum lk_code lk_bind_plan(struct lk_bind *w, enum lk_bind_place how, struct lk_err *e);
/* Token and slot, as far as they are not there; ruins go first, and for good. The existing
 * passphrase is asked for when it is needed and not held. A wrapped one stays pending, since
 * nothing could tell later whether its slot is the right one; it becomes active when NAME.conf pins
 * it. */
LK_CHECK enum lk_code lk_bind_write(struct lk_bind *w, struct lk_err *e);
LK_CHECK enum lk_code lk_bind_activate(struct lk_bind *w, struct lk_err *e);
/* What the next boot will do, from the text of NAME.conf on: the header read again, attestation,
 * release, pins, MAC, secret, and a test of exactly that slot. A wrapped one: header and pins.
 * Starts couriers. */
LK_CHECK enum lk_code lk_bind_prove(struct lk_bind *w, struct lk_err *e);
/* NAME.conf. */
LK_CHECK enum lk_code lk_bind_save(struct lk_bind *w, struct lk_err *e);
/* Nothing of this call stays, byte for byte. The first error remains the verdict. */
void lk_bind_undo(struct lk_bind *w);
void lk_bind_close(struct lk_bind *w);
/* Say which active bindings of ours the configuration does not name. */
void lk_bind_strangers(const struct lk_bind *w);

#endif
