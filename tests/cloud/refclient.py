"""A plain reference client for the tests: HTTP(S) calls, evidence from a TPM, the whole flow.

It checks nothing; it is here to show that the simulator answers a client that does it right.
"""

import http.client
import json
import ssl
import struct
import urllib.parse

from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import hcl
import jose
import names
import tpm2

RSAES = struct.pack(">H", tpm2.ALG_RSAES)
OAEP = {"CKM_RSA_AES_KEY_WRAP": 0x0004, "RSA_AES_KEY_WRAP_256": 0x000B,
        "RSA_AES_KEY_WRAP_384": 0x000C}


class Answer:
    """Status, headers (lower case) and body of a response."""

    def __init__(self, response):
        self.status, self.body = response.status, response.read()
        self.headers = {k.lower(): v for k, v in response.getheaders()}
        try:
            self.json = json.loads(self.body)
        except ValueError:
            self.json = None

    def error(self):
        """(code, inner code, message) of a service's error."""
        error = self.json.get("error", {}) if isinstance(self.json, dict) else {}
        if not isinstance(error, dict):
            return error, None, self.json.get("error_description", error)
        return error.get("code"), error.get("innererror", {}).get("code"), error.get("message")


def call(url, ca=None, method="GET", body=None, headers=None, timeout=20, version=None):
    """One request on a connection of its own."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca)
        if version:
            context.minimum_version = context.maximum_version = version
        connection = http.client.HTTPSConnection(parts.hostname, 443, timeout=timeout,
                                                 context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname, 80, timeout=timeout)
    headers = dict(headers or {})
    if isinstance(body, (dict, list)):
        body = json.dumps(body)
    if body is not None:
        headers.setdefault("Content-Type", "application/json")
    try:
        connection.request(method, parts.path + ("?" + parts.query if parts.query else ""), body,
                           headers)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def thim():
    """THIM's answer."""
    return call("http://%s/metadata/THIM/amd/certification" % names.IMDS,
                headers={"Metadata": "true"})


def kds(ca, product, name, method="GET", **query):
    """AMD's key distribution service: a chip's VCEK, or cert_chain."""
    return call("https://%s/vcek/v1/%s/%s%s" % (
        names.KDS_HOST, product, name, "?" + urllib.parse.urlencode(query) if query else ""),
                ca, method, {} if method == "POST" else None)


def bearer(resource="https://vault.azure.net", version="2018-02-01", headers=None, **query):
    """Ask IMDS for a token."""
    query = dict({"api-version": version, "resource": resource}, **query)
    query = urllib.parse.urlencode({k: v for k, v in query.items() if v is not None})
    return call("http://%s/metadata/identity/oauth2/token?%s" % (names.IMDS, query),
                headers={"Metadata": "true"} if headers is None else headers)


def evidence(tpm, thim_json):
    """Read and make everything that goes into an AttestationInfo: (parts, key handle)."""
    cert, blob = tpm.nv_read(tpm2.NV_AK_CERT), tpm.nv_read(tpm2.NV_HCL)
    _, report, runtime = hcl.parse(blob)
    pcrs = tpm.pcr_read()
    handle, enc = tpm.create_primary(tpm2.RH_NULL, tpm2.rsa_template(
        tpm2.EPHEMERAL_ATTRIBUTES, tpm2.policy_pcr_digest(pcrs)))
    quote, quote_signature = tpm.quote()
    certify, certify_signature = tpm.certify(handle)
    return {"ak_cert": cert, "ak_pub": tpm.read_public(tpm2.AK_HANDLE), "pcrs": pcrs,
            "quote": quote, "quote_signature": quote_signature, "enc_pub": enc,
            "certify": certify, "certify_signature": certify_signature, "report": report,
            "chain": (thim_json["vcekCert"] + thim_json["certificateChain"]).encode(),
            "runtime": runtime, "log": b"", "nonce": b"reference nonce"}, handle


