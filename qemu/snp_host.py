"""Can this host start an SEV-SNP guest?  Every check is made, and each that fails comes with what to do about it.

The folder that the checks look below is an argument, so that a test can make up a host.
"""

import collections
import ctypes
import fcntl
import glob
import os
import re
import struct
import subprocess
import uuid

import snp_launch

Finding = collections.namedtuple("Finding", "good what remedy")

KERNEL, QEMU, FIRMWARE = (6, 11), (9, 1), (1, 51)
CBITPOS = 51            # of every processor with SNP so far; QEMU compares it with the host's and refuses another
BIOS = "in the BIOS: SMEE (SME), SEV-ES ASIDs, SNP memory coverage (RMP table), SEV-SNP support, IOMMU"

SEV_ISSUE_CMD = 0xC0105300
SNP_PLATFORM_STATUS = 9

FOOTER = "96b582de-1fb2-45f7-baea-a366c55a082d"
OVMF_ENTRIES = {"00f771de-1a7e-4fcb-890e-68c77e2fb44e": "SEV-ES reset block",
                "dc886566-984a-4798-a75e-5585a7bf67cc": "SEV metadata",
                "7255371f-3a3b-4b04-927b-1da6efa8d454": "SEV hash table"}
KERNEL_HASHES = 0x10
AMDSEV = "use the OVMF.fd of edk2's OvmfPkg/AmdSev/AmdSevX64.dsc, edk2-stable202405 or later"


def good(what):
    """A check that is passed."""
    return Finding(True, what, "")


def bad(what, remedy):
    """One that is not."""
    return Finding(False, what, remedy)


def text(root, path):
    """A short file of the host without its last newline, or None."""
    try:
        with open(os.path.join(root, path), encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def processor(root):
    """Vendor, family, model and flags of the first processor."""
    info = text(root, "proc/cpuinfo") or ""
    fields = dict(re.findall(r"^(\w[\w ]*?)\s*: (.*)$", info.split("\n\n", maxsplit=1)[0], re.M))
    number = [int(fields[name]) if fields.get(name, "").isdigit() else 0 for name in ("cpu family", "model")]
    return fields.get("vendor_id", "unknown"), number[0], number[1], fields.get("flags", "").split()


def generation(family, model):
    """3, 4, 5 for EPYC 7003, 9004, 9005 and what is like them; 0 for a processor without SNP."""
    if family == 25:
        return 4 if 0x10 <= model <= 0x1f or 0xa0 <= model <= 0xaf else 3 if model <= 0x0f else 0
    return 5 if family >= 26 else 0


def check_processor(root, vcpu_type):
    """The silicon, and whether the guest's model is not younger than it."""
    vendor, family, model, flags = processor(root)
    name = "processor: %s, family %d, model %d" % (vendor, family, model)
    host = generation(family, model) if vendor == "AuthenticAMD" else 0
    if host == 0:
        yield bad(name, "SEV-SNP needs an AMD EPYC 7003 (Milan), 9004 (Genoa) or later")
        return
    if "sev_snp" in flags:
        yield good(name + ", sev_snp")
    elif "hypervisor" in flags:
        yield bad(name + ", no sev_snp, and this is a virtual machine", "the bare host, or a host that nests SEV-SNP")
    else:
        yield bad(name + ", no sev_snp among its flags", BIOS)
    wanted = {"EPYC-Genoa": 4, "EPYC-Turin": 5}.get(re.sub(r"-v\d+$", "", vcpu_type or ""), 3)
    if wanted > host:
        yield bad("CPU model: %s on an older processor" % vcpu_type, "an older --vcpu-type, EPYC-v4 for example")


def check_smt(root, policy):
    """The firmware refuses a guest that forbids what is switched on."""
    if policy is not None and not policy & snp_launch.SMT and text(root, "sys/devices/system/cpu/smt/active") == "1":
        yield bad("policy %#x forbids simultaneous multithreading, which is on" % policy,
                  "echo off >/sys/devices/system/cpu/smt/control, or set bit 16 of --policy")


def check_kernel(root):
    """KVM with SNP. Distributions backport, so KVM's own word goes before the kernel's version."""
    release = text(root, "proc/sys/kernel/osrelease") or "unknown"
    found = re.match(r"(\d+)\.(\d+)", release)
    state = text(root, "sys/module/kvm_amd/parameters/sev_snp")
    if state == "Y":
        yield good("KVM: sev_snp=Y, Linux %s" % release)
    elif state is not None:
        yield bad("KVM: sev_snp=%s" % state,
                  "dmesg | grep -iE 'sev|snp|rmp' says why; no kvm_amd.sev_snp=0; %s" % BIOS)
    elif found and (int(found[1]), int(found[2])) < KERNEL:
        yield bad("KVM: no SNP in Linux %s" % release, "Linux %d.%d or later with CONFIG_KVM_AMD_SEV" % KERNEL)
    else:
        yield bad("KVM: kvm_amd is not loaded", "modprobe kvm_amd; the kernel needs CONFIG_KVM_AMD_SEV")


def check_iommu(root):
    """Without it the kernel gives SNP up at boot."""
    words = (text(root, "proc/cmdline") or "").split()
    wrong = [w for w in words if w in ("iommu=pt", "iommu=off", "amd_iommu=off", "iommu.passthrough=1")]
    if wrong:
        yield bad("IOMMU: %s on the kernel command line" % wrong[0], "boot without it: the IOMMU must translate")
    elif not os.path.isdir(os.path.join(root, "sys/class/iommu")) or \
            not os.listdir(os.path.join(root, "sys/class/iommu")):
        yield bad("IOMMU: none", "in the BIOS: IOMMU enabled")
    else:
        yield good("IOMMU")


def check_devices(root):
    """What QEMU opens."""
    for name, missing in (("kvm", "modprobe kvm_amd; in the BIOS: SVM mode enabled"),
                          ("sev", "modprobe ccp; it drives the secure processor, which the BIOS must not hide")):
        path = os.path.join(root, "dev", name)
        if not os.path.exists(path):
            yield bad("/dev/%s: not there" % name, missing)
        elif not os.access(path, os.R_OK | os.W_OK):
            yield bad("/dev/%s: no permission" % name, "as root, or: setfacl -m u:$(id -un):rw /dev/%s" % name)
        else:
            yield good("/dev/%s" % name)


def platform_status(path):
    """SNP_PLATFORM_STATUS of the secure processor: 32 bytes."""
    status = ctypes.create_string_buffer(32)
    request = bytearray(struct.pack("<IQI", SNP_PLATFORM_STATUS, ctypes.addressof(status), 0))
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, SEV_ISSUE_CMD, request)
    finally:
        os.close(fd)
    return status.raw


