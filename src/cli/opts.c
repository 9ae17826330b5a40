/* opts.c - the table of settings, the command line and the help text; files are in opts_file.c. */
#include "lk/opts.h"

#include <stddef.h>
#include <string.h>

#include "lk/fmt.h"
#include "opts_table.h"

#define CONF(member) offsetof(struct lk_args, conf.member), sizeof(((struct lk_conf *)0)->member)
#define FLAG(member) offsetof(struct lk_args, flags.member), sizeof(((struct lk_flags *)0)->member)

/* What an [alternative] may say, and what of it is never the first binding's. */
#define EITHER  (LK_OPT_FILE | LK_OPT_ALT)
#define ITS_OWN (LK_OPT_FILE | LK_OPT_ALT | LK_OPT_OWN)
#define LOCAL   (LK_OPT_FILE | LK_OPT_HERE)

const struct lk_opt lk_opt_table[] = {
    {"uuid", "UUID", LK_OPT_UUID, LK_OPT_FILE, CONF(uuid), "LUKS UUID of the volume (a pin)"},
    {"device", "PATH", LK_OPT_PATH, LOCAL, CONF(device), "the volume's device [found by UUID]"},
    {"key", "URL", LK_OPT_KEY, ITS_OWN, CONF(key),
	"key to be released, https://HOST/keys/NAME[/VERSION] (a pin)"},
    {"attest", "URL", LK_OPT_HOST, ITS_OWN, CONF(attest),
	"attestation provider, https://HOST (a pin)"},
    {"thumbprint", "TEXT", LK_OPT_THUMB, ITS_OWN, CONF(thumbprint),
	"RFC 7638 thumbprint of the vault key (a pin)"},
    {"kind", "KIND", LK_OPT_KIND, ITS_OWN, CONF(kind),
	"binding that is taken beside a derived one: raw, compat or wrapped [derived]"},
    {"wrapped", "HEX", LK_OPT_DIGEST, ITS_OWN, CONF(wrapped),
	"SHA-256 of the wrapped secret that is taken, and no other (a pin) [none is]"},
    {"allow-hosts", "LIST", LK_OPT_HOSTS, LK_OPT_FILE, CONF(allow_hosts),
	"hosts that key and attest may name beside Azure's: NAME,.SUFFIX,... [none]"},
    {"identity", "WHO", LK_OPT_IDENTITY, EITHER, CONF(identity),
	"managed identity: system, client:ID, object:ID or resource:ID [system]"},
    {"enc", "NAME", LK_OPT_ENC, EITHER, CONF(enc),
	"RSA_AES_KEY_WRAP_256, RSA_AES_KEY_WRAP_384 or CKM_RSA_AES_KEY_WRAP [.._256]"},
    {"api-version", "TEXT", LK_OPT_WORD, EITHER, CONF(api_version), "of the vault [7.4]"},
    {"trust", "FILE", LK_OPT_PATH, LK_OPT_FILE, CONF(trust),
	"trust anchors, PEM [/etc/ssl/certs/ca-certificates.crt]"},
    {"tpm", "PATH", LK_OPT_PATH, LOCAL, CONF(tpm), "TPM device [/dev/tpmrm0]"},
    {"event-log", "PATH", LK_OPT_PATH, LOCAL, CONF(event_log),
	"boot event log [/sys/kernel/security/tpm0/binary_bios_measurements]"},
    {"cryptsetup", "PATH", LK_OPT_PATH, LOCAL, CONF(cryptsetup),
	"the program [/usr/sbin/cryptsetup or /sbin/cryptsetup]"},
    {"evidence", "FROM", LK_OPT_EVIDENCE, LK_OPT_FILE, CONF(evidence),
	"auto, vtpm, tsm (configfs-tsm), sev-guest, or sev (kernels before 5.19) [auto]"},
    {"snp-path", "PATH", LK_OPT_PATH, LK_OPT_FILE, CONF(snp_path),
	"folder or device of the evidence that is named [the kernel's]"},
    {"vmpl", "N|any", LK_OPT_VMPL, LK_OPT_FILE, CONF(vmpl),
	"SNP report: privilege level, 0 to 3 [the guest's]; policy: the one to pin"},
    {"wrap-bits", "N", LK_OPT_BITS, LK_OPT_FILE, CONF(wrap_bits),
	"SNP report: RSA key made in the guest, 2048, 3072 or 4096 [2048]"},
    {"attest-api-version", "TEXT", LK_OPT_WORD, EITHER, CONF(attest_api_version),
	"SNP report: of the attestation provider [2022-08-01]"},
    {"init-data", "FILE", LK_OPT_PATH, LK_OPT_FILE, CONF(init_data),
	"SNP report: what HOST_DATA is the SHA-256 of [none]"},
    {"security-context", "DIR", LK_OPT_PATH, LK_OPT_FILE, CONF(security_context),
	"SNP report: the host's files for a confidential container "
	"[/opt/confidential-containers/share/kata-containers]"},
    {"kds", "yes|no", LK_OPT_YESNO, LK_OPT_FILE, CONF(kds),
	"SNP report: ask AMD for certificates that nobody else has [no]"},
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
	out->conf.vmpl = LK_VMPL_ANY;
	out->conf.wrap_bits = 2048;
	set(out->conf.attest_api_version, sizeof(out->conf.attest_api_version), "2022-08-01");
	set(out->conf.security_context, sizeof(out->conf.security_context),
	    "/opt/confidential-containers/share/kata-containers");
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

/* Options of single verbs, beside the table. */
static struct {
	const struct lk_own_opt *row;
	size_t n;
	uint8_t *to;
} own[LK_OWN_MAX];
static size_t owns;

void lk_opts_more(const struct lk_own_opt *row, size_t n, void *to)
{
	if (row == NULL) {
		owns = 0;
		return;
	}
	size_t index = 0;

	LK_BUG_ON(owns == LK_OWN_MAX);
	for (size_t i = 0; i < n; i++) /* one that the table has would never be seen */
		LK_BUG_ON(lk_opt_find(lk_slice_str(row[i].name), &index) != NULL);
	own[owns].row = row;
	own[owns].n = n;
	own[owns].to = to;
	owns++;
}

/* One option as either table has it. */
struct found {
	const char *name, *placeholder; /* NULL: takes no value */
	const struct lk_opt *o;         /* NULL: a verb's own */
	const struct lk_own_opt *mine;
	uint8_t *to; /* of mine */
	size_t index;
};

static bool find(struct lk_slice name, struct found *out)
{
	size_t index = 0;
	const struct lk_opt *o = lk_opt_find(name, &index);

	if (o != NULL) {
		*out = (struct found){
		    .name = o->name, .placeholder = o->value, .o = o, .index = index};
		return true;
	}
	for (size_t i = 0; i < owns; i++)
		for (size_t j = 0; j < own[i].n; j++) {
			const struct lk_own_opt *mine = &own[i].row[j];

			if (!lk_slice_eq_str(name, mine->name))
				continue;
			*out = (struct found){.name = mine->name,
			    .placeholder = mine->value,
			    .mine = mine,
			    .to = own[i].to};
			return true;
		}
	return false;
}

LK_CHECK static enum lk_code store(
    const struct found *f, struct lk_slice value, struct lk_args *out, struct lk_err *e)
{
	uint8_t *to = f->o != NULL ? (uint8_t *)out + f->o->offset : f->to + f->mine->offset;
	enum lk_code rc = LK_OK;

	if (f->placeholder == NULL)
		*(bool *)to = true;
	else if (f->o != NULL)
		rc = lk_opt_set(f->o, value, out, e);
	else
		rc = f->mine->set(value, to, f->mine->size, e);
	if (rc != LK_OK) {
		e->code = LK_EUSAGE;
		return lk_err_prefix(e, "--%s", f->name);
	}
	if (f->o != NULL)
		out->given |= (uint64_t)1 << f->index;
	return LK_OK;
}

LK_CHECK static enum lk_code option(
    struct lk_slice word, const char *next, struct lk_args *out, bool *took_next, struct lk_err *e)
{
	struct lk_slice name = lk_slice_sub(word, 2, word.n), value = {NULL, 0};
	size_t eq = 0;
	bool inline_value = lk_slice_find(name, '=', &eq);
	struct found f;

	*took_next = false;
	if (inline_value) {
		value = lk_slice_sub(name, eq + 1, name.n);
		name = lk_slice_sub(name, 0, eq);
	}
	if (!find(name, &f)) {
		(void)lk_fail(
		    e, LK_EUSAGE, "unknown option --%.*s", (int)name.n, (const char *)name.p);
		return lk_hint(e, "see --help");
	}
	if (f.placeholder == NULL && inline_value)
		return lk_fail(e, LK_EUSAGE, "--%s takes no value", f.name);
	if (f.placeholder != NULL && !inline_value) {
		if (next == NULL)
			return lk_fail(
			    e, LK_EUSAGE, "--%s needs a value (%s)", f.name, f.placeholder);
		value = lk_slice_str(next);
		*took_next = true;
	}
	return store(&f, value, out, e);
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

static void help_line(
    const char *name, const char *placeholder, const char *help, struct lk_buf *out)
{
	char left[40];

	lk_fmt(left, sizeof(left), "--%s%s%s", name, placeholder != NULL ? " " : "",
	    placeholder != NULL ? placeholder : "");
	lk_buf_fmt(out, "  %-20s %s\n", left, help);
}

static void help_rows(bool ctl, unsigned in_file, struct lk_buf *out)
{
	for (size_t i = 0; i < lk_opt_count; i++) {
		const struct lk_opt *o = &lk_opt_table[i];

		if ((o->flags & LK_OPT_FILE) == in_file && (ctl || (o->flags & LK_OPT_CTL) == 0))
			help_line(o->name, o->value, o->help, out);
	}
}

void lk_opts_help(bool ctl, struct lk_buf *out)
{
	lk_buf_str(
	    out, "\noptions that " LK_CONF_DIR "/NAME.conf may hold as `name = value`, too:\n");
	help_rows(ctl, LK_OPT_FILE, out);
	lk_buf_str(out, "\noptions of the command line alone:\n");
	help_rows(ctl, 0, out);
	for (size_t i = 0; i < owns; i++)
		for (size_t j = 0; j < own[i].n; j++)
			help_line(own[i].row[j].name, own[i].row[j].value, own[i].row[j].help, out);
}
