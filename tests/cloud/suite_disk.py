#!/usr/bin/python3
"""TAP: binding a LUKS2 volume and getting its key back; and every disk that must be refused."""

import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import e2e  # noqa: E402
from disk import (KEY, PASSPHRASE, ask_socket, bound, cryptsetup, enroll, key, opens,  # noqa: E402
                  replace, token, volume)
from e2e import ATTEST, HSM, LATCHKEY, LATCHKEYCTL, VAULT, Machine, case  # noqa: E402


@case
def enroll_and_key(b):
    """enroll binds; key gives 43 characters that open exactly our slot; the passphrase still works"""
    image = bound(b)
    t = token(image)
    assert t["type"] == "latchkey" and t["keyslots"] == ["1"], t
    r = key(b, image).ok()
    assert KEY.match(r.out), r.out
    assert opens(image, r.out, "--key-slot", "1") and not opens(image, r.out, "--key-slot", "0")
    assert opens(image, PASSPHRASE)
    again = key(b, image).ok()
    assert again.out == r.out
    listed = b.call([LATCHKEYCTL, "list", image]).ok()
    assert t["id"].encode() in listed.out, listed.out


@case
def every_key_type(b):
    """RSA, EC and oct keys, vault and Managed HSM"""
    for name, service in (("rsa4096", VAULT), ("ec384", HSM), ("ec521", VAULT), ("oct256", HSM)):
        image = volume(b, name)
        enroll(b, image, key=name, service=service, name=name).ok()
        r = key(b, image, name).ok()
        assert opens(image, r.out, "--key-slot", "1"), name


@case
def configuration_pins(b):
    """enroll writes the pins: uuid, key with version, provider, thumbprint"""
    image = bound(b)
    with open(b.path("conf/root.conf"), encoding="ascii") as f:
        conf = dict(line.strip().split(" = ", 1) for line in f if " = " in line)
    uuid = cryptsetup("luksUUID", image).decode().strip()
    assert conf["uuid"] == uuid and conf["attest"] == ATTEST, conf
    assert re.fullmatch(VAULT + r"/keys/rsa2048/[0-9a-f]{32}", conf["key"]), conf
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", conf["thumbprint"]), conf
    assert oct(os.stat(b.path("conf/root.conf")).st_mode & 0o777) == "0o644"


@case
def vault_of_ones_own(b):
    """a vault outside of Azure's domains: enroll writes allow-hosts, and without it boot refuses"""
    own, image = "https://demo-vault.vault.private.example", volume(b)
    enroll(b, image, service=own).refused(78, own[8:], "allow-hosts")
    enroll(b, image, "--allow-hosts", ".private.example", service=own).ok()
    first = key(b, image).ok().out
    enroll(b, image, "--alternative").ok()
    assert opens(image, first) and key(b, image).ok().out == first
    with open(b.path("conf/root.conf"), encoding="ascii") as f:
        text = f.read()
    assert text.count("\nallow-hosts = .private.example\n") == 1, text
    with open(b.path("conf/root.conf"), "w", encoding="ascii") as f:
        f.write(text.replace("allow-hosts", "# allow-hosts"))
    key(b, image).refused(78, "root.conf, line 3: key: " + own[8:], "allow-hosts")


@case
def wrong_passphrase_changes_nothing(b):
    """enroll with a wrong passphrase leaves the header and the folder as they were"""
    image = volume(b)
    with open(image, "rb") as f:
        before = f.read()
    r = enroll(b, image, stdin=b"wrong")
    assert r.status == 65 and "cryptsetup" in r.err, str(r)
    with open(image, "rb") as f:
        assert f.read() == before, "the image changed"
    assert not os.path.exists(b.path("conf/root.conf"))


@case
def refusal_changes_nothing(b):
    """enroll when the policy says no leaves the image untouched"""
    image = volume(b)
    with open(image, "rb") as f:
        before = f.read()
    r = enroll(b, image, key="nomatch")
    assert r.status == 77 and "policy" in r.err, str(r)
    with open(image, "rb") as f:
        assert f.read() == before, "the image changed"


@case
def unwritable_configuration_is_taken_back(b):
    """when the configuration cannot be written, slot and token are taken back"""
    image = volume(b)
    with open(b.path("conf"), "w", encoding="ascii"):
        pass
    r = enroll(b, image)
    assert r.status in (71, 78), str(r)
    dump = json.loads(cryptsetup("luksDump", "--dump-json-metadata", image))
    assert list(dump["keyslots"]) == ["0"] and dump["tokens"] == {}, dump["tokens"]
    assert opens(image, PASSPHRASE)


@case
def no_token_five(b):
    """the token number of Azure Disk Encryption is never used, and other tokens stay"""
    image = volume(b)
    for number in (0, 1, 2, 3, 4):
        cryptsetup("token", "import", "--token-id", str(number), "--json-file", "-", image,
                   stdin=b'{"type":"other","keyslots":[]}')
    enroll(b, image).ok()
    tokens = json.loads(cryptsetup("luksDump", "--dump-json-metadata", image))["tokens"]
    assert sorted(tokens) == ["0", "1", "2", "3", "4", "6"], sorted(tokens)
    assert tokens["6"]["type"] == "latchkey"


