#!/usr/bin/python3
"""TAP: qemu/snp_host.py says of made-up hosts what each of them lacks, all of it, and what to do about it."""

import argparse
import os
import random
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "qemu"), os.path.join(ROOT, "tests", "cloud"), os.path.join(ROOT, "tests", "unit")]
import measure_ref  # noqa: E402
import snp_host  # noqa: E402
import tap  # noqa: E402

SNP_FLAGS = "fpu sev sev_es sev_snp"


def put(folder, name, data):
    """A file."""
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())
    return path


QEMU = "#!/bin/sh\ncase $* in --version) echo 'QEMU emulator version %s (x)';; *) printf '%%s\\n' %s;; esac\n"


def without_hashes():
    """A firmware image whose page for kernel hashes has become ordinary memory."""
    image = measure_ref.make_image(random.Random(5), 16, True)
    at = image.rindex(b"ASEV")
    head, rows = image[:at + 16], image[at + 16:at + 16 + 12 * struct.unpack_from("<I", image, at + 12)[0]]
    rest = image[len(head) + len(rows):]
    rows = b"".join(row[:8] + (b"\1\0\0\0" if row[8:] == b"\x10\0\0\0" else row[8:])
                    for row in (rows[i:i + 12] for i in range(0, len(rows), 12)))
    return head + rows + rest


def good_host(folder):
    """A made-up host that has all there is to have, and the options for it."""
    put(folder, "proc/cpuinfo", "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\n"
        "model name\t: AMD EPYC 9354\nflags\t\t: %s\n\nprocessor\t: 1\nvendor_id\t: Other\n" % SNP_FLAGS)
    put(folder, "proc/sys/kernel/osrelease", "6.12.5-amd64\n")
    put(folder, "proc/cmdline", "root=/dev/sda2 amd_iommu=on quiet\n")
    put(folder, "sys/module/kvm_amd/parameters/sev_snp", "Y\n")
    put(folder, "sys/class/iommu/ivhd0/x", "")
    put(folder, "sys/devices/system/cpu/smt/active", "1\n")
    put(folder, "dev/kvm", "")
    put(folder, "dev/sev", "")
    put(folder, "dev/cpu/0/cpuid", "")
    with open(os.path.join(folder, "dev/cpu/0/cpuid"), "r+b") as file:
        file.seek(0x8000001f)
        file.write(struct.pack("<IIII", 0x1f, 0x173, 509, 1))
    os.chmod(put(folder, "qemu", QEMU % ("9.1.0", "'  memory-backend-memfd' '  sev-snp-guest'")), 0o755)
    put(folder, "OVMF.fd", measure_ref.make_image(random.Random(5), 16, True))
    for name in ("kernel", "initrd", "disk"):
        put(folder, name, "x")
    return argparse.Namespace(policy=0x30000, vcpu_type="EPYC-Genoa", **{
        name: os.path.join(folder, path) for name, path in (("qemu", "qemu"), ("ovmf", "OVMF.fd"), ("kernel", "kernel"),
                                                            ("initrd", "initrd"))}, disk=[os.path.join(folder, "disk")])


def status(major=1, minor=55, state=1, rmp=1):
    """What the secure processor answers."""
    return lambda _path: bytes([major, minor, state, rmp]) + struct.pack("<I", 21) + bytes(24)


def fails(_path):
    """It does not."""
    raise OSError(22, "Invalid argument")


