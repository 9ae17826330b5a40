/* The metadata service: targets, certificates, tokens, and what its errors mean. */
#include "t.h"

#include "azure_answer.h"
#include "lk/imds.h"

#define BEGIN "-----BEGIN CERTIFICATE-----\\n"
#define CERTS                                                                                      \
	"{\"vcekCert\":\"" BEGIN "VCEK\\n\",\"tcbm\":\"DB18000000000004\",\"certificateChain\":"   \
	"\"" BEGIN "ASK\\n" BEGIN "ARK\\n\",\"cacheControl\":\"86400\"}"
#define PEM(x) "-----BEGIN CERTIFICATE-----\n" x "\n"
#define TOKEN                                                                                      \
	"{\"access_token\":\"abc.DEF-_~\",\"client_id\":\"c\",\"expires_in\":\"86400\","           \
	"\"token_type\":\"Bearer\",\"resource\":\"https://vault.azure.net\"}"

static uint8_t bytes[LK_CHAIN_PEM_MAX + 1024];
static struct lk_buf store;
static struct lk_certs certs;
static struct lk_err err;

static enum lk_code parse_certs(const char *body)
{
	struct lk_http_rsp rsp = answer(200, body);

	memset(&err, 0, sizeof(err));
	store = LK_BUF(bytes);
	return lk_imds_certs_parse(&rsp, &store, &certs, &err);
}

static enum lk_code parse_token(const char *body)
{
	struct lk_http_rsp rsp = answer(200, body);

	memset(&err, 0, sizeof(err));
	store = LK_BUF(bytes);
	return lk_imds_token_parse(&rsp, &store, &err);
}

static void certs_are(const char *pem)
{
	EQ_BYTES(certs.pem.p, certs.pem.n, pem, strlen(pem));
}

T(reads_certificates)
{
	static const char want[] = PEM("VCEK") PEM("ASK") PEM("ARK");

	EQ_CODE(LK_OK, parse_certs(CERTS));
	certs_are(want);
	OK(certs.has_tcbm);
	EQ_U(certs.tcbm, UINT64_C(0xDB18000000000004));
	/* Member names in any case, a newline where it is missing, no tcbm. */
	EQ_CODE(LK_OK, parse_certs(swap(CERTS, "vcekCert", "VcekCert")));
	certs_are(want);
	EQ_CODE(LK_OK, parse_certs(swap(CERTS, "VCEK\\n", "VCEK")));
	certs_are(want);
	EQ_CODE(LK_OK, parse_certs(swap(CERTS, "ARK\\n", "ARK")));
	certs_are(want);
	EQ_CODE(LK_OK, parse_certs(swap(CERTS, "\"tcbm\":\"DB18000000000004\",", "")));
	OK(!certs.has_tcbm);
}

T(refuses_certificates)
{
	EQ_CODE(LK_EPROTO, parse_certs(""));
	EQ_CODE(LK_EPROTO, parse_certs("[]"));
	EQ_CODE(LK_EPROTO, parse_certs("{}"));
	EQ_CODE(LK_EPROTO, parse_certs(swap(CERTS, "vcekCert", "vcekCerts")));
	EQ_CODE(LK_EPROTO, parse_certs(swap(CERTS, "certificateChain", "x")));
	EQ_CODE(LK_EPROTO, parse_certs(swap(CERTS, "certificateChain", "VCEKCERT")));
	EQ_CODE(LK_EPROTO, parse_certs(swap(CERTS, "cacheControl", "vcekcert")));
	EQ_CODE(LK_EPROTO, parse_certs(swap(CERTS, "cacheControl", "v\\u0063ekCert")));
	EQ_CODE(LK_EPROTO, parse_certs(swap(CERTS, "cacheControl", "TCBM")));
	EQ_CODE(LK_EPROTO, parse_certs(swap(CERTS, "\"" BEGIN "VCEK\\n\"", "\"\"")));
	EQ_CODE(LK_EPROTO, parse_certs(swap(CERTS, "\"" BEGIN "VCEK\\n\"", "7")));
	EQ_CODE(LK_EPROTO, parse_certs(swap(CERTS, "\"" BEGIN "VCEK\\n\"", "null")));
	EQ_CODE(LK_EPROTO, parse_certs(swap(CERTS, BEGIN "VCEK", "VCEK")));
	EQ_CODE(LK_EPROTO, parse_certs(swap(CERTS, "VCEK", "V\\u0007CEK")));
	EQ_CODE(LK_EPROTO, parse_certs(swap(CERTS, "VCEK", "V\xc3\x84")));
	EQ_CODE(LK_EPROTO, parse_certs(swap(CERTS, "\"cacheControl\":\"86400\"",
			       "\"TCBM\":\"DB18000000000004\"")));
	EQ_CODE(LK_EPROTO, parse_certs(swap(CERTS, "DB18", "DB1")));
	EQ_CODE(LK_EPROTO, parse_certs(swap(CERTS, "DB18", "DB")));
	EQ_CODE(LK_EPROTO, parse_certs(swap(CERTS, "DB18000000000004", "")));
	EQ_CODE(LK_EPROTO, parse_certs(swap(CERTS, "DB18", "DB1x")));
	EQ_CODE(LK_EPROTO, parse_certs(swap(CERTS, "\"DB18000000000004\"", "3")));
}

