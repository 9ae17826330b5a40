#!/usr/bin/python3
"""TAP: latchkeyctl image-check over a real image, then with one thing wrong at a time.

usage: suite_image.py [TEXT]     only cases whose name has TEXT
"""

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)
import initramfs  # noqa: E402
import tap  # noqa: E402
from initramfs import Entry, link, text  # noqa: E402

BUILD = os.path.join(initramfs.ROOT, "build")
CTL, PROGRAM = os.path.join(BUILD, "latchkeyctl"), os.path.join(BUILD, "latchkey")
ONLY = sys.argv[1] if len(sys.argv) > 1 else ""
UUID = "2d5a37cf-0b4e-4a8c-a8a2-9d5c3c2f1f0e"
THUMB = "cT0mVJ1XxvWZr0NqYyqg0Vt7eQqGmQzvZ2Zy4f0m1qE"
CONF = """uuid = %s
key = https://demo-vault.vault.azure.net/keys/rsa2048
attest = https://sharedweu.weu.attest.azure.net
thumbprint = %s
trust = /etc/latchkey/trust.pem
""" % (UUID, THUMB)
LINE = "root UUID=%s /run/latchkey/key.sock luks,x-initrd.attach\n" % UUID
CMDLINE = "quiet rd.neednet=1 ip=dhcp root=/dev/mapper/root\n"
UNITS = "usr/lib/systemd/system/"
WANTS = "etc/systemd/system/sockets.target.wants/latchkey.socket"


def drop(pattern):
    """Without the files whose path fits."""
    def change(entries):
        names = [n for n in entries if re.fullmatch(pattern, n)]
        if not names:
            raise ValueError("nothing fits " + pattern)
        for name in names:
            del entries[name]
    return change


def put(**files):
    """With these files, by the names of PATHS; a text or an Entry."""
    paths = {"conf": "etc/latchkey/root.conf", "crypttab": "etc/crypttab",
             "trust": "etc/latchkey/trust.pem", "program": "usr/bin/latchkey",
             "cmdline": "etc/cmdline.d/90-test.conf", "resolv": "etc/resolv.conf",
             "masked": "etc/systemd/system/latchkey.socket", "tools": "cryptroot/crypttab"}

    def change(entries):
        for name, what in files.items():
            entries[paths[name]] = text(what) if isinstance(what, str) else what
    return change


def both(*changes):
    """One after the other."""
    def change(entries):
        for one in changes:
            one(entries)
    return change


def mode(path, bits):
    """With other permissions."""
    def change(entries):
        entries[path].mode = stat.S_IFREG | bits
    return change


def without(end, word):
    """Without the lines that have the word, in the file whose path ends so."""
    def change(entries):
        name = next(n for n in entries if n.endswith(end))
        lines = entries[name].data.splitlines(True)
        entries[name].data = b"".join(line for line in lines if word not in line)
    return change


def nothing(_entries):
    """As it is."""


