// SPDX-License-Identifier: GPL-2.0 OR MIT
/* A provider of configfs-tsm reports for a virtual machine without SEV-SNP: it hands each request
 * to a program that has /dev/emulated-tsm open, and gives its answer to whoever reads outblob.
 *
 * Everything but the report itself is therefore the kernel's own: directories, generations, what
 * may be written and read when. Signing stays outside, where there is a library for it, and so one
 * program plays both devices with one plan of errors.
 *
 *   read   blocks until there is a request: struct request
 *   write  the answer to it: struct answer, then outblob and auxblob
 *
 * The provider exists while the program has the device open.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/tsm.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

struct request {
	__u32 privlevel, inblob_len;
	__u8 inblob[TSM_INBLOB_MAX];
};

struct answer {
	__s32 error; /* 0 or a negative errno */
	__u32 outblob_len, auxblob_len;
};

static char provider[32] = "sev_guest";
module_param_string(provider, provider, sizeof(provider), 0644);
MODULE_PARM_DESC(provider, "name of the provider");

static enum { IDLE, ASKED, TAKEN, ANSWERED } state;
static struct tsm_report *wanted; /* tsm has one request at a time, under its lock */
static int outcome;
static bool served;
static DEFINE_MUTEX(lock);
static DECLARE_WAIT_QUEUE_HEAD(changed);

static int ask(struct tsm_report *report, void *data)
{
	int rc = -ERESTARTSYS;

	mutex_lock(&lock);
	wanted = report;
	outcome = -EPIPE;
	state = served ? ASKED : ANSWERED;
	mutex_unlock(&lock);
	wake_up_all(&changed);
	if (wait_event_killable(changed, READ_ONCE(state) == ANSWERED) == 0)
		rc = outcome;
	mutex_lock(&lock);
	wanted = NULL;
	state = IDLE;
	mutex_unlock(&lock);
	return rc;
}

/* What /dev/sev-guest's driver shows at VMPL 0. */
static bool attribute_visible(int n)
{
	return n == TSM_REPORT_GENERATION || n == TSM_REPORT_PROVIDER ||
	       n == TSM_REPORT_PRIVLEVEL || n == TSM_REPORT_PRIVLEVEL_FLOOR;
}

static bool blob_visible(int n)
{
	return n == TSM_REPORT_INBLOB || n == TSM_REPORT_OUTBLOB || n == TSM_REPORT_AUXBLOB;
}

static struct tsm_ops ops = {
    .name = provider,
    .report_new = ask,
    .report_attr_visible = attribute_visible,
    .report_bin_attr_visible = blob_visible,
};
module_param_named(floor, ops.privlevel_floor, uint, 0644);
MODULE_PARM_DESC(floor, "lowest privilege level");

static int device_open(struct inode *inode, struct file *file)
{
	int rc = tsm_register(&ops, NULL); /* -EBUSY if there is one */

	if (rc == 0)
		served = true;
	return rc;
}

static int device_release(struct inode *inode, struct file *file)
{
	mutex_lock(&lock);
	served = false;
	if (state == ASKED || state == TAKEN)
		state = ANSWERED;
	mutex_unlock(&lock);
	wake_up_all(&changed);
	return tsm_unregister(&ops);
}

static ssize_t device_read(struct file *file, char __user *to, size_t n, loff_t *at)
{
	struct request q = {};
	int rc;

	do {
		rc = wait_event_interruptible(changed, READ_ONCE(state) == ASKED);
		if (rc != 0)
			return rc;
		mutex_lock(&lock);
		rc = state == ASKED && n >= sizeof(q);
		if (rc) {
			q.privlevel = wanted->desc.privlevel;
			q.inblob_len = wanted->desc.inblob_len;
			memcpy(q.inblob, wanted->desc.inblob, sizeof(q.inblob));
			state = TAKEN;
		}
		mutex_unlock(&lock);
	} while (!rc && n >= sizeof(q));
	return rc && copy_to_user(to, &q, sizeof(q)) == 0 ? sizeof(q) : -EINVAL;
}

/* tsm frees the blobs. */
static int fill(const struct answer *a, const u8 *blobs)
{
	u8 *out = NULL, *aux = NULL;

	if (a->error != 0)
		return a->error;
	if (a->outblob_len != 0)
		out = kvmemdup(blobs, a->outblob_len, GFP_KERNEL);
	if (a->auxblob_len != 0)
		aux = kvmemdup(blobs + a->outblob_len, a->auxblob_len, GFP_KERNEL);
	if ((a->outblob_len != 0 && !out) || (a->auxblob_len != 0 && !aux)) {
		kvfree(out);
		kvfree(aux);
		return -ENOMEM;
	}
	wanted->outblob = out;
	wanted->outblob_len = a->outblob_len;
	wanted->auxblob = aux;
	wanted->auxblob_len = a->auxblob_len;
	return 0;
}

static ssize_t device_write(struct file *file, const char __user *from, size_t n, loff_t *at)
{
	struct answer a;
	u8 *all;

	if (n < sizeof(a) || n > sizeof(a) + 2 * TSM_OUTBLOB_MAX)
		return -EINVAL;
	all = vmemdup_user(from, n);
	if (IS_ERR(all))
		return PTR_ERR(all);
	memcpy(&a, all, sizeof(a));
	if (a.outblob_len > TSM_OUTBLOB_MAX || a.auxblob_len > TSM_OUTBLOB_MAX || a.error > 0 ||
	    n != sizeof(a) + a.outblob_len + a.auxblob_len) {
		kvfree(all);
		return -EINVAL;
	}
	mutex_lock(&lock);
	if (state == TAKEN) { /* else: who asked was killed meanwhile */
		outcome = fill(&a, all + sizeof(a));
		state = ANSWERED;
	}
	mutex_unlock(&lock);
	wake_up_all(&changed);
	kvfree(all);
	return n;
}

static __poll_t device_poll(struct file *file, poll_table *wait)
{
	poll_wait(file, &changed, wait);
	return READ_ONCE(state) == ASKED ? EPOLLIN : 0;
}

static const struct file_operations operations = {
    .owner = THIS_MODULE,
    .open = device_open,
    .release = device_release,
    .read = device_read,
    .write = device_write,
    .poll = device_poll,
};

static struct miscdevice device = {
    .minor = MISC_DYNAMIC_MINOR,
    .name = "emulated-tsm",
    .fops = &operations,
};

module_misc_device(device);
MODULE_DESCRIPTION("configfs-tsm reports that a program makes, for tests");
MODULE_LICENSE("Dual MIT/GPL");
