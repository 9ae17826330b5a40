"""A small strict HTTP/1.1 server over TCP or TLS, with faults and a log of every request.

A service is an object with `name` (its listener's fault endpoint), `endpoint(request)` (the fault
endpoint of a request), `handle(request)` (a Response; may raise Refusal), `refuse(refusal)` (its
error format) and `hosts` (names it answers to; others get 404 as from a gateway).
"""

import json
import socket
import ssl
import struct
import threading
import time
import urllib.parse

import jose

MAX_HEAD, MAX_BODY = 32768, 1 << 20
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
           405: "Method Not Allowed", 408: "Request Timeout", 410: "Gone",
           411: "Length Required", 413: "Content Too Large", 415: "Unsupported Media Type",
           429: "Too Many Requests", 431: "Request Header Fields Too Large",
           500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
           504: "Gateway Timeout"}


class Refusal(Exception):
    """The service refuses; `inner` is the inner error code, `reason` is for our log only."""

    def __init__(self, status, code, message, inner=None, headers=(), reason=None):
        super().__init__(message)
        self.status, self.code, self.message, self.inner = status, code, message, inner
        self.headers, self.reason = list(headers), reason or message


class Response:
    """What goes back; `body` is bytes or a JSON value."""

    def __init__(self, status=200, body=b"", headers=(), chunked=False,
                 content_type="application/json; charset=utf-8"):
        self.status, self.headers, self.chunked = status, list(headers), chunked
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        if self.body:
            self.headers.insert(0, ("Content-Type", content_type))

    def head(self, length):
        """Status line and header as bytes."""
        lines = ["HTTP/1.1 %d %s" % (self.status, REASONS.get(self.status, "Status"))]
        lines += ["%s: %s" % pair for pair in self.headers]
        lines.append("Transfer-Encoding: chunked" if self.chunked
                     else "Content-Length: %d" % length)
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Request:
    """One request, and the record of what was checked about it."""

    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body
        path, _, query = target.partition("?")
        self.path = urllib.parse.unquote(path)
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self.host = headers.get("host", "").lower().partition(":")[0]
        self.checks, self.facts, self.faults = [], {}, []

    def check(self, name, ok, refusal):
        """Record a check; when it failed, refuse.  `refusal` is a Refusal or makes one."""
        self.checks.append({"check": name, "ok": bool(ok)})
        if not ok:
            raise refusal if isinstance(refusal, Refusal) else refusal()

    def json(self, refusal):
        """The body as a JSON object, or a refusal made by `refusal(text)`."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        self.check("content-type", kind == "application/json",
                   Refusal(415, "UnsupportedMediaType", "Content-Type must be application/json"))
        try:
            value = jose.strict_json(self.body)
        except jose.FormatError as e:
            raise refusal(str(e)) from None
        self.check("body-object", isinstance(value, dict), lambda: refusal("not an object"))
        return value


class Closed(Exception):
    """The connection is over, for whatever reason."""


def reset(sock):
    """Close with RST instead of FIN."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw = sock.detach() if isinstance(sock, ssl.SSLSocket) else None
        if raw is not None:
            sock = socket.socket(fileno=raw)
        sock.close()
    except OSError:
        pass


