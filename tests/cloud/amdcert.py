"""AMD's certificates, of Milan, Genoa and Turin: written as AMD does, and checked.

Algorithms, names, extensions and the leaves' serial number 0 are those of the real chains
(protocol/snp-maa-akv.md, section 1.6), written with our own DER.  `verify_chain` checks any chain
of that shape, the real ones included.
"""

import collections
import datetime
import hashlib

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

import der
import pki

BASE = "1.3.6.1.4.1.3704.1."
PRODUCT_OID, HWID_OID, CSP_OID = BASE + "2", BASE + "4", BASE + "5"
# security patch levels: the last number of their OID below BASE + 3
LEVELS = {"bl": 1, "tee": 2, "snp": 3, "spl4": 4, "spl5": 5, "spl6": 6, "spl7": 7, "ucode": 8,
          "fmc": 9}
CHIP_SIZE = 64          # of the field in a report

# `layout`: the levels in the order of a TCB's eight bytes; `models`: (family, first, last) of the
# CPUID; `chip`: bytes of the chip id that are used; `tagged`: HWID is in an OCTET STRING.
Product = collections.namedtuple(
    "Product", "name marking fms models layout tcb chip tagged version")
_OLD = ("bl", "tee", "spl4", "spl5", "spl6", "spl7", "snp", "ucode")
_NEW = ("fmc", "bl", "tee", "snp", "spl5", "spl6", "spl7", "ucode")
PRODUCTS = {p.name: p for p in (
    # the TCB of tcbm DB18000000000004; a level above 127 needs two bytes of DER
    Product("Milan", "Milan-B0", (0x19, 0x01, 0x01), ((0x19, 0x00, 0x0F),), _OLD,
            bytes([4, 0, 0, 0, 0, 0, 0x18, 0xDB]), 64, False, 2),
    Product("Genoa", "Genoa-B1", (0x19, 0x11, 0x01), ((0x19, 0x10, 0x1F), (0x19, 0xA0, 0xAF)),
            _OLD, bytes([9, 0, 0, 0, 0, 0, 0x17, 0x48]), 64, True, 3),
    Product("Turin", "Turin", (0x1A, 0x02, 0x01), ((0x1A, 0x00, 0x11),), _NEW,
            bytes([1, 2, 3, 4, 0, 0, 0, 0x51]), 8, False, 5))}

_SHA384 = der.seq(der.oid("2.16.840.1.101.3.4.2.2"), b"\x05\x00")


def pss_algorithm(salt=48, trailer=True):
    """AlgorithmIdentifier of RSASSA-PSS with SHA-384 and MGF1-SHA-384."""
    parts = [der.tlv(0xA0, _SHA384),
             der.tlv(0xA1, der.seq(der.oid("1.2.840.113549.1.1.8"), _SHA384)),
             der.tlv(0xA2, der.integer(salt))]
    if trailer:         # RFC 4055 lets a DER encoder leave it out, as 1 is the default
        parts.append(der.tlv(0xA3, der.integer(1)))
    return der.seq(der.oid("1.2.840.113549.1.1.10"), der.seq(*parts))


PSS, PSS_SHORT = pss_algorithm(), pss_algorithm(trailer=False)


class ProofError(ValueError):
    """Base of what is wrong with certificates or reports."""


class ChainError(ProofError):
    """The certificates do not prove what they should."""


def refuse(_name, ok, text):
    """The plainest `check` function: each check has a name, an outcome and a text for a failure."""
    if not ok:
        raise ChainError(text)


def _pss(salt=48):
    return padding.PSS(padding.MGF1(hashes.SHA384()), salt)


# --- writing -----------------------------------------------------------------------------------


def amd_name(cn):
    """A name in AMD's order of attributes."""
    return x509.Name([x509.NameAttribute(o, v) for o, v in (
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "Engineering"), (NameOID.COUNTRY_NAME, "US"),
        (NameOID.LOCALITY_NAME, "Santa Clara"), (NameOID.STATE_OR_PROVINCE_NAME, "CA"),
        (NameOID.ORGANIZATION_NAME, "Advanced Micro Devices"), (NameOID.COMMON_NAME, cn))])


def extension(dotted, value, critical=False):
    """One extension."""
    return der.seq(der.oid(dotted), b"\x01\x01\xff" if critical else b"", der.octets(value))


def certificate(subject, public, issuer, signer, extensions, serial=0, years=7, salt=48, alg=None,
                outer=None, started=400):
    """A certificate (DER) signed with RSASSA-PSS, SHA-384; `started` is in days before now.

    `salt` is that of the signature, `alg` the algorithm it names (`outer`: at its second place).
    """
    start, alg = pki.now() - datetime.timedelta(days=started), alg or PSS
    spki = public.public_bytes(serialization.Encoding.DER,
                               serialization.PublicFormat.SubjectPublicKeyInfo)
    tbs = der.seq(der.tlv(0xA0, der.integer(2)), der.integer(serial), alg,
                  amd_name(issuer).public_bytes(),
                  der.seq(der.time(start), der.time(start + datetime.timedelta(365 * years))),
                  amd_name(subject).public_bytes(), spki, der.tlv(0xA3, der.seq(*extensions)))
    return der.seq(tbs, outer or alg, der.bits(signer.sign(tbs, _pss(salt), hashes.SHA384())))


def ca_extensions(public, path_length, crl_sign, authority=True):
    """The extensions of an ARK, ASK or ASVK."""
    usage = x509.KeyUsage(False, False, False, False, False, authority, crl_sign, False, False)
    basic = x509.BasicConstraints(authority, path_length if authority else None)
    return [extension("2.5.29.14",
                      x509.SubjectKeyIdentifier.from_public_key(public).public_bytes()),
            extension("2.5.29.19", basic.public_bytes(), True),
            extension("2.5.29.15", usage.public_bytes(), True)]


