/* lk/frame.h - typed messages between the keeper and its couriers.
 *
 * On the wire: u32 length (LE, of type and payload), u8 type, payload of length-prefixed fields
 * (u32 LE, bytes) in a fixed order per type. An end of file inside a frame is an error; a length
 * over LK_FRAME_MAX is refused before anything is read; the receiver checks every field again and
 * that nothing is left over.
 */
#ifndef LK_FRAME_H
#define LK_FRAME_H

#include "lk/clock.h"
#include "lk/slice.h"

#define LK_FRAME_MAX ((size_t)256 * 1024)

enum lk_frame {
	/* keeper to courier */
	LK_F_CERTS = 1,   /* enum lk_certs_from(u32), report, data */
	LK_F_BEARER,      /* resource, kind(u32), id */
	LK_F_ATTEST,      /* the fields of struct lk_maa_evidence in order, numbers as u32 */
	LK_F_ATTEST_SNP,  /* the fields of struct lk_maa_snp in order */
	LK_F_TOKEN_CHECK, /* enum lk_maa_path(u32), jwt, modulus, nonce */
	LK_F_RELEASE,     /* key url, api version, bearer, token, nonce, enc(u32), wrap kid,
			     length of the RSA block(u32) */
	LK_F_TOKENS,      /* - ; the descriptor was inherited */
	/* courier to keeper */
	LK_F_LOG = 64,  /* level(u32), line */
	LK_F_ERROR,     /* code, retry, sys, http, lib, wait (u32 each), message, hint */
	LK_F_CERTS_OK,  /* pem, tcbm(u64), has_tcbm(u32) */
	LK_F_BEARER_OK, /* token */
	LK_F_ENVELOPE,  /* inner key, iv, tag, ciphertext */
	LK_F_TOKEN,     /* jwt */
	LK_F_CLAIMS,    /* issuer, expires(u64), summary */
	LK_F_RELEASED,  /* kty, curve (u32 each), n, e, kid, ciphertext */
	LK_F_TOKENS_OK, /* the numbers of struct lk_luks2, reencrypting, count (u32 each), uuid,
			   cipher, integrity, then per binding the fields of struct lk_binding in
			   order */
	LK_F_STEP       /* step name, milliseconds(u32): for the timeline ("dns+connect", "tls",
			   "exchange") */
};

void lk_frame_field(struct lk_buf *b, struct lk_slice v);
void lk_frame_u32(struct lk_buf *b, uint32_t v); /* a field of 4 bytes */
void lk_frame_u64(struct lk_buf *b, uint64_t v); /* a field of 8 bytes */

/* Readers over a payload; errors are sticky in `bad`, test once with lk_frame_done (bad, or bytes
 * left: LK_EPROTO). */
struct lk_frame_reader {
	struct lk_slice left;
	bool bad;
};
struct lk_slice lk_frame_take(struct lk_frame_reader *r, size_t max);
uint32_t lk_frame_take_u32(struct lk_frame_reader *r);
uint64_t lk_frame_take_u64(struct lk_frame_reader *r);
void lk_frame_take_cstr(struct lk_frame_reader *r, char *out, size_t cap); /* printable ASCII only
									    */
LK_CHECK enum lk_code lk_frame_done(
    const struct lk_frame_reader *r, const char *what, struct lk_err *e);

/* payload NULL: an empty one. */
LK_CHECK enum lk_code lk_frame_send(
    int fd, enum lk_frame type, const struct lk_buf *payload, lk_time deadline, struct lk_err *e);
/* The payload is appended to `store`. LK_EABSENT: the other side closed between two frames. */
LK_CHECK enum lk_code lk_frame_recv(int fd, struct lk_buf *store, enum lk_frame *type,
    struct lk_frame_reader *payload, lk_time deadline, struct lk_err *e);

#endif