def check_firmware(root, policy, status):
    """Version of the SEV firmware and whether SNP is initialised; silent when the device cannot be asked at all."""
    path = os.path.join(root, "dev/sev")
    if not os.path.exists(path):
        return
    try:
        data = status(path)
    except OSError as error:
        yield bad("SEV firmware: does not tell its state: %s" % error.strerror,
                  "as root; a kernel without SNP cannot ask (see KVM above); `snphost ok` shows more")
        return
    version, state, rmp = (data[0], data[1]), data[2], data[3] & 1
    need = max(FIRMWARE, ((policy or 0) >> 8 & 255, (policy or 0) & 255))
    build, = struct.unpack_from("<I", data, 4)
    name = "SEV firmware: API %d.%d, build %d" % (*version, build)
    if version < need:
        yield bad(name, "%d.%d or later is needed: update the BIOS, or amd/amd_sev_*.sbin of linux-firmware" % need)
    elif state == 0 or not rmp:
        yield bad(name + ", SNP not initialised", "dmesg | grep -iE 'sev|snp|rmp' says why; %s" % BIOS)
    else:
        yield good(name)


def run(argv):
    """Standard output of a command."""
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=60).stdout


def check_qemu(program):
    """Version and the object."""
    try:
        said = run([program, "--version"])
        objects = run([program, "-object", "help"])
    except (OSError, subprocess.SubprocessError) as error:
        yield bad("QEMU: %s: %s" % (program, getattr(error, "strerror", None) or "does not run"),
                  "install QEMU %d.%d or later, or --qemu PATH" % QEMU)
        return
    found = re.search(r"version (\d+)\.(\d+)", said)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    if version < QEMU:
        yield bad("QEMU: %s has version %d.%d" % (program, *version), "%d.%d or later, with --qemu PATH" % QEMU)
    elif not re.search(r"^\s*sev-snp-guest\s*$", objects, re.M):
        yield bad("QEMU: %s has no sev-snp-guest" % program, "a QEMU built with KVM and SEV for x86_64")
    else:
        yield good("QEMU %d.%d" % version)


