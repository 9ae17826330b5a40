/* configfs-tsm (Linux 6.7, Documentation/ABI/testing/configfs-tsm): a directory is a request.
 *
 * An inblob that is written takes effect when the file is closed, and the kernel drops what comes
 * of that. So the generation, which counts the writes, is the only sign that ours, and none but
 * ours, were taken.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lk/fmt.h"
#include "lk/rng.h"
#include "snp_int.h"

#define NAMES 4 /* so many clashes of random names are no accident */

struct report {
	char path[sizeof(((struct lk_snp_dev *)0)->path) + 64];
	size_t dir_n; /* of the directory; an attribute's name is put behind it */
	struct lk_snp_try *t;
};

static const char *attr(struct report *r, const char *name)
{
	(void)lk_fmt(r->path + r->dir_n, sizeof(r->path) - r->dir_n, "%s%s",
	    name[0] != '\0' ? "/" : "", name);
	return r->path;
}

static enum lk_code broke(struct report *r, enum lk_snp_op op, int err)
{
	r->t->op = op;
	r->t->err = err;
	return LK_ESNP;
}

static enum lk_code make(struct lk_snp_dev *d, struct report *r, struct lk_err *e)
{
	uint32_t random;
	for (unsigned i = 0; i < NAMES; i++) {
		enum lk_code rc = lk_rng(&random, sizeof(random), e);
		if (rc != LK_OK)
			return rc;
		size_t n = lk_fmt(r->path, sizeof(r->path), "%s/latchkey-%ld-%08x", d->path,
		    (long)getpid(), random);
		LK_BUG_ON(n + 32 > sizeof(r->path));
		r->dir_n = n;
		if (lk_snp_sys->mkdir(r->path) == 0)
			return LK_OK;
		if (errno != EEXIST)
			break;
	}
	return broke(r, LK_SNP_MKDIR, errno);
}

/* Leaves errno alone: what failed before is of more interest than this. */
static void unmake(struct report *r)
{
	int keep = errno;
	(void)lk_snp_sys->rmdir(attr(r, ""));
	errno = keep;
}

/* To its end; what does not fit is EFBIG. */
static enum lk_code get(struct report *r, const char *name, enum lk_snp_op op, struct lk_buf *out)
{
	uint8_t more;
	ssize_t n;
	int err = 0;
	int fd = lk_snp_sys->open(attr(r, name), O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return broke(r, LK_SNP_ATTR, errno);
	do {
		size_t room = out->cap - out->n;
		n = lk_snp_sys->read(fd, room != 0 ? out->p + out->n : &more, room != 0 ? room : 1);
		if (n < 0)
			err = errno;
		else if (n > 0 && room == 0)
			err = EFBIG;
		else
			out->n += (size_t)n;
	} while (n > 0 && err == 0);
	(void)lk_snp_sys->close(fd);
	return err == 0 ? LK_OK : broke(r, op, err);
}

static enum lk_code put(struct report *r, const char *name, const void *p, size_t n)
{
	int err = 0;
	int fd = lk_snp_sys->open(attr(r, name), O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return broke(r, LK_SNP_ATTR, errno);
	ssize_t done = lk_snp_sys->write(fd, p, n);
	if (done < 0)
		err = errno;
	else if ((size_t)done != n)
		err = EIO;
	if (lk_snp_sys->close(fd) != 0 && err == 0)
		err = errno;
	return err == 0 ? LK_OK : broke(r, LK_SNP_ATTR, err);
}

/* A decimal number and a newline. */
static enum lk_code get_number(struct report *r, const char *name, uint32_t *out)
{
	uint8_t text[16];
	struct lk_buf b = LK_BUF(text);
	enum lk_code rc = get(r, name, LK_SNP_ATTR, &b);
	if (rc != LK_OK)
		return rc;
	if (b.n != 0 && text[b.n - 1] == '\n')
		b.n--;
	return lk_slice_u32(lk_slice_buf(&b), UINT32_MAX, out) ? LK_OK
							       : broke(r, LK_SNP_ATTR, EPROTO);
}

static enum lk_code check_provider(struct report *r, struct lk_err *e)
{
	uint8_t text[32];
	struct lk_buf b = LK_BUF(text);
	enum lk_code rc = get(r, "provider", LK_SNP_ATTR, &b);
	if (rc != LK_OK || lk_slice_eq_str(lk_slice_buf(&b), "sev_guest\n") ||
	    lk_slice_eq_str(lk_slice_buf(&b), "sev_guest"))
		return rc;
	(void)lk_fail(e, LK_EABSENT, "configfs-tsm: the provider of reports is not sev_guest");
	return lk_hint(e, "this is no SEV-SNP guest; no reboot is needed");
}

/* The level that is asked for, or the lowest that is allowed if that is not 0 (under an SVSM). */
static enum lk_code put_level(struct lk_snp_dev *d, struct report *r, uint32_t *writes)
{
	uint32_t level = d->vmpl;
	char text[12];
	if (!d->has_vmpl) {
		enum lk_code rc = get_number(r, "privlevel_floor", &level);
		if (rc != LK_OK && r->t->err == ENOENT) { /* kernels before it know level 0 only */
			r->t->err = 0;
			return LK_OK;
		}
		if (rc != LK_OK || level == 0)
			return rc;
	}
	++*writes;
	return put(r, "privlevel", text, lk_fmt(text, sizeof(text), "%u", level));
}

static enum lk_code same_generation(struct report *r, uint32_t want)
{
	uint32_t is;
	enum lk_code rc = get_number(r, "generation", &is);
	return rc != LK_OK || is == want ? rc : broke(r, LK_SNP_READ, EBUSY);
}

static enum lk_code exchange(struct lk_snp_dev *d, struct report *r, const uint8_t *data,
    struct lk_snp_raw *out, struct lk_buf *rsp, struct lk_err *e)
{
	struct lk_buf certs = LK_BUF(out->certs);
	uint32_t generation = 0, writes = 1;
	enum lk_code rc = check_provider(r, e);
	if (rc == LK_OK)
		rc = get_number(r, "generation", &generation);
	if (rc == LK_OK)
		rc = put_level(d, r, &writes);
	if (rc == LK_OK)
		rc = put(r, "inblob", data, 64);
	/* Before the request goes out: is it ours? */
	if (rc == LK_OK)
		rc = same_generation(r, generation + writes);
	if (rc == LK_OK)
		rc = get(r, "outblob", LK_SNP_READ, rsp);
	if (rc != LK_OK)
		return rc;
	/* Certificates come with the report from here; a host without any is no failure. */
	if (get(r, "auxblob", LK_SNP_ATTR, &certs) == LK_OK &&
	    !lk_slice_is_zero(lk_slice_buf(&certs)))
		out->certs_n = certs.n;
	r->t->err = 0;
	return same_generation(r, generation + writes);
}

enum lk_code lk_snp_ask_tsm(struct lk_snp_dev *d, const uint8_t data[static 64],
    struct lk_snp_raw *out, struct lk_buf *rsp, struct lk_snp_try *t, struct lk_err *e)
{
	struct report r = {.t = t};
	enum lk_code rc = make(d, &r, e);
	if (rc != LK_OK)
		return rc;
	rc = exchange(d, &r, data, out, rsp, e);
	unmake(&r);
	return rc;
}

enum lk_code lk_snp_tsm_provider(struct lk_snp_dev *d, struct lk_snp_try *t, struct lk_err *e)
{
	struct report r = {.t = t};
	enum lk_code rc = make(d, &r, e);
	if (rc != LK_OK)
		return rc;
	rc = check_provider(&r, e);
	unmake(&r);
	return rc;
}
