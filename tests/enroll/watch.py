"""What a program and all its children say to the world, searched for secrets.

strace shows every argument list and environment and the bytes of every write. Pipes and sockets are the channels that
secrets may go through, and the TPM (behind a pseudo-terminal) is another; whatever is written elsewhere is searched:
files, also those that are gone when the program ends, and what it printed.
"""

import base64
import os
import re

CALL = re.compile(r"^\d+ +(execve|execveat|write|writev|pwrite64|pwritev)\((.*)$")
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
CHANNEL = re.compile(r"^\d+<(pipe:|socket:|/dev/pts/|/dev/null|anon_inode:)")
JWT = re.compile(rb"eyJ[A-Za-z0-9_-]{20,}\.eyJ")
OPTIONS = ["-f", "-qq", "-v", "-y", "-xx", "-s", "1048576", "-e", "signal=none", "-e",
           "trace=execve,execveat,write,writev,pwrite64,pwritev"]


def decoded(text):
    """The bytes of strace's hexadecimal strings in a line, one behind the other."""
    found = TEXT.findall(text)
    assert not any(cut for _, cut in found), "strace cut a string off: %s" % text[:200]
    return [bytes.fromhex(raw.replace("\\x", "")) for raw, _ in found]


def plain_path(text):
    """strace writes the path of a descriptor in hexadecimal as well."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m.group(1), 16)), text)


def said(log):
    """[(where, bytes)] of a log."""
    found = []
    with open(log, encoding="ascii", errors="replace") as f:
        for line in f:
            match = CALL.match(line)
            if not match:
                continue
            name, rest = match.groups()
            if name.startswith("execve"):
                words = decoded(rest)
                found.append(("arguments and environment of %s" % os.path.basename(words[0].decode()),
                              b"\0".join(words)))
            elif not CHANNEL.match(plain_path(rest)):
                found.append(("a write to %s" % plain_path(rest.split(",")[0]), b"".join(decoded(rest))))
    return found


def forms(secret):
    """The secret as it is, in hexadecimal, and as base64 at each of the three places it may start at."""
    found = [secret, secret.hex().encode(), secret.hex().upper().encode()]
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + secret)
        # Its first and last characters depend on what is beside it.
        inner = text[4 if shift else 0:-4]
        found += [inner, inner.replace(b"+", b"-").replace(b"/", b"_")]
    return [f for f in found if len(f) >= 12]


def leaks(places, secrets):
    """Where which secret is; `secrets` by name, as bytes. Tokens of any kind are told by their form."""
    found = []
    for where, data in places:
        found += ["%s is in %s" % (name, where) for name, secret in secrets.items()
                  if any(form in data for form in forms(secret))]
        if JWT.search(data):
            found.append("a token (JWT) is in %s" % where)
    return found


def files(*folders):
    """[(path, bytes)] of all files below."""
    found = []
    for folder in folders:
        for top, _, entries in os.walk(folder):
            for name in entries:
                path = os.path.join(top, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb") as f:
                        found.append((path, f.read()))
    return found
