"""How latchkeyctl is killed: at a call of cryptsetup, at a system call of its own, at a write to the device."""

import os
import re
import shutil
import subprocess

from disk import CRYPTSETUP
from e2e import ROOT

SHIM = os.path.join(ROOT, "build", "check", "cut.so")
SOURCE = os.path.join(os.path.dirname(os.path.realpath(__file__)), "cut.c")

# latchkeyctl starts programs with an empty environment, so what the wrapper must know is written into it.
WRAPPER = """#!/bin/sh
printf . >>%(dir)s/calls
n=$(stat -c %%s %(dir)s/calls)
echo "$n $*" >>%(dir)s/called
if [ "$n" = %(at)d ]; then when=%(when)s; fi
case $* in *--test-passphrase*)
	printf . >>%(dir)s/tests
	if [ "$(stat -c %%s %(dir)s/tests)" = %(untrue)d ]; then
		printf '%%s %%s' "$n" "$(stat -c %%s %(dir)s/writes)" >%(dir)s/turn
		when=refuse
	fi ;;
esac
case $when in
before) kill -9 $PPID; exit 1 ;;
refuse) cat >/dev/null; echo "broken on purpose" >&2; exit 2 ;;
esac
export LD_PRELOAD=%(shim)s CUT_IMAGE=%(image)s CUT_COUNT=%(dir)s/writes CUT_AT=%(cut)d CUT_PARENT=%(parent)s
%(real)s "$@"
status=$?
case $when in
after) kill -9 $PPID ;;
deny) echo "broken on purpose" >&2; exit 1 ;;
esac
exit $status
"""
CALLS = ("open,openat,creat,write,writev,pwrite64,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,mkdir,"
         "mkdirat,rmdir,ftruncate,fchmod,chmod,link,linkat,symlink")
LINE = re.compile(r"(\w+)\((.*)$")


def build():
    """The library that cuts writes short."""
    os.makedirs(os.path.dirname(SHIM), exist_ok=True)
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", "%s.%d" % (SHIM, os.getpid()), SOURCE, "-ldl"], check=True)
    os.rename("%s.%d" % (SHIM, os.getpid()), SHIM)


class Tools:
    """A folder beside the bench's with the wrapper and its counters; the latter start anew with each.

    at      at which call something happens
    when    what: latchkeyctl is killed `before` it or `after` it; the call fails, and nothing was done (`refuse`) or
            everything (`deny`)
    untrue  which test of a slot says that it does not open
    cut     which write to the image is cut short; `parent` dies as well then
    """

    def __init__(self, b, image, at=0, when="never", untrue=0, cut=0, parent="$PPID"):
        self.dir = b.dir + ".tools"
        shutil.rmtree(self.dir, ignore_errors=True)
        os.mkdir(self.dir)
        self.wrapper = os.path.join(self.dir, "cryptsetup")
        with open(self.wrapper, "w", encoding="ascii") as f:
            f.write(WRAPPER % {"dir": self.dir, "at": at, "when": when, "cut": cut, "parent": parent, "image": image,
                               "untrue": untrue, "shim": SHIM, "real": CRYPTSETUP})
        os.chmod(self.wrapper, 0o755)
        with open(os.path.join(self.dir, "writes"), "w", encoding="ascii"):
            pass

    def count(self, what):
        """Of the calls or writes so far."""
        path = os.path.join(self.dir, what)
        return os.path.getsize(path) if os.path.exists(path) else 0

    def turn(self):
        """How many calls and writes there had been when a slot was first tested in vain."""
        with open(os.path.join(self.dir, "turn"), encoding="ascii") as f:
            return [int(word) for word in f.read().split()]

    def called(self):
        """The calls so far, a line each."""
        with open(os.path.join(self.dir, "called"), encoding="utf-8") as f:
            return f.read().splitlines()


def changes(log, folder):
    """The system calls of a log that change something in a folder: [(name, which one of that name, the place)]."""
    found, counts = [], {}
    with open(log, encoding="utf-8", errors="replace") as f:
        for line in f:
            match = LINE.match(line)
            if not match:
                continue
            name, rest = match.groups()
            counts[name] = counts.get(name, 0) + 1
            at = rest.find(folder + "/")
            if at < 0 or (name in ("open", "openat") and not re.search(r"O_(WRONLY|RDWR|CREAT)", rest)):
                continue
            place = re.match(r"[^\"> ]*", rest[at + len(folder) + 1:]).group()
            found.append((name, counts[name], re.sub(r"\.[A-Za-z0-9]{6}$", ".NEW", place)))
    return found


def traced(argv, log, inject=None):
    """The command under strace, which follows no child."""
    options = ["-e", "inject=%s:signal=KILL:when=%d" % inject] if inject else []
    return ["strace", "-y", "-s", "16", "-o", log, "-e", "trace=" + CALLS, *options, *argv]
