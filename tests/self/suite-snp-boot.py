#!/usr/bin/python3
"""TAP: qemu/snp-boot writes only what QEMU documents, refuses what the firmware would refuse, and says the measurement
that a second implementation works out.  What it says of hosts: suite-snp-host.py."""

import base64
import hashlib
import os
import random
import re
import shlex
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, "tests", "cloud"), os.path.join(ROOT, "tests", "unit")]
import measure_ref  # noqa: E402
import qemu_options  # noqa: E402
import tap  # noqa: E402

BOOT = os.path.join(ROOT, "qemu", "snp-boot")
CTL = os.path.join(ROOT, "build", "latchkeyctl")
AZ = "az account get-access-token --resource {resource} -o json"
NAMES = ["--ovmf", "OVMF.fd", "--kernel", "vmlinuz"]


def call(*args):
    """snp-boot ARGS."""
    return subprocess.run([BOOT, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          timeout=120)


def id_pair(digest, policy, author):
    """An ID block and its authentication information."""
    block = digest + bytes(32) + struct.pack("<IIQ", 1, 0, policy)
    key = struct.pack("<I", 2) + b"\x51" * 144 + bytes(880)
    auth = struct.pack("<II", 1, 1 if author else 0) + bytes(56) + b"\x52" * 512 + key + bytes(60)
    auth += (b"\x53" * 512 + key if author else bytes(1540)) + bytes(892)
    assert (len(block), len(auth)) == (96, 4096)
    return block, auth


def put(folder, name, data):
    """A file."""
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())
    return path


def documented(t, folder):
    """Commands of every kind hold only what is documented, and say what was meant."""
    block, auth = id_pair(bytes(48), 0x30000, True)
    pair = ["--id-block", put(folder, "id,block", base64.b64encode(block) + b"\n"),
            "--id-auth", put(folder, "auth", auth)]
    cases = [
        ("the least", NAMES),
        ("everything", ["--ovmf", "a,b/OVMF.fd", "--kernel", "k", "--initrd", "i", "--append", "a=b,c 'd' $e",
                        "--disk", "x,y.img", "--disk", "/dev/vg/lv", "--disk-format", "qcow2", "--vcpus", "64",
                        "--vcpu-type", "EPYC-Milan-v2", "--memory", "512M", "--policy", "0x1030133",
                        "--host-data", "ab" * 32, "--workarounds", "01" * 16, "--vcek-disabled", "--cbitpos", "47",
                        "--imds-bridge", AZ]),
        ("an ID block with an author", NAMES + pair),
        ("a tap", NAMES + ["--net", "tap:vm0"]),
        ("no network", NAMES + ["--net", "none", "--vcpu-type", "EPYC-Genoa"]),
        ("a laboratory's guest", NAMES + ["--policy", "720896", "--allow-debug"]),
    ]
    for name, args in cases:
        done = call("--print", *args)
        argv = qemu_options.words_of(done.stdout)
        found = qemu_options.Command(argv)
        t.ok(done.returncode == 0 and not found.wrong, "documented: " + name,
             "%d\n%s\n%s" % (done.returncode, "\n".join(found.wrong), done.stderr))
        t.ok(all(line.endswith(" \\") for line in done.stdout.split("\n")[:-2]) and
             len(done.stdout.split("\n")) == 2 + sum(word.startswith("-") for word in argv),
             name + ": an option a line", done.stdout)
        if name == "everything":
            meant(t, found)
        if name.startswith("an ID"):
            sev = found.find("-object", "sev-snp-guest")
            t.equal((sev["id-block"], sev["id-auth"], sev["author-key-enabled"]),
                    (base64.b64encode(block).decode(), base64.b64encode(auth).decode(), "on"), "the blocks as they are")
    argv = qemu_options.words_of(call("--print", *NAMES, "--", "-monitor", "none").stdout)
    t.equal(argv[-2:], ["-monitor", "none"], "what follows -- is QEMU's")
    t.equal(qemu_options.Command(argv).wrong[0], "-monitor: not an option that is known", "and not checked")


