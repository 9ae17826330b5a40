/* lk/url.h - the URLs we accept: https://HOST[:PORT][/PATH], nothing else.
 *
 * Refused: other schemes, user info, fragments, queries, IP addresses in any spelling, labels that
 * are not 1 to 63 letters, digits and hyphens, control bytes, percent signs anywhere, hosts over
 * 253 bytes, ports with leading zeros, empty, "." and ".." path segments (a slash at the end is
 * fine). The host is lower-cased and loses one trailing dot; without a port it is 443. LK_EPROTO,
 * or LK_ELIMIT for a path over LK_PATH_MAX - 1 bytes.
 */
#ifndef LK_URL_H
#define LK_URL_H

#include "lk/slice.h"

#define LK_HOST_MAX 254
#define LK_PATH_MAX 512

struct lk_url {
	char host[LK_HOST_MAX];
	uint16_t port;
	char path[LK_PATH_MAX];
}; /* path starts with '/', or is "" */

LK_CHECK enum lk_code lk_url_parse(struct lk_slice text, struct lk_url *out, struct lk_err *e);
/* Is `host` one of ours below `suffix` ("vault.azure.net"): "x.vault.azure.net" yes,
 * "vault.azure.net" and "xvault.azure.net" no. */
bool lk_url_under(const char *host, const char *suffix);
/* Append percent-encoded (RFC 3986 unreserved stay). */
void lk_url_escape(struct lk_slice in, struct lk_buf *out);

/* A key URL: https://HOST/keys/NAME[/VERSION]. Names: [0-9A-Za-z-]{1,127}; version: [0-9a-f]{32}.
 */
struct lk_key_url {
	struct lk_url url;
	char name[128];
	char version[33];
}; /* version "" = current */
LK_CHECK enum lk_code lk_key_url_parse(
    struct lk_slice text, struct lk_key_url *out, struct lk_err *e);

#endif
