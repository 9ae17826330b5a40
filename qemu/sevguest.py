"""The emulated SEV-SNP guest device in an image: its files, the unit that starts it, and a guest that is nothing else.

The device signs with the processor key (VCEK) of the simulated cloud's host, so the cloud's attestation service takes
its reports for genuine and THIM has the certificates.
"""

import functools
import lzma
import os
import stat
import sys

import stage

sys.path.append(stage.CLOUD)
import amd  # noqa: E402
import certtable  # noqa: E402
import snp  # noqa: E402

FOLDER = "usr/lib/emulated-sev"
STATE = "/run/emulated-sev"
MODULE = os.path.join(stage.BUILD, "emulated_tsm.ko")
DIRECTORY = stat.S_IFDIR | 0o755
UNIT = """[Unit]
Description=Emulated SEV-SNP guest device
DefaultDependencies=no
[Service]
Type=forking
%s
ExecStart=/%s/emulated-sev /%s %s %s
"""


def build_module():
    """The kernel module for configfs-tsm; to be called where the network is that packages come from."""
    stage.run(os.path.join(stage.QEMU, "module"), MODULE, stage.KERNEL, os.path.join(stage.BUILD, "headers"))


def content(path):
    """A file's bytes."""
    with open(path, "rb") as f:
        return f.read()


@functools.lru_cache(None)
def _modules():
    """{name: (path, paths that it needs)} of the guest's kernel."""
    folder = os.path.join(stage.KERNEL, "lib", "modules", content(os.path.join(stage.KERNEL, "version")).decode().strip())
    found = {}
    for line in content(os.path.join(folder, "modules.dep")).decode().splitlines():
        path, _, needs = line.partition(":")
        found[_name(path)] = (os.path.join(folder, path), [_name(need) for need in needs.split()])
    return found


def _name(path):
    return os.path.basename(path).split(".")[0].replace("-", "_")


def kernel_modules(*names):
    """{name: bytes} with all that they need, in an order in which they can be loaded."""
    out = {}
    for name in names:
        path, needs = _modules()[name]
        # modules.dep names the nearest first
        for one in [_modules()[need][0] for need in reversed(needs)] + [path]:
            out[_name(one)] = lzma.decompress(content(one)) if one.endswith(".xz") else content(one)
    return out


def device(cloud, **report):
    """The device's files, as for stage.overlay."""
    host = amd.Amd(cloud)
    key = host.vcek_key.private_numbers().private_value.to_bytes(48, "big")
    return {
        FOLDER: (DIRECTORY, b""),
        FOLDER + "/emulated-sev": (0o755, content(os.path.join(stage.TOP, "build", "musl", "emulated-sev"))),
        FOLDER + "/template": (0o600, snp.build(host, bytes(64), **report)),
        FOLDER + "/certs": (0o600, certtable.make("right", host)),
        FOLDER + "/key": (0o600, key)}


def unit(*doors):
    """(modules, the unit's text): the unit offers these ways in; `tsm` loads what Linux' own module would load."""
    modules = kernel_modules("cuse")
    load = ["ExecStartPre=/usr/sbin/insmod /%s/%s.ko" % (FOLDER, name) for name in modules]
    if "tsm" in doors:
        modules["emulated_tsm"] = content(MODULE)
        load += ["ExecStartPre=/usr/sbin/modprobe tsm", "ExecStartPre=/usr/sbin/insmod /%s/emulated_tsm.ko" % FOLDER]
    return modules, UNIT % ("\n".join(load), FOLDER, FOLDER, STATE, " ".join(doors))


def in_folder(modules):
    """Modules as files for stage.overlay."""
    return {"%s/%s.ko" % (FOLDER, name): (0o644, data) for name, data in modules.items()}


def tiny(cloud, init, files, modules, **report):
    """An initramfs with busybox, the device, these files and modules, and an /init that runs after the modules."""
    busybox = "/bin/busybox"
    head = "#!/bin/busybox sh\nexport PATH=/bin\nmount -t devtmpfs dev /dev; mount -t proc proc /proc\n" \
           "mount -t sysfs sys /sys; mount -t tmpfs run /run\nexec </dev/null >/dev/console 2>&1\ndmesg -n 1\n"
    head += "".join("insmod /%s/%s.ko || echo insmod %s\n" % (FOLDER, name, name) for name in modules)
    out = {name: (DIRECTORY, b"") for name in ("bin", "dev", "proc", "sys", "run", "etc", "usr", "usr/lib")}
    out["bin/busybox"] = (0o755, content(busybox))
    for name in stage.run(busybox, "--list").decode().split():
        out.setdefault("bin/" + name, (stat.S_IFLNK | 0o777, b"busybox"))
    out.update(device(cloud, **report))
    out.update(in_folder(modules))
    out.update(files)
    out["init"] = (0o755, (head + init).encode())
    return stage.archive(out)
