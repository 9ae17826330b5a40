"""LUKS2 tokens of type "latchkey" as include/lk/binding.h describes them, worked out a second time.

`made` gives token and slot secret for a private key: what an administrator's tool does where a
release is possible, and what anybody can do with a public half alone (kind "wrapped").
"""

import hashlib
import hmac
import os

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

import jose

LABEL = "Symmetric Encryption Key"
FIELDS = ("id", "kind", "key", "attest", "thumbprint", "uuid")


def hkdf(ikm, salt, info):
    """HKDF-SHA256, 32 bytes."""
    prk = hmac.new(salt, ikm, hashlib.sha256).digest()
    return hmac.new(prk, info + b"\1", hashlib.sha256).digest()


def canonical(key):
    """The bytes that everything of a binding is derived from."""
    if isinstance(key, bytes):
        return key
    if isinstance(key, rsa.RSAPrivateKey):
        n = key.private_numbers()
        return jose.uint(min(n.p, n.q), key.key_size // 16)
    return jose.uint(key.private_numbers().private_value, (key.key_size + 7) // 8)


def thumbprint(key):
    """RFC 7638; empty for an oct key."""
    if isinstance(key, bytes):
        return ""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        n, size = key.public_key().public_numbers(), (key.key_size + 7) // 8
        jwk = {"crv": "P-%d" % key.key_size, "kty": "EC", "x": jose.b64u(jose.uint(n.x, size)),
               "y": jose.b64u(jose.uint(n.y, size))}
        return jose.b64u(hashlib.sha256(jose.compact(jwk)).digest())
    return jose.thumbprint(jose.rsa_jwk(key.public_key()))


def sealed(token, key):
    """The token with its MAC."""
    salt = jose.un64u(token["salt"])
    mac_key = hkdf(canonical(key), salt, b"latchkey token v1" + token["uuid"].encode())
    fields = [b"latchkey", b"1"] + [token[f].encode() for f in FIELDS] + [salt]
    if token["kind"] == "compat":
        fields += [jose.un64u(token.get("kdf-salt", "")), token.get("label", LABEL).encode()]
    text = b"".join(len(f).to_bytes(4, "little") + f for f in fields)
    return dict(token, mac=jose.b64u(hmac.new(mac_key, text, hashlib.sha256).digest()))


def wrap(public, secret):
    """RSA-OAEP-SHA256, empty label."""
    algorithm = hashes.SHA256()
    return public.encrypt(secret, padding.OAEP(padding.MGF1(algorithm), algorithm, None))


def pin(token):
    """What the configuration must say of a wrapped one."""
    return hashlib.sha256(jose.un64u(token["wrapped"])).hexdigest()


def secret(token, key):
    """The secret of the slot, of a kind other than wrapped."""
    if token["kind"] == "raw":
        return key
    if token["kind"] == "compat":
        return hkdf(jose.uint(key.private_numbers().d), jose.un64u(token.get("kdf-salt", "")),
                    token.get("label", LABEL).encode())
    info = b"latchkey disk v1" + token["uuid"].encode()
    return jose.b64u(hkdf(canonical(key), jose.un64u(token["salt"]), info)).encode()


def made(kind, key, url, attest, uuid, slot=1, **more):
    """(token, secret of its slot). `more` are members of the kind."""
    token = {"type": "latchkey", "keyslots": [str(slot)], "version": 1, "id": os.urandom(8).hex(),
             "kind": kind, "key": url, "attest": attest, "thumbprint": thumbprint(key),
             "uuid": uuid}
    if kind == "wrapped":
        raw = os.urandom(32)
        token["wrapped"] = jose.b64u(wrap(key.public_key(), raw))
        return dict(token, **more), jose.b64u(raw).encode()
    token = sealed(dict(token, salt=jose.b64u(os.urandom(32)), **more), key)
    return token, secret(token, key)
