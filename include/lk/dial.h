/* lk/dial.h - resolve and connect under a deadline.
 *
 * Names are resolved by a stub resolver of our own (src/net/dns.h) in this (courier) process; all
 * addresses are tried, IPv6 and IPv4 interleaved, a new attempt every 250 ms while earlier ones are
 * pending; the first that connects wins, the others are closed. The socket is non-blocking and
 * close-on-exec, TCP_NODELAY set. At most eight addresses. A dotted IPv4 address needs no look-up;
 * other spellings of addresses are no names (LK_EUSAGE). LK_ENET (retry) names host, port and
 * reason; LK_ETIME.
 */
#ifndef LK_DIAL_H
#define LK_DIAL_H

#include "lk/clock.h"

LK_CHECK enum lk_code lk_dial(
    const char *host, uint16_t port, lk_time deadline, int *fd, struct lk_err *e);

#endif
