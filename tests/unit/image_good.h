/* image_good.h - images with everything in them, for the tests of image-check that then take one
 * thing away. */
#ifndef LK_TEST_IMAGE_GOOD_H
#define LK_TEST_IMAGE_GOOD_H

#include <elf.h>
#include <stddef.h>

#include "ctl/image_check.h"
#include "image_rig.h"
#include "lk/crypto.h"

#define UUID  "2d5a37cf-0b4e-4a8c-a8a2-9d5c3c2f1f0e"
#define THUMB "cT0mVJ1XxvWZr0NqYyqg0Vt7eQqGmQzvZ2Zy4f0m1qE"
#define PINS                                                                                       \
	"uuid = " UUID "\nkey = https://kv1.vault.azure.net/keys/disk\n"                           \
	"attest = https://sharedweu.weu.attest.azure.net\n"
#define CONF        PINS "thumbprint = " THUMB "\ntrust = /etc/latchkey/trust.pem\n"
#define SOCKET_LINE "root UUID=" UUID " /run/latchkey/key.sock luks,x-initrd.attach\n"
#define SCRIPT_LINE                                                                                \
	"root UUID=" UUID " latchkey luks,initramfs,keyscript=/usr/lib/latchkey/keyscript\n"
#define MODULES "usr/lib/modules/6.12.1/kernel/"

static const char trust[] = "-----BEGIN CERTIFICATE-----\n"
			    "MIIBfzCCASWgAwIBAgIUd1g845V04Lp5RdDBhoCjBC9k6UgwCgYIKoZIzj0EAwIw\n"
			    "FDESMBAGA1UEAwwJdGVzdCByb290MCAXDTI2MTEyMzAxMDYzMFoYDzIwODEwODI2\n"
			    "MDEwNjMwWjAUMRIwEAYDVQQDDAl0ZXN0IHJvb3QwWTATBgcqhkjOPQIBBggqhkjO\n"
			    "PQMBBwNCAASZyT/EcROR/9HEhV+vDDPKr89Niel8Dm5DH8P05jUK4l/IoxN+qMEP\n"
			    "UIH/It5UkCxEK8HDVmC/hfOU5gXmCsd7o1MwUTAdBgNVHQ4EFgQUiBIHznJy+5W1\n"
			    "UIlL5FLhN+n4gv4wHwYDVR0jBBgwFoAUiBIHznJy+5W1UIlL5FLhN+n4gv4wDwYD\n"
			    "VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiB0xh3mZ2izef0cTkhHPmkT\n"
			    "iKmU2HC0tM24nViKAIUQewIhAIluMjkfAwNgdIe6DmK+ht+60P+amYO32KouVKQu\n"
			    "snA8\n"
			    "-----END CERTIFICATE-----\n";

static struct rig r;
static struct lk_image_look look;
static struct lk_image_volume host;
static struct lk_findings found;
static struct lk_err e;

/* A program of 64 bit: static, or with an interpreter and a library. */
struct program {
	Elf64_Ehdr h;
	Elf64_Phdr p[3];
	Elf64_Dyn d[3];
	char text[64];
};
static struct program program, dynamic;

T_HELPER make_programs(void)
{
	struct program *p = &dynamic;
	const size_t d = offsetof(struct program, d), text = offsetof(struct program, text);

	memset(p, 0, sizeof(*p));
	memcpy(p->h.e_ident, ELFMAG, SELFMAG);
	p->h.e_ident[EI_CLASS] = ELFCLASS64;
	p->h.e_ident[EI_DATA] = ELFDATA2LSB;
	p->h.e_phoff = offsetof(struct program, p);
	p->h.e_phentsize = sizeof(Elf64_Phdr);
	program = *p;
	p->h.e_phnum = 3;
	p->p[0] = (Elf64_Phdr){.p_type = PT_LOAD, .p_vaddr = 0x1000, .p_filesz = sizeof(*p)};
	p->p[1] = (Elf64_Phdr){.p_type = PT_INTERP, .p_offset = text};
	p->p[2] = (Elf64_Phdr){.p_type = PT_DYNAMIC, .p_offset = d, .p_filesz = sizeof(p->d)};
	p->d[0].d_tag = DT_NEEDED;
	p->d[0].d_un.d_val = 12;
	p->d[1].d_tag = DT_STRTAB;
	p->d[1].d_un.d_ptr = 0x1000 + text;
	memcpy(p->text, "/lib/ld.so.1\0libneeded.so.1", 27);
	p->d[0].d_un.d_val = 13;
}

T_HELPER make_folders(void)
{
	static const char *const dirs[] = {"usr", "usr/bin", "usr/sbin", "usr/lib",
	    "usr/lib/systemd", "usr/lib/systemd/system", "usr/lib/systemd/system-generators",
	    "usr/lib/modules", "usr/lib/modules/6.12.1", "usr/lib/modules/6.12.1/kernel",
	    "usr/lib/latchkey", "usr/lib/cryptsetup", "etc", "etc/latchkey", "etc/cmdline.d",
	    "etc/systemd", "etc/systemd/system", "etc/systemd/system/sockets.target.wants", "conf",
	    "cryptroot", "scripts", "scripts/local-top"};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		rig_dir(&r, dirs[i]);
	rig_link(&r, "lib", "usr/lib");
	rig_link(&r, "bin", "usr/bin");
	rig_link(&r, "sbin", "usr/sbin");
}

