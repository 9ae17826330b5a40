/* The courier to AMD's key distribution service: a report in, the certificates of its VCEK out. It
 * is the last resort, for hosts that hand over none and are not Azure's.
 */
#include <string.h>

#include "lk/kds.h"
#include "serve_certs.h"

struct kds {
	struct lk_kds_ask ask;
	struct lk_buf store; /* of the certificates */
	struct lk_snp_certs certs;
};

static enum lk_code parse_vcek(void *ctx, const struct lk_http_rsp *rsp, struct lk_err *e)
{
	struct kds *k = ctx;

	return lk_kds_vcek_parse(rsp, &k->store, &k->certs.vcek, e);
}

static enum lk_code parse_chain(void *ctx, const struct lk_http_rsp *rsp, struct lk_err *e)
{
	struct kds *k = ctx;

	return lk_kds_chain_parse(rsp, &k->store, &k->certs.ask, &k->certs.ark, e);
}

static enum lk_code get(struct lk_serve *s, struct kds *k, struct lk_slice target,
    lk_serve_parse parse, struct lk_err *e)
{
	/* Until the deadline: there is no other source left. */
	static const struct lk_retry retry = {.tries = 0, .pause_ms = 2000};
	const struct lk_http_req req = {
	    .method = "GET", .host = s->conf->host, .target = target, .accept = "*/*"};

	return lk_serve_request(s, &req, &retry, parse, k, e);
}

/* Does the service have it at all? */
static enum lk_code check_report(const struct lk_snp *r, struct lk_err *e)
{
	if (r->signer != LK_SNP_VCEK) {
		(void)lk_fail(e, LK_EATTEST, "it has VCEKs, and %s signed the report",
		    r->signer == LK_SNP_VLEK ? "a VLEK" : "no known key");
		return lk_hint(e, "a VLEK's certificate is the provider's: the host has to hand it "
				  "over with the report");
	}
	if (lk_slice_is_zero(r->chip_id)) {
		(void)lk_fail(e, LK_EATTEST, "the report hides which processor it is from");
		return lk_hint(e, "the host masks the chip's id: only the host can hand over the "
				  "certificates");
	}
	return r->gen != LK_SNP_GEN_UNKNOWN
		   ? LK_OK
		   : lk_fail(e, LK_EATTEST,
			 "processors of family 0x%x, model 0x%x are unknown here", r->family,
			 r->model);
}

static void fill(const struct lk_snp *r, struct lk_kds_ask *out)
{
	struct lk_snp_tcb t;

	lk_snp_tcb_split(r->gen, r->reported_tcb, &t);
	*out = (struct lk_kds_ask){.product = lk_snp_gen_name(r->gen),
	    .chip = lk_slice_sub(r->chip_id, 0, t.has_fmc ? 8 : 64),
	    .has_fmc = t.has_fmc,
	    .fmc = t.fmc,
	    .boot_loader = t.boot_loader,
	    .tee = t.tee,
	    .snp = t.snp,
	    .microcode = t.microcode};
}

static enum lk_code unknown(const struct lk_snp *r, struct lk_err *e)
{
	uint8_t text[20];
	struct lk_buf b = LK_BUF(text);

	lk_hex_encode(lk_slice_sub(r->chip_id, 0, 8), &b);
	(void)lk_fail(e, LK_EATTEST,
	    "no %s processor %.*s... with TCB %016llx is known there (HTTP 404)",
	    lk_snp_gen_name(r->gen), (int)b.n, (const char *)b.p,
	    (unsigned long long)r->reported_tcb);
	e->http = 404;
	return lk_hint(e, "the report is not a real processor's, or of firmware that AMD has not "
			  "released");
}

/* A report of version 2 does not tell Milan from Genoa: the service does. */
static enum lk_code get_vcek(
    struct lk_serve *s, const struct lk_snp *r, struct kds *k, struct lk_err *e)
{
	static const char *const either[] = {"Milan", "Genoa"};
	const unsigned tries = r->gen == LK_SNP_GEN_MILAN_GENOA ? 2 : 1;
	enum lk_code rc = LK_OK;

	for (unsigned i = 0; i < tries; i++) {
		struct lk_buf target = LK_BUF(lk_room.request);

		if (tries > 1)
			k->ask.product = either[i];
		memset(e, 0, sizeof(*e));
		lk_kds_vcek_target(&k->ask, &target);
		rc = get(s, k, lk_slice_buf(&target), parse_vcek, e);
		if (rc == LK_OK || e->http != 404)
			return rc;
	}
	return unknown(r, e);
}

static enum lk_code get_all(
    struct lk_serve *s, const struct lk_certs_ask *ask, struct lk_certs *out, struct lk_err *e)
{
	const struct lk_snp *r = &ask->report;
	struct kds k = {.store = LK_BUF(lk_room.scratch)};
	struct lk_buf target = LK_BUF(lk_room.request);
	enum lk_code rc = check_report(r, e);

	if (rc == LK_OK) {
		fill(r, &k.ask);
		rc = get_vcek(s, r, &k, e);
	}
	if (rc != LK_OK)
		return rc;
	lk_kds_chain_target(k.ask.product, &target);
	rc = get(s, &k, lk_slice_buf(&target), parse_chain, e);
	if (rc == LK_OK)
		rc = lk_certs_of_der(ask, &k.certs, out, e);
	if (rc == LK_OK && out->tcbm != r->reported_tcb)
		rc = lk_fail(e, LK_EATTEST,
		    "the VCEK is for TCB %016llx, asked for was that of %016llx",
		    (unsigned long long)out->tcbm, (unsigned long long)r->reported_tcb);
	return rc;
}

static enum lk_code on_frame(
    struct lk_serve *s, enum lk_frame type, struct lk_frame_reader *in, struct lk_err *e)
{
	struct lk_certs_ask ask;
	struct lk_certs certs;

	if (type != LK_F_CERTS)
		return lk_serve_unknown(type, e);
	memset(&certs, 0, sizeof(certs));
	enum lk_code rc = lk_certs_take(in, &ask, e);
	if (rc == LK_OK && ask.from != LK_CERTS_KDS)
		rc = lk_serve_unknown(type, e);
	if (rc == LK_OK)
		rc = get_all(s, &ask, &certs, e);
	return rc == LK_OK ? lk_certs_reply(s, &certs, e) : lk_err_prefix(e, "AMD KDS");
}

int lk_serve_kds(int fd, const struct lk_courier_conf *conf)
{
	return lk_serve_loop(fd, conf, on_frame);
}