# name: (change, item, pattern of its line[, more arguments]); the line is a failure
BROKEN = {
    "no program": (drop("usr/bin/latchkey"), "program", "is not in the image"),
    "program not executable": (mode("usr/bin/latchkey", 0o644), "program", "executable bit"),
    "program not static": (lambda e: e.update({"usr/bin/latchkey": e["usr/bin/kmod"]}), "program",
                           "not static: it needs /lib64/ld-linux"),
    "program a script": (put(program=text("#!/bin/sh\n", 0o755)), "program", "no program"),
    "no configuration": (both(drop("etc/latchkey/.*conf"), put(crypttab="")), "configuration",
                         "there is no .*NAME.conf"),
    "unknown setting": (put(conf=CONF + "colour = blue\n"), "configuration", "unknown setting"),
    "no key pinned": (put(conf="uuid = %s\n" % UUID), "configuration", "pins no key"),
    "configuration of another key": (put(conf=CONF.replace("rsa2048", "rsa3072")),
                                     "configuration", "another key than this machine's"),
    "no trust anchors": (drop("etc/latchkey/trust.pem"), "trust anchors", "is not in the image"),
    "trust anchors not PEM": (put(trust="none\n"), "trust anchors", "trust.pem: "),
    "no init-data": (put(conf=CONF + "init-data = /etc/latchkey/init.toml\n"), "init-data",
                     "is not in the image"),
    "no crypttab": (drop("etc/crypttab"), "crypttab", "no entry"),
    "crypttab of another volume": (put(crypttab=LINE.replace("root", "data", 1)), "crypttab",
                                   "root: no entry"),
    "crypttab with another UUID": (put(crypttab=LINE.replace("2d5a", "0000")), "crypttab",
                                   "for UUID 0000"),
    "crypttab without the socket": (put(crypttab=LINE.replace("/run/latchkey/key.sock", "none")),
                                    "crypttab", "key file is none"),
    "crypttab with a key slot": (put(crypttab=LINE.replace("luks", "luks,key-slot=1")),
                                 "crypttab", "option key-slot"),
    "no socket unit": (drop(UNITS + "latchkey.socket"), "units", "latchkey.socket is not"),
    "no service unit": (drop(UNITS + "latchkey@.service"), "units", "latchkey@.service is not"),
    "socket not wanted": (drop(WANTS), "units", "nothing starts latchkey.socket"),
    "socket masked": (put(masked=link("/dev/null")), "units", "is masked"),
    "no systemd-cryptsetup": (drop("usr/lib/systemd/systemd-cryptsetup"), "cryptsetup",
                              "systemd-cryptsetup is not"),
    "no generator": (drop("usr/lib/systemd/system-generators/systemd-cryptsetup-generator"),
                     "cryptsetup", "nothing reads crypttab"),
    "no libcryptsetup": (drop(r"usr/lib/.*/libcryptsetup\.so.*"), "cryptsetup",
                         "libcryptsetup"),
    "a library missing": (drop(r"usr/lib/.*/libdevmapper\.so.*"), "cryptsetup",
                          "needs libdevmapper.so"),
    "no dm-crypt": (drop(r".*/dm-crypt\.ko.*"), "disk modules", "encrypted volumes: not in"),
    "no xts": (drop(r".*/xts\.ko.*"), "disk modules", "xts: not in"),
    "cipher not there": (drop(r".*/adiantum\.ko.*"), "disk modules", "adiantum: not in", "--cipher",
                         "xchacha12,aes-adiantum-plain64"),
    "no hv_netvsc": (drop(r".*/hv_netvsc\.ko.*"), "network drivers", "hv_netvsc"),
    "no network card": (drop(r".*/drivers/net/.*"), "network drivers",
                        "no driver of a network card", "--azure", "no"),
    "no TPM": (without("/modules.builtin", b"tpm"), "evidence", "TPM: not in the image"),
    "no sev-guest": (both(drop(r".*/sev-guest\.ko.*"), put(conf=CONF + "evidence = tsm\n")),
                     "evidence", "SNP device: not in the image", "--azure", "no"),
    "no network": (drop("usr/sbin/dhclient"), "network", "nothing in the image"),
    "root beside the volume": (put(cmdline="root=/dev/mapper/root\n"), "root",
                               "/dev/sda2 is a plain device", "root=/dev/sda2 rd.neednet=1"),
    "root by partition": (nothing, "root", "plain device", "root=PARTUUID=1-2 rd.neednet=1"),
    "root by the header": (nothing, "root", "encrypted volume",
                           "root=UUID=%s rd.neednet=1" % UUID),
    "no root": (nothing, "root", "no root= in", "rd.neednet=1"),
    "network not asked for": (nothing, "command line", "rd.neednet=1 is neither",
                              "root=/dev/mapper/root"),
    "no systemd": (drop("usr/lib/systemd/systemd"), "hook", "without systemd nothing else"),
}
# likewise; the line is a remark, and the status 0
NOTED = {
    "another program": (nothing, "program", "another version than", "--program", CTL),
    "configuration newer": (put(conf=CONF + "# changed\n"), "configuration", "not the same file"),
    "no x-initrd.attach": (put(crypttab=LINE.replace(",x-initrd.attach", "")), "crypttab",
                           "without x-initrd.attach"),
    "volume for later": (lambda e: e.update({"etc/latchkey/data.conf": text(CONF)}), "crypttab",
                         "data: no entry in the image"),
    "root by UUID": (nothing, "root", "could present", "root=UUID=1-2 rd.neednet=1"),
    "root on LVM": (nothing, "root", "LVM", "root=/dev/vg/root rd.neednet=1"),
    "name server of the host": (put(resolv="nameserver 127.0.0.53\n"), "name servers",
                                "names 127"),
    "no modules": (drop("usr/lib/modules(/.*)?"), "kernel modules", "none in the image"),
    "two kernels": (lambda e: e.update({"usr/lib/modules/5.0": Entry(stat.S_IFDIR | 0o755)}),
                    "kernel modules", "for 2 kernels"),
}
TOOLS = {
    "no keyscript": (drop("usr/lib/latchkey/keyscript"), "crypttab", "keyscript is not"),
    "no keyscript option": (put(tools="root UUID=%s latchkey luks,initramfs\n" % UUID),
                            "crypttab", "there is no keyscript"),
    "socket instead of keyscript": (put(tools=LINE), "crypttab", "there is no keyscript"),
    "no askpass": (drop("usr/lib/cryptsetup/askpass"), "crypttab", "askpass is not"),
    "no cryptroot": (drop("scripts/local-top/cryptroot"), "cryptsetup", "nothing opens volumes"),
    "no cryptsetup": (drop("usr/sbin/cryptsetup"), "cryptsetup", "/sbin/cryptsetup is not"),
    "no ipconfig": (drop("usr/bin/ipconfig"), "network", "nothing in the image"),
}


