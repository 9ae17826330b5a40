/* crypttab_line.c - see crypttab.h. */
#include "crypttab.h"

#include "image_check.h"

const struct lk_tab_bad lk_tab_bad[] = {
    {"key-slot", "the passphrase would be tried on that slot alone", false},
    {"keyslot", "the passphrase would be tried on that slot alone", false},
    {"keyfile-offset", "nothing can be skipped in what latchkey answers", false},
    {"keyfile-size", "the key's length is latchkey's to say", false},
    {"keyfile-erase", "the key socket would be gone after the first use", false},
    {"noauto", "the volume would not be opened at boot", false},
    {"tpm2-device", "the key would be taken for data of that device", false},
    {"fido2-device", "the key would be taken for data of that device", false},
    {"pkcs11-uri", "the key would be taken for data of that device", false},
    {"plain", "that is another format than LUKS", true},
    {"tcrypt", "that is another format than LUKS", true},
    {"bitlk", "that is another format than LUKS", true},
    {"swap", "the volume would be formatted at each boot", true},
    {"tmp", "the volume would be formatted at each boot", true},
};
const size_t lk_tab_bads = sizeof(lk_tab_bad) / sizeof(lk_tab_bad[0]);

bool lk_tab_parse(struct lk_slice line, struct lk_tab_entry *out)
{
	*out = (struct lk_tab_entry){0};
	if (!lk_next_word(&line, &out->name) || out->name.p[0] == '#')
		return false;
	(void)(lk_next_word(&line, &out->device) && lk_next_word(&line, &out->key) &&
	       lk_next_word(&line, &out->options));
	out->rest = line;
	return true;
}

bool lk_tab_next(struct lk_slice *rest, struct lk_slice *one)
{
	size_t end = rest->n;

	if (rest->p == NULL)
		return false;
	if (lk_slice_find(*rest, ',', &end)) {
		*one = lk_slice_sub(*rest, 0, end);
		*rest = lk_slice_sub(*rest, end + 1, rest->n);
	} else {
		*one = *rest;
		*rest = (struct lk_slice){NULL, 0};
	}
	return true;
}

bool lk_tab_is(struct lk_slice one, const char *name, struct lk_slice *value)
{
	struct lk_slice want = lk_slice_str(name);

	if (!lk_slice_starts(one, want) || (one.n > want.n && one.p[want.n] != '='))
		return false;
	*value = one.n > want.n ? lk_slice_sub(one, want.n + 1, one.n) : (struct lk_slice){NULL, 0};
	return true;
}

bool lk_tab_option(struct lk_slice options, const char *name, struct lk_slice *value)
{
	struct lk_slice one;

	while (lk_tab_next(&options, &one))
		if (lk_tab_is(one, name, value))
			return true;
	return false;
}

enum lk_tab_device lk_tab_device(struct lk_slice device, const char *uuid, struct lk_slice *said)
{
	static const char *const forms[] = {"UUID=", "/dev/disk/by-uuid/"};

	for (size_t i = 0; i < 2; i++) {
		struct lk_slice form = lk_slice_str(forms[i]);

		if (!lk_slice_starts(device, form))
			continue;
		*said = lk_slice_sub(device, form.n, device.n);
		if (said->n > 2 && said->p[0] == '"')
			*said = lk_slice_sub(*said, 1, said->n - 2);
		return lk_slice_ieq_str(*said, uuid) ? LK_TAB_THIS : LK_TAB_OTHER;
	}
	return LK_TAB_UNKNOWN;
}

const struct lk_tab_bad *lk_tab_bad_option(struct lk_slice one)
{
	struct lk_slice value;

	for (size_t i = 0; i < lk_tab_bads; i++)
		if (lk_tab_is(one, lk_tab_bad[i].name, &value))
			return &lk_tab_bad[i];
	return NULL;
}
