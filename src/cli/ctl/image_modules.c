/* image_modules.c - kernel modules: in the image, or built in by modules.builtin. */
#include "image_check.h"

#include <string.h>
#include <sys/stat.h>

#include "lk/fmt.h"

/* Alternatives, separated by blanks; one of them is enough. */
struct need {
	const char *what, *modules;
};

static bool same_module(struct lk_slice a, struct lk_slice b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (a.p[i] != b.p[i] &&
		    !((a.p[i] == '-' || a.p[i] == '_') && (b.p[i] == '-' || b.p[i] == '_')))
			return false;
	return true;
}

/* "…/NAME.ko" and "…/NAME.ko.xz" name a module. */
static bool module_name(struct lk_slice path, struct lk_slice *name)
{
	static const char *const ends[] = {".ko", ".ko.xz", ".ko.zst", ".ko.gz"};
	struct lk_slice base = lk_path_base(path);

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct lk_slice end = lk_slice_str(ends[i]);

		if (!lk_slice_ends(base, end))
			continue;
		*name = lk_slice_sub(base, 0, base.n - end.n);
		return true;
	}
	return false;
}

/* Is this file a module of the kernel that boots? */
static bool of_kernel(const struct lk_image_look *l, struct lk_slice path)
{
	struct lk_slice folder = LK_S("lib/modules/"), version = lk_slice_str(l->kernel);

	if (lk_slice_starts(path, LK_S("usr/")))
		path = lk_slice_sub(path, 4, path.n);
	if (!lk_slice_starts(path, folder))
		return false;
	path = lk_slice_sub(path, folder.n, path.n);
	return lk_slice_starts(path, version) && path.n > version.n && path.p[version.n] == '/';
}

static struct lk_slice builtin(struct lk_image_look *l)
{
	char path[200];
	struct lk_file f;

	lk_fmt(path, sizeof(path), "/lib/modules/%s/modules.builtin", l->kernel);
	return lk_image_find(l->img, path, &f) && f.kept ? f.data : l->builtin;
}

typedef bool (*match)(struct lk_slice path, struct lk_slice want);

/* Is there a module whose path fits, as a file or built in? */
static bool any(struct lk_image_look *l, match fits, struct lk_slice want)
{
	struct lk_slice text = builtin(l), line;

	for (size_t i = 0; i < lk_image_count(l->img); i++) {
		struct lk_file f;

		lk_image_at(l->img, i, &f);
		if (S_ISREG(f.mode) && of_kernel(l, f.path) && fits(f.path, want))
			return true;
	}
	while (lk_next_line(&text, &line))
		if (fits(line, want))
			return true;
	return false;
}

static bool by_name(struct lk_slice path, struct lk_slice want)
{
	struct lk_slice name;

	return module_name(path, &name) && same_module(name, want);
}

static bool by_folder(struct lk_slice path, struct lk_slice want)
{
	struct lk_slice name;

	return module_name(path, &name) && memmem(path.p, path.n, want.p, want.n) != NULL;
}

static bool one_of(struct lk_image_look *l, const char *modules)
{
	struct lk_slice rest = lk_slice_str(modules), name;

	while (lk_next_word(&rest, &name))
		if (any(l, by_name, name))
			return true;
	return false;
}

/* Report those of a list that are missing; true: none. */
static bool check_list(struct lk_image_look *l, const char *item, const struct need *list, size_t n,
    const char *hint, struct lk_findings *fs)
{
	bool good = true;

	for (size_t i = 0; i < n; i++) {
		if (one_of(l, list[i].modules))
			continue;
		lk_found(fs, LK_FOUND_FAIL, item, "%s: not in the image and not built in (%s)",
		    list[i].what, list[i].modules);
		lk_found_hint(fs, "%s", hint);
		good = false;
	}
	return good;
}

