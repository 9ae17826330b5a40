/* certs_rig.h - a courier asked for certificates, the host's table, and made reports. */
#ifndef LK_TEST_CERTS_RIG_H
#define LK_TEST_CERTS_RIG_H

#include "lines.h"
#include "lk/courier.h"
#include "lk/snp.h"
#include "t.h"

#define NONE    ((struct lk_slice){NULL, 0})
#define NO_PEER courier_start(LK_PEER_IMDS, "", 0, 60000)

static struct lk_err e;
static struct lk_certs got; /* points into `room` */
static uint8_t room[LK_FRAME_MAX];
static struct lk_courier courier;

__attribute__((constructor)) static void start(void)
{
	if (lk_crypto_start(&e) != LK_OK)
		abort();
}

/* Plain TCP, since there are no roots; no host: no peer. */
static inline void courier_start(enum lk_peer peer, const char *host, uint16_t port, int64_t ms)
{
	struct lk_courier_conf conf = {
	    .peer = peer, .port = port, .disk_fd = -1, .deadline = lk_deadline_in(ms)};

	strcpy(conf.host, host);
	if (lk_courier_start(&conf, &courier, &e) != LK_OK)
		abort();
}

static inline enum lk_code ask(
    enum lk_certs_from from, struct lk_slice report, struct lk_slice data)
{
	struct lk_buf scratch = LK_BUF(room), store = LK_BUF(room);

	e = (struct lk_err){0};
	got = (struct lk_certs){0};
	enum lk_code rc = lk_ask_certs(&courier, from, report, data, &scratch, &e);
	return rc == LK_OK ? lk_wait_certs(&courier, &store, &got, &e) : rc;
}

__attribute__((unused)) static void says(const char *words)
{
	if (!strstr(e.msg, words))
		T_FAIL("\"%s\" does not say \"%s\"", e.msg, words);
}

/* ---- the host's table */

static const uint8_t guids[4][16] = {
    {0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac,
	0xcd},
    {0xa8, 0x07, 0x4b, 0xc2, 0xa2, 0x5a, 0x48, 0x3e, 0xaa, 0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8,
	0xa1},
    {0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4, 0xa0, 0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7,
	0x82},
    {0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52, 0x97, 0x43, 0x3f, 0xb6, 0x01, 0x4c, 0xd0,
	0xae},
};

/* VCEK, VLEK, ASK, ARK as far as they are there. */
static inline struct lk_slice table_of(const struct lk_snp_certs *c)
{
	static uint8_t mem[LK_SNP_CERTS_MAX];
	const struct lk_slice all[] = {c->vcek, c->vlek, c->ask, c->ark};
	struct lk_buf b = LK_BUF(mem);
	uint32_t at = 0;

	memset(mem, 0, sizeof(mem));
	for (unsigned i = 0; i < 4; i++)
		at += all[i].n ? 24 : 0;
	at += 24;
	for (unsigned i = 0; i < 4; i++) {
		if (all[i].n == 0)
			continue;
		lk_buf_put(&b, guids[i], 16);
		lk_buf_le32(&b, at);
		lk_buf_le32(&b, (uint32_t)all[i].n);
		at += (uint32_t)all[i].n;
	}
	b.n += 24;
	for (unsigned i = 0; i < 4; i++)
		lk_buf_slice(&b, all[i]);
	if (b.bad)
		abort();
	return lk_slice_of(mem, sizeof(mem));
}

/* ---- made reports and chains (gen_snp.py), made once for the program */

struct made {
	char code[8], name[24], product[8];
	struct lk_slice report;
	struct lk_snp snp;
	struct lk_snp_certs certs;
};
static struct made rows[40];
static size_t rows_n;

static inline struct lk_slice keep(struct lk_slice s)
{
	uint8_t *p = malloc(s.n);

	if (!p)
		abort();
	memcpy(p, s.p, s.n);
	return lk_slice_of(p, s.n);
}

static inline void made_load(void)
{
	struct line l = {0};
	FILE *f = rows_n == 0 ? popen(LINES_PYTHON "tests/unit/gen_snp.py", "r") : NULL;

	while (f && line_next(f, &l) && rows_n < 40) {
		struct made *m = &rows[rows_n++];

		(void)snprintf(m->code, sizeof(m->code), "%s", l.w[0]);
		(void)snprintf(m->name, sizeof(m->name), "%s", l.w[1]);
		(void)snprintf(m->product, sizeof(m->product), "%s", l.w[2]);
		m->report = keep(line_hex(&l, 4));
		if (lk_snp_parse(m->report, &m->snp, &e) != LK_OK)
			abort();
		struct lk_slice leaf = keep(line_hex(&l, 5));
		*(m->snp.signer == LK_SNP_VLEK ? &m->certs.vlek : &m->certs.vcek) = leaf;
		m->certs.ask = keep(line_hex(&l, 6));
		m->certs.ark = keep(line_hex(&l, 7));
	}
	if (f && pclose(f) != 0)
		abort();
}

static inline const struct made *made(const char *name)
{
	made_load();
	for (size_t i = 0; i < rows_n; i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	printf("Bail out! gen_snp.py has no %s\n", name);
	exit(1);
}

/* One byte of the TCB is another in these rows; in all others it is the report's. */
static inline uint64_t made_tcb(const struct made *m)
{
	static const struct {
		const char *name;
		unsigned byte;
		uint8_t mask;
	} other[] = {{"tcb1", 0, 0x80}, {"tcb2", 1, 0x80}, {"tcb3", 6, 0x80}, {"tcb8", 7, 0x80},
	    {"fmc", 0, 1}};

	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		if (!strcmp(m->name, other[i].name))
			return m->snp.reported_tcb ^ (uint64_t)other[i].mask << 8 * other[i].byte;
	return m->snp.reported_tcb;
}

static inline char *pem_of(const struct lk_snp_certs *c, uint32_t signer)
{
	static uint8_t mem[20000];
	struct lk_buf b = LK_BUF(mem);

	if (lk_snp_certs_pem(c, signer, &b, &e) != LK_OK)
		abort();
	lk_buf_byte(&b, 0);
	return (char *)mem;
}

/* THIM's document around these certificates. */
static inline const char *document(const struct made *m, const char *tcbm)
{
	static char out[20000];
	char *pem = pem_of(&m->certs, m->snp.signer), *rest = strstr(pem, "-----END");
	char *to = out + sprintf(out, "{%s\"vcekCert\":\"", tcbm);

	rest = strchr(rest, '\n') + 1;
	for (const char *p = pem; *p; p++) {
		if (p == rest)
			to += sprintf(to, "\",\"certificateChain\":\"");
		if (*p == '\n')
			to += sprintf(to, "\\n");
		else
			*to++ = *p;
	}
	strcpy(to, "\",\"cacheControl\":\"86400\"}");
	return out;
}

#endif
