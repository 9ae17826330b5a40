/* Settings: the command line, the files, and that both mean the same. */
#include "t.h"

#include <stdarg.h>

#include "app.h"
#include "lk/fmt.h"
#include "opts_table.h"

#define DIGEST "00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210"

static struct lk_args a;
static struct lk_err e;

static enum lk_code argv_of(int n, ...)
{
	char *argv[12];
	va_list ap;

	va_start(ap, n);
	for (int i = 0; i < n; i++)
		argv[i] = va_arg(ap, char *);
	va_end(ap);
	lk_opts_defaults(&a);
	return lk_opts_argv(n, argv, &a, &e);
}

static enum lk_code file_of(const char *text)
{
	lk_opts_defaults(&a);
	return lk_opts_text(lk_slice_str(text), "x.conf", &a, &e);
}

T(defaults)
{
	lk_opts_defaults(&a);
	EQ_S(a.conf.tpm, "/dev/tpmrm0");
	EQ_S(a.conf.api_version, "7.4");
	EQ_S(a.flags.conf_dir, "/etc/latchkey");
	EQ_U(a.conf.timeout_s, 120);
	EQ_U(a.conf.enc, LK_ENC_SHA256);
	OK(a.conf.kmsg);
	EQ_U(a.conf.kind, LK_DERIVED);
	EQ_S(a.conf.wrapped, "");
}

T(kinds_and_the_digest_of_a_wrapped_secret)
{
	EQ_CODE(LK_OK, argv_of(2, "--kind", "raw"));
	EQ_U(a.conf.kind, LK_RAW);
	EQ_CODE(LK_OK, file_of("kind = compat\n"));
	EQ_U(a.conf.kind, LK_COMPAT);
	EQ_CODE(LK_OK, file_of("kind = wrapped\nwrapped = " DIGEST "\n"));
	EQ_U(a.conf.kind, LK_WRAPPED);
	EQ_S(a.conf.wrapped, DIGEST);
	EQ_CODE(LK_OK, argv_of(2, "--wrapped",
			   "00112233445566778899AABBCCDDEEFF0123456789ABCDEFFEDCBA9876543210"));
	EQ_S(a.conf.wrapped, DIGEST);
	EQ_CODE(LK_ECONF, file_of("kind = RAW\n"));
	EQ_S(e.msg, "x.conf, line 1: kind: must be derived, raw, compat or wrapped");
}

T(command_line_forms)
{
	EQ_CODE(LK_OK, argv_of(5, "--timeout", "30", "--api-version=7.6", "root", "--quiet"));
	EQ_U(a.conf.timeout_s, 30);
	EQ_S(a.conf.api_version, "7.6");
	EQ_U(a.words, 1);
	EQ_S(a.word[0], "root");
	OK(a.flags.quiet);
	EQ_CODE(LK_OK, argv_of(3, "--", "--timeout", "-v"));
	EQ_U(a.words, 2);
}

