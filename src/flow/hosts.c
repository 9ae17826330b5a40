/* Which hosts may be asked; the contract is in lk/hosts.h. */
#include "lk/hosts.h"

#include <string.h>

#include "lk/fmt.h"

static bool is_authority(const char *host)
{
	return lk_url_under(host, "attest.azure.net") || lk_url_under(host, "attest.azure.us") ||
	       lk_url_under(host, "attest.azure.cn");
}

/* NAME,.SUFFIX,... */
static bool is_listed(const char *list, const char *host)
{
	struct lk_slice rest = lk_slice_str(list), name = lk_slice_str(host);

	while (rest.n > 0) {
		size_t end = rest.n;

		(void)lk_slice_find(rest, ',', &end);
		const struct lk_slice one = lk_slice_sub(rest, 0, end);

		if (lk_slice_eq(name, one) ||
		    (one.n > 1 && one.p[0] == '.' && name.n > one.n && lk_slice_ends(name, one)))
			return true;
		rest = lk_slice_sub(rest, end + 1, rest.n);
	}
	return false;
}

enum lk_code lk_host_check(
    const struct lk_conf *conf, enum lk_host_of of, const char *host, struct lk_err *e)
{
	if (of == LK_HOST_OF_KEY ? lk_imds_resource(host) != NULL : is_authority(host))
		return LK_OK;
	if (is_listed(conf->allow_hosts, host))
		return LK_OK;
	(void)lk_fail(e, LK_ECONF, "%s: %.150s is %s of Azure's, and not in allow-hosts",
	    of == LK_HOST_OF_KEY ? "key" : "attest", host,
	    of == LK_HOST_OF_KEY ? "no key vault or managed HSM" : "no attestation provider");
	return lk_hint(e, "if this host is meant, set allow-hosts = %.253s", host);
}

enum lk_code lk_host_check_url(
    const struct lk_conf *conf, enum lk_host_of of, const char *url, struct lk_err *e)
{
	struct lk_url u;

	if (lk_url_parse(lk_slice_str(url), &u, e) != LK_OK)
		return e->code = LK_ECONF;
	return lk_host_check(conf, of, u.host, e);
}

void lk_host_audience(const char *host, char out[static LK_AUDIENCE_MAX])
{
	const char *known = lk_imds_resource(host), *domain = strchr(host, '.');
	const struct lk_slice d = lk_slice_str(domain != NULL ? domain : "");

	if (known == NULL &&
	    (lk_slice_starts(d, LK_S(".vault.")) || lk_slice_starts(d, LK_S(".managedhsm."))))
		(void)lk_fmt(out, LK_AUDIENCE_MAX, "https://%s", domain + 1);
	else
		(void)lk_fmt(
		    out, LK_AUDIENCE_MAX, "%s", known != NULL ? known : "https://vault.azure.net");
}
