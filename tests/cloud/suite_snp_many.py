#!/usr/bin/python3
"""TAP: several volumes and several bindings in a guest that has its SNP report itself: one report for
all, what a policy may test of the settings, and no second report after a failure of the device.
"""

import hashlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import e2e  # noqa: E402
import keys  # noqa: E402
from e2e import HSM, VAULT  # noqa: E402
from many import PREFIX, asked, lines, made, opened, run, status, unlock  # noqa: E402
from snpguest import tsm_case  # noqa: E402

CONFIG = "x-ms-runtime.latchkey.config"
TWO = ({"key": "snp", "service": VAULT}, {"key": "snp", "service": HSM})


def settings(tsm, **more):
    """What goes into NAME.conf."""
    return dict({"tpm": "", "evidence": "tsm", "snp-path": tsm.path}, **more)


def config(b, *names):
    """SHA-256 of these files, one after the other."""
    text = b""
    for name in names:
        with open(b.path("conf/%s%s.conf" % (PREFIX, name)), "rb") as f:
            text += f.read()
    return hashlib.sha256(text).hexdigest()


def ask_for(b, digest, key="snp", service="vault"):
    """The key's policy wants this configuration."""
    b.ctl.policy(service, key, keys.snp_policy(keys.condition(CONFIG, digest)))


@tsm_case
def one_report(b, tsm):
    """three volumes of two keys: one report, one attestation, two releases"""
    for name, key in (("data", "snp-ec256"), ("root", "snp"), ("swap", "snp-ec256")):
        made(b, name, key=key, settings=settings(tsm))
    mark = b.ctl.mark()
    unlock(b).ok()
    assert opened(b) == ["data", "swap", "root"]
    assert asked(b, mark) == (1, ["snp-ec256", "snp"]) and tsm.requests == 1, asked(b, mark)


@tsm_case
def configuration_of_all(b, tsm):
    """latchkey.config of a shared attestation: all files in the order of their names"""
    for name in ("swap", "data", "root"):
        made(b, name, key="snp", settings=settings(tsm))
    ask_for(b, config(b, "data", "root", "swap"))
    unlock(b).ok()
    assert opened(b) == ["data", "root", "swap"]
    unlock(b, "swap", "root", "data").ok()
    assert opened(b) == ["swap", "root", "data"]
    for names in (("root",), ("root", "swap")):
        r = unlock(b, *names)
        r.refused(77, "policy")
        assert "%s=%s" % (CONFIG, config(b, *names)) in r.err and opened(b) == [], str(r)
        ask_for(b, config(b, *names))
        unlock(b, *names).ok()
        assert opened(b) == list(names)
        ask_for(b, config(b, "data", "root", "swap"))
    with open(b.path("conf/many-swap.conf"), "a", encoding="ascii") as f:
        f.write("# one more line\n")
    unlock(b).refused(77, "policy")
    ask_for(b, config(b, "data", "root", "swap"))
    run(b, "unlock", "--timeout", "60").refused(77, "policy")
    unlock(b).ok()


@tsm_case
def configuration_of_those_that_share(b, tsm):
    """volumes that cannot share a run are not in each other's latchkey.config"""
    made(b, "data", key="snp", settings=settings(tsm))
    made(b, "other", key="snp", service=HSM, settings=settings(tsm))
    made(b, "root", key="snp", settings=settings(tsm))
    ask_for(b, config(b, "data", "root"))
    ask_for(b, config(b, "other"), service="hsm")
    mark = b.ctl.mark()
    unlock(b).ok()
    assert opened(b) == ["data", "root", "other"]
    assert asked(b, mark) == (2, ["snp", "snp"]) and tsm.requests == 2


@tsm_case
def configuration_of_an_alternative(b, tsm):
    """latchkey.config is the whole file, whichever of its bindings is tried"""
    made(b, "root", *TWO, settings=settings(tsm))
    ask_for(b, config(b, "root"))
    unlock(b).ok()
    assert opened(b) == ["root"] and tsm.requests == 1
    b.ctl.attributes("vault", "snp", enabled=False)
    ask_for(b, config(b, "root"), service="hsm")
    r = unlock(b).ok()
    assert opened(b) == ["root"] and tsm.requests == 3, "%d reports: %s" % (tsm.requests, r)
    assert lines(r, "with binding 2 of 2"), str(r)
    # Both in one process, in a run each, and still not one right after the other.
    assert tsm.times[2] - tsm.times[1] >= 1.9, tsm.times


@tsm_case
def device_fails(b, tsm):
    """after an error of the device no other binding is tried, for no volume: one report was asked for"""
    made(b, "data", *TWO, settings=settings(tsm))
    made(b, "root", *reversed(TWO), settings=settings(tsm))
    made(b, "swap", *TWO, settings=settings(tsm))
    tsm.fault("firmware", "EIO")
    mark = b.ctl.mark()
    r = unlock(b)
    r.refused(71, "many-", "rebooted")
    assert tsm.requests == 1 and asked(b, mark) == (0, []) and opened(b) == [], str(r)
    assert not lines(r, "trying the next") and len(lines(r, "asking for")) == 2, str(r)
    for name in ("data", "root", "swap"):
        assert len(lines(r, "volume many-%s: %s" % (name, tsm.path))) == 1, str(r)
        assert status(b, name)["result"] == "failed"


@tsm_case
def device_fails_at_a_new_report(b, tsm):
    """nor when it is the second report of a run that fails"""
    made(b, "root", *TWO, settings=settings(tsm))
    b.ctl.fault("maa", "status", status=400, count=1,
                body={"error": {"code": "InvalidParameter", "message": "the evidence is too old"}})
    tsm.fault("firmware", "EIO", skip=1)
    r = unlock(b)
    r.refused(71, "many-root", "rebooted")
    assert tsm.requests == 2 and opened(b) == [] and not lines(r, "trying the next"), str(r)


@tsm_case
def vtpm_is_tried_all_the_same(b, tsm):
    """an SNP device that fails keeps no volume closed whose evidence is the TPM's"""
    made(b, "data", key="snp", settings=settings(tsm))
    made(b, "root")
    tsm.fault("firmware", "EIO")
    r = unlock(b)
    r.refused(71, "many-data", "rebooted")
    assert opened(b) == ["root"] and tsm.requests == 1, str(r)


if __name__ == "__main__":
    e2e.main()
