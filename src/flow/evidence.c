/* Evidence of the vTPM path: AK certificate, AK, HCL report, quote, certified key, event log.
 *
 * Each NV index is read once, from its start to its end, because a read at offset 0 makes the
 * paravisor write a new report.
 */
#include <string.h>

#include "evidence.h"
#include "lk/b64.h"
#include "lk/io.h"
#include "lk/log.h"
#include "lk/rng.h"

enum lk_code lk_nonce(char out[static LK_NONCE_TEXT + 1], struct lk_err *e)
{
	struct lk_buf b = {.p = (uint8_t *)out, .n = 0, .cap = LK_NONCE_TEXT, .bad = false};
	uint8_t raw[LK_NONCE_BYTES];
	enum lk_code rc = lk_rng(raw, sizeof(raw), e);

	if (rc != LK_OK)
		return rc;
	lk_b64url_encode(lk_slice_of(raw, sizeof(raw)), &b);
	LK_BUG_ON(b.bad || b.n != LK_NONCE_TEXT);
	out[b.n] = '\0';
	return LK_OK;
}

static enum lk_code check_cert(struct lk_slice der, struct lk_slice ak_n, struct lk_err *e)
{
	struct lk_pub key;
	int64_t not_after = 0;

	memset(&key, 0, sizeof(key));
	if (lk_cert_rsa(der, &key, &not_after, e) != LK_OK) {
		e->code = LK_EATTEST;
		(void)lk_err_prefix(e, "AK certificate (NV index 0x%08x)", LK_NV_AK_CERT);
		return lk_hint(e, "on a machine that was just created the certificate may take "
				  "minutes to arrive");
	}
	if (!lk_slice_eq(lk_slice_of(key.n, key.n_len), ak_n)) {
		(void)lk_fail(e, LK_EATTEST,
		    "the AK certificate is for another key than the AK at 0x%08x", LK_AK_HANDLE);
		return lk_hint(e,
		    "the certificate in NV index 0x%08x is stale: stop the machine "
		    "and start it again, so that it is renewed",
		    LK_NV_AK_CERT);
	}
	/* The clock is the host's, so this is no more than a remark. */
	if (not_after < lk_wall_now().unix_s)
		lk_log(LK_LOG_WARN, "the AK certificate has expired");
	return LK_OK;
}

/* Something is absent: with a HCL report this is a paravisor's TPM that lacks a part, without it is
 * another TPM. */
static enum lk_code no_identity(
    struct lk_tpm *tpm, struct lk_buf *raw, lk_time deadline, struct lk_err *e)
{
	struct lk_err other = {0};
	enum lk_code rc = lk_tpm_nv_read(tpm, LK_NV_HCL_REPORT, raw, deadline, &other);

	e->code = rc == LK_EABSENT ? LK_EABSENT : LK_EATTEST;
	return lk_hint(e, "this machine is not an Azure confidential VM, or its TPM is "
			  "not the paravisor's");
}

static enum lk_code read_identity(
    struct lk_tpm *tpm, struct lk_evidence *ev, lk_time deadline, struct lk_err *e)
{
	struct lk_buf cert = LK_BUF(ev->cert), pub = LK_BUF(ev->ak_pub), n = LK_BUF(ev->ak_n);
	struct lk_buf raw = LK_BUF(ev->hcl_raw);
	enum lk_code rc = lk_tpm_nv_read(tpm, LK_NV_AK_CERT, &cert, deadline, e);

