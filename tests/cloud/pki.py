"""Keys and certificates of the simulated cloud: made once in a state directory, then kept.

Names that matter outside: `ca.pem` (TLS root that clients trust), `other-ca.pem` (an unrelated
root), `pki/NAME.key` and `pki/NAME.pem` (key; certificate chain, leaf first, without the root).
`Pki(state)` loads or makes everything and may be called by several programs at once.
"""

import contextlib
import datetime
import fcntl
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import names

DAY = datetime.timedelta(days=1)
VTPM_CA = "Global Virtual TPM CA - 01"
TLS_ROOT = "Latchkey Simulated Global Root G2"
TLS_CA = "Latchkey Simulated RSA TLS Issuing CA 01"

# leaf: (CN, DNS names, issuer, key, days of validity before and after now)
LEAVES = {
    "maa": ("*.weu.attest.azure.net", ["*.weu.attest.azure.net", "*.attest.private.example"],
            "tls-ca", "rsa", 30, 365),
    "maa2": ("*.neu.attest.azure.net", ["*.neu.attest.azure.net"], "tls-ca", "ec", 30, 365),
    "vault": ("vault.azure.net",
              ["vault.azure.net", "*.vault.azure.net", "*.vaultcore.azure.net",
               "*.vault.azure.cn", "*.vault.usgovcloudapi.net", "*.vault.private.example",
               "keys.private.example"], "tls-ca", "rsa", 30, 365),
    "hsm": ("*.demo-hsm.managedhsm.azure.net",
            ["*.demo-hsm.managedhsm.azure.net", names.HSM_HOST,
             "demo-hsm.managedhsm.azure.cn", "demo-hsm.managedhsm.usgovcloudapi.net"],
            "tls-ca", "rsa", 30, 365),
    "kds": (names.KDS_HOST, [names.KDS_HOST], "tls-ca", "rsa", 30, 365),
    "wrong-host": ("other.example", ["other.example", "*.vault.other.example"],
                   "tls-ca", "rsa", 30, 365),
    "expired": ("vault.azure.net", ["*.weu.attest.azure.net", "*.neu.attest.azure.net",
                                    "*.vault.azure.net", names.HSM_HOST, names.KDS_HOST],
                "tls-ca", "ec", 90, -2),
    "other-ca": ("vault.azure.net", ["*.weu.attest.azure.net", "*.neu.attest.azure.net",
                                     "*.vault.azure.net", names.HSM_HOST, names.KDS_HOST],
                 "other-root", "rsa", 30, 365),
}


def now():
    """The present, in UTC without microseconds."""
    return datetime.datetime.utcnow().replace(microsecond=0)


def name(cn, org="Latchkey Simulated Cloud"):
    """An X.509 name."""
    return x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
                      x509.NameAttribute(NameOID.ORGANIZATION_NAME, org),
                      x509.NameAttribute(NameOID.COMMON_NAME, cn)])


def write_private(path, data):
    """Write a file for the owner's eyes, whole or not at all."""
    temp = "%s.new.%d" % (path, os.getpid())
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as f:
        f.write(data)
    os.rename(temp, path)


def key_pem(key):
    """A private key as PKCS#8 PEM."""
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def cert_pem(cert):
    """A certificate as PEM."""
    return cert.public_bytes(serialization.Encoding.PEM)


def cert_der(cert):
    """A certificate as DER."""
    return cert.public_bytes(serialization.Encoding.DER)


def new_key(kind):
    """A new private key: rsa, rsa3072, rsa4096, ec (P-256) or ec384."""
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    if kind == "rsa3072":
        return rsa.generate_private_key(65537, 3072)
    if kind == "ec384":
        return ec.generate_private_key(ec.SECP384R1())
    return rsa.generate_private_key(65537, 4096 if kind == "rsa4096" else 2048)


def split_pem(text):
    """The certificates of a PEM text, in order."""
    end = b"-----END CERTIFICATE-----"
    return [x509.load_pem_x509_certificate(part + end) for part in text.split(end)[:-1]]


