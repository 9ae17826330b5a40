/* What image-check finds in configuration and crypttab: a good image, then one thing wrong at a
 * time. */
#include "t.h"

#include "image_good.h"

T(a_good_image)
{
	make_systemd();
	passes("kind", "systemd, kernel 6.12.1");
	for (size_t i = 0; i < found.n; i++)
		OK(found.f[i].kind == LK_FOUND_OK);
	EQ_U(found.n, 14);
	OK(find(LK_FOUND_OK, "program", "the same as /usr/bin/latchkey") != NULL);
	OK(find(LK_FOUND_OK, "trust anchors", "root: 1 in /etc/latchkey/trust.pem") != NULL);
	OK(find(LK_FOUND_OK, "root", "/dev/mapper/root, which latchkey opens") != NULL);
	OK(find(LK_FOUND_OK, "evidence", "the TPM and the SNP device, configfs-tsm") != NULL);
}

T(a_good_image_of_initramfs_tools)
{
	make_tools();
	passes("kind", "initramfs-tools, kernel 6.12.1");
	OK(find(LK_FOUND_OK, "crypttab", "root: opened with the key from /usr/lib/latchkey") !=
	    NULL);
	OK(find(LK_FOUND_OK, "name servers", "/run/net-*.conf") != NULL);
}

T(kinds)
{
	make_systemd();
	rig_drop(&r, "usr/lib/systemd/systemd");
	rig_dir(&r, "usr/lib/dracut");
	rig_put(&r, "sbin/cryptsetup", "a program");
	rig_find(&r, "sbin/cryptsetup")->mode = S_IFREG | 0755;
	fails("hook", "latchkey-settled.sh is not in the image");
	rig_drop(&r, "usr/lib/dracut");
	fails("kind", "neither dracut's nor");
}

T(program_in_the_image)
{
	make_systemd();
	rig_find(&r, "usr/bin/latchkey")->mode = S_IFREG | 0644;
	fails("program", "lacks the executable bit");
	rig_raw(&r, "usr/bin/latchkey", S_IFREG | 0755, "#!/bin/sh\n", 10);
	fails("program", "it is no program");
	rig_raw(&r, "usr/bin/latchkey", S_IFREG | 0755, &dynamic, sizeof(dynamic));
	fails("program", "not static: it needs /lib/ld.so.1");
	rig_raw(&r, "usr/bin/latchkey", S_IFREG | 0755, &program, sizeof(program) - 1);
	notes("program", "another version than /usr/bin/latchkey");
	look.program.n = 0;
	passes("program", "no /usr/bin/latchkey to compare");
	rig_drop(&r, "usr/bin/latchkey");
	fails("program", "/usr/bin/latchkey is not in the image");
}

T(configuration)
{
	make_systemd();
	rig_put(&r, "etc/latchkey/root.conf", CONF "colour = blue\n");
	fails("configuration", "line 6: unknown setting");
	rig_put(&r, "etc/latchkey/root.conf",
	    "uuid = " UUID "\nattest = https://a.weu.attest.azure.net\n");
	fails("configuration", "pins no key");
	rig_put(&r, "etc/latchkey/root.conf", "# older\n" CONF);
	notes("configuration", "not the same file");
	rig_put(&r, "etc/latchkey/root.conf", CONF);
	host.conf.thumbprint[0] = 'X';
	fails("configuration", "another thumbprint than this machine's root.conf");
	host.conf.thumbprint[0] = THUMB[0];
	strcpy(host.conf.key, "https://kv1.vault.azure.net/keys/new");
	fails("configuration", "another key than");
	host.conf = (struct lk_conf){0};
	OK(lk_image_volume_read(&host, &e) == LK_OK);
	strcpy(host.conf.attest, "https://sharedneu.neu.attest.azure.net");
	fails("configuration", "another attestation provider than");
	look.hosts = 0;
	passes("configuration", "not configured on this machine");
	rig_put(&r, "etc/latchkey/root.conf", PINS "trust = /etc/latchkey/trust.pem\n");
	notes("configuration", "no thumbprint");
	rig_drop(&r, "etc/latchkey/root.conf");
	look.cmdline = LK_S("rd.neednet=1 ip=dhcp root=/dev/vg/root");
	rig_put(&r, "etc/crypttab", "");
	fails("configuration", "there is no /etc/latchkey/NAME.conf in the image");
}

#define ALT                                                                                        \
	"[alternative]\nkey = https://kv2.vault.azure.net/keys/disk\n"                             \
	"attest = https://sharedneu.neu.attest.azure.net\n"

