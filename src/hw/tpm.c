#include "tpm_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <tss2/tss2_tcti_device.h>

#include "lk/io.h"

#define WAIT_MS  10000
#define STEP_MS  100
#define AGAIN_MS 20 /* between repeats of a command */

static struct lk_tpm the_tpm;
static _Alignas(max_align_t) uint8_t sys_store[TPM_SYS_STORE];
static _Alignas(max_align_t) uint8_t dev_store[TPM_DEV_STORE];

static struct lk_tpm *from_shim(TSS2_TCTI_CONTEXT *ctx)
{
	return (struct lk_tpm *)(void *)ctx;
}

static TSS2_RC shim_transmit(TSS2_TCTI_CONTEXT *ctx, size_t n, const uint8_t *command)
{
	struct lk_tpm *t = from_shim(ctx);
	t->sent++;
	return Tss2_Tcti_Transmit(t->dev, n, command);
}

/* The device TCTI reads a response with one read(2). The kernel's driver gives all of it, a pty may
 * give it in pieces: take the rest here. */
static TSS2_RC shim_receive(TSS2_TCTI_CONTEXT *ctx, size_t *n, uint8_t *response, int32_t timeout)
{
	struct lk_tpm *t = from_shim(ctx);
	size_t room = *n;
	t->rsp = lk_slice_of(NULL, 0);
	TSS2_RC rc = Tss2_Tcti_Receive(t->dev, n, response, timeout);
	if (rc != TSS2_RC_SUCCESS || !response)
		return rc;

	struct lk_slice s = lk_slice_of(response, *n), tag;
	uint32_t size;
	if (!lk_slice_take(&s, 2, &tag) || !lk_slice_take_be32(&s, &size) ||
	    !lk_slice_take_be32(&s, &t->code) || size > room || size < 10 || *n > size)
		return TSS2_TCTI_RC_MALFORMED_RESPONSE;
	if (*n < size) {
		struct lk_err e = {0};
		if (lk_read_full(t->fd, response + *n, size - *n, t->deadline, &e))
			return e.code == LK_ETIME ? TSS2_TCTI_RC_TRY_AGAIN : TSS2_TCTI_RC_IO_ERROR;
		*n = size;
	}
	t->rsp = lk_slice_of(response, size);
	return rc;
}

static enum lk_code start(struct lk_tpm *t, struct lk_err *e)
{
	t->shim = (TSS2_TCTI_CONTEXT_COMMON_V1){
	    .version = 1, .transmit = shim_transmit, .receive = shim_receive};
	TSS2_TCTI_POLL_HANDLE ph[1];
	size_t n = 1, need = Tss2_Sys_GetContextSize(TPM_BUFFER);
	TSS2_RC rc = Tss2_Tcti_GetPollHandles(t->dev, ph, &n);
	if (rc != TSS2_RC_SUCCESS || n != 1 || need > sizeof(sys_store))
		return lk_fail(e, LK_EBUG, "tpm: the tss does not fit (%zu bytes)", need);
	t->fd = ph[0].fd;
	/* The TCTI opens without it, and cryptsetup is started later. */
	if (fcntl(t->fd, F_SETFD, FD_CLOEXEC))
		return lk_fail_sys(e, errno, "tpm: fcntl");
	t->sys = (TSS2_SYS_CONTEXT *)(void *)sys_store;
	rc = Tss2_Sys_Initialize(t->sys, need, (TSS2_TCTI_CONTEXT *)(void *)t, NULL);
	if (rc != TSS2_RC_SUCCESS)
		return lk_fail(e, LK_EBUG, "tpm: tss initialisation: 0x%X", (unsigned)rc);
	t->open = true;
	return LK_OK;
}

