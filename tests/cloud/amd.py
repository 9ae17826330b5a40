"""The AMD chain of the simulated host: ARK and ASK (RSA-4096, RSASSA-PSS), VCEK (P-384).

Algorithms, names, extensions and the VCEK's serial number 0 are those of the real Milan chain
(protocol/snp-maa-akv.md, section 1.6), written with our own DER.  `verify_chain` checks any chain
of that shape, the real one included.
"""

import datetime
import hashlib
import json
import os

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

import der
import pki

BASE = "1.3.6.1.4.1.3704.1."
SPL_OIDS = {"blSPL": BASE + "3.1", "teeSPL": BASE + "3.2", "spl4": BASE + "3.4",
            "spl5": BASE + "3.5", "spl6": BASE + "3.6", "spl7": BASE + "3.7",
            "snpSPL": BASE + "3.3", "ucodeSPL": BASE + "3.8"}
# where each level sits in the eight bytes of a Milan or Genoa TCB
SPL_BYTES = {"blSPL": 0, "teeSPL": 1, "spl4": 2, "spl5": 3, "spl6": 4, "spl7": 5,
             "snpSPL": 6, "ucodeSPL": 7}
HWID_OID = BASE + "4"
PRODUCT_OID = BASE + "2"
DEFAULT_TCB = bytes([4, 0, 0, 0, 0, 0, 0x18, 0xDB])     # tcbm DB18000000000004

_SHA384 = der.seq(der.oid("2.16.840.1.101.3.4.2.2"), b"\x05\x00")
PSS = der.seq(der.oid("1.2.840.113549.1.1.10"), der.seq(
    der.tlv(0xA0, _SHA384), der.tlv(0xA1, der.seq(der.oid("1.2.840.113549.1.1.8"), _SHA384)),
    der.tlv(0xA2, der.integer(48)), der.tlv(0xA3, der.integer(1))))
# RFC 4055 lets a DER encoder leave out the trailer field, whose default is 1
PSS_SHORT = der.seq(der.oid("1.2.840.113549.1.1.10"), der.seq(
    der.tlv(0xA0, _SHA384), der.tlv(0xA1, der.seq(der.oid("1.2.840.113549.1.1.8"), _SHA384)),
    der.tlv(0xA2, der.integer(48))))


class ChainError(ValueError):
    """The certificates do not prove what they should."""


def _pss():
    return padding.PSS(padding.MGF1(hashes.SHA384()), 48)


def amd_name(cn):
    """A name in AMD's order of attributes."""
    return x509.Name([x509.NameAttribute(o, v) for o, v in (
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "Engineering"), (NameOID.COUNTRY_NAME, "US"),
        (NameOID.LOCALITY_NAME, "Santa Clara"), (NameOID.STATE_OR_PROVINCE_NAME, "CA"),
        (NameOID.ORGANIZATION_NAME, "Advanced Micro Devices"), (NameOID.COMMON_NAME, cn))])


def _extension(dotted, value, critical=False):
    return der.seq(der.oid(dotted), b"\x01\x01\xff" if critical else b"", der.octets(value))


def certificate(subject, public, issuer, signer, serial, years, extensions):
    """A certificate signed with RSASSA-PSS, SHA-384, MGF1-SHA-384, salt 48."""
    start = pki.now() - datetime.timedelta(days=400)
    spki = public.public_bytes(serialization.Encoding.DER,
                               serialization.PublicFormat.SubjectPublicKeyInfo)
    tbs = der.seq(der.tlv(0xA0, der.integer(2)), der.integer(serial), PSS,
                  amd_name(issuer).public_bytes(),
                  der.seq(der.time(start), der.time(start + datetime.timedelta(365 * years))),
                  amd_name(subject).public_bytes(), spki, der.tlv(0xA3, der.seq(*extensions)))
    return der.seq(tbs, PSS, der.bits(signer.sign(tbs, _pss(), hashes.SHA384())))


def _ca_extensions(public, path_length, crl_sign):
    usage = x509.KeyUsage(False, False, False, False, False, True, crl_sign, False, False)
    return [_extension("2.5.29.14",
                       x509.SubjectKeyIdentifier.from_public_key(public).public_bytes()),
            _extension("2.5.29.19", x509.BasicConstraints(True, path_length).public_bytes(), True),
            _extension("2.5.29.15", usage.public_bytes(), True)]


def _vcek_extensions(chip_id, tcb):
    out = [_extension(BASE + "1", der.integer(0)),
           _extension(PRODUCT_OID, der.tlv(0x16, b"Milan-B0"))]
    out += [_extension(o, der.integer(tcb[SPL_BYTES[n]])) for n, o in SPL_OIDS.items()]
    return out + [_extension(HWID_OID, chip_id)]