T(alternatives)
{
	make_systemd();
	look.hosts = 0;
	rig_put(&r, "etc/latchkey/root.conf", CONF ALT "thumbprint = " THUMB "\n");
	passes("configuration", "root: key https://kv1.vault.azure.net/keys/disk, attested by");
	OK(find(LK_FOUND_OK, "configuration",
	       "root, alternative 1: key https://kv2.vault.azure.net/keys/disk, attested by "
	       "https://sharedneu.neu.attest.azure.net") != NULL);
	rig_put(&r, "etc/latchkey/root.conf", CONF ALT);
	notes("configuration", "root, alternative 1: no thumbprint is pinned");
	rig_put(&r, "etc/latchkey/root.conf", CONF ALT "kind = wrapped\n");
	fails("configuration", "root, alternative 1: the configuration pins no wrapped");
	rig_put(&r, "etc/latchkey/root.conf", CONF ALT "[alternative]\n");
	fails("configuration", "line 9: this [alternative] sets no key");
	rig_put(&r, "etc/latchkey/root.conf",
	    CONF "[alternative]\nattest = https://sharedneu.neu.attest.azure.net\n"
		 "key = https://kv2.example.net/keys/disk\n");
	fails("configuration", "line 8: key: kv2.example.net is no key vault or managed HSM");
	rig_put(&r, "etc/latchkey/root.conf", CONF ALT "identity = nobody\n");
	fails("configuration", "line 9: identity: must be");
	rig_put(&r, "etc/latchkey/root.conf", CONF ALT "trust = /etc/latchkey/trust.pem\n");
	fails("configuration", "line 9: trust is the volume's");
}

T(alternatives_are_compared_with_the_machines)
{
	make_systemd();
	rig_put(&r, "etc/latchkey/root.conf", CONF ALT);
	fails("configuration", "root: 2 bindings in the image, 1 in this machine's root.conf");
	host.text = LK_S(CONF ALT);
	NEED(lk_image_volume_read(&host, &e) == LK_OK);
	passes("configuration", "root, alternative 1: key");
	host.text = LK_S(CONF ALT "kind = raw\n");
	fails("configuration", "root, alternative 1: the image pins another kind of binding than");
	host.text = LK_S(CONF "[alternative]\nkey = https://kv2.vault.azure.net/keys/disk\n"
			      "attest = https://sharedweu.weu.attest.azure.net\n");
	fails("configuration", "root, alternative 1: the image pins another attestation provider");
	rig_put(&r, "etc/latchkey/root.conf", CONF);
	fails("configuration", "root: 1 binding in the image, 2 in this machine's root.conf");
	rig_put(&r, "etc/latchkey/root.conf", CONF ALT "identity = client:one\n");
	host.text = LK_S(CONF ALT);
	notes("configuration", "root: the same pins as in this machine's root.conf, but not");
}

T(files_that_the_configuration_names)
{
	make_systemd();
	rig_put(&r, "etc/latchkey/trust.pem", "no certificates here\n");
	fails("trust anchors", "root: /etc/latchkey/trust.pem: ");
	rig_drop(&r, "etc/latchkey/trust.pem");
	fails("trust anchors", "root: /etc/latchkey/trust.pem is not in the image");
	rig_put(&r, "etc/latchkey/trust.pem", trust);
	rig_put(&r, "etc/latchkey/root.conf", CONF "init-data = /etc/latchkey/init.toml\n");
	fails("init-data", "root: /etc/latchkey/init.toml is not in the image, or empty");
	rig_put(&r, "etc/latchkey/init.toml", "a");
	notes("configuration", "not the same file");
	OK(find(LK_FOUND_OK, "init-data", "root: /etc/latchkey/init.toml") != NULL);
}