T(limits_certificates)
{
	static char big[LK_CHAIN_PEM_MAX + 64];
	struct lk_http_rsp rsp = answer(200, CERTS);

	memset(big, 'x', sizeof(big) - 1);
	EQ_CODE(LK_ELIMIT, parse_certs(swap(CERTS, "ARK", big)));
	big[LK_CHAIN_PEM_MAX - 140] = '\0'; /* with the rest, just below */
	EQ_CODE(LK_OK, parse_certs(swap(CERTS, "ARK", big)));
	store = LK_BUF(bytes);
	store.cap = 40;
	EQ_CODE(LK_ELIMIT, lk_imds_certs_parse(&rsp, &store, &certs, &err));
	rsp.json = false;
	store = LK_BUF(bytes);
	EQ_CODE(LK_EPROTO, lk_imds_certs_parse(&rsp, &store, &certs, &err));
}

T(reads_a_token)
{
	EQ_CODE(LK_OK, parse_token(TOKEN));
	EQ_BYTES(store.p, store.n, "abc.DEF-_~", 10);
	EQ_CODE(LK_OK, parse_token(swap(TOKEN, "Bearer", "bearer")));
}

T(refuses_a_token)
{
	static char big[LK_BEARER_MAX + 2];
	struct lk_http_rsp rsp = answer(200, TOKEN);

	EQ_CODE(LK_EPROTO, parse_token(""));
	EQ_CODE(LK_EPROTO, parse_token("{}"));
	EQ_CODE(LK_EPROTO, parse_token(swap(TOKEN, "access_token", "token")));
	EQ_CODE(LK_EPROTO, parse_token(swap(TOKEN, "token_type", "type")));
	EQ_CODE(LK_EPROTO, parse_token(swap(TOKEN, "Bearer", "PoP")));
	EQ_CODE(LK_EPROTO, parse_token(swap(TOKEN, "\"Bearer\"", "null")));
	EQ_CODE(LK_EPROTO, parse_token(swap(TOKEN, "client_id", "access_token")));
	EQ_CODE(LK_EPROTO, parse_token(swap(TOKEN, "abc.DEF-_~", "")));
	EQ_CODE(LK_EPROTO, parse_token(swap(TOKEN, "abc.DEF", "abc DEF")));
	EQ_CODE(LK_EPROTO, parse_token(swap(TOKEN, "abc.DEF", "abc\\r\\nX: y")));
	EQ_CODE(LK_EPROTO, parse_token(swap(TOKEN, "abc.DEF", "abc\xc3\x84")));
	EQ_CODE(LK_EPROTO, parse_token(swap(TOKEN, "abc.DEF", "abc\x7f")));
	EQ_CODE(LK_EPROTO, parse_token(swap(TOKEN, "\"abc.DEF-_~\"", "12")));
	memset(big, 'x', sizeof(big) - 1);
	EQ_CODE(LK_ELIMIT, parse_token(swap(TOKEN, "abc.DEF-_~", big)));
	big[LK_BEARER_MAX] = '\0';
	EQ_CODE(LK_OK, parse_token(swap(TOKEN, "abc.DEF-_~", big)));
	store = LK_BUF(bytes);
	store.cap = 9;
	EQ_CODE(LK_ELIMIT, lk_imds_token_parse(&rsp, &store, &err));
	rsp.json = false;
	store = LK_BUF(bytes);
	EQ_CODE(LK_EPROTO, lk_imds_token_parse(&rsp, &store, &err));
}

struct failure {
	unsigned status;
	const char *body;
	uint32_t retry_after;
	enum lk_code code;
	bool retry;
	uint32_t wait;
	const char *msg, *hint;
};

#define SAYS(error, description)                                                                   \
	"{\"error\":\"" error "\",\"error_description\":\"" description "\"}"

