/* The line of a volume in crypttab: made, put into a table, taken back. */
#include "t.h"

#include <sys/stat.h>

#include "../../src/cli/ctl/crypttab.h"
#include "../../src/cli/ctl/parts.h"

#define U     "9b1c6a52-0b4e-4a8c-a8a2-9d5c3c2f1f0e"
#define OTHER "00000000-0b4e-4a8c-a8a2-9d5c3c2f1f0e"
#define SOCK  "/run/latchkey/key.sock"
#define KS    "keyscript=/usr/lib/latchkey/keyscript"
#define ENDS  SOCK " luks,x-initrd.attach"
#define TOOLS "latchkey luks,initramfs," KS

static uint8_t store[8192];
static struct lk_buf out;
static struct lk_err e;

static enum lk_code edit(struct lk_slice table, enum lk_boot_flavor flavor, bool add)
{
	out = LK_BUF(store);
	e = (struct lk_err){0};
	return lk_crypttab_edit(table, flavor, "root", U, add, &out, &e);
}

static void gives(const char *table, enum lk_boot_flavor flavor, bool add, const char *want)
{
	enum lk_code rc = edit(lk_slice_str(table), flavor, add);

	if (rc != LK_OK)
		T_FAIL("%s: %s", table, e.msg);
	else if (!lk_slice_eq_str(lk_slice_buf(&out), want))
		T_FAIL("from \"%s\": \"%.*s\", not \"%s\"", table, (int)out.n, (char *)out.p, want);
}

struct row {
	const char *table, *want;
};

/* The result again must give itself. */
static void all(const struct row *r, size_t n, enum lk_boot_flavor flavor, bool add)
{
	for (size_t i = 0; i < n; i++) {
		gives(r[i].table, flavor, add, r[i].want);
		gives(r[i].want, flavor, add, r[i].want);
	}
}
#define ALL(rows, flavor, add) all(rows, sizeof(rows) / sizeof((rows)[0]), flavor, add)

T(the_line_by_flavor)
{
	static const struct {
		enum lk_boot_flavor flavor;
		const char *want;
	} rows[] = {
	    {LK_BOOT_DRACUT, "root UUID=" U " " ENDS},
	    {LK_BOOT_UNKNOWN, "root UUID=" U " " ENDS},
	    {LK_BOOT_TOOLS, "root UUID=" U " " TOOLS},
	};

	for (size_t i = 0; i < 3; i++) {
		out = LK_BUF(store);
		lk_crypttab_line(rows[i].flavor, "root", U, &out);
		EQ_BYTES(out.p, out.n, rows[i].want, strlen(rows[i].want));
	}
}

T(a_line_is_added_at_the_end)
{
	static const struct row rows[] = {
	    {"", "root UUID=" U " " ENDS "\n"},
	    {"\n", "\nroot UUID=" U " " ENDS "\n"},
	    {"# remark\n\n", "# remark\n\nroot UUID=" U " " ENDS "\n"},
	    {"# no newline", "# no newline\nroot UUID=" U " " ENDS "\n"},
	    {"#root UUID=" U " none luks\n",
		"#root UUID=" U " none luks\nroot UUID=" U " " ENDS "\n"},
	    {"data UUID=" OTHER "\t/k\tluks  \n \troot2 x y\n",
		"data UUID=" OTHER "\t/k\tluks  \n \troot2 x y\nroot UUID=" U " " ENDS "\n"},
	};
	static const struct row tools[] = {
	    {"swap /dev/sdb /dev/urandom swap\n",
		"swap /dev/sdb /dev/urandom swap\nroot UUID=" U " " TOOLS "\n"},
	};

	ALL(rows, LK_BOOT_DRACUT, true);
	ALL(tools, LK_BOOT_TOOLS, true);
}

