#include "lk/pem.h"

#include "lk/b64.h"

#define BEGIN LK_S("-----BEGIN CERTIFICATE-----")
#define END   LK_S("-----END CERTIFICATE-----")

static uint8_t base64[(LK_PEM_DER_MAX + 2) / 3 * 4];

enum lk_pem lk_pem_between(
    struct lk_slice *text, struct lk_slice begin, struct lk_slice end, struct lk_buf *der)
{
	size_t at;
	struct lk_buf b = LK_BUF(base64);
	struct lk_err ignored;
	if (!lk_slice_search(*text, begin, &at)) {
		*text = lk_slice_sub(*text, text->n, 0);
		return LK_PEM_END;
	}
	*text = lk_slice_sub(*text, at + begin.n, text->n);
	if (!lk_slice_search(*text, end, &at))
		return LK_PEM_BAD;
	struct lk_slice body = lk_slice_sub(*text, 0, at);
	*text = lk_slice_sub(*text, at + end.n, text->n);
	for (size_t i = 0; i < body.n; i++)
		if (body.p[i] != '\n' && body.p[i] != '\r' && body.p[i] != ' ' && body.p[i] != '\t')
			lk_buf_byte(&b, body.p[i]);
	der->n = 0;
	der->bad = false;
	if (b.bad || b.n == 0 || lk_b64_decode(lk_slice_buf(&b), der, &ignored) != LK_OK)
		return LK_PEM_BAD;
	return LK_PEM_CERT;
}

enum lk_pem lk_pem_next(struct lk_slice *text, struct lk_buf *der)
{
	return lk_pem_between(text, BEGIN, END, der);
}
