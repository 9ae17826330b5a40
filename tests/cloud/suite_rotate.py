#!/usr/bin/python3
"""TAP: latchkeyctl rotate: new before old, proved, and the old one only goes when it may."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import e2e  # noqa: E402
import names  # noqa: E402
from disk import PASSPHRASE, bound, cryptsetup, enroll, key, opens, volume  # noqa: E402
from e2e import HSM, LATCHKEYCTL, STATE, VAULT, case  # noqa: E402
from enrolled import (REFUSAL, content, metadata, offline_call, public_file,  # noqa: E402
                      settings)

ATTEST2 = "https://" + names.MAA2_HOST


def rotate(b, *args, image=None, stdin=b""):
    """latchkeyctl rotate; the volume is found at `image`."""
    words = ["root"] if image and "--all" not in args and not any(
        not a.startswith("-") and a in ("root", "data", "swap") for a in args) else []
    where = ["--device", image] if image else []
    return b.call([LATCHKEYCTL, "rotate", *words, *args, *where, "--tpm", b.machine.link, "--trust",
                   STATE + "/ca.pem", "--kmsg", "no", "--conf-dir", b.path("conf")], stdin)


def ours(image):
    """Our bindings, by token number."""
    return {int(n): t for n, t in metadata(image)["tokens"].items() if t["type"] == "latchkey"}


@case
def to_a_new_version(b):
    """rotate NAME binds to the newest version, and keeps the old binding for the image there is"""
    image = bound(b)
    old_conf, first = content(b.path("conf/root.conf")), key(b, image).ok().out
    new = b.ctl.rotate("vault", "rsa2048")
    r = rotate(b, image=image).ok()
    assert settings(b)[0]["key"].endswith("/" + new), settings(b)
    assert len(ours(image)) == 2 and b"--drop-old" in r.out, r.out
    second = key(b, image).ok().out
    assert second != first and opens(image, first) and opens(image, second)
    with open(b.path("conf/root.conf"), "wb") as f:
        f.write(old_conf)
    assert key(b, image).ok().out == first, "the old image would not open the volume any more"


@case
def drop_old(b):
    """--drop-old removes what was replaced, slot and token; nothing else"""
    image = bound(b)
    cryptsetup("token", "import", "--token-id", "5", "--json-file", "-", image,
               stdin=b'{"type":"Azure_Disk_Encryption","keyslots":[]}')
    first = key(b, image).ok().out
    b.ctl.rotate("vault", "rsa2048")
    rotate(b, image=image).ok()
    rotate(b, "--drop-old", image=image).ok()
    now = metadata(image)
    assert len(ours(image)) == 1 and sorted(now["keyslots"]) == ["0", "2"], now["keyslots"]
    assert now["tokens"]["5"]["type"] == "Azure_Disk_Encryption"
    assert not opens(image, first) and opens(image, PASSPHRASE)
    assert opens(image, key(b, image).ok().out)
    before = metadata(image)
    assert b"already" in rotate(b, "--drop-old", image=image).ok().out
    assert metadata(image) == before


@case
def at_once(b):
    """rotate --drop-old does both in one call"""
    image = bound(b)
    b.ctl.rotate("vault", "rsa2048")
    rotate(b, "--drop-old", image=image).ok()
    assert len(ours(image)) == 1
    key(b, image).ok()


@case
def old_version_disabled(b):
    """with the old version disabled the passphrase opens the header"""
    image = bound(b)
    old = settings(b)[0]["key"].rsplit("/", 1)[1]
    b.ctl.rotate("vault", "rsa2048")
    b.ctl.attributes("vault", "rsa2048", enabled=False, version=old)
    r = rotate(b, image=image)
    assert r.status == 64 and "passphrase" in r.err and len(ours(image)) == 1, str(r)
    rotate(b, "--key-file", "-", "--drop-old", image=image, stdin=PASSPHRASE).ok()
    assert opens(image, key(b, image).ok().out) and len(ours(image)) == 1


@case
def to_another_vault_and_provider(b):
    """another vault, another key type, another attestation provider"""
    image = bound(b)
    rotate(b, "--key", HSM + "/keys/ec384", "--drop-old", image=image).ok()
    assert settings(b)[0]["key"].startswith(HSM + "/keys/ec384/") and len(ours(image)) == 1
    key(b, image).ok()
    policy = {"version": "1.0.0", "anyOf": [{"authority": ATTEST2, "allOf": [
        {"claim": "x-ms-isolation-tee.x-ms-attestation-type", "equals": "sevsnpvm"}]}]}
    b.ctl.policy("vault", "oct256", policy)
    rotate(b, "--key", VAULT + "/keys/oct256", "--attest", ATTEST2, "--drop-old", image=image).ok()
    conf = settings(b)[0]
    assert conf["attest"] == ATTEST2 and "thumbprint" not in conf, conf
    assert opens(image, key(b, image).ok().out) and len(ours(image)) == 1


@case
def proof_fails(b):
    """the proof of the new binding fails: header and configuration as they were"""
    image = bound(b)
    before, conf = content(image), content(b.path("conf/root.conf"))
    b.ctl.rotate("vault", "rsa2048")
    b.ctl.fault("vault", "status", status=403, body=json.dumps(REFUSAL), skip=2)
    r = rotate(b, image=image)
    assert r.status == 77 and "proof" in r.err, str(r)
    assert content(image) == before and content(b.path("conf/root.conf")) == conf
    b.ctl.clear("vault")
    key(b, image).ok()


@case
def refused_key(b):
    """a new key that is not released: nothing is changed"""
    image = bound(b)
    before = content(image)
    r = rotate(b, "--key", VAULT + "/keys/nomatch", image=image)
    assert r.status == 77 and "policy" in r.err, str(r)
    assert content(image) == before
    r = rotate(b, "--key", HSM + "/keys/absent", image=image)
    assert r.status != 0 and content(image) == before, str(r)


@case
def one_of_several(b):
    """--binding rotates that one of several, in its place"""
    image = bound(b)
    enroll(b, image, "--alternative", service=HSM).ok()
    second = [t for t in ours(image).values() if t["key"].startswith(HSM)][0]
    new = b.ctl.rotate("hsm", "rsa2048")
    rotate(b, "--binding", second["id"], "--drop-old", image=image).ok()
    conf = settings(b)
    assert len(conf) == 2 and conf[0]["key"].startswith(VAULT), conf
    assert conf[1]["key"].endswith(new), conf
    assert second["id"] not in [t["id"] for t in ours(image).values()] and len(ours(image)) == 2
    b.ctl.fault("vault", "refuse")
    assert opens(image, key(b, image, "root", None, "--timeout", "20").ok().out)
    r = rotate(b, "--binding", "0" * 16, image=image)
    assert r.status == 78 and "list" in r.err, str(r)


@case
def all_volumes(b):
    """--all rotates every configured volume; one that fails does not keep the others"""
    images = {}
    for name in ("data", "root", "swap"):
        images[name] = volume(b, name + ".img")
        enroll(b, images[name], name=name).ok()
        with open(b.path("conf/%s.conf" % name), "a", encoding="ascii") as f:
            f.write("device = %s\n" % images[name])
    new = b.ctl.rotate("vault", "rsa2048")
    rotate(b, "--all", "--drop-old").ok()
    for name, image in images.items():
        assert settings(b, name)[0]["key"].endswith(new), name
        assert len(ours(image)) == 1 and opens(image, key(b, image, name).ok().out), name
    newer = b.ctl.rotate("vault", "rsa2048")
    os.rename(images["root"], images["root"] + ".away")
    r = rotate(b, "--all", "--drop-old")
    assert r.status != 0 and "root" in r.err, str(r)
    assert settings(b, "swap")[0]["key"].endswith(newer)
    assert settings(b, "data")[0]["key"].endswith(newer)
    assert settings(b, "root")[0]["key"].endswith(new)


@case
def wrapped_to_derived(b):
    """what was bound offline becomes a derived binding"""
    image = bound(b)
    url = settings(b)[0]["key"]
    cryptsetup("luksKillSlot", "--batch-mode", image, "1")
    cryptsetup("token", "remove", "--token-id", "0", image)
    os.unlink(b.path("conf/root.conf"))
    b.call(offline_call(b, image, public_file(b), "--key", url), PASSPHRASE).ok()
    rotate(b, "--drop-old", image=image).ok()
    conf = settings(b)[0]
    assert "wrapped" not in conf and "kind" not in conf and len(ours(image)) == 1, conf
    assert opens(image, key(b, image).ok().out)


@case
def usage(b):
    """what is asked for must be clear"""
    bound(b)
    for args in ((), ("--all", "root"), ("--all", "--binding", "0" * 16),
                 ("root", "--drop-old", "--rebuild")):
        r = b.call([LATCHKEYCTL, "rotate", *args, "--conf-dir", b.path("conf")])
        assert r.status == 64, "%s: %s" % (args, r)
    r = b.call([LATCHKEYCTL, "rotate", "other", "--conf-dir", b.path("conf")])
    assert r.status == 78 and "other" in r.err, str(r)


if __name__ == "__main__":
    e2e.main()
