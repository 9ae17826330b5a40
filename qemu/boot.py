#!/usr/bin/python3
"""Boot a disk image in QEMU with a TPM, watch the serial line, say what became of it.

The machine is emulated (accel=tcg; ACCEL=kvm asks for KVM, which is never chosen by itself, since a /dev/kvm that
cannot run a kernel is common in nested machines).  Run it where QEMU's user network is to see the world from: inside
`tests/cloud/ns` for the simulated cloud.

As a module: Boot(...).run() returns a Verdict.
"""

import argparse
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[c=>]|\r")
APPEND = "console=ttyS0 panic=-1 root=/dev/mapper/root ro rd.shell=0 rd.emergency=poweroff systemd.show_status=1"
MACHINE = "q35,sata=off,smbus=off,accel="
DRIVE = "file=%s,format=raw,if=virtio,cache=unsafe"
NETWORK = "rd.neednet=1 ip=dhcp"
# While the kernel patches its own code, an int3 stands there for a moment. TCG with a thread for each processor now and
# then shows it to the other processor too late, whose kernel knows nothing of it then: the emulator's fault, which was
# seen once in some hundred boots, before anything of ours runs.
EMULATOR_FAULT = re.compile(r"Oops: int3: 0000")


class Verdict:
    """What a boot came to: ok or a reason, the seconds it took, and the lines of the serial line.

    rows: verdicts on single things that went on inside, where the case has such."""

    def __init__(self, reason, seconds, text):
        self.ok = reason is None
        self.reason = reason
        self.seconds = seconds
        self.text = text
        self.rows = {}

    def fail(self, reason):
        """Something else was wrong; None changes nothing."""
        if reason:
            self.ok, self.reason = False, reason

    def lines(self, pattern):
        """The lines that match, in order."""
        return [line for line in self.text.split("\n") if re.search(pattern, line)]


