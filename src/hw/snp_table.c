/* The host's certificate table (GHCB 56421, "SNP Extended Guest Request"). The host wrote it: every
 * number in it is taken for an attack. */
#include "lk/b64.h"
#include "lk/der.h"
#include "lk/snp.h"

#define ENTRY       24
#define GUID        16
#define ENTRIES_MAX 32
#define PEM_LINE    48 /* bytes in a line of 64 characters */

/* GUIDs as they are written in text. */
static const struct kind {
	uint8_t guid[GUID];
	size_t at; /* of the slice in struct lk_snp_certs */
	const char *name;
} kinds[] = {
    {{0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac,
	 0xcd},
	offsetof(struct lk_snp_certs, vcek), "VCEK"},
    {{0xa8, 0x07, 0x4b, 0xc2, 0xa2, 0x5a, 0x48, 0x3e, 0xaa, 0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8,
	 0xa1},
	offsetof(struct lk_snp_certs, vlek), "VLEK"},
    {{0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4, 0xa0, 0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7,
	 0x82},
	offsetof(struct lk_snp_certs, ask), "ASK"},
    {{0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52, 0x97, 0x43, 0x3f, 0xb6, 0x01, 0x4c, 0xd0,
	 0xae},
	offsetof(struct lk_snp_certs, ark), "ARK"},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* As in the text, or with the first three fields little-endian: producers differ. */
static bool guid_is(struct lk_slice is, const uint8_t want[static GUID])
{
	static const uint8_t mixed[GUID] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
	bool text = true, swapped = true;
	for (size_t i = 0; i < GUID; i++) {
		text = text && is.p[i] == want[i];
		swapped = swapped && is.p[mixed[i]] == want[i];
	}
	return text || swapped;
}

static struct lk_slice *place(struct lk_snp_certs *certs, const struct kind *k)
{
	return (struct lk_slice *)(void *)((char *)certs + k->at);
}

/* How many entries stand before the one that is all zeros. */
static bool count_entries(struct lk_slice table, size_t *n)
{
	for (*n = 0; *n <= ENTRIES_MAX; ++*n) {
		struct lk_slice entry = lk_slice_sub(table, *n * ENTRY, ENTRY);
		if (entry.n < ENTRY)
			return false;
		if (lk_slice_is_zero(entry))
			return true;
	}
	return false;
}

static enum lk_code take_entry(
    struct lk_slice table, size_t i, size_t first, struct lk_snp_certs *out, struct lk_err *e)
{
	struct lk_slice entry = lk_slice_sub(table, i * ENTRY, ENTRY), guid, body;
	uint32_t at, n;
	LK_BUG_ON(!lk_slice_take(&entry, GUID, &guid) || !lk_slice_take_le32(&entry, &at) ||
		  !lk_slice_take_le32(&entry, &n));
	if (at < first || at > table.n || n > table.n - at)
		return lk_fail(e, LK_EPROTO,
		    "the host's certificate table: entry %zu (%u bytes at %u) is not inside of %zu",
		    i + 1, n, at, table.n);
	struct lk_slice blob = lk_slice_sub(table, at, n), rest = blob;
	for (const struct kind *k = kinds; k < kinds + KINDS; k++) {
		if (n == 0 || !guid_is(guid, k->guid))
			continue;
		if (place(out, k)->n != 0)
			return lk_fail(
			    e, LK_EPROTO, "the host's certificate table: two %s", k->name);
		if (!lk_der_take(&rest, LK_DER_SEQUENCE, &body) || rest.n != 0)
			return lk_fail(e, LK_EPROTO,
			    "the host's certificate table: the %s is not one certificate in DER",
			    k->name);
		*place(out, k) = blob;
	}
	return LK_OK;
}

enum lk_code lk_snp_certs_parse(struct lk_slice table, struct lk_snp_certs *out, struct lk_err *e)
{
	size_t n;
	enum lk_code rc = LK_OK;
	*out = (struct lk_snp_certs){0};
	if (lk_slice_is_zero(table))
		return lk_fail(e, LK_EABSENT, "the host supplies no certificates");
	if (!count_entries(table, &n))
		return lk_fail(e, LK_EPROTO,
		    "the host's certificate table has no end within %zu bytes and %d entries",
		    table.n, ENTRIES_MAX);
	for (size_t i = 0; rc == LK_OK && i < n; i++)
		rc = take_entry(table, i, (n + 1) * ENTRY, out, e);
	if (rc != LK_OK)
		*out = (struct lk_snp_certs){0};
	return rc;
}

static void put_pem(struct lk_slice der, struct lk_buf *out)
{
	lk_buf_str(out, "-----BEGIN CERTIFICATE-----\n");
	for (size_t at = 0; at < der.n; at += PEM_LINE) {
		lk_b64_encode(lk_slice_sub(der, at, PEM_LINE), out);
		lk_buf_byte(out, '\n');
	}
	lk_buf_str(out, "-----END CERTIFICATE-----\n");
}

enum lk_code lk_snp_certs_pem(
    const struct lk_snp_certs *certs, uint32_t signer, struct lk_buf *out, struct lk_err *e)
{
	bool vlek = signer == LK_SNP_VLEK;
	const struct {
		struct lk_slice der;
		const char *name;
	} chain[] = {{vlek ? certs->vlek : certs->vcek, vlek ? "VLEK" : "VCEK"},
	    {certs->ask, vlek ? "ASVK" : "ASK"}, {certs->ark, "ARK"}};
	for (size_t i = 0; i < sizeof(chain) / sizeof(chain[0]); i++) {
		if (chain[i].der.n == 0)
			return lk_fail(e, LK_EABSENT, "no %s is there", chain[i].name);
		put_pem(chain[i].der, out);
	}
	if (out->bad)
		return lk_fail(
		    e, LK_ELIMIT, "the certificates do not fit into %zu bytes", out->cap);
	return LK_OK;
}
