/* AMD's key distribution service: targets, certificates, what its statuses mean. */
#include "t.h"

#include "azure_answer.h"
#include "lk/kds.h"
#include "lk/pem.h"

static uint8_t bytes[3 * LK_PEM_DER_MAX];
static struct lk_buf store;
static struct lk_slice vcek, ask, ark;
static struct lk_err err;

static void target_is(const struct lk_kds_ask *a, const char *want)
{
	store = LK_BUF(bytes);
	lk_kds_vcek_target(a, &store);
	EQ_BYTES(store.p, store.n, want, strlen(want));
}

T(builds_targets)
{
	uint8_t chip[64];

	for (unsigned i = 0; i < 64; i++)
		chip[i] = (uint8_t)(i * 5 + 0xa0);
	struct lk_kds_ask a = {.product = "Milan",
	    .chip = lk_slice_of(chip, 64),
	    .boot_loader = 13,
	    .snp = 10,
	    .microcode = 115};
	target_is(&a, "/vcek/v1/Milan/a0a5aaafb4b9bec3c8cdd2d7dce1e6ebf0f5faff04090e13181d22272c31"
		      "363b40454a4f54595e63686d72777c81868b90959a9fa4a9aeb3b8bdc2c7ccd1d6db"
		      "?blSPL=13&teeSPL=00&snpSPL=10&ucodeSPL=115");
	a = (struct lk_kds_ask){.product = "Turin",
	    .chip = lk_slice_of(chip, 8),
	    .has_fmc = true,
	    .fmc = 1,
	    .boot_loader = 0,
	    .tee = 12,
	    .snp = 255,
	    .microcode = 9};
	target_is(&a, "/vcek/v1/Turin/a0a5aaafb4b9bec3?fmcSPL=01&blSPL=00&teeSPL=12&snpSPL=255"
		      "&ucodeSPL=09");
	store = LK_BUF(bytes);
	lk_kds_chain_target("Genoa", &store);
	EQ_BYTES(store.p, store.n, "/vcek/v1/Genoa/cert_chain", 25);
}

/* ---- the VCEK */

static enum lk_code parse_vcek(const void *body, size_t n)
{
	/* On the heap, so that the sanitizer sees a read past the end. */
	uint8_t *p = malloc(n + 1);

	if (!p)
		abort();
	memcpy(p, body, n);
	struct lk_http_rsp rsp = {.status = 200, .body = lk_slice_of(p, n)};
	err = (struct lk_err){0};
	vcek = lk_slice_of(NULL, 0);
	enum lk_code rc = lk_kds_vcek_parse(&rsp, &store, &vcek, &err);
	free(p);
	return rc;
}

/* A SEQUENCE of n bytes, 300 and more. */
static const uint8_t *der_of(size_t n)
{
	static uint8_t der[LK_KDS_VCEK_MAX + 2];

	memset(der, 0x11, sizeof(der));
	der[0] = 0x30;
	der[1] = 0x82;
	der[2] = (uint8_t)((n - 4) >> 8);
	der[3] = (uint8_t)(n - 4);
	return der;
}

T(reads_a_vcek)
{
	store = LK_BUF(bytes);
	lk_buf_str(&store, "before");
	EQ_CODE(LK_OK, parse_vcek(der_of(1300), 1300));
	EQ_BYTES(vcek.p, vcek.n, der_of(1300), 1300);
	OK(vcek.p == bytes + 6);
	store = LK_BUF(bytes);
	EQ_CODE(LK_OK, parse_vcek(der_of(LK_KDS_VCEK_MAX), LK_KDS_VCEK_MAX));
}

T(refuses_what_is_not_one_certificate)
{
	store = LK_BUF(bytes);
	for (size_t n = 0; n < 320; n++)
		EQ_CODE(n == 300 ? LK_OK : LK_EPROTO, parse_vcek(der_of(300), n));
	EQ_CODE(LK_EPROTO, parse_vcek("-----BEGIN CERTIFICATE-----", 27));
	EQ_CODE(LK_EPROTO, parse_vcek("\x02\x01\x05", 3));
	EQ_CODE(LK_ELIMIT, parse_vcek(der_of(LK_KDS_VCEK_MAX + 1), LK_KDS_VCEK_MAX + 1));
	store.cap = store.n + 299;
	EQ_CODE(LK_ELIMIT, parse_vcek(der_of(300), 300));
}

/* ---- the chain */

