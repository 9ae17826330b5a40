"""Every check of /attest/AzureGuest, /attest/SevSnpVm and IMDS, violated one at a time."""

import copy
import os
import struct

from cryptography.hazmat.primitives.asymmetric import ec

import jose
import names
import refclient
import selftest_unit
import softguest
import tpm2

MEMBERS = {
    "": ["AttestationProtocolVersion", "OSType", "OSDistro", "OSBuild", "OSVersionMajor",
         "OSVersionMinor", "TcgLogs", "ClientPayload", "TpmInfo", "IsolationInfo"],
    "TpmInfo": ["AikCert", "AikPub", "PcrQuote", "PcrSignature", "EncKeyPub", "EncKeyCertifyInfo",
                "EncKeyCertifyInfoSignature", "PcrSet", "PCRs"],
    "IsolationInfo": ["Type", "Evidence"]}
BINARY = [("OSType",), ("OSDistro",), ("OSBuild",), ("IsolationInfo", "Evidence", "Proof"),
          ("IsolationInfo", "Evidence", "RunTimeData"), ("ClientPayload", "nonce"), ("TcgLogs",),
          ("TpmInfo", "PCRs", 3, "Digest")] + [("TpmInfo", m) for m in MEMBERS["TpmInfo"][:7]]
# may be empty
EMPTY_ALLOWED = (("ClientPayload", "nonce"), ("TcgLogs",))


def put(info, path, value):
    """A copy with another value at a path; `del` removes."""
    info = copy.deepcopy(info)
    node = info
    for step in path[:-1]:
        node = node[step]
    if value is del_:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return info


def del_():
    """Marks removal in put()."""


# JSON values: (what, path, value, message)
VALUES = [
    ("another protocol version", ("AttestationProtocolVersion",), "1.0", "ProtocolVersion"),
    ("an unknown OS type", ("OSType",), jose.b64(b"Plan9"), "OSType is not known"),
    ("an OS name that is no UTF-8", ("OSDistro",), jose.b64(b"\xff\xfe"), "OSDistro is not UTF-8"),
    ("a version that is text", ("OSVersionMajor",), "12", "OSVersionMajor"),
    ("a version that is true", ("OSVersionMajor",), True, "OSVersionMajor"),
    ("version 0", ("OSVersionMajor",), 0, "OSVersionMajor"),
    ("a negative minor version", ("OSVersionMinor",), -1, "OSVersionMinor"),
    ("a payload that is a list", ("ClientPayload",), [], "ClientPayload"),
    ("a nonce that is no text", ("ClientPayload", "nonce"), 5, "ClientPayload.nonce"),
    ("TpmInfo that is a list", ("TpmInfo",), [], "TpmInfo is not an object"),
    ("IsolationInfo that is text", ("IsolationInfo",), "SevSnp", "IsolationInfo is no object"),
    ("an unknown isolation", ("IsolationInfo", "Type"), "Vbs", "Type is not supported"),
    ("isolation TDX", ("IsolationInfo", "Type"), "Tdx", "Type is not supported"),
    ("Trusted Launch with evidence", ("IsolationInfo", "Type"), "TrustedLaunch", "Evidence is not"),
    ("evidence that is null", ("IsolationInfo", "Evidence"), None, "Evidence is not an object"),
    ("PcrSet with 0-6 only", ("TpmInfo", "PcrSet"), list(range(7)), "PcrSet is not"),
    ("PcrSet with a boolean", ("TpmInfo", "PcrSet"), [0, True, 2, 3, 4, 5, 6, 7], "PcrSet is not"),
    ("PCRs that lack one", ("TpmInfo", "PCRs"), [], "PCRs does not hold"),
    ("PCRs out of order", ("TpmInfo", "PCRs", 2, "Index"), 3, "not in the order"),
    ("an unknown member of PCRs", ("TpmInfo", "PCRs", 2, "Bank"), 11, r"PCRs\[2\].Bank is not a"),
    ("PCRs without a digest", ("TpmInfo", "PCRs", 2, "Digest"), del_, r"PCRs\[2\].Digest is miss"),
    ("an entry of PCRs that is text", ("TpmInfo", "PCRs", 2), "x", r"PCRs\[2\] is not an object"),
    ("a short PCR", ("TpmInfo", "PCRs", 2, "Digest"), jose.b64(bytes(20)), "not 32 bytes"),
    ("a PCR that was not quoted", ("TpmInfo", "PCRs", 2, "Digest"), jose.b64(bytes(32)),
     "not over the PCRs"),
    ("a log that is no log", ("TcgLogs",), jose.b64(os.urandom(77)), "TcgLogs: "),
]


