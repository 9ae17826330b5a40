/* serve.h - what all couriers share: the frame loop, the connection, the repeats.
 *
 * A courier to the attestation service or the vault connects as soon as it starts and keeps that
 * connection for its first request, others connect when they are asked; HTTP requests close their
 * connection, so every further one dials again. All of it runs in the child.
 */
#ifndef LK_SERVE_H
#define LK_SERVE_H

#include "lk/courier.h"
#include "lk/log.h"

/* Names of the steps in LK_F_STEP frames. */
#define LK_STEP_CONNECT  "dns+connect"
#define LK_STEP_TLS      "tls"
#define LK_STEP_EXCHANGE "exchange"

#define LK_SERVE_LINE     900 /* a log line */
#define LK_SERVE_ASK_MAX  LK_FRAME_MAX
#define LK_SERVE_CONFINED 111 /* exit status: the walls could not be put up */

/* Send this process's log lines to the keeper. */
void lk_serve_log(int fd, enum lk_peer peer);

struct lk_serve {
	int fd;
	const struct lk_courier_conf *conf;
	struct lk_conn conn;
	bool ready; /* conn is connected and unused */
	lk_time ready_at;
};

/* How often a request is repeated, and how long the first pause is. Transport failures are repeated
 * until the deadline whatever `tries` says: at boot the network may still be on its way. */
struct lk_retry {
	unsigned tries;    /* answers with an error that invites a repeat; 0: until the deadline */
	uint32_t pause_ms; /* doubled each time, up to 16 s, with jitter; Retry-After wins */
};

/* Answer frames until the keeper closes. `on_frame` sends its own answer; a failure that it returns
 * is sent as LK_F_ERROR. Returns the process's exit status. */
typedef enum lk_code (*lk_serve_fn)(
    struct lk_serve *s, enum lk_frame type, struct lk_frame_reader *in, struct lk_err *e);
int lk_serve_loop(int fd, const struct lk_courier_conf *conf, lk_serve_fn on_frame);

/* One request with repeats. `parse` judges an answer: what it fails with decides, through e->retry,
 * whether the request is sent again. */
typedef enum lk_code (*lk_serve_parse)(void *ctx, const struct lk_http_rsp *rsp, struct lk_err *e);
LK_CHECK enum lk_code lk_serve_request(struct lk_serve *s, const struct lk_http_req *req,
    const struct lk_retry *retry, lk_serve_parse parse, void *ctx, struct lk_err *e);

/* Send an answer. */
LK_CHECK enum lk_code lk_serve_reply(
    struct lk_serve *s, enum lk_frame type, const struct lk_buf *payload, struct lk_err *e);
/* A frame that this courier does not answer. */
enum lk_code lk_serve_unknown(enum lk_frame type, struct lk_err *e);

/* One arena per courier: requests, responses and replies are built in these. */
struct lk_serve_room {
	uint8_t ask[LK_SERVE_ASK_MAX];  /* the frame that came in */
	uint8_t scratch[LK_FRAME_MAX];  /* documents on their way into a request */
	uint8_t request[512u * 1024u];  /* a request body: the event log, three times base64 */
	uint8_t response[128u * 1024u]; /* head and body of a response */
	uint8_t parsed[128u * 1024u];   /* what was decoded from it */
	uint8_t reply[LK_FRAME_MAX];    /* the frame that goes out */
};
extern struct lk_serve_room lk_room;

#endif
