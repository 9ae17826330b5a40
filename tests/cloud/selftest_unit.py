"""Checks without a network: formats, policy grammar, RFC 5649, real data if VECTORS is set."""

import datetime
import hashlib
import json
import os

import amdcert
import der
import hcl
import jose
import policy
import release
import snp
import tcglog
import tpm2

CLAIMS = {"s": "text", "t": True, "f": False, "n": 5, "zero": 0, "ns": "7", "null": None,
          "list": [1], "deep": {"er": {"s": "x"}}, "a.b": {"c": "dotted"}}
# (condition, holds)
CONDITIONS = [
    ({"claim": "s", "equals": "text"}, True), ({"claim": "s", "equals": "Text"}, False),
    ({"claim": "t", "equals": "true"}, True), ({"claim": "t", "equals": True}, True),
    ({"claim": "t", "equals": "false"}, False), ({"claim": "f", "equals": "false"}, True),
    ({"claim": "t", "equals": 1}, False), ({"claim": "n", "equals": 5}, True),
    ({"claim": "n", "equals": "5"}, True), ({"claim": "zero", "equals": False}, False),
    ({"claim": "n", "equals": 6}, False), ({"claim": "n", "notEquals": 6}, True),
    ({"claim": "s", "notEquals": "text"}, False), ({"claim": "no", "notEquals": "x"}, False),
    ({"claim": "n", "less": 6}, True), ({"claim": "n", "less": 5}, False),
    ({"claim": "n", "lessOrEquals": 5}, True), ({"claim": "n", "lessOrEquals": 4}, False),
    ({"claim": "n", "greater": 4}, True), ({"claim": "n", "greater": 5}, False),
    ({"claim": "n", "greaterOrEquals": 5}, True), ({"claim": "n", "greaterOrEquals": 6}, False),
    ({"claim": "ns", "greater": "6"}, True), ({"claim": "s", "greater": 1}, False),
    ({"claim": "t", "less": 2}, False), ({"claim": "no", "less": 2}, False),
    ({"claim": "s", "exists": True}, True), ({"claim": "no", "exists": True}, False),
    ({"claim": "no", "exists": "false"}, True), ({"claim": "s", "exists": False}, False),
    ({"claim": "deep.er.s", "equals": "x"}, True), ({"claim": "deep.er", "equals": "x"}, False),
    ({"claim": "deep.no.s", "equals": "x"}, False), ({"claim": "a.b.c", "equals": "dotted"}, True),
    ({"claim": "list", "equals": 1}, False), ({"claim": "list.0", "equals": 1}, False),
    ({"claim": "null", "equals": "null"}, False), ({"claim": "null", "exists": True}, True),
    ({"allOf": [{"claim": "n", "equals": 5}, {"claim": "s", "equals": "text"}]}, True),
    ({"allOf": [{"claim": "n", "equals": 5}, {"claim": "s", "equals": "no"}]}, False),
    ({"anyOf": [{"claim": "n", "equals": 9}, {"claim": "s", "equals": "text"}]}, True),
    ({"anyOf": [{"allOf": [{"claim": "t", "equals": True}, {"anyOf": [
        {"claim": "n", "equals": 5}]}]}]}, True)]


def wrapped(condition, authority="https://a.example", word="allOf"):
    """A policy around one condition."""
    return {"version": "1.0.0", "anyOf": [{"authority": authority, word: [condition]}]}


GOOD = {"claim": "c", "equals": "x"}
BAD_POLICIES = [
    [], {"version": "1.0.0"}, {"anyOf": []}, {"version": "1.0.0", "anyOf": []},
    {"version": "9", "anyOf": [{"authority": "https://a", "allOf": [GOOD]}]},
    {"version": "1.0.0", "allOf": [{"authority": "https://a", "allOf": [GOOD]}]},
    {"version": "1.0.0", "anyOf": [{"allOf": [GOOD]}]},
    {"version": "1.0.0", "anyOf": [{"authority": "https://a"}]},
    {"version": "1.0.0", "anyOf": [{"authority": "https://a", "allOf": [GOOD], "anyOf": [GOOD]}]},
    {"version": "1.0.0", "anyOf": [{"authority": "https://a", "allof": [GOOD]}]},
    {"version": "1.0.0", "anyOf": [{"authority": "https://a", "allOf": []}]},
    wrapped(GOOD, "http://a.example"), wrapped(GOOD, 5), wrapped({"claim": "c"}),
    wrapped({"equals": "x"}), wrapped({"claim": "", "equals": "x"}),
    wrapped({"claim": "c", "equals": "x", "less": 3}), wrapped({"claim": "c", "matches": "x"}),
    wrapped({"claim": "c", "condition": "equals", "value": "x"}),
    wrapped({"claim": "c", "equals": ["x"]}), wrapped({"claim": "c", "equals": None}),
    wrapped({"claim": "c", "exists": "yes"}), wrapped({"allOf": [GOOD], "claim": "c"}),
    wrapped({"anyOf": []}), wrapped("c")]


