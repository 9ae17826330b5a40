#!/usr/bin/python3
"""TAP: latchkeyctl enroll as a transaction: its proof, its undo, its completion."""

import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import e2e  # noqa: E402
from disk import PASSPHRASE, bound, cryptsetup, enroll, key, opens, token, volume  # noqa: E402
from e2e import ATTEST, HSM, LATCHKEYCTL, STATE, VAULT, case  # noqa: E402
from enrolled import REFUSAL, content, metadata, put, settings, slot_with  # noqa: E402

# Runs a program on a terminal of its own and types when it is asked.
TYPIST = """
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(%r, %r)
seen = b""
while b"Existing passphrase" not in seen:
    seen += os.read(fd, 1000)
os.write(fd, %r)
try:
    while part := os.read(fd, 1000):
        seen += part
except OSError:
    pass
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@case
def two_runs(b):
    """enroll attests and has the key released twice: once to bind, once to prove"""
    image = volume(b)
    mark = b.ctl.mark()
    r = enroll(b, image).ok()
    log = b.ctl.log(mark)
    releases = [e for e in log if e.get("path", "").split("?")[0].endswith("/release")]
    attests = [e for e in log if "/attest/" in e.get("path", "")]
    assert len(releases) == 2 and len(attests) == 2, (len(releases), len(attests))
    assert b"proved by a second run" in r.out, r.out
    assert b"not authenticated" in r.out, "nothing about data authentication: %r" % r.out


@case
def proof_fails(b):
    """the proof is refused: header byte for byte as before, no configuration, and it says why"""
    image = volume(b)
    before = content(image)
    b.ctl.fault("vault", "status", status=403, body=json.dumps(REFUSAL), skip=1)
    r = enroll(b, image)
    assert r.status == 77 and "proof" in r.err and r.out == b"", str(r)
    assert content(image) == before, "the image changed"
    assert not os.path.exists(b.path("conf/root.conf"))
    b.ctl.clear("vault")
    enroll(b, image).ok()


@case
def proof_does_not_open(b):
    """the slot does not open in the proof: everything is undone"""
    image, wrapper = volume(b), b.path("cryptsetup")
    before = content(image)
    with open(wrapper, "w", encoding="ascii") as f:
        f.write('#!/bin/sh\ncase "$*" in *--test-passphrase*) n=$(cat %s 2>/dev/null || echo 0)\n'
                'echo $((n+1)) >%s; [ "$n" = 0 ] || exit 2;; esac\nexec cryptsetup "$@"\n'
                % (b.path("n"), b.path("n")))
    os.chmod(wrapper, 0o755)
    r = enroll(b, image, "--cryptsetup", wrapper)
    assert r.status == 65 and "proof" in r.err, str(r)
    assert content(image) == before, "the image changed"
    assert not os.path.exists(b.path("conf/root.conf"))


@case
def again(b):
    """enroll twice binds once, and the second call says so"""
    image = bound(b)
    before, conf = metadata(image), content(b.path("conf/root.conf"))
    r = enroll(b, image).ok()
    assert "already" in r.err, str(r)
    assert metadata(image) == before and content(b.path("conf/root.conf")) == conf


@case
def pending_token_without_slot(b):
    """what was cut off before its key slot is completed, under the same identity"""
    image = bound(b)
    t = token(image)
    cryptsetup("luksKillSlot", "--batch-mode", image, "1")
    put(image, dict(t, keyslots=[], **{"pending-slot": "1"}), 0, "--token-replace")
    os.unlink(b.path("conf/root.conf"))
    enroll(b, image).ok()
    assert token(image)["id"] == t["id"] and token(image)["keyslots"] == ["1"], token(image)
    assert list(metadata(image)["tokens"]) == ["0"]
    assert opens(image, key(b, image).ok().out, "--key-slot", "1")


@case
def pending_token_with_slot(b):
    """what was cut off after its key slot is completed without the passphrase"""
    image = bound(b)
    t = token(image)
    put(image, dict(t, keyslots=[], **{"pending-slot": "1"}), 0, "--token-replace")
    os.unlink(b.path("conf/root.conf"))
    key(b, image).refused(78)
    enroll(b, image, stdin=b"").ok()
    assert token(image) == t, token(image)
    key(b, image).ok()


@case
def pending_token_of_a_taken_slot(b):
    """a pending token whose slot is somebody else's: theirs is not touched"""
    image = bound(b)
    t = token(image)
    cryptsetup("luksKillSlot", "--batch-mode", image, "1")
    slot_with(image, b"theirs")         # as light as ours, as clevis makes them
    put(image, {"type": "clevis", "keyslots": ["1"], "jwe": {}}, 7)
    put(image, dict(t, keyslots=[], **{"pending-slot": "1"}), 0, "--token-replace")
    os.unlink(b.path("conf/root.conf"))
    enroll(b, image).ok()
    assert opens(image, b"theirs", "--key-slot", "1")
    secret = key(b, image).ok().out
    assert opens(image, secret, "--key-slot", "2")