/* Which modules a word of dm-crypt's cipher specification needs. */
static const struct need ciphers[] = {
    {"aes", "aes_generic aesni_intel aes libaes aes_x86_64"},
    {"xts", "xts"},
    {"cbc", "cbc"},
    {"essiv", "essiv"},
    {"sha256", "sha256_generic sha256 libsha256 sha256_ssse3"},
    {"serpent", "serpent_generic serpent_avx2 serpent_avx_x86_64 serpent_sse2_x86_64"},
    {"twofish", "twofish_generic twofish_x86_64 twofish_x86_64_3way twofish_avx_x86_64"},
    {"camellia", "camellia_generic camellia_x86_64 camellia_aesni_avx_x86_64"},
    {"adiantum", "adiantum"},
    {"xchacha12", "chacha_generic chacha_x86_64 chacha"},
    {"xchacha20", "chacha_generic chacha_x86_64 chacha"},
    {"plain", NULL},
    {"plain64", NULL},
    {"plain64be", NULL},
    {"random", NULL},
};

static bool check_cipher_word(struct lk_image_look *l, struct lk_slice word, struct lk_findings *fs)
{
	for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++)
		if (lk_slice_eq_str(word, ciphers[i].what))
			return ciphers[i].modules == NULL ||
			       check_list(l, "disk modules", &ciphers[i], 1,
				   "add them to the image (add_drivers of dracut.conf, or "
				   "/etc/initramfs-tools/modules); --cipher names another "
				   "cipher than cryptsetup's usual one",
				   fs);
	lk_found(fs, LK_FOUND_NOTE, "disk modules", "%.*s of the cipher %s: not known here",
	    (int)word.n, (const char *)word.p, l->cipher);
	return true;
}

static void check_disk(struct lk_image_look *l, struct lk_findings *fs)
{
	static const struct need dm[] = {
	    {"device mapper", "dm_mod"}, {"encrypted volumes", "dm_crypt"}};
	struct lk_slice rest = lk_slice_str(l->cipher);
	bool good = check_list(l, "disk modules", dm, 2,
	    "dracut module crypt brings them: dracut -f --add crypt; initramfs-tools: "
	    "cryptsetup-initramfs",
	    fs);

	while (rest.n > 0) {
		size_t n = 0;

		while (n < rest.n && rest.p[n] != '-' && rest.p[n] != ',' && rest.p[n] != ':')
			n++;
		good = check_cipher_word(l, lk_slice_sub(rest, 0, n), fs) && good;
		rest = lk_slice_sub(rest, n + 1, rest.n);
	}
	if (l->azure && !one_of(l, "hv_storvsc nvme")) {
		lk_found(fs, LK_FOUND_FAIL, "disk modules",
		    "disks of Azure: not in the image and not built in (hv_storvsc, nvme)");
		lk_found_hint(
		    fs, "add_drivers+=\" hv_storvsc nvme \" in dracut.conf, then " LK_REBUILD);
		good = false;
	}
	if (good)
		lk_found(fs, LK_FOUND_OK, "disk modules", "dm_crypt and %s", l->cipher);
}

static void check_cards(struct lk_image_look *l, struct lk_findings *fs)
{
	static const char item[] = "network drivers";
	bool azure = one_of(l, "hv_netvsc");
	bool some = azure || one_of(l, "virtio_net vmxnet3 xen_netfront") ||
		    any(l, by_folder, LK_S("/drivers/net/ethernet/"));

	if (l->azure && !azure) {
		lk_found(fs, LK_FOUND_FAIL, item,
		    "hv_netvsc, the card of every Azure VM, is neither in the image nor built in");
		lk_found_hint(fs, "add_drivers+=\" hv_netvsc \" in dracut.conf, or hv_netvsc in "
				  "/etc/initramfs-tools/modules; then " LK_REBUILD);
	} else if (!some) {
		lk_found(fs, LK_FOUND_FAIL, item,
		    "no driver of a network card is in the image or built in");
		lk_found_hint(fs, "dracut module kernel-network-modules, or MODULES=most of "
				  "initramfs-tools; then " LK_REBUILD);
	} else if (azure) {
		lk_found(fs, LK_FOUND_OK, item, "hv_netvsc%s", l->azure ? "" : ", for Azure");
	} else {
		lk_found(fs, LK_FOUND_NOTE, item,
		    "without hv_netvsc: not for a VM of Azure with its network");
	}
}

