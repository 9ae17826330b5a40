"""Every check of /attest/SevSnpVm, violated one at a time; the same for the report in AzureGuest."""

import hashlib

import amdcert
import hcl
import jose
import names
import refclient
import snp
import softguest
import softsnp

BAD = (400, "InvalidParameter")
# Evidence that cannot but fail two checks, or ends the examination.
NOT_ALONE = ("its root", "one more", "no PEM", "garbage", "out of order", "a microcode level",
             "1216 bytes", "1183 bytes", "by the VLEK", "nobody signed", "reserve",
             "of older firmware", "in the signature")


def offline(raw, chain, trusted):
    """The names of the checks that fail when all are made."""
    failed = []

    def check(name, ok, _text):
        if not ok:
            failed.append(name)

    try:
        snp.verify_report(raw, chain, trusted, None, check)
    except (AttributeError, TypeError, ValueError, UnboundLocalError):
        pass            # it could not go on after what failed
    return failed


def evidence(t, env, guest, azure):
    """Reports and chains, by their checks alone, at the one endpoint and at the other."""
    product = guest.host.product.name
    runtime = guest.runtime()
    for what, raw, chain, check, message in (
            softsnp.reports(guest.host, hcl.binding(runtime)) +
            softsnp.chains(guest.host, hcl.binding(runtime))):
        failed = offline(raw, chain, guest.host.trusted())
        alone = not any(words in what for words in NOT_ALONE)
        t.ok(failed[:1] == [check] and (len(failed) == 1 or not alone),
             "%s: %s fails %s%s" % (product, what, check, " and nothing else" if alone else ""),
             failed)
        t.refused(refclient.attest_snp(env.ca, guest.body(runtime, raw=raw, chain=chain)), *BAD,
                  "SnpReport: .*" + message, "SevSnpVm refuses %s: %s" % (product, what))
    if not azure:
        return
    soft = softguest.SoftGuest(env.state)
    parts = soft.parts()
    bound = hcl.binding(parts["runtime"])
    for what, raw, chain, _, message in (softsnp.reports(soft.host, bound) +
                                         softsnp.chains(soft.host, bound)):
        info = soft.info()
        info["IsolationInfo"] = softguest.isolation(
            parts, SnpReport=jose.b64u(raw), VcekCertChain=jose.b64(chain.encode()))
        t.refused(refclient.attest(env.ca, info), *BAD, "SnpReport: .*" + message,
                  "AzureGuest refuses " + what)


def claims_of(answer):
    """The claims of a token in an answer."""
    return jose.Jws(answer.json["token"]).claims()


def accepted(t, env, guest):
    """What is taken, and the claims that come of it."""
    product = guest.host.product
    for version in (2, 3, 5):
        answer = refclient.attest_snp(env.ca, guest.body(report={"version": version}))
        t.equal(answer.status, 200, "SevSnpVm attests %s, version %d" % (product.name, version))
    runtime = guest.runtime()
    raw = snp.build(guest.host, hcl.binding(runtime), host_data=b"\2" * 32, author=b"\3" * 48,
                    guest_svn=7, family_id=b"\4" * 16, image_id=b"\5" * 16,
                    measurement=b"\6" * 48, vmpl=2, policy=snp.POLICY | snp.POLICY_MA)
    report, tcb = snp.Report(raw), dict(zip(product.layout, guest.host.tcb))
    got = claims_of(refclient.attest_snp(env.ca, guest.body(runtime, raw=raw)))
    want = {"authorkeydigest": "03" * 48, "bootloader-svn": tcb["bl"], "familyId": "04" * 16,
            "guestsvn": 7, "hostdata": "02" * 32, "idkeydigest": "1d" * 48, "imageId": "05" * 16,
            "is-debuggable": False, "launchmeasurement": "06" * 48,
            "microcode-svn": tcb["ucode"], "migration-allowed": True,
            "reportdata": report.report_data.hex(), "reportid": report.report_id.hex(),
            "smt-allowed": True, "snpfw-svn": tcb["snp"], "tee-svn": tcb["tee"], "vmpl": 2}
    t.equal({n[len("x-ms-sevsnpvm-"):]: v for n, v in got.items() if n.startswith("x-ms-sevsnpvm")},
            want, product.name + ": the claims of the report")
    t.equal((got["iss"], got["exp"] - got["iat"], got["x-ms-attestation-type"], got["x-ms-ver"],
             got["nonce"], "x-ms-compliance-status" in got, "x-ms-inittime" in got),
            ("https://" + names.MAA_HOST, 28800, "sevsnpvm", "1.0", softsnp.NONCE, False, False),
            product.name + ": the other claims")
    t.equal(list(got["x-ms-runtime"].items()), list(jose.strict_json(runtime).items()),
            product.name + ": the runtime data as it was")


