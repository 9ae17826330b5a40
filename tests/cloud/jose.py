"""Base64, strict JSON, JWK and JWS (RS256), as the services read and write them."""

import base64
import binascii
import hashlib
import json
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa


class FormatError(ValueError):
    """Text that is not what its format demands."""


def b64u(data):
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def b64(data):
    """Standard base64 with padding."""
    return base64.b64encode(data).decode()


def un64u(text, padded=False):
    """Strict base64url; padding only when `padded` allows it.  Unused bits must be zero."""
    if not isinstance(text, str):
        raise FormatError("not a string")
    core = text.rstrip("=") if padded else text
    if padded and core != text and len(text) % 4:
        raise FormatError("wrong base64url padding")
    if not re.fullmatch(r"[A-Za-z0-9_-]*", core) or len(core) % 4 == 1:
        raise FormatError("not base64url")
    data = base64.urlsafe_b64decode(core + "=" * (-len(core) % 4))
    if b64u(data) != core:
        raise FormatError("base64url with unused bits set")
    return data


def un64(text):
    """Strict standard base64 with padding on one line."""
    if not isinstance(text, str):
        raise FormatError("not a string")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise FormatError("not standard base64 with padding") from None
    if b64(data) != text:
        raise FormatError("not standard base64 with padding")
    return data


def _no_duplicates(pairs):
    out = {}
    for name, value in pairs:
        if name in out:
            raise FormatError("member '%s' appears twice" % name)
        out[name] = value
    return out


def _no_constant(word):
    raise FormatError("%s is not JSON" % word)


def strict_json(data):
    """RFC 8259 and no duplicate member names; bytes must be UTF-8 without a BOM."""
    try:
        text = data.decode("utf-8") if isinstance(data, (bytes, bytearray)) else data
        return json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except FormatError:
        raise
    except (ValueError, RecursionError) as e:
        raise FormatError("not JSON: %s" % e) from None


def compact(value):
    """The shortest spelling of a JSON value, as bytes."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def uint(number, size=None):
    """A number as big-endian bytes: no leading zero, or exactly `size` bytes."""
    return number.to_bytes(size or max(1, (number.bit_length() + 7) // 8), "big")


def rsa_jwk(public, **more):
    """The public half of an RSA key as a JWK."""
    n = public.public_numbers()
    return dict({"kty": "RSA", "n": b64u(uint(n.n)), "e": b64u(uint(n.e))}, **more)


def rsa_from_jwk(jwk):
    """The RSA public key in a JWK; FormatError when it is none that may be used."""
    try:
        if jwk["kty"] != "RSA":
            raise FormatError("kty is not RSA")
        n = int.from_bytes(un64u(jwk["n"]), "big")
        e = int.from_bytes(un64u(jwk["e"]), "big")
        if not 2048 <= n.bit_length() <= 4096 or e < 3 or not e & 1 or not n & 1:
            raise FormatError("RSA parameters out of range")
        return rsa.RSAPublicNumbers(e, n).public_key()
    except (KeyError, TypeError):
        raise FormatError("JWK lacks kty, n or e") from None


def thumbprint(jwk):
    """RFC 7638 SHA-256 thumbprint of an RSA JWK."""
    text = compact({"e": jwk["e"], "kty": jwk["kty"], "n": jwk["n"]})
    return b64u(hashlib.sha256(text).digest())


def sign(header, payload, key):
    """A compact JWS with RS256; `payload` is bytes or a JSON value."""
    if not isinstance(payload, bytes):
        payload = compact(payload)
    signed = b64u(compact(header)) + "." + b64u(payload)
    signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return signed + "." + b64u(signature)


class Jws:
    """A compact JWS taken apart: header (dict), payload (bytes), claims(), verify()."""

    def __init__(self, text):
        parts = text.split(".") if isinstance(text, str) else []
        if len(parts) != 3 or not all(parts):
            raise FormatError("not three parts")
        self.header = strict_json(un64u(parts[0]))
        if not isinstance(self.header, dict):
            raise FormatError("header is not an object")
        self.payload = un64u(parts[1])
        self.signature = un64u(parts[2])
        self.signed = (parts[0] + "." + parts[1]).encode()

    def claims(self):
        """The payload as a JSON object."""
        value = strict_json(self.payload)
        if not isinstance(value, dict):
            raise FormatError("payload is not an object")
        return value

    def verify(self, public):
        """RS256 only; True when the signature is this key's."""
        if self.header.get("alg") != "RS256" or "crit" in self.header:
            return False
        try:
            public.verify(self.signature, self.signed, padding.PKCS1v15(), hashes.SHA256())
            return True
        except InvalidSignature:
            return False
