/* A character device by CUSE: /dev/sev-guest, or under another name the /dev/sev of old kernels.
 *
 * The argument of an ioctl here holds addresses. CUSE hands out such memory in rounds: each answer
 * FUSE_IOCTL_RETRY names the pieces that the next round is to bring (in) and to take (out). Nothing
 * is kept between the rounds: the sizes tell which one it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "device.h"
#include "lk/fmt.h"
#include "sev_guest.h"

#define PIECES 4

/* A round: what came, and what is to be brought and taken back. */
struct round {
	const struct fuse_ioctl_in *in;
	const uint8_t *data; /* in->in_size bytes */
	struct fuse_ioctl_iovec bring[PIECES], take[PIECES];
	uint32_t n_bring, n_take;
};

static void reply(int fd, uint64_t unique, int err, const struct iovec *parts, size_t n)
{
	struct fuse_out_header head = {.error = -err, .unique = unique};
	struct iovec all[PIECES + 4] = {{&head, sizeof(head)}};
	size_t sum = sizeof(head);
	for (size_t i = 0; i < n; i++) {
		all[i + 1] = parts[i];
		sum += parts[i].iov_len;
	}
	head.len = (uint32_t)sum;
	/* ENOENT: who asked has been killed. */
	if (writev(fd, all, (int)n + 1) < 0 && errno != ENOENT)
		say("cuse: %s", strerror(errno));
}

static void reply_bytes(int fd, uint64_t unique, const void *p, size_t n)
{
	struct iovec part = {(void *)(uintptr_t)p, n};
	reply(fd, unique, 0, &part, n != 0 ? 1 : 0);
}

static void init(struct door *door, uint64_t unique, const struct fuse_in_header *head)
{
	struct cuse_init_in in;
	struct {
		struct cuse_init_out out;
		char info[64];
	} answer = {.out = {.major = FUSE_KERNEL_VERSION, .flags = CUSE_UNRESTRICTED_IOCTL}};
	memcpy(&in, head + 1, sizeof(in));
	answer.out.minor =
	    in.minor < FUSE_KERNEL_MINOR_VERSION ? in.minor : FUSE_KERNEL_MINOR_VERSION;
	answer.out.max_read = answer.out.max_write = 1 << 16;
	size_t n = lk_fmt(answer.info, sizeof(answer.info), "DEVNAME=%s", door->name);
	reply_bytes(door->fd, unique, &answer, sizeof(answer.out) + n + 1);
	door->ready = true; /* the node is there once the kernel has taken this */
}

static void piece(struct fuse_ioctl_iovec *list, uint32_t *n, uint64_t base, uint64_t len)
{
	list[(*n)++] = (struct fuse_ioctl_iovec){.base = base, .len = len};
}

static void ask_again(int fd, uint64_t unique, const struct round *r)
{
	struct fuse_ioctl_out out = {
	    .flags = FUSE_IOCTL_RETRY, .in_iovs = r->n_bring, .out_iovs = r->n_take};
	struct iovec parts[] = {{&out, sizeof(out)},
	    {(void *)(uintptr_t)r->bring, r->n_bring * sizeof(r->bring[0])},
	    {(void *)(uintptr_t)r->take, r->n_take * sizeof(r->take[0])}};
	reply(fd, unique, 0, parts, 3);
}

/* Has this round brought and does it take all that was wished for? */
static bool complete(const struct round *r)
{
	uint64_t in = 0, out = 0;
	for (uint32_t i = 0; i < r->n_bring; i++)
		in += r->bring[i].len;
	for (uint32_t i = 0; i < r->n_take; i++)
		out += r->take[i].len;
	return r->in->in_size == in && r->in->out_size == out;
}

/* The outcome of an ioctl, with what goes back to the caller's memory even when it failed. True. */
static bool finish(int fd, uint64_t unique, int err, const struct iovec *parts, size_t n)
{
	struct fuse_ioctl_out out = {.result = -err};
	struct iovec all[PIECES + 1] = {{&out, sizeof(out)}};
	for (size_t i = 0; i < n; i++)
		all[i + 1] = parts[i];
	reply(fd, unique, 0, all, n + 1);
	return true;
}

static void fill(struct sev_report_rsp *rsp, const struct device_answer *a)
{
	memset(rsp, 0, sizeof(*rsp));
	rsp->status = a->status;
	rsp->size = a->size;
	memcpy(rsp->report, a->report, sizeof(rsp->report));
}

static void take_request(struct device_request *q, const struct sev_report_req *req)
{
	memcpy(q->data, req->user_data, sizeof(q->data));
	q->vmpl = req->vmpl;
	q->bad_form = !lk_slice_is_zero(lk_slice_of(req->zero, sizeof(req->zero)));
}

/* SNP_GET_REPORT and SNP_GET_EXT_REPORT: argument, then request, then certificates' room. False:
 * another round is needed. */