T(a_line_is_completed)
{
	static const struct row rows[] = {
	    /* every other byte stays */
	    {"a b c\n \troot\t UUID=" U "  none\tdiscard,luks\t# why\n\n# end",
		"a b c\n \troot\t UUID=" U "  " SOCK "\tdiscard,luks,x-initrd.attach\t# why\n\n# "
		"end"},
	    {"root UUID=" U " none luks", "root UUID=" U " " ENDS},
	    {"root UUID=" U "\n", "root UUID=" U " " ENDS "\n"},
	    {"root UUID=" U " \t\n", "root UUID=" U " " ENDS " \t\n"},
	    {"root UUID=" U " none\n", "root UUID=" U " " ENDS "\n"},
	    {"root UUID=" U " - \n", "root UUID=" U " " ENDS " \n"},
	    {"root UUID=" U " none none\n", "root UUID=" U " " ENDS "\n"},
	    {"root UUID=" U " none -\n", "root UUID=" U " " ENDS "\n"},
	    {"root UUID=\"" U "\" /root.key luks,timeout=9\n",
		"root UUID=\"" U "\" " SOCK " luks,timeout=9,x-initrd.attach\n"},
	    {"root UUID=9B1C6A52-0B4E-4A8C-A8A2-9D5C3C2F1F0E none x-initrd.attach\n",
		"root UUID=9B1C6A52-0B4E-4A8C-A8A2-9D5C3C2F1F0E " SOCK " x-initrd.attach,luks\n"},
	    {"root /dev/disk/by-uuid/" U " none luks\n", "root /dev/disk/by-uuid/" U " " ENDS "\n"},
	    {"root /dev/vg/root none luks\n", "root /dev/vg/root " ENDS "\n"},
	    {"root UUID=" U " none luks,,discard\n",
		"root UUID=" U " " SOCK " luks,,discard,x-initrd.attach\n"},
	    /* a name that only begins in the same way is another option */
	    {"root UUID=" U " none luks2,x-initrd.attach2\n",
		"root UUID=" U " " SOCK " luks2,x-initrd.attach2,luks,x-initrd.attach\n"},
	    /* a script of somebody else is not read there */
	    {"root UUID=" U " none luks,keyscript=/k\n",
		"root UUID=" U " " SOCK " luks,keyscript=/k,x-initrd.attach\n"},
	    {"root UUID=" U " " TOOLS "\n",
		"root UUID=" U " " SOCK " luks,initramfs,x-initrd.attach\n"},
	};
	static const struct row tools[] = {
	    {"root UUID=" U " none luks,discard\n",
		"root UUID=" U " latchkey luks,discard,initramfs," KS "\n"},
	    {"root UUID=" U " x luks,keyscript=/k,initramfs\n",
		"root UUID=" U " latchkey luks,initramfs," KS "\n"},
	    {"root UUID=" U " x " KS ",luks\n", "root UUID=" U " latchkey " KS ",luks,initramfs\n"},
	    {"root UUID=" U " " ENDS "\n",
		"root UUID=" U " latchkey luks,x-initrd.attach,initramfs," KS "\n"},
	};

	ALL(rows, LK_BOOT_DRACUT, true);
	ALL(tools, LK_BOOT_TOOLS, true);
}

/* image-check finds the same ones: a row of the table that neither names would show here. */
T(options_that_would_break_it_go)
{
	unsigned others = 0;

	for (size_t i = 0; i < lk_tab_bads; i++) {
		char table[200], with[200];

		snprintf(table, sizeof(table),
		    "root UUID=" U " none %s,luks,discard,%s=3,x-initrd"
		    ".attach\n",
		    lk_tab_bad[i].name, lk_tab_bad[i].name);
		snprintf(with, sizeof(with), "option %s: ", lk_tab_bad[i].name);
		if (!lk_tab_bad[i].other) {
			gives(table, LK_BOOT_DRACUT, true,
			    "root UUID=" U " " SOCK " luks,discard,x-initrd.attach\n");
			continue;
		}
		others++;
		EQ_CODE(LK_ECONF, edit(lk_slice_str(table), LK_BOOT_DRACUT, true));
		OK(strstr(e.msg, with) != NULL && strstr(e.msg, "line 1") != NULL);
	}
	EQ_U(others, 5);
	gives("root UUID=" U " none luks,key-slots=1,noautox\n", LK_BOOT_DRACUT, true,
	    "root UUID=" U " " SOCK " luks,key-slots=1,noautox,x-initrd.attach\n");
	gives("root UUID=" U " none noauto\n", LK_BOOT_TOOLS, true, "root UUID=" U " " TOOLS "\n");
	gives("root UUID=" U " none luks,headless=1\n", LK_BOOT_DRACUT, true,
	    "root UUID=" U " " SOCK " luks,headless=1,x-initrd.attach\n");
}

