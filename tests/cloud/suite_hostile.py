#!/usr/bin/python3
"""TAP: headers as the host may write them, edit by edit: refused by name, nobody asked for a key, nothing broken."""

import json
import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "enroll")]
import binding  # noqa: E402
import e2e  # noqa: E402
import keys  # noqa: E402
from disk import PASSPHRASE, ask_socket, bound, cryptsetup, enroll, key, opens, token, volume  # noqa: E402
from e2e import ATTEST, LATCHKEYCTL, STATE, case  # noqa: E402
from edits import Header  # noqa: E402

REFUSALS = (65, 76, 78)
USUAL = (0, 64, 65, 71, 76, 78)     # how latchkeyctl may end


def content(path):
    """Of a file."""
    with open(path, "rb") as f:
        return f.read()


def asked(b, mark):
    """The requests to vaults and attestation providers since; that the pinned ones are connected to is no request."""
    return [e for e in b.ctl.log(mark) if e["service"] in ("vault", "hsm", "maa") and e.get("path")]


class Disk:
    """A bound volume whose header is written anew from texts; latchkey's token has number 0."""

    def __init__(self, b, *options):
        self.b = b
        if options:
            self.image = b.path("disk.img")
            with open(self.image, "wb") as f:
                f.truncate(18 << 20)
            cryptsetup("luksFormat", "--type", "luks2", "--batch-mode", "--pbkdf", "pbkdf2",
                       "--pbkdf-force-iterations", "1000", "--key-file", "-", *options, self.image, stdin=PASSPHRASE)
            enroll(b, self.image).ok()
        else:
            self.image = bound(b)
        mark = b.ctl.mark()
        self.token, self.good = token(self.image), key(b, self.image).ok().out
        assert {e["service"] for e in asked(b, mark)} == {"maa", "vault"}, "a release would not be noticed"
        self.header = Header(self.image)
        text = self.header.text.decode()
        self.before, rest = text.split('"tokens":{', 1)
        self.after = rest[rest.index('},"segments"'):]

    def write(self, tokens, before=None, after=None):
        """The text of the object of tokens, without its braces."""
        self.header.write(((before or self.before) + '"tokens":{' + tokens + (after or self.after)).encode())

    def only(self, text):
        """One token."""
        self.write('"0":' + text)

    def refused(self, what, *words):
        """latchkey key: a proper refusal that has these words in what it says, and nobody was asked."""
        mark = self.b.ctl.mark()
        r = key(self.b, self.image)
        last = (r.err.strip().splitlines() or [""])[-1]
        assert r.status in REFUSALS and r.out == b"", "%s: %s" % (what, r)
        assert last.isascii() and last.isprintable() and len(last) > 20, "%s: %s" % (what, r)
        for word in words:
            assert word in r.err, "%s: '%s' is not said: %s" % (what, word, r)
        assert not asked(self.b, mark), "%s: somebody was asked" % what

    def gives(self, what):
        """latchkey key: the same key as ever."""
        r = key(self.b, self.image)
        assert r.status == 0 and r.out == self.good, "%s: %s" % (what, r)


def members(t):
    """A token as pairs of texts."""
    return [(json.dumps(n), json.dumps(v)) for n, v in t.items()]


def text(pairs):
    """And back."""
    return "{" + ",".join("%s:%s" % p for p in pairs) + "}"


def wrong_values(value):
    """What no member may be, as text, by name."""
    longer = json.dumps(json.loads(value) + "A" * 2100) if value[0] == '"' else value
    return [("null", "null"), ("a number", "7.5"), ("true", "true"), ("an object", "{}"), ("a list of lists", "[[]]"),
            ("negative", '"-1"'), ("a control character", '"\\u001b[2J"'), ("not ASCII", '"\\u00e9"'),
            ("nested", "[" * 12 + "]" * 12), ("too long", longer if longer != value else '["%s"]' % ("1" * 2000))]


