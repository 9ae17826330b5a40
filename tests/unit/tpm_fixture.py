#!/usr/bin/python3
"""What the TPM tests need beside tests/cloud/vtpm.py.

  tpm_fixture.py encrypt SCHEME MODULUS-HEX TEXT
      TEXT encrypted to an RSA key (e = 65537) as a vault or MAA would: rsaes, sha1, sha256, sha384.
      Prints hexadecimal.
  tpm_fixture.py variant TPMDIR NEWDIR KIND
      copies a provisioned TPM and changes one thing: `unwritten` (the certificate's index is defined
      but empty) or the attestation key: ecc, pss, sha384, unrestricted, decrypt, none.
"""

import os
import shutil
import struct
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "cloud"))
import swtpm  # noqa: E402
import tpm2  # noqa: E402

HASHES = {"sha1": hashes.SHA1, "sha256": hashes.SHA256, "sha384": hashes.SHA384}
SIGN, DECRYPT, RESTRICTED = 0x40000, 0x20000, 0x10000


def encrypt(scheme, modulus, text):
    """RSAES, or OAEP with one hash for label and MGF1."""
    key = rsa.RSAPublicNumbers(65537, int(modulus, 16)).public_key()
    if scheme == "rsaes":
        pad = padding.PKCS1v15()
    else:
        h = HASHES[scheme]
        pad = padding.OAEP(padding.MGF1(h()), h(), None)
    return key.encrypt(text.encode(), pad).hex()


def key_template(kind):
    """A key that must not pass for Azure's attestation key."""
    def scheme(alg, digest=tpm2.ALG_SHA256):
        return struct.pack(">HH", alg, digest)

    attributes = tpm2.AK_ATTRIBUTES
    if kind == "pss":
        return tpm2.rsa_template(attributes, scheme=scheme(0x16))
    if kind == "sha384":
        return tpm2.rsa_template(attributes, scheme=scheme(tpm2.ALG_RSASSA, 0x0C))
    if kind == "unrestricted":
        return tpm2.rsa_template(attributes & ~RESTRICTED, scheme=scheme(tpm2.ALG_RSASSA))
    if kind == "decrypt":
        return tpm2.rsa_template(attributes & ~(RESTRICTED | SIGN) | DECRYPT)
    # ECC: symmetric null, ECDSA with SHA-256, P-256, no KDF, empty point
    return tpm2.sized(struct.pack(">HHIH", 0x23, tpm2.ALG_SHA256, attributes, 0) +
                      struct.pack(">HHHHH", tpm2.ALG_NULL, 0x18, tpm2.ALG_SHA256, 3,
                                  tpm2.ALG_NULL) + bytes(4))


def variant(source, target, kind):
    """See above."""
    shutil.copytree(source, target)
    with swtpm.Swtpm(target) as process:
        tpm = swtpm.Tpm(process)
        if kind == "unwritten":
            tpm.nv_undefine(tpm2.NV_AK_CERT)
            tpm.nv_define(tpm2.NV_AK_CERT, 1024)
            return
        tpm.evict(tpm2.AK_HANDLE, tpm2.AK_HANDLE)
        if kind == "none":
            return
        handle, _ = tpm.create_primary(tpm2.RH_ENDORSEMENT, key_template(kind))
        tpm.evict(handle, tpm2.AK_HANDLE)
        tpm.flush(handle)


def main():
    """The command line."""
    verb, arguments = sys.argv[1], sys.argv[2:]
    if verb == "encrypt":
        print(encrypt(*arguments))
    elif verb == "variant":
        variant(*arguments)
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