def ovmf_entries(image):
    """The GUID table at the end of a firmware image: {GUID: first number of its data}, or None."""
    end = len(image) - 50
    if end < 0 or image[end + 2:end + 18] != uuid.UUID(FOOTER).bytes_le:
        return None
    size, = struct.unpack_from("<H", image, end)
    table, found = image[max(end - (size - 18), 0):end], {}
    while len(table) >= 22:
        size, = struct.unpack_from("<H", table, len(table) - 18)
        if not 18 <= size <= len(table):
            break
        if size >= 22:
            found[str(uuid.UUID(bytes_le=table[-16:]))] = struct.unpack_from("<I", table, len(table) - size)[0]
        table = table[:-size]
    return found


def ovmf_sections(image, back):
    """The types of the sections in the SEV metadata."""
    at = len(image) - back
    if not 0 <= at <= len(image) - 16 or image[at:at + 4] != b"ASEV":
        return []
    count, = struct.unpack_from("<I", image, at + 12)
    return [struct.unpack_from("<I", image, at + 24 + 12 * i)[0] for i in range(min(count, 64))
            if at + 28 + 12 * i <= len(image)]


def check_ovmf(path):
    """Is it a firmware image that SNP can launch and that measures the kernel?"""
    try:
        with open(path, "rb") as file:
            image = file.read(64 << 20)
    except OSError as error:
        yield bad("OVMF: %s: %s" % (path, error.strerror), "--ovmf FILE; " + AMDSEV)
        return
    found = ovmf_entries(image)
    if len(image) % 4096 or not image or found is None:
        yield bad("OVMF: %s: no GUID table at its end, or not whole pages" % path, AMDSEV)
        return
    missing = [name for guid, name in OVMF_ENTRIES.items() if not found.get(guid)]
    if not missing and KERNEL_HASHES not in ovmf_sections(image, found["dc886566-984a-4798-a75e-5585a7bf67cc"]):
        missing = ["page for kernel hashes"]
    if missing:
        yield bad("OVMF: %s: no %s" % (path, ", no ".join(missing)), AMDSEV)
    else:
        yield good("OVMF: SEV metadata, kernel hashes")


def check_files(files):
    """(option, path, mode) each."""
    for option, path, mode in files:
        if not os.path.exists(path):
            yield bad("%s: %s: not there" % (option, path), "give a file that exists")
        elif not os.access(path, mode):
            yield bad("%s: %s: no permission" % (option, path), "as root, or change its owner")


def cbitpos(root):
    """Position of the C-bit by CPUID Fn8000_001F EBX, and whether the host was asked.

    Not by QMP's query-sev-capabilities: that makes the firmware export certificates of legacy SEV, which a host that is
    set up for SNP alone refuses.
    """
    for path in sorted(glob.glob(os.path.join(root, "dev/cpu/*/cpuid"))):
        try:
            with open(path, "rb", buffering=0) as file:
                file.seek(0x8000001f)
                eax, ebx = struct.unpack("<II8x", file.read(16))
        except (OSError, struct.error):
            continue
        if eax & 2 and ebx & 63:        # SEV
            return ebx & 63, True
    return CBITPOS, False


def check(want, root="/", status=platform_status):
    """All findings, in the order in which things depend on each other.  want: the options of snp-boot; what is None is
    not checked."""
    found = [*check_processor(root, want.vcpu_type), *check_smt(root, want.policy), *check_iommu(root),
             *check_kernel(root), *check_devices(root), *check_firmware(root, want.policy, status),
             *check_qemu(want.qemu)]
    if want.ovmf:
        found += check_ovmf(want.ovmf)
    files = [("--kernel", want.kernel, os.R_OK), ("--initrd", want.initrd, os.R_OK)]
    files += [("--disk", path, os.R_OK | os.W_OK) for path in want.disk]
    return found + list(check_files(row for row in files if row[1]))
