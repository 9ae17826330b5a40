#!/usr/bin/python3
"""TAP: volumes with several bindings: the next is tried when one gives no key, in the order of
preference and within the one deadline.
"""

import json
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import e2e  # noqa: E402
import keys  # noqa: E402
import names  # noqa: E402
from disk import KEY, PASSPHRASE, ask_socket, cryptsetup, opens, replace, token  # noqa: E402
from e2e import HSM, LATCHKEY, VAULT, Machine, case  # noqa: E402
from many import (PREFIX, asked, attempts, configure, lines, made, opened, run, status,  # noqa: E402
                  unlock)

AUTHORITY2 = "https://" + names.MAA2_HOST
NOWHERE = "https://unreachable.vault.azure.net"
FIRST, SECOND = dict(service=VAULT), dict(service=HSM)
SHORT = {"timeout": "16"}


def services(b, mark):
    """Who was asked for a release, in order."""
    return [e["service"] for e in b.ctl.log(mark) if e.get("path", "").endswith("/release")]


def took_over(b, r, *words, of=2):
    """The second binding opened the volume; why not the first is one line."""
    assert opened(b) == ["root"], str(r)
    said = lines(r, "volume many-root: %s/keys/rsa2048: " % VAULT, *words)
    assert len(said) == 1 and "trying the next binding: %s/keys/rsa2048" % HSM in said[0], str(r)
    done = lines(r, "volume many-root: unlocked with binding 2 of %d, %s/keys/rsa2048" % (of, HSM))
    assert len(done) == 1 and len(lines(r, "asking for")) == 2, str(r)
    s = status(b, "root")
    assert s["result"] == "unlocked" and s["binding"] == "2 of %d, %s/keys/rsa2048" % (of, HSM), s
    assert all(w in s["before"] for w in words) and "failure" not in s, s


def fault(kind, *words, **more):
    """The first vault has a fault."""
    def check(b):
        made(b, "root", FIRST, SECOND, settings=SHORT)
        b.ctl.fault("vault", kind, **more)
        mark = b.ctl.mark()
        took_over(b, unlock(b).ok(), *words)
        assert services(b, mark)[-1] == "hsm", services(b, mark)
    check.__doc__ = "the second vault takes over: the first one: %s" % " ".join(
        [kind, *(str(v) for v in more.values())])
    check.__name__ = "first_" + kind
    return check


for row in (("refuse", ("connect",), {}), ("blackhole", ("vault",), {}), ("hang", ("vault",), {}),
            ("tls", ("certificate",), {"cert": "expired"}), ("reset", ("vault",), {}),
            ("status", ("503",), {"status": 503}), ("garbage", ("http",), {})):
    case(fault(row[0], *row[1], **row[2]))


@case
def no_such_host(b):
    """the second vault takes over: the first one's name leads nowhere"""
    image, first, second = made(b, "root", FIRST, SECOND)
    t = dict(first, key=NOWHERE + "/keys/rsa2048")
    replace(image, t, 0)
    configure(b, "root", image, t, second, **SHORT)
    r = unlock(b).ok()
    assert opened(b) == ["root"] and lines(r, NOWHERE, "trying the next binding"), str(r)


@case
def denied(b):
    """the second vault takes over: policy, key disabled, no role at the first one"""
    made(b, "root", FIRST, SECOND)
    nomatch = keys.Store(e2e.STATE).find("vault", "nomatch")[0]["policy"]
    for change, word in ((lambda: b.ctl.policy("vault", "rsa2048", nomatch), "policy"),
                         (lambda: b.ctl.attributes("vault", "rsa2048", enabled=False), "disabled")):
        change()
        mark = b.ctl.mark()
        took_over(b, unlock(b).ok(), word)
        assert asked(b, mark) == (2, ["rsa2048"] * 2) and services(b, mark) == ["vault", "hsm"]
        b.ctl.reset()


@case
def attestation_down(b):
    """the second attestation provider takes over while the first is down"""
    b.ctl.policy("vault", "ec256", keys.cvm_policy(authority=AUTHORITY2))
    made(b, "root", {}, dict(key="ec256", attest=AUTHORITY2), settings=SHORT)
    for how in ({"kind": "refuse"}, {"kind": "blackhole"}, {"kind": "status", "status": 403}):
        b.ctl.fault("maa", **how)
        mark = b.ctl.mark()
        r = unlock(b).ok()
        assert opened(b) == ["root"] and asked(b, mark)[1] == ["ec256"], str(r)
        assert lines(r, "/keys/rsa2048: ", "trying the next binding"), str(r)
        b.ctl.clear("maa")


