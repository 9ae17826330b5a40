#!/usr/bin/python3
"""TAP: `latchkey attest` and `latchkey release` against the simulated cloud and a vTPM."""

import base64
import json
import os
import pty
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import e2e  # noqa: E402
import keys  # noqa: E402
import names  # noqa: E402
from cryptography.hazmat.primitives import serialization  # noqa: E402
from e2e import HSM, STATE, VAULT, Machine, case  # noqa: E402

TPM_LIMIT = 22


def part(jwt, index):
    """A decoded part of a JWT."""
    text = jwt.split(b".")[index]
    return json.loads(base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4)))


def same_key(bench, result, name, service="vault"):
    """The released bytes are that key of the store."""
    result.ok()
    store = keys.Store(STATE)
    label = store.find(service, name)[1]["material"]
    wanted = store.material.load(label)
    if isinstance(wanted, bytes):
        assert result.out == wanted, "other bytes: %s" % result
        return
    got = serialization.load_der_private_key(result.out, None)
    assert got.private_numbers() == wanted.private_numbers(), "another key: %s" % result


@case
def attest_prints_the_token(b):
    """attest prints a token with our claims, and says what it claims"""
    r = b.attest().ok()
    claims = part(r.out.strip(), 1)
    assert claims["iss"] == e2e.ATTEST, claims["iss"]
    assert claims["x-ms-runtime"]["keys"][0]["kid"] == "TpmEphemeralEncryptionKey", str(r)
    assert "sevsnpvm" in r.err and "azure-compliant-cvm" in r.err, str(r)


@case
def nonce_is_fresh(b):
    """two attestations carry two nonces of at least 16 bytes"""
    seen = set()
    for _ in range(2):
        claims = part(b.attest().ok().out.strip(), 1)
        nonce = base64.b64decode(claims["x-ms-runtime"]["client-payload"]["nonce"])
        seen.add(nonce)
        assert len(base64.urlsafe_b64decode(nonce + b"=" * (-len(nonce) % 4))) >= 16, nonce
    assert len(seen) == 2, seen


@case
def releases_every_kind(b):
    """every kind of key is released by the vault"""
    for name in keys.KINDS:
        same_key(b, b.release(name), name)


@case
def releases_every_kind_from_hsm(b):
    """every kind of key is released by the Managed HSM"""
    for name in keys.KINDS:
        same_key(b, b.release(name, service=HSM), name, "hsm")


@case
def every_enc(b):
    """all three enc forms, on both services, and the service saw the one asked for"""
    for enc in ("RSA_AES_KEY_WRAP_256", "RSA_AES_KEY_WRAP_384", "CKM_RSA_AES_KEY_WRAP"):
        for service, kind in ((VAULT, "vault"), (HSM, "hsm")):
            same_key(b, b.release("ec256", "--enc", enc, service=service), "ec256", kind)


@case
def every_api_version(b):
    """the api versions that have release"""
    for version in ("7.3", "7.4", "7.5", "7.6", "2025-07-01"):
        same_key(b, b.release("ec256", "--api-version", version), "ec256")


@case
def named_version(b):
    """a key URL with a version gets that version, also after a rotation"""
    store = keys.Store(STATE)
    version = store.find("vault", "ec256")[1]["id"]
    b.ctl.rotate("vault", "ec256")
    r = b.release("%s/keys/ec256/%s" % (VAULT, version)).ok()
    old = store.material.load("ec256-1").private_numbers()
    assert serialization.load_der_private_key(r.out, None).private_numbers() == old, str(r)
    newer = b.release("ec256").ok()
    assert serialization.load_der_private_key(newer.out, None).private_numbers() != old, str(newer)


@case
def identities(b):
    """system-assigned and user-assigned identities by client, object and resource id"""
    user = next(i for i in names.IDENTITIES if i["name"] == "user-release")
    for form in ("system", "client:" + user["client_id"], "object:" + user["object_id"],
                 "resource:" + user["msi_res_id"]):
        mark = b.ctl.mark()
        same_key(b, b.release("ec256", "--identity", form), "ec256")
        asked = [e for e in b.ctl.log(mark, "imds") if "oauth2" in e.get("path", "")][-1]
        wanted = "" if form == "system" else form.split("/")[-1].split(":")[-1].lower()
        assert wanted in json.dumps(asked["query"]).lower(), asked


@case
def several_identities(b):
    """several user identities and none named: the setting is named"""
    b.ctl.identities("user-release", "user-norole")
    r = b.release("ec256")
    assert r.status in (65, 77, 78) and "identity" in r.err, str(r)
    assert r.out == b"", str(r)


@case
def unknown_identity(b):
    """an identity that the VM does not have"""
    r = b.release("ec256", "--identity", "client:00000000-0000-0000-0000-000000000000",
                  "--timeout", "12")
    assert r.status in (69, 75, 77) and "identity" in r.err.lower() and r.out == b"", str(r)


PRIVATE = ("https://demo-vault.vault.private.example", "https://keys.private.example")


