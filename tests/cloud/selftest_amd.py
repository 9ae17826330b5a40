"""The simulated host: chains of all products, reports of all versions, firmware that changes."""

import json
import os

from cryptography import x509

import amd
import amdcert
import certtable
import pki
import snp

DATA = bytes(range(64))


def names(pem):
    """Common names of subject and issuer, and the serial number."""
    def cn(name):
        return name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
    cert = pki.split_pem(pem.encode())[0]
    return cn(cert.subject), cn(cert.issuer), cert.serial_number


def oids(pem):
    """The last numbers of AMD's extensions, with their contents."""
    cert = pki.split_pem(pem.encode())[0]
    return {e.oid.dotted_string[len(amdcert.BASE):]: e.value.value for e in cert.extensions
            if e.oid.dotted_string.startswith(amdcert.BASE)}


SHAPES = {      # product: marking, HWID before the chip id, OIDs of the levels, names of the TCB
    "Milan": (b"Milan-B0", b"", "3.1 3.2 3.3 3.4 3.5 3.6 3.7 3.8",
              {"bootloader-svn": 4, "tee-svn": 0, "snpfw-svn": 0x18, "microcode-svn": 0xDB}),
    "Genoa": (b"Genoa-B1", b"\x04\x40", "3.1 3.2 3.3 3.4 3.5 3.6 3.7 3.8",
              {"bootloader-svn": 9, "tee-svn": 0, "snpfw-svn": 0x17, "microcode-svn": 0x48}),
    "Turin": (b"Turin", b"", "3.1 3.2 3.3 3.5 3.6 3.7 3.8 3.9",
              {"bootloader-svn": 2, "tee-svn": 3, "snpfw-svn": 4, "microcode-svn": 0x51})}


def products(t, state):
    """Certificates and reports of each product."""
    host = amd.Amd(state)
    for product, (marking, tag, levels, svn) in SHAPES.items():
        host.change(product)
        ask, ark = (p + "-----END CERTIFICATE-----\n" for p in host.chain_pem.split(
            "-----END CERTIFICATE-----\n")[:2])
        t.equal([names(p) for p in (host.vcek_pem, ask, ark)],
                [("SEV-VCEK", "SEV-" + product, 0), ("SEV-" + product, "ARK-" + product, 65537),
                 ("ARK-" + product, "ARK-" + product, 65536)], product + ": names")
        found = oids(host.vcek_pem)
        used = host.product.chip
        t.equal((found["1"], found["2"], found["4"], sorted(o for o in found if o[:2] == "3.")),
                (b"\2\1\0", b"\x16" + bytes([len(marking)]) + marking,
                 tag + host.chip_id[:used], sorted(levels.split())), product + ": extensions")
        t.equal((len(host.chip_id), any(host.chip_id[used:])), (64, False), product + ": chip id")
        for version in (2, 3, 4, 5):
            raw = snp.build(host, DATA, version=version)
            got, of = snp.verify_report(raw, host.vcek_pem + host.chain_pem, host.trusted())
            t.equal((of.name, got.version, got.fms, got.mitigations),
                    (product, version, host.product.fms if version > 2 else None,
                     (3, 0xB) if version > 4 else None), "%s: version %d" % (product, version))
        claims = snp.claims(got, of)
        t.equal({n: claims["x-ms-sevsnpvm-" + n] for n in svn}, svn, product + ": TCB as claims")
    t.equal(found["3.8"], b"\2\1\x51", "a level below 128 is one byte")
    host.reset()
    t.equal(oids(host.vcek_pem)["3.8"], b"\2\2\0\xdb", "a level above 127 has a zero before it")


def keys(t, state):
    """VLEK, masks, author key, and reports that nobody signed."""
    host = amd.Amd(state)
    key, leaf, above = host.vlek()
    t.equal([names(leaf), names(above)[:2]], [("SEV-VLEK", "SEV-VLEK-Milan", 0),
                                              ("SEV-VLEK-Milan", "ARK-Milan")], "VLEK: names")
    found = oids(leaf)
    t.equal((found.get("4"), found["5"][2:].decode()), (None, amd.CSP_ID), "VLEK: provider's id")
    got = snp.Report(snp.build(host, DATA, signer="vlek"))
    t.equal((got.signer, got.key_info), (1, 4), "a report by the VLEK")
    snp.sign(got.raw, key)
    got = snp.Report(snp.build(host, DATA, mask_key=True))
    t.equal((got.key_info, any(got.raw[snp.SIGNED:])), (0x1E, False), "MASK_CHIP_KEY: unsigned")
    got = snp.Report(snp.build(host, DATA, mask_id=True, author=b"\3" * 48))
    t.equal((any(got.chip_id), got.key_info, got.author_key_digest), (False, 1, b"\3" * 48),
            "masked chip id, author key")
    t.equal(len(certtable.make("right", host)), sum(
        len(b) for b in certtable.blobs(host).values()) + 4 * 24, "a table has no gaps")


def firmware(t, state):
    """New firmware is another VCEK; the old one stays what it was."""
    host, other = amd.Amd(state), amd.Amd(state)
    before, old = host.vcek_pem, host.tcb
    report = snp.build(host, DATA)
    host.new_tcb(old[:6] + b"\x19\xdc")
    t.equal((host.old_tcb, host.vcek_pem != before, other.load().tcb == host.tcb),
            (old, True, True), "new firmware: another VCEK, and everybody sees it")
    t.equal(host.vcek(old)[1], before, "the VCEK of the old firmware is the same as before")
    snp.verify_report(report, before + host.chain_pem, host.trusted())
    try:
        snp.verify_report(report, host.vcek_pem + host.chain_pem, host.trusted())
        t.ok(False, "a report of the old firmware does not fit the new VCEK")
    except snp.ReportError as e:
        t.ok("signature" in str(e), "a report of the old firmware does not fit the new VCEK")
    t.equal((host.thim()["tcbm"], host.thim(old)["tcbm"], host.thim(old)["vcekCert"] == before),
            ("DC19000000000004", "DB18000000000004", True), "THIM's answer of either")
    chip = host.chip_id
    host.change("Turin")
    host.reset()
    t.equal((host.chip_id, host.vcek_pem, host.old_tcb[7]), (chip, before, 0xDA), "reset")
    with open(os.path.join(state, "amd", "host.json"), encoding="ascii") as f:
        said = json.load(f)
    with open(os.path.join(state, "amd", "vcek.pem"), encoding="ascii") as f:
        t.equal((said["product"], f.read()), ("Milan", before), "the files of the present")


def run(t, env):
    """All of them, beside the running simulator."""
    for group in (products, keys, firmware):
        t.run(group.__name__, group, env.state)
        env.ctl.reset()
