/* One exchange over real sockets: what is sent, and how stalls, resets and early ends come out. */
#include "t.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include "lk/http.h"
#include "lk/io.h"

#ifndef LK_VERSION
#define LK_VERSION "dev"
#endif

#define ANSWER "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

static uint8_t bytes[4096], seen[16384];
static struct lk_buf store;
static struct lk_http_rsp rsp;
static struct lk_err err;

static const struct lk_http_req get = {
    .method = "GET",
    .host = "169.254.169.254",
    .target = {(const uint8_t *)"/metadata?a=b", 13},
    .metadata = true,
};

static enum lk_code exchange(struct lk_conn *c, const struct lk_http_req *req, int64_t ms)
{
	memset(&err, 0, sizeof(err));
	store = LK_BUF(bytes);
	return lk_http_do(c, req, &store, &rsp, lk_deadline_in(ms), &err);
}

static bool make_pair(struct lk_conn *c, int *peer)
{
	int s[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) != 0)
		return false;
	*c = (struct lk_conn){.fd = s[0], .tls = NULL};
	*peer = s[1];
	return fcntl(s[0], F_SETFL, O_NONBLOCK) == 0;
}

static void say(int fd, const char *text)
{
	OK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

/* The answer lies in the socket before the request is sent; then look at what was sent. */
static size_t sent(const struct lk_http_req *req, enum lk_code want)
{
	struct lk_conn c;
	int peer;
	ssize_t n;

	if (!make_pair(&c, &peer))
		return 0;
	say(peer, ANSWER);
	EQ_CODE(want, exchange(&c, req, 5000));
	EQ_I(c.fd, -1);
	n = read(peer, seen, sizeof(seen));
	close(peer);
	return n > 0 ? (size_t)n : 0;
}

T(sends_a_get)
{
	static const char want[] = "GET /metadata?a=b HTTP/1.1\r\n"
				   "Host: 169.254.169.254\r\n"
				   "User-Agent: latchkey/" LK_VERSION "\r\n"
				   "Accept: application/json\r\n"
				   "Accept-Encoding: identity\r\n"
				   "Connection: close\r\n"
				   "Metadata: true\r\n"
				   "\r\n";

	size_t n = sent(&get, LK_OK);
	EQ_BYTES(seen, n, want, sizeof(want) - 1);
	EQ_U(rsp.status, 200);
	EQ_U(rsp.json, true);
	EQ_BYTES(rsp.body.p, rsp.body.n, "{}", 2);
	OK(rsp.body.p == bytes);
}

T(sends_a_post)
{
	static const char want[] = "POST /keys/k/release HTTP/1.1\r\n"
				   "Host: x.vault.azure.net\r\n"
				   "User-Agent: latchkey/" LK_VERSION "\r\n"
				   "Accept: application/json\r\n"
				   "Accept-Encoding: identity\r\n"
				   "Connection: close\r\n"
				   "Authorization: Bearer abc.def\r\n"
				   "x-ms-client-request-id: 01-23\r\n"
				   "Content-Type: application/json\r\n"
				   "Content-Length: 9\r\n"
				   "\r\n"
				   "{\"a\":\"b\"}";
	struct lk_http_req req = {
	    .method = "POST",
	    .host = "x.vault.azure.net",
	    .target = LK_S("/keys/k/release"),
	    .bearer = LK_S("abc.def"),
	    .body = LK_S("{\"a\":\"b\"}"),
	    .request_id = "01-23",
	};

	size_t n = sent(&req, LK_OK);
	EQ_BYTES(seen, n, want, sizeof(want) - 1);
}

/* A line break in anything that goes into the head would be a second request. */
T(refuses_to_send_what_breaks_the_head)
{
	struct lk_http_req bad[7] = {get, get, get, get, get, get, get};

	bad[0].bearer = LK_S("abc\r\nX: y");
	bad[1].target = LK_S("/a b");
	bad[2].target = LK_S("/a\r\n");
	bad[3].host = "a\nb";
	bad[4].request_id = "\r\n";
	bad[5].target = LK_S("http://other/");
	bad[6].accept = "*/*\r\nX: y";
	for (size_t i = 0; i < 7; i++)
		EQ_U(sent(&bad[i], LK_EUSAGE), 0);
}

T(limits_the_request_head)
{
	static uint8_t token[16384];
	struct lk_http_req req = get;

	memset(token, 'x', sizeof(token));
	req.bearer = lk_slice_of(token, 8192);
	OK(sent(&req, LK_OK) > 8192);
	req.bearer = lk_slice_of(token, sizeof(token));
	EQ_U(sent(&req, LK_ELIMIT), 0);
}

T(bytes_after_the_end)
{
	struct lk_conn c;
	int peer;

	NEED(make_pair(&c, &peer));
	say(peer, ANSWER "x");
	EQ_CODE(LK_EPROTO, exchange(&c, &get, 5000));
	close(peer);
}

T(end_without_an_answer)
{
	struct lk_conn c;
	int peer;

	NEED(make_pair(&c, &peer));
	shutdown(peer, SHUT_WR);
	EQ_CODE(LK_ENET, exchange(&c, &get, 5000));
	OK(err.retry);
	close(peer);
	NEED(make_pair(&c, &peer));
	say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}");
	shutdown(peer, SHUT_WR);
	EQ_CODE(LK_EPROTO, exchange(&c, &get, 5000));
	OK(err.retry);
	close(peer);
}

