#!/usr/bin/python3
"""TAP: what must be refused: bad machines, services that say no, services that lie.

Each row: exit status, and words of the one line that the program must end with. No case may write a
byte to standard output.
"""

import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import e2e  # noqa: E402
import names  # noqa: E402
from e2e import STATE, VAULT, Machine, case  # noqa: E402

# Machines: (hcl, akcert, exit status, words)
MACHINES = [
    ("missing", "padded", 76, ("0x01400001", "not an Azure confidential VM")),
    ("corrupt", "padded", 65, ("report",)),
    ("tdx", "padded", 76, ("tdx",)),
    ("trustedlaunch", "padded", 76, ("trusted launch",)),
    ("badbind", "padded", 76, ("not bound",)),
    ("otherak", "padded", 76, ("another key",)),
    ("good", "missing", 76, ("0x01c101d0",)),
    ("good", "otherkey", 76, ("certificate",)),
    # The rest only the service can tell; its words are passed on.
    ("badsig", "padded", 76, ("InvalidParameter",)),
    ("good", "expired", 76, ("InvalidParameter",)),
    ("good", "fakeca", 76, ("InvalidParameter",)),
    ("staletcb", "padded", 76, ("tcb",)),
]


def bad_machine(hcl, akcert, status, words):
    """One machine that must not get a token."""
    def run(b):
        with Machine(hcl, akcert) as m:
            b.release("ec256", machine=m).refused(status, *words)
    run.__doc__ = "machine refused: HCL report %s, AK certificate %s" % (hcl, akcert)
    run.__name__ = "machine_%s_%s" % (hcl, akcert)
    return run


for row in MACHINES:
    case(bad_machine(*row))

# Keys that the vault does not release: (key, exit status, words)
DENIED = [
    ("nomatch", 77, ("policy", "sevsnpvm", "azure-compliant-cvm")),
    ("badauthority", 77, ("policy",)),
    ("disabled", 77, ("disabled",)),
    ("expired", 77, ("expired",)),
    ("notyet", 77, ()),
    ("noops", 77, ()),
    ("notexportable", 77, ()),
    ("nosuchkey", 69, ("not found",)),
]


def denied(key, status, words):
    """One key that is refused by the vault."""
    def run(b):
        mark = b.ctl.mark()
        b.release(key).refused(status, *words)
        asked = [e for e in b.ctl.log(mark, "vault") if e.get("path", "").endswith("/release")]
        assert asked, "the vault was never asked"
    run.__doc__ = "the vault refuses: %s" % key
    run.__name__ = "denied_%s" % key
    return run


for row in DENIED:
    case(denied(*row))


@case
def four_meanings(b):
    """the meanings of 403 are told apart"""
    role = next(i for i in names.IDENTITIES if i["name"] == "user-norole")
    texts = [b.release("ec256", "--identity", "client:" + role["client_id"]).refused(77, "role").err,
             b.release("nomatch").refused(77, "policy").err,
             b.release("disabled").refused(77).err]
    b.ctl.fault("vault", "status", status=403, body={"error": {
        "code": "Forbidden", "message": "Client address is not authorized and caller is not a "
        "trusted service.", "innererror": {"code": "ForbiddenByFirewall"}}})
    texts.append(b.release("ec256").refused(77, "network").err)
    assert len({t.strip().splitlines()[-1] for t in texts}) == 4, texts


@case
def policy_prints_claims(b):
    """a policy that is not met: our claims are printed to compare"""
    r = b.release("nomatch").refused(77)
    for claim in ("attestation-type", "compliance-status", "secureboot", "is-debuggable",
                  "launchmeasurement", "hostdata"):
        assert claim in r.err, "%s: %s" % (claim, r)


@case
def debug_machine(b):
    """a debuggable guest is refused by a policy that asks, and the claims say so"""
    with Machine("debug") as m:
        r = b.release("nested", machine=m)
        assert r.status in (76, 77) and r.out == b"", str(r)