def meant(t, found):
    """The command with every option says what its options say."""
    sev, drives = found.find("-object", "sev-snp-guest"), [row[2] for row in found.lists if row[0] == "-drive"]
    t.equal((sev["policy"], sev["cbitpos"], sev["reduced-phys-bits"], sev["vcek-disabled"]),
            ("0x1030133", "47", "1", "on"), "policy, C-bit, VCEK")
    t.equal((base64.b64decode(sev["host-data"]).hex(), base64.b64decode(sev["guest-visible-workarounds"]).hex()),
            ("ab" * 32, "01" * 16), "host data and workarounds")
    t.ok("id-block" not in sev and "author-key-enabled" not in sev, "no ID block unless given")
    t.equal((found.plain["-bios"], found.plain["-append"], found.plain["-cpu"], found.plain["-smp"], found.plain["-m"]),
            ("a,b/OVMF.fd", "a=b,c 'd' $e", "EPYC-Milan-v2", "64", "512M"), "firmware, command line, processors")
    t.equal([(row["file"], row["format"]) for row in drives], [("x,y.img", "qcow2"), ("/dev/vg/lv", "qcow2")], "disks")
    forward = found.find("-netdev", "user")["guestfwd"]
    program = shlex.split(forward.partition("-cmd:")[2])
    t.equal((forward.partition("-cmd:")[0], program[1:]), ("tcp:169.254.169.254:80", ["--stdio", "--command", AZ]),
            "the metadata service's address leads to imds-bridge")
    t.ok(os.access(program[0], os.X_OK), "which is there", program[0])


def checker(t):
    """The facts are of use only if what is not documented is found."""
    said = call("--print", *NAMES, "--host-data", "ab" * 32, "--disk", "d", "--imds-bridge", AZ).stdout
    text = "\1".join(qemu_options.words_of(said))
    for old, new, words in (
            ("kernel-hashes=on", "kernel-hashes=true", "kernel-hashes=true does not fit"),
            ("kernel-hashes=on", "kernel-hashes=off", "the kernel is not measured"),
            ("host-data=", "host-data=AA", "host-data="), ("host-data=", "hostdata=", "no property hostdata"),
            ("policy=0x30000", "policy=0x10000", "bit 17"),
            ("policy=0x30000", "policy=0x30000,init-flags=0", "no property init-flags"),
            ("reduced-phys-bits=1,", "", "reduced-phys-bits is mandatory"), ("cbitpos=51", "cbitpos=x", "cbitpos=x"),
            ("sev-snp-guest", "sev-guest", "sev-guest: not known"), ("id=ram0", "id=ram1", "memory-backend=ram0"),
            ("size=2G", "size=4G", "another size"), ("share=on", "share=on,prealloc", "without a value"),
            ("smm=off", "smm=auto", "no SMM"),
            ("confidential-guest-support=sev0,", "", "no confidential-guest-support"),
            ("drive=disk0", "drive=disk1", "drive=disk1"),
            ("iommu_platform=on", "iommu_platform=off", "encrypted memory"),
            ("-bios\1OVMF.fd\1", "", "-bios: missing"), ("-no-reboot", "-no-reboots", "not an option"),
            ("dhcpstart=169.254.0.15", "dhcpstart=169.254.0.300", "dhcpstart"), ("-m\0012G", "-m\0012x", "-m 2x"),
            ("id=disk0", "id=net0", "the id net0 twice")):
        found = qemu_options.Command(text.replace(old, new, 1).split("\1"))
        t.ok(old in text and any(words in line for line in found.wrong), "found: %s" % (new or "no " + old).strip(),
             found.wrong)


