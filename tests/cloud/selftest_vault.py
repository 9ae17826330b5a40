"""Every check of the vault and the Managed HSM, violated one at a time, and their tamper faults."""

import hashlib
import time
import types

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives import hashes
from cryptography import x509

import imds
import jose
import keys
import names
import pki
import refclient
import release
import softguest
import vault as vaults
import world

FORBIDDEN = ("Forbidden", None)
OPERATION = ("Forbidden", "KeyOperationForbidden")
BAD = ("BadParameter", None)


class Tokens:
    """Makes attestation tokens and bearer tokens, good or with something changed."""

    def __init__(self, env):
        self.env, self.pki = env, pki.Pki(env.state)
        guest = softguest.SoftGuest(env.state)
        answer = refclient.attest(env.ca, guest.info())
        jws = jose.Jws(refclient.open_envelope(answer.json["token"], guest.decrypt))
        self.guest, self.header, self.claims = guest, jws.header, jws.claims()

    def target(self, key="maa-token", header=None, drop=(), **claims):
        """An attestation token."""
        payload = {k: v for k, v in dict(self.claims, **claims).items() if k not in drop}
        return jose.sign(dict(self.header, **(header or {})), payload, self.pki.key(key))

    def bearer(self, resource="https://vault.azure.net", lifetime=3600, identity=0, **settings):
        """An access token."""
        fake = types.SimpleNamespace(pki=self.pki, settings=dict(world.SETTINGS, **settings))
        return imds.mint(fake, names.IDENTITIES[identity], resource, int(time.time()), lifetime)


def callers(t, env, tok):
    """Who may ask."""
    good = tok.target()

    def refused(token, pattern, name, status=401, code=("Unauthorized", None), **more):
        answer = refclient.release(env.ca, good, token, **more)
        t.refused(answer, status, code, pattern, "vault refuses " + name)
        return answer

    answer = refused(None, "AKV10000", "no bearer token")
    t.equal(answer.headers.get("www-authenticate"),
            'Bearer authorization="https://login.windows.net/%s", '
            'resource="https://vault.azure.net"' % names.TENANT, "vault: the challenge")
    refused("abc", "AKV10001", "a bearer that is no token")
    refused(tok.bearer(**{"aad.sign-with": "maa-token"}), "AKV10005", "a bearer of another signer")
    refused(tok.bearer(**{"aad.tenant": names.SUBSCRIPTION}), "AKV10032", "another tenant")
    refused(tok.bearer("https://managedhsm.azure.net"), "AKV10022", "the HSM's audience")
    refused(tok.bearer(), "AKV10022", "the public cloud's audience at a sovereign one",
            host="demo-vault.vault.azure.cn")
    refused(tok.bearer(lifetime=-1000), "AKV10003", "an expired bearer")
    refused(tok.bearer(identity=2), "not authorized", "an identity without the role", 403,
            ("Forbidden", "ForbiddenByRbac"))
    hsm = {"host": names.HSM_HOST}
    answer = refclient.release(env.ca, good, None, **hsm)
    t.equal((answer.status, answer.body, "managedhsm" in answer.headers["www-authenticate"]),
            (401, b"", True), "the HSM's 401 has no body")
    t.refused(refclient.release(env.ca, good, tok.bearer("https://managedhsm.azure.net",
                                                         identity=2), **hsm),
              403, ("Forbidden", "AccessDenied"), "not authorized", "the HSM refuses a caller")


def requests(t, env, tok):
    """What is asked."""
    good, access = tok.target(), tok.bearer()

    def refused(status, code, pattern, name, **more):
        t.refused(refclient.release(env.ca, good, access, **more), status, code, pattern,
                  "vault refuses " + name)

    for version in ("7.2", "", "2020-10-01"):
        refused(400, BAD, "not recognized", "api-version '%s'" % version, version=version)
    refused(404, ("KeyNotFound", None), "not found", "an unknown key", key="nosuchkey")
    refused(404, ("KeyNotFound", None), "not found", "an unknown version",
            key="rsa2048/" + "0" * 32)
    refused(404, ("NotFound", None), "No such", "an odd path", key="rsa2048/abc")
    refused(400, BAD, "enc has invalid", "an unknown enc", enc="RSA_AES_KEY_WRAP_512")
    refused(400, BAD, "Property 'target'", "an unknown member", extra="x")
    refused(400, BAD, "Property 'target'", "a nonce that is a number", nonce=5)
    url = "https://%s/keys/rsa2048/release?api-version=7.4" % names.VAULT_HOST
    head = {"Authorization": "Bearer " + access}
    post = lambda body, **h: refclient.call(url, env.ca, "POST", body, dict(head, **h))  # noqa
    t.refused(post({"enc": "RSA_AES_KEY_WRAP_256"}), 400, BAD, "required", "vault: no target")
    t.refused(post("{"), 400, BAD, "invalid", "vault refuses a body that is no JSON")
    t.refused(post([]), 400, BAD, "invalid", "vault refuses a body that is a list")
    t.equal(post({"target": good}, **{"Content-Type": "text/plain"}).status, 415, "vault: 415")
    t.equal(refclient.call(url, env.ca, headers=head).status, 405, "vault: GET release")
    answer = refclient.release(env.ca, good, access, nonce=None)
    t.ok(answer.status == 200 and "nonce" not in refclient.released(answer)[0]["request"],
         "vault: no nonce, no echo")
    answer = refclient.call("https://%s/keys/ec384?api-version=7.4" % names.VAULT_HOST, env.ca,
                            headers=head)
    t.equal((answer.json["key"]["crv"], answer.json["attributes"]["exportable"]), ("P-384", True),
            "vault: GET key gives the public half")


