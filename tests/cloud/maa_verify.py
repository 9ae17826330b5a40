"""What the attestation service verifies of an AttestationInfo (protocol/azure-guest.md, 1.5, 2).

Every check is recorded by name in the request log; the first that fails ends in 400
InvalidParameter with a message that names the member.
"""

import hashlib

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

import der
import hcl
import jose
import pki
import snp
import tcglog
import tpm2
from server import Refusal

TOP = {"AttestationProtocolVersion", "OSType", "OSDistro", "OSBuild", "OSVersionMajor",
       "OSVersionMinor", "TcgLogs", "ClientPayload", "TpmInfo", "IsolationInfo"}
TPM = {"AikCert", "AikPub", "PcrQuote", "PcrSignature", "EncKeyPub", "EncKeyCertifyInfo",
       "EncKeyCertifyInfoSignature", "PcrSet", "PCRs"}


def bad(message):
    """The service's refusal of a parameter."""
    return Refusal(400, "InvalidParameter", message)


class Verifier:
    """One AttestationInfo; after `run()` the attributes hold what was proven."""

    def __init__(self, request, ca, arks, require_log=False):
        self.request, self.ca, self.arks, self.require_log = request, ca, arks, require_log
        self.report, self.product, self.runtime, self.log_events = None, None, None, None

    def check(self, name, ok, message):
        """Record a check, refuse when it failed."""
        self.request.check(name, ok, bad(message))

    # --- shape ---------------------------------------------------------------------------------

    def members(self, where, value, wanted):
        """`value` is an object with exactly these members."""
        self.check(where + ":object", isinstance(value, dict), "%s is not an object." % where)
        for name in sorted(wanted - set(value)):
            self.check(where + ":members", False, "%s.%s is missing." % (where, name))
        for name in sorted(set(value) - wanted):
            self.check(where + ":members", False, "%s.%s is not a known member." % (where, name))
        self.check(where + ":members", True, "")

    def binary(self, where, text, empty=False):
        """Standard base64 with padding."""
        try:
            data = jose.un64(text)
        except jose.FormatError as e:
            data, reason = None, str(e)
        self.check(where + ":base64", data is not None,
                   "%s: %s." % (where, reason if data is None else ""))
        if not empty:
            self.check(where + ":not-empty", data, "%s is empty." % where)
        return data

    def text(self, where, value):
        """Standard base64 of UTF-8 text."""
        try:
            return self.binary(where, value).decode("utf-8")
        except UnicodeDecodeError:
            raise bad("%s is not UTF-8." % where) from None

    def number(self, where, value, least):
        """A JSON integer of at least `least`."""
        ok = isinstance(value, int) and not isinstance(value, bool) and value >= least
        self.check(where + ":number", ok, "%s is not a number of at least %d." % (where, least))
        return value

    def document(self, where, data):
        """A JSON document in bytes."""
        try:
            return jose.strict_json(data)
        except jose.FormatError as e:
            raise bad("%s: %s." % (where, e)) from None

    # --- the whole -----------------------------------------------------------------------------

    def run(self, info):
        """Verify everything; self."""
        self.members("AttestationInfo", info, TOP)
        self.check("AttestationProtocolVersion", info["AttestationProtocolVersion"] == "2.0",
                   "AttestationProtocolVersion is not \"2.0\".")
        self.os_type = self.text("OSType", info["OSType"])
        self.check("OSType", self.os_type in ("Linux", "Windows"), "OSType is not known.")
        self.os_distro = self.text("OSDistro", info["OSDistro"])
        self.os_build = self.text("OSBuild", info["OSBuild"])
        self.os_major = self.number("OSVersionMajor", info["OSVersionMajor"], 1)
        self.os_minor = self.number("OSVersionMinor", info["OSVersionMinor"], 0)
        self.client_payload(info["ClientPayload"])
        self.tpm(info["TpmInfo"])
        self.event_log(info["TcgLogs"])
        self.isolation(info["IsolationInfo"])
        return self

    def client_payload(self, payload):
        """Null or a flat object of base64 texts; kept as it came."""
        self.payload = payload
        if payload is None:
            return
        self.check("ClientPayload:object", isinstance(payload, dict),
                   "ClientPayload is neither an object nor null.")
        for name, value in payload.items():
            self.binary("ClientPayload." + name, value, empty=True)

    # --- the TPM's part ------------------------------------------------------------------------

    def parse(self, where, make, data):
        """Apply a parser of TPM structures."""
        try:
            result = make(data)
            reason = ""
        except (tpm2.TpmFormatError, ValueError) as e:
            result, reason = None, str(e)
        self.check(where + ":structure", result, "%s: %s." % (where, reason))
        return result

    def signed(self, where, data, signature, key):
        """RSASSA-PKCS1-v1_5 with SHA-256 by the attestation key."""
        try:
            key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
            ok = True
        except InvalidSignature:
            ok = False
        self.check(where, ok, "%s is not the attestation key's signature." % where)

    def tpm(self, info):
        """TpmInfo: certificate, attestation key, quote, ephemeral key and its certification."""
        self.members("TpmInfo", info, TPM)
        raw = {n: self.binary(n, info[n]) for n in sorted(TPM - {"PcrSet", "PCRs"})}
        self.pcrs = self.pcr_values(info["PcrSet"], info["PCRs"])
        self.ak = self.parse("AikPub", tpm2.Public, raw["AikPub"])
        self.check("AikPub:attributes", self.ak.attributes == tpm2.AK_ATTRIBUTES,
                   "AikPub has attributes 0x%08x." % self.ak.attributes)
        self.check("AikPub:scheme", (self.ak.scheme, self.ak.scheme_hash, self.ak.name_alg) == (
            tpm2.ALG_RSASSA, tpm2.ALG_SHA256, tpm2.ALG_SHA256), "AikPub has another scheme.")
        self.check("AikPub:size", self.ak.bits == 2048 and self.ak.exponent in (0, 65537),
                   "AikPub is not RSA-2048 with exponent 65537.")
        self.ak_certificate(raw["AikCert"])
        self.quote(raw["PcrQuote"], raw["PcrSignature"])
        self.ephemeral(raw["EncKeyPub"])
        attest = self.parse("EncKeyCertifyInfo", tpm2.Attest, raw["EncKeyCertifyInfo"])
        self.check("EncKeyCertifyInfo:type", attest.type == tpm2.ST_CERTIFY,
                   "EncKeyCertifyInfo is not a certification.")
        self.signed("EncKeyCertifyInfoSignature", raw["EncKeyCertifyInfo"],
                    raw["EncKeyCertifyInfoSignature"], self.ak.key())
        self.check("EncKeyCertifyInfo:extra-data", attest.extra == b"",
                   "EncKeyCertifyInfo has extra data.")
        self.check("EncKeyCertifyInfo:name", attest.name == self.enc.name(),
                   "EncKeyCertifyInfo certifies another key than EncKeyPub.")

    def pcr_values(self, selection, values):
        """PcrSet and PCRs: registers 0 to 7 in order, 32 bytes each."""
        self.check("PcrSet", selection == list(tpm2.PCRS) and not any(
            isinstance(n, bool) for n in selection), "PcrSet is not [0,1,2,3,4,5,6,7].")
        self.check("PCRs:list", isinstance(values, list) and len(values) == len(selection),
                   "PCRs does not hold one entry for each of PcrSet.")
        out = []
        for index, entry in zip(selection, values):
            self.members("PCRs[%d]" % index, entry, {"Digest", "Index"})
            self.check("PCRs:index", entry["Index"] == index and not isinstance(
                entry["Index"], bool), "PCRs is not in the order of PcrSet.")
            out.append(self.binary("PCRs[%d].Digest" % index, entry["Digest"]))
            self.check("PCRs:size", len(out[-1]) == 32, "PCRs[%d] is not 32 bytes." % index)
        return out

    def ak_certificate(self, data):
        """AikCert: zero padding, chain to the vTPM root, validity, and the key in it."""
        try:
            _, _, end = der.read(data, 0, 0x30)
            cert = x509.load_der_x509_certificate(data[:end])
            public = cert.public_key()
        except ValueError as e:
            raise bad("AikCert is not an X.509 certificate: %s." % e) from None
        self.check("AikCert:padding", not any(data[end:]), "AikCert is followed by other bytes.")
        chain = [cert, self.ca.cert("vtpm-ca"), self.ca.cert("vtpm-root")]
        for child, issuer in zip(chain, chain[1:]):
            try:
                issuer.public_key().verify(child.signature, child.tbs_certificate_bytes,
                                           padding.PKCS1v15(), child.signature_hash_algorithm)
                ok = child.issuer == issuer.subject
            except (InvalidSignature, TypeError):
                ok = False
            self.check("AikCert:chain", ok, "AikCert does not chain to a trusted vTPM root.")
            self.check("AikCert:validity",
                       child.not_valid_before <= pki.now() <= child.not_valid_after,
                       "AikCert is expired or not yet valid.")
        self.check("AikCert:key", isinstance(public, rsa.RSAPublicKey)
                   and public.public_numbers() == self.ak.key().public_numbers(),
                   "AikCert is for another key than AikPub.")

    def quote(self, data, signature):
        """PcrQuote: signed by the attestation key, over exactly the values sent."""
        attest = self.parse("PcrQuote", tpm2.Attest, data)
        self.check("PcrQuote:type", attest.type == tpm2.ST_QUOTE, "PcrQuote is not a quote.")
        self.signed("PcrSignature", data, signature, self.ak.key())
        self.check("PcrQuote:extra-data", attest.extra == b"", "PcrQuote has extra data.")
        self.check("PcrQuote:selection", attest.pcr_select == tpm2.pcr_selection(),
                   "PcrQuote does not select PCR 0-7 of SHA-256.")
        self.check("PcrQuote:digest", attest.pcr_digest == tpm2.pcr_digest(self.pcrs),
                   "PcrQuote is not over the PCRs sent.")

    def ephemeral(self, data):
        """EncKeyPub: exactly the template, bound to the PCR values sent."""
        self.enc = enc = self.parse("EncKeyPub", tpm2.Public, data)
        self.check("EncKeyPub:attributes", enc.attributes == tpm2.EPHEMERAL_ATTRIBUTES,
                   "EncKeyPub has attributes 0x%08x." % enc.attributes)
        self.check("EncKeyPub:size", enc.bits == 2048 and enc.exponent in (0, 65537),
                   "EncKeyPub is not RSA-2048 with exponent 65537.")
        self.check("EncKeyPub:algorithms", (enc.name_alg, enc.symmetric, enc.scheme) == (
            tpm2.ALG_SHA256, tpm2.ALG_NULL, tpm2.ALG_NULL), "EncKeyPub has other algorithms.")
        self.check("EncKeyPub:policy", enc.policy == tpm2.policy_pcr_digest(self.pcrs),
                   "EncKeyPub is not bound to the PCRs sent.")

    def event_log(self, text):
        """TcgLogs: may be empty; what is there must parse.  Its replay is a claim, no check."""
        data = self.binary("TcgLogs", text, empty=True)
        self.check("TcgLogs:present", data or not self.require_log, "TcgLogs is empty.")
        self.log_replays = self.log_secure_boot = None
        if data:
            try:
                _, self.log_events = tcglog.parse(data)
            except tcglog.LogError as e:
                self.check("TcgLogs:structure", False, "TcgLogs: %s." % e)
            self.check("TcgLogs:structure", True, "")
            pcrs = tcglog.replay(self.log_events)
            self.log_replays = all(self.pcrs[n] == v for n, v in pcrs.items() if n < 8)
            self.log_secure_boot = tcglog.secure_boot(self.log_events)
        self.request.facts["event-log"] = {"bytes": len(data), "replays": self.log_replays}

    # --- the hardware's part -------------------------------------------------------------------

    def isolation(self, info):
        """IsolationInfo: nothing for Trusted Launch, evidence for SEV-SNP."""
        self.check("IsolationInfo:object", isinstance(info, dict), "IsolationInfo is no object.")
        self.isolation_type = info.get("Type")
        self.check("IsolationInfo:type", self.isolation_type in ("SevSnp", "TrustedLaunch"),
                   "IsolationInfo.Type is not supported by this endpoint.")
        if self.isolation_type == "TrustedLaunch":
            self.members("IsolationInfo", info, {"Type"})
            return
        self.members("IsolationInfo", info, {"Type", "Evidence"})
        evidence = info["Evidence"]
        self.members("IsolationInfo.Evidence", evidence, {"Proof", "RunTimeData"})
        raw = self.binary("RunTimeData", evidence["RunTimeData"])
        proof = self.document("Proof", self.binary("Proof", evidence["Proof"]))
        self.members("Proof", proof, {"SnpReport", "VcekCertChain"})
        chain = self.binary("VcekCertChain", proof["VcekCertChain"])
        try:
            report = jose.un64u(proof["SnpReport"])
        except jose.FormatError as e:
            raise bad("SnpReport: %s." % e) from None
        self.hardware(report, chain, raw)
        self.hcl_keys(raw)

    def hardware(self, report, chain_pem, runtime):
        """Report and chain genuine, report bound to the runtime data; any endpoint may use it."""
        def check(name, ok, text):
            self.check("SnpReport:" + name, ok, "SnpReport: %s." % text)

        self.report, self.product = snp.verify_report(report, chain_pem, self.arks, None, check)
        self.check("RunTimeData:binding", self.report.report_data == hcl.binding(runtime),
                   "The SHA-256 of the runtime data is not in the report.")

    def hcl_keys(self, raw):
        """The paravisor's runtime data must name the attestation key."""
        try:
            self.runtime, keys = hcl.keys(raw)
        except jose.FormatError as e:
            raise bad("RunTimeData: %s." % e) from None
        self.check("RunTimeData:HCLAkPub", "HCLAkPub" in keys, "RunTimeData has no HCLAkPub.")
        try:
            public = jose.rsa_from_jwk(keys["HCLAkPub"])
        except jose.FormatError as e:
            raise bad("RunTimeData: HCLAkPub: %s." % e) from None
        self.check("RunTimeData:AikPub",
                   public.public_numbers() == self.ak.key().public_numbers(),
                   "HCLAkPub is another key than AikPub.")
        config = self.runtime.get("vm-configuration")
        self.check("RunTimeData:vm-configuration", isinstance(config, dict),
                   "RunTimeData has no vm-configuration.")
        self.vm_configuration = config

    def secure_boot(self):
        """What the token says of secure boot: the log's word, else the paravisor's."""
        if self.log_secure_boot is not None and self.log_replays:
            return self.log_secure_boot
        if self.report is None:
            return bool(self.log_secure_boot)
        return self.vm_configuration.get("secure-boot") is True


def policy_hash():
    """The hash of the default attestation policy."""
    return jose.b64u(hashlib.sha256(b"version= 1.0;authorizationrules{=> permit();};").digest())
