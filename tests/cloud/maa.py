"""Microsoft Azure Attestation: /attest/AzureGuest, /attest/SevSnpVm, /certs, OpenID metadata.

Tamper faults: token-key (the token names another key than EncKeyPub), nonce (another client
payload), issuer, jwt-signature, gcm-tag, inner-key (not encrypted to EncKeyPub), cipher-name,
no-iv, not-encrypted (the bare JWT), no-token, not-cvm (the claims of a non-compliant VM).
For maa-certs: no-keys, other-keys, wrong-issuer, http-jwks.
"""

import hashlib
import os
import time

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import jose
import maa_snp
import maa_verify
import names
import pki
import snp
from server import Refusal, Response
from world import request_id

VERSIONS = ("2020-10-01", "2022-08-01", "2022-09-01-preview", "2025-06-01", "2026-03-11-preview")
AAD = b"Transport Key"
METADATA = "/.well-known/openid-configuration"
TAMPERS = ("token-key", "nonce", "issuer", "jwt-signature", "gcm-tag", "inner-key", "cipher-name",
           "no-iv", "not-encrypted", "no-token", "not-cvm")


def envelope(jwt, public, struck=()):
    """The encrypted token: AES-GCM under a key that only EncKeyPub's owner can read."""
    if "not-encrypted" in struck:
        return jwt
    key, iv = os.urandom(32), os.urandom(12)
    sealed = AESGCM(key).encrypt(iv, jwt.encode(), AAD)
    text, tag = sealed[:-16], bytearray(sealed[-16:])
    if "gcm-tag" in struck:
        tag[3] ^= 0x10
    if "inner-key" in struck:
        public = pki.new_key("rsa").public_key()
    parameters = {"BlockMode": "ChainingModeGCM", "BlockPadding": "PKCS7",
                  "Cipher": "DES" if "cipher-name" in struck else "AES",
                  "Iv": jose.b64(iv), "KeySizeInBits": 256}
    if "no-iv" in struck:
        del parameters["Iv"]
    return jose.b64u(jose.compact({
        "AuthenticationData": jose.b64(bytes(tag)),
        "EncryptedInnerKey": jose.b64(public.encrypt(key, padding.PKCS1v15())),
        "EncryptionParams": parameters, "Jwt": jose.b64(text)}))


