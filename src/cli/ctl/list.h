/* list.h - what `latchkeyctl list` found, and the two forms of saying it; private to
 * src/cli/ctl/list*.c.
 */
#ifndef LK_CLI_LIST_H
#define LK_CLI_LIST_H

#include "volume.h"

struct lk_listed {
	struct lk_volume v;
	struct lk_luks2 h;
	uint32_t choice[LK_BINDINGS_MAX]; /* of the header's bindings, see lk_volume_choice */
	struct lk_err e;                  /* why there is no header */
	const char *operand;
};

/* "active", "pending", "cut", "replaced" */
const char *lk_list_state(const struct lk_binding *b);
/* What a boot with this binding, or its proof, would need; or what is to be done with it. */
void lk_list_proof(const struct lk_listed *l, size_t binding, struct lk_buf *out);
/* As a setting has it: "system", "client:ID", ... */
void lk_list_identity(const struct lk_conf *c, struct lk_buf *out);
/* Does a binding of the header stand for this binding of NAME.conf? */
bool lk_list_has(const struct lk_listed *l, uint32_t choice);

/* One document, as list_json.c describes it. */
void lk_list_json(const struct lk_listed *l, size_t n, struct lk_buf *out);

#endif
