/* tls_peer.h - starts tests/unit/tls_peer.py once per program and keeps what it says. */
#ifndef LK_TEST_TLS_PEER_H
#define LK_TEST_TLS_PEER_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "lines.h"
#include "lk/tls.h"

#define PEER_HOST "service.test"

struct peer_chain {
	char name[32];
	struct lk_slice der[6];
	size_t n;
};

static struct {
	bool up;
	unsigned ports, chains;
	struct {
		char name[32];
		uint16_t port;
	} port[80];
	struct peer_chain chain[40];
	struct lk_roots roots, other_roots;
} peer;

static inline struct lk_slice peer_keep(struct line *l, unsigned i)
{
	struct lk_slice v = line_hex(l, i);
	uint8_t *p = malloc(v.n + 1);
	if (p == NULL)
		abort();
	memcpy(p, v.p, v.n);
	return lk_slice_of(p, v.n);
}

static inline void peer_line(struct line *l)
{
	if (strcmp(l->w[0], "port") == 0) {
		snprintf(peer.port[peer.ports].name, sizeof(peer.port[0].name), "%s", l->w[1]);
		peer.port[peer.ports++].port = (uint16_t)atoi(l->w[2]);
	} else if (strcmp(l->w[0], "chain") == 0) {
		struct peer_chain *c = &peer.chain[peer.chains++];
		snprintf(c->name, sizeof(c->name), "%s", l->w[1]);
		while (c->n + 2 < l->n && c->n < 6) {
			c->der[c->n] = peer_keep(l, (unsigned)c->n + 2);
			c->n++;
		}
	} else if (strcmp(l->w[0], "roots") == 0) {
		peer.roots.pem = peer_keep(l, 1);
	} else if (strcmp(l->w[0], "other-roots") == 0) {
		peer.other_roots.pem = peer_keep(l, 1);
	} else if (strcmp(l->w[0], "ready") == 0) {
		peer.up = true;
	}
}

/* Ends the program if there is no peer: then there is nothing to test. */
static inline void peer_start(void)
{
	int in[2], out[2];
	struct line l = {0};
	if (peer.up)
		return;
	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
		abort();
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		/* it ends when our side of this pipe does, whatever becomes of us */
		dup2(in[0], 0);
		dup2(out[1], 1);
		execl("/usr/bin/python3", "python3", "tests/unit/tls_peer.py", (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	FILE *f = fdopen(out[0], "r");
	while (f != NULL && !peer.up && line_next(f, &l))
		peer_line(&l);
	free(l.text);
	free(l.bytes);
	if (!peer.up) {
		printf("Bail out! tests/unit/tls_peer.py does not start\n");
		exit(1);
	}
}

static inline const struct peer_chain *peer_chain(const char *name)
{
	peer_start();
	for (unsigned i = 0; i < peer.chains; i++)
		if (strcmp(peer.chain[i].name, name) == 0)
			return &peer.chain[i];
	printf("Bail out! no chain %s\n", name);
	exit(1);
}

/* A connected, non-blocking socket to the server of this case. */
static inline int peer_connect(const char *name)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	peer_start();
	for (unsigned i = 0; i < peer.ports; i++)
		if (strcmp(peer.port[i].name, name) == 0)
			to.sin_port = htons(peer.port[i].port);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (to.sin_port == 0 || fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
		printf("Bail out! no server %s\n", name);
		exit(1);
	}
	return fd;
}

#endif