T(command_line_refusals)
{
	static const char *const bad[][2] = {{"--nosuch", "x"}, {"--timeout", "4"},
	    {"--timeout", "3601"}, {"--timeout", "+5"}, {"--timeout", "5s"}, {"--timeout", ""},
	    {"--fd", "1024"}, {"--fd", "-1"}, {"--enc", "RSA1_5"},
	    {"--enc", "rsa_aes_key_wrap_256"}, {"--kmsg", "maybe"}, {"--uuid", "1234"},
	    {"--uuid", "6A3B5F3E-1111-2222-3333-444455556666"},
	    {"--key", "http://v.vault.azure.net/keys/k"}, {"--allow-hosts", ""},
	    {"--allow-hosts", "a.example,"}, {"--allow-hosts", ",a.example"},
	    {"--allow-hosts", "a.example, b.example"}, {"--allow-hosts", "*.example"},
	    {"--allow-hosts", "."}, {"--allow-hosts", "..example"}, {"--allow-hosts", "10.0.0.1"},
	    {"--allow-hosts", "a.example:444"}, {"--allow-hosts", "a.example/"},
	    {"--allow-hosts", "https://a.example"}, {"--allow-hosts", "a..example"},
	    {"--key", "https://v.vault.azure.net/secrets/k"},
	    {"--attest", "https://m.weu.attest.azure.net/x"},
	    {"--attest", "https://m.attest.azure.net:8443"}, {"--attest", "m.weu.attest.azure.net"},
	    {"--thumbprint", "short"}, {"--identity", "client"}, {"--identity", "client:"},
	    {"--identity", "x:y"}, {"--trust", "relative.pem"}, {"--tpm", "/dev/tpm rm0"},
	    {"--evidence", "tpm"}, {"--evidence", "AUTO"}, {"--vmpl", "4"}, {"--vmpl", "-1"},
	    {"--wrap-bits", "1024"}, {"--wrap-bits", "2049"}, {"--kds", "true"},
	    {"--snp-path", "tsm"}, {"--init-data", ""}, {"--attest-api-version", "2022 08"},
	    {"--kind", "Raw"}, {"--kind", ""}, {"--kind", "other"}, {"--wrapped", ""},
	    {"--wrapped", DIGEST "0"}, {"--wrapped", DIGEST "00"}, {"--wrapped", "g" DIGEST},
	    {"--wrapped", "abcd"}, {"--name", "../etc"}, {"--name", ".hidden"}, {"--slot", "32"}};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e = (struct lk_err){0};
		if (argv_of(2, bad[i][0], bad[i][1]) != LK_EUSAGE)
			T_FAIL("%s %s was taken", bad[i][0], bad[i][1]);
		else if (e.msg[0] == '\0' || lk_err_exit(&e) != 64)
			T_FAIL("%s %s: no message, or not 64", bad[i][0], bad[i][1]);
	}
	EQ_CODE(LK_EUSAGE, argv_of(1, "--timeout"));
	EQ_CODE(LK_EUSAGE, argv_of(1, "--socket=yes"));
	EQ_CODE(LK_EUSAGE, argv_of(1, "-x"));
}

static struct {
	char text[8];
	bool flag;
} own;

static enum lk_code set_own(struct lk_slice v, void *to, size_t size, struct lk_err *err)
{
	if (v.n >= size)
		return lk_fail(err, LK_ECONF, "too long");
	memcpy(to, v.p, v.n);
	return LK_OK;
}

T(a_verbs_own_options)
{
	static const struct lk_own_opt rows[] = {
	    {"own-text", "TEXT", set_own, 0, sizeof(own.text), "text of its own"},
	    {"own-flag", NULL, NULL, offsetof(__typeof__(own), flag), sizeof(bool), "flag"}};
	uint8_t store[8192];
	struct lk_buf help = LK_BUF(store);

	EQ_CODE(LK_EUSAGE, argv_of(2, "--own-text", "abc"));
	lk_opts_more(rows, 2, &own);
	EQ_CODE(LK_OK, argv_of(4, "--own-text", "abc", "--own-flag", "word"));
	EQ_S(own.text, "abc");
	OK(own.flag);
	EQ_U(a.words, 1);
	EQ_U(a.given, 0);
	EQ_CODE(LK_OK, argv_of(1, "--own-text=xyz"));
	EQ_S(own.text, "xyz");
	EQ_CODE(LK_EUSAGE, argv_of(2, "--own-text", "much too long"));
	EQ_S(e.msg, "--own-text: too long");
	EQ_CODE(LK_EUSAGE, argv_of(1, "--own-text"));
	EQ_CODE(LK_EUSAGE, argv_of(1, "--own-flag=yes"));
	EQ_CODE(LK_ECONF, file_of("own-text = abc\n"));
	lk_opts_help(true, &help);
	lk_buf_byte(&help, 0);
	OK(strstr((const char *)store, "--own-text TEXT") != NULL);
	lk_opts_more(NULL, 0, NULL);
	EQ_CODE(LK_EUSAGE, argv_of(1, "--own-flag"));
}

T(file_is_read)
{
	EQ_CODE(LK_OK,
	    file_of(
		"# comment\n\n  key=https://v.vault.azure.net/keys/k \r\n"
		"attest = https://M.weu.attest.azure.net/\n\tidentity = client:abc\nkmsg = no"));
	EQ_S(a.conf.key, "https://v.vault.azure.net/keys/k");
	EQ_S(a.conf.attest, "https://m.weu.attest.azure.net");
	EQ_U(a.conf.identity, LK_ID_CLIENT);
	EQ_S(a.conf.identity_id, "abc");
	OK(!a.conf.kmsg);
}

