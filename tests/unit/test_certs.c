/* Which TCB a certificate is for, and the host's table, asked of a real courier. */
#include "certs_rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* ---- the TCB of a leaf */

T(tcb_of_a_leaf)
{
	unsigned fine = 0;

	made_load();
	for (struct made *m = rows; m < rows + rows_n; m++) {
		const bool chip = !strncmp(m->name, "chip", 4), unsigned_ = m->snp.signer == 7;
		const bool shape = !strcmp(m->name, "no_chip") || !strcmp(m->name, "no_fmc") ||
				   !strcmp(m->name, "level_twice") || !strcmp(m->name, "salt") ||
				   !strcmp(m->name, "two_algorithms");
		const enum lk_code want = chip || unsigned_ ? LK_EATTEST
					  : shape           ? LK_EPROTO
							    : LK_OK;
		uint64_t tcb = 1;

		e = (struct lk_err){0};
		enum lk_code rc = lk_snp_certs_tcb(&m->snp, &m->certs, &tcb, &e);
		if (rc != want)
			T_FAIL("%s: code %d: %s", m->name, (int)rc, e.msg);
		else if (rc == LK_OK && tcb != made_tcb(m))
			T_FAIL("%s: TCB %016llx", m->name, (unsigned long long)tcb);
		fine += rc == LK_OK;
	}
	EQ_U(fine, 21);
}

/* A leaf says nothing of some bytes of a TCB; those never make a difference. */
T(bytes_that_no_certificate_names)
{
	struct lk_snp s = made("milan3")->snp;
	uint64_t tcb = 0;

	for (unsigned i = 0; i < 8; i++) {
		s.reported_tcb = made("milan3")->snp.reported_tcb ^ (uint64_t)1 << 8 * i;
		EQ_CODE(LK_OK, lk_snp_certs_tcb(&s, &made("milan3")->certs, &tcb, &e));
		OK((tcb == s.reported_tcb) == (i >= 2 && i <= 5));
	}
	s = made("turin5")->snp;
	for (unsigned i = 0; i < 8; i++) {
		s.reported_tcb = made("turin5")->snp.reported_tcb ^ (uint64_t)1 << 8 * i;
		EQ_CODE(LK_OK, lk_snp_certs_tcb(&s, &made("turin5")->certs, &tcb, &e));
		OK((tcb == s.reported_tcb) == (i >= 4 && i <= 6));
	}
}

T(the_leaf_that_signed)
{
	struct lk_snp_certs none = {0}, other = {.vlek = made("milan3")->certs.vcek};
	uint64_t tcb;

	EQ_CODE(LK_EABSENT, lk_snp_certs_tcb(&made("milan3")->snp, &none, &tcb, &e));
	EQ_CODE(LK_EABSENT, lk_snp_certs_tcb(&made("milan3")->snp, &other, &tcb, &e));
	EQ_CODE(LK_OK, lk_snp_certs_tcb(&made("vlek")->snp, &other, &tcb, &e));
	/* A VLEK names no processor, whatever the report does. */
	struct lk_snp s = made("vlek")->snp;
	s.chip_id = made("milan3")->snp.chip_id;
	EQ_CODE(LK_OK, lk_snp_certs_tcb(&s, &made("vlek")->certs, &tcb, &e));
}

/* ---- the table */

T(table_of_every_generation)
{
	made_load();
	NO_PEER;
	for (struct made *m = rows; m < rows + rows_n; m++) {
		uint64_t tcb = 0;
		enum lk_code want = lk_snp_certs_tcb(&m->snp, &m->certs, &tcb, &e);
		enum lk_code rc = ask(LK_CERTS_TABLE, m->report, table_of(&m->certs));

		if (rc != want)
			T_FAIL("%s: code %d: %s", m->name, (int)rc, e.msg);
		if (rc != LK_OK)
			continue;
		const char *pem = pem_of(&m->certs, m->snp.signer);
		EQ_BYTES(got.pem.p, got.pem.n, pem, strlen(pem));
		OK(got.has_tcbm);
		EQ_U(got.tcbm, made_tcb(m));
	}
	lk_courier_stop(&courier);
}

