#!/usr/bin/python3
"""A second implementation of the SNP launch measurement, and made-up firmware images for it.

usage: measure_ref.py cases DIR      images of our own, written to DIR
       measure_ref.py vectors DIR    the published cases, DIR/expected.json

Prints a case a line, blank-separated: VMM VCPUS CPU SIGNATURE FEATURES FIRMWARE FIRMWARE-DIGEST
KERNEL INITRD APPEND DIGEST EXPECTED NAME. "-" is an option that is not given; KERNEL, INITRD and
APPEND are hexadecimal after "x"; DIGEST is what this program works out, EXPECTED what the source of
the case says ("-": nothing).

It shares nothing with the C code: the launch is first written down as a list of pages, GUIDs come
as text, save areas are packed from registers by name.
"""

import hashlib
import json
import os
import random
import struct
import sys
import uuid

PAGE = 4096
KINDS = {"normal": 1, "vmsa": 2, "zero": 3, "unmeasured": 4, "secrets": 5, "cpuid": 6}
MEM, SECRETS, CPUID, CAA, HASHES = 1, 2, 3, 4, 0x10

FOOTER = "96b582de-1fb2-45f7-baea-a366c55a082d"
TABLE = "7255371f-3a3b-4b04-927b-1da6efa8d454"
RESET = "00f771de-1a7e-4fcb-890e-68c77e2fb44e"
META = "dc886566-984a-4798-a75e-5585a7bf67cc"

# family, model, stepping
CPUS = {"EPYC": (23, 1, 2), "EPYC-v4": (23, 1, 2), "EPYC-IBPB": (23, 1, 2),
        "EPYC-Rome": (23, 49, 0), "EPYC-Rome-v3": (23, 49, 0), "EPYC-Milan": (25, 1, 1),
        "EPYC-Milan-v2": (25, 1, 1), "EPYC-Genoa": (25, 17, 0), "EPYC-Genoa-v1": (25, 17, 0),
        "EPYC-Turin": (26, 0, 0)}


def guid(text):
    """The sixteen bytes as UEFI stores them."""
    return uuid.UUID(text).bytes_le


