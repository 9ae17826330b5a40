#!/usr/bin/python3
"""TAP: hundreds of edited tokens through the real program: refused by name, and nobody else is contacted."""

import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import lab  # noqa: E402
from disk import enroll, key, token, volume  # noqa: E402
from e2e import HSM, VAULT  # noqa: E402
from edits import Editor, Header  # noqa: E402
import names  # noqa: E402

SEED, COUNT = 20240301, 400
PINNED = {names.VAULT_HOST, names.MAA_HOST}
SERVICES = {"imds", "maa", "vault", "dns"}
VALUES = ["", None, True, 0, 1, 2, -1, 1.5, 2 ** 70, [], {}, ["1"], ["0"], ["0", "1"], ["31"], ["32"], "derived", "raw",
          "compat", "wrapped", "better", "latchkey", HSM + "/keys/rsa2048", VAULT + "/keys/nomatch", VAULT + "/keys/rsa2048",
          "https://" + names.MAA2_HOST, "https://wrong-name.example/keys/rsa2048", "https://unreachable.vault.azure.net/keys/k",
          "http://" + names.VAULT_HOST + "/keys/rsa2048", "A" * 43, "0" * 16, "\u0000", "\u00e9", "a\nb", "x" * 3000,
          "00000000-0000-4000-8000-000000000000"]
REFUSALS = {65: "bad data", 76: "not to be trusted", 78: "configuration"}


def strangers(entries):
    """Who was asked for or contacted beside those whom the configuration pins."""
    named = {e["name"].rstrip(".").lower() for e in entries if e["service"] == "dns"} - PINNED
    return sorted(named | {e["service"] for e in entries} - SERVICES)


def judge(b, image, good, mark):
    """One run of the program: how it ended and what was wrong with that."""
    r = key(b, image)
    others = strangers(b.ctl.log(mark))
    if others:
        return r.status, "%s was asked for: %s" % (", ".join(others), r)
    if r.status == 0:
        return 0, None if r.out == good else "another key was handed over: %s" % r
    said = r.err.strip().splitlines()
    last = said[-1] if said else ""
    if r.status not in REFUSALS or r.out or not last.isprintable() or not last.isascii() or len(last) < 20:
        return r.status, "not a proper refusal: %s" % r
    return r.status, None


def work(b, share):
    """Every second edit."""
    image, elsewhere = volume(b), volume(b, "elsewhere")
    enroll(b, image).ok()
    enroll(b, elsewhere, name="elsewhere").ok()
    good = key(b, image).ok().out
    header = Header(image)
    number = next(n for n, t in header.json()["tokens"].items() if t["type"] == "latchkey")
    before, _, after = header.text.partition(b'"tokens":{')
    assert after, "no tokens in the header"
    mark = b.ctl.mark()
    key(b, image, "root", None, "--key", HSM + "/keys/rsa2048")
    lab.put(control=strangers(b.ctl.log(mark)))
    editor = Editor(None, token(image, number), token(elsewhere, 0), VALUES)
    end = after.index(b'},"segments"')
    for n in range(share, COUNT, lab.WORKERS):
        editor.chance = random.Random(SEED + n)
        text = b'"%s":%s' % (number.encode(), editor.one())
        if n % 20 == 19:        # beside the good one, before it
            text = b'"9":' + editor.one() + b"," + after[:end]
        header.write(before + b'"tokens":{' + text + after[end:])
        mark = b.ctl.mark()
        status, wrong = judge(b, image, good, mark)
        lab.put(status=status, wrong=wrong and "edit %d: %s\n%s" % (n, text[:1500], wrong))


def tell(said, broken):
    """One line for each way to end."""
    controls, said = [m["control"] for m in said if "control" in m], [m for m in said if "status" in m]
    wrong = [m["wrong"] for m in said if m["wrong"]]
    counts = {status: sum(m["status"] == status for m in said) for status in (0, *REFUSALS)}
    rows = [(len(said) == COUNT and not wrong and not broken, "%d edited tokens: a named refusal, or the same key; nobody "
             "but the pinned hosts was asked for (seed %d)" % (len(said), SEED))]
    rows += [(counts[status] > 0, "some of them are refused as %s, exit status %d: %d" % (
        REFUSALS[status], status, counts[status])) for status in (65, 76)]
    rows += [(counts[0] > 0, "some of them say the same in other words: %d" % counts[0])]
    rows += [(all(names.HSM_HOST in control for control in controls) and controls,
              "control: another vault would have been noticed")]
    for number, (good, name) in enumerate(rows, 1):
        print("%s %d - %s" % ("ok" if good else "not ok", number, name))
    for line in "\n".join(wrong[:8]).splitlines():
        print("# " + line)
    print("1..%d" % len(rows))
    print("# counted: %d edited tokens through latchkey key: %s" % (
        len(said), ", ".join("%d with status %d" % (counts[s], s) for s in counts)))
    return 0 if all(good for good, _ in rows) else 1


if __name__ == "__main__":
    sys.exit(lab.main(work, tell))
