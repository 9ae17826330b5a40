/* Where this machine's name servers are written down, and its hosts file. */
#include <arpa/inet.h>
#include <dirent.h>
#include <string.h>

#include "dns.h"
#include "lk/fmt.h"
#include "lk/io.h"

#define PORT     53
#define FILE_MAX 8192
#define AZURE    "168.63.129.16" /* answers in every virtual network of Azure */

static bool blank(uint8_t c)
{
	return c <= ' ' || c == '\'' || c == '"' || c == ',';
}

/* The next word of a line; n == 0: none. */
static struct lk_slice word(struct lk_slice *line)
{
	size_t n = 0;

	while (line->n > 0 && blank(line->p[0]))
		*line = lk_slice_sub(*line, 1, line->n);
	while (n < line->n && !blank(line->p[n]))
		n++;
	const struct lk_slice w = lk_slice_sub(*line, 0, n);
	*line = lk_slice_sub(*line, n, line->n);
	return w;
}

static struct lk_slice line_of(struct lk_slice *text)
{
	size_t end = text->n;
	const size_t more = lk_slice_find(*text, '\n', &end) ? 1 : 0;
	struct lk_slice line = lk_slice_sub(*text, 0, end);

	*text = lk_slice_sub(*text, end + more, text->n);
	return line;
}

/* An address without zone: a link-local name server cannot be reached from here. */
static bool address(struct lk_slice w, union lk_addr *out)
{
	char text[INET6_ADDRSTRLEN];
	struct lk_err ignored;

	memset(out, 0, sizeof(*out));
	if (lk_slice_cstr(w, text, sizeof(text), &ignored) != LK_OK)
		return false;
	if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons(PORT);
		return out->v4.sin_addr.s_addr != 0; /* klibc's way to say none */
	}
	if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) != 1)
		return false;
	out->v6.sin6_family = AF_INET6;
	out->v6.sin6_port = htons(PORT);
	return true;
}

void lk_dns_read_servers(struct lk_slice text, struct lk_dns_servers *out)
{
	while (text.n > 0) {
		static const char *const keys[] = {
		    "nameserver ", "nameserver\t", "DNS=", "IPV4DNS0=", "IPV4DNS1="};
		struct lk_slice line = line_of(&text), w;
		size_t skip = 0;

		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			if (lk_slice_starts(line, lk_slice_str(keys[i])))
				skip = strlen(keys[i]);
		if (skip == 0)
			continue;
		line = lk_slice_sub(line, skip, line.n);
		while (out->n < LK_DNS_SERVERS && (w = word(&line)).n > 0)
			if (address(w, &out->at[out->n]))
				out->n++;
	}
}

bool lk_dns_read_hosts(struct lk_slice text, const char *host, struct lk_addrs *out)
{
	while (text.n > 0) {
		struct lk_slice line = line_of(&text), w;
		union lk_addr a;
		size_t end = line.n;

		(void)lk_slice_find(line, '#', &end);
		line = lk_slice_sub(line, 0, end);
		if (!address(word(&line), &a))
			continue;
		while ((w = word(&line)).n > 0) {
			if (!lk_slice_ieq_str(w, host))
				continue;
			if (a.sa.sa_family == AF_INET && out->n4 < LK_RACE_MAX)
				out->v4[out->n4++] = a.v4.sin_addr;
			if (a.sa.sa_family == AF_INET6 && out->n6 < LK_RACE_MAX)
				out->v6[out->n6++] = a.v6.sin6_addr;
		}
	}
	return out->n4 + out->n6 > 0;
}

static void from_file(const char *path, struct lk_dns_servers *out)
{
	static uint8_t store[FILE_MAX];
	struct lk_buf text = LK_BUF(store);
	struct lk_err ignored = {0};

	if (out->n == 0 && lk_file_read(path, &text, &ignored) == LK_OK)
		lk_dns_read_servers(lk_slice_buf(&text), out);
}

/* Every file of `dir` whose name begins with `prefix`. */
static void from_folder(const char *dir, const char *prefix, struct lk_dns_servers *out)
{
	const struct dirent *d;
	DIR *open = opendir(dir);
	char path[400];

	while (open && out->n == 0 && (d = readdir(open)) != NULL) {
		if (d->d_name[0] == '.' || strncmp(d->d_name, prefix, strlen(prefix)) != 0)
			continue;
		if (lk_fmt(path, sizeof(path), "%s/%s", dir, d->d_name) < sizeof(path))
			from_file(path, out);
	}
	if (open)
		closedir(open);
}

void lk_dns_find_servers(const char *root, struct lk_dns_servers *out)
{
	/* A name ends a file, a "/" and what follows the beginning of names in a folder. */
	static const struct {
		const char *path, *prefix;
	} places[] = {{"/etc/resolv.conf", NULL}, {"/run/systemd/resolve/resolv.conf", NULL},
	    {"/run/NetworkManager/resolv.conf", NULL}, {"/run", "net-"},
	    {"/run/systemd/netif/leases", ""}, {"/run/systemd/netif/links", ""}};
	char path[300];

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		(void)lk_fmt(path, sizeof(path), "%s%s", root, places[i].path);
		if (places[i].prefix == NULL)
			from_file(path, out);
		else
			from_folder(path, places[i].prefix, out);
	}
	if (out->n == 0)
		out->n = address(LK_S(AZURE), &out->at[0]) ? 1 : 0;
}