def signature(cpu):
    """CPUID Fn0000_0001 EAX."""
    family, model, stepping = CPUS[cpu]
    fields = [(stepping, 0), (model % 16, 4), (min(family, 15), 8), (model // 16, 16),
              (max(family - 15, 0), 20)]
    return sum(value << shift for value, shift in fields)


def footer_entries(image):
    """The GUID table at the end, as a dictionary of GUID text to data."""
    end = len(image) - 32
    (size,), name = struct.unpack("<H", image[end - 18:end - 16]), image[end - 16:end]
    assert name == guid(FOOTER)
    table, found = image[end - size:end - 18], {}
    while table:
        (size,) = struct.unpack("<H", table[-18:-16])
        found[str(uuid.UUID(bytes_le=table[-16:]))] = table[len(table) - size:-18]
        table = table[:len(table) - size]
    return found


def sections(image, entries):
    """(address, length, type) of each metadata section."""
    (back,) = struct.unpack("<I", entries[META][:4])
    head = image[len(image) - back:]
    magic, size, version, count = struct.unpack("<4sIII", head[:16])
    assert (magic, version) == (b"ASEV", 1) and size >= 16 + 12 * count
    return list(struct.iter_unpack("<III", head[16:16 + 12 * count]))


def hashes_page(case, place):
    """The page with the three digests."""
    rows = [("97d02dd8-bd20-4c94-aa78-e7714d36ab2a", (case["append"] or b"") + b"\0"),
            ("44baf731-3a2f-4bd7-9af1-41e29169781d", case["initrd"] or b""),
            ("4de79437-abd2-427f-b835-d5b172d2045b", case["kernel"])]
    table = b"".join(guid(g) + struct.pack("<H", 50) + hashlib.sha256(data).digest()
                     for g, data in rows)
    table = guid("9438d606-4f22-4cc9-b479-a793d411fd21") + struct.pack("<H", 18 + len(table)) + table
    return (bytes(place % PAGE) + table).ljust(PAGE, b"\0")


def save_area(case, entry):
    """A processor's page."""
    vmm = case["vmm"]
    code, stack, task = 0x9b, 0x93, 0x8b
    if vmm == "ec2":
        code, stack, task = (0x9a if entry == 0xfffffff0 else 0x9b), 0x92, 0x83
    page = bytearray(PAGE)
    segments = ["es", "cs", "ss", "ds", "fs", "gs", "gdtr", "ldtr", "idtr", "tr"]
    rights = {"cs": code, "ss": stack, "ldtr": 0x82, "tr": task, "gdtr": 0, "idtr": 0}
    for i, name in enumerate(segments):
        selector, base = (0xf000, entry >> 16 << 16) if name == "cs" else (0, 0)
        struct.pack_into("<HHIQ", page, 16 * i, selector, rights.get(name, 0x93), 0xffff, base)
    words = {0xd0: 1 << 12, 0x148: 1 << 6, 0x158: 1 << 4, 0x160: 1 << 10, 0x168: 0xffff0ff0,
             0x170: 1 << 1, 0x178: entry % 0x10000,
             0x268: 0x70106 if vmm == "gce" else 0x7040600070406,
             0x310: case["sig"] if vmm == "QEMU" else 0x600, 0x3b0: case["features"], 0x3e8: 1}
    for at, value in words.items():
        struct.pack_into("<Q", page, at, value)
    if vmm == "QEMU":
        struct.pack_into("<IIH", page, 0x408, 0x1f80, 0, 0x37f)
    return bytes(page)


def launch(case):
    """Every page of the launch: (kind, address, contents or None)."""
    image = case["image"]
    entries = footer_entries(image)
    pages = []
    if case["firmware_digest"] is None:
        base = (1 << 32) - len(image)
        pages += [("normal", base + i, image[i:i + PAGE]) for i in range(0, len(image), PAGE)]
    early, late = [], []
    for at, size, kind in sections(image, entries):
        run = range(at, at + size, PAGE)
        if kind == MEM:
            early += [("unmeasured" if case["vmm"] == "gce" else "zero", a, None) for a in run]
        elif kind == CAA or (kind == HASHES and case["kernel"] is None):
            early += [("zero", a, None) for a in run]
        elif kind == HASHES:
            (place,) = struct.unpack("<I", entries[TABLE][:4])
            early.append(("normal", at, hashes_page(case, place)))
        elif kind == SECRETS:
            early.append(("secrets", at, None))
        else:
            (late if case["vmm"] == "ec2" else early).append(("cpuid", at, None))
    (reset,) = struct.unpack("<I", entries[RESET][:4])
    starts = [0xfffffff0] + [reset] * (case["vcpus"] - 1)
    return pages + early + late + [("vmsa", 0xfffffffff000, save_area(case, s)) for s in starts]


def measure(case):
    """The launch digest."""
    digest = bytes(48) if case["firmware_digest"] is None else case["firmware_digest"]
    for kind, address, contents in launch(case):
        inner = bytes(48) if contents is None else hashlib.sha384(contents).digest()
        record = digest + inner + struct.pack("<HBBBBBBQ", 112, KINDS[kind], 0, 0, 0, 0, 0, address)
        digest = hashlib.sha384(record).digest()
    return digest


def make_image(rng, pages, with_table):
    """A firmware image of `pages` pages with sections in any order among random bytes."""
    free = 0x800000 + 0x1000 * rng.randrange(16)
    kinds = [SECRETS, CPUID] + [rng.choice([MEM, MEM, CAA]) for _ in range(rng.randrange(1, 5))]
    kinds += [HASHES] if with_table else []
    rng.shuffle(kinds)
    rows, place = [], 0
    for kind in kinds:
        size = PAGE if kind in (SECRETS, CPUID, HASHES) else PAGE * rng.randrange(1, 9)
        if kind == HASHES:
            place = free + 16 * rng.randrange(0, (PAGE - 176) // 16 + 1)
        rows.append((free, size, kind))
        free += size + PAGE * rng.randrange(0, 3)
    rng.shuffle(rows)
    meta = b"ASEV" + struct.pack("<III", 16 + 12 * len(rows), 1, len(rows))
    meta += b"".join(struct.pack("<III", *row) for row in rows)
    back = 1024 + 16 * rng.randrange(0, 64) + len(meta)
    items = [(RESET, struct.pack("<I", 0x80b004 + rng.randrange(1 << 20))),
             (META, struct.pack("<I", back)), (str(uuid.UUID(int=rng.getrandbits(128))), b"foreign")]
    items += [(TABLE, struct.pack("<II", place, 0x400))] if with_table else []
    rng.shuffle(items)
    table = b"".join(data + struct.pack("<H", len(data) + 18) + guid(g) for g, data in items)
    table += struct.pack("<H", len(table) + 18) + guid(FOOTER) + rng.randbytes(32)
    image = bytearray(rng.randbytes(pages * PAGE - len(table)) + table)
    image[len(image) - back:len(image) - back + len(meta)] = meta
    return bytes(image)


def own_cases():
    """Made-up launches, the same ones every time; the first ones have everything."""
    rng = random.Random(20)
    names = list(CPUS)
    for i in range(64):
        full = i < 4
        vmm = "QEMU" if full else ("QEMU", "QEMU", "ec2", "gce")[i % 4]
        with_table = full or i % 3 != 0
        kernel = initrd = append = None
        if full or (with_table and rng.random() < 0.7):
            kernel = rng.randbytes(70001 if full else rng.choice([0, 1, 5000]))
            initrd = rng.randbytes(40003) if full else rng.choice([None, b"", b"rd", b"\0" * 513])
            append = ("console=ttyS0 größe=ä".encode() if full
                      else rng.choice([None, b"", b"root=/dev/vda"]))
        yield {"name": f"own-{i}", "vmm": vmm, "cpu": names[-1 - i % len(names)],
               "sig": signature(names[-1 - i % len(names)]),
               "vcpus": (1, 2, 4, 512)[i] if full else rng.randrange(1, 9),
               "features": 1 if full else rng.choice([1, 0x21, rng.getrandbits(64)]),
               "image": make_image(rng, 1024 if i == 7 else rng.randrange(1, 6), with_table),
               "firmware_digest": rng.randbytes(48) if i % 11 == 5 else None,
               "kernel": kernel, "initrd": initrd, "append": append, "expected": None}


def published_cases(folder):
    """The cases of expected.json."""
    with open(os.path.join(folder, "expected.json"), encoding="utf-8") as f:
        rows = json.load(f)["cases"]

    def data(text):
        return None if text is None else bytes.fromhex(text)

    for row in rows:
        path = os.path.join(folder, row["firmware"])
        with open(path, "rb") as f:
            image = f.read()
        yield {"name": row["name"], "vmm": row["vmm"], "vcpus": row["vcpus"],
               "cpu": row["vcpu_type"], "sig": int(row["vcpu_sig"] or "0", 16),
               "features": int(row["guest_features"], 16), "image": image, "path": path,
               "firmware_digest": data(row["firmware_hash"]), "kernel": data(row["kernel_hex"]),
               "initrd": data(row["initrd_hex"]),
               "append": None if row["cmdline"] is None else row["cmdline"].encode(),
               "expected": bytes.fromhex(row["digest"])}


def main():
    """One line a case."""
    what, folder = sys.argv[1:]
    for case in own_cases() if what == "cases" else published_cases(folder):
        if "path" not in case:
            case["path"] = os.path.join(folder, case["name"] + ".fd")
            with open(case["path"], "wb") as f:
                f.write(case["image"])

        def field(data, mark=""):
            return "-" if data is None else mark + data.hex()

        print(case["vmm"], case["vcpus"], case["cpu"] or "-", f"{case['sig']:x}",
              f"{case['features']:x}", case["path"], field(case["firmware_digest"]),
              field(case["kernel"], "x"), field(case["initrd"], "x"), field(case["append"], "x"),
              measure(case).hex(), field(case["expected"]), case["name"])


if __name__ == "__main__":
    main()
