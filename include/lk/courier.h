/* lk/courier.h - one child process per peer (design, section 2).
 *
 * lk_courier_start forks; the child drops its privileges (unused uid and gid, no groups, no new
 * privileges, not dumpable, rlimits), closes every descriptor but its socket, connects to its one
 * peer (attestation and vault: at once), and serves frames until the keeper closes the socket. All
 * that the network sends is parsed there. Start couriers before any secret exists and before a
 * device is opened.
 *
 * The keeper asks with lk_courier_ask and collects later with lk_courier_wait, so that couriers and
 * TPM work overlap. One question may be outstanding per courier, except that IMDS takes two in a
 * row. Log and step frames are passed on while waiting. A courier that dies gives LK_EBUG naming
 * its signal (retry set: lk_courier_restart may be tried).
 */
#ifndef LK_COURIER_H
#define LK_COURIER_H

#include <sys/types.h>

#include "lk/frame.h"
#include "lk/imds.h"
#include "lk/luks2.h"
#include "lk/maa.h"
#include "lk/vault.h"

enum lk_peer {
	LK_PEER_IMDS,
	LK_PEER_MAA,
	LK_PEER_VAULT,
	LK_PEER_KDS, /* host LK_KDS_HOST, which is asked nothing before there is a question */
	LK_PEER_DISK,
	LK_PEERS
};
const char *lk_peer_name(enum lk_peer p); /* "imds", "attestation", "vault", "kds", "disk" */

struct lk_courier_conf {
	enum lk_peer peer;
	char host[LK_HOST_MAX];
	uint16_t port;
	struct lk_slice roots_pem; /* read before the fork; empty for imds and disk */
	int disk_fd;               /* LK_PEER_DISK: the device, open for reading; else -1 */
	bool own_name;    /* LK_PEER_VAULT: not in Azure's domains, but the configuration allows it
			   */
	lk_time deadline; /* the child stops a little before, so that its reason still arrives */
};

struct lk_courier {
	struct lk_courier_conf conf;
	int fd; /* -1: not running */
	pid_t pid;
	uint32_t connect_ms, tls_ms, exchange_ms; /* of the last exchange, for the timeline */
};

LK_CHECK enum lk_code lk_courier_start(
    const struct lk_courier_conf *conf, struct lk_courier *out, struct lk_err *e);
LK_CHECK enum lk_code lk_courier_restart(struct lk_courier *c, struct lk_err *e);
void lk_courier_stop(struct lk_courier *c); /* closes, waits up to 100 ms, then kills and reaps */

LK_CHECK enum lk_code lk_courier_ask(
    struct lk_courier *c, enum lk_frame type, const struct lk_buf *payload, struct lk_err *e);
/* Wait for `want`; an LK_F_ERROR becomes the error, anything else is LK_EPROTO. */
LK_CHECK enum lk_code lk_courier_wait(struct lk_courier *c, enum lk_frame want,
    struct lk_buf *store, struct lk_frame_reader *out, struct lk_err *e);

/* Where a report's certificates come from. All four give the same answer, in which tcbm is that of
 * the VCEK; the report (1184 bytes) is needed for the table and for KDS. Where it is given, a VCEK
 * of another processor, or of another TCB than the answer itself says, is LK_EATTEST; whether the
 * TCB is the report's is left to the caller. */
enum lk_certs_from {
	LK_CERTS_THIM,  /* the metadata service; data is empty */
	LK_CERTS_FILE,  /* data: base64 of THIM's answer, as confidential containers have it */
	LK_CERTS_TABLE, /* data: the host's table. LK_EABSENT: no VCEK (VLEK), ASK, ARK in it. These
			   two ask nobody: any courier of kind LK_PEER_IMDS does them, also one
			   without a host; but answers come in the order of the questions, and one
			   to the metadata service may take until the deadline */
	LK_CERTS_KDS    /* AMD's key distribution service, by a courier of kind LK_PEER_KDS, for the
			   chip and the reported TCB of the report; data is empty */
};

/* Typed pairs over ask and wait; slices point into `store`. */
LK_CHECK enum lk_code lk_ask_certs(struct lk_courier *c, enum lk_certs_from from,
    struct lk_slice report, struct lk_slice data, struct lk_buf *scratch, struct lk_err *e);
LK_CHECK enum lk_code lk_wait_certs(
    struct lk_courier *c, struct lk_buf *store, struct lk_certs *out, struct lk_err *e);
LK_CHECK enum lk_code lk_ask_bearer(struct lk_courier *c, const char *resource,
    enum lk_identity kind, const char *id, struct lk_err *e);
LK_CHECK enum lk_code lk_wait_bearer(
    struct lk_courier *c, struct lk_buf *store, struct lk_slice *token, struct lk_err *e);
LK_CHECK enum lk_code lk_ask_attest(struct lk_courier *c, const struct lk_maa_evidence *ev,
    struct lk_buf *scratch, struct lk_err *e);
LK_CHECK enum lk_code lk_wait_envelope(
    struct lk_courier *c, struct lk_buf *store, struct lk_maa_envelope *out, struct lk_err *e);
LK_CHECK enum lk_code lk_ask_attest_snp(
    struct lk_courier *c, const struct lk_maa_snp *ev, struct lk_buf *scratch, struct lk_err *e);
LK_CHECK enum lk_code lk_wait_token(
    struct lk_courier *c, struct lk_buf *store, struct lk_slice *jwt, struct lk_err *e);
LK_CHECK enum lk_code lk_token_check(struct lk_courier *c, enum lk_maa_path path,
    struct lk_slice jwt, struct lk_slice key_n, struct lk_slice nonce, struct lk_buf *scratch,
    struct lk_maa_claims *out, struct lk_err *e);
struct lk_release_wire {
	const char *key_url, *api_version;
	struct lk_slice bearer, token, nonce, wrap_kid;
	enum lk_enc enc;
	size_t block; /* length of the wrapping key's modulus: the ciphertext starts with so much
			 RSA */
};
LK_CHECK enum lk_code lk_ask_release(struct lk_courier *c, const struct lk_release_wire *ask,
    struct lk_buf *scratch, struct lk_err *e);
LK_CHECK enum lk_code lk_wait_released(struct lk_courier *c, size_t block, struct lk_buf *store,
    struct lk_released *out, struct lk_err *e);

/* The disk courier's one question: asked and waited for. */
LK_CHECK enum lk_code lk_read_tokens(
    struct lk_courier *c, struct lk_buf *store, struct lk_luks2 *out, struct lk_err *e);

/* The child's main loop for one peer (in serve_<peer>.c); returns the process's exit status. */
int lk_serve_imds(int fd, const struct lk_courier_conf *conf);
int lk_serve_maa(int fd, const struct lk_courier_conf *conf);
int lk_serve_vault(int fd, const struct lk_courier_conf *conf);
int lk_serve_kds(int fd, const struct lk_courier_conf *conf);
int lk_serve_disk(int fd, const struct lk_courier_conf *conf);

#endif
