/* enroll.c - `latchkeyctl enroll`: bind a LUKS2 volume with a real attestation and release.
 *
 * Order: attestation and release first, so that a refusal leaves the header untouched. Then the
 * slot, the token, the proof that the slot opens with the derived key, and the configuration; a
 * failure takes back what was added. Couriers are only forked while no secret is in memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app.h"
#include "ctl.h"
#include "lk/b64.h"
#include "lk/cryptsetup.h"
#include "lk/fmt.h"
#include "lk/io.h"
#include "lk/log.h"
#include "lk/rng.h"

#define FOREIGN_TOKEN 5 /* Azure Disk Encryption owns this token number */
#define CALL_MS       (5 * 60 * 1000)

struct enrolment {
	const struct lk_args *a;
	const char *device;
	struct lk_luks2 header;
	struct lk_binding b;
	struct lk_secret disk_key;
	char conf_path[400];
	bool slot_added, token_added;
};

LK_CHECK static enum lk_code free_number(
    uint32_t used, uint32_t avoid, const char *what, uint32_t *out, struct lk_err *e)
{
	for (uint32_t i = 0; i <= LK_SLOT_MAX; i++)
		if ((used >> i & 1) == 0 && i != avoid) {
			*out = i;
			return LK_OK;
		}
	(void)lk_fail(e, LK_ELUKS, "no %s is free in this LUKS2 header; nothing was changed", what);
	return lk_hint(e, "remove one that is no longer needed (cryptsetup luksDump shows them)");
}

LK_CHECK static enum lk_code read_header(const char *device, struct lk_luks2 *out, struct lk_err *e)
{
	int fd = open(device, O_RDONLY | O_CLOEXEC);
	enum lk_code rc;

	if (fd < 0)
		return lk_fail_sys(e, errno, "%s", device);
	rc = lk_disk_header(fd, lk_deadline_in(CALL_MS), out, e);
	close(fd);
	return rc == LK_OK ? rc : lk_err_prefix(e, "%s", device);
}

LK_CHECK static enum lk_code look_before(struct enrolment *en, struct lk_err *e)
{
	const struct lk_args *a = en->a;

	if (read_header(en->device, &en->header, e) != LK_OK)
		return e->code;
	lk_fmt(en->conf_path, sizeof(en->conf_path), "%s/%s.conf", a->flags.conf_dir, a->conf.name);
	if (!a->flags.force && access(en->conf_path, F_OK) == 0) {
		(void)lk_fail(e, LK_ECONF, "%s exists already", en->conf_path);
		return lk_hint(e, "choose another --name, or replace it with --force");
	}
	if (free_number(en->header.tokens_used, FOREIGN_TOKEN, "token", &en->b.token, e) != LK_OK)
		return e->code;
	if (a->flags.slot == LK_SLOT_ANY)
		return free_number(en->header.slots_used, LK_SLOT_ANY, "key slot", &en->b.slot, e);
	if ((en->header.slots_used >> a->flags.slot & 1) != 0)
		return lk_fail(e, LK_ELUKS, "key slot %u is in use", (unsigned)a->flags.slot);
	en->b.slot = a->flags.slot;
	return LK_OK;
}

LK_CHECK static enum lk_code fill_binding(
    struct enrolment *en, const struct lk_key *key, struct lk_err *e)
{
	struct lk_binding *b = &en->b;
	uint8_t random[8], text[17] = {0};
	struct lk_buf hex = LK_BUF(text);

	if (lk_rng(random, sizeof(random), e) != LK_OK ||
	    lk_rng(b->salt, sizeof(b->salt), e) != LK_OK)
		return e->code;
	lk_hex_encode(lk_slice_of(random, sizeof(random)), &hex);
	memcpy(b->id, text, 16);
	b->id[16] = '\0';
	lk_fmt(b->kind, sizeof(b->kind), "derived");
	lk_fmt(b->key, sizeof(b->key), "%s", key->kid);
	lk_fmt(b->attest, sizeof(b->attest), "%s", en->a->conf.attest);
	lk_fmt(b->thumbprint, sizeof(b->thumbprint), "%s", key->thumbprint);
	lk_fmt(b->uuid, sizeof(b->uuid), "%s", en->header.uuid);
	return LK_OK;
}

