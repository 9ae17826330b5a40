"""What the suites about enrolling, rotating and removing share: headers and configurations."""

import json

from cryptography.hazmat.primitives import serialization

import keys
from disk import PASSPHRASE, cryptsetup, enroll, token, volume
from e2e import ATTEST, HSM, LATCHKEYCTL, STATE, VAULT

REFUSAL = {"error": {"code": "Forbidden",
                     "message": "The target does not meet the key release policy."}}


def content(path):
    """The bytes of a file."""
    with open(path, "rb") as f:
        return f.read()


def metadata(image):
    """The header's JSON."""
    return json.loads(cryptsetup("luksDump", "--dump-json-metadata", image))


def settings(b, name="root"):
    """NAME.conf: a dictionary for each binding, the first with the volume's settings."""
    out = [{}]
    for line in content(b.path("conf/%s.conf" % name)).decode().splitlines():
        if line == "[alternative]":
            out.append({})
        elif " = " in line and not line.startswith("#"):
            name, _, value = line.partition(" = ")
            out[-1][name] = value
    return out


def put(image, value, number=0, *args):
    """Write a token."""
    cryptsetup("token", "import", "--token-id", str(number), "--json-file", "-", *args, image,
               stdin=json.dumps(value).encode())


def private(name="rsa2048"):
    """The vault's key of this name."""
    return keys.Material(STATE).load(name + "-1")


def public_file(b, name="rsa2048"):
    """Its public half as PEM."""
    path = b.path("public.pem")
    with open(path, "wb") as f:
        f.write(private(name).public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    return path


def version_of(b, name="rsa2048", service="vault"):
    """The URL of the key's current version."""
    image = volume(b, "for-its-version.img")
    enroll(b, image, key=name, service=VAULT if service == "vault" else HSM, name="ver").ok()
    return token(image)["key"]


def slot_with(image, secret):
    """A further key slot that opens with `secret`."""
    with open(image + ".key", "wb") as f:
        f.write(secret)
    cryptsetup("luksAddKey", "--batch-mode", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations",
               "1000", "--key-file", "-", image, image + ".key", stdin=PASSPHRASE)



def offline_call(b, image, public, *args):
    """The command line of an offline enrolment; the passphrase comes on standard input."""
    return [LATCHKEYCTL, "enroll", image, "--offline", "--public-key", public, "--attest", ATTEST,
            "--key-file", "-", "--conf-dir", b.path("conf"), "--trust", STATE + "/ca.pem", *args]
