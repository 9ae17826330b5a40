#!/usr/bin/python3
"""TAP: `latchkey unlock` with several volumes: one attestation, as few releases as there are keys."""

import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import binding  # noqa: E402
import e2e  # noqa: E402
import keys  # noqa: E402
import names  # noqa: E402
from disk import cryptsetup, replace  # noqa: E402
from e2e import ATTEST, HSM, LATCHKEY, case  # noqa: E402
from many import (PREFIX, asked, attempts, configure, lines, made, opened, recorder,  # noqa: E402
                  run, status, unlock)

THREE = ("data", "root", "swap")


@case
def one_key(b):
    """three volumes of one key: one attestation, one release, in the order of their names"""
    for name in ("swap", "root", "data"):
        made(b, name)
    mark = b.ctl.mark()
    unlock(b).ok()
    tried = attempts(b)
    assert opened(b) == list(THREE)
    assert asked(b, mark) == (1, ["rsa2048"]), asked(b, mark)
    for t in tried:
        assert t["args"][:2] == ["open", "--type"] and t["args"][-1] == t["name"], t
        assert t["environ"] == ["LC_ALL", "PATH"] or t["environ"] == ["LC_ALL", "LC_CTYPE", "PATH"], t
    assert len({t["device"] for t in tried}) == 3


@case
def two_keys(b):
    """three volumes of two keys: one attestation, two releases"""
    made(b, "data", key="ec256")
    made(b, "root")
    made(b, "swap", key="ec256")
    mark = b.ctl.mark()
    unlock(b).ok()
    assert opened(b) == ["data", "swap", "root"]
    assert asked(b, mark) == (1, ["ec256", "rsa2048"]), asked(b, mark)


@case
def two_versions(b):
    """two versions of a key are two keys"""
    first = keys.Store(e2e.STATE).find("vault", "ec256")[1]["id"]
    made(b, "root", key="ec256", version=first)
    made(b, "data", key="ec256", version=b.ctl.rotate("vault", "ec256"))
    made(b, "swap", key="ec256", version=first)
    mark = b.ctl.mark()
    unlock(b).ok()
    assert sorted(opened(b)) == list(THREE)
    assert asked(b, mark) == (1, ["ec256", "ec256"]), asked(b, mark)


@case
def kinds(b):
    """volumes of different kinds share a release, too"""
    for name, kind, key in (("data", "raw", "oct256"), ("home", "derived", "oct256"),
                            ("root", "wrapped", "rsa2048"), ("swap", "compat", "rsa2048"),
                            ("var", "derived", "rsa2048")):
        made(b, name, kind=kind, key=key)
    mark = b.ctl.mark()
    unlock(b).ok()
    assert opened(b) == ["data", "home", "root", "swap", "var"]
    assert asked(b, mark) == (1, ["oct256", "rsa2048"]), asked(b, mark)


@case
def two_vaults(b):
    """volumes of two vaults: one run for each vault"""
    made(b, "data", service=HSM)
    made(b, "root")
    made(b, "swap", service=HSM)
    mark = b.ctl.mark()
    unlock(b).ok()
    assert opened(b) == ["data", "swap", "root"]
    assert asked(b, mark) == (2, ["rsa2048"] * 2), asked(b, mark)
    assert [e["service"] for e in b.ctl.log(mark) if e.get("path", "").endswith("/release")] == \
        ["hsm", "vault"]


@case
def two_authorities(b):
    """volumes of two attestation providers: one attestation by each"""
    other = "https://" + names.MAA2_HOST
    b.ctl.policy("vault", "ec256", keys.cvm_policy(authority=other))
    made(b, "data", key="ec256", attest=other)
    made(b, "root")
    mark = b.ctl.mark()
    unlock(b).ok()
    assert opened(b) == ["data", "root"] and asked(b, mark) == (2, ["ec256", "rsa2048"])
    assert [e["host"] for e in b.ctl.log(mark) if "/attest/" in e.get("path", "")] == \
        [names.MAA2_HOST, names.MAA_HOST]


