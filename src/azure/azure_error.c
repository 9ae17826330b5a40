/* azure_error.c - what a refusal by the attestation service or the vault means, and what to do.
 *
 * Shape: {"error":{"code","message","innererror":{"code"}}}, from attestation also with capital
 * letters; from gateways anything at all. Source: protocol notes, sections 3 and 4.6.
 */
#include "azure_text.h"
#include "lk/log.h"
#include "lk/maa.h"

#define TOKENS        256
#define MESSAGE_MAX   160
#define CANNOT_VERIFY "cannot be verified"

struct said {
	struct lk_slice code, inner, message;
};

/* The first rule that matches decides; a table ends with one that always does (""). `word` is
 * looked for in the message, or (in_code) has to be the code or inner code itself. */
struct rule {
	const char *word, *hint;
	bool in_code;
};

#define ROLE                                                                                       \
	"give this machine's identity the role \"Key Vault Crypto Service Release User\" "         \
	"(managed "                                                                                \
	"HSM: \"Managed HSM Crypto Service Release User\") or the access policy permission "       \
	"\"release\"; a new role takes up to five minutes"
#define NETWORK                                                                                    \
	"the vault's firewall or private endpoint refuses this network: allow the machine's "      \
	"subnet, or let it reach the private endpoint"
#define STATE                                                                                      \
	"the key cannot be used: check that it is enabled, its activation and expiry dates, and "  \
	"its permitted operations"
#define POLICY                                                                                     \
	"this machine's claims do not satisfy the key's release policy: compare the token's "      \
	"claims with it, issuer first"
#define UNVERIFIED                                                                                 \
	"the vault could not check the attestation token: its issuer must be the policy's "        \
	"authority and reachable for the vault; a fresh token may help"
#define UNKNOWN_403                                                                                \
	"check, in this order: the identity's role on the key, the vault's network rules, the "    \
	"key's state, its release policy"

static const struct rule forbidden[] = {
    {"does not meet key release policy", POLICY, false},
    {CANNOT_VERIFY, UNVERIFIED, false},
    {"ForbiddenByRbac", ROLE, true},
    {"ForbiddenByPolicy", ROLE, true},
    {"ForbiddenByFirewall", NETWORK, true},
    {"ForbiddenByConnection", NETWORK, true},
    {"KeyOperationForbidden", STATE, true},
    {"KeyDisabled", STATE, true},
    {"KeyExpired", STATE, true},
    {"KeyNotYetValid", STATE, true},
    {"AccessDenied", ROLE, true},
    {"disabled", STATE, false},
    {"expired", STATE, false},
    {"not yet valid", STATE, false},
    {"is not allowed on", STATE, false},
    {"operation is not permitted", STATE, false},
    {"", UNKNOWN_403, false},
};

static const struct rule unauthorized[] = {
    {"AKV10032", "the identity belongs to another tenant than the vault", false},
    {"", "the bearer token was refused: check `identity`, and the vault's tenant", false},
};

static const struct rule vault_absent[] = {
    {"", "no such key or version: check the key's URL, and whether the key was deleted", false},
};

#define OWN_POLICY  "the attestation provider's own policy refuses this machine"
#define BAD_POLICY  "the attestation provider's own policy is broken: its owner has to mend it"
#define API_VERSION "the attestation provider does not know this api-version: check its setting"
#define INIT_DATA                                                                                  \
	"the init data is not what this machine was started with: the report's host data has to "  \
	"be the SHA-256 of it"
#define BINDING                                                                                    \
	"report and runtime data do not belong together: if that lasts with fresh evidence, it "   \
	"is a fault of latchkey or of the machine; please report it"
#define DEBUGGED                                                                                   \
	"this machine may be debugged by its host: start it with a guest policy that forbids it"
#define TOO_OLD                                                                                    \
	"the host's firmware is older than the attestation service accepts: the host has to be "   \
	"updated"
#define CHAIN                                                                                      \
	"the processor's certificates do not fit the report: after an update of the host's "       \
	"firmware they have to be fetched again; firmware that is too old has to be updated"
#define EVIDENCE                                                                                   \
	"the evidence was refused; after an update of the host, fresh evidence may be accepted"

/* What InvalidParameter says of SNP evidence is not documented, so these look for the thing that
 * any wording has to name; the service's own words stay in front of the hint. */
