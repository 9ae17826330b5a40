/* image_opts.c - the options of `latchkeyctl image-check`. */
#include "ctl.h"
#include "image_check.h"
#include "opts_table.h"

struct lk_image_args lk_image_args;

LK_CHECK static enum lk_code set_path(struct lk_slice v, void *to, size_t size, struct lk_err *e)
{
	(void)size;
	if (v.n == 0)
		return lk_fail(e, LK_ECONF, "must be a file");
	*(const char **)to = (const char *)v.p;
	return LK_OK;
}

LK_CHECK static enum lk_code set_cipher(struct lk_slice v, void *to, size_t size, struct lk_err *e)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] <= ' ' || v.p[i] > '~')
			return lk_fail(e, LK_ECONF, "must be as cryptsetup luksDump shows it");
	if (v.n > 100)
		return lk_fail(e, LK_ECONF, "longer than 100 characters");
	return set_path(v, to, size, e);
}

LK_CHECK static enum lk_code set_azure(struct lk_slice v, void *to, size_t size, struct lk_err *e)
{
	(void)size;
	if (!lk_slice_eq_str(v, "yes") && !lk_slice_eq_str(v, "no"))
		return lk_fail(e, LK_ECONF, "must be yes or no");
	*(enum lk_image_azure *)to = lk_slice_eq_str(v, "yes") ? LK_AZURE_YES : LK_AZURE_NO;
	return LK_OK;
}

#define AT(member) offsetof(struct lk_image_args, member), sizeof(lk_image_args.member)

static const struct lk_own_opt rows[] = {
    {"cmdline", "FILE", set_path, AT(cmdline),
	"image-check: kernel command line of the next boot [this boot's]"},
    {"program", "FILE", set_path, AT(program),
	"image-check: program to compare with [" LK_IMAGE_PROGRAM "]"},
    {"azure", "yes|no", set_azure, AT(azure),
	"image-check: is the image for a VM of Azure? [as this machine]"},
    {"cipher", "TEXT", set_cipher, AT(cipher),
	"image-check: what the volumes are encrypted with [aes-xts-plain64]"},
};

void lk_image_options(void)
{
	lk_image_args = (struct lk_image_args){
	    .program = LK_IMAGE_PROGRAM, .cipher = "aes-xts-plain64", .azure = LK_AZURE_LOOK};
	lk_opts_more(rows, sizeof(rows) / sizeof(rows[0]), &lk_image_args);
}