class Amd:
    """The host's chain in STATE/amd: `vcek_key`, `vcek_pem`, `chain_pem`, `tcb`, `chip_id`."""

    def __init__(self, state):
        self.dir = os.path.join(os.path.realpath(state), "amd")
        with pki.locked(state):
            os.makedirs(self.dir, exist_ok=True)
            if not os.path.exists(self._path("host.json")):
                self._make_roots()
                self._make_vcek(os.urandom(64), DEFAULT_TCB)
        self.load()

    def _path(self, name):
        return os.path.join(self.dir, name)

    def _key(self, name, kind=None):
        if kind:
            pki.write_private(self._path(name), pki.key_pem(pki.new_key(kind)))
        with open(self._path(name), "rb") as f:
            return serialization.load_pem_private_key(f.read(), None)

    def _write_cert(self, name, data):
        pki.write_private(self._path(name),
                          pki.cert_pem(x509.load_der_x509_certificate(data)))

    def _make_roots(self):
        ark, ask = self._key("ark.key", "rsa4096"), self._key("ask.key", "rsa4096")
        self._write_cert("ark.pem", certificate(
            "ARK-Milan", ark.public_key(), "ARK-Milan", ark, 65536, 25,
            _ca_extensions(ark.public_key(), None, True)))
        self._write_cert("ask.pem", certificate(
            "SEV-Milan", ask.public_key(), "ARK-Milan", ark, 65537, 25,
            _ca_extensions(ask.public_key(), 0, False)))

    def _make_vcek(self, chip_id, tcb):
        vcek, ask = self._key("vcek.key", "ec384"), self._key("ask.key")
        self._write_cert("vcek.pem", certificate(
            "SEV-VCEK", vcek.public_key(), "SEV-Milan", ask, 0, 7, _vcek_extensions(chip_id, tcb)))
        pki.write_private(self._path("host.json"), json.dumps(
            {"chip_id": chip_id.hex(), "tcb": tcb.hex()}).encode())

    def load(self):
        """Read the files (again)."""
        with open(self._path("host.json"), encoding="ascii") as f:
            host = json.load(f)
        self.chip_id, self.tcb = bytes.fromhex(host["chip_id"]), bytes.fromhex(host["tcb"])
        self.vcek_key = self._key("vcek.key")
        texts = {}
        for what in ("vcek", "ask", "ark"):
            with open(self._path(what + ".pem"), encoding="ascii") as f:
                texts[what] = f.read()
        self.vcek_pem, self.ark_pem = texts["vcek"], texts["ark"]
        self.chain_pem = texts["ask"] + texts["ark"]
        return self

    def new_tcb(self, tcb):
        """The host gets new firmware: another TCB, and so another VCEK (reports turn stale)."""
        with pki.locked(os.path.dirname(self.dir)):
            self._make_vcek(self.chip_id, tcb)
        return self.load()

    def thim(self):
        """The body of THIM's answer."""
        return {"vcekCert": self.vcek_pem, "tcbm": self.tcb[::-1].hex().upper(),
                "certificateChain": self.chain_pem, "cacheControl": "86400"}


def _check_signature(cert, issuer, what):
    data = cert.public_bytes(serialization.Encoding.DER)
    _, body, end = der.read(data, 0, 0x30)
    parts = der.children(body)
    if end != len(data) or len(parts) != 3 or parts[1][2] not in (PSS, PSS_SHORT):
        raise ChainError("%s is not signed with RSASSA-PSS, SHA-384, salt 48" % what)
    if der.children(parts[0][1])[2][2] != parts[1][2]:
        raise ChainError("%s names two signature algorithms" % what)
    public = issuer.public_key()
    if not isinstance(public, rsa.RSAPublicKey) or public.key_size != 4096:
        raise ChainError("the issuer of %s has no RSA-4096 key" % what)
    if cert.issuer != issuer.subject:
        raise ChainError("%s has another issuer" % what)
    try:
        public.verify(parts[2][1][1:], parts[0][2], _pss(), hashes.SHA384())
    except InvalidSignature:
        raise ChainError("the signature of %s is wrong" % what) from None


def _check_ca(cert, what):
    try:
        basic = cert.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = cert.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        raise ChainError("%s is no certificate authority" % what) from None
    if not basic.ca or not usage.key_cert_sign:
        raise ChainError("%s is no certificate authority" % what)


def verify_chain(pem, trusted_ark, at=None):
    """VCEK, ASK, ARK in this order up to the given root (PEM text); the VCEK certificate."""
    try:
        certs = pki.split_pem(pem.encode() if isinstance(pem, str) else pem)
        if len(certs) != 3:
            raise ChainError("%d certificates instead of VCEK, ASK and ARK" % len(certs))
        vcek, ask, ark = certs
        root = pki.split_pem(trusted_ark.encode())[0]
        if ark.public_bytes(serialization.Encoding.DER) != \
                root.public_bytes(serialization.Encoding.DER):
            raise ChainError("the chain does not end in the trusted ARK")
        for what, cert, issuer in (("ARK", ark, ark), ("ASK", ask, ark), ("VCEK", vcek, ask)):
            _check_signature(cert, issuer, what)
            if not cert.not_valid_before <= (at or pki.now()) <= cert.not_valid_after:
                raise ChainError("%s is not valid at this time" % what)
        _check_ca(ask, "ASK")
        _check_ca(ark, "ARK")
    except ChainError:
        raise
    except ValueError as e:
        raise ChainError("not a chain of certificates: %s" % e) from None
    public = vcek.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp384r1":
        raise ChainError("the VCEK is not a P-384 key")
    return vcek


def vcek_facts(vcek):
    """(eight TCB bytes, chip id, product) that the VCEK certificate speaks for."""
    values = {}
    for extension in vcek.extensions:
        if isinstance(extension.value, x509.UnrecognizedExtension):
            values[extension.oid.dotted_string] = extension.value.value
    tcb = bytearray(8)
    try:
        for what, dotted in SPL_OIDS.items():
            tcb[SPL_BYTES[what]] = der.read_uint(values[dotted])
        chip_id = values[HWID_OID]
        if len(chip_id) != 64:
            chip_id = der.read(chip_id, 0, 0x04)[1]
        return bytes(tcb), chip_id, der.read(values[PRODUCT_OID], 0, 0x16)[1].decode("ascii")
    except (KeyError, ValueError) as e:
        raise ChainError("the VCEK lacks AMD's extensions: %s" % e) from None


def ark_thumbprint(pem):
    """SHA-256 over the DER of the first certificate in a PEM text."""
    return hashlib.sha256(pki.cert_der(pki.split_pem(pem.encode())[0])).hexdigest()
