#!/usr/bin/python3
"""Prints what the SNP path sends, made by another JSON writer from random inputs: gen_maa.py runtime
for test_maa_runtime.c, gen_maa.py body for test_maa_snp.c.

Lines, every word but the first in hexadecimal, "-" for nothing:
runtime N KID NONCE CONFIG DOCUMENT
body API NONCE REPORT CHAIN RUNTIME INITDATA ENDORSEMENTS DOCUMENT
"""

import base64
import hashlib
import json
import os
import sys

JSON = (b'{"a":1}', b' \r\n\t{ "policy" : [ null ] }\n', b"{}")
BINARY = (b"package policy\n", b"[1]", b"7", b'{"a":1} x', b"\xef\xbb\xbf{}", b"{'a':1}", b"\x00", b" ")


def b64url(data):
    """Without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(value):
    """No blanks, members as they come."""
    return json.dumps(value, separators=(",", ":"))


def runtime(size, nonce_bytes, config):
    """A key set of one RSA key, and the extra member."""
    modulus = b"\xc1" + os.urandom(size - 2) + b"\x01"
    public = {"e": "AQAB", "kty": "RSA", "n": b64url(modulus)}
    kid = b64url(hashlib.sha256(compact(public).encode()).digest())
    nonce = b64url(os.urandom(nonce_bytes))
    extra = {"boot-nonce": nonce}
    if config:
        extra["config"] = config
    key = dict(sorted({**public, "kid": kid, "key_ops": ["encrypt"]}.items()))
    return modulus, kid, nonce, config, compact({"keys": [key], "latchkey": extra})


def body(init, endorsements):
    """The request around a report."""
    report, nonce = os.urandom(1184), b64url(os.urandom(24))
    chain = "-----BEGIN CERTIFICATE-----\n" + base64.b64encode(os.urandom(999)).decode() + "\n"
    data = runtime(256, 24, "")[-1].encode()
    proof = {"SnpReport": b64url(report), "VcekCertChain": b64url(chain.encode())}
    if endorsements:
        proof["Endorsements"] = b64url(compact({"Uvm": [b64url(endorsements)]}).encode())
    document = {"report": b64url(compact(proof).encode()), "runtimeData": {"data": b64url(data), "dataType": "JSON"}}
    if init:
        document["initTimeData"] = {"data": b64url(init), "dataType": "JSON" if init in JSON else "Binary"}
    document["nonce"] = nonce
    return "2022-08-01", nonce, report, chain, data, init, endorsements, compact(document)


def show(name, words):
    """One line."""
    print(name, *((w if isinstance(w, bytes) else w.encode()).hex() or "-" for w in words))


def main():
    """All shapes there are."""
    if sys.argv[1] == "runtime":
        for size in (256, 384, 512):
            for config in ("", os.urandom(32).hex(), b64url(os.urandom(96))):
                show("runtime", runtime(size, 24, config))
        show("runtime", runtime(256, 16, "x"))
        show("runtime", runtime(512, 192, "y" * 128))
        return
    for init in (b"",) + JSON + BINARY:
        show("body", body(init, b""))
    show("body", body(b"", b"\xd2" + os.urandom(1000)))
    show("body", body(JSON[1], b"\xd2" + os.urandom(1001)))


if __name__ == "__main__":
    main()
