"""Boots after what an administrator did to a volume: bound it, changed the binding, took it away.

Such a case has its own copy of the enrolled disk.  On the host, with cloud and TPM at work, latchkeyctl changes its
header and configuration; then the machine boots from both.
"""

import io
import os
import re
import shutil
import subprocess
import tarfile

import authdisk
import boot
import cases
import stage

CTL = os.path.join(cases.PROGRAMS, "latchkeyctl")
ERRAND_DONE = r"latchkey demo: errand: exit 0"


class Site:
    """The administrator's desk: a disk, its configuration, and the programs with all that they need."""

    def __init__(self, machine, link):
        self.machine, self.link = machine, link
        self.config = os.path.join(machine.folder, "host")
        self.authority = os.path.join(machine.cloud, "ca.pem")
        self.passphrase = os.path.join(machine.folder, "passphrase")
        with open(self.passphrase, "w") as f:
            f.write(stage.PASSPHRASE)

    def ctl(self, verb, *words):
        """latchkeyctl; what it printed."""
        return stage.run(CTL, verb, *words, "--trust", self.authority, "--tpm", self.link, "--conf-dir",
                         self.config).decode()

    def enroll(self, *words, key=stage.KEY):
        """latchkeyctl enroll with the passphrase."""
        return self.ctl("enroll", self.machine.disk, "--name", stage.VOLUME, "--key", key, "--attest", stage.ATTEST,
                        "--key-file", self.passphrase, *words)

    def digest(self):
        """Have the key handed over here, for the search that the booted root makes."""
        self.machine.digest = os.path.join(self.machine.folder, "key.sha256")
        stage.key_digest(self.machine, cases.PROGRAMS, self.link, self.config)

    def pinned(self, name):
        """What NAME.conf says of this setting, for each binding."""
        return re.findall(r"^%s = (.*)$" % name, self.settings(), re.M)

    def settings(self):
        """NAME.conf as it is now."""
        with open(os.path.join(self.config, stage.VOLUME + ".conf")) as f:
            return f.read()


class Changed(cases.Case):
    """`admin` gets a Site before the boot; `cloud` changes the cloud after that."""

    def __init__(self, about, admin, cloud=None, settings=None, leaks=True, **more):
        super().__init__(about, cloud=cloud, **more)
        self.admin, self.leaks, self.own = admin, leaks, settings or {}

    def machine_of(self, shared, folder):
        """The case's own machine, enrolled as the shared one is."""
        twin = shared.copy(folder)
        shutil.copytree(os.path.join(shared.folder, "host"), os.path.join(folder, "host"))
        return twin

    def image(self, twin, settings, crypttab=None):
        """The shared image with another configuration (None: without one) and crypttab in it."""
        files = dict(self.files)
        files["etc/latchkey/root.conf"] = (0o644, b"# none\n" if settings is None else stage.with_settings(
            settings, **dict(stage.IN_THE_IMAGE, **self.own)).encode())
        if crypttab:
            files["etc/crypttab"] = (0o644, crypttab.encode())
        mixed = os.path.join(twin.folder, "initrd.img")
        stage.overlay(twin.initrd, files, mixed)
        return mixed

    def boot(self, twin, initrd, log, falls, expect=(), **options):
        """One boot of the machine's disk."""
        options = dict({"tpm": twin.tpm, "timeout": cases.LIMIT}, **options)
        return boot.Boot(
            os.path.join(stage.KERNEL, "vmlinuz"), initrd, twin.disk, log, expect=[stage.GREETING] + list(expect),
            refuse=self.refuse + ([cases.HANDED_OVER] if falls else [stage.PROMPT, cases.REFUSED]),
            typed=[(stage.PROMPT, stage.PASSPHRASE)] if falls else [], **options).run()

    def run(self, shared, folder, log):
        twin = self.machine_of(shared, folder)
        with stage.at_work(twin) as link:
            settings, crypttab = self.admin(Site(twin, link))
        initrd = self.image(twin, settings, crypttab)
        expect = self.expect + ([stage.CLEAN] if self.leaks else [])
        with stage.cloud(twin.cloud, os.path.join(folder, "cloud.log")):
            afterwards = self.cloud() if self.cloud else None
            verdict = self.boot(twin, initrd, log, self.falls, expect, append=twin.leak_argument())
            if verdict.ok and afterwards:
                verdict.fail(afterwards())
        return verdict


