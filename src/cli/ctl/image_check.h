/* image_check.h - findings about an image, and the functions that make them; private to
 * src/cli/ctl/image_*.c and its tests.
 */
#ifndef LK_CLI_IMAGE_CHECK_H
#define LK_CLI_IMAGE_CHECK_H

#include "image.h"
#include "lk/opts.h"

#define LK_REBUILD "rebuild the image (dracut -f, or update-initramfs -u)"

enum lk_finding_kind { LK_FOUND_OK, LK_FOUND_NOTE, LK_FOUND_FAIL };

struct lk_finding {
	enum lk_finding_kind kind;
	const char *item; /* what was looked at */
	char text[300];
	char hint[300]; /* what to do */
};

#define LK_FINDINGS_MAX 200
struct lk_findings {
	size_t n, failed;
	struct lk_finding f[LK_FINDINGS_MAX];
};

/* One more; characters that are not printable become '?'. */
void lk_found(struct lk_findings *fs, enum lk_finding_kind kind, const char *item, const char *fmt,
    ...) LK_PRINTF(4, 5);
/* What to do about the last one. */
void lk_found_hint(struct lk_findings *fs, const char *fmt, ...) LK_PRINTF(2, 3);

/* What made the image. */
enum lk_image_flavor {
	LK_IMAGE_UNKNOWN,
	LK_IMAGE_SYSTEMD, /* dracut, and others that run systemd */
	LK_IMAGE_TOOLS,   /* initramfs-tools */
	LK_IMAGE_PLAIN    /* dracut without systemd */
};

#define LK_IMAGE_VOLUMES 16
struct lk_image_volume {
	char name[64];
	bool good;            /* read without a mistake */
	struct lk_conf conf;  /* settings in the image: of the volume and its first binding */
	size_t bindings;      /* 1 and the alternatives */
	struct lk_slice text; /* of the file */
};

/* What is looked at: the image, and what the machine says. */
struct lk_image_look {
	struct lk_image *img;
	/* the machine's */
	struct lk_slice cmdline;
	const char *cmdline_from;
	bool cmdline_next;       /* it is the next boot's, not the running one's */
	bool azure;              /* the image is to boot there */
	struct lk_slice program; /* the installed one; empty: there is none */
	const char *program_path;
	size_t hosts;
	const struct lk_image_volume *host; /* its configurations */
	struct lk_slice builtin;            /* modules.builtin, if the image has none */
	const char *cipher;                 /* of the volumes */
	/* found out by lk_image_prepare() */
	enum lk_image_flavor flavor;
	char kernel[80]; /* version that the modules are for, or "" */
	unsigned kernels;
	size_t volumes;
	struct lk_image_volume volume[LK_IMAGE_VOLUMES];
};

/* Kind and kernel; `prefer`: the version to take when there are several. */
void lk_image_prepare(struct lk_image_look *l, const char *prefer);
/* All of the checks. lk_image_prepare() comes first. */
void lk_image_check(struct lk_image_look *l, struct lk_findings *fs);

void lk_image_check_program(struct lk_image_look *l, struct lk_findings *fs);
/* Fills l->volume. */
void lk_image_check_conf(struct lk_image_look *l, struct lk_findings *fs);
void lk_image_check_crypttab(struct lk_image_look *l, struct lk_findings *fs);
void lk_image_check_start(struct lk_image_look *l, struct lk_findings *fs);
void lk_image_check_modules(struct lk_image_look *l, struct lk_findings *fs);
void lk_image_check_network(struct lk_image_look *l, struct lk_findings *fs);
void lk_image_check_root(struct lk_image_look *l, struct lk_findings *fs);

/* Parse a NAME.conf into v->conf, on top of the built-in values. LK_ECONF. */
LK_CHECK enum lk_code lk_image_volume_read(struct lk_image_volume *v, struct lk_err *e);
/* What v->text says for a binding < v->bindings. */
LK_CHECK enum lk_code lk_image_binding(
    const struct lk_image_volume *v, size_t binding, struct lk_conf *out, struct lk_err *e);

/* The volume that root=/dev/mapper/NAME names, or NULL. */
const struct lk_image_volume *lk_image_root_volume(struct lk_image_look *l);
/* The last word "NAME=VALUE" or "NAME" of the command line: first the image's own (etc/cmdline.d),
 * then the machine's. false: there is none. *own: it is the image's. */
bool lk_image_argument(
    struct lk_image_look *l, const char *name, struct lk_slice *value, bool *own);

/* A text line by line; false at the end. */
bool lk_next_line(struct lk_slice *text, struct lk_slice *line);
/* The next word between blanks. */
bool lk_next_word(struct lk_slice *line, struct lk_slice *word);

/* Where the initramfs of a kernel release may be, the usual place first; NULL after the last. The
 * machine id is "" where there is none. */
const char *lk_image_place(unsigned i, const char *release, const char *machine);

/* ---- the command line of the verb */

enum lk_image_azure { LK_AZURE_LOOK, LK_AZURE_YES, LK_AZURE_NO };
struct lk_image_args {
	const char *cmdline; /* NULL: this boot's */
	const char *program;
	const char *cipher;
	enum lk_image_azure azure;
};
extern struct lk_image_args lk_image_args;

/* ---- programs */

#define LK_ELF_NEEDS 24
struct lk_elf {
	bool elf;                           /* a 64-bit little-endian one */
	struct lk_slice interpreter;        /* empty: static */
	struct lk_slice need[LK_ELF_NEEDS]; /* libraries */
	size_t needs;
};
/* Takes what can be taken; a damaged file has fewer needs. */
void lk_elf_read(struct lk_slice file, struct lk_elf *out);

#endif
