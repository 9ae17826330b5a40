/* Several bindings in one NAME.conf: what each of them is, and what is refused. */
#include "t.h"

#include <unistd.h>

#include "lk/fmt.h"
#include "lk/io.h"
#include "opts_table.h"

#define A      "https://a.vault.azure.net/keys/k"
#define B      "https://b.managedhsm.azure.net/keys/k"
#define C      "https://c.vault.azure.net/keys/k/0123456789abcdef0123456789abcdef"
#define MA     "https://m.weu.attest.azure.net"
#define MB     "https://m.neu.attest.azure.net"
#define THUMB  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"
#define THUMB2 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopq"
#define DIGEST "00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210"

#define TOP "uuid = 6a3b5f3e-1111-2222-3333-444455556666\nkey = " A "\nattest = " MA "\n"
#define ALT "[alternative]\nkey = " B "\nattest = " MB "\n"

static struct lk_args a, before;
static struct lk_err e;

static enum lk_code argv_of(int n, const char *one, const char *two)
{
	char *argv[2];

	memcpy(&argv[0], &one, sizeof(one));
	memcpy(&argv[1], &two, sizeof(two));
	lk_opts_defaults(&a);
	return lk_opts_argv(n, argv, &a, &e);
}

/* A binding of the text, with what `a` has as the command line. */
static enum lk_code more_of(const char *text, size_t binding)
{
	memset(&e, 0, sizeof(e));
	return lk_opts_text_binding(lk_slice_str(text), "x.conf", binding, &a, &e);
}

static enum lk_code binding_of(const char *text, size_t binding)
{
	lk_opts_defaults(&a);
	return more_of(text, binding);
}

T(one_binding_without_a_section)
{
	EQ_CODE(LK_OK, binding_of(TOP, 0));
	EQ_U(a.bindings, 1);
	EQ_CODE(LK_OK, binding_of("", 0));
	EQ_U(a.bindings, 1);
	EQ_CODE(LK_ECONF, binding_of(TOP, 1));
	EQ_S(e.msg, "x.conf: binding 2 is asked for, the file has 1");
}

T(each_binding_has_its_own)
{
	static const char text[] =
	    TOP "thumbprint = " THUMB "\nkind = compat\nwrapped = " DIGEST
		"\nidentity = client:one\nenc = CKM_RSA_AES_KEY_WRAP\napi-version = 7.6\n"
		"attest-api-version = 2025-06-01\ntimeout = 99\n" ALT
		" [alternative]\t\r\n# a remark\nkey = " C "\nattest = " MA "\nthumbprint = " THUMB2
		"\nkind = wrapped\nwrapped = " DIGEST "\nidentity = system\n"
		"enc = RSA_AES_KEY_WRAP_384\napi-version = 7.5\nattest-api-version = 2022-08-01";

	EQ_CODE(LK_OK, binding_of(text, 0));
	EQ_U(a.bindings, 3);
	EQ_S(a.conf.key, A);
	EQ_S(a.conf.thumbprint, THUMB);
	EQ_U(a.conf.kind, LK_COMPAT);
	EQ_S(a.conf.identity_id, "one");

	EQ_CODE(LK_OK, binding_of(text, 1));
	EQ_U(a.bindings, 3);
	EQ_S(a.conf.key, B);
	EQ_S(a.conf.attest, MB);
	EQ_S(a.conf.thumbprint, "");
	EQ_U(a.conf.kind, LK_DERIVED);
	EQ_S(a.conf.wrapped, "");
	EQ_U(a.conf.identity, LK_ID_CLIENT);
	EQ_S(a.conf.identity_id, "one");
	EQ_U(a.conf.enc, LK_ENC_SHA1);
	EQ_S(a.conf.api_version, "7.6");
	EQ_S(a.conf.attest_api_version, "2025-06-01");
	EQ_U(a.conf.timeout_s, 99);
	EQ_S(a.conf.uuid, "6a3b5f3e-1111-2222-3333-444455556666");

	EQ_CODE(LK_OK, binding_of(text, 2));
	EQ_S(a.conf.key, C);
	EQ_S(a.conf.attest, MA);
	EQ_S(a.conf.thumbprint, THUMB2);
	EQ_U(a.conf.kind, LK_WRAPPED);
	EQ_S(a.conf.wrapped, DIGEST);
	EQ_U(a.conf.identity, LK_ID_SYSTEM);
	EQ_S(a.conf.identity_id, "");
	EQ_U(a.conf.enc, LK_ENC_SHA384);
	EQ_S(a.conf.api_version, "7.5");
	EQ_S(a.conf.attest_api_version, "2022-08-01");
	EQ_U(a.conf.timeout_s, 99);
	EQ_CODE(LK_ECONF, binding_of(text, 3));
}

