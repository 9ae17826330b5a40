/* lk/kwp.h - AES key unwrap with padding, RFC 5649 (CKM_AES_KEY_WRAP_KWP). Ours, over lk_aes_block.
 */
#ifndef LK_KWP_H
#define LK_KWP_H

#include "lk/secret.h"

/* `in`: 16 bytes or more, a multiple of 8. LK_ECRYPTO for a wrong key or altered data, with one
 * message whatever the cause. */
LK_CHECK enum lk_code lk_kwp_unwrap(
    struct lk_slice kek, struct lk_slice in, struct lk_secret *out, struct lk_err *e);

#endif
