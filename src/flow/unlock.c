/* From a LUKS2 header and a released key to the secrets of volumes; the contract is in lk/unlock.h.
 *
 * Couriers are forked by lk_disk_header, by lk_run_start and, when one has died, inside
 * lk_run_attest and lk_run_release. None of these is called between the moment when lk_run_release
 * has given a key and the moment when that key, and what was derived from it, are wiped: a courier
 * never has a copy of either. (They are in memory that a child sees as zeros, besides.)
 */
#include <string.h>

#include "lk/unlock.h"
#include "run.h"

static bool same(const char *a, const char *b)
{
	return lk_slice_eq(lk_slice_str(a), lk_slice_str(b));
}

enum lk_code lk_disk_header(int disk_fd, lk_time deadline, struct lk_luks2 *out, struct lk_err *e)
{
	static uint8_t room[32u * 1024u];
	struct lk_buf store = LK_BUF(room);
	struct lk_courier_conf conf;
	struct lk_courier c;

	memset(&conf, 0, sizeof(conf));
	conf.peer = LK_PEER_DISK;
	conf.disk_fd = disk_fd;
	conf.deadline = deadline;
	enum lk_code rc = lk_courier_start(&conf, &c, e);
	if (rc != LK_OK)
		return rc;
	rc = lk_read_tokens(&c, &store, out, e);
	lk_courier_stop(&c);
	return rc;
}

/* ---- before there is a key */

static void read_header(const struct lk_run *r, struct lk_unlock_job *job)
{
	static struct lk_luks2 h;
	const struct lk_binding *b = NULL;

	memset(&job->e, 0, sizeof(job->e));
	memset(&job->found, 0, sizeof(job->found));
	if (lk_disk_header(job->disk_fd, lk_run_deadline(r), &h, &job->e) != LK_OK)
		(void)lk_err_prefix(&job->e, "the volume's header");
	else if (lk_unlock_pins(job->conf, &h, &b, &job->e) == LK_OK && b)
		job->found = *b;
	job->done = job->e.code != LK_OK;
}

static void fail_waiting(struct lk_unlock_job *jobs, size_t n, const struct lk_err *e)
{
	for (size_t i = 0; i < n; i++)
		if (!jobs[i].done) {
			jobs[i].e = *e;
			jobs[i].done = true;
		}
}

static bool any_waiting(const struct lk_unlock_job *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!jobs[i].done)
			return true;
	return false;
}

/* ---- one key, and the volumes that it is for */

/* What proves the token comes first: a MAC needs the private key, so a disk that was made with the
 * public half alone ends here, before anything is opened. A wrapped secret is proved by its pin. */
static enum lk_code open_one(struct lk_run_hidden *h, const struct lk_unlock_job *job,
    const struct lk_key *of, struct lk_err *e)
{
	const struct lk_binding *b = &job->found;

	/* For an oct key both are empty, and the MAC alone tells. */
	if (!same(of->thumbprint, b->thumbprint))
		return lk_fail(e, LK_ETRUST, "token %u: thumbprint is %s, the vault's key has %s",
		    (unsigned)b->token, b->thumbprint[0] ? b->thumbprint : "missing",
		    of->thumbprint[0] ? of->thumbprint : "none");
	enum lk_code rc = lk_binding_fits(b, of->pub.kty, e);
	if (rc == LK_OK)
		rc = lk_binding_is(b, LK_WRAPPED) ? lk_binding_pinned(b, job->conf->wrapped, e)
						  : lk_binding_verify(b, &h->ikm, e);
	if (rc == LK_OK)
		rc = lk_binding_disk_key(
		    b, &of->pub, lk_secret_slice(&h->released), &h->ikm, &h->volume, e);
	if (rc == LK_OK)
		rc = job->use(job->ctx, b->slot, &h->volume, e);
	lk_secret_clear(&h->volume);
	return rc;
}

static bool same_key(const struct lk_unlock_job *a, const struct lk_unlock_job *b)
{
	return same(a->found.key, b->found.key) && same(a->found.thumbprint, b->found.thumbprint);
}

/* The first job's key, for all the jobs that it is for. What a job makes of it is that job's own
 * affair; returned is how the release went. */
static enum lk_code serve_key(
    struct lk_run *r, struct lk_unlock_job *jobs, size_t n, struct lk_err *e)
{
	static struct lk_key key;
	struct lk_run_hidden *h = r->h;
	enum lk_code rc = lk_run_use_key(r, jobs[0].found.key, jobs[0].found.thumbprint, e);

	if (rc == LK_OK)
		rc = lk_run_release(r, &key, &h->released, e);
	if (rc == LK_OK)
		rc = lk_key_canonical(&key.pub, lk_secret_slice(&h->released), &h->ikm, e);
	for (size_t i = 0; i < n; i++) {
		if (jobs[i].done || !same_key(&jobs[0], &jobs[i]))
			continue;
		if (rc != LK_OK)
			jobs[i].e = *e;
		else
			(void)open_one(h, &jobs[i], &key, &jobs[i].e);
		jobs[i].done = true;
	}
	lk_secret_clear(&h->ikm);
	lk_secret_clear(&h->released);
	return rc;
}

/* Nothing of the machine is to be asked again after these: the others would fail in the same way,
 * and one more report may cost the guest its message key. */
static bool ends_all(const struct lk_run *r, enum lk_code rc)
{
	return rc != LK_OK && (!r->attested || rc == LK_ETPM || rc == LK_ESNP);
}

void lk_unlock_all(struct lk_run *r, struct lk_unlock_job *jobs, size_t n)
{
	struct lk_err e = {0};
	struct lk_slice jwt;

	for (size_t i = 0; i < n; i++)
		read_header(r, &jobs[i]);
	if (!any_waiting(jobs, n))
		return;
	if (lk_run_attest(r, &jwt, NULL, &e) != LK_OK) {
		fail_waiting(jobs, n, &e);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (jobs[i].done)
			continue;
		memset(&e, 0, sizeof(e));
		if (ends_all(r, serve_key(r, &jobs[i], n - i, &e))) {
			fail_waiting(jobs, n, &e);
			return;
		}
	}
}

/* ---- one volume */

struct kept {
	struct lk_secret *key;
	uint32_t *slot;
};

LK_CHECK static enum lk_code keep(
    void *ctx, uint32_t slot, const struct lk_secret *key, struct lk_err *e)
{
	const struct kept *k = ctx;

	*k->slot = slot;
	return lk_secret_set(k->key, lk_secret_slice(key), e);
}

enum lk_code lk_unlock_key(struct lk_run *r, const struct lk_conf *conf, int disk_fd,
    struct lk_secret *key, uint32_t *slot, struct lk_err *e)
{
	struct kept k = {.key = key, .slot = slot};
	struct lk_unlock_job job = {.conf = conf, .disk_fd = disk_fd, .use = keep, .ctx = &k};

	lk_unlock_all(r, &job, 1);
	if (job.e.code != LK_OK)
		*e = job.e;
	return job.e.code;
}
