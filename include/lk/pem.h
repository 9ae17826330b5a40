/* lk/pem.h - certificates and the like out of PEM text (RFC 7468), whatever else stands between
 * them. */
#ifndef LK_PEM_H
#define LK_PEM_H

#include "lk/slice.h"

#define LK_PEM_DER_MAX 8192 /* of one certificate; real ones have 1 to 2.5 KiB */

enum lk_pem { LK_PEM_END, LK_PEM_CERT, LK_PEM_BAD };

/* The next certificate is taken off the front of `text`, and its DER replaces what `der` held,
 * which has room for LK_PEM_DER_MAX bytes (with less, longer ones are LK_PEM_BAD). LK_PEM_BAD:
 * there is one, but it is damaged or too large; go on for the rest. That the DER is a certificate
 * is not checked. */
enum lk_pem lk_pem_next(struct lk_slice *text, struct lk_buf *der);
/* The same for what stands between these two lines. */
enum lk_pem lk_pem_between(
    struct lk_slice *text, struct lk_slice begin, struct lk_slice end, struct lk_buf *der);

#endif
