"""AMD's key distribution service: VCEK certificates by chip and TCB, and the chains above them
(protocol/snp-maa-akv.md, section 1.6).

  GET /vcek/v1/PRODUCT/CHIP?blSPL=&teeSPL=&snpSPL=&ucodeSPL=     (Turin: fmcSPL= as well)   DER
  GET /vcek/v1/PRODUCT/cert_chain                                               PEM, ASK then ARK

It knows the chips that the simulated host ever was.  It signs for any TCB up to the one that the
chip has now, as a VCEK can be derived for all of these; a higher one is 404, since no firmware of
that number was ever released.  More than `kds.rate` requests in `kds.window` seconds are 429.

Tamper faults (endpoint kds), of a VCEK: other-vcek (a key that the chip does not have), stale (for
older firmware than was asked for), truncated (half of the DER), pem (not DER); of a chain:
wrong-product, order (ARK first), half (ASK alone).
"""

import re
import time
import urllib.parse

import certtable
import names
from amdcert import PRODUCTS
from server import Refusal, Response

VCEK = re.compile(r"/vcek/v1/([^/]*)/([0-9a-fA-F]+|cert_chain)")
LEVELS = {"blSPL": "bl", "teeSPL": "tee", "snpSPL": "snp", "ucodeSPL": "ucode", "fmcSPL": "fmc"}


class Kds:
    """The service at kdsintf.amd.com."""

    name, hosts = "kds", (names.KDS_HOST,)

    def __init__(self, world):
        self.world = world

    def endpoint(self, _request):
        """The fault endpoint of a request."""
        return self.name

    def refuse(self, _request, refusal):
        """Errors are plain text."""
        return Response(refusal.status, refusal.message.encode(), refusal.headers,
                        content_type="text/plain")

    def handle(self, request):
        """Answer one request."""
        match = VCEK.fullmatch(request.path)
        request.check("path", match, Refusal(404, "NotFound", "Not found"))
        request.check("method", request.method == "GET",
                      Refusal(405, "MethodNotAllowed", "Method not allowed"))
        self.throttle(request)
        product = PRODUCTS.get(match.group(1))
        request.check("product", product, Refusal(404, "NotFound", "Unknown product"))
        if match.group(2) == "cert_chain":
            return self.chain(request, product)
        return self.vcek(request, product, match.group(2))

    def throttle(self, request):
        """Not more than so many requests."""
        rate, window = (self.world.settings["kds." + n] for n in ("rate", "window"))
        if rate:
            now = time.monotonic()
            asked = self.world.kds_asked
            asked[:] = [then for then in asked if now - then < window]
            request.check("rate", len(asked) < rate,
                          Refusal(429, "TooManyRequests", "Too many requests"))
            asked.append(now)

    def chain(self, request, product):
        """ASK, then ARK."""
        request.check("chain-query", not request.query,
                      Refusal(400, "BadRequest", "cert_chain takes no parameters"))
        struck = self.world.tampers(request, self.name, "wrong-product", "order", "half")
        name = product.name
        if "wrong-product" in struck:
            name = next(n for n in PRODUCTS if n != name)
        ask, ark = (self.world.amd.authority(what, name) for what in ("ask", "ark"))
        text = ark + ask if "order" in struck else ask if "half" in struck else ask + ark
        return Response(200, text.encode(), content_type="application/x-pem-file")

    def levels(self, request, product):
        """The TCB that is asked for."""
        query = urllib.parse.urlsplit(request.target).query
        pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
        wanted = [n for n, level in LEVELS.items() if level in product.layout]
        request.check("parameters", sorted(n for n, _ in pairs) == sorted(wanted), Refusal(
            400, "BadRequest", "The parameters for %s are %s" % (product.name, ", ".join(wanted))))
        tcb = bytearray(8)
        for name, value in pairs:
            request.check("values", re.fullmatch("[0-9]{1,3}", value) and int(value) < 256, Refusal(
                400, "BadRequest", "%s is not a number from 0 to 255" % name))
            tcb[product.layout.index(LEVELS[name])] = int(value)
        return bytes(tcb)

    def vcek(self, request, product, chip):
        """The VCEK of a chip at a TCB."""
        host = self.world.amd
        request.check("chip-form", len(chip) == 2 * product.chip,
                      Refusal(400, "BadRequest", "A chip id of %s has %d hexadecimal digits" % (
                          product.name, 2 * product.chip)))
        tcb = self.levels(request, product)
        known = host.chips.get(product.name, b"")[:product.chip]
        request.check("chip", bytes.fromhex(chip) == known,
                      Refusal(404, "NotFound", "Unknown chip"))
        now = host.tcb if product == host.product else product.tcb
        request.check("tcb", all(a <= b for a, b in zip(tcb, now)),
                      Refusal(404, "NotFound", "There is no such TCB"))
        struck = self.world.tampers(request, self.name, "other-vcek", "stale", "truncated", "pem")
        if "stale" in struck:
            tcb = host.old_tcb
        pem = host.other_vcek() if "other-vcek" in struck else host.vcek(tcb, product.name)[1]
        data = pem.encode() if "pem" in struck else certtable.der_of(pem)[0]
        if "truncated" in struck:
            data = data[:len(data) // 2]
        request.facts.update(product=product.name, tcb=tcb[::-1].hex())
        return Response(200, data, content_type="application/pkix-cert")


def services(world):
    """The one instance."""
    return [(Kds(world), names.KDS, "kds")]
