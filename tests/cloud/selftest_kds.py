"""AMD's key distribution service, and hosts whose metadata service throttles or lags behind."""

import socket

import amd
import certtable
import names
import pki
import refclient
import snp

DATA = bytes(64)


def query_of(host, tcb=None):
    """The parameters for a TCB of the present host."""
    level = dict(zip(host.product.layout, tcb or host.tcb))
    return {n + "SPL": level[n] for n in ("fmc", "bl", "tee", "snp", "ucode") if n in level}


def chip_of(host):
    """The chip id as the service wants it."""
    return host.chip_id[:host.product.chip].hex()


def answers(t, env):
    """Each product's VCEK and chain prove a report; older firmware, too."""
    for product in ("Milan", "Genoa", "Turin"):
        env.ctl.host(product)
        host = amd.Amd(env.state)
        got = refclient.kds(env.ca, product, chip_of(host), **query_of(host))
        t.equal((got.status, got.body, got.headers["content-type"]),
                (200, certtable.der_of(host.vcek_pem)[0], "application/pkix-cert"),
                "KDS: %s's VCEK" % product)
        chain = refclient.kds(env.ca, product, "cert_chain")
        t.equal((chain.status, chain.body.decode()), (200, host.chain_pem), "KDS: the chain")
        got = refclient.kds(env.ca, product, chip_of(host).upper(),
                            **query_of(host, host.old_tcb))
        pem = pki.cert_pem(pki.x509.load_der_x509_certificate(got.body)).decode()
        report = snp.build(host, DATA, tcb=host.old_tcb, key=host.vcek(host.old_tcb)[0])
        _, of = snp.verify_report(report, pem + chain.body.decode(), host.trusted())
        t.equal(of.name, product, "KDS: the VCEK of older firmware proves its report")
    padded = {n: "%03d" % v for n, v in query_of(host).items()}
    t.equal(refclient.kds(env.ca, "Turin", chip_of(host), **padded).status, 200,
            "KDS: numbers with zeros before them")
    t.equal(socket.gethostbyname(names.KDS_HOST), names.KDS, "KDS: its name is known")


def refusals(t, env):
    """Every check."""
    host = amd.Amd(env.state)
    chip, query = chip_of(host), query_of(host)

    def refused(status, text, what, product="Milan", name=chip, method="GET", **changes):
        asked = {n: v for n, v in dict(query, **changes).items() if v is not None}
        got = refclient.kds(env.ca, product, name, method, **asked)
        t.ok(got.status == status and text in got.body.decode(),
             "KDS refuses " + what, "%d %r" % (got.status, got.body))

    refused(404, "product", "an unknown product", "Rome")
    refused(404, "product", "a product in small letters", "milan")
    refused(404, "chip", "an unknown chip", name="00" * 64)
    refused(400, "128", "half a chip id", name=chip[:64])
    refused(404, "Not found", "a chip id of other letters", name="g" + chip[1:])
    refused(400, "16", "a long chip id of Turin", "Turin", fmcSPL=1)
    refused(404, "chip", "a chip of another product", "Turin", chip[:16], fmcSPL=1)
    refused(405, "Method", "POST", method="POST")
    refused(400, "no parameters", "parameters of a chain", name="cert_chain")
    for name in query:
        refused(400, "parameters", "no " + name, **{name: None})
        refused(404, "no such TCB", "firmware that is not there yet: " + name, **{
            name: query[name] + 1})
        for value in ("", "-1", "256", "0x4", "4.0", "+4", "0004"):
            refused(400, name + " is not", "%s=%s" % (name, value), **{name: value})
    refused(400, "parameters", "a parameter of Turin's", fmcSPL=1)
    refused(400, "parameters", "another name", blspl=4)
    base = "https://%s/vcek/v1/Milan" % names.KDS_HOST
    got = refclient.call("%s/%s?blSPL=4&blSPL=4&teeSPL=0&snpSPL=24&ucodeSPL=219" % (base, chip),
                         env.ca)
    t.equal(got.status, 400, "KDS refuses a parameter twice")
    for path in ("/crl", "", "/cert_chain/"):
        t.equal(refclient.call(base + path, env.ca).status, 404, "KDS: no path '%s'" % path)
    got = refclient.call("https://%s/vlek/v1/Milan/cert_chain" % names.KDS_HOST, env.ca)
    t.equal(got.status, 404, "KDS: no VLEKs")