def shapes(t, env, guest):
    """Members, types and encodings."""
    good = guest.info()
    t.equal(refclient.attest(env.ca, good).status, 200, "soft guest: the control is accepted")
    t.equal(refclient.attest(env.ca, put(good, ("ClientPayload",), None)).status, 200,
            "soft guest: a null payload is accepted")
    refuse = lambda info, pattern, name: t.refused(     # noqa: E731
        refclient.attest(env.ca, info), 400, "InvalidParameter", pattern, "refused: " + name)
    for where, members in MEMBERS.items():
        path = (where,) if where else ()
        for member in members:
            pattern = "IsolationInfo.Type" if member == "Type" else member + " is missing"
            refuse(put(good, path + (member,), del_), pattern, "no %s" % member)
        refuse(put(good, path + ("Extra",), 1), "Extra is not a known", "more in %s" % (where or
                                                                                   "the top"))
    for path in BINARY:
        node = good
        for step in path:
            node = node[step]
        label = ".".join(str(p) for p in path)
        for what, text in (("base64url", jose.b64u(b"\xfb\xff" + jose.un64(node))),
                           ("a blank in it", " " + node), ("a number", 7)):
            refuse(put(good, path, text), "base64|not a string", "%s with %s" % (label, what))
        if path not in EMPTY_ALLOWED:
            refuse(put(good, path, ""), "is empty", label + " empty")
    for what, path, value, pattern in VALUES:
        refuse(put(good, path, value), pattern, what)
    text = jose.compact(good)
    refuse(text[:-1] + b',"OSType":"TGludXg="}', "twice", "a member twice")
    refuse(text[:-1], "not JSON", "cut JSON")
    refuse(b"[1]", "is not an object", "a list")


def big_attest(guest, **more):
    """A quote over PCR 0-9 instead."""
    return guest.info(quote_select=tpm2.pcr_selection(range(10)), **more)


