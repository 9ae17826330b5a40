/* parts.h - what enroll, rotate and remove need beside header and configuration; private to
 * src/cli/ctl and its tests.
 */
#ifndef LK_CLI_PARTS_H
#define LK_CLI_PARTS_H

#include "lk/binding.h"
#include "lk/clock.h"
#include "lk/luks2.h"
#include "lk/secret.h"

/* ---- the public half of a vault key, for kind wrapped (pubkey.c)
 *
 * PEM of a SubjectPublicKeyInfo, a JWK, or what `az keyvault key show` prints (an object whose
 * member `key` is a JWK), n and e as base64url or as base64. kid: the key's address, https://...;
 * "" when the file does not say it. LK_ECONF: none of these, not an RSA key of 2048 to 4096 bits,
 * or a private key, of which nothing stays in memory. */
LK_CHECK enum lk_code lk_pubkey_file(
    const char *path, struct lk_pub *out, char kid[static 600], struct lk_err *e);
LK_CHECK enum lk_code lk_pubkey_text(
    struct lk_slice text, struct lk_pub *out, char kid[static 600], struct lk_err *e);

/* ---- a recovery key (recovery.c), in the format of systemd-cryptenroll(1): 256 bits as 64 letters
 * of modhex in eight groups with dashes, 71 characters. */
#define LK_RECOVERY_LEN   71
#define LK_RECOVERY_TOKEN "{\"type\":\"systemd-recovery\",\"keyslots\":[\"%u\"]}"
LK_CHECK enum lk_code lk_recovery_make(struct lk_secret *out, struct lk_err *e);
/* Show it once on descriptor `to` (standard output in the program), whatever that is: the text, and
 * a QR code by qrencode(1), which gets it through a pipe, where that program is installed. A
 * picture that fails is a warning. LK_ESYS, LK_ETIME: it was not shown, or not all of it. */
LK_CHECK enum lk_code lk_recovery_show(
    int to, const struct lk_secret *key, const char *device, struct lk_err *e);

/* ---- crypttab(5) (crypttab.c) */
enum lk_boot_flavor { LK_BOOT_UNKNOWN, LK_BOOT_DRACUT, LK_BOOT_TOOLS };
/* What builds this machine's initramfs; the second in a tree at `root` ("" for the machine's).
 * Where both are installed: initramfs-tools if update-initramfs is its own, since newer dracut
 * packages have a program of that name. */
enum lk_boot_flavor lk_boot_flavor(void);
enum lk_boot_flavor lk_boot_flavor_of(const char *root);
/* The line for a volume, without a newline, in the form that this initramfs needs (unknown: as for
 * systemd). */
void lk_crypttab_line(
    enum lk_boot_flavor flavor, const char *name, const char *uuid, struct lk_buf *out);
/* The table with this volume's line in it, or without latchkey in that line; every other byte
 * stays.
 *
 * add: a line of this name gets the key field and the options that it lacks, and loses those that
 * image-check would find wrong; there being none, a line is added at the end. A device that is not
 * named by UUID stays as it is. LK_ECONF: the name is there for another UUID or twice, the volume
 * is there under another name (by which the key would be asked for), an option makes something else
 * than LUKS of it, remarks behind the fields, carriage returns.
 * Not add: a volume whose last binding is gone must come to its passphrase prompt, so a line whose
 * key is latchkey's stays with `none` as key, without the key script and without `headless`. Any
 * other line of this name stays as it is.
 * LK_ELIMIT: no room in out. */
LK_CHECK enum lk_code lk_crypttab_edit(struct lk_slice table, enum lk_boot_flavor flavor,
    const char *name, const char *uuid, bool add, struct lk_buf *out, struct lk_err *e);

/* ---- other programs (tool.c); process.h has what this shares with lk_cs_run() */
struct lk_tool {
	const char *program;     /* absolute path */
	const char *const *argv; /* argv[0] first, NULL-terminated */
	struct lk_slice input;   /* its standard input, through a pipe */
	int out, err; /* descriptors for its standard output and error; -1: /dev/null, and standard
			 error into the failure's message */
	lk_time deadline;
};
/* Empty environment but PATH and LC_ALL=C. LK_ESYS: cannot be run, input larger than a pipe (64
 * KiB), or a status other than 0 (e->lib). LK_ETIME: it was told to end, and 5 s later made to. */
LK_CHECK enum lk_code lk_tool_run(const struct lk_tool *t, struct lk_err *e);
/* Rebuild the images of all kernels that are installed, with dracut or update-initramfs: which of
 * them boots next is not known here, and one that was left out would still have the old settings.
 * What they say goes to standard error. LK_ECONF: neither is here; LK_ESYS. */
LK_CHECK enum lk_code lk_image_rebuild(
    enum lk_boot_flavor flavor, lk_time deadline, struct lk_err *e);

/* ---- one line about data authentication: whether the host can change blocks unnoticed */
void lk_integrity_line(const struct lk_luks2 *h, struct lk_buf *out);

#endif
