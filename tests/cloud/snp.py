"""SEV-SNP attestation reports: build, sign, take apart, verify (protocol/snp-maa-akv.md, 1.5).

`verify_report` is shared by every attestation endpoint that takes a report.
"""

import os
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (decode_dss_signature,
                                                             encode_dss_signature)

import amdcert

SIZE = 1184
SIGNED = 0x2A0
POLICY = 0x3001F
POLICY_RESERVED, POLICY_DEBUG, POLICY_MA, POLICY_SMT = 1 << 17, 1 << 19, 1 << 18, 1 << 16
SIGNERS = {"vcek": 0, "vlek": 1, "none": 7}
MASK_CHIP_KEY = 1 << 1


class ReportError(amdcert.ProofError):
    """The report is malformed or does not verify."""


def refuse(_name, ok, text):
    """The plainest `check` function, see amdcert.refuse."""
    if not ok:
        raise ReportError(text)


class Report:
    """The fields of a report by name; `raw` is the whole of it."""

    def __init__(self, raw):
        if len(raw) != SIZE:
            raise ReportError("the report has %d bytes, not %d" % (len(raw), SIZE))
        self.raw = raw
        self.version, self.guest_svn, self.policy = struct.unpack_from("<IIQ", raw, 0)
        self.family_id, self.image_id = raw[0x10:0x20], raw[0x20:0x30]
        self.vmpl, self.signature_algo = struct.unpack_from("<II", raw, 0x30)
        self.current_tcb = raw[0x38:0x40]
        self.platform_info, self.key_info = struct.unpack_from("<QI", raw, 0x40)
        self.report_data, self.measurement = raw[0x50:0x90], raw[0x90:0xC0]
        self.host_data, self.id_key_digest = raw[0xC0:0xE0], raw[0xE0:0x110]
        self.author_key_digest = raw[0x110:0x140]
        self.report_id, self.report_id_ma = raw[0x140:0x160], raw[0x160:0x180]
        self.reported_tcb, self.chip_id = raw[0x180:0x188], raw[0x1A0:0x1E0]
        self.fms = tuple(raw[0x188:0x18B]) if self.version >= 3 else None
        self.committed_tcb, self.launch_tcb = raw[0x1E0:0x1E8], raw[0x1F0:0x1F8]
        self.mitigations = struct.unpack_from("<QQ", raw, 0x1F8) if self.version >= 5 else None

    @property
    def debuggable(self):
        """True when the guest policy lets the host debug the guest."""
        return bool(self.policy & POLICY_DEBUG)

    @property
    def signer(self):
        """Which key signed it, one of SIGNERS' numbers."""
        return self.key_info >> 2 & 7

    def is_of(self, product):
        """Does family and model (where the report has them) fit this product?"""
        return self.fms is None or any(
            self.fms[0] == family and first <= self.fms[1] <= last
            for family, first, last in product.models)

    def signature(self):
        """The signature as DER, for a library; the reserved bytes must be zero."""
        r, s, rest = self.raw[0x2A0:0x2E8], self.raw[0x2E8:0x330], self.raw[0x330:]
        if any(r[48:]) or any(s[48:]) or any(rest):
            raise ReportError("bytes that must be zero in the signature are not")
        return encode_dss_signature(int.from_bytes(r, "little"), int.from_bytes(s, "little"))


def build(host, report_data, version=None, policy=POLICY, vmpl=0, measurement=None,
          host_data=None, key=None, tcb=None, chip_id=None, signature_algo=1, signer="vcek",
          mask_key=False, mask_id=False, author=None, **more):
    """A report of the simulated host (`amd.Amd`), signed by its VCEK or by `key`.

    `tcb` alone changes the fields, not the signer: a report of older firmware has key=
    host.vcek(tcb)[0] as well.  `signer`: vlek has the host's VLEK sign; none leaves zeros, as
    firmware does with `mask_key` (MASK_CHIP_KEY).  `mask_id`: no chip id.  `author`: digest of an
    author key.  More: guest_svn, family_id, image_id, id_key_digest, platform_info, fms,
    mitigations (launch, current), current_tcb, committed_tcb, launch_tcb.
    """
    tcb, chip_id = tcb or host.tcb, host.chip_id if chip_id is None else chip_id
    version = version or host.product.version
    signer = "none" if mask_key else signer
    raw = bytearray(SIZE)
    struct.pack_into("<IIQ", raw, 0, version, more.get("guest_svn", 0), policy)
    raw[0x10:0x20] = more.get("family_id", bytes(16))
    raw[0x20:0x30] = more.get("image_id", bytes(16))
    struct.pack_into("<II", raw, 0x30, vmpl, signature_algo)
    struct.pack_into("<QI", raw, 0x40, more.get("platform_info", 1), (author is not None) | (
        MASK_CHIP_KEY if mask_key else 0) | SIGNERS[signer] << 2)
    raw[0x50:0x90] = report_data.ljust(64, b"\0")
    raw[0x90:0xC0] = measurement or bytes.fromhex("4d494c414e") + b"\x5a" * 43
    raw[0xC0:0xE0] = host_data or bytes(32)
    raw[0xE0:0x110] = more.get("id_key_digest", b"\x1d" * 48)
    raw[0x110:0x140] = author or bytes(48)
    raw[0x140:0x160], raw[0x160:0x180] = os.urandom(32), b"\xff" * 32
    raw[0x180:0x188] = tcb
    if version >= 3:
        raw[0x188:0x18B] = bytes(more.get("fms", host.product.fms))
    raw[0x1A0:0x1E0] = bytes(64) if mask_id else chip_id
    for at, name in ((0x38, "current_tcb"), (0x1E0, "committed_tcb"), (0x1F0, "launch_tcb")):
        raw[at:at + 8] = more.get(name, tcb)
    raw[0x1E8:0x1EB] = raw[0x1EC:0x1EF] = bytes([7, 55, 1])
    if version >= 5:
        struct.pack_into("<QQ", raw, 0x1F8, *more.get("mitigations", (0x3, 0xB)))
    if signer == "none" and key is None:
        return bytes(raw)
    return sign(raw, key or (host.vlek()[0] if signer == "vlek" else host.vcek_key))


