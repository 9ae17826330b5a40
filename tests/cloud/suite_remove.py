#!/usr/bin/python3
"""TAP: latchkeyctl remove: slot, token and settings go, what is somebody else's stays; again and again."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import e2e  # noqa: E402
from disk import PASSPHRASE, bound, cryptsetup, enroll, key, opens, replace, token, volume  # noqa: E402
from e2e import HSM, LATCHKEYCTL, case  # noqa: E402

LIGHT = ("--batch-mode", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations")


def remove(b, *args):
    """latchkeyctl remove."""
    return b.call([LATCHKEYCTL, "remove", "--conf-dir", b.path("conf"), "--crypttab", b.path("crypttab"), *args])


def header(image):
    """The JSON of the header."""
    return json.loads(cryptsetup("luksDump", "--dump-json-metadata", image))


def content(path):
    """Of a file; None when there is none."""
    try:
        with open(path, "rb") as f:
            return f.read()
    except FileNotFoundError:
        return None


def everything(b, image):
    """Image and settings."""
    return content(image), content(b.path("conf/root.conf")), content(b.path("crypttab"))


def add(image, value, number):
    """One more token."""
    cryptsetup("token", "import", "--token-id", str(number), "--json-file", "-", image,
               stdin=json.dumps(value).encode())


def slot(b, image, number, secret, rounds=1000):
    """One more key slot, for this key."""
    with open(b.path("key"), "wb") as f:
        f.write(secret)
    cryptsetup("luksAddKey", *LIGHT, str(rounds), "--key-slot", str(number), "--key-file", "-", image, b.path("key"),
               stdin=PASSPHRASE)


def two(b):
    """A volume with two bindings: its image and their tokens, in the order of preference."""
    image = bound(b)
    enroll(b, image, "--alternative", key="ec384", service=HSM).ok()
    return image, token(image, 0), token(image, 1)


def only_passphrase(b, image):
    """No trace of a binding."""
    h = header(image)
    assert list(h["keyslots"]) == ["0"] and h["tokens"] == {}, h
    assert opens(image, PASSPHRASE)
    assert content(b.path("conf/root.conf")) is None


@case
def all_of_a_volume(b):
    """remove NAME: key slot, token and NAME.conf go, the passphrase stays; again: nothing left to do"""
    image = bound(b)
    secret, t = key(b, image).ok().out, token(image)
    r = remove(b, "root", "--device", image).ok()
    only_passphrase(b, image)
    assert not opens(image, secret)
    out = r.out.decode()
    assert "binding %s of %s is gone: key slot 1, token 0" % (t["id"], t["key"]) in out, out
    assert "root.conf is gone" in out and "now: 0" in out and "rebuild the initramfs" in out, out
    again = remove(b, "root", "--device", image).ok()
    assert again.out == b"" and "nothing to remove" in again.err, str(again)


@case
def one_of_several(b):
    """--binding: that one and its section go, the other still gives the key, whichever it is"""
    for first in (True, False):
        image, *tokens = two(b)
        gone, stays = tokens if first else reversed(tokens)
        r = remove(b, "root", "--device", image, "--binding", gone["id"]).ok()
        assert "names 1 of 2 bindings now" in r.out.decode(), r.out.decode()
        h = header(image)
        assert [t["id"] for t in h["tokens"].values()] == [stays["id"]], h["tokens"]
        assert sorted(h["keyslots"]) == ["0", stays["keyslots"][0]]
        conf = content(b.path("conf/root.conf")).decode()
        assert stays["key"] in conf and gone["key"] not in conf, conf
        assert opens(image, key(b, image).ok().out, "--key-slot", stays["keyslots"][0])
        remove(b, image, "--binding", stays["id"]).ok()
        only_passphrase(b, image)
        os.unlink(image)


@case
def of_a_device(b):
    """DEVICE --binding: its NAME.conf is found by the UUID; without --binding it is refused"""
    image = bound(b)
    before = everything(b, image)
    remove(b, image).refused(64, "--binding")
    remove(b).refused(64, "one NAME or DEVICE")
    remove(b, image, "--binding", "0123").refused(64, "16 hexadecimal digits")
    assert everything(b, image) == before
    r = remove(b, image, "--binding", "f" * 16).ok()
    assert "has no binding" in r.err and everything(b, image) == before, str(r)
    os.rename(b.path("conf"), b.path("elsewhere"))
    remove(b, image, "--binding", token(image)["id"]).ok()
    only_passphrase(b, image)


@case
def never_the_last_slot(b):
    """the only key slot that opens the volume is not removed, nor all of several"""
    image, first, second = two(b)
    cryptsetup("luksKillSlot", "--batch-mode", image, "0")
    before = everything(b, image)
    remove(b, "root", "--device", image).refused(64, "no key slot left")
    assert everything(b, image) == before
    remove(b, "root", "--device", image, "--binding", first["id"]).ok()
    before = everything(b, image)
    remove(b, "root", "--device", image, "--binding", second["id"]).refused(64, "no key slot left")
    assert everything(b, image) == before
    # One for another key than the data's does not count.
    with open(b.path("key"), "wb") as f:
        f.write(b"unbound")
    cryptsetup("luksAddKey", *LIGHT, "1000", "--unbound", "--key-size", "256", image, b.path("key"))
    remove(b, "root", "--device", image).refused(64, "no key slot left")


@case
def not_ours(b):
    """slots and tokens of others stay: borrowed ones, such as the host had our token name, unknown types"""
    image = bound(b)
    slot(b, image, 7, b"an administrator's", 2000)
    slot(b, image, 8, b"existing", 2000)
    add(image, {"type": "clevis", "keyslots": ["7"], "jwe": {}}, 3)
    add(image, {"type": "Azure_Disk_Encryption", "keyslots": []}, 5)
    t = token(image)
    edited = dict(t, keyslots=["7"])
    replace(image, edited)
    before = everything(b, image)
    remove(b, "root", "--device", image).refused(65, "key slot 7", "none that latchkey made")
    assert everything(b, image) == before
    # Also when it is the second one.
    replace(image, t)
    add(image, dict(edited, id="1" * 16, **{"replaced-by": t["id"]}), 1)
    before = everything(b, image)
    remove(b, "root", "--device", image).refused(65, "key slot 7", "none that latchkey made")
    assert everything(b, image) == before
    cryptsetup("token", "remove", "--token-id", "1", image)
    replace(image, dict(t, keyslots=["8"], borrowed=True))
    r = remove(b, "root", "--device", image).ok()
    assert "key slot 8 stays: it was there before" in r.out.decode(), r.out.decode()
    h = header(image)
    assert sorted(h["keyslots"]) == ["0", "1", "7", "8"] and sorted(h["tokens"]) == ["3", "5"], h
    assert opens(image, b"existing") and opens(image, b"an administrator's")


@case
def leftovers(b):
    """pending and cut tokens go, a pending one's slot only if it is latchkey's; malformed ones stay and are named"""
    image = bound(b)
    t = token(image)
    slot(b, image, 5, b"light")
    slot(b, image, 6, b"not light", 1001)
    for number, (ident, more) in enumerate([("2", {"pending-slot": "5"}), ("3", {"pending-slot": "6"}),
                                            ("4", {"pending-slot": "9"}), ("5", {})], 1):
        add(image, dict(t, keyslots=[], id=ident * 16, **more), number)
    add(image, {"type": "latchkey", "keyslots": ["0"]}, 6)
    r = remove(b, image, "--binding", "2" * 16).ok()
    assert "key slot 5, token 1" in r.out.decode(), r.out.decode()
    assert sorted(header(image)["keyslots"]) == ["0", "1", "6"]
    assert t["key"] in content(b.path("conf/root.conf")).decode(), "the other binding stands"
    r = remove(b, "root", "--device", image).ok()
    assert "key slot 6 stays: nothing says" in r.out.decode(), r.out.decode()
    assert "token 6 of type latchkey is malformed" in r.err, r.err
    h = header(image)
    assert sorted(h["keyslots"]) == ["0", "6"] and list(h["tokens"]) == ["6"], h
    assert opens(image, b"not light") and not opens(image, b"light")
    # One that is cut needs no section.
    enroll(b, image).ok()
    t = token(image)
    add(image, dict(t, keyslots=[], id="6" * 16), 1)
    remove(b, "root", "--device", image, "--binding", t["id"]).ok()
    assert content(b.path("conf/root.conf")) is None


@case
def slots_that_are_shared(b):
    """a slot that another binding names stays as long as that one does"""
    image = bound(b)
    t = token(image)
    add(image, dict(t, id="1" * 16, **{"replaced-by": t["id"]}), 1)
    r = remove(b, image, "--binding", "1" * 16).ok()
    assert "key slot 1 stays: another binding names it" in r.out.decode(), r.out.decode()
    assert key(b, image).ok().out
    add(image, dict(t, id="1" * 16, **{"replaced-by": t["id"]}), 1)
    remove(b, "root", "--device", image).ok()
    only_passphrase(b, image)
    # It may be the only one, then.
    enroll(b, image).ok()
    add(image, dict(token(image), id="1" * 16), 1)
    cryptsetup("luksKillSlot", "--batch-mode", image, "0")
    remove(b, image, "--binding", "1" * 16).ok()
    assert list(header(image)["keyslots"]) == ["1"] and key(b, image).ok().out


@case
def strangers_stay(b):
    """an active binding that no NAME.conf names stays and is pointed out; one that was replaced goes"""
    image, first, second = two(b)
    replace(image, dict(second, **{"replaced-by": first["id"]}), 1)
    with open(b.path("conf/root.conf"), encoding="ascii") as f:
        text = f.read().split("[alternative]")[0]
    with open(b.path("conf/root.conf"), "w", encoding="ascii") as f:
        f.write(text)
    stranger = dict(second, id="9" * 16, keyslots=["4"])
    slot(b, image, 4, b"another machine's")
    add(image, stranger, 2)
    r = remove(b, "root", "--device", image).ok()
    assert "binding %s (key slot 4" % stranger["id"] in r.err and "--binding " + "9" * 16 in r.err, r.err
    h = header(image)
    assert sorted(h["keyslots"]) == ["0", "4"] and [t["id"] for t in h["tokens"].values()] == ["9" * 16], h


@case
def crypttab(b):
    """crypttab: shown, or changed with --write-crypttab; other lines stay to the byte"""
    image = bound(b)
    uuid = cryptsetup("luksUUID", image).decode().strip()
    line = "root UUID=%s /run/latchkey/key.sock luks,x-initrd.attach\n" % uuid
    table = "# mine\nswap /dev/sda3 /dev/urandom swap\n%s\ndata UUID=%s none luks\n" % (line, "0" * 8)
    for option in ((), ("--write-crypttab",)):
        with open(b.path("crypttab"), "w", encoding="ascii") as f:
            f.write(table)
        if option:
            enroll(b, image).ok()
        r = remove(b, "root", "--device", image, *option).ok()
        now = content(b.path("crypttab")).decode()
        if option:
            assert now == table.replace("/run/latchkey/key.sock", "none"), now
            assert "the passphrase of root is asked for" in r.out.decode(), r.out.decode()
        else:
            assert now == table and "still has latchkey's key for root" in r.out.decode(), r.out.decode()
    # A table that cannot be changed is known before anything is.
    enroll(b, image).ok()
    with open(b.path("crypttab"), "w", encoding="ascii") as f:
        f.write(line.replace("\n", "\r\n"))
    before = everything(b, image)
    r = remove(b, "root", "--device", image, "--write-crypttab")
    if r.status != 0:
        assert r.status == 78 and everything(b, image) == before, str(r)
    else:
        only_passphrase(b, image)


@case
def cut_off(b):
    """what a call left that was killed: slots gone, sections gone, tokens gone; the same call completes it"""
    image, first, second = two(b)
    # After the slot: its token is cut.
    cryptsetup("luksKillSlot", "--batch-mode", image, first["keyslots"][0])
    remove(b, "root", "--device", image, "--binding", first["id"]).ok()
    conf = content(b.path("conf/root.conf")).decode()
    assert first["key"] not in conf and second["key"] in conf, conf
    # After the slot and the section.
    enroll(b, image, "--alternative").ok()
    first = token(image, 0)
    cryptsetup("luksKillSlot", "--batch-mode", image, first["keyslots"][0])
    with open(b.path("conf/root.conf"), "w", encoding="ascii") as f:
        f.write(conf)
    remove(b, "root", "--device", image, "--binding", first["id"]).ok()
    assert [t["id"] for t in header(image)["tokens"].values()] == [second["id"]]
    assert content(b.path("conf/root.conf")).decode() == conf
    # After the last token, before NAME.conf.
    cryptsetup("luksKillSlot", "--batch-mode", image, second["keyslots"][0])
    cryptsetup("token", "remove", "--token-id", "1", image)
    remove(b, "root", "--device", image, "--binding", "f" * 16).ok()
    only_passphrase(b, image)
    with open(b.path("conf/root.conf"), "w", encoding="ascii") as f:
        f.write(conf)
    r = remove(b, "root", "--device", image).ok()
    assert "root.conf is gone" in r.out.decode(), str(r)
    only_passphrase(b, image)


@case
def what_fails_changes_nothing(b):
    """no header, another volume's device, a wrong NAME.conf: nothing is changed"""
    image = bound(b)
    other = volume(b, "other")
    before = everything(b, image)
    remove(b, "root", "--device", other).refused(65, "does not carry the pinned LUKS UUID")
    remove(b, "root", "--device", b.path("none")).refused(71, "none")
    remove(b, b.path("conf/root.conf"), "--binding", "1" * 16).refused(65, "LUKS")
    remove(b, "..").refused(78, "name")
    with open(b.path("conf/root.conf"), "a", encoding="ascii") as f:
        f.write("nonsense\n")
    r = remove(b, "root", "--device", image)
    assert r.status == 78 and content(image) == before[0], str(r)


if __name__ == "__main__":
    e2e.main()
