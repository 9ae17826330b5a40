"""A guest with an SNP device of its own, in software: evidence that is wrong in exactly one way.

The simulated host signs whatever a test asks for, and so do its authorities, so that each check of
the service can be violated while all others hold.
"""

import hashlib

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

import amd
import amdcert
import hcl
import jose
import pki
import snp

END = "-----END CERTIFICATE-----\n"
NONCE = jose.b64u(bytes(range(16)))


class Forge:
    """Certificates of the host's shape, with something changed."""

    def __init__(self, host):
        self.host, self.product = host, host.product
        self.good = dict(zip(("vcek", "ask", "ark"), (
            c + END for c in (host.vcek_pem + host.chain_pem).split(END))))

    def cert(self, what, **changes):
        """One certificate, as amdcert.certificate takes it."""
        host, name = self.host, self.product.name
        public = changes.pop("public", None)
        if what == "vcek":
            out = {"subject": "SEV-VCEK", "public": public or host.vcek_key.public_key(),
                   "issuer": "SEV-" + name, "signer": host.authority_key("ask"),
                   "extensions": amdcert.leaf_extensions(self.product, host.tcb, host.chip_id)}
        else:
            public = public or host.authority_key(what).public_key()
            out = {"subject": {"ask": "SEV-", "ark": "ARK-"}[what] + name, "public": public,
                   "issuer": "ARK-" + name, "signer": host.authority_key("ark"), "years": 25,
                   "serial": amd.SERIALS[what],
                   "extensions": amdcert.ca_extensions(public, None if what == "ark" else 0,
                                                       what == "ark")}
        out.update(changes)
        der = amdcert.certificate(**out)
        return pki.cert_pem(x509.load_der_x509_certificate(der)).decode()

    def chain(self, **changes):
        """VCEK, ASK and ARK; each with changes (a dict), as a text, or as it is."""
        out = ""
        for what in ("vcek", "ask", "ark"):
            change = changes.get(what)
            out += self.good[what] if change is None else \
                change if isinstance(change, str) else self.cert(what, **change)
        return out


