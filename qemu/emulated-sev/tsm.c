/* The other end of the module emulated_tsm, and what Linux' own sev-guest module does with an
 * answer: a refusal by the firmware is ENXIO, and exitinfo2 stays in the kernel's log. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "device.h"

struct request {
	uint32_t privlevel, inblob_len;
	uint8_t inblob[64];
};

struct answer {
	int32_t error;
	uint32_t outblob_len, auxblob_len;
};

static void serve(struct door *door, struct device *d)
{
	static struct device_answer a;
	static uint8_t store[sizeof(struct answer) + REPORT_MAX + CERTS_MAX];
	struct lk_buf b = LK_BUF(store);
	struct device_request q = {.kind = DEVICE_TSM};
	struct request in;
	struct answer out = {0};
	ssize_t n = read(door->fd, &in, sizeof(in));
	if (n < 0 && errno == EINTR)
		return;
	if (n != (ssize_t)sizeof(in))
		die("emulated-tsm: %s", n < 0 ? strerror(errno) : "a short request");
	if (in.inblob_len == sizeof(q.data)) {
		memcpy(q.data, in.inblob, sizeof(q.data));
		q.vmpl = in.privlevel;
		device_ask(d, &q, &a);
		out.error = a.err != 0 ? -a.err : a.status != 0 ? -ENXIO : 0;
	} else {
		out.error = -EINVAL;
	}
	if (out.error == 0) {
		out.outblob_len = a.size;
		out.auxblob_len = a.certs ? (uint32_t)d->certs_n : 0;
	}
	lk_buf_put(&b, &out, sizeof(out)); /* in one write: the module takes no vector */
	lk_buf_put(&b, a.report, out.outblob_len);
	lk_buf_put(&b, d->certs, out.auxblob_len);
	if (write(door->fd, b.p, b.n) < 0)
		say("emulated-tsm: %s", strerror(errno));
}

bool tsm_open(struct door *door)
{
	*door = (struct door){.fd = open("/dev/emulated-tsm", O_RDWR | O_CLOEXEC),
	    .ready = true,
	    .name = "tsm",
	    .serve = serve};
	return door->fd >= 0;
}
