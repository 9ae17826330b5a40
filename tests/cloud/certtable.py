"""The certificate table that a host hands to its guests (GHCB, "SNP Extended Guest Request").

Entries of 24 bytes (GUID, offset, length; the numbers little-endian), ended by one of zeros, then
the certificates in DER.  `make(kind, host)` builds one of KINDS: good ones, and ones that a hostile
host might hand out, each wrong in exactly one way.
"""

import struct
import uuid

from cryptography import x509

import amdcert
import pki

ENTRY = 24
GUIDS = {"vcek": "63da758d-e664-4564-adc5-f4b93be8accd",
         "vlek": "a8074bc2-a25a-483e-aae6-39c045a0b8a1",
         "ask": "4ab7b379-bbac-4fe4-a02f-05aef327c782",
         "ark": "c0b406a4-a803-4952-9743-3fb6014cd0ae",
         "crl": "92f81bc3-5811-4d3d-97ff-d19f88dc67ea",
         "extra": "ecae0c0f-9502-43b1-afa2-0ae2e0d565b6",
         "unknown": "11111111-2222-3333-4444-555555555555"}
GOOD = ("right", "mixed", "extras", "padded")
INCOMPLETE = ("none", "zeros", "vcek-only", "no-vcek", "empty-vcek")
WRONG = ("stale", "other-vcek", "other-product", "vlek")
HOSTILE = ("offset-beyond", "length-beyond", "overflow", "overlap", "endless", "many", "cut",
           "twice", "pem", "garbage")
KINDS = GOOD + INCOMPLETE + WRONG + HOSTILE


def guid(name, mixed=False):
    """A GUID's bytes: in the order of its text, or with the first three fields little-endian."""
    value = uuid.UUID(GUIDS[name])
    return value.bytes_le if mixed else value.bytes


def pack(entries, end=True):
    """The table of (GUID bytes, blob) pairs; a blob of (offset, length) is an entry as it is."""
    at = ENTRY * (len(entries) + (1 if end else 0))
    head, body = b"", b""
    for name, blob in entries:
        if isinstance(blob, tuple):
            head += name + struct.pack("<II", *blob)
            continue
        head += name + struct.pack("<II", at + len(body), len(blob))
        body += blob
    return head + (bytes(ENTRY) if end else b"") + body


def der_of(pem):
    """The certificates of a PEM text as DER."""
    return [pki.cert_der(c) for c in pki.split_pem(pem.encode())]


def blobs(host):
    """The right certificates of a host by name."""
    ask, ark = der_of(host.chain_pem)
    return {"vcek": der_of(host.vcek_pem)[0], "ask": ask, "ark": ark}


def _named(parts, mixed=False):
    return [(guid(name, mixed), blob) for name, blob in parts.items()]


def other_product(host):
    """The VCEK of this chip, below the authorities of another product."""
    name = next(n for n in amdcert.PRODUCTS if n != host.product.name)
    ask, ark = der_of(host.chain(name))
    return {"vcek": der_of(host.vcek_pem)[0], "ask": ask, "ark": ark}


def _plain(kind, host):
    """The tables that are well-formed, as name and blob; None for other kinds."""
    good = blobs(host)
    if kind in ("right", "padded"):
        return good
    if kind == "extras":
        return dict({"unknown": b"\0\1\2", "crl": b"\x30\x00", "extra": bytes(64)}, **good)
    if kind == "vcek-only":
        return {"vcek": good["vcek"]}
    if kind == "no-vcek":
        return {"ask": good["ask"], "ark": good["ark"]}
    if kind == "empty-vcek":
        return dict(good, vcek=b"")
    if kind == "stale":
        return dict(good, vcek=der_of(host.vcek(host.old_tcb)[1])[0])
    if kind == "other-vcek":
        return dict(good, vcek=der_of(host.other_vcek())[0])
    if kind == "other-product":
        return other_product(host)
    if kind == "vlek":
        _, leaf, above = host.vlek()
        asvk, ark = der_of(above)
        return {"vlek": der_of(leaf)[0], "ask": asvk, "ark": ark}
    if kind == "pem":
        return dict(good, vcek=pki.cert_pem(x509.load_der_x509_certificate(good["vcek"])))
    if kind == "garbage":
        return dict(good, vcek=b"\xa5" * len(good["vcek"]))
    return None


def _hostile(kind, host):
    """The tables whose numbers are an attack."""
    good = blobs(host)
    named, n = _named(good), len(_named(good))
    end = len(pack(named))
    first = {"offset-beyond": (end + 1, 16), "length-beyond": (end - 16, 17),
             "overflow": (0xFFFFFFF0, 0x20), "overlap": (ENTRY * (n + 1) - 1, 16)}
    if kind in first:
        return pack([(named[0][0], first[kind])] + named[1:])
    if kind == "endless":       # no entry of zeros, and no room for one
        return pack([(guid("unknown"), (0, 0))] * 5, end=False)
    if kind == "many":          # an end, after more entries than there are kinds of certificates
        return pack(named + [(guid("unknown"), b"")] * 40)
    if kind == "cut":
        return pack(named)[:-1]
    if kind == "twice":
        return pack(named + named[:1])
    raise KeyError(kind)


def make(kind, host):
    """One of KINDS, for the present host; bytes are taken as they are."""
    if isinstance(kind, bytes):
        return kind
    if kind == "none":
        return b""
    if kind == "zeros":
        return bytes(4096)
    if kind == "mixed":
        return pack(_named(blobs(host), mixed=True))
    parts = _plain(kind, host)
    if parts is None:
        return _hostile(kind, host)
    table = pack(_named(parts))
    return table.ljust(-(-len(table) // 4096) * 4096, b"\0") if kind == "padded" else table
