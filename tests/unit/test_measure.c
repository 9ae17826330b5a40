/* The launch measurement: known answers, a second implementation over made-up images, the published
 * cases, and images that must be refused. */
#include "t.h"

#include "../../src/cli/ctl/measure_int.h"
#include "lines.h"
#include "lk/crypto.h"
#include "lk/io.h"

#define IMAGE 8192u
#define AP    0x80b004u

static struct lk_err e;
static uint8_t image[IMAGE];

/* From here on, offsets of the image that good() makes. */
#define TAIL    (IMAGE - 50) /* of the table's footer: size, GUID */
#define E_META  (TAIL - 22)  /* entries: four bytes of data, size, GUID */
#define E_RESET (TAIL - 44)
#define E_TABLE (TAIL - 70) /* eight bytes of data */
#define META    0x1100u
#define ROW(i)  (META + 16 + 12u * (i))

static void put(size_t at, size_t n, uint64_t v)
{
	lk_put_le(image + at, n, v);
}

static void guid(size_t at, const char *hex)
{
	struct lk_buf b = {.p = image + at, .n = 0, .cap = 16, .bad = false};

	OK(lk_hex_decode(lk_slice_str(hex), &b, &e) == LK_OK && b.n == 16);
}

static void row(unsigned i, uint32_t at, uint32_t size, uint32_t type)
{
	put(ROW(i), 4, at);
	put(ROW(i) + 4, 4, size);
	put(ROW(i) + 8, 4, type);
}

/* A small image with one section of each type. */
static struct lk_slice good(void)
{
	for (size_t i = 0; i < IMAGE; i++)
		image[i] = (uint8_t)(i * 7 + i / 256);
	put(TAIL, 2, 88);
	guid(TAIL + 2, "de82b596b21ff745baeaa366c55a082d");
	put(E_META, 4, IMAGE - META);
	put(E_META + 4, 2, 22);
	guid(E_META + 6, "666588dc4a989847a75e5585a7bf67cc");
	put(E_RESET, 4, AP);
	put(E_RESET + 4, 2, 22);
	guid(E_RESET + 6, "de71f7007e1acb4f890e68c77e2fb44e");
	put(E_TABLE, 4, 0x810c00);
	put(E_TABLE + 4, 4, 0x400);
	put(E_TABLE + 8, 2, 26);
	guid(E_TABLE + 10, "1f3755723b3a044b927b1da6efa8d454");
	put(META, 4, 0x56455341);
	put(META + 4, 4, 16 + 12 * 5);
	put(META + 8, 4, 1);
	put(META + 12, 4, 5);
	row(0, 0x800000, 0x3000, SEC_MEM);
	row(1, 0x80d000, 0x1000, SEC_SECRETS);
	row(2, 0x80e000, 0x1000, SEC_CPUID);
	row(3, 0x80f000, 0x1000, SEC_SVSM_CAA);
	row(4, 0x810000, 0x1000, SEC_KERNEL_HASHES);
	return lk_slice_of(image, IMAGE);
}

static struct lk_measure launch(void)
{
	return (struct lk_measure){.ovmf = good(), .vcpus = 1, .vcpu_sig = 0x800f12, .features = 1};
}

static enum lk_code run(const struct lk_measure *m)
{
	static uint8_t out[LK_MEASURE_SIZE];

	memset(&e, 0, sizeof(e));
	return lk_measure_snp(m, out, &e);
}

/* SHA-384 of a save area, in hexadecimal. */
static const char *vmsa(enum lk_vmm vmm, uint64_t features, uint32_t entry)
{
	static uint8_t page[PAGE], digest[48], store[97];
	struct lk_measure m = {.vmm = vmm, .vcpu_sig = 0x800f12, .features = features};
	struct lk_slice all = lk_slice_of(page, PAGE);
	struct lk_buf hex = LK_BUF(store);

	lk_vmsa_page(&m, entry, page);
	OK(lk_hash(LK_SHA384, &all, 1, digest, &e) == LK_OK);
	lk_hex_encode(lk_slice_of(digest, 48), &hex);
	return (const char *)store;
}

