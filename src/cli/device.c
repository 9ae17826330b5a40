/* device.c - find a volume's block device by its LUKS UUID, and the list of configured volumes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "lk/fmt.h"
#include "lk/io.h"

#define UUID_OFFSET 168 /* LUKS2 on-disk format: uuid[40] of the binary header */

static bool has_uuid(int fd, const char *uuid)
{
	char head[UUID_OFFSET + 40];
	size_t n = strlen(uuid);

	return pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
	       memcmp(head, "LUKS\xba\xbe", 6) == 0 && memcmp(head + UUID_OFFSET, uuid, n) == 0 &&
	       head[UUID_OFFSET + n] == '\0';
}

static int try_path(const char *path, const char *uuid)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && uuid[0] != '\0' && !has_uuid(fd, uuid)) {
		close(fd);
		errno = ENODEV;
		return -1;
	}
	return fd;
}

/* Without udev there are no links by UUID: look at every block device. */
static int scan(const char *uuid, char path[static 300])
{
	DIR *d = opendir("/sys/class/block");
	struct dirent *entry;
	int fd = -1;

	if (d == NULL)
		return -1;
	while (fd < 0 && (entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		lk_fmt(path, 300, "/dev/%s", entry->d_name);
		fd = try_path(path, uuid);
	}
	closedir(d);
	return fd;
}

static int find(const struct lk_conf *conf, char path[static 300])
{
	int fd;

	if (conf->device[0] != '\0') {
		lk_fmt(path, 300, "%s", conf->device);
		return try_path(path, conf->uuid);
	}
	lk_fmt(path, 300, "/dev/disk/by-uuid/%s", conf->uuid);
	fd = try_path(path, conf->uuid);
	return fd >= 0 ? fd : scan(conf->uuid, path);
}

enum lk_code lk_device_look(
    const struct lk_conf *conf, int *fd, char path[static 300], struct lk_err *e)
{
	int err;

	*fd = -1;
	if (conf->device[0] == '\0' && conf->uuid[0] == '\0') {
		(void)lk_fail(e, LK_ECONF, "volume %s: neither uuid nor device is set", conf->name);
		return lk_hint(e, "set uuid = the volume's LUKS UUID (cryptsetup luksUUID DEVICE)");
	}
	*fd = find(conf, path);
	err = errno;
	if (*fd >= 0)
		return LK_OK;
	if (conf->device[0] == '\0') {
		(void)lk_fail(e, LK_ELUKS, "no block device carries the LUKS UUID %s", conf->uuid);
		(void)lk_hint(
		    e, "check that the disk is attached and its driver is in the initramfs");
		return lk_err_retry(e);
	}
	/* The one that is named is there, and is another volume. */
	if (err == ENODEV)
		return lk_fail(e, LK_ELUKS, "%s does not carry the pinned LUKS UUID %s",
		    conf->device, conf->uuid);
	(void)lk_fail_sys(e, err, "%s", conf->device);
	return lk_err_retry(e);
}

enum lk_code lk_device_open(
    const struct lk_conf *conf, lk_time deadline, int *fd, char path[static 300], struct lk_err *e)
{
	lk_time end = lk_deadline_in(LK_DEVICE_WAIT_MS);

	if (deadline < end)
		end = deadline;
	for (;;) {
		struct lk_err late = {0};

		if (lk_device_look(conf, fd, path, e) == LK_OK || !e->retry ||
		    lk_sleep(LK_DEVICE_POLL_MS, end, &late) != LK_OK)
			return e->code;
		memset(e, 0, sizeof(*e));
	}
}

LK_CHECK static enum lk_code add(
    struct lk_volumes *out, const char *name, size_t n, struct lk_err *e)
{
	for (size_t i = 0; i < out->n; i++) /* one that is given twice */
		if (strlen(out->name[i]) == n && memcmp(out->name[i], name, n) == 0)
			return LK_OK;
	if (out->n == LK_VOLUMES_MAX || n >= sizeof(out->name[0]))
		return lk_fail(e, LK_ECONF, "more than %d volumes, or a name that is too long",
		    LK_VOLUMES_MAX);
	memcpy(out->name[out->n], name, n);
	out->name[out->n++][n] = '\0';
	return LK_OK;
}

/* In name order, so that every boot does the same. */
static void sort(struct lk_volumes *v)
{
	for (size_t i = 1; i < v->n; i++)
		for (size_t j = i; j > 0 && strcmp(v->name[j - 1], v->name[j]) > 0; j--) {
			char swap[sizeof(v->name[0])];
			memcpy(swap, v->name[j], sizeof(swap));
			memcpy(v->name[j], v->name[j - 1], sizeof(swap));
			memcpy(v->name[j - 1], swap, sizeof(swap));
		}
}

enum lk_code lk_volumes(const struct lk_args *a, struct lk_volumes *out, struct lk_err *e)
{
	struct dirent *entry;
	DIR *d;

	out->n = 0;
	for (size_t i = 0; i < a->words; i++)
		if (add(out, a->word[i], strlen(a->word[i]), e) != LK_OK)
			return e->code;
	if (out->n > 0)
		return LK_OK;
	d = opendir(a->flags.conf_dir);
	if (d == NULL) {
		(void)lk_fail_sys(e, errno, "%s", a->flags.conf_dir);
		e->code = LK_ECONF;
		return lk_hint(
		    e, "bind a volume with latchkeyctl enroll, and rebuild the initramfs");
	}
	while ((entry = readdir(d)) != NULL) {
		size_t n = strlen(entry->d_name);
		if (entry->d_name[0] == '.' || n <= 5 ||
		    memcmp(entry->d_name + n - 5, ".conf", 5) != 0)
			continue;
		if (add(out, entry->d_name, n - 5, e) != LK_OK)
			break;
	}
	closedir(d);
	if (e->code != LK_OK)
		return e->code;
	if (out->n == 0) {
		(void)lk_fail(e, LK_ECONF, "there is no NAME.conf in %s", a->flags.conf_dir);
		return lk_hint(
		    e, "bind a volume with latchkeyctl enroll, and rebuild the initramfs");
	}
	sort(out);
	return LK_OK;
}