@case
def second_vault(b):
    """--alternative adds a second vault, --first puts one in front; each gives the key"""
    image = bound(b)
    r = enroll(b, image, service=HSM)
    assert r.status == 78 and "--alternative" in r.err, str(r)
    enroll(b, image, "--alternative", service=HSM).ok()
    enroll(b, image, "--first", key="ec256").ok()
    conf = settings(b)
    names = [re.match(r"https://([a-z-]+)\..*/keys/([a-z0-9]+)/", c["key"]).groups()
             for c in conf]
    assert names == [("demo-vault", "ec256"), ("demo-vault", "rsa2048"),
                     ("demo-hsm", "rsa2048")], names
    assert len(metadata(image)["tokens"]) == 3
    assert all(c["attest"] == ATTEST and c["thumbprint"] for c in conf), conf
    secret = key(b, image).ok().out
    b.ctl.attributes("vault", "ec256", enabled=False)
    assert key(b, image).ok().out != secret
    b.ctl.fault("vault", "refuse")
    third = key(b, image, "root", None, "--timeout", "20").ok().out
    assert opens(image, third) and third != secret
    enroll(b, image, "--alternative", service=HSM, stdin=b"").ok()
    assert settings(b) == conf


@case
def another_volume_of_this_name(b):
    """NAME.conf of another volume is not overwritten without --force"""
    bound(b)
    conf = content(b.path("conf/root.conf"))
    other = volume(b, "other")
    r = enroll(b, other, "--alternative")
    assert r.status == 78 and "--force" in r.err, str(r)
    assert content(b.path("conf/root.conf")) == conf
    assert list(metadata(other)["tokens"]) == []
    enroll(b, other, "--force").ok()
    assert key(b, other).ok().out


@case
def hand_written_lines_stay(b):
    """comments and settings of NAME.conf survive a second binding"""
    image = bound(b)
    with open(b.path("conf/root.conf"), "a", encoding="ascii") as f:
        f.write("# mine\ntimeout = 77\n")
    enroll(b, image, "--alternative", service=HSM).ok()
    text = content(b.path("conf/root.conf")).decode()
    assert "# mine\n" in text and settings(b)[0]["timeout"] == "77", text
    assert text.index("timeout") < text.index("[alternative]"), text


@case
def encodings(b):
    """a vault that encodes the same key in another way later: the same secret"""
    image = bound(b)
    secret = key(b, image).ok().out
    for what in ("exponent", "primes", "zeros", "no-crt"):
        b.ctl.tamper("vault", what)
        assert key(b, image).ok().out == secret, what
        enroll(b, image, stdin=b"").ok()
        b.ctl.clear("vault")