def attested(t, env, tok):
    """The attestation token."""
    access = tok.bearer()

    def refused(target, pattern, name, code=FORBIDDEN, status=403):
        t.refused(refclient.release(env.ca, target, access), status, code, pattern,
                  "vault refuses " + name)

    not_verified, now = "cannot be verified", int(time.time())
    t.equal(refclient.release(env.ca, tok.target(), access).status, 200, "vault: the control")
    refused("x.y", "not a JWT", "a target that is no JWT", BAD, 400)
    refused(tok.target(iss="https://other.eus.attest.azure.net"), not_verified, "another issuer")
    refused(tok.target(drop=("iss",)), not_verified, "no issuer")
    refused(tok.target(header={"alg": "RS512"}), not_verified, "another algorithm")
    refused(tok.target(header={"alg": "none"}), not_verified, "alg none")
    refused(tok.target("maa2-token"), not_verified, "a token signed by another key")
    refused(tok.target(header={"kid": "other"}), not_verified, "an unpublished kid")
    first, _, last = tok.target().split(".")
    changed = jose.b64u(jose.compact(dict(tok.claims, secureboot=False)))
    refused(".".join((first, changed, last)), not_verified, "claims changed after signing")
    refused(tok.target(exp=now - 1), not_verified, "an expired token")
    refused(tok.target(nbf=now + 60), not_verified, "a token of the future")
    refused(tok.target(exp="later"), not_verified, "an exp that is text")
    refused(tok.target(drop=("nbf",)), not_verified, "no nbf")
    keyring = tok.claims["x-ms-runtime"]["keys"][0]
    for name, ring in (("no keys", []),
                       ("a key that signs only", [dict(keyring, key_ops=["sign"])]),
                       ("a key without kid", [{k: v for k, v in keyring.items() if k != "kid"}]),
                       ("a 1024-bit key", [dict(keyring, n=jose.b64u(b"\xff" * 128))])):
        refused(tok.target(**{"x-ms-runtime": {"keys": ring}}), "no x-ms-runtime key", name, BAD,
                400)
    other = jose.rsa_jwk(tok.guest.other.public_key(), kid="second", use="enc")
    target = tok.target(**{"x-ms-runtime": {"keys": [dict(keyring, key_ops=["sign"]), other]}})
    _, sealed = refclient.released(refclient.release(env.ca, target, access))
    t.equal(sealed["header"]["kid"], "second", "vault: the first key that may encrypt is the KEK")
    data = release.unwrap(tok.guest.other, "RSA_AES_KEY_WRAP_256",
                          jose.un64u(sealed["ciphertext"]))
    material = keys.Store(env.state).material
    t.equal(data, material.export("rsa2048-1"), "vault: and it opens the key")
    tee = dict(tok.claims["x-ms-isolation-tee"])
    del tee["x-ms-compliance-status"]
    refused(tok.target(**{"x-ms-isolation-tee": tee}), "does not meet", "a VM that does not comply")
    for what in ("no-keys", "other-keys", "wrong-issuer", "http-jwks"):
        env.ctl.tamper("maa-certs", what)
        refused(tok.target(), not_verified, "when the authority has " + what)
        env.ctl.clear()
    env.ctl.fault("maa-certs", "status", status=500)
    refused(tok.target(), not_verified, "when the authority is down")
    env.ctl.clear()
    env.ctl.fault("maa", "tls", cert="other-ca")
    refused(tok.target(), not_verified, "an authority with a certificate of another root")
    env.ctl.clear()


def key_states(t, env, tok):
    """Keys that cannot be released, rotation, changed policies."""
    good, access = tok.target(), tok.bearer()
    for key, code, pattern in (
            ("disabled", OPERATION, "disabled key"), ("expired", OPERATION, "expired key"),
            ("notyet", OPERATION, "not yet valid"), ("noops", OPERATION, "not permitted"),
            ("notexportable", OPERATION, "not exportable"), ("nomatch", FORBIDDEN, "does not meet"),
            ("badauthority", FORBIDDEN, "cannot be verified")):
        for host, token in ((names.VAULT_HOST, access),
                            (names.HSM_HOST, tok.bearer("https://managedhsm.azure.net"))):
            t.refused(refclient.release(env.ca, good, token, key, host), 403, code, pattern,
                      "%s refuses the key '%s'" % (host.split(".")[0], key))
    old = keys.version_id("vault", "rsa2048", 1)
    t.refused(refclient.release(env.ca, good, access, "rsa2048/" + old), 403, OPERATION, "disabled",
              "vault: the version rotated away is disabled")
    version = env.ctl.rotate("vault", "ec256")
    answer = refclient.release(env.ca, good, access, "ec256")
    t.equal(refclient.released(answer)[0]["request"]["kid"].split("/")[-1], version,
            "rotation: the new version is the current one")
    env.ctl.attributes("vault", "ec256", enabled=False, version=version)
    t.equal(refclient.release(env.ca, good, access, "ec256").status, 403, "attributes: disabled")
    env.ctl.policy("vault", "ec521", keys.cvm_policy("https://%s/" % names.MAA2_HOST))
    t.refused(refclient.release(env.ca, good, access, "ec521"), 403, FORBIDDEN, "cannot be",
              "policy: another authority")
    env.ctl.reset()
    t.equal([refclient.release(env.ca, good, access, k).status for k in ("ec256", "ec521")],
            [200, 200], "reset: both are back")


