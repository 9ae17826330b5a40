/* A UUID of version 4 (RFC 9562). */
#include "lk/log.h"
#include "lk/rng.h"
#include "request_id.h"

enum lk_code lk_request_id(char out[static LK_REQUEST_ID], struct lk_err *e)
{
	static const size_t group[5] = {4, 2, 2, 2, 6};
	struct lk_buf b = {.p = (uint8_t *)out, .n = 0, .cap = LK_REQUEST_ID - 1, .bad = false};
	uint8_t r[16];
	size_t at = 0;
	enum lk_code rc = lk_rng(r, sizeof(r), e);

	if (rc != LK_OK)
		return rc;
	r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);
	r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < 5; i++) {
		if (i > 0)
			lk_buf_byte(&b, '-');
		lk_hex_encode(lk_slice_of(r + at, group[i]), &b);
		at += group[i];
	}
	LK_BUG_ON(b.bad || b.n != LK_REQUEST_ID - 1);
	out[b.n] = '\0';
	lk_log(LK_LOG_DEBUG, "client request id %s", out);
	return LK_OK;
}