def refused(t, folder):
    """Values that cannot be, each with a line of its own."""
    block, auth = id_pair(bytes(48), 0x30000, False)
    good_block, good_auth = put(folder, "b", block), put(folder, "a", auth)
    short = put(folder, "s", block[:-1])
    other = put(folder, "o", id_pair(bytes(48), 0xb0000, False)[0])
    strange = put(folder, "v", block[:80] + b"\2" + block[81:])
    rsa = put(folder, "r", b"\0" + auth[1:])
    for status, words, args in (
            (64, "--ovmf and --kernel are needed", ["--ovmf", "x"]), (64, "--ovmf and --kernel are needed", []),
            (64, "unrecognized", NAMES + ["stray"]), (64, "unrecognized", NAMES + ["--kern", "x"]),
            (64, "1 to 512", NAMES + ["--vcpus", "0"]), (64, "1 to 512", NAMES + ["--vcpus", "513"]),
            (64, "EPYC models", NAMES + ["--vcpu-type", "host"]),
            (64, "EPYC models", NAMES + ["--vcpu-type", "EPYC,x=y"]),
            (64, "32 to 63", NAMES + ["--cbitpos", "64"]), (64, "--net", NAMES + ["--net", "bridge"]),
            (64, "--net", NAMES + ["--net", "tap:a,b"]),
            (64, "--net user only", NAMES + ["--net", "tap:vm0", "--imds-bridge", AZ]),
            (64, "belong together", NAMES + ["--id-block", good_block]),
            (64, "exclude each other", NAMES + ["--host-data", "00" * 32, "--init-data", good_block]),
            (78, "must be a number", NAMES + ["--policy", "three"]),
            (78, "must be a number", NAMES + ["--policy", "30000h"]),
            (78, "must be 1: 0x30000", NAMES + ["--policy", "0x10000"]),
            (78, "must be 1: 0x27530", NAMES + ["--policy", "30000"]),
            (78, "above 25", NAMES + ["--policy", "0x4030000"]),
            (78, "above 25", NAMES + ["--policy", "0x8000000000030000"]),
            (78, "migration agent", NAMES + ["--policy", "0x70000"]),
            (78, "--allow-debug", NAMES + ["--policy", "0xb0000"]),
            (78, "64 hexadecimal digits", NAMES + ["--host-data", "ab" * 31]),
            (78, "64 hexadecimal digits", NAMES + ["--host-data", "zz" * 32]),
            (78, "32 hexadecimal digits", NAMES + ["--workarounds", "00"]),
            (78, "with M or G", NAMES + ["--memory", "2"]), (78, "with M or G", NAMES + ["--memory", "2G,x=y"]),
            (78, "No such file", NAMES + ["--id-block", "missing", "--id-auth", good_auth]),
            (78, "No such file", NAMES + ["--init-data", "missing"]),
            (78, "must be 96 bytes", NAMES + ["--id-block", short, "--id-auth", good_auth]),
            (78, "must be 4096 bytes", NAMES + ["--id-block", good_block, "--id-auth", good_block]),
            (78, "made for policy 0xb0000", NAMES + ["--id-block", other, "--id-auth", good_auth]),
            (78, "not an ID block", NAMES + ["--id-block", strange, "--id-auth", good_auth]),
            (78, "not ID authentication", NAMES + ["--id-block", good_block, "--id-auth", rsa])):
        done = call("--print", *args)
        t.ok(done.returncode == status and words in done.stderr and not done.stdout and done.stderr.count("\n") == 1,
             "refused: %s (%s)" % (words, " ".join(args[-2:])[-40:]), "%d %s" % (done.returncode, done.stderr))


def measured(t, folder):
    """The measurement on standard error is that of the files on the command line."""
    rng = random.Random(11)
    case = {"vmm": "QEMU", "vcpus": 3, "sig": measure_ref.signature("EPYC-Milan-v2"), "features": 1,
            "image": measure_ref.make_image(rng, 16, True), "firmware_digest": None, "kernel": rng.randbytes(70001),
            "initrd": rng.randbytes(4096), "append": b"root=/dev/mapper/root"}
    args = ["--ovmf", put(folder, "OVMF", case["image"]), "--kernel", put(folder, "kernel", case["kernel"]), "--initrd",
            put(folder, "initrd", case["initrd"]), "--append", "root=/dev/mapper/root", "--vcpus", "3", "--vcpu-type",
            "EPYC-Milan-v2", "--cbitpos", "51"]
    want = measure_ref.measure(case).hex()
    done = call("--print", *args)
    t.equal((done.returncode, done.stderr), (0, "snp-boot: measurement %s\n" % want), "the measurement, nothing else")
    init = put(folder, "init", "init data")
    done = call("--print", *args, "--init-data", init)
    digest = hashlib.sha256(b"init data").hexdigest()
    sev = qemu_options.Command(qemu_options.words_of(done.stdout)).find("-object", "sev-snp-guest")
    t.ok("host data " + digest in done.stderr and base64.b64decode(sev["host-data"]).hex() == digest,
         "--init-data: its SHA-256 is the host data", done.stderr)
    for name, digest, status in (("for this measurement", bytes.fromhex(want), 0), ("for another one", bytes(48), 78)):
        block, auth = id_pair(digest, 0x30000, False)
        done = call("--print", *args, "--id-block", put(folder, "ib", block), "--id-auth", put(folder, "ia", auth))
        t.equal((done.returncode, "author-key-enabled" in done.stdout), (status, False), "an ID block " + name)
    plain = put(folder, "plain", measure_ref.make_image(rng, 16, False))
    done = call("--print", *args[:1], plain, *args[2:])
    t.ok(done.returncode == 0 and "no measurement: " in done.stderr and "no page for kernel hashes" in done.stderr,
         "an OVMF that measures no kernel is said", done.stderr)
    t.ok("taken for granted" in call("--print", *NAMES).stderr or os.path.exists("/dev/cpu/0/cpuid"),
         "a C-bit that could not be asked for is said")
    done = call("--print", *NAMES, "--policy", "0xb0000", "--allow-debug")
    t.ok("the host can read" in done.stderr, "a debug policy is said", done.stderr)