T(the_table_says_what_a_section_may_hold)
{
	static const char *const may[] = {"key", "attest", "thumbprint", "kind", "wrapped",
	    "identity", "enc", "api-version", "attest-api-version"};
	size_t found = 0;

	for (size_t i = 0; i < lk_opt_count; i++) {
		const struct lk_opt *o = &lk_opt_table[i];
		bool want = false;

		for (size_t j = 0; j < sizeof(may) / sizeof(may[0]); j++)
			want = want || strcmp(o->name, may[j]) == 0;
		if (want != ((o->flags & LK_OPT_ALT) != 0))
			T_FAIL("%s", o->name);
		OK((o->flags & LK_OPT_ALT) == 0 || (o->flags & LK_OPT_FILE) != 0);
		found += want;
	}
	EQ_U(found, sizeof(may) / sizeof(may[0]));
}

/* Whichever binding is asked for, the whole file is looked at. */
T(refusals_name_the_line)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
	    {TOP ALT "uuid = 6a3b5f3e-1111-2222-3333-444455556666\n",
		"line 7: uuid is the volume's: it belongs before the first [alternative]"},
	    {TOP ALT "timeout = 5\n", "line 7: timeout is the volume's"},
	    {TOP ALT "trust = /x\n", "line 7: trust is the volume's"},
	    {TOP ALT "evidence = vtpm\n", "line 7: evidence is the volume's"},
	    {TOP ALT "socket = yes\n", "line 7: unknown setting"},
	    {TOP ALT "nosuch = yes\n", "line 7: unknown setting"},
	    {TOP ALT "key = " C "\n", "line 7: key is set twice"},
	    {TOP ALT "kind = raw\n\nkind = raw\n", "line 9: kind is set twice"},
	    {TOP ALT "enc = x\n", "line 7: enc: must be"},
	    {TOP ALT "kind\n", "line 7: not of the form"},
	    {TOP "key = " C "\n" ALT, "line 4: key is set twice"},
	    {TOP "[other]\n", "line 4: unknown section"},
	    {TOP "[]\n", "line 4: unknown section"},
	    {TOP "[alternative\n", "line 4: unknown section"},
	    {TOP "[Alternative]\n", "line 4: unknown section"},
	    {TOP "[alternative] # two\n", "line 4: unknown section"},
	    {TOP "[alternative]\n", "line 4: this [alternative] sets no key"},
	    {TOP "\n[alternative]\nkey = " B "\n\n", "line 5: this [alternative] sets no attest"},
	    {TOP "[alternative]\nattest = " MB "\n" ALT, "line 4: this [alternative] sets no key"},
	    {"attest = " MA "\n" ALT, "line 2: key is not set before the first [alternative]"},
	    {"key = " A "\n\n" ALT, "line 3: attest is not set before the first [alternative]"},
	    {TOP ALT ALT ALT ALT ALT ALT ALT ALT, "line 25: more than 8 bindings"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for (size_t binding = 0; binding < 3; binding++) {
			EQ_CODE(LK_ECONF, binding_of(bad[i].text, binding));
			if (strstr(e.msg, bad[i].says) == NULL)
				T_FAIL("\"%s\" does not say \"%s\"", e.msg, bad[i].says);
			OK(e.hint[0] != '\0');
			EQ_I(lk_err_exit(&e), 78);
		}
	EQ_CODE(LK_OK, binding_of(TOP ALT ALT ALT ALT ALT ALT ALT, 7));
	EQ_U(a.bindings, LK_BINDINGS_MAX);
}

