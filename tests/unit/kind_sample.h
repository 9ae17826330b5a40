/* kind_sample.h - a binding of each kind, for the tests; tests/unit/gen_kinds.py says the same. */
#ifndef LK_TEST_KIND_SAMPLE_H
#define LK_TEST_KIND_SAMPLE_H

#include "t.h"

#include "lk/binding.h"

static inline struct lk_binding kind_sample(enum lk_kind kind)
{
	struct lk_binding b;

	memset(&b, 0, sizeof(b));
	b.token = 3;
	b.slot = 5;
	strcpy(b.id, "0123456789abcdef");
	strcpy(b.kind, lk_kind_name(kind));
	strcpy(b.key, "https://kv1.vault.azure.net/keys/disk/00112233445566778899aabbccddeeff");
	strcpy(b.attest, "https://sharedweu.weu.attest.azure.net");
	strcpy(b.thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
	strcpy(b.uuid, "6a3b1f2e-0c4d-4e5f-8a9b-0123456789ab");
	for (size_t i = 0; kind != LK_WRAPPED && i < sizeof(b.salt); i++)
		b.salt[i] = (uint8_t)(0xa0 + i);
	if (kind == LK_COMPAT) {
		b.kdf_salt_len = 32;
		for (size_t i = 0; i < b.kdf_salt_len; i++)
			b.kdf_salt[i] = (uint8_t)i;
		strcpy(b.label, LK_BINDING_LABEL);
	}
	if (kind == LK_WRAPPED) {
		b.wrapped_len = 256;
		memset(b.wrapped, 0x5a, b.wrapped_len);
	}
	return b;
}

#endif
