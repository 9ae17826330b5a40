#!/usr/bin/python3
"""Prints SNP reports with certificate chains for lk_snp_verify, made afresh by another implementation.

Lines: CODE NAME PRODUCT ARK-SHA256 REPORT LEAF ASK ARK WORDS, where CODE is ok, trust, attest or
proto, and WORDS (with _ for a blank) stand in the message.
"""

import hashlib
import os
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cloud"))
import amdcert  # noqa: E402
import der  # noqa: E402

BASE = amdcert.BASE
# position of each level in the eight bytes of a TCB, by the number of its extension
OLD = {1: 0, 2: 1, 3: 6, 8: 7}
NEW = {9: 0, 1: 1, 2: 2, 3: 3, 8: 7}
TCB = bytes([4, 1, 2, 3, 0, 0, 0x81, 0xDB])  # levels from 0x80 up have a zero byte in front


def report(version, fms, chip, tcb, signer=0, algo=1):
    """An unsigned report."""
    raw = bytearray(os.urandom(0x2A0)) + bytearray(512)
    raw[0:4] = version.to_bytes(4, "little")
    raw[0x34:0x38] = algo.to_bytes(4, "little")
    raw[0x48:0x4C] = (signer << 2).to_bytes(4, "little")
    raw[0x180:0x188] = tcb
    raw[0x188:0x18B] = bytes(fms)
    raw[0x1A0:0x1E0] = chip.ljust(64, b"\0")
    return raw


def sign(raw, key):
    """Signs in place, as the firmware does: r and s little-endian in 72 bytes each."""
    r, s = decode_dss_signature(key.sign(bytes(raw[:0x2A0]), ec.ECDSA(hashes.SHA384())))
    raw[0x2A0:0x2E8] = r.to_bytes(72, "little")
    raw[0x2E8:0x330] = s.to_bytes(72, "little")
    return raw


def extensions(tcb, places, hwid=None, csp=None):
    """AMD's extensions; hwid is the whole value."""
    out = [amdcert.extension(BASE + "1", der.integer(0)),
           amdcert.extension(BASE + "2", der.tlv(0x16, b"Test"))]
    out += [amdcert.extension(BASE + "3.%d" % n, der.integer(tcb[at])) for n, at in places.items()]
    if hwid is not None:
        out.append(amdcert.extension(BASE + "4", hwid))
    if csp is not None:
        out.append(amdcert.extension(BASE + "5", der.tlv(0x16, csp)))
    return out


class Chain:
    """ARK, ASK and a P-384 key."""

    def __init__(self):
        self.ark, self.ask = (rsa.generate_private_key(65537, 4096) for _ in range(2))
        self.key = ec.generate_private_key(ec.SECP384R1())
        self.ark_der = amdcert.certificate("ARK-T", self.ark.public_key(), "ARK-T", self.ark,
                                           amdcert.ca_extensions(self.ark.public_key(), None, True), 1, 25)
        self.ask_der = self.intermediate(self.ark)

    def intermediate(self, by):
        """The ASK's certificate, signed by the key `by`."""
        return amdcert.certificate("SEV-T", self.ask.public_key(), "ARK-T", by,
                                   amdcert.ca_extensions(self.ask.public_key(), 0, False), 2, 25)

    def leaf(self, exts, by=None, key=None, alg=None):
        """A VCEK's or VLEK's certificate; `alg` is the algorithm that it claims."""
        return amdcert.certificate("SEV-VCEK", (key or self.key).public_key(), "SEV-T", by or self.ask,
                                   exts, alg=alg)