FORMS = [       # a request that is wrong in its form: (what, changes, message)
    ("no report", {"report": None}, "needs report"),
    ("no runtimeData", {"runtimeData": None}, "needs report"),
    ("an unknown member", {"quote": "x"}, "knows no more"),
    ("a nonce that is a number", {"nonce": 5}, "nonce is not a string"),
    ("a nonce that is null", {"nonce": [None]}, "nonce is not a string"),
    ("a draft policy that is no text", {"draftPolicyForAttestation": {}}, "Attestation is not a st"),
    ("a report that is an object", {"report": {}}, "report: not a string"),
    ("an empty report", {"report": ""}, "report is empty"),
    ("a report in standard base64", {"report": "e30+"}, "report: not base64url"),
    ("a report with wrong padding", {"report": "e30=="}, "report: wrong base64url padding"),
    ("a report that is no JSON", {"report": jose.b64u(b"{")}, "report: not JSON"),
    ("a report that is a list", {"report": jose.b64u(b"[]")}, "report is not an object"),
    ("a report with members twice", {"report": jose.b64u(b'{"a":1,"a":1}')}, "report: .*twice"),
    ("runtimeData that is text", {"runtimeData": "x"}, "runtimeData is not an object"),
    ("runtimeData without data", {"runtimeData": {"dataType": "JSON"}}, "data is missing"),
    ("runtimeData without dataType", {"runtimeData": {"data": "e30"}}, "dataType is missing"),
    ("runtimeData with more", {"runtimeData": {"data": "e30", "dataType": "JSON", "x": 1}},
     "runtimeData.x is not"),
    ("dataType json", {"runtimeData": {"data": "e30", "dataType": "json"}}, "neither JSON nor"),
    ("a dataType that is a list", {"runtimeData": {"data": "e30", "dataType": ["JSON"]}},
     "neither JSON nor"),
    ("runtime data in standard base64", {"runtimeData": {"data": "e30+", "dataType": "JSON"}},
     "runtimeData.data: not base64url"),
    ("empty runtime data", {"runtimeData": {"data": "", "dataType": "JSON"}},
     "runtimeData.data is empty"),
    ("initTimeData that is text", {"initTimeData": "x"}, "initTimeData is not an object"),
    ("initTimeData without data", {"initTimeData": {"dataType": "JSON"}}, "data is missing"),
    ("initTimeData of another type", {"initTimeData": {"data": "eA", "dataType": ""}},
     "initTimeData.dataType is neither"),
    ("initTimeData in standard base64", {"initTimeData": {"data": "e30+", "dataType": "Binary"}},
     "initTimeData.data: not base64url"),
    ("empty initTimeData that has a type", {"initTimeData": {"data": "", "dataType": "Binary"}},
     "initTimeData.data is empty"),
    ("initTimeData that is not HOST_DATA's", {"initTimeData": {"data": "eA", "dataType": "Binary"}},
     "SHA-256 of initTimeData"),
    ("initTimeData that is a list", {"initTimeData": {"data": "WzFd", "dataType": "JSON"}},
     "initTimeData.data is not an object"),
    ("initTimeData that is no JSON", {"initTimeData": {"data": "eA", "dataType": "JSON"}},
     "initTimeData.data: not JSON")]


