/* imds.c - the instance metadata service: platform certificates (THIM) and identity tokens. */
#include "lk/imds.h"

#include "azure_text.h"
#include "lk/log.h"
#include "lk/url.h"

#define TOKENS 128
/* 410 is maintenance of up to 70 s; asked too fast, five tries are over before it is. */
#define GONE_S     5
#define PEM_PREFIX "-----BEGIN CERTIFICATE-----"

static struct lk_json_tok toks[TOKENS];

/* ---- failures: {"error":"invalid_request","error_description":"..."} */

static void hint_of(unsigned status, struct lk_slice text, struct lk_err *e)
{
	if (status == 410)
		(void)lk_hint(e, "the metadata service is being updated: up to 70 s");
	else if (status == 403)
		(void)lk_hint(e, "the metadata service refuses proxied or foreign requests");
	else if (lk_azure_has(text, "invalid_resource"))
		(void)lk_hint(e, "the vault's cloud and this machine's cloud do not match");
}

static enum lk_code identity_error(
    const struct lk_http_rsp *rsp, struct lk_slice text, struct lk_err *e)
{
	if (lk_azure_has(text, "identity not found")) {
		(void)lk_azure_set(rsp, true, 0, e);
		return lk_hint(e,
		    "assign the managed identity to this machine, and check `identity`; "
		    "a new assignment takes a while");
	}
	if (lk_azure_has(text, "multiple user assigned")) {
		e->code = LK_ECONF;
		(void)lk_azure_set(rsp, false, 0, e);
		return lk_hint(e, "this machine has several identities: name one with `identity`");
	}
	return LK_OK;
}

static enum lk_code imds_error(const struct lk_http_rsp *rsp, struct lk_err *e)
{
	uint8_t bytes[256];
	struct lk_buf b = LK_BUF(bytes);
	struct lk_slice error = {NULL, 0}, text = rsp->body;
	struct lk_json j;
	unsigned status = rsp->status;

	if (lk_json_parse(rsp->body, toks, TOKENS, &j, e) == LK_OK) {
		error = lk_azure_text(&j, "error");
		text = lk_azure_text(&j, "error_description");
	}
	if (error.n > 0) {
		lk_buf_byte(&b, ' ');
		lk_log_printable(&b, error, 40);
	}
	if (text.n > 0) {
		lk_buf_str(&b, ": ");
		lk_log_printable(&b, text, 160);
	}
	(void)lk_fail(
	    e, LK_EHTTP, "metadata service: HTTP %u%.*s", status, (int)b.n, (const char *)b.p);
	if (status == 400) {
		enum lk_code c = identity_error(rsp, text, e);
		if (c != LK_OK)
			return c;
	}
	hint_of(status, error, e);
	/* 404: the service itself is being updated. */
	return lk_azure_set(rsp, status == 404 || status == 410 || lk_azure_status_again(status),
	    status == 410 ? GONE_S : 0, e);
}

/* ---- platform certificates */

void lk_imds_certs_target(struct lk_buf *out)
{
	lk_buf_str(out, "/metadata/THIM/amd/certification");
}

static bool is_pem(struct lk_slice v)
{
	if (!lk_slice_starts(v, LK_S(PEM_PREFIX)))
		return false;
	for (size_t i = 0; i < v.n; i++)
		if ((v.p[i] < 0x20 || v.p[i] > 0x7e) && v.p[i] != '\n' && v.p[i] != '\r')
			return false;
	return true;
}

/* The one member whose name is `name` in any case; two are an error, none is LK_EABSENT. */
static enum lk_code member(
    const struct lk_json *j, const char *name, struct lk_json *out, struct lk_err *e)
{
	struct lk_slice key;
	struct lk_json v;
	bool found = false;
	size_t backslash;

	for (size_t i = 0; lk_json_pair(j, i, &key, &v); i++) {
		if (lk_slice_find(key, '\\', &backslash))
			return lk_fail(e, LK_EPROTO, "escaped member name");
		if (!lk_slice_ieq_str(key, name))
			continue;
		if (found)
			return lk_fail(e, LK_EPROTO, "two members %s", name);
		found = true;
		*out = v;
	}
	return found ? LK_OK : lk_fail(e, LK_EABSENT, "no member %s", name);
}

static enum lk_code add_pem(
    const struct lk_json *j, const char *name, struct lk_buf *pem, struct lk_err *e)
{
	struct lk_json v;
	size_t at = pem->n;

	enum lk_code c = member(j, name, &v, e);
	if (c == LK_EABSENT)
		e->code = c = LK_EPROTO;
	if (c == LK_OK)
		c = lk_json_copy(&v, "", pem, e);
	if (c != LK_OK)
		return c;
	if (!is_pem(lk_slice_of(pem->p + at, pem->n - at)))
		return lk_fail(e, LK_EPROTO, "%s: not a PEM certificate", name);
	if (pem->p[pem->n - 1] != '\n')
		lk_buf_byte(pem, '\n');
	return LK_OK;
}