	if (rc == LK_OK)
		rc = lk_tpm_ak(tpm, &pub, &n, deadline, e);
	if (rc == LK_OK)
		rc = lk_tpm_nv_read(tpm, LK_NV_HCL_REPORT, &raw, deadline, e);
	if (rc == LK_EABSENT && raw.n == 0)
		return no_identity(tpm, &raw, deadline, e);
	if (rc != LK_OK)
		return rc;
	rc = lk_hcl_parse(lk_slice_buf(&raw), &ev->hcl, e);
	if (rc != LK_OK)
		return rc;
	if (!lk_slice_eq(lk_slice_of(ev->hcl.ak.n, ev->hcl.ak.n_len), lk_slice_buf(&n)))
		return lk_fail(e, LK_EATTEST,
		    "the HCL report vouches for another key than the AK at 0x%08x", LK_AK_HANDLE);
	rc = check_cert(lk_slice_buf(&cert), lk_slice_buf(&n), e);
	ev->maa.ak_cert = lk_slice_buf(&cert);
	ev->maa.ak_pub = lk_slice_buf(&pub);
	ev->maa.report = ev->hcl.report;
	ev->maa.runtime = ev->hcl.runtime;
	return rc;
}

/* The service can do without the log; a token may then miss claims, so it is said aloud. */
static void read_log(const char *path, struct lk_evidence *ev)
{
	struct lk_buf log = LK_BUF(ev->log);
	struct lk_err e;

	memset(&e, 0, sizeof(e));
	if (path[0] == '\0')
		return;
	if (lk_file_read(path, &log, &e) == LK_OK)
		ev->maa.event_log = lk_slice_buf(&log);
	else
		lk_log(e.code == LK_EABSENT ? LK_LOG_INFO : LK_LOG_WARN, "no event log is sent: %s",
		    e.msg);
}

static void put_tpm(struct lk_evidence *ev)
{
	const struct lk_tpm_evidence *t = &ev->tpm;

	ev->maa.quote = lk_slice_of(t->quote, t->quote_n);
	ev->maa.quote_sig = lk_slice_of(t->quote_sig, t->quote_sig_n);
	ev->maa.key_pub = lk_slice_of(t->key_pub, t->key_pub_n);
	ev->maa.certify = lk_slice_of(t->certify, t->certify_n);
	ev->maa.certify_sig = lk_slice_of(t->certify_sig, t->certify_sig_n);
	ev->maa.pcrs = lk_slice_of(t->pcrs, sizeof(t->pcrs));
}

enum lk_code lk_evidence_read(struct lk_tpm *tpm, const struct lk_conf *conf, lk_time deadline,
    struct lk_evidence *out, struct lk_err *e)
{
	/* Not the whole of it: untouched pages of the log's room stay untouched. */
	memset(&out->maa, 0, sizeof(out->maa));
	memset(&out->hcl, 0, sizeof(out->hcl));
	memset(&out->tpm, 0, sizeof(out->tpm));
	enum lk_code rc = lk_nonce(out->nonce, e);
	if (rc == LK_OK)
		rc = read_identity(tpm, out, deadline, e);
	if (rc != LK_OK)
		return rc;
	read_log(conf->event_log, out);
	rc = lk_tpm_evidence(tpm, &out->tpm, deadline, e);
	if (rc != LK_OK)
		return rc;
	put_tpm(out);
	out->maa.nonce = lk_slice_str(out->nonce);
	out->maa.os_name = conf->os_name[0] ? lk_slice_str(conf->os_name) : LK_S("Linux");
	out->maa.os_major = conf->os_major ? conf->os_major : 1;
	out->maa.os_minor = conf->os_major ? conf->os_minor : 0;
	return LK_OK;
}

enum lk_code lk_evidence_tcb(uint64_t reported, const struct lk_certs *certs, struct lk_err *e)
{
	if (!certs->has_tcbm || certs->tcbm == reported)
		return LK_OK;
	(void)lk_fail(e, LK_EATTEST,
	    "the platform's certificates are for TCB %016llx, the report is of TCB %016llx",
	    (unsigned long long)certs->tcbm, (unsigned long long)reported);
	(void)lk_hint(e, "the host's firmware was updated and its certificate cache is behind: try "
			 "again later, or stop the machine and start it again");
	return lk_err_retry(e);
}
