/* DNS messages: one question, and what of an answer matters. */
#include <string.h>

#include "dns.h"

#define HEAD      12
#define CLASS_IN  1
#define LABEL_MAX 63
#define RECORDS   64 /* of one answer; more is no answer to such a question */

#define FLAG_RESPONSE  0x8000u
#define FLAG_OPCODE    0x7800u
#define FLAG_TRUNCATED 0x0200u
#define FLAG_RECURSE   0x0100u
#define RCODE          0x000fu
#define NXDOMAIN       3u

static bool put_name(struct lk_slice name, struct lk_buf *out)
{
	if (lk_slice_ends(name, LK_S(".")))
		name = lk_slice_sub(name, 0, name.n - 1);
	if (name.n == 0 || name.n > LK_DNS_NAME_MAX)
		return false;
	while (name.n > 0) {
		size_t end = name.n;

		(void)lk_slice_find(name, '.', &end);
		if (end == 0 || end > LABEL_MAX || end + 1 == name.n)
			return false;
		lk_buf_byte(out, (uint8_t)end);
		lk_buf_slice(out, lk_slice_sub(name, 0, end));
		name = lk_slice_sub(name, end + 1, name.n);
	}
	lk_buf_byte(out, 0);
	return true;
}

bool lk_dns_question(const char *host, enum lk_dns_type type, uint16_t id, struct lk_buf *out)
{
	lk_buf_be16(out, id);
	lk_buf_be16(out, FLAG_RECURSE);
	lk_buf_be16(out, 1); /* questions; then no records of the three kinds */
	lk_buf_be32(out, 0);
	lk_buf_be16(out, 0);
	if (!put_name(lk_slice_str(host), out))
		return false;
	lk_buf_be16(out, (uint16_t)type);
	lk_buf_be16(out, CLASS_IN);
	return !out->bad;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c + 0x20 : c;
}

/* The question comes back; servers may change the case of its letters. */
static bool same_question(struct lk_slice a, struct lk_slice b)
{
	for (size_t i = 0; i < a.n; i++)
		if (i >= b.n || lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

/* Over a name, without following pointers: whose record it is does not matter here. */
static bool skip_name(struct lk_slice *s)
{
	struct lk_slice part;

	while (lk_slice_take(s, 1, &part)) {
		const uint8_t n = part.p[0];

		if (n == 0)
			return true;
		if (n >= 0xc0)
			return lk_slice_take(s, 1, &part);
		if (n > LABEL_MAX || !lk_slice_take(s, n, &part))
			return false;
	}
	return false;
}

static void add(enum lk_dns_type type, struct lk_slice data, struct lk_addrs *out)
{
	if (type == LK_DNS_A && data.n == 4 && out->n4 < LK_RACE_MAX)
		memcpy(&out->v4[out->n4++], data.p, 4);
	if (type == LK_DNS_AAAA && data.n == 16 && out->n6 < LK_RACE_MAX)
		memcpy(&out->v6[out->n6++], data.p, 16);
}

/* A name server that resolves for us puts the aliases and their target into one answer. */
static bool records(struct lk_slice s, unsigned count, enum lk_dns_type type, struct lk_addrs *out)
{
	for (unsigned i = 0; i < count; i++) {
		uint16_t kind = 0, class = 0, n = 0;
		uint32_t ttl = 0;
		struct lk_slice data;

		if (!skip_name(&s) || !lk_slice_take_be16(&s, &kind) ||
		    !lk_slice_take_be16(&s, &class) || !lk_slice_take_be32(&s, &ttl) ||
		    !lk_slice_take_be16(&s, &n) || !lk_slice_take(&s, n, &data))
			return false;
		if (kind == (uint16_t)type && class == CLASS_IN)
			add(type, data, out);
	}
	return true;
}

enum lk_dns_verdict lk_dns_answer(
    struct lk_slice question, struct lk_slice msg, enum lk_dns_type type, struct lk_addrs *out)
{
	const struct lk_addrs before = *out;
	struct lk_slice s = msg;
	uint16_t id = 0, flags = 0, questions = 0, answers = 0;
	uint32_t others = 0;

	if (!lk_slice_take_be16(&s, &id) || !lk_slice_take_be16(&s, &flags) ||
	    !lk_slice_take_be16(&s, &questions) || !lk_slice_take_be16(&s, &answers) ||
	    !lk_slice_take_be32(&s, &others))
		return LK_DNS_OTHER;
	const struct lk_slice asked = lk_slice_sub(question, HEAD, question.n);
	if (!lk_slice_eq(lk_slice_sub(msg, 0, 2), lk_slice_sub(question, 0, 2)) ||
	    (flags & (FLAG_RESPONSE | FLAG_OPCODE)) != FLAG_RESPONSE || questions != 1 ||
	    !same_question(asked, s))
		return LK_DNS_OTHER;
	if ((flags & RCODE) == NXDOMAIN)
		return LK_DNS_NO_NAME;
	if ((flags & RCODE) != 0)
		return LK_DNS_FAILED;
	if ((flags & FLAG_TRUNCATED) != 0)
		return LK_DNS_TRUNCATED;
	if (answers > RECORDS || !records(lk_slice_sub(s, asked.n, s.n), answers, type, out)) {
		*out = before;
		return LK_DNS_FAILED;
	}
	return LK_DNS_ADDRESSES;
}
