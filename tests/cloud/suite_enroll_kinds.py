#!/usr/bin/python3
"""TAP: latchkeyctl enroll with the public half alone, and for volumes that have their key."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import binding  # noqa: E402
import e2e  # noqa: E402
import jose  # noqa: E402
import keys  # noqa: E402
from disk import KEY, PASSPHRASE, enroll, key, opens, token, volume  # noqa: E402
from e2e import ATTEST, LATCHKEYCTL, STATE, VAULT, case  # noqa: E402
from enrolled import (content, metadata, offline_call, private, public_file, put,  # noqa: E402
                      settings, slot_with, version_of)


@case
def offline(b):
    """--offline binds with the public half alone and contacts nobody; boot opens it by its pin"""
    url = version_of(b)
    image, public = volume(b), public_file(b)
    mark = b.ctl.mark()
    argv = offline_call(b, image, public, "--key", url)
    r = b.call(argv, PASSPHRASE).ok()
    assert not b.ctl.log(mark), "somebody was contacted"
    t, conf = token(image), settings(b)[0]
    assert t["kind"] == "wrapped" and conf["kind"] == "wrapped", (t, conf)
    assert conf["wrapped"] == binding.pin(t) and conf["wrapped"] in r.out.decode(), conf
    assert conf["key"] == url and conf["thumbprint"] == binding.thumbprint(private()), conf
    secret = key(b, image).ok().out
    assert KEY.match(secret) and opens(image, secret, "--key-slot", "1")
    before = metadata(image)
    assert "already" in b.call(argv, b"").ok().err
    assert metadata(image) == before
    with open(b.path("conf/root.conf"), encoding="ascii") as f:
        text = f.read()
    with open(b.path("conf/root.conf"), "w", encoding="ascii") as f:
        f.write(re.sub(r"wrapped = [0-9a-f]{64}\n", "", text))
    r = key(b, image)
    assert r.status == 78 and r.out == b"", str(r)


@case
def offline_formats(b):
    """the public half as az prints it names the key and its version"""
    url = version_of(b)
    n = private().public_key().public_numbers()
    jwk = {"kid": url, "kty": "RSA-HSM", "n": jose.b64u(jose.uint(n.n, 256)), "e": "AQAB",
           "keyOps": ["wrapKey"]}
    path = b.path("key.json")
    with open(path, "w", encoding="ascii") as f:
        json.dump({"attributes": {"enabled": True}, "key": jwk, "tags": None}, f, indent=2)
    image = volume(b)
    b.call(offline_call(b, image, path), PASSPHRASE).ok()
    assert settings(b)[0]["key"] == url
    key(b, image).ok()
    other = volume(b, "other")
    r = b.call(offline_call(b, other, path, "--key", VAULT + "/keys/rsa3072", "--name", "o"),
               PASSPHRASE)
    assert r.status == 78 and "rsa3072" in r.err, str(r)
    r = b.call(offline_call(b, other, public_file(b), "--key", VAULT + "/keys/rsa2048", "--name",
                            "o"), PASSPHRASE)
    assert r.status == 78 and "version" in r.err, str(r)
    r = b.call([LATCHKEYCTL, "enroll", other, "--offline", "--attest", ATTEST, "--key", url])
    assert r.status == 64 and "--public-key" in r.err, str(r)


@case
def offline_cut_off(b):
    """an offline enrolment that was cut off is removed and made anew: its secret is lost"""
    url = version_of(b)
    image = volume(b)
    argv = offline_call(b, image, public_file(b), "--key", url)
    b.call(argv, PASSPHRASE).ok()
    t = token(image)
    put(image, dict(t, keyslots=[], **{"pending-slot": "1"}), 0, "--token-replace")
    b.call(argv, PASSPHRASE).ok()
    now = metadata(image)
    assert len(now["tokens"]) == 1 and sorted(now["keyslots"]) == ["0", "1"], now["tokens"]
    assert len(settings(b)) == 1 and token(image)["id"] != t["id"]
    assert opens(image, key(b, image).ok().out)


@case
def raw_for_an_existing_volume(b):
    """--kind raw: the slot that the key's bytes open is used as it is; without one, one is added"""
    secret = keys.Material(STATE).load("oct256-1")
    image = volume(b)
    slot_with(image, secret)
    before = metadata(image)["keyslots"]
    enroll(b, image, "--kind", "raw", key="oct256", stdin=b"").ok()
    t = token(image)
    assert metadata(image)["keyslots"] == before and t["keyslots"] == ["1"], t
    assert t["kind"] == "raw" and t["borrowed"] is True, t
    assert settings(b)[0]["kind"] == "raw" and key(b, image).ok().out == secret
    other = volume(b, "other")
    enroll(b, other, "--kind", "raw", key="oct256", name="other").ok()
    assert "borrowed" not in token(other) and token(other)["keyslots"] == ["1"]
    assert key(b, other, "other").ok().out == secret


@case
def compat_for_an_existing_volume(b):
    """--kind compat: with salt and label of the volume's maker"""
    made, secret = binding.made("compat", private(), VAULT, ATTEST, "0" * 36,
                                **{"kdf-salt": jose.b64u(bytes(range(16))), "label": "my label"})
    image = volume(b)
    slot_with(image, secret)
    enroll(b, image, "--kind", "compat", "--kdf-salt", made["kdf-salt"], "--label", "my label",
           stdin=b"").ok()
    t = token(image)
    assert t["label"] == "my label" and t["kdf-salt"] == made["kdf-salt"] and t["borrowed"], t
    assert key(b, image).ok().out == secret
    r = enroll(b, volume(b, "other"), "--label", "x", name="other")
    assert r.status == 64 and "compat" in r.err, str(r)


@case
def kinds_that_do_not_fit(b):
    """raw wants an oct key, compat an RSA key, wrapped no release; nothing is changed"""
    image = volume(b)
    before = content(image)
    for kind, name, status in (("raw", "rsa2048", 78), ("compat", "oct256", 78),
                               ("wrapped", "rsa2048", 64)):
        r = enroll(b, image, "--kind", kind, key=name)
        assert r.status == status and kind in r.err, str(r)
    assert content(image) == before


if __name__ == "__main__":
    e2e.main()
