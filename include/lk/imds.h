/* lk/imds.h - the instance metadata service: platform certificates and the managed identity's
 * token.
 *
 * Builders append a request target; parsers read a response body. Answers are untrusted: limited,
 * typed, and checked again by the keeper. Source: protocol notes, THIM (2.1) and managed identity
 * (6.1).
 */
#ifndef LK_IMDS_H
#define LK_IMDS_H

#include "lk/http.h"
#include "lk/json.h"

#define LK_IMDS_HOST     "169.254.169.254"
#define LK_BEARER_MAX    8192
#define LK_CHAIN_PEM_MAX 16384

struct lk_certs {
	struct lk_slice pem; /* VCEK, then ASK and ARK */
	uint64_t tcbm;       /* the TCB that the VCEK is for, laid out as in a report */
	bool has_tcbm;
};

enum lk_identity { LK_ID_SYSTEM, LK_ID_CLIENT, LK_ID_OBJECT, LK_ID_RESOURCE };

void lk_imds_certs_target(struct lk_buf *out);
/* vcekCert and certificateChain joined into `pem` (a newline between where missing); member names
 * in any case. The second form is for the same document from elsewhere. */
LK_CHECK enum lk_code lk_imds_certs_parse(
    const struct lk_http_rsp *rsp, struct lk_buf *pem, struct lk_certs *out, struct lk_err *e);
LK_CHECK enum lk_code lk_imds_certs_json(
    struct lk_slice json, struct lk_buf *pem, struct lk_certs *out, struct lk_err *e);

/* The audience for a vault host, by suffix (vault.azure.net, managedhsm.azure.net, and the
 * sovereign clouds'), or NULL. */
const char *lk_imds_resource(const char *vault_host);
void lk_imds_token_target(
    const char *resource, enum lk_identity kind, const char *id, struct lk_buf *out);
/* access_token: printable ASCII without spaces, at most LK_BEARER_MAX, into `token`. token_type
 * must be Bearer. */
LK_CHECK enum lk_code lk_imds_token_parse(
    const struct lk_http_rsp *rsp, struct lk_buf *token, struct lk_err *e);

#endif
