#!/usr/bin/python3
"""TAP: bindings of kind raw, compat and wrapped, made by binding.py; a host that switches kinds."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import binding  # noqa: E402
import e2e  # noqa: E402
import jose  # noqa: E402
import keys  # noqa: E402
from disk import (KEY, PASSPHRASE, ask_socket, bound, cryptsetup, key, opens, replace,  # noqa: E402
                  token, volume)
from e2e import ATTEST, HSM, LATCHKEYCTL, STATE, VAULT, case  # noqa: E402

URL = VAULT + "/keys/"


def private(name="rsa2048"):
    """The vault's key of this name."""
    return keys.Material(STATE).load(name + "-1")


def uuid_of(image):
    """Its LUKS UUID."""
    return cryptsetup("luksUUID", image).decode().strip()


def add_slot(image, secret):
    """A key slot that opens with `secret`."""
    with open(image + ".key", "wb") as f:
        f.write(secret)
    cryptsetup("luksAddKey", "--batch-mode", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations",
               "1000", "--key-file", "-", image, image + ".key", stdin=PASSPHRASE)


def configure(b, t, name="root", **settings):
    """The configuration that goes with a token; an empty setting is left out."""
    conf = {f: t[f] for f in ("uuid", "key", "attest", "thumbprint")}
    conf.update(settings)
    os.makedirs(b.path("conf"), exist_ok=True)
    with open(b.path("conf/%s.conf" % name), "w", encoding="ascii") as f:
        f.write("".join("%s = %s\n" % item for item in conf.items() if item[1]))


def existing(b, kind, name="rsa2048", service=VAULT, **more):
    """A volume that has such a binding: (image, token, secret). It is not configured yet."""
    image = volume(b)
    t, secret = binding.made(kind, private(name), "%s/keys/%s" % (service, name), ATTEST,
                             uuid_of(image), **more)
    add_slot(image, secret)
    put(image, t)
    return image, t, secret


def put(image, value, number=0):
    """Write a token."""
    cryptsetup("token", "import", "--token-id", str(number), "--json-file", "-", image,
               stdin=json.dumps(value).encode())


def asked(b, mark):
    """The releases that were asked for since."""
    return [e for e in b.ctl.log(mark) if e.get("path", "").split("?")[0].endswith("/release")]


def gives(b, image, secret, *args):
    """latchkey key hands out exactly this secret, which opens our slot alone."""
    r = key(b, image, "root", None, *args).ok()
    assert r.out == secret, "another secret: %s" % r
    assert opens(image, r.out, "--key-slot", "1") and not opens(image, r.out, "--key-slot", "0")


@case
def raw(b):
    """raw: an oct key's bytes open a volume that exists already"""
    image, t, secret = existing(b, "raw", "oct256", HSM)
    assert len(secret) == 32 and t["thumbprint"] == ""
    configure(b, t, kind="raw")
    gives(b, image, secret)


@case
def raw_by_socket(b):
    """raw: the key socket hands the bytes over as they are"""
    image, t, secret = existing(b, "raw", "oct256")
    configure(b, t, kind="raw")
    status, got, err = ask_socket(b, image, b"0123abcd/cryptsetup/root")
    assert status == 0 and got == secret, (status, got, err)


@case
def compat(b):
    """compat: with and without salt, with the usual label and another"""
    for more in ({}, {"kdf-salt": jose.b64u(bytes(range(32)))},
                 {"kdf-salt": jose.b64u(os.urandom(64)), "label": 'my "own" label \\ /'},
                 {"label": "x" * 64}):
        image, t, secret = existing(b, "compat", **more)
        assert len(secret) == 32
        configure(b, t, kind="compat")
        gives(b, image, secret)


@case
def compat_large(b):
    """compat: RSA 4096 in a Managed HSM"""
    image, t, secret = existing(b, "compat", "rsa4096", HSM)
    configure(b, t, kind="compat")
    gives(b, image, secret)


