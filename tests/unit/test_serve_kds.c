/* The courier to AMD's key distribution service, and the metadata service's answer held against its
 * VCEK: real couriers, and a server that knows every byte they may send. */
#include "certs_rig.h"
#include "http_script.h"
#include "lk/kds.h"

#define OLD_TCB "?blSPL=04&teeSPL=01&snpSPL=129&ucodeSPL=219" /* gen_snp.py's TCB */
#define NEW_TCB "?fmcSPL=04&blSPL=01&teeSPL=02&snpSPL=03&ucodeSPL=219"
#define OCTETS  "200 OK\r\nContent-Type: application/octet-stream"
#define ABSENT  "404 Not Found"

static char targets[4][300];

static const char *vcek_of(const struct made *m, const char *product, size_t chip, const char *tcb)
{
	static unsigned turn;
	char *out = targets[turn++ % 4], *p = out + sprintf(out, "/vcek/v1/%s/", product);

	for (size_t i = 0; i < chip; i++)
		p += sprintf(p, "%02x", m->snp.chip_id.p[i]);
	strcpy(p, tcb);
	return out;
}

static struct lk_slice chain_of(const struct made *m)
{
	const char *pem = pem_of(&m->certs, m->snp.signer), *end = strstr(pem, "-----END");
	const char *rest = strchr(end, '\n') + 1;

	return lk_slice_of(rest, strlen(rest));
}

static enum lk_code kds(const struct made *m, const struct script_line *line, size_t n, int64_t ms)
{
	uint16_t port = script_start(line, n, "");

	courier_start(LK_PEER_KDS, "127.0.0.1", port, ms);
	enum lk_code rc = ask(LK_CERTS_KDS, m->report, NONE);
	lk_courier_stop(&courier);
	script_end();
	return rc;
}

static enum lk_code fetch(const char *name, const char *product, size_t chip, const char *tcb)
{
	const struct made *m = made(name);
	char chain[64];
	const struct script_line line[] = {{vcek_of(m, product, chip, tcb), OCTETS, m->certs.vcek},
	    {chain, "200 OK", chain_of(m)}};

	(void)snprintf(chain, sizeof(chain), "/vcek/v1/%s/cert_chain", product);
	enum lk_code rc = kds(m, line, 2, 20000);
	if (rc == LK_OK) {
		const char *pem = pem_of(&m->certs, m->snp.signer);
		EQ_BYTES(got.pem.p, got.pem.n, pem, strlen(pem));
		OK(got.has_tcbm && got.tcbm == m->snp.reported_tcb);
	}
	return rc;
}

T(fetches_of_every_generation)
{
	EQ_CODE(LK_OK, fetch("milan3", "Milan", 64, OLD_TCB));
	EQ_CODE(LK_OK, fetch("milan2", "Milan", 64, OLD_TCB));
	EQ_CODE(LK_OK, fetch("genoa5", "Genoa", 64, OLD_TCB));
	EQ_CODE(LK_OK, fetch("turin5", "Turin", 8, NEW_TCB));
	EQ_CODE(LK_OK, fetch("turin2", "Turin", 8, NEW_TCB));
}

T(tries_genoa_where_the_report_does_not_tell)
{
	const struct made *m = made("milan2");
	struct script_line line[] = {{vcek_of(m, "Milan", 64, OLD_TCB), ABSENT, NONE},
	    {vcek_of(m, "Genoa", 64, OLD_TCB), OCTETS, m->certs.vcek},
	    {"/vcek/v1/Genoa/cert_chain", "200 OK", chain_of(m)}};

	EQ_CODE(LK_OK, kds(m, line, 3, 20000));
	line[1].status = ABSENT;
	line[1].body = LK_S("no such thing");
	EQ_CODE(LK_EATTEST, kds(m, line, 2, 20000));
	EQ_U(e.http, 404);
	OK(!e.retry);
	says("AMD KDS: no Milan or Genoa processor ");
	says("... with TCB db81000003020104 is known there");
	OK(e.hint[0] != '\0');
}

T(tries_no_other_where_it_tells)
{
	const struct made *m = made("genoa5");
	const struct script_line line[] = {{vcek_of(m, "Genoa", 64, OLD_TCB), ABSENT, NONE}};

	EQ_CODE(LK_EATTEST, kds(m, line, 1, 20000));
	says("no Genoa processor");
}

/* What comes back is for another chip or TCB: as good as nothing. */
T(refuses_another_vcek)
{
	EQ_CODE(LK_EATTEST, fetch("chip", "Milan", 64, OLD_TCB));
	says("another processor");
	EQ_CODE(
	    LK_EATTEST, fetch("tcb8", "Milan", 64, "?blSPL=04&teeSPL=01&snpSPL=129&ucodeSPL=91"));
	says("the VCEK is for TCB db81000003020104, asked for was that of 5b81000003020104");
	EQ_CODE(LK_EATTEST,
	    fetch("fmc", "Turin", 8, "?fmcSPL=05&blSPL=01&teeSPL=02&snpSPL=03&ucodeSPL=219"));
}