/* What the settings ask for, over all volumes. */
struct wanted {
	bool tpm, guest, tsm;
	bool any; /* the first that is there */
};

static struct wanted evidence_wanted(const struct lk_image_look *l)
{
	struct wanted w = {false, false, false, false};

	for (size_t i = 0; i < l->volumes; i++) {
		enum lk_evidence_from from = l->volume[i].conf.evidence;

		if (!l->volume[i].good)
			continue;
		w.tpm = w.tpm || from == LK_EV_VTPM || (from == LK_EV_AUTO && l->azure);
		w.tsm = w.tsm || from == LK_EV_TSM;
		w.guest =
		    w.guest || from == LK_EV_TSM || from == LK_EV_GUEST || from == LK_EV_LEGACY;
		w.any = w.any || (from == LK_EV_AUTO && !l->azure);
	}
	return w;
}

/* latchkey.socket has systemd load the driver and mount configfs; without them the evidence is
 * there only if somebody else does it. */
static bool check_guest_units(struct lk_image_look *l, const char *item, struct lk_findings *fs)
{
	static const char *const units[] = {"modprobe@.service", "sys-kernel-config.mount"};
	bool good = true;

	for (size_t i = 0; l->flavor == LK_IMAGE_SYSTEMD && i < 2; i++) {
		char path[100];
		struct lk_file f;

		lk_fmt(path, sizeof(path), "/usr/lib/systemd/system/%s", units[i]);
		if (lk_image_find(l->img, path, &f))
			continue;
		lk_found(fs, LK_FOUND_FAIL, item,
		    "%s is not in the image: the SNP device may be missing", units[i]);
		lk_found_hint(fs, "latchkey's dracut module brings it: install it, then dracut -f");
		good = false;
	}
	return good;
}

static void check_evidence(struct lk_image_look *l, struct lk_findings *fs)
{
	static const char item[] = "evidence";
	static const char hint[] = "latchkey's dracut module or hook brings it, if the kernel has "
				   "it: install that, then " LK_REBUILD;
	static const struct need tpm = {"the TPM", "tpm_crb tpm_tis"},
				 guest = {"the SNP device", "sev_guest sevguest"},
				 tsm = {"configfs-tsm", "tsm tsm_report"};
	bool has_tpm = one_of(l, tpm.modules), has_guest = one_of(l, guest.modules);
	struct wanted w = evidence_wanted(l);
	bool good = true;

	if (w.tpm)
		good = check_list(l, item, &tpm, 1, hint, fs) && good;
	if (w.guest)
		good = check_list(l, item, &guest, 1, hint, fs) && good;
	if (w.tsm)
		good = check_list(l, item, &tsm, 1, hint, fs) && good;
	if (w.any && !has_tpm && !has_guest) {
		lk_found(fs, LK_FOUND_FAIL, item,
		    "neither a TPM's driver (tpm_crb, tpm_tis) nor sev_guest is in the image or "
		    "built in");
		lk_found_hint(fs, "%s", hint);
		good = false;
	}
	if (w.guest || (w.any && !has_tpm))
		good = check_guest_units(l, item, fs) && good;
	if (good)
		lk_found(fs, LK_FOUND_OK, item, "drivers of %s%s%s%s", has_tpm ? "the TPM" : "",
		    has_tpm && has_guest ? " and " : "", has_guest ? "the SNP device" : "",
		    has_guest && one_of(l, tsm.modules) ? ", configfs-tsm" : "");
}

void lk_image_check_modules(struct lk_image_look *l, struct lk_findings *fs)
{
	if (l->kernels == 0) {
		lk_found(fs, LK_FOUND_NOTE, "kernel modules",
		    "there are none in the image: the kernel must have everything built in");
		return;
	}
	if (l->kernels > 1)
		lk_found(fs, LK_FOUND_NOTE, "kernel modules",
		    "for %u kernels; those of %s are looked at", l->kernels, l->kernel);
	if (builtin(l).n == 0)
		lk_found(fs, LK_FOUND_NOTE, "kernel modules",
		    "no modules.builtin for %s: what is built in counts as missing", l->kernel);
	check_disk(l, fs);
	check_cards(l, fs);
	check_evidence(l, fs);
}
