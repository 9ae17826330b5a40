#!/usr/bin/python3
"""Prints signed objects for test_jws.c: "roots PEM", then lines "jws NAME VERDICT TEXT PAYLOAD", texts
in hexadecimal. VERDICT is what lk_jws_verify_x5c says for the host service.test."""

import base64
import json

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from tls_peer import DER, PEM, Pki

BODY = b'{"response":{"key":"value"}}'


def b64url(data):
    """Without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def b64(cert):
    """A certificate as x5c has it."""
    return base64.b64encode(cert.public_bytes(DER)).decode()


def sign(key, text, scheme=padding.PKCS1v15(), digest=hashes.SHA256()):
    """RS256 unless said otherwise."""
    return key.sign(text.encode(), scheme, digest)


class Maker:
    """Signs with one key and chain."""

    def __init__(self, key, certs):
        self.key = key
        self.x5c = [b64(c) for c in certs]

    def make(self, head=None, body=BODY, raw=None, signer=sign, **members):
        """The compact form; head replaces the whole header, raw its text."""
        head = head or {"alg": "RS256", "kid": "https://service.test/keys/k/1", "x5t": "abc",
                        "x5c": self.x5c, **members}
        text = b64url(raw if raw is not None else json.dumps(head).encode()) + "." + b64url(body)
        return text + "." + b64url(signer(self.key, text))

    def __call__(self, **members):
        return self.make(**members)


def headers(m):
    """(name, verdict, text): what the header may and may not say."""
    yield "plain", "ok", m()
    yield "other-key-hints", "ok", m(jku="https://evil.test/", x5u="https://evil.test/", jwk={"kty": "RSA"},
                                     typ="JWT")
    for alg in ("none", "rs256", "RS384", "HS256", "PS256", "RS256 ", ""):
        yield "alg-" + alg.strip(), "trust", m(alg=alg)
    yield "alg-number", "protocol", m(alg=256)
    yield "alg-list", "protocol", m(alg=["RS256"])
    yield "no-alg", "protocol", m.make(head={"x5c": m.x5c})
    twice = json.dumps({"alg": "RS256", "x5c": m.x5c})
    yield "alg-twice", "protocol", m.make(raw=(twice[:-1] + ',"alg":"none"}').encode())
    yield "alg-twice-escaped", "protocol", m.make(raw=(twice[:-1] + ',"\\u0061lg":"none"}').encode())
    yield "x5c-twice", "protocol", m.make(raw=(twice[:-1] + ',"x5c":[]}').encode())
    yield "crit", "trust", m(crit=["exp"], exp=1)
    yield "crit-empty", "trust", m(crit=[])
    yield "b64-false", "trust", m(b64=False)
    yield "b64-true", "trust", m(b64=True)
    yield "not-json", "protocol", m.make(raw=b"RS256")
    yield "not-an-object", "protocol", m.make(raw=b'["alg"]')
    yield "bom", "protocol", m.make(raw=b"\xef\xbb\xbf" + twice.encode())
    yield "trailing-text", "protocol", m.make(raw=twice.encode() + b"x")


def chains(pki, m, by_case):
    """What x5c may and may not hold."""
    yield "with-root", "ok", m(x5c=m.x5c + [b64(pki.root.cert)])
    yield "rsa-4096", "ok", by_case["rsa-root"]()
    yield "no-x5c", "protocol", m.make(head={"alg": "RS256"})
    yield "x5c-empty", "protocol", m(x5c=[])
    yield "x5c-seven", "limit", m(x5c=(m.x5c * 4)[:7])
    yield "x5c-text", "protocol", m(x5c=m.x5c[0])
    yield "x5c-number", "protocol", m(x5c=[1])
    yield "x5c-url-alphabet", "protocol", m(x5c=[m.x5c[0].replace("+", "-").replace("/", "_")] + m.x5c[1:])
    yield "x5c-line-break", "protocol", m(x5c=[m.x5c[0][:64] + "\n" + m.x5c[0][64:]] + m.x5c[1:])
    yield "x5c-garbage", "protocol", m(x5c=["AAAA"])
    yield "x5c-large", "limit", m(x5c=[base64.b64encode(bytes(8193)).decode()])
    yield "x5c-large-enough", "protocol", m(x5c=[base64.b64encode(bytes(8192)).decode()])
    der = base64.b64decode(m.x5c[0])
    yield "x5c-trailing-byte", "protocol", m(x5c=[base64.b64encode(der + b"\0").decode()] + m.x5c[1:])
    yield "x5c-cut", "protocol", m(x5c=[base64.b64encode(der[:-1]).decode()] + m.x5c[1:])
    yield "root-first", "trust", m(x5c=m.x5c[::-1])
    yield "other-leaf", "trust", m(x5c=by_case["rsa-root"].x5c)
    yield "ec-leaf", "protocol", m(x5c=by_case["ec"].x5c)
    for case in ("wrong-host", "wrong-ca", "self-signed", "no-intermediate", "expired", "not-yet",
                 "no-san", "client-only"):
        yield case, "trust", by_case[case]()


def signatures(pki, m):
    """What a signature may and may not be, and damage after signing."""
    good = m()
    head, body, sig = good.split(".")
    raw = base64.urlsafe_b64decode(sig + "==")
    yield "pss", "trust", m.make(signer=lambda k, t: sign(
        k, t, padding.PSS(padding.MGF1(hashes.SHA256()), 32)))
    yield "sha512", "trust", m.make(signer=lambda k, t: sign(k, t, digest=hashes.SHA512()))
    yield "other-signer", "trust", m.make(signer=lambda k, t: sign(pki.rsa4096, t))
    yield "sig-zeros", "trust", m.make(signer=lambda k, t: bytes(256))
    yield "sig-ones", "trust", m.make(signer=lambda k, t: b"\xff" * 256)
    yield "sig-short", "trust", f"{head}.{body}.{b64url(raw[:-1])}"
    yield "sig-long", "trust", f"{head}.{body}.{b64url(raw + bytes(1))}"
    yield "sig-huge", "limit", f"{head}.{body}.{b64url(bytes(513))}"
    yield "sig-none", "protocol", f"{head}.{body}."
    yield "sig-padded", "protocol", good + "=="
    yield "sig-loose-bits", "protocol", good[:-1] + ("B" if good[-1] == "A" else "x" if good[-1] == "w"
                                                     else "h" if good[-1] == "g" else "R")
    yield "other-body", "trust", f"{head}.{b64url(BODY + b' ')}.{sig}"
    other = b64url(json.dumps({"alg": "RS256", "x5c": m.x5c}).encode())
    yield "other-head", "trust", f"{other}.{body}.{sig}"
    yield "swapped", "protocol", f"{body}.{head}.{sig}"
    yield "two-parts", "protocol", f"{head}.{body}"
    yield "four-parts", "protocol", good + ".AAAA"
    yield "line-break", "protocol", good + "\n"
    yield "too-long", "limit", m(pad="x" * 50000)
    yield "nearly-too-long", "ok", m(pad="x" * 30000)


def main():
    """One line each."""
    pki = Pki()
    by_case = {case: Maker(key, certs) for case, key, certs in pki.chains()}
    m = by_case["rsa"]
    roots = pki.root.cert.public_bytes(PEM) + pki.rsa_root.cert.public_bytes(PEM)
    print("roots", roots.hex())
    for part in (headers(m), chains(pki, m, by_case), signatures(pki, m)):
        for name, verdict, text in part:
            print("jws", name, verdict, text.encode().hex(), BODY.hex())


if __name__ == "__main__":
    main()
