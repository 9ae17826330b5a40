/* What a refusal by the vault or the attestation service means. */
#include "t.h"

#include "azure_answer.h"
#include "lk/maa.h"

#define E1(code, message) "{\"error\":{\"code\":\"" code "\",\"message\":\"" message "\"}}"
#define E2(code, inner, message)                                                                   \
	"{\"error\":{\"code\":\"" code "\",\"message\":\"" message                                 \
	"\",\"innererror\":{\"code\":\"" inner "\"}}}"

struct row {
	const char *service;
	unsigned status;
	const char *body;
	enum lk_code code;
	bool retry;
	const char *msg, *hint;
};

#define ROLE    "Release User"
#define NETWORK "firewall"
#define STATE   "the key cannot be used"
#define POLICY  "release policy: compare"
#define FRESH   "fresh token"

static const struct row rows[] = {
    /* the four meanings of 403, and the one worth a fresh token */
    {"vault", 403, E2("Forbidden", "ForbiddenByRbac", "Caller is not authorized"), LK_EDENIED,
	false, "HTTP 403 Forbidden/ForbiddenByRbac (request 12-ab): Caller is not authorized",
	ROLE},
    {"vault", 403, E2("Forbidden", "AccessDenied", "x"), LK_EDENIED, false, "/AccessDenied", ROLE},
    {"vault", 403, E1("AccessDenied", "x"), LK_EDENIED, false, "403 AccessDenied", ROLE},
    {"vault", 403, E2("Forbidden", "ForbiddenByPolicy", "x"), LK_EDENIED, false, "", ROLE},
    {"vault", 403, E2("Forbidden", "ForbiddenByFirewall", "x"), LK_EDENIED, false, "", NETWORK},
    {"vault", 403, E2("Forbidden", "ForbiddenByConnection", "x"), LK_EDENIED, false, "", NETWORK},
    {"vault", 403, E2("Forbidden", "KeyOperationForbidden", "x"), LK_EDENIED, false, "", STATE},
    {"vault", 403, E1("Forbidden", "Operation release is not allowed on a disabled key."),
	LK_EDENIED, false, "disabled key", STATE},
    {"vault", 403, E1("Forbidden", "Operation release is not allowed on an expired key."),
	LK_EDENIED, false, "expired key", STATE},
    {"vault", 403, E1("Forbidden", "The key is not yet valid."), LK_EDENIED, false, "", STATE},
    {"vault", 403,
	E1("Forbidden", "Target environment attestation does not meet key release policy "
			"requirements."),
	LK_EDENIED, false, "Target environment", POLICY},
    {"vault", 403,
	E2("Forbidden", "AccessDenied",
	    "Target environment attestation does not meet key release policy requirements."),
	LK_EDENIED, false, "", POLICY},
    {"vault", 403, E1("Forbidden", "Target environment attestation statement cannot be verified."),
	LK_EDENIED, true, "cannot be verified", FRESH},
    {"vault", 403, E1("Forbidden", "something else"), LK_EDENIED, false, "something else",
	"in this order"},
    {"vault", 403, "", LK_EDENIED, false, "HTTP 403", "in this order"},
    /* the rest */
    {"vault", 400, E1("BadParameter", "AKV.SKR.1004"), LK_EHTTP, false, "AKV.SKR.1004", ""},
    {"vault", 401, E1("Unauthorized", "AKV10032: Invalid issuer."), LK_EDENIED, false, "AKV10032",
	"another tenant"},
    {"vault", 401, "", LK_EDENIED, false, "HTTP 401", "bearer token"},
    {"vault", 404, E1("KeyNotFound", "x"), LK_EHTTP, false, "KeyNotFound", "key's URL"},
    {"vault", 408, "", LK_EHTTP, true, "HTTP 408", ""},
    {"vault", 429, E2("Throttled", "VaultRequestTypeLimitReached", "x"), LK_EHTTP, true,
	"Throttled/VaultRequestTypeLimitReached", ""},
    {"vault", 500, "oops", LK_EHTTP, true, ": oops", ""},
    {"vault", 503, E1("ServiceUnavailable", "x"), LK_EHTTP, true, "HTTP 503", ""},
    {"vault", 301, "", LK_EHTTP, false, "HTTP 301", "redirects"},
    {"attestation", 400, E1("InvalidParameter", "The quote was invalid"), LK_EATTEST, false,
	"attestation h.example: HTTP 400 InvalidParameter", "fresh evidence"},
    {"attestation", 400, E1("PolicyEvaluationError", "x"), LK_EATTEST, false, "",
	"own policy refuses"},
    {"attestation", 400, E1("PolicyEvaluationError", "the TCB of VCEK"), LK_EATTEST, false,
	"the TCB of VCEK", "own policy refuses"},
    {"attestation", 400, E1("PolicyParsingError", "x"), LK_EATTEST, false, "", "policy is broken"},
    {"attestation", 400, E1("InvalidParameter", "Unknown API-Version."), LK_EATTEST, false, "",
	"api-version"},
    {"attestation", 400, E1("InvalidParameter", "The hash of runtimeData differs"), LK_EATTEST,
	false, "The hash of runtimeData differs", "do not belong together"},
    {"attestation", 400, E1("InvalidParameter", "a REPORT_DATA that"), LK_EATTEST, false, "",
	"do not belong together"},
    {"attestation", 400, E1("InvalidParameter", "initTimeData differs from"), LK_EATTEST, false, "",
	"host data"},
    {"attestation", 400, E1("InvalidParameter", "its HostData is"), LK_EATTEST, false, "",
	"host data"},
    {"attestation", 400, E1("InvalidParameter", "debugging is allowed"), LK_EATTEST, false, "",
	"guest policy"},
    {"attestation", 400, E1("InvalidParameter", "TCB below the baseline"), LK_EATTEST, false, "",
	"the host has to be updated"},
    {"attestation", 400, E1("InvalidParameter", "microcode out of date"), LK_EATTEST, false, "",
	"the host has to be updated"},
    {"attestation", 400, E1("InvalidParameter", "the reported TCB"), LK_EATTEST, false, "",
	"fetched again"},
    {"attestation", 400, E1("InvalidParameter", "the report's signature is wrong"), LK_EATTEST,
	false, "", "fetched again"},
    {"attestation", 400, E1("InvalidParameter", "PcrSignature: bad signature"), LK_EATTEST, false,
	"", "fresh evidence may"},
    {"attestation", 400, E1("InvalidParameter", "VcekCertChain: bad"), LK_EATTEST, false,
	"InvalidParameter (request 12-ab): VcekCertChain: bad", "fetched again"},
    {"attestation", 400, "{\"Error\":{\"Code\":\"Big\",\"Message\":\"Letters\"}}", LK_EATTEST,
	false, "HTTP 400 Big (request 12-ab): Letters", "fresh evidence"},
    {"attestation", 401, "", LK_EDENIED, false, "", "provider"},
    {"attestation", 403, E1("x", "y"), LK_EDENIED, false, "", "provider"},
    {"attestation", 404, "", LK_EHTTP, false, "", "attestation host"},
    {"attestation", 429, "", LK_EHTTP, true, "", ""},
    {"attestation", 502, "<html>", LK_EHTTP, true, "<html>", ""},
    /* odd bodies */
    {"vault", 500, "{\"error\":null}", LK_EHTTP, true, "HTTP 500 (request 12-ab)", ""},
    {"vault", 500, "{\"error\":{\"code\":7,\"message\":[]}}", LK_EHTTP, true, "HTTP 500 (r", ""},
    {"vault", 500, "{\"error\":{\"code\":\"a\",\"code\":\"b\"}}", LK_EHTTP, true, "HTTP 500 (r",
	""},
    {"vault", 500, E1("\\r\\n\xc3\x84", "\xe2\x80\xa8"), LK_EHTTP, true, "\\r\\n?? (", ""},
};