def forms(t, env, guest):
    """Requests that are wrong in their form."""
    ask = lambda body, **more: refclient.attest_snp(env.ca, body, **more)     # noqa: E731
    good = guest.body()
    t.equal(ask(good).status, 200, "SevSnpVm: the control is accepted")
    for what, changes, message in FORMS:
        changes = {n: v for n, v in dict(good, **changes).items() if v is not None}
        if changes.get("nonce") == [None]:
            changes["nonce"] = None
        t.refused(ask(changes), *BAD, message, "SevSnpVm refuses " + what)
    for name in ("SnpReport", "VcekCertChain"):
        proof = guest.proof(snp.build(guest.host, hcl.binding(guest.runtime())))
        for what, value, message in (("absent", None, "is missing"), ("a number", 5, "not a str"),
                                     ("empty", "", "is empty"), ("no base64", "+/", "not base64")):
            changed = {n: v for n, v in dict(proof, **{name: value}).items() if v is not None}
            t.refused(ask(guest.body(proof=changed)), *BAD, "%s.*%s" % (name, message),
                      "SevSnpVm refuses %s that is %s" % (name, what))
    t.refused(ask(guest.body(proof=dict(proof, Quote="x"))), *BAD, "Quote is not a known",
              "SevSnpVm refuses another member of report")
    padded = {n: v + "=" * (-len(v) % 4) for n, v in proof.items()}
    body = guest.body(proof=padded)
    body["report"] += "=" * (-len(body["report"]) % 4)
    body["runtimeData"]["data"] += "=" * (-len(body["runtimeData"]["data"]) % 4)
    t.equal(ask(body).status, 200, "SevSnpVm takes padded base64url")
    t.refused(ask(good, version="2018-09-01-preview"), 401, "Unauthorized", "bearer",
              "SevSnpVm: the old preview wants a token")
    t.refused(ask(good, version="2022-08-02"), *BAD, "api-version", "SevSnpVm: api-version")
    for version in ("2020-10-01", "2025-06-01"):
        t.equal(ask(good, version=version).status, 200, "SevSnpVm: api-version " + version)
    t.equal(ask(good, **{"Content-Type": "text/json"}).status, 415, "SevSnpVm: content type")
    t.refused(ask(jose.compact(good)[:-1], **{"Content-Type": "application/json"}), *BAD, "body",
              "SevSnpVm refuses cut JSON")
    t.refused(ask([]), *BAD, "not an object", "SevSnpVm refuses a list")
    url = "https://%s/attest/sevsnpvm?api-version=2022-08-01" % names.MAA_HOST
    t.equal((refclient.call(url, env.ca).status, refclient.call(url, env.ca, "POST", good).status),
            (405, 200), "SevSnpVm: POST only, the path in any case")


