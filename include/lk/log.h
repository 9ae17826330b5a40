/* lk/log.h - lines for a person at a serial console.
 *
 * Sinks: stderr (with <N> prefixes if the caller says so) and, when asked for, /dev/kmsg with one
 * write per record. Every line carries the milliseconds since the program's start. Logging never
 * blocks and never fails a caller. A child process sets a hook that sends its lines to the keeper
 * instead.
 */
#ifndef LK_LOG_H
#define LK_LOG_H

#include "lk/secret.h"

enum lk_level { LK_LOG_ERR = 3, LK_LOG_WARN = 4, LK_LOG_INFO = 6, LK_LOG_DEBUG = 7 };

struct lk_log_conf {
	enum lk_level level; /* lines above it are dropped */
	bool kmsg;           /* also write to /dev/kmsg */
	bool quiet;          /* no stderr */
	bool journal;        /* stderr goes to the journal: put <N> in front of each line */
	const char *tag;     /* "latchkey" */
};

void lk_log_open(const struct lk_log_conf *conf);
/* Lines go to `hook` instead of the sinks (NULL: back to the sinks). */
void lk_log_hook(void (*hook)(void *ctx, enum lk_level level, const char *line), void *ctx);
void lk_log(enum lk_level level, const char *fmt, ...) LK_PRINTF(2, 3);
/* "msg; hint" of an error as one line. */
void lk_log_err(enum lk_level level, const struct lk_err *e);
bool lk_log_wants(enum lk_level level);

/* Append at most `max` bytes of a peer's text: printable ASCII as is, everything else as '?', never
 * a line break. */
void lk_log_printable(struct lk_buf *out, struct lk_slice text, size_t max);

#endif
