"""The programs against the simulated cloud: what the end-to-end suites share.

A suite registers its cases with @case and calls main(). It runs itself again inside the private network
(`ns`), starts the simulator and a vTPM behind a pty there, and prints TAP. A case that raises fails;
its exception is printed as a diagnostic, with what the program said.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
import names  # noqa: E402

STATE = os.environ.get("LATCHKEY_CLOUD_STATE") or os.path.join(ROOT, "build", "cloud")
LATCHKEY = os.path.join(ROOT, "build", "latchkey")
LATCHKEYCTL = os.path.join(ROOT, "build", "latchkeyctl")
PYTHON = "/usr/bin/python3"
ATTEST = "https://" + names.MAA_HOST
VAULT = "https://" + names.VAULT_HOST
HSM = "https://" + names.HSM_HOST
CASES = []


class Skip(Exception):
    """A case that cannot run here."""


def case(function):
    """Register a case; its docstring's first line is its name."""
    CASES.append(function)
    return function


class Result:
    """What a program did."""

    def __init__(self, argv, status, out, err):
        self.argv, self.status, self.out, self.err = argv, status, out, err.decode("utf-8", "replace")

    def __str__(self):
        return "%s -> %d\n  out: %d bytes\n  err: %s" % (
            " ".join(os.path.basename(self.argv[0]) if i == 0 else a for i, a in enumerate(self.argv)),
            self.status, len(self.out), self.err.strip().replace("\n", "\n       "))

    def ok(self):
        """It must have worked."""
        assert self.status == 0, str(self)
        return self

    def refused(self, status, *words):
        """It must have failed with this exit status, no byte on standard output, and one line
        that has all these words."""
        assert self.status == status, "exit status %d wanted: %s" % (status, self)
        assert self.out == b"", "a refusal wrote to standard output: %s" % self
        lines = self.err.strip().splitlines()
        assert lines, "nothing was said: %s" % self
        for word in words:
            assert word.lower() in lines[-1].lower(), "'%s' is not in the last line: %s" % (word, self)
        return self


class Machine:
    """A vTPM behind a pty that stands for /dev/tpmrm0; the log has every command."""

    made = {}

    def __init__(self, hcl="good", akcert="padded", faults=()):
        self.dir = tempfile.mkdtemp(prefix="latchkey-tpm.")
        self.link, self.log = os.path.join(self.dir, "tpmrm0"), os.path.join(self.dir, "log")
        self.tpm = os.path.join(self.dir, "state")
        shutil.copytree(self.provision(hcl, akcert), self.tpm)
        argv = [PYTHON, os.path.join(HERE, "vtpm.py"), "serve", "--tpm", self.tpm, "--link", self.link,
                "--log", self.log]
        for fault in faults:
            argv += ["--fault", fault]
        self.process = subprocess.Popen(argv)
        end = time.monotonic() + 20
        while not os.path.exists(self.link):
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError("the vTPM did not start")
            time.sleep(0.02)

    @classmethod
    def provision(cls, hcl, akcert):
        """Each kind of machine is made once per run."""
        kind = "%s-%s" % (hcl, akcert)
        if kind not in cls.made:
            path = tempfile.mkdtemp(prefix="latchkey-tpm-%s." % kind) + "/t"
            subprocess.run([PYTHON, os.path.join(HERE, "vtpm.py"), "provision", "--state", STATE,
                            "--tpm", path, "--hcl", hcl, "--akcert", akcert], check=True)
            cls.made[kind] = path
        return cls.made[kind]

    def commands(self):
        """How many commands each client that has left sent, from the log; waits for the first."""
        end = time.monotonic() + 10
        while True:
            with open(self.log, encoding="ascii", errors="replace") as f:
                lines = f.read().splitlines()
            if any(line.startswith("FINALIZE") for line in lines) or time.monotonic() > end:
                break
            time.sleep(0.05)
        counts, n = [], 0
        for line in lines:
            if line.startswith("INIT"):
                n = 0
            elif line.startswith("C "):
                n += 1
            elif line.startswith("FINALIZE"):
                counts.append(n)
        return counts

    def close(self):
        """Stop and forget."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


class Bench:
    """What a case gets: the good machine, the simulator's control, and the programs."""

    def __init__(self, ctl, machine):
        self.ctl, self.machine = ctl, machine
        self.dir = None

    def path(self, name):
        """A file in the case's own folder."""
        return os.path.join(self.dir, name)

    def call(self, argv, stdin=b"", timeout=90, **more):
        """Run a program to its end."""
        p = subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=timeout, cwd=self.dir, check=False, **more)
        return Result(argv, p.returncode, p.stdout, p.stderr)

    def latchkey(self, verb, *args, machine=None, trust=True, stdin=b"", timeout=90):
        """Run latchkey with this machine and the simulator's trust anchors."""
        argv = [LATCHKEY, verb, *args, "--tpm", (machine or self.machine).link, "--kmsg", "no",
                "--conf-dir", self.path("conf")]
        if trust:
            argv += ["--trust", STATE + "/ca.pem"]
        return self.call(argv, stdin, timeout)

    def release(self, key="rsa2048", *args, service=VAULT, attest=ATTEST, **more):
        """latchkey release."""
        url = key if key.startswith("https:") else "%s/keys/%s" % (service, key)
        return self.latchkey("release", "--key", url, "--attest", attest, *args, **more)

    def attest(self, *args, attest=ATTEST, **more):
        """latchkey attest."""
        return self.latchkey("attest", "--attest", attest, *args, **more)


def enter():
    """Inside the private network, or start again there."""
    if os.getuid() != 0:
        print("1..0 # SKIP needs root for network namespaces")
        sys.exit(0)
    if "LATCHKEY_NS_PID" not in os.environ:
        os.makedirs(STATE, exist_ok=True)
        os.execv(PYTHON, [PYTHON, os.path.join(HERE, "ns"), PYTHON, os.path.realpath(sys.argv[0]),
                          *sys.argv[1:]])


def one(bench, number, function):
    """Run a case and print its line."""
    name = (function.__doc__ or function.__name__).strip().splitlines()[0].rstrip(".")
    bench.ctl.reset()
    bench.dir = tempfile.mkdtemp(prefix="latchkey-case.")
    try:
        function(bench)
        print("ok %d - %s" % (number, name), flush=True)
    except Skip as e:
        print("ok %d - %s # SKIP %s" % (number, name, e), flush=True)
    except Exception as e:     # whatever it is, the case failed
        text = str(e) if isinstance(e, AssertionError) else traceback.format_exc()
        for line in text.strip().splitlines():
            print("# " + line)
        print("not ok %d - %s" % (number, name), flush=True)
    finally:
        shutil.rmtree(bench.dir, ignore_errors=True)


def main():
    """Run the cases (those whose function's name contains one of the arguments)."""
    enter()
    import ctl
    import sim
    wanted = [f for f in CASES if not sys.argv[1:] or any(a in f.__name__ for a in sys.argv[1:])]
    print("1..%d" % len(wanted), flush=True)
    with sim.Sim(STATE), Machine() as machine:
        control = ctl.Ctl()
        control.wait()
        bench = Bench(control, machine)
        for number, function in enumerate(wanted, 1):
            one(bench, number, function)
    for path in Machine.made.values():
        shutil.rmtree(os.path.dirname(path), ignore_errors=True)
