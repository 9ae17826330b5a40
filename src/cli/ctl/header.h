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

struct lk_header {
	const char *device, *cryptsetup; /* borrowed */
	struct lk_luks2 now;             /* as last read */
	/* private: the bytes in front of the data as they were, and what was added since */
	uint8_t *before;
	size_t before_n;
	uint32_t tokens_added, slots_added;
	bool changed; /* something was removed or marked: not to be taken back */
};

/* Read the header and keep its bytes. LK_ELUKS: no LUKS2 header; a reencryption is under way. */
LK_CHECK enum lk_code lk_header_open(
    const char *device, const char *cryptsetup, struct lk_header *out, struct lk_err *e);
LK_CHECK enum lk_code lk_header_read(struct lk_header *h, struct lk_err *e);
/* The first free key slot (or `wish`, unless LK_SLOT_ANY) and token number, into b->slot and
 * b->token. LK_ELUKS: none free; nothing was changed. */
LK_CHECK enum lk_code lk_header_free(
    const struct lk_header *h, uint32_t wish, struct lk_binding *b, struct lk_err *e);
/* The binding of this id, or NULL. */
const struct lk_binding *lk_header_find(const struct lk_header *h, const char *id);

/* Write b as a pending token: b->state becomes LK_BINDING_PENDING. */
LK_CHECK enum lk_code lk_header_pend(struct lk_header *h, struct lk_binding *b, struct lk_err *e);
/* Add a key slot for `secret`, PBKDF2 with LK_SLOT_ITERATIONS; `existing` opens another one. */
LK_CHECK enum lk_code lk_header_add_slot(struct lk_header *h, uint32_t slot,
    struct lk_slice existing, struct lk_slice secret, struct lk_err *e);
/* Write b again as it is (active, marked as replaced, ...) over the token of its number. */
LK_CHECK enum lk_code lk_header_put(
    struct lk_header *h, const struct lk_binding *b, struct lk_err *e);
/* Does the slot open with this secret? LK_ELUKS: no. */
LK_CHECK enum lk_code lk_header_test(
    const struct lk_header *h, uint32_t slot, struct lk_slice secret, struct lk_err *e);
/* Remove a binding: its slot unless it is borrowed, then its token. LK_EUSAGE: no other key slot
 * would be left, nothing was changed. */
LK_CHECK enum lk_code lk_header_remove(
    struct lk_header *h, const struct lk_binding *b, struct lk_err *e);

/* Take back what was added since lk_header_open: by cryptsetup first, then byte for byte, provided
 * that the JSON is as it was; otherwise somebody else changed the header meanwhile, and theirs is
 * kept (said in the log). */
LK_CHECK enum lk_code lk_header_undo(struct lk_header *h, struct lk_err *e);
void lk_header_close(struct lk_header *h); /* wipes and frees */

#endif
