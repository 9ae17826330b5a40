/* Certificates out of PEM text. */
#include "t.h"

#include "lk/b64.h"
#include "lk/pem.h"

#define BEGIN "-----BEGIN CERTIFICATE-----"
#define END   "-----END CERTIFICATE-----"

static uint8_t room[LK_PEM_DER_MAX];
static struct lk_buf der;

static enum lk_pem next(struct lk_slice *text)
{
	der.p = room;
	der.cap = sizeof(room);
	return lk_pem_next(text, &der);
}

T(a_chain_with_remarks_between)
{
	struct lk_slice text =
	    LK_S("subject=one -- \n" BEGIN "\nQUJD\r\nREVG\n" END
		 "\n-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n" BEGIN
		 "\r\n eHk=\r\n" END BEGIN "MDEy" END "trailing");

	EQ_I(next(&text), LK_PEM_CERT);
	EQ_BYTES(der.p, der.n, "ABCDEF", 6);
	EQ_I(next(&text), LK_PEM_CERT);
	EQ_BYTES(der.p, der.n, "xy", 2);
	EQ_I(next(&text), LK_PEM_CERT);
	EQ_BYTES(der.p, der.n, "012", 3);
	EQ_I(next(&text), LK_PEM_END);
	EQ_U(text.n, 0);
	EQ_I(next(&text), LK_PEM_END);
}

T(a_damaged_one_does_not_cost_the_rest)
{
	struct lk_slice text = LK_S(BEGIN "\nQUJ*\n" END "\n" BEGIN "\n" END "\n" BEGIN
					  "\nQUJDRA\n" END "\n" BEGIN "\nQUJD\n" END "\n");

	EQ_I(next(&text), LK_PEM_BAD); /* not base64 */
	EQ_I(next(&text), LK_PEM_BAD); /* nothing in it */
	EQ_I(next(&text), LK_PEM_BAD); /* without its padding */
	EQ_I(next(&text), LK_PEM_CERT);
	EQ_BYTES(der.p, der.n, "ABC", 3);
	EQ_I(next(&text), LK_PEM_END);
}

T(a_missing_end_is_told_and_ends)
{
	struct lk_slice text = LK_S(BEGIN "\nQUJD\n-----END CERT");

	EQ_I(next(&text), LK_PEM_BAD);
	EQ_I(next(&text), LK_PEM_END);
	text = LK_S("-----BEGIN CERTIFICATE----");
	EQ_I(next(&text), LK_PEM_END);
	text = LK_S("");
	EQ_I(next(&text), LK_PEM_END);
}

static struct lk_slice of_size(size_t n)
{
	static uint8_t store[3 * LK_PEM_DER_MAX], raw[LK_PEM_DER_MAX + 3];
	struct lk_buf b = LK_BUF(store);

	memset(raw, 'r', sizeof(raw));
	lk_buf_str(&b, BEGIN "\n");
	lk_b64_encode(lk_slice_of(raw, n), &b);
	lk_buf_str(&b, "\n" END "\n");
	return lk_slice_buf(&b);
}

T(the_longest_fits_and_one_more_does_not)
{
	struct lk_slice text = of_size(LK_PEM_DER_MAX);

	EQ_I(next(&text), LK_PEM_CERT);
	EQ_U(der.n, LK_PEM_DER_MAX);
	text = of_size(LK_PEM_DER_MAX + 1);
	EQ_I(next(&text), LK_PEM_BAD);
	text = of_size(LK_PEM_DER_MAX + 3);
	EQ_I(next(&text), LK_PEM_BAD);
	EQ_I(next(&text), LK_PEM_END);
}

T(a_smaller_buffer_is_not_overrun)
{
	struct lk_slice text = of_size(100);
	uint8_t small[101];

	memset(small, 0x5a, sizeof(small));
	der = (struct lk_buf){.p = small, .cap = 99};
	EQ_I(lk_pem_next(&text, &der), LK_PEM_BAD);
	EQ_U(small[99], 0x5a);
	text = of_size(100);
	der = (struct lk_buf){.p = small, .cap = 100};
	EQ_I(lk_pem_next(&text, &der), LK_PEM_CERT);
	EQ_U(small[100], 0x5a);
}
