/* opts.c - the table of settings, the command line and the help text; files are in opts_file.c. */
#include "lk/opts.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "opts_table.h"

#define CONF(member) offsetof(struct lk_args, conf.member), sizeof(((struct lk_conf *)0)->member)
#define FLAG(member) offsetof(struct lk_args, flags.member), sizeof(((struct lk_flags *)0)->member)

const struct lk_opt lk_opt_table[] = {
    {"uuid", "UUID", LK_OPT_UUID, LK_OPT_FILE, CONF(uuid), "LUKS UUID of the volume (a pin)"},
    {"device", "PATH", LK_OPT_PATH, LK_OPT_FILE, CONF(device),
	"the volume's device [found by UUID]"},
    {"key", "URL", LK_OPT_KEY, LK_OPT_FILE, CONF(key),
	"key to be released, https://HOST/keys/NAME[/VERSION] (a pin)"},
    {"attest", "URL", LK_OPT_HOST, LK_OPT_FILE, CONF(attest),
	"attestation provider, https://HOST (a pin)"},
    {"thumbprint", "TEXT", LK_OPT_THUMB, LK_OPT_FILE, CONF(thumbprint),
	"RFC 7638 thumbprint of the vault key (a pin)"},
    {"identity", "WHO", LK_OPT_IDENTITY, LK_OPT_FILE, CONF(identity),
	"managed identity: system, client:ID, object:ID or resource:ID [system]"},
    {"enc", "NAME", LK_OPT_ENC, LK_OPT_FILE, CONF(enc),
	"RSA_AES_KEY_WRAP_256, RSA_AES_KEY_WRAP_384 or CKM_RSA_AES_KEY_WRAP [.._256]"},
    {"api-version", "TEXT", LK_OPT_WORD, LK_OPT_FILE, CONF(api_version), "of the vault [7.4]"},
    {"trust", "FILE", LK_OPT_PATH, LK_OPT_FILE, CONF(trust),
	"trust anchors, PEM [/etc/ssl/certs/ca-certificates.crt]"},
    {"tpm", "PATH", LK_OPT_PATH, LK_OPT_FILE, CONF(tpm), "TPM device [/dev/tpmrm0]"},
    {"event-log", "PATH", LK_OPT_PATH, LK_OPT_FILE, CONF(event_log),
	"boot event log [/sys/kernel/security/tpm0/binary_bios_measurements]"},
    {"cryptsetup", "PATH", LK_OPT_PATH, LK_OPT_FILE, CONF(cryptsetup),
	"the program [/usr/sbin/cryptsetup or /sbin/cryptsetup]"},
    {"timeout", "SECONDS", LK_OPT_TIMEOUT, LK_OPT_FILE, CONF(timeout_s),
	"the one deadline, 5 to 3600 [120]"},
    {"kmsg", "yes|no", LK_OPT_YESNO, LK_OPT_FILE, CONF(kmsg),
	"log to the kernel log as well [yes]"},
    {"conf-dir", "DIR", LK_OPT_PATH, 0, FLAG(conf_dir), "where NAME.conf is [/etc/latchkey]"},
    {"fd", "N", LK_OPT_FD, 0, FLAG(fd), "release: write the key to this descriptor [1]"},
    {"socket", NULL, LK_OPT_BOOL, 0, FLAG(socket),
	"key: standard input is the service manager's key socket"},
    {"name", "NAME", LK_OPT_NAME, LK_OPT_CTL, CONF(name), "enroll: the volume's name [root]"},
    {"key-file", "FILE", LK_OPT_WORD, LK_OPT_CTL, FLAG(passphrase_file),
	"enroll: existing key, - is standard input [asked for on the terminal]"},
    {"slot", "N", LK_OPT_SLOT, LK_OPT_CTL, FLAG(slot), "enroll: key slot, 0 to 31 [first free]"},
    {"force", NULL, LK_OPT_BOOL, LK_OPT_CTL, FLAG(force), "enroll: replace NAME.conf"},
    {"verbose", NULL, LK_OPT_BOOL, 0, FLAG(verbose), "log each step"},
    {"quiet", NULL, LK_OPT_BOOL, 0, FLAG(quiet), "log failures only"},
    {"help", NULL, LK_OPT_BOOL, 0, FLAG(help), "this text"},
};
const size_t lk_opt_count = sizeof(lk_opt_table) / sizeof(lk_opt_table[0]);

/* The given-mask of struct lk_args has one bit per row. */
_Static_assert(sizeof(lk_opt_table) / sizeof(lk_opt_table[0]) <= 64, "too many settings");

static void set(char *to, size_t cap, const char *text)
{
	size_t n = strlen(text);

	LK_BUG_ON(n >= cap);
	memcpy(to, text, n + 1);
}