def honest(jws, ca_pem, host):
    """What a careful client checks of the JWS; the reason why it is no good, or None."""
    try:
        parsed = jose.Jws(jws)
        chain = [x509.load_der_x509_certificate(jose.un64(c)) for c in parsed.header["x5c"]]
        if not parsed.verify(chain[0].public_key()):
            return "signature"
        payload = parsed.claims()
    except (jose.FormatError, KeyError, ValueError, AttributeError, TypeError) as e:
        return "format: %r" % e
    dns = chain[0].extensions.get_extension_for_class(
        x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    if host not in dns and "*." + host.split(".", 1)[1] not in dns:
        return "host"
    roots = pki.split_pem(ca_pem)
    for child, issuer in zip(chain, chain[1:2] + roots):
        try:
            issuer.public_key().verify(child.signature, child.tbs_certificate_bytes,
                                       padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, TypeError, ValueError):
            return "chain"
    return content(payload, host)


def content(payload, host):
    """The fields of the payload."""
    request, key = payload["request"], payload["response"]["key"]["key"]
    if request.get("nonce") != "reference":
        return "nonce"
    if request["enc"] != "RSA_AES_KEY_WRAP_256":
        return "enc"
    if key["kid"].rsplit("/", 1)[0] != "https://%s/keys/rsa2048" % host:
        return "kid"
    if key["kty"].replace("-HSM", "") != "RSA":
        return "kty"
    return None if "key_hsm" in key else "key_hsm"


WHAT = {"truncated-jws": "format|signature", "jws-payload": "signature", "jws-key": "signature",
        "jws-alg-none": "format|signature", "x5c-host": "host", "x5c-ca": "chain",
        "x5c-expired": "format|signature", "no-x5c": "format", "nonce": "nonce",
        "no-nonce": "nonce", "enc": "enc", "kid": "kid", "kty": "kty", "no-key-hsm": "key_hsm"}


def tampers(t, env, tok):
    """Each tamper fault changes what it says, and only then does a careful client notice."""
    good = tok.target()
    with open(env.ca, "rb") as f:
        ca_pem = f.read()
    material = keys.Store(env.state).material
    thumb = lambda der: hashlib.sha256(der).hexdigest()[:8]     # noqa: E731
    for service, host in (("vault", names.VAULT_HOST), ("hsm", names.HSM_HOST)):
        access = tok.bearer(names.resource_of(host))
        for what in ("",) + release.TAMPERS:
            if what:
                env.ctl.tamper(service, what, count=1)
            answer = refclient.release(env.ca, good, access, host=host)
            name = "%s: tamper %s" % (service, what or "nothing")
            if what in ("html", "no-value"):
                t.ok(answer.status == 200 and "value" not in (answer.json or {}), name)
                continue
            reason = honest(answer.json["value"], ca_pem, host)
            if what in WHAT:
                t.ok(reason and reason.split(":")[0] in WHAT[what].split("|"), name, reason)
                continue
            t.ok(reason is None, name + ": the JWS is good", reason)
            payload, sealed = refclient.released(answer)
            try:
                data = release.unwrap(tok.guest.enc, "RSA_AES_KEY_WRAP_256",
                                      jose.un64u(sealed["ciphertext"]))
            except Exception as e:      # the library has several
                data = type(e).__name__.encode()
            same = data == material.export("rsa2048-1")
            shown = payload["response"]["key"]["key"]["n"] == material.public_jwk("rsa2048-1")["n"]
            t.equal((same, shown), (what in ("", "public-half"),
                                    what not in ("public-half", "other-key")),
                    "%s: ciphertext and public half (%s)" % (name, thumb(data)))
    t.equal([f["what"] for f in env.ctl.call("GET", "/faults") if f["struck"] != 1], [],
            "each tamper struck once")
    env.ctl.clear()


def run(t, env):
    """All of them."""
    tok = Tokens(env)
    t.equal(sorted(vaults.VERSIONS), ["2025-07-01", "7.3", "7.4", "7.5", "7.6"], "api-versions")
    for group in (callers, requests, attested, key_states, tampers):
        t.run(group.__name__, group, env, tok)
