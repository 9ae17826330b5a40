/* The attestation report (AMD 56860, table "ATTESTATION_REPORT"): integers little-endian, packed.
 */
#include "lk/snp.h"

#define SIGNED    0x2A0
#define SIGNATURE 512

#define POLICY_DEBUG   (1u << 19)
#define KEY_MASKED     2u
#define TURIN_CHIP_ID  8
#define FAMILY_TURIN   0x1A
#define FAMILY_MILAN   0x19
#define MITIGATIONS_AT 5 /* version that has them */

static uint32_t le32(struct lk_slice raw, size_t at)
{
	struct lk_slice s = lk_slice_sub(raw, at, 4);
	uint32_t v = 0;
	LK_BUG_ON(!lk_slice_take_le32(&s, &v));
	return v;
}

static uint64_t le64(struct lk_slice raw, size_t at)
{
	return (uint64_t)le32(raw, at + 4) << 32 | le32(raw, at);
}

static const struct {
	uint8_t family, first, last;
	enum lk_snp_gen gen;
} models[] = {
    {FAMILY_MILAN, 0x00, 0x0F, LK_SNP_GEN_MILAN},
    {FAMILY_MILAN, 0x10, 0x1F, LK_SNP_GEN_GENOA},
    {FAMILY_MILAN, 0xA0, 0xAF, LK_SNP_GEN_GENOA}, /* Bergamo, Siena */
    {FAMILY_TURIN, 0x00, 0x11, LK_SNP_GEN_TURIN},
    {FAMILY_TURIN, 0x50, 0x57, LK_SNP_GEN_VENICE},
    {FAMILY_TURIN, 0x90, 0xAF, LK_SNP_GEN_VENICE},
    {FAMILY_TURIN, 0xC0, 0xC7, LK_SNP_GEN_VENICE},
};

static enum lk_snp_gen generation(const struct lk_snp *s)
{
	if (s->version < 3) {
		/* Only Turin has a short chip id. */
		bool is_short = !lk_slice_is_zero(s->chip_id) &&
				lk_slice_is_zero(lk_slice_sub(s->chip_id, TURIN_CHIP_ID, 64));
		return is_short ? LK_SNP_GEN_TURIN : LK_SNP_GEN_MILAN_GENOA;
	}
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
		if (s->family == models[i].family && s->model >= models[i].first &&
		    s->model <= models[i].last)
			return models[i].gen;
	return LK_SNP_GEN_UNKNOWN;
}

const char *lk_snp_gen_name(enum lk_snp_gen g)
{
	static const char *const names[] = {[LK_SNP_GEN_UNKNOWN] = "unknown",
	    [LK_SNP_GEN_MILAN_GENOA] = "Milan or Genoa",
	    [LK_SNP_GEN_MILAN] = "Milan",
	    [LK_SNP_GEN_GENOA] = "Genoa",
	    [LK_SNP_GEN_TURIN] = "Turin",
	    [LK_SNP_GEN_VENICE] = "Venice"};
	return names[g];
}

enum lk_code lk_snp_parse(struct lk_slice raw, struct lk_snp *out, struct lk_err *e)
{
	*out = (struct lk_snp){0};
	if (raw.n != LK_SNP_REPORT_SIZE)
		return lk_fail(
		    e, LK_EPROTO, "snp report: %zu bytes instead of %d", raw.n, LK_SNP_REPORT_SIZE);
	uint32_t version = le32(raw, 0), key_info = le32(raw, 0x48);
	if (version < 2)
		return lk_fail(e, LK_EPROTO, "snp report: version %u, 2 is the oldest known%s",
		    version, lk_slice_is_zero(raw) ? " (the report is all zeros)" : "");
	out->raw = raw;
	out->version = version;
	out->guest_svn = le32(raw, 0x04);
	out->policy = le64(raw, 0x08);
	out->debug = (out->policy & POLICY_DEBUG) != 0;
	out->vmpl = le32(raw, 0x30);
	out->sig_algo = le32(raw, 0x34);
	out->current_tcb = le64(raw, 0x38);
	out->platform = le64(raw, 0x40);
	out->chip_masked = (key_info & KEY_MASKED) != 0;
	out->signer = key_info >> 2 & 7;
	out->report_data = lk_slice_sub(raw, 0x50, 64);
	out->measurement = lk_slice_sub(raw, 0x90, 48);
	out->host_data = lk_slice_sub(raw, 0xC0, 32);
	out->id_key_digest = lk_slice_sub(raw, 0xE0, 48);
	out->author_key_digest = lk_slice_sub(raw, 0x110, 48);
	out->report_id = lk_slice_sub(raw, 0x140, 32);
	out->reported_tcb = le64(raw, 0x180);
	if (version >= 3) {
		out->family = raw.p[0x188];
		out->model = raw.p[0x189];
		out->stepping = raw.p[0x18A];
	}
	out->chip_id = lk_slice_sub(raw, 0x1A0, 64);
	out->committed_tcb = le64(raw, 0x1E0);
	out->launch_tcb = le64(raw, 0x1F0);
	if (version >= MITIGATIONS_AT) {
		out->launch_mitigation = le64(raw, 0x1F8);
		out->current_mitigation = le64(raw, 0x200);
	}
	out->signed_part = lk_slice_sub(raw, 0, SIGNED);
	out->signature = lk_slice_sub(raw, SIGNED, SIGNATURE);
	out->gen = generation(out);
	return LK_OK;
}

void lk_snp_tcb_text(uint64_t tcb, char out[static 17])
{
	struct lk_buf b = {.p = (uint8_t *)out, .cap = 16};
	lk_buf_fmt(&b, "%016llx", (unsigned long long)tcb);
	out[16] = '\0';
}

void lk_snp_tcb_split(enum lk_snp_gen gen, uint64_t tcb, struct lk_snp_tcb *out)
{
	uint8_t b[8];
	for (unsigned i = 0; i < 8; i++)
		b[i] = (uint8_t)(tcb >> 8 * i);
	bool turin = gen == LK_SNP_GEN_TURIN || gen == LK_SNP_GEN_VENICE;
	if (turin)
		*out = (struct lk_snp_tcb){.has_fmc = true,
		    .fmc = b[0],
		    .boot_loader = b[1],
		    .tee = b[2],
		    .snp = b[3],
		    .microcode = b[7]};
	else
		*out = (struct lk_snp_tcb){
		    .boot_loader = b[0], .tee = b[1], .snp = b[6], .microcode = b[7]};
}
