"""Volumes before a verb of latchkeyctl, and how they have to be after it.

Each has two key slots that are none of ours (the passphrase in 0; another administrator's in 3, which a clevis token
lists) and the token with which Azure Disk Encryption marks a disk (number 5).
"""

import json
import os
import re
import shutil
import subprocess

from cryptography.hazmat.primitives import serialization

import keys
from disk import PASSPHRASE, cryptsetup, enroll, opens
from e2e import ATTEST, HSM, LATCHKEYCTL, STATE, VAULT

COLLEAGUE = b"another administrator's"
FOREIGN = {"0": {"type": "clevis", "keyslots": ["3"], "jwe": {"protected": "none of ours"}},
           "5": {"type": "Azure_Disk_Encryption", "keyslots": [], "version": "1.0"}}
SLOTS = ("0", "3")


def header(image):
    """The JSON of the header."""
    return json.loads(cryptsetup("luksDump", "--dump-json-metadata", image))


def make_volume(b, slots="2m"):
    """A volume as described above. The area for key slots is smaller than usual, which makes all of it faster."""
    image = b.path("disk.img")
    with open(image, "wb") as f:
        f.truncate(18 << 20)
    cryptsetup("luksFormat", "--type", "luks2", "--batch-mode", "--luks2-keyslots-size", slots, "--pbkdf", "pbkdf2",
               "--pbkdf-force-iterations", "1000", "--key-file", "-", image, stdin=PASSPHRASE)
    cryptsetup("luksAddKey", "--batch-mode", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--key-slot", "3",
               "--key-file", "-", "--keyfile-size", str(len(PASSPHRASE)), image, "/dev/stdin", "--new-keyfile-size",
               str(len(COLLEAGUE)), stdin=PASSPHRASE + COLLEAGUE)
    for number, value in FOREIGN.items():
        cryptsetup("token", "import", "--token-id", number, "--json-file", "-", image, stdin=json.dumps(value).encode())
    return image


class Scene:
    """One verb on one volume.

    before   called with (bench, image): what else there is before the verb
    words    the verb and its own arguments, for an image and a bench
    stdin    what it is given on standard input
    had      the configuration on disk gives a key all the time
    after    how many bindings there are in the end
    spare    so many key slots that no token lists may be left: of recovery keys that were shown
    untrue   which test of the new slot fails, so that everything is taken back: the kills are meanwhile
    """

    def __init__(self, name, words, after, before=None, had=True, stdin=PASSPHRASE, untrue=0,
                 spare=0):
        self.name, self.words, self.after, self.before, self.had, self.stdin = name, words, after, before, had, stdin
        self.untrue, self.spare = untrue, spare
        self.base = self.slots = None

    def prepare(self, b):
        """Make the volume once; each try gets a copy."""
        shutil.rmtree(b.dir)
        os.makedirs(b.path("conf"))
        image = make_volume(b)
        if self.before:
            self.before(b, image)
        self.base = b.dir + "." + self.name
        os.rename(b.dir, self.base)
        self.slots = header(os.path.join(self.base, "disk.img"))["keyslots"]
        os.mkdir(b.dir)

    def fresh(self, b):
        """The volume as it was, in the bench's folder; its path."""
        shutil.rmtree(b.dir)
        subprocess.run(["cp", "-r", "--sparse=always", self.base, b.dir], check=True)
        return b.path("disk.img")

    def forget(self):
        """The base goes."""
        shutil.rmtree(self.base, ignore_errors=True)

    def argv(self, b, image):
        """The command."""
        return [LATCHKEYCTL, *self.words(b, image), "--tpm", b.machine.link, "--kmsg", "no", "--conf-dir", b.path("conf")]

    def still_opens(self, b, image):
        """What must hold at every moment; what is wrong, or None."""
        if not opens(image, PASSPHRASE, "--key-slot", "0"):
            return "the passphrase no longer opens the volume"
        if not self.had:
            return None
        r = b.latchkey("key", "root", "--device", image)
        if r.status != 0:
            return "no binding gives the key: %s" % r
        return None if opens(image, r.out) else "the key that is handed over opens nothing"

    def as_it_was(self, image):
        """Nothing of others was touched; what is wrong, or None."""
        now = header(image)
        for number, value in FOREIGN.items():
            if now["tokens"].get(number) != value:
                return "token %s is %s" % (number, now["tokens"].get(number))
        for number in SLOTS:
            if now["keyslots"].get(number) != self.slots[number]:
                return "key slot %s was changed" % number
        return None if opens(image, COLLEAGUE, "--key-slot", "3") else "the other administrator's passphrase is lost"

    def complete(self, b, image):
        """How everything must be in the end; what is wrong, or None."""
        wrong = self.as_it_was(image)
        if wrong:
            return wrong
        now = header(image)
        ours = [t for t in now["tokens"].values() if t["type"] == "latchkey"]
        listed = [t["keyslots"][0] for t in ours if len(t["keyslots"]) == 1]
        marked = [t for t in ours if "pending-slot" in t or "replaced-by" in t]
        if len(ours) != self.after or len(listed) != self.after or marked:
            return "the bindings are %s" % [{k: t.get(k) for k in ("id", "keyslots", "pending-slot", "replaced-by")
                                             if k in t} for t in ours]
        listed += [n for t in now["tokens"].values() if t["type"] == "systemd-recovery" for n in t["keyslots"]]
        unknown = set(now["keyslots"]) - set(SLOTS) - set(listed)
        if set(SLOTS) | set(listed) | unknown != set(now["keyslots"]) or len(unknown) > self.spare:
            return "the key slots are %s, listed are %s" % (sorted(now["keyslots"]), listed)
        # A temporary file of a run that was killed may stay.
        left = [n for n in os.listdir(b.path("conf")) if not re.fullmatch(r"root\.conf(\.\w{6})?", n)]
        if left:
            return "left in the configuration's folder: %s" % left
        if self.after == 0:
            return "root.conf is still there" if os.path.exists(b.path("conf/root.conf")) else None
        return self.still_opens(b, image)


