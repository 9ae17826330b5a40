"""Each fault does what it says, and the ones on attestation and IMDS tamper as they say."""

import http.client
import socket
import ssl
import time

import jose
import names
import refclient
import softguest

URL = "https://%s/certs" % names.MAA2_HOST
DOWN = (OSError, http.client.HTTPException, ssl.SSLError)


def outcome(env, url=URL, timeout=2):
    """Status of a GET, or the name of what happened instead."""
    try:
        return refclient.call(url, env.ca, timeout=timeout).status
    except ssl.SSLCertVerificationError as e:
        return e.verify_message.split(",")[0]
    except DOWN as e:
        return type(e).__name__


def connections(t, env):
    """Faults when a connection arrives."""
    for kind, more, want in (
            ("refuse", {}, "ConnectionRefusedError"), ("blackhole", {}, "TimeoutError"),
            ("reset", {}, "ConnectionResetError"),
            ("tls", {"cert": "expired"}, "certificate has expired"),
            ("tls", {"cert": "other-ca"}, "unable to get local issuer certificate")):
        env.ctl.fault("maa2", kind, **more)
        time.sleep(0.15)
        t.equal(outcome(env, timeout=1), want, "fault %s %s" % (kind, more.get("cert", "")))
        env.ctl.clear("maa2")
        time.sleep(0.15)
    env.ctl.fault("maa2", "tls", cert="wrong-host")
    t.ok("Hostname mismatch" in str(outcome(env)), "fault tls wrong-host")
    env.ctl.clear()
    env.ctl.fault("maa2", "tls", max="1.2")
    try:
        refclient.call(URL, env.ca, version=ssl.TLSVersion.TLSv1_3)
        t.ok(False, "fault tls max=1.2: a TLS 1.3 client fails")
    except ssl.SSLError:
        t.ok(True, "fault tls max=1.2: a TLS 1.3 client fails")
    env.ctl.clear()
    t.equal(outcome(env), 200, "cleared: all is well")


def requests(t, env):
    """Faults when a request has been read."""
    for kind, more, want in (
            ("status", {"status": 503, "body": "busy"}, 503), ("hang", {}, "TimeoutError"),
            ("drop", {}, "RemoteDisconnected"), ("truncate", {}, "IncompleteRead"),
            ("garbage", {}, "BadStatusLine"), ("badjson", {}, 200), ("oversize", {}, 200)):
        env.ctl.fault("maa2", kind, **more)
        t.equal(outcome(env, timeout=1.5), want, "fault %s" % kind)
        env.ctl.clear()
    honest = refclient.call(URL, env.ca).body
    for kind in ("chunked", "slow"):
        env.ctl.fault("maa2", kind, bytes=300, seconds=0.01)
        t.equal(refclient.call(URL, env.ca).body, honest, "fault %s: the answer is whole" % kind)
        env.ctl.clear()
    env.ctl.fault("maa2", "throttle", seconds=3, count=1)
    answer = refclient.call(URL, env.ca)
    t.equal((answer.status, answer.headers["retry-after"]), (429, "3"), "fault throttle")
    t.equal(outcome(env), 200, "count=1: the next one is answered")
    env.ctl.fault("maa2", "delay", seconds=0.5, count=1)
    start = time.monotonic()
    t.ok(outcome(env) == 200 and time.monotonic() - start >= 0.5, "fault delay")
    env.ctl.fault("maa2", "status", status=500, skip=1, count=1)
    t.equal([outcome(env) for _ in range(3)], [200, 500, 200], "skip=1")
    env.ctl.clear()
    env.ctl.fault("maa2", "status", status=500, after=0.3, for_=0.4)
    first = outcome(env)
    time.sleep(0.35)
    second = outcome(env)
    time.sleep(0.5)
    t.equal([first, second, outcome(env)], [200, 500, 200], "after and for")
    env.ctl.clear()
    mark = env.ctl.mark()
    env.ctl.fault("imds-token", "status", status=410)
    t.equal([refclient.bearer().status, refclient.thim().status], [410, 200],
            "imds-token alone is struck")
    t.equal(env.ctl.log(mark, "imds")[0]["faults"], ["status"], "the log names the fault")
    env.ctl.clear()


