#!/usr/bin/python3
"""TLS servers for test_tls.c: certificates made afresh, one port of 127.0.0.1 for each case.

Prints "port CASE NUMBER" and "chain CASE LEAF..." (DER in hexadecimal), "roots PEM" and "other-roots
PEM" (text in hexadecimal), then "ready"; serves until standard input ends. Certificates are for
service.test unless the case says otherwise. A server answers what it reads with the same bytes.
"""

import datetime
import os
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

warnings.simplefilter("ignore")  # the weak things are here on purpose
NOW = datetime.datetime.utcnow().replace(microsecond=0)
DAY = datetime.timedelta(days=1)
DER = serialization.Encoding.DER
PEM = serialization.Encoding.PEM


def name(text):
    """A distinguished name of one common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Issuer:
    """A certification authority."""

    def __init__(self, text, above=None, key=None, dates=(NOW - DAY, NOW + 30 * DAY)):
        self.name = name(text)
        self.key = key or ec.generate_private_key(ec.SECP384R1())
        self.above = above
        by = above or self
        self.cert = (x509.CertificateBuilder().subject_name(self.name).issuer_name(by.name)
                     .public_key(self.key.public_key()).serial_number(x509.random_serial_number())
                     .not_valid_before(dates[0]).not_valid_after(dates[1])
                     .add_extension(x509.BasicConstraints(True, None), True)
                     .add_extension(usage(True), True).sign(by.key, hashes.SHA384()))

    def leaf(self, key, names=("service.test",), dates=(NOW - DAY, NOW + 10 * DAY), cn="service.test",
             eku=ExtendedKeyUsageOID.SERVER_AUTH, algorithm=hashes.SHA256(), signs=True):
        """An end entity's certificate."""
        b = (x509.CertificateBuilder().subject_name(name(cn)).issuer_name(self.name)
             .public_key(key.public_key()).serial_number(x509.random_serial_number())
             .not_valid_before(dates[0]).not_valid_after(dates[1])
             .add_extension(x509.BasicConstraints(False, None), True))
        if names:
            b = b.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
        if eku:
            b = b.add_extension(x509.ExtendedKeyUsage([eku]), False)
        if not signs:
            b = b.add_extension(usage(False), True)
        return b.sign(self.key, algorithm)


def usage(ca):
    """Key usage: to sign certificates, or neither that nor anything else that TLS wants."""
    return x509.KeyUsage(False, False, False, False, not ca, ca, ca, False, False)


class Pki:
    """Everything that is signed in these tests."""

    def __init__(self):
        self.root = Issuer("Test Root")
        self.mid = Issuer("Test Intermediate", self.root)
        self.rsa_root = Issuer("Test RSA Root", key=rsa.generate_private_key(65537, 2048))
        self.other = Issuer("Another Root")
        self.old_mid = Issuer("Old Intermediate", self.root, dates=(NOW - 9 * DAY, NOW - DAY))
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.ec384 = ec.generate_private_key(ec.SECP384R1())
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.rsa4096 = rsa.generate_private_key(65537, 4096)
        self.weak = rsa.generate_private_key(65537, 1024)
        self.files = None

    def chains(self):
        """(case, key, certificates to send)"""
        mid, m = self.mid, self.mid.cert
        y2k = datetime.datetime(2000, 1, 1)
        yield "rsa", self.rsa, [mid.leaf(self.rsa), m]
        yield "rsa-root", self.rsa4096, [self.rsa_root.leaf(self.rsa4096), self.rsa_root.cert]
        yield "ec", self.ec, [mid.leaf(self.ec), m]
        yield "ec384", self.ec384, [mid.leaf(self.ec384), m]
        yield "upper", self.rsa, [mid.leaf(self.rsa, ["SERVICE.Test"]), m]
        yield "wildcard", self.rsa, [mid.leaf(self.rsa, ["a.test", "*.test"]), m]
        yield "wildcard-deep", self.rsa, [mid.leaf(self.rsa, ["*.b.test", "*.service.test"]), m]
        yield "wrong-host", self.rsa, [mid.leaf(self.rsa, ["other.test", "b.test", "c.test"]), m]
        yield "wrong-ca", self.rsa, [self.other.leaf(self.rsa)]
        yield "self-signed", self.rsa, [Issuer("service.test", key=self.rsa).cert]
        yield "no-intermediate", self.rsa, [mid.leaf(self.rsa)]
        yield "expired", self.rsa, [mid.leaf(self.rsa, dates=(NOW - 9 * DAY, NOW - DAY)), m]
        yield "expired-2001", self.rsa, [mid.leaf(self.rsa, dates=(y2k, y2k + 400 * DAY)), m]
        yield "year-2104", self.rsa, [
            mid.leaf(self.rsa, dates=(NOW - DAY, datetime.datetime(2104, 2, 29, 23, 59, 58))), m]
        yield "not-yet", self.rsa, [mid.leaf(self.rsa, dates=(NOW + 9 * DAY, NOW + 20 * DAY)), m]
        yield "old-intermediate", self.rsa, [self.old_mid.leaf(self.rsa), self.old_mid.cert]
        yield "no-san", self.rsa, [mid.leaf(self.rsa, []), m]
        yield "client-only", self.rsa, [
            mid.leaf(self.rsa, eku=ExtendedKeyUsageOID.CLIENT_AUTH), m]
        yield "cannot-sign", self.rsa, [mid.leaf(self.rsa, signs=False), m]
        yield "rsa-1024", self.weak, [mid.leaf(self.weak), m]
        yield "sha1", self.rsa, [mid.leaf(self.rsa, algorithm=hashes.SHA1()), m]
        yield "leaf-as-ca", self.rsa, [
            self.leaf_issuer().leaf(self.rsa), mid.leaf(self.ec, cn="Not An Issuer"), m]
        escape = Issuer("E\x1b[31m\n", mid)
        yield "escape", self.rsa, [escape.leaf(self.rsa, ["a.test"]), escape.cert, m]

    def leaf_issuer(self):
        """An issuer whose certificate is an end entity's."""
        fake = Issuer("Not An Issuer", self.mid, key=self.ec)
        return fake

    def write(self, case, key, certs):
        """The files that the ssl module wants; returns their names."""
        path = os.path.join(self.files, case)
        with open(path + ".key", "wb") as f:
            f.write(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8,
                                      serialization.NoEncryption()))
        with open(path + ".pem", "wb") as f:
            f.write(b"".join(c.public_bytes(PEM) for c in certs))
        return path + ".pem", path + ".key"