@case
def every_member(b):
    """every member of the token: absent, twice, of another type, too long, nested: refused, the member is named"""
    d = Disk(b)
    pairs = members(d.token)
    assert len(pairs) >= 11, pairs
    for i, (name, value) in enumerate(pairs):
        plain = json.loads(name)
        edits = [(what, pairs[:i] + [(name, v)] + pairs[i + 1:]) for what, v in wrong_values(value)]
        edits += [("absent", pairs[:i] + pairs[i + 1:]), ("twice", pairs + [(name, value)]),
                  ("twice, escaped", pairs + [('"\\u%04x%s"' % (ord(plain[0]), plain[1:]), value)])]
        for what, edited in edits:
            d.only(text(edited))
            # A token without its type is none of ours.
            d.refused("%s %s" % (plain, what), "token" if plain == "type" else plain)
    d.only(text(pairs))
    d.gives("as it was")


@case
def what_no_mac_covers(b):
    """marks and unknown members change nothing for a boot; a token without a slot is passed over, wrong forms refused"""
    d = Disk(b)
    for more in ({"replaced-by": "f" * 16}, {"borrowed": True}, {"x": {"y": [1, None]}}, {"x" * 3000: "y" * 3000}):
        d.only(json.dumps(dict(d.token, **more)))
        d.gives(list(more)[0][:20])
    for edit in ({"keyslots": ["0"]}, {"keyslots": ["31"]}):    # the slot's number is cryptsetup's
        d.only(json.dumps(dict(d.token, **edit)))
        d.gives(str(edit))
    for edit in ({"keyslots": []}, {"keyslots": [], "pending-slot": "1"}):
        d.only(json.dumps(dict(d.token, **edit)))
        d.refused(str(edit), "token 0")
    for edit in ({"pending-slot": "1"}, {"pending-slot": "1", "keyslots": ["1", "0"]}, {"keyslots": ["0", "1"]},
                 {"pending-slot": 1, "keyslots": []}, {"pending-slot": "99", "keyslots": []}, {"replaced-by": ""},
                 {"replaced-by": "F" * 16}, {"borrowed": False}, {"borrowed": "yes"}):
        d.only(json.dumps(dict(d.token, **edit)))
        d.refused(str(edit), list(edit)[0] if list(edit)[0] != "pending-slot" else "slot")


@case
def things_there_twice(b):
    """a token number, the tokens or the key slots twice: the first counts or all is refused, never a forged one"""
    d = Disk(b)
    good = json.dumps(d.token)
    material = keys.Material(STATE).load("rsa2048-1")
    forged = json.dumps(binding.made("wrapped", material, d.token["key"], ATTEST, d.token["uuid"], slot=0)[0])
    d.write('"0":%s,"0":%s' % (good, forged))
    d.gives("the good one first")
    d.write('"0":%s,"0":%s' % (forged, good))
    d.refused("the forged one first", "wrapped")
    d.write('"0":%s,"00":%s' % (forged, good))
    mark = b.ctl.mark()
    assert key(b, d.image).out in (b"", d.good)
    assert not [e for e in b.ctl.log(mark) if e["service"] == "hsm"]
    d.write('"0":%s' % good, after='},"tokens":{"0":%s%s' % (forged, d.after))
    d.refused("tokens twice", "tokens")
    d.write('"0":%s' % good, before='{"keyslots":{},' + d.before[1:])
    d.refused("key slots twice", "keyslots")


@case
def deep(b):
    """nested as deep as the area allows, in the token and beside it: refused, nothing breaks"""
    d = Disk(b)
    for depth in (17, 300, 5000):
        nest = "[" * depth + "]" * depth
        d.only(text(members(d.token) + [('"x"', nest)]))
        d.refused("%d in the token" % depth, "LUKS2")
        d.write('"0":%s,"7":%s' % (json.dumps(d.token), nest))
        d.refused("%d beside it" % depth, "LUKS2")
    d.only(text(members(d.token) + [('"x"', '{"a":' * 1500 + "1" + "}" * 1500)]))
    d.refused("objects", "LUKS2")
    d.header.write(b"[" * (d.header.size - 4096))
    d.refused("nothing but brackets")
    d.header.write(b" " * (d.header.size - 4096))
    d.refused("an area without an end", "without an end")


