#!/usr/bin/python3
"""Prints one released key in many encodings, with the secret of each kind of binding.

usage: gen_kinds.py rsa BITS | ec | oct

One line per encoding: NAME TYPE A B DER DERIVED COMPAT. TYPE is RSA, a curve or oct; A and B are n and e,
or x and y; a secret is "-" where there is none. What the binding says is in test_kinds.c, sample().
"""

import base64
import hashlib
import hmac
import math
import os
import sys

import gen_keys
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

UUID = b"6a3b1f2e-0c4d-4e5f-8a9b-0123456789ab"
SALT = bytes(range(0xa0, 0xc0))
KDF_SALT = bytes(range(32))
LABEL = b"Symmetric Encryption Key"


def hkdf(ikm, salt, info):
    """RFC 5869 with SHA-256, one block."""
    prk = hmac.new(salt, ikm, hashlib.sha256).digest()
    return hmac.new(prk, info + b"\1", hashlib.sha256).digest()


def derived(ikm):
    """The secret of kind derived: text."""
    raw = hkdf(ikm, SALT, b"latchkey disk v1" + UUID)
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def do_rsa(bits):
    """A key whose exponent modulo phi(n) is not the one modulo lambda(n)."""
    while True:
        key = rsa.generate_private_key(65537, bits)
        p = key.private_numbers()
        n, e = p.public_numbers.n, p.public_numbers.e
        phi = (p.p - 1) * (p.q - 1)
        d_phi, d_lam = pow(e, -1, phi), pow(e, -1, phi // math.gcd(p.p - 1, p.q - 1))
        if d_phi != d_lam:
            break
    ikm = min(p.p, p.q).to_bytes(bits // 16, "big")
    exponent = {"d-phi": d_phi, "primes-zero-phi": d_phi, "d-lambda": d_lam, "primes-absent-lambda": d_lam,
                "d-zero": 0}
    for name, der in gen_keys.rsa_forms(key):
        d = exponent.get(name, p.d)
        compat = hkdf(gen_keys.number(d), KDF_SALT, LABEL) if d else b""
        gen_keys.out(name, "RSA", gen_keys.number(n), gen_keys.number(e), der, derived(ikm), compat)


def do_ec():
    """A scalar with leading zeros on every curve, in three encodings."""
    for crv, (curve, size, oid, _) in gen_keys.CURVES.items():
        key = ec.derive_private_key(int.from_bytes(os.urandom(size - 3), "big") + 1, curve())
        num = key.private_numbers()
        x, y = (v.to_bytes(size, "big") for v in (num.public_numbers.x, num.public_numbers.y))
        d = num.private_value.to_bytes(size, "big")
        lib = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
                                serialization.NoEncryption())
        for name, der in (("library", lib), ("short", gen_keys.ec_key(d.lstrip(b"\0"), size, oid)),
                          ("zeros", gen_keys.ec_key(b"\0\0" + d, size, oid))):
            gen_keys.out(name, crv, x, y, der, derived(d), b"")


def do_oct():
    """The sizes at both ends and those that a Managed HSM makes."""
    for n in (16, 24, 32, 64):
        key = os.urandom(n)
        gen_keys.out("bytes", "oct", b"", b"", key, derived(key), b"")


if __name__ == "__main__":
    if sys.argv[1] == "rsa":
        do_rsa(int(sys.argv[2]))
    else:
        {"ec": do_ec, "oct": do_oct}[sys.argv[1]]()