def chains(host, data):
    """Certificates that are wrong: (what, report, chain, check, message)."""
    forge, product = Forge(host), host.product
    good, pss = snp.build(host, data), amdcert.pss_algorithm
    ask_key, small = host.authority_key("ask"), pki.new_key("rsa")
    p256 = ec.generate_private_key(ec.SECP256R1())
    other = next(p for p in amdcert.PRODUCTS.values() if p.name != product.name)

    def leaf(**more):
        return {"extensions": amdcert.leaf_extensions(product, host.tcb, host.chip_id, **more)}

    not_ca = amdcert.ca_extensions(ask_key.public_key(), 0, False, authority=False)
    return [
        ("a chain without its root", good, forge.chain(ark=""), "chain:length", "2 certificates"),
        ("a chain with one more", good, forge.chain() + forge.good["ark"], "chain:length", "4 cert"),
        ("a chain that is no PEM", good, "certificates", "chain:length", "0 certificates"),
        ("a chain with garbage in it", good, forge.chain(ask=forge.good["ask"][:28] + "!" + END),
         "chain:structure", "not a chain"),
        ("a chain out of order", good, forge.good["ask"] + forge.good["vcek"] + forge.good["ark"],
         "chain:issuer", "ASK has another issuer"),
        ("a root of another serial number", good, forge.chain(ark={"serial": 7}), "chain:root",
         "trusted ARK"),
        ("a certificate that names a salt of 32", good, forge.chain(vcek={"alg": pss(32)}),
         "chain:algorithm", "salt 48"),
        ("an ASK that names a salt of 32", good, forge.chain(ask={"alg": pss(32)}),
         "chain:algorithm", "ASK is not signed with RSASSA-PSS"),
        ("a certificate that names two algorithms", good,
         forge.chain(vcek={"outer": amdcert.PSS_SHORT}), "chain:algorithms-agree", "two signature"),
        ("an ASK with an RSA-2048 key", good, forge.chain(
            ask={"public": small.public_key()}, vcek={"signer": small}), "chain:issuer-key",
         "RSA-4096"),
        ("another issuer", good, forge.chain(vcek={"issuer": "SEV-" + other.name}), "chain:issuer",
         "VCEK has another issuer"),
        ("a signature with a salt of 32", good, forge.chain(vcek={"salt": 32}), "chain:signature",
         "signature of VCEK"),
        ("a VCEK signed by the ARK", good, forge.chain(
            vcek={"signer": host.authority_key("ark")}), "chain:signature", "signature of VCEK"),
        ("an ASK that signs itself", good, forge.chain(ask={"signer": ask_key}),
         "chain:signature", "signature of ASK"),
        ("an expired VCEK", good, forge.chain(vcek={"years": 1}), "chain:validity", "VCEK is not"),
        ("a VCEK of tomorrow", good, forge.chain(vcek={"started": -1}), "chain:validity",
         "VCEK is not valid"),
        ("an expired ASK", good, forge.chain(ask={"years": 1}), "chain:validity", "ASK is not"),
        ("an ASK that is no authority", good, forge.chain(ask={"extensions": not_ca}),
         "chain:authority", "ASK is no certificate authority"),
        ("a leaf that is called SEV-VLEK", good, forge.chain(vcek={"subject": "SEV-VLEK"}),
         "chain:names", "not named"),
        ("an ASK of another name", good, forge.chain(
            ask={"subject": "SEV-" + other.name}, vcek={"issuer": "SEV-" + other.name}),
         "chain:names", "not named"),
        ("a VCEK on P-256", snp.build(host, data, key=p256),
         forge.chain(vcek={"public": p256.public_key()}), "chain:key", "P-384"),
        ("a VCEK without a microcode level", good, forge.chain(vcek=leaf(without=("ucode",))),
         "vcek-extensions", "lacks AMD's extensions"),
        ("a VCEK without a chip id", good, forge.chain(vcek={
            "extensions": amdcert.leaf_extensions(product, host.tcb)}), "chip", "another chip"),
        ("a VCEK of another product", good, forge.chain(vcek=leaf(marking=other.marking)),
         "vcek-product", "the VCEK is for %s" % other.marking)]


def reports(host, data):
    """Reports that are wrong: (what, report, chain, check, message)."""
    chain, product = host.vcek_pem + host.chain_pem, host.product
    good, other = snp.build(host, data), ec.generate_private_key(ec.SECP384R1())
    at = product.layout.index("ucode")
    tcb = host.tcb[:at] + bytes([host.tcb[at] ^ 1]) + host.tcb[at + 1:]
    chip = host.chip_id[:63] + bytes([host.chip_id[63] ^ 1])
    _, vlek, above = host.vlek()
    elsewhere = next(p for p in amdcert.PRODUCTS.values() if p.name != product.name)
    out = [(what, snp.build(host, data, **options), chain, check, message)
           for what, options, check, message in (
               ("report version 1", {"version": 1}, "version", "report version 1"),
               ("report version 9", {"version": 9}, "version", "report version 9"),
               ("another signature algorithm", {"signature_algo": 2}, "algorithm", "algorithm 2"),
               ("policy bit 17 clear", {"policy": 0x1001F}, "policy", "bit 17"),
               ("a report that says it is by no key", {"signer": "none", "key": host.vcek_key},
                "signer", "not signed by a VCEK"),
               ("another processor's family and model", {"version": 3, "fms": elsewhere.fms},
                "product", "another processor"),
               ("a report signed by another key", {"key": other}, "signature", "report's signature"),
               ("another TCB than the VCEK's", {"tcb": tcb}, "tcb", "is for TCB"),
               ("another chip than the VCEK's", {"chip_id": chip}, "chip", "another chip"),
               ("a masked chip id", {"mask_id": True}, "chip", "another chip"))]
    return out + [
        ("a report of 1216 bytes", bytes(32) + good, chain, "size", "1216 bytes"),
        ("a report of 1183 bytes", good[:-1], chain, "size", "1183 bytes"),
        ("a report signed by the VLEK", snp.build(host, data, signer="vlek"), vlek + above,
         "signer-vlek", "signed by a VLEK"),
        ("a report that nobody signed", snp.build(host, data, mask_key=True), chain, "signer",
         "not signed by a VCEK"),
        ("bytes in the signature's reserve", good[:-1] + b"\1", chain, "signature-form",
         "must be zero"),
        ("a flipped bit in the report", good[:0x91] + bytes([good[0x91] ^ 1]) + good[0x92:], chain,
         "signature", "report's signature"),
        ("a flipped bit in the signature", good[:0x2A1] + bytes([good[0x2A1] ^ 1]) + good[0x2A2:],
         chain, "signature", "report's signature"),
        ("a VCEK of older firmware", good, host.vcek(host.old_tcb)[1] + host.chain_pem,
         "signature", "report's signature"),
        ("a report of older firmware with this VCEK", snp.build(
            host, data, tcb=host.old_tcb, key=host.vcek(host.old_tcb)[0]), chain, "signature",
         "report's signature"),
        ("a VCEK of another key", good, host.other_vcek() + host.chain_pem, "signature",
         "report's signature")]


