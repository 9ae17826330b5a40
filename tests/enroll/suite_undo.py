#!/usr/bin/python3
"""TAP: an enrolment that cannot be finished leaves the header as it was, byte for byte, and says why."""

import hashlib
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import lab  # noqa: E402, F401
import e2e  # noqa: E402
import killing  # noqa: E402
import scenes  # noqa: E402
from disk import PASSPHRASE, cryptsetup, enroll, opens, volume  # noqa: E402
from e2e import case  # noqa: E402
from edits import Header  # noqa: E402

SCENE = scenes.SCENES[0]


def digest(image):
    """Of the whole image."""
    with open(image, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def left(b):
    """What is in the configuration's folder."""
    return sorted(os.listdir(b.path("conf"))) if os.path.isdir(b.path("conf")) else []


def unchanged(b, image, *words, tools=None, stdin=PASSPHRASE, status=None):
    """The enrolment fails with these words, and everything is as it was."""
    before, files = digest(image), left(b)
    r = b.call(SCENE.argv(b, image) + (["--cryptsetup", tools.wrapper] if tools else []), stdin)
    assert r.status not in (0, -6, -11, -9) and (status is None or r.status == status), str(r)
    last = r.err.strip().splitlines()[-1].lower()
    assert all(word in last for word in words), "%s are not all in the last line: %s" % (words, r)
    assert digest(image) == before, "the image was changed: %s\n%s" % (r, json.dumps(scenes.header(image)["tokens"]))
    assert left(b) == files, "in the configuration's folder: %s: %s" % (left(b), r)
    assert opens(image, PASSPHRASE)
    return r


def fill_slots(image):
    """A passphrase in every key slot."""
    for number in range(32):
        if str(number) not in scenes.header(image)["keyslots"]:
            cryptsetup("luksAddKey", "--batch-mode", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000",
                       "--key-slot", str(number), "--key-file", "-", "--keyfile-size", str(len(PASSPHRASE)), image,
                       "/dev/stdin", stdin=PASSPHRASE + b"slot %d" % number)


@case
def all_key_slots_are_taken(b):
    """32 key slots: said, and nothing is changed"""
    image = scenes.make_volume(b, "16744448")
    fill_slots(image)
    unchanged(b, image, "slot")


@case
def all_tokens_are_taken(b):
    """all tokens but number 5, which is not ours to take: said, and nothing is changed"""
    image = volume(b)
    for number in range(32):
        if number != 5:
            cryptsetup("token", "import", "--token-id", str(number), "--json-file", "-", image,
                       stdin=b'{"type":"x","keyslots":[]}')
    unchanged(b, image, "token")


@case
def the_json_area_is_full(b):
    """12 KiB of JSON: whatever is left, the enrolment works or says that there is no room and changes nothing"""
    ends = set()
    for room in (0, 200, 400, 460, 520, 580, 640, 700, 760, 820, 880, 940, 1000, 1100, 1300, 2500):
        image = volume(b, "room%d" % room)
        header = Header(image)
        used = len(header.text) + len('"0":{"type":"x","keyslots":[],"x":""}')
        filler = {"type": "x", "keyslots": [], "x": "x" * (header.size - 4096 - used - room - 1)}
        cryptsetup("token", "import", "--token-id", "0", "--json-file", "-", image, stdin=json.dumps(filler).encode())
        before = digest(image)
        r = enroll(b, image, name="room%d" % room)
        ends.add(r.status)
        if r.status == 0:
            continue
        assert digest(image) == before, "with %d bytes the image was changed: %s" % (room, r)
        assert not [n for n in left(b) if n.startswith("room%d." % room)], left(b)
        assert "room" in r.err.lower() or "space" in r.err.lower() or "full" in r.err.lower(), str(r)
    assert 0 in ends and len(ends) == 2, ends


@case
def a_denied_second_release(b):
    """the proof: a policy that is changed between the two runs takes everything back"""
    image = scenes.make_volume(b)
    b.ctl.fault("vault", "status", status=403, skip=1, body={"error": {"code": "Forbidden", "message": "changed"}})
    unchanged(b, image, "403")
    b.ctl.clear()
    b.call(SCENE.argv(b, image), PASSPHRASE).ok()


@case
def a_slot_that_does_not_open(b):
    """the proof: a slot that does not open takes everything back"""
    image = scenes.make_volume(b)
    for which in (1, 2):
        unchanged(b, image, tools=killing.Tools(b, image, untrue=which))


@case
def a_configuration_that_cannot_be_written(b):
    """a configuration that cannot be written takes everything back"""
    image = scenes.make_volume(b)
    with open(b.path("conf"), "w", encoding="ascii"):
        pass
    before = digest(image)
    r = b.call(SCENE.argv(b, image), PASSPHRASE)
    assert r.status in (71, 78) and digest(image) == before, str(r)


def calls_of(b, image):
    """How many calls and writes an undisturbed enrolment makes."""
    tools = killing.Tools(b, image)
    b.call(SCENE.argv(b, image) + ["--cryptsetup", tools.wrapper], PASSPHRASE).ok()
    return tools.count("calls"), tools.count("writes"), tools.called()


def again(b, base):
    """The volume as it was before."""
    os.replace(base + ".copy", base)
    with open(base, "rb") as f, open(base + ".copy", "wb") as g:
        g.write(f.read())
    conf = b.path("conf/root.conf")
    if os.path.exists(conf):
        os.unlink(conf)


@case
def every_call_fails_once(b):
    """each call of cryptsetup fails once, having done nothing or everything"""
    image = scenes.make_volume(b)
    with open(image, "rb") as f, open(image + ".copy", "wb") as g:
        g.write(f.read())
    calls, _, called = calls_of(b, image)
    assert calls > 2, called
    for number in range(1, calls + 1):
        for when in ("refuse", "deny"):
            again(b, image)
            try:
                unchanged(b, image, tools=killing.Tools(b, image, at=number, when=when))
            except AssertionError as e:
                raise AssertionError("call %d (%s), %s: %s" % (number, called[number - 1], when, e)) from None
    print("# counted: %d failing calls of cryptsetup, each taken back" % (2 * calls))


@case
def every_write_is_cut(b):
    """each write to the device is cut short once, and cryptsetup ends with an error"""
    killing.build()
    image = scenes.make_volume(b)
    with open(image, "rb") as f, open(image + ".copy", "wb") as g:
        g.write(f.read())
    _, writes, _ = calls_of(b, image)
    assert writes > 5
    for number in range(1, writes + 1):
        again(b, image)
        try:
            unchanged(b, image, tools=killing.Tools(b, image, cut=number, parent="0"))
        except AssertionError as e:
            raise AssertionError("write %d: %s" % (number, e)) from None
    print("# counted: %d writes cut short, each taken back" % writes)


if __name__ == "__main__":
    e2e.main()
