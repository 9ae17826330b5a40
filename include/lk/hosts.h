/* lk/hosts.h - which hosts a key or an attestation may be asked of: names in Azure's own domains,
 * those of the sovereign clouds, and what the configuration adds (allow-hosts). Who may write to
 * the disk could otherwise name a host of his own.
 *
 * Sources: protocol notes, authentication challenge (4.5), for the domains of vaults and for the
 * rule that a token's audience is the domain that the asked host is below.
 */
#ifndef LK_HOSTS_H
#define LK_HOSTS_H

#include "lk/conf.h"

enum lk_host_of { LK_HOST_OF_KEY, LK_HOST_OF_ATTEST };

/* LK_ECONF names the host and the setting that would add it. `host` is in lower case. */
LK_CHECK enum lk_code lk_host_check(
    const struct lk_conf *conf, enum lk_host_of of, const char *host, struct lk_err *e);
/* The same for the host of an URL. */
LK_CHECK enum lk_code lk_host_check_url(
    const struct lk_conf *conf, enum lk_host_of of, const char *url, struct lk_err *e);

/* What a bearer token for this vault host is for. Azure's own: lk_imds_resource(). Else, a cloud
 * that calls its domain as Azure does (NAME.vault.CLOUD, NAME.managedhsm.CLOUD): that domain; any
 * other name is taken for another name of a vault in Azure. */
#define LK_AUDIENCE_MAX (LK_HOST_MAX + 8)
void lk_host_audience(const char *host, char out[static LK_AUDIENCE_MAX]);

#endif