@case
def two_identities(b):
    """volumes of two identities do not share a bearer token"""
    user = next(i for i in names.IDENTITIES if i["name"] == "user-release")
    made(b, "data", settings={"identity": "client:" + user["client_id"]})
    made(b, "root")
    mark = b.ctl.mark()
    unlock(b).ok()
    assert opened(b) == ["data", "root"] and asked(b, mark)[0] == 2
    assert len([e for e in b.ctl.log(mark, "imds") if "oauth2" in e["path"]]) == 2


@case
def some_of_them(b):
    """volumes that are named, one of them twice"""
    for name in THREE:
        made(b, name)
    mark = b.ctl.mark()
    unlock(b, "swap", "root", "swap").ok()
    assert opened(b) == ["swap", "root"] and asked(b, mark) == (1, ["rsa2048"])


def spoil_header(b, image, t):
    with open(image, "r+b") as f:       # the JSON of both copies
        for at in (4096, 16384 + 4096):
            f.seek(at)
            f.write(bytes(512))


def spoil_mac(b, image, t):
    replace(image, dict(t, mac="A" * 43))


def spoil_token(b, image, t):
    cryptsetup("token", "remove", "--token-id", "0", image)


def spoil_pin(b, image, t):
    configure(b, "data", image, dict(t, thumbprint="A" * 43))


def spoil_uuid(b, image, t):
    configure(b, "data", image, dict(t, uuid="00000000-0000-4000-8000-000000000000"))


def spoil_conf(b, image, t):
    configure(b, "data", image, t, nonsense="1")


def spoil_slot(b, image, t):
    with open(b.path("refuse-" + PREFIX + "data"), "w", encoding="ascii"):
        pass


def spoil_policy(b, image, t):
    b.ctl.policy("vault", "ec256", keys.Store(e2e.STATE).find("vault", "nomatch")[0]["policy"])


def spoil_key(b, image, t):
    b.ctl.attributes("vault", "ec256", enabled=False)


# (what is wrong with the volume `data`, exit status, words, releases that were asked for)
SPOILED = [
    (spoil_header, 65, ("header",), 1), (spoil_mac, 76, ("MAC",), 2),
    (spoil_token, 65, ("token",), 1), (spoil_pin, 76, ("thumbprint",), 1),
    (spoil_uuid, 65, ("UUID",), 1), (spoil_conf, 78, ("unknown setting",), 1),
    (spoil_slot, 65, ("cryptsetup", "key slot 1"), 2), (spoil_policy, 77, ("policy",), 2),
    (spoil_key, 77, ("disabled",), 2)]


def spoiled(how, code, words, releases):
    """One volume that cannot be opened."""
    def check(b):
        image, t = made(b, "data", key="ec256")
        made(b, "root")
        made(b, "swap")
        how(b, image, t)
        mark = b.ctl.mark()
        r = unlock(b)
        r.refused(code, "data", *words)
        assert opened(b) == ["root", "swap"], str(r)
        assert (asked(b, mark)[0], len(asked(b, mark)[1])) == (1, releases), asked(b, mark)
        assert status(b, "root")["result"] == "unlocked"
        if code != 78:
            assert status(b, "data")["result"] == "failed", status(b, "data")
            assert words[0].lower() in status(b, "data")["failure"].lower(), status(b, "data")
    check.__doc__ = "one of three is spoiled: %s; the others open" % how.__name__[6:]
    check.__name__ = how.__name__
    return check


for row in SPOILED:
    case(spoiled(*row))


@case
def several_are_spoiled(b):
    """each failure is told once, the exit status is the last one's"""
    for name in THREE:
        made(b, name)
    spoil_header(b, b.path("data.img"), None)
    spoil_token(b, b.path("swap.img"), None)
    r = unlock(b)
    assert opened(b) == ["root"] and r.status == 65, str(r)
    assert len(lines(r, "volume many-data", "header")) == 1, str(r)
    assert len(lines(r, "volume many-swap", "no token")) == 1, str(r)


