/* Hexadecimal. Look-ups by value: not for secrets. */
#include "lk/slice.h"

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

void lk_hex_encode(struct lk_slice in, struct lk_buf *out)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t *at = lk_buf_room(out, in.n <= SIZE_MAX / 2 ? in.n * 2 : SIZE_MAX);

	for (size_t i = 0; at && i < in.n; i++) {
		*at++ = (uint8_t)digits[in.p[i] >> 4];
		*at++ = (uint8_t)digits[in.p[i] & 15];
	}
}

enum lk_code lk_hex_decode(struct lk_slice in, struct lk_buf *out, struct lk_err *e)
{
	uint8_t *at;

	if (in.n % 2)
		return lk_fail(e, LK_EPROTO, "hex: odd number of digits");
	/* First look, then write: a failure leaves the buffer as it was. */
	for (size_t i = 0; i < in.n; i++)
		if (digit(in.p[i]) < 0)
			return lk_fail(e, LK_EPROTO, "hex: not a digit at byte %zu", i);
	at = lk_buf_room(out, in.n / 2);
	if (!at)
		return lk_fail(e, LK_ELIMIT, "hex: %zu bytes do not fit", in.n / 2);
	for (size_t i = 0; i < in.n; i += 2)
		*at++ = (uint8_t)(digit(in.p[i]) << 4 | digit(in.p[i + 1]));
	return LK_OK;
}
