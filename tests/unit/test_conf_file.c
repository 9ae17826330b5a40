/* NAME.conf as latchkeyctl changes it: what is said by hand stays, and every binding means what it
 * meant. */
#include "t.h"

#include <sys/stat.h>

#include "conf_rig.h"

static struct lk_conf other(const char *key, const char *attest)
{
	static struct lk_args normal;

	lk_opts_defaults(&normal);
	rig_text(normal.conf.uuid, sizeof(normal.conf.uuid), UUID);
	rig_text(normal.conf.key, sizeof(normal.conf.key), key);
	rig_text(normal.conf.attest, sizeof(normal.conf.attest), attest);
	return normal.conf;
}

T(a_new_file)
{
	struct stat st;

	start();
	EQ_CODE(LK_OK, lk_conf_file_read(&a, "root", &f, &e));
	OK(!f.there);
	EQ_U(f.n, 0);
	f.n = 2;
	f.binding[0] = other(A, MA);
	f.binding[0].timeout_s = 60;
	rig_text(f.binding[0].tpm, sizeof(f.binding[0].tpm), "/dev/tpm9");
	f.binding[1] = other(B, MB);
	f.binding[1].identity = LK_ID_CLIENT;
	rig_text(f.binding[1].identity_id, sizeof(f.binding[1].identity_id), "me");
	(void)umask(077);
	save();
	EQ_S(now(), "# Written by a test.\nuuid = " UUID "\nkey = " A "\nattest = " MA
		    "\ntimeout = 60\n\n[alternative]\nkey = " B "\nattest = " MB
		    "\nidentity = client:me\n");
	NEED(stat(path, &st) == 0);
	EQ_U(st.st_mode & 0777, 0644);
	EQ_CODE(LK_OK, lk_conf_file_restore(&f, &e));
	EQ_S(now(), "(none)");
	EQ_CODE(LK_OK, lk_conf_file_restore(&f, &e)); /* it is so already */
}

T(as_boot_would_have_it)
{
	start();
	rig_text(a.conf.os_name, sizeof(a.conf.os_name), "Linux of a test");
	a.conf.os_major = 12;
	a.conf.timeout_s = 7; /* the command line's do not count */
	a.given = ~(uint64_t)0;
	EQ_CODE(LK_OK, lk_file_replace(path, LK_S(TOP ALT), 0600, &e));
	EQ_CODE(LK_OK, lk_conf_file_read(&a, "root", &f, &e));
	EQ_U(f.n, 2);
	EQ_U(f.mode, 0600);
	EQ_S(f.binding[0].name, "root");
	EQ_S(f.binding[1].os_name, "Linux of a test");
	EQ_U(f.binding[1].os_major, 12);
	EQ_U(f.binding[1].timeout_s, 99);
	EQ_U(strlen(f.binding[0].digest), 64);
	EQ_S(f.binding[1].digest, f.binding[0].digest);
}

#define HAND                                                                                       \
	"# My server.\n"                                                                           \
	"  timeout=99   \r\n"                                                                      \
	"\n"                                                                                       \
	"# The key:\n"                                                                             \
	"key   =   " A "\n"                                                                        \
	"attest = https://M.weu.attest.azure.net/\n"                                               \
	"# thumbprint = of the old one\n"                                                          \
	"uuid = " UUID "\n"                                                                        \
	"identity = client:me\n"                                                                   \
	"# and the rest\n"                                                                         \
	"trust = /etc/t.pem\n"
#define SECOND                                                                                     \
	"# The second region\n"                                                                    \
	"# is slow.\n"                                                                             \
	"[alternative]\n"                                                                          \
	"attest = " MB "\n"                                                                        \
	"# its key\n"                                                                              \
	"key = " B "\n"

T(nothing_to_change)
{
	load(HAND "\n\n" SECOND "\n[alternative]\nkey = " C "\nattest = " MA "\n\n\n#end");
	save();
	EQ_S(now(), HAND "\n\n" SECOND "\n[alternative]\nkey = " C "\nattest = " MA "\n\n\n#end");
}

