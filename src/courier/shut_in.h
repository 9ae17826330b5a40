/* shut_in.h - what a courier gives up before it sees its peer's first byte. */
#ifndef LK_SHUT_IN_H
#define LK_SHUT_IN_H

#include "lk/courier.h"

/* The one descriptor (and the disk's) stay open, at these numbers; 0 to 2 lead nowhere. */
#define LK_COURIER_FD      3
#define LK_COURIER_DISK_FD 4

/* Move the descriptors to their places and close everything else. Returns an errno value or 0. */
int lk_courier_descriptors(int fd, int disk_fd);

/* Give up identity, privileges and resources. Call after lk_courier_descriptors and before anything
 * is read. `keeper` is the parent's process id. LK_ESYS names the step that failed: a courier that
 * keeps its privileges must not run. */
LK_CHECK enum lk_code lk_courier_shut_in(enum lk_peer peer, pid_t keeper, struct lk_err *e);

#endif