class Boot:
    """One boot.

    expect   patterns that all have to appear before the machine goes off
    refuse   patterns that end the boot as failed at once
    typed    (pattern, text) pairs: text and a newline are typed when the pattern appears, in order, once each
    tpm      the state folder of a swtpm, or None for a machine without a TPM; the boot changes its contents
    nic      a network card in QEMU's user network; a list is QEMU's arguments for another one; False for none
    """

    def __init__(self, kernel, initrd, disk, log, tpm=None, append="", network=True, nic=True,
                 expect=(), refuse=(), typed=(), timeout=300, memory=1024, echo=None, drives=()):
        self.kernel, self.initrd, self.disk, self.log = kernel, initrd, disk, log
        self.tpm, self.nic, self.timeout, self.memory = tpm, nic, timeout, memory
        self.append = " ".join(part for part in (APPEND, NETWORK if network else "", append) if part)
        self.expect, self.refuse = list(expect), list(refuse)
        self.typed = list(typed)
        self.echo, self.drives = echo, list(drives)
        self.raw = b""
        self.text = ""
        self.typed_up_to = 0

    def start_tpm(self, folder):
        """swtpm on a socket in folder; it ends when QEMU hangs up."""
        state = os.path.realpath(self.tpm)      # a relative folder would put the TPM in failure mode
        control = os.path.join(folder, "tpm")
        child = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + state, "--terminate",
             "--ctrl", "type=unixio,path=" + control],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        end = time.monotonic() + 20
        while not os.path.exists(control):
            if child.poll() is not None:
                raise RuntimeError("swtpm: " + child.stderr.read().decode(errors="replace").strip())
            if time.monotonic() > end:
                raise RuntimeError("swtpm did not make its socket")
            time.sleep(0.02)
        return child, control

    def command(self, control):
        """QEMU's command line."""
        argv = ["qemu-system-x86_64", "-machine", MACHINE + os.environ.get("ACCEL", "tcg"), "-cpu", "max",
                "-smp", "2", "-m", str(self.memory), "-nodefaults", "-no-user-config", "-display", "none",
                "-serial", "stdio", "-no-reboot",
                "-drive", DRIVE % self.disk,
                "-kernel", self.kernel, "-initrd", self.initrd, "-append", self.append]
        for drive in self.drives:
            argv += ["-drive", DRIVE % drive]
        if self.nic is True:
            argv += ["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="]
        elif self.nic:
            argv += self.nic
        if control:
            argv += ["-chardev", "socket,id=tpmsock,path=" + control,
                     "-tpmdev", "emulator,id=tpm,chardev=tpmsock", "-device", "tpm-crb,tpmdev=tpm"]
        return argv

    def take(self, data, out, qemu):
        """Add what came over the serial line, and answer it."""
        out.write(data)
        out.flush()
        self.raw += data
        self.text = ESCAPES.sub(b"", self.raw).decode("utf-8", "replace")
        if self.echo:
            self.echo.write(ESCAPES.sub(b"", data).decode("utf-8", "replace"))
            self.echo.flush()
        while self.typed:
            found = re.compile(self.typed[0][0]).search(self.text, self.typed_up_to)
            if not found:
                break
            self.typed_up_to = found.end()
            time.sleep(0.5)     # the prompt is written before the line's echo is switched off
            qemu.stdin.write(self.typed[0][1].encode() + b"\n")
            qemu.stdin.flush()
            del self.typed[0]

    def judge(self, gone):
        """None while undecided, "" for success, otherwise the reason of the failure."""
        for pattern in self.refuse:
            if re.search(pattern, self.text):
                return "saw /%s/" % pattern
        if not gone:
            return None
        missing = [pattern for pattern in self.expect if not re.search(pattern, self.text)]
        if self.typed:
            return "never asked /%s/" % self.typed[0][0]
        return "never saw /%s/" % missing[0] if missing else ""

    def watch(self, qemu, out, started):
        """Read until the machine goes off, a refused pattern appears or time is up; returns as judge() does."""
        selector = selectors.DefaultSelector()
        selector.register(qemu.stdout, selectors.EVENT_READ)
        while True:
            left = started + self.timeout - time.monotonic()
            if left <= 0:
                return "not done after %d s" % self.timeout
            if not selector.select(left):
                continue
            data = os.read(qemu.stdout.fileno(), 65536)
            if data:
                self.take(data, out, qemu)
            verdict = self.judge(not data)
            if verdict is not None:
                return verdict

    def run(self):
        """Boot, and once more if the emulator spoiled it."""
        typed = list(self.typed)
        verdict = self.once()
        if EMULATOR_FAULT.search(verdict.text):
            print("# the emulator spoiled the guest's kernel; booting once more", flush=True)
            self.raw, self.text, self.typed, self.typed_up_to = b"", "", typed, 0
            verdict = self.once()
        return verdict

    def once(self):
        """One boot; whatever happens, nothing keeps running."""
        started = time.monotonic()
        folder = tempfile.mkdtemp(prefix="latchkey-boot.")
        children = []
        try:
            control = None
            if self.tpm:
                swtpm, control = self.start_tpm(folder)
                children.append(swtpm)
            with open(self.log, "wb") as out, open(self.log + ".qemu", "wb") as errors:
                qemu = subprocess.Popen(self.command(control), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=errors, start_new_session=True)
                children.insert(0, qemu)
                reason = self.watch(qemu, out, started)
                if reason and reason.startswith("never") and qemu.wait(10) != 0:
                    with open(self.log + ".qemu", errors="replace") as f:
                        reason += " (qemu: %s)" % (f.read().strip() or qemu.returncode)
        except (OSError, RuntimeError, subprocess.SubprocessError) as e:
            reason = str(e)
        finally:
            for child in children:
                stop(child)
            shutil.rmtree(folder, ignore_errors=True)
        return Verdict(reason or None, time.monotonic() - started, self.text)


def stop(child):
    """End a child that has its own session; swtpm gets the time to write its state."""
    try:
        child.wait(3)
        return
    except subprocess.TimeoutExpired:
        pass
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
            child.wait(5)
            return
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def main():
    """The command line; exit 0 when all that is expected was seen and the machine went off by itself."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    for name in ("kernel", "initrd", "disk", "log"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--tpm", metavar="DIR", help="swtpm state folder (changed by the boot)")
    parser.add_argument("--append", default="", help="more kernel arguments")
    parser.add_argument("--no-network", action="store_true", help="do not ask the initramfs for a network")
    parser.add_argument("--no-nic", action="store_true", help="a machine without a network card")
    parser.add_argument("--expect", action="append", default=[], metavar="REGEX")
    parser.add_argument("--refuse", action="append", default=[], metavar="REGEX")
    parser.add_argument("--type", nargs=2, action="append", default=[], metavar=("REGEX", "TEXT"))
    parser.add_argument("--timeout", type=int, default=300, metavar="SECONDS")
    parser.add_argument("--quiet", action="store_true", help="do not copy the serial line to standard error")
    args = parser.parse_args()
    verdict = Boot(args.kernel, args.initrd, args.disk, args.log, tpm=args.tpm, append=args.append,
                   network=not args.no_network, nic=not args.no_nic, expect=args.expect, refuse=args.refuse,
                   typed=args.type, timeout=args.timeout, echo=None if args.quiet else sys.stderr).run()
    if verdict.ok:
        print("boot: ok after %.1f s, log in %s" % (verdict.seconds, args.log))
        return 0
    print("boot: FAILED after %.1f s: %s; log in %s" % (verdict.seconds, verdict.reason, args.log))
    return 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    sys.exit(main())