T(one_more_at_the_end)
{
	load(HAND);
	f.binding[1] = other(B, MB);
	f.n = 2;
	save();
	/* It has no identity of its own, and must not get the first's. */
	EQ_S(now(), HAND "\n[alternative]\nkey = " B "\nattest = " MB "\nidentity = system\n");
	load(HAND "\n\n" SECOND);
	f.binding[2] = other(C, MA);
	f.binding[2].identity = LK_ID_CLIENT;
	rig_text(f.binding[2].identity_id, sizeof(f.binding[2].identity_id), "me");
	f.n = 3;
	save();
	EQ_S(now(), HAND "\n" SECOND "\n[alternative]\nkey = " C "\nattest = " MA "\n");
}

T(another_one_first)
{
	load(HAND "\n" SECOND);
	f.binding[2] = f.binding[1];
	f.binding[1] = f.binding[0];
	f.binding[0] = other(C, MA);
	f.binding[0].enc = LK_ENC_SHA384;
	f.n = 3;
	save();
	EQ_S(now(), "# My server.\n  timeout=99   \r\n\n# The key:\nkey = " C
		    "\nattest = https://M.weu.attest.azure.net/\n# thumbprint = of the old one\n"
		    "uuid = " UUID "\nenc = RSA_AES_KEY_WRAP_384\n# and the rest\n"
		    "trust = /etc/t.pem\n"
		    "\n[alternative]\nkey = " A "\nattest = " MA
		    "\nidentity = client:me\nenc = RSA_AES_KEY_WRAP_256\n"
		    "\n" SECOND "identity = client:me\nenc = RSA_AES_KEY_WRAP_256\n");
}

T(the_first_one_goes)
{
	load(HAND "\n" SECOND "thumbprint = " THUMB "\n");
	f.binding[0] = f.binding[1];
	f.n = 1;
	save();
	EQ_S(now(),
	    "# My server.\n  timeout=99   \r\n\n# The key:\nkey = " B "\nattest = " MB
	    "\n# thumbprint = of the old one\nuuid = " UUID
	    "\nidentity = client:me\nthumbprint = " THUMB "\n# and the rest\ntrust = /etc/t.pem\n");
}

T(the_last_one_goes_with_its_remarks)
{
	load(HAND "\n" SECOND);
	f.n = 1;
	save();
	EQ_S(now(), HAND);
	/* Without a blank line above, a remark is not the section's. */
	load(HAND SECOND);
	f.n = 1;
	save();
	EQ_S(now(), HAND "# The second region\n# is slow.\n");
}

T(another_version_of_the_key)
{
	load(HAND "\n" SECOND);
	rig_text(f.binding[1].key, sizeof(f.binding[1].key), B "/00000000000000000000000000000001");
	rig_text(f.binding[1].thumbprint, sizeof(f.binding[1].thumbprint), THUMB);
	save();
	EQ_S(now(), HAND "\n# The second region\n# is slow.\n[alternative]\nattest = " MB
			 "\n# its key\nkey = " B
			 "/00000000000000000000000000000001\nthumbprint = " THUMB "\n");
}

T(alternatives_change_places)
{
	struct lk_conf b;

	load(HAND "\n" SECOND "\n# third\n[alternative]\nkey = " C "\nattest = " MA
		  "\nidentity = system\n# end\n");
	b = f.binding[1];
	f.binding[1] = f.binding[2];
	f.binding[2] = b;
	save();
	EQ_S(now(), HAND "\n# third\n[alternative]\nkey = " C "\nattest = " MA
			 "\nidentity = system\n# end\n\n" SECOND);
}