def sign(raw, key):
    """Put a fresh signature over the first 672 bytes."""
    raw = bytearray(raw)
    r, s = decode_dss_signature(key.sign(bytes(raw[:SIGNED]), ec.ECDSA(hashes.SHA384())))
    raw[SIGNED:] = (r.to_bytes(72, "little") + s.to_bytes(72, "little")).ljust(512, b"\0")
    return bytes(raw)


def _check_form(report, check):
    check("version", 2 <= report.version <= 5, "report version %d" % report.version)
    check("algorithm", report.signature_algo == 1,
          "signature algorithm %d is not ECDSA P-384" % report.signature_algo)
    check("policy", report.policy & POLICY_RESERVED, "policy bit 17 is clear")
    # Whether the real service takes VLEKs is not documented, and the field it wants is called
    # VcekCertChain: a test must not rely on it.
    check("signer-vlek", report.signer != SIGNERS["vlek"], "the report is signed by a VLEK: it is "
          "not documented that the service takes these, so this double does not")
    check("signer", report.signer in (SIGNERS["vcek"], SIGNERS["vlek"]),
          "the report is not signed by a VCEK (key %d)" % report.signer)


def _check_signature(report, public, check):
    try:
        signature, reason = report.signature(), ""
    except ReportError as e:
        signature, reason = None, str(e)
    check("signature-form", signature is not None, reason)
    try:
        public.verify(signature, report.raw[:SIGNED], ec.ECDSA(hashes.SHA384()))
        good = True
    except InvalidSignature:
        good = False
    check("signature", good, "the report's signature is wrong")


def verify_report(raw, chain_pem, trusted, at=None, check=refuse):
    """Everything that makes a report genuine: chain to a trusted ARK (PEM, or a list), signature,
    TCB, chip: (Report, Product).  `check` is told of every check made, and raises."""
    try:
        report, reason = Report(raw), ""
    except ReportError as e:
        report, reason = None, str(e)
    check("size", report, reason)
    _check_form(report, check)
    try:
        vcek, product = amdcert.verify_chain(chain_pem, trusted, at, check)
    except amdcert.ChainError as e:
        raise ReportError(str(e)) from None
    try:
        (tcb, chip_id, marking), reason = amdcert.leaf_facts(vcek, product), ""
    except amdcert.ChainError as e:
        tcb, reason = None, str(e)
    check("vcek-extensions", tcb, reason)
    check("vcek-product", marking.split("-")[0] == product.name,
          "the VCEK is for %s, its root for %s" % (marking, product.name))
    check("product", report.is_of(product), "the report is of another processor than %s"
          % product.name)
    _check_signature(report, vcek.public_key(), check)
    check("tcb", tcb == report.reported_tcb, "the VCEK is for TCB %s, the report says %s" % (
        tcb[::-1].hex(), report.reported_tcb[::-1].hex()))
    check("chip", chip_id == report.chip_id, "the VCEK is for another chip")
    return report, product


def levels(report, product):
    """The reported TCB by name: bl, tee, snp, ucode; fmc of Turin."""
    return dict(zip(product.layout, report.reported_tcb))


def claims(report, product):
    """The claims that the attestation service makes of a verified report."""
    tcb = levels(report, product)
    out = {
        "authorkeydigest": report.author_key_digest.hex(), "bootloader-svn": tcb["bl"],
        "familyId": report.family_id.hex(), "guestsvn": report.guest_svn,
        "hostdata": report.host_data.hex(), "idkeydigest": report.id_key_digest.hex(),
        "imageId": report.image_id.hex(), "is-debuggable": report.debuggable,
        "launchmeasurement": report.measurement.hex(), "microcode-svn": tcb["ucode"],
        "migration-allowed": bool(report.policy & POLICY_MA),
        "reportdata": report.report_data.hex(), "reportid": report.report_id.hex(),
        "smt-allowed": bool(report.policy & POLICY_SMT), "snpfw-svn": tcb["snp"],
        "tee-svn": tcb["tee"], "vmpl": report.vmpl}
    return {"x-ms-sevsnpvm-" + name: value for name, value in out.items()}