static enum lk_code open_failed(const char *device, int err, struct lk_err *e)
{
	if (err == ENOENT || err == ENXIO || err == ENODEV) {
		(void)lk_fail(e, LK_ETPM, "tpm: %s does not exist", device);
		return lk_hint(e, "no TPM driver in this image (tpm_crb, tpm_tis, tpm_vtpm_proxy)"
				  ", or this machine has no TPM");
	}
	if (err == EBUSY) {
		(void)lk_fail_sys(e, err, "tpm: %s", device);
		(void)lk_hint(e, "another program holds the device: use /dev/tpmrm0");
		return lk_err_retry(e);
	}
	if (err == 0 || err == EAGAIN) {
		(void)lk_fail(e, LK_ETPM, "tpm: %s does not answer", device);
		return lk_err_retry(e);
	}
	(void)lk_fail_sys(e, err, "tpm: %s", device);
	if (err == EACCES || err == EPERM)
		(void)lk_hint(e, "run as root or as a user in group tss");
	return e->code;
}

/* Worth waiting for: the node appears when the driver has probed, and early users let go. */
static bool may_come(int err)
{
	return err == ENOENT || err == ENXIO || err == ENODEV || err == EBUSY || err == EAGAIN ||
	       err == 0;
}

enum lk_code lk_tpm_open(
    const char *device, lk_time deadline, struct lk_tpm **out, struct lk_err *e)
{
	struct lk_tpm *t = &the_tpm;
	LK_BUG_ON(t->open);
	memset(t, 0, sizeof(*t));
	size_t need = 0;
	TSS2_RC rc = Tss2_Tcti_Device_Init(NULL, &need, NULL);
	if (rc != TSS2_RC_SUCCESS || need > sizeof(dev_store))
		return lk_fail(e, LK_EBUG, "tpm: tcti does not fit (%zu bytes)", need);
	t->dev = (TSS2_TCTI_CONTEXT *)(void *)dev_store;

	lk_time patience = lk_deadline_in(WAIT_MS);
	if (patience > deadline)
		patience = deadline;
	for (;;) {
		memset(dev_store, 0, sizeof(dev_store));
		errno = 0;
		rc = Tss2_Tcti_Device_Init(t->dev, &need, device);
		int err = errno;
		if (rc == TSS2_RC_SUCCESS)
			break;
		struct lk_err nap = {0};
		if (!may_come(err) || lk_sleep(STEP_MS, patience, &nap))
			return open_failed(device, err, e);
	}
	t->sent = 1; /* the TCTI's probe, GetRandom */
	enum lk_code r = start(t, e);
	if (r)
		Tss2_Tcti_Finalize(t->dev);
	else
		*out = t;
	return r;
}

void lk_tpm_wipe(struct lk_tpm *t)
{
	/* The SAPI context holds one buffer for commands and responses behind its own fields, which
	 * Initialize sets up anew. */
	TSS2_TCTI_CONTEXT *ctx = (TSS2_TCTI_CONTEXT *)(void *)t;
	t->rsp = lk_slice_of(NULL, 0);
	lk_wipe(sys_store, sizeof(sys_store));
	TSS2_RC rc = Tss2_Sys_Initialize(t->sys, Tss2_Sys_GetContextSize(TPM_BUFFER), ctx, NULL);
	LK_BUG_ON(rc != TSS2_RC_SUCCESS);
}

void lk_tpm_flush(struct lk_tpm *t, uint32_t *handle, lk_time deadline)
{
	if (!*handle || t->broken)
		return;
	struct lk_err e = {0};
	struct lk_tpm_answer a;
	struct lk_tpm_call c = {.name = "FlushContext",
	    .what = "handle",
	    .object = *handle,
	    .rc = Tss2_Sys_FlushContext_Prepare(t->sys, *handle),
	    .deadline = deadline};
	if (!lk_tpm_run(t, &c, &a, &e))
		*handle = 0;
}

void lk_tpm_close(struct lk_tpm *t)
{
	if (!t || !t->open)
		return;
	lk_time soon = lk_deadline_in(1000);
	lk_tpm_flush(t, &t->session, soon);
	lk_tpm_flush(t, &t->key, soon);
	lk_tpm_wipe(t);
	Tss2_Tcti_Finalize(t->dev);
	t->open = false;
}

unsigned lk_tpm_commands(const struct lk_tpm *t)
{
	return t->sent;
}

bool lk_tpm_take2b(struct lk_slice *s, struct lk_slice *out)
{
	uint16_t n;
	return lk_slice_take_be16(s, &n) && lk_slice_take(s, n, out);
}

