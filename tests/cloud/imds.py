"""The instance metadata service: THIM certificates and managed identity tokens.

Tamper faults: imds-thim: stale (the certificate of older firmware and its TCB, as of a cache that
lags behind), tcbm (another TCB than the certificate's), other-vcek (a certificate the host's reports
are not signed with), no-chain, member-case (VcekCert, as some documents spell it); imds-token: no-token, wrong-audience, number-fields
(numbers where IMDS sends strings, which clients must accept).
"""

import time
import uuid

import jose
import names
from server import Refusal, Response

THIM = "/metadata/thim/amd/certification"
TOKEN = "/metadata/identity/oauth2/token"
SELECTORS = ("client_id", "object_id", "msi_res_id")


class Imds:
    """The service at 169.254.169.254, port 80."""

    name, hosts = "imds", (names.IMDS,)

    def __init__(self, world):
        self.world = world

    def endpoint(self, request):
        """The fault endpoint of a request."""
        return {THIM: "imds-thim", TOKEN: "imds-token"}.get(request.path.lower(), "imds")

    def refuse(self, request, refusal):
        """IMDS has two error formats: the identity endpoint's and everything else's."""
        if request.path.lower() == TOKEN:
            body = {"error": refusal.code, "error_description": refusal.message}
        else:
            body = {"error": refusal.message}
        return Response(refusal.status, body, refusal.headers)

    def handle(self, request):
        """Answer one request."""
        request.check("no-forwarded-for", "x-forwarded-for" not in request.headers, Refusal(
            400, "invalid_request", "Bad request. Forwarded requests are refused"))
        request.check("metadata-header", request.headers.get("metadata", "").lower() == "true",
                      Refusal(400, "bad_request_102", "Required metadata header not specified"))
        path = request.path.lower()
        request.check("path", path in (THIM, TOKEN) or path == "/metadata/instance/compute/vmid",
                      Refusal(404, "not_found", "Not found"))
        request.check("method", request.method == "GET",
                      Refusal(405, "method_not_allowed", "Method not allowed"))
        if path == THIM:
            return self.thim(request)
        return self.token(request) if path == TOKEN else self.vm_id(request)

    def vm_id(self, request):
        """The VM's id as text."""
        request.check("api-version", request.query.get("api-version", "") >= "2017-08-01",
                      Refusal(400, "bad_request", "Bad request. api-version is invalid or was not "
                              "specified in the request."))
        return Response(200, names.VM_ID.lower().encode(), content_type="text/plain; charset=utf-8")

    def thim(self, request):
        """The certificates of the host that the VM runs on."""
        host = self.world.amd
        struck = self.world.tampers(request, "imds-thim", "stale", "tcbm", "other-vcek", "no-chain",
                                    "member-case")
        body = host.thim(host.old_tcb if "stale" in struck else host.tcb)
        for what in struck:
            if what == "tcbm":
                body["tcbm"] = "D114000000000003"
            elif what == "no-chain":
                del body["certificateChain"]
            elif what == "other-vcek":
                body["vcekCert"] = host.other_vcek()
            elif what == "member-case":
                body["VcekCert"] = body.pop("vcekCert")
        return Response(200, body)

    def select(self, request):
        """The identity that the request means."""
        mine = self.world.identities
        given = [s for s in SELECTORS if request.query.get(s)]
        missing = Refusal(400, "invalid_request", "Identity not found")
        if self.world.settings["imds.propagating"] > 0:
            self.world.settings["imds.propagating"] -= 1
            raise missing
        request.check("one-selector", len(given) <= 1, Refusal(
            400, "invalid_request", "Only one of client_id, object_id and msi_res_id may be given"))
        if given:
            want = request.query[given[0]].lower()
            found = [i for i in mine if i[given[0]].lower() == want]
        else:
            found = [i for i in mine if i["kind"] == "system"] or mine
            request.check("identity-unambiguous", len(found) <= 1, Refusal(
                400, "invalid_request", "Multiple user assigned identities exist, please specify "
                "the clientId / resourceId of the identity in the token request"))
        request.check("identity-found", found, missing)
        return found[0]

    def token(self, request):
        """An access token for one of the VM's identities."""
        query, settings = request.query, self.world.settings
        request.check("api-version", query.get("api-version") in ("2018-02-01", "2019-08-01"),
                      Refusal(400, "invalid_request", "Bad request. api-version is invalid or was "
                              "not specified in the request."))
        resource = query.get("resource")
        request.check("resource", resource, Refusal(
            400, "invalid_request", "Required query variable 'resource' is missing"))
        unknown = set(query) - {"api-version", "resource", "bypass_cache", *SELECTORS}
        request.check("query-known", not unknown, Refusal(
            400, "invalid_request", "Unknown query variable"))
        request.check("resource-known", resource in names.RESOURCES.values(), Refusal(
            400, "invalid_resource", "AADSTS500011: The resource principal named %s was not found "
            "in the tenant named %s." % (resource, names.TENANT)))
        identity = self.select(request)
        request.facts.update(identity=identity["name"], resource=resource)
        struck = self.world.tampers(request, "imds-token", "no-token", "wrong-audience",
                                    "number-fields")
        start, lifetime = int(time.time()), settings["aad.lifetime"]
        audience = "https://management.azure.com" if "wrong-audience" in struck else resource
        body = {"access_token": mint(self.world, identity, audience, start, lifetime),
                "client_id": identity["client_id"], "expires_in": str(lifetime),
                "expires_on": str(start + lifetime), "ext_expires_in": str(lifetime - 1),
                "not_before": str(start - 300), "resource": resource, "token_type": "Bearer"}
        if "no-token" in struck:
            del body["access_token"]
        if "number-fields" in struck:
            for name in ("expires_in", "expires_on", "ext_expires_in", "not_before"):
                body[name] = int(body[name])
        return Response(200, body)


def mint(world, identity, audience, start, lifetime):
    """A bearer token as the directory service signs it."""
    signer = world.settings["aad.sign-with"]
    kid = jose.thumbprint(jose.rsa_jwk(world.pki.key(signer).public_key()))
    tenant = world.settings["aad.tenant"]
    return jose.sign({"typ": "JWT", "alg": "RS256", "x5t": kid, "kid": kid}, {
        "aud": audience, "iss": "https://sts.windows.net/%s/" % tenant, "iat": start - 300,
        "nbf": start - 300, "exp": start + lifetime, "aio": "E2ZgYNj", "appidacr": "2",
        "appid": identity["client_id"], "idp": "https://sts.windows.net/%s/" % tenant,
        "idtyp": "app", "oid": identity["object_id"], "sub": identity["object_id"],
        "tid": tenant, "uti": str(uuid.uuid4()), "ver": "1.0",
        "xms_mirid": identity["msi_res_id"]}, world.pki.key(signer))
