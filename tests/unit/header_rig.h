/* header_rig.h - LUKS2 image files made by cryptsetup(8) itself, for the tests of what changes
 * their headers. */
#ifndef LK_TEST_HEADER_RIG_H
#define LK_TEST_HEADER_RIG_H

#include <fcntl.h>
#include <sys/stat.h>

#include "../../src/cli/ctl/header.h"
#include "kind_sample.h"
#include "lk/crypto.h"
#include "lk/log.h"
#include "lk/opts.h"

#define RIG_PASS   "correct horse"
#define RIG_SECRET "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define RIG_LIGHT  "--pbkdf pbkdf2 --pbkdf-force-iterations 1000"
#define RIG_SIZE   (20u << 20)

static char rig_image[64], rig_log[72];
static struct lk_header rig_h;
static uint8_t rig_sum[32];
static char rig_said[4096]; /* log lines */

/* The shell sees the image as $I, cryptsetup as $C. */
static bool rig_sh(const char *command)
{
	char text[800];

	/* luksKillSlot says that it needs no passphrase, luksFormat that slots will be few. */
	snprintf(text, sizeof(text), "exec </dev/null >>$I.log 2>&1; %s", command);
	return system(text) == 0;
}

static void rig_hook(void *ctx, enum lk_level level, const char *line)
{
	const size_t n = strlen(rig_said);

	(void)ctx;
	(void)level;
	snprintf(rig_said + n, sizeof(rig_said) - n, "%s\n", line);
}

/* SHA-256 of the whole image. */
static void rig_hash(uint8_t sum[static 32])
{
	static uint8_t all[RIG_SIZE];
	struct lk_err e = {0};
	int fd = open(rig_image, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, all, sizeof(all)) != (ssize_t)sizeof(all) ||
	    lk_sha256(lk_slice_of(all, sizeof(all)), sum, &e) != LK_OK)
		abort();
	close(fd);
}

static bool rig_same(void)
{
	uint8_t now[32];

	rig_hash(now);
	return memcmp(now, rig_sum, sizeof(now)) == 0;
}

/* A volume with a passphrase in slot 0; `more`: options of luksFormat. false: no cryptsetup. */
static bool rig_make(const char *more)
{
	char command[400];
	struct lk_err e = {0};

	setenv("C", "/usr/sbin/cryptsetup", 1);
	if (lk_crypto_start(&e) != LK_OK || access(getenv("C"), X_OK) != 0)
		return false;
	strcpy(rig_image, "/tmp/latchkey-header.XXXXXX");
	int fd = mkstemp(rig_image);
	if (fd < 0 || ftruncate(fd, RIG_SIZE) != 0)
		abort();
	close(fd);
	setenv("I", rig_image, 1);
	snprintf(rig_log, sizeof(rig_log), "%s.log", rig_image);
	snprintf(command, sizeof(command),
	    "printf '" RIG_PASS "' | $C luksFormat -q --type luks2 " RIG_LIGHT
	    " %s --key-file=- $I",
	    more);
	if (!rig_sh(command))
		abort();
	rig_hash(rig_sum);
	rig_said[0] = '\0';
	lk_luks2_more = lk_luks2_facts;
	lk_log_hook(rig_hook, NULL);
	return true;
}

static void rig_gone(void)
{
	lk_header_close(&rig_h);
	unlink(rig_image);
	unlink(rig_log);
	lk_log_hook(NULL, NULL);
}

#define RIG(more)                                                                                  \
	do {                                                                                       \
		if (!rig_make(more))                                                               \
			SKIP("cryptsetup is not installed");                                       \
	} while (0)

static enum lk_code rig_open(struct lk_err *e)
{
	memset(e, 0, sizeof(*e));
	return lk_header_open(rig_image, "", &rig_h, e);
}

static enum lk_code rig_read(void)
{
	struct lk_err e = {0};

	return lk_header_read(&rig_h, &e);
}

static enum lk_code rig_slot(uint32_t slot)
{
	struct lk_err e = {0};

	return lk_header_add_slot(
	    &rig_h, slot, lk_slice_str(RIG_PASS), lk_slice_str(RIG_SECRET), &e);
}

/* Pending, slot, active: as an enrolment does. */
static void rig_bind(struct lk_binding *b, const char *id)
{
	struct lk_err e = {0};

	*b = kind_sample(LK_DERIVED);
	strcpy(b->id, id);
	EQ_CODE(LK_OK, lk_header_free(&rig_h, LK_SLOT_ANY, b, &e));
	EQ_CODE(LK_OK, lk_header_pend(&rig_h, b, &e));
	EQ_CODE(LK_OK, rig_slot(b->slot));
	b->state = LK_BINDING_ACTIVE;
	EQ_CODE(LK_OK, lk_header_put(&rig_h, b, &e));
	EQ_CODE(LK_OK, rig_read());
}

static bool rig_opens(const char *secret, const char *more)
{
	char command[200];

	snprintf(command, sizeof(command),
	    "printf '%s' | $C open --test-passphrase %s --key-file=- $I 2>/dev/null", secret, more);
	return rig_sh(command);
}

#define RIG_UNDONE()                                                                               \
	do {                                                                                       \
		struct lk_err rig_e = {0};                                                         \
		EQ_CODE(LK_OK, lk_header_undo(&rig_h, &rig_e));                                    \
		if (!rig_same())                                                                   \
			T_FAIL("the image is not what it was; %s", rig_said);                      \
	} while (0)

#endif