class Bench:
    """Images in a folder of their own, and the program over them."""

    def __init__(self, folder):
        self.folder = folder
        self.config = os.path.join(folder, "latchkey")
        self.base = None
        os.mkdir(self.config)
        self.write("latchkey/root.conf", CONF)
        self.write("latchkey/trust.pem", self.certificate())
        self.crypttab = self.write("crypttab", LINE)
        self.packed = os.path.join(folder, "packed")

    def certificate(self):
        """A certificate that nobody needs to trust."""
        key = os.path.join(self.folder, "key.pem")
        return initramfs.tool("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                              "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-subj",
                              "/CN=root of the suite", "-days", "30").decode()

    def write(self, name, content):
        """A file in the folder; its path."""
        path = os.path.join(self.folder, name)
        with open(path, "wb") as f:
            f.write(content.encode() if isinstance(content, str) else content)
        return path

    def make(self):
        """The image by dracut; its members without what nothing looks at, to be quick."""
        self.base = initramfs.dracut(self.packed, PROGRAM, self.config, self.crypttab)
        looked_into = re.compile("/(latchkey|kmod|[^/]*cryptsetup[^/]*)$")
        for name, entry in self.base.items():
            if name.startswith("usr/lib/modules/") and ".ko" in name:
                entry.data = b""
            elif entry.data[:4] == b"\x7fELF" and not looked_into.search(name):
                entry.data = entry.data[:64]

    def call(self, *args):
        """image-check with these words."""
        return subprocess.run([CTL, "image-check", *args], stdin=subprocess.DEVNULL,
                              capture_output=True, check=False, timeout=300, text=True)

    def check(self, image, *more):
        """image-check over a file or over members, as for a VM of Azure; a word with = among the
        rest is the command line."""
        if isinstance(image, dict):
            image = self.write("image", initramfs.archive(image))
        line = next((m for m in more if "=" in m), CMDLINE)
        rest = [m for m in more if "=" not in m]
        options = {"--azure": "yes", "--program": PROGRAM, "--conf-dir": self.config,
                   "--cmdline": self.write("cmdline", line)}
        options.update(zip(rest[::2], rest[1::2]))
        return self.call(image, *[word for pair in options.items() for word in pair])


def said(done):
    """For diagnostics."""
    return "exit %d\n%s%s" % (done.returncode, done.stdout, done.stderr)


def good(done):
    """Status 0, no failure and no remark?"""
    return done.returncode == 0 and not re.search("^(FAIL|note)", done.stdout, re.M)


def one(t, bench, base, label, case, word):
    """One changed image: the line is there with its remedy, and it is the only failure."""
    change, item, pattern = case[:3]
    entries = {name: Entry(e.mode, e.data, e.ino, e.nlink) for name, e in base.items()}
    change(entries)
    done = bench.check(entries, *case[3:])
    failures = re.findall("^FAIL .*", done.stdout, re.M)
    line = re.search("^%s +%s +.*%s.*$(\n +what to do: .)?" % (word, re.escape(item), pattern),
                     done.stdout, re.M)
    if word == "FAIL":
        right = done.returncode == 78 and line and line.group(1) and \
            all(f.split()[1] == item.split()[0] for f in failures)
        right = right and "%d thing" % len(failures) in done.stderr
    else:
        right = done.returncode == 0 and line and not failures
    t.ok(right, "%s: %s" % (label, "exit 78" if word == "FAIL" else "a note"), said(done))