@case
def crypttab(b):
    """--write-crypttab adds the line, once, and leaves the others alone"""
    image, table = volume(b), b.path("crypttab")
    with open(table, "w", encoding="ascii") as f:
        f.write("# mine\nswap /dev/sdb /dev/urandom swap\n")
    enroll(b, image, "--write-crypttab", "--crypttab", table).ok()
    uuid = cryptsetup("luksUUID", image).decode().strip()
    text = content(table).decode()
    assert text.startswith("# mine\nswap /dev/sdb /dev/urandom swap\n"), text
    assert len(re.findall("^root UUID=%s .*latchkey" % uuid, text, re.M)) == 1, text
    enroll(b, image, "--write-crypttab", "--crypttab", table).ok()
    assert content(table).decode() == text


@case
def crypttab_of_another_device(b):
    """a line of this name for another device: refused before anything is changed"""
    image, table = volume(b), b.path("crypttab")
    with open(table, "w", encoding="ascii") as f:
        f.write("root UUID=00000000-0000-4000-8000-000000000000 none luks\n")
    before = content(image), content(table)
    r = enroll(b, image, "--write-crypttab", "--crypttab", table)
    assert r.status == 78 and "crypttab" in r.err, str(r)
    assert (content(image), content(table)) == before
    assert not os.path.exists(b.path("conf/root.conf"))


@case
def recovery_key(b):
    """--recovery shows a key in systemd's format once; it opens its own slot"""
    image = volume(b)
    r = enroll(b, image, "--recovery").ok()
    found = re.findall(rb"\b(?:[cbdefghijklnrtuv]{8}-){7}[cbdefghijklnrtuv]{8}\b", r.out)
    assert len(found) == 1, r.out
    tokens = metadata(image)["tokens"]
    mine = [t for t in tokens.values() if t["type"] == "systemd-recovery"]
    assert len(mine) == 1 and len(mine[0]["keyslots"]) == 1, tokens
    assert opens(image, found[0], "--key-slot", mine[0]["keyslots"][0])
    assert not opens(image, found[0], "--key-slot", "1")
    assert found[0].decode() not in r.err


@case
def full_header(b):
    """32 key slots in use: refused clearly, nothing changed"""
    image = volume(b)
    for n in range(31):
        slot_with(image, b"more %d" % n)
    before = content(image)
    r = enroll(b, image)
    assert r.status == 65 and "all 32 key slots" in r.err, str(r)
    assert content(image) == before


@case
def full_json(b):
    """no room in the JSON area: refused clearly, byte for byte as before"""
    image = volume(b)
    for number in (0, 1, 2, 3):
        put(image, {"type": "other", "keyslots": [], "fill": "x" * 2780}, number)
    before = content(image)
    r = enroll(b, image)
    assert r.status == 65 and "full" in r.err, str(r)
    assert content(image) == before
    assert not os.path.exists(b.path("conf/root.conf"))


@case
def strangers(b):
    """a binding that the configuration does not name is pointed out"""
    image = bound(b)
    first = token(image)["id"]
    r = enroll(b, image, "--force", service=HSM).ok()
    assert first in r.err and "remove" in r.err, str(r)
    assert len(settings(b)) == 1


@case
def by_hand(b):
    """the passphrase may be typed on the terminal"""
    image = volume(b)
    script = b.path("typed.py")
    argv = [LATCHKEYCTL, "enroll", image, "--key", VAULT + "/keys/rsa2048", "--attest", ATTEST,
            "--tpm", b.machine.link, "--trust", STATE + "/ca.pem", "--kmsg", "no", "--conf-dir",
            b.path("conf")]
    with open(script, "w", encoding="ascii") as f:
        f.write(TYPIST % (argv[0], argv, PASSPHRASE + b"\n"))
    done = subprocess.run([e2e.PYTHON, script], stdout=subprocess.PIPE, check=False, timeout=90)
    assert done.returncode == 0, done.stdout
    assert PASSPHRASE not in done.stdout
    key(b, image).ok()


if __name__ == "__main__":
    e2e.main()
