/* A LUKS2 header as its owner, the host, presents it; the contract is in lk/luks2.h.
 *
 * Everything is read once into memory and judged there, so that a disk which changes its mind
 * between two reads cannot show one thing to the check and another to the parser.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lk/log.h"
#include "lk/luks2.h"

#define BIN_SIZE   4096
#define OFF_VER    6
#define OFF_SIZE   8
#define OFF_SEQ    16
#define OFF_ALG    72
#define OFF_UUID   168
#define OFF_OFFSET 256
#define OFF_CSUM   448
#define CSUM_SIZE  64
#define HDR_MAX    (BIN_SIZE + LK_LUKS2_JSON_MAX)
#define HDR_MIN    0x4000u
#define TOKS_MAX   4096

void (*lk_luks2_more)(const struct lk_json *root, struct lk_luks2 *out);

/* Two copies may have to be compared, so there is room for two. */
static uint8_t area[2][HDR_MAX];
static struct lk_json_tok toks[TOKS_MAX];

struct copy {
	uint8_t *p;
	uint64_t size, seq;
	struct lk_slice json;
};

static uint64_t be64(const uint8_t *p)
{
	uint64_t v = 0;

	for (size_t i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

static enum lk_code read_at(int fd, uint8_t *p, size_t n, uint64_t at, struct lk_err *e)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = pread(fd, p + done, n - done, (off_t)(at + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return lk_fail_sys(e, errno, "reading the LUKS2 header");
		if (got == 0)
			return lk_fail(e, LK_ELUKS, "the device ends inside the LUKS2 header");
		done += (size_t)got;
	}
	return LK_OK;
}

static enum lk_code check_sum(struct copy *c, struct lk_err *e)
{
	static const uint8_t zero[CSUM_SIZE];
	const struct lk_slice part[3] = {
	    {c->p, OFF_CSUM},
	    {zero, CSUM_SIZE},
	    {c->p + OFF_CSUM + CSUM_SIZE, (size_t)c->size - OFF_CSUM - CSUM_SIZE},
	};
	uint8_t sum[32];
	enum lk_code rc = lk_hash(LK_SHA256, part, 3, sum, e);

	if (rc != LK_OK)
		return rc;
	if (memcmp(sum, c->p + OFF_CSUM, sizeof(sum)) != 0)
		return lk_fail(e, LK_ELUKS, "the checksum is wrong");
	return LK_OK;
}

/* The fields of the binary header that say how to read the rest. */
static enum lk_code check_binary(struct copy *c, bool second, uint64_t at, struct lk_err *e)
{
	const char *magic = second ? "SKUL\xba\xbe" : "LUKS\xba\xbe";

	if (memcmp(c->p, magic, 6) != 0)
		return lk_fail(e, LK_ELUKS, "no LUKS header");
	if (c->p[OFF_VER] != 0 || c->p[OFF_VER + 1] != 2)
		return lk_fail(e, LK_ELUKS, "LUKS of version %u where 2 is needed",
		    (unsigned)c->p[OFF_VER] << 8 | c->p[OFF_VER + 1]);
	c->size = be64(c->p + OFF_SIZE);
	c->seq = be64(c->p + OFF_SEQ);
	if (c->size < HDR_MIN || (c->size & (c->size - 1)) != 0)
		return lk_fail(e, LK_ELUKS, "a header size that LUKS2 does not know");
	if (be64(c->p + OFF_OFFSET) != at)
		return lk_fail(e, LK_ELUKS, "a header that says it belongs elsewhere");
	if (memcmp(c->p + OFF_ALG, "sha256\0", 7) != 0)
		return lk_fail(e, LK_ELUKS, "a checksum algorithm other than SHA-256");
	if (c->size > HDR_MAX) {
		(void)lk_fail(e, LK_ELUKS, "a header of more than %zu KiB", HDR_MAX / 1024);
		return lk_hint(e, "format with a smaller --luks2-metadata-size");
	}
	return LK_OK;
}

static enum lk_code check_json(struct copy *c, struct lk_err *e)
{
	struct lk_slice all = {c->p + BIN_SIZE, (size_t)c->size - BIN_SIZE};
	struct lk_json root;
	size_t end = 0;

	if (!lk_slice_find(all, 0, &end))
		return lk_fail(e, LK_ELUKS, "a JSON area without an end");
	c->json = lk_slice_sub(all, 0, end);
	enum lk_code rc = lk_json_parse(c->json, toks, TOKS_MAX, &root, e);
	if (rc != LK_OK) {
		e->code = LK_ELUKS;
		(void)lk_err_prefix(e, "LUKS2 metadata");
		return LK_ELUKS;
	}
	return LK_OK;
}

static enum lk_code copy_read(
    int fd, uint8_t *p, bool second, uint64_t at, struct copy *out, struct lk_err *e)
{
	*out = (struct copy){.p = p, .size = 0, .seq = 0, .json = {NULL, 0}};
	enum lk_code rc = read_at(fd, p, BIN_SIZE, at, e);

	if (rc == LK_OK)
		rc = check_binary(out, second, at, e);
	if (rc == LK_OK)
		rc = read_at(fd, p + BIN_SIZE, (size_t)out->size - BIN_SIZE, at + BIN_SIZE, e);
	if (rc == LK_OK)
		rc = check_sum(out, e);
	if (rc == LK_OK)
		rc = check_json(out, e);
	return rc;
}

/* The newer copy of the valid ones, the first when they are of one age. */
static enum lk_code choose(int fd, struct copy *out, struct lk_err *e)
{
	struct lk_err other;
	struct copy b;
	enum lk_code rc = copy_read(fd, area[0], false, 0, out, e);

	memset(&other, 0, sizeof(other));
	if (rc == LK_OK) {
		if (copy_read(fd, area[1], true, out->size, &b, &other) != LK_OK)
			lk_log(LK_LOG_DEBUG, "second LUKS2 header: %s", other.msg);
		else if (b.seq > out->seq)
			*out = b;
		return LK_OK;
	}
	/* Where the second copy is follows from the size in the first, which cannot be believed. */
	for (uint64_t at = HDR_MIN; at <= HDR_MAX; at *= 2) {
		memset(&other, 0, sizeof(other));
		if (copy_read(fd, area[1], true, at, &b, &other) == LK_OK && b.size == at) {
			lk_log(LK_LOG_WARN,
			    "the first LUKS2 header is damaged (%s); using the second", e->msg);
			*out = b;
			memset(e, 0, sizeof(*e));
			return LK_OK;
		}
	}
	return rc;
}

static enum lk_code read_uuid(const struct copy *c, struct lk_luks2 *out, struct lk_err *e)
{
	struct lk_slice field = {c->p + OFF_UUID, 40};
	size_t end = 0;

	if (!lk_slice_find(field, 0, &end) || !lk_uuid_ok(lk_slice_sub(field, 0, end)))
		return lk_fail(e, LK_ELUKS, "the LUKS2 header has no proper UUID");
	return lk_slice_cstr(lk_slice_sub(field, 0, end), out->uuid, sizeof(out->uuid), e);
}

/* The members of an object whose names are numbers from 0 to 31, as bits. */
static uint32_t used_bits(const struct lk_json *j)
{
	struct lk_slice name;
	struct lk_json value;
	uint32_t bits = 0, n = 0;

	for (size_t i = 0; lk_json_pair(j, i, &name, &value); i++)
		if (lk_slice_u32(name, LK_SLOT_MAX, &n))
			bits |= 1u << n;
	return bits;
}

static void take_token(
    const struct lk_json *token, uint32_t number, uint32_t seen, struct lk_luks2 *out)
{
	struct lk_slice type;
	struct lk_err e;

	memset(&e, 0, sizeof(e));
	if (lk_json_str(token, "type", &type, &e) != LK_OK ||
	    !lk_slice_eq_str(type, LK_BINDING_TYPE))
		return;
	out->tokens_bad |= 1u << number;
	if (out->count == LK_BINDINGS_MAX) {
		lk_log(LK_LOG_WARN, "token %u: more than %d of type latchkey; skipped",
		    (unsigned)number, LK_BINDINGS_MAX);
		return;
	}
	if (seen & 1u << number) {
		lk_log(LK_LOG_WARN, "token %u: there twice; skipped", (unsigned)number);
		return;
	}
	if (lk_binding_read(token, number, &out->bindings[out->count], &e) != LK_OK)
		lk_log(LK_LOG_WARN, "%s; skipped", e.msg);
	else {
		out->tokens_bad &= ~(1u << number);
		out->count++;
	}
}

static enum lk_code read_json(const struct copy *c, struct lk_luks2 *out, struct lk_err *e)
{
	struct lk_json root, slots, tokens, token;
	struct lk_slice name;
	uint32_t number = 0;
	enum lk_code rc = lk_json_parse(c->json, toks, TOKS_MAX, &root, e);

	if (rc == LK_OK)
		rc = lk_json_get(&root, "keyslots", &slots, e);
	if (rc == LK_OK)
		rc = lk_json_get(&root, "tokens", &tokens, e);
	if (rc == LK_OK &&
	    (lk_json_type(&slots) != LK_JSON_OBJECT || lk_json_type(&tokens) != LK_JSON_OBJECT))
		rc = lk_fail(e, LK_EPROTO, "keyslots or tokens: not an object");
	if (rc != LK_OK) {
		e->code = LK_ELUKS;
		return lk_err_prefix(e, "LUKS2 metadata");
	}
	out->size = (uint32_t)c->size;
	out->json_len = (uint32_t)c->json.n;
	out->slots_used = used_bits(&slots);
	for (size_t i = 0; lk_json_pair(&tokens, i, &name, &token); i++)
		if (lk_slice_u32(name, LK_SLOT_MAX, &number)) {
			take_token(&token, number, out->tokens_used, out);
			out->tokens_used |= 1u << number;
		}
	if (lk_luks2_more != NULL)
		lk_luks2_more(&root, out);
	return LK_OK;
}

enum lk_code lk_luks2_read(int fd, struct lk_luks2 *out, struct lk_err *e)
{
	struct copy c;

	memset(out, 0, sizeof(*out));
	enum lk_code rc = choose(fd, &c, e);
	if (rc == LK_OK)
		rc = read_uuid(&c, out, e);
	if (rc == LK_OK)
		rc = read_json(&c, out, e);
	return rc;
}