T(what_is_refused)
{
	static const struct {
		const char *table, *says;
		enum lk_boot_flavor flavor;
	} rows[] = {
	    {"\nroot UUID=" OTHER " none luks\n", "line 2: root is there for UUID 0000",
		LK_BOOT_DRACUT},
	    {"root /dev/disk/by-uuid/" OTHER " none luks\n", "is there for UUID", LK_BOOT_DRACUT},
	    {"root UUID=\"" OTHER "\" none\n", "is there for UUID", LK_BOOT_TOOLS},
	    {"root UUID=\n", "is there for UUID", LK_BOOT_TOOLS},
	    {"root UUID=" U " none\na b c\nroot UUID=" U " none\n",
		"lines 1 and 3 are both for root", LK_BOOT_DRACUT},
	    {"sda3_crypt UUID=" U " none luks\n", "the volume is there as sda3_crypt",
		LK_BOOT_DRACUT},
	    {"root\n", "no device", LK_BOOT_DRACUT},
	    {"root # what\n", "no device", LK_BOOT_DRACUT},
	    {"root UUID=" U " # what\n", "text behind", LK_BOOT_DRACUT},
	    {"root UUID=" U " none # what\n", "text behind", LK_BOOT_DRACUT},
	    {"root UUID=" U " none luks # what\n", "text behind", LK_BOOT_TOOLS},
	    {"root UUID=" U " none luks, discard\n", "text behind", LK_BOOT_TOOLS},
	    {"a b c\r\nroot UUID=" U " none luks\r\n", "carriage return", LK_BOOT_DRACUT},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		EQ_CODE(LK_ECONF, edit(lk_slice_str(rows[i].table), rows[i].flavor, true));
		if (strstr(e.msg, rows[i].says) == NULL || strncmp(e.msg, "crypttab: ", 10) != 0)
			T_FAIL("%s: %s", rows[i].table, e.msg);
		OK(e.hint[0] != '\0');
		EQ_U(out.n, 0);
	}
	EQ_CODE(LK_ECONF, edit(LK_S("a b c\0d\n"), LK_BOOT_DRACUT, true));
	EQ_CODE(LK_ECONF, edit(LK_S("a b c\r\n"), LK_BOOT_DRACUT, false));
}

/* Without its binding the volume comes to the passphrase prompt. */
T(taken_back)
{
	static const struct row rows[] = {
	    {"", ""},
	    {"a b c", "a b c"},
	    {"a b c\n\nroot\tUUID=" U " " SOCK "\tluks,discard,x-initrd.attach # x\n# end",
		"a b c\n\nroot\tUUID=" U " none\tluks,discard,x-initrd.attach # x\n# end"},
	    {"root UUID=" U " " TOOLS "\n", "root UUID=" U " none luks,initramfs\n"},
	    {"root UUID=" U " latchkey " KS "\n", "root UUID=" U " none luks\n"},
	    {"root UUID=" U " " SOCK "\n", "root UUID=" U " none\n"},
	    {"root UUID=" U " " SOCK " luks,headless=1,tries=1\n",
		"root UUID=" U " none luks,tries=1\n"},
	    {"root UUID=" U " " SOCK " headless\n", "root UUID=" U " none luks\n"},
	    /* also where somebody gave the disk a new header */
	    {"root UUID=" OTHER " " ENDS "\n", "root UUID=" OTHER " none luks,x-initrd.attach\n"},
	    /* not ours */
	    {"root UUID=" U " /root.key luks,headless\n",
		"root UUID=" U " /root.key luks,headless\n"},
	    {"root UUID=" U " x luks,keyscript=/k\n", "root UUID=" U " x luks,keyscript=/k\n"},
	    {"data UUID=" U " " SOCK " luks\n", "data UUID=" U " " SOCK " luks\n"},
	    {"root\n", "root\n"},
	};

	ALL(rows, LK_BOOT_DRACUT, false);
	ALL(rows, LK_BOOT_TOOLS, false);
	ALL(rows, LK_BOOT_UNKNOWN, false);
}

