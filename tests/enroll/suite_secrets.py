#!/usr/bin/python3
"""TAP: passphrase, slot secret, released key and tokens are in no argument, environment, file or line that is printed."""

import base64
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import lab  # noqa: E402
import e2e  # noqa: E402
import keys  # noqa: E402
import scenes  # noqa: E402
import watch  # noqa: E402
from disk import CRYPTSETUP, PASSPHRASE, opens  # noqa: E402
from e2e import case  # noqa: E402

RECOVERY = re.compile(rb"[cbdefghijklnrtuv]{8}(?:-[cbdefghijklnrtuv]{8}){7}")
# What a careless program would do with the secret that it has just read.
LEAK = """#!/bin/sh
read -r secret || :
/bin/true "$secret"
CARELESS="$secret" /bin/true
printf '%%s' "$secret" >%(file)s
rm %(file)s
printf '%%s' "$secret" | %(real)s "$@"
"""


def material(name="rsa2048-1"):
    """Numbers of a key that a vault releases; any of them gives the rest away."""
    numbers = keys.Material(e2e.STATE).load(name).private_numbers()
    return {"the released key (%s of %s)" % (what, name): getattr(numbers, what).to_bytes(512, "big").lstrip(b"\0")[8:72]
            for what in ("p", "q", "d")}


def secrets_of(b, image, name="root"):
    """All that must not be seen, by name."""
    r = b.latchkey("key", name, "--device", image).ok()
    assert opens(image, r.out), "the key opens nothing"
    return dict(material(), **{"the passphrase": PASSPHRASE, "the slot's secret": r.out})


def watched(b, argv, stdin=PASSPHRASE):
    """Run a command under watch; the result and all that it said anywhere."""
    log = b.dir + ".strace"
    before = {path for path, _ in watch.files("/run/latchkey", "/run/cryptsetup")}
    r = b.call(["strace", *watch.OPTIONS, "-o", log, *argv], stdin)
    places = watch.said(log) + [("what it printed", r.out), ("what it logged", r.err.encode())]
    places += watch.files(b.dir) + [f for f in watch.files("/run/latchkey", "/run/cryptsetup") if f[0] not in before]
    os.unlink(log)
    assert any(where.startswith("arguments") and "cryptsetup" in where for where, _ in places), "no child was seen"
    return r, places


def nothing_in(places, secrets):
    """No leak, and a JWT is one."""
    found = watch.leaks(places, secrets)
    assert not found, "\n".join(sorted(set(found)))


@case
def enrolment(b):
    """a whole enrolment"""
    scene = scenes.SCENES[0]
    image = scenes.make_volume(b)
    r, places = watched(b, scene.argv(b, image) + ["--verbose"])
    r.ok()
    nothing_in(places, secrets_of(b, image))


@case
def recovery_key(b):
    """an enrolment with --recovery: the recovery key is shown once, and is nowhere else"""
    scene = scenes.SCENES[0]
    image = scenes.make_volume(b)
    r, places = watched(b, scene.argv(b, image) + ["--recovery"])
    r.ok()
    text = RECOVERY.search(r.out)
    assert text and len(RECOVERY.findall(r.out)) == 1, r.out
    assert opens(image, text.group()), "the recovery key opens nothing"
    secrets = dict(secrets_of(b, image), **{"the recovery key": text.group(), "part of it": text.group()[18:53]})
    nothing_in([(where, data.replace(text.group(), b"") if where == "what it printed" else data)
                for where, data in places], secrets)


@case
def rotation(b):
    """a rotation, which the old binding opens the header for"""
    image = scenes.make_volume(b)
    scenes.bind_and_renew(b, image)
    old = b.latchkey("key", "root", "--device", image).ok().out
    scene = next(s for s in scenes.SCENES if s.name == "rotate")
    r, places = watched(b, scene.argv(b, image) + ["--verbose"], b"")
    r.ok()
    newest = b.ctl.keys()["vault"]["rsa2048"]["versions"][-1]
    nothing_in(places, dict(secrets_of(b, image), **material(newest["material"]), **{"the old slot's secret": old}))


@case
def removal(b):
    """a removal"""
    image = scenes.make_volume(b)
    scenes.bind(b, image)
    secrets = secrets_of(b, image)
    scene = next(s for s in scenes.SCENES if s.name == "remove")
    r, places = watched(b, scene.argv(b, image) + ["--verbose"], b"")
    r.ok()
    nothing_in(places, secrets)


@case
def refused_enrolment(b):
    """an enrolment with a wrong passphrase, which cryptsetup refuses"""
    scene = scenes.SCENES[0]
    image = scenes.make_volume(b)
    r, places = watched(b, scene.argv(b, image), b"not the passphrase")
    assert r.status != 0, str(r)
    nothing_in(places, dict(material(), **{"what was typed": b"not the passphrase"}))


@case
def the_search_finds_leaks(b):
    """control: a cryptsetup that leaks its input is found out, through each of three ways"""
    scene = scenes.SCENES[0]
    image = scenes.make_volume(b)
    careless = b.path("cryptsetup")
    with open(careless, "w", encoding="ascii") as f:
        f.write(LEAK % {"file": b.path("careless"), "real": CRYPTSETUP})
    os.chmod(careless, 0o755)
    _, places = watched(b, scene.argv(b, image) + ["--cryptsetup", careless])
    found = watch.leaks(places, {"the passphrase": PASSPHRASE})
    arguments = [p for p in places if p[0] == "arguments and environment of true" and PASSPHRASE in p[1]]
    assert len(arguments) >= 2 and any(b"CARELESS=" + PASSPHRASE in data for _, data in arguments), found
    assert any(line.startswith("the passphrase is in a write to") and "careless" in line for line in found), found


@case
def the_search_knows_all_forms(b):
    """control: a secret in hexadecimal, base64 and base64url is found, and so is a token by its form"""
    secret = bytes(range(100, 164))
    for shift in range(4):
        inside = b"?" * shift + secret + b"and more"
        for form in (inside, inside.hex().encode(), inside.hex().upper().encode(), base64.b64encode(inside),
                     base64.urlsafe_b64encode(inside)):
            assert watch.leaks([("x", form)], {"s": secret}), form
    assert watch.leaks([("x", b"Bearer eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJodHRwczovL3")], {})
    assert not watch.leaks([("x", bytes(range(101, 160)))], {"s": secret})
    del b


if __name__ == "__main__":
    e2e.main()
