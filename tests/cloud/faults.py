"""Faults on demand.  A fault is a JSON object; tests set it through ctl.py.

  endpoint   imds | imds-thim | imds-token | maa | maa-certs | maa2 | vault | hsm | kds | dns
  kind       what happens, below
  count      strikes only that often (default: until cleared)
  skip       lets that many requests pass first
  after/for  strikes only from `after` seconds after it was set, for `for` seconds

Kinds when a connection arrives (endpoints imds, maa, maa2, vault, hsm, kds):
  refuse               nobody listens (count and skip mean nothing here)
  blackhole            accepted, never answered
  reset                accepted, then reset
  tls                  cert: wrong-host | other-ca | expired; max: 1.2 | 1.3; min: 1.3
Kinds when a request has been read (every HTTP endpoint):
  delay                seconds
  status               status, body (text or JSON), headers {}
  throttle             429 with Retry-After: seconds (default 1)
  hang                 no answer
  drop                 connection reset instead of an answer
  truncate             only the first `bytes` (default: half) of the body, then end of file
  garbage              bytes that are no HTTP
  badjson              200 with a body that is no JSON
  chunked              a good answer in chunks of `bytes`
  slow                 a good answer, `bytes` at a time with `seconds` between
  oversize             200 with a body of `bytes` (default 4 MiB)
  tamper               what: see the service (imds.py, maa.py, maa_snp.py, release.py, kds.py)
DNS: delay, drop, servfail, nxdomain, garbage, empty (no address in the answer)
"""

import threading
import time

CONNECT = ("refuse", "blackhole", "reset", "tls")
REQUEST = ("delay", "status", "throttle", "hang", "drop", "truncate", "garbage", "badjson",
           "chunked", "slow", "oversize")
DNS = ("delay", "drop", "servfail", "nxdomain", "garbage", "empty")
LISTENERS = ("imds", "maa", "maa2", "vault", "hsm", "kds")
ENDPOINTS = LISTENERS + ("imds-thim", "imds-token", "maa-certs", "dns")


class FaultError(ValueError):
    """No such fault."""


class Faults:
    """The faults in force."""

    def __init__(self):
        self._lock, self._list, self._next = threading.Lock(), [], 1

    def set(self, fault):
        """Add a fault; its number."""
        endpoint, kind = fault.get("endpoint"), fault.get("kind")
        if endpoint not in ENDPOINTS:
            raise FaultError("no endpoint '%s'" % endpoint)
        kinds = DNS if endpoint == "dns" else REQUEST + ("tamper",)
        if endpoint in LISTENERS:
            kinds += CONNECT
        if kind not in kinds:
            raise FaultError("no kind '%s' at %s" % (kind, endpoint))
        if kind == "tamper" and not isinstance(fault.get("what"), str):
            raise FaultError("tamper needs 'what'")
        with self._lock:
            fault = dict(fault, id=self._next, since=time.monotonic(), struck=0)
            self._next += 1
            self._list.append(fault)
            return fault["id"]

    def clear(self, endpoint=None):
        """Remove all faults, or those of one endpoint."""
        with self._lock:
            self._list = [f for f in self._list if endpoint and f["endpoint"] != endpoint]

    def list(self):
        """A copy of what is in force."""
        with self._lock:
            return [{k: v for k, v in f.items() if k != "since"} for f in self._list]

    def _active(self, fault):
        age = time.monotonic() - fault["since"] - fault.get("after", 0)
        return age >= 0 and ("for" not in fault or age < fault["for"]) and (
            "count" not in fault or fault["struck"] < fault["count"])

    def peek(self, endpoint, kind):
        """Is a fault of this kind in force?  Does not count as a strike."""
        with self._lock:
            return any(f["endpoint"] == endpoint and f["kind"] == kind and self._active(f)
                       for f in self._list)

    def take(self, endpoint, kinds, what=None):
        """The faults that strike now, in the order they were set."""
        struck = []
        with self._lock:
            for fault in self._list:
                if fault["endpoint"] != endpoint or fault["kind"] not in kinds:
                    continue
                if (what and fault.get("what") not in what) or not self._active(fault):
                    continue
                if fault.get("skip", 0) > 0:
                    fault["skip"] -= 1
                    continue
                fault["struck"] += 1
                struck.append(dict(fault))
        return struck