T(crypttab)
{
	static const struct {
		const char *text, *wrong;
	} rows[] = {
	    {"", "no entry in the image's /etc/crypttab"},
	    {"#" SOCKET_LINE, "no entry in the image's /etc/crypttab"},
	    {"root UUID=" UUID " none luks,x-initrd.attach", "the key file is none, not /run"},
	    {"root UUID=" UUID, "the key file is , not /run"},
	    {"root UUID=00000000-0b4e-4a8c-a8a2-9d5c3c2f1f0e /run/latchkey/key.sock luks",
		"for UUID 00000000-"},
	    {"root UUID=" UUID " /run/latchkey/key.sock luks,key-slot=1,x-initrd.attach",
		"option key-slot"},
	    {"root UUID=" UUID " /run/latchkey/key.sock luks,noauto", "option noauto"},
	    {"root UUID=" UUID " /run/latchkey/key.sock keyfile-size=43", "option keyfile-size"},
	    {SOCKET_LINE "data UUID=" UUID " /run/latchkey/key.sock luks",
		"data: the key is to come"},
	};

	make_systemd();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rig_put(&r, "etc/crypttab", rows[i].text);
		fails("crypttab", rows[i].wrong);
	}
	rig_put(
	    &r, "etc/crypttab", "root\t UUID=\"" UUID "\" /run/latchkey/key.sock luks,headless=1");
	notes("crypttab", "without x-initrd.attach");
	notes("crypttab", "no passphrase prompt");
	rig_put(&r, "etc/crypttab", "root /dev/sda2 /run/latchkey/key.sock x-initrd.attach");
	notes("crypttab", "named by /dev/sda2");
	rig_put(&r, "etc/crypttab", "root /dev/disk/by-uuid/" UUID " /run/latchkey/key.sock luks");
	passes("crypttab", "root: opened");
	rig_drop(&r, "etc/crypttab");
	fails("crypttab", "/etc/crypttab, which is not there");
}

T(several_volumes)
{
	make_systemd();
	rig_put(&r, "etc/latchkey/data.conf", CONF);
	notes("crypttab", "data: no entry in the image");
	look.cmdline = LK_S("root=/dev/mapper/data rd.neednet=1");
	fails("crypttab", "data: no entry in the image");
	rig_put(&r, "etc/crypttab", "");
	look.cmdline = LK_S("root=/dev/vg/root rd.neednet=1");
	check();
	EQ_U(found.failed, 2);
}

T(crypttab_of_initramfs_tools)
{
	make_tools();
	rig_put(&r, "cryptroot/crypttab", SOCKET_LINE);
	fails("crypttab", "no keyscript");
	rig_put(&r, "cryptroot/crypttab", "root UUID=" UUID " x luks,keyscript=script");
	fails("crypttab", "no absolute path");
	rig_put(&r, "cryptroot/crypttab", SCRIPT_LINE);
	rig_find(&r, "usr/lib/latchkey/keyscript")->mode = S_IFREG | 0644;
	fails("crypttab", "keyscript is not in the image, or cannot be run");
	rig_raw(&r, "usr/lib/latchkey/keyscript", S_IFREG | 0755, "exec other", 10);
	notes("crypttab", "does not mention latchkey");
	rig_drop(&r, "usr/lib/latchkey/keyscript");
	fails("crypttab", "keyscript is not in the image, or cannot be run");
	make_tools();
	rig_drop(&r, "usr/lib/cryptsetup/askpass");
	fails("crypttab", "askpass is not in the image");
	make_tools();
	rig_drop(&r, "cryptroot/crypttab");
	fails("crypttab", "/cryptroot/crypttab, which is not there");
}

/* Names from the image reach a terminal: without control characters. */
T(nothing_unprintable_is_said)
{
	make_systemd();
	rig_put(&r, "etc/latchkey/a\033[2J.conf", CONF);
	rig_put(&r, "etc/crypttab", "\033x UUID=1 /run/latchkey/key.sock\n" SOCKET_LINE);
	check();
	OK(found.failed >= 2);
	for (size_t i = 0; i < found.n; i++)
		OK(strchr(found.f[i].text, '\033') == NULL &&
		    strchr(found.f[i].hint, '\033') == NULL);
}

T(more_than_can_be_listed)
{
	found.n = found.failed = 0;
	for (unsigned i = 0; i < 2 * LK_FINDINGS_MAX; i++) {
		lk_found(&found, LK_FOUND_FAIL, "item", "%u", i);
		lk_found_hint(&found, "%u", i);
	}
	EQ_U(found.n, LK_FINDINGS_MAX);
	EQ_U(found.failed, 2 * LK_FINDINGS_MAX);
	EQ_S(found.f[LK_FINDINGS_MAX - 1].item, "more");
	EQ_S(found.f[LK_FINDINGS_MAX - 2].hint, "198");
}

T(places)
{
	static const char *const want[] = {"/boot/initrd.img-6.1", "/boot/initramfs-6.1.img",
	    "/boot/initrd-6.1", "/boot/abc/6.1/initrd", "/efi/abc/6.1/initrd",
	    "/boot/efi/abc/6.1/initrd", "/usr/lib/modules/6.1/initramfs.img",
	    "/boot/initramfs-linux.img"};

	for (unsigned i = 0; i < 8; i++)
		EQ_S(lk_image_place(i, "6.1", "abc"), want[i]);
	OK(lk_image_place(8, "6.1", "abc") == NULL);
}