@case
def order_of_preference(b):
    """the first that works is taken, and nobody behind it is asked"""
    bindings = (dict(key="ec256"), dict(service=HSM, key="ec384"), dict(key="rsa3072"))
    image, *tokens = made(b, "root", *bindings)
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        configure(b, "root", image, *(tokens[i] for i in order))
        for down in range(3):
            for i in order[:down]:
                b.ctl.attributes("hsm" if i == 1 else "vault", bindings[i]["key"], enabled=False)
            mark = b.ctl.mark()
            r = unlock(b).ok()
            want = [bindings[i]["key"] for i in order[:down + 1]]
            assert asked(b, mark) == (down + 1, want), (asked(b, mark), str(r))
            assert attempts(b)[-1]["args"][attempts(b)[-1]["args"].index("--key-slot") + 1] == \
                str(order[down] + 1)
            assert opened(b) == ["root"]
            b.ctl.reset()


@case
def all_fail(b):
    """when all fail: a line for each, the last one's failure is the verdict"""
    made(b, "root", FIRST, SECOND, dict(key="ec256"))
    for service, key in (("vault", "rsa2048"), ("hsm", "rsa2048")):
        b.ctl.attributes(service, key, enabled=False)
    b.ctl.policy("vault", "ec256", keys.Store(e2e.STATE).find("vault", "nomatch")[0]["policy"])
    mark = b.ctl.mark()
    r = unlock(b)
    r.refused(77, "volume many-root: ", "policy")
    assert opened(b) == [] and services(b, mark) == ["vault", "hsm", "vault"]
    tries = lines(r, "trying the next binding")
    assert len(tries) == 2 and all("disabled" in t for t in tries), str(r)
    s = status(b, "root")
    assert s["result"] == "failed" and s["binding"].startswith("3 of 3") and "policy" in s["failure"]


@case
def one_deadline(b):
    """three vaults that do not answer: all get their turn, and the deadline bounds them together"""
    made(b, "root", FIRST, SECOND, dict(key="ec256"), settings={"timeout": "12"})
    for endpoint in ("vault", "hsm"):
        b.ctl.fault(endpoint, "blackhole")
    start = time.monotonic()
    r = unlock(b, timeout=120)
    took = time.monotonic() - start
    assert r.status in (69, 75) and opened(b) == [], str(r)
    assert len(lines(r, "asking for")) == 3 and len(lines(r, "trying the next")) == 2, str(r)
    # Three of them with a deadline each would take 36 s.
    assert took < 27, "%.1f s: %s" % (took, r)
    # Where the first would not leave time, the second would not be asked: each begins at its share.
    at = [int(re.search(r"\[ *(\d+) ms\]", x).group(1)) for x in lines(r, "asking for")]
    assert at[1] - at[0] < 10000, at


@case
def machine_fails(b):
    """a TPM that fails ends it: another vault does not mend that, nor is it tried for other volumes"""
    made(b, "root", FIRST, SECOND)
    made(b, "swap", SECOND, FIRST)
    for kind in ("RSA_Decrypt#1:lockout", "RSA_Decrypt#2:rc=921"):
        with Machine(faults=[kind]) as m:
            mark = b.ctl.mark()
            r = run(b, "unlock", "--tpm", m.link, "--timeout", "20")
        assert r.status == 71 and opened(b) == [] and asked(b, mark)[0] == 1, (asked(b, mark), str(r))
        assert not lines(r, "trying the next binding") and len(lines(r, "asking for")) == 1, str(r)
        for name in ("root", "swap"):
            assert status(b, name)["result"] == "failed", status(b, name)
            assert len(lines(r, "volume many-%s: " % name)) == (2 if name == "root" else 1), str(r)


