"""What QEMU documents, for what qemu/snp-boot writes: options, objects, devices and the types of their properties.

Facts of QEMU 9.1 to 10.2, from qemu-options.hx, qapi/qom.json (SevCommonProperties, SevSnpGuestProperties,
MemoryBackendMemfdProperties), qapi/net.json and the properties of the q35 machine and the virtio devices.  Not the
whole of QEMU: what is not here must be looked up before snp-boot may use it.
"""

import base64
import binascii
import re
import subprocess

# Types: a name in CHECKS, a tuple of words, ("base64", bytes), ("ref", kind).
SEV_COMMON = {"sev-device": "text", "cbitpos": "uint32", "reduced-phys-bits": "uint32", "kernel-hashes": "bool"}
OBJECTS = {
    "sev-snp-guest": dict(SEV_COMMON, **{
        "policy": "uint64", "guest-visible-workarounds": ("base64", 16), "id-block": ("base64", 96),
        "id-auth": ("base64", 4096), "author-key-enabled": "bool", "host-data": ("base64", 32),
        "vcek-disabled": "bool"}),
    "memory-backend-memfd": {
        "size": "size", "share": "bool", "prealloc": "bool", "prealloc-threads": "uint32", "merge": "bool",
        "dump": "bool", "reserve": "bool", "hugetlb": "bool", "hugetlbsize": "size", "seal": "bool"},
}
REQUIRED = {"sev-snp-guest": ["reduced-phys-bits"], "memory-backend-memfd": ["size"]}
MACHINES = {"q35": {
    "accel": ("kvm", "tcg"), "confidential-guest-support": ("ref", "sev-snp-guest"),
    "memory-backend": ("ref", "memory-backend-memfd"), "smm": ("on", "off", "auto"), "vmport": ("on", "off", "auto"),
    "kernel-irqchip": ("on", "off", "split")}}
VIRTIO = {"disable-legacy": ("on", "off", "auto"), "iommu_platform": "bool", "romfile": "any", "id": "name"}
DEVICES = {"virtio-blk-pci": dict(VIRTIO, drive=("ref", "drive"), serial="text"),
           "virtio-net-pci": dict(VIRTIO, netdev=("ref", "netdev"), mac="text")}
NETDEVS = {"user": {"net": "network", "host": "ipv4", "dns": "ipv4", "dhcpstart": "ipv4", "guestfwd": "guestfwd",
                    "restrict": "bool", "hostfwd": "text"},
           "tap": {"ifname": "text", "script": "text", "downscript": "text"}}
DRIVE = {"file": "text", "if": ("none",), "format": ("raw", "qcow2"), "id": "name"}
# What an option's argument is: a list of properties, or text that QEMU takes as it is, commas and all.
LISTS = {"-object", "-machine", "-device", "-netdev", "-drive"}
PLAIN = {"-display": r"none", "-serial": r"mon:stdio", "-cpu": r"EPYC(-Rome|-Milan|-Genoa|-Turin|-IBPB)?(-v\d)?",
         "-smp": r"[1-9]\d*", "-m": r"[1-9]\d*[MG]", "-bios": r".+", "-kernel": r".+", "-initrd": r".+",
         "-append": r".+"}
FLAGS = {"-nodefaults", "-no-user-config", "-no-reboot"}
MANDATORY = {"-machine", "-cpu", "-smp", "-m", "-object", "-bios", "-kernel", "-nodefaults", "-no-reboot"}

IPV4 = r"((25[0-5]|2[0-4]\d|1?\d?\d)(\.|\b)){4}"
CHECKS = {"bool": r"on|off", "uint32": r"0x[0-9a-f]{1,8}|\d{1,9}", "uint64": r"0x[0-9a-f]{1,16}|\d{1,19}",
          "size": r"[1-9]\d*[KMGT]?", "name": r"[A-Za-z][A-Za-z0-9._-]*", "text": r".+", "any": r".*", "ipv4": IPV4,
          "network": IPV4 + r"/([12]?\d|3[0-2])", "guestfwd": r"(tcp)?:" + IPV4 + r":\d{1,5}-(cmd:.+|.+)"}


def split(text):
    """The parts of a property list; a doubled comma is one that belongs to a value."""
    return [part.replace("\0", ",") for part in text.replace(",,", "\0").split(",")]


def fits(kind, value, ids):
    """Is the value one of this type?"""
    if isinstance(kind, tuple) and kind[0] == "base64":
        try:
            return len(base64.b64decode(value, validate=True)) == kind[1]
        except binascii.Error:
            return False
    if isinstance(kind, tuple) and kind[0] == "ref":
        return ids.get(value) == kind[1]
    if isinstance(kind, tuple):
        return value in kind
    return re.fullmatch(CHECKS[kind], value, re.S) is not None