T(hosts_are_azures_or_allowed)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
	    {"key = https://k.example/keys/k\n", "line 1: key: k.example is no key vault"},
	    {"key = https://vault.azure.net/keys/k\n", "line 1: key: vault.azure.net is no key"},
	    {"\nattest = https://m.example\n", "line 2: attest: m.example is no attestation"},
	    {"attest = https://m.example\nkey = https://k.example/keys/k\n\n", "line 2: key: k."},
	    {TOP "[alternative]\nkey = https://k.example/keys/k\nattest = " MB "\n",
		"line 5: key: k.example"},
	    {TOP "[alternative]\nkey = " B "\nattest = https://m.example\n" ALT,
		"line 6: attest: m.example"},
	    {TOP "allow-hosts = a.example\n" ALT "[alternative]\nkey = " B
		 "\nattest = https://m.example\n",
		"line 10: attest: m.example"},
	    {"key = https://m.example.net/keys/k\nattest = " MA "\n" ALT, "line 1: key: m."},
	    {TOP "[alternative]\nkey = " B "\nattest = " MB "\nallow-hosts = a.example\n",
		"line 7: allow-hosts is the volume's"},
	};
	static const char good[] =
	    "key = https://k.Example/keys/k\nattest = https://M.corp.example\n"
	    "allow-hosts = .corp.example,k.example\n[alternative]\nattest = https://k.example\n"
	    "key = https://x.y.corp.example/keys/k\n";

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for (size_t binding = 0; binding < 3; binding++) {
			EQ_CODE(LK_ECONF, binding_of(bad[i].text, binding));
			if (strstr(e.msg, bad[i].says) == NULL)
				T_FAIL("\"%s\" does not say \"%s\"", e.msg, bad[i].says);
		}
	EQ_CODE(LK_ECONF, binding_of(bad[0].text, 0));
	OK(strstr(e.msg, "not in allow-hosts") != NULL);
	EQ_S(e.hint, "if this host is meant, set allow-hosts = k.example");
	EQ_CODE(LK_OK, binding_of(good, 0));
	EQ_CODE(LK_OK, binding_of(good, 1));
	EQ_S(a.conf.attest, "https://k.example");
	/* The command line's list is in the place of the file's; its hosts are its own affair. */
	EQ_CODE(LK_OK, argv_of(2, "--allow-hosts", "m.example"));
	EQ_CODE(LK_OK, more_of("attest = https://m.example\n", 0));
	EQ_CODE(LK_OK, argv_of(2, "--allow-hosts", "m.example"));
	EQ_CODE(LK_ECONF, more_of(good, 0));
	EQ_CODE(LK_OK, argv_of(2, "--key", "https://k.example/keys/k"));
	EQ_CODE(LK_OK, more_of(TOP, 0));
}

T(a_key_or_authority_of_the_command_line_stands_alone)
{
	EQ_CODE(LK_OK, argv_of(2, "--key", C));
	before = a;
	EQ_CODE(LK_OK, more_of(TOP "thumbprint = " THUMB "\n" ALT, 0));
	EQ_U(a.bindings, 1);
	EQ_S(a.conf.key, C);
	EQ_S(a.conf.attest, MA);
	a = before;
	EQ_CODE(LK_ECONF, more_of(TOP ALT, 1));
	EQ_CODE(LK_OK, argv_of(2, "--attest", MB));
	EQ_CODE(LK_OK, more_of(TOP ALT, 0));
	EQ_U(a.bindings, 1);
	EQ_S(a.conf.attest, MB);
	/* The file is checked all the same, what the command line has in its place included. */
	EQ_CODE(LK_OK, argv_of(2, "--key", C));
	EQ_CODE(LK_ECONF, more_of(TOP ALT "nosuch = 1\n", 0));
	EQ_CODE(LK_OK, argv_of(2, "--key", C));
	EQ_CODE(LK_ECONF, more_of("key = wrong\n", 0));
	EQ_S(a.conf.key, C);
}

