#!/usr/bin/python3
"""TAP: guests that have their SNP report themselves: from configfs-tsm to the released key.

Every processor and report version, where certificates come from and what happens when they are
behind, policies on every kind of claim, wrapping keys of every size.
"""

import base64
import hashlib
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import amd  # noqa: E402
import certtable  # noqa: E402
import e2e  # noqa: E402
import keys  # noqa: E402
import names  # noqa: E402
import snp  # noqa: E402
import softsnp  # noqa: E402
from e2e import HSM, STATE  # noqa: E402
from snpguest import asked, attest, claims, release, source, tsm_case  # noqa: E402

FLAT = "x-ms-sevsnpvm-"
MEASUREMENT, HOST_DATA = b"\x11" * 48, b"\x22" * 32


def material(label):
    """What a release of this key must give."""
    return keys.Store(STATE).material.export(label + "-1")


def write(path, data):
    """A file; its path."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)
    return path


# ---- processors

def processor(product, *versions):
    """Reports of one processor."""
    def run(b, tsm):
        b.ctl.host(product)
        for version in versions:
            tsm.report = {"version": version, "measurement": MEASUREMENT, "guest_svn": 4}
            mark = b.ctl.mark()
            got = claims(attest(b, tsm))
            entry = [e for e in b.ctl.log(mark, "maa") if "SevSnpVm" in e.get("path", "")][0]
            assert (entry["facts"]["product"], entry["facts"]["version"]) == (product, version)
            level = dict(zip(tsm.host.product.layout, tsm.host.tcb))
            assert [got[FLAT + n] for n in ("bootloader-svn", "tee-svn", "snpfw-svn",
                                            "microcode-svn", "guestsvn", "launchmeasurement")] == \
                [level[n] for n in ("bl", "tee", "snp", "ucode")] + [4, MEASUREMENT.hex()], got
    run.__doc__ = "%s: reports of version %s" % (product, ", ".join(map(str, versions)))
    run.__name__ = "processor_" + product
    return run


for row in (("Milan", 2, 3, 5), ("Genoa", 2, 3, 5), ("Turin", 2, 3, 5)):
    tsm_case(processor(*row))


@tsm_case
def whole_way(b, tsm):
    """the keys of vault and Managed HSM, from every processor"""
    for product, key, service in (("Milan", "snp", e2e.VAULT), ("Genoa", "snp-ec256", HSM),
                                  ("Turin", "snp-oct256", e2e.VAULT)):
        b.ctl.host(product)
        mark, requests = b.ctl.mark(), tsm.requests
        r = release(b, tsm, key, service=service).ok()
        assert r.out == material(keys.SNP[key]), "another key was written: %s" % r
        assert sorted(asked(b, mark)) == ["attest", "bearer", "release"], asked(b, mark)
        assert tsm.requests == requests + 1, "%d reports" % (tsm.requests - requests)


def wrapping(bits, enc):
    """One size of wrapping key."""
    def run(b, tsm):
        mark = b.ctl.mark()
        # Primes are a matter of luck: minutes, where others use the processor as well.
        r = release(b, tsm, "snp-oct256", "--wrap-bits", bits, "--enc", enc, "--timeout", "600",
                    timeout=660).ok()
        assert r.out == material("oct256")
        entry = [e for e in b.ctl.log(mark, "vault") if e["path"].endswith("/release")][0]
        assert entry["facts"]["enc"] == enc
        token = [e for e in b.ctl.log(mark, "maa") if "SevSnpVm" in e["path"]][0]
        key = token["facts"]["claims"]["x-ms-runtime"]["keys"][0]
        assert len(base64.urlsafe_b64decode(key["n"] + "==")) * 8 == int(bits), key
    run.__doc__ = "wrapping key of %s bits, %s" % (bits, enc)
    run.__name__ = "wrapping_%s" % bits
    return run


for row in (("2048", "RSA_AES_KEY_WRAP_256"), ("2048", "RSA_AES_KEY_WRAP_384"),
            ("2048", "CKM_RSA_AES_KEY_WRAP"), ("3072", "RSA_AES_KEY_WRAP_384"),
            ("4096", "RSA_AES_KEY_WRAP_256")):
    tsm_case(wrapping(*row))


# ---- certificates

@tsm_case
def certificates_of_the_host(b, tsm):
    """the host's table is enough, in either byte order of GUIDs, and nobody else is asked"""
    for table in certtable.GOOD:
        tsm.table = table
        mark = b.ctl.mark()
        attest(b, tsm).ok()
        assert asked(b, mark) == ["attest"], "%s: %s" % (table, asked(b, mark))


