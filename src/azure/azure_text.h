/* azure_text.h - texts in the services' answers: found, cut short, made printable. */
#ifndef LK_AZURE_TEXT_H
#define LK_AZURE_TEXT_H

#include "lk/http.h"
#include "lk/json.h"

#define LK_AZURE_WAIT_MAX 60 /* seconds: a longer Retry-After would eat the run's deadline */

/* The raw string at `path`, or nothing if there is none. For messages only. */
struct lk_slice lk_azure_text(const struct lk_json *j, const char *path);
/* Does `text` hold `part`, ASCII case folded? */
bool lk_azure_has(struct lk_slice text, const char *part);
/* Is this a status that another try may change? */
bool lk_azure_status_again(unsigned status);
/* Fill in what every refused exchange has in common: status, retry, wait. Returns e->code. */
enum lk_code lk_azure_set(
    const struct lk_http_rsp *rsp, bool retry, uint32_t at_least_s, struct lk_err *e);
/* A 200 with JSON, parsed; anything else is LK_EPROTO. `what` begins the message. */
LK_CHECK enum lk_code lk_azure_json(const struct lk_http_rsp *rsp, const char *what,
    struct lk_json_tok *toks, size_t cap, struct lk_json *out, struct lk_err *e);
/* The string at `path` as base64url or (std) padded base64, decoded into `store`; *out is where it
 * lies. A JSON writer may have escaped "/" or "+". */
LK_CHECK enum lk_code lk_azure_bytes(const struct lk_json *j, const char *path, bool std,
    struct lk_buf *store, struct lk_slice *out, struct lk_err *e);

#endif
