"""TAP output for the Python suites, and running them inside the simulated network."""

import os
import re
import sys
import tempfile
import shutil
import subprocess
import traceback

HERE = os.path.dirname(os.path.realpath(__file__))


class Tap:
    """Counts checks and prints them."""

    def __init__(self):
        self.count, self.failed = 0, 0

    def ok(self, good, name, why=""):
        """One check."""
        self.count += 1
        print("%s %d - %s" % ("ok" if good else "not ok", self.count, name), flush=True)
        if not good:
            self.failed += 1
            for line in str(why).splitlines():
                print("# " + line[:600])
        return good

    def skip(self, name, reason):
        """A check that cannot be made here."""
        self.count += 1
        print("ok %d - %s # SKIP %s" % (self.count, name, reason), flush=True)

    def equal(self, got, want, name):
        """Both are the same."""
        return self.ok(got == want, name, "got  %r\nwant %r" % (got, want))

    def refused(self, answer, status, code, message, name):
        """A service's refusal: status, (code, inner code) or code, message by pattern."""
        got = answer.error()
        codes = got[:2] if isinstance(code, tuple) else got[0]
        good = answer.status == status and codes == code and \
            re.search(message, got[2] or "", re.S) is not None
        return self.ok(good, name, "status %d, %r, wanted %d, %r, %s" % (
            answer.status, got, status, code, message))

    def run(self, name, function, *args):
        """Run a group of checks; an exception is one failed check, not the end."""
        try:
            function(self, *args)
        except Exception:
            self.ok(False, name + " runs to its end", traceback.format_exc())

    def done(self):
        """The plan, and the exit status."""
        print("1..%d" % self.count)
        sys.exit(1 if self.failed else 0)


def in_namespace():
    """Run this very program inside `ns` with a state directory of its own; its path.

    Returns only inside; outside it waits, cleans up and exits.
    """
    state = os.environ.get("LATCHKEY_SUITE_STATE")
    if state and os.environ.get("LATCHKEY_NS_PID"):
        return state
    state = tempfile.mkdtemp(prefix="latchkey-cloud-")
    try:
        result = subprocess.run([os.path.join(HERE, "ns"), "--state", state, sys.executable,
                                 *sys.argv], env=dict(os.environ, LATCHKEY_SUITE_STATE=state),
                                check=False)
    finally:
        shutil.rmtree(state, ignore_errors=True)
    sys.exit(result.returncode)