/* The attestation, the release, and what follows from the key; the key itself ends here. */
LK_CHECK static enum lk_code obtain(struct enrolment *en, struct lk_err *e)
{
	LK_SECRET plain = {0}, ikm = {0};
	static struct lk_key key;
	struct lk_run *run = NULL;
	enum lk_code rc;

	if (lk_app_start(&en->a->conf, true, &run, e) != LK_OK)
		return e->code;
	rc = lk_run_release(run, &key, &plain, e);
	if (rc == LK_OK)
		rc = lk_key_canonical(&key.pub, lk_secret_slice(&plain), &ikm, e);
	if (rc == LK_OK)
		rc = fill_binding(en, &key, e);
	if (rc == LK_OK)
		rc = lk_binding_seal(&en->b, &ikm, e);
	if (rc == LK_OK)
		rc = lk_binding_disk_key(
		    &en->b, &key.pub, lk_secret_slice(&plain), &ikm, &en->disk_key, e);
	lk_run_end(run);
	return rc;
}

LK_CHECK static enum lk_code add_slot(
    struct enrolment *en, const struct lk_secret *existing, struct lk_err *e)
{
	char slot[12];
	/* 256 bits of entropy need no slow hash, and an initramfs no gigabyte for one. */
	const char *argv[] = {"luksAddKey", "--batch-mode", "--pbkdf", "pbkdf2",
	    "--pbkdf-force-iterations", "1000", "--key-slot", slot, "--key-file", "-", en->device,
	    LK_CS_SECOND, NULL};
	struct lk_cs_call call = {en->a->conf.cryptsetup, argv,
	    {lk_secret_slice(existing), lk_secret_slice(&en->disk_key)}, NULL,
	    lk_deadline_in(CALL_MS)};

	lk_fmt(slot, sizeof(slot), "%u", (unsigned)en->b.slot);
	if (lk_cs_run(&call, e) != LK_OK)
		return lk_err_prefix(e, "key slot %s", slot);
	en->slot_added = true;
	return LK_OK;
}

LK_CHECK static enum lk_code add_token(struct enrolment *en, struct lk_err *e)
{
	char number[12];
	uint8_t store[LK_BINDING_JSON_MAX];
	struct lk_buf json = LK_BUF(store);
	const char *argv[] = {
	    "token", "import", "--token-id", number, "--json-file", "-", en->device, NULL};
	struct lk_cs_call call = {
	    en->a->conf.cryptsetup, argv, {{NULL, 0}, {NULL, 0}}, NULL, lk_deadline_in(CALL_MS)};

	lk_fmt(number, sizeof(number), "%u", (unsigned)en->b.token);
	if (lk_binding_write(&en->b, &json, e) != LK_OK)
		return e->code;
	call.input[0] = lk_slice_buf(&json);
	if (lk_cs_run(&call, e) != LK_OK)
		return lk_err_prefix(e, "token %s", number);
	en->token_added = true;
	return LK_OK;
}

/* What the next boot will read must be what was written. Forks a courier: no secret is left by now.
 */
LK_CHECK static enum lk_code read_back(const struct enrolment *en, struct lk_err *e)
{
	static struct lk_luks2 now;
	bool found = false;

	if (read_header(en->device, &now, e) != LK_OK)
		return e->code;
	for (size_t i = 0; i < now.count; i++)
		found =
		    found || (now.bindings[i].token == en->b.token &&
				 memcmp(now.bindings[i].mac, en->b.mac, sizeof(en->b.mac)) == 0);
	if (!found)
		return lk_fail(e, LK_ELUKS, "the token just written is not in the header");
	return LK_OK;
}

LK_CHECK static enum lk_code write_conf(struct enrolment *en, struct lk_err *e)
{
	static struct lk_conf c;
	uint8_t store[4096];
	struct lk_buf text = LK_BUF(store);

	c = en->a->conf;
	lk_fmt(c.uuid, sizeof(c.uuid), "%s", en->b.uuid);
	lk_fmt(c.key, sizeof(c.key), "%s", en->b.key);
	lk_fmt(c.thumbprint, sizeof(c.thumbprint), "%s", en->b.thumbprint);
	lk_buf_fmt(&text,
	    "# Written by latchkeyctl enroll; binding %s. Belongs into the measured initramfs.\n",
	    en->b.id);
	lk_opts_write(&c, &text);
	if (text.bad)
		return lk_fail(e, LK_EBUG, "configuration too long");
	if (mkdir(en->a->flags.conf_dir, 0755) != 0 && errno != EEXIST)
		return lk_fail_sys(e, errno, "%s", en->a->flags.conf_dir);
	return lk_file_replace(en->conf_path, lk_slice_buf(&text), 0644, e);
}