T(file_refusals_name_the_line)
{
	static const char *const bad[] = {"\nnosuch = 1\n", "\ntimeout\n", "\ntimeout = x\n",
	    "timeout = 10\ntimeout = 20\n", "\nsocket = yes\n", "\nforce = yes\n",
	    "\nname = root\n", "\nkey = \n", "\n= x\n"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e = (struct lk_err){0};
		EQ_CODE(LK_ECONF, file_of(bad[i]));
		if (strstr(e.msg, "x.conf, line 2") == NULL)
			T_FAIL("%s does not name the line", e.msg);
		EQ_I(lk_err_exit(&e), 78);
	}
}

T(the_command_line_wins_over_the_file)
{
	EQ_CODE(LK_OK, argv_of(2, "--timeout", "30"));
	EQ_CODE(LK_OK, lk_opts_text(LK_S("timeout = 60\napi-version = 7.5\n"), "x.conf", &a, &e));
	EQ_U(a.conf.timeout_s, 30);
	EQ_S(a.conf.api_version, "7.5");
}

T(what_is_written_reads_back)
{
	static struct lk_args b;
	uint8_t store[4096];
	struct lk_buf text = LK_BUF(store);

	EQ_CODE(LK_OK,
	    file_of("uuid = 6a3b5f3e-1111-2222-3333-444455556666\n"
		    "key = https://v.managedhsm.azure.net/keys/k/0123456789abcdef0123456789abcdef\n"
		    "attest = https://m.weu.attest.azure.net\n"
		    "thumbprint = abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ\n"
		    "kind = compat\nwrapped = " DIGEST "\nallow-hosts = .corp.example,k.example\n"
		    "identity = resource:/subscriptions/1/x\nenc = CKM_RSA_AES_KEY_WRAP\n"
		    "api-version = 7.6\ntrust = /etc/latchkey/t.pem\ntimeout = 99\nkmsg = no\n"
		    "evidence = tsm\nvmpl = 0\nwrap-bits = 3072\ninit-data = /etc/latchkey/i\n"
		    "attest-api-version = 2025-06-01\nsecurity-context = /sc\nkds = yes\n"));
	lk_opts_write(&a.conf, &text);
	lk_opts_defaults(&b);
	EQ_CODE(LK_OK, lk_opts_text(lk_slice_buf(&text), "y.conf", &b, &e));
	OK(strcmp(a.conf.digest, b.conf.digest) != 0); /* of two files */
	memcpy(b.conf.digest, a.conf.digest, sizeof(b.conf.digest));
	EQ_MEM(&a.conf, &b.conf, sizeof(a.conf));
}

/* Paths of this machine, and what is built in anyway. */
T(what_is_not_written)
{
	uint8_t store[4096];
	struct lk_buf text = LK_BUF(store);

	EQ_CODE(LK_OK, file_of("tpm = /dev/tpmrm1\nevent-log = /log\ncryptsetup = /cs\n"
			       "device = /dev/sda\napi-version = 7.4\nkmsg = yes\n"));
	lk_opts_write(&a.conf, &text);
	EQ_U(text.n, 0);
}

T(hosts_that_are_allowed)
{
	char list[300], half[128];

	EQ_CODE(LK_OK, argv_of(2, "--allow-hosts", "A.Example,.Corp.example,c-1.example"));
	EQ_S(a.conf.allow_hosts, "a.example,.corp.example,c-1.example");
	EQ_CODE(LK_OK, argv_of(2, "--allow-hosts", ".example"));
	EQ_S(a.conf.allow_hosts, ".example");
	/* 255 characters are taken. */
	memset(half, 'a', 63);
	memcpy(half + 63, ".", 2);
	lk_fmt(list, sizeof(list), "%s%s%s%.59s.bb", half, half, half, half);
	EQ_U(strlen(list), 254);
	EQ_CODE(LK_EUSAGE, argv_of(2, "--allow-hosts", list)); /* for a name, 253 are */
	lk_fmt(list, sizeof(list), "%sa,%sb,%sc,%.56s.bb", half, half, half, half);
	EQ_U(strlen(list), 257);
	EQ_CODE(LK_EUSAGE, argv_of(2, "--allow-hosts", list));
	EQ_S(e.msg, "--allow-hosts: longer than 255 characters");
	EQ_CODE(LK_OK, argv_of(2, "--allow-hosts", list + 2));
	EQ_S(a.conf.allow_hosts, list + 2);
}

