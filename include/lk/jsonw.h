/* lk/jsonw.h - write JSON into a bounded buffer.
 *
 * Commas, nesting (up to 16) and escapes are its business; the caller's text must be UTF-8
 * (asserted). Overflow is sticky in the buffer. Use inside an object with a name, inside an array
 * with name NULL.
 */
#ifndef LK_JSONW_H
#define LK_JSONW_H

#include "lk/slice.h"

struct lk_jsonw {
	struct lk_buf *out;
	uint32_t first;
	uint32_t array;
	unsigned depth;
};

void lk_jsonw_start(struct lk_jsonw *w, struct lk_buf *out);
void lk_jsonw_object(struct lk_jsonw *w, const char *name);
void lk_jsonw_array(struct lk_jsonw *w, const char *name);
void lk_jsonw_end(struct lk_jsonw *w); /* closes the innermost object or array */
void lk_jsonw_str(struct lk_jsonw *w, const char *name, struct lk_slice v);
void lk_jsonw_int(struct lk_jsonw *w, const char *name, int64_t v);
void lk_jsonw_bool(struct lk_jsonw *w, const char *name, bool v);
void lk_jsonw_null(struct lk_jsonw *w, const char *name);
void lk_jsonw_b64(struct lk_jsonw *w, const char *name, struct lk_slice bytes);
void lk_jsonw_b64url(struct lk_jsonw *w, const char *name, struct lk_slice bytes);
void lk_jsonw_raw(struct lk_jsonw *w, const char *name, struct lk_slice json); /* text that is JSON
										  already */

#endif