/* The host holds both kinds: which one is sent follows from the report. */
T(table_with_both_leaves)
{
	struct lk_snp_certs both = made("milan3")->certs;

	both.vlek = made("vlek")->certs.vlek;
	NO_PEER;
	EQ_CODE(LK_OK, ask(LK_CERTS_TABLE, made("vlek")->report, table_of(&both)));
	struct lk_snp_certs only = {.vlek = both.vlek, .ask = both.ask, .ark = both.ark};
	const char *pem = pem_of(&only, LK_SNP_VLEK);
	EQ_BYTES(got.pem.p, got.pem.n, pem, strlen(pem));
	EQ_CODE(LK_OK, ask(LK_CERTS_TABLE, made("milan3")->report, table_of(&both)));
	pem = pem_of(&both, LK_SNP_VCEK);
	EQ_BYTES(got.pem.p, got.pem.n, pem, strlen(pem));
	lk_courier_stop(&courier);
}

T(table_that_lacks_one_is_absent)
{
	const struct made *m = made("milan3"), *v = made("vlek");
	const struct lk_snp_certs c = m->certs;
	const struct lk_snp_certs part[] = {{.ask = c.ask, .ark = c.ark},
	    {.vcek = c.vcek, .ark = c.ark}, {.vcek = c.vcek, .ask = c.ask},
	    {.vlek = v->certs.vlek, .ask = c.ask, .ark = c.ark}, {.ask = c.ask}};
	static const char *const names[] = {"VCEK", "ASK", "ARK", "VCEK", "VCEK"};

	NO_PEER;
	for (size_t i = 0; i < 5; i++) {
		EQ_CODE(LK_EABSENT, ask(LK_CERTS_TABLE, m->report, table_of(&part[i])));
		says(names[i]);
	}
	EQ_CODE(LK_EABSENT, ask(LK_CERTS_TABLE, v->report, table_of(&c)));
	says("VLEK");
	EQ_CODE(LK_EABSENT, ask(LK_CERTS_TABLE, m->report, NONE));
	static const uint8_t zeros[LK_SNP_CERTS_MAX];
	EQ_CODE(LK_EABSENT, ask(LK_CERTS_TABLE, m->report, lk_slice_of(zeros, sizeof(zeros))));
	OK(courier.fd >= 0);
	lk_courier_stop(&courier);
}

/* As an attacker writes it: an error each time, and the courier lives. */
T(hostile_tables)
{
	const struct made *m = made("milan3");
	static uint8_t copy[LK_SNP_CERTS_MAX];
	struct lk_slice good = table_of(&m->certs);

	NO_PEER;
	memcpy(copy, good.p, good.n);
	for (size_t n = 1; n < 4000; n += 61)
		EQ_CODE(LK_EPROTO, ask(LK_CERTS_TABLE, m->report, lk_slice_of(copy, n)));
	for (size_t at = 16; at < 72; at += at % 24 == 23 ? 17 : 1) { /* offsets and lengths */
		copy[at] ^= 0xC1;
		enum lk_code rc = ask(LK_CERTS_TABLE, m->report, lk_slice_of(copy, good.n));
		if (rc == LK_OK)
			T_FAIL("byte %zu", at);
		copy[at] ^= 0xC1;
	}
	/* What is DER, but no certificate as AMD writes them. */
	struct lk_snp_certs other = m->certs;
	other.vcek = other.ark;
	EQ_CODE(LK_EPROTO, ask(LK_CERTS_TABLE, m->report, table_of(&other)));
	other.vcek = LK_S("\x30\x00");
	EQ_CODE(LK_EPROTO, ask(LK_CERTS_TABLE, m->report, table_of(&other)));
	EQ_CODE(LK_OK, ask(LK_CERTS_TABLE, m->report, lk_slice_of(copy, good.n)));
	lk_courier_stop(&courier);
}

