"""The disk image of an authenticated LUKS2 volume (`--integrity hmac-sha256`), made inside a guest.

On a plain file it cannot be made: such a volume is two mappings, dm-integrity below dm-crypt, of which the kernel
itself writes the lower one's superblock and journal, and cryptsetup's own wipe goes through both; `cryptsetup
reencrypt` knows no integrity at all.  So the image for the boots, with its drivers, runs a script instead of its
init: format without the wipe, then write every sector once, the file system first and zeros behind it.  (A sector that
was never written cannot be read, and programs that look for signatures read the last ones.)
"""

import os

import boot
import stage

HEADER = 16 << 20       # what luksFormat takes by default
MADE = "authenticated disk: made"
SCRIPT = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs devtmpfs /dev
exec </dev/console >/dev/console 2>&1
export PATH=/usr/sbin:/usr/bin DM_DISABLE_UDEV=1
modprobe -a virtio_pci virtio_blk dm_crypt dm_integrity
set -e
cryptsetup luksFormat --batch-mode --type luks2 --integrity hmac-sha256 --integrity-no-wipe --sector-size 4096 \\
	--pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /passphrase /dev/vda
cryptsetup open --key-file /passphrase /dev/vda made
cat /dev/vdb /dev/zero >/dev/mapper/made || :	# to its end
cryptsetup close made
echo "%s"
"""


def make(initrd, filesystem, passphrase, folder, log):
    """Path of the image, made in `folder` from a file system's image with the drivers of `initrd`."""
    disk, ours = os.path.join(folder, "disk.img"), os.path.join(folder, "maker.img")
    with open(disk, "wb") as f:
        # Tags are 32 bytes for each 4 KiB, and there is a journal.
        f.truncate(HEADER + os.path.getsize(filesystem) * 17 // 16 + (4 << 20))
    stage.overlay(initrd, {"make": (0o755, (SCRIPT % MADE + "echo o >/proc/sysrq-trigger\n" + "sleep 60\n").encode()),
                           "passphrase": (0o600, passphrase.encode())}, ours)
    verdict = boot.Boot(os.path.join(stage.KERNEL, "vmlinuz"), ours, disk, log, network=False, nic=False,
                        append="rdinit=/make", drives=[filesystem], expect=[MADE]).run()
    if not verdict.ok:
        raise stage.StageError("no authenticated disk: %s; log in %s" % (verdict.reason, log))
    os.unlink(ours)
    return disk