@case
def wrapped(b):
    """wrapped: made with the public half alone, pinned by the configuration"""
    for name in ("rsa2048", "rsa4096"):
        image, t, secret = existing(b, "wrapped", name)
        assert KEY.match(secret) and "mac" not in t
        configure(b, t, wrapped=binding.pin(t))
        gives(b, image, secret)
        configure(b, t, kind="wrapped", wrapped=binding.pin(t).upper())
        gives(b, image, secret)


@case
def wrapped_without_pin(b):
    """wrapped: without a pin it is refused by name, whatever kind is configured"""
    image, t, _ = existing(b, "wrapped")
    mark = b.ctl.mark()
    for kind in ("", "derived", "compat", "raw"):
        configure(b, t, kind=kind)
        key(b, image).refused(76, "wrapped", "none", "public half")
    configure(b, t, kind="wrapped")
    key(b, image).refused(78, "wrapped", "root.conf")
    assert not asked(b, mark), "the key was asked for"


@case
def wrapped_with_another_pin(b):
    """wrapped: with the digest of another secret it is refused, both are named"""
    image, t, _ = existing(b, "wrapped")
    other = binding.made("wrapped", private(), t["key"], ATTEST, t["uuid"])[0]
    for pin in (binding.pin(other), "0" * 64):
        configure(b, t, wrapped=pin)
        key(b, image).refused(76, "wrapped", pin, binding.pin(t))
    configure(b, t, wrapped=binding.pin(t))
    replace(image, other)
    key(b, image).refused(76, "wrapped", binding.pin(t), binding.pin(other))


@case
def wrapped_for_another_key(b):
    """wrapped: a pinned secret that was wrapped to another key does not come out"""
    image, t, _ = existing(b, "wrapped")
    foreign = binding.wrap(private("rsa3072").public_key(), bytes(32))
    longer = binding.wrap(private().public_key(), bytes(33))
    for blob, word in ((foreign, "384"), (longer, "33 bytes")):
        bad = dict(t, wrapped=jose.b64u(blob))
        replace(image, bad)
        configure(b, t, wrapped=binding.pin(bad))
        key(b, image).refused(65, "wrapped secret", word)


@case
def host_switches_derived(b):
    """an enrolled volume whose token the host makes raw, compat, wrapped or newer is refused"""
    image = bound(b)
    good = token(image)
    forged, secret = binding.made("wrapped", private(), good["key"], ATTEST, good["uuid"])
    add_slot(image, secret)     # the host's own file system would open with it
    mark = b.ctl.mark()
    for kind, more, words in (("raw", {}, ("kind", "raw", "derived")),
                              ("compat", {"label": "x"}, ("kind", "compat", "derived")),
                              ("wrapped", {"mac": "", "wrapped": forged["wrapped"]},
                               ("wrapped", "none", "public half")),
                              ("better", {}, ("kind better", "newer latchkey?"))):
        replace(image, dict(good, kind=kind, **more))
        key(b, image).refused(76, *words)
    replace(image, forged)
    key(b, image).refused(76, "wrapped", "none")
    assert not asked(b, mark), "the key was asked for"
    replace(image, good)
    key(b, image).ok()
    assert len(asked(b, mark)) == 1


@case
def host_adds_a_second_token(b):
    """beside the enrolled token, one of the host's own changes nothing, in whatever order"""
    image = bound(b)
    good = token(image)
    forged, secret = binding.made("wrapped", private(), good["key"], ATTEST, good["uuid"], slot=2)
    add_slot(image, secret)
    want = key(b, image).ok().out
    put(image, forged, 1)
    assert key(b, image).ok().out == want
    replace(image, forged, 0)
    replace(image, good, 1)
    r = key(b, image).ok()
    assert r.out == want and "wrapped" in r.err and "skipped" in r.err, str(r)