@tsm_case
def certificates_of_thim(b, tsm):
    """a host without a table: the metadata service has them"""
    for table in ("none", "zeros"):
        tsm.table = table
        mark = b.ctl.mark()
        attest(b, tsm).ok()
        assert asked(b, mark) == ["thim", "attest"], asked(b, mark)


@tsm_case
def certificates_of_kds(b, tsm):
    """neither: AMD's service, when it is allowed, for each processor"""
    tsm.table = "none"
    b.ctl.fault("imds-thim", "status", status=400)
    attest(b, tsm).refused(69, "certificates", "HTTP 400")
    for product, version in (("Milan", 2), ("Genoa", 2), ("Turin", 5)):
        b.ctl.host(product)
        tsm.report = {"version": version}
        mark = b.ctl.mark()
        got = claims(attest(b, tsm, "--kds", "yes"))
        assert got[FLAT + "microcode-svn"] == tsm.host.tcb[7]
        # A Genoa report of version 2 may be Milan's as well: that one is asked for first.
        want = 3 if (product, version) == ("Genoa", 2) else 2
        assert asked(b, mark).count("kds") == want, asked(b, mark)


@tsm_case
def certificates_in_a_file(b, tsm):
    """a confidential container's host: certificates and reference values in files"""
    tsm.table, folder = "none", b.path("context")
    b.ctl.fault("imds-thim", "status", status=400)
    thim = base64.b64encode(json.dumps(amd.Amd(STATE).thim()).encode())
    write(folder + "/host-amd-cert-base64", thim + b"\n")
    mark = b.ctl.mark()
    got = claims(attest(b, tsm, "--security-context", folder))
    assert asked(b, mark) == ["attest"] and "x-ms-compliance-status" not in got
    tsm.report = {"measurement": MEASUREMENT}
    write(folder + "/reference-info-base64",
          base64.b64encode(softsnp.endorsement(MEASUREMENT)))
    got = claims(attest(b, tsm, "--security-context", folder))
    assert got["x-ms-compliance-status"] == "azure-compliant-uvm"


@tsm_case
def cache_behind(b, tsm):
    """the metadata service is behind the firmware: asked again, once more with a new report"""
    tsm.table = "none"
    for behind, requests in ((1, 1), (2, 2)):
        b.ctl.tamper("imds-thim", "stale", count=behind)
        mark, before = b.ctl.mark(), tsm.requests
        attest(b, tsm).ok()
        assert asked(b, mark) == ["thim"] * (behind + 1) + ["attest"], asked(b, mark)
        assert tsm.requests == before + requests, "%d reports" % (tsm.requests - before)


@tsm_case
def cache_stays_behind(b, tsm):
    """and when it stays behind: both values are named; AMD's service has the right one"""
    tsm.table = "none"
    b.ctl.tcb("DC19000000000005")
    b.ctl.tamper("imds-thim", "stale")
    mark = b.ctl.mark()
    attest(b, tsm).refused(76, "db18000000000004", "dc19000000000005", "behind")
    assert asked(b, mark) == ["thim"] * 3, asked(b, mark)
    mark = b.ctl.mark()
    attest(b, tsm, "--kds", "yes").ok()
    assert asked(b, mark) == ["thim"] * 3 + ["kds"] * 2 + ["attest"], asked(b, mark)


