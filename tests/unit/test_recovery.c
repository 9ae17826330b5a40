/* A recovery key: its form, and that it is shown exactly once. */
#include "t.h"

#include <fcntl.h>

#include "../../src/cli/ctl/parts.h"
#include "lk/log.h"

static const char letters[] = "cbdefghijklnrtuv";
static char shown[65536];
static struct lk_err e;

static int scratch(void)
{
	char name[] = "/tmp/test_recovery.XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);

	if (fd < 0 || unlink(name) != 0) {
		printf("Bail out! no temporary file\n");
		exit(1);
	}
	return fd;
}

static size_t take(int fd)
{
	ssize_t n = pread(fd, shown, sizeof(shown) - 1, 0);

	shown[n < 0 ? 0 : n] = '\0';
	close(fd);
	return strlen(shown);
}

/* The format of systemd-cryptenroll(1). */
T(eight_groups_of_modhex)
{
	static struct lk_secret key, other;
	unsigned seen[16] = {0}, pairs[256] = {0}, distinct = 0;

	for (unsigned round = 0; round < 100; round++) {
		e = (struct lk_err){0};
		EQ_CODE(LK_OK, lk_recovery_make(&key, &e));
		EQ_U(key.n, LK_RECOVERY_LEN);
		for (size_t i = 0; i < key.n; i++) {
			const char *at = memchr(letters, key.p[i], 16);

			if (i % 9 == 8 ? key.p[i] != '-' : at == NULL)
				T_FAIL("%.*s", (int)key.n, (char *)key.p);
			else if (at != NULL)
				seen[at - letters]++;
		}
		for (size_t i = 0; i + 1 < key.n; i += i % 9 == 6 ? 3 : 2) {
			const char *a = memchr(letters, key.p[i], 16);
			const char *b = memchr(letters, key.p[i + 1], 16);

			if (a != NULL && b != NULL)
				distinct += pairs[(a - letters) * 16 + (b - letters)]++ == 0;
		}
		OK(!lk_secret_eq(lk_secret_slice(&key), lk_secret_slice(&other)));
		other = key;
	}
	/* 6400 letters: 400 each, and a deviation of 10 standard ones would be 194 */
	for (size_t i = 0; i < 16; i++)
		OK(seen[i] > 200 && seen[i] < 600);
	/* a byte is two letters of their own: 3200 bytes have all but every 256 values */
	OK(distinct > 240);
}

static unsigned lines;

static void count(void *ctx, enum lk_level level, const char *line)
{
	(void)ctx;
	(void)level;
	(void)line;
	lines++;
}

T(shown_once_as_text)
{
	static struct lk_secret key;
	char text[LK_RECOVERY_LEN + 1] = {0};
	const char *at;
	int fd = scratch();

	e = (struct lk_err){0};
	lines = 0;
	lk_log_hook(count, NULL);
	NEED(lk_recovery_make(&key, &e) == LK_OK);
	EQ_CODE(LK_OK, lk_recovery_show(fd, &key, "/dev/sda3", &e));
	lk_log_hook(NULL, NULL);
	EQ_U(lines, 0);
	OK(take(fd) > 0);
	memcpy(text, key.p, LK_RECOVERY_LEN);
	at = strstr(shown, text);
	OK(strstr(shown, "/dev/sda3") != NULL);
	NEED(at != NULL);
	OK(at[-1] == ' ' && at[LK_RECOVERY_LEN] == '\n');
	OK(strstr(at + 1, text) == NULL);
}

/* What a camera reads must be the key: the same picture as of the key alone. */
T(shown_as_a_code)
{
	static struct lk_secret key;
	static char picture[32768];
	char command[200];
	size_t n;
	int fd;
	FILE *f;

	if (access("/usr/bin/qrencode", X_OK) != 0)
		SKIP("qrencode is not installed");
	e = (struct lk_err){0};
	NEED(lk_recovery_make(&key, &e) == LK_OK);
	fd = scratch();
	EQ_CODE(LK_OK, lk_recovery_show(fd, &key, "x", &e));
	OK(take(fd) > 0);
	snprintf(
	    command, sizeof(command), "qrencode -t UTF8 -m 2 -o - %.*s", (int)key.n, (char *)key.p);
	f = popen(command, "r");
	NEED(f != NULL);
	n = fread(picture, 1, sizeof(picture) - 1, f);
	EQ_I(pclose(f), 0);
	OK(n > 500);
	picture[n] = '\0';
	OK(strstr(shown, picture) != NULL);
}

T(what_cannot_be_shown)
{
	static struct lk_secret key;
	static char device[500];
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	e = (struct lk_err){0};
	NEED(fd >= 0 && lk_recovery_make(&key, &e) == LK_OK);
	EQ_CODE(LK_ESYS, lk_recovery_show(fd, &key, "x", &e));
	OK(strstr(e.msg, "the recovery key cannot be shown") != NULL);
	close(fd);
	memset(device, 'd', sizeof(device) - 1);
	e = (struct lk_err){0};
	EQ_CODE(LK_ELIMIT, lk_recovery_show(1, &key, device, &e));
}
