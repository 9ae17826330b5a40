/* volumes.c - volumes from their configuration to a mapping that is open, or a key handed over.
 *
 * In rounds: each volume that still waits is tried once, with the binding whose turn it is, and
 * those that may share a run do. Who fails is tried with its next binding in the next round. One
 * deadline, the longest `timeout` of them all, is for everything: a run gets an equal share of what
 * is left for all the runs that may have to follow.
 */
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "lk/fmt.h"
#include "lk/io.h"
#include "lk/log.h"
#include "lk/unlock.h"

#define LATE_MS 10000 /* what a device that is there waits for those that are not */

struct volume {
	struct lk_conf conf; /* with the binding whose turn it is */
	size_t turn, bindings;
	bool waits; /* neither served nor given up */
	bool tried; /* in this round */
	bool last;  /* another binding would not help */
	char device[300];
	struct lk_err e; /* the last failure */
};

static struct {
	const struct lk_args *a;
	const struct lk_serving *how;
	struct lk_run *run;
	lk_time end;
	struct lk_err verdict;
	size_t n;
	struct volume v[LK_VOLUMES_MAX];
} all;

/* ---- how it goes with one volume */

LK_CHECK static enum lk_code load(struct volume *v, const char *name, size_t turn, struct lk_err *e)
{
	static struct lk_args one;

	one = *all.a;
	if (lk_opts_binding(name, turn, &one, e) != LK_OK)
		return e->code;
	v->conf = one.conf;
	v->turn = turn;
	v->bindings = one.bindings;
	return LK_OK;
}

/* Every failure but the last is told here, the last by who called the program's verb. */
static void add_failure(const struct lk_err *e)
{
	if (all.verdict.code != LK_OK)
		lk_log_err(LK_LOG_ERR, &all.verdict);
	all.verdict = *e;
}

static void report(const struct volume *v, const char *result)
{
	lk_status_write(&v->conf, v->turn, v->bindings,
	    all.run == NULL ? NULL : lk_run_timeline(all.run), result, &v->e);
}

static void give_up(struct volume *v)
{
	v->waits = false;
	(void)lk_err_prefix(&v->e, "volume %s", v->conf.name);
	report(v, "failed");
	add_failure(&v->e);
}

/* No other vault mends the machine, and one more report may do harm. */
static bool of_machine(const struct lk_err *e)
{
	return e->code == LK_ETPM || e->code == LK_ESNP;
}

static void failed(struct volume *v, const struct lk_err *e)
{
	struct lk_err unreadable = {0};
	char key[sizeof(v->conf.key)];

	v->e = *e;
	memcpy(key, v->conf.key, sizeof(key));
	if (v->last || v->turn + 1 == v->bindings || of_machine(e)) {
		give_up(v);
	} else if (load(v, v->conf.name, v->turn + 1, &unreadable) != LK_OK) {
		v->e = unreadable;
		give_up(v);
	} else {
		lk_log(LK_LOG_WARN, "volume %s: %s: %s; trying the next binding: %s%s%s",
		    v->conf.name, key, e->msg, v->conf.key, e->hint[0] ? "; " : "", e->hint);
	}
}

/* With the secret in memory: no courier is started here. */
LK_CHECK static enum lk_code use(
    void *ctx, uint32_t slot, const struct lk_secret *key, struct lk_err *e)
{
	struct volume *v = ctx;
	uint8_t store[1024];
	struct lk_buf steps = LK_BUF(store);
	char with[700] = "";

	v->last = all.how->once;
	if (all.how->use(&v->conf, v->device, slot, key, lk_run_deadline(all.run), e) != LK_OK)
		return e->code;
	v->waits = false;
	if (v->turn > 0)
		lk_fmt(with, sizeof(with), " with binding %zu of %zu, %s", v->turn + 1, v->bindings,
		    v->conf.key);
	lk_status_steps(lk_run_timeline(all.run), &steps);
	lk_log(LK_LOG_INFO, "volume %s: %s%s (%.*s)", v->conf.name, all.how->done, with,
	    (int)steps.n, (const char *)steps.p);
	report(v, all.how->done);
	return LK_OK;
}

