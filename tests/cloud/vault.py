"""Key Vault and Managed HSM: GET key, and release with everything the real services check."""

import http.client
import re
import socket
import ssl
import time
import urllib.parse

from cryptography import x509

import jose
import names
import policy as policies
import release
from keys import OPS
from server import Refusal, Response
from world import request_id

VERSIONS = ("7.3", "7.4", "7.5", "7.6", "2025-07-01")
ROUTE = re.compile(r"/keys/([0-9A-Za-z-]{1,127})(?:/([0-9a-f]{32}|))?(/release)?/?")
NOT_VERIFIED = "Target environment attestation statement cannot be verified."
NOT_MET = "Target environment attestation does not meet key release policy requirements."
SKEW = 300      # seconds of tolerance for the directory's tokens


class MaaConnection(http.client.HTTPSConnection):
    """HTTPS to a simulated host, verified against the simulated root, without DNS."""

    def connect(self):
        address = names.HOSTS.get(self.host)
        if address is None:
            raise OSError("no such host: %s" % self.host)
        raw = socket.create_connection((address, self.port), 5)
        self.sock = self._context.wrap_socket(raw, server_hostname=self.host)


def fetch(world, url):
    """GET a JSON document over TLS."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise OSError("not an https URL: %s" % url)
    context = ssl.create_default_context(cafile=world.state + "/ca.pem")
    connection = MaaConnection(parts.hostname, parts.port or 443, timeout=5, context=context)
    try:
        connection.request("GET", parts.path or "/")
        response = connection.getresponse()
        if response.status != 200:
            raise OSError("%s: status %d" % (url, response.status))
        return jose.strict_json(response.read(1 << 20))
    finally:
        connection.close()


def issuer_keys(world, authority):
    """The authority's signing keys by kid, by way of its OpenID metadata."""
    base = authority.rstrip("/")
    metadata = fetch(world, base + "/.well-known/openid-configuration")
    if policies.normal(metadata["issuer"]) != policies.normal(authority):
        raise ValueError("the metadata names another issuer")
    out = {}
    for jwk in fetch(world, metadata["jwks_uri"])["keys"]:
        if jwk["kty"] != "RSA" or jwk["kid"] in out:
            raise ValueError("the key set is not usable")
        out[jwk["kid"]] = x509.load_der_x509_certificate(
            jose.un64(jwk["x5c"][0])).public_key()
    return out


