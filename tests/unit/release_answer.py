#!/usr/bin/python3
"""Write signed release answers of a vault for test_vault: release_answer.py DIR KID NONCE.

good.json is as a vault writes it; the others each have one thing wrong: the payload changed after
signing, a chain for another host, a chain to another root, another nonce, another algorithm, none.
"""
import base64
import datetime
import hashlib
import hmac
import json
import os
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ENC = "RSA_AES_KEY_WRAP_256"


def b64url(data):
    """Base64url without padding, as text."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def name(common):
    """A distinguished name of one part."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def certificate(subject, key, issuer, issuer_key, host=None):
    """A CA certificate, or with a host that host's server certificate."""
    now = datetime.datetime.utcnow()
    b = (x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
         .public_key(key.public_key()).serial_number(x509.random_serial_number())
         .not_valid_before(now - datetime.timedelta(days=1))
         .not_valid_after(now + datetime.timedelta(days=3650))
         .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True))
    if host:
        b = (b.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
             .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
                            critical=False))
    return b.sign(issuer_key, hashes.SHA256())


class Signer:
    """A root, a leaf for `host`, and what they sign."""

    def __init__(self, host):
        root_key = rsa.generate_private_key(65537, 2048)
        self.key = rsa.generate_private_key(65537, 2048)
        self.root = certificate("Test root", root_key, "Test root", root_key)
        self.leaf = certificate(host, self.key, "Test root", root_key, host)

    def head(self, alg):
        """The protected header with the chain."""
        chain = [c.public_bytes(serialization.Encoding.DER) for c in (self.leaf, self.root)]
        return {"alg": alg, "kid": "k", "typ": "JWT",
                "x5c": [base64.b64encode(c).decode() for c in chain]}

    def sign(self, payload, alg="RS256"):
        """A compact JWS."""
        text = b64url(json.dumps(self.head(alg)).encode()) + "." + b64url(payload)
        if alg == "none":
            return text + "."
        if alg == "HS256":
            public = self.key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            return text + "." + b64url(hmac.new(public, text.encode(), hashlib.sha256).digest())
        signature = self.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return text + "." + b64url(signature)


def payload_for(kid, nonce):
    """The release answer of a vault, with an RSA key of no use."""
    numbers = rsa.generate_private_key(65537, 2048).public_key().public_numbers()
    hsm = {"schema_version": "1.0", "header": {"kid": "T", "alg": "dir", "enc": ENC},
           "ciphertext": b64url(os.urandom(296))}
    key = {"kid": kid, "kty": "RSA-HSM", "key_ops": ["wrapKey"], "e": "AAEAAQ",
           "n": b64url(numbers.n.to_bytes(256, "big")), "key_hsm": b64url(json.dumps(hsm).encode())}
    return json.dumps({
        "request": {"api-version": "7.4", "enc": ENC, "kid": kid, "nonce": nonce},
        "response": {"key": {"key": key, "attributes": {"enabled": True}}}}).encode()


def main():
    """Write all the files."""
    folder, kid, nonce = sys.argv[1:]
    host = kid.split("/")[2]
    good = Signer(host)
    payload = payload_for(kid, nonce)
    jws = good.sign(payload)
    head, _, signature = jws.split(".")
    answers = {
        "good": jws,
        "payload": ".".join((head, b64url(payload_for(kid, nonce)), signature)),
        "other-root": Signer(host).sign(payload),
        "nonce": good.sign(payload_for(kid, nonce + "x")),
        "hs256": good.sign(payload, "HS256"),
        "none": good.sign(payload, "none"),
    }
    elsewhere = Signer("x.example.com")
    answers["other-host"] = elsewhere.sign(payload)
    for label, value in answers.items():
        with open(os.path.join(folder, label + ".json"), "w", encoding="ascii") as f:
            json.dump({"value": value}, f)
    with open(os.path.join(folder, "roots.pem"), "wb") as f:
        for signer in (good, elsewhere):
            f.write(signer.root.public_bytes(serialization.Encoding.PEM))


if __name__ == "__main__":
    main()
