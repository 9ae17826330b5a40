/* Typed messages between the keeper and its couriers; the contract is in lk/frame.h.
 *
 * Both ends are this program, and the keeper still reads every frame as if it came from the
 * network: a courier that was taken over can send anything.
 */
#include "lk/frame.h"
#include "lk/io.h"
#include "lk/secret.h"

#define FRAME_HEAD  5 /* length, type */
#define FRAME_FIRST 1024

static bool frame_known(uint8_t type)
{
	return (type >= LK_F_CERTS && type <= LK_F_TOKENS) ||
	       (type >= LK_F_LOG && type <= LK_F_STEP);
}

void lk_frame_field(struct lk_buf *b, struct lk_slice v)
{
	if (v.n > LK_FRAME_MAX) {
		b->bad = true;
		return;
	}
	lk_buf_le32(b, (uint32_t)v.n);
	lk_buf_slice(b, v);
}

void lk_frame_u32(struct lk_buf *b, uint32_t v)
{
	lk_buf_le32(b, 4);
	lk_buf_le32(b, v);
}

void lk_frame_u64(struct lk_buf *b, uint64_t v)
{
	lk_buf_le32(b, 8);
	lk_buf_le64(b, v);
}

struct lk_slice lk_frame_take(struct lk_frame_reader *r, size_t max)
{
	struct lk_slice out = {NULL, 0};
	uint32_t n = 0;

	if (r->bad)
		return out;
	if (!lk_slice_take_le32(&r->left, &n) || n > max || !lk_slice_take(&r->left, n, &out))
		r->bad = true;
	return out;
}

/* A field of exactly n bytes; NULL (and bad) when it is not. */
static const uint8_t *frame_exact(struct lk_frame_reader *r, size_t n)
{
	struct lk_slice v = lk_frame_take(r, n);

	if (!r->bad && v.n != n)
		r->bad = true;
	return r->bad ? NULL : v.p;
}

uint32_t lk_frame_take_u32(struct lk_frame_reader *r)
{
	const uint8_t *p = frame_exact(r, 4);

	if (!p)
		return 0;
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint64_t lk_frame_take_u64(struct lk_frame_reader *r)
{
	const uint8_t *p = frame_exact(r, 8);
	uint64_t v = 0;

	for (size_t i = 8; p && i > 0; i--)
		v = v << 8 | p[i - 1];
	return v;
}

void lk_frame_take_cstr(struct lk_frame_reader *r, char *out, size_t cap)
{
	struct lk_slice v = lk_frame_take(r, cap - 1);

	out[0] = '\0';
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] < 0x20 || v.p[i] > 0x7e)
			r->bad = true;
	if (r->bad)
		return;
	for (size_t i = 0; i < v.n; i++)
		out[i] = (char)v.p[i];
	out[v.n] = '\0';
}

enum lk_code lk_frame_done(const struct lk_frame_reader *r, const char *what, struct lk_err *e)
{
	if (r->bad)
		return lk_fail(e, LK_EPROTO, "%s: a frame with a missing or unfit field", what);
	if (r->left.n > 0)
		return lk_fail(e, LK_EPROTO, "%s: a frame with bytes left over", what);
	return LK_OK;
}

/* A small frame leaves in one piece: it is one wake-up for the other side. */
enum lk_code lk_frame_send(
    int fd, enum lk_frame type, const struct lk_buf *payload, lk_time deadline, struct lk_err *e)
{
	uint8_t first[FRAME_FIRST];
	struct lk_buf b = LK_BUF(first);
	struct lk_slice rest = payload ? lk_slice_buf(payload) : (struct lk_slice){NULL, 0};
	struct lk_slice part = {NULL, 0};

	if ((payload && payload->bad) || rest.n >= LK_FRAME_MAX)
		return lk_fail(e, LK_ELIMIT, "a frame of type %d is too large", (int)type);
	lk_buf_le32(&b, (uint32_t)rest.n + 1);
	lk_buf_byte(&b, (uint8_t)type);
	if (rest.n <= sizeof(first) - FRAME_HEAD && lk_slice_take(&rest, rest.n, &part))
		lk_buf_slice(&b, part);
	enum lk_code rc = lk_write_full(fd, first, b.n, deadline, e);
	if (rc == LK_OK && rest.n > 0)
		rc = lk_write_full(fd, rest.p, rest.n, deadline, e);
	/* Bearer tokens pass through here. */
	lk_wipe(first, b.n);
	return rc;
}

enum lk_code lk_frame_recv(int fd, struct lk_buf *store, enum lk_frame *type,
    struct lk_frame_reader *payload, lk_time deadline, struct lk_err *e)
{
	uint8_t head[FRAME_HEAD];
	struct lk_slice in = {head, sizeof(head)};
	uint32_t n = 0;
	size_t got = 0;
	enum lk_code rc = lk_read_some(fd, head, sizeof(head), deadline, &got, e);

	if (rc != LK_OK)
		return rc;
	if (got == 0)
		return lk_fail(e, LK_EABSENT, "the other side has closed");
	rc = lk_read_full(fd, head + got, sizeof(head) - got, deadline, e);
	if (rc != LK_OK)
		return lk_err_prefix(e, "inside a frame"), rc;
	if (!lk_slice_take_le32(&in, &n) || n == 0 || n > LK_FRAME_MAX)
		return lk_fail(e, LK_EPROTO, "a frame of %u bytes", (unsigned)n);
	if (!frame_known(head[4]))
		return lk_fail(e, LK_EPROTO, "a frame of unknown type %u", (unsigned)head[4]);
	n--;
	uint8_t *p = lk_buf_room(store, n);
	if (!p)
		return lk_fail(e, LK_ELIMIT, "a frame of %u bytes where %zu fit", (unsigned)n,
		    store->cap - store->n);
	rc = lk_read_full(fd, p, n, deadline, e);
	if (rc != LK_OK)
		return lk_err_prefix(e, "inside a frame"), rc;
	*type = (enum lk_frame)head[4];
	*payload = (struct lk_frame_reader){.left = {p, n}, .bad = false};
	return LK_OK;
}