T(there_and_back_keeps_the_rest)
{
	static const char table[] = "# t\nroot UUID=" U " none luks,discard\nx y z";
	char middle[400];

	EQ_CODE(LK_OK, edit(lk_slice_str(table), LK_BOOT_TOOLS, true));
	NEED(out.n < sizeof(middle));
	memcpy(middle, out.p, out.n);
	middle[out.n] = '\0';
	gives(middle, LK_BOOT_TOOLS, false,
	    "# t\nroot UUID=" U " none luks,discard,initramfs\nx y z");
}

T(no_room)
{
	static const char table[] = "root UUID=" U " none luks\n";
	uint8_t small[100];

	for (size_t cap = 0; cap < 98; cap++) {
		struct lk_buf b = {.p = small, .cap = cap};
		enum lk_code rc;

		e = (struct lk_err){0};
		rc = lk_crypttab_edit(lk_slice_str(table), LK_BOOT_DRACUT, "root", U, true, &b, &e);
		if (rc != (cap < strlen("root UUID=" U " " ENDS "\n") ? LK_ELIMIT : LK_OK))
			T_FAIL("%zu bytes: %s", cap, e.msg);
	}
}

/* ---- what builds the initramfs */

static char root[64];

static void put(const char *path, unsigned mode, const char *text)
{
	char whole[200];
	FILE *f;

	snprintf(whole, sizeof(whole), "%s%s", root, path);
	f = fopen(whole, "w");
	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0 || chmod(whole, mode) != 0) {
		printf("Bail out! cannot write %s\n", whole);
		exit(1);
	}
}

static void make_root(void)
{
	static const char *const folders[] = {"/usr", "/usr/bin", "/usr/sbin", "/var", "/var/lib",
	    "/var/lib/dpkg", "/var/lib/dpkg/info"};
	char whole[200];

	snprintf(root, sizeof(root), "/tmp/test_crypttab.XXXXXX");
	if (mkdtemp(root) == NULL)
		exit(1);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(whole, sizeof(whole), "%s%s", root, folders[i]);
		if (mkdir(whole, 0755) != 0)
			exit(1);
	}
}

static void drop_root(void)
{
	static const char *const paths[] = {"/usr/bin/dracut", "/usr/sbin/update-initramfs",
	    "/usr/sbin/mkinitramfs", "/var/lib/dpkg/info/initramfs-tools.list",
	    "/var/lib/dpkg/info", "/var/lib/dpkg", "/var/lib", "/var", "/usr/sbin", "/usr/bin",
	    "/usr", ""};
	char whole[200];

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		snprintf(whole, sizeof(whole), "%s%s", root, paths[i]);
		(void)remove(whole);
	}
}

T(what_builds_the_initramfs)
{
	static const char list[] = "/var/lib/dpkg/info/initramfs-tools.list";

	make_root();
	EQ_I(lk_boot_flavor_of(root), LK_BOOT_UNKNOWN);
	put("/usr/bin/dracut", 0755, "");
	EQ_I(lk_boot_flavor_of(root), LK_BOOT_DRACUT);
	/* dracut's own update-initramfs */
	put("/usr/sbin/update-initramfs", 0755, "");
	EQ_I(lk_boot_flavor_of(root), LK_BOOT_DRACUT);
	/* beside a left-over core of initramfs-tools, which was removed but not purged */
	put("/usr/sbin/mkinitramfs", 0755, "");
	put(list, 0644, "/etc\n/etc/x/update-initramfs\n");
	EQ_I(lk_boot_flavor_of(root), LK_BOOT_DRACUT);
	put(list, 0644, "/.\n/usr/sbin/update-initramfs\n/usr/share/man\n");
	EQ_I(lk_boot_flavor_of(root), LK_BOOT_TOOLS);
	put("/usr/bin/dracut", 0644, "");
	put(list, 0644, "");
	EQ_I(lk_boot_flavor_of(root), LK_BOOT_TOOLS);
	drop_root();
}