/* Text is a third longer than DER: what does not fit into an answer is said so. */
T(table_that_is_too_long_as_text)
{
	const struct made *m = made("milan3");
	static uint8_t big[12000];
	struct lk_snp_certs c = m->certs;

	big[0] = 0x30;
	big[1] = 0x82;
	big[2] = (sizeof(big) - 4) >> 8;
	big[3] = (uint8_t)(sizeof(big) - 4);
	c.ark = lk_slice_of(big, sizeof(big));
	NO_PEER;
	EQ_CODE(LK_ELIMIT, ask(LK_CERTS_TABLE, m->report, table_of(&c)));
	lk_courier_stop(&courier);
}

T(table_of_another_processor)
{
	NO_PEER;
	EQ_CODE(LK_EATTEST,
	    ask(LK_CERTS_TABLE, made("milan2")->report, table_of(&made("turin5")->certs)));
	struct lk_slice chip = made("milan2")->snp.chip_id;
	char hex[17] = "";
	for (unsigned i = 0; i < 8; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", chip.p[i]);
	says("another processor");
	says(hex);
	lk_courier_stop(&courier);
}

T(questions_that_make_no_sense)
{
	uint8_t mem[64];
	struct lk_buf b = LK_BUF(mem), store = LK_BUF(room);

	NO_PEER;
	EQ_CODE(LK_EBUG, ask(LK_CERTS_TABLE, NONE, LK_S("x")));
	EQ_CODE(LK_EBUG, ask((enum lk_certs_from)9, made("milan3")->report, NONE));
	EQ_CODE(LK_EBUG, ask(LK_CERTS_KDS, made("milan3")->report, NONE)); /* not here */
	EQ_CODE(LK_EPROTO, ask(LK_CERTS_TABLE, LK_S("report"), NONE));
	lk_frame_u32(&b, LK_CERTS_TABLE);
	EQ_CODE(LK_OK, lk_courier_ask(&courier, LK_F_CERTS, &b, &e));
	EQ_CODE(LK_EPROTO, lk_wait_certs(&courier, &store, &got, &e));
	lk_courier_stop(&courier);
}

/* ---- no network is touched */

static int listen_on(uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (bind(fd, (struct sockaddr *)&a, n) != 0 || listen(fd, 0) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &n) != 0)
		abort();
	*port = ntohs(a.sin_port);
	return fd;
}

T(no_connection_is_made)
{
	const struct made *m = made("milan3");
	uint16_t port;
	int fd = listen_on(&port);

	courier_start(LK_PEER_IMDS, "127.0.0.1", port, 60000);
	EQ_CODE(LK_OK, ask(LK_CERTS_TABLE, m->report, table_of(&m->certs)));
	lk_courier_stop(&courier);
	EQ_I(accept(fd, NULL, NULL), -1);
	courier_start(LK_PEER_KDS, "127.0.0.1", port, 60000);
	EQ_CODE(LK_EATTEST, ask(LK_CERTS_KDS, made("vlek")->report, NONE));
	lk_courier_stop(&courier);
	EQ_I(accept(fd, NULL, NULL), -1);
	close(fd);
}

/* A port whose queue is full: connections to it neither succeed nor fail. */
T(a_peer_out_of_reach_holds_up_nothing)
{
	const struct made *m = made("milan3");
	uint16_t port;
	int fd[8] = {listen_on(&port)};
	struct sockaddr_in a = {.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	for (unsigned i = 1; i < 8; i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)connect(fd[i], (struct sockaddr *)&a, sizeof(a));
	}
	courier_start(LK_PEER_IMDS, "127.0.0.1", port, 15000);
	EQ_CODE(LK_OK, ask(LK_CERTS_TABLE, m->report, table_of(&m->certs)));
	lk_courier_stop(&courier);
	for (unsigned i = 0; i < 8; i++)
		close(fd[i]);
}
