"""TPM 2.0 structures and the few commands the simulator needs (TPM 2.0 Library, parts 2 and 3).

Parsers are strict: a size that disagrees or a byte left over raises TpmFormatError.
"""

import hashlib
import struct

from cryptography.hazmat.primitives.asymmetric import rsa

RH_OWNER, RH_NULL, RH_ENDORSEMENT, RH_PLATFORM = 0x40000001, 0x40000007, 0x4000000B, 0x4000000C
RS_PW = 0x40000009
ALG_SHA1, ALG_SHA256, ALG_NULL = 0x0004, 0x000B, 0x0010
ALG_RSASSA, ALG_RSAES, ALG_OAEP = 0x0014, 0x0015, 0x0017
ST_NO_SESSIONS, ST_SESSIONS = 0x8001, 0x8002
ATTEST_MAGIC, ST_CERTIFY, ST_QUOTE = 0xFF544347, 0x8017, 0x8018

AK_HANDLE, NV_AK_CERT, NV_HCL = 0x81000003, 0x01C101D0, 0x01400001
AK_ATTRIBUTES, EPHEMERAL_ATTRIBUTES = 0x00050472, 0x00020432
# authread | authwrite | ownerread | platformcreate | no_da, as the paravisor defines its indices
NV_ATTRIBUTES = 0x42060004
PCRS = tuple(range(8))

CODES = {
    "NV_UndefineSpace": 0x122, "EvictControl": 0x120, "NV_DefineSpace": 0x12A,
    "CreatePrimary": 0x131, "NV_Write": 0x137, "Startup": 0x144, "Shutdown": 0x145,
    "Certify": 0x148, "NV_Read": 0x14E, "Quote": 0x158, "RSA_Decrypt": 0x159,
    "FlushContext": 0x165, "NV_ReadPublic": 0x169, "ReadPublic": 0x173,
    "StartAuthSession": 0x176, "GetCapability": 0x17A, "GetRandom": 0x17B, "PCR_Read": 0x17E,
    "PolicyPCR": 0x17F, "PCR_Extend": 0x182, "PolicyGetDigest": 0x189, "SelfTest": 0x143}
CODE_NAMES = {code: name for name, code in CODES.items()}
CODES.setdefault("Load", 0x157)


class TpmFormatError(ValueError):
    """Not the TPM structure that was expected."""


class TpmError(RuntimeError):
    """The TPM answered with a response code."""

    def __init__(self, name, code):
        super().__init__("%s: response code 0x%03x" % (name, code))
        self.code = code


class Reader:
    """Reads big-endian fields and refuses to run past the end."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        """The next n bytes."""
        if self.at + n > len(self.data):
            raise TpmFormatError("cut short")
        self.at += n
        return self.data[self.at - n:self.at]

    def u8(self):
        """One byte."""
        return self.take(1)[0]

    def u16(self):
        """Two bytes."""
        return struct.unpack(">H", self.take(2))[0]

    def u32(self):
        """Four bytes."""
        return struct.unpack(">I", self.take(4))[0]

    def u64(self):
        """Eight bytes."""
        return struct.unpack(">Q", self.take(8))[0]

    def sized(self):
        """A TPM2B."""
        return self.take(self.u16())

    def end(self):
        """Nothing may be left."""
        if self.at != len(self.data):
            raise TpmFormatError("%d bytes left over" % (len(self.data) - self.at))


def sized(data):
    """Make a TPM2B."""
    return struct.pack(">H", len(data)) + data


def pcr_selection(pcrs=PCRS):
    """TPML_PCR_SELECTION of these registers in the SHA-256 bank."""
    mask = sum(1 << n for n in pcrs)
    return struct.pack(">IHB", 1, ALG_SHA256, 3) + mask.to_bytes(3, "little")


def pcr_digest(values):
    """SHA-256 over the values of the registers in order."""
    return hashlib.sha256(b"".join(values)).digest()


def policy_pcr_digest(values, pcrs=PCRS):
    """The policy digest of PolicyPCR over these values."""
    return hashlib.sha256(bytes(32) + struct.pack(">I", CODES["PolicyPCR"]) +
                          pcr_selection(pcrs) + pcr_digest(values)).digest()


def rsa_template(attributes, policy=b"", scheme=struct.pack(">H", ALG_NULL), unique=bytes(256)):
    """TPM2B_PUBLIC of an RSA-2048 key without symmetric algorithm."""
    return sized(struct.pack(">HHI", 1, ALG_SHA256, attributes) + sized(policy) +
                 struct.pack(">H", ALG_NULL) + scheme + struct.pack(">HI", 2048, 0) +
                 sized(unique))


def ak_template():
    """The attestation key's template."""
    return rsa_template(AK_ATTRIBUTES, scheme=struct.pack(">HH", ALG_RSASSA, ALG_SHA256))