def resolver(t, env):
    """Faults of the name server."""
    def lookup(name=names.VAULT_HOST):
        try:
            return socket.getaddrinfo(name, 443, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]
        except socket.gaierror as e:
            return e.errno

    t.equal(lookup(), names.VAULT, "DNS: an address")
    t.equal(lookup("nosuch.example"), socket.EAI_NONAME, "DNS: no such name")
    env.ctl.fault("dns", "nxdomain")
    t.equal(lookup(), socket.EAI_NONAME, "DNS fault nxdomain")
    env.ctl.clear()
    env.ctl.fault("dns", "servfail")
    t.equal(lookup(), socket.EAI_AGAIN, "DNS fault servfail")
    env.ctl.clear()
    env.ctl.fault("dns", "empty")
    t.ok(lookup() in (socket.EAI_NODATA, socket.EAI_NONAME), "DNS fault empty")
    env.ctl.clear()
    with socket.create_connection(names.DNS, 5) as sock:
        question = b"\x12\x34\1\0\0\1\0\0\0\0\0\0" + b"".join(
            bytes([len(p)]) + p.encode() for p in names.HSM_HOST.split(".")) + b"\0\0\1\0\1"
        sock.sendall(len(question).to_bytes(2, "big") + question)
        reply = sock.recv(512)
    t.equal(reply[-4:], socket.inet_aton(names.HSM), "DNS over TCP")


def attestation(t, env):
    """Tampering with tokens and with what IMDS says."""
    guest = softguest.SoftGuest(env.state)
    info = guest.info()

    def token(what, host=names.MAA_HOST):
        if what:
            env.ctl.tamper("maa", what, count=1)
        return refclient.attest(env.ca, info, host).json.get("token")

    def claims(what):
        return jose.Jws(refclient.open_envelope(token(what), guest.decrypt)).claims()

    def fails(what):
        try:
            refclient.open_envelope(token(what), guest.decrypt)
            return False
        except Exception:       # InvalidTag, ValueError, KeyError, ...
            return True

    good = claims("")
    ours = jose.b64u(guest.enc.public_key().public_numbers().n.to_bytes(256, "big"))
    t.equal(good["x-ms-runtime"]["keys"][0]["n"], ours, "tamper nothing")
    t.ok(claims("token-key")["x-ms-runtime"]["keys"][0]["n"] != ours, "tamper token-key")
    t.ok(claims("nonce")["x-ms-runtime"]["client-payload"] != good["x-ms-runtime"][
        "client-payload"], "tamper nonce")
    t.ok(claims("issuer")["iss"] != good["iss"], "tamper issuer")
    t.ok("x-ms-compliance-status" not in claims("not-cvm")["x-ms-isolation-tee"], "tamper not-cvm")
    for what in ("gcm-tag", "inner-key", "no-iv", "not-encrypted"):
        t.ok(fails(what), "tamper " + what)
    sealed = jose.strict_json(jose.un64u(token("cipher-name")))
    t.equal(sealed["EncryptionParams"]["Cipher"], "DES", "tamper cipher-name")
    t.ok(token("no-token") is None, "tamper no-token")
    jws = jose.Jws(refclient.open_envelope(token("jwt-signature"), guest.decrypt))
    env.ctl.clear()
    access = refclient.bearer().json["access_token"]
    text = jws.signed.decode() + "." + jose.b64u(jws.signature)
    t.refused(refclient.release(env.ca, text, access), 403, ("Forbidden", None), "cannot be",
              "tamper jwt-signature: the vault refuses it")
    before = refclient.thim().json
    for what, member in (("tcbm", "tcbm"), ("other-vcek", "vcekCert"),
                         ("no-chain", "certificateChain")):
        env.ctl.tamper("imds-thim", what, count=1)
        t.ok(refclient.thim().json.get(member) != before[member], "tamper %s" % what)
    env.ctl.tamper("imds-token", "no-token", count=1)
    t.ok("access_token" not in refclient.bearer().json, "tamper imds no-token")
    env.ctl.tamper("imds-token", "wrong-audience", count=1)
    wrong = refclient.bearer().json["access_token"]
    t.refused(refclient.release(env.ca, text, wrong), 401, ("Unauthorized", None), "AKV10022",
              "tamper wrong-audience: the vault refuses it")
    env.ctl.tcb("DB18000000000005")
    t.refused(refclient.attest(env.ca, softguest.SoftGuest(env.state).info(
        chain=(before["vcekCert"] + before["certificateChain"]).encode())), 400,
        "InvalidParameter", "signature is wrong|is for TCB", "new firmware: the old VCEK is stale")


def run(t, env):
    """All of them."""
    for group in (connections, requests, resolver, attestation):
        t.run(group.__name__, group, env)
        env.ctl.reset()