#define PEM(x) "-----BEGIN CERTIFICATE-----\n" x "\n-----END CERTIFICATE-----\n"
#define ASK    PEM("MAMCAQE=")
#define ARK    PEM("MAMCAQI=")

static enum lk_code parse_chain(const char *body)
{
	struct lk_http_rsp rsp = {.status = 200, .body = text(body)};

	err = (struct lk_err){0};
	store = LK_BUF(bytes);
	return lk_kds_chain_parse(&rsp, &store, &ask, &ark, &err);
}

T(reads_a_chain)
{
	EQ_CODE(LK_OK, parse_chain(ASK ARK));
	EQ_BYTES(ask.p, ask.n, "\x30\x03\x02\x01\x01", 5);
	EQ_BYTES(ark.p, ark.n, "\x30\x03\x02\x01\x02", 5);
	EQ_CODE(LK_OK, parse_chain("some text\r\n" ASK "\n" ARK "\n\n"));
}

T(refuses_a_chain)
{
	static char big[LK_PEM_DER_MAX * 4 / 3 + 200];

	EQ_CODE(LK_EPROTO, parse_chain(""));
	EQ_CODE(LK_EPROTO, parse_chain("{}"));
	EQ_CODE(LK_EPROTO, parse_chain(ASK));
	EQ_CODE(LK_EPROTO, parse_chain(ASK ARK ARK));
	EQ_CODE(LK_EPROTO, parse_chain(ASK ARK PEM("!!!!")));
	EQ_CODE(LK_EPROTO, parse_chain(ASK ARK "-----BEGIN CERTIFICATE-----\nMAMCAQI="));
	EQ_CODE(LK_EPROTO, parse_chain(ASK PEM("MAMCAQ=="))); /* cut off */
	EQ_CODE(LK_EPROTO, parse_chain(ASK PEM("MAMCAQIC"))); /* something behind */
	EQ_CODE(LK_EPROTO, parse_chain(PEM("AgEF") ARK));     /* no SEQUENCE */
	EQ_CODE(LK_EPROTO, parse_chain(ASK PEM("MAMC AQI= x")));
	memset(big, 'A', sizeof(big) - 1);
	EQ_CODE(LK_EPROTO, parse_chain(swap(ASK ARK, "MAMCAQI=", big)));
	struct lk_http_rsp rsp = {.status = 200, .body = text(ASK ARK)};
	store = LK_BUF(bytes);
	store.cap = 2 * LK_PEM_DER_MAX - 1;
	EQ_CODE(LK_ELIMIT, lk_kds_chain_parse(&rsp, &store, &ask, &ark, &err));
}

/* ---- statuses */

T(explains_failures)
{
	static const struct {
		unsigned status;
		uint32_t retry_after;
		bool retry;
		uint32_t wait;
		const char *body, *msg;
	} rows[] = {
	    {400, 0, false, 0, "bad SPL", "HTTP 400: bad SPL"},
	    {404, 0, false, 0, "", "HTTP 404"},
	    {404, 5, false, 0, "", "HTTP 404"},
	    {406, 0, false, 0, "", "HTTP 406"},
	    {429, 0, true, 10, "", "HTTP 429"},
	    {429, 3, true, 10, "", "HTTP 429"},
	    {429, 30, true, 30, "slow\x1b[2J", "HTTP 429: slow?[2J"},
	    {429, 300, true, 60, "", "HTTP 429"},
	    {408, 0, true, 0, "", "HTTP 408"},
	    {500, 0, true, 0, "", "HTTP 500"},
	    {503, 7, true, 7, "", "HTTP 503"},
	    {302, 0, false, 0, "", "HTTP 302"},
	    {204, 0, false, 0, "", "HTTP 204"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int chain = 0; chain < 2; chain++) {
			struct lk_http_rsp rsp = answer(rows[i].status, rows[i].body);

			rsp.retry_s = rows[i].retry_after;
			store = LK_BUF(bytes);
			memset(&err, 0xff, sizeof(err));
			EQ_CODE(LK_EHTTP, chain ? lk_kds_chain_parse(&rsp, &store, &ask, &ark, &err)
						: lk_kds_vcek_parse(&rsp, &store, &vcek, &err));
			EQ_S(err.msg, rows[i].msg);
			EQ_U(err.http, rows[i].status);
			EQ_U(err.retry, rows[i].retry);
			EQ_U(err.wait_s, rows[i].wait);
		}
}