class Authenticated(Changed):
    """The disk is an authenticated one, made in a boot of its own."""

    def machine_of(self, shared, folder):
        twin = super().machine_of(shared, folder)
        shutil.rmtree(os.path.join(folder, "host"))
        filesystem = os.path.join(folder, "root.ext4")
        stage.run(os.path.join(stage.QEMU, "disk"), filesystem, "-")
        authdisk.make(twin.initrd, filesystem, stage.PASSPHRASE, folder, os.path.join(cases.LOGS, "maker.log"))
        return twin


def libraries(program):
    """The shared libraries of a program, its loader among them."""
    said = subprocess.run(["ldd", program], check=True, stdout=subprocess.PIPE).stdout.decode()
    return re.findall(r"(/\S+) \(0x", said)


def archive(path, files):
    """A tar archive of {path: (mode, content or the name of a file)}."""
    with tarfile.open(path, "w", dereference=True) as tar:
        for name, (mode, content) in files.items():
            if isinstance(content, bytes):
                data = content
            else:
                with open(content, "rb") as f:
                    data = f.read()
            info = tarfile.TarInfo(name.lstrip("/"))
            info.mode, info.size = mode, len(data)
            tar.addfile(info, io.BytesIO(data))
    os.truncate(path, (os.path.getsize(path) + 4095) // 4096 * 4096)


ENROL = """#!/bin/sh
set -e
export PATH=/bin:/usr/sbin
echo "nameserver 10.0.2.3" >/etc/resolv.conf
mkdir -p /tmp /etc/latchkey
printf %%s '%(passphrase)s' | /usr/bin/latchkeyctl enroll /dev/vda --name %(volume)s --key %(key)s --attest %(attest)s \\
	--trust /etc/latchkey/trust.pem --timeout 280 --key-file -
sed 's/^/conf: /' /etc/latchkey/%(volume)s.conf
"""


class Running(Changed):
    """Two boots of one disk: the first is opened with the passphrase and enrols the disk that it runs from, the
    second one opens it by itself."""

    def __init__(self, about, **more):
        super().__init__(about, None, falls=False, **more)

    def machine_of(self, shared, folder):
        twin = shared.copy(folder)
        shutil.copy(os.path.join(shared.folder, "plain.img"), twin.disk)
        return twin

    @staticmethod
    def errand(twin):
        """The disk with the errand: the programs, cryptsetup and what it needs, the trust anchors."""
        path = os.path.join(twin.folder, "errand.tar")
        cryptsetup = shutil.which("cryptsetup", path="/usr/sbin:/sbin")
        files = {"/errand": (0o755, (ENROL % {"passphrase": stage.PASSPHRASE, "volume": stage.VOLUME,
                                              "key": stage.KEY, "attest": stage.ATTEST}).encode()),
                 "/usr/sbin/cryptsetup": (0o755, cryptsetup), "/usr/bin/latchkeyctl": (0o755, CTL),
                 "/etc/latchkey/trust.pem": (0o644, os.path.join(twin.cloud, "ca.pem"))}
        files.update({name: (0o755, name) for name in libraries(cryptsetup)})
        archive(path, files)
        return path

    def run(self, shared, folder, log):
        twin = self.machine_of(shared, folder)
        with open(twin.crypttab) as f:
            crypttab = f.read()
        by_hand = self.image(twin, None, re.sub(r"/run/latchkey/key\.sock", "none", crypttab))
        with stage.cloud(twin.cloud, os.path.join(folder, "cloud.log")):
            verdict = self.boot(twin, by_hand, log + ".first", True, [ERRAND_DONE], drives=[self.errand(twin)],
                                append="latchkey.errand=/dev/vdb")
        if not verdict.ok:
            return verdict
        settings = "\n".join(re.findall(r"^conf: (.*)$", verdict.text, re.M)) + "\n"
        initrd = self.image(twin, settings, crypttab)
        with stage.at_work(twin) as link:
            site = Site(twin, link)
            os.makedirs(site.config)
            with open(os.path.join(site.config, stage.VOLUME + ".conf"), "w") as f:
                f.write(stage.with_settings(settings, trust=site.authority))
            site.digest()
        with stage.cloud(twin.cloud, os.path.join(folder, "cloud.log")):
            return self.boot(twin, initrd, log, False, self.expect + [stage.CLEAN], append=twin.leak_argument())
