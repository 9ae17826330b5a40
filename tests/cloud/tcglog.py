"""The firmware's event log: parse both formats, replay the SHA-256 bank.

Format: TCG PC Client Platform Firmware Profile, section 10.  A crypto-agile log starts with an
event in the old format whose data begins with "Spec ID Event03"; without it all events are old.
"""

import hashlib
import struct

EV_NO_ACTION = 3
EV_EFI_VARIABLE_DRIVER_CONFIG = 0x80000001
SHA1, SHA256 = 0x0004, 0x000B
SECURE_BOOT = "SecureBoot".encode("utf-16-le")


class LogError(ValueError):
    """Not an event log."""


def _take(data, at, n):
    if n > len(data) - at:
        raise LogError("the event log is cut short")
    return data[at:at + n], at + n


def _old_event(data, at):
    head, at = _take(data, at, 32)
    pcr, kind = struct.unpack_from("<II", head)
    body, at = _take(data, at, struct.unpack_from("<I", head, 28)[0])
    return (pcr, kind, {SHA1: head[8:28]}, body), at


def _digest_sizes(body):
    """Algorithms and sizes from the Spec ID event."""
    if len(body) < 28:
        raise LogError("Spec ID event is cut short")
    count = struct.unpack_from("<I", body, 24)[0]
    if count > 16 or len(body) < 28 + 4 * count:
        raise LogError("Spec ID event is cut short")
    return dict(struct.unpack_from("<HH", body, 28 + 4 * i) for i in range(count))


def _new_event(data, at, sizes):
    head, at = _take(data, at, 12)
    pcr, kind, count = struct.unpack("<III", head)
    if count > len(sizes):
        raise LogError("more digests than algorithms")
    digests = {}
    for _ in range(count):
        raw, at = _take(data, at, 2)
        alg = struct.unpack("<H", raw)[0]
        if alg not in sizes:
            raise LogError("digest of an algorithm that the log does not declare")
        digests[alg], at = _take(data, at, sizes[alg])
    raw, at = _take(data, at, 4)
    body, at = _take(data, at, struct.unpack("<I", raw)[0])
    return (pcr, kind, digests, body), at


def parse(data):
    """(crypto agile?, [(PCR, type, {algorithm: digest}, event data)])."""
    events, at, sizes = [], 0, None
    while at < len(data):
        if sizes is None:
            event, at = _old_event(data, at)
            if not events and event[1] == EV_NO_ACTION and event[3][:16] == b"Spec ID Event03\0":
                sizes = _digest_sizes(event[3])
        else:
            event, at = _new_event(data, at, sizes)
        if event[0] > 23 and event[0] != 0xFFFFFFFF:
            raise LogError("event for PCR %d" % event[0])
        events.append(event)
    return sizes is not None, events


def replay(events, algorithm=SHA256):
    """The PCR values that the events lead to (StartupLocality respected), as {pcr: value}."""
    make = {SHA1: hashlib.sha1, SHA256: hashlib.sha256}[algorithm]
    pcrs = {}
    for pcr, kind, digests, body in events:
        if kind == EV_NO_ACTION:
            if pcr == 0 and body[:16] == b"StartupLocality\0" and len(body) == 17:
                pcrs[0] = bytes(make().digest_size - 1) + body[16:17]
        elif algorithm in digests:
            pcrs[pcr] = make(pcrs.get(pcr, bytes(make().digest_size)) + digests[algorithm]).digest()
    return pcrs


def secure_boot(events):
    """What the log says about secure boot: True, False, or None when it does not say."""
    for pcr, kind, _, body in events:
        if pcr == 7 and kind == EV_EFI_VARIABLE_DRIVER_CONFIG and len(body) >= 32:
            name_length, size = struct.unpack_from("<QQ", body, 16)
            start = 32 + 2 * name_length
            if body[32:start] == SECURE_BOOT and len(body) == start + size:
                return body[start:] == b"\1"
    return None
