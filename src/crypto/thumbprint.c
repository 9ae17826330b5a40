/* RFC 7638: SHA-256 over the required members in lexical order, no white space. */
#include "lk/b64.h"
#include "lk/key.h"

enum lk_code lk_pub_thumbprint(const struct lk_pub *k, char out[static 44], struct lk_err *e)
{
	uint8_t json[2048], sum[32];
	struct lk_buf j = LK_BUF(json);
	struct lk_slice n = lk_slice_of(k->n, k->n_len), exp = lk_slice_of(k->e, k->e_len);
	switch (k->kty) {
	case LK_KTY_RSA:
		lk_buf_str(&j, "{\"e\":\"");
		lk_b64url_encode(exp, &j);
		lk_buf_str(&j, "\",\"kty\":\"RSA\",\"n\":\"");
		lk_b64url_encode(n, &j);
		break;
	case LK_KTY_EC:
		lk_buf_str(&j, "{\"crv\":\"");
		lk_buf_str(&j, lk_curve_name(k->curve));
		lk_buf_str(&j, "\",\"kty\":\"EC\",\"x\":\"");
		lk_b64url_encode(n, &j);
		lk_buf_str(&j, "\",\"y\":\"");
		lk_b64url_encode(exp, &j);
		break;
	case LK_KTY_OCT:
		return lk_fail(e, LK_EUSAGE, "an oct key has no thumbprint: it has no public half");
	}
	lk_buf_str(&j, "\"}");
	LK_BUG_ON(j.bad);
	enum lk_code rc = lk_sha256(lk_slice_buf(&j), sum, e);
	if (rc != LK_OK)
		return rc;
	uint8_t text[43] = {0};
	struct lk_buf b = LK_BUF(text);
	lk_b64url_encode(lk_slice_of(sum, sizeof(sum)), &b);
	LK_BUG_ON(b.bad || b.n != 43);
	for (size_t i = 0; i < 43; i++)
		out[i] = (char)text[i];
	out[43] = 0;
	return LK_OK;
}