def cases(c):
    """(code, name, product, report, leaf, ask, words)"""
    chip, short = os.urandom(64), os.urandom(8)
    milan, genoa, turin = (0x19, 1, 1), (0x19, 0x11, 0), (0x1A, 2, 0)
    old, new = c.leaf(extensions(TCB, OLD, chip)), c.leaf(extensions(TCB, NEW, short))
    good = sign(report(3, milan, chip, TCB), c.key)
    octets = c.leaf(extensions(TCB, OLD, der.octets(chip)))
    octets8 = c.leaf(extensions(TCB, NEW, der.octets(short)))
    vlek = c.leaf(extensions(TCB, OLD, csp=b"provider"))

    def signed(*a, **k):
        return sign(report(*a, **k), c.key)

    def row(code, name, raw, leaf=old, product="Milan", ask=None, words="-"):
        return code, name, product, bytes(raw), leaf, ask or c.ask_der, words

    yield row("ok", "milan3", good)
    yield row("ok", "milan2", signed(2, (0, 0, 0), chip, TCB))
    yield row("ok", "genoa5", signed(5, genoa, chip, TCB), octets, "Genoa")
    yield row("ok", "turin5", signed(5, turin, short, TCB), new, "Turin")
    yield row("ok", "turin2", signed(2, (0, 0, 0), short, TCB), octets8, "Turin")
    yield row("ok", "newer", signed(6, (0x1B, 9, 0), short, TCB), new, "Next")
    yield row("ok", "vlek", signed(3, milan, b"", TCB, signer=1), vlek)
    yield row("attest", "product", good, product="Genoa", words="for_Genoa_processors")
    for n, at in OLD.items():
        tcb = bytearray(TCB)
        tcb[at] ^= 0x80
        yield row("attest", "tcb%d" % n, signed(3, milan, chip, bytes(tcb)),
                  words="another_firmware")
    tcb = bytes([TCB[0] ^ 1]) + TCB[1:]
    yield row("attest", "fmc", signed(5, turin, short, tcb), new, "Turin", words="fmc_5")
    yield row("attest", "chip", signed(3, milan, os.urandom(64), TCB), words="another_processor")
    yield row("attest", "chip_tail", signed(5, turin, short + b"\1", TCB), new, "Turin",
              words="another_processor")
    yield row("attest", "masked", signed(3, milan, b"", TCB), words="hides")
    yield row("attest", "unsigned", signed(3, milan, chip, TCB, signer=7), words="masks_its_key")
    yield row("attest", "algorithm", signed(3, milan, chip, TCB, algo=2), words="algorithm_is_2")
    yield row("proto", "no_chip", good, c.leaf(extensions(TCB, OLD)), words="which_processor")
    yield row("proto", "no_fmc", signed(5, turin, short, TCB), c.leaf(extensions(TCB, OLD, short)),
              "Turin", words="which_TCB")
    twice = extensions(TCB, OLD, chip)
    yield row("proto", "level_twice", good, c.leaf(twice + [twice[2]]), words="which_TCB")
    yield row("proto", "no_provider", signed(3, milan, b"", TCB, signer=1), c.leaf(
        extensions(TCB, OLD)), words="whose_it_is")
    other = ec.generate_private_key(ec.SECP384R1())
    yield row("trust", "other_key", sign(report(3, milan, chip, TCB), other), words="not_signed_by")
    yield row("trust", "leaf_by_ark", good, c.leaf(extensions(TCB, OLD, chip), by=c.ark),
              words="VCEK_is_not_signed")
    yield row("trust", "ask_by_ask", good, ask=c.intermediate(c.ask), words="ASK_is_not_signed")
    yield row("proto", "p256", good, c.leaf(extensions(TCB, OLD, chip),
                                            key=ec.generate_private_key(ec.SECP256R1())),
              words="no_P-384_key")
    tbs, _, signature = der.children(der.read(old, 0, 0x30)[1])
    yield row("proto", "two_algorithms", good, der.seq(tbs[2], amdcert.PSS_SHORT, signature[2]),
              words="as_AMD_writes")
    yield row("ok", "no_trailer", good, c.leaf(extensions(TCB, OLD, chip), alg=amdcert.PSS_SHORT))
    yield row("proto", "salt", good, c.leaf(extensions(TCB, OLD, chip), alg=amdcert.pss_algorithm(32)),
              words="RSASSA-PSS")


def main():
    """Prints all."""
    c = Chain()
    pin = hashlib.sha256(c.ark_der).hexdigest()
    for code, name, product, raw, leaf, ask, words in cases(c):
        print(code, name, product, pin, raw.hex(), leaf.hex(), ask.hex(), c.ark_der.hex(), words)


if __name__ == "__main__":
    main()