# what, file to be changed (None: removed), new content or a change of the options, words of the finding and its remedy
LACKS = [
    ("an Intel processor", "proc/cpuinfo",
     "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t: 207\nflags\t: sev_snp\n", "GenuineIntel", "EPYC 7003"),
    ("Rome", "proc/cpuinfo", "vendor_id\t: AuthenticAMD\ncpu family\t: 23\nmodel\t: 49\nflags\t: sev\n", "family 23",
     "EPYC 7003"),
    ("no cpuinfo", "proc/cpuinfo", None, "processor: unknown", "EPYC 7003"),
    ("SNP off in the BIOS", "proc/cpuinfo", "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t: 17\nflags\t: sev\n",
     "no sev_snp", "in the BIOS: SMEE"),
    ("a virtual machine", "proc/cpuinfo",
     "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t: 17\nflags\t: hypervisor\n", "virtual machine", "bare host"),
    ("Milan for a Genoa model", "proc/cpuinfo",
     "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t: 1\nflags\t: %s\n" % SNP_FLAGS, "EPYC-Genoa on an older",
     "EPYC-v4"),
    ("iommu=pt", "proc/cmdline", "quiet iommu=pt\n", "iommu=pt", "boot without it"),
    ("amd_iommu=off", "proc/cmdline", "amd_iommu=off\n", "amd_iommu=off", "boot without it"),
    ("no IOMMU", "sys/class/iommu", None, "IOMMU: none", "in the BIOS"),
    ("sev_snp=N", "sys/module/kvm_amd/parameters/sev_snp", "N\n", "sev_snp=N", "dmesg"),
    ("kvm_amd not loaded", "sys/module/kvm_amd", None, "not loaded", "modprobe kvm_amd"),
    ("no /dev/kvm", "dev/kvm", None, "/dev/kvm: not there", "SVM"),
    ("no /dev/sev", "dev/sev", None, "/dev/sev: not there", "ccp"),
    ("no QEMU", "qemu", None, "No such file", "install QEMU"),
    ("an old QEMU", "qemu", QEMU % ("7.2.22", "sev-snp-guest"), "version 7.2", "9.1 or later"),
    ("QEMU 9.0", "qemu", QEMU % ("9.0.4", "sev-snp-guest"), "version 9.0", "9.1 or later"),
    ("a QEMU without SNP", "qemu", QEMU % ("10.1.0", "sev-guest"), "no sev-snp-guest", "KVM and SEV"),
    ("a QEMU that fails", "qemu", "#!/bin/sh\nexit 1\n", "does not run", "install QEMU"),
    ("no OVMF", "OVMF.fd", None, "No such file", "AmdSevX64.dsc"),
    ("another file as OVMF", "OVMF.fd", bytes(8192), "no GUID table", "AmdSevX64.dsc"),
    ("an OVMF that is cut off", "OVMF.fd", measure_ref.make_image(random.Random(5), 16, True)[:-1], "no GUID table",
     "AmdSev"),
    ("an empty OVMF", "OVMF.fd", b"", "no GUID table", "AmdSevX64.dsc"),
    ("an OVMF without kernel hashes", "OVMF.fd", measure_ref.make_image(random.Random(5), 16, False),
     "no SEV hash table", "AmdSevX64.dsc"),
    ("an OVMF with the address alone", "OVMF.fd", without_hashes(), "no page for kernel hashes", "AmdSevX64.dsc"),
    ("no kernel", "kernel", None, "--kernel: ", "exists"), ("no initrd", "initrd", None, "--initrd: ", "exists"),
    ("no disk", "disk", None, "--disk: ", "exists"),
]


def lacking(t):
    """Each missing item alone: one finding, and it names the remedy; and all of them at once."""
    with tempfile.TemporaryDirectory() as folder:
        want = good_host(folder)
        found = snp_host.check(want, folder, status())
        t.ok(len(found) == 8 and all(f.good for f in found), "a host that has everything", found)
        t.equal(snp_host.cbitpos(folder), (51, True), "the C-bit by CPUID")
        want.policy |= 0x135
        t.ok(snp_host.check(want, folder, status(1, 0x35))[-3].good, "the policy's firmware, just so")
        found = snp_host.check(want, folder, status(1, 0x34))
        t.ok("1.53 or later" in str([f for f in found if not f.good]), "an older firmware than the policy wants", found)
        for name, answer, words, remedy in (
                ("firmware 1.50", status(1, 50), "API 1.50", "1.51 or later"),
                ("firmware 0.90", status(0, 90), "API 0.90", "1.51 or later"),
                ("SNP not initialised", status(1, 55, 0, 1), "not initialised", "RMP table"),
                ("no RMP table", status(1, 55, 1, 0), "not initialised", "RMP table"),
                ("a firmware that cannot be asked", fails, "Invalid argument", "KVM above")):
            want.policy = 0x30000
            one(t, name, snp_host.check(want, folder, answer), words, remedy)
        want.policy = 0x20000
        one(t, "SMT against the policy", snp_host.check(want, folder, status()), "multithreading", "smt/control")
        found = snp_host.check(good_host(folder), folder)
        t.ok("does not tell its state" in found[5].what and not found[5].good, "a /dev/sev that is none", found)
        want.ovmf, want.kernel, want.initrd, want.disk, want.policy = None, None, None, [], None
        t.equal(len(snp_host.check(want, folder, status())), 7, "what is not given is not checked")
    for name, path, content, words, remedy in LACKS:
        with tempfile.TemporaryDirectory() as folder:
            want = good_host(folder)
            subprocess.run(["rm", "-r", os.path.join(folder, path)], check=True)
            if content is not None:
                os.chmod(put(folder, path, content), 0o755)
            one(t, name, snp_host.check(want, folder, status()), words, remedy)