static bool guest_report(int fd, uint64_t unique, struct round *r, struct device *d, bool ext)
{
	static struct sev_report_rsp rsp;
	static uint8_t certs[CERTS_MAX];
	struct sev_guest_arg arg;
	struct sev_ext_report_req req = {0};
	struct device_request q = {.kind = ext ? DEVICE_EXT_REPORT : DEVICE_REPORT};
	struct device_answer a;
	size_t req_n = ext ? sizeof(req) : sizeof(req.report);
	piece(r->bring, &r->n_bring, r->in->arg, sizeof(arg));
	piece(r->take, &r->n_take, r->in->arg, sizeof(arg));
	if (r->in->in_size < sizeof(arg))
		return false;
	memcpy(&arg, r->data, sizeof(arg));
	if (arg.msg_version == 0 || arg.req == 0 || arg.rsp == 0)
		return finish(fd, unique, EINVAL, NULL, 0);
	piece(r->bring, &r->n_bring, arg.req, req_n);
	piece(r->take, &r->n_take, arg.rsp, sizeof(rsp));
	if (r->in->in_size < sizeof(arg) + req_n)
		return false;
	memcpy(&req, r->data + sizeof(arg), req_n);
	size_t room = req.certs != 0 ? req.certs_len : 0;
	if (room % 4096 != 0 || room > CERTS_MAX)
		return finish(fd, unique, EINVAL, NULL, 0);
	if (ext)
		piece(r->take, &r->n_take, arg.req, sizeof(req));
	if (room != 0)
		piece(r->take, &r->n_take, req.certs, room);
	if (!complete(r))
		return false;
	take_request(&q, &req.report);
	device_ask(d, &q, &a);
	arg.exitinfo2 = a.exitinfo2;
	fill(&rsp, &a);
	req.certs_len = a.need != 0 ? a.need : req.certs_len;
	bool give = a.err == 0 && a.certs && d->certs_n <= room;
	memset(certs, 0, sizeof(certs));
	memcpy(certs, d->certs, give ? d->certs_n : 0);
	struct iovec parts[] = {
	    {&arg, sizeof(arg)}, {&rsp, sizeof(rsp)}, {&req, sizeof(req)}, {certs, room}};
	return finish(fd, unique, a.err, parts, ext ? (room != 0 ? 4 : 3) : 2);
}

static bool legacy_report(int fd, uint64_t unique, struct round *r, struct device *d)
{
	static struct sev_report_rsp rsp;
	struct sev_legacy_arg arg;
	struct sev_report_req req;
	struct device_request q = {.kind = DEVICE_LEGACY};
	struct device_answer a;
	piece(r->bring, &r->n_bring, r->in->arg, sizeof(arg));
	piece(r->take, &r->n_take, r->in->arg, sizeof(arg));
	if (r->in->in_size < sizeof(arg))
		return false;
	memcpy(&arg, r->data, sizeof(arg));
	if (arg.req_type != 5 || arg.rsp_type != 6 || arg.msg_version != 1 ||
	    arg.req_len != sizeof(req) || arg.rsp_len != SEV_LEGACY_RSP || arg.req == 0 ||
	    arg.rsp == 0)
		return finish(fd, unique, EINVAL, NULL, 0);
	piece(r->bring, &r->n_bring, arg.req, sizeof(req));
	piece(r->take, &r->n_take, arg.rsp, SEV_LEGACY_RSP);
	if (!complete(r))
		return false;
	memcpy(&req, r->data + sizeof(arg), sizeof(req));
	take_request(&q, &req);
	device_ask(d, &q, &a);
	arg.error = (uint32_t)a.exitinfo2;
	fill(&rsp, &a);
	struct iovec parts[] = {{&arg, sizeof(arg)}, {&rsp, SEV_LEGACY_RSP}};
	return finish(fd, unique, a.err, parts, 2);
}

static void ioctl_round(struct door *door, const struct fuse_in_header *head, struct device *d)
{
	struct fuse_ioctl_in in;
	struct round r = {.in = &in, .data = (const uint8_t *)(head + 1) + sizeof(in)};
	memcpy(&in, head + 1, sizeof(in));
	bool old = strcmp(door->name, "sev") == 0, done = true;
	if (!old && (in.cmd == SEV_GET_REPORT || in.cmd == SEV_GET_EXT_REPORT))
		done = guest_report(door->fd, head->unique, &r, d, in.cmd == SEV_GET_EXT_REPORT);
	else if (old && in.cmd == SEV_LEGACY_REPORT)
		done = legacy_report(door->fd, head->unique, &r, d);
	else
		reply(door->fd, head->unique, old ? EINVAL : ENOTTY, NULL, 0);
	if (!done)
		ask_again(door->fd, head->unique, &r);
}

static void serve(struct door *door, struct device *d)
{
	static union {
		struct fuse_in_header head;
		uint8_t bytes[1 << 17];
	} in;
	struct fuse_open_out opened = {.open_flags = FOPEN_DIRECT_IO | FOPEN_NONSEEKABLE};
	ssize_t n = read(door->fd, in.bytes, sizeof(in.bytes));
	if (n < 0 && errno != EINTR && errno != EAGAIN && errno != ENOENT)
		die("%s: %s", door->name, strerror(errno));
	if (n < (ssize_t)sizeof(in.head))
		return;
	switch (in.head.opcode) {
	case CUSE_INIT:
		init(door, in.head.unique, &in.head);
		break;
	case FUSE_OPEN:
		reply_bytes(door->fd, in.head.unique, &opened, sizeof(opened));
		break;
	case FUSE_IOCTL:
		ioctl_round(door, &in.head, d);
		break;
	case FUSE_RELEASE:
	case FUSE_FLUSH:
		reply(door->fd, in.head.unique, 0, NULL, 0);
		break;
	case FUSE_INTERRUPT:
		break;
	default:
		reply(door->fd, in.head.unique, ENOSYS, NULL, 0);
		break;
	}
}

bool cuse_open(struct door *door, const char *name)
{
	*door = (struct door){
	    .fd = open("/dev/cuse", O_RDWR | O_CLOEXEC), .name = name, .serve = serve};
	return door->fd >= 0;
}