T(evidence_by_name)
{
	static const struct {
		const char *name;
		enum lk_evidence_from from;
	} rows[] = {{"auto", LK_EV_AUTO}, {"vtpm", LK_EV_VTPM}, {"tsm", LK_EV_TSM},
	    {"sev-guest", LK_EV_GUEST}, {"sev", LK_EV_LEGACY}};

	lk_opts_defaults(&a);
	EQ_U(a.conf.evidence, LK_EV_AUTO);
	EQ_U(a.conf.vmpl, LK_VMPL_ANY);
	EQ_U(a.conf.wrap_bits, 2048);
	OK(!a.conf.kds);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		EQ_CODE(LK_OK, argv_of(2, "--evidence", rows[i].name));
		EQ_U(a.conf.evidence, rows[i].from);
		EQ_S(lk_opt_evidence_name(rows[i].from), rows[i].name);
	}
}

static bool write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	return f != NULL && fputs(text, f) >= 0 && fclose(f) == 0;
}

/* `printf 'timeout = 60\n' | sha256sum` */
#define SUM "612dc97ac5e34f8821c11305589a5605e97e7ec643fb75fdda986b2eab3afbd3"

T(the_files_digest_stands_for_the_settings)
{
	char dir[] = "/tmp/latchkey-opts.XXXXXX", path[64];

	NEED(mkdtemp(dir) != NULL);
	lk_fmt(path, sizeof(path), "%s/root.conf", dir);
	NEED(write_file(path, "timeout = 60\n"));
	EQ_CODE(LK_OK, argv_of(3, "--conf-dir", dir, "--verbose"));
	EQ_S(a.conf.digest, "");
	EQ_CODE(LK_OK, lk_opts_volume("root", &a, &e));
	EQ_S(a.conf.digest, SUM);
	/* The same file, but not what is in force. */
	EQ_CODE(LK_OK, argv_of(4, "--conf-dir", dir, "--vmpl", "1"));
	EQ_CODE(LK_OK, lk_opts_volume("root", &a, &e));
	EQ_S(a.conf.digest, "");
	(void)remove(path);
	(void)remove(dir);
}

T(help_names_every_file_setting)
{
	static uint8_t store[8192];
	struct lk_buf text = LK_BUF(store);

	lk_opts_help(false, &text);
	OK(!text.bad);
	lk_buf_byte(&text, 0);
	OK(strstr((char *)store, "--timeout SECONDS") != NULL);
	OK(strstr((char *)store, "--key-file") == NULL);
	const char *second = strstr((char *)store, "\noptions of the command line alone:\n");
	OK(second != NULL);
	for (size_t i = 0; i < lk_opt_count; i++) {
		char line[40];
		lk_fmt(line, sizeof(line), "\n  --%s ", lk_opt_table[i].name);
		const char *at = strstr((char *)store, line);
		if ((lk_opt_table[i].flags & LK_OPT_CTL) != 0)
			OK(at == NULL);
		else
			OK(at != NULL &&
			    (at < second) == ((lk_opt_table[i].flags & LK_OPT_FILE) != 0));
	}
}

static struct lk_conf os_of(const char *text)
{
	struct lk_conf c = {0};

	lk_os_release_text(lk_slice_str(text), &c);
	return c;
}

T(os_release)
{
	struct lk_conf c =
	    os_of("PRETTY_NAME=\"x\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n");

	EQ_S(c.os_name, "Debian GNU/Linux");
	EQ_U(c.os_major, 12);
	EQ_U(c.os_minor, 0);
	c = os_of("VERSION_ID=22.04\nNAME=Ubuntu");
	EQ_S(c.os_name, "Ubuntu");
	EQ_U(c.os_major, 22);
	EQ_U(c.os_minor, 4);
	c = os_of("VERSION_ID=rolling\nNAME=\x01\nXNAME=y\n");
	EQ_S(c.os_name, "");
	EQ_U(c.os_major, 0);
}