T(maps)
{
	struct lk_err err;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		struct lk_http_rsp rsp = answer(r->status, r->body);
		strcpy(rsp.request_id, "12-ab");
		memset(&err, 0xff, sizeof(err));
		enum lk_code c = lk_azure_error(&rsp, r->service, "h.example", &err);
		if (c != r->code || err.code != r->code)
			T_FAIL("row %zu: code %d, not %d", i, (int)c, (int)r->code);
		EQ_U(err.http, r->status);
		EQ_U(err.retry, r->retry);
		EQ_U(err.wait_s, 0);
		if (!strstr(err.msg, r->msg) || !strstr(err.msg, "(request 12-ab)"))
			T_FAIL("row %zu: \"%s\" does not say \"%s\"", i, err.msg, r->msg);
		if (!strstr(err.hint, r->hint) || (!*r->hint && *err.hint))
			T_FAIL("row %zu: hint \"%s\" does not say \"%s\"", i, err.hint, r->hint);
	}
}

T(waits_as_long_as_it_is_told)
{
	struct lk_http_rsp rsp = answer(429, "");
	struct lk_err err = {0};

	rsp.retry_s = 17;
	EQ_CODE(LK_EHTTP, lk_azure_error(&rsp, "vault", "h", &err));
	EQ_U(err.wait_s, 17);
	rsp.retry_s = 300;
	EQ_CODE(LK_EHTTP, lk_azure_error(&rsp, "vault", "h", &err));
	EQ_U(err.wait_s, 60);
	rsp.status = 400;
	EQ_CODE(LK_EHTTP, lk_azure_error(&rsp, "vault", "h", &err));
	EQ_U(err.wait_s, 0);
}

/* The service's text is cut, the request id is not: support asks for it. */
T(cuts_the_message)
{
	static char big[5000], body[6000];
	struct lk_http_rsp rsp;
	struct lk_err err = {0};

	memset(big, 'm', sizeof(big) - 1);
	(void)snprintf(body, sizeof(body), E2("%.900s", "%.900s", "%.3000s"), big, big, big);
	rsp = answer(500, body);
	memset(rsp.request_id, 'i', sizeof(rsp.request_id) - 1);
	EQ_CODE(LK_EHTTP, lk_azure_error(&rsp, "attestation", big, &err));
	OK(strstr(err.msg, rsp.request_id) != NULL);
	OK(strlen(err.msg) < sizeof(err.msg));
	const char *message = strrchr(err.msg, ':');
	NEED(message);
	EQ_U(strspn(message + 2, "m"), 160 < strlen(message + 2) ? 160 : strlen(message + 2));
}
