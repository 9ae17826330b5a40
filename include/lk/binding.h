/* lk/binding.h - the LUKS2 token of type "latchkey", its MAC, and the disk key derived from the
 * released key (design, section 4).
 *
 *   secret = HKDF-SHA256(IKM, salt, "latchkey disk v1" || LUKS UUID), 32 bytes, used as 43
 * characters of base64url mac key = HKDF-SHA256(IKM, salt, "latchkey token v1" || LUKS UUID), 32
 * bytes mac = HMAC-SHA256(mac key, for each field in the order below: u32 LE length, bytes) fields:
 * "latchkey", version "1", id, kind, key, attest, thumbprint, uuid, salt `keyslots` is not covered:
 * cryptsetup may renumber it. JSON members: type, keyslots, version (number), id (16 hex digits),
 * kind, key, attest, thumbprint (43 characters, "" for oct), uuid, salt (base64url of 32 bytes),
 * mac (base64url of 32 bytes).
 */
#ifndef LK_BINDING_H
#define LK_BINDING_H

#include "lk/crypto.h"
#include "lk/json.h"
#include "lk/url.h"

#define LK_BINDING_TYPE "latchkey"
#define LK_BINDINGS_MAX 8
#define LK_SLOT_MAX     31u /* LUKS2 has 32 key slots and 32 tokens */
#define LK_DISK_KEY_LEN 43

struct lk_binding {
	uint32_t token; /* token number in the header */
	uint32_t slot;  /* the one key slot it lists */
	char id[17];
	char kind[16];                 /* "derived" */
	char key[600];                 /* key URL, with version */
	char attest[LK_HOST_MAX + 16]; /* https://host */
	char thumbprint[44];
	char uuid[37];
	uint8_t salt[32];
	uint8_t mac[32];
};

/* 36 characters, lower case: what cryptsetup writes. */
bool lk_uuid_ok(struct lk_slice s);

/* Every field typed and limited; unknown members are ignored. LK_ELUKS for a malformed one. */
LK_CHECK enum lk_code lk_binding_read(
    const struct lk_json *token, uint32_t number, struct lk_binding *out, struct lk_err *e);
LK_CHECK enum lk_code lk_binding_write(
    const struct lk_binding *b, struct lk_buf *json, struct lk_err *e);
/* Compute the MAC into b->mac, or check it (LK_ETRUST: the token was not written by someone who had
 * the key released). */
LK_CHECK enum lk_code lk_binding_seal(
    struct lk_binding *b, const struct lk_secret *ikm, struct lk_err *e);
LK_CHECK enum lk_code lk_binding_verify(
    const struct lk_binding *b, const struct lk_secret *ikm, struct lk_err *e);
/* The 43 characters. */
LK_CHECK enum lk_code lk_binding_disk_key(const struct lk_binding *b, const struct lk_secret *ikm,
    struct lk_secret *out, struct lk_err *e);

#endif