class Public:
    """A TPM2B_PUBLIC of an RSA key."""

    def __init__(self, data):
        outer = Reader(data)
        self.area = outer.sized()
        outer.end()
        r = Reader(self.area)
        if r.u16() != 1:
            raise TpmFormatError("not an RSA key")
        self.name_alg, self.attributes = r.u16(), r.u32()
        self.policy = r.sized()
        self.symmetric = r.u16()
        if self.symmetric != ALG_NULL:
            r.take(4)
        self.scheme = r.u16()
        self.scheme_hash = r.u16() if self.scheme in (ALG_RSASSA, ALG_OAEP, 0x16) else None
        self.bits, self.exponent = r.u16(), r.u32()
        self.modulus = r.sized()
        r.end()
        if len(self.modulus) * 8 != self.bits or not self.modulus[0] & 0x80:
            raise TpmFormatError("the modulus does not have the size it claims")

    @property
    def n(self):
        """The modulus as a number."""
        return int.from_bytes(self.modulus, "big")

    def key(self):
        """The public key for a library."""
        return rsa.RSAPublicNumbers(self.exponent or 65537, self.n).public_key()

    def name(self):
        """The object's name: algorithm and digest of the public area."""
        if self.name_alg != ALG_SHA256:
            raise TpmFormatError("name algorithm is not SHA-256")
        return struct.pack(">H", ALG_SHA256) + hashlib.sha256(self.area).digest()


class Attest:
    """A TPMS_ATTEST of a quote (`pcr_select`, `pcr_digest`) or a certification (`name`)."""

    def __init__(self, data):
        r = Reader(data)
        self.magic, self.type = r.u32(), r.u16()
        if self.magic != ATTEST_MAGIC:
            raise TpmFormatError("not made by a TPM (magic)")
        self.signer, self.extra = r.sized(), r.sized()
        self.clock, self.resets, self.restarts = r.u64(), r.u32(), r.u32()
        self.safe, self.firmware = r.u8(), r.u64()
        if self.type == ST_QUOTE:
            start = r.at
            for _ in range(r.u32()):
                r.u16()
                r.take(r.u8())
            self.pcr_select = data[start:r.at]
            self.pcr_digest = r.sized()
        elif self.type == ST_CERTIFY:
            self.name, self.qualified = r.sized(), r.sized()
        else:
            raise TpmFormatError("attestation of type 0x%04x" % self.type)
        r.end()


def rsassa(data):
    """The bare signature in a TPMT_SIGNATURE with RSASSA and SHA-256."""
    r = Reader(data)
    if (r.u16(), r.u16()) != (ALG_RSASSA, ALG_SHA256):
        raise TpmFormatError("not an RSASSA-SHA256 signature")
    signature = r.sized()
    r.end()
    return signature


def password(count=1):
    """The authorization area of `count` empty passwords."""
    area = struct.pack(">IHBH", RS_PW, 0, 0, 0) * count
    return struct.pack(">I", len(area)) + area


def session(handle):
    """The authorization area of one policy session that the TPM may flush afterwards."""
    area = struct.pack(">IHBH", handle, 0, 0, 0)
    return struct.pack(">I", len(area)) + area


def command(code, body, auth=True):
    """A whole command."""
    tag = ST_SESSIONS if auth else ST_NO_SESSIONS
    return struct.pack(">HII", tag, 10 + len(body), code) + body
