"""From a token of /attest/SevSnpVm to a released key: wrapping keys of all sizes, flat policies."""

import hcl
import jose
import keys
import names
import pki
import refclient
import release
import snp
import softsnp

ENCS = ("RSA_AES_KEY_WRAP_256", "RSA_AES_KEY_WRAP_384", "CKM_RSA_AES_KEY_WRAP")
MEASUREMENT, HOST_DATA = b"\x11" * 48, b"\x22" * 32
NOT_MET = (403, ("Forbidden", None), "does not meet")
FLAT = "x-ms-sevsnpvm-"


def token_of(env, guest, **wishes):
    """An attestation token."""
    return refclient.attest_snp(env.ca, guest.body(**wishes)).json["token"]


def access(host=names.VAULT_HOST):
    """A bearer token."""
    return refclient.bearer(names.resource_of(host)).json["access_token"]


def sizes(t, env):
    """Wrapping keys of three sizes, every enc, both services."""
    material = keys.Store(env.state).material
    for bits in (2048, 3072, 4096):
        guest = softsnp.SnpGuest(env.state, bits)
        target = token_of(env, guest)
        for host in (names.VAULT_HOST, names.HSM_HOST):
            bearer = access(host)
            for enc in ENCS:
                answer = refclient.release(env.ca, target, bearer, "snp-oct256", host, enc=enc)
                if not t.equal(answer.status, 200, "%s: RSA-%d, %s" % (
                        host.split(".")[0], bits, enc)):
                    print("#", answer.body[:300])
                    continue
                _, sealed = refclient.released(answer)
                blob = jose.un64u(sealed["ciphertext"])
                t.equal((len(blob), sealed["header"]["kid"], sealed["header"]["enc"],
                         release.unwrap(guest.key, enc, blob)),
                        (bits // 8 + 40, guest.kid, enc, material.export("oct256-1")),
                        "and the RSA block is as long as the modulus")
        for key in ("snp", "snp-ec256"):
            _, sealed = refclient.released(refclient.release(env.ca, target, access(), key))
            t.equal(release.unwrap(guest.key, "RSA_AES_KEY_WRAP_256", jose.un64u(
                sealed["ciphertext"])), material.export(keys.SNP[key] + "-1"),
                "RSA-%d opens the key '%s'" % (bits, key))


def policies(t, env):
    """Conditions on flat claims, each met and each missed."""
    guest = softsnp.SnpGuest(env.state)
    good = {"host_data": HOST_DATA, "measurement": MEASUREMENT, "guest_svn": 3}
    target, bearer = token_of(env, guest, report=good), access()

    def ask(*conditions):
        env.ctl.policy("vault", "snp", keys.snp_policy(*[keys.condition(*c) for c in conditions]))
        return refclient.release(env.ca, target, bearer, "snp")

    def refused(answer, name):
        t.refused(answer, *NOT_MET, "vault refuses " + name)

    host = guest.host
    tcb = dict(zip(host.product.layout, host.tcb))
    for claim, value, other in (
            (FLAT + "hostdata", HOST_DATA.hex(), HOST_DATA.hex()[:-1] + "3"),
            (FLAT + "launchmeasurement", MEASUREMENT.hex(), "00" * 48),
            (FLAT + "idkeydigest", "1d" * 48, "1e" * 48), (FLAT + "vmpl", "0", "1"),
            (FLAT + "is-debuggable", "false", "true"), (FLAT + "microcode-svn", tcb["ucode"], 1),
            ("x-ms-attestation-type", "sevsnpvm", "azurevm"),
            ("x-ms-runtime.latchkey.config", "0" * 64, "1" * 64),
            ("x-ms-runtime.latchkey.boot-nonce", softsnp.NONCE, "other"),
            ("nonce", softsnp.NONCE, "other")):
        t.equal(ask((claim, value)).status, 200, "%s: met" % claim)
        refused(ask((claim, other)), claim + ": another value")
    t.equal(ask((FLAT + "bootloader-svn", tcb["bl"], "greaterOrEquals"),
                (FLAT + "guestsvn", 3, "greaterOrEquals")).status, 200, "versions at least so")
    refused(ask((FLAT + "guestsvn", 4, "greaterOrEquals")), "an older guest")
    for claim in ("x-ms-isolation-tee." + FLAT + "vmpl", "x-ms-runtime.latchkey.other",
                  "x-ms-runtime.latchkey", "x-ms-runtime.keys", "x-ms-compliance-status"):
        refused(ask((claim, "0")), "what the token does not say: " + claim)
    target = token_of(env, guest, runtime=jose.compact({"keys": [guest.jwk]}), report=good)
    refused(ask(("x-ms-runtime.latchkey.config", "0" * 64)), "runtime data without a config")


def guests(t, env):
    """The standard policies, and guests that do not meet them."""
    guest, bearer = softsnp.SnpGuest(env.state), access()
    target = token_of(env, guest)
    t.equal(refclient.release(env.ca, target, bearer, "snp").status, 200, "a plain SNP guest")
    refused = lambda tok, key, name: t.refused(     # noqa: E731
        refclient.release(env.ca, tok, bearer, key), *NOT_MET, "vault refuses " + name)
    refused(target, "rsa2048", "an SNP token where a confidential VM's is wanted")
    for name, report in (("a debuggable guest", {"policy": snp.POLICY | snp.POLICY_DEBUG}),
                         ("a guest at VMPL 1", {"vmpl": 1})):
        refused(token_of(env, guest, report=report), "snp", name)
    raw = snp.build(guest.host, hcl.binding(guest.runtime()), measurement=MEASUREMENT)
    uvm = jose.b64u(jose.compact({"Uvm": [jose.b64u(softsnp.endorsement(MEASUREMENT))]}))
    env.ctl.policy("vault", "snp", keys.snp_policy(
        keys.condition("x-ms-compliance-status", "azure-compliant-uvm")))
    refused(target, "snp", "a guest without endorsements")
    endorsed = token_of(env, guest, proof=guest.proof(raw, Endorsements=uvm))
    t.equal(refclient.release(env.ca, endorsed, bearer, "snp").status, 200, "an endorsed guest")
    env.ctl.reset()
    draft = token_of(env, guest, draftPolicyForAttestation="x")
    t.refused(refclient.release(env.ca, draft, bearer, "snp"), 400, ("BadParameter", None),
              "not a JWT", "vault refuses the token of a draft policy")
    other = refclient.attest_snp(env.ca, guest.body(), names.MAA2_HOST).json["token"]
    t.refused(refclient.release(env.ca, other, bearer, "snp"), 403, ("Forbidden", None),
              "cannot be verified", "vault refuses another authority's token")
    binary = token_of(env, guest, runtime=b"\xff", kind="Binary")
    t.refused(refclient.release(env.ca, binary, bearer, "snp"), 400, ("BadParameter", None),
              "no x-ms-runtime key", "vault refuses binary runtime data")


def wrapping_keys(t, env):
    """Keys in the runtime data that cannot wrap."""
    guest, bearer = softsnp.SnpGuest(env.state), access()
    signer = pki.Pki(env.state)
    jws = jose.Jws(token_of(env, guest))
    odd = jose.rsa_jwk(pki.rsa.generate_private_key(65537, 2560).public_key())
    for name, changes in (("2560 bits", {"n": odd["n"]}), ("use sig", {"use": "sig", "key_ops": 0}),
                          ("no purpose", {"key_ops": []}), ("an EC key", {"kty": "EC"})):
        claims = dict(jws.claims(), **{"x-ms-runtime": {"keys": [dict(guest.jwk, **changes)]}})
        target = jose.sign(jws.header, claims, signer.key("maa-token"))
        t.refused(refclient.release(env.ca, target, bearer, "snp"), 400, ("BadParameter", None),
                  "no x-ms-runtime key", "vault refuses a wrapping key: " + name)
    first = dict(guest.jwk, kid="first", key_ops=["verify"])
    body = guest.runtime(keys=[first, guest.jwk])
    _, sealed = refclient.released(refclient.release(
        env.ca, token_of(env, guest, runtime=body), bearer, "snp"))
    t.equal(sealed["header"]["kid"], guest.kid, "vault: the first key that may encrypt")


def run(t, env):
    """All of them."""
    for group in (sizes, policies, guests, wrapping_keys):
        t.run(group.__name__, group, env)
        env.ctl.reset()
