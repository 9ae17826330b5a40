"""A small DNS server on 127.0.0.1: A for the simulated names, nothing else."""

import socket
import struct
import threading
import time

import faults
import names

NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5


def parse_question(data):
    """(id, flags, name, type, question bytes), or None for what is no question."""
    if len(data) < 17:
        return None
    ident, flags, questions = struct.unpack_from(">HHH", data)
    if flags & 0x8000 or questions != 1:
        return None
    labels, at = [], 12
    while at < len(data) and data[at]:
        n = data[at]
        if n > 63 or at + 1 + n > len(data):
            return None
        labels.append(data[at + 1:at + 1 + n].decode("latin-1"))
        at += 1 + n
    if at + 5 > len(data):
        return None
    kind, klass = struct.unpack_from(">HH", data, at + 1)
    if klass != 1:
        return None
    return ident, flags, ".".join(labels).lower(), kind, data[12:at + 5]


def answer(world, data):
    """The response to a question, or None for silence."""
    question = parse_question(data)
    if question is None:
        return None
    ident, flags, name, kind, echo = question
    address = names.HOSTS.get(name)
    code, records = (NOERROR if address else NXDOMAIN), b""
    if address and kind == 1:
        records = struct.pack(">HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(address)
    struck = []
    for fault in world.faults.take("dns", faults.DNS):
        struck.append(fault["kind"])
        if fault["kind"] == "delay":
            time.sleep(fault.get("seconds", 1))
        elif fault["kind"] == "garbage":
            return data[:2] + b"\xff" * 40
        elif fault["kind"] == "empty":
            records = b""
        elif fault["kind"] in ("servfail", "nxdomain"):
            code, records = (SERVFAIL if fault["kind"] == "servfail" else NXDOMAIN), b""
    world.log.dns(name, {1: "A", 28: "AAAA"}.get(kind, str(kind)), code, struck)
    if "drop" in struck:
        return None
    return struct.pack(">HHHHHH", ident, 0x8180 | (flags & 0x0100) | code, 1, 1 if records else 0,
                       0, 0) + echo + records


def serve_udp(world, sock):
    """Answer datagrams, each in its own thread: a delayed one must not hold up others."""
    def one(data, peer):
        reply = answer(world, data)
        if reply:
            try:
                sock.sendto(reply, peer)
            except OSError:
                pass

    while True:
        data, peer = sock.recvfrom(4096)
        threading.Thread(target=one, args=(data, peer), daemon=True).start()


def serve_tcp(world, sock):
    """Answer over TCP: two bytes of length before each message."""
    def one(conn):
        conn.settimeout(10)
        try:
            with conn:
                head = conn.recv(2, socket.MSG_WAITALL)
                data = conn.recv(struct.unpack(">H", head)[0], socket.MSG_WAITALL)
                reply = answer(world, data)
                if reply:
                    conn.sendall(struct.pack(">H", len(reply)) + reply)
        except (OSError, struct.error):
            pass

    while True:
        threading.Thread(target=one, args=(sock.accept()[0],), daemon=True).start()


def start(world):
    """Start both servers."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(names.DNS)
    tcp = socket.create_server(names.DNS)
    for function, sock in ((serve_udp, udp), (serve_tcp, tcp)):
        threading.Thread(target=function, args=(world, sock), daemon=True).start()