enum lk_code lk_tpm_malformed(const char *command, struct lk_err *e)
{
	return lk_fail(e, LK_ETPM, "tpm: %s: malformed response", command);
}

static enum lk_code authorise(struct lk_tpm *t, const struct lk_tpm_call *c, struct lk_err *e)
{
	/* Empty authorisation values throughout. A policy session has attributes 0: the TPM ends it
	 * when the command has succeeded, which saves a FlushContext. */
	TSS2L_SYS_AUTH_COMMAND auths = {.count = (uint16_t)c->auths};
	for (unsigned i = 0; i < c->auths; i++)
		auths.auths[i].sessionHandle = c->session ? c->session : TPM2_RH_PW;
	TSS2_RC rc = c->rc;
	if (rc == TSS2_RC_SUCCESS && c->auths)
		rc = Tss2_Sys_SetCmdAuths(t->sys, &auths);
	if (rc != TSS2_RC_SUCCESS)
		return lk_fail(e, LK_EBUG, "tpm: %s: tss: 0x%X", c->name, (unsigned)rc);
	return LK_OK;
}

/* One exchange: *rc is the TPM's response code. */
static enum lk_code exchange(
    struct lk_tpm *t, const struct lk_tpm_call *c, uint32_t *rc, struct lk_err *e)
{
	t->deadline = c->deadline;
	TSS2_RC r = Tss2_Sys_ExecuteAsync(t->sys);
	if (r == TSS2_RC_SUCCESS)
		r = Tss2_Sys_ExecuteFinish(t->sys, lk_left(c->deadline));
	/* SAPI puts the command's header back over that of a failed response: t->rsp cannot tell.
	 */
	*rc = t->code;
	if (t->rsp.n && r == t->code)
		return LK_OK;
	t->broken = true;
	if (r == TSS2_TCTI_RC_TRY_AGAIN)
		return lk_fail(e, LK_ETIME, "tpm: %s: no answer before the deadline", c->name);
	(void)lk_fail(e, LK_ETPM, "tpm: %s: %s", c->name,
	    r == TSS2_TCTI_RC_NO_CONNECTION ? "the device went away"
					    : "the device gave no valid response");
	e->lib = r;
	return lk_hint(e, "see the kernel's messages about the TPM");
}

static enum lk_code unpack(const struct lk_tpm *t, const struct lk_tpm_call *c,
    struct lk_tpm_answer *out, struct lk_err *e)
{
	struct lk_slice s = t->rsp, skip;
	uint16_t tag;
	uint32_t n;
	out->handle = 0;
	bool ok = lk_slice_take_be16(&s, &tag) && lk_slice_take(&s, 8, &skip) &&
		  tag == (c->auths ? TPM2_ST_SESSIONS : TPM2_ST_NO_SESSIONS) &&
		  (!c->has_handle || lk_slice_take_be32(&s, &out->handle));
	out->params = s;
	if (ok && c->auths)
		ok = lk_slice_take_be32(&s, &n) && lk_slice_take(&s, n, &out->params);
	return ok ? LK_OK : lk_tpm_malformed(c->name, e);
}

enum lk_code lk_tpm_run(
    struct lk_tpm *t, const struct lk_tpm_call *c, struct lk_tpm_answer *out, struct lk_err *e)
{
	*out = (struct lk_tpm_answer){0};
	if (t->broken)
		return lk_fail(e, LK_ETPM, "tpm: %s: not sent after a broken exchange", c->name);
	enum lk_code r = authorise(t, c, e);
	if (r)
		return r;
	for (uint32_t rc = 0, last = 0;; last = rc) {
		r = exchange(t, c, &rc, e);
		/* Why it was repeated says more than that the repeat came too late. */
		if (r == LK_ETIME && last != 0)
			return lk_tpm_rc_fail(c, last, e);
		if (r)
			return r;
		if (rc == TPM2_RC_SUCCESS)
			return unpack(t, c, out, e);
		struct lk_err nap = {0};
		/* SAPI restores the command only below a bare header. */
		if (!lk_tpm_rc_again(rc) || t->rsp.n != 10 || lk_sleep(AGAIN_MS, c->deadline, &nap))
			return lk_tpm_rc_fail(c, rc, e);
	}
}