def refused_fields():
    """(field, what the host writes, words)"""
    other = VAULT + "/keys/rsa2048/" + "0" * 32
    return [("key", other, ("key",)), ("attest", "https://sharedneu.neu.attest.azure.net", ("attest",)),
            ("thumbprint", "A" * 43, ("thumbprint",)),
            ("uuid", "00000000-0000-4000-8000-000000000000", ("uuid",)),
            ("salt", "A" * 43, ("mac",)), ("mac", "A" * 43, ("mac",)), ("id", "0" * 16, ("mac",)),
            ("kind", "raw", ()), ("version", 2, ()),
            ("key", "https://evil.example.net/keys/x", ("key: evil.example.net", "allow-hosts")),
            ("attest", "https://evil.example.net", ("attest: evil.example.net", "allow-hosts"))]


@case
def edited_fields(b):
    """every field of the token, edited by the host, is refused and named"""
    image = bound(b)
    good = token(image)
    for field, value, words in refused_fields():
        bad = dict(good)
        bad[field] = value
        replace(image, bad)
        r = key(b, image)
        assert r.status in (65, 76, 78) and r.out == b"", "%s: %s" % (field, r)
        last = r.err.strip().splitlines()[-1].lower()
        assert all(w in last for w in words), "%s: %s" % (field, r)
    replace(image, good)
    key(b, image).ok()


@case
def edited_token_contacts_nobody_else(b):
    """a token that names another vault makes nobody contact it"""
    image = bound(b)
    bad = dict(token(image), key=HSM + "/keys/rsa2048/" + "1" * 32)
    replace(image, bad)
    mark = b.ctl.mark()
    key(b, image)
    assert not [e for e in b.ctl.log(mark, "hsm")], "the other vault was contacted"


@case
def token_from_another_disk(b):
    """a token moved from another disk is refused, whatever the configuration says"""
    first, second = volume(b, "first"), volume(b, "second")
    enroll(b, first, name="first").ok()
    enroll(b, second, name="second").ok()
    replace(second, token(first))
    key(b, second, "second").refused(76, "uuid")
    moved = dict(token(first), uuid=cryptsetup("luksUUID", second).decode().strip())
    replace(second, moved)
    key(b, second, "second").refused(76, "mac")


@case
def forged_with_public_half(b):
    """a volume built by someone who knows only the public half is refused before anything opens"""
    real, forged = bound(b), volume(b, "forged")
    uuid = cryptsetup("luksUUID", real).decode().strip()
    cryptsetup("luksUUID", "--batch-mode", "--uuid", uuid, forged)
    evil = dict(token(real), salt="B" * 42 + "A", mac="C" * 42 + "A", keyslots=["0"])
    cryptsetup("token", "import", "--token-id", "0", "--json-file", "-", forged,
               stdin=json.dumps(evil).encode())
    key(b, forged).refused(76, "mac")


@case
def other_uuid(b):
    """a disk with another UUID is not the pinned one"""
    bound(b)
    other = volume(b, "other")
    r = key(b, other)
    assert r.status in (65, 76) and r.out == b"" and "uuid" in r.err.lower(), str(r)


@case
def no_token(b):
    """a volume whose token is gone"""
    image = bound(b)
    cryptsetup("token", "remove", "--token-id", "0", image)
    r = key(b, image)
    assert r.status in (65, 76, 78) and r.out == b"" and "token" in r.err.lower(), str(r)


@case
def not_luks(b):
    """an unencrypted file system in the volume's place"""
    image = bound(b)
    subprocess.run(["mke2fs", "-q", "-F", image], check=True)
    r = key(b, image)
    assert r.status in (65, 71, 76) and r.out == b"", str(r)


@case
def damaged_primary_header(b):
    """with the primary header damaged, the secondary one serves"""
    image = bound(b)
    with open(image, "r+b") as f:
        f.seek(4096)
        f.write(b"\0" * 512)
    r = key(b, image, "root")
    assert r.status == 0 and KEY.match(r.out), str(r)


@case
def key_rotated_in_vault(b):
    """a new key version in the vault does not disturb: the binding names its version"""
    image = bound(b)
    b.ctl.rotate("vault", "rsa2048")
    r = key(b, image).ok()
    assert opens(image, r.out, "--key-slot", "1")


@case
def key_socket(b):
    """the key socket answers systemd's protocol: the volume is named by the peer's address"""
    image = bound(b)
    status, got, err = ask_socket(b, image, b"0123abcd/cryptsetup/root")
    assert status == 0 and KEY.match(got), (status, got, err)
    assert opens(image, got, "--key-slot", "1")


