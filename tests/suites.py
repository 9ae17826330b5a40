#!/usr/bin/python3
"""Runs suites, each an executable that speaks TAP, and counts.

usage: suites.py [-k TEXT] GROUP...     groups: lint self unit asan cloud enroll boot snp

Logs are in build/check/. Failures are printed with their diagnostics. A suite that dies, runs into
its time limit or whose plan does not fit counts as a failure of its own. The last line is
"N passed, N failed, N skipped", and the exit status is 0 only if nothing failed.
"""

import argparse
import glob
import os
import re
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOGS = "build/check"
PYTHON = "/usr/bin/python3"  # Debian's: the one that has python3-cryptography
RESULT = re.compile(r"(not )?ok\b *(\d+)?(?: *- *)?([^#]*)(?:# *(skip|todo)\S*\s*(.*))?", re.I)
PLAN = re.compile(r"1\.\.(\d+)\s*(?:# *skip\S*\s*(.*))?$", re.I)
# Seconds; the whole of `make check` stays below an hour on two cores.
LIMITS = {"lint": 1200, "self": 600, "unit": 400, "asan": 900, "cloud": 1200, "enroll": 1200,
          "boot": 1800, "snp": 1200}


def unit_programs(flavor):
    """One program per test source, so that a stale binary does not run and a missing one shows."""
    names = sorted(glob.glob("tests/unit/test_*.c"))
    return [f"build/{flavor}/tests/{os.path.basename(n)[:-2]}" for n in names]


def suites_of(group):
    """The executables of a group."""
    edits = "build/musl/tests/test_token_edits"  # where the rest of its kind is
    if group == "unit":
        return [p for p in unit_programs("musl") if p != edits]
    if group == "asan":
        return unit_programs("asan")
    wild = {"lint": ["tests/lint/run"], "self": ["tests/self/suite*"],
            "cloud": ["tests/cloud/suite*"], "enroll": ["tests/enroll/suite*", "qemu/suite-enroll*"],
            "boot": ["qemu/suite*"], "snp": ["qemu/suite-snp*"]}
    paths = [p for w in wild[group] for p in sorted(glob.glob(w)) if os.path.isfile(p)]
    others = suites_of("snp") + suites_of("enroll") if group == "boot" else []
    return [p for p in paths if p not in others] + ([edits] if group == "enroll" else [])


class Tap:
    """The results of one suite, from its output lines."""

    def __init__(self):
        self.results = []  # [verdict, name, reason, lines]
        self.planned = None
        self.complaints = []
        self._loose = []

    def feed(self, line):
        """Takes one line of the suite's output."""
        plan = PLAN.match(line)
        result = None if plan else RESULT.match(line)
        if plan:
            if self.planned is not None:
                self.complaints.append("two plans")
            self.planned = int(plan.group(1))
            if self.planned == 0 and plan.group(2) is not None:
                self.results.append(["skip", "all of it", plan.group(2), []])
                self.planned = 1
        elif result:
            self._result(result, line)
        elif line.startswith("Bail out!"):
            self.complaints.append(line)
        else:
            self._loose.append(line)
            if self.results:
                self.results[-1][3].append(line)

    def _result(self, match, line):
        bad, number, name, word, reason = match.groups()
        verdict = "fail" if bad else "pass"
        if word and word.lower() == "skip" and not bad:
            verdict = "skip"
        if number and int(number) != len(self.results) + 1:
            self.complaints.append(f"result {len(self.results) + 1} is numbered {number}")
        self.results.append([verdict, name.strip() or line, reason or "no reason given",
                             self._loose + [line]])
        self._loose = []

    def finish(self, status, timed_out):
        """Adds a failure for everything that is wrong with the suite as such."""
        if timed_out:
            self.complaints.append("did not end within its time limit")
        elif status < 0:
            self.complaints.append(f"was killed by {signal.Signals(-status).name}")
        elif status > 0 and not any(r[0] == "fail" for r in self.results):
            self.complaints.append(f"ended with status {status} although no check failed")
        if self.planned is None:
            self.complaints.append("has no plan")
        elif self.planned != len(self.results):
            self.complaints.append(f"planned {self.planned} checks, gave {len(self.results)}")
        elif not self.results:
            self.complaints.append("has no checks")
        for text in self.complaints:
            self.results.append(["fail", f"the suite {text}", "", self._loose[-20:]])
            self._loose = []

    def count(self, verdict):
        """How many results have this verdict."""
        return sum(r[0] == verdict for r in self.results)