T(refuses_what_is_no_certificate)
{
	const struct made *m = made("milan3");
	struct script_line line[] = {{vcek_of(m, "Milan", 64, OLD_TCB), OCTETS, LK_S("<html>")},
	    {"/vcek/v1/Milan/cert_chain", "200 OK", LK_S("<html>")}};

	EQ_CODE(LK_EPROTO, kds(m, line, 1, 20000));
	says("AMD KDS: the VCEK is not one certificate");
	line[0].body = m->certs.vcek;
	EQ_CODE(LK_EPROTO, kds(m, line, 2, 20000));
	says("AMD KDS: the chain is not");
	line[1].status = ABSENT;
	EQ_CODE(LK_EHTTP, kds(m, line, 2, 20000));
	says("AMD KDS: HTTP 404");
}

static enum lk_code kds_unasked(struct lk_slice report)
{
	courier_start(LK_PEER_KDS, "127.0.0.1", 1, 5000);
	enum lk_code rc = ask(LK_CERTS_KDS, report, NONE);
	lk_courier_stop(&courier);
	return rc;
}

T(does_not_ask_for_what_it_cannot_have)
{
	uint8_t raw[LK_SNP_REPORT_SIZE];

	EQ_CODE(LK_EATTEST, kds_unasked(made("vlek")->report));
	says("AMD KDS: it has VCEKs, and a VLEK");
	EQ_CODE(LK_EATTEST, kds_unasked(made("masked")->report));
	says("AMD KDS: the report hides");
	EQ_CODE(LK_EATTEST, kds_unasked(made("newer")->report));
	says("AMD KDS: processors of family 0x1b, model 0x9 are unknown");
	EQ_CODE(LK_EATTEST, kds_unasked(made("unsigned")->report));
	says("AMD KDS: it has VCEKs, and no known key signed");
	memcpy(raw, made("milan3")->report.p, sizeof(raw));
	raw[0] = 1;
	EQ_CODE(LK_EPROTO, kds_unasked(lk_slice_of(raw, sizeof(raw))));
	EQ_CODE(LK_EBUG, kds_unasked(NONE));
	courier_start(LK_PEER_KDS, "127.0.0.1", 1, 5000);
	EQ_CODE(LK_EBUG, ask(LK_CERTS_THIM, NONE, NONE));
	EQ_CODE(LK_EBUG, ask(LK_CERTS_TABLE, made("milan3")->report, NONE));
	lk_courier_stop(&courier);
}

/* Ten seconds are more than there are: the reason comes at once, and the server is left alone. */
T(does_not_hurry_a_busy_service)
{
	const struct made *m = made("milan3");
	const struct script_line line[] = {
	    {vcek_of(m, "Milan", 64, OLD_TCB), "429 Too Many Requests", NONE}};

	EQ_CODE(LK_EHTTP, kds(m, line, 1, 9000));
	says("AMD KDS: HTTP 429");
	EQ_U(e.wait_s, 10);
	OK(e.retry);
}

T(asks_a_failing_service_again)
{
	const struct made *m = made("milan3");
	const char *vcek = vcek_of(m, "Milan", 64, OLD_TCB);
	const struct script_line line[] = {{vcek, "503 Unavailable\r\nRetry-After: 1", NONE},
	    {vcek, OCTETS, m->certs.vcek}, {"/vcek/v1/Milan/cert_chain", "200 OK", chain_of(m)}};

	EQ_CODE(LK_OK, kds(m, line, 3, 30000));
}

/* ---- the metadata service */

static enum lk_code thim(const struct made *m, bool with_report, const char *tcbm)
{
	const char *json = document(m, tcbm);
	const struct script_line line[] = {{"/metadata/THIM/amd/certification",
	    "200 OK\r\nContent-Type: application/json", lk_slice_of(json, strlen(json))}};
	uint16_t port = script_start(line, 1, "Metadata: true\r\n");

	courier_start(LK_PEER_IMDS, "127.0.0.1", port, 20000);
	enum lk_code rc = ask(LK_CERTS_THIM, with_report ? m->report : NONE, NONE);
	lk_courier_stop(&courier);
	script_end();
	return rc;
}

T(thim_against_its_vcek)
{
	const struct made *m = made("milan3");

	EQ_CODE(LK_OK, thim(m, true, "\"tcbm\":\"DB81000003020104\","));
	EQ_U(got.tcbm, m->snp.reported_tcb);
	EQ_CODE(LK_EATTEST, thim(m, true, "\"tcbm\":\"DB81000003020105\","));
	says("platform certificates: tcbm is db81000003020105, but the VCEK is for");
	EQ_CODE(LK_OK, thim(m, false, "\"tcbm\":\"DB81000003020105\",")); /* as it says */
	EQ_U(got.tcbm, 0xDB81000003020105u);
	EQ_CODE(LK_OK, thim(m, true, ""));
	EQ_U(got.tcbm, m->snp.reported_tcb);
	EQ_CODE(LK_OK, thim(made("tcb8"), true, "\"tcbm\":\"DB81000003020104\","));
	OK(got.tcbm != made("tcb8")->snp.reported_tcb);
	EQ_CODE(LK_EATTEST, thim(made("chip"), true, "\"tcbm\":\"DB81000003020104\","));
	says("platform certificates: the VCEK is for another processor");
}