class SnpGuest:
    """A guest with a wrapping key; `body(**wishes)` is what it sends to the service."""

    def __init__(self, state, bits=2048):
        self.host, self.bits = amd.Amd(state), bits
        self.key = pki.new_key("rsa%d" % bits if bits != 2048 else "rsa")
        jwk = jose.rsa_jwk(self.key.public_key())
        self.kid = jose.thumbprint(jwk)
        self.jwk = {"e": jwk["e"], "key_ops": ["encrypt"], "kid": self.kid, "kty": "RSA",
                    "n": jwk["n"]}

    def runtime(self, **more):
        """The runtime data."""
        return jose.compact(dict({"keys": [self.jwk], "latchkey": {
            "boot-nonce": NONCE, "config": "0" * 64}}, **more))

    def chain(self):
        """VCEK, ASK, ARK of the present host."""
        return self.host.vcek_pem + self.host.chain_pem

    def proof(self, report, chain=None, **more):
        """The document in `report`; None leaves a member out."""
        out = {"SnpReport": jose.b64u(report),
               "VcekCertChain": jose.b64u((chain or self.chain()).encode())}
        out.update(more)
        return {n: v for n, v in out.items() if v is not None}

    def body(self, runtime=None, bound=None, report=None, raw=None, chain=None, proof=None,
             kind="JSON", **members):
        """A request body; `report` are options for snp.build, `raw` a report, `proof` the JSON
        value in its place; more members as they are, None leaves one out."""
        runtime = self.runtime() if runtime is None else runtime
        if raw is None:
            raw = snp.build(self.host, hcl.binding(runtime) if bound is None else bound,
                            **(report or {}))
        if proof is None:
            proof = self.proof(raw, chain)
        if not isinstance(proof, bytes):
            proof = jose.compact(proof)
        out = {"report": jose.b64u(proof), "nonce": NONCE,
               "runtimeData": {"data": jose.b64u(runtime), "dataType": kind}}
        out.update(members)
        return {n: v for n, v in out.items() if v is not None}


def endorsement(measurement, **more):
    """A COSE_Sign1 around reference values; its signature is of no worth."""
    payload = jose.compact(dict({"x-ms-sevsnpvm-launchmeasurement": measurement.hex(),
                                 "x-ms-sevsnpvm-guestsvn": "100"}, **more))

    def bstr(data):
        return b"\x59" + len(data).to_bytes(2, "big") + data

    header = b"\xa2\x01\x38\x22\x18\x21\x81" + bstr(b"\x30\x00")     # alg ES384, an x5chain of one
    return b"\xd2\x84" + bstr(header) + b"\xa1\x19\x01\x00\x82\x00\x41\xff" + bstr(payload) + \
        bstr(hashlib.sha384(payload).digest() * 2)
