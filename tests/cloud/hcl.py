"""The paravisor's report in NV index 0x01400001: build and parse (protocol/azure-guest.md, 3)."""

import hashlib
import struct

import jose
import names
import snp

MAGIC = b"HCLA"
SNP, TVM, TDX = 2, 3, 4
RUNTIME_AT = 0x4D4


class HclError(ValueError):
    """Not a paravisor report that can be used."""


def runtime_data(ak_public, limit, secure_boot=True, more=None):
    """The runtime JSON with the attestation key; optional members only as far as they fit."""
    config = {"console-enabled": True, "secure-boot": secure_boot, "tpm-enabled": True,
              "tpm-persisted": True, "vmUniqueId": names.VM_ID}
    config.update(more or {})
    key = {"kid": "HCLAkPub", "key_ops": ["sign"], "kty": "RSA"}
    jwk = jose.rsa_jwk(ak_public)
    key.update(e=jwk["e"], n=jwk["n"])
    doc = {"keys": [key], "vm-configuration": config, "user-data": "0" * 128}
    if len(jose.compact(doc)) > limit:
        del doc["user-data"]
    data = jose.compact(doc)
    if len(data) > limit:
        raise HclError("runtime data of %d bytes does not fit into %d" % (len(data), limit))
    return data


def binding(runtime):
    """What must stand in report_data for this runtime data."""
    return hashlib.sha256(runtime).digest() + bytes(32)


def build(hardware_report, runtime, kind=SNP, size=2048, version=2):
    """The whole NV contents, padded with zeros to `size`."""
    data_size = 20 + len(runtime)
    head = struct.pack("<4sIII16x", MAGIC, version, 32 + snp.SIZE + data_size, 2)
    data = struct.pack("<IIIII", data_size, 1, kind, 1, len(runtime))
    blob = head + hardware_report.ljust(snp.SIZE, b"\0") + data + runtime
    if len(blob) > size:
        raise HclError("the report of %d bytes does not fit into %d" % (len(blob), size))
    return blob.ljust(size, b"\0")


def parse(blob):
    """(kind, hardware report, runtime data) after the checks that a careful guest makes."""
    if len(blob) < RUNTIME_AT or blob[:4] != MAGIC:
        raise HclError("no HCL report")
    version, size, request = struct.unpack_from("<III", blob, 4)
    data_size, data_version, kind, digest, length = struct.unpack_from("<IIIII", blob, 0x4C0)
    if version not in (1, 2) or request != 2 or data_version != 1:
        raise HclError("unknown version or request type")
    # the old paravisor counts the header otherwise: only the upper bound is common to all
    if data_size != 20 + length or RUNTIME_AT + length > len(blob) or size > len(blob):
        raise HclError("sizes disagree")
    if digest != 1:
        raise HclError("hash type %d is not SHA-256" % digest)
    return kind, blob[0x20:0x4C0], blob[RUNTIME_AT:RUNTIME_AT + length]


def keys(runtime):
    """The keys of the runtime data by kid."""
    doc = jose.strict_json(runtime)
    if not isinstance(doc, dict) or not isinstance(doc.get("keys"), list):
        raise jose.FormatError("the runtime data has no keys")
    out = {}
    for key in doc["keys"]:
        kid = key.get("kid") if isinstance(key, dict) else None
        if not isinstance(kid, str) or kid in out:
            raise jose.FormatError("the runtime data has a key without a kid of its own")
        out[kid] = key
    return doc, out