def enrolling(*more, key="rsa2048", service=VAULT):
    """The words of an enrolment."""
    return lambda b, image: ["enroll", image, "--name", "root", "--key", "%s/keys/%s" % (service, key), "--attest",
                             ATTEST, "--trust", STATE + "/ca.pem", "--key-file", "-", "--write-crypttab",
                             "--crypttab", b.path("crypttab"), *more]


def offline(b, image):
    """The words of an enrolment with the public half alone."""
    with open(b.path("public.pem"), "wb") as f:
        f.write(keys.Material(STATE).load("rsa2048-1").public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    version = next(v["id"] for v in b.ctl.keys()["vault"]["rsa2048"]["versions"] if v["enabled"])
    return enrolling("--offline", "--public-key", b.path("public.pem"), key="rsa2048/" + version)(b, image)


def bind(b, image):
    """A first binding."""
    enroll(b, image, "--write-crypttab", "--crypttab", b.path("crypttab")).ok()


def bind_twice(b, image):
    """A second one for a second vault."""
    bind(b, image)
    with open(b.path("first"), "w", encoding="ascii") as f:
        f.write(next(t["id"] for t in header(image)["tokens"].values() if t["type"] == "latchkey"))
    enroll(b, image, "--alternative", service=HSM).ok()


def bind_and_renew(b, image):
    """A binding of a key that has a new version since."""
    bind(b, image)
    b.ctl.rotate("vault", "rsa2048")


def rotating(*more):
    """The words of a rotation, which needs no passphrase: the old binding opens the header."""
    return lambda b, image: ["rotate", "root", "--device", image, *more]


def removing_first(b, image):
    """The words that remove the first of two bindings."""
    with open(b.path("first"), encoding="ascii") as f:
        return ["remove", "root", "--device", image, "--binding", f.read(), "--crypttab", b.path("crypttab")]


def removing(b, image):
    """The words that remove all there is."""
    return ["remove", "root", "--device", image, "--write-crypttab", "--crypttab", b.path("crypttab")]


SCENES = [
    Scene("enroll", enrolling(), 1, had=False),
    Scene("enroll-second", enrolling("--alternative", service=HSM), 2, before=bind),
    Scene("enroll-undone", enrolling(), 1, had=False, untrue=1),
    Scene("proof-undone", enrolling("--alternative", service=HSM), 2, before=bind, untrue=2),
    Scene("enroll-offline", offline, 1, had=False),
    Scene("enroll-recovery", enrolling("--recovery"), 1, before=bind, spare=1),
    Scene("rotate", rotating("--drop-old"), 1, before=bind_and_renew, stdin=b""),
    Scene("remove-first", removing_first, 1, before=bind_twice, stdin=b""),
    Scene("remove", removing, 0, before=bind, had=False, stdin=b""),
]
