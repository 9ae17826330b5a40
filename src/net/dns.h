/* dns.h - a stub resolver: A and AAAA of one host name (RFC 1035, RFC 3596).
 *
 * Of our own because the C library knows no name server but those in /etc/resolv.conf, a file that
 * several kinds of initramfs do not have, and because its waiting cannot be given a deadline. No
 * cache, no search list, no EDNS; a truncated answer is asked for again over TCP. What it finds is
 * not trusted: TLS says later whose address it was.
 */
#ifndef LK_NET_DNS_H
#define LK_NET_DNS_H

#include "dial_race.h"
#include "lk/slice.h"

#define LK_DNS_SERVERS  3
#define LK_DNS_NAME_MAX 253
#define LK_DNS_MSG_MAX  1232

struct lk_dns_servers {
	size_t n;
	union lk_addr at[LK_DNS_SERVERS]; /* with port */
};

enum lk_dns_type { LK_DNS_A = 1, LK_DNS_AAAA = 28 };

/* What a message is to the question that was sent. */
enum lk_dns_verdict {
	LK_DNS_OTHER,     /* no answer to this question: to be ignored */
	LK_DNS_ADDRESSES, /* possibly none: the name exists, without such a record */
	LK_DNS_NO_NAME,
	LK_DNS_TRUNCATED,
	LK_DNS_FAILED /* SERVFAIL, REFUSED and the like */
};

/* false: no name that the DNS can have (a label of 64 characters, an empty one). */
bool lk_dns_question(const char *host, enum lk_dns_type type, uint16_t id, struct lk_buf *out);
/* Addresses are added to `out` as far as it has room. */
enum lk_dns_verdict lk_dns_answer(
    struct lk_slice question, struct lk_slice msg, enum lk_dns_type type, struct lk_addrs *out);

/* The addresses behind "nameserver", "DNS=" and "IPV4DNSn=" in `text` are added. */
void lk_dns_read_servers(struct lk_slice text, struct lk_dns_servers *out);
/* The addresses that a hosts(5) file has for the name; true if there are any. */
bool lk_dns_read_hosts(struct lk_slice text, const char *host, struct lk_addrs *out);
/* Those of the first that has any: /etc/resolv.conf, systemd-resolved's, NetworkManager's, the
 * files of klibc's ipconfig, systemd-networkd's leases; else the one that every Azure network has.
 * `root` is put in front of the paths ("" but in tests). */
void lk_dns_find_servers(const char *root, struct lk_dns_servers *out);

/* Ask. LK_ENET with retry: no answer, a failure, no such name or no address; sys is the errno where
 * there was one (ENETUNREACH: no route yet). LK_ETIME. */
LK_CHECK enum lk_code lk_dns_ask(const struct lk_dns_servers *servers, const char *host,
    lk_time deadline, struct lk_addrs *out, struct lk_err *e);
/* /etc/hosts, else the name servers of this machine. */
LK_CHECK enum lk_code lk_dns_resolve(
    const char *host, lk_time deadline, struct lk_addrs *out, struct lk_err *e);

#endif
