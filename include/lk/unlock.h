/* lk/unlock.h - from a configuration with pins and a LUKS2 header to the volume's key, or to the
 * opened mapping.
 *
 * Order: read the header in the disk courier; pick the binding whose uuid, kind, key URL,
 * attestation authority and thumbprint are those of the configuration (any that disagree are
 * refused by name); attest and release; check the token's MAC; derive; only then is anything
 * opened.
 *
 * Kinds: derived is always taken, raw or compat when the configuration names it, wrapped only with
 * its pin: the host could otherwise change a binding into one that it can make itself.
 */
#ifndef LK_UNLOCK_H
#define LK_UNLOCK_H

#include "lk/luks2.h"
#include "lk/release.h"

/* Read the header behind disk_fd in a courier of its own (LK_PEER_DISK) that ends with the call. */
LK_CHECK enum lk_code lk_disk_header(
    int disk_fd, lk_time deadline, struct lk_luks2 *out, struct lk_err *e);
/* Does the configuration pin all that a boot must not take from the disk? LK_ECONF names the first
 * that is missing. Before anything is started. */
LK_CHECK enum lk_code lk_unlock_ready(const struct lk_conf *conf, struct lk_err *e);
/* The active binding that says what the configuration pins. LK_ETRUST: what is meant by them says
 * something else; names the field and both values. LK_ELUKS: no token, or the one that is meant is
 * not active: the hint says how to finish it. Bindings for other keys or authorities, and those
 * that are not active, are passed over at debug level, contradictions with a warning. */
LK_CHECK enum lk_code lk_unlock_pins(const struct lk_conf *conf, const struct lk_luks2 *h,
    const struct lk_binding **out, struct lk_err *e);
/* The secret of the volume's key slot, and which slot that is. disk_fd: the device, open for
 * reading. One job of lk_unlock_all. */
LK_CHECK enum lk_code lk_unlock_key(struct lk_run *r, const struct lk_conf *conf, int disk_fd,
    struct lk_secret *key, uint32_t *slot, struct lk_err *e);

/* Several volumes, one attestation (design, section 4): headers first, each in a courier of its
 * own; then, for each distinct key (URL with version, thumbprint), one release, from which the
 * secrets of all the volumes that use this key follow one after the other. `use` gets a volume's
 * secret, which is wiped when it returns; it must not start a courier, since the key that was
 * released is in memory until the last of its volumes is served. */
struct lk_unlock_job {
	const struct lk_conf *conf;
	LK_CHECK enum lk_code (*use)(
	    void *ctx, uint32_t slot, const struct lk_secret *key, struct lk_err *e);
	void *ctx;
	struct lk_binding found; /* the binding that was used; .id "" when there was none */
	struct lk_err e;         /* how it ended */
	int disk_fd;
	bool done; /* private */
};
/* May they share a run? The same attestation authority, vault host, identity, evidence and what
 * else the run's couriers and questions depend on, except its time. */
bool lk_unlock_together(const struct lk_conf *a, const struct lk_conf *b);
/* Is the evidence asked of the same device? */
bool lk_unlock_same_machine(const struct lk_conf *a, const struct lk_conf *b);
/* A failure of one is in its .e and does not end the others; one of the machine (LK_ETPM, LK_ESNP)
 * or of the attestation is in all that were not done before. */
void lk_unlock_all(struct lk_run *r, struct lk_unlock_job *jobs, size_t n);

#endif
