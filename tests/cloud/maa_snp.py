"""POST /attest/SevSnpVm: what is verified of a bare report, and the claims of its token
(protocol/snp-maa-akv.md, sections 2.3 and 2.4).

Tamper faults (endpoint maa): token-key (the token names another key than the runtime data), nonce
(another latchkey.boot-nonce in it), echo (another nonce claim), type (another attestation type),
unsecured (alg none, as if for a draft policy), issuer, jwt-signature, no-token.
"""

import hashlib

import jose
import maa_verify
import pki
import snp
from maa_verify import bad
from server import Refusal

MEMBERS = {"report", "runtimeData", "initTimeData", "nonce", "draftPolicyForAttestation"}
TAMPERS = ("token-key", "nonce", "echo", "type", "unsecured", "issuer", "jwt-signature", "no-token")
UVM = "azure-compliant-uvm"


class Verifier(maa_verify.Verifier):
    """One request; after `run()` the attributes hold what was proven."""

    def decode(self, where, text):
        """base64url, with padding or without, of something."""
        try:
            data, reason = jose.un64u(text, True), ""
        except jose.FormatError as e:
            data, reason = None, str(e)
        self.check(where + ":base64url", data is not None, "%s: %s." % (where, reason))
        self.check(where + ":not-empty", data, "%s is empty." % where)
        return data

    def json(self, where, data):
        """A JSON object in bytes."""
        try:
            value, reason = jose.strict_json(data), None
        except jose.FormatError as e:
            value, reason = None, str(e)
        self.check(where + ":json", reason is None, "%s: %s." % (where, reason))
        self.check(where + ":object", isinstance(value, dict), "%s is not an object." % where)
        return value

    def data(self, body, where):
        """A member {data, dataType}: (bytes, JSON value or None)."""
        member = body[where]
        self.members(where, member, {"data", "dataType"})
        self.check(where + ":dataType", member["dataType"] in ("JSON", "Binary"),
                   "%s.dataType is neither JSON nor Binary." % where)
        raw = self.decode(where + ".data", member["data"])
        return raw, self.json(where + ".data", raw) if member["dataType"] == "JSON" else None

    def run(self, body):
        """Verify everything; self."""
        unknown = set(body) - MEMBERS
        self.check("members", not unknown and {"report", "runtimeData"} <= set(body), bad(
            "The request body needs report and runtimeData and knows no more than initTimeData, "
            "nonce and draftPolicyForAttestation.").message)
        for name in ("nonce", "draftPolicyForAttestation"):
            self.check(name + ":string", isinstance(body.get(name, ""), str),
                       "%s is not a string." % name)
        raw, self.runtime = self.data(body, "runtimeData")
        proof = self.json("report", self.decode("report", body["report"]))
        more = {"Endorsements"} & set(proof)
        self.members("report", proof, {"SnpReport", "VcekCertChain"} | more)
        self.hardware(self.decode("SnpReport", proof["SnpReport"]),
                      self.decode("VcekCertChain", proof["VcekCertChain"]), raw)
        self.init_time = self.init_data(body)
        self.endorsed = self.endorsements(proof["Endorsements"]) if more else False
        return self

    def init_data(self, body):
        """initTimeData: what the host said at launch, of which HOST_DATA has the SHA-256."""
        # The confidential containers' own client sends it with two empty strings when it has none.
        if body.get("initTimeData", {"data": "", "dataType": ""}) == {"data": "", "dataType": ""}:
            return None
        raw, value = self.data(body, "initTimeData")
        self.check("initTimeData:binding", hashlib.sha256(raw).digest() == self.report.host_data,
                   "The SHA-256 of initTimeData is not the report's HOST_DATA.")
        return value

    def endorsements(self, text):
        """Endorsements: {"Uvm": [COSE_Sign1, ..]}.  Do they name this launch measurement?

        The signature is not verified: the signer is Microsoft, and this double has no such key.
        """
        value = self.json("Endorsements", self.decode("Endorsements", text))
        self.members("Endorsements", value, {"Uvm"})
        self.check("Endorsements.Uvm:list", isinstance(value["Uvm"], list) and value["Uvm"],
                   "Endorsements.Uvm is not a list, or empty.")
        found = False
        for one in value["Uvm"]:
            payload = cose_payload(self.decode("Endorsements.Uvm", one))
            self.check("Endorsements.Uvm:cose", payload is not None,
                       "Endorsements.Uvm is not a COSE_Sign1.")
            try:
                claims = jose.strict_json(payload)
            except jose.FormatError:
                continue
            found = found or isinstance(claims, dict) and claims.get(
                "x-ms-sevsnpvm-launchmeasurement", "").lower() == self.report.measurement.hex()
        return found

    def policy(self, settings):
        """What this instance demands beyond a genuine report; settings maa.min-tcb and
        maa.deny-debug.  By default it takes them all and says what they are."""
        least = settings["maa.min-tcb"]
        if least:
            wanted = dict(zip(self.product.layout, bytes.fromhex(least)[::-1]))
            low = [n for n, v in snp.levels(self.report, self.product).items() if v < wanted[n]]
            self.check("tcb-baseline", not low, "SnpReport: the reported TCB %s is below the "
                       "baseline %s (%s)." % (self.report.reported_tcb[::-1].hex(), least.lower(),
                                              ", ".join(low)))
        if settings["maa.deny-debug"]:
            self.request.check("policy", not self.report.debuggable, Refusal(
                400, "PolicyEvaluationError", "Native operation failed with 65518: "
                "G_DENY_ISSUED: the attestation policy issued deny."))