@tsm_case
def report_behind(b, tsm):
    """a report of older firmware than the certificates: a new report"""
    tsm.table, tsm.stale = "none", 1
    mark = b.ctl.mark()
    got = claims(attest(b, tsm))
    assert (tsm.requests, asked(b, mark)) == (2, ["thim"] * 3 + ["attest"]), asked(b, mark)
    assert got[FLAT + "microcode-svn"] == tsm.host.tcb[7]


@tsm_case
def firmware_changes(b, tsm):
    """new firmware between two runs: both work"""
    tsm.table = "none"
    for tcb in (None, "DC19000000000005", "4818000000000009"):
        if tcb:
            b.ctl.host("Genoa" if tcb.startswith("48") else None, tcb)
        got = claims(attest(b, tsm))
        assert got[FLAT + "bootloader-svn"] == tsm.host.tcb[0]


@tsm_case
def throttled_host(b, tsm):
    """a metadata service that throttles, is updated or fails: asked again"""
    tsm.table = "none"
    for fault in ({"kind": "throttle", "seconds": 1}, {"kind": "status", "status": 429},
                  {"kind": "status", "status": 404}, {"kind": "status", "status": 410},
                  {"kind": "status", "status": 503}):
        b.ctl.fault("imds-thim", count=1, **fault)
        mark = b.ctl.mark()
        attest(b, tsm).ok()
        assert asked(b, mark) == ["thim", "thim", "attest"], "%s: %s" % (fault, asked(b, mark))


# ---- what the service and the release policy say

@tsm_case
def debuggable(b, tsm):
    """a guest that the host may debug: said aloud, and refused by the key's policy"""
    tsm.report = {"policy": snp.POLICY | snp.POLICY_DEBUG}
    r = attest(b, tsm).ok()
    assert "debug" in r.err, str(r)
    r = release(b, tsm).refused(77, "policy")
    assert FLAT + "is-debuggable=true" in r.err, str(r)
    b.ctl.setting("maa.deny-debug", True)
    attest(b, tsm).refused(76, "PolicyEvaluationError")


@tsm_case
def measured(b, tsm):
    """policies on measurement, host data and VMPL: met, missed with the claims to compare"""
    tsm.report = {"measurement": MEASUREMENT, "host_data": HOST_DATA}
    want = keys.snp_policy(keys.condition(FLAT + "launchmeasurement", MEASUREMENT.hex()),
                           keys.condition(FLAT + "hostdata", HOST_DATA.hex()))
    b.ctl.policy("vault", "snp", want)
    release(b, tsm).ok()
    for changes, line in (({"host_data": HOST_DATA[::-1][:-1] + b"\0"}, "hostdata=2222"),
                          ({"measurement": b"\x12" * 48}, "launchmeasurement=1212")):
        tsm.report = dict({"measurement": MEASUREMENT, "host_data": HOST_DATA}, **changes)
        r = release(b, tsm).refused(77, "policy")
        assert FLAT + line in r.err, str(r)
    tsm.report = {"measurement": MEASUREMENT, "host_data": HOST_DATA}
    r = release(b, tsm, "snp", "--vmpl", "2").refused(77, "policy")
    assert FLAT + "vmpl=2" in r.err, str(r)


@tsm_case
def privilege_level(b, tsm):
    """--vmpl is asked for; without it the lowest that the guest may have"""
    assert claims(attest(b, tsm, "--vmpl", "3"))[FLAT + "vmpl"] == 3
    tsm.floor = 2
    assert claims(attest(b, tsm))[FLAT + "vmpl"] == 2
    attest(b, tsm, "--vmpl", "1").refused(71, "privlevel_floor")
    tsm.reset()
    tsm.has_floor = False
    assert claims(attest(b, tsm))[FLAT + "vmpl"] == 0