def compressed(t, bench):
    """The image as dracut compressed it, with microcode before and an overlay behind, and by
    other tools."""
    done = bench.check(bench.packed)
    t.ok(good(done) and ": zstd; " in done.stdout, "an image of dracut: nothing to complain of",
         said(done))
    early = initramfs.archive({"kernel/x86/microcode/AuthenticAMD.bin": text("microcode")})
    with open(bench.packed, "rb") as f:
        packed = f.read()
    both_ends = bench.write("early", early + packed)
    initramfs.stage().overlay(both_ends, {"etc/latchkey/root.conf": (0o644, CONF.encode())},
                              both_ends + ".img")
    done = bench.check(both_ends + ".img")
    t.ok(good(done) and ": cpio, zstd, cpio; " in done.stdout,
         "microcode before it, an overlay behind it", said(done))
    plain = bench.write("plain", initramfs.archive(bench.base))
    for name, *argv in (("gzip", "-1c"), ("lz4", "-lc"), ("xz", "-0", "-T2", "-c")):
        if shutil.which(name) is None:
            t.skip("compressed with " + name, "it is not installed")
            continue
        with open(plain, "rb") as f:
            done = bench.check(bench.write("image", initramfs.tool(name, *argv, stdin=f)))
        t.ok(good(done) and ": %s; " % name in done.stdout, "compressed with " + name, said(done))
    done = bench.check(bench.write("image", packed[:len(packed) // 2]))
    t.ok(done.returncode == 65 and "zstd cannot read it" in done.stderr, "cut off: exit 65",
         said(done))
    damaged = bytearray(packed)
    damaged[len(packed) // 2] ^= 0x55
    done = bench.check(bench.write("image", bytes(damaged)))
    t.ok(done.returncode == 65, "damaged: exit 65", said(done))


def own_image(t, bench):
    """Without an operand it is the running kernel's image, which is named."""
    script = """set -e; mount -t tmpfs none /boot; "$1" image-check || echo "exit $?"
        cp "$2" "/boot/initrd.img-$(uname -r)"; "$1" image-check --azure yes || echo "exit $?" """
    name = "the image of the running kernel"
    try:
        out = initramfs.tool("unshare", "-m", "sh", "-c", "exec 2>&1; " + script, "sh", CTL,
                             bench.packed).decode()
    except initramfs.Missing as e:
        return t.skip(name, str(e))
    release = re.escape(os.uname().release)
    return t.ok(re.search("no initramfs for the running kernel.*exit 78.*"
                          r"ok    image +/boot/initrd\.img-%s: zstd" % release, out, re.S),
                name, out)


def usage(t, bench):
    """What is no image, and what is no call."""
    for name, status, pattern, *args in (
            ("no such file", 71, "No such file", "/nowhere"),
            ("no image", 65, "neither a cpio archive", bench.crypttab),
            ("two images", 64, "at most one image", "a", "b"),
            ("a folder", 78, "not a regular file", "/"),
            ("no such command line", 78, "/nowhere", bench.crypttab, "--cmdline", "/nowhere"),
            ("neither yes nor no", 64, "must be yes or no", "a", "--azure", "perhaps"),
            ("an empty file", 65, "it is empty", bench.write("empty", ""))):
        done = bench.call(*args)
        t.ok(done.returncode == status and re.search(pattern, done.stderr),
             "%s: exit %d" % (name, status), said(done))


def no_image(t, bench, table):
    """Our hook makes no image without what the configuration names."""
    for setting, named in (("init-data", "/etc/latchkey/init.toml"), ("trust", "/nowhere.pem")):
        bench.write("latchkey/root.conf", initramfs.stage().with_settings(CONF, **{setting: named}))
        try:
            initramfs.mkinitramfs(bench.packed, bench.config, table)
            told = "there is an image"
        except initramfs.Missing as e:
            told = str(e)
        t.ok("E: latchkey: %s cannot be copied" % named in told,
             "no image without the file that %s names" % setting, told)
    bench.write("latchkey/root.conf", CONF)


def tools_image(t, bench):
    """An image of initramfs-tools, then with one thing wrong at a time."""
    table = bench.write("tools", "root UUID=%s latchkey luks,initramfs,keyscript=/%s\n" % (
        UUID, "usr/lib/latchkey/keyscript"))
    image = os.path.join(bench.folder, "image-tools")
    try:
        entries = initramfs.mkinitramfs(image, bench.config, table)
        done = bench.check(image)
        t.ok(good(done) and "initramfs-tools, kernel" in done.stdout,
             "an image of mkinitramfs: nothing to complain of", said(done))
        no_image(t, bench, table)
    except initramfs.Missing as e:
        t.skip("images of mkinitramfs", str(e))
        entries = initramfs.initramfs_tools(bench.base)
        done = bench.check(entries)
        t.ok(done.returncode == 0 and "FAIL" not in done.stdout,
             "files as initramfs-tools has them: no failure", said(done))
    for label, case in TOOLS.items():
        one(t, bench, entries, "initramfs-tools, " + label, case, "FAIL")


def main():
    """All cases."""
    t = tap.Tap()
    with tempfile.TemporaryDirectory(prefix="latchkey-image-") as folder:
        bench = Bench(folder)
        t.run("usage", usage, bench)
        try:
            bench.make()
        except initramfs.Missing as e:
            t.skip("all that needs an image", str(e))
            t.done()
        for label, case in BROKEN.items():
            if ONLY in label:
                one(t, bench, bench.base, label, case, "FAIL")
        for label, case in NOTED.items():
            if ONLY in label:
                one(t, bench, bench.base, label, case, "note")
        for name, function in (("compressed", compressed), ("own image", own_image),
                               ("initramfs-tools", tools_image)):
            if ONLY in name:
                t.run(name, function, bench)
    t.done()


if __name__ == "__main__":
    main()
