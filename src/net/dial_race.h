/* dial_race.h - the part of dialling after the look-up: order of the addresses and the attempts. */
#ifndef LK_NET_DIAL_RACE_H
#define LK_NET_DIAL_RACE_H

#include <netinet/in.h>
#include <poll.h>

#include "lk/clock.h"

#define LK_RACE_MAX        8   /* addresses; more are left out */
#define LK_RACE_STAGGER_MS 250 /* RFC 8305, section 5 */

union lk_addr {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct lk_addrs {
	size_t n4, n6;
	struct in_addr v4[LK_RACE_MAX];
	struct in6_addr v6[LK_RACE_MAX];
};

struct lk_race {
	union lk_addr addr[LK_RACE_MAX];
	size_t n;    /* addresses */
	size_t next; /* the first not yet tried */
	struct pollfd open[LK_RACE_MAX];
	size_t n_open;
	int first_err; /* errno of the first that failed */
};

socklen_t lk_addr_len(const union lk_addr *a);
/* Families by turns, IPv6 first: where that does not work, it mostly fails at once. */
void lk_race_order(struct lk_race *r, const struct lk_addrs *list, uint16_t port);
/* The winner's descriptor in *won, or LK_ENET (retry) with the first failure, or LK_ETIME. */
LK_CHECK enum lk_code lk_race_run(struct lk_race *r, lk_time deadline, int *won, struct lk_err *e);

#endif