def cbor(data, at):
    """(major type, argument, offset after the head) of one CBOR item."""
    major, low = data[at] >> 5, data[at] & 31
    if low < 24:
        return major, low, at + 1
    size = {24: 1, 25: 2, 26: 4, 27: 8}[low]
    if at + 1 + size > len(data):
        raise IndexError
    return major, int.from_bytes(data[at + 1:at + 1 + size], "big"), at + 1 + size


def cbor_item(data, at):
    """(major type, contents, offset after it) of one CBOR item, whatever is inside."""
    first, n, begin = cbor(data, at)
    at, left = begin, {2: 0, 3: 0, 4: n, 5: 2 * n, 6: 1}.get(first, 0)
    at += n if first in (2, 3) else 0
    while left:
        major, n, at = cbor(data, at)
        at += n if major in (2, 3) else 0
        left += {4: n, 5: 2 * n, 6: 1}.get(major, 0) - 1
    if at > len(data):
        raise IndexError
    return first, data[begin:at], at


def cose_payload(data):
    """The payload of a COSE_Sign1 (RFC 9052, 4.2), tagged or not; None when it is none."""
    try:
        major, argument, at = cbor(data, 0)
        if (major, argument) == (6, 18):
            major, argument, at = cbor(data, at)
        if (major, argument) != (4, 4):
            return None
        kinds, found = [], []
        for _ in range(4):      # protected header, unprotected header, payload, signature
            major, content, at = cbor_item(data, at)
            kinds.append(major)
            found.append(content)
        return found[2] if kinds == [2, 5, 2, 2] and at == len(data) else None
    except (IndexError, KeyError):
        return None


def claims(proven, body, struck=()):
    """The token's claims."""
    out = {"x-ms-attestation-type": "sgx" if "type" in struck else "sevsnpvm"}
    if proven.endorsed and not proven.report.debuggable:
        out["x-ms-compliance-status"] = UVM
    out.update(snp.claims(proven.report, proven.product))
    if proven.init_time is not None:
        out["x-ms-inittime"] = proven.init_time
    if proven.runtime is not None:
        out["x-ms-runtime"] = spoil(proven.runtime, struck)
    if "nonce" in body:
        out["nonce"] = "another-nonce" if "echo" in struck else body["nonce"]
    return out


def spoil(runtime, struck):
    """The runtime data as it came, or as a tamper fault wants it."""
    if "token-key" in struck:
        jwk = jose.rsa_jwk(pki.new_key("rsa").public_key())
        runtime = dict(runtime, keys=[dict(k, n=jwk["n"]) for k in runtime["keys"]])
    if "nonce" in struck:
        runtime = dict(runtime, latchkey=dict(runtime["latchkey"], **{
            "boot-nonce": jose.b64u(b"another nonce...")}))
    return runtime


def attest(maa, request, body):
    """Verify and answer."""
    proven = Verifier(request, maa.world.pki, maa.world.amd.trusted()).run(body)
    proven.policy(maa.world.settings)
    struck = maa.world.tampers(request, maa.name, *TAMPERS)
    request.facts.update(product=proven.product.name, version=proven.report.version)
    if "no-token" in struck:
        return {"result": "ok"}
    # With a draft policy the token is not secured: nobody is to rely on it.
    unsecured = "unsecured" in struck or "draftPolicyForAttestation" in body
    return {"token": maa.token(request, claims(proven, body, struck), struck, unsecured)}
