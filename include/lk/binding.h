/* lk/binding.h - the LUKS2 token of type "latchkey": what it says, its MAC, and the secret of the
 * key slot it stands for (design, section 4).
 *
 * Secret of the slot, by kind, and the vault keys that the kind is for:
 *   derived  RSA, EC, oct  HKDF-SHA256(IKM, salt, "latchkey disk v1" || LUKS UUID), 32 bytes, as
 *                          43 characters of base64url
 *   raw      oct           the key's own bytes, 16 to 64 of them
 *   compat   RSA           HKDF-SHA256(d, kdf-salt, label), 32 bytes (protocol notes, section 7)
 *   wrapped  RSA           32 random bytes that were wrapped to the public half with
 *                          RSA-OAEP-SHA256, empty label; as 43 characters of base64url
 * IKM is the canonical form of lk/key.h. d is the private exponent in the encoding that the vault
 * releases: should an HSM ever reduce it by another modulus (phi(n), lambda(n)), a compat slot no
 * longer opens, while derived ones still do.
 *
 * What proves a token: for derived, raw and compat
 *   mac key = HKDF-SHA256(IKM, salt, "latchkey token v1" || LUKS UUID), 32 bytes
 *   mac = HMAC-SHA256(mac key, for each field in the order below: u32 LE length, bytes)
 *   fields: "latchkey", version "1", id, kind, key, attest, thumbprint, uuid, salt;
 *           compat: and then kdf-salt, label
 * `keyslots` is not covered: cryptsetup may renumber it. A wrapped one is made without the private
 * half and has no MAC: anybody can make one, so it counts only if the configuration pins the
 * SHA-256 of the wrapped bytes.
 *
 * JSON members: type, keyslots, version (number), id (16 hex digits), kind, key, attest, thumbprint
 * (43 characters, "" for oct), uuid;
 *   no MAC covers these, which say what became of it; only latchkeyctl heeds them, and boot takes
 *   an active binding alone:
 *   pending-slot (number as a string, with empty keyslots): the slot that is about to be added;
 *   replaced-by (16 hex digits): the binding that takes its place;
 *   borrowed (true): its slot was there before and stays when the binding goes;
 *   derived, raw, compat: salt (base64url of 32 bytes), mac (base64url of 32 bytes);
 *   compat: kdf-salt (base64url of 0 to 64 bytes; absent: none), label (1 to 64 characters of
 *           printable ASCII; absent: LK_BINDING_LABEL);
 *   wrapped: wrapped (base64url of 256 to 512 bytes); mac absent or "".
 */
#ifndef LK_BINDING_H
#define LK_BINDING_H

#include "lk/json.h"
#include "lk/key.h"
#include "lk/url.h"

#define LK_BINDING_TYPE     "latchkey"
#define LK_BINDING_LABEL    "Symmetric Encryption Key"
#define LK_BINDING_JSON_MAX 3072 /* one token as text */
#define LK_BINDINGS_MAX     8
#define LK_SLOT_MAX         31u /* LUKS2 has 32 key slots and 32 tokens */
#define LK_DISK_KEY_LEN     43  /* of kinds derived and wrapped */

enum lk_kind { LK_DERIVED, LK_RAW, LK_COMPAT, LK_WRAPPED };

enum lk_binding_state {
	LK_BINDING_ACTIVE,  /* lists its one slot */
	LK_BINDING_PENDING, /* the token is there, its slot perhaps not yet */
	LK_BINDING_CUT /* its slot is gone (cryptsetup takes it off the list), the token not yet */
};

struct lk_binding {
	size_t kdf_salt_len, wrapped_len;
	uint32_t token; /* token number in the header */
	enum lk_binding_state state;
	uint32_t slot; /* active: the one key slot it lists; pending: that it is for; cut: 0 */
	bool borrowed;
	char replaced_by[17]; /* "": nothing does */
	char id[17];
	char kind[16];                 /* a word; not always one that we know */
	char key[600];                 /* key URL, with version */
	char attest[LK_HOST_MAX + 16]; /* https://host */
	char thumbprint[44];
	char uuid[37];
	uint8_t salt[32];
	uint8_t mac[32];
	/* What a kind does not have is zero. */
	uint8_t kdf_salt[64];
	char label[65];
	uint8_t wrapped[LK_RSA_MAX];
};

const char *lk_kind_name(enum lk_kind k);
bool lk_kind_parse(struct lk_slice name, enum lk_kind *out); /* false: none that we know */
bool lk_binding_is(const struct lk_binding *b, enum lk_kind k);

/* 36 characters, lower case: what cryptsetup writes. */
bool lk_uuid_ok(struct lk_slice s);
/* 16 hexadecimal digits, lower case: what names a binding. */
bool lk_binding_id_ok(struct lk_slice s);

/* Every field typed and limited; members of other kinds and unknown ones are ignored. A kind that
 * is not known is no error here: it is read without members of its own, so that it can be refused
 * by name. LK_ELUKS for a malformed token. */
LK_CHECK enum lk_code lk_binding_read(
    const struct lk_json *token, uint32_t number, struct lk_binding *out, struct lk_err *e);
LK_CHECK enum lk_code lk_binding_write(
    const struct lk_binding *b, struct lk_buf *json, struct lk_err *e);

/* May a binding of this kind be for such a key? LK_ECONF names both. */
LK_CHECK enum lk_code lk_binding_fits(
    const struct lk_binding *b, enum lk_kty kty, struct lk_err *e);
/* Compute the MAC into b->mac, or check it (LK_ETRUST: the token was not written by someone who had
 * the key released). LK_EUSAGE: a wrapped one, which has none. */
LK_CHECK enum lk_code lk_binding_seal(
    struct lk_binding *b, const struct lk_secret *ikm, struct lk_err *e);
LK_CHECK enum lk_code lk_binding_verify(
    const struct lk_binding *b, const struct lk_secret *ikm, struct lk_err *e);
/* What a configuration must say to pin a wrapped one: SHA-256 of the wrapped bytes, hexadecimal in
 * lower case. LK_EUSAGE for other kinds. */
LK_CHECK enum lk_code lk_binding_pin(
    const struct lk_binding *b, char out[static 65], struct lk_err *e);
/* Is it the pinned one? LK_ETRUST names both; an empty pin fits none. */
LK_CHECK enum lk_code lk_binding_pinned(
    const struct lk_binding *b, const char *pin, struct lk_err *e);

/* The secret of the slot, from a key that was released (pub, plain) and its canonical form (ikm).
 * Not before the token is proved. LK_ECONF: lk_binding_fits; LK_EUNWRAP: this key does not give
 * it. */
LK_CHECK enum lk_code lk_binding_disk_key(const struct lk_binding *b, const struct lk_pub *pub,
    struct lk_slice plain, const struct lk_secret *ikm, struct lk_secret *out, struct lk_err *e);
/* Make b a wrapped one with a new random secret for the owner of `pub`: sets kind and wrapped,
 * clears what that kind does not have. `out` is the secret of the slot. LK_ECONF: not an RSA key.
 */
LK_CHECK enum lk_code lk_binding_wrap(
    struct lk_binding *b, const struct lk_pub *pub, struct lk_secret *out, struct lk_err *e);

#endif
