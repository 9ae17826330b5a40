"""Two processes work through one list, each in a private network of its own with its own cloud and TPM.

The suite calls main(work, tell): `work(bench, share)` runs in both processes and takes every second point of its list
(`share` is 0 or 1); what it passes to `put` comes back to the parent, which gives all of it to `tell`.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import traceback

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "cloud"))
import ctl  # noqa: E402
import e2e  # noqa: E402
import sim  # noqa: E402

MARK = "lab: "
WORKERS = 2


def put(**what):
    """Tell the parent."""
    print(MARK + json.dumps(what), flush=True)


def worker(work, share):
    """Inside the namespace."""
    with sim.Sim(e2e.STATE), e2e.Machine() as machine:
        control = ctl.Ctl()
        control.wait()
        bench = e2e.Bench(control, machine)
        bench.dir = tempfile.mkdtemp(prefix="latchkey-lab.")
        try:
            work(bench, share)
        except Exception:       # whatever it is, the parent must hear of it
            put(broken=traceback.format_exc())
        finally:
            shutil.rmtree(bench.dir, ignore_errors=True)
    for path in e2e.Machine.made.values():
        shutil.rmtree(os.path.dirname(path), ignore_errors=True)


class Child:
    """One of the processes, and what it says."""

    def __init__(self, share, words):
        self.state = tempfile.mkdtemp(prefix="latchkey-cloud.")
        # Certificates and keys that are there already need not be made again.
        if os.path.exists(os.path.join(e2e.STATE, "ca.pem")):
            shutil.copytree(e2e.STATE, self.state, dirs_exist_ok=True)
        env = dict(os.environ, LATCHKEY_CLOUD_STATE=self.state, LATCHKEY_SHARE=str(share))
        self.process = subprocess.Popen(
            [e2e.PYTHON, os.path.join(ROOT, "tests", "cloud", "ns"), e2e.PYTHON, os.path.realpath(sys.argv[0]), *words],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=env)
        self.said = []
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        """Until it ends: messages are kept, everything else is for a person."""
        for raw in self.process.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            if line.startswith(MARK):
                self.said.append(json.loads(line[len(MARK):]))
            else:
                print("# " + line, flush=True)

    def end(self):
        """What it said."""
        self.reader.join()
        if self.process.wait() != 0:
            self.said.append({"broken": "exit status %d" % self.process.returncode})
        shutil.rmtree(self.state, ignore_errors=True)
        return self.said


def main(work, tell, before=None):
    """Run both, `before` that something once, and report; the exit status."""
    if os.getuid() != 0:
        print("1..0 # SKIP needs root for network namespaces")
        return 0
    if "LATCHKEY_SHARE" in os.environ:
        worker(work, int(os.environ["LATCHKEY_SHARE"]))
        return 0
    os.makedirs(e2e.STATE, exist_ok=True)
    if before:
        before()
    children = [Child(i, sys.argv[1:]) for i in range(WORKERS)]
    said = [message for child in children for message in child.end()]
    for message in said:
        for line in message.get("broken", "").splitlines():
            print("# " + line)
    return tell([m for m in said if "broken" not in m], any("broken" in m for m in said))
