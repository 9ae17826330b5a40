"""LUKS2 images, and the programs on them: what the suites about disks share."""

import json
import os
import re
import shutil
import socket
import subprocess

from e2e import ATTEST, LATCHKEY, LATCHKEYCTL, STATE, VAULT

PASSPHRASE = b"correct horse"
CRYPTSETUP = shutil.which("cryptsetup", path="/usr/sbin:/sbin:/usr/bin") or "cryptsetup"
KEY = re.compile(rb"[A-Za-z0-9_-]{43}\Z")


def cryptsetup(*args, stdin=b""):
    """Run cryptsetup; its output."""
    return subprocess.run([CRYPTSETUP, *args], input=stdin, stdout=subprocess.PIPE, check=True).stdout


def opens(image, key, *args):
    """Does this key open a slot?"""
    return subprocess.run([CRYPTSETUP, "open", "--test-passphrase", "--key-file", "-", *args, image],
                          input=key, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


def volume(b, name="disk.img"):
    """A LUKS2 image with a passphrase."""
    path = b.path(name)
    with open(path, "wb") as f:
        f.truncate(18 << 20)
    cryptsetup("luksFormat", "--type", "luks2", "--batch-mode", "--pbkdf", "pbkdf2",
               "--pbkdf-force-iterations", "1000", "--key-file", "-", path, stdin=PASSPHRASE)
    return path


def enroll(b, image, *args, key="rsa2048", service=VAULT, name="root", stdin=PASSPHRASE):
    """latchkeyctl enroll, the passphrase on standard input."""
    return b.call([LATCHKEYCTL, "enroll", image, "--key", "%s/keys/%s" % (service, key), "--attest",
                   ATTEST, "--name", name, "--key-file", "-", "--tpm", b.machine.link, "--trust",
                   STATE + "/ca.pem", "--kmsg", "no", "--conf-dir", b.path("conf"), *args], stdin)


def bound(b, **more):
    """A volume that is bound as `root`."""
    image = volume(b)
    enroll(b, image, **more).ok()
    return image


def key(b, image, name="root", machine=None, *args):
    """latchkey key for a volume on this image."""
    return b.latchkey("key", name, "--device", image, *args, machine=machine)


def token(image, number=0):
    """A token of the header."""
    return json.loads(cryptsetup("token", "export", "--token-id", str(number), image))


def replace(image, value, number=0):
    """Put another token in its place, as the host can."""
    cryptsetup("token", "remove", "--token-id", str(number), image)
    cryptsetup("token", "import", "--token-id", str(number), "--json-file", "-", image,
               stdin=json.dumps(value).encode())


def ask_socket(b, image, peer, *args):
    """What systemd does: connect from an abstract name, read to the end."""
    path = b.path("key.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1)
    client = socket.socket(socket.AF_UNIX)
    client.bind(b"\0" + peer)
    client.connect(path)
    client.shutdown(socket.SHUT_WR)
    served, _ = listener.accept()
    p = subprocess.Popen([LATCHKEY, "key", "--socket", "--device", image, "--tpm", b.machine.link,
                          "--conf-dir", b.path("conf"), "--trust", STATE + "/ca.pem", *args],
                         stdin=served, stdout=served, stderr=subprocess.PIPE)
    served.close()
    listener.close()
    got = b""
    while True:
        data = client.recv(4096)
        if not data:
            break
        got += data
    err = p.stderr.read().decode("utf-8", "replace")
    p.stderr.close()
    client.close()
    os.unlink(path)
    return p.wait(), got, err
