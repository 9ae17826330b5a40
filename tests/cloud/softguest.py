"""A guest whose TPM is software of ours: evidence that is wrong in exactly one way.

A real TPM refuses to sign nonsense; this one signs whatever a test asks for, so that each check of
the service can be violated while all others hold.
"""

import os
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

import amd
import hcl
import jose
import pki
import refclient
import snp
import tpm2

RSASSA = struct.pack(">HH", tpm2.ALG_RSASSA, tpm2.ALG_SHA256)
NULL = struct.pack(">H", tpm2.ALG_NULL)


def attest(kind, body, magic=tpm2.ATTEST_MAGIC, extra=b"", tail=b""):
    """A TPMS_ATTEST."""
    return (struct.pack(">IH", magic, kind) + tpm2.sized(b"\0\x0b" + bytes(32)) +
            tpm2.sized(extra) + struct.pack(">QIIBQ", 1000, 1, 0, 1, 0x2019102300163636) + body +
            tail)


class SoftGuest:
    """Keys of one guest; `parts(**wishes)` makes evidence, `info(**wishes)` the JSON of it."""

    def __init__(self, state):
        self.ca, self.host = pki.Pki(state), amd.Amd(state)
        self.ak, self.enc, self.other = (pki.new_key("rsa") for _ in range(3))
        self.pcrs = [os.urandom(32) for _ in tpm2.PCRS]
        self.certs = {}

    def public(self, key, attributes, policy=b"", scheme=NULL):
        """TPM2B_PUBLIC of a key."""
        unique = key.public_key().public_numbers().n.to_bytes(256, "big")
        return tpm2.rsa_template(attributes, policy, scheme, unique)

    def certificate(self, key, issuer, days):
        """The AK certificate, made once for each combination."""
        label = (id(key), issuer, days)
        if label not in self.certs:
            self.certs[label] = pki.cert_der(self.ca.issue_ak(key.public_key(), issuer=issuer,
                                                              days=days))
        return self.certs[label]

    @staticmethod
    def signature(key, data):
        """RSASSA-PKCS1-v1_5, SHA-256."""
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())

    def decrypt(self, data):
        """RSAES with the ephemeral key."""
        return self.enc.decrypt(data, padding.PKCS1v15())

    def parts(self, ak_attributes=tpm2.AK_ATTRIBUTES, ak_scheme=RSASSA, ak_cert_key=None,
              ak_issuer="vtpm-ca", ak_days=(30, 365), quote_type=tpm2.ST_QUOTE, quote=None,
              quote_key=None, quote_select=None, quote_digest=None, enc=None, certify=None,
              certify_key=None, certify_type=tpm2.ST_CERTIFY, name=None, report=None, hcl_key=None,
              runtime=None, bound=None, **replace):
        """Evidence as refclient.evidence() makes it; a wish changes one thing and what follows."""
        replace = dict(replace)
        ak_pub = self.public(self.ak, ak_attributes, scheme=ak_scheme)
        enc = dict({"attributes": tpm2.EPHEMERAL_ATTRIBUTES, "scheme": NULL,
                    "policy": tpm2.policy_pcr_digest(self.pcrs)}, **(enc or {}))
        enc_pub = replace.pop("enc_pub", None) or self.public(self.enc, **enc)
        select = quote_select or tpm2.pcr_selection()
        digest = quote_digest or tpm2.pcr_digest(self.pcrs)
        body = select + tpm2.sized(digest)
        if quote_type == tpm2.ST_CERTIFY:
            body = tpm2.sized(digest) * 2
        quoted = attest(quote_type, body, **(quote or {}))
        body = tpm2.sized(name or tpm2.Public(enc_pub).name()) * 2
        if certify_type == tpm2.ST_QUOTE:
            body = select + tpm2.sized(digest)
        certified = attest(certify_type, body, **(certify or {}))
        runtime = runtime or hcl.runtime_data((hcl_key or self.ak).public_key(), 2048)
        bound = bound if bound is not None else hcl.binding(runtime)
        out = {
            "ak_cert": self.certificate(ak_cert_key or self.ak, ak_issuer, ak_days),
            "ak_pub": ak_pub, "pcrs": self.pcrs, "quote": quoted, "enc_pub": enc_pub,
            "quote_signature": self.signature(quote_key or self.ak, quoted),
            "certify": certified,
            "certify_signature": self.signature(certify_key or self.ak, certified),
            "report": snp.build(self.host, bound, **(report or {})), "runtime": runtime,
            "chain": (self.host.vcek_pem + self.host.chain_pem).encode(), "log": b"",
            "nonce": b"soft nonce"}
        out.update(replace)
        return out

    def info(self, **wishes):
        """The AttestationInfo."""
        return refclient.attestation_info(self.parts(**wishes))


def isolation(parts, **proof):
    """IsolationInfo with a proof document of the caller's."""
    document = {"SnpReport": jose.b64u(parts["report"]), "VcekCertChain": jose.b64(parts["chain"])}
    document.update(proof)
    return {"Type": "SevSnp", "Evidence": {
        "Proof": jose.b64(jose.compact({k: v for k, v in document.items() if v is not None})),
        "RunTimeData": jose.b64(parts["runtime"])}}