/* ---- a run for those that may share it */

static bool is_open(const char *name)
{
	char path[128];

	lk_fmt(path, sizeof(path), "/dev/mapper/%s", name);
	return access(path, F_OK) == 0;
}

/* Is there anything to be done for it? */
static bool wanted(struct volume *v)
{
	struct lk_err e = {0};

	v->tried = true;
	if (all.how->mapping && is_open(v->conf.name)) {
		lk_log(LK_LOG_INFO, "volume %s: open already", v->conf.name);
		v->waits = false;
	} else if (lk_unlock_ready(&v->conf, &e) != LK_OK) {
		failed(v, &e);
	} else {
		return true;
	}
	return false;
}

/* The first one and all that may go with it. */
static size_t gather(size_t first, struct lk_unlock_job *jobs)
{
	size_t n = 0;

	for (size_t i = first; i < all.n; i++) {
		struct volume *v = &all.v[i];

		if (!v->waits || v->tried || (n > 0 && !lk_unlock_together(jobs[0].conf, &v->conf)))
			continue;
		if (wanted(v))
			jobs[n++] = (struct lk_unlock_job){
			    .conf = &v->conf, .disk_fd = -1, .use = use, .ctx = v};
		else if (i == first)
			break;
	}
	return n;
}

/* How many runs there will be at most, the next one included, if all of them fail. */
static unsigned runs_left(void)
{
	bool counted[LK_VOLUMES_MAX] = {false};
	unsigned sum = 0;

	for (size_t i = 0; i < all.n; i++) {
		size_t most = 0;

		if (!all.v[i].waits || counted[i])
			continue;
		for (size_t j = i; j < all.n; j++) {
			const struct volume *v = &all.v[j];

			if (!v->waits || counted[j] ||
			    (j > i && !lk_unlock_together(&all.v[i].conf, &v->conf)))
				continue;
			counted[j] = true;
			if (v->bindings - v->turn > most)
				most = v->bindings - v->turn;
		}
		sum += (unsigned)most;
	}
	return sum;
}

/* Whole seconds, rounded up: the last run takes all that is left. LK_ETIME: nothing is. */
LK_CHECK static enum lk_code share_time(
    const struct lk_unlock_job *jobs, size_t n, uint32_t *seconds, struct lk_err *e)
{
	const unsigned left = (unsigned)lk_left(all.end), runs = runs_left();
	uint32_t most = 0;

	if (left == 0 || runs == 0)
		return lk_fail(e, LK_ETIME, "no time is left to ask for %s", jobs[0].conf->key);
	*seconds = (left / runs + 999) / 1000;
	for (size_t i = 0; i < n; i++)
		most = jobs[i].conf->timeout_s > most ? jobs[i].conf->timeout_s : most;
	*seconds = *seconds < most ? *seconds : most;
	return LK_OK;
}

LK_CHECK static enum lk_code start(const struct lk_unlock_job *jobs, size_t n, struct lk_err *e)
{
	static struct lk_conf shared;

	shared = *jobs[0].conf;
	if (share_time(jobs, n, &shared.timeout_s, e) != LK_OK ||
	    lk_volumes_digest(all.a->flags.conf_dir, jobs, n, shared.digest, e) != LK_OK ||
	    lk_app_start(&shared, true, &all.run, e) != LK_OK)
		return e->code;
	for (size_t i = 0; i < n; i++)
		lk_log(LK_LOG_INFO, "volume %s: asking for %s, attested by %s", jobs[i].conf->name,
		    jobs[i].conf->key, jobs[i].conf->attest);
	return LK_OK;
}

/* One look at those that are not there; returned is how many are. `hope`: another may come. */
static size_t look(struct lk_unlock_job *jobs, size_t n, bool *hope)
{
	size_t found = 0;

	*hope = false;
	for (size_t i = 0; i < n; i++) {
		struct volume *v = jobs[i].ctx;

		memset(&jobs[i].e, 0, sizeof(jobs[i].e));
		if (jobs[i].disk_fd >= 0 ||
		    lk_device_look(&v->conf, &jobs[i].disk_fd, v->device, &jobs[i].e) == LK_OK)
			found++;
		*hope = *hope || jobs[i].e.retry;
	}
	return found;
}

