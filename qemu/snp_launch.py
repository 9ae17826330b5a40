"""QEMU's command line for an SEV-SNP guest: what the owner decides, in the encodings that QEMU documents.

Properties as in QEMU 9.1 to 10.2 (qapi/qom.json: SevCommonProperties, SevSnpGuestProperties).  Nothing here looks at
the host; snp_host.py does.
"""

import base64
import binascii
import hashlib
import os
import re
import shlex
import struct
import subprocess

HERE = os.path.dirname(os.path.realpath(__file__))
SMT, MUST_BE_ONE, MIGRATION, DEBUG, SINGLE_SOCKET = (1 << bit for bit in (16, 17, 18, 19, 20))
POLICY_BITS = (1 << 26) - 1     # 26 to 63 are reserved
ID_BLOCK, ID_AUTH = 96, 4096
# Of a guest, whatever the host's own CPUID says: with SEV it loses the one bit that marks encrypted pages.
REDUCED_PHYS_BITS = 1
# The whole of the link-local network behind QEMU's user network, so that the metadata service's address is in it:
# guestfwd takes no other.
LINK_LOCAL = "net=169.254.0.0/16,host=169.254.0.2,dns=169.254.0.3,dhcpstart=169.254.0.15"
METADATA = "169.254.169.254"


class LaunchError(Exception):
    """Something that the caller gave cannot be: one line."""


def policy(text, allow_debug):
    """The guest policy (SNP firmware ABI, section 4.3) as a number."""
    if not re.fullmatch(r"0[xX][0-9a-fA-F]{1,16}|[0-9]{1,19}", text):
        raise LaunchError("--policy: must be a number, 0x30000 for example")
    value = int(text, 0 if text[:2] in ("0x", "0X") else 10)
    if value & ~POLICY_BITS:
        raise LaunchError("--policy %#x: bits above 25 are reserved and must be 0" % value)
    if not value & MUST_BE_ONE:
        raise LaunchError("--policy %#x: bit 17 is reserved and must be 1: %#x" % (value, value | MUST_BE_ONE))
    if value & MIGRATION:
        raise LaunchError("--policy %#x: bit 18 allows a migration agent, which KVM does not have" % value)
    if value & DEBUG and not allow_debug:
        raise LaunchError("--policy %#x: bit 19 lets the host read the guest's memory, and with it the key; if this is "
                          "for a laboratory, add --allow-debug" % value)
    return value


def hexadecimal(option, text, size):
    """Bytes of a fixed length."""
    if not re.fullmatch("[0-9a-fA-F]{%d}" % (2 * size), text):
        raise LaunchError("%s: must be %d hexadecimal digits" % (option, 2 * size))
    return bytes.fromhex(text)


