/* Hosts that may be asked, and what a bearer token for them is for. */
#include "t.h"

#include "lk/hosts.h"

static struct lk_conf conf;
static struct lk_err e;

static bool may(enum lk_host_of of, const char *list, const char *host)
{
	memset(&e, 0, sizeof(e));
	memset(&conf, 0, sizeof(conf));
	strcpy(conf.allow_hosts, list);
	enum lk_code rc = lk_host_check(&conf, of, host, &e);
	if (rc != LK_OK) {
		EQ_U(rc, LK_ECONF);
		OK(strstr(e.msg, host) != NULL && strstr(e.msg, "allow-hosts") != NULL);
		OK(strstr(e.hint, "allow-hosts = ") != NULL && strstr(e.hint, host) != NULL);
	}
	return rc == LK_OK;
}

static bool key(const char *list, const char *host)
{
	return may(LK_HOST_OF_KEY, list, host);
}

static bool attest(const char *list, const char *host)
{
	return may(LK_HOST_OF_ATTEST, list, host);
}

T(the_clouds_own)
{
	static const char *const vaults[] = {"a.vault.azure.net", "a.managedhsm.azure.net",
	    "a.vault.azure.cn", "a.managedhsm.azure.cn", "a.vault.usgovcloudapi.net",
	    "a.managedhsm.usgovcloudapi.net"};
	static const char *const authorities[] = {"a.attest.azure.net", "a.weu.attest.azure.net",
	    "a.attest.azure.us", "a.attest.azure.cn"};
	static const char *const neither[] = {"vault.azure.net", "attest.azure.net",
	    "xvault.azure.net", "xattest.azure.net", "a.vault.azure.net.evil.example",
	    "a.attest.azure.net.evil.example", "a.vault.azure.us", "a.attest.azure.com",
	    "vault.azure.net.evil.example", "evil.example", "a.azure.net", "localhost"};

	for (size_t i = 0; i < sizeof(vaults) / sizeof(vaults[0]); i++)
		if (!key("", vaults[i]) || attest("", vaults[i]))
			T_FAIL("%s", vaults[i]);
	for (size_t i = 0; i < sizeof(authorities) / sizeof(authorities[0]); i++)
		if (key("", authorities[i]) || !attest("", authorities[i]))
			T_FAIL("%s", authorities[i]);
	for (size_t i = 0; i < sizeof(neither) / sizeof(neither[0]); i++)
		if (key("", neither[i]) || attest("", neither[i]))
			T_FAIL("%s", neither[i]);
}

T(what_the_configuration_adds)
{
	OK(key("k.example", "k.example"));
	OK(attest("k.example", "k.example"));
	OK(!key("k.example", "a.k.example"));
	OK(!key("k.example", "kk.example"));
	OK(!key("k.example", "k.example.net"));
	OK(!key("k.example", "example"));
	OK(key(".corp.example", "a.corp.example"));
	OK(key(".corp.example", "a.b.corp.example"));
	OK(!key(".corp.example", "corp.example"));
	OK(!key(".corp.example", "acorp.example"));
	OK(!key(".corp.example", "a.corp.example.evil"));
	OK(key("a.example,.b.example,c.example", "a.example"));
	OK(key("a.example,.b.example,c.example", "x.b.example"));
	OK(key("a.example,.b.example,c.example", "c.example"));
	OK(!key("a.example,.b.example,c.example", "b.example"));
	OK(!key("a.example,.b.example,c.example", "x.c.example"));
	OK(key("k.example", "a.vault.azure.net")); /* beside Azure's, not instead */
	OK(!key("", ""));
}

T(of_an_url)
{
	memset(&conf, 0, sizeof(conf));
	memset(&e, 0, sizeof(e));
	EQ_CODE(LK_OK,
	    lk_host_check_url(&conf, LK_HOST_OF_KEY, "https://A.Vault.azure.net:443/keys/k", &e));
	EQ_CODE(LK_OK,
	    lk_host_check_url(&conf, LK_HOST_OF_ATTEST, "https://a.weu.attest.azure.net", &e));
	EQ_CODE(LK_ECONF, lk_host_check_url(&conf, LK_HOST_OF_KEY, "https://k.example/keys/k", &e));
	EQ_S(e.msg,
	    "key: k.example is no key vault or managed HSM of Azure's, and not in allow-hosts");
	EQ_CODE(LK_ECONF, lk_host_check_url(&conf, LK_HOST_OF_KEY, "http://a.vault.azure.net", &e));
	EQ_CODE(LK_ECONF, lk_host_check_url(&conf, LK_HOST_OF_KEY, "", &e));
}

T(audience)
{
	static const struct {
		const char *host, *want;
	} rows[] = {
	    {"a.vault.azure.net", "https://vault.azure.net"},
	    {"a.managedhsm.azure.net", "https://managedhsm.azure.net"},
	    {"a.vault.usgovcloudapi.net", "https://vault.usgovcloudapi.net"},
	    {"a.vault.cloud.example", "https://vault.cloud.example"},
	    {"a.managedhsm.cloud.example", "https://managedhsm.cloud.example"},
	    {"keys.corp.example", "https://vault.azure.net"},
	    {"vault.corp.example", "https://vault.azure.net"},
	    {"a.b.vault.corp.example", "https://vault.azure.net"},
	    {"a.vaults.example", "https://vault.azure.net"},
	    {"example", "https://vault.azure.net"},
	};
	char longest[LK_HOST_MAX], out[LK_AUDIENCE_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		lk_host_audience(rows[i].host, out);
		EQ_S(out, rows[i].want);
	}
	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "a.vault.", 8);
	longest[sizeof(longest) - 1] = '\0';
	lk_host_audience(longest, out);
	EQ_U(strlen(out), strlen(longest) - 2 + 8);
}