@case
def large(b):
    """an area of 64 KiB full of one token, of 5000 values, of 1000 tokens: refused or the same key"""
    d = Disk(b, "--luks2-metadata-size", "64k")
    good = json.dumps(d.token)
    room = d.header.size - 4096 - len(d.header.text) - 200
    d.only(json.dumps(dict(d.token, x="y" * room)))
    d.gives("a large unknown member")
    d.only(json.dumps(dict(d.token, key=d.token["key"] + "a" * room)))
    d.refused("a large key", "key")
    d.only(text(members(d.token) + [('"x"', "[%s]" % ",".join("0" * 5000))]))
    d.refused("5000 values", "LUKS2")
    d.write(",".join('"%d":{"type":"latchkey"}' % n for n in range(1000)) + ',"31":' + good)
    d.refused("1000 tokens")
    d.write('"0":' + good)
    d.gives("as it was")


@case
def many(b):
    """32 tokens of type latchkey: eight are read, the others are named, and only the sealed one gives a key"""
    d = Disk(b, "--luks2-metadata-size", "64k")
    forged = dict(d.token, mac="A" * 43)
    for place in (0, 7, 8, 31):
        tokens = [json.dumps(dict(forged, id="%016x" % n, attest="https://sharedneu.neu.attest.azure.net"))
                  for n in range(32)]
        tokens[place] = json.dumps(d.token)
        d.write(",".join('"%d":%s' % item for item in enumerate(tokens)))
        if place < 8:
            d.gives("at %d" % place)
        else:
            d.refused("at %d" % place, "token %d: more than 8 of type latchkey" % place)
    r = b.call([LATCHKEYCTL, "list", d.image, "--json", "--conf-dir", b.path("conf")]).ok()
    v = json.loads(r.out)["volumes"][0]
    assert len(v["bindings"]) == 8 and v["malformed_tokens"] == list(range(8, 32)), v["malformed_tokens"]


def headers(d):
    """(what, text of the whole JSON): of every kind above, and lies about slots, sizes and segments."""
    good = json.loads(d.header.text)

    def changed(**more):
        return json.dumps(dict(good, **more), separators=(",", ":"))

    config, segment = good["config"], good["segments"]["0"]
    slots = good["keyslots"]
    yield "as it was", changed()
    for size in ("0", "-1", "4294967295", "18446744073709551616", 7, None):
        yield "key slots of %s bytes" % size, changed(config=dict(config, keyslots_size=size))
    yield "no configuration", changed(config={})
    yield "no digests", changed(digests={})
    yield "digests of another kind", changed(digests=[{"keyslots": ["1"]}])
    yield "a slot that is not there", changed(tokens={"0": dict(d.token, keyslots=["30"])})
    yield "slots that are none", changed(keyslots=dict(slots, **{"31": 5, "30": [], "x": {}, "-1": {}}))
    yield "no slots", changed(keyslots={})
    yield "a hash that is not light", changed(keyslots=dict(slots, **{"1": dict(slots["1"], kdf={"type": "argon2id"})}))
    yield "a reencryption", changed(config=dict(config, requirements={"mandatory": ["online-reencrypt-v2"]}))
    yield "a cipher that moves the cursor", changed(segments={"0": dict(segment, encryption="\x1b[2J" * 30)})
    yield "an integrity that moves the cursor", changed(segments={"0": dict(segment, integrity={"type": "\r\x07" * 30})})
    yield "no segments", changed(segments={})
    yield "tokens of other types", changed(tokens={"0": 7, "1": [], "2": {"type": 5}, "3": {"type": "latchkey"}})
    for name, value in d.token.items():
        for what, wrong in wrong_values(json.dumps(value)):
            if name in ("keyslots", "id", "kind", "key") or what in ("null", "too long"):
                yield "%s %s" % (name, what), changed(tokens={"0": dict(d.token, **{name: json.loads(wrong)})})