T(hosts_that_a_binding_needs)
{
	load(HAND "allow-hosts = .a.example\n# end\n");
	f.binding[1] = other("https://k.example/keys/k", "https://m.a.example");
	rig_text(
	    f.binding[1].allow_hosts, sizeof(f.binding[1].allow_hosts), ".a.example,k.example");
	f.binding[1].identity = LK_ID_SYSTEM;
	f.n = 2;
	save();
	EQ_S(now(), HAND "allow-hosts = .a.example,k.example\n# end\n\n[alternative]\nkey = "
			 "https://k.example/keys/k\nattest = https://m.a.example\n"
			 "identity = system\n");
	/* What is there is not for us to take away. */
	load(TOP "allow-hosts = .a.example\n");
	f.binding[0] = other(B, MB);
	save();
	EQ_S(now(), "uuid = " UUID "\nkey = " B "\nattest = " MB
		    "\ntimeout = 99\nallow-hosts = .a.example\n");
	/* It may be the first one's, in a file without a list, or in none. */
	f.binding[0] = f.binding[1];
	f.n = 1;
	load(TOP);
	f.binding[0] = other("https://k.example/keys/k", MA);
	rig_text(f.binding[0].allow_hosts, sizeof(f.binding[0].allow_hosts), "k.example");
	save();
	EQ_S(now(), "uuid = " UUID "\nkey = https://k.example/keys/k\nattest = " MA
		    "\nallow-hosts = k.example\ntimeout = 99\n");
	f.text_n = 0;
	f.binding[1] = other(B, MB);
	rig_text(f.binding[1].allow_hosts, sizeof(f.binding[1].allow_hosts), ".b.example");
	f.n = 2;
	save();
	EQ_S(now(),
	    "# Written by a test.\nuuid = " UUID "\nkey = https://k.example/keys/k\nattest = " MA
	    "\nallow-hosts = k.example,.b.example\n\n[alternative]\nkey = " B "\nattest = " MB
	    "\n");
	/* Without the list it would be a file that boot refuses. */
	load(TOP);
	f.binding[0] = other("https://k.example/keys/k", MA);
	text = LK_BUF(store);
	EQ_CODE(LK_ECONF, lk_conf_file_text(&f, "", &text, &e));
	OK(strstr(e.msg, "k.example") != NULL && strstr(e.msg, "allow-hosts") != NULL);
	load(TOP);
	memset(f.binding[0].allow_hosts, 'a', 200);
	f.binding[1] = other(B, MB);
	memset(f.binding[1].allow_hosts, 'b', 200);
	f.n = 2;
	text = LK_BUF(store);
	EQ_CODE(LK_ELIMIT, lk_conf_file_text(&f, "", &text, &e));
}

/* The same binding twice: each keeps its own lines. */
T(twins)
{
	load(TOP ALT "# one\n" ALT "# two\n");
	f.binding[3] = other(C, MA);
	f.n = 4;
	save();
	EQ_S(now(), TOP ALT "# one\n" ALT "# two\n\n[alternative]\nkey = " C "\nattest = " MA "\n");
}

T(settings_without_a_binding)
{
	load("# prepared\ntimeout = 77\n");
	OK(f.there);
	EQ_U(f.n, 0);
	f.binding[0] = other(A, MA);
	f.n = 1;
	save();
	EQ_S(now(), "# prepared\ntimeout = 77\nuuid = " UUID "\nkey = " A "\nattest = " MA "\n");
	EQ_U(g.binding[0].timeout_s, 77);
	/* Whole instead. */
	load("# prepared\ntimeout = 77\n");
	g = f;
	g.text_n = 0;
	g.n = 1;
	g.binding[0] = other(A, MA);
	text = LK_BUF(store);
	EQ_CODE(LK_OK, lk_conf_file_text(&g, "New.", &text, &e));
	EQ_CODE(LK_OK, lk_conf_file_write(&g, lk_slice_buf(&text), &e));
	EQ_S(now(), "# New.\nuuid = " UUID "\nkey = " A "\nattest = " MA "\n");
	EQ_CODE(LK_OK, lk_conf_file_restore(&f, &e));
	EQ_S(now(), "# prepared\ntimeout = 77\n");
}

