/* http_script.h - a server without TLS that expects these requests in this order, and no others.
 *
 * It is a process of its own and judges by its exit status, which script_end() checks: every line
 * was asked for, each over a connection of its own. What is not as expected is answered with 400
 * and printed.
 */
#ifndef LK_TEST_HTTP_SCRIPT_H
#define LK_TEST_HTTP_SCRIPT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include "lk/slice.h"
#include "t.h"

struct script_line {
	const char *target;
	const char *status; /* "200 OK", and more lines of the head without the last CRLF */
	struct lk_slice body;
};

static pid_t script_pid;

/* The whole of a head that the client may send; `more` is what depends on the peer. */
static inline bool script_head(int fd, const char *target, const char *more)
{
	static char is[4096], want[4096];
	size_t n = 0;
	ssize_t k = 1;

	memset(is, 0, sizeof(is));
	while (k > 0 && n < sizeof(is) - 1 && !strstr(is, "\r\n\r\n")) {
		k = read(fd, is + n, sizeof(is) - 1 - n);
		n += k > 0 ? (size_t)k : 0;
	}
	char *agent = strstr(is, "User-Agent: latchkey/"),
	     *end = agent ? strchr(agent, '\r') : NULL;
	if (end)
		memmove(agent + 20, end, strlen(end) + 1); /* without the version */
	(void)snprintf(want, sizeof(want),
	    "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: latchkey%sAccept-Encoding: "
	    "identity\r\nConnection: close\r\n%s\r\n",
	    target,
	    strstr(more, "Metadata") ? "\r\nAccept: application/json\r\n" : "\r\nAccept: */*\r\n",
	    more);
	if (strcmp(is, want) == 0)
		return true;
	printf("# script: asked\n%s# instead of\n%s", is, want);
	fflush(stdout);
	return false;
}

static inline void script_send(int fd, const void *p, size_t n)
{
	const char *at = p;

	while (n > 0) {
		ssize_t k = write(fd, at, n);
		if (k <= 0)
			return;
		at += k;
		n -= (size_t)k;
	}
}

_Noreturn static inline void script_serve(
    int listener, const struct script_line *line, size_t n, const char *more)
{
	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < n; i++) {
		char head[600];
		int fd = accept(listener, NULL, NULL);
		bool right = script_head(fd, line[i].target, more);

		(void)snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n",
		    right ? line[i].status : "400 Bad Request", right ? line[i].body.n : 0);
		script_send(fd, head, strlen(head));
		if (right)
			script_send(fd, line[i].body.p, line[i].body.n);
		close(fd);
		if (!right)
			_exit(1);
	}
	_exit(0);
}

/* Returns the port. `more` is "Metadata: true\r\n" or "". */
static inline uint16_t script_start(const struct script_line *line, size_t n, const char *more)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&a, size) != 0 || listen(fd, 8) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &size) != 0)
		abort();
	fflush(stdout);
	script_pid = fork();
	if (script_pid == 0)
		script_serve(fd, line, n, more);
	close(fd);
	return ntohs(a.sin_port);
}

/* The client is through: what it has not asked for by now it never will. The last line was read
 * before the server ends, so that has a while. */
static inline void script_end(void)
{
	int status = -1;
	pid_t ended = 0;

	for (int i = 0; i < 1000 && ended == 0; i++) {
		ended = waitpid(script_pid, &status, WNOHANG);
		if (ended == 0)
			usleep(10000);
	}
	if (ended == 0) {
		(void)kill(script_pid, SIGKILL);
		(void)waitpid(script_pid, &status, 0);
		T_FAIL("a request was never sent");
	}
	EQ_I(status, 0);
}

#endif
