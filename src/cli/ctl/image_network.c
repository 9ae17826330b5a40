/* image_network.c - what brings the network up, whether it is told to, and who finds names. */
#include "image_check.h"

#include <string.h>

struct stack {
	const char *name;
	const char *servers; /* where it leaves the name servers; the resolver looks there */
	const char *paths[4];
};

static const struct stack stacks[] = {
    {"systemd-networkd", "its leases", {"/usr/lib/systemd/systemd-networkd"}},
    {"NetworkManager", "/run/NetworkManager/resolv.conf",
	{"/usr/sbin/NetworkManager", "/usr/bin/NetworkManager"}},
    {"dhclient", "/etc/resolv.conf", {"/sbin/dhclient"}},
    {"dhcpcd", "/etc/resolv.conf or /run/net-*.conf", {"/sbin/dhcpcd"}},
    {"ipconfig", "/run/net-*.conf", {"/bin/ipconfig", "/usr/lib/klibc/bin/ipconfig"}},
};

static const struct stack *find_stack(struct lk_image_look *l)
{
	struct lk_file f;

	for (size_t i = 0; i < sizeof(stacks) / sizeof(stacks[0]); i++)
		for (size_t j = 0; j < 4 && stacks[i].paths[j] != NULL; j++)
			if (lk_image_find(l->img, stacks[i].paths[j], &f))
				return &stacks[i];
	return NULL;
}

static bool is(const struct stack *s, const char *name)
{
	return strcmp(s->name, name) == 0;
}

/* The words of dracut(7). */
static void check_request(struct lk_image_look *l, const struct stack *s, struct lk_findings *fs)
{
	static const char item[] = "command line";
	struct lk_slice value = {NULL, 0};
	bool own = false;
	bool asked = lk_image_argument(l, "rd.neednet", &value, &own) &&
		     !lk_slice_eq_str(value, "0") && !lk_slice_eq_str(value, "no");

	if (!asked) {
		lk_found(fs, l->cmdline_next ? LK_FOUND_FAIL : LK_FOUND_NOTE, item,
		    "rd.neednet=1 is neither in the image nor in %s: nothing brings the network "
		    "up%s",
		    l->cmdline_from, l->cmdline_next ? "" : ", unless the next boot's has it");
		lk_found_hint(fs,
		    "put rd.neednet=1 ip=dhcp on the kernel command line (--cmdline FILE "
		    "checks the next one), or kernel_cmdline=\"rd.neednet=1 ip=dhcp\" into "
		    "dracut.conf");
		return;
	}
	lk_found(fs, own || l->cmdline_next ? LK_FOUND_OK : LK_FOUND_NOTE, item,
	    "rd.neednet=1, from %s%s", own ? "the image" : l->cmdline_from,
	    own || l->cmdline_next ? "" : ": see that the next boot has it, too");
	if (is(s, "systemd-networkd") && !lk_image_argument(l, "ip", &value, &own)) {
		lk_found(fs, LK_FOUND_NOTE, item, "no ip= for systemd-networkd");
		lk_found_hint(fs, "ip=dhcp, unless .network files in the image configure the card");
	}
}

/* "nameserver 127..." */
static bool is_local(struct lk_slice text)
{
	struct lk_slice line, word;

	while (lk_next_line(&text, &line))
		if (lk_next_word(&line, &word) && lk_slice_eq_str(word, "nameserver") &&
		    lk_next_word(&line, &word) && lk_slice_starts(word, LK_S("127.")))
			return true;
	return false;
}

/* A copy of the machine's own /etc/resolv.conf would be the first that the resolver asks. */
static void check_names(struct lk_image_look *l, const struct stack *s, struct lk_findings *fs)
{
	static const char item[] = "name servers";
	struct lk_file f, resolved;

	if (lk_image_find(l->img, "/etc/resolv.conf", &f) && f.kept && is_local(f.data) &&
	    !lk_image_find(l->img, "/usr/lib/systemd/systemd-resolved", &resolved)) {
		lk_found(fs, LK_FOUND_NOTE, item,
		    "/etc/resolv.conf in the image names 127..., where nothing answers");
		lk_found_hint(fs, "%s",
		    "leave it out of the image, unless it is written anew when the network comes "
		    "up");
		return;
	}
	lk_found(fs, LK_FOUND_OK, item, "from %s", s->servers);
}

void lk_image_check_network(struct lk_image_look *l, struct lk_findings *fs)
{
	const struct stack *s = find_stack(l);

	if (s == NULL) {
		lk_found(
		    fs, LK_FOUND_FAIL, "network", "nothing in the image can bring a network up");
		lk_found_hint(fs, "%s",
		    l->flavor == LK_IMAGE_TOOLS
			? "install initramfs-tools with klibc-utils or dhcpcd, then "
			  "update-initramfs -u"
			: "dracut module network (latchkey_network=yes is the default), then "
			  "dracut -f");
		return;
	}
	lk_found(fs, LK_FOUND_OK, "network", "by %s", s->name);
	if (l->flavor != LK_IMAGE_TOOLS)
		check_request(l, s, fs);
	check_names(l, s, fs);
}