T(save_areas_by_their_digests)
{
	NEED(lk_crypto_start(&e) == LK_OK);
	EQ_S(vmsa(LK_VMM_QEMU, 0x1, BOOT_ENTRY),
	    "77920c4c629ff47e90c0e174fc1ad0eb6fa664f88cd4739488058a8c6cb1a77b"
	    "3856f55378e9518d0da99452d51c553a");
	EQ_S(vmsa(LK_VMM_QEMU, 0x21, BOOT_ENTRY),
	    "ae79efa6efbe1594a2717dfd42af495a0e4ed37b00e529a5fdf349bea04c3513"
	    "962ffb0c74cf65b0d9a1857271833d6e");
	EQ_S(vmsa(LK_VMM_QEMU, 0x21, AP),
	    "180ef2675dc01615d31b3e84ef27a0a69d08bfbbb58ea4f6a0188f08884ab640"
	    "7591ada42f99749ce9a406fb4e5d8355");
	EQ_S(vmsa(LK_VMM_EC2, 0x21, BOOT_ENTRY),
	    "e0897e8839a89263c86c623a0a739839fbf54dd00526df52c2a854fd36e6557c"
	    "8260f21c8030441e5e3e79d5e8da7c5f");
	EQ_S(vmsa(LK_VMM_GCE, 0x1, BOOT_ENTRY),
	    "f9e03177dad7f4819ee193af7cfb70507d8a923ab513412e908bc73460a9dfda"
	    "a54215d58952816118ffb2ec281e7fd2");
}

T(table_of_kernel_hashes)
{
	static const char want[] =
	    "06d63894224fc94cb479a793d411fd21a800d82dd09720bd944caa78e7714d36ab2a3200321c8eec6a77ba"
	    "d179511397f913a083067ad8cb737bb260aacbfe8df70fc50a31f7ba442f3ad74b9af141e29169781d3200"
	    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8553794e74dd2ab7f42b835d5"
	    "b172d2045b3200e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	    "0000000000000000";
	static uint8_t page[PAGE], store[353];
	struct lk_buf hex = LK_BUF(store);
	struct lk_measure m = {.with_kernel = true, .append = LK_S("console=ttyS0 loglevel=7")};

	NEED(lk_hashes_page(&m, 0x810c00, page, &e) == LK_OK);
	lk_hex_encode(lk_slice_of(page + 0xc00, 176), &hex);
	EQ_S((const char *)store, want);
	OK(lk_slice_is_zero(lk_slice_of(page, 0xc00)));
	OK(lk_slice_is_zero(lk_slice_of(page + 0xc00 + 176, PAGE - 0xc00 - 176)));
	EQ_CODE(LK_OK, lk_hashes_page(&m, PAGE - 176, page, &e));
	EQ_CODE(LK_EPROTO, lk_hashes_page(&m, PAGE - 175, page, &e));
}