T(no_binding_no_file)
{
	load(TOP ALT);
	EQ_U(f.n, 2);
	f.n = 0;
	save();
	EQ_S(now(), "(none)");
	OK(!g.there);
	EQ_CODE(LK_OK, lk_conf_file_restore(&f, &e));
	EQ_S(now(), TOP ALT);
}

T(restoring)
{
	struct stat st;
	ino_t inode;

	load(TOP ALT);
	NEED(chmod(path, 0600) == 0);
	EQ_CODE(LK_OK, lk_conf_file_read(&a, "root", &f, &e));
	NEED(stat(path, &st) == 0);
	inode = st.st_ino;
	EQ_CODE(LK_OK, lk_conf_file_restore(&f, &e)); /* it is as it was: not touched */
	NEED(stat(path, &st) == 0);
	EQ_U(st.st_ino, inode);
	g = f;
	f.n = 1;
	text = LK_BUF(store);
	EQ_CODE(LK_OK, lk_conf_file_text(&f, "", &text, &e));
	EQ_CODE(LK_OK, lk_conf_file_write(&f, lk_slice_buf(&text), &e));
	EQ_S(now(), TOP);
	NEED(stat(path, &st) == 0);
	EQ_U(st.st_mode & 0777, 0600);
	EQ_CODE(LK_OK, lk_conf_file_restore(&g, &e));
	EQ_S(now(), TOP ALT);
	NEED(stat(path, &st) == 0);
	EQ_U(st.st_mode & 0777, 0600);
}

T(refusals)
{
	static char big[LK_CONF_FILE_MAX + 1];

	start();
	EQ_CODE(LK_ECONF, lk_conf_file_read(&a, "../root", &f, &e));
	EQ_CODE(LK_OK, lk_file_replace(path, LK_S(TOP "[alternative]\n"), 0644, &e));
	EQ_CODE(LK_ECONF, lk_conf_file_read(&a, "root", &f, &e));
	OK(strstr(e.msg, "line 5: this [alternative] sets no key") != NULL);
	memset(big, '#', sizeof(big));
	EQ_CODE(LK_OK, lk_file_replace(path, lk_slice_of(big, sizeof(big)), 0644, &e));
	EQ_CODE(LK_ECONF, lk_conf_file_read(&a, "root", &f, &e));
	/* One byte less than boot reads, and then an alternative. */
	memcpy(big, TOP, strlen(TOP));
	EQ_CODE(LK_OK, lk_file_replace(path, lk_slice_of(big, sizeof(big) - 2), 0644, &e));
	EQ_CODE(LK_OK, lk_conf_file_read(&a, "root", &f, &e));
	f.binding[f.n++] = other(B, MB);
	text = LK_BUF(store);
	EQ_CODE(LK_ELIMIT, lk_conf_file_text(&f, "", &text, &e));
	OK(e.hint[0] != '\0');

	load(TOP);
	f.binding[0] = other(B, MB);
	f.binding[0].uuid[0] = '7';
	text = LK_BUF(store);
	EQ_CODE(LK_ECONF, lk_conf_file_text(&f, "", &text, &e));
	OK(strstr(e.msg, "is for the volume " UUID) != NULL);
	load(TOP);
	f.binding[1] = other("", MB);
	f.n = 2;
	text = LK_BUF(store);
	EQ_CODE(LK_ECONF, lk_conf_file_text(&f, "", &text, &e));
	/* What a file cannot say does not come out as something else. */
	load(TOP);
	rig_text(f.binding[0].identity_id, sizeof(f.binding[0].identity_id), "a\nkind = raw");
	f.binding[0].identity = LK_ID_CLIENT;
	text = LK_BUF(store);
	EQ_CODE(LK_EBUG, lk_conf_file_text(&f, "", &text, &e));
	EQ_S(now(), TOP);
}