@tsm_case
def init_data(b, tsm):
    """init-data: sent and bound to HOST_DATA; another file is refused before anybody is asked"""
    for text, kind in ((b'{"policy": "strict"}', {"policy": "strict"}), (b"package x\n", None)):
        path = write(b.path("init"), text)
        tsm.report = {"host_data": hashlib.sha256(text).digest()}
        got = claims(attest(b, tsm, "--init-data", path))
        assert (got.get("x-ms-inittime"), got[FLAT + "hostdata"]) == (
            kind, hashlib.sha256(text).hexdigest()), got
    tsm.report = {"host_data": HOST_DATA}
    mark = b.ctl.mark()
    attest(b, tsm, "--init-data", path).refused(76, "init-data", path, "HOST_DATA")
    assert asked(b, mark) == [], asked(b, mark)
    attest(b, tsm, "--init-data", b.path("absent")).refused(78, "init-data")


@tsm_case
def below_the_baseline(b, tsm):
    """firmware that the attestation service does not take any more"""
    b.ctl.setting("maa.min-tcb", "DC18000000000004")
    r = attest(b, tsm)
    r.refused(76, "InvalidParameter", "db18000000000004", "baseline", "ucode")


@tsm_case
def configuration_tested(b, tsm):
    """a policy on the configuration's SHA-256, which the command line must not override"""
    text = ("key = %s/keys/snp\nattest = %s\nevidence = tsm\nsnp-path = %s\ntrust = %s/ca.pem\n"
            "kmsg = no\n" % (e2e.VAULT, e2e.ATTEST, tsm.path, STATE)).encode()
    write(b.path("conf/root.conf"), text)

    def run(*args):
        return b.call([e2e.LATCHKEY, "release", "root", "--conf-dir", b.path("conf"), *args])

    b.ctl.policy("vault", "snp", keys.snp_policy(
        keys.condition("x-ms-runtime.latchkey.config", hashlib.sha256(text).hexdigest()),
        keys.condition("x-ms-runtime.latchkey.boot-nonce", True, "exists")))
    assert run().ok().out == material("rsa2048")
    run("--timeout", "60").refused(77, "policy")
    write(b.path("conf/root.conf"), text + b"# changed\n")
    r = run().refused(77, "policy")
    digest = hashlib.sha256(text + b"# changed\n").hexdigest()
    assert "x-ms-runtime.latchkey.config=" + digest in r.err, str(r)
    b.ctl.reset()
    run().ok()


@tsm_case
def other_policies(b, tsm):
    """a key for confidential VMs, another authority, the HSM: each says what does not fit"""
    r = release(b, tsm, "rsa2048").refused(77, "policy")
    assert "x-ms-attestation-type=sevsnpvm" in r.err, str(r)
    release(b, tsm, "snp", attest="https://" + names.MAA2_HOST).refused(77, "policy",
                                                                        names.MAA2_HOST)
    release(b, tsm, "snp", service=HSM).ok()


@tsm_case
def api_versions(b, tsm):
    """attest-api-version"""
    for version in ("2020-10-01", "2025-06-01"):
        mark = b.ctl.mark()
        attest(b, tsm, "--attest-api-version", version).ok()
        assert b.ctl.log(mark, "maa")[-1]["query"] == {"api-version": version}
    attest(b, tsm, "--attest-api-version", "2019-01-01").refused(76, "api-version")


@tsm_case
def no_other_evidence(b, tsm):
    """evidence that is named and fails is not replaced by the TPM's, which is there"""
    tsm.provider = None
    mark = b.ctl.mark()
    attest(b, tsm).refused(71, "no provider")
    assert asked(b, mark) == [], asked(b, mark)
    b.attest("--evidence", "vtpm").ok()
    assert asked(b, mark).count("guest") == 1
    b.attest(*source(tsm)[:2], "--snp-path", b.path("nowhere")).refused(71, "no configfs-tsm")


@tsm_case
def probe_without_identity(b, tsm):
    """probe attests whether or not there is an identity, which only the release needs"""
    b.ctl.fault("imds-token", "status", status=403)
    r = b.latchkey("probe", "--attest", e2e.ATTEST, "--key", e2e.VAULT + "/keys/snp", *source(tsm))
    said = r.out.decode()
    for line in ("FAIL  identity", "ok    attestation", "skip  release"):
        assert "\n" + line in said, "%s: %s" % (line, said)


if __name__ == "__main__":
    e2e.main()
