/* probe_machine.c - what `latchkey probe` finds out about the machine itself. */
#include <string.h>
#include <unistd.h>

#include "lk/fmt.h"
#include "lk/hcl.h"
#include "lk/pem.h"
#include "lk/rng.h"
#include "probe.h"

LK_CHECK static enum lk_code look_at_cert(
    struct lk_probe *p, struct lk_slice cert, const struct lk_pub *ak, struct lk_err *e)
{
	static struct lk_pub key;
	int64_t not_after = 0;

	if (lk_cert_rsa(cert, &key, &not_after, e) != LK_OK)
		return lk_err_prefix(e, "attestation key certificate");
	if (!lk_pub_eq(&key, ak))
		return lk_fail(e, LK_EATTEST,
		    "the attestation key certificate and the report are for different keys");
	if (not_after < lk_wall_now().unix_s) {
		(void)lk_fail(e, LK_EATTEST, "the attestation key certificate has expired");
		return lk_hint(
		    e, "the platform renews it; restart the VM, or ask the cloud's support");
	}
	lk_probe_say(p, "%s; report and certificate are for the same key, valid for %lld more days",
	    p->found, (long long)((not_after - lk_wall_now().unix_s) / 86400));
	return LK_OK;
}

static enum lk_code vtpm(struct lk_probe *p, struct lk_err *e)
{
	static uint8_t report_store[LK_NV_MAX], cert_store[LK_NV_MAX];
	struct lk_buf report = LK_BUF(report_store), cert = LK_BUF(cert_store);
	static struct lk_hcl hcl;
	lk_time deadline = lk_deadline_in(60000);
	struct lk_tpm *tpm = NULL;
	enum lk_code rc;

	if (lk_tpm_open(p->conf->tpm, deadline, &tpm, e) != LK_OK)
		return e->code;
	rc = lk_tpm_nv_read(tpm, LK_NV_HCL_REPORT, &report, deadline, e);
	if (rc == LK_OK && lk_tpm_nv_read(tpm, LK_NV_AK_CERT, &cert, deadline, e) != LK_OK)
		rc = e->code == LK_EABSENT ? (e->code = LK_EATTEST) : e->code;
	if (rc == LK_OK)
		rc = lk_hcl_parse(lk_slice_buf(&report), &hcl, e);
	if (rc == LK_OK) {
		lk_probe_say(p, "%s, SEV-SNP report version %u, TCB %016llx", p->conf->tpm,
		    (unsigned)hcl.report_version, (unsigned long long)hcl.reported_tcb);
		rc = look_at_cert(p, lk_slice_buf(&cert), &hcl.ak, e);
	}
	lk_tpm_close(tpm);
	return rc;
}

/* ---- an SNP device */

static enum lk_code snp(struct lk_probe *p, struct lk_err *e)
{
	const struct lk_snp_conf conf = lk_run_snp_conf(p->conf);
	const struct lk_snp *s = &p->report;
	struct lk_snp_dev dev;
	uint8_t data[64];
	char tcb[17];

	if (lk_snp_open(&conf, &dev, e) != LK_OK)
		return e->code;
	p->snp = true;
	enum lk_code rc = lk_rng(data, sizeof(data), e);
	if (rc == LK_OK)
		rc = lk_snp_get(&dev, data, lk_deadline_in(90000), &p->raw, e);
	if (rc == LK_OK)
		rc = lk_snp_parse(lk_slice_of(p->raw.report, sizeof(p->raw.report)), &p->report, e);
	lk_snp_close(&dev);
	if (rc != LK_OK)
		return rc;
	lk_snp_tcb_text(s->reported_tcb, tcb);
	lk_probe_say(p,
	    "%s, SEV-SNP report version %u, %s, TCB %s, VMPL %u, debugging by the host %s",
	    dev.path, (unsigned)s->version, lk_snp_gen_name(s->gen), tcb, (unsigned)s->vmpl,
	    s->debug ? "ALLOWED" : "excluded");
	return LK_OK;
}

enum lk_code lk_probe_machine(struct lk_probe *p, struct lk_err *e)
{
	const bool any = p->conf->evidence == LK_EV_AUTO;

	if (p->conf->evidence != LK_EV_VTPM && !(any && access(p->conf->tpm, F_OK) == 0)) {
		enum lk_code rc = snp(p, e);
		/* as the run itself calls it */
		return rc == LK_EABSENT ? (e->code = LK_ESNP) : rc;
	}
	enum lk_code rc = vtpm(p, e);
	if (rc == LK_EABSENT && any) {
		struct lk_err other = {0};
		enum lk_code snp_rc = snp(p, &other);

		if (snp_rc == LK_EABSENT)
			return rc;
		*e = other;
		return snp_rc;
	}
	return rc;
}

static enum lk_code chain_of(struct lk_probe *p, struct lk_snp_certs *out, struct lk_err *e)
{
	static uint8_t der[3][LK_PEM_DER_MAX];
	struct lk_slice text = p->thim, cert[3];

	if (p->raw.certs_n > 0)
		return lk_snp_certs_parse(lk_slice_of(p->raw.certs, p->raw.certs_n), out, e);
	if (p->thim.n == 0) {
		(void)lk_fail(e, LK_EABSENT,
		    "neither the host's table nor the metadata service has the certificates");
		return lk_hint(e, "give the host the VCEK, ASK and ARK of its processor, or set "
				  "kds = yes");
	}
	for (size_t i = 0; i < 3; i++) {
		struct lk_buf b = LK_BUF(der[i]);

		if (lk_pem_next(&text, &b) != LK_PEM_CERT)
			return lk_fail(e, LK_EPROTO,
			    "the metadata service's chain is not VCEK, ASK "
			    "and ARK in PEM");
		cert[i] = lk_slice_buf(&b);
	}
	*out = (struct lk_snp_certs){.vcek = cert[0], .ask = cert[1], .ark = cert[2]};
	return LK_OK;
}

enum lk_code lk_probe_certs(struct lk_probe *p, struct lk_err *e)
{
	struct lk_snp_certs certs = {0};
	const char *product = "";

	if (p->report.raw.n == 0)
		return lk_fail(e, LK_EABSENT, "there is no report to check them with");
	enum lk_code rc = chain_of(p, &certs, e);
	if (rc == LK_OK)
		rc = lk_snp_verify(&p->report, &certs, NULL, &product, e);
	if (rc == LK_OK)
		lk_probe_say(p, "of %s: the report is genuine, up to AMD's %s root",
		    p->raw.certs_n > 0 ? "the host's table" : "the metadata service", product);
	return rc;
}
