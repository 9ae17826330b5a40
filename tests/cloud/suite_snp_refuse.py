#!/usr/bin/python3
"""TAP: SNP guests: every error of configfs-tsm, hosts with hostile certificate tables, services that
lie about certificates and tokens.

Each row: exit status, and words of the one line that the program must end with.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import certtable  # noqa: E402
import e2e  # noqa: E402
import maa_snp  # noqa: E402
from snpguest import asked, attest, release, tsm_case  # noqa: E402

# ---- the firmware's errors

# (error of a request, exit status, words, requests made)
FIRMWARE = [
    ("EIO", 71, ("failed the request", "rebooted"), 1),
    ("ETIMEDOUT", 71, ("throttled", "rebooted"), 1),
    ("EBADMSG", 71, ("decrypted", "rebooted"), 1),
    ("ENOSR", 71, ("sequence", "rebooted"), 1),
    ("ENOTTY", 71, ("VMPCK", "rebooted"), 1),
    ("ENXIO", 71, ("firmware refused", "no reboot"), 1),
    ("EINVAL", 71, ("privlevel_floor", "no reboot"), 1),
    ("ENOMEM", 71, ("memory", "no reboot"), 1),
    ("EBUSY", 71, ("another program", "no reboot"), 3),
    ("EPERM", 71, ("unexpected", "rebooted"), 1),
]


def firmware(error, status, words, requests):
    """One error of each request."""
    def run(b, tsm):
        tsm.fault("firmware", error)
        mark = b.ctl.mark()
        attest(b, tsm).refused(status, tsm.path, *words)
        assert tsm.requests == requests, "%d requests" % tsm.requests
        assert asked(b, mark) == [], asked(b, mark)
    run.__doc__ = "the firmware: %s, after %d" % (error, requests)
    run.__name__ = "firmware_" + error
    return run


for row in FIRMWARE:
    tsm_case(firmware(*row))


@tsm_case
def busy_once(b, tsm):
    """another program interferes once: asked again; ever: given up after three"""
    for at in ("inblob", "outblob"):
        tsm.reset()
        tsm.fault(at, what="interfere", count=1)
        attest(b, tsm).ok()
        tsm.reset()
        tsm.fault(at, what="interfere")
        attest(b, tsm).refused(71, "another program", "no reboot")
        made = [e for e in tsm.log if e[0] == "mkdir"]
        assert len(made) == 4, "%d directories" % len(made)     # the first asks for the provider
    tsm.reset()
    tsm.fault("firmware", "EBUSY", count=2)
    attest(b, tsm).ok()
    assert tsm.requests == 3, "%d requests" % tsm.requests


# (where, error, exit status, words)
STEPS = [
    ("mkdir", "EACCES", 71, ("not permitted", "root")),
    ("mkdir", "EIO", 71, ("unexpected",)),
    ("provider", "EIO", 71, ("unexpected",)),
    ("generation", "EIO", 71, ("unexpected",)),
    ("privlevel_floor", "EIO", 71, ("unexpected",)),
    ("inblob", "EIO", 71, ("unexpected",)),
    ("inblob", "EPERM", 71, ("not permitted",)),
    ("inblob", "EBUSY", 71, ("another program",)),
    ("outblob", "EIO", 71, ("failed the request", "rebooted")),
]


def step(where, error, status, words):
    """One error before the request."""
    def run(b, tsm):
        tsm.fault(where, error)
        attest(b, tsm).refused(status, tsm.path, *words)
        assert tsm.requests == 0, "%d requests" % tsm.requests
    run.__doc__ = "configfs: %s at %s" % (error, where)
    run.__name__ = "step_%s_%s" % (where, error)
    return run


for row in STEPS:
    tsm_case(step(*row))


@tsm_case
def forgiven(b, tsm):
    """what does not matter: no auxblob, a directory that cannot be removed"""
    tsm.fault("auxblob", "EIO")
    mark = b.ctl.mark()
    attest(b, tsm).ok()
    assert asked(b, mark) == ["thim", "attest"], asked(b, mark)
    tsm.reset()
    tsm.fault("rmdir", "EBUSY")
    attest(b, tsm).ok()
    tsm.reset()
    for name in tsm.left():
        os.rmdir(os.path.join(tsm.path, name))


@tsm_case
def other_provider(b, tsm):
    """a TDX guest's reports, and no provider"""
    tsm.provider = "tdx_guest"
    attest(b, tsm).refused(71, "provider", "not sev_guest")
    assert tsm.requests == 0


# (what is wrong with the report, exit status, words)
SPOILED = [
    ("short", 71, ("1183 bytes",)),
    ("empty", 71, ("0 bytes",)),
    ("zero", 71, ("all zeros",)),
    ("other-data", 71, ("other data",)),
    ("signature", 76, ("InvalidParameter", "signature")),
]


def spoiled(what, status, words):
    """One report that is not what it should be."""
    def run(b, tsm):
        tsm.fault("firmware", what=what)
        attest(b, tsm).refused(status, *words)
    run.__doc__ = "a report that is wrong: %s" % what
    run.__name__ = "spoiled_" + what.replace("-", "_")
    return run


for row in SPOILED:
    tsm_case(spoiled(*row))


@tsm_case
def longer(b, tsm):
    """a report of a later firmware with more behind it is taken for what is known of it"""
    tsm.fault("firmware", what="long")
    attest(b, tsm).ok()


