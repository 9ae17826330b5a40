"""What all services share: certificates, keys, faults, settings, and the log of every request."""

import copy
import json
import os
import threading
import time
import traceback
import uuid

import amd
import faults
import keys
import names
import pki

# Settings that tests may change while the simulator runs (ctl.py setting NAME VALUE).
SETTINGS = {
    "maa.lifetime": 28800,          # seconds a token is good for; negative: minted expired
    "maa.not-before": 0,            # seconds from now until a token is good
    "maa.require-event-log": False,
    "maa.min-tcb": "",              # SevSnpVm: 16 hex digits as in tcbm; a TCB below is refused
    "maa.deny-debug": False,        # SevSnpVm: the instance's policy refuses debuggable guests
    "maa.sign-with": "",            # another key for tokens, e.g. maa-token-old
    "aad.lifetime": 86400,
    "aad.sign-with": "aad",
    "aad.tenant": names.TENANT,     # another one: the vault refuses the issuer
    "imds.propagating": 0,          # so many "Identity not found" answers first
    "vault.tls-to-maa": True,       # False: the vault cannot reach the attestation service
    "kds.rate": 0,                  # so many requests in each window; 0: as many as you like
    "kds.window": 3600,             # seconds
}


class Log:
    """The request log, in memory and as JSON lines in STATE/requests.jsonl."""

    def __init__(self, path):
        self.lock, self.entries, self.seq = threading.Lock(), [], 0
        self.file = open(path, "w", encoding="utf-8", buffering=1)
        self.verbose = False

    def add(self, entry):
        """Append one entry; it gets its number and time."""
        with self.lock:
            self.seq += 1
            entry = dict({"seq": self.seq, "time": round(time.time(), 3)}, **entry)
            self.entries.append(entry)
            self.file.write(json.dumps(entry) + "\n")
        if self.verbose:
            print(self.line(entry), flush=True)
        return entry

    @staticmethod
    def line(entry):
        """One entry for a person."""
        text = "%s %s" % (time.strftime("%H:%M:%S", time.gmtime(entry["time"])), entry["service"])
        if "path" in entry:
            text += " %s %s -> %d" % (entry["method"], entry["path"], entry["status"])
        for word in ("event", "name", "code", "reason"):
            if entry.get(word):
                text += " " + str(entry[word])
        return text + (" [fault %s]" % ",".join(entry["faults"]) if entry.get("faults") else "")

    def connection(self, service, peer, event):
        """A connection that never became a request."""
        self.add({"service": service, "peer": "%s:%d" % peer[:2], "event": event})

    def dns(self, name, kind, code, struck):
        """A question to the name server."""
        self.add({"service": "dns", "name": name, "type": kind, "status": code, "faults": struck})

    def bug(self, error):
        """An exception of ours."""
        self.add({"service": "simulator", "event": "bug", "reason": repr(error),
                  "trace": traceback.format_exc()})

    def request(self, service, peer, tls, request, response, refusal, start):
        """A request with its verdict and every check made on the way."""
        hidden = ("authorization",)
        return self.add({
            "service": service, "peer": "%s:%d" % peer[:2], "tls": tls, "method": request.method,
            "host": request.host, "path": request.path, "query": request.query,
            "headers": {k: ("(%d bytes)" % len(v) if k in hidden else v)
                        for k, v in request.headers.items()},
            "bytes": len(request.body), "status": response.status,
            "code": refusal.code if refusal else None,
            "inner": refusal.inner if refusal else None,
            "reason": refusal.reason if refusal else None,
            "verdict": "refused" if refusal else "answered", "checks": request.checks,
            "facts": request.facts, "faults": request.faults,
            "ms": round((time.time() - start) * 1000, 1)})

    def since(self, seq):
        """Entries after a number."""
        with self.lock:
            return [e for e in self.entries if e["seq"] > seq]

    def clear(self):
        """Forget all entries (numbers go on)."""
        with self.lock:
            self.entries = []


class World:
    """The simulated cloud's state in one directory."""

    def __init__(self, state):
        self.state = os.path.realpath(state)
        self.pki = pki.Pki(self.state)
        self.amd = amd.Amd(self.state)
        self.keys = keys.Store(self.state)
        self.faults = faults.Faults()
        self.settings = dict(SETTINGS)
        self.identities = copy.deepcopy(names.IDENTITIES)
        self.kds_asked = []         # when, while there is a rate
        self.log = Log(os.path.join(self.state, "requests.jsonl"))

    def reset(self):
        """Everything a test may have changed, back to how it was at the start."""
        self.faults.clear()
        self.settings = dict(SETTINGS)
        self.identities = copy.deepcopy(names.IDENTITIES)
        self.keys.reset()
        self.kds_asked.clear()
        self.amd.reset()

    def tampers(self, request, endpoint, *what):
        """Which of these tamper faults strike this request."""
        struck = [f["what"] for f in self.faults.take(endpoint, ("tamper",), what)]
        request.faults += struck
        return struck


def request_id():
    """A fresh x-ms-request-id."""
    return str(uuid.uuid4())