def proofs(guest):
    """Evidence that is wrong in one way, everything else being right: (what, info, message)."""
    soft, parts = guest.info, guest.parts()
    enc = lambda **e: soft(enc=e)       # noqa: E731
    other_n = guest.public(guest.other, tpm2.EPHEMERAL_ATTRIBUTES,
                           tpm2.policy_pcr_digest(guest.pcrs))
    own = guest.public(guest.enc, tpm2.EPHEMERAL_ATTRIBUTES, tpm2.policy_pcr_digest(guest.pcrs))
    e3 = own.replace(struct.pack(">HI", 2048, 0), struct.pack(">HI", 2048, 3))
    ak3 = parts["ak_pub"].replace(struct.pack(">HI", 2048, 0), struct.pack(">HI", 2048, 3))
    return [
        ("an AK that may decrypt", soft(ak_attributes=0x00070472), "AikPub has attributes"),
        ("an AK that is not restricted", soft(ak_attributes=0x00040472), "AikPub has attributes"),
        ("an AK with another scheme", soft(ak_scheme=softguest.NULL), "AikPub has another scheme"),
        ("an AK with exponent 3", soft(ak_pub=ak3), "AikPub is not RSA-2048"),
        ("an AikPub without its size", soft(ak_pub=parts["ak_pub"][2:]), "AikPub: "),
        ("an AikPub with a byte more", soft(ak_pub=parts["ak_pub"] + b"\0"), "AikPub: .*left over"),
        ("an AK certificate of a false CA", soft(ak_issuer="vtpm-fake-ca"), "does not chain"),
        ("an AK certificate of the TLS CA", soft(ak_issuer="tls-ca"), "does not chain"),
        ("an expired AK certificate", soft(ak_days=(90, -1)), "expired"),
        ("an AK certificate of tomorrow", soft(ak_days=(-1, 30)), "expired or not yet"),
        ("an AK certificate for another key", soft(ak_cert_key=guest.other), "AikCert is for"),
        ("bytes after the AK certificate", soft(ak_cert=parts["ak_cert"] + b"\0\1"), "followed by"),
        ("an AK certificate that is none", soft(ak_cert=b"\x30\x03abc"), "not an X.509"),
        ("a quote without the magic", soft(quote={"magic": 0xFF544346}), "PcrQuote: .*magic"),
        ("a quote that is a certification", soft(quote_type=tpm2.ST_CERTIFY), "not a quote"),
        ("a quote with extra data", soft(quote={"extra": b"x"}), "PcrQuote has extra data"),
        ("a quote with a byte more", soft(quote={"tail": b"\0"}), "PcrQuote: .*left over"),
        ("a quote signed by another key", soft(quote_key=guest.other), "PcrSignature is not"),
        ("a quote over more registers", big_attest(guest), "does not select"),
        ("a quote over other values", soft(quote_digest=bytes(32)), "not over the PCRs"),
        ("an ephemeral key with a password", enc(attributes=0x00020472), "EncKeyPub has attrib"),
        ("an ephemeral key that signs", enc(attributes=0x00060432), "EncKeyPub has attrib"),
        ("an ephemeral key with RSAES", enc(scheme=struct.pack(">H", 0x15)), "other algorithms"),
        ("an ephemeral key without a policy", enc(policy=b""), "not bound to the PCRs"),
        ("an ephemeral key of other PCRs", enc(policy=tpm2.policy_pcr_digest([bytes(32)] * 8)),
         "not bound to the PCRs"),
        ("an ephemeral key with exponent 3", soft(enc_pub=e3), "EncKeyPub is not RSA-2048"),
        ("an ephemeral key cut short", soft(enc_pub=own[:-1], name=bytes(34)), "EncKeyPub: "),
        ("a certified key that is not the one sent", soft(name=tpm2.Public(other_n).name()),
         "certifies another key"),
        ("a certification that is a quote", soft(certify_type=tpm2.ST_QUOTE), "not a certificat"),
        ("a certification with extra data", soft(certify={"extra": b"x"}), "CertifyInfo has extra"),
        ("a certification without the magic", soft(certify={"magic": 1}), "CertifyInfo: .*magic"),
        ("a certification by another key", soft(certify_key=guest.other),
         "CertifyInfoSignature is not"),
    ] + hardware(guest, parts)