static void check_case(struct line *l)
{
	struct lk_measure m = {.vmm = LK_VMM_QEMU};
	static uint8_t firmware[4 << 20];
	struct lk_buf fd = LK_BUF(firmware);
	uint8_t out[LK_MEASURE_SIZE];
	struct lk_slice want;
	uint32_t sig = 0;

	m.vmm = !strcmp(l->w[0], "ec2") ? LK_VMM_EC2 : m.vmm;
	m.vmm = !strcmp(l->w[0], "gce") ? LK_VMM_GCE : m.vmm;
	m.vcpus = (uint32_t)strtoul(l->w[1], NULL, 10);
	m.vcpu_sig = (uint32_t)strtoul(l->w[3], NULL, 16);
	m.features = strtoull(l->w[4], NULL, 16);
	m.ovmf_digest = line_hex(l, 6);
	m.with_kernel = *l->w[7]++ == 'x';
	m.kernel = m.with_kernel ? line_hex(l, 7) : m.kernel;
	m.initrd = *l->w[8]++ == 'x' ? line_hex(l, 8) : m.initrd;
	m.append = *l->w[9]++ == 'x' ? line_hex(l, 9) : m.append;
	if (strcmp(l->w[2], "-") != 0) {
		EQ_CODE(LK_OK, lk_measure_cpu(lk_slice_str(l->w[2]), &sig, &e));
		EQ_U(sig, m.vcpu_sig);
	}
	NEED(lk_file_read(l->w[5], &fd, &e) == LK_OK);
	m.ovmf = lk_slice_buf(&fd);
	if (lk_measure_snp(&m, out, &e) != LK_OK) {
		T_FAIL("%s: %s", l->w[12], e.msg);
		return;
	}
	want = line_hex(l, 10);
	if (want.n != sizeof(out) || memcmp(out, want.p, want.n) != 0)
		T_FAIL("%s differs from the second implementation", l->w[12]);
	want = line_hex(l, 11);
	if (want.n != 0 && (want.n != sizeof(out) || memcmp(out, want.p, want.n) != 0))
		T_FAIL("%s differs from the published digest", l->w[12]);
}

static unsigned check_cases(const char *what, const char *folder)
{
	struct line l = {0};
	unsigned n = 0;
	char cmd[400];
	FILE *f;

	snprintf(cmd, sizeof(cmd), LINES_PYTHON "tests/unit/measure_ref.py %s '%s'", what, folder);
	f = popen(cmd, "r");
	if (f == NULL)
		return 0;
	for (; line_next(f, &l); n++) {
		if (l.n != 13)
			T_FAIL("line %u has %u words", n, l.n);
		else
			check_case(&l);
	}
	EQ_I(pclose(f), 0);
	return n;
}

T(worked_out_twice)
{
	char folder[] = "/tmp/latchkey-measure-XXXXXX", cmd[64];

	NEED(mkdtemp(folder) != NULL);
	EQ_U(check_cases("cases", folder), 64);
	snprintf(cmd, sizeof(cmd), "rm -r '%s'", folder);
	EQ_I(system(cmd), 0);
}

T(published_digests)
{
	const char *vectors = getenv("VECTORS");
	char folder[300];

	if (vectors == NULL || *vectors == '\0')
		SKIP("VECTORS is not set");
	snprintf(folder, sizeof(folder), "%s/snp-measure", vectors);
	EQ_U(check_cases("vectors", folder), 8);
}

T(cpu_models)
{
	static const char *const no[] = {"", "EPY", "EPYC-", "EPYC-v", "EPYC-v0", "EPYC-v6",
	    "EPYC-v11", "epyc", "EPYC-Genoa-v3", "EPYC-Turin-v2", "EPYC-Milanv1", "Skylake-Server"};
	uint32_t sig = 0;

	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (lk_measure_cpu(lk_slice_str(no[i]), &sig, &e) != LK_ECONF)
			T_FAIL("%s is a model", no[i]);
	EQ_CODE(LK_OK, lk_measure_cpu(LK_S("EPYC-Turin"), &sig, &e));
	EQ_U(sig, 0xb00f00);
	EQ_CODE(LK_OK, lk_measure_cpu(LK_S("EPYC-Genoa-v2"), &sig, &e));
	EQ_U(sig, 0xa10f10);
}