class Reader:
    """Reads requests off a connection."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""

    def more(self):
        """Read on; Closed at the end."""
        try:
            data = self.sock.recv(65536)
        except (OSError, ssl.SSLError):
            data = b""
        if not data:
            raise Closed
        self.buffer += data

    def request(self):
        """The next request; Refusal when it is not one we accept."""
        while b"\r\n\r\n" not in self.buffer:
            if len(self.buffer) > MAX_HEAD:
                raise Refusal(431, "RequestHeaderTooLarge", "The request header is too large.")
            self.more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        parts, headers = lines[0].split(" "), {}
        bad = Refusal(400, "BadRequest", "The request is not valid HTTP/1.1.")
        if len(parts) != 3 or parts[2] != "HTTP/1.1" or not parts[1].startswith("/"):
            raise bad
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or not name or name.strip() != name or name.lower() in headers:
                raise bad
            headers[name.lower()] = value.strip()
        if "host" not in headers:
            raise bad
        if "transfer-encoding" in headers or (parts[0] == "POST"
                                              and "content-length" not in headers):
            raise Refusal(411, "LengthRequired", "Content-Length is required.")
        text = headers.get("content-length", "0")
        if not text.isdigit():
            raise bad
        if int(text) > MAX_BODY:
            raise Refusal(413, "RequestBodyTooLarge", "The request body is too large.")
        while len(self.buffer) < int(text):
            self.more()
        body, self.buffer = self.buffer[:int(text)], self.buffer[int(text):]
        return Request(parts[0], parts[1], headers, body)


class Listener(threading.Thread):
    """One service on one address and port."""

    def __init__(self, world, service, address, port, certificate=None):
        super().__init__(daemon=True, name=service.name)
        self.world, self.service, self.certificate = world, service, certificate
        self.address, self.contexts, self.sock = (address, port), {}, None
        self.open()

    def open(self):
        """Listen."""
        self.sock = socket.create_server(self.address, backlog=64)
        self.sock.settimeout(0.05)

    def context(self, fault):
        """The TLS context, ordinary or as a fault wants it."""
        cert = fault.get("cert", self.certificate)
        key = (cert, fault.get("min"), fault.get("max"))
        if key not in self.contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            versions = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
            context.minimum_version = versions[fault.get("min", "1.2")]
            context.maximum_version = versions[fault.get("max", "1.3")]
            context.set_alpn_protocols(["http/1.1"])
            context.load_cert_chain(self.world.pki.path(cert, "pem"),
                                    self.world.pki.path(cert, "key"))
            self.contexts[key] = context
        return self.contexts[key]

    def run(self):
        """Accept for ever; while a `refuse` fault is on, there is no socket."""
        while True:
            refuse = self.world.faults.peek(self.service.name, "refuse")
            if refuse and self.sock:
                self.sock.close()
                self.sock = None
            elif not refuse and not self.sock:
                self.open()
            if not self.sock:
                time.sleep(0.02)
                continue
            try:
                conn, peer = self.sock.accept()
            except (socket.timeout, OSError):
                continue
            threading.Thread(target=self.serve, args=(conn, peer), daemon=True).start()

    def serve(self, sock, peer):
        """One connection from accept to close."""
        sock.settimeout(120)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = {}
        for fault in self.world.faults.take(self.service.name, ("blackhole", "reset", "tls")):
            if fault["kind"] == "tls":
                tls = fault
                continue
            self.world.log.connection(self.service.name, peer, fault["kind"])
            if fault["kind"] == "blackhole":
                time.sleep(600)
            return reset(sock)
        info = None
        try:
            if self.certificate:
                sock = self.context(tls).wrap_socket(sock, server_side=True)
                info = {"version": sock.version(), "cipher": sock.cipher()[0],
                        "alpn": sock.selected_alpn_protocol()}
        except (OSError, ssl.SSLError) as e:
            self.world.log.connection(self.service.name, peer, "tls: %s" % e)
            return sock.close()
        try:
            self.converse(sock, peer, info)
        except (Closed, OSError, ssl.SSLError):
            pass
        return sock.close()

    def converse(self, sock, peer, tls):
        """Requests and responses until somebody has enough."""
        reader = Reader(sock)
        while True:
            try:
                request = reader.request()
            except Refusal as e:
                self.world.log.connection(self.service.name, peer, e.message)
                return self.transmit(sock, Response(e.status, b"", [("Connection", "close")]), {})
            start = time.time()
            response, refusal = self.answer(request)
            plan = self.spoil(request, sock, response)
            entry = self.world.log.request(self.service.name, peer, tls, request, response, refusal,
                                           start)
            if plan.get("end") == "hang":
                time.sleep(600)
            if plan.get("end"):
                return reset(sock)
            self.transmit(sock, plan.get("response", response), plan)
            entry["ms"] = round((time.time() - start) * 1000, 1)
            if plan.get("close") or request.headers.get("connection", "").lower() == "close":
                return None

    def answer(self, request):
        """The honest answer."""
        try:
            if request.host not in self.service.hosts:
                raise Refusal(404, "NotFound", "No such host here.")
            return self.service.handle(request), None
        except Refusal as e:
            return self.service.refuse(request, e), e
        except Exception as e:      # a bug of ours must show up as such, not as a hang
            self.world.log.bug(e)
            refusal = Refusal(500, "InternalError", "The simulator failed: %r" % e)
            return self.service.refuse(request, refusal), refusal

    def spoil(self, request, sock, response):
        """Apply request faults: a plan for transmit()."""
        import faults
        plan = {}
        for fault in self.world.faults.take(self.service.endpoint(request), faults.REQUEST):
            kind = fault["kind"]
            request.faults.append(kind)
            if kind == "delay":
                time.sleep(fault.get("seconds", 1))
            elif kind in ("hang", "drop"):
                plan["end"] = kind
            elif kind in ("status", "throttle"):
                plan["response"] = canned(fault)
            elif kind == "badjson":
                plan["response"] = Response(200, b'{"value": tru')
            elif kind == "oversize":
                plan["response"] = Response(200, b"x" * fault.get("bytes", 4 << 20))
            else:
                plan[kind] = fault
        return plan

    def transmit(self, sock, response, plan):
        """Put a response on the wire, whole or spoiled."""
        body = response.body
        if "garbage" in plan:
            sock.sendall(bytes(range(256)) * 4)
            plan["close"] = True
            return
        step = plan.get("chunked", {}).get("bytes", 0)
        if step or response.chunked:
            response.chunked, step = True, step or 16384
        wire = response.head(len(body))
        if response.chunked:
            pieces = [body[i:i + step] for i in range(0, len(body), step)]
            tail = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
        else:
            tail = body
        if "truncate" in plan:
            tail = tail[:plan["truncate"].get("bytes", len(tail) // 2)]
            plan["close"] = True
        wire += tail
        if "slow" in plan:
            n = plan["slow"].get("bytes", 64)
            for i in range(0, len(wire), n):
                sock.sendall(wire[i:i + n])
                time.sleep(plan["slow"].get("seconds", 0.05))
        else:
            sock.sendall(wire)


def canned(fault):
    """The response of a `status` or `throttle` fault."""
    headers = list(fault.get("headers", {}).items())
    body = fault.get("body", "")
    if fault["kind"] == "throttle":
        headers.append(("Retry-After", str(fault.get("seconds", 1))))
        body = body or {"error": {"code": "Throttled", "message": "Too many requests."}}
    body = body.encode() if isinstance(body, str) else body
    return Response(fault.get("status", 429), body, headers)