class Kept:
    """Image and NAME.conf, put back where a verb changed them."""

    def __init__(self, b, d):
        self.paths = [d.image, b.path("conf/root.conf")]
        self.was = [content(p) for p in self.paths]

    def changed(self):
        """Is one of them another now? Then it is put back."""
        now = [os.path.exists(p) and content(p) for p in self.paths]
        if now == self.was:
            return False
        for path, data in zip(self.paths, self.was):
            with open(path, "wb") as f:
                f.write(data)
        return True


@case
def list_and_remove(b):
    """latchkeyctl list and remove on such headers: no crash, no escape sequence, nothing is half done"""
    d = Disk(b)
    tries, removed = 0, 0
    for what, whole in headers(d):
        d.header.write(whole.encode())
        kept = Kept(b, d)
        for verb in (["list", d.image], ["list", d.image, "--json"], ["list", "root", "--device", d.image],
                     ["remove", d.image, "--binding", d.token["id"]], ["remove", "root", "--device", d.image]):
            r = b.call([LATCHKEYCTL, *verb, "--conf-dir", b.path("conf")])
            tries += 1
            assert r.status in USUAL, "%s: %s" % (what, r)
            assert "\x1b" not in r.err and b"\x1b" not in r.out and b"\r" not in r.out, "%s: %s" % (what, r)
            if verb[-1] == "--json" and r.status == 0:
                assert json.loads(r.out)["volumes"], what
            if kept.changed():
                assert verb[0] == "remove" and (r.status == 0 or "run it again" in r.err), "%s: %s" % (what, r)
                removed += r.status == 0
    d.header.write(d.header.text)
    d.gives("as it was")
    assert opens(d.image, PASSPHRASE) and tries > 200 and removed > 10, (tries, removed)


@case
def enroll_on_such_headers(b):
    """latchkeyctl enroll on such headers: a binding that gives its key, or nothing is changed"""
    d = Disk(b)
    ends = {}
    for what, whole in [h for n, h in enumerate(headers(d)) if n < 19 or n % 6 == 0]:
        d.header.write(whole.encode())
        kept = Kept(b, d)
        r = enroll(b, d.image, "--alternative", key="ec384")
        assert r.status in USUAL, "%s: %s" % (what, r)
        ends[r.status] = ends.get(r.status, 0) + 1
        if r.status == 0:
            number = max(Header(d.image).json()["tokens"], key=int)
            secret = b.latchkey("key", "root", "--device", d.image, "--key", token(d.image, number)["key"],
                                "--thumbprint", token(d.image, number)["thumbprint"]).ok().out
            assert opens(d.image, secret, "--key-slot", token(d.image, number)["keyslots"][0]), what
            kept.changed()
        else:
            assert not kept.changed(), "%s: %s" % (what, r)
    assert ends.get(0) and len(ends) > 1, ends


@case
def the_key_socket(b):
    """the key socket: an empty answer for each, so that the passphrase is asked for"""
    d = Disk(b)
    for what, tokens in (("none", ""), ("deep", '"0":' + "[" * 5000 + "]" * 5000),
                         ("cut", '"0":' + json.dumps(dict(d.token, keyslots=[]))),
                         ("edited", '"0":' + json.dumps(dict(d.token, salt="A" * 43))),
                         ("32", ",".join('"%d":{"type":"latchkey"}' % n for n in range(32)))):
        d.write(tokens)
        status, got, err = ask_socket(b, d.image, b"0123abcd/cryptsetup/root")
        assert status == 0 and got == b"" and "passphrase" in err, (what, status, got, err)


if __name__ == "__main__":
    e2e.main()