/* One change, or two, to the good image. */
static const struct bad {
	const char *message;
	struct {
		size_t at, n;
		uint64_t value;
	} change[2];
	enum lk_code code;
} bad[] = {
    {"no GUID table at its end", {{TAIL + 2, 1, 0xdf}}, LK_EPROTO},
    {"its GUID table of 17 bytes", {{TAIL, 2, 17}}, LK_EPROTO},
    {"its GUID table of 65535 bytes leaves the file", {{TAIL, 2, 0xffff}}, LK_EPROTO},
    {"ends in a fragment", {{TAIL, 2, 88 - 26 + 17}}, LK_EPROTO},
    {"an entry of 17 bytes", {{E_META + 4, 2, 17}}, LK_EPROTO},
    {"an entry of 0 bytes", {{E_RESET + 4, 2, 0}}, LK_EPROTO},
    {"an entry of 27 bytes where 18 to 26 fit", {{E_TABLE + 8, 2, 27}}, LK_EPROTO},
    {"the SEV metadata twice",
	{{E_RESET + 6, 8, UINT64_C(0x4798984adc886566)},
	    {E_RESET + 14, 8, UINT64_C(0xcc67bfa785555ea7)}},
	LK_EPROTO},
    {"its SEV metadata entry is too short", {{E_META + 4, 2, 21}}, LK_EPROTO},
    {"no SEV-ES reset block", {{E_RESET + 6, 1, 0}}, LK_EPROTO},
    {"no SEV-ES reset block", {{E_RESET, 4, 0}}, LK_EPROTO},
    {"no SEV metadata", {{E_META + 6, 1, 0}}, LK_EPROTO},
    {"SEV metadata lies outside", {{E_META, 4, IMAGE + 1}}, LK_EPROTO},
    {"SEV metadata lies outside", {{E_META, 4, 15}}, LK_EPROTO},
    {"not of version 1", {{META, 1, 'B'}}, LK_EPROTO},
    {"not of version 1", {{META + 8, 4, 2}}, LK_EPROTO},
    {"leaves the file", {{META + 4, 4, IMAGE - META + 1}}, LK_EPROTO},
    {"metadata of 15 bytes", {{META + 4, 4, 15}}, LK_EPROTO},
    {"6 sections do not fit", {{META + 12, 4, 6}}, LK_EPROTO},
    {"over 128", {{META + 12, 4, UINT32_MAX}}, LK_ELIMIT},
    {"section 3: unknown type 0x5", {{ROW(3) + 8, 4, 5}}, LK_EPROTO},
    {"section 0: unknown type 0x0", {{ROW(0) + 8, 4, 0}}, LK_EPROTO},
    {"section 0: 0x3000 bytes at 0x800800", {{ROW(0), 4, 0x800800}}, LK_EPROTO},
    {"section 0: 0x3001 bytes", {{ROW(0) + 4, 4, 0x3001}}, LK_EPROTO},
    {"section 0: 0x0 bytes", {{ROW(0) + 4, 4, 0}}, LK_EPROTO},
    {"section 1: 0x2000 bytes where one page", {{ROW(1) + 4, 4, 0x2000}}, LK_EPROTO},
    {"section 2: 0x0 bytes where one page", {{ROW(2) + 4, 4, 0}}, LK_EPROTO},
    {"sections 0 and 1 overlap", {{ROW(0) + 4, 4, 0xe000}}, LK_EPROTO},
    {"sections 2 and 3 overlap", {{ROW(3), 4, 0x80e000}}, LK_EPROTO},
    {"reach into the firmware at 0xffffe000", {{ROW(3), 4, 0xffffe000}}, LK_EPROTO},
    {"reach into the firmware", {{ROW(3), 4, 0xfffff000}, {ROW(3) + 4, 4, 0xfffff000}}, LK_EPROTO},
    {"more than 64 MiB", {{ROW(3), 4, 0x10000000}, {ROW(3) + 4, 4, 0x4000000}}, LK_ELIMIT},
    {"hash table at 0x811c00 is not in the page", {{E_TABLE, 4, 0x811c00}}, LK_EPROTO},
    {"hash table at 0x0 is not in the page", {{E_TABLE, 4, 0}}, LK_EPROTO},
    {"hash table at 0x0 is not in the page", {{E_TABLE + 10, 1, 0}}, LK_EPROTO},
    {"hash table at 0x810f51 leaves its page", {{E_TABLE, 4, 0x810f51}}, LK_EPROTO},
    {"not one page", {{ROW(4) + 4, 4, 0x2000}}, LK_EPROTO},
    {"no page for kernel hashes", {{ROW(4) + 8, 4, SEC_MEM}}, LK_EPROTO},
};