@case
def attestation_refused(b):
    """an attestation that is refused is everybody's failure, and is not tried for each"""
    for name in THREE:
        made(b, name, key="ec256" if name == "root" else "rsa2048")
    b.ctl.fault("maa", "status", status=403)
    mark = b.ctl.mark()
    r = unlock(b)
    assert r.status != 0 and opened(b) == [] and asked(b, mark)[1] == [], str(r)
    for name in THREE:
        assert status(b, name)["result"] == "failed" and len(lines(r, "volume many-" + name, "403")) == 1
    assert asked(b, mark)[0] == 1, asked(b, mark)


@case
def a_late_device(b):
    """a device that comes late does not keep the others waiting, and gets its turn"""
    image, t = made(b, "data")
    made(b, "root")
    link = b.path("late")
    configure(b, "data", link, t)
    p = subprocess.Popen([LATCHKEY, "unlock", "--conf-dir", b.path("conf")],
                         stderr=subprocess.PIPE)
    end = time.monotonic() + 60
    while not attempts(b) and time.monotonic() < end:
        time.sleep(0.1)
    assert [a["name"] for a in attempts(b)] == ["many-root"], attempts(b)
    os.symlink(image, link)
    err = p.communicate(timeout=60)[1].decode()
    assert p.returncode == 0 and opened(b) == ["root", "data"], err


@case
def quiet_boot(b):
    """a happy boot says at most eight lines for one volume, and its status has the steps"""
    made(b, "root")
    r = unlock(b).ok()
    assert 1 <= len(r.err.splitlines()) <= 8, str(r)
    assert lines(r, "volume many-root: unlocked (", "attest", "release"), str(r)
    s = status(b, "root")
    assert s["result"] == "unlocked" and s["binding"] == "1 of 1, " + e2e.VAULT + "/keys/rsa2048", s
    assert "step" in s and "failure" not in s and "before" not in s


# Done by the stand-in for cryptsetup, while the keeper has the key.
LOOK = '''
import signal
sys.path.insert(0, %(here)r)
import scan
with open(%(dir)r + "/secrets", "a") as f:
    f.write(key.hex() + "\\n")
with open(%(dir)r + "/secrets") as f:
    secrets = [bytes.fromhex(line) for line in f]
with open(%(dir)r + "/seen", "a") as f:
    for pid, kind in [(os.getppid(), "keeper")] + scan.couriers(os.getppid()):
        memory = scan.memory(pid)
        f.write(" ".join([name, kind, str(pid), *(str(int(s in memory)) for s in secrets)]) + "\\n")
if name == "many-data":
    for pid, kind in scan.couriers(os.getppid()):
        if kind == "vault":
            os.kill(pid, signal.SIGKILL)
'''


@case
def couriers_see_no_key(b):
    """no courier has a key in memory, also not one that was started again between two releases"""
    recorder(b, LOOK % {"here": e2e.HERE, "dir": b.dir})
    made(b, "data", key="ec256")
    made(b, "root")
    store = keys.Store(e2e.STATE)
    with open(b.path("secrets"), "w", encoding="ascii") as f:
        for label in ("ec256-1", "rsa2048-1"):
            f.write(binding.canonical(store.material.load(label)).hex() + "\n")
    r = unlock(b).ok()
    assert opened(b) == ["data", "root"] and lines(r, "vault courier", "signal 9", "again"), str(r)
    with open(b.path("seen"), encoding="ascii") as f:
        seen = [line.split() for line in f]
    # ec256 itself, rsa2048 itself, the key of `data`, then that of `root`: the keeper has what it
    # works with, which shows that the look finds it, and nothing of what is done.
    assert [s[3:] for s in seen if s[1] == "keeper"] == [list("101"), list("0101")], seen
    for s in seen:
        assert s[1] == "keeper" or "1" not in s[3:], seen
    vaults = [s[2] for s in seen if s[1] == "vault"]
    assert len(vaults) == 2 and vaults[0] != vaults[1], seen
    assert {s[1] for s in seen} >= {"keeper", "imds", "attestation", "vault"}, seen


if __name__ == "__main__":
    e2e.main()