@case
def other_issuer(b):
    """a token of another attestation provider than the policy names"""
    b.release("ec256", attest="https://" + names.MAA2_HOST).refused(77, "policy", names.MAA2_HOST)


@case
def statement_not_verified(b):
    """"cannot be verified" is tried again with fresh tokens, then told"""
    b.ctl.setting("vault.tls-to-maa", False)
    mark = b.ctl.mark()
    b.release("ec256", "--timeout", "60").refused(77, "verified")
    tokens = [e for e in b.ctl.log(mark, "maa") if e.get("path", "").lower().startswith("/attest")]
    assert len(tokens) == 3, "%d tokens" % len(tokens)


# TLS: (endpoint, fault, exit status, words)
TLS = [
    ("maa", {"cert": "wrong-host"}, ("name",)),
    ("maa", {"cert": "other-ca"}, ()),
    ("maa", {"cert": "expired"}, ("expired",)),
    ("vault", {"cert": "wrong-host"}, ("name",)),
    ("vault", {"cert": "other-ca"}, ()),
    ("vault", {"cert": "expired"}, ("expired",)),
]


def bad_tls(endpoint, fault, words):
    """One certificate that must not be trusted."""
    def run(b):
        mark = b.ctl.mark()
        b.ctl.fault(endpoint, "tls", **fault)
        host = names.MAA_HOST if endpoint == "maa" else names.VAULT_HOST
        b.release("ec256").refused(76, host, *words)
        paths = [e.get("path", "") for e in b.ctl.log(mark, endpoint)]
        assert not [p for p in paths if p], "something was sent: %s" % paths
    run.__doc__ = "TLS refused: %s %s" % (endpoint, " ".join(fault.values()))
    run.__name__ = "tls_%s_%s" % (endpoint, fault["cert"])
    return run


for row in TLS:
    case(bad_tls(*row))