def hardware(guest, parts):
    """The SNP report, its chain and the runtime data."""
    soft, report, chain = guest.info, parts["report"], parts["chain"].decode()
    end = "-----END CERTIFICATE-----\n"
    vcek, ask, ark = (c + end for c in chain.split(end)[:3])
    flipped = report[:0x91] + bytes([report[0x91] ^ 1]) + report[0x92:]
    wrong = lambda **r: soft(report=r)      # noqa: E731
    rt = jose.strict_json(parts["runtime"])
    without = lambda **more: jose.compact(dict(rt, **more))     # noqa: E731
    key = rt["keys"][0]

    def proof(**members):
        return put(soft(), ("IsolationInfo",), softguest.isolation(parts, **members))

    doc = lambda data: put(soft(), ("IsolationInfo", "Evidence", "Proof"), jose.b64(data))  # noqa
    return [
        ("a proof that is no JSON", doc(b"{"), "Proof: not JSON"),
        ("a proof that is a list", doc(b"[]"), "Proof is not an object"),
        ("a proof without the chain", proof(VcekCertChain=None), "VcekCertChain is missing"),
        ("a proof with more", proof(Endorsements="e30"), "Endorsements is not a known"),
        ("evidence with more", put(soft(), ("IsolationInfo", "Evidence", "More"), 1), "More is"),
        ("a report in standard base64", proof(SnpReport=jose.b64(report + b"\0\0")), "SnpReport: "),
        ("a chain in base64url", proof(VcekCertChain=jose.b64u(b"\xfb\xff\xfe")), "VcekCertChain:"),
        ("an empty chain", proof(VcekCertChain=""), "VcekCertChain is empty"),
        ("a report with its 32-byte header", proof(
            SnpReport=jose.b64u(bytes(32) + report)), "1216 bytes"),
        ("report version 1", wrong(version=1), "report version 1"),
        ("report version 9", wrong(version=9), "report version 9"),
        ("another signature algorithm", wrong(signature_algo=2), "signature algorithm"),
        ("policy bit 17 clear", wrong(policy=0x1001F), "policy bit 17"),
        ("a report signed by another key", wrong(key=ec.generate_private_key(ec.SECP384R1())),
         "report's signature is wrong"),
        ("a flipped bit in the report", proof(SnpReport=jose.b64u(flipped)), "signature is wrong"),
        ("bytes in the signature's reserve", proof(SnpReport=jose.b64u(report[:-1] + b"\1")),
         "must be zero"),
        ("another TCB than the VCEK's", wrong(tcb=bytes(7) + b"\1"), "is for TCB"),
        ("another chip than the VCEK's", wrong(chip_id=bytes(64)), "another chip"),
        ("a chain without its root", soft(chain=(vcek + ask).encode()), "2 certificates"),
        ("a chain out of order", soft(chain=(ask + vcek + ark).encode()), "SnpReport: "),
        ("a chain with the ASK as VCEK", soft(chain=(ask + ask + ark).encode()), "SnpReport: "),
        ("another root", soft(chain=(vcek + ask + ask).encode()), "trusted ARK"),
        ("a chain that is no PEM", soft(chain=b"certificates"), "SnpReport: "),
        ("runtime data that is not bound", soft(bound=bytes(64)), "SHA-256 of the runtime"),
        ("report data not padded with zeros", soft(bound=softguest.hcl.binding(
            parts["runtime"])[:32] + b"\1" * 32), "SHA-256 of the runtime"),
        ("runtime data of another AK", soft(hcl_key=guest.other), "another key than AikPub"),
        ("runtime data without HCLAkPub", soft(runtime=without(keys=[dict(key, kid="HCLEkPub")])),
         "has no HCLAkPub"),
        ("runtime data without keys", soft(runtime=b"{}"), "RunTimeData: "),
        ("runtime data that is no JSON", soft(runtime=b"{]"), "RunTimeData: not JSON"),
        ("runtime data without vm-configuration", soft(runtime=without(**{
            "vm-configuration": None})), "vm-configuration"),
    ]


def envelope_of_request(t, env, guest):
    """What is around AttestationInfo: path, method, version, body."""
    url, good = "https://%s/attest/AzureGuest" % names.MAA_HOST, guest.info()
    body = {"AttestationInfo": jose.b64u(jose.compact(good))}
    post = lambda u, b, **h: refclient.call(u, env.ca, "POST", b, h)        # noqa: E731
    bad = (400, "InvalidParameter")
    t.refused(post(url, body), *bad, "api-version", "refused: no api-version")
    t.refused(post(url + "?api-version=1999-01-01", body), *bad, "api-version",
              "refused: an unknown api-version")
    t.refused(post(url + "?api-version=2018-09-01-preview", body), 401, "Unauthorized", "bearer",
              "refused: the old preview without a bearer token")
    url += "?api-version=2020-10-01"
    t.refused(post(url, b"{", **{"Content-Type": "application/json"}), *bad, "body", "refused: {")
    t.refused(post(url, []), *bad, "not an object", "refused: a list as body")
    t.refused(post(url, dict(body, more=1)), *bad, "exactly", "refused: more members")
    t.refused(post(url, {"AttestationInfo": jose.b64(jose.compact(good)) + "="}), *bad,
              "AttestationInfo: ", "refused: padded AttestationInfo")
    t.equal(post(url, body, **{"Content-Type": "text/plain"}).status, 415, "refused: text/plain")
    t.equal(refclient.call(url, env.ca).status, 405, "refused: GET")
    t.equal(post(url.replace("AzureGuest", "Guest"), body).status, 404, "refused: another path")
    answer = refclient.call(url, env.ca, "POST", body, {"Host": "elsewhere.example"})
    t.equal(answer.status, 404, "refused: another Host")
    answer = post(url, body)
    t.ok(answer.status == 200 and "x-ms-request-id" in answer.headers, "answers have a request id")