def header():
    """The least that QEMU takes for a Linux kernel."""
    kernel = bytearray(32768)
    kernel[0x1f1] = 4
    kernel[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", kernel, 0x206, 0x20c)
    kernel[0x211] = 1
    struct.pack_into("<II", kernel, 0x22c, 0x7fffffff, 4096)
    return bytes(kernel)


def ask_qemu(*words):
    """What this machine's QEMU prints."""
    return subprocess.run(["qemu-system-x86_64", *words], capture_output=True, text=True, check=True).stdout


def real_qemu(t, folder):
    """This machine's QEMU takes all of the command that it knows: without SEV, emulated, stopped before it starts."""
    name = "QEMU takes the command"
    try:
        said, objects, machine = (ask_qemu(*words) for words in (["--version"], ["-object", "help"],
                                                                 ["-machine", "q35,help"]))
    except (OSError, subprocess.CalledProcessError) as error:
        t.skip(name, str(error))
        return
    folder = os.path.join(folder, "a, b")
    paths = [put(folder, "kernel", header()), put(folder, "initrd", b"x" * 512), put(folder, "disk", bytes(1 << 20))]
    for kind, extra in (("user network", []), ("imds-bridge", ["--imds-bridge", AZ])):
        line = call("--print", "--ovmf", "none", "--kernel", paths[0], "--initrd", paths[1], "--disk", paths[2],
                    "--append", "a=b,c", "--memory", "64M", "--vcpus", "2", *extra).stdout
        argv = qemu_options.emulated(qemu_options.words_of(line)) + ["-S"]
        done = subprocess.run(argv, input="\x01cinfo block\nquit\n", capture_output=True, text=True, check=False,
                              timeout=60)
        t.ok(done.returncode == 0 and not done.stderr and paths[2] in done.stdout, "%s (%s)" % (name, kind),
             "%d %s %s" % (done.returncode, done.stdout, done.stderr))
    own = {"accel", "kernel-irqchip"}      # sugar for -accel
    for prop in sorted(set(qemu_options.MACHINES["q35"]) - own):
        t.ok(re.search("^  %s=" % prop, machine, re.M), "QEMU's q35 has %s" % prop)
    for kind, known in qemu_options.OBJECTS.items():
        if not re.search(r"^\s*%s$" % kind, objects, re.M):
            t.skip("QEMU's %s has the properties" % kind, "not in this %s" % said.split(" (")[0])
            continue
        shown = ask_qemu("-object", kind + ",help")
        absent = [prop for prop in known if not re.search("^  %s=" % prop, shown, re.M)]
        t.equal(absent, [], "QEMU's %s has the properties" % kind)


def main():
    """All of it."""
    t = tap.Tap()
    with tempfile.TemporaryDirectory() as folder:
        for part in (documented, refused, measured, real_qemu):
            t.run(part.__name__, part, os.path.join(folder, part.__name__))
    t.run("checker", checker)
    t.done()


if __name__ == "__main__":
    main()