static const struct failure failures[] = {
    {400, SAYS("invalid_request", "Identity not found"), 0, LK_EHTTP, true, 0,
	"HTTP 400 invalid_request: Identity not found", "assign"},
    {400, SAYS("invalid_request", "Multiple user assigned identities exist, please specify"), 0,
	LK_ECONF, false, 0, "Multiple user assigned", "`identity`"},
    {400, SAYS("invalid_resource", "no such principal"), 0, LK_EHTTP, false, 0, "invalid_resource",
	"cloud"},
    {400, SAYS("bad_request_102", "Required metadata header not specified"), 0, LK_EHTTP, false, 0,
	"bad_request_102", ""},
    {401, SAYS("unknown_source", "x"), 0, LK_EHTTP, false, 0, "unknown_source", ""},
    {403, "", 0, LK_EHTTP, false, 0, "HTTP 403", "proxied"},
    {404, "{}", 0, LK_EHTTP, true, 0, "HTTP 404", ""},
    {405, "", 0, LK_EHTTP, false, 0, "HTTP 405", ""},
    {408, "", 0, LK_EHTTP, true, 0, "HTTP 408", ""},
    {410, "", 0, LK_EHTTP, true, 5, "HTTP 410", "70 s"},
    {410, "", 12, LK_EHTTP, true, 12, "HTTP 410", "70 s"},
    {429, SAYS("too_many", "slow down"), 7, LK_EHTTP, true, 7, "slow down", ""},
    {429, "", 300, LK_EHTTP, true, 60, "HTTP 429", ""},
    {500, "<html>\nboom\x1b[31m</html>", 0, LK_EHTTP, true, 0, "<html>?boom?[31m</html>", ""},
    {503, "", 0, LK_EHTTP, true, 0, "HTTP 503", ""},
    {302, "", 0, LK_EHTTP, false, 0, "HTTP 302", ""},
    {201, TOKEN, 0, LK_EHTTP, false, 0, "HTTP 201", ""},
};

static void check_failure(const struct failure *f, enum lk_code c)
{
	if (c != f->code)
		T_FAIL("status %u: code %d, not %d", f->status, (int)c, (int)f->code);
	EQ_U(err.code, f->code);
	EQ_U(err.http, f->status);
	EQ_U(err.retry, f->retry);
	EQ_U(err.wait_s, f->wait);
	if (!strstr(err.msg, f->msg))
		T_FAIL("\"%s\" does not say \"%s\"", err.msg, f->msg);
	if (!strstr(err.hint, f->hint) || (!*f->hint && *err.hint))
		T_FAIL("hint \"%s\" does not say \"%s\"", err.hint, f->hint);
}

T(explains_failures)
{
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		struct lk_http_rsp rsp = answer(failures[i].status, failures[i].body);
		rsp.retry_s = failures[i].retry_after;
		rsp.json = *failures[i].body == '{';
		memset(&err, 0xff, sizeof(err));
		store = LK_BUF(bytes);
		check_failure(&failures[i], lk_imds_token_parse(&rsp, &store, &err));
		EQ_U(store.n, 0);
		memset(&err, 0xff, sizeof(err));
		check_failure(&failures[i], lk_imds_certs_parse(&rsp, &store, &certs, &err));
		EQ_U(store.n, 0);
	}
}

static void target_is(enum lk_identity kind, const char *id, const char *more)
{
	char want[300];

	(void)snprintf(want, sizeof(want), "%s%s",
	    "/metadata/identity/oauth2/token?api-version=2018-02-01&"
	    "resource=https%3A%2F%2Fvault.azure.net",
	    more);
	store = LK_BUF(bytes);
	lk_imds_token_target("https://vault.azure.net", kind, id, &store);
	EQ_BYTES(store.p, store.n, want, strlen(want));
}

T(builds_targets)
{
	target_is(LK_ID_SYSTEM, "", "");
	target_is(LK_ID_SYSTEM, NULL, "");
	target_is(LK_ID_CLIENT, "0-a", "&client_id=0-a");
	target_is(LK_ID_OBJECT, "a&b=c d", "&object_id=a%26b%3Dc%20d");
	target_is(LK_ID_RESOURCE, "/subscriptions/s", "&msi_res_id=%2Fsubscriptions%2Fs");
	store = LK_BUF(bytes);
	lk_imds_certs_target(&store);
	EQ_BYTES(store.p, store.n, "/metadata/THIM/amd/certification", 32);
}

T(knows_the_audience)
{
	EQ_S(lk_imds_resource("a.vault.azure.net"), "https://vault.azure.net");
	EQ_S(lk_imds_resource("a.managedhsm.azure.net"), "https://managedhsm.azure.net");
	EQ_S(lk_imds_resource("a.vault.azure.cn"), "https://vault.azure.cn");
	EQ_S(lk_imds_resource("a.managedhsm.azure.cn"), "https://managedhsm.azure.cn");
	EQ_S(lk_imds_resource("a.vault.usgovcloudapi.net"), "https://vault.usgovcloudapi.net");
	EQ_S(lk_imds_resource("a.managedhsm.usgovcloudapi.net"),
	    "https://managedhsm.usgovcloudapi.net");
	OK(!lk_imds_resource("vault.azure.net"));
	OK(!lk_imds_resource("xvault.azure.net"));
	OK(!lk_imds_resource("a.vault.azure.net.evil.example"));
	OK(!lk_imds_resource("managedhsm.azure.net.example"));
	OK(!lk_imds_resource(""));
}
