"""Initramfs images for the suite of image-check: read, change, write (cpio, format newc)."""

import importlib.util
import os
import shutil
import stat
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
QEMU = os.path.join(ROOT, "qemu")
KERNEL = os.path.join(ROOT, "build", "qemu", "kernel")
FIELDS = ("ino", "mode", "uid", "gid", "nlink", "mtime", "size", "maj", "min", "rmaj", "rmin",
          "namesize", "sum")


class Missing(Exception):
    """What is not here that an image is made with."""


class Entry:
    """One member of an archive."""

    def __init__(self, mode, data=b"", ino=0, nlink=1):
        self.mode, self.data, self.ino, self.nlink = mode, data, ino, nlink


def parse(data):
    """The members of an uncompressed image, in their order."""
    out, at = {}, 0
    while True:
        head = data[at:at + 110]
        if head[:6] != b"070701":
            raise ValueError("no archive at byte %d" % at)
        field = {name: int(head[6 + 8 * i:14 + 8 * i], 16) for i, name in enumerate(FIELDS)}
        name = data[at + 110:at + 109 + field["namesize"]].decode()
        at += (110 + field["namesize"] + 3) // 4 * 4
        if name == "TRAILER!!!":
            return out
        out[name] = Entry(field["mode"], data[at:at + field["size"]], field["ino"],
                          field["nlink"])
        at += (field["size"] + 3) // 4 * 4


def member(name, entry):
    """One member as bytes."""
    fields = (entry.ino, entry.mode, 0, 0, entry.nlink, 0, len(entry.data), 0, 0, 0, 0,
              len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % f for f in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + entry.data + b"\0" * (-len(entry.data) % 4)


def archive(entries):
    """An archive; folders that are missing come before what is in them."""
    out, there = [], {""}
    for name, entry in entries.items():
        parts = name.split("/")
        for i in range(1, len(parts)):
            folder = "/".join(parts[:i])
            if folder not in entries and folder not in there:
                out.append(member(folder, Entry(stat.S_IFDIR | 0o755)))
                there.add(folder)
        out.append(member(name, entry))
    out.append(member("TRAILER!!!", Entry(0)))
    whole = b"".join(out)
    return whole + b"\0" * (-len(whole) % 512)


def text(content, mode=0o644):
    """A file."""
    return Entry(stat.S_IFREG | mode, content.encode())


def link(target):
    """A symbolic link."""
    return Entry(stat.S_IFLNK | 0o777, target.encode())


def tool(*argv, stdin=None):
    """Output of a command; Missing when it is not there or fails."""
    try:
        done = subprocess.run(argv, stdin=stdin or subprocess.DEVNULL, capture_output=True,
                              check=False, timeout=600)
    except OSError as e:
        raise Missing("%s: %s" % (argv[0], e.strerror)) from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise Missing("%s: exit %d: %s" % (os.path.basename(argv[0]), done.returncode,
                                           " / ".join(said[-3:])))
    return done.stdout


def dracut(path, program, config, crypttab):
    """An image by the project's dracut module, as the boots have it. Its members."""
    if shutil.which("dracut") is None:
        raise Missing("dracut is not installed")
    tool(os.path.join(QEMU, "kernel"), KERNEL)
    tool(os.path.join(QEMU, "initramfs"), path, KERNEL, program, config, crypttab)
    with open(path, "rb") as f:
        return parse(tool("zstd", "-dcq", stdin=f))


def mkinitramfs(path, config, crypttab):
    """An image by the project's hook in Debian's initramfs-tools. Its members."""
    script = os.path.join(QEMU, "mkinitramfs")
    packages = os.path.join(ROOT, "build", "qemu", "initramfs-tools")
    tool(os.path.join(QEMU, "kernel"), KERNEL)
    tool(script, "fetch", packages)
    tool(script, "image", packages, path, KERNEL, config, crypttab)
    with open(path, "rb") as f:
        return parse(tool("zstd", "-dcq", stdin=f))


def initramfs_tools(base):
    """The same files where initramfs-tools and cryptsetup-initramfs of Debian 12 put them."""
    gone = ("usr/lib/systemd/", "etc/systemd/", "usr/lib/dracut/", "etc/cmdline.d/", "usr/sbin/dh")
    out = {name: entry for name, entry in base.items()
           if name not in ("init", "etc/crypttab") and not name.startswith(gone)}
    uuid = next(word for word in base["etc/crypttab"].data.decode().split()
                if word.startswith("UUID="))
    script = "/usr/lib/latchkey/keyscript"
    out.update({
        "init": text("#!/bin/sh\n", 0o755), "conf/initramfs.conf": text("MODULES=most\n"),
        "scripts/functions": text(""), "scripts/local-top/cryptroot": text("#!/bin/sh\n", 0o755),
        "cryptroot/crypttab": text("root %s latchkey luks,initramfs,keyscript=%s\n" % (
            uuid, script)),
        script[1:]: text("#!/bin/sh\nexec /usr/bin/latchkey key\n", 0o755),
        "usr/lib/cryptsetup/askpass": text("", 0o755), "usr/bin/ipconfig": text("", 0o755)})
    return out


def stage():
    """qemu/stage.py, which has no package."""
    spec = importlib.util.spec_from_file_location("stage", os.path.join(QEMU, "stage.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules["stage"] = module
    spec.loader.exec_module(module)
    return module