@case
def wrong_trust_file(b):
    """trust anchors of another authority, none, and garbage"""
    other = b.path("other.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null",
                    "-out", other, "-subj", "/CN=Other Root", "-days", "30"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    b.release("ec256", "--trust", other, trust=False).refused(76, names.MAA_HOST)
    b.release("ec256", "--trust", b.path("absent.pem"), trust=False).refused(78, "trust")
    with open(b.path("garbage.pem"), "w", encoding="ascii") as f:
        f.write("no certificate here\n")
    b.release("ec256", "--trust", b.path("garbage.pem"), trust=False).refused(78, "trust")


@case
def unreachable(b):
    """hosts that cannot be reached or resolved"""
    b.release("ec256", "--timeout", "8",
              attest="https://unreachable.weu.attest.azure.net").refused(69, "unreachable.weu")
    b.release("ec256", "--timeout", "8", attest="https://nosuch.weu.attest.azure.net").refused(
        69, "nosuch.weu")


@case
def maa_refused(b):
    """nobody listens at the attestation service"""
    b.ctl.fault("maa", "refuse")
    b.release("ec256", "--timeout", "8").refused(69, names.MAA_HOST)


# Services that lie: (endpoint, what, exit statuses)
LIES = [("maa", what) for what in (
    "token-key", "nonce", "issuer", "gcm-tag", "inner-key", "cipher-name", "no-iv", "not-encrypted",
    "no-token", "not-cvm")] + [("vault", what) for what in (
        "flip", "flip-kek", "short", "truncated-jws", "jws-payload", "jws-key", "jws-alg-none",
        "x5c-host", "x5c-ca", "x5c-expired", "no-x5c", "nonce", "no-nonce", "enc", "enc-lie", "kid",
        "kty", "public-half", "kek", "no-key-hsm", "no-value", "html")]


def lie(endpoint, what):
    """One answer that a strict client must notice."""
    def run(b):
        mark = b.ctl.mark()
        b.ctl.tamper(endpoint, what)
        r = b.release("rsa2048")
        # A machine that is no confidential VM is what the release policy is for.
        assert r.status in ((77,) if what == "not-cvm" else (65, 71, 76)) and r.out == b"", str(r)
        assert len(r.err.strip().splitlines()[-1]) > 20, str(r)
        struck = [e for e in b.ctl.log(mark, endpoint) if what in e.get("faults", [])]
        assert struck, "the lie was never told"
    run.__doc__ = "noticed: %s %s" % (endpoint, what)
    run.__name__ = "lie_%s_%s" % (endpoint, what.replace("-", "_"))
    return run


for row in LIES:
    case(lie(*row))


@case
def other_key_of_same_kind(b):
    """another key in the vault key's place is refused by the pinned thumbprint"""
    b.ctl.tamper("vault", "other-key")
    r = b.release("rsa2048", "--thumbprint", "A" * 43)
    r.refused(76, "thumbprint")


@case
def bodies(b):
    """cut, garbled, huge and non-JSON bodies"""
    for endpoint in ("imds-thim", "imds-token", "maa", "vault"):
        for kind in ("truncate", "garbage", "badjson", "oversize"):
            b.ctl.fault(endpoint, kind)
            r = b.release("ec256", "--timeout", "10")
            assert r.status in (65, 69, 75, 76) and r.out == b"", "%s %s: %s" % (endpoint, kind, r)
            b.ctl.clear()


@case
def redirect_not_followed(b):
    """a redirect is an error, and nobody follows it"""
    mark = b.ctl.mark()
    b.ctl.fault("vault", "status", status=302, headers={"Location": VAULT + "/keys/other/release"})
    r = b.release("ec256", "--timeout", "10")
    assert r.status in (65, 69) and r.out == b"", str(r)
    asked = [e["path"] for e in b.ctl.log(mark, "vault") if e.get("path")]
    assert "/keys/other/release" not in asked, asked


@case
def tpm_faults(b):
    """a TPM that says retry is asked again; one that is locked, silent or talks nonsense is named"""
    with Machine(faults=["Quote:retry=2", "RSA_Decrypt:retry=1"]) as m:
        b.release("ec256", machine=m).ok()
    for fault, words in (("RSA_Decrypt#1:lockout", ("0x",)), ("Quote#1:garbage", ("tpm",)),
                         ("NV_Read:rc=14a", ("0x",)), ("CreatePrimary#1:cut=9", ("tpm",))):
        with Machine(faults=[fault]) as m:
            r = b.release("ec256", "--timeout", "8", machine=m)
            assert r.status in (71, 75, 69), "%s: %s" % (fault, r)
            assert r.out == b"" and all(w in r.err.lower() for w in words), "%s: %s" % (fault, r)


@case
def pcr_moves(b):
    """a PCR that changes between quote and decryption is named"""
    with Machine(faults=["RSA_Decrypt#1:extend=7"]) as m:
        b.release("ec256", machine=m).refused(71, "pcr 7")


@case
def no_tpm(b):
    """a machine without a TPM"""
    r = b.call([e2e.LATCHKEY, "attest", "--attest", e2e.ATTEST, "--tpm", b.path("tpm"), "--trust",
                STATE + "/ca.pem", "--kmsg", "no", "--timeout", "20"])
    r.refused(71, b.path("tpm"))


@case
def usage(b):
    """wrong calls"""
    b.call([e2e.LATCHKEY, "nosuch"]).refused(64, "nosuch")
    b.latchkey("release").refused(78, "attest")
    b.latchkey("release", "--attest", e2e.ATTEST).refused(78, "key")
    b.latchkey("attest", "--attest", "http://x").refused(64, "https")
    b.latchkey("release", "--key", "https://x.example.net/keys/a", "--attest",
               e2e.ATTEST).refused(78, "x.example.net", "allow-hosts")


if __name__ == "__main__":
    e2e.main()