@case
def host_switches_what_the_configuration_allows(b):
    """a configuration that allows a kind does not make forged tokens good"""
    image, t, _ = existing(b, "compat", **{"kdf-salt": jose.b64u(bytes(32))})
    configure(b, t, kind="compat")
    edits = [{"kdf-salt": ""}, {"kdf-salt": jose.b64u(bytes(31))}, {"label": binding.LABEL + "x"},
             {"salt": "A" * 43}, {"mac": "A" * 43}, {"id": "0" * 16}, {"kind": "derived"}]
    for edit in edits:
        replace(image, dict(t, **edit))
        key(b, image).refused(76, "mac")
    replace(image, {n: v for n, v in t.items() if n != "kdf-salt"})
    key(b, image).refused(76, "mac")
    replace(image, dict(t, kind="raw"))
    key(b, image).refused(76, "kind", "raw", "compat")
    for edit in ({"kdf-salt": jose.b64u(bytes(65))}, {"kdf-salt": 5}, {"label": ""},
                 {"label": "x" * 65}):
        replace(image, dict(t, **edit))
        r = key(b, image).refused(65, "token")
        assert list(edit)[0] in r.err, str(r)
    replace(image, t)
    key(b, image).ok()


@case
def derived_is_always_taken(b):
    """a derived binding is taken whatever other kind the configuration allows"""
    image, t, secret = existing(b, "derived")
    for settings in ({"kind": "raw"}, {"kind": "compat"}, {"wrapped": "0" * 64},
                     {"kind": "wrapped", "wrapped": "0" * 64}):
        configure(b, t, **settings)
        gives(b, image, secret)


@case
def kinds_and_key_types(b):
    """a kind for another type of key is refused, both are named"""
    for kind, name, word in (("raw", "rsa2048", "RSA"), ("raw", "ec256", "EC"),
                             ("compat", "ec384", "EC"), ("compat", "oct256", "oct")):
        image, material = volume(b), private(name)
        made = binding.made("derived", material, URL + name, ATTEST, uuid_of(image), slot=0)[0]
        made = dict(made, kind=kind)
        put(image, binding.sealed(made, material))
        configure(b, made, kind=kind)
        key(b, image).refused(78, "kind " + kind, word)
    image = volume(b)
    made = binding.made("wrapped", private(), URL + "ec256", ATTEST, uuid_of(image), slot=0)[0]
    made["thumbprint"] = binding.thumbprint(private("ec256"))
    put(image, made)
    configure(b, made, wrapped=binding.pin(made))
    key(b, image).refused(78, "kind wrapped", "EC")


@case
def another_exponent(b):
    """another private exponent of the same key: derived opens, compat says that it does not"""
    image, t, secret = existing(b, "derived")
    configure(b, t)
    b.ctl.tamper("vault", "exponent")
    gives(b, image, secret)
    image, t, secret = existing(b, "compat")
    configure(b, t, kind="compat")
    r = key(b, image).ok()
    assert len(r.out) == 32 and r.out != secret and not opens(image, r.out)
    r = b.latchkey("probe", "root", "--device", image)
    text = " ".join(r.out.decode().split())
    assert r.status == 65 and "key slot 1" in text and "no key slot opens" in text, str(r) + text
    assert "compat" in text and "passphrase" in text, text
    b.ctl.clear("vault")
    gives(b, image, secret)


@case
def listed(b):
    """list shows the kind of every binding, also of one that is not known"""
    image, t, _ = existing(b, "compat")
    put(image, binding.made("wrapped", private(), t["key"], ATTEST, t["uuid"])[0], 1)
    put(image, dict(t, kind="better"), 2)
    out = b.call([LATCHKEYCTL, "list", image]).ok().out.decode().split("\n\n")[0].splitlines()
    assert [line.split()[3] for line in out[1:]] == ["compat", "wrapped", "better"], out


if __name__ == "__main__":
    e2e.main()