void lk_opts_defaults(struct lk_args *out)
{
	memset(out, 0, sizeof(*out));
	out->conf.identity = LK_ID_SYSTEM;
	out->conf.enc = LK_ENC_SHA256;
	out->conf.timeout_s = 120;
	out->conf.kmsg = true;
	set(out->conf.api_version, sizeof(out->conf.api_version), "7.4");
	set(out->conf.trust, sizeof(out->conf.trust), "/etc/ssl/certs/ca-certificates.crt");
	set(out->conf.tpm, sizeof(out->conf.tpm), "/dev/tpmrm0");
	set(out->conf.event_log, sizeof(out->conf.event_log),
	    "/sys/kernel/security/tpm0/binary_bios_measurements");
	set(out->flags.conf_dir, sizeof(out->flags.conf_dir), LK_CONF_DIR);
	out->flags.fd = 1;
	out->flags.slot = LK_SLOT_ANY;
}

const struct lk_opt *lk_opt_find(struct lk_slice name, size_t *index)
{
	for (size_t i = 0; i < lk_opt_count; i++)
		if (lk_slice_eq_str(name, lk_opt_table[i].name)) {
			*index = i;
			return &lk_opt_table[i];
		}
	return NULL;
}

LK_CHECK static enum lk_code option(
    struct lk_slice word, const char *next, struct lk_args *out, bool *took_next, struct lk_err *e)
{
	struct lk_slice name = lk_slice_sub(word, 2, word.n), value = {NULL, 0};
	size_t eq = 0, index = 0;
	bool inline_value = lk_slice_find(name, '=', &eq);
	const struct lk_opt *o;

	*took_next = false;
	if (inline_value) {
		value = lk_slice_sub(name, eq + 1, name.n);
		name = lk_slice_sub(name, 0, eq);
	}
	o = lk_opt_find(name, &index);
	if (o == NULL) {
		(void)lk_fail(
		    e, LK_EUSAGE, "unknown option --%.*s", (int)name.n, (const char *)name.p);
		return lk_hint(e, "see --help");
	}
	if (o->kind == LK_OPT_BOOL) {
		if (inline_value)
			return lk_fail(e, LK_EUSAGE, "--%s takes no value", o->name);
		*(bool *)((uint8_t *)out + o->offset) = true;
	} else {
		if (!inline_value) {
			if (next == NULL)
				return lk_fail(
				    e, LK_EUSAGE, "--%s needs a value (%s)", o->name, o->value);
			value = lk_slice_str(next);
			*took_next = true;
		}
		if (lk_opt_set(o, value, out, e) != LK_OK) {
			e->code = LK_EUSAGE;
			return lk_err_prefix(e, "--%s", o->name);
		}
	}
	out->given |= (uint64_t)1 << index;
	return LK_OK;
}

enum lk_code lk_opts_argv(int argc, char *const argv[], struct lk_args *out, struct lk_err *e)
{
	bool operands_only = false;

	for (int i = 0; i < argc; i++) {
		struct lk_slice word = lk_slice_str(argv[i]);
		bool took_next = false;

		if (!operands_only && lk_slice_eq_str(word, "--")) {
			operands_only = true;
		} else if (!operands_only && lk_slice_eq_str(word, "-h")) {
			out->flags.help = true;
		} else if (!operands_only && lk_slice_eq_str(word, "-v")) {
			out->flags.verbose = true;
		} else if (!operands_only && lk_slice_starts(word, LK_S("--"))) {
			if (option(word, i + 1 < argc ? argv[i + 1] : NULL, out, &took_next, e) !=
			    LK_OK)
				return e->code;
			i += took_next ? 1 : 0;
		} else if (!operands_only && word.n > 1 && word.p[0] == '-') {
			(void)lk_fail(e, LK_EUSAGE, "unknown option %s", argv[i]);
			return lk_hint(e, "see --help");
		} else if (out->words == LK_ARGS_MAX) {
			return lk_fail(e, LK_EUSAGE, "more than %d operands", LK_ARGS_MAX);
		} else {
			out->word[out->words++] = argv[i];
		}
	}
	return LK_OK;
}

void lk_opts_help(bool ctl, struct lk_buf *out)
{
	for (size_t i = 0; i < lk_opt_count; i++) {
		const struct lk_opt *o = &lk_opt_table[i];
		char left[40];

		if (!ctl && (o->flags & LK_OPT_CTL) != 0)
			continue;
		snprintf(left, sizeof(left), "--%s%s%s", o->name, o->value != NULL ? " " : "",
		    o->value != NULL ? o->value : "");
		lk_buf_fmt(out, "  %-20s %s\n", left, o->help);
	}
}
