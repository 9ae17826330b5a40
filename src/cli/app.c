/* app.c - start-up and report, the same for every verb of both programs. */
#include "app.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lk/fmt.h"
#include "lk/io.h"
#include "lk/log.h"

#ifndef LK_VERSION
#define LK_VERSION "dev"
#endif

enum lk_code lk_app_print(struct lk_slice text, struct lk_err *e)
{
	if (lk_write_full(STDOUT_FILENO, text.p, text.n, lk_deadline_in(60000), e) != LK_OK)
		return lk_err_prefix(e, "standard output");
	return LK_OK;
}

void lk_app_version(void)
{
	lk_print(STDOUT_FILENO, "latchkey " LK_VERSION " (Mbed TLS, TLS 1.2 and 1.3)\n");
}

enum lk_code lk_verb_version(struct lk_args *a, struct lk_err *e)
{
	(void)a;
	(void)e;
	lk_app_version();
	return LK_OK;
}

static void usage(const char *program, const char *about, const struct lk_verb *verbs, size_t n)
{
	static uint8_t store[8192];
	struct lk_buf out = LK_BUF(store);
	struct lk_err e = {0};

	lk_buf_fmt(
	    &out, "%s\n\nusage: %s VERB [OPTION]... [OPERAND]...\n\nverbs:\n", about, program);
	for (size_t i = 0; i < n; i++) {
		char left[40];
		lk_fmt(left, sizeof(left), "%s %s", verbs[i].name, verbs[i].operands);
		lk_buf_fmt(&out, "  %-20s %s\n", left, verbs[i].help);
	}
	lk_opts_help(strcmp(program, "latchkeyctl") == 0, &out);
	lk_buf_str(&out,
	    "\nexit status: 0 done, 64 usage, 65 bad data from a service, 69 unavailable,\n"
	    "70 internal error, 71 operating system or device, 75 try again, 76 trust failure,\n"
	    "77 denied by policy, 78 configuration\n");
	if (lk_app_print(lk_slice_buf(&out), &e) != LK_OK)
		_exit(lk_err_exit(&e));
}

/* Without 0, 1 and 2 a later open would take their place, and a log line would land in it. */
static void fill_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
}

static int report(const struct lk_err *e)
{
	lk_log_err(LK_LOG_ERR, e);
	return lk_err_exit(e);
}

static const struct lk_verb *find(const struct lk_verb *verbs, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

/* Confidential containers are told by their environment where the host's files are. Like the files
 * it is the host's word; what is in them proves itself to the attestation service. */
static void container_files(struct lk_conf *c)
{
	const char *dir = getenv("UVM_SECURITY_CONTEXT_DIR");

	if (dir != NULL && dir[0] == '/' && strlen(dir) < sizeof(c->security_context))
		memcpy(c->security_context, dir, strlen(dir) + 1);
}

static const char *log_tag = "latchkey";

/* There the kernel's log appears, too: in an initramfs without systemd every line would stand
 * twice. */
static bool kernel_says_it(void)
{
	struct stat st;

	return fstat(STDERR_FILENO, &st) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(5, 1) /* /dev/console */ && access("/dev/kmsg", W_OK) == 0;
}

void lk_app_log(const struct lk_args *a, bool kmsg)
{
	struct lk_log_conf log = {.level = LK_LOG_INFO, .tag = log_tag};

	if (a->flags.verbose)
		log.level = LK_LOG_DEBUG;
	else if (a->flags.quiet)
		log.level = LK_LOG_ERR;
	log.kmsg = kmsg;
	log.quiet = kmsg && kernel_says_it();
	log.journal = a->flags.journal;
	lk_log_open(&log);
}

int lk_app_main(const char *program, const char *about, const struct lk_verb *verbs, size_t n,
    int argc, char *argv[])
{
	static struct lk_args args;
	struct lk_err e = {0};
	const struct lk_verb *verb;
	bool locked = false;

	fill_standard_fds();
	lk_sigpipe(false);
	umask(077);
	lk_opts_defaults(&args);
	lk_os_release(&args.conf);
	container_files(&args.conf);
	args.flags.journal = getenv("JOURNAL_STREAM") != NULL;
	log_tag = program;
	lk_app_log(&args, false);
	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		usage(program, about, verbs, n);
		return argc < 2 ? 64 : 0;
	}
	verb = find(verbs, n, strcmp(argv[1], "--version") == 0 ? "version" : argv[1]);
	if (verb == NULL) {
		(void)lk_fail(&e, LK_EUSAGE, "unknown verb %s", argv[1]);
		(void)lk_hint(&e, "see %s --help", program);
		return report(&e);
	}
	if (lk_opts_argv(argc - 2, argv + 2, &args, &e) != LK_OK)
		return report(&e);
	if (args.flags.help) {
		usage(program, about, verbs, n);
		return 0;
	}
	lk_app_log(&args, false);
	lk_secret_lock_process(&locked);
	if (!locked)
		lk_log(LK_LOG_DEBUG, "memory cannot be locked: secrets might be swapped out");
	if (lk_crypto_start(&e) != LK_OK || verb->run(&args, &e) != LK_OK)
		return report(&e);
	return 0;
}

enum lk_code lk_app_trust(const char *path, struct lk_slice *pem, struct lk_err *e)
{
	static uint8_t store[512 * 1024];
	struct lk_buf text = LK_BUF(store);
	struct lk_roots roots;
	unsigned count = 0;

	if (lk_file_read(path, &text, e) != LK_OK) {
		(void)lk_err_prefix(e, "trust anchors");
		(void)lk_hint(e,
		    "name a PEM file with trust = FILE; in an initramfs it must be in the image");
		e->code = LK_ECONF;
		return e->code;
	}
	roots.pem = lk_slice_buf(&text);
	if (lk_roots_check(&roots, &count, e) != LK_OK) {
		e->code = LK_ECONF;
		return lk_err_prefix(e, "trust anchors %s", path);
	}
	*pem = roots.pem;
	return LK_OK;
}

enum lk_code lk_app_start(
    const struct lk_conf *conf, bool want_vault, struct lk_run **run, struct lk_err *e)
{
	struct lk_slice pem;

	if (conf->attest[0] == '\0') {
		(void)lk_fail(e, LK_ECONF, "no attestation provider is set");
		return lk_hint(e, "set attest = https://NAME.REGION.attest.azure.net");
	}
	if (want_vault && conf->key[0] == '\0') {
		(void)lk_fail(e, LK_ECONF, "no key is set");
		return lk_hint(e, "set key = https://VAULT.vault.azure.net/keys/NAME");
	}
	if (lk_app_trust(conf->trust, &pem, e) != LK_OK)
		return e->code;
	if (lk_wall_now().below_build)
		lk_log(LK_LOG_WARN,
		    "the machine's clock is before this program was built: build time "
		    "is used, and certificates may be too new");
	return lk_run_start(conf, pem, want_vault, run, e);
}
