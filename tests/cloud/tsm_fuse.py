#!/usr/bin/python3
"""configfs-tsm on this machine: a FUSE file system whose reports the simulated host signs.

  tsm_fuse.py --state DIR MOUNTPOINT [NAME=VALUE...]     serves until SIGTERM; by hand, inside `ns`

`Tsm(state)` mounts it in this process, at `path`; what a guest may do there, and what comes of it,
is as in Linux (Documentation/ABI/testing/configfs-tsm, fs/configfs): a directory made with mkdir is
a request; inblob is taken when it is closed, whole, and close(2) does not tell whether it was;
reading outblob or auxblob asks the firmware, once for each generation.

What a test may set (attributes; NAME=VALUE in the command):
  table        what auxblob carries: a kind of certtable.KINDS, or bytes
  report       changes to the report, as snp.build takes them (policy, version, measurement, ..)
  floor        privlevel_floor: the VMPL that the guest runs at;  has_floor: an older kernel has none
  provider     name, None: none is registered
  stale        so many of the next reports are of older firmware (as of a guest that was just moved)
and `fault(at, ...)`, below.  `log` has what was done, `requests` how often the firmware was asked,
`times` when, `left()` names the directories that nobody removed.  After an error that costs the real guest its
message key (VMPCK) every further request is ENOTTY, until `reboot()`.
"""

import argparse
import errno
import json
import os
import re
import shutil
import signal
import stat
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import amd  # noqa: E402
import certtable  # noqa: E402
import fuse  # noqa: E402
import snp  # noqa: E402

INBLOB_MAX, BLOB_MAX, LEVEL_MAX = 64, 32768, 3
# attribute: mode; the binary ones are those whose name ends in "blob"
ATTRIBUTES = {"generation": 0o444, "provider": 0o444, "privlevel": 0o200, "privlevel_floor": 0o444,
              "inblob": 0o200, "outblob": 0o444, "auxblob": 0o444}
STEPS = ("mkdir", "rmdir", "firmware") + tuple(ATTRIBUTES)
# Errors of a request after which the kernel does not use its message key again.
WIPING = ("EIO", "ETIMEDOUT", "EBADMSG", "ENOSR")
# What else can go wrong with the firmware's answer.
SPOILS = ("short", "long", "empty", "zero", "other-data", "signature")


def fail(name):
    """Raise an OSError by the name of its number."""
    raise OSError(getattr(errno, name), name)


class Node:
    """A directory or an attribute, as fuse.Mount wants it."""

    def __init__(self, mode, name=None, request=None):
        self.mode, self.name, self.request = mode, name, request
        self.size = 0 if stat.S_ISDIR(mode) or name.endswith("blob") else 4096


class Request:
    """A report directory."""

    def __init__(self, tsm, name):
        self.tsm, self.name, self.files = tsm, name, {}
        self.level, self.inblob, self.dead = 0, b"", False
        self.written, self.read, self.blobs = 0, 0, None

    def advance(self):
        """A write is taken.  (The kernel's EBUSY, when the counter would wrap, takes 2^64.)"""
        self.written += 1

    def set_level(self, text):
        """privlevel: kstrtouint with any base; floor to 3."""
        match = re.fullmatch(rb"\+?(0[xX][0-9a-fA-F]+|[0-9]+)\n?", text)
        if not match:
            fail("EINVAL")
        digits = match.group(1)
        base = 16 if digits[:2].lower() == b"0x" else 8 if digits[:1] == b"0" else 10
        if base == 8 and re.search(rb"[89]", digits):
            fail("EINVAL")
        if not self.tsm.provider:
            fail("ENXIO")
        if not self.tsm.floor <= int(digits, base) <= LEVEL_MAX:
            fail("EINVAL")
        self.advance()
        self.level = int(digits, base)

    def set_inblob(self, data):
        """inblob: what was written until close."""
        self.advance()
        self.inblob = data

    def blob(self, name):
        """outblob or auxblob; asks the firmware when what there is belongs to older writes."""
        if not self.inblob:
            fail("EINVAL")
        if self.blobs is None or self.read != self.written:
            if not self.tsm.provider:
                fail("ENXIO")
            self.blobs = None
            self.blobs = self.tsm.firmware(self)
            self.read = self.written
        content = self.blobs[name]
        for _ in self.tsm.strike(name, "interfere"):
            self.set_inblob(os.urandom(INBLOB_MAX))     # another writer, right behind
        return content

    def text(self, name):
        """The text attributes that can be read."""
        if name == "generation":
            return b"%d\n" % self.written
        if not self.tsm.provider:
            fail("ENXIO")
        return (self.tsm.provider if name == "provider" else "%d" % self.tsm.floor).encode() + b"\n"