def listen():
    """A listening socket."""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen(8)
    return s


def echo(conn):
    """Sends back what comes, until the client ends."""
    while True:
        data = conn.recv(16384)
        if not data:
            return
        conn.sendall(data)


def end_clean(conn):
    """Data, then a proper end."""
    conn.sendall(b"the end")
    conn.unwrap()


def end_cut(conn):
    """Data, then the end of the connection alone."""
    conn.sendall(b"the end")
    conn.shutdown(socket.SHUT_RDWR)


def end_reset(conn):
    """Data, then a reset."""
    conn.sendall(b"the end")
    time.sleep(0.2)
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(conn.detach())


def flood(conn):
    """A megabyte."""
    conn.sendall(bytes(i * 7 & 255 for i in range(1 << 20)))
    conn.unwrap()


def wait(_):
    """Nothing."""
    time.sleep(20)


def plain_http(conn):
    """No TLS at all."""
    conn.recv(10)
    conn.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    time.sleep(0.1)


def http(head, clean):
    """A handler that answers a request with `head` and two bytes, then ends cleanly or is cut off."""
    def run(conn):
        conn.recv(16384)
        conn.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n{}")
        if clean:
            conn.unwrap()
        else:
            conn.shutdown(socket.SHUT_RDWR)
    return run


def drip(files, pause):
    """A handler that sends every byte alone."""
    def run(conn):
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(*files)
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        inp, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = ctx.wrap_bio(inp, out, server_side=True)
        step = tls.do_handshake
        while True:
            try:
                step()
                if step == tls.do_handshake:
                    tls.write(b"drip")
                    step = tls.read
            except ssl.SSLWantReadError:
                for b in out.read():
                    conn.sendall(bytes([b]))
                    time.sleep(pause)
                inp.write(conn.recv(16384))
    return run


def serve(listener, handler, files=None, setup=None):
    """Handles connections one by one; with files, behind a TLS handshake."""
    ctx = None
    if files:
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.set_ciphers("DEFAULT:@SECLEVEL=0")
        ctx.load_cert_chain(*files)
        if setup:
            setup(ctx)
    while True:
        conn, _ = listener.accept()
        try:
            if ctx:
                conn = ctx.wrap_socket(conn, server_side=True)
            handler(conn)
        except (OSError, ssl.SSLError, ValueError):
            pass
        finally:
            conn.close()


def start(case, *args):
    """Starts a server and says where it is."""
    listener = listen()
    threading.Thread(target=serve, args=(listener, *args), daemon=True).start()
    print("port", case, listener.getsockname()[1])


