/* integrity.c - one line about data authentication. */
#include "parts.h"

void lk_integrity_line(const struct lk_luks2 *h, struct lk_buf *out)
{
	if (h->integrity[0] != '\0')
		lk_buf_fmt(out,
		    "the data is authenticated (%s): changed blocks cannot be read; an older "
		    "state of the whole disk can",
		    h->integrity);
	else
		lk_buf_fmt(out,
		    "the data is not authenticated (%s): whoever has the disk can change blocks, "
		    "and put back older ones, unnoticed",
		    h->cipher);
}