def leaf_extensions(product, tcb, chip_id=None, csp_id=None, marking=None, without=()):
    """The extensions of a VCEK (with `chip_id`) or VLEK (with `csp_id`)."""
    out = [extension(BASE + "1", der.integer(0)),
           extension(PRODUCT_OID, der.tlv(0x16, (marking or product.marking).encode()))]
    for at, level in enumerate(product.layout):
        if level not in without:
            out.append(extension(BASE + "3.%d" % LEVELS[level], der.integer(tcb[at])))
    if chip_id is not None:
        hwid = chip_id[:product.chip]
        out.append(extension(HWID_OID, der.octets(hwid) if product.tagged else hwid))
    if csp_id is not None:
        out.append(extension(CSP_OID, der.tlv(0x16, csp_id.encode())))
    return out


# --- checking ----------------------------------------------------------------------------------


def _check_signature(check, cert, issuer, what):
    data = cert.public_bytes(serialization.Encoding.DER)
    _, body, end = der.read(data, 0, 0x30)
    parts = der.children(body)
    check("chain:algorithm", end == len(data) and len(parts) == 3 and parts[1][2] in (
        PSS, PSS_SHORT), "%s is not signed with RSASSA-PSS, SHA-384, salt 48" % what)
    check("chain:algorithms-agree", der.children(parts[0][1])[2][2] == parts[1][2],
          "%s names two signature algorithms" % what)
    public = issuer.public_key()
    check("chain:issuer-key", isinstance(public, rsa.RSAPublicKey) and public.key_size == 4096,
          "the issuer of %s has no RSA-4096 key" % what)
    check("chain:issuer", cert.issuer == issuer.subject, "%s has another issuer" % what)
    try:
        public.verify(parts[2][1][1:], parts[0][2], _pss(), hashes.SHA384())
        good = True
    except InvalidSignature:
        good = False
    check("chain:signature", good, "the signature of %s is wrong" % what)


def _is_authority(cert):
    try:
        basic = cert.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = cert.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return basic.ca and usage.key_cert_sign


def _root_product(check, ark, trusted):
    """The product of an ARK, which must be one of `trusted` (a PEM text, or several)."""
    roots = [pki.cert_der(pki.split_pem(t.encode())[0])
             for t in ([trusted] if isinstance(trusted, str) else trusted)]
    check("chain:root", pki.cert_der(ark) in roots, "the chain does not end in a trusted ARK")
    names = {amd_name("ARK-" + p.name): p for p in PRODUCTS.values()}
    if ark.subject not in names:
        raise ChainError("a trusted ARK has another name than AMD's")
    return names[ark.subject]


def verify_chain(pem, trusted, at=None, check=refuse):
    """VCEK, ASK, ARK in this order up to a trusted root: (the VCEK's certificate, the Product)."""
    try:
        certs = pki.split_pem(pem.encode() if isinstance(pem, str) else pem)
        check("chain:length", len(certs) == 3,
              "%d certificates instead of VCEK, ASK and ARK" % len(certs))
        vcek, ask, ark = certs
        product = _root_product(check, ark, trusted)
        for what, cert, issuer in (("ARK", ark, ark), ("ASK", ask, ark), ("VCEK", vcek, ask)):
            _check_signature(check, cert, issuer, what)
            check("chain:validity",
                  cert.not_valid_before <= (at or pki.now()) <= cert.not_valid_after,
                  "%s is not valid at this time" % what)
        for what, cert in (("ASK", ask), ("ARK", ark)):
            check("chain:authority", _is_authority(cert), "%s is no certificate authority" % what)
    except ProofError:
        raise
    except ValueError as e:
        check("chain:structure", False, "not a chain of certificates: %s" % e)
        raise
    check("chain:structure", True, "")
    # An ASVK issues VLEKs; its chain ends in the same ARK.
    check("chain:names", (vcek.subject, ask.subject) == (
        amd_name("SEV-VCEK"), amd_name("SEV-" + product.name)),
          "the certificates are not named SEV-VCEK and SEV-%s" % product.name)
    public = vcek.public_key()
    check("chain:key", isinstance(public, ec.EllipticCurvePublicKey)
          and public.curve.name == "secp384r1", "the VCEK is not a P-384 key")
    return vcek, product


def leaf_facts(cert, product):
    """(eight TCB bytes, chip id or None, marking) that a VCEK certificate speaks for."""
    values = {}
    for found in cert.extensions:
        if isinstance(found.value, x509.UnrecognizedExtension):
            values[found.oid.dotted_string] = found.value.value
    try:
        tcb = bytes(der.read_uint(values[BASE + "3.%d" % LEVELS[level]])
                    for level in product.layout)
        chip_id = values.get(HWID_OID)
        if chip_id is not None:
            if len(chip_id) != product.chip:
                chip_id = der.read(chip_id, 0, 0x04)[1]
            if len(chip_id) != product.chip:
                raise ValueError("a chip id of %d bytes" % len(chip_id))
            chip_id = chip_id.ljust(CHIP_SIZE, b"\0")
        return tcb, chip_id, der.read(values[PRODUCT_OID], 0, 0x16)[1].decode("ascii")
    except (KeyError, ValueError) as e:
        raise ChainError("the VCEK lacks AMD's extensions: %s" % e) from None


def ark_thumbprint(pem):
    """SHA-256 over the DER of the first certificate in a PEM text."""
    return hashlib.sha256(pki.cert_der(pki.split_pem(pem.encode())[0])).hexdigest()
