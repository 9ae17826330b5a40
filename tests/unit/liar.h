/* liar.h - a courier that is not ours any more: the test plays it, on the other end of a socket
 * pair.
 */
#ifndef LK_TEST_LIAR_H
#define LK_TEST_LIAR_H

#include <sys/socket.h>

#include "lk/courier.h"
#include "lk/io.h"

static uint8_t room[LK_FRAME_MAX];

static struct lk_buf store(void)
{
	return (struct lk_buf){.p = room, .n = 0, .cap = sizeof(room), .bad = false};
}

static int liar = -1;

static void start_liar(struct lk_courier *c)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		abort();
	memset(c, 0, sizeof(*c));
	c->conf.peer = LK_PEER_IMDS;
	c->conf.deadline = lk_deadline_in(2000);
	c->fd = pair[0];
	liar = pair[1];
}

static void stop_liar(struct lk_courier *c)
{
	lk_close(&liar);
	lk_courier_stop(c);
}

static void say(enum lk_frame type, const struct lk_buf *b)
{
	struct lk_err e = {0};

	if (lk_frame_send(liar, type, b, lk_deadline_in(1000), &e) != LK_OK)
		abort();
}

#endif
