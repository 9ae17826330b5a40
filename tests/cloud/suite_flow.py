#!/usr/bin/python3
"""TAP: how a run goes on when something fails: what is asked anew and how often, couriers that die,
networks that come late, and the one deadline."""

import os
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import e2e  # noqa: E402
import names  # noqa: E402
from e2e import ATTEST, LATCHKEY, STATE, VAULT, Result, case  # noqa: E402

UNVERIFIED = {"error": {"code": "Forbidden",
                        "message": "Target environment attestation statement cannot be verified."}}
EXPIRED = {"error": {"code": "Unauthorized", "message": "AKV10000: token has expired"}}
COURIER_UID = {"imds": 65520, "attestation": 65521, "vault": 65522}
KEY = VAULT + "/keys/ec256"


def asked(b, mark):
    """How often each question was asked since: certificates, bearer token, attestation, release."""
    paths = [e.get("path", "") for e in b.ctl.log(mark)]
    return tuple(sum(what in path for path in paths) for what in (
        "certification", "oauth2", "AzureGuest", "/release"))


# Faults that end, and what is asked in all: (name, fault, questions)
ENDS = [
    ("nothing fails: one question each", None, (1, 1, 1, 1)),
    ("400 for the evidence, once: fresh evidence", ("maa", 400, None, 1), (2, 1, 2, 1)),
    ("401 for the release, once: a new bearer token", ("vault", 401, EXPIRED, 1), (1, 2, 1, 2)),
    ("cannot be verified, once: a new attestation", ("vault", 403, UNVERIFIED, 1), (2, 1, 2, 2)),
    ("cannot be verified, twice: two new ones", ("vault", 403, UNVERIFIED, 2), (3, 1, 3, 3)),
]

# Faults that do not: (name, fault, exit status, word, questions)
NEVER_ENDS = [
    ("400 for the evidence, ever", ("maa", 400, None, None), 76, "HTTP 400", (2, 1, 2, 0)),
    ("401 for the release, ever", ("vault", 401, EXPIRED, None), 77, "HTTP 401", (1, 2, 1, 2)),
    ("cannot be verified, ever", ("vault", 403, UNVERIFIED, None), 77, "verified", (3, 1, 3, 3)),
    ("400 for the release is never repeated", ("vault", 400, None, None), 69, "HTTP 400",
     (1, 1, 1, 1)),
    ("404 for the release is never repeated", ("vault", 404, None, None), 69, "HTTP 404",
     (1, 1, 1, 1)),
    ("503 for the release: five times in all", ("vault", 503, None, None), 75, "HTTP 503",
     (1, 1, 1, 5)),
    ("503 for the evidence: four times in all", ("maa", 503, None, None), 75, "HTTP 503",
     (1, 1, 4, 0)),
]


def set_fault(b, fault):
    """A status as a fault."""
    endpoint, status, body, count = fault
    more = {"count": count} if count else {}
    b.ctl.fault(endpoint, "status", status=status, body=body or "{}", **more)


def ends(name, fault, questions):
    """One fault that is dealt with."""
    def run(b):
        mark = b.ctl.mark()
        if fault:
            set_fault(b, fault)
        r = b.latchkey("release", "--key", KEY, "--attest", ATTEST).ok()
        assert r.out and asked(b, mark) == questions, "%s: %s" % (asked(b, mark), r)
    run.__doc__, run.__name__ = name, "ends"
    return run


def never_ends(name, fault, status, word, questions):
    """One fault that is given up on."""
    def run(b):
        mark = b.ctl.mark()
        set_fault(b, fault)
        r = b.latchkey("release", "--key", KEY, "--attest", ATTEST, "--timeout", "60")
        r.refused(status, word)
        assert asked(b, mark) == questions, "%s: %s" % (asked(b, mark), r)
    run.__doc__, run.__name__ = name, "never_ends"
    return run


for row in ENDS:
    case(ends(*row))
for row in NEVER_ENDS:
    case(never_ends(*row))


@case
def stale_certificates(b):
    """certificates of another TCB are asked for again, once, and both values are named"""
    b.ctl.tamper("imds-thim", "tcbm", count=1)
    mark = b.ctl.mark()
    b.release("ec256").ok()
    assert asked(b, mark) == (2, 1, 1, 1), asked(b, mark)
    b.ctl.tamper("imds-thim", "tcbm")
    mark = b.ctl.mark()
    b.release("ec256").refused(76, "d114000000000003", "db18000000000004")
    assert asked(b, mark) == (2, 1, 0, 0), asked(b, mark)


# ---- processes

