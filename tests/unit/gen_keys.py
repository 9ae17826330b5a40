#!/usr/bin/python3
"""Prints key material for the unit tests as lines of words, made afresh by another implementation.

usage: gen_keys.py kwp | rsa BITS | ec | crypto | made FILE

kwp     kwp KEK PLAIN WRAPPED
rsa     ok|bad NAME N E IKM DER       (lk_key_canonical; IKM is "-" where DER must be refused)
ec      ok|bad NAME CURVE X Y IKM DER
        thumb NAME CURVE X Y TEXT
crypto  verify N E HASH DIGEST SIGNATURE
        oaep HASH DER PLAIN CIPHERTEXT
made    checks the RSA private keys in FILE, PKCS#1 as lines of hexadecimal; for each
        oaep DER HASH PLAIN CIPHERTEXT
        blob DER HASH N E IKM BLOB    (CKM_RSA_AES_KEY_WRAP of the key N, E)
"""

import base64
import hashlib
import math
import os
import random
import sys

from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

RSA_OID = bytes.fromhex("06092a864886f70d010101")
EC_OID = bytes.fromhex("06072a8648ce3d0201")
CURVES = {
    "P-256": (ec.SECP256R1, 32, bytes.fromhex("06082a8648ce3d030107"),
              0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551),
    "P-384": (ec.SECP384R1, 48, bytes.fromhex("06052b81040022"),
              int("f" * 48 + "c7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16)),
    "P-521": (ec.SECP521R1, 66, bytes.fromhex("06052b81040023"),
              int("01" + "f" * 64 + "fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409", 16)),
}


def tlv(tag, body):
    """One DER element."""
    n = len(body)
    size = bytes([n]) if n < 128 else bytes([0x81, n]) if n < 256 else b"\x82" + n.to_bytes(2, "big")
    return bytes([tag]) + size + body


def integer(v, zeros=0, sign=True):
    """INTEGER, with more leading zeros than DER allows, or without the one it asks for."""
    body = v.to_bytes((v.bit_length() + (8 if sign else 7)) // 8 or 1, "big")
    return tlv(2, bytes(zeros) + body)


def pkcs8(alg, key, version=0, tail=b""):
    """PrivateKeyInfo."""
    return tlv(0x30, integer(version) + tlv(0x30, alg) + tlv(4, key) + tail)


def out(*words):
    """One line; bytes in hexadecimal."""
    print(*((w.hex() or "-") if isinstance(w, bytes) else w for w in words))


def number(v):
    """Magnitude in whole bytes."""
    return v.to_bytes((v.bit_length() + 7) // 8, "big")


def rsa_forms(key):
    """(name, DER) of encodings that all are the same key."""
    p = key.private_numbers()
    n, e, d = p.public_numbers.n, p.public_numbers.e, p.d
    phi = (p.p - 1) * (p.q - 1)
    lam = phi // math.gcd(p.p - 1, p.q - 1)
    crt = (p.dmp1, p.dmq1, p.iqmp)
    null = RSA_OID + b"\x05\x00"

    def form(*members, alg=null, enc=integer, **kw):
        return pkcs8(alg, tlv(0x30, b"".join(enc(m) for m in (0, *members))), **kw)

    d_phi, d_lam = pow(e, -1, phi), pow(e, -1, lam)
    yield "library", key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
                                       serialization.NoEncryption())
    yield "bare-pkcs1", key.private_bytes(serialization.Encoding.DER,
                                          serialization.PrivateFormat.TraditionalOpenSSL,
                                          serialization.NoEncryption())
    yield "d-phi", form(n, e, d_phi, p.p, p.q, *crt)
    yield "d-lambda", form(n, e, d_lam, p.p, p.q, *crt)
    yield "primes-swapped", form(n, e, d, p.q, p.p, p.dmq1, p.dmp1, pow(p.p, -1, p.q))
    yield "crt-zero", form(n, e, d, p.p, p.q, 0, 0, 0)
    yield "crt-absent", form(n, e, d, p.p, p.q)
    yield "d-zero", form(n, e, 0, p.p, p.q, *crt)
    yield "leading-zeros", form(n, e, d, p.p, p.q, *crt, enc=lambda v: integer(v, 3))
    yield "no-sign-byte", form(n, e, d, p.p, p.q, *crt, enc=lambda v: integer(v, sign=False))
    yield "primes-zero-phi", form(n, e, d_phi, 0, 0, 0, 0, 0)
    yield "primes-absent-lambda", form(n, e, d_lam)
    yield "primes-wrong", form(n, e, d, p.p + 2, p.q, *crt)
    yield "primes-trivial", form(n, e, d, 1, n, *crt)
    yield "one-prime", form(n, e, d, p.p, 0, *crt)
    yield "no-parameters", form(n, e, d, p.p, p.q, *crt, alg=RSA_OID)
    yield "attributes", form(n, e, d, p.p, p.q, *crt, tail=tlv(0xa0, b""))
    yield "version-2", form(n, e, d, p.p, p.q, *crt, version=1, tail=tlv(0x81, bytes(9)))


def rsa_bad(key, other):
    """(name, DER) of what must be refused for `key`."""
    p = key.private_numbers()
    n, e, d = p.public_numbers.n, p.public_numbers.e, p.d
    null = RSA_OID + b"\x05\x00"
    good = dict(rsa_forms(key))

    def form(*members, version=0, alg=null):
        return pkcs8(alg, tlv(0x30, integer(version) + b"".join(integer(m) for m in members)))

    yield "other-key", dict(rsa_forms(other))["library"]
    o = other.private_numbers()
    yield "other-primes", form(n, e, o.d, o.p, o.q, 0, 0, 0)
    yield "other-modulus", form(o.public_numbers.n, e, d, p.p, p.q, 0, 0, 0)
    yield "other-exponent", form(n, 3, d, p.p, p.q, 0, 0, 0)
    yield "nothing-private", form(n, e)
    yield "d-and-primes-wrong", form(n, e, d + 2, p.p + 2, p.q)
    yield "d-one", form(n, e, 1)
    yield "d-too-large", form(n, e, n + d)
    yield "more-primes", form(n, e, d, p.p, p.q, 1, 1, 1, version=1)
    yield "extra-member", form(n, e, d, p.p, p.q, 1, 1, 1, 1)
    yield "ec-algorithm", form(n, e, d, p.p, p.q, alg=EC_OID)
    yield "trailing-byte", good["library"] + b"\0"
    yield "truncated", good["library"][:-1]
    yield "empty", b""
    yield "one-byte", b"\x30"
    yield "long-length", b"\x30\x83\x00" + good["library"][2:]
    yield "indefinite-length", b"\x30\x80" + good["library"][4:] + b"\0\0"
    yield "not-der", bytes(range(256))


def do_rsa(bits):
    """One key in all its forms."""
    key, other = (rsa.generate_private_key(65537, bits) for _ in range(2))
    p = key.private_numbers()
    pub = (number(p.public_numbers.n), number(p.public_numbers.e))
    ikm = min(p.p, p.q).to_bytes(((bits + 7) // 8 + 1) // 2, "big")
    for name, der in rsa_forms(key):
        out("ok", name, *pub, ikm, der)
    for name, der in rsa_bad(key, other):
        out("bad", name, *pub, b"", der)


def ec_key(d, size, oid, tail=b"", version=1):
    """PKCS#8 of a scalar given as bytes."""
    return pkcs8(EC_OID + oid, tlv(0x30, integer(version) + tlv(4, d) + tail))


def do_ec():
    """Every curve, with a full-length scalar and with one whose top bytes are zero."""
    for crv, (curve, size, oid, order) in CURVES.items():
        for scalar in (None, int.from_bytes(os.urandom(size - 3), "big") + 1):
            key = ec.derive_private_key(scalar, curve()) if scalar else ec.generate_private_key(curve())
            num = key.private_numbers()
            x, y = (v.to_bytes(size, "big") for v in (num.public_numbers.x, num.public_numbers.y))
            d = num.private_value.to_bytes(size, "big")
            point = tlv(0xa1, tlv(3, b"\0\4" + x + y))
            lib = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
                                    serialization.NoEncryption())
            text = lambda v: base64.urlsafe_b64encode(v).rstrip(b"=").decode()
            json = f'{{"crv":"{crv}","kty":"EC","x":"{text(x)}","y":"{text(y)}"}}'
            out("thumb", "-", crv, x, y, text(hashlib.sha256(json.encode()).digest()))
            for name, der in (
                    ("library", lib), ("bare", ec_key(d, size, oid)),
                    ("short", ec_key(d.lstrip(b"\0"), size, oid)),
                    ("zeros", ec_key(b"\0\0\0" + d, size, oid)),
                    ("curve-inside", ec_key(d, size, oid, tlv(0xa0, oid) + point))):
                out("ok", name, crv, x, y, d, der)
            wrong_oid = CURVES["P-384" if crv == "P-256" else "P-256"][2]
            flip = bytes([d[-1] ^ 1])
            for name, der in (
                    ("other-scalar", ec_key(d[:-1] + flip, size, oid)),
                    ("negated", ec_key((order - num.private_value).to_bytes(size, "big"), size, oid)),
                    ("plus-order", ec_key(number(order + num.private_value), size, oid)),
                    ("zero", ec_key(bytes(size), size, oid)), ("none", ec_key(b"", size, oid)),
                    ("order", ec_key(number(order), size, oid)),
                    ("other-curve", ec_key(d, size, wrong_oid)), ("no-curve", ec_key(d, size, b"")),
                    ("version", ec_key(d, size, oid, version=0)),
                    ("too-long", ec_key(b"\1" + bytes(8) + d, size, oid)),
                    ("rsa", pkcs8(RSA_OID, tlv(0x30, integer(1) + tlv(4, d)))),
                    ("trailing", lib + b"\0"), ("truncated", lib[:-1]), ("raw-scalar", d)):
                out("bad", name, crv, x, y, b"", der)


def do_kwp():
    """Long keys, so that the step counter passes one byte, and one that just fits."""
    for n, k in ((1, 16), (8, 24), (9, 32), (344, 32), (345, 32), (1218, 32), (2375, 32), (2376, 16),
                 (3064, 32)):
        kek, plain = os.urandom(k), os.urandom(n)
        out("kwp", kek, plain, keywrap.aes_key_wrap_with_padding(kek, plain))


def do_crypto():
    """Signatures and OAEP for each size and hash."""
    for bits in (2048, 3072, 4096):
        key = rsa.generate_private_key(65537, bits)
        num = key.public_key().public_numbers()
        der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
                                serialization.NoEncryption())
        for name, h in (("1", hashes.SHA1()), ("256", hashes.SHA256()), ("384", hashes.SHA384()),
                        ("512", hashes.SHA512())):
            msg = os.urandom(100)
            digest = hashlib.new("sha" + name, msg).digest()
            out("verify", number(num.n), number(num.e), name, digest,
                key.sign(msg, padding.PKCS1v15(), h))
            out("oaep", name, der, msg[:32],
                key.public_key().encrypt(msg[:32], padding.OAEP(padding.MGF1(h), h, None)))


def is_prime(n):
    """Miller-Rabin, by definition."""
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(20):
        x = pow(random.randrange(2, n - 1), odd, n)
        if x != 1 and n - 1 not in (pow(x, 1 << i, n) for i in range(twos)):
            return False
    return True


def check_made(der):
    """FIPS 186-5, A.1.1, and that the encoding is DER with every member right; the key."""
    key = serialization.load_der_private_key(der, None)  # runs the library's own check
    assert der == key.private_bytes(serialization.Encoding.DER,
                                    serialization.PrivateFormat.TraditionalOpenSSL,
                                    serialization.NoEncryption()), "not the DER of its members"
    v = key.private_numbers()
    n, e, half = v.public_numbers.n, v.public_numbers.e, key.key_size // 2
    assert key.key_size in (2048, 3072, 4096) and n.bit_length() == key.key_size and e == 65537
    assert v.p * v.q == n and v.p > v.q and v.p.bit_length() == v.q.bit_length() == half
    assert is_prime(v.p) and is_prime(v.q)
    assert v.q * v.q >= 1 << (2 * half - 1), "below sqrt(2) * 2^(bits/2 - 1)"
    assert abs(v.p - v.q) > 1 << (half - 100)
    assert v.d == pow(e, -1, math.lcm(v.p - 1, v.q - 1)) and v.d > 1 << half
    assert (v.dmp1, v.dmq1) == (v.d % (v.p - 1), v.d % (v.q - 1)) and v.iqmp == pow(v.q, -1, v.p)
    return key


def do_made(path):
    """What was encrypted to each key of the file, with every hash."""
    inner = rsa.generate_private_key(65537, 4096)
    num = inner.private_numbers()
    ikm = number(min(num.p, num.q))
    pkcs = inner.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
                               serialization.NoEncryption())
    with open(path, encoding="ascii") as f:
        ders = [bytes.fromhex(line) for line in f]
    for der in ders:
        pub = check_made(der).public_key()
        for name, h in (("1", hashes.SHA1()), ("256", hashes.SHA256()), ("384", hashes.SHA384()),
                        ("512", hashes.SHA512())):
            oaep = padding.OAEP(padding.MGF1(h), h, None)
            plain, kek = os.urandom(48), os.urandom(32)
            out("oaep", der, name, plain, pub.encrypt(plain, oaep))
            out("blob", der, name, number(num.public_numbers.n), number(num.public_numbers.e), ikm,
                pub.encrypt(kek, oaep) + keywrap.aes_key_wrap_with_padding(kek, pkcs))


if __name__ == "__main__":
    if sys.argv[1] == "rsa":
        do_rsa(int(sys.argv[2]))
    elif sys.argv[1] == "made":
        do_made(sys.argv[2])
    else:
        {"kwp": do_kwp, "ec": do_ec, "crypto": do_crypto}[sys.argv[1]]()