def logs(t, env, guest, log):
    """A parsable event log becomes claims; the setting makes it compulsory."""
    answer = refclient.attest(env.ca, guest.info(log=log))
    entry = env.ctl.log(service="maa")[-1]
    t.equal((answer.status, entry["facts"]["event-log"]["replays"]), (200, False),
            "an event log that does not replay is noted, not refused")
    env.ctl.setting("maa.require-event-log", True)
    t.refused(refclient.attest(env.ca, guest.info()), 400, "InvalidParameter", "TcgLogs is empty",
              "an empty event log is refused when the setting asks for one")
    env.ctl.setting("maa.require-event-log", False)


def imds(t, env):
    """IMDS: headers, selection of identities, resources."""
    by_name = {i["name"]: i for i in names.IDENTITIES}

    def bearer(status, error, pattern, name, **more):
        t.refused(refclient.bearer(**more), status, error, pattern, "IMDS refuses " + name)

    bearer(400, "bad_request_102", "metadata header", "no Metadata header", headers={})
    bearer(400, "invalid_request", "Forwarded", "X-Forwarded-For",
           headers={"Metadata": "true", "X-Forwarded-For": "10.0.0.1"})
    bearer(400, "invalid_request", "api-version", "no api-version", version=None)
    bearer(400, "invalid_request", "'resource' is missing", "no resource", resource=None)
    bearer(400, "invalid_resource", "AADSTS500011", "a slash at the end of the resource",
           resource="https://vault.azure.net/")
    bearer(400, "invalid_request", "Unknown query", "mi_res_id", mi_res_id="x")
    bearer(400, "invalid_request", "Identity not found", "an unknown client id", client_id="x")
    bearer(400, "invalid_request", "Only one", "two selectors", client_id="x", object_id="y")
    for selector in ("client_id", "object_id", "msi_res_id"):
        answer = refclient.bearer(**{selector: by_name["user-release"][selector]})
        t.equal(jose.Jws(answer.json["access_token"]).claims()["oid"],
                by_name["user-release"]["object_id"], "IMDS selects by " + selector)
    answer = refclient.bearer("https://managedhsm.azure.net")
    claims = jose.Jws(answer.json["access_token"]).claims()
    t.equal((claims["aud"], claims["oid"], type(answer.json["expires_in"])),
            ("https://managedhsm.azure.net", by_name["system"]["object_id"], str),
            "IMDS takes the system's identity when none is named")
    env.ctl.identities("user-release", "user-norole")
    bearer(400, "invalid_request", "Multiple user assigned", "an ambiguous identity")
    env.ctl.identities("user-norole")
    t.equal(refclient.bearer().status, 200, "IMDS takes the only identity")
    env.ctl.identities()
    bearer(400, "invalid_request", "Identity not found", "a VM without identities")
    env.ctl.reset()
    env.ctl.setting("imds.propagating", 1)
    t.equal([refclient.bearer().status for _ in range(2)], [400, 200], "IMDS: identity propagates")
    base = "http://%s/metadata/" % names.IMDS
    meta = {"Metadata": "true"}
    t.equal(refclient.call(base + "THIM/amd/certification").status, 400, "THIM wants the header")
    t.equal(refclient.call(base + "nothing", headers=meta).status, 404, "IMDS: unknown path")
    t.equal(refclient.call(base + "THIM/amd/certification", None, "POST", {}, meta).status, 405,
            "IMDS: POST")


def run(t, env):
    """All of them."""
    guest = softguest.SoftGuest(env.state)
    t.run("shapes", shapes, env, guest)
    for what, info, pattern in proofs(guest):
        t.refused(refclient.attest(env.ca, info), 400, "InvalidParameter", pattern,
                  "refused: " + what)
    t.run("requests", envelope_of_request, env, guest)
    t.run("event logs", logs, env, guest, selftest_unit.sample_log())
    t.run("IMDS", imds, env)
