/* lk/fmt.h - formatted text without the C library's printf, which brings floating point, wide
 * characters and streams into the program (13 KiB).
 *
 * A subset of printf's language, with printf's meaning: %s %c %d %i %u %x %X and %%, the flags `-`
 * and `0`, width and precision (also as `*`), the lengths l, ll and z. Anything else shows as it
 * stands. The compiler checks the arguments. No locale, no allocation, no failure.
 */
#ifndef LK_FMT_H
#define LK_FMT_H

#include <stdarg.h>
#include <stddef.h>

#include "lk/err.h"

/* Into out, cut to cap bytes with the NUL that is always written (cap > 0). Returns the length that
 * the whole text has. */
size_t lk_vfmt(char *out, size_t cap, const char *fmt, va_list ap) LK_PRINTF(3, 0);
size_t lk_fmt(char *out, size_t cap, const char *fmt, ...) LK_PRINTF(3, 4);

/* To a file descriptor, up to 2 KiB at a time. Failures are ignored, as for messages to people. */
void lk_print(int fd, const char *fmt, ...) LK_PRINTF(2, 3);

#endif