@case
def key_socket_refuses(b):
    """other volumes, other protocols and failures get an empty answer and exit status 0"""
    image = bound(b)
    for peer in (b"0123/cryptsetup/other", b"0123/cryptsetup-tpm2/root", b"0123", b"x/cryptsetup/../root",
                 b"x/cryptsetup/"):
        status, got, err = ask_socket(b, image, peer)
        assert status == 0 and got == b"" and err.strip(), (peer, status, got, err)
    b.ctl.policy("vault", "rsa2048", {"version": "1.0.0", "anyOf": [{
        "authority": ATTEST, "allOf": [{"claim": "secureboot", "equals": "never"}]}]})
    status, got, err = ask_socket(b, image, b"0123/cryptsetup/root")
    assert status == 0 and got == b"" and "policy" in err and "passphrase" in err, (status, got, err)


@case
def probe_walks_every_step(b):
    """probe walks every step of a good machine and opens nothing"""
    image = bound(b)
    r = b.latchkey("probe", "root", "--device", image).ok()
    text = r.out.decode()
    for step in ("settings", "clock", "trust anchors", "machine", "metadata", "identity",
                 "attestation", "release", "volume"):
        assert re.search(r"^ok +%s " % step, text, re.M), "%s:\n%s" % (step, text)


@case
def probe_says_what_to_do(b):
    """probe names what fails, what to do, and leaves out what needs it"""
    bound(b)
    with Machine("tdx") as m:
        r = b.latchkey("probe", "--key", VAULT + "/keys/nomatch", "--attest", ATTEST, machine=m)
    text = r.out.decode()
    assert r.status == 76 and re.search("^FAIL +machine .*TDX", text, re.M), str(r) + text
    assert re.search("^skip +attestation", text, re.M) and re.search("^skip +release", text, re.M), text
    r = b.latchkey("probe", "--key", VAULT + "/keys/nomatch", "--attest", ATTEST)
    text = r.out.decode()
    assert r.status == 77 and re.search("^FAIL +release", text, re.M), text
    assert "what to do" in text, text


@case
def probe_walks_the_alternatives(b):
    """probe walks every binding of a volume, names it, and fails where one fails"""
    image = bound(b)
    enroll(b, image, "--alternative", service=HSM).ok()

    def walk(*more, machine=None):
        r = b.latchkey("probe", "root", "--device", image, *more, machine=machine)
        lines = r.out.decode().splitlines()
        at = [i for i, line in enumerate(lines) if re.match(r"\w+ +alternative 1 ", line)]
        assert len(at) == 1, str(r) + r.out.decode()
        first, other = "\n".join(lines[:at[0]]), "\n".join(lines[at[0]:])
        return r.status, first, other
    status, first, other = walk()
    assert status == 0 and VAULT in first and HSM not in first, first
    assert re.search("^ok +alternative 1 +key " + HSM, other, re.M) and VAULT not in other, other
    for step in ("identity", "attestation", "release", "volume"):
        for text in (first, other):
            assert re.search(r"^ok +%s " % step, text, re.M), "%s:\n%s" % (step, text)
    for step in ("clock", "machine", "metadata"):
        assert not re.search(r"^\w+ +%s " % step, other, re.M), other
    for service, bad in (("hsm", 1), ("vault", 0)):
        b.ctl.attributes(service, "rsa2048", enabled=False)
        walked = walk()
        b.ctl.attributes(service, "rsa2048", enabled=True)
        assert walked[0] == 77, walked
        for i, text in enumerate(walked[1:]):
            word = "FAIL" if i == bad else "ok"
            assert re.search("^%s +release " % word, text, re.M), text
    with Machine(faults=["Quote:rc=0x101"]) as broken:
        status, first, other = walk(machine=broken)
    assert status == 71 and re.search("^FAIL +attestation", first, re.M), first
    assert re.match("skip +alternative 1 ", other) and len(other.splitlines()) == 1, other
    r = b.latchkey("probe", "root", "--device", image, "--key", VAULT + "/keys/rsa2048").ok()
    assert b"alternative" not in r.out, r.out


@case
def status_tells_the_last_run(b):
    """status shows the steps of the last run and the last failure"""
    image = bound(b)
    key(b, image).ok()
    r = b.call([LATCHKEY, "status", "root", "--conf-dir", b.path("conf")]).ok()
    assert b"key handed over" in r.out and b"step " in r.out, r.out
    replace(image, dict(token(image), mac="A" * 43))
    key(b, image)
    r = b.call([LATCHKEY, "status", "root", "--conf-dir", b.path("conf")]).ok()
    assert b"failed" in r.out and b"mac" in r.out.lower(), r.out


@case
def no_secret_is_shown(b):
    """neither log lines nor status files hold the key"""
    image = bound(b)
    r = b.latchkey("key", "root", "--device", image, "--verbose").ok()
    assert KEY.match(r.out) and r.out.decode() not in r.err
    with open("/run/latchkey/root.status", "rb") as f:
        assert r.out not in f.read()


if __name__ == "__main__":
    e2e.main()
