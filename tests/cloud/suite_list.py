#!/usr/bin/python3
"""TAP: latchkeyctl list, as a table and as JSON, for bindings in every state."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import e2e  # noqa: E402
from disk import PASSPHRASE, bound, cryptsetup, enroll, replace, token, volume  # noqa: E402
from e2e import ATTEST, HSM, LATCHKEYCTL, VAULT, case  # noqa: E402


def listing(b, *args):
    """latchkeyctl list."""
    return b.call([LATCHKEYCTL, "list", "--conf-dir", b.path("conf"), *args])


def document(b, *args):
    """What --json says of the volumes, and the exit status."""
    r = listing(b, "--json", *args)
    return json.loads(r.out)["volumes"], r


def rows(r):
    """The table's lines as fields, without the heading."""
    return [line.split() for line in r.out.decode().split("\n\n")[0].splitlines()[1:]]


def at(b, name, image):
    """Let NAME.conf say where the volume is."""
    with open(b.path("conf/%s.conf" % name), "r+", encoding="ascii") as f:
        text = f.read()
        f.seek(0)
        f.write("device = %s\n%s" % (image, text))


def add(image, value, number):
    """One more token."""
    cryptsetup("token", "import", "--token-id", str(number), "--json-file", "-", image,
               stdin=json.dumps(value).encode())


@case
def every_configured_volume(b):
    """without operands every configured volume is listed: binding, state, key, slot, token, choice"""
    first, second = volume(b, "first"), volume(b, "second")
    enroll(b, first, name="root").ok()
    enroll(b, second, name="data", key="ec384", service=HSM).ok()
    at(b, "root", first)
    at(b, "data", second)
    r = listing(b).ok()
    t = [token(second), token(first)]
    assert rows(r) == [[name, t[i]["id"], "active", "derived", "1", "0", "1", t[i]["key"], ATTEST]
                       for i, name in enumerate(("data", "root"))], r.out.decode()
    text = r.out.decode()
    for want in ("root: %s, LUKS UUID %s\n" % (first, t[1]["uuid"]),
                 "data is not authenticated (aes-xts-plain64)",
                 "%s needs a release of %s attested by %s, identity system\n"
                 % (t[1]["id"], t[1]["key"], ATTEST)):
        assert want in text, "%s\n%s" % (want, text)
    assert rows(listing(b, "root").ok()) == [rows(r)[1]]


@case
def as_json(b):
    """--json: one document with every member"""
    image = bound(b)
    at(b, "root", image)
    t = token(image)
    (v,), r = document(b, "root")
    r.ok()
    (entry,) = v.pop("bindings")
    assert v == {"name": "root", "device": image, "error": None, "uuid": t["uuid"],
                 "cipher": "aes-xts-plain64", "integrity": None, "data": v["data"], "slots": [0, 1],
                 "malformed_tokens": [], "missing": []}, v
    assert "not authenticated" in v["data"]
    assert entry == {"id": t["id"], "state": "active", "kind": "derived", "key": t["key"],
                     "attest": ATTEST, "thumbprint": t["thumbprint"], "slot": 1, "token": 0,
                     "choice": 1, "identity": "system", "pin": None, "replaced_by": None,
                     "borrowed": False, "proof": entry["proof"]}, entry
    assert entry["proof"].startswith("needs a release of " + t["key"]), entry["proof"]
    os.unlink(b.path("conf/root.conf"))
    (v,), r = document(b, image)
    r.ok()
    assert v["name"] is None and v["bindings"][0]["choice"] is None, v
    assert v["bindings"][0]["identity"] is None
    r = listing(b, "--json")
    assert r.status == 78 and "NAME.conf" in r.err, str(r)


@case
def every_state(b):
    """pending, cut, replaced and malformed tokens are listed as such, a wrapped one with its pin"""
    image = bound(b, name="root")
    t = token(image)
    pending = {"keyslots": [], "pending-slot": "7", "id": "1" * 16}
    add(image, dict(t, **pending), 1)
    add(image, dict(t, keyslots=[], id="2" * 16), 2)
    add(image, dict(t, id="3" * 16, borrowed=True, **{"replaced-by": t["id"]}), 3)
    add(image, dict(t, version=9), 4)
    add(image, {"type": "latchkey", "keyslots": ["0"]}, 6)
    wrapped = {k: v for k, v in t.items() if k not in ("salt", "mac")}
    add(image, dict(wrapped, id="4" * 16, kind="wrapped", wrapped="A" * 342), 7)
    add(image, {"type": "other", "keyslots": ["0"]}, 8)
    r = listing(b, image).ok()
    assert [line[1:7] for line in rows(r)] == [
        [t["id"], "active", "derived", "1", "0", "1"], ["1" * 16, "pending", "derived", "7", "1", "1"],
        ["2" * 16, "cut", "derived", "-", "2", "1"], ["3" * 16, "replaced", "derived", "1", "3", "1"],
        ["4" * 16, "active", "wrapped", "1", "7", "-"], ["-", "malformed", "-", "-", "4", "-"],
        ["-", "malformed", "-", "-", "6", "-"]], r.out.decode()
    assert "token 4 is of type latchkey and malformed" in r.out.decode()
    (v,), r = document(b, image)
    entry = {e["token"]: e for e in v["bindings"]}
    assert sorted(entry) == [0, 1, 2, 3, 7] and v["malformed_tokens"] == [4, 6], v
    assert [entry[i]["slot"] for i in (0, 1, 2, 3)] == [1, 7, None, 1]
    assert entry[3]["replaced_by"] == t["id"] and entry[3]["borrowed"] is True
    assert entry[1]["proof"].startswith("unfinished") and entry[2]["proof"].startswith("its key slot")
    assert len(entry[7]["pin"]) == 64 and entry[7]["pin"] in entry[7]["proof"]
    assert "NAME.conf" in entry[7]["proof"] and entry[0]["pin"] is None


