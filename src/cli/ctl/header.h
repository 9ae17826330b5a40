/* header.h - change a LUKS2 header with cryptsetup(8) so that a cut at any point leaves a volume
 * that opens, and take the change back byte for byte; private to src/cli/ctl.
 *
 * Adding a binding: the token is written as pending (no slot listed, MAC and all), the slot is
 * added, the token is made active. Whoever finds a pending token later knows which slot was meant.
 * Removing one: the slot goes (cryptsetup takes it off the token's list), then the token. Never
 * token 5, which Azure Disk Encryption uses, never a slot that no binding of ours names.
 *
 * Works on devices and on image files. Secrets go to cryptsetup through pipes only. Every function
 * but lk_header_open and lk_header_read may be called while secrets are in memory: those two start
 * a courier.
 */
#ifndef LK_CLI_HEADER_H
#define LK_CLI_HEADER_H

#include "lk/unlock.h"

#define LK_FOREIGN_TOKEN 5 /* Azure Disk Encryption owns this token number */
#define LK_HEADER_SAVED  4

struct lk_header {
	const char *device, *cryptsetup; /* borrowed */
	struct lk_luks2 now;             /* as last read; the numbers in use follow what was done */
	/* private: what was in front of the data, and what was done since */
	int before;          /* a file without a name */
	uint32_t area, copy; /* bytes of it, and of one copy of the header */
	bool sound;          /* both copies were valid and said the same */
	bool touched;        /* cryptsetup was asked to change something */
	bool changed;        /* something was removed: not to be taken back byte for byte */
	uint32_t tokens_added, slots_added;
	size_t saved;
	struct {
		uint32_t token;
		size_t n;
		uint8_t text[LK_BINDING_JSON_MAX]; /* as it was before it was written again */
	} save[LK_HEADER_SAVED];
};

/* Read the header and keep its bytes. LK_ELUKS: no LUKS2 header; a reencryption is under way. Close
 * it also after a failure. */
LK_CHECK enum lk_code lk_header_open(
    const char *device, const char *cryptsetup, struct lk_header *out, struct lk_err *e);
LK_CHECK enum lk_code lk_header_read(struct lk_header *h, struct lk_err *e);
/* The first free key slot (or `wish`, unless LK_SLOT_ANY) and token number, into b->slot and
 * b->token. LK_ELUKS: none free, or as many bindings as are ever read; nothing was changed. */
LK_CHECK enum lk_code lk_header_free(
    const struct lk_header *h, uint32_t wish, struct lk_binding *b, struct lk_err *e);
/* The binding of this id, or NULL. */
const struct lk_binding *lk_header_find(const struct lk_header *h, const char *id);

/* Write b as a pending token: b->state becomes LK_BINDING_PENDING. LK_ELUKS: the JSON area has no
 * room for a token and its slot; nothing was changed. */
LK_CHECK enum lk_code lk_header_pend(struct lk_header *h, struct lk_binding *b, struct lk_err *e);
/* Add a key slot for `secret`, PBKDF2 with LK_SLOT_ITERATIONS; `existing` opens another one. */
LK_CHECK enum lk_code lk_header_add_slot(struct lk_header *h, uint32_t slot,
    struct lk_slice existing, struct lk_slice secret, struct lk_err *e);
/* Write b as it is (active, marked as replaced, ...) over the token of its number, which is ours,
 * or as a new one. */
LK_CHECK enum lk_code lk_header_put(
    struct lk_header *h, const struct lk_binding *b, struct lk_err *e);
/* Add a token of another type, as it stands. */
LK_CHECK enum lk_code lk_header_token(
    struct lk_header *h, uint32_t number, struct lk_slice json, struct lk_err *e);
/* Does the slot open with this secret? LK_ELUKS: no. */
LK_CHECK enum lk_code lk_header_test(
    const struct lk_header *h, uint32_t slot, struct lk_slice secret, struct lk_err *e);
/* Must the slot of a binding go with it? If not, *stays says why, or is NULL where there is none:
 * it stays when it is borrowed or another binding's, and that of a pending binding when nothing
 * says that latchkey made it. LK_ELUKS: the slot of an active binding is none that latchkey made.
 */
LK_CHECK enum lk_code lk_header_goes(const struct lk_header *h, const struct lk_binding *b,
    bool *goes, const char **stays, struct lk_err *e);
/* Remove the slot of a binding, as far as it goes; its token says first that it is not finished, so
 * that no boot relies on a slot that is being wiped. LK_EUSAGE: no other slot
 * that opens the volume would be left. Nothing was changed where it fails like this or as
 * lk_header_goes does. */
LK_CHECK enum lk_code lk_header_cut(
    struct lk_header *h, const struct lk_binding *b, const char **stays, struct lk_err *e);
/* The same, and then the token. `stays` NULL: not wanted. */
LK_CHECK enum lk_code lk_header_remove(
    struct lk_header *h, const struct lk_binding *b, const char **stays, struct lk_err *e);
/* Remove the token of this number alone, which is of type latchkey and malformed. */
LK_CHECK enum lk_code lk_header_remove_bad(struct lk_header *h, uint32_t token, struct lk_err *e);

/* Take back what was done since lk_header_open (but for what was removed): by cryptsetup first,
 * then byte for byte, provided that the JSON is as it was; otherwise somebody else changed the
 * header meanwhile, and theirs is kept (said in the log). */
LK_CHECK enum lk_code lk_header_undo(struct lk_header *h, struct lk_err *e);
void lk_header_close(struct lk_header *h);

/* ---- the bytes (header_bytes.c); for header.c and the tests */

/* Keep what is in front of the data, into h->before. */
LK_CHECK enum lk_code lk_header_keep(struct lk_header *h, int fd, struct lk_err *e);
/* Write it back where it is another now: the key slots' area, the first copy, the second copy, each
 * on the disk before the next, so that a valid copy is there at any time; then read it back.
 * *theirs: the JSON is another, nothing was written. Under cryptsetup's own lock. */
LK_CHECK enum lk_code lk_header_restore(struct lk_header *h, bool *theirs, struct lk_err *e);

#endif
