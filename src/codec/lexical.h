/* lexical.h - the smallest pieces of JSON text, shared by the reader and the writer. */
#ifndef LK_CODEC_LEXICAL_H
#define LK_CODEC_LEXICAL_H

#include "lk/slice.h"

/* Length of the well-formed UTF-8 sequence at `at` (Unicode, table 3-7: no overlong forms, no
 * surrogates, nothing above U+10FFFF), or 0. */
size_t lk_utf8_step(struct lk_slice s, size_t at);
bool lk_utf8_ok(struct lk_slice s);

/* Length of the escape at `at`, which holds a backslash: 2, 6, or 12 for a pair of surrogates; 0 if
 * it is not one, is half a pair, or means U+0000. The bytes it stands for go to utf8. */
size_t lk_escape_step(struct lk_slice s, size_t at, uint8_t utf8[static 4], size_t *n);

#endif