def versions(low, high, ciphers=None, curve=None, roots=None):
    """A setting of a server's context."""
    def run(ctx):
        ctx.minimum_version, ctx.maximum_version = low, high
        if ciphers:
            ctx.set_ciphers(ciphers)
        if curve:
            ctx.set_ecdh_curve(curve)
        if roots:
            ctx.verify_mode = ssl.CERT_OPTIONAL
            ctx.load_verify_locations(roots)
    return run


def start_openssl(case, files, *options):
    """openssl s_server, for what the ssl module cannot be told."""
    for _ in range(5):
        with listen() as s:
            port = s.getsockname()[1]
        p = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", files[0],
                              "-cert_chain", files[0], "-key", files[1], "-rev", *options],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if any(line.startswith(b"ACCEPT") for line in p.stdout):
            threading.Thread(target=p.stdout.read, daemon=True).start()
            print("port", case, port)
            return p
        p.wait()
    sys.exit("openssl s_server does not start")


def main():
    """Starts all of it."""
    v = ssl.TLSVersion
    pki = Pki()
    pki.files = tempfile.mkdtemp(prefix="latchkey-tls-")
    files = {}
    for case, key, certs in pki.chains():
        files[case] = pki.write(case, key, certs)
        print("chain", case, *(c.public_bytes(DER).hex() for c in certs))
        start(case, echo, files[case])
    roots = pki.root.cert.public_bytes(PEM) + b"text\n" + pki.rsa_root.cert.public_bytes(PEM)
    print("roots", roots.hex())
    print("other-roots", pki.other.cert.public_bytes(PEM).hex())
    for case in ("rsa", "rsa-root", "ec", "ec384"):
        start(case + "-1.2", echo, files[case], versions(v.TLSv1_2, v.TLSv1_2))
        start(case + "-1.3", echo, files[case], versions(v.TLSv1_3, v.TLSv1_3))
    weak = "ALL:@SECLEVEL=0"
    start("tls-1.1", echo, files["rsa"], versions(v.TLSv1, v.TLSv1_1, weak))
    for case, suite in (("static-rsa", "AES128-GCM-SHA256"), ("cbc", "ECDHE-RSA-AES128-SHA256"),
                        ("dhe", "DHE-RSA-AES128-GCM-SHA256"), ("chacha", "ECDHE-RSA-CHACHA20-POLY1305")):
        start(case, echo, files["rsa"], versions(v.TLSv1_2, v.TLSv1_2, suite))
    start("hello-retry", echo, files["rsa"], versions(v.TLSv1_3, v.TLSv1_3, curve="secp384r1"))
    start("group-521", echo, files["rsa"], versions(v.TLSv1_2, v.TLSv1_2, curve="secp521r1"))
    for n in ("1_2", "1_3"):
        one = v["TLSv" + n]
        start("asks-for-client-1." + n[-1], echo, files["rsa"],
              versions(one, one, roots=files["rsa"][0]))
    for case, handler in (("end-clean", end_clean), ("end-cut", end_cut), ("end-reset", end_reset),
                          ("flood", flood), ("silent", wait)):
        start(case + "-1.2", handler, files["rsa"], versions(v.TLSv1_2, v.TLSv1_2))
        start(case + "-1.3", handler, files["rsa"], versions(v.TLSv1_3, v.TLSv1_3))
    for end, clean in (("clean", True), ("cut", False)):
        start("http-open-" + end, http(b"", clean), files["rsa"])
        start("http-length-" + end, http(b"Content-Length: 2\r\n", clean), files["rsa"])
    start("mute", wait)
    start("hang-up", lambda conn: None)
    start("plain-http", plain_http)
    start("drip", drip(files["ec"], 0))
    start("slow-drip", drip(files["rsa"], 0.02))
    helpers = [start_openssl("pss-1.2", files["rsa"], "-tls1_2", "-sigalgs", "RSA-PSS+SHA256"),
               start_openssl("pkcs1-1.2", files["rsa"], "-tls1_2", "-sigalgs", "RSA+SHA256"),
               start_openssl("sha1-signature", files["rsa"], "-tls1_2", "-sigalgs", "RSA+SHA1",
                             "-cipher", "DEFAULT:@SECLEVEL=0")]
    print("ready", flush=True)
    sys.stdin.read()
    for p in helpers:
        p.kill()
    for f in os.listdir(pki.files):
        os.unlink(os.path.join(pki.files, f))
    os.rmdir(pki.files)


if __name__ == "__main__":
    main()