class Vault:
    """`name` is 'vault' or 'hsm'."""

    def __init__(self, world, name, hosts):
        self.world, self.name, self.hosts = world, name, hosts

    def endpoint(self, request):
        """The fault endpoint of a request."""
        return self.name

    def common_headers(self):
        """Headers on every answer."""
        out = [("x-ms-request-id", request_id()), ("x-ms-client-request-id", request_id()),
               ("x-ms-keyvault-region", "westeurope"), ("Cache-Control", "no-cache")]
        if self.name == "vault":
            out += [("x-ms-keyvault-service-version", "1.9.2345.1"), (
                "x-ms-keyvault-network-info",
                "conn_type=Ipv4;addr=192.0.2.1;act_addr_fam=InterNetwork;")]
        return out

    def refuse(self, request, refusal):
        """The error format; the Managed HSM's 401 has no body."""
        error = {"code": refusal.code, "message": refusal.message}
        if refusal.inner:
            error["innererror"] = {"code": refusal.inner}
        body = b"" if (refusal.status, self.name) == (401, "hsm") else {"error": error}
        return Response(refusal.status, body, self.common_headers() + refusal.headers)

    def handle(self, request):
        """Answer one request."""
        oid = self.bearer(request)
        request.check("api-version", request.query.get("api-version") in VERSIONS, Refusal(
            400, "BadParameter", "The specified version (%s) is not recognized. Consider using the "
            "latest supported version (2025-07-01)." % request.query.get("api-version", "")))
        match = ROUTE.fullmatch(request.path)
        request.check("path", match, Refusal(404, "NotFound", "No such resource."))
        name, version, verb = match.groups()
        action = "release" if verb else "read"
        request.check("method", request.method == ("POST" if verb else "GET"),
                      Refusal(405, "MethodNotAllowed", "The method is not allowed here."))
        self.role(request, oid, action, name)
        key, version = self.world.keys.find(self.name, name, version)
        request.check("key-found", key, Refusal(
            404, "KeyNotFound", "A key with (name/id) %s was not found in this key vault. If you "
            "recently deleted this key you may be able to recover it using the correct recovery "
            "command." % name))
        kid = "https://%s/keys/%s/%s" % (request.host, name.lower(), version["id"])
        if verb:
            return self.release(request, key, version, kid)
        jwk = dict({"kid": kid, "key_ops": OPS[key["kind"]]}, **release.public_members(
            self.world.keys, self.name, version["material"], key["kind"]))
        body = {"key": jwk, "attributes": release.attributes(key, version), "tags": {}}
        if key["policy"]:
            body["release_policy"] = release.policy_member(key)
        return Response(200, body, self.common_headers())

    # --- who asks ------------------------------------------------------------------------------

    def unauthorized(self, message, host):
        """401 with the challenge."""
        login = "login.windows.net" if self.name == "vault" else "login.microsoftonline.com"
        challenge = 'Bearer authorization="https://%s/%s", resource="%s"' % (
            login, names.TENANT, names.resource_of(host))
        return Refusal(401, "Unauthorized", message, headers=[("WWW-Authenticate", challenge)])

    def bearer(self, request):
        """Verify the access token; the caller's object id."""
        def refuse(text):
            return self.unauthorized(text, request.host)

        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        request.check("bearer", scheme.lower() == "bearer" and token,
                      refuse("AKV10000: Request is missing a Bearer or PoP token."))
        try:
            jws = jose.Jws(token.strip())
            claims = jws.claims()
        except jose.FormatError:
            raise refuse("AKV10001: The token is not a JWT.") from None
        request.check("bearer-signature", jws.verify(self.world.pki.key("aad").public_key()),
                      refuse("AKV10005: The token's signature is invalid."))
        issuer = "https://sts.windows.net/%s/" % names.TENANT
        request.check("bearer-tenant", claims.get("iss") == issuer, refuse(
            "AKV10032: Invalid issuer. Expected one of %s, found %s." % (
                issuer, claims.get("iss"))))
        audience = names.resource_of(request.host)
        request.check("bearer-audience", claims.get("aud") == audience, refuse(
            "AKV10022: Invalid audience. Expected %s, found: %s." % (audience, claims.get("aud"))))
        now = time.time()
        request.check("bearer-expiry", claims.get("exp", 0) + SKEW > now
                      and claims.get("nbf", 0) - SKEW < now,
                      refuse("AKV10003: Lifetime validation failed. The token is expired."))
        return claims.get("oid")

    def role(self, request, oid, action, name):
        """May this caller release keys here?  (Reading the public half needs the same here.)"""
        identity = next((i for i in self.world.identities if i["object_id"] == oid), None)
        request.facts["caller"] = identity["name"] if identity else oid
        message = ("Caller is not authorized to perform action on resource.\r\nIf role "
                   "assignments, deny assignments or role definitions were changed recently, "
                   "please observe propagation time.\r\nCaller: oid=%s\r\nAction: "
                   "'Microsoft.KeyVault/vaults/keys/%s/action'\r\nResource: '/keys/%s'\r\n"
                   "Assignment: (not found)" % (oid, action, name))
        inner = "ForbiddenByRbac" if self.name == "vault" else "AccessDenied"
        request.check("role", identity and self.name in identity["roles"],
                      Refusal(403, "Forbidden", message, inner))

    # --- release -------------------------------------------------------------------------------

    def release(self, request, key, version, kid):
        """POST /keys/NAME/VERSION/release."""
        body = request.json(lambda text: Refusal(
            400, "BadParameter", "The request body is invalid: %s" % text))
        unknown = set(body) - {"target", "nonce", "enc"}
        request.check("members", not unknown and isinstance(body.get("target"), str) and all(
            isinstance(v, str) for v in body.values()), Refusal(
                400, "BadParameter", "Property 'target' is required; 'nonce' and 'enc' are the "
                "only other ones; all are strings."))
        enc = body.get("enc", release.DEFAULT_ENC)
        request.check("enc", enc in release.ENC, Refusal(
            400, "BadParameter", "Property enc has invalid value '%s'." % enc))
        self.usable(request, key, version)
        claims = self.attested(request, key, body["target"])
        try:
            kek = release.pick_kek(claims)
        except jose.FormatError:
            kek = (None, None)
        request.check("kek", kek[0], Refusal(
            400, "BadParameter", "The target has no x-ms-runtime key that can be used to encrypt."))
        echo = {"api-version": request.query["api-version"], "enc": enc, "kid": kid}
        if "nonce" in body:
            echo["nonce"] = body["nonce"]
        request.facts.update(enc=enc, kid=kid, kek=kek[0], nonce=body.get("nonce"))
        struck = self.world.tampers(request, self.name, *release.TAMPERS)
        if "html" in struck:
            return Response(200, b"<html><body>Please log in</body></html>",
                            content_type="text/html")
        answer = release.build(self.world, self.name, key, version, kek, echo, struck)
        return Response(200, answer, self.common_headers())

    def usable(self, request, key, version):
        """Enabled, inside its validity, exportable, operation allowed."""
        def forbidden(text):
            return Refusal(403, "Forbidden", text, "KeyOperationForbidden")

        now = time.time()
        request.check("key-enabled", version["enabled"],
                      forbidden("Operation release is not allowed on a disabled key."))
        request.check("key-not-before", version["nbf"] is None or version["nbf"] <= now,
                      forbidden("Operation release is not allowed on a not yet valid key."))
        request.check("key-expiry", version["exp"] is None or now < version["exp"],
                      forbidden("Operation release is not allowed on an expired key."))
        request.check("key-exportable", key["exportable"] and key["policy"],
                      forbidden("Operation release is not permitted on this key: it is not "
                                "exportable."))
        request.check("key-operation", key["release"],
                      forbidden("Operation release is not permitted on this key."))

    def attested(self, request, key, target):
        """Verify the attestation token and the policy; the token's claims."""
        def unverified(reason):
            return Refusal(403, "Forbidden", NOT_VERIFIED, reason=reason)

        try:
            jws = jose.Jws(target)
            claims = jws.claims()
        except jose.FormatError as e:
            raise Refusal(400, "BadParameter", "Property target is not a JWT.",
                          reason=str(e)) from None
        clauses = policies.clauses_for(key["policy"], claims.get("iss"))
        request.check("token-issuer", clauses,
                      unverified("no clause names the issuer %s" % claims.get("iss")))
        request.check("token-alg", jws.header.get("alg") == "RS256", unverified("alg"))
        self.token_signature(request, jws, clauses[0]["authority"], unverified)
        now = time.time()
        for name in ("exp", "nbf"):
            request.check("token-has-" + name, isinstance(claims.get(name), int),
                          unverified("no " + name))
        request.check("token-expiry", now < claims["exp"], unverified("expired"))
        request.check("token-not-before", claims["nbf"] <= now, unverified("not yet valid"))
        met = any(policies.met({k: v for k, v in c.items() if k != "authority"}, claims)
                  for c in clauses)
        request.check("policy", met, Refusal(403, "Forbidden", NOT_MET))
        return claims

    def token_signature(self, request, jws, authority, unverified):
        """The token's signature under the authority's published keys."""
        try:
            if not self.world.settings["vault.tls-to-maa"]:
                raise OSError("cut off by a setting")
            keys = issuer_keys(self.world, authority)
        except (OSError, ValueError, KeyError, TypeError, IndexError,
                http.client.HTTPException) as e:
            request.check("token-keys", False, unverified("cannot fetch keys: %s" % e))
        request.check("token-keys", True, None)
        public = keys.get(jws.header.get("kid"))
        request.check("token-kid", public is not None, unverified("kid is not published"))
        request.check("token-signature", jws.verify(public), unverified("signature"))


def services(world):
    """The vault and the Managed HSM."""
    out = []
    for name, address in (("vault", names.VAULT), ("hsm", names.HSM)):
        hosts = tuple(h for h, a in names.HOSTS.items() if a == address and names.resource_of(h))
        out.append((Vault(world, name, hosts), address, name))
    return out