/* What both kinds of image have. */
T_HELPER make_common(void)
{
	memset(&e, 0, sizeof(e));
	OK(lk_crypto_start(&e) == LK_OK);
	r.files = r.n = 0;
	make_programs();
	make_folders();
	rig_raw(&r, "usr/bin/latchkey", S_IFREG | 0755, &program, sizeof(program));
	rig_put(&r, "etc/latchkey/root.conf", CONF);
	rig_put(&r, "etc/latchkey/trust.pem", trust);
	rig_put(&r, "usr/lib/libcryptsetup.so.12", "library");
	rig_put(&r, MODULES "dm-mod.ko", "");
	rig_put(&r, MODULES "dm-crypt.ko.xz", "");
	rig_put(&r, MODULES "xts.ko.zst", "");
	rig_put(&r, MODULES "hv_netvsc.ko.gz", "");
	rig_put(&r, MODULES "hv_storvsc.ko", "");
	rig_put(&r, MODULES "sev-guest.ko", "");
	rig_put(&r, MODULES "tsm.ko", "");
	rig_put(&r, "usr/lib/modules/6.12.1/modules.builtin",
	    "kernel/drivers/char/tpm/tpm_crb.ko\nkernel/crypto/aes_generic.ko\n");

	memset(&look, 0, sizeof(look));
	host = (struct lk_image_volume){.name = "root", .text = LK_S(CONF)};
	OK(lk_image_volume_read(&host, &e) == LK_OK);
	look.cmdline = LK_S("quiet root=/dev/mapper/root rd.neednet=1 ip=dhcp\n");
	look.cmdline_from = "the next";
	look.cmdline_next = true;
	look.azure = true;
	look.program = lk_slice_of(&program, sizeof(program));
	look.program_path = "/usr/bin/latchkey";
	look.hosts = 1;
	look.host = &host;
	look.cipher = "aes-xts-plain64";
}

T_HELPER make_systemd(void)
{
	make_common();
	rig_put(&r, "usr/lib/systemd/systemd", "init");
	rig_put(&r, "usr/lib/systemd/systemd-cryptsetup", "program");
	rig_put(&r, "usr/lib/systemd/system-generators/systemd-cryptsetup-generator", "");
	rig_put(&r, "usr/lib/systemd/system/latchkey.socket", "[Socket]");
	rig_put(&r, "usr/lib/systemd/system/latchkey@.service", "[Service]");
	rig_put(&r, "usr/lib/systemd/system/modprobe@.service", "");
	rig_put(&r, "usr/lib/systemd/system/sys-kernel-config.mount", "");
	rig_link(&r, "etc/systemd/system/sockets.target.wants/latchkey.socket",
	    "/lib/systemd/system/latchkey.socket");
	rig_put(&r, "etc/crypttab", "# a remark\n" SOCKET_LINE);
	rig_put(&r, "usr/sbin/dhclient", "");
}

T_HELPER make_tools(void)
{
	make_common();
	rig_put(&r, "conf/initramfs.conf", "MODULES=most\n");
	rig_put(&r, "cryptroot/crypttab", SCRIPT_LINE);
	rig_raw(&r, "usr/lib/latchkey/keyscript", S_IFREG | 0755, "exec latchkey key", 17);
	rig_put(&r, "usr/lib/cryptsetup/askpass", "");
	rig_put(&r, "scripts/local-top/cryptroot", "");
	rig_put(&r, "usr/sbin/cryptsetup", "");
	rig_put(&r, "usr/bin/ipconfig", "");
}

T_HELPER check(void)
{
	struct lk_image_facts facts;

	memset(&e, 0, sizeof(e));
	found.n = found.failed = 0;
	r.n = 0;
	rig_archive(&r);
	if (lk_image_new(&look.img, &e) != LK_OK ||
	    lk_image_read(rig_slice(&r), lk_deadline_in(60000), look.img, &facts, &e) != LK_OK)
		T_FAIL("%s", e.msg);
	lk_image_prepare(&look, "6.12.1");
	lk_image_check(&look, &found);
}

static inline const struct lk_finding *find(
    enum lk_finding_kind kind, const char *item, const char *text)
{
	for (size_t i = 0; i < found.n; i++)
		if (found.f[i].kind == kind && strcmp(found.f[i].item, item) == 0 &&
		    strstr(found.f[i].text, text) != NULL)
			return &found.f[i];
	return NULL;
}

T_HELPER print(void)
{
	for (size_t i = 0; i < found.n; i++)
		printf("#   %d %s: %s\n", (int)found.f[i].kind, found.f[i].item, found.f[i].text);
}

/* Exactly one failure, this one, with its remedy. */
T_HELPER fails(const char *item, const char *text)
{
	const struct lk_finding *f;

	check();
	f = find(LK_FOUND_FAIL, item, text);
	if (f == NULL || found.failed != 1 || f->hint[0] == '\0') {
		T_FAIL("not one failure \"%s: %s\" with a hint, but", item, text);
		print();
	}
}

/* No failure, but this remark. */
T_HELPER notes(const char *item, const char *text)
{
	check();
	if (find(LK_FOUND_NOTE, item, text) == NULL || found.failed != 0) {
		T_FAIL("no note \"%s: %s\", but", item, text);
		print();
	}
}

T_HELPER passes(const char *item, const char *text)
{
	check();
	if (find(LK_FOUND_OK, item, text) == NULL || found.failed != 0) {
		T_FAIL("not ok \"%s: %s\", but", item, text);
		print();
	}
}

#endif
