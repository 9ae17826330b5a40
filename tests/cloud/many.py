"""Several volumes, and volumes with several bindings: made by binding.py, configured, opened.

Nothing needs device-mapper: the setting `cryptsetup` names a program that turns `open` into
`open --test-passphrase`, so that the real cryptsetup judges the key, and keeps what it was told.
"""

import json
import os

import binding
import keys
from disk import CRYPTSETUP, PASSPHRASE, cryptsetup, volume
from e2e import ATTEST, LATCHKEY, PYTHON, STATE, VAULT

PREFIX = "many-"        # of the volumes' names: their status files are everybody's

RECORDER = '''#!%(python)s
import json, os, subprocess, sys
args, key = sys.argv[1:], sys.stdin.buffer.read()
took = [args.index(a) for a in ("--type", "--key-slot", "--key-file")]
options = sum((args[i:i + 2] for i in took), [])
device, name = args[-2:]
if args[0] != "open" or os.path.exists(%(dir)r + "/refuse-" + name):
    sys.exit(5)
%(more)s
status = subprocess.run([%(cryptsetup)r, "open", "--test-passphrase"] + options + [device],
                        input=key).returncode
with open(%(dir)r + "/opened", "a") as f:
    f.write(json.dumps({"name": name, "device": device, "args": args, "status": status,
                        "environ": sorted(os.environ)}) + "\\n")
sys.exit(status)
'''


def recorder(b, more=""):
    """The program that stands for cryptsetup; `more` is done with `key` before it is used."""
    path = b.path("cryptsetup")
    with open(path, "w", encoding="ascii") as f:
        f.write(RECORDER % {"python": PYTHON, "dir": b.dir, "cryptsetup": CRYPTSETUP, "more": more})
    os.chmod(path, 0o755)
    return path


def attempts(b):
    """What it was told, in order."""
    if not os.path.exists(b.path("opened")):
        return []
    with open(b.path("opened"), encoding="ascii") as f:
        return [json.loads(line) for line in f]


def opened(b):
    """The volumes that it opened, in order, without the prefix; they are forgotten."""
    out = [a["name"][len(PREFIX):] for a in attempts(b) if a["status"] == 0]
    if os.path.exists(b.path("opened")):
        os.unlink(b.path("opened"))
    return out


def bind(image, key="rsa2048", service=VAULT, attest=ATTEST, kind="derived", version=None, number=0):
    """A slot and a token more; the token."""
    store = keys.Store(STATE)
    found = store.find("vault" if service == VAULT else "hsm", key, version)[1]
    url = "%s/keys/%s" % (service, key) + ("/" + version if version else "")
    used = json.loads(cryptsetup("luksDump", "--dump-json-metadata", image))["keyslots"]
    t, secret = binding.made(kind, store.material.load(found["material"]), url, attest,
                             cryptsetup("luksUUID", image).decode().strip(), slot=len(used))
    with open(image + ".key", "wb") as f:
        f.write(secret)
    cryptsetup("luksAddKey", "--batch-mode", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations",
               "1000", "--key-slot", str(len(used)), "--key-file", "-", image, image + ".key",
               stdin=PASSPHRASE)
    os.unlink(image + ".key")
    cryptsetup("token", "import", "--token-id", str(number), "--json-file", "-", image,
               stdin=json.dumps(t).encode())
    return t


def pins(t):
    """The settings that go with a token."""
    conf = {f: t[f] for f in ("key", "attest", "thumbprint") if t[f]}
    if t["kind"] != "derived":
        conf["kind"] = t["kind"]
    if "wrapped" in t:
        conf["wrapped"] = binding.pin(t)
    return conf


def configure(b, name, image, *tokens, **settings):
    """NAME.conf: a binding for each token, in this order. An empty setting is left out."""
    conf = {"uuid": tokens[0]["uuid"], "device": image, "cryptsetup": b.path("cryptsetup"),
            "tpm": b.machine.link, "trust": STATE + "/ca.pem", "kmsg": "no", **pins(tokens[0])}
    conf.update({n.replace("_", "-"): v for n, v in settings.items()})
    lines = ["%s = %s" % item for item in conf.items() if item[1]]
    for t in tokens[1:]:
        lines += ["", "[alternative]"] + ["%s = %s" % item for item in pins(t).items()]
    os.makedirs(b.path("conf"), exist_ok=True)
    with open(b.path("conf/%s%s.conf" % (PREFIX, name)), "w", encoding="ascii") as f:
        f.write("\n".join(lines) + "\n")
    return [image, *tokens]


def made(b, name, *bindings, settings=(), **more):
    """A volume with these bindings (dicts for bind(); none: one as bind() makes it)."""
    if not os.path.exists(b.path("cryptsetup")):
        recorder(b)
    image = volume(b, name + ".img")
    tokens = [bind(image, number=i, **w) for i, w in enumerate(bindings or [more])]
    return configure(b, name, image, *tokens, **dict(settings))


def run(b, verb, *args, **more):
    """latchkey with all its settings from the files."""
    return b.call([LATCHKEY, verb, *args, "--conf-dir", b.path("conf")], **more)


def unlock(b, *names, **more):
    """latchkey unlock."""
    return run(b, "unlock", *(PREFIX + n for n in names), **more)


def status(b, name):
    """Its status file, label by label (the first of each)."""
    out = run(b, "status", PREFIX + name).ok().out.decode().splitlines()
    return {line[:10].strip(): line[11:].strip() for line in reversed(out)}


def asked(b, mark):
    """(attestations, names of the keys that were asked for) since."""
    log = [e for e in b.ctl.log(mark) if "path" in e]
    return (sum("/attest/" in e["path"] for e in log),
            [e["path"].split("/")[2] for e in log if e["path"].endswith("/release")])


def lines(r, *words):
    """The lines of the log that have all these words."""
    return [x for x in r.err.splitlines() if all(w in x for w in words)]