T(other_words_of_the_command_line_hold_for_every_binding)
{
	EQ_CODE(LK_OK, argv_of(2, "--thumbprint", THUMB));
	EQ_CODE(LK_OK, more_of(TOP ALT "thumbprint = " THUMB2 "\nidentity = object:x\n", 1));
	EQ_U(a.bindings, 2);
	EQ_S(a.conf.key, B);
	EQ_S(a.conf.thumbprint, THUMB);
	EQ_S(a.conf.identity_id, "x");
	EQ_CODE(LK_OK, argv_of(2, "--identity", "client:me"));
	EQ_CODE(LK_OK, more_of(TOP ALT "identity = object:x\n", 1));
	EQ_U(a.conf.identity, LK_ID_CLIENT);
	EQ_S(a.conf.identity_id, "me");
}

T(the_digest_is_the_whole_files)
{
	char dir[] = "/tmp/latchkey-alt.XXXXXX", path[64], first[65];
	char *argv[2];
	char option[] = "--conf-dir";

	NEED(mkdtemp(dir) != NULL);
	lk_fmt(path, sizeof(path), "%s/root.conf", dir);
	NEED(lk_file_replace(path, LK_S(TOP ALT), 0600, &e) == LK_OK);
	argv[0] = option;
	argv[1] = dir;
	lk_opts_defaults(&a);
	EQ_CODE(LK_OK, lk_opts_argv(2, argv, &a, &e));
	before = a;
	EQ_CODE(LK_OK, lk_opts_volume("root", &a, &e));
	EQ_U(a.bindings, 2);
	EQ_S(a.conf.key, A);
	EQ_U(strlen(a.conf.digest), 64);
	memcpy(first, a.conf.digest, sizeof(first));
	a = before;
	EQ_CODE(LK_OK, lk_opts_binding("root", 1, &a, &e));
	EQ_S(a.conf.key, B);
	EQ_S(a.conf.name, "root");
	EQ_S(a.conf.digest, first);
	/* It was two when it was read first. */
	NEED(lk_file_replace(path, LK_S(TOP), 0600, &e) == LK_OK);
	a = before;
	EQ_CODE(LK_ECONF, lk_opts_binding("root", 1, &a, &e));
	a = before;
	EQ_CODE(LK_OK, lk_opts_volume("root", &a, &e));
	OK(strcmp(a.conf.digest, first) != 0);
	(void)unlink(path);
	(void)rmdir(dir);
}

/* Eight bindings with every setting at its longest, and a page of remarks. */
T(eight_long_bindings_fit)
{
	static uint8_t store[LK_CONF_FILE_MAX];
	struct lk_buf text = LK_BUF(store);
	char label[64];

	memset(label, 'a', 63);
	label[63] = '\0';
	lk_buf_str(&text, "uuid = 6a3b5f3e-1111-2222-3333-444455556666\n");
	for (unsigned i = 0; i < LK_BINDINGS_MAX; i++) {
		if (i > 0)
			lk_buf_str(&text, "\n[alternative]\n");
		lk_buf_fmt(&text, "key = https://%s.%s.%s.vault.azure.net/keys/%s%s", label, label,
		    label, label, label);
		lk_buf_str(&text, "/0123456789abcdef0123456789abcdef\nattest = https://");
		lk_buf_fmt(&text, "%s.%s.%s.attest.azure.net\n", label, label, label);
		lk_buf_str(&text, "thumbprint = " THUMB "\nkind = wrapped\nwrapped = " DIGEST
				  "\nenc = RSA_AES_KEY_WRAP_256\napi-version = 7.6-preview.1\n");
		lk_buf_fmt(&text, "identity = resource:/%s/%s/%s/%s\n", label, label, label, label);
		lk_buf_str(&text, "attest-api-version = 2025-06-01-preview\n");
	}
	OK(!text.bad);
	if (text.n + 4096 > sizeof(store))
		T_FAIL("%zu bytes leave no page for remarks", text.n);
	lk_buf_byte(&text, 0);
	EQ_CODE(LK_OK, binding_of((const char *)store, 7));
	EQ_U(a.bindings, LK_BINDINGS_MAX);
}
