/* vault_parse.h - the inside of a release answer, after its signature was verified. */
#ifndef LK_AZURE_VAULT_PARSE_H
#define LK_AZURE_VAULT_PARSE_H

#include "lk/vault.h"

/* `payload` is the verified JWS payload; the checks are those that lk_vault_parse promises. What is
 * decoded goes to `store` (not the memory of `payload`). */
LK_CHECK enum lk_code lk_vault_payload(struct lk_slice payload, const struct lk_release_ask *ask,
    struct lk_buf *store, struct lk_released *out, struct lk_err *e);

#endif