class Handle:
    """An open attribute.  What is read is made at the first read and stays."""

    def __init__(self, node):
        self.tsm, self.request, self.name = node.request.tsm, node.request, node.name
        self.content, self.pending = None, None

    def check(self):
        """The faults of this attribute, and the end of its directory."""
        if self.request.dead:
            fail("ENOENT")
        for fault in self.tsm.strike(self.name, "error"):
            fail(fault["error"])

    def read(self, offset, _size):
        """read(2)"""
        if self.content is None:
            self.check()
            blob = self.name.endswith("blob")
            content = self.request.blob(self.name) if blob else self.request.text(self.name)
            if len(content) > (BLOB_MAX if blob else 4096):
                fail("EFBIG")
            self.content = content
        return self.content[offset:]

    def write(self, offset, data):
        """write(2): a level counts at once, inblob grows until it is closed."""
        self.check()
        if self.name == "privlevel":
            self.request.set_level(data)
            self.tsm.note("privlevel", data.decode("ascii", "replace").strip())
            return len(data)
        if offset + len(data) > INBLOB_MAX:
            fail("EFBIG")
        grown = bytearray((self.pending or b"").ljust(offset + len(data), b"\0"))
        grown[offset:offset + len(data)] = data
        self.pending = bytes(grown)
        return len(data)

    def flush(self):
        """close(2), which is never told what became of it."""
        if self.pending is None or self.request.dead:
            return
        data, self.pending = self.pending, None
        self.request.set_inblob(data)
        self.tsm.note("inblob", data.hex())
        for _ in self.tsm.strike("inblob", "interfere"):
            self.request.set_inblob(os.urandom(INBLOB_MAX))