/* Those whose device is there are left, at the front. The others get their turn without them. */
static size_t open_devices(struct lk_unlock_job *jobs, size_t n)
{
	lk_time end = lk_deadline_in(LK_DEVICE_WAIT_MS);
	struct lk_err late = {0};
	size_t found, kept = 0;
	bool hope;

	if (end > lk_run_deadline(all.run))
		end = lk_run_deadline(all.run);
	for (;;) {
		const lk_time soon = lk_deadline_in(LATE_MS);

		found = look(jobs, n, &hope);
		if (found > 0 && kept++ == 0 && soon < end)
			end = soon;
		if (!hope || lk_sleep(LK_DEVICE_POLL_MS, end, &late) != LK_OK)
			break;
	}
	kept = 0;
	for (size_t i = 0; i < n; i++) {
		struct volume *v = jobs[i].ctx;

		if (jobs[i].disk_fd >= 0) {
			if (kept != i)
				jobs[kept] = jobs[i];
			kept++;
		} else if (found > 0 && jobs[i].e.retry) {
			lk_log(LK_LOG_DEBUG, "volume %s: %s, yet", v->conf.name, jobs[i].e.msg);
		} else {
			v->last = true;
			failed(v, &jobs[i].e);
		}
	}
	return kept;
}

static void unlock(struct lk_unlock_job *jobs, size_t n, struct lk_err *machine)
{
	n = open_devices(jobs, n);
	lk_unlock_all(all.run, jobs, n);
	for (size_t i = 0; i < n; i++) {
		lk_close(&jobs[i].disk_fd);
		if (jobs[i].e.code != LK_OK)
			failed(jobs[i].ctx, &jobs[i].e);
		if (of_machine(&jobs[i].e))
			*machine = jobs[i].e;
	}
}

static void run_with(size_t first)
{
	static struct lk_unlock_job jobs[LK_VOLUMES_MAX];
	static struct lk_conf of;
	size_t n = gather(first, jobs);
	struct lk_err e = {0}, machine = {0};

	if (n == 0)
		return;
	of = *jobs[0].conf;
	if (start(jobs, n, &e) == LK_OK)
		unlock(jobs, n, &machine);
	else
		for (size_t i = 0; i < n; i++)
			failed(jobs[i].ctx, &e);
	lk_run_end(all.run);
	all.run = NULL;
	for (size_t i = 0; i < all.n && machine.code != LK_OK; i++)
		if (all.v[i].waits && lk_unlock_same_machine(&of, &all.v[i].conf))
			failed(&all.v[i], &machine);
}

/* ---- all of them */

static bool round_of(void)
{
	bool any = false;

	for (size_t i = 0; i < all.n; i++)
		all.v[i].tried = false;
	for (size_t i = 0; i < all.n; i++)
		if (all.v[i].waits && !all.v[i].tried) {
			run_with(i);
			any = true;
		}
	return any;
}

enum lk_code lk_volumes_serve(const struct lk_args *a, const struct lk_volumes *names,
    const struct lk_serving *how, struct lk_err *e)
{
	uint32_t longest = 0;
	bool kmsg = false;

	all.a = a;
	all.how = how;
	all.n = names->n;
	for (size_t i = 0; i < all.n; i++) {
		struct volume *v = &all.v[i];

		v->waits = load(v, names->name[i], 0, &v->e) == LK_OK;
		if (!v->waits) {
			add_failure(&v->e);
			continue;
		}
		kmsg = kmsg || v->conf.kmsg;
		longest = v->conf.timeout_s > longest ? v->conf.timeout_s : longest;
	}
	if (longest > 0)
		lk_app_log(a, kmsg);
	all.end = lk_deadline_in((int64_t)longest * 1000);
	while (round_of())
		;
	*e = all.verdict;
	return e->code;
}
