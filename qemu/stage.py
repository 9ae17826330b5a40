"""What the demo and the boot tests share: where things are, the simulated cloud, the enrolled disk, the image."""

import contextlib
import hashlib
import importlib
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
QEMU = os.path.join(TOP, "qemu")
CLOUD = os.path.join(TOP, "tests", "cloud")
BUILD = os.path.join(TOP, "build", "qemu")
KERNEL = os.path.join(BUILD, "kernel")
NS = os.path.join(CLOUD, "ns")
ADMIN = ("127.0.0.1", 8099)

VOLUME = "root"
KEY_NAME = "rsa2048"
KEY = "https://demo-vault.vault.azure.net/keys/" + KEY_NAME
ATTEST = "https://sharedweu.weu.attest.azure.net"
PASSPHRASE = "recovery-correct-horse"
GREETING = r"latchkey demo: root mounted from /dev/mapper/root"
CLEAN = r"latchkey demo: no trace of the disk key"
LEAK = r"latchkey demo: LEAK"
PROMPT = r"lease enter passphrase for disk"


class StageError(Exception):
    """A step that did not work, as one line."""


def run(*argv, fails_ok=False):
    """Run a command; StageError with the end of its output when it fails.  Returns its standard output as bytes."""
    argv = [os.fspath(a) for a in argv]
    try:
        done = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
    except OSError as e:
        raise StageError("%s: %s" % (argv[0], e.strerror)) from None
    if done.returncode != 0 and not (fails_ok and done.stdout):
        said = (done.stderr + done.stdout).decode(errors="replace").strip().split("\n")
        raise StageError("%s: exit %d: %s" % (os.path.basename(argv[0]), done.returncode, " / ".join(said[-6:])))
    return done.stdout


class Child:
    """A background process with a log file, ended when the block ends."""

    def __init__(self, argv, log):
        self.log = log
        self.out = open(log, "ab")
        try:
            self.process = subprocess.Popen([os.fspath(a) for a in argv], stdin=subprocess.DEVNULL, stdout=self.out,
                                            stderr=subprocess.STDOUT)
        except OSError as e:
            raise StageError(str(e)) from None

    def wait_for(self, what, ready, seconds=90):
        """Poll ready() until it is true; the child must stay alive meanwhile."""
        end = time.monotonic() + seconds
        while not ready():
            if self.process.poll() is not None or time.monotonic() > end:
                with open(self.log, errors="replace") as f:
                    raise StageError("%s did not come up: %s" % (what, " / ".join(f.read().strip().split("\n")[-4:])))
            time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.out.close()


def answers(address):
    """Does somebody listen there?"""
    try:
        socket.create_connection(address, 1).close()
        return True
    except OSError:
        return False


def cloud(state, log):
    """The simulated cloud over its state folder, ready to be used; to be called inside the namespace."""
    child = Child([os.path.join(CLOUD, "sim.py"), "--state", state], log)
    try:
        child.wait_for("the simulated cloud", lambda: answers(ADMIN))
    except StageError:
        child.__exit__()
        raise
    return child


def control():
    """The running cloud's control interface (tests/cloud/ctl.py)."""
    if CLOUD not in sys.path:
        sys.path.append(CLOUD)
    return importlib.import_module("ctl").Ctl()


class Set:
    """The files of one prepared machine: disk, TPM state, cloud state, configuration, image."""

    def __init__(self, folder):
        self.folder = folder
        self.disk = os.path.join(folder, "disk.img")
        self.tpm = os.path.join(folder, "tpm")
        self.cloud = os.path.join(folder, "cloud")
        self.config = os.path.join(folder, "latchkey")
        self.crypttab = os.path.join(folder, "crypttab")
        self.initrd = os.path.join(folder, "initrd.img")
        self.digest = os.path.join(folder, "key.sha256")

    def copy(self, folder):
        """A set of its own for one boot, which shares image and configuration with this one."""
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        twin = Set(folder)
        run("cp", "--reflink=auto", "--sparse=always", self.disk, twin.disk)
        shutil.copytree(self.tpm, twin.tpm)
        shutil.copytree(self.cloud, twin.cloud)
        twin.config, twin.crypttab = self.config, self.crypttab
        twin.initrd, twin.digest = self.initrd, self.digest
        return twin

    def leak_argument(self):
        """Kernel argument by which the booted root can search for the disk key."""
        with open(self.digest) as f:
            return "latchkey.leak=" + f.read().strip()


def leak_argument(word):
    """The same for a word of our own.  Of 256 random bits the SHA-256 tells nothing."""
    return "latchkey.leak=" + hashlib.sha256(word.encode()).hexdigest()