class Command:
    """A command line, taken apart; .wrong has a line for everything that QEMU does not document."""

    def __init__(self, argv):
        self.wrong, self.ids, self.lists, self.plain = [], {}, [], {}
        words = list(argv[1:])
        while words:
            option = words.pop(0)
            if option in FLAGS:
                self.plain[option] = ""
            elif option in PLAIN or option in LISTS:
                if not words:
                    self.wrong.append("%s: no argument" % option)
                    break
                self.one(option, words.pop(0))
            else:
                self.wrong.append("%s: not an option that is known" % option)
        for option, first, given in self.lists:
            self.properties(option, first, given)
        for option in sorted(MANDATORY - set(self.plain) - {row[0] for row in self.lists}):
            self.wrong.append("%s: missing" % option)
        self.together()

    def one(self, option, value):
        """Remember an option, and what it defines."""
        if option in PLAIN:
            if option in self.plain or not re.fullmatch(PLAIN[option], value, re.S):
                self.wrong.append("%s %s: twice, or not of its form" % (option, value))
            self.plain[option] = value
            return
        parts = split(value)
        first = "" if option == "-drive" else parts.pop(0)
        given = [part.partition("=")[::2] for part in parts]
        if any("=" not in part for part in parts) or len(dict(given)) != len(given):
            self.wrong.append("%s %s: a property without a value, or twice" % (option, value))
        self.lists.append((option, first, dict(given)))
        name = dict(given).get("id")
        if name:
            if name in self.ids:
                self.wrong.append("%s: the id %s twice" % (option, name))
            self.ids[name] = {"-drive": "drive", "-netdev": "netdev"}.get(option, first)

    def properties(self, option, first, given):
        """Each property must be documented, and its value of the property's type."""
        known = {"-object": OBJECTS, "-machine": MACHINES, "-device": DEVICES, "-netdev": NETDEVS,
                 "-drive": {"": DRIVE}}[option].get(first)
        if known is None:
            self.wrong.append("%s %s: not known" % (option, first))
            return
        if option in ("-object", "-netdev"):
            known = dict(known, id="name")
            if "id" not in given:
                self.wrong.append("%s %s: no id" % (option, first))
        for name, value in given.items():
            if name not in known:
                self.wrong.append("%s %s: no property %s" % (option, first, name))
            elif not fits(known[name], value, self.ids):
                self.wrong.append("%s %s: %s=%s does not fit" % (option, first, name, value))
        for name in REQUIRED.get(first, []) if option == "-object" else []:
            if name not in given:
                self.wrong.append("%s %s: %s is mandatory" % (option, first, name))

    def find(self, option, first=None):
        """The properties of the first such option."""
        return next((row[2] for row in self.lists if row[0] == option and first in (None, row[1])), {})

    def together(self):
        """What QEMU or the firmware would refuse although each part is right."""
        machine, sev = self.find("-machine"), self.find("-object", "sev-snp-guest")
        if self.find("-object", "memory-backend-memfd").get("size") != self.plain.get("-m"):
            self.wrong.append("the memory backend has another size than the machine")
        for name in ("confidential-guest-support", "memory-backend"):
            if name not in machine:
                self.wrong.append("-machine: no %s" % name)
        if machine.get("smm") != "off":
            self.wrong.append("-machine: SNP has no SMM")
        if ("id-block" in sev) != ("id-auth" in sev):
            self.wrong.append("ID block and authentication information belong together")
        if sev.get("kernel-hashes") != "on":
            self.wrong.append("the kernel is not measured")
        if not int(sev.get("policy", "0"), 0) & 1 << 17:
            self.wrong.append("bit 17 of the policy must be 1")
        for row in self.lists:
            if row[0] == "-device" and (row[2].get("iommu_platform"), row[2].get("disable-legacy")) != ("on", "on"):
                self.wrong.append("%s: a device that reaches for encrypted memory" % row[1])


def words_of(text):
    """The words that a shell makes of a command."""
    script = "set -- %s\nfor word; do printf '%%s\\0' \"$word\"; done" % text
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.split("\0")[:-1]


def emulated(argv):
    """The same machine without SEV and KVM: what a QEMU without either can start."""
    out, words = argv[:1], argv[1:]
    while words:
        option = words.pop(0)
        if option in FLAGS:
            out.append(option)
            continue
        value = words.pop(0)
        if option == "-machine":
            value = value.replace("accel=kvm", "accel=tcg").replace("confidential-guest-support=sev0,", "")
        if option == "-bios" or value.startswith("sev-snp-guest"):
            continue
        out += [option, "max" if option == "-cpu" else value]
    return out
