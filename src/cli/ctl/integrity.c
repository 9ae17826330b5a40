/* integrity.c - what the host can do to the data of a volume, in one line; the contract is in
 * parts.h. */
#include "lk/fmt.h"
#include "parts.h"

/* Those that need a key to compute. */
static bool is_keyed(struct lk_slice type)
{
	return lk_slice_eq_str(type, "aead") || lk_slice_eq_str(type, "poly1305") ||
	       lk_slice_starts(type, LK_S("hmac(")) || lk_slice_starts(type, LK_S("phmac(")) ||
	       lk_slice_starts(type, LK_S("cmac("));
}

void lk_integrity_line(const struct lk_luks2 *h, struct lk_buf *out)
{
	const struct lk_slice type = lk_slice_str(h->integrity);
	const char *cipher = h->cipher[0] != '\0' ? h->cipher : "cipher not known";

	if (type.n == 0 || lk_slice_eq_str(type, "none"))
		lk_buf_fmt(out,
		    "data is not authenticated (%s): whoever has the disk can change blocks "
		    "unnoticed and present old ones",
		    cipher);
	else if (!is_keyed(type))
		lk_buf_fmt(out,
		    "data has check sums that need no key (%s, %s): whoever has the disk can "
		    "change blocks unnoticed and present old ones",
		    cipher, h->integrity);
	else
		lk_buf_fmt(out,
		    "data is authenticated (%s, %s): a changed block is noticed, an old one that "
		    "is presented again is not",
		    cipher, h->integrity);
}