T(bad_images_are_refused_by_name)
{
	struct lk_measure m = launch();

	m.with_kernel = true;
	NEED(run(&m) == LK_OK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		m.ovmf = good();
		for (size_t j = 0; j < 2; j++)
			put(bad[i].change[j].at, bad[i].change[j].n, bad[i].change[j].value);
		if (run(&m) != bad[i].code || strstr(e.msg, bad[i].message) == NULL ||
		    strncmp(e.msg, "firmware image: ", 16) != 0)
			T_FAIL("row %zu (%s): code %d, %s", i, bad[i].message, (int)e.code, e.msg);
	}
}

T(cut_off_images_are_refused)
{
	struct lk_measure m = launch();

	for (size_t n = 0; n < IMAGE; n += n % PAGE == 0 ? 1 : PAGE - 1) {
		m.ovmf.n = n;
		EQ_CODE(LK_EPROTO, run(&m));
	}
	m.ovmf.n = LK_MEASURE_OVMF_MAX + PAGE; /* not read: the length is refused first */
	EQ_CODE(LK_ELIMIT, run(&m));
}

/* No byte of the tables, changed, makes it read outside of the image or hang (ASan watches). */
T(any_changed_byte_is_survived)
{
	struct lk_measure m = launch();

	m.with_kernel = true;
	m.ovmf_digest = lk_slice_of("012345678901234567890123456789012345678901234567", 48);
	for (size_t at = META; at < ROW(5); at++)
		for (unsigned v = 0; v < 256; v += 17) {
			m.ovmf = good();
			image[at] = (uint8_t)v;
			OK(run(&m) == LK_OK || e.msg[0] != '\0');
		}
	for (size_t at = E_TABLE; at < IMAGE - 32; at++)
		for (unsigned v = 0; v < 256; v += 17) {
			m.ovmf = good();
			image[at] = (uint8_t)v;
			OK(run(&m) == LK_OK || e.msg[0] != '\0');
		}
}

T(numbers_of_the_caller)
{
	struct lk_measure m = launch();

	m.vcpus = 0;
	EQ_CODE(LK_ECONF, run(&m));
	m.vcpus = LK_MEASURE_VCPUS_MAX;
	EQ_CODE(LK_OK, run(&m));
	m.vcpus++;
	EQ_CODE(LK_ECONF, run(&m));
	m = launch();
	m.ovmf_digest = LK_S("short");
	EQ_CODE(LK_ECONF, run(&m));
	m = launch();
	m.append = LK_S("quiet");
	EQ_CODE(LK_ECONF, run(&m));
	m.with_kernel = true;
	EQ_CODE(LK_OK, run(&m));
}

/* A caller that forgets any of the inputs gets another digest. */
T(every_input_counts)
{
	struct lk_measure m = launch(), base;
	uint8_t want[LK_MEASURE_SIZE], got[LK_MEASURE_SIZE];

	m.with_kernel = true;
	m.kernel = LK_S("kernel");
	base = m;
	NEED(lk_measure_snp(&m, want, &e) == LK_OK);
	for (int i = 0; i < 8; i++) {
		m = base;
		m.kernel = i == 0 ? LK_S("kernel2") : m.kernel;
		m.initrd = i == 1 ? LK_S("x") : m.initrd;
		m.append = i == 2 ? LK_S("x") : m.append;
		m.vcpus = i == 3 ? 2 : m.vcpus;
		m.vcpu_sig = i == 4 ? 0xa00f11 : m.vcpu_sig;
		m.features = i == 5 ? 0x21 : m.features;
		m.vmm = i == 6 ? LK_VMM_GCE : m.vmm;
		image[0] ^= i == 7;
		NEED(lk_measure_snp(&m, got, &e) == LK_OK);
		if (memcmp(got, want, sizeof(got)) == 0)
			T_FAIL("input %d does not count", i);
	}
}