@case
def order_of_preference(b):
    """alternatives: which binding NAME.conf names, in which order, and what the header lacks"""
    image = bound(b)
    at(b, "root", image)
    t = token(image)
    other = dict(t, id="5" * 16, key=HSM + "/keys/rsa2048/" + "0" * 32)
    add(image, other, 1)
    add(image, dict(t, id="6" * 16, attest="https://sharedneu.neu.attest.azure.net"), 2)
    with open(b.path("conf/root.conf"), encoding="ascii") as f:
        old = f.read()
    thumb = "thumbprint = %s\n" % t["thumbprint"]
    missing = "https://gone.vault.azure.net/keys/k/" + "0" * 32
    with open(b.path("conf/root.conf"), "w", encoding="ascii") as f:
        f.write(old.replace("key = " + t["key"], "key = " + other["key"]))
        for url, who in ((missing, "system"), (t["key"], "client:abc")):
            f.write("[alternative]\nkey = %s\nattest = %s\n%sidentity = %s\n" % (url, ATTEST, thumb, who))
    (v,), r = document(b, "root")
    r.ok()
    assert [e["choice"] for e in v["bindings"]] == [3, 1, None], v
    assert [e["identity"] for e in v["bindings"]] == ["client:abc", "system", None], v
    assert v["missing"] == [{"choice": 2, "key": missing, "attest": ATTEST}], v
    text = listing(b, "root").ok().out.decode()
    assert "choice 2 of %s is not in the header: %s" % (b.path("conf/root.conf"), missing) in text, text


@case
def one_failure_hides_nothing(b):
    """a volume that is not there is named, the others are listed, and the exit status says it"""
    image = bound(b)
    at(b, "root", image)
    with open(b.path("conf/data.conf"), "w", encoding="ascii") as f:
        f.write("device = %s\nuuid = %s\nkey = %s/keys/k\nattest = %s\n"
                % (b.path("gone"), "0" * 8 + "-0000-4000-8000-" + "0" * 12, VAULT, ATTEST))
    plain = b.path("plain")
    with open(plain, "wb") as f:
        f.truncate(1 << 20)
    volumes, r = document(b, "data", plain, "root", "none")
    assert r.status == 71 and "gone" in r.err and "no LUKS header" in r.err, str(r)
    assert "none.conf" in r.err, str(r)
    assert [v["error"] is None for v in volumes] == [False, False, True, False], volumes
    assert "bindings" not in volumes[0] and len(volumes[2]["bindings"]) == 1
    r = listing(b)
    assert r.status == 71 and [line[0] for line in rows(r)] == ["root"], str(r)


@case
def hostile_text(b):
    """what the host wrote cannot move the cursor or break the document"""
    image = bound(b)
    t = token(image)
    replace(image, dict(t, id="\x1b[2J" + t["id"][4:]))
    add(image, dict(t, kind="x\x1b", id="7" * 16), 1)
    add(image, dict(t, key=t["key"] + "\x1b]0;x\x07"), 2)
    add(image, dict(t, kind="better", id="8" * 16), 3)
    for args in ((), ("--json",)):
        r = listing(b, image, *args).ok()
        assert b"\x1b" not in r.out and "\x1b" not in r.err, str(r)
    (v,), _ = document(b, image)
    assert v["malformed_tokens"] == [0, 1, 2] and [e["kind"] for e in v["bindings"]] == ["better"], v


@case
def nothing_is_changed(b):
    """list neither writes nor asks: the image is the same, no service is contacted"""
    image = bound(b)
    with open(image, "rb") as f:
        before = f.read()
    mark = b.ctl.mark()
    listing(b, image).ok()
    with open(image, "rb") as f:
        assert f.read() == before
    assert not b.ctl.log(mark)
    assert PASSPHRASE not in listing(b, image).out


if __name__ == "__main__":
    e2e.main()
