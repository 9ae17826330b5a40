#!/usr/bin/python3
"""The suite runner counts what happened, and takes a suite that went wrong for a failure."""

import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import suites  # noqa: E402

# name, the suite's script, seconds, expected (passed, failed, skipped), a complaint or ""
CASES = [
    ("all is well", "echo 'ok 1 - a'; echo 'ok 2 - b # SKIP no net'; echo 1..2", 9, (1, 0, 1), ""),
    ("plan first", "echo 1..1; echo 'ok 1 - a'", 9, (1, 0, 0), ""),
    ("a failure", "echo 'not ok 1 - a'; echo 1..1; exit 1", 9, (0, 1, 0), ""),
    ("a failure and status 0", "echo 'not ok 1 - a'; echo 1..1", 9, (0, 1, 0), ""),
    ("a skip that is not ok", "echo 'not ok 1 - a # SKIP x'; echo 1..1", 9, (0, 1, 0), ""),
    ("all of it skipped", "echo '1..0 # SKIP no machine'", 9, (0, 0, 1), ""),
    ("nothing at all", "true", 9, (0, 1, 0), "has no plan"),
    ("an empty plan", "echo 1..0", 9, (0, 1, 0), "has no checks"),
    ("fewer than planned", "echo 'ok 1 - a'; echo 1..2", 9, (1, 1, 0), "planned 2 checks, gave 1"),
    ("two plans", "echo 1..1; echo 'ok 1 - a'; echo 1..1", 9, (1, 1, 0), "two plans"),
    ("misnumbered", "echo 'ok 2 - a'; echo 1..1", 9, (1, 1, 0), "numbered 2"),
    ("a status without a failure", "echo 'ok 1 - a'; echo 1..1; exit 3", 9, (1, 1, 0), "status 3"),
    ("dies by a signal", "echo 'ok 1 - a'; echo 1..1; kill -SEGV $$", 9, (1, 1, 0), "SIGSEGV"),
    ("bails out", "echo 'ok 1 - a'; echo 1..1; echo 'Bail out! no disk'", 9, (1, 1, 0), "no disk"),
    ("hangs", "echo 'ok 1 - a'; echo 1..1; exec sleep 60", 1, (1, 1, 0), "time limit"),
    ("leaves a child that holds the pipe", "sleep 60 & echo 'ok 1 - a'; echo 1..1", 1, (1, 1, 0),
     "time limit"),
]


def one(script, seconds):
    """Runs script as a suite; returns its Tap and the text of the last complaint."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "suite")
        with open(path, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\n" + script + "\n")
        os.chmod(path, 0o755)
        suites.LOGS = folder
        suites.LIMITS["self"] = seconds
        tap, _ = suites.run("self", path)
    return tap


def main():
    """Speaks TAP itself."""
    bad = 0
    for number, (name, script, seconds, expected, complaint) in enumerate(CASES, 1):
        tap = one(script, seconds)
        got = (tap.count("pass"), tap.count("fail"), tap.count("skip"))
        said = "; ".join(tap.complaints)
        right = got == expected and (complaint in said if complaint else not said)
        if not right:
            print(f"# counted {got}, expected {expected}; said {said!r}, expected {complaint!r}")
            bad = 1
        print(f"{'ok' if right else 'not ok'} {number} - {name}")
    print(f"1..{len(CASES)}")
    return bad


if __name__ == "__main__":
    sys.exit(main())