static enum lk_code read_tcbm(const struct lk_json *j, struct lk_certs *out, struct lk_err *e)
{
	uint8_t raw[8];
	struct lk_buf b = LK_BUF(raw);
	struct lk_json v;

	enum lk_code c = member(j, "tcbm", &v, e);
	if (c == LK_EABSENT)
		return LK_OK;
	if (c != LK_OK)
		return c;
	if (lk_json_type(&v) != LK_JSON_STRING || lk_json_raw(&v).n != 16 ||
	    lk_hex_decode(lk_json_raw(&v), &b, e) != LK_OK)
		return lk_fail(e, LK_EPROTO, "tcbm: not 16 hexadecimal digits");
	out->has_tcbm = true;
	for (size_t i = 0; i < sizeof(raw); i++)
		out->tcbm = out->tcbm << 8 | raw[i];
	return LK_OK;
}

enum lk_code lk_imds_certs_json(
    struct lk_slice json, struct lk_buf *pem, struct lk_certs *out, struct lk_err *e)
{
	struct lk_json j;
	size_t at = pem->n;

	*out = (struct lk_certs){0};
	enum lk_code c = lk_json_parse(json, toks, TOKENS, &j, e);
	if (c == LK_OK)
		c = add_pem(&j, "vcekCert", pem, e);
	if (c == LK_OK)
		c = add_pem(&j, "certificateChain", pem, e);
	if (c == LK_OK)
		c = read_tcbm(&j, out, e);
	if (c == LK_OK && (pem->bad || pem->n - at > LK_CHAIN_PEM_MAX))
		c = lk_fail(e, LK_ELIMIT, "certificates: too long");
	if (c == LK_OK)
		out->pem = lk_slice_of(pem->p + at, pem->n - at);
	return c;
}

enum lk_code lk_imds_certs_parse(
    const struct lk_http_rsp *rsp, struct lk_buf *pem, struct lk_certs *out, struct lk_err *e)
{
	*out = (struct lk_certs){0};
	if (rsp->status != 200)
		return imds_error(rsp, e);
	enum lk_code c = rsp->json ? lk_imds_certs_json(rsp->body, pem, out, e)
				   : lk_fail(e, LK_EPROTO, "the answer is not JSON");
	return c == LK_OK ? c : lk_err_prefix(e, "metadata service");
}

/* ---- identity tokens */

const char *lk_imds_resource(const char *vault_host)
{
	static const char *const resources[] = {
	    "https://vault.azure.net",
	    "https://managedhsm.azure.net",
	    "https://vault.azure.cn",
	    "https://managedhsm.azure.cn",
	    "https://vault.usgovcloudapi.net",
	    "https://managedhsm.usgovcloudapi.net",
	};

	for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++)
		if (lk_url_under(vault_host, resources[i] + sizeof("https://") - 1))
			return resources[i];
	return NULL;
}

void lk_imds_token_target(
    const char *resource, enum lk_identity kind, const char *id, struct lk_buf *out)
{
	static const char *const names[] = {
	    [LK_ID_SYSTEM] = NULL,
	    [LK_ID_CLIENT] = "&client_id=",
	    [LK_ID_OBJECT] = "&object_id=",
	    [LK_ID_RESOURCE] = "&msi_res_id=",
	};

	lk_buf_str(out, "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=");
	lk_url_escape(lk_slice_str(resource), out);
	if (kind == LK_ID_SYSTEM)
		return;
	lk_buf_str(out, names[kind]);
	lk_url_escape(lk_slice_str(id), out);
}

enum lk_code lk_imds_token_parse(
    const struct lk_http_rsp *rsp, struct lk_buf *token, struct lk_err *e)
{
	struct lk_slice type, access;
	struct lk_json j;

	if (rsp->status != 200)
		return imds_error(rsp, e);
	enum lk_code c = lk_azure_json(rsp, "metadata service", toks, TOKENS, &j, e);
	if (c != LK_OK)
		return c;
	c = lk_json_str(&j, "token_type", &type, e);
	if (c == LK_OK)
		c = lk_json_str(&j, "access_token", &access, e);
	if (c == LK_EABSENT)
		e->code = LK_EPROTO;
	if (c != LK_OK)
		return lk_err_prefix(e, "metadata service");
	if (!lk_slice_ieq_str(type, "Bearer"))
		return lk_fail(e, LK_EPROTO, "metadata service: token_type is not Bearer");
	if (access.n > LK_BEARER_MAX)
		return lk_fail(
		    e, LK_ELIMIT, "metadata service: access_token of %zu bytes", access.n);
	if (access.n == 0)
		return lk_fail(e, LK_EPROTO, "metadata service: access_token is empty");
	for (size_t i = 0; i < access.n; i++)
		if (access.p[i] <= 0x20 || access.p[i] >= 0x7f)
			return lk_fail(e, LK_EPROTO, "metadata service: malformed access_token");
	lk_buf_slice(token, access);
	return token->bad ? lk_fail(e, LK_ELIMIT, "metadata service: access_token does not fit")
			  : LK_OK;
}
