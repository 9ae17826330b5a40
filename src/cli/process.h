/* process.h - parts of running another program, with what it needs and nothing else; private to
 * src/cli.
 *
 * No shell, no search: absolute paths. The environment is PATH and LC_ALL=C alone. Secrets go in
 * through pipes, never as arguments.
 */
#ifndef LK_CLI_PROCESS_H
#define LK_CLI_PROCESS_H

#include <sys/types.h>

#include "lk/clock.h"
#include "lk/slice.h"

/* A pipe that holds all of `data` and then ends; `end` is where it is read. LK_ESYS: also when the
 * data does not fit into a pipe. `name`: of the program, for messages, here and below. */
LK_CHECK enum lk_code lk_process_pipe(
    const char *name, struct lk_slice data, int *end, struct lk_err *e);

/* Start it with these as descriptors 0 to 3 (-1: it has none of that number). argv begins with its
 * name. That the program cannot be run shows as exit status 127. LK_ESYS. */
LK_CHECK enum lk_code lk_process_start(const char *program, const char *const *argv,
    const int fds[static 4], pid_t *pid, struct lk_err *e);

struct lk_process_says {
	int out, err;                   /* we read its standard output and error here, or -1 */
	struct lk_buf *to_out, *to_err; /* as far as there is room, or NULL */
};
/* Read until it has closed both, and close them. LK_ETIME: both are still to be closed. */
LK_CHECK enum lk_code lk_process_hear(
    const char *name, struct lk_process_says *s, lk_time deadline, struct lk_err *e);

/* Wait until it has ended; the status is that of waitpid(2). */
LK_CHECK enum lk_code lk_process_wait(const char *name, pid_t pid, int *status, struct lk_err *e);

#endif