class Tsm:
    """The file system; `with Tsm(state) as tsm:` it is mounted at `tsm.path`."""

    def __init__(self, state, path=None):
        self.host, self.lock = amd.Amd(state), threading.RLock()
        self.own = None if path else tempfile.mkdtemp(prefix="latchkey-tsm.")
        self.path = path or self.own
        self.nodes, self.names, self.next = {fuse.ROOT: Node(stat.S_IFDIR | 0o755)}, {}, 2
        self.reset()
        try:
            self.mount = fuse.Mount(self, self.path)
        except OSError:
            self._forget()
            raise

    def reset(self):
        """Settings, faults and log as at the start; directories stay."""
        with self.lock:
            self.table, self.report, self.provider = "right", {}, "sev_guest"
            self.floor, self.has_floor, self.stale = 0, True, 0
            self.faults, self.log, self.requests, self.wiped = [], [], 0, False
            self.times = []

    def reboot(self):
        """The guest has a message key again."""
        self.wiped = False

    def close(self):
        """Unmount."""
        self.mount.close()
        self._forget()
        if self.mount.bugs:
            raise RuntimeError("tsm_fuse: " + "\n".join(self.mount.bugs))

    def _forget(self):
        if self.own:
            shutil.rmtree(self.own, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def left(self):
        """The directories that are there."""
        return sorted(self.names)

    def note(self, *event):
        """Into the log."""
        with self.lock:
            self.log.append(event)

    # --- faults --------------------------------------------------------------------------------

    def fault(self, at, error=None, what=None, count=None, skip=0, wipe=None):
        """Something goes wrong at one of STEPS: `error` (the name of an errno), or `what`:

        at "firmware"          short, long (by a byte), empty, zero (all of it), other-data
                               (report_data is another), signature (a flipped bit)
        at "inblob", "outblob" interfere: another program writes right after our write or read
        `count` times (always), not the first `skip` times.  `wipe`: whether an error of the
        firmware costs the message key (as the real one's do: WIPING).
        """
        known = {"firmware": SPOILS, "inblob": ("interfere",), "outblob": ("interfere",)}
        if at not in STEPS or (error is None) == (what is None) or (
                what and what not in known.get(at, ())) or (error and not hasattr(errno, error)):
            raise ValueError("no such fault: %s %s" % (at, what or error))
        with self.lock:
            self.faults.append({"at": at, "error": error, "what": what, "count": count,
                                "skip": skip, "wipe": error in WIPING if wipe is None else wipe})

    def strike(self, at, *what):
        """The faults that strike now."""
        out = []
        with self.lock:
            for fault in self.faults:
                kind = fault["what"] or "error"
                if fault["at"] != at or kind not in what or fault["count"] == 0:
                    continue
                if fault["skip"] > 0:
                    fault["skip"] -= 1
                    continue
                if fault["count"] is not None:
                    fault["count"] -= 1
                out.append(fault)
        return out

    # --- the host ------------------------------------------------------------------------------

    def firmware(self, request):
        """A report over a request's inblob, and the certificate table: outblob and auxblob."""
        if len(request.inblob) != INBLOB_MAX:
            fail("EINVAL")
        self.requests += 1
        self.times.append(time.monotonic())
        if self.wiped:
            self.note("firmware", "ENOTTY")
            fail("ENOTTY")
        for fault in self.strike("firmware", "error"):
            self.wiped = self.wiped or fault["wipe"]
            self.note("firmware", fault["error"])
            fail(fault["error"])
        self.host.load()
        spoils = [f["what"] for f in self.strike("firmware", *SPOILS)]
        data = request.inblob
        if "other-data" in spoils:
            data = data[:63] + bytes([data[63] ^ 1])
        options = dict({"vmpl": max(request.level, self.floor)}, **self.report)
        if self.stale > 0:
            self.stale, old = self.stale - 1, self.host.old_tcb
            options.update(tcb=old, key=self.host.vcek(old)[0])
        report = snp.build(self.host, data, **options)
        if "signature" in spoils:
            report = report[:0x2A0] + bytes([report[0x2A0] ^ 1]) + report[0x2A1:]
        report = {"short": report[:-1], "long": report + b"\0", "empty": b"",
                  "zero": bytes(len(report))}.get(next(iter(spoils), None), report)
        self.note("firmware", "report")
        return {"outblob": report, "auxblob": certtable.make(self.table, self.host)}

    # --- the tree ------------------------------------------------------------------------------

    def node(self, ino):
        """By number."""
        if ino not in self.nodes:
            fail("ENOENT")
        return self.nodes[ino]

    def add(self, node):
        """A number for a node."""
        ino, self.next = self.next, self.next + 1
        self.nodes[ino] = node
        return ino

    def lookup(self, ino, name):
        """The root has requests, a request has attributes."""
        found = dict(self.children(ino))
        if name not in found:
            fail("ENOENT")
        return found[name]

    def children(self, ino):
        """[(name, ino)]"""
        request = self.node(ino).request
        if request is None:
            return sorted(self.names.items())
        return [(n, i) for n, i in request.files.items() if self.has_floor or "priv" not in n]

    def mkdir(self, ino, name):
        """A request."""
        if ino != fuse.ROOT:
            fail("EPERM")
        for fault in self.strike("mkdir", "error"):
            fail(fault["error"])
        if name in self.names:
            fail("EEXIST")
        if not self.provider:
            fail("ENXIO")
        request = Request(self, name)
        self.names[name] = self.add(Node(stat.S_IFDIR | 0o755, name, request))
        for attribute, mode in ATTRIBUTES.items():
            request.files[attribute] = self.add(Node(stat.S_IFREG | mode, attribute, request))
        self.note("mkdir", name)
        return self.names[name]

    def rmdir(self, ino, name):
        """The end of a request; what is still open gets ENOENT."""
        if ino != fuse.ROOT:
            fail("EPERM")
        for fault in self.strike("rmdir", "error"):
            fail(fault["error"])
        request = self.node(self.lookup(ino, name)).request
        request.dead = True
        for number in [self.names.pop(name), *request.files.values()]:
            del self.nodes[number]
        self.note("rmdir", name)

    def open(self, ino, access):
        """What the mode forbids is refused to root, too."""
        node = self.node(ino)
        if access in (os.O_RDONLY, os.O_RDWR) and not node.mode & 0o444:
            fail("EACCES")
        if access in (os.O_WRONLY, os.O_RDWR) and not node.mode & 0o222:
            fail("EACCES")
        return Handle(node)


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", required=True, metavar="DIR")
    parser.add_argument("mountpoint")
    parser.add_argument("setting", nargs="*", metavar="NAME=VALUE",
                        help="table, floor, provider; anything else is a number in the report")
    args = parser.parse_args()
    with Tsm(args.state, args.mountpoint) as tsm:
        for word in args.setting:
            name, _, value = word.partition("=")
            if name in ("table", "provider"):
                setattr(tsm, name, value)
            elif name == "floor":
                tsm.floor = int(value)
            else:
                tsm.report[name] = int(value, 0)
        signal.signal(signal.SIGTERM, lambda *unused: sys.exit(0))
        print(json.dumps({"path": tsm.path}), flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