static const struct rule attest_bad[] = {
    {"PolicyEvaluationError", OWN_POLICY, true},
    {"PolicyParsingError", BAD_POLICY, true},
    {"api-version", API_VERSION, false},
    {"inittime", INIT_DATA, false},
    {"init time", INIT_DATA, false},
    {"init data", INIT_DATA, false},
    {"hostdata", INIT_DATA, false},
    {"host data", INIT_DATA, false},
    {"host_data", INIT_DATA, false},
    {"runtimedata", BINDING, false},
    {"runtime data", BINDING, false},
    {"reportdata", BINDING, false},
    {"report data", BINDING, false},
    {"report_data", BINDING, false},
    {"debug", DEBUGGED, false},
    {"baseline", TOO_OLD, false},
    {"out of date", TOO_OLD, false},
    {"outdated", TOO_OLD, false},
    {"tcb", CHAIN, false},
    {"vcek", CHAIN, false},
    {"report signature", CHAIN, false},
    {"report's signature", CHAIN, false},
    {"", EVIDENCE, false},
};

static const struct rule attest_denied[] = {
    {"", "the attestation provider does not serve this machine: check its network rules", false},
};

static const struct rule attest_absent[] = {
    {"", "no such attestation provider: check the attestation host", false},
};

static bool matches(const struct rule *r, const struct said *s)
{
	if (r->in_code)
		return lk_slice_ieq_str(s->inner, r->word) || lk_slice_ieq_str(s->code, r->word);
	return lk_azure_has(s->message, r->word);
}

static void apply(const struct rule *r, const struct said *s, enum lk_code code, struct lk_err *e)
{
	while (!matches(r, s))
		r++;
	e->code = code;
	(void)lk_hint(e, "%s", r->hint);
}

static void read_said(const struct lk_http_rsp *rsp, struct said *out)
{
	static struct lk_json_tok toks[TOKENS];
	struct lk_json j;
	struct lk_err ignored;

	*out = (struct said){0};
	if (lk_json_parse(rsp->body, toks, TOKENS, &j, &ignored) != LK_OK) {
		out->message = rsp->body;
		return;
	}
	out->code = lk_azure_text(&j, "error.code");
	out->inner = lk_azure_text(&j, "error.innererror.code");
	out->message = lk_azure_text(&j, "error.message");
	if (out->code.n == 0 && out->message.n == 0) {
		out->code = lk_azure_text(&j, "Error.Code");
		out->message = lk_azure_text(&j, "Error.Message");
	}
}

static void describe(const struct lk_http_rsp *rsp, const struct said *s, struct lk_buf *b)
{
	if (s->code.n > 0) {
		lk_buf_byte(b, ' ');
		lk_log_printable(b, s->code, 40);
	}
	if (s->inner.n > 0) {
		lk_buf_byte(b, '/');
		lk_log_printable(b, s->inner, 40);
	}
	if (rsp->request_id[0] != '\0') {
		lk_buf_str(b, " (request ");
		lk_buf_str(b, rsp->request_id);
		lk_buf_byte(b, ')');
	}
	if (s->message.n > 0) {
		lk_buf_str(b, ": ");
		lk_log_printable(b, s->message, MESSAGE_MAX);
	}
}

static void explain(unsigned status, bool vault, const struct said *s, struct lk_err *e)
{
	if (status == 400 && !vault)
		apply(attest_bad, s, LK_EATTEST, e);
	else if (status == 401)
		apply(vault ? unauthorized : attest_denied, s, LK_EDENIED, e);
	else if (status == 403)
		apply(vault ? forbidden : attest_denied, s, LK_EDENIED, e);
	else if (status == 404)
		apply(vault ? vault_absent : attest_absent, s, LK_EHTTP, e);
	else if (status >= 300 && status < 400)
		(void)lk_hint(e, "redirects are not followed: check the host name");
}

enum lk_code lk_azure_error(
    const struct lk_http_rsp *rsp, const char *service, const char *host, struct lk_err *e)
{
	uint8_t bytes[400];
	struct lk_buf b = LK_BUF(bytes);
	struct said s;
	bool vault = lk_slice_eq_str(lk_slice_str(service), "vault");

	read_said(rsp, &s);
	describe(rsp, &s, &b);
	(void)lk_fail(e, LK_EHTTP, "%s %.80s: HTTP %u%.*s", service, host, rsp->status, (int)b.n,
	    (const char *)b.p);
	explain(rsp->status, vault, &s, e);
	/* Of the denials, only this one may end with another token of the same machine. */
	bool again = lk_azure_status_again(rsp->status) ||
		     (vault && rsp->status == 403 && lk_azure_has(s.message, CANNOT_VERIFY));
	return lk_azure_set(rsp, again, 0, e);
}