@contextlib.contextmanager
def locked(state):
    """Hold the state directory's lock: one program at a time makes keys."""
    os.makedirs(state, exist_ok=True)
    with open(os.path.join(state, ".lock"), "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


class Pki:
    """Every key pair and certificate by name: `key(n)`, `chain(n)`, `cert(n)`."""

    def __init__(self, state):
        self.state = os.path.realpath(state)
        self.dir = os.path.join(self.state, "pki")
        self._keys, self._chains = {}, {}
        with locked(self.state):
            os.makedirs(self.dir, exist_ok=True)
            self._make_all()

    def path(self, what, suffix):
        """Where the key ('key') or chain ('pem') of this name lies."""
        return os.path.join(self.dir, what + "." + suffix)

    def key(self, what, kind="rsa"):
        """The private key of this name, made when missing."""
        if what not in self._keys:
            path = self.path(what, "key")
            if not os.path.exists(path):
                write_private(path, key_pem(new_key(kind)))
            with open(path, "rb") as f:
                self._keys[what] = serialization.load_pem_private_key(f.read(), None)
        return self._keys[what]

    def chain(self, what):
        """Certificates of this name, leaf first, root left out."""
        if what not in self._chains:
            with open(self.path(what, "pem"), "rb") as f:
                self._chains[what] = split_pem(f.read())
        return self._chains[what]

    def cert(self, what):
        """The certificate of this name."""
        return self.chain(what)[0]

    def _store(self, what, certs):
        write_private(self.path(what, "pem"), b"".join(cert_pem(c) for c in certs))

    def _have(self, what):
        return os.path.exists(self.path(what, "pem"))

    def build(self, subject, public, issuer, days=(30, 3650), ca=None, extensions=(), serial=None):
        """Sign a certificate with the key of `issuer` (a name here; None = not yet stored)."""
        start = now() - days[0] * DAY
        signer = self.key(issuer)
        issuer_name = self.cert(issuer).subject if self._have(issuer) else subject
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer_name)
                   .public_key(public).not_valid_before(start)
                   .not_valid_after(now() + days[1] * DAY)
                   .serial_number(serial or x509.random_serial_number())
                   .add_extension(x509.BasicConstraints(ca is not None, ca), True)
                   .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
                   .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
                       signer.public_key()), False))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(signer, hashes.SHA256())

    def make_ca(self, what, cn, issuer=None, kind="rsa", path_length=1):
        """A certificate authority; without an issuer it is a root."""
        if self._have(what):
            return
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        public = self.key(what, kind).public_key()
        cert = self.build(name(cn), public, issuer or what, (60, 3650), path_length,
                          [(usage, True)])
        self._store(what, [cert])

    def make_leaf(self, what):
        """A server certificate of the table above; an older state may have one of other names."""
        cn, dns, issuer, kind, before, after = LEAVES[what]
        if self._have(what) and self.cert(what).extensions.get_extension_for_class(
                x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName) == dns:
            return
        key = self.key(what, "ec" if kind == "ec" else "rsa")
        usage = x509.KeyUsage(True, False, kind == "rsa", False, False, False, False, False, False)
        cert = self.build(name(cn), key.public_key(), issuer, (before, after), None, [
            (usage, True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH,
                                    ExtendedKeyUsageOID.CLIENT_AUTH]), False),
            (x509.SubjectAlternativeName([x509.DNSName(d) for d in dns]), False)])
        chain = [cert] if issuer == "other-root" else [cert, self.cert(issuer)]
        self._store(what, chain)
        self._chains.pop(what, None)

    def make_token_key(self, what, cn):
        """A token signing key with a self-signed certificate, as MAA publishes them."""
        if not self._have(what):
            key = self.key(what)
            self._store(what, [self.build(x509.Name([x509.NameAttribute(
                NameOID.COMMON_NAME, cn)]), key.public_key(), what, (30, 3650), 0)])

    def _make_all(self):
        self.make_ca("tls-root", TLS_ROOT)
        self.make_ca("tls-ca", TLS_CA, "tls-root", "rsa", 0)
        self.make_ca("other-root", "Unrelated Root", kind="ec")
        for leaf in LEAVES:
            self.make_leaf(leaf)
        self.make_ca("vtpm-root", "Azure Virtual TPM Root Certificate Authority 2023")
        self.make_ca("vtpm-ca", VTPM_CA, "vtpm-root", "rsa", 0)
        self.make_ca("vtpm-fake-ca", VTPM_CA)       # same name, not below the root
        self.make_token_key("maa-token", "https://" + names.MAA_HOST)
        self.make_token_key("maa-token-old", "https://" + names.MAA_HOST)
        self.make_token_key("maa2-token", "https://" + names.MAA2_HOST)
        self.make_token_key("aad", "accounts.accesscontrol.windows.net")
        for root, path in (("tls-root", "ca.pem"), ("other-root", "other-ca.pem")):
            target = os.path.join(self.state, path)
            if not os.path.exists(target):
                write_private(target, cert_pem(self.cert(root)))
                os.chmod(target, 0o644)

    def issue_ak(self, public, cn="D270E56B-F668-4990-A5BC-9B624576841D.TrustedVM.Azure",
                 issuer="vtpm-ca", days=(30, 365)):
        """The certificate of a vTPM's attestation key."""
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        return self.build(name(cn, "Microsoft Corporation"), public, issuer, days, None, [
            (usage, True),
            (x509.ExtendedKeyUsage([x509.ObjectIdentifier("2.23.133.8.3")]), False)])