def prepare_disk(machine):
    """A fresh folder with kernel and an encrypted disk that only the recovery passphrase opens."""
    shutil.rmtree(machine.folder, ignore_errors=True)
    os.makedirs(machine.config)
    run(os.path.join(QEMU, "kernel"), KERNEL)
    passphrase = os.path.join(machine.folder, "passphrase")
    with open(passphrase, "w") as f:
        f.write(PASSPHRASE)
    run(os.path.join(QEMU, "disk"), machine.disk, passphrase)


def with_settings(text, **settings):
    """A configuration with these settings of the volume in place of its own."""
    volume, section, rest = text.partition("\n[alternative]")
    lines = [line for line in volume.strip().split("\n") if line.split("=")[0].strip() not in settings]
    return "\n".join(lines + ["%s = %s" % pair for pair in settings.items()]) + section + rest.rstrip("\n") + "\n"


# An emulated machine on a busy host may need more than the two minutes of the default.
IN_THE_IMAGE = {"trust": "/etc/latchkey/trust.pem", "timeout": 280}


@contextlib.contextmanager
def at_work(machine):
    """The machine's cloud and its TPM, running on the host; the TPM's device.  Inside the namespace."""
    log = os.path.join(machine.folder, "enroll.log")
    link = os.path.join(machine.folder, "tpmrm0")
    argv = [os.path.join(CLOUD, "vtpm.py"), "serve", "--tpm", machine.tpm, "--link", link]
    with cloud(machine.cloud, log), Child(argv, log) as tpm:
        tpm.wait_for("the TPM", lambda: os.path.exists(link))
        yield link


def crypttab_line(said):
    """The line for dracut with systemd, from what `latchkeyctl enroll` printed."""
    line = re.search(r"^ *(%s UUID=\S+ /run/latchkey/key\.sock .*)$" % VOLUME, said, re.M)
    if not line:
        raise StageError("enroll does not say what belongs into crypttab")
    return line.group(1) + "\n"


def key_digest(machine, programs, link, config):
    """Has the volume's key handed over on the host; its SHA-256 goes into the machine's folder."""
    key = run(os.path.join(programs, "latchkey"), "key", VOLUME, "--conf-dir", config, "--device", machine.disk,
              "--tpm", link, "--kmsg", "no")
    with open(machine.digest, "w") as f:
        f.write(hashlib.sha256(key).hexdigest())


def enroll(machine, programs):
    """Make the TPM, bind the disk with a real attestation and release, keep the configuration for the image.

    To be called inside the namespace.  Returns what enroll printed."""
    host = os.path.join(machine.folder, "host")
    authority = os.path.join(machine.cloud, "ca.pem")
    os.makedirs(machine.cloud, exist_ok=True)
    run(os.path.join(CLOUD, "vtpm.py"), "provision", "--state", machine.cloud, "--tpm", machine.tpm)
    with at_work(machine) as link:
        said = run(os.path.join(programs, "latchkeyctl"), "enroll", machine.disk, "--name", VOLUME,
                   "--key", KEY, "--attest", ATTEST, "--trust", authority, "--tpm", link,
                   "--conf-dir", host, "--key-file", os.path.join(machine.folder, "passphrase")).decode()
        key_digest(machine, programs, link, host)
    shutil.copy(authority, os.path.join(machine.config, "trust.pem"))
    name = VOLUME + ".conf"
    with open(os.path.join(host, name)) as f, open(os.path.join(machine.config, name), "w") as g:
        g.write(with_settings(f.read(), **IN_THE_IMAGE))
    with open(machine.crypttab, "w") as f:
        f.write(crypttab_line(said))
    return said


def prepare_image(machine, program):
    """The initramfs with the program and the machine's configuration."""
    run(os.path.join(QEMU, "initramfs"), machine.initrd, KERNEL, program, machine.config, machine.crypttab)


def newc(name, mode, data=b""):
    """One member of a cpio archive (format newc)."""
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % f for f in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def archive(files):
    """A cpio archive of {path: (mode, bytes)}; a mode without a type is a regular file's."""
    return b"".join(newc(path, mode if stat.S_IFMT(mode) else stat.S_IFREG | mode, data)
                    for path, (mode, data) in files.items()) + newc("TRAILER!!!", 0)


def overlay(image, files, out):
    """Write `out`: the image with some files replaced, as a second archive behind it.

    files: {path: (mode, bytes)}.  A folder that the image does not have is a path before its files, with its type in
    the mode; the kernel makes none by itself."""
    with open(image, "rb") as f:
        base = f.read()
    with open(out, "wb") as f:
        f.write(base + b"\0" * (-len(base) % 4) + archive(files))
