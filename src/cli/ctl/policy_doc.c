/* The release policy document: Key Vault's grammar, version 1.0.0, and `equals` alone, the one
 * operator that every version of the service takes. A condition a line, for those who review it. */
#include "lk/jsonw.h"
#include "policy.h"

#define TEE "x-ms-isolation-tee."

struct writer {
	struct lk_buf *out;
	const char *prefix;
	unsigned conditions;
};

static void condition(struct writer *w, const char *claim, struct lk_slice value)
{
	uint8_t store[96];
	struct lk_buf name = LK_BUF(store);
	struct lk_jsonw j;

	lk_buf_fmt(&name, "%s%s", w->prefix, claim);
	LK_BUG_ON(name.bad);
	lk_buf_str(w->out, w->conditions++ == 0 ? "\n      { " : ",\n      { ");
	lk_buf_str(w->out, "\"claim\": ");
	lk_jsonw_start(&j, w->out);
	lk_jsonw_str(&j, NULL, lk_slice_buf(&name));
	lk_buf_str(w->out, ", \"equals\": ");
	lk_jsonw_start(&j, w->out);
	lk_jsonw_str(&j, NULL, value);
	lk_buf_str(w->out, " }");
}

static void condition_hex(struct writer *w, const char *claim, const uint8_t *p, size_t n)
{
	uint8_t store[2 * LK_MEASURE_SIZE];
	struct lk_buf hex = LK_BUF(store);

	lk_hex_encode(lk_slice_of(p, n), &hex);
	condition(w, claim, lk_slice_buf(&hex));
}

static void clause(const struct lk_policy *p, const char *authority, const uint8_t *measurement,
    struct lk_buf *out)
{
	struct writer w = {.out = out, .prefix = p->vtpm ? TEE : ""};
	struct lk_slice compliance = p->compliance;
	struct lk_jsonw j;

	if (compliance.n == 0 && p->vtpm)
		compliance = LK_S("azure-compliant-cvm");
	lk_buf_str(out, "{\n    \"authority\": ");
	lk_jsonw_start(&j, out);
	lk_jsonw_str(&j, NULL, lk_slice_str(authority));
	lk_buf_str(out, ",\n    \"allOf\": [");
	condition(&w, "x-ms-attestation-type", LK_S("sevsnpvm"));
	if (compliance.n > 0)
		condition(&w, "x-ms-compliance-status", compliance);
	if (!p->debuggable)
		condition(&w, "x-ms-sevsnpvm-is-debuggable", LK_S("false"));
	if (p->vmpl != LK_VMPL_ANY) {
		const uint8_t digit = (uint8_t)('0' + p->vmpl);
		condition(&w, "x-ms-sevsnpvm-vmpl", lk_slice_of(&digit, 1));
	}
	if (measurement != NULL)
		condition_hex(&w, "x-ms-sevsnpvm-launchmeasurement", measurement, LK_MEASURE_SIZE);
	if (p->host_data.n > 0)
		condition_hex(&w, "x-ms-sevsnpvm-hostdata", p->host_data.v, p->host_data.n);
	if (p->id_key.n > 0)
		condition_hex(&w, "x-ms-sevsnpvm-idkeydigest", p->id_key.v, p->id_key.n);
	lk_buf_str(out, "\n    ]\n  }");
}

enum lk_code lk_policy_write(
    const struct lk_policy *p, const char *authority, struct lk_buf *out, struct lk_err *e)
{
	/* The host chooses its host data, so that alone says nothing about what runs. */
	if (!p->vtpm && p->measurements == 0 && p->id_key.n == 0 && p->compliance.n == 0) {
		(void)lk_fail(e, LK_ECONF, "nothing is pinned: any SNP machine could get the key");
		return lk_hint(e,
		    "give --measurement HEX or --measure --ovmf FILE ..., --id-key-digest, or "
		    "--compliance");
	}
	lk_buf_str(out, "{\n  \"version\": \"1.0.0\",\n  \"anyOf\": [");
	if (p->measurements == 0)
		clause(p, authority, NULL, out);
	for (size_t i = 0; i < p->measurements; i++) {
		lk_buf_str(out, i == 0 ? "" : ", ");
		clause(p, authority, p->measurement[i], out);
	}
	lk_buf_str(out, "]\n}\n");
	return out->bad ? lk_fail(e, LK_EBUG, "the policy does not fit") : LK_OK;
}