def read(option, path):
    """A whole file."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise LaunchError("%s: %s: %s" % (option, path, error.strerror)) from None


def blob(option, path, size):
    """A structure from a file, as bytes or as base64."""
    data = read(option, path)
    if len(data) == size:
        return data
    try:
        data = base64.b64decode(b"".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != size:
        raise LaunchError("%s: %s: must be %d bytes, or base64 of them" % (option, path, size))
    return data


def memory(text):
    """A size as QEMU takes it: a number with M or G."""
    if not re.fullmatch(r"[1-9][0-9]{0,6}[MG]", text):
        raise LaunchError("--memory: must be a number with M or G, 4G for example")
    return text


class IdBlock:
    """ID block and ID authentication information (SNP firmware ABI, SNP_LAUNCH_FINISH)."""

    def __init__(self, block, auth):
        self.block, self.auth = block, auth
        self.digest = block[:48]
        self.version, = struct.unpack_from("<I", block, 80)
        self.policy, = struct.unpack_from("<Q", block, 88)
        self.author = any(auth[2176:3204])      # the author's public key

    def check(self, wanted):
        """The firmware would refuse the launch at its very end, with a number."""
        if self.version != 1:
            raise LaunchError("--id-block: version %d where 1 is known: not an ID block" % self.version)
        if self.auth[:4] != b"\1\0\0\0":
            raise LaunchError("--id-auth: not ID authentication information: its key is not of type 1, ECDSA P-384")
        if self.policy != wanted:
            raise LaunchError("--id-block: made for policy %#x, but the guest gets %#x" % (self.policy, wanted))


def escape(value):
    """Inside a list of properties a comma is written twice."""
    return str(value).replace(",", ",,")


def properties(first, **given):
    """first,name=value,...; True and False are on and off, None is left out, bytes are base64."""
    parts = [first]
    for name, value in given.items():
        if isinstance(value, bool):
            value = "on" if value else "off"
        elif isinstance(value, bytes):
            value = base64.b64encode(value).decode()
        if value is not None:
            parts.append("%s=%s" % (name.replace("_", "-"), escape(value)))
    return ",".join(parts)


def sev_object(want):
    """-object sev-snp-guest."""
    block = want.id_blocks
    return properties(
        "sev-snp-guest", id="sev0", policy="%#x" % want.policy, cbitpos=want.cbitpos,
        reduced_phys_bits=REDUCED_PHYS_BITS, kernel_hashes=True, host_data=want.host_data,
        id_block=block and block.block, id_auth=block and block.auth,
        author_key_enabled=True if block and block.author else None, vcek_disabled=True if want.vcek_disabled else None,
        guest_visible_workarounds=want.workarounds)


def network(want):
    """-netdev and -device; a guest's PCI devices get at shared memory alone, which iommu_platform tells the driver."""
    if want.net == "none":
        return []
    if want.net == "user":
        back = "user,id=net0"
        if want.imds_bridge:
            argv = [os.path.join(HERE, "imds-bridge"), "--stdio", "--command", want.imds_bridge]
            back += ",%s,guestfwd=%s" % (LINK_LOCAL, escape("tcp:%s:80-cmd:%s" % (METADATA, shlex.join(argv))))
    else:
        back = properties("tap", id="net0", ifname=want.net.partition(":")[2], script="no", downscript="no")
    front = properties("virtio-net-pci", netdev="net0", romfile="")
    return [("-netdev", back), ("-device", front + ",disable-legacy=on,iommu_platform=on")]


def disks(want):
    """-drive and -device for each."""
    for number, path in enumerate(want.disk):
        name = "disk%d" % number
        yield "-drive", properties("if=none", id=name, format=want.disk_format, file=path)
        yield "-device", "virtio-blk-pci,drive=%s,disable-legacy=on,iommu_platform=on" % name


def command(want):
    """QEMU's arguments as a list of tuples, one for each option.

    No SMM and no flash: SNP has neither.  No reboot: the processors' state is sealed, so QEMU ends instead.
    """
    machine = properties("q35", accel="kvm", confidential_guest_support="sev0", memory_backend="ram0", smm=False,
                         vmport=False)
    rows = [(want.qemu,), ("-nodefaults",), ("-no-user-config",), ("-no-reboot",), ("-display", "none"),
            ("-serial", "mon:stdio"), ("-machine", machine), ("-cpu", want.vcpu_type), ("-smp", str(want.vcpus)),
            ("-m", want.memory),
            ("-object", properties("memory-backend-memfd", id="ram0", size=want.memory, share=True, prealloc=False)),
            ("-object", sev_object(want)), ("-bios", want.ovmf), ("-kernel", want.kernel)]
    if want.initrd:
        rows.append(("-initrd", want.initrd))
    if want.append:
        rows.append(("-append", want.append))
    return rows + list(disks(want)) + network(want) + [tuple(want.more)] * bool(want.more)


def shown(rows):
    """The command for a shell, an option a line."""
    return " \\\n    ".join(shlex.join(row) for row in rows) + "\n"


def host_data_of(path):
    """Host data that pins a file: its SHA-256, as `init-data` in latchkey's configuration."""
    return hashlib.sha256(read("--init-data", path)).digest()


def measurement(program, want):
    """The launch measurement, in hexadecimal, from latchkeyctl."""
    argv = [program, "policy", "--measure", "--ovmf", want.ovmf, "--vcpus", str(want.vcpus), "--vcpu-type",
            want.vcpu_type, "--kernel", want.kernel]
    argv += ["--initrd", want.initrd] if want.initrd else []
    argv += ["--append", want.append] if want.append else []
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except OSError as error:
        raise LaunchError("%s: %s" % (program, error.strerror)) from None
    if done.returncode != 0 or not re.fullmatch("[0-9a-f]{96}\n", done.stdout):
        why = re.sub(r"^\S+ \[ *\d+ ms\] ", "", done.stderr.strip())
        raise LaunchError(why or "%s: exit %d" % (program, done.returncode))
    return done.stdout.strip()
