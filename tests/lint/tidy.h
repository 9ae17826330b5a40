/* For clang-tidy only, before each file: the analyzer looks at one file at a time and would believe
 * that a failure may be LK_OK. */
#ifndef LK_LINT_TIDY_H
#define LK_LINT_TIDY_H

#include "lk/err.h"

#define lk_fail(e, code, ...)     ((void)lk_fail(e, code, __VA_ARGS__), (code))
#define lk_fail_sys(e, err, ...)  ((void)lk_fail_sys(e, err, __VA_ARGS__), LK_ESYS)
#define lk_hint(e, ...)           ((void)lk_hint(e, __VA_ARGS__), LK_EBUG)
#define lk_err_prefix(e, ...)     ((void)lk_err_prefix(e, __VA_ARGS__), LK_EBUG)
#define lk_err_retry(e)           ((void)lk_err_retry(e), LK_EBUG)

#endif