class Maa:
    """One attestation service: listener `name`, its host names, its signing keys (first signs)."""

    def __init__(self, world, name, hosts, token_keys):
        self.world, self.name, self.hosts, self.token_keys = world, name, hosts, token_keys

    def endpoint(self, request):
        """The fault endpoint of a request."""
        if self.name == "maa" and request.path.lower() in ("/certs", METADATA):
            return "maa-certs"
        return self.name

    def common_headers(self):
        """Headers on every answer."""
        return [("x-ms-request-id", request_id()), ("x-ms-maa-service-version", "1.10.3456.1"),
                ("Strict-Transport-Security", "max-age=31536000")]

    def refuse(self, request, refusal):
        """The service's error format."""
        headers = self.common_headers() + [("x-ms-error-code", refusal.code)] + refusal.headers
        return Response(refusal.status, {"error": {
            "code": refusal.code, "message": refusal.message}}, headers, chunked=True)

    def handle(self, request):
        """Answer one request."""
        path = request.path.lower()
        routes = {"/attest/azureguest": ("POST", self.azure_guest),
                  "/attest/sevsnpvm": ("POST", self.sev_snp_vm),
                  "/certs": ("GET", self.certs), METADATA: ("GET", self.metadata)}
        request.check("path", path in routes, Refusal(404, "NotFound", "The resource is unknown."))
        method, function = routes[path]
        request.check("method", request.method == method,
                      Refusal(405, "MethodNotAllowed", "Use %s." % method))
        return Response(200, function(request), self.common_headers(), chunked=True)

    # --- the public parts ----------------------------------------------------------------------

    def kid(self, key):
        """The kid of a signing key: standard base64, as the service has it."""
        return jose.b64(hashlib.sha256(pki.cert_der(self.world.pki.cert(key))).digest())

    def certs(self, request):
        """The signing keys."""
        struck = self.world.tampers(request, "maa-certs", "no-keys", "other-keys")
        keys = ["maa2-token"] if "other-keys" in struck else self.token_keys
        return {"keys": [] if "no-keys" in struck else [
            {"kid": self.kid(k), "kty": "RSA", "use": "sig",
             "x5c": [jose.b64(pki.cert_der(self.world.pki.cert(k)))]} for k in keys]}

    def metadata(self, request):
        """OpenID metadata."""
        struck = self.world.tampers(request, "maa-certs", "wrong-issuer", "http-jwks")
        issuer = "https://" + request.host
        scheme = "http://" if "http-jwks" in struck else "https://"
        return {"response_types_supported": ["token", "none"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "revocation_endpoint": issuer + "/revoke",
                "issuer": "https://evil.example" if "wrong-issuer" in struck else issuer,
                "jwks_uri": scheme + request.host + "/certs",
                "claims_supported": ["is-debuggable", "x-ms-attestation-type", "iss", "exp"]}

    # --- attestation ---------------------------------------------------------------------------

    def body(self, request):
        """The request's JSON after the checks common to all attestation calls."""
        request.check("api-version-anonymous", request.query.get("api-version") !=
                      "2018-09-01-preview", Refusal(401, "Unauthorized", "This api-version wants "
                                                    "a bearer token."))
        request.check("api-version", request.query.get("api-version") in VERSIONS, Refusal(
            400, "InvalidParameter", "The api-version is missing or not supported."))
        return request.json(lambda text: maa_verify.bad("The request body is invalid: %s." % text))

    def verifier(self, request):
        """A verifier for a request."""
        return maa_verify.Verifier(request, self.world.pki, self.world.amd.trusted(),
                                   self.world.settings["maa.require-event-log"])

    def token(self, request, claims, struck, unsecured=False):
        """A signed token with the claims that every token has; `unsecured`: RFC 7519, section 6."""
        settings, now = self.world.settings, int(time.time())
        key = settings["maa.sign-with"] or self.token_keys[0]
        start = now + settings["maa.not-before"]
        issuer = "https://other.eus.attest.azure.net" if "issuer" in struck else \
            "https://" + request.host
        payload = {"exp": now + settings["maa.lifetime"],
                   "iat": min(start, now + settings["maa.lifetime"]), "iss": issuer,
                   "jti": hashlib.sha256(os.urandom(16)).hexdigest(), "nbf": start}
        payload.update(claims)
        payload.update({"x-ms-policy-hash": maa_verify.policy_hash(), "x-ms-ver": "1.0"})
        header = {"alg": "RS256", "jku": "https://%s/certs" % request.host,
                  "kid": self.kid(key), "typ": "JWT"}
        signer = self.world.pki.key("aad" if "jwt-signature" in struck else key)
        request.facts["claims"] = payload
        if unsecured:
            header = {"alg": "none", "typ": "JWT"}
            return "%s.%s." % tuple(jose.b64u(jose.compact(x)) for x in (header, payload))
        return jose.sign(header, payload, signer)

    def azure_guest(self, request):
        """POST /attest/AzureGuest."""
        body = self.body(request)
        name = "attestationInfo" if "attestationInfo" in body else "AttestationInfo"
        request.check("members", set(body) == {name}, maa_verify.bad(
            "The request body has exactly the member AttestationInfo."))
        try:
            info = jose.strict_json(jose.un64u(body[name]))
        except jose.FormatError as e:
            raise maa_verify.bad("AttestationInfo: %s." % e) from None
        proven = self.verifier(request).run(info)
        struck = self.world.tampers(request, self.name, *TAMPERS)
        if "no-token" in struck:
            return {"result": "ok"}
        jwt = self.token(request, guest_claims(proven, struck), struck)
        return {"token": envelope(jwt, proven.enc.key(), struck)}

    def sev_snp_vm(self, request):
        """POST /attest/SevSnpVm: a bare report over runtime data of the caller's."""
        return maa_snp.attest(self, request, self.body(request))


def guest_claims(proven, struck=()):
    """The claims of an AzureGuest token, as the service nests them."""
    enc = pki.new_key("rsa").public_key() if "token-key" in struck else proven.enc.key()
    jwk = jose.rsa_jwk(enc)
    key = {"e": jwk["e"], "key_ops": ["encrypt"], "kid": "TpmEphemeralEncryptionKey",
           "kty": "RSA", "n": jwk["n"]}
    runtime = {"keys": [key]}
    if proven.payload is not None:
        payload = proven.payload
        if "nonce" in struck:
            payload = dict(payload, nonce=jose.b64(b"another nonce"))
        runtime = {"client-payload": payload, "keys": [key]}
    secure_boot = proven.secure_boot()
    claims = {"secureboot": secure_boot, "x-ms-attestation-type": "azurevm"}
    vm = {"attestation-protocol-ver": "2.0", "attested-pcrs": list(range(8)),
          "bootdebug-enabled": False, "dbvalidated": secure_boot, "dbxvalidated": secure_boot,
          "debuggersdisabled": True, "default-securebootkeysvalidated": secure_boot,
          "elam-enabled": False, "flightsigning-enabled": False, "hvci-policy": 0,
          "hypervisordebug-enabled": False, "is-windows": proven.os_type == "Windows",
          "kerneldebug-enabled": False, "osbuild": proven.os_build, "osdistro": proven.os_distro,
          "ostype": proven.os_type, "osversion-major": proven.os_major,
          "osversion-minor": proven.os_minor, "signingdisabled": True,
          "testsigning-enabled": False, "vmid": names.VM_ID}
    claims.update({"x-ms-azurevm-" + n: v for n, v in vm.items()})
    if proven.report is not None:
        claims["x-ms-isolation-tee"] = tee_claims(proven, "not-cvm" in struck)
    claims["x-ms-runtime"] = runtime
    return claims


def tee_claims(proven, spoil):
    """What the token says of the hardware; compliant only without debugging and at VMPL 0."""
    tee = {"x-ms-attestation-type": "sevsnpvm"}
    if not spoil and not proven.report.debuggable and proven.report.vmpl == 0:
        tee["x-ms-compliance-status"] = "azure-compliant-cvm"
    tee["x-ms-runtime"] = proven.runtime
    tee.update(snp.claims(proven.report, proven.product))
    return tee


def services(world):
    """The two instances."""
    weu = tuple(h for h, a in names.HOSTS.items() if a == names.MAA)
    return [(Maa(world, "maa", weu, ["maa-token", "maa-token-old"]), names.MAA, "maa"),
            (Maa(world, "maa2", (names.MAA2_HOST,), ["maa2-token"]), names.MAA2, "maa2")]

