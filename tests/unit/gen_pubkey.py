#!/usr/bin/python3
"""Prints files with keys, good ones and others, as lines of words in hexadecimal ("-": empty).

ok   NAME N E KID FILE
bad  NAME PART-OF-MESSAGE FILE
"""

import base64
import datetime
import json
import random

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

KID = "https://vault1.vault.azure.net/keys/disk/00112233445566778899aabbccddeeff"
PEM = serialization.Encoding.PEM
PLAIN = serialization.NoEncryption()
rng = random.Random(4)
key = rsa.generate_private_key(65537, 2048)
curve = ec.generate_private_key(ec.SECP256R1())


def word(data):
    """Bytes or text as a word."""
    data = data.encode() if isinstance(data, str) else data
    return data.hex() or "-"


def big(n):
    """A number, big-endian, without leading zeros."""
    return n.to_bytes((n.bit_length() + 7) // 8, "big")


def ok(name, n, e, text, kid=""):
    """A file that holds this key."""
    print("ok", name, word(big(n)), word(big(e)), word(kid), word(text))


def bad(name, message, text):
    """A file that is refused."""
    print("bad", name, word(message), word(text))


def modulus(bits):
    """Looks like one."""
    return rng.getrandbits(bits) | 1 << bits - 1 | 1


def url(data):
    """base64url."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def std(data):
    """base64."""
    return base64.b64encode(data).decode()


def spki(n, e):
    """PEM of an RSA key."""
    return rsa.RSAPublicNumbers(e, n).public_key().public_bytes(
        PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def jwk(n, e, enc=url, **more):
    """A JWK."""
    return {"kty": "RSA", "n": enc(big(n)), "e": enc(big(e)), **more}


def az(inner):
    """As az keyvault key show has it."""
    empty = dict.fromkeys(["crv", "d", "dp", "dq", "k", "p", "q", "qi", "t", "x", "y"])
    return {"attributes": {"created": "2026-01-01T00:00:00+00:00", "enabled": True, "expires": None,
                           "exportable": True, "recoveryLevel": "Recoverable+Purgeable"},
            "key": {**empty, "keyOps": ["wrapKey", "unwrapKey"], **inner},
            "managed": None, "releasePolicy": {"contentType": "application/json; charset=utf-8",
                                               "encodedPolicy": "e30", "immutable": False},
            "tags": {"a": "b"}}


def good():
    """What has to be taken."""
    for bits in (2048, 3072, 4096):
        n = modulus(bits)
        for e in (3, 65537, 2 ** 63 + 1):
            ok(f"pem-{bits}-{e}", n, e, spki(n, e))
        ok(f"jwk-{bits}", n, 65537, json.dumps(jwk(n, 65537)))
        ok(f"az-{bits}", n, 65537, json.dumps(az(jwk(n, 65537, kid=KID)), indent=2), KID)
        ok(f"az-padded-{bits}", n, 65537, json.dumps(az(jwk(n, 65537, enc=std, kid=KID))), KID)
    for there, other in ("+/", "/+"):  # nothing else says that it is not base64url
        while there not in std(big(n)) or other in std(big(n)):
            n = modulus(3072)
        ok("jwk-one-sign", n, 65537, json.dumps(jwk(n, 65537, enc=std)))
    n, e = key.public_key().public_numbers().n, 65537
    text = spki(n, e)
    ok("pem-real", n, e, text)
    ok("pem-crlf", n, e, text.replace(b"\n", b"\r\n"))
    ok("pem-remarks", n, e, b"disk key\n\n" + text + b"\nmore -----\n")
    ok("jwk-kid", n, e, json.dumps(jwk(n, e, kid=KID)), KID)
    ok("jwk-kid-no-url", n, e, json.dumps(jwk(n, e, kid="2026-01")))
    ok("jwk-kid-blank", n, e, json.dumps(jwk(n, e, kid=KID + " x")))
    ok("jwk-kid-longest", n, e, json.dumps(jwk(n, e, kid=KID.ljust(599, "x"))), KID.ljust(599, "x"))
    ok("jwk-kid-too-long", n, e, json.dumps(jwk(n, e, kid=KID.ljust(600, "x"))))
    ok("jwk-hsm", n, e, " \n" + json.dumps(jwk(n, e) | {"kty": "RSA-HSM"}))
    ok("jwk-zeros", n, e, json.dumps({"kty": "RSA", "n": url(b"\0" + big(n)), "e": "AAEAAQ"}))
    ok("jwk-zeros-padded", n, e, json.dumps({"kty": "RSA", "n": std(b"\0" + big(n)), "e": "AAEAAQ=="}))
    ok("az-kty-null", n, e, json.dumps(az(jwk(n, e, kid=KID) | {"kty": None})), KID)


def sizes():
    """RSA, but not one for a disk."""
    for bits in (1024, 2047, 4097, 8192):
        n = modulus(bits)
        bad(f"pem-{bits}", "2048 to 4096 are accepted", spki(n, 65537))
        bad(f"jwk-{bits}", "2048 to 4096" if bits < 4200 else "no public key", json.dumps(jwk(n, 65537)))
    n = modulus(2048)
    bad("jwk-even", "even", json.dumps(jwk(n + 1, 65537)))
    bad("jwk-e-1", "exponent", json.dumps(jwk(n, 1)))
    bad("jwk-e-even", "exponent", json.dumps(jwk(n, 65536)))
    bad("jwk-e-huge", "exponent", json.dumps(jwk(n, n + 2)))
    bad("jwk-n-endless", "no public key", json.dumps({"kty": "RSA", "n": "A" * 9000, "e": "AQAB"}))


def private():
    """Private keys, in every form and place."""
    says = "WARNING: this is a PRIVATE key"
    pkcs8, pkcs1 = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL
    n = key.public_key().public_numbers().n
    for name, k in (("rsa", key), ("ec", curve)):
        bad(f"private-pkcs8-{name}", says, k.private_bytes(PEM, pkcs8, PLAIN))
        bad(f"private-old-{name}", says, k.private_bytes(PEM, pkcs1, PLAIN))
        bad(f"private-ssh-{name}", says, k.private_bytes(PEM, serialization.PrivateFormat.OpenSSH, PLAIN))
    bad("private-encrypted", says,
        key.private_bytes(PEM, pkcs8, serialization.BestAvailableEncryption(b"secret")))
    bad("private-too", says, spki(n, 65537) + key.private_bytes(PEM, pkcs8, PLAIN))
    d = url(big(key.private_numbers().d))
    bad("private-jwk", says, json.dumps(jwk(n, 65537, d=d)))
    bad("private-az", says, json.dumps(az(jwk(n, 65537, d=d))))
    bad("private-beside", says, json.dumps({"d": d, "key": jwk(n, 65537)}))
    for name in ("p", "q", "dp", "dq", "qi", "oth", "k"):
        bad(f"private-jwk-{name}", says, json.dumps(jwk(n, 65537, **{name: [] if name == "oth" else "AQAB"})))
    bad("private-twice", says, json.dumps(jwk(n, 65537))[:-1] + ',"d":null,"d":null}')


def kinds():
    """Keys that are not RSA."""
    spki_format = serialization.PublicFormat.SubjectPublicKeyInfo
    says = "a binding of kind wrapped needs an RSA key"
    bad("ec-pem", "an EC key: " + says, curve.public_key().public_bytes(PEM, spki_format))
    bad("ec-jwk", "an EC key: " + says, json.dumps({"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"}))
    bad("ec-az", "an EC key: " + says, json.dumps(az({"kty": "EC-HSM", "crv": "P-256", "x": "AQ", "y": "AQ"})))
    bad("oct-az", "a symmetric key", json.dumps(az({"kty": "oct-HSM"})))
    bad("okp", says, json.dumps({"kty": "OKP", "crv": "Ed25519", "x": "AQ"}))
    bad("ed25519", says, ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(PEM, spki_format))
    bad("pkcs1", "in no form that is known",
        key.public_key().public_bytes(PEM, serialization.PublicFormat.PKCS1))
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    when = datetime.datetime(2026, 1, 1)
    cert = x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key()) \
        .serial_number(1).not_valid_before(when).not_valid_after(when).sign(key, hashes.SHA256())
    bad("certificate", "a certificate", cert.public_bytes(PEM))
    bad("ssh", "in no form", key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH))


def framed(der):
    """DER as PEM of a public key."""
    return b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(der) + b"-----END PUBLIC KEY-----\n"


def tlv(tag, body):
    """One DER element."""
    n = len(body)
    size = bytes([n]) if n < 128 else bytes([0x81, n]) if n < 256 else b"\x82" + n.to_bytes(2, "big")
    return bytes([tag]) + size + body


def damaged():
    """Keys that were good, and what only looks like one."""
    n, e = modulus(2048), 65537
    text = spki(n, e)
    der = base64.b64decode(b"".join(text.split(b"\n")[1:-2]))
    for i in range(len(der)):
        bad(f"der-cut-{i}", "no public key", framed(der[:i]))
    bad("der-more", "damaged", framed(der + b"\0"))
    oid = bytes.fromhex("06092a864886f70d010101")
    body = tlv(2, b"\0" + big(n)) + tlv(2, big(e))
    inner = tlv(0x30, body)

    def made(algorithm, bits, more=b""):
        return framed(tlv(0x30, tlv(0x30, algorithm) + tlv(3, bits) + more))
    ok("der-made", n, e, made(oid + b"\5\0", b"\0" + inner))
    ok("der-no-null", n, e, made(oid, b"\0" + inner))
    bad("der-parameters", "damaged", made(oid + b"\2\1\0", b"\0" + inner))
    bad("der-two-nulls", "damaged", made(oid + b"\5\0\5\0", b"\0" + inner))
    bad("der-bits", "damaged", made(oid + b"\5\0", b"\1" + inner))
    bad("der-no-bits", "damaged", made(oid + b"\5\0", b""))
    bad("der-behind", "damaged", made(oid + b"\5\0", b"\0" + inner, b"\5\0"))
    bad("der-behind-key", "damaged", made(oid + b"\5\0", b"\0" + inner + b"\0"))
    bad("der-third", "damaged", made(oid + b"\5\0", b"\0" + tlv(0x30, body + tlv(2, b"\1"))))
    bad("der-negative", "damaged", made(oid + b"\5\0", b"\0" + tlv(0x30, tlv(2, big(n)) + tlv(2, big(e)))))
    bad("der-nested", "no public key", framed(tlv(0x30, tlv(0x30, tlv(0x30, tlv(0x30, der))))))
    bad("pem-cut", "the PEM text is damaged", text[:-20])
    bad("pem-base64", "the PEM text is damaged", text.replace(b"\nMII", b"\nM*I"))
    bad("pem-two", "several", text + text)
    bad("pem-huge", "damaged", framed(bytes(9000)))
    bad("pem-larger", "damaged", framed(bytes(3000)))
    good_jwk = json.dumps(jwk(n, e))
    for i in range(1, len(good_jwk), 7):
        bad(f"json-cut-{i}", "no public key", good_jwk[:i])
    bad("json-deep", "no public key", '{"key":' * 40 + good_jwk + "}" * 40)
    bad("json-twice", "no public key", json.dumps({"key": {"key": jwk(n, e)}}))
    bad("json-set", "no public key", json.dumps({"keys": [jwk(n, e)]}))
    bad("json-key-text", "its member key is no JWK", json.dumps({"key": good_jwk}))
    bad("json-key-two", "no public key", '{"key":' + good_jwk + ',"key":' + good_jwk + "}")
    bad("json-key-two-beside", "no public key", good_jwk[:-1] + ',"key":{},"key":{}}')
    bad("json-n-two", "no public key", good_jwk[:-1] + ',"n":"AQAB"}')
    bad("json-n-number", "not text", json.dumps(jwk(n, e) | {"n": 5}))
    bad("json-mixed", "no public key", json.dumps(jwk(n, e) | {"n": "-_+/" * 90}))
    bad("json-no-e", "not there", json.dumps({"kty": "RSA", "n": url(big(n))}))
    bad("json-array", "no form", "[" + good_jwk + "]")
    bad("json-many", "no public key", json.dumps(jwk(n, e, keyOps=["x"] * 2000)))
    bad("empty", "no form", "")
    bad("blank", "no form", " \n\t\n")
    bad("brace", "no public key", "{")
    bad("binary", "no form", der)
    bad("utf16", "no form", good_jwk.encode("utf-16"))


good()
sizes()
private()
kinds()
damaged()
