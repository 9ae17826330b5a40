/* What a LUKS2 header says beside its bindings: key slots, segments, requirements; the contract is
 * in lk/luks2.h. For the administrator's program: a boot does not heed them and does not have this
 * file, which saves 2 KiB. What is malformed is passed over. */
#include <string.h>

#include "lk/luks2.h"

static bool text_is(const struct lk_json *j, const char *path, const char *want)
{
	struct lk_slice text;
	struct lk_err e;

	memset(&e, 0, sizeof(e));
	return lk_json_str(j, path, &text, &e) == LK_OK && lk_slice_eq_str(text, want);
}

static bool is_light(const struct lk_json *slot)
{
	int64_t rounds = 0;
	struct lk_err e;

	memset(&e, 0, sizeof(e));
	return text_is(slot, "kdf.type", "pbkdf2") &&
	       lk_json_int(slot, "kdf.iterations", LK_SLOT_ITERATIONS, LK_SLOT_ITERATIONS, &rounds,
		   &e) == LK_OK;
}

static void take_slots(const struct lk_json *slots, struct lk_luks2 *out)
{
	struct lk_slice name;
	struct lk_json slot;
	uint32_t n = 0, seen = 0;

	for (size_t i = 0; lk_json_pair(slots, i, &name, &slot); i++) {
		if (!lk_slice_u32(name, LK_SLOT_MAX, &n))
			continue;
		const uint32_t bit = 1u << n;
		if (!(seen & bit) && is_light(&slot))
			out->slots_light |= bit;
		else
			out->slots_light &= ~bit; /* there twice: who knows which */
		seen |= bit;
		if (text_is(&slot, "type", "reencrypt"))
			out->reencrypting = true;
	}
}

/* Clevis and systemd-cryptenroll make slots as light as ours; their tokens name them. */
static void take_foreign(const struct lk_json *token, struct lk_luks2 *out)
{
	struct lk_slice text;
	struct lk_json slot;
	struct lk_err e;
	uint32_t n = 0;

	memset(&e, 0, sizeof(e));
	if (text_is(token, "type", LK_BINDING_TYPE))
		return;
	for (size_t k = 0; lk_json_at(token, "keyslots", k, &slot, &e) == LK_OK; k++)
		if (lk_json_str(&slot, "", &text, &e) == LK_OK &&
		    lk_slice_u32(text, LK_SLOT_MAX, &n))
			out->slots_light &= ~(1u << n);
}

/* A slot may also hold a key that is for no data (an "unbound" one). */
static void take_open(const struct lk_json *root, struct lk_luks2 *out)
{
	struct lk_slice text;
	struct lk_json digests, digest, slot;
	struct lk_err e;
	size_t segments = 0;
	uint32_t n = 0;

	memset(&e, 0, sizeof(e));
	if (lk_json_get(root, "digests", &digests, &e) != LK_OK)
		return;
	for (size_t i = 0; lk_json_pair(&digests, i, &text, &digest); i++) {
		if (lk_json_len(&digest, "segments", &segments, &e) != LK_OK || segments == 0)
			continue;
		for (size_t k = 0; lk_json_at(&digest, "keyslots", k, &slot, &e) == LK_OK; k++)
			if (lk_json_str(&slot, "", &text, &e) == LK_OK &&
			    lk_slice_u32(text, LK_SLOT_MAX, &n))
				out->slots_open |= out->slots_used & 1u << n;
	}
}

/* Text for people: what does not fit is cut off. */
static void take_text(const struct lk_json *j, const char *path, char *out, size_t cap)
{
	struct lk_json value;
	struct lk_err e;
	size_t n = 0;

	memset(&e, 0, sizeof(e));
	if (lk_json_get(j, path, &value, &e) != LK_OK || lk_json_type(&value) != LK_JSON_STRING)
		return;
	const struct lk_slice text = lk_json_raw(&value);
	for (; n < text.n && n < cap - 1; n++) {
		const uint8_t c = text.p[n];

		out[n] = '?';
		if (c > 0x20 && c < 0x7f)
			out[n] = (char)c;
	}
	out[n] = '\0';
}

static void take_facts(const struct lk_json *root, struct lk_luks2 *out)
{
	static const char word[] = "reencrypt";
	struct lk_slice text;
	struct lk_json list, value;
	struct lk_err e;
	uint32_t bytes = 0;
	size_t at = 0;

	memset(&e, 0, sizeof(e));
	take_text(root, "segments.0.encryption", out->cipher, sizeof(out->cipher));
	take_text(root, "segments.0.integrity.type", out->integrity, sizeof(out->integrity));
	if (lk_json_str(root, "config.keyslots_size", &text, &e) == LK_OK &&
	    lk_slice_u32(text, UINT32_MAX - 2 * out->size, &bytes))
		out->area = 2 * out->size + bytes;
	/* A segment has flags only while a reencryption moves it. */
	if (lk_json_get(root, "segments", &list, &e) == LK_OK)
		for (size_t i = 0; lk_json_pair(&list, i, &text, &value); i++)
			if (lk_json_len(&value, "flags", &at, &e) == LK_OK && at > 0)
				out->reencrypting = true;
	if (lk_json_get(root, "config.requirements", &list, &e) == LK_OK)
		for (size_t i = 0; lk_json_at(&list, "mandatory", i, &value, &e) == LK_OK; i++)
			if (lk_slice_search(lk_json_raw(&value), lk_slice_str(word), &at))
				out->reencrypting = true;
}

void lk_luks2_facts(const struct lk_json *root, struct lk_luks2 *out)
{
	struct lk_slice name;
	struct lk_json list, token;
	struct lk_err e;
	uint32_t n = 0;

	memset(&e, 0, sizeof(e));
	if (lk_json_get(root, "keyslots", &list, &e) == LK_OK)
		take_slots(&list, out);
	if (lk_json_get(root, "tokens", &list, &e) == LK_OK)
		for (size_t i = 0; lk_json_pair(&list, i, &name, &token); i++)
			if (lk_slice_u32(name, LK_SLOT_MAX, &n))
				take_foreign(&token, out);
	take_open(root, out);
	take_facts(root, out);
}