@case
def other_machines_are_tried(b):
    """a volume whose settings name a device that is not there does not keep the others closed"""
    made(b, "data", FIRST, SECOND, settings={"evidence": "vtpm", "tpm": b.path("tpm"), "timeout": "40"})
    made(b, "root", FIRST, SECOND)
    r = unlock(b)
    r.refused(71, "many-data", b.path("tpm"))
    assert opened(b) == ["root"] and not lines(r, "trying the next"), str(r)


@case
def host_edits_the_first(b):
    """a first binding that the host removes, edits or takes the slot from: the second takes over"""
    image, first, second = made(b, "root", FIRST, SECOND)
    for what, words in ((dict(first, mac="A" * 43), ("MAC",)),
                        (dict(first, thumbprint="A" * 43), ("thumbprint",)),
                        (dict(first, keyslots=[], **{"pending-slot": "1"}), ("not finished",)),
                        (None, ("key is",)), (dict(first, keyslots=["0"]), ("key slot 0",))):
        cryptsetup("token", "remove", "--token-id", "0", image)
        if what:
            cryptsetup("token", "import", "--token-id", "0", "--json-file", "-", image,
                       stdin=json.dumps(what).encode())
        mark = b.ctl.mark()
        took_over(b, unlock(b).ok(), *words)
        if what is None:
            cryptsetup("token", "import", "--token-id", "0", "--json-file", "-", image,
                       stdin=json.dumps(first).encode())
        assert services(b, mark)[-1] == "hsm"
    replace(image, first)
    cryptsetup("luksKillSlot", "--batch-mode", image, "1", "--key-file", "-", stdin=PASSPHRASE)
    assert token(image)["keyslots"] == []
    took_over(b, unlock(b).ok(), "slot of this binding is gone")


@case
def rounds(b):
    """volumes whose first vault is down meet those of the second, or share its run in the next round"""
    made(b, "data", FIRST, SECOND)
    made(b, "root", FIRST, SECOND)
    made(b, "swap", SECOND)
    b.ctl.attributes("vault", "rsa2048", enabled=False)
    mark = b.ctl.mark()
    r = unlock(b).ok()
    assert opened(b) == ["swap", "data", "root"], str(r)
    # first: the first vault for two volumes, the second for one; then the second for those two
    assert asked(b, mark) == (3, ["rsa2048"] * 3) and services(b, mark) == ["vault", "hsm", "hsm"]
    assert len(lines(r, "trying the next")) == 2, str(r)
    assert status(b, "swap")["binding"].startswith("1 of 1")
    assert status(b, "data")["binding"].startswith("2 of 2")


@case
def key_verb(b):
    """latchkey key and the key socket try the next binding, too; the key is written once"""
    image, _, _ = made(b, "root", FIRST, SECOND)
    b.ctl.attributes("vault", "rsa2048", enabled=False)
    r = run(b, "key", PREFIX + "root").ok()
    assert KEY.match(r.out) and opens(image, r.out, "--key-slot", "2"), str(r)
    assert lines(r, "key handed over with binding 2 of 2"), str(r)
    code, got, err = ask_socket(b, image, b"0123abcd/cryptsetup/many-root")
    assert code == 0 and got == r.out, (code, got, err)
    b.ctl.attributes("hsm", "rsa2048", enabled=False)
    code, got, err = ask_socket(b, image, b"0123abcd/cryptsetup/many-root")
    assert code == 0 and got == b"" and "passphrase" in err, (code, got, err)
    assert "trying the next binding" in err


@case
def nobody_reads(b):
    """a key that cannot be handed over is not followed by another one"""
    made(b, "root", FIRST, SECOND)
    mark = b.ctl.mark()
    reader, writer = os.pipe()
    os.close(reader)
    p = subprocess.run([LATCHKEY, "key", PREFIX + "root", "--conf-dir", b.path("conf")],
                       stdout=writer, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(writer)
    assert p.returncode != 0 and asked(b, mark) == (1, ["rsa2048"]), (p, asked(b, mark))


@case
def command_line_wins(b):
    """a key on the command line is the only one that is tried"""
    made(b, "root", FIRST, SECOND)
    b.ctl.attributes("vault", "rsa2048", enabled=False)
    mark = b.ctl.mark()
    r = run(b, "key", PREFIX + "root", "--key", VAULT + "/keys/rsa2048")
    r.refused(77, "disabled")
    assert services(b, mark) == ["vault"]


if __name__ == "__main__":
    e2e.main()