def environment():
    """Sanitizers must not hide anything, and Python must not litter the tree."""
    env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="1")
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
        env.pop(name, None)
    return env


def run(group, path):
    """Runs one suite to its end and returns its Tap."""
    tap = Tap()
    command = [PYTHON, path] if path.endswith(".py") else [os.path.join(ROOT, path)]
    log_name = os.path.join(LOGS, f"{group}-{os.path.basename(path)}.log")
    try:
        # A group, to end what it leaves behind, but no session: the leader of one would make the
        # first pseudo-terminal that it opens its own, and get SIGHUP from it.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, env=environment(), process_group=0)
    except OSError as error:
        tap.results.append(["fail", f"the suite cannot be run: {error.strerror}", "", []])
        return tap, log_name
    timed_out = False

    def stop(_signal, _frame):
        nonlocal timed_out
        timed_out = True
        os.killpg(process.pid, signal.SIGKILL)

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMITS[group])
    try:
        with open(log_name, "w", encoding="utf-8") as log:
            for raw in process.stdout:
                line = raw.decode("utf-8", "replace").rstrip("\r\n")
                log.write(line + "\n")
                log.flush()
                tap.feed(line)
        status = process.wait()
    finally:
        signal.alarm(0)
        try:
            os.killpg(process.pid, signal.SIGKILL)  # what the suite left behind
        except ProcessLookupError:
            pass
    tap.finish(status, timed_out)
    return tap, log_name


def report(label, tap, log_name, seconds):
    """One line for a suite, and its failures in full."""
    failed = tap.count("fail")
    print(f"{'FAIL' if failed else 'ok':4} {label}: {tap.count('pass')} passed, {failed} failed, "
          f"{tap.count('skip')} skipped ({seconds:.1f} s)")
    for line in dict.fromkeys(line for result in tap.results for line in result[3]):
        if line.startswith("# counted: "):
            print(f"     {line[11:]}")
    for verdict, name, _, lines in tap.results:
        if verdict == "fail":
            print(f"     not ok - {name}")
            for line in lines[-60:]:
                if not RESULT.match(line):
                    print(f"       {line}")
    if failed:
        print(f"     all of it is in {log_name}")
    sys.stdout.flush()


def main():
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-k", default="", metavar="TEXT", help="only suites whose path has TEXT")
    parser.add_argument("group", nargs="+", choices=sorted(LIMITS))
    args = parser.parse_args()
    os.chdir(ROOT)
    os.makedirs(LOGS, exist_ok=True)
    total = {"pass": 0, "fail": 0, "skip": 0}
    skipped = []
    for group in args.group:
        paths = [p for p in suites_of(group) if args.k in p]
        if not paths and not args.k:
            print(f"FAIL {group}: there is no suite")
            total["fail"] += 1
        for path in paths:
            start = time.monotonic()
            tap, log_name = run(group, path)
            label = f"{group} {os.path.basename(path)}"
            report(label, tap, log_name, time.monotonic() - start)
            for verdict in total:
                total[verdict] += tap.count(verdict)
            skipped += [f"{label}: {r[1]}: {r[2]}" for r in tap.results if r[0] == "skip"]
    for line in skipped:
        print(f"skip {line}")
    print(f"{total['pass']} passed, {total['fail']} failed, {total['skip']} skipped", flush=True)
    return 1 if total["fail"] else 0


if __name__ == "__main__":
    sys.exit(main())