def one(t, name, found, words, remedy):
    """Exactly one finding."""
    missing = [f for f in found if not f.good]
    t.ok(len(missing) == 1 and words in missing[0].what and remedy in missing[0].remedy, "lacks: " + name, missing)


def nothing(t):
    """A host that has nothing hears all of it."""
    with tempfile.TemporaryDirectory() as folder:
        want = good_host(folder)
        for name in os.listdir(folder):
            subprocess.run(["rm", "-r", os.path.join(folder, name)], check=True)
        put(folder, "proc/sys/kernel/osrelease", "6.1.0-32-amd64\n")
        found = snp_host.check(want, folder, status())
        t.ok(len(found) == 10 and not any(f.good for f in found) and all(f.remedy for f in found), "an empty host",
             found)
        t.ok("6.11 or later" in str(found) and "Linux 6.1.0" in str(found), "its old kernel is named")
        t.equal(snp_host.cbitpos(folder), (51, False), "its C-bit is a guess, and known to be one")
    if os.path.exists("/sys/module/kvm_amd/parameters/sev_snp"):
        t.skip("this machine is refused", "it may be an SNP host")
        return
    for args in (["--check"], ["--ovmf", "OVMF.fd", "--kernel", "vmlinuz"]):
        done = subprocess.run([os.path.join(ROOT, "qemu", "snp-boot"), *args], stdin=subprocess.DEVNULL, check=False,
                              capture_output=True, text=True, timeout=120)
        t.ok(done.returncode == 69 and done.stderr.count("missing: ") >= 4 and not done.stdout,
             "this machine is refused: " + args[0], done.stderr)


def numbers(t):
    """The ioctl's number is what the kernel's macro makes of its parts."""
    t.equal(snp_host.SEV_ISSUE_CMD, 3 << 30 | struct.calcsize("<IQI") << 16 | ord("S") << 8, "SEV_ISSUE_CMD")
    image = measure_ref.make_image(random.Random(9), 4, True)
    entries = snp_host.ovmf_entries(image)
    theirs = {guid: struct.unpack("<I", data[:4])[0] for guid, data in measure_ref.footer_entries(image).items()
              if guid in snp_host.OVMF_ENTRIES}
    t.equal({guid: entries[guid] for guid in theirs}, theirs, "the firmware's table, read twice")
    rng = random.Random(3)
    for _ in range(300):        # whatever is in such a file, looking at it ends
        broken = bytearray(image)
        for _ in range(rng.randrange(1, 6)):
            broken[rng.choice([len(broken) - rng.randrange(1, 400), rng.randrange(len(broken))])] = rng.randrange(256)
        entries = snp_host.ovmf_entries(bytes(broken[:rng.choice([len(broken), rng.randrange(len(broken))])])) or {}
        snp_host.ovmf_sections(bytes(broken), entries.get("dc886566-984a-4798-a75e-5585a7bf67cc", 1 << 31))
    t.ok(True, "300 broken images")


def main():
    """All of it."""
    t = tap.Tap()
    for part in (lacking, nothing, numbers):
        t.run(part.__name__, part)
    t.done()


if __name__ == "__main__":
    main()
