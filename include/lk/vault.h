/* lk/vault.h - Key Vault and Managed HSM: POST /keys/{name}[/{version}]/release (protocol notes,
 * section 4). */
#ifndef LK_VAULT_H
#define LK_VAULT_H

#include "lk/jws.h"
#include "lk/http.h"
#include "lk/url.h"

enum lk_enc { LK_ENC_SHA256, LK_ENC_SHA384, LK_ENC_SHA1 };
/* "RSA_AES_KEY_WRAP_256", "RSA_AES_KEY_WRAP_384", "CKM_RSA_AES_KEY_WRAP". */
const char *lk_enc_name(enum lk_enc enc);

struct lk_release_ask {
	const struct lk_key_url *key;
	const char *api_version;
	struct lk_slice bearer;
	struct lk_slice token; /* attestation JWT */
	struct lk_slice nonce;
	enum lk_enc enc;
	struct lk_slice wrap_kid; /* kid of our wrapping key, compared with key_hsm's header; empty:
				     not compared */
	size_t block; /* length of the RSA block in front of the ciphertext: 256, 384, 512 */
};

struct lk_released {
	struct lk_pub pub;          /* public half as the vault states it */
	char kid[600];              /* full key URL with version, as the vault states it */
	struct lk_slice ciphertext; /* RSA block and KWP block; points into the store */
};

void lk_vault_target(const struct lk_release_ask *ask, struct lk_buf *out);
LK_CHECK enum lk_code lk_vault_body(
    const struct lk_release_ask *ask, struct lk_buf *out, struct lk_err *e);
/* Verify the JWS (chain to roots for the key's host), then: request.kid and response kid name our
 * key (and version, if we named one), request.nonce is ours, enc is what was asked (key_hsm header
 * and request; a weaker or other one is refused by name), key_hsm, ciphertext length = block + 8k
 * with k >= 2. `store` needs 64 KiB. */
LK_CHECK enum lk_code lk_vault_parse(const struct lk_http_rsp *rsp,
    const struct lk_release_ask *ask, const struct lk_roots *roots, struct lk_buf *store,
    struct lk_released *out, struct lk_err *e);

#endif
