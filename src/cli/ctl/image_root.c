/* image_root.c - is the root on a volume that latchkey opens, whatever the host presents? */
#include "image_check.h"

#include <string.h>

static const char item[] = "root";

static bool root_argument(struct lk_image_look *l, struct lk_slice *value)
{
	bool own;

	if (!lk_image_argument(l, "root", value, &own))
		return false;
	if (lk_slice_starts(*value, LK_S("block:")))
		*value = lk_slice_sub(*value, 6, value->n);
	if (value->n > 2 && value->p[0] == '"')
		*value = lk_slice_sub(*value, 1, value->n - 2);
	return true;
}

const struct lk_image_volume *lk_image_root_volume(struct lk_image_look *l)
{
	struct lk_slice value, folder = LK_S("/dev/mapper/");

	if (!root_argument(l, &value) || !lk_slice_starts(value, folder))
		return NULL;
	for (size_t i = 0; i < l->volumes; i++)
		if (lk_slice_eq_str(lk_slice_sub(value, folder.n, value.n), l->volume[i].name))
			return &l->volume[i];
	return NULL;
}

/* By file system: what the volume holds, or something that the host presents under that name. */
static bool by_content(struct lk_slice v)
{
	return lk_slice_starts(v, LK_S("UUID=")) || lk_slice_starts(v, LK_S("LABEL=")) ||
	       lk_slice_starts(v, LK_S("/dev/disk/by-uuid/")) ||
	       lk_slice_starts(v, LK_S("/dev/disk/by-label/"));
}

/* /dev/GROUP/VOLUME of LVM; /dev/disk/... is udev's. */
static bool by_group(struct lk_slice v)
{
	struct lk_slice dev = LK_S("/dev/"), rest = lk_slice_sub(v, dev.n, v.n);
	size_t slash = 0;

	return lk_slice_starts(v, dev) && lk_slice_find(rest, '/', &slash) &&
	       !lk_slice_starts(rest, LK_S("disk/")) && !lk_slice_starts(rest, LK_S("block/"));
}

static void name_hint(const struct lk_image_look *l, struct lk_findings *fs)
{
	lk_found_hint(fs, "root=/dev/mapper/%s on the kernel command line%s",
	    l->volumes > 0 ? l->volume[0].name : "NAME",
	    l->cmdline_next ? "" : " (--cmdline FILE checks the next boot's)");
}

/* root=UUID= with the UUID of the LUKS header, which is no file system */
static bool is_header(const struct lk_image_look *l, struct lk_slice v)
{
	for (size_t i = 0; i < l->volumes; i++)
		if (l->volume[i].good && lk_slice_ends(v, lk_slice_str(l->volume[i].conf.uuid)))
			return true;
	return false;
}

static void check_value(struct lk_image_look *l, struct lk_slice v, struct lk_findings *fs)
{
	const struct lk_image_volume *volume = lk_image_root_volume(l);
	const char *p = (const char *)v.p;
	int n = (int)(v.n < 150 ? v.n : 150);

	if (volume != NULL) {
		lk_found(fs, LK_FOUND_OK, item, "%.*s, which latchkey opens", n, p);
		return;
	}
	if (by_content(v) && is_header(l, v)) {
		lk_found(fs, LK_FOUND_FAIL, item,
		    "%.*s is the UUID of the encrypted volume, not of what is in it", n, p);
	} else if (by_content(v)) {
		lk_found(fs, LK_FOUND_NOTE, item,
		    "%.*s: the host could present an unencrypted file system under that name", n,
		    p);
	} else if (lk_slice_starts(v, LK_S("/dev/mapper/")) || by_group(v)) {
		lk_found(fs, LK_FOUND_NOTE, item,
		    "%.*s: on LVM or another mapping; see that it lies on a volume of latchkey", n,
		    p);
		lk_found_hint(
		    fs, "the host could present a volume group of that name, unencrypted");
		return;
	} else if (lk_slice_starts(v, LK_S("/dev/")) || lk_slice_starts(v, LK_S("PART"))) {
		lk_found(fs, LK_FOUND_FAIL, item,
		    "%.*s is a plain device: the host could put an unencrypted file system there",
		    n, p);
	} else {
		lk_found(fs, LK_FOUND_FAIL, item,
		    "root=%.*s: what is mounted is left to what the disk says, or to the network",
		    n, p);
	}
	name_hint(l, fs);
}

void lk_image_check_root(struct lk_image_look *l, struct lk_findings *fs)
{
	struct lk_slice value;

	if (root_argument(l, &value)) {
		check_value(l, value, fs);
		return;
	}
	lk_found(fs, l->cmdline_next ? LK_FOUND_FAIL : LK_FOUND_NOTE, item,
	    "no root= in %s: what is mounted is left to what the disk says", l->cmdline_from);
	name_hint(l, fs);
}