@case
def hosts_of_ones_own(b):
    """vaults and authorities outside of Azure's domains: only with allow-hosts"""
    for service in PRIVATE:
        b.release(service=service).refused(78, service[8:], "allow-hosts")
        b.release("rsa2048", "--allow-hosts", ".vault.azure.net,private.example",
                  service=service).refused(78, service[8:])
        same_key(b, b.release("rsa2048", "--allow-hosts", "a.example,.private.example",
                              service=service), "rsa2048")
        same_key(b, b.release("rsa2048", "--allow-hosts", service[8:].upper(), service=service),
                 "rsa2048")
    own = "https://demo.attest.private.example"
    b.attest(attest=own).refused(78, own[8:], "allow-hosts")
    r = b.attest("--allow-hosts", own[8:], attest=own).ok()
    assert part(r.out.strip(), 1)["iss"] == own, str(r)


@case
def tpm_commands(b):
    """attest and release take at most 22 TPM commands"""
    with Machine() as m:
        b.release("ec256", machine=m).ok()
        counts = m.commands()
        assert len(counts) == 1 and 0 < counts[0] <= TPM_LIMIT, counts


@case
def release_not_to_a_terminal(b):
    """release writes no key to a terminal"""
    master, slave = pty.openpty()
    p = subprocess.run([e2e.LATCHKEY, "release", "--key", VAULT + "/keys/ec256", "--attest",
                        e2e.ATTEST, "--tpm", b.machine.link], stdout=slave,
                       stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False)
    os.close(slave)
    try:
        shown = os.read(master, 4096)
    except OSError:
        shown = b""
    os.close(master)
    assert p.returncode == 64 and shown == b"", (p.returncode, shown, p.stderr)
    assert b"terminal" in p.stderr, p.stderr


@case
def release_to_a_descriptor(b):
    """release writes to the descriptor that is named"""
    read, write = os.pipe()
    p = subprocess.run([e2e.LATCHKEY, "release", "--key", VAULT + "/keys/oct256", "--attest",
                        e2e.ATTEST, "--tpm", b.machine.link, "--trust", STATE + "/ca.pem",
                        "--kmsg", "no", "--fd", str(write)], pass_fds=[write],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    os.close(write)
    data = os.read(read, 4096)
    os.close(read)
    assert p.returncode == 0 and p.stdout == b"", (p.returncode, p.stderr)
    assert data == keys.Store(STATE).material.load("oct256-1"), "other bytes"


@case
def tls_versions(b):
    """TLS 1.2 servers and TLS 1.3 servers"""
    for fault in ({"max": "1.2"}, {"min": "1.3"}):
        for endpoint in ("maa", "vault"):
            b.ctl.fault(endpoint, "tls", **fault)
        same_key(b, b.release("ec256"), "ec256")
        b.ctl.clear()


@case
def chunked_and_slow(b):
    """answers in small chunks, and a slow one"""
    b.ctl.fault("maa", "chunked", bytes=7)
    b.ctl.fault("vault", "chunked", bytes=64)
    b.ctl.fault("imds-thim", "slow", bytes=100, seconds=0.005)
    same_key(b, b.release("ec256"), "ec256")


WEATHER = [
    ("imds-thim", "status", {"status": 404, "count": 2}),
    ("imds-thim", "status", {"status": 500, "count": 2}),
    ("imds-token", "status", {"status": 410, "count": 1}),
    ("imds-token", "throttle", {"count": 2}),
    ("imds-token", "drop", {"count": 1}),
    ("maa", "status", {"status": 503, "count": 2}),
    ("maa", "throttle", {"seconds": 1, "count": 1}),
    ("maa", "drop", {"count": 1}),
    ("maa", "reset", {"count": 1}),
    ("vault", "throttle", {"seconds": 1, "count": 2}),
    ("vault", "status", {"status": 503, "count": 1}),
    ("vault", "drop", {"count": 1}),
    ("vault", "reset", {"count": 1}),
    ("dns", "drop", {"count": 1}),
    ("dns", "servfail", {"count": 2}),
]


def weather(endpoint, kind, more):
    """One bad day that ends well."""
    def run(b):
        mark = b.ctl.mark()
        b.ctl.fault(endpoint, kind, **more)
        same_key(b, b.release("ec256"), "ec256")
        struck = [e for e in b.ctl.log(mark) if e.get("faults") or e.get("event")]
        assert endpoint == "dns" or struck, "the fault did not strike"
    run.__doc__ = "weather: %s %s %s, then released" % (
        endpoint, kind, " ".join("%s=%s" % i for i in more.items()))
    run.__name__ = "weather_%s_%s" % (endpoint, kind)
    return run


for row in WEATHER:
    case(weather(*row))


@case
def identity_propagates(b):
    """an identity that is not yet propagated is asked for again"""
    b.ctl.setting("imds.propagating", 2)
    same_key(b, b.release("ec256"), "ec256")


@case
def deadline_holds(b):
    """a black hole in each place ends at the deadline"""
    for endpoint, kind in (("imds", "blackhole"), ("maa", "blackhole"), ("vault", "blackhole"),
                           ("dns", "drop")):
        b.ctl.fault(endpoint, kind)
        start = time.monotonic()
        r = b.release("ec256", "--timeout", "6", timeout=60)
        took = time.monotonic() - start
        assert r.status in (69, 75) and r.out == b"", "%s: %s" % (endpoint, r)
        assert took < 30, "%s: %.1f s" % (endpoint, took)
        b.ctl.clear()


if __name__ == "__main__":
    e2e.main()