def attestation_info(parts):
    """The AttestationInfo of these parts, as a JSON value."""
    proof = jose.compact({"SnpReport": jose.b64u(parts["report"]),
                          "VcekCertChain": jose.b64(parts["chain"])})
    return {
        "AttestationProtocolVersion": "2.0", "OSType": jose.b64(b"Linux"),
        "OSDistro": jose.b64(b"Debian GNU/Linux"), "OSBuild": jose.b64(b"NotApplication"),
        "OSVersionMajor": 12, "OSVersionMinor": 0, "TcgLogs": jose.b64(parts["log"]),
        "ClientPayload": {"nonce": jose.b64(parts["nonce"])},
        "TpmInfo": {
            "AikCert": jose.b64(parts["ak_cert"]), "AikPub": jose.b64(parts["ak_pub"]),
            "PcrQuote": jose.b64(parts["quote"]),
            "PcrSignature": jose.b64(parts["quote_signature"]),
            "EncKeyPub": jose.b64(parts["enc_pub"]),
            "EncKeyCertifyInfo": jose.b64(parts["certify"]),
            "EncKeyCertifyInfoSignature": jose.b64(parts["certify_signature"]),
            "PcrSet": list(tpm2.PCRS),
            "PCRs": [{"Digest": jose.b64(v), "Index": n} for n, v in enumerate(parts["pcrs"])]},
        "IsolationInfo": {"Type": "SevSnp", "Evidence": {
            "Proof": jose.b64(proof), "RunTimeData": jose.b64(parts["runtime"])}}}


def attest(ca, info, host=names.MAA_HOST, version="2020-10-01", member="AttestationInfo"):
    """POST an AttestationInfo (a JSON value, or bytes for its text)."""
    text = info if isinstance(info, bytes) else jose.compact(info)
    return call("https://%s/attest/AzureGuest?api-version=%s" % (host, version), ca, "POST",
                {member: jose.b64u(text)})


def attest_snp(ca, body, host=names.MAA_HOST, version="2022-08-01", **headers):
    """POST evidence of a guest with its own report (a JSON value, or bytes for its text)."""
    return call("https://%s/attest/SevSnpVm?api-version=%s" % (host, version), ca, "POST", body,
                headers)


def open_envelope(token, decrypt):
    """The JWT inside; `decrypt` undoes RSAES with the ephemeral key."""
    sealed = jose.strict_json(jose.un64u(token))
    key = decrypt(jose.un64(sealed["EncryptedInnerKey"]))
    return AESGCM(key).decrypt(
        jose.un64(sealed["EncryptionParams"]["Iv"]),
        jose.un64(sealed["Jwt"]) + jose.un64(sealed["AuthenticationData"]),
        b"Transport Key").decode()


def release(ca, target, token, key="rsa2048", host=names.VAULT_HOST, version="7.4", **more):
    """POST a release; values of None leave a member out."""
    body = {"target": target, "nonce": "reference", "enc": "RSA_AES_KEY_WRAP_256"}
    body.update(more)
    headers = {"Authorization": "Bearer " + token} if token else {}
    return call("https://%s/keys/%s/release?api-version=%s" % (host, key, version), ca, "POST",
                {k: v for k, v in body.items() if v is not None}, headers)


def released(answer):
    """(payload, sealed) of a release: the JWS payload and the decoded key_hsm."""
    payload = jose.Jws(answer.json["value"]).claims()
    sealed = jose.strict_json(jose.un64u(payload["response"]["key"]["key"]["key_hsm"]))
    return payload, sealed


def unwrap_with_tpm(tpm, handle, pcrs, sealed):
    """The released key, by OAEP in the TPM and RFC 5649 outside."""
    blob, enc = jose.un64u(sealed["ciphertext"]), sealed["header"]["enc"]
    session = tpm.policy_session(tpm2.pcr_digest(pcrs))
    kek = tpm.rsa_decrypt(handle, session, blob[:256],
                          struct.pack(">HH", tpm2.ALG_OAEP, OAEP[enc]))
    return keywrap.aes_key_unwrap_with_padding(kek, blob[256:])
