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

import amd

SIZE = 1184
SIGNED = 0x2A0
POLICY_RESERVED, POLICY_DEBUG, POLICY_MA, POLICY_SMT = 1 << 17, 1 << 19, 1 << 18, 1 << 16


class ReportError(ValueError):
    """The report is malformed or does not verify."""


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
        self.committed_tcb, self.launch_tcb = raw[0x1E0:0x1E8], raw[0x1F0:0x1F8]

    @property
    def debuggable(self):
        """True when the guest policy lets the host debug the guest."""
        return bool(self.policy & POLICY_DEBUG)

    def signature(self):
        """The signature as DER, for a library; the reserved bytes must be zero."""
        r, s, rest = self.raw[0x2A0:0x2E8], self.raw[0x2E8:0x330], self.raw[0x330:]
        if any(r[48:]) or any(s[48:]) or any(rest):
            raise ReportError("bytes that must be zero in the signature are not")
        return encode_dss_signature(int.from_bytes(r, "little"), int.from_bytes(s, "little"))


def build(host, report_data, version=2, policy=0x3001F, vmpl=0, measurement=None, host_data=None,
          key=None, tcb=None, chip_id=None, signature_algo=1):
    """A report of the simulated host (`amd.Amd`), signed by its VCEK or by `key`."""
    tcb, chip_id = tcb or host.tcb, host.chip_id if chip_id is None else chip_id
    raw = bytearray(SIZE)
    struct.pack_into("<IIQ", raw, 0, version, 0, policy)
    struct.pack_into("<II", raw, 0x30, vmpl, signature_algo)
    raw[0x38:0x40] = tcb
    struct.pack_into("<Q", raw, 0x40, 1)
    raw[0x50:0x90] = report_data.ljust(64, b"\0")
    raw[0x90:0xC0] = measurement or bytes.fromhex("4d494c414e") + b"\x5a" * 43
    raw[0xC0:0xE0] = host_data or bytes(32)
    raw[0xE0:0x110] = b"\x1d" * 48
    raw[0x140:0x160], raw[0x160:0x180] = os.urandom(32), b"\xff" * 32
    raw[0x180:0x188] = tcb
    if version >= 3:
        raw[0x188:0x18B] = bytes([0x19, 1, 1])
    raw[0x1A0:0x1E0] = chip_id
    raw[0x1E0:0x1E8] = raw[0x1F0:0x1F8] = tcb
    raw[0x1E8:0x1EB] = raw[0x1EC:0x1EF] = bytes([7, 55, 1])
    return sign(raw, key or host.vcek_key)


def sign(raw, key):
    """Put a fresh signature over the first 672 bytes."""
    raw = bytearray(raw)
    r, s = decode_dss_signature(key.sign(bytes(raw[:SIGNED]), ec.ECDSA(hashes.SHA384())))
    raw[SIGNED:] = (r.to_bytes(72, "little") + s.to_bytes(72, "little")).ljust(512, b"\0")
    return bytes(raw)


def verify_report(raw, chain_pem, trusted_ark, at=None):
    """Everything that makes a report genuine: chain to the ARK, signature, TCB, chip; a Report."""
    report = Report(raw)
    if not 2 <= report.version <= 5:
        raise ReportError("report version %d" % report.version)
    if report.signature_algo != 1:
        raise ReportError("signature algorithm %d is not ECDSA P-384" % report.signature_algo)
    if not report.policy & POLICY_RESERVED:
        raise ReportError("policy bit 17 is clear")
    if report.key_info >> 2 & 7 != 0:
        raise ReportError("the report is not signed by a VCEK")
    try:
        vcek = amd.verify_chain(chain_pem, trusted_ark, at)
        tcb, chip_id, _ = amd.vcek_facts(vcek)
    except amd.ChainError as e:
        raise ReportError(str(e)) from None
    try:
        vcek.public_key().verify(report.signature(), raw[:SIGNED], ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        raise ReportError("the report's signature is wrong") from None
    if tcb != report.reported_tcb:
        raise ReportError("the VCEK is for TCB %s, the report says %s"
                          % (tcb[::-1].hex(), report.reported_tcb[::-1].hex()))
    if chip_id != report.chip_id:
        raise ReportError("the VCEK is for another chip")
    return report


def claims(report):
    """The claims that the attestation service makes of a verified report."""
    tcb = report.reported_tcb
    out = {
        "authorkeydigest": report.author_key_digest.hex(), "bootloader-svn": tcb[0],
        "familyId": report.family_id.hex(), "guestsvn": report.guest_svn,
        "hostdata": report.host_data.hex(), "idkeydigest": report.id_key_digest.hex(),
        "imageId": report.image_id.hex(), "is-debuggable": report.debuggable,
        "launchmeasurement": report.measurement.hex(), "microcode-svn": tcb[7],
        "migration-allowed": bool(report.policy & POLICY_MA),
        "reportdata": report.report_data.hex(), "reportid": report.report_id.hex(),
        "smt-allowed": bool(report.policy & POLICY_SMT), "snpfw-svn": tcb[6], "tee-svn": tcb[1],
        "vmpl": report.vmpl}
    return {"x-ms-sevsnpvm-" + name: value for name, value in out.items()}
