"""A little DER: enough to write X.509 certificates as AMD does and to take any apart strictly.

The certificate builder of python3-cryptography (38) can neither sign with RSASSA-PSS nor write the
serial number 0; both are what AMD's chain has.
"""


class DerError(ValueError):
    """The input is not the DER that was expected."""


def tlv(tag, *parts):
    """One element: tag, shortest length, contents."""
    body = b"".join(parts)
    n = len(body)
    if n < 0x80:
        return bytes([tag, n]) + body
    length = n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def seq(*parts):
    """SEQUENCE."""
    return tlv(0x30, *parts)


def integer(value):
    """INTEGER of a number that is not negative."""
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted):
    """OBJECT IDENTIFIER."""
    arcs = [int(x) for x in dotted.split(".")]
    out = bytearray()
    for arc in [arcs[0] * 40 + arcs[1]] + arcs[2:]:
        chunk = [arc & 0x7F]
        while arc > 0x7F:
            arc >>= 7
            chunk.append(0x80 | (arc & 0x7F))
        out += bytes(reversed(chunk))
    return tlv(0x06, bytes(out))


def bits(data):
    """BIT STRING of whole bytes."""
    return tlv(0x03, b"\0" + data)


def octets(data):
    """OCTET STRING."""
    return tlv(0x04, data)


def time(when):
    """UTCTime up to 2049, GeneralizedTime after (RFC 5280, 4.1.2.5)."""
    if when.year < 2050:
        return tlv(0x17, when.strftime("%y%m%d%H%M%SZ").encode())
    return tlv(0x18, when.strftime("%Y%m%d%H%M%SZ").encode())


def read(data, at=0, want=None):
    """One element at `at`: (tag, contents, offset after it).  `want` is the tag it must have."""
    try:
        tag, first = data[at], data[at + 1]
        at += 2
        if first < 0x80:
            n = first
        else:
            k = first & 0x7F
            n = int.from_bytes(data[at:at + k], "big")
            if not 1 <= k <= 4 or len(data) < at + k or n < 0x80 or data[at] == 0:
                raise DerError("length is not DER")
            at += k
    except IndexError:
        raise DerError("cut short") from None
    if at + n > len(data):
        raise DerError("cut short")
    if want is not None and tag != want:
        raise DerError("tag 0x%02x where 0x%02x was expected" % (tag, want))
    return tag, data[at:at + n], at + n


def children(data):
    """All elements of a constructed value's contents: [(tag, contents, whole element)]."""
    out, at = [], 0
    while at < len(data):
        tag, body, end = read(data, at)
        out.append((tag, body, data[at:end]))
        at = end
    return out


def read_uint(data):
    """The whole of `data` as one DER INTEGER that is not negative and has the shortest form."""
    _, body, end = read(data, 0, 0x02)
    if end != len(data) or not body or body[0] & 0x80 or (len(body) > 1 and body[0] == 0
                                                          and not body[1] & 0x80):
        raise DerError("not an unsigned INTEGER")
    return int.from_bytes(body, "big")