def data(t, env, guest):
    """Runtime data, initTimeData, Endorsements, draft policy."""
    ask = lambda **wishes: refclient.attest_snp(env.ca, guest.body(**wishes))     # noqa: E731
    runtime = guest.runtime()
    digest = hashlib.sha256(runtime).digest()
    for what, bound in (("another hash", bytes(64)), ("the hash of other data", hcl.binding(b"{}")),
                        ("no zeros after the hash", digest + b"\0" * 31 + b"\1"),
                        ("the hash in the second half", bytes(32) + digest)):
        t.refused(ask(bound=bound), *BAD, "SHA-256 of the runtime data", "SevSnpVm refuses " + what)
    t.refused(ask(runtime=b"[1]"), *BAD, "data is not an object", "runtime data that is a list")
    t.refused(ask(runtime=b"{]"), *BAD, "data: not JSON", "runtime data that is no JSON")
    got = claims_of(ask(runtime=b"\xffnot JSON", kind="Binary"))
    t.ok("x-ms-runtime" not in got, "binary runtime data is not in the token")
    for kind, text in (("Binary", b"package policy\n"), ("JSON", b'{"a":{"b":1}}')):
        init = {"data": jose.b64u(text), "dataType": kind}
        host_data = hashlib.sha256(text).digest()
        got = claims_of(ask(report={"host_data": host_data}, initTimeData=init))
        t.equal((got["x-ms-sevsnpvm-hostdata"], got.get("x-ms-inittime")),
                (host_data.hex(), jose.strict_json(text) if kind == "JSON" else None),
                "initTimeData that is %s" % kind)
        t.refused(ask(report={"host_data": host_data[::-1]}, initTimeData=init), *BAD,
                  "SHA-256 of initTimeData", "another HOST_DATA")
    t.equal(ask(initTimeData={"data": "", "dataType": ""}).status, 200, "initTimeData left empty")
    got = claims_of(ask(nonce=None))
    t.ok("nonce" not in got, "no nonce, no claim")
    token = ask(draftPolicyForAttestation="policy").json["token"]
    header, payload, signature = token.split(".")
    t.equal((jose.strict_json(jose.un64u(header)), signature, jose.strict_json(
        jose.un64u(payload))["x-ms-attestation-type"]), ({"alg": "none", "typ": "JWT"}, "",
                                                         "sevsnpvm"), "draft policy: unsecured")


def endorsements(t, env, guest):
    """Endorsements of the confidential containers' kind."""
    raw = snp.build(guest.host, hcl.binding(guest.runtime()))
    right = softsnp.endorsement(snp.Report(raw).measurement)

    def ask(value, report=raw):
        text = value if isinstance(value, str) else jose.b64u(
            value if isinstance(value, bytes) else jose.compact(value))
        return refclient.attest_snp(env.ca, guest.body(proof=guest.proof(
            report, Endorsements=text)))

    def status(answer):
        return claims_of(answer).get("x-ms-compliance-status")

    t.equal(status(ask({"Uvm": [jose.b64u(right)]})), "azure-compliant-uvm", "an endorsed guest")
    t.equal(status(ask({"Uvm": [jose.b64u(right[1:])]})), "azure-compliant-uvm", "without a tag")
    t.equal(status(ask({"Uvm": [jose.b64u(softsnp.endorsement(bytes(48)))]})), None,
            "an endorsement of another guest is of no use")
    debug = snp.build(guest.host, hcl.binding(guest.runtime()),
                      policy=snp.POLICY | snp.POLICY_DEBUG)
    t.equal(status(ask({"Uvm": [jose.b64u(right)]}, debug)), None, "nor for a debuggable guest")
    for what, value, message in (
            ("that are no base64", "+", "Endorsements: not base64url"),
            ("that are empty", "", "Endorsements is empty"),
            ("that are no JSON", b"Uvm", "Endorsements: not JSON"),
            ("that are a list", [], "Endorsements is not an object"),
            ("without Uvm", {}, "Uvm is missing"), ("with more", {"Uvm": ["x"], "More": 1}, "More"),
            ("whose Uvm is text", {"Uvm": "x"}, "Uvm is not a list"),
            ("whose Uvm is empty", {"Uvm": []}, "Uvm is not a list"),
            ("whose Uvm has a number", {"Uvm": [5]}, "Uvm: not a string"),
            ("whose Uvm has an empty text", {"Uvm": [""]}, "Uvm is empty"),
            ("with something else than COSE", {"Uvm": [jose.b64u(b"{}")]}, "not a COSE_Sign1"),
            ("with a cut COSE", {"Uvm": [jose.b64u(right[:-1])]}, "not a COSE_Sign1"),
            ("with more than COSE", {"Uvm": [jose.b64u(right + b"\0")]}, "not a COSE_Sign1"),
            ("with another CBOR tag", {"Uvm": [jose.b64u(b"\xd1" + right[1:])]}, "not a COSE")):
        t.refused(ask(value), *BAD, message, "SevSnpVm refuses endorsements " + what)