def throttled(t, env):
    """So many requests, then 429, until the window is over."""
    ask = lambda: refclient.kds(env.ca, "Milan", "cert_chain").status     # noqa: E731
    env.ctl.setting("kds.rate", 2)
    t.equal([ask() for _ in range(4)], [200, 200, 429, 429], "KDS: two requests in an hour")
    env.ctl.setting("kds.window", 0)
    t.equal([ask() for _ in range(4)], [200] * 4, "KDS: a window that is over at once")
    env.ctl.reset()
    t.equal(ask(), 200, "KDS: no limit by default")
    env.ctl.fault("kds", "throttle", seconds=7, count=1)
    got = refclient.kds(env.ca, "Milan", "cert_chain")
    t.equal((got.status, got.headers["retry-after"], ask()), (429, "7", 200), "KDS: fault throttle")


def tampers(t, env):
    """Answers that are wrong."""
    host = amd.Amd(env.state)
    good = certtable.der_of(host.vcek_pem)[0]

    def vcek(what):
        env.ctl.tamper("kds", what, count=1)
        return refclient.kds(env.ca, "Milan", chip_of(host), **query_of(host)).body

    def chain(what):
        env.ctl.tamper("kds", what, count=1)
        return refclient.kds(env.ca, "Milan", "cert_chain").body.decode()

    ask, ark = host.authority("ask"), host.authority("ark")
    pem = pki.cert_pem(pki.x509.load_der_x509_certificate(vcek("other-vcek"))).decode()
    try:
        snp.verify_report(snp.build(host, DATA), pem + host.chain_pem, host.trusted())
        t.ok(False, "KDS: tamper other-vcek")
    except snp.ReportError as e:
        t.ok("report's signature" in str(e), "KDS: tamper other-vcek", e)
    t.equal(vcek("stale"), certtable.der_of(host.vcek(host.old_tcb)[1])[0], "KDS: tamper stale")
    t.equal(vcek("truncated"), good[:len(good) // 2], "KDS: tamper truncated")
    t.equal(vcek("pem"), host.vcek_pem.encode(), "KDS: tamper pem")
    t.equal([chain(w) for w in ("wrong-product", "order", "half")],
            [host.chain("Genoa"), ark + ask, ask], "KDS: tampers of the chain")


def hosts(t, env):
    """THIM: errors of every kind, certificates of older firmware for a while."""
    for status in (404, 410, 429, 500, 503):
        env.ctl.fault("imds-thim", "status", status=status, count=1)
        got = refclient.thim()
        t.equal((got.status, got.headers.get("retry-after"), refclient.thim().status),
                (status, None, 200), "THIM: %d once" % status)
    env.ctl.fault("imds-thim", "throttle", seconds=3, count=1)
    got = refclient.thim()
    t.equal((got.status, got.headers["retry-after"]), (429, "3"), "THIM: 429 with Retry-After")
    env.ctl.clear()
    host = amd.Amd(env.state)
    env.ctl.tamper("imds-thim", "stale", count=2)
    t.equal([refclient.thim().json for _ in range(3)],
            [host.thim(host.old_tcb)] * 2 + [host.thim()], "THIM: older firmware, twice")
    before = host.thim()
    env.ctl.tcb("DC18000000000004")
    env.ctl.tamper("imds-thim", "stale", count=1)
    t.equal(refclient.thim().json, before, "THIM: an update that it has not heard of yet")
    t.equal(refclient.thim().json["tcbm"], "DC18000000000004", "THIM: and then has")
    env.ctl.reset()
    env.ctl.tamper("imds-thim", "member-case", count=1)
    t.equal(refclient.thim().json["VcekCert"], before["vcekCert"], "THIM: VcekCert")


def run(t, env):
    """All of them."""
    for group in (answers, refusals, throttled, tampers, hosts):
        t.run(group.__name__, group, env)
        env.ctl.reset()
