/* What image-check finds about units, modules, network and root: one thing wrong at a time. */
#include "t.h"

#include "image_good.h"

T(what_asks_for_the_key)
{
	static const struct {
		const char *path, *item, *text;
	} rows[] = {
	    {"usr/lib/systemd/system/latchkey@.service", "units", "latchkey@.service is not"},
	    {"usr/lib/systemd/system/latchkey.socket", "units", "latchkey.socket is not"},
	    {"etc/systemd/system/sockets.target.wants/latchkey.socket", "units",
		"nothing starts latchkey.socket"},
	    {"usr/lib/systemd/systemd-cryptsetup", "cryptsetup", "systemd-cryptsetup is not"},
	    {"usr/lib/systemd/system-generators/systemd-cryptsetup-generator", "cryptsetup",
		"nothing reads crypttab"},
	    {"usr/lib/libcryptsetup.so.12", "cryptsetup", "libcryptsetup is not in the image"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make_systemd();
		OK(rig_drop(&r, rows[i].path));
		fails(rows[i].item, rows[i].text);
	}
	make_systemd();
	rig_link(&r, "etc/systemd/system/latchkey.socket", "/dev/null");
	fails("units", "/etc/systemd/system/latchkey.socket is masked");
	make_tools();
	rig_drop(&r, "usr/sbin/cryptsetup");
	fails("cryptsetup", "/sbin/cryptsetup is not");
	make_tools();
	rig_drop(&r, "scripts/local-top/cryptroot");
	fails("cryptsetup", "nothing opens volumes");
}

T(libraries)
{
	make_systemd();
	rig_raw(
	    &r, "usr/lib/systemd/systemd-cryptsetup", S_IFREG | 0755, &dynamic, sizeof(dynamic));
	fails("cryptsetup", "systemd-cryptsetup needs libneeded.so.1");
	rig_link(&r, "usr/lib/libneeded.so.1", "libneeded.so.1.2");
	fails("cryptsetup", "systemd-cryptsetup needs libneeded.so.1");
	rig_put(&r, "usr/lib/libneeded.so.1.2", "");
	passes("cryptsetup", "what they need");
	rig_drop(&r, "usr/lib/libneeded.so.1.2");
	rig_drop(&r, "usr/lib/libneeded.so.1");
	rig_put(&r, "usr/lib/systemd/systemd-cryptsetup", "");
	rig_raw(&r, "usr/lib/libcryptsetup.so.12", S_IFREG | 0755, &dynamic, sizeof(dynamic));
	fails("cryptsetup", "libcryptsetup.so.12 needs libneeded.so.1");
}

T(modules)
{
	static const struct {
		const char *path, *item, *text;
	} rows[] = {
	    {MODULES "dm-mod.ko", "disk modules", "(dm_mod)"},
	    {MODULES "dm-crypt.ko.xz", "disk modules", "(dm_crypt)"},
	    {MODULES "xts.ko.zst", "disk modules", "(xts)"},
	    {MODULES "hv_storvsc.ko", "disk modules", "hv_storvsc, nvme"},
	    {MODULES "hv_netvsc.ko.gz", "network drivers", "hv_netvsc"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make_systemd();
		OK(rig_drop(&r, rows[i].path));
		fails(rows[i].item, rows[i].text);
	}
	make_systemd();
	look.azure = false;
	rig_drop(&r, MODULES "hv_netvsc.ko.gz");
	fails("network drivers", "no driver of a network card");
	rig_put(&r, MODULES "virtio_net.ko", "");
	notes("network drivers", "without hv_netvsc");
	look.cipher = "serpent-cbc-essiv:sha256";
	check();
	EQ_U(found.failed, 4);
	look.cipher = "aes-wide-plain64";
	notes("disk modules", "wide of the cipher aes-wide-plain64");
}

T(modules_of_which_kernel)
{
	make_systemd();
	rig_dir(&r, "usr/lib/modules/6.12.10");
	notes("kernel modules", "for 2 kernels; those of 6.12.1");
	rig_put(&r, "usr/lib/modules/6.12.10/dm-mod.ko", "");
	rig_drop(&r, MODULES "dm-mod.ko");
	fails("disk modules", "(dm_mod)");
	make_systemd();
	rig_drop(&r, "usr/lib/modules/6.12.1/modules.builtin");
	check();
	EQ_U(found.failed, 2);
	OK(find(LK_FOUND_NOTE, "kernel modules", "no modules.builtin for 6.12.1") != NULL);
	look.builtin = LK_S("kernel/a/tpm_tis.ko\nkernel/aes_generic.ko");
	passes("evidence", "the TPM");
	make_systemd();
	r.files = 0;
	make_folders();
	rig_drop(&r, "usr/lib/modules/6.12.1/kernel");
	rig_drop(&r, "usr/lib/modules/6.12.1");
	check();
	OK(find(LK_FOUND_NOTE, "kernel modules", "there are none in the image") != NULL);
}

T(evidence)
{
	static const char *const builtin = "usr/lib/modules/6.12.1/modules.builtin";

	make_systemd();
	rig_put(&r, builtin, "kernel/crypto/aes_generic.ko\n");
	fails("evidence", "the TPM: not in the image");
	look.azure = false;
	passes("evidence", "drivers of the SNP device, configfs-tsm");
	OK(rig_drop(&r, "usr/lib/systemd/system/modprobe@.service"));
	fails("evidence", "modprobe@.service is not");
	rig_drop(&r, MODULES "sev-guest.ko");
	rig_put(&r, "usr/lib/systemd/system/modprobe@.service", "");
	fails("evidence", "neither a TPM's driver");
	make_systemd();
	look.azure = false;
	look.hosts = 0;
	rig_put(&r, "etc/latchkey/root.conf", CONF "evidence = tsm\n");
	rig_drop(&r, MODULES "tsm.ko");
	fails("evidence", "configfs-tsm: not in the image");
	rig_put(&r, "etc/latchkey/root.conf", CONF "evidence = sev-guest\n");
	passes("evidence", "the TPM and the SNP device");
	rig_drop(&r, MODULES "sev-guest.ko");
	fails("evidence", "the SNP device: not in the image");
	rig_put(&r, "etc/latchkey/root.conf", CONF "evidence = vtpm\n");
	passes("evidence", "drivers of the TPM");
}

T(network)
{
	make_systemd();
	rig_drop(&r, "usr/sbin/dhclient");
	fails("network", "nothing in the image can bring a network up");
	rig_put(&r, "usr/lib/systemd/systemd-networkd", "");
	passes("name servers", "from its leases");
	rig_put(&r, "etc/resolv.conf", "search a\nnameserver 127.0.0.53\n");
	notes("name servers", "names 127");
	rig_put(&r, "usr/lib/systemd/systemd-resolved", "");
	passes("name servers", "");
	rig_drop(&r, "usr/lib/systemd/systemd-resolved");
	rig_put(&r, "etc/resolv.conf", "nameserver 168.63.129.16\n# 127.0.0.1\n");
	passes("name servers", "");
	look.cmdline = LK_S("root=/dev/mapper/root rd.neednet=1");
	notes("command line", "no ip= for systemd-networkd");
	make_tools();
	rig_drop(&r, "usr/bin/ipconfig");
	fails("network", "nothing in the image can bring a network up");
	rig_put(&r, "usr/sbin/dhcpcd", "");
	passes("network", "by dhcpcd");
}

T(network_on_the_command_line)
{
	make_systemd();
	look.cmdline = LK_S("root=/dev/mapper/root");
	fails("command line", "rd.neednet=1 is neither in the image nor in the next");
	look.cmdline = LK_S("rd.neednet=1 root=/dev/mapper/root rd.neednet=0");
	fails("command line", "rd.neednet=1 is neither");
	look.cmdline = LK_S("root=/dev/mapper/root -- rd.neednet=1");
	fails("command line", "rd.neednet=1 is neither");
	look.cmdline_next = false;
	notes("command line", "unless the next boot's has it");
	look.cmdline = LK_S("root=/dev/mapper/root rd.neednet");
	notes("command line", "see that the next boot has it, too");
	look.cmdline = LK_S("root=/dev/mapper/root");
	rig_put(&r, "etc/cmdline.d/60latchkey.conf", " rd.neednet=1\n");
	passes("command line", "rd.neednet=1, from the image");
	look.cmdline = LK_S("root=/dev/mapper/root rd.neednet=0");
	notes("command line", "rd.neednet=1 is neither");
}

T(root)
{
	static const struct {
		const char *value;
		enum lk_finding_kind kind;
		const char *text;
	} rows[] = {
	    {"/dev/mapper/root", LK_FOUND_OK, "which latchkey opens"},
	    {"block:/dev/mapper/root", LK_FOUND_OK, "which latchkey opens"},
	    {"/dev/mapper/other", LK_FOUND_NOTE, "LVM or another mapping"},
	    {"/dev/mapper/vg-root", LK_FOUND_NOTE, "LVM or another mapping"},
	    {"/dev/vg/root", LK_FOUND_NOTE, "LVM or another mapping"},
	    {"UUID=11111111-2222-3333-4444-555555555555", LK_FOUND_NOTE, "could present"},
	    {"/dev/disk/by-uuid/1111-2222", LK_FOUND_NOTE, "could present"},
	    {"LABEL=root", LK_FOUND_NOTE, "could present"},
	    {"UUID=" UUID, LK_FOUND_FAIL, "not of what is in it"},
	    {"/dev/sda2", LK_FOUND_FAIL, "plain device"},
	    {"/dev/nvme0n1p1", LK_FOUND_FAIL, "plain device"},
	    {"PARTUUID=11111111-2222-3333-4444-555555555555", LK_FOUND_FAIL, "plain device"},
	    {"/dev/disk/by-partuuid/1", LK_FOUND_FAIL, "plain device"},
	    {"/dev/disk/by-path/pci-0000", LK_FOUND_FAIL, "plain device"},
	    {"gpt-auto", LK_FOUND_FAIL, "left to what the disk says"},
	    {"", LK_FOUND_FAIL, "left to what the disk says"},
	};
	char line[200];

	make_systemd();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(line, sizeof(line), "root=/dev/old rd.neednet=1 root=%s", rows[i].value);
		look.cmdline = lk_slice_str(line);
		check();
		if (find(rows[i].kind, "root", rows[i].text) == NULL)
			T_FAIL("root=%s", rows[i].value);
		EQ_U(found.failed, rows[i].kind == LK_FOUND_FAIL);
	}
	look.cmdline = LK_S("rd.neednet=1");
	fails("root", "no root= in the next");
	look.cmdline_next = false;
	check();
	OK(find(LK_FOUND_NOTE, "root", "no root= in the next") != NULL);
	rig_put(&r, "etc/cmdline.d/root.conf", "root=/dev/sda1");
	fails("root", "/dev/sda1 is a plain device");
}
