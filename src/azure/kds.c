/* kds.c - AMD's key distribution service. It is not Azure's, but asked in the same way. */
#include "lk/kds.h"

#include "azure_text.h"
#include "lk/der.h"
#include "lk/log.h"
#include "lk/pem.h"

#define PATH   "/vcek/v1/"
#define BUSY_S 10 /* it counts requests, and says so with 429 alone */

void lk_kds_vcek_target(const struct lk_kds_ask *ask, struct lk_buf *out)
{
	lk_buf_fmt(out, PATH "%s/", ask->product);
	lk_hex_encode(ask->chip, out);
	lk_buf_byte(out, '?');
	if (ask->has_fmc)
		lk_buf_fmt(out, "fmcSPL=%02u&", ask->fmc);
	lk_buf_fmt(out, "blSPL=%02u&teeSPL=%02u&snpSPL=%02u&ucodeSPL=%02u", ask->boot_loader,
	    ask->tee, ask->snp, ask->microcode);
}

void lk_kds_chain_target(const char *product, struct lk_buf *out)
{
	lk_buf_fmt(out, PATH "%s/cert_chain", product);
}

static enum lk_code status_error(const struct lk_http_rsp *rsp, struct lk_err *e)
{
	uint8_t bytes[160];
	struct lk_buf b = LK_BUF(bytes);

	if (rsp->body.n > 0) {
		lk_buf_str(&b, ": ");
		lk_log_printable(&b, rsp->body, 120);
	}
	(void)lk_fail(e, LK_EHTTP, "HTTP %u%.*s", rsp->status, (int)b.n, (const char *)b.p);
	return lk_azure_set(
	    rsp, lk_azure_status_again(rsp->status), rsp->status == 429 ? BUSY_S : 0, e);
}

static bool is_one_der(struct lk_slice v)
{
	struct lk_slice inner;

	return lk_der_take(&v, LK_DER_SEQUENCE, &inner) && v.n == 0;
}

enum lk_code lk_kds_vcek_parse(
    const struct lk_http_rsp *rsp, struct lk_buf *store, struct lk_slice *der, struct lk_err *e)
{
	const size_t at = store->n;

	if (rsp->status != 200)
		return status_error(rsp, e);
	if (rsp->body.n > LK_KDS_VCEK_MAX)
		return lk_fail(e, LK_ELIMIT, "a VCEK of %zu bytes", rsp->body.n);
	if (!is_one_der(rsp->body))
		return lk_fail(e, LK_EPROTO, "the VCEK is not one certificate in DER");
	lk_buf_slice(store, rsp->body);
	if (store->bad)
		return lk_fail(e, LK_ELIMIT, "no room for the VCEK");
	*der = lk_slice_of(store->p + at, rsp->body.n);
	return LK_OK;
}

enum lk_code lk_kds_chain_parse(const struct lk_http_rsp *rsp, struct lk_buf *store,
    struct lk_slice *ask, struct lk_slice *ark, struct lk_err *e)
{
	struct lk_slice text = rsp->body, *const to[] = {ask, ark};
	struct lk_buf none = {.p = NULL, .cap = 0};

	if (rsp->status != 200)
		return status_error(rsp, e);
	for (size_t i = 0; i < 2; i++) {
		struct lk_buf der = {
		    .p = lk_buf_room(store, LK_PEM_DER_MAX), .cap = LK_PEM_DER_MAX};

		if (store->bad)
			return lk_fail(e, LK_ELIMIT, "no room for the chain");
		if (lk_pem_next(&text, &der) != LK_PEM_CERT || !is_one_der(lk_slice_buf(&der)))
			return lk_fail(e, LK_EPROTO, "the chain is not ASK and ARK in PEM");
		*to[i] = lk_slice_buf(&der);
	}
	if (lk_pem_next(&text, &none) != LK_PEM_END)
		return lk_fail(e, LK_EPROTO, "the chain has more than ASK and ARK");
	return LK_OK;
}