def policies(t):
    """The grammar of release policies and its meaning."""
    for condition, holds in CONDITIONS:
        policy.check(wrapped(condition))
        t.equal(policy.met({"allOf": [condition]}, CLAIMS), holds,
                "policy: %s is %s" % (json.dumps(condition), str(holds).lower()))
    for text in BAD_POLICIES:
        try:
            policy.check(text)
            t.ok(False, "policy refused: %s" % json.dumps(text))
        except policy.PolicyError as e:
            t.ok(True, "policy refused: %s" % e)
    nested = GOOD
    for _ in range(40):
        nested = {"allOf": [nested]}
    try:
        policy.check(wrapped(nested))
        t.ok(False, "policy nested too deeply is refused")
    except policy.PolicyError:
        t.ok(True, "policy nested too deeply is refused")


def key_wrap(t):
    """RFC 5649, section 6."""
    kek = bytes.fromhex("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8")
    for data, wrapped_hex in (
            ("c37b7e6492584340bed12207808941155068f738",
             "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a"),
            ("466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f")):
        t.equal(release.kwp(kek, bytes.fromhex(data)).hex(), wrapped_hex,
                "RFC 5649: %d bytes" % (len(data) // 2))


def encodings(t):
    """Base64 and JSON are read strictly."""
    for function, bad in ((jose.un64, ["YQ", "YQ=", "YR==", "Y Q==", "YQ==\n", "_-A=", "Y"]),
                          (jose.un64u, ["YQ==", "YR", "Y", "a+b/", "Y Q", "YQ\n"]),
                          (jose.strict_json, ['{"a":1,"a":2}', "NaN", "[1,]", "", "{} {}",
                                              '{"a":Infinity}', b"\xff", b"\xef\xbb\xbf{}"])):
        for text in bad:
            try:
                function(text)
                t.ok(False, "%s refuses %r" % (function.__name__, text))
            except jose.FormatError:
                t.ok(True, "%s refuses %r" % (function.__name__, text))
    t.equal((jose.un64("YQ=="), jose.un64u("YQ")), (b"a", b"a"), "good base64 is read")
    jwk = {"kty": "RSA", "e": "AQAB", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cb"
           "bfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXA"
           "rwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvR"
           "L5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1"
           "jF44-csFCur-kEgU8awapJzKnqDKgw"}
    t.equal(jose.thumbprint(jwk), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
            "RFC 7638 thumbprint")
    t.equal(der.oid("1.3.6.1.4.1.3704.1.3.8").hex(), "060a2b060104019c78010308", "DER object id")
    t.equal([der.integer(n).hex() for n in (0, 127, 128, 219)],
            ["020100", "02017f", "02020080", "020200db"], "DER integers")


def sample_log():
    """A crypto-agile log with one event, which says that secure boot is on."""
    spec = b"Spec ID Event03\0" + bytes(8) + bytes.fromhex("01000000" "0b002000" "00")
    variable = (bytes(16) + (10).to_bytes(8, "little") + (1).to_bytes(8, "little") +
                tcglog.SECURE_BOOT + b"\1")
    digest = hashlib.sha256(variable).digest()
    log = ((0).to_bytes(4, "little") + (3).to_bytes(4, "little") + bytes(20) +
           len(spec).to_bytes(4, "little") + spec +
           (7).to_bytes(4, "little") + (0x80000001).to_bytes(4, "little") +
           (1).to_bytes(4, "little") + (11).to_bytes(2, "little") + digest +
           len(variable).to_bytes(4, "little") + variable)
    return log


def event_log(t):
    """A crypto-agile log is parsed and replayed; a cut one is refused."""
    log = sample_log()
    agile, events = tcglog.parse(log)
    t.ok(agile and len(events) == 2, "event log: both events read")
    t.equal(tcglog.replay(events),
            {7: hashlib.sha256(bytes(32) + events[1][2][tcglog.SHA256]).digest()},
            "event log: replay")
    t.equal(tcglog.secure_boot(events), True, "event log: secure boot is on")
    for cut in (1, 40, len(log) - 1):
        try:
            tcglog.parse(log[:cut])
            t.ok(False, "event log cut at %d is refused" % cut)
        except tcglog.LogError:
            t.ok(True, "event log cut at %d is refused" % cut)


def real_report(t, vectors):
    """The real Milan report and chain verify, and stop verifying when touched."""
    with open(os.path.join(vectors, "snp", "milan-v2-report.bin"), "rb") as f:
        report = f.read()
    with open(os.path.join(vectors, "snp", "milan-thim.json"), encoding="utf-8") as f:
        thim = json.load(f)
    end = "-----END CERTIFICATE-----"
    ark = thim["certificateChain"].split(end)[1].strip() + "\n" + end + "\n"
    chain = thim["vcekCert"] + thim["certificateChain"]
    at = datetime.datetime(2024, 1, 1)
    t.equal(amdcert.ark_thumbprint(ark),
            "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd", "real: AMD's ARK")
    got, product = snp.verify_report(report, chain, ark, at)
    t.equal(got.report_data[:32], hashlib.sha256(b'{\n   "akey" : "avalue"\n}\n').digest(),
            "real: the report verifies and is bound")
    t.equal(product.name, "Milan", "real: by Milan's root")
    t.equal(got.reported_tcb[::-1].hex(), thim["tcbm"].lower(), "real: TCB is tcbm")
    for what, data, pem, when in (
            ("a flipped bit in the report", report[:0x90] + b"\0" + report[0x91:], chain, at),
            ("a flipped bit in the signature", report[:0x2A0] + b"\0" + report[0x2A1:], chain, at),
            ("the chain without its root", report, chain.rsplit("-----BEGIN", 1)[0], at),
            ("the chain out of order", report, thim["certificateChain"] + thim["vcekCert"], at),
            ("an expired VCEK", report, chain, datetime.datetime(2030, 1, 1))):
        try:
            snp.verify_report(data, pem, ark, when)
            t.ok(False, "real: %s is refused" % what)
        except snp.ReportError as e:
            t.ok(True, "real: %s is refused: %s" % (what, e))


def real_captures(t, vectors):
    """Real HCL reports and the captured TPM structures parse."""
    for name, kind, at in (("hcl-report-snp.bin", hcl.SNP, 0x50),
                           ("hcl-report-tdx.bin", hcl.TDX, 0x80)):
        with open(os.path.join(vectors, "hcl", name), "rb") as f:
            got, report, runtime = hcl.parse(f.read())
        t.ok(got == kind and report[at:at + 64] == hcl.binding(runtime), "real: %s is bound" % name)
    path = os.path.join(vectors, "azureguest", "attest.AttestationInfo.json")
    with open(path, encoding="utf-8") as f:
        tpm = json.load(f)["TpmInfo"]
    raw = {n: jose.un64(v) for n, v in tpm.items() if isinstance(v, str)}
    pcrs = [jose.un64(p["Digest"]) for p in tpm["PCRs"]]
    ak, enc = tpm2.Public(raw["AikPub"]), tpm2.Public(raw["EncKeyPub"])
    quote, certify = tpm2.Attest(raw["PcrQuote"]), tpm2.Attest(raw["EncKeyCertifyInfo"])
    t.equal(ak.attributes, tpm2.AK_ATTRIBUTES, "capture: attributes of the AK")
    t.equal(enc.policy, tpm2.policy_pcr_digest(pcrs), "capture: policy of the ephemeral key")
    t.equal((quote.pcr_digest, quote.pcr_select), (tpm2.pcr_digest(pcrs), tpm2.pcr_selection()),
            "capture: the quote is over the PCRs")
    t.equal(certify.name, enc.name(), "capture: the certification is of the ephemeral key")


def run(t):
    """All of them."""
    for group in (policies, key_wrap, encodings, event_log):
        t.run(group.__name__, group)
    vectors = os.environ.get("VECTORS")
    for group in (real_report, real_captures):
        if vectors:
            t.run(group.__name__, group, vectors)
        else:
            t.skip(group.__name__, "VECTORS is not set")
