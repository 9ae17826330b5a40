/* The device itself: its plan of failures, its message key, its reports. */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lk/fmt.h"
#include "lk/io.h"

#define VMM_LENGTH UINT64_C(0x100000000)
#define VMM_BUSY   UINT64_C(0x200000000)

static enum lk_code load(struct device *d, const char *name, void *to, size_t cap, size_t least,
    size_t *n, struct lk_err *e)
{
	char path[200];
	struct lk_buf b = {.p = to, .cap = cap};
	(void)lk_fmt(path, sizeof(path), "%s/%s", d->files, name);
	enum lk_code rc = lk_file_read(path, &b, e);
	if (rc == LK_OK && b.n < least)
		rc = lk_fail(e, LK_ECONF, "%s: %zu bytes; %zu are needed", path, b.n, least);
	*n = b.n;
	return rc;
}

enum lk_code device_load(struct device *d, struct lk_err *e)
{
	size_t n;
	enum lk_code rc = load(d, "template", d->template, REPORT_SIZE, REPORT_SIZE, &n, e);
	if (rc == LK_OK)
		rc = load(d, "key", d->key, sizeof(d->key), sizeof(d->key), &n, e);
	if (rc == LK_OK)
		rc = load(d, "certs", d->certs, sizeof(d->certs), 0, &d->certs_n, e);
	return rc;
}

/* The line of this number, empty where there is none. */
static struct lk_slice line_of(struct lk_slice text, unsigned number)
{
	size_t end;
	while (number-- != 0 && lk_slice_find(text, '\n', &end))
		text = lk_slice_sub(text, end + 1, text.n);
	if (number != UINT32_MAX)
		return lk_slice_sub(text, 0, 0);
	return lk_slice_find(text, '\n', &end) ? lk_slice_sub(text, 0, end) : text;
}

static void take_word(const char *word, struct device_answer *a, struct device_request *q)
{
	const char *value = strchr(word, '=');
	uint64_t number = value != NULL ? strtoull(value + 1, NULL, 0) : 0;
	uint64_t at = strtoull(word + 1, NULL, 0);
	size_t n = value != NULL ? (size_t)(value - word) : strlen(word);
	struct lk_slice name = lk_slice_of(word, n);
	if (lk_slice_eq_str(name, "err"))
		a->err = (int)number;
	else if (lk_slice_eq_str(name, "exit"))
		a->exitinfo2 = number;
	else if (lk_slice_eq_str(name, "need"))
		a->need = (uint32_t)number;
	else if (lk_slice_eq_str(name, "status"))
		a->status = (uint32_t)number;
	else if (lk_slice_eq_str(name, "size"))
		a->size = (uint32_t)number;
	else if (word[0] == '@' && n != strlen(word) && at <= REPORT_SIZE - sizeof(number))
		memcpy(a->report + at, &number, sizeof(number));
	else if (lk_slice_eq_str(name, "zero"))
		memset(a->report, 0, REPORT_SIZE);
	else if (lk_slice_eq_str(name, "other"))
		q->data[63] ^= 1;
	else if (lk_slice_eq_str(name, "nocerts"))
		a->certs = false;
	else
		die("the plan has a word that is unknown: %s", word);
}

static void follow_plan(const struct device *d, struct device_answer *a, struct device_request *q)
{
	char path[200], line[300];
	uint8_t text[4096];
	struct lk_buf b = LK_BUF(text);
	struct lk_err e;
	enum lk_code rc = LK_EABSENT;
	for (int i = 0; i < 2 && rc == LK_EABSENT; i++) {
		(void)lk_fmt(path, sizeof(path), "%s/plan", i == 0 ? d->state : d->files);
		rc = lk_file_read(path, &b, &e);
	}
	if (rc == LK_EABSENT)
		return;
	if (rc == LK_OK)
		rc = lk_slice_cstr(
		    line_of(lk_slice_buf(&b), d->requests - 1), line, sizeof(line), &e);
	if (rc != LK_OK)
		die("%s: %s", path, e.msg);
	for (char *rest = line, *word; (word = strtok_r(rest, " ", &rest)) != NULL;)
		take_word(word, a, q);
}

/* Linux gives the message key up when it cannot know what became of a message. */
static bool costs_the_key(const struct device_answer *a)
{
	return a->err == ETIMEDOUT || a->err == EBADMSG || a->err == ENOTTY ||
	       (a->err == EIO && a->exitinfo2 != VMM_LENGTH && a->exitinfo2 != VMM_BUSY);
}

static void make_report(
    const struct device *d, const struct device_request *q, struct device_answer *a)
{
	static const uint8_t none[REPORT_SIZE];
	if (memcmp(a->report, none, REPORT_SIZE) == 0)
		return;
	memcpy(a->report + 0x30, &q->vmpl, sizeof(q->vmpl));
	memcpy(a->report + 0x50, q->data, sizeof(q->data));
	if (!report_sign(a->report, d->key))
		die("the report cannot be signed");
}

/* Returns false when the file was not there, which begins a new count. */
static bool note(const struct device *d, bool fresh, const char *text, size_t n)
{
	char path[200];
	(void)lk_fmt(path, sizeof(path), "%s/seen", d->state);
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | (fresh ? O_CREAT : 0), 0600);
	if (fd < 0)
		return false;
	if (n != 0 && write(fd, text, n) < 0)
		die("%s: %s", path, strerror(errno));
	(void)close(fd);
	return true;
}

void device_ask(struct device *d, const struct device_request *asked, struct device_answer *out)
{
	static const char *const kinds[] = {"report", "ext-report", "legacy", "tsm"};
	struct device_request q = *asked;
	char line[160];
	lk_time now = lk_now();
	if (!note(d, false, NULL, 0)) {
		d->requests = 0;
		d->spent = false;
	}
	long long gap = d->requests++ != 0 ? now - d->last : -1;
	d->last = now;
	*out = (struct device_answer){.size = REPORT_SIZE, .certs = true};
	memcpy(out->report, d->template, REPORT_SIZE);
	follow_plan(d, out, &q);
	if (out->err == 0 && out->status == 0 && (q.vmpl > 3 || q.bad_form))
		out->status = 0x16;
	if (d->spent) {
		*out = (struct device_answer){.err = ENOTTY, .exitinfo2 = 0xff};
	} else if (out->err == 0 && out->status == 0) {
		make_report(d, &q, out);
	} else {
		d->spent = costs_the_key(out);
		out->size = 0;
	}
	size_t n = lk_fmt(line, sizeof(line),
	    "%s %u after %lld ms: errno %d exitinfo2 0x%llx status 0x%x\n", kinds[q.kind],
	    d->requests, gap, out->err, (unsigned long long)out->exitinfo2, out->status);
	(void)note(d, true, line, n);
	line[n - 1] = '\0';
	say("%s", line);
}