class Run:
    """latchkey release in the background."""

    def __init__(self, b, *args):
        self.argv = [LATCHKEY, "release", "--key", KEY, "--attest", ATTEST, "--tpm", b.machine.link,
                     "--kmsg", "no", "--trust", STATE + "/ca.pem", *args]
        self.process = subprocess.Popen(self.argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def couriers(self):
        """The couriers that are alive: {name: status of /proc}."""
        found, names = {}, {uid: name for name, uid in COURIER_UID.items()}
        for entry in os.listdir("/proc"):
            try:
                with open("/proc/%s/status" % entry, encoding="ascii", errors="replace") as f:
                    status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
            except OSError:
                continue
            uid = int(status["Uid"].split()[0])
            if int(status["PPid"]) == self.process.pid and uid in names:
                found[names[uid]] = status
        return found

    def kill(self, peer):
        """SIGKILL a courier."""
        os.kill(int(self.couriers()[peer]["Pid"]), signal.SIGKILL)

    def wait(self):
        """To the end."""
        out, err = self.process.communicate(timeout=60)
        return Result(self.argv, self.process.returncode, out, err)


@case
def couriers_are_shut_in(b):
    """the three couriers run under an identity each, without capabilities or groups"""
    b.ctl.fault("maa", "delay", seconds=2)
    run = Run(b)
    time.sleep(1)
    found = run.couriers()
    run.wait().ok()
    assert sorted(found) == sorted(COURIER_UID), sorted(found)
    for name, status in found.items():
        assert status["NoNewPrivs"] == "1" and int(status["CapEff"], 16) == 0, (name, status)
        assert status["Groups"].strip() == "", (name, status["Groups"])
        assert set(status["Gid"].split()) == {str(COURIER_UID[name])}, (name, status["Gid"])


def dies(peer, endpoint):
    """A courier is killed while it waits for its answer, once and again."""
    def run(b):
        b.ctl.fault(endpoint, "delay", seconds=2)
        first = Run(b)
        time.sleep(1.2)
        first.kill(peer)
        r = first.wait().ok()
        assert "%s courier died of signal 9; started it again" % peer in r.err, str(r)
        second = Run(b)
        for _ in range(2):
            time.sleep(1.2)
            second.kill(peer)
        second.wait().refused(70, "%s courier died of signal 9" % peer)
    run.__doc__, run.__name__ = "the %s courier dies: once is forgiven" % peer, "dies_" + peer
    return run


for pair in (("imds", "imds-thim"), ("attestation", "maa"), ("vault", "vault")):
    case(dies(*pair))


@case
def the_keeper_dies(b):
    """no courier outlives the keeper"""
    b.ctl.fault("maa", "delay", seconds=3)
    run = Run(b)
    time.sleep(1)
    pids = [int(s["Pid"]) for s in run.couriers().values()]
    assert len(pids) == 3, pids
    run.process.kill()
    run.wait()
    time.sleep(0.3)
    for pid in pids:
        try:
            with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as f:
                assert f.read().rsplit(") ", 1)[1][0] == "Z", "courier %d lives on" % pid
        except FileNotFoundError:
            pass


# ---- time

def late(endpoint):
    """A service that nobody can connect to for some seconds, as at boot."""
    def run(b):
        b.ctl.fault(endpoint, "refuse", for_=4.5)
        time.sleep(0.5)  # the listener looks for faults between connections
        began = time.monotonic()
        b.release("ec256").ok()
        took = time.monotonic() - began
        assert 3.5 < took < 8, "%.1f s" % took
    run.__doc__ = "%s is not there for four seconds, and is used as soon as it is" % endpoint
    run.__name__ = "late_" + endpoint
    return run


def silent(endpoint, kind):
    """A silent service holds nobody beyond the deadline."""
    def run(b):
        b.ctl.fault(endpoint, kind)
        began = time.monotonic()
        r = b.release("ec256", "--timeout", "6")
        took = time.monotonic() - began
        assert r.status in (69, 75) and r.out == b"", str(r)
        assert took < 7.5, "%.1f s: %s" % (took, r)
    run.__doc__ = "%s: %s ends at the deadline" % (endpoint, kind)
    run.__name__ = "silent_%s_%s" % (endpoint, kind)
    return run


for service in ("imds", "maa", "vault"):
    case(late(service))


def network(up):
    """Take the services' addresses away, or bring them back."""
    for address in names.ADDRESSES:
        subprocess.run(["ip", "addr", "add" if up else "del", address + "/32", "dev", "lo"],
                       check=True)


@case
def network_comes_late(b):
    """a network that comes up after three seconds is used within the next one"""
    network(False)
    timer = threading.Timer(3, network, (True,))
    timer.start()
    began = time.monotonic()
    try:
        r = b.release("ec256")
    finally:
        timer.join()
    took = time.monotonic() - began
    r.ok()
    assert took < 4.5, "%.1f s: %s" % (took, r)


@case
def network_never_comes(b):
    """no network at all ends at the deadline and says so"""
    network(False)
    try:
        r = b.release("ec256", "--timeout", "5")
    finally:
        network(True)
    r.refused(69, "169.254.169.254", "network")
    assert len(r.err.splitlines()) < 8, str(r)

for row in (("imds", "blackhole"), ("imds-token", "hang"), ("maa", "blackhole"), ("maa", "hang"),
            ("vault", "blackhole"), ("vault", "hang"), ("dns", "drop")):
    case(silent(*row))


if __name__ == "__main__":
    e2e.main()
