/* header_open.c - look at a LUKS2 header, find and choose numbers; the contract is in header.h. */
#include "header.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lk/io.h"
#include "lk/opts.h"

#define READ_MS (60 * 1000)

/* ---- reading */

enum lk_code lk_header_read(struct lk_header *h, struct lk_err *e)
{
	int fd = open(h->device, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return lk_fail_sys(e, errno, "%s", h->device);
	enum lk_code rc = lk_disk_header(fd, lk_deadline_in(READ_MS), &h->now, e);
	close(fd);
	return rc == LK_OK ? rc : lk_err_prefix(e, "%s", h->device);
}

enum lk_code lk_header_open(
    const char *device, const char *cryptsetup, struct lk_header *out, struct lk_err *e)
{
	memset(out, 0, sizeof(*out));
	out->device = device;
	out->cryptsetup = cryptsetup;
	out->before = -1;
	if (lk_header_read(out, e) != LK_OK)
		return e->code;
	if (out->now.reencrypting) {
		(void)lk_fail(e, LK_ELUKS, "%s: a reencryption is under way", device);
		return lk_hint(
		    e, "let it end first: cryptsetup reencrypt --resume-only %s", device);
	}
	int fd = open(device, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return lk_fail_sys(e, errno, "%s", device);
	enum lk_code rc = lk_header_keep(out, fd, e);
	close(fd);
	return rc == LK_OK ? rc : lk_err_prefix(e, "%s", device);
}

void lk_header_close(struct lk_header *h)
{
	lk_close(&h->before);
	memset(h->save, 0, sizeof(h->save));
	h->saved = 0;
}

const struct lk_binding *lk_header_find(const struct lk_header *h, const char *id)
{
	for (size_t i = 0; i < h->now.count; i++)
		if (lk_slice_eq(lk_slice_str(h->now.bindings[i].id), lk_slice_str(id)))
			return &h->now.bindings[i];
	return NULL;
}

/* ---- numbers */

static bool lowest(uint32_t taken, uint32_t *out)
{
	for (uint32_t i = 0; i <= LK_SLOT_MAX; i++)
		if ((taken >> i & 1) == 0) {
			*out = i;
			return true;
		}
	return false;
}

static unsigned count_of(uint32_t bits)
{
	unsigned n = 0;

	for (; bits != 0; bits &= bits - 1)
		n++;
	return n;
}

enum lk_code lk_header_free(
    const struct lk_header *h, uint32_t wish, struct lk_binding *b, struct lk_err *e)
{
	const uint32_t bad = h->now.tokens_bad;
	uint32_t slots = h->now.slots_used, tokens = h->now.tokens_used | 1u << LK_FOREIGN_TOKEN;

	/* What a pending binding is waiting for is its own. */
	for (size_t i = 0; i < h->now.count; i++)
		if (h->now.bindings[i].state == LK_BINDING_PENDING)
			slots |= 1u << h->now.bindings[i].slot;
	if (h->now.count + count_of(bad) >= LK_BINDINGS_MAX)
		(void)lk_fail(e, LK_ELUKS,
		    "%s: %u tokens of type latchkey are there, more are not read", h->device,
		    (unsigned)h->now.count + count_of(bad));
	else if (!lowest(tokens, &b->token))
		(void)lk_fail(e, LK_ELUKS, "%s: no token number is free", h->device);
	else if (wish != LK_SLOT_ANY && (slots >> wish & 1) != 0)
		return lk_fail(e, LK_ELUKS, "%s: key slot %u is in use", h->device, (unsigned)wish);
	else if (wish == LK_SLOT_ANY && !lowest(slots, &b->slot))
		(void)lk_fail(
		    e, LK_ELUKS, "%s: all %u key slots are in use", h->device, LK_SLOT_MAX + 1);
	else {
		b->slot = wish == LK_SLOT_ANY ? b->slot : wish;
		return LK_OK;
	}
	return lk_hint(e,
	    "nothing was changed; remove what is no longer needed: latchkeyctl list %s, "
	    "cryptsetup luksDump %s",
	    h->device, h->device);
}