/* TCP, since only it resets. */
static bool make_tcp(struct lk_conn *c, int *peer)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*c = (struct lk_conn){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .tls = NULL};
	if (l < 0 || bind(l, (struct sockaddr *)&a, n) != 0 || listen(l, 1) != 0 ||
	    getsockname(l, (struct sockaddr *)&a, &n) != 0 ||
	    connect(c->fd, (struct sockaddr *)&a, n) != 0)
		return false;
	*peer = accept(l, NULL, NULL);
	close(l);
	return *peer >= 0 && fcntl(c->fd, F_SETFL, O_NONBLOCK) == 0;
}

static void reset(int fd)
{
	struct linger l = {.l_onoff = 1, .l_linger = 0};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(fd);
}

/* The peer reads the request, says `text` byte by byte with pauses, then resets or waits. */
static pid_t child(struct lk_conn *c, int peer, const char *text, useconds_t pause, bool wait)
{
	fflush(NULL);
	pid_t pid = fork();

	if (pid != 0) {
		close(peer);
		return pid;
	}
	close(c->fd);
	(void)read(peer, seen, sizeof(seen));
	for (; *text; text++) {
		if (write(peer, text, 1) != 1)
			_exit(0);
		usleep(pause);
	}
	if (wait)
		sleep(20);
	usleep(20000); /* the bytes first, then the reset */
	reset(peer);
	_exit(0);
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

T(reset_at_every_byte)
{
	static const char answer[] = ANSWER;
	char part[sizeof(answer)];

	for (size_t n = 0; n < sizeof(answer) - 1; n += 13) {
		struct lk_conn c;
		int peer;
		NEED(make_tcp(&c, &peer));
		memcpy(part, answer, n);
		part[n] = '\0';
		pid_t pid = child(&c, peer, part, 0, false);
		EQ_CODE(LK_ENET, exchange(&c, &get, 5000));
		OK(err.retry);
		EQ_I(c.fd, -1);
		end(pid);
	}
}

T(one_deadline_for_a_trickle)
{
	struct lk_conn c;
	int peer;
	lk_time before = lk_now();

	NEED(make_tcp(&c, &peer));
	pid_t pid = child(&c, peer, ANSWER, 20000, true);
	EQ_CODE(LK_ETIME, exchange(&c, &get, 300));
	OK(lk_now() - before >= 300 && lk_now() - before < 2000);
	end(pid);
}

T(a_trickle_in_time_is_fine)
{
	struct lk_conn c;
	int peer;

	NEED(make_tcp(&c, &peer));
	pid_t pid = child(&c, peer, ANSWER, 500, true);
	EQ_CODE(LK_OK, exchange(&c, &get, 5000));
	EQ_BYTES(rsp.body.p, rsp.body.n, "{}", 2);
	end(pid);
}

/* A peer that never reads: the request itself runs into the deadline. */
T(a_peer_that_does_not_read)
{
	static uint8_t big[8 << 20];
	struct lk_http_req req = get;
	struct lk_conn c;
	int peer;

	NEED(make_pair(&c, &peer));
	memset(big, ' ', sizeof(big));
	req.method = "POST";
	req.body = lk_slice_of(big, sizeof(big));
	EQ_CODE(LK_ETIME, exchange(&c, &req, 200));
	close(peer);
}