# What the attestation service says of reports that are genuine, but not acceptable.
REPORTS = [
    ("by a VLEK", {"signer": "vlek"}, "right", 76, ("InvalidParameter", "VLEK")),
    ("that nobody signed", {"mask_key": True}, "right", 76, ("host masks its key",)),
    ("without a chip id", {"mask_id": True}, "right", 76, ("InvalidParameter", "another chip")),
    ("of a version to come", {"version": 6}, "right", 76, ("InvalidParameter", "version 6")),
    ("of version 1", {"version": 1}, "right", 71, ("version 1",)),
    ("by a VLEK with its certificates", {"signer": "vlek"}, "vlek", 76,
     ("InvalidParameter", "VLEK")),
]


def report(what, fields, kind, status, words):
    """One of them."""
    def run(b, tsm):
        tsm.report, tsm.table = fields, kind
        attest(b, tsm).refused(status, *words)
    run.__doc__ = "a report %s" % what
    run.__name__ = "report_" + what.replace(" ", "_")
    return run


for row in REPORTS:
    tsm_case(report(*row))


# ---- certificates

PASSED_OVER = certtable.HOSTILE + ("stale",)
ABSENT = ("vcek-only", "no-vcek", "empty-vcek", "vlek")


@tsm_case
def refused_table(b, tsm):
    """certificates of the host that the service refuses: others are asked, and the first kept at last"""
    for kind, word in (("other-product", "issuer"), ("other-vcek", "signature")):
        tsm.table = kind
        mark = b.ctl.mark()
        attest(b, tsm).ok()
        assert asked(b, mark) == ["attest", "thim", "attest"], "%s: %s" % (kind, asked(b, mark))
        b.ctl.fault("imds-thim", "status", status=400)
        attest(b, tsm).refused(76, "InvalidParameter", word)
        b.ctl.clear("imds-thim")


def table(kind, warned):
    """One table that is no use: the metadata service is asked."""
    def run(b, tsm):
        tsm.table = kind
        mark = b.ctl.mark()
        r = attest(b, tsm).ok()
        assert asked(b, mark) == ["thim", "attest"], asked(b, mark)
        assert ("table" in r.err) == warned, str(r)
        b.ctl.fault("imds-thim", "status", status=400)
        attest(b, tsm).refused(69, "certificates")
    run.__doc__ = "the host's table: %s" % kind
    run.__name__ = "table_" + kind.replace("-", "_")
    return run


for name in PASSED_OVER:
    tsm_case(table(name, True))
for name in ABSENT:
    tsm_case(table(name, False))


# (endpoint, tamper, exit status, words)
CERTIFICATES = [
    ("imds-thim", "other-vcek", 76, ("InvalidParameter", "signature")),
    ("imds-thim", "tcbm", 76, ("d114000000000003",)),
    ("imds-thim", "no-chain", 65, ("certificateChain",)),
    ("kds", "other-vcek", 76, ("InvalidParameter", "signature")),
    ("kds", "stale", 76, ("AMD KDS", "TCB")),
    ("kds", "truncated", 65, ("AMD KDS", "DER")),
    ("kds", "pem", 65, ("AMD KDS", "DER")),
    ("kds", "wrong-product", 76, ("InvalidParameter",)),
    ("kds", "order", 76, ("InvalidParameter",)),
    ("kds", "half", 65, ("AMD KDS", "chain")),
]


def certificates(endpoint, what, status, words):
    """One service whose certificates are wrong."""
    def run(b, tsm):
        tsm.table = "none"
        if endpoint == "kds":
            b.ctl.fault("imds-thim", "status", status=400)
        b.ctl.tamper(endpoint, what)
        attest(b, tsm, "--kds", "yes" if endpoint == "kds" else "no").refused(status, *words)
    run.__doc__ = "certificates of %s: %s" % (endpoint, what)
    run.__name__ = "certificates_%s_%s" % (endpoint, what.replace("-", "_"))
    return run


for row in CERTIFICATES:
    tsm_case(certificates(*row))


@tsm_case
def kds_refuses(b, tsm):
    """AMD's service: an unknown chip, a certificate of another authority, nobody there"""
    tsm.table = "none"
    b.ctl.fault("imds-thim", "status", status=400)
    tsm.report = {"chip_id": b"\x77" * 64, "version": 3}
    attest(b, tsm, "--kds", "yes").refused(76, "AMD KDS", "404")
    tsm.report = {}
    b.ctl.fault("kds", "tls", cert="other-ca")
    attest(b, tsm, "--kds", "yes").refused(76, "kdsintf.amd.com")
    b.ctl.clear("kds")
    b.ctl.fault("kds", "refuse")
    attest(b, tsm, "--kds", "yes", "--timeout", "8").refused(69, "kdsintf.amd.com")


# ---- tokens

LIES = {"jwt-signature": (77, ("verified",))}


def lie(what):
    """One token that is not what it should be."""
    def run(b, tsm):
        b.ctl.tamper("maa", what)
        status, words = LIES.get(what, ((65, 76), ()))
        r = release(b, tsm)
        wanted = status if isinstance(status, tuple) else (status,)
        assert r.status in wanted and r.out == b"", str(r)
        r.refused(r.status, *words)
        assert len(r.err.strip().splitlines()[-1]) > 20, str(r)
    run.__doc__ = "the attestation service: %s" % what
    run.__name__ = "lie_" + what.replace("-", "_")
    return run


for name in maa_snp.TAMPERS:
    tsm_case(lie(name))


if __name__ == "__main__":
    e2e.main()
