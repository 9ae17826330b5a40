#!/usr/bin/python3
"""TAP suite: the simulated cloud is as strict as the real one.

A reference client in Python goes the whole way against swtpm and the simulator; then each single
check of each service is violated, one at a time, and must be refused with its status and code.  At
the end no check may be left that was never seen to fail.
"""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import ctl  # noqa: E402
import selftest_amd  # noqa: E402
import selftest_faults  # noqa: E402
import selftest_flow  # noqa: E402
import selftest_kds  # noqa: E402
import selftest_maa  # noqa: E402
import selftest_skr  # noqa: E402
import selftest_snp  # noqa: E402
import selftest_tsm  # noqa: E402
import selftest_unit  # noqa: E402
import selftest_vault  # noqa: E402
import sim  # noqa: E402
import tap  # noqa: E402


class Env:
    """What the groups of checks share."""

    def __init__(self, state, control):
        self.state, self.ctl = state, control
        self.ca = os.path.join(state, "ca.pem")


def every_check_failed_once(t, env):
    """No check that was passed may be one that was never seen to refuse."""
    passed, failed = set(), set()
    for entry in env.ctl.log():
        for check in entry.get("checks", ()):
            name = re.sub(r"\[\d\]", "[]", check["check"])
            # each attestation endpoint for itself
            if entry["path"].lower().startswith("/attest/") and name not in ("path", "method"):
                name = entry["path"].lower() + " " + name
            (passed if check["ok"] else failed).add((entry["service"], name))
    for service in ("imds", "maa", "vault", "hsm", "kds"):
        names = {c for s, c in passed if s == service}
        seen = {c for s, c in failed if s == service}
        if service == "hsm":        # the same code as the vault's
            seen |= {c for s, c in failed if s == "vault"}
        never = sorted(n for n in names - seen)
        t.equal(never, [], "%s: each of its %d checks was seen to refuse" % (service, len(names)))
    bugs = [e["trace"] for e in env.ctl.log() if e.get("event") == "bug"]
    t.ok(not bugs, "the simulator had no failure of its own", "\n".join(bugs))


def main():
    """All groups."""
    state = tap.in_namespace()
    t = tap.Tap()
    t.run("unit cases", selftest_unit.run)
    with sim.Sim(state):
        env = Env(state, ctl.Ctl())
        t.run("vTPM and flow", selftest_flow.run, env)
        t.run("host", selftest_amd.run, env)
        t.run("attestation", selftest_maa.run, env)
        t.run("SNP attestation", selftest_snp.run, env)
        t.run("vault", selftest_vault.run, env)
        t.run("certificates", selftest_kds.run, env)
        t.run("SNP release", selftest_skr.run, env)
        t.run("faults", selftest_faults.run, env)
        t.run("configfs-tsm", selftest_tsm.run, env)
        t.run("coverage", every_check_failed_once, env)
    t.done()


if __name__ == "__main__":
    main()