def policy(t, env, guest):
    """What an instance may demand; a debuggable guest is attested as such unless it does."""
    layout, tcb = guest.host.product.layout, guest.host.tcb
    ask = lambda **report: refclient.attest_snp(env.ca, guest.body(report=report))    # noqa: E731
    for at in sorted({layout.index(n) for n in ("bl", "snp", "ucode", "fmc") if n in layout}):
        least = bytearray(tcb)
        least[at] += 1
        env.ctl.setting("maa.min-tcb", bytes(least[::-1]).hex().upper())
        t.refused(ask(), *BAD, "%s is below the baseline %s .%s" % (
            tcb[::-1].hex(), bytes(least[::-1]).hex(), layout[at]), "a TCB below the baseline")
    env.ctl.setting("maa.min-tcb", tcb[::-1].hex())
    t.equal(ask().status, 200, "a TCB at the baseline")
    old = guest.host.old_tcb
    chain = guest.host.vcek(old)[1] + guest.host.chain_pem
    body = guest.body(report={"tcb": old, "key": guest.host.vcek(old)[0]}, chain=chain)
    t.refused(refclient.attest_snp(env.ca, body), *BAD, "below the baseline", "older firmware")
    env.ctl.setting("maa.min-tcb", "")
    t.equal(refclient.attest_snp(env.ca, body).status, 200, "older firmware without a baseline")
    debug = {"policy": snp.POLICY | snp.POLICY_DEBUG}
    t.equal(claims_of(ask(**debug))["x-ms-sevsnpvm-is-debuggable"], True, "a debuggable guest")
    env.ctl.setting("maa.deny-debug", True)
    t.refused(ask(**debug), 400, "PolicyEvaluationError", "deny", "which a policy denies")
    t.equal(ask().status, 200, "and that one only")
    env.ctl.setting("maa.deny-debug", False)


def tampers(t, env, guest):
    """Tokens that lie."""
    def token(what):
        env.ctl.tamper("maa", what, count=1)
        return refclient.attest_snp(env.ca, guest.body()).json.get("token")

    good = claims_of(refclient.attest_snp(env.ca, guest.body()))
    for what, path in (("token-key", ("x-ms-runtime", "keys")), ("issuer", ("iss",)),
                       ("nonce", ("x-ms-runtime", "latchkey", "boot-nonce")), ("echo", ("nonce",)),
                       ("type", ("x-ms-attestation-type",))):
        was, now = good, jose.Jws(token(what)).claims()
        for step in path:
            was, now = was[step], now[step]
        t.ok(was != now and now, "SevSnpVm: tamper " + what)
    t.ok(token("unsecured").endswith("."), "SevSnpVm: tamper unsecured")
    t.equal(token("no-token"), None, "SevSnpVm: tamper no-token")
    first = jose.Jws(token("jwt-signature"))
    keys = refclient.call("https://%s/certs" % names.MAA_HOST, env.ca).json["keys"]
    t.ok(first.header["kid"] in [k["kid"] for k in keys], "SevSnpVm: tamper jwt-signature")


def run(t, env):
    """All of them; what depends on the processor for each."""
    for product in amdcert.PRODUCTS:
        env.ctl.host(product)
        guest = softsnp.SnpGuest(env.state)
        for group in (accepted, policy):
            t.run(group.__name__, group, env, guest)
        t.run("evidence", evidence, env, guest, product == "Milan")
    env.ctl.reset()
    guest = softsnp.SnpGuest(env.state)
    for group in (forms, data, endorsements, tampers):
        t.run(group.__name__, group, env, guest)
        env.ctl.reset()