/* Only what this run added; a failure here is told, but the first error stays the verdict. */
static void take_back(const struct enrolment *en)
{
	char number[12];
	const char *token[] = {"token", "remove", "--token-id", number, en->device, NULL};
	const char *slot[] = {"luksKillSlot", "--batch-mode", en->device, number, NULL};
	struct lk_cs_call call = {
	    en->a->conf.cryptsetup, token, {{NULL, 0}, {NULL, 0}}, NULL, lk_deadline_in(CALL_MS)};
	struct lk_err e = {0};

	if (en->token_added) {
		lk_fmt(number, sizeof(number), "%u", (unsigned)en->b.token);
		if (lk_cs_run(&call, &e) != LK_OK)
			lk_log_err(LK_LOG_WARN, &e);
	}
	if (en->slot_added) {
		lk_fmt(number, sizeof(number), "%u", (unsigned)en->b.slot);
		call.argv = slot;
		if (lk_cs_run(&call, &e) != LK_OK)
			lk_log_err(LK_LOG_WARN, &e);
	}
	lk_log(LK_LOG_WARN, "what was added to %s has been taken back", en->device);
}

/* No key-slot= in crypttab: systemd tries a typed passphrase at that slot only, too. */
static void tell(const struct enrolment *en)
{
	lk_print(1,
	    "bound %s as volume %s: key slot %u, token %u, binding %s\n"
	    "  key            %s\n  attestation    %s\n  configuration  %s\n"
	    "next: the line for /etc/crypttab (dracut with systemd), then rebuild the initramfs:\n"
	    "  %s UUID=%s /run/latchkey/key.sock luks,x-initrd.attach\n",
	    en->device, en->a->conf.name, (unsigned)en->b.slot, (unsigned)en->b.token, en->b.id,
	    en->b.key, en->b.attest, en->conf_path, en->a->conf.name, en->b.uuid);
}

/* The slot, the token, and the proof that the slot opens; the secrets end here. */
LK_CHECK static enum lk_code write_header(struct enrolment *en, struct lk_err *e)
{
	LK_SECRET existing = {0};
	enum lk_code rc;

	rc = lk_ctl_passphrase(en->a->flags.passphrase_file, en->device, &existing, e);
	if (rc == LK_OK)
		rc = add_slot(en, &existing, e);
	if (rc == LK_OK)
		rc = add_token(en, e);
	if (rc == LK_OK)
		rc = lk_cs_test(en->a->conf.cryptsetup, en->device, en->b.slot,
		    lk_secret_slice(&en->disk_key), lk_deadline_in(CALL_MS), e);
	lk_secret_clear(&en->disk_key);
	return rc;
}

enum lk_code lk_verb_enroll(struct lk_args *a, struct lk_err *e)
{
	static struct enrolment en;

	if (a->words != 1)
		return lk_fail(e, LK_EUSAGE, "enroll wants one DEVICE");
	if (a->conf.name[0] == '\0')
		lk_fmt(a->conf.name, sizeof(a->conf.name), "root");
	en.a = a;
	en.device = a->word[0];
	if (look_before(&en, e) != LK_OK || obtain(&en, e) != LK_OK)
		return e->code;
	if (write_header(&en, e) == LK_OK && read_back(&en, e) == LK_OK &&
	    write_conf(&en, e) == LK_OK)
		tell(&en);
	else if (en.slot_added || en.token_added)
		take_back(&en);
	return e->code;
}

enum lk_code lk_verb_list(struct lk_args *a, struct lk_err *e)
{
	static struct lk_luks2 h;

	if (a->words != 1)
		return lk_fail(e, LK_EUSAGE, "list wants one DEVICE");
	if (read_header(a->word[0], &h, e) != LK_OK)
		return e->code;
	lk_print(1, "%-16s %-5s %-5s %-8s %s\n", "binding", "token", "slot", "kind", "key");
	for (size_t i = 0; i < h.count; i++)
		lk_print(1, "%-16s %-5u %-5u %-8s %s\n", h.bindings[i].id,
		    (unsigned)h.bindings[i].token, (unsigned)h.bindings[i].slot, h.bindings[i].kind,
		    h.bindings[i].key);
	return LK_OK;
}
