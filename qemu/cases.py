"""What the suites of boots share: one boot as a case, two of them at a time, their verdicts as TAP.

Each boot has its own copy of disk, TPM state and cloud, in a private network of its own; kernel, initramfs and the
enrolled disk are made once a suite.  Serial logs are in build/qemu/logs.  No verdict depends on how long something
takes, but for one generous limit a boot.
"""

import concurrent.futures
import json
import os
import shutil
import sys
import time

import boot
import stage

PROGRAMS = os.path.join(stage.TOP, "build")
LOGS = os.path.join(stage.BUILD, "logs")
LIMIT = 600
REFUSED = r"no key for volume root"
HANDED_OVER = r"volume root: key handed over"
UNITS = "usr/lib/systemd/system/"


class Case:
    """One boot: what is different in the cloud, in the image and in the machine, and how it has to end.

    cloud   called when the cloud is up; what it returns is called after the boot, and returns what was wrong or None
    falls   the boot must reach the passphrase prompt, where the passphrase is typed; otherwise nobody is to be asked
    expect  patterns for the serial line, beside the booted root's greeting
    refuse  patterns that must not appear there
    unit    a service that the image starts early
    """

    count = 1       # verdicts
    prompt = stage.PROMPT
    refused = REFUSED

    def __init__(self, about, cloud=None, files=None, settings=None, falls=True, expect=(), refuse=(), planted=None,
                 unit=None, **machine):
        self.about, self.cloud, self.files, self.settings, self.unit = about, cloud, files or {}, settings, unit
        self.falls, self.expect, self.refuse = falls, list(expect), list(refuse)
        self.planted, self.machine = planted, machine

    def overlay(self, shared):
        """Files to be replaced in the image."""
        files = dict(self.files)
        if self.unit:
            with open(os.path.join(stage.TOP, "initramfs", "systemd", "latchkey.socket"), "rb") as f:
                pulled = f.read().replace(b"[Unit]\n", b"[Unit]\nWants=boot-test.service\n")
            files[UNITS + "latchkey.socket"] = (0o644, pulled)
            files[UNITS + "boot-test.service"] = (0o644, self.unit)
        if self.settings:
            with open(os.path.join(shared.config, "root.conf")) as f:
                files["etc/latchkey/root.conf"] = (0o644, stage.with_settings(f.read(), **self.settings).encode())
        return files

    def run(self, shared, folder, log):
        """Inside the private network; a boot.Verdict."""
        twin = shared.copy(folder)
        files = self.overlay(shared)
        if files:
            twin.initrd = os.path.join(folder, "initrd.img")
            stage.overlay(shared.initrd, files, twin.initrd)
        leak = stage.leak_argument(self.planted) if self.planted else shared.leak_argument()
        options = dict({"tpm": twin.tpm, "timeout": LIMIT}, **self.machine)
        append = " ".join((leak, options.pop("append", ""))).strip()
        expect = [stage.GREETING, stage.LEAK if self.planted else stage.CLEAN] + self.expect
        with stage.cloud(twin.cloud, os.path.join(folder, "cloud.log")):
            afterwards = self.cloud() if self.cloud else None
            verdict = boot.Boot(
                os.path.join(stage.KERNEL, "vmlinuz"), twin.initrd, twin.disk, log, append=append,
                expect=expect + ([self.refused] if self.falls and not self.planted else []),
                refuse=self.refuse + ([HANDED_OVER] if self.falls else [self.prompt, self.refused]),
                typed=[(self.prompt, stage.PASSPHRASE)] if self.falls else [], **options).run()
            if verdict.ok and afterwards:
                verdict.fail(afterwards())
            return verdict

    def verdicts(self, name, result):
        """`count` rows (ok, what was tested, what was wrong) of a result that one() has printed."""
        return [(result["ok"], "%s: %s" % (name, self.about), [result["reason"]] + result["tail"])]


class Suite:
    """The boots of one program, which is started again for each step inside a private network.

    cases    by name; BOOTS picks some
    ours     tells of a name in BOOTS whether it is this suite's: the variable is for all of them
    outside  called before the first boot, where the network is that packages come from
    """

    def __init__(self, program, cases, ours, outside=None):
        self.program, self.cases, self.ours, self.outside = os.path.realpath(program), cases, ours, outside
        self.folder = os.path.join(stage.BUILD, os.path.basename(program))
        self.base = os.path.join(self.folder, "base")

    def one(self, name):
        """Run one case inside the private network; the last line of output is the verdict as JSON."""
        folder = os.path.join(self.folder, "boot-" + name)
        try:
            verdict = self.cases[name].run(stage.Set(self.base), folder, os.path.join(LOGS, name + ".log"))
            result = {"ok": verdict.ok, "reason": verdict.reason, "seconds": verdict.seconds, "rows": verdict.rows,
                      "tail": verdict.lines(r"\] (?:latchkey|emulated-sev)[:\[]|^latchkey demo|assphrase")[-15:]
                              if not verdict.ok else []}
            if verdict.ok:
                shutil.rmtree(folder)       # what failed stays, to be looked at
        except stage.StageError as e:
            result = {"ok": False, "reason": str(e), "seconds": 0, "rows": {}, "tail": []}
        print(json.dumps(result))
        return 0 if result["ok"] else 1

    def within(self, *words):
        """Command line for the suite's program inside a private network."""
        return [sys.executable, stage.NS, sys.executable, self.program] + list(words)

    def result_of(self, name):
        """Run a case in its own process; its result, whatever happens to it."""
        started = time.monotonic()
        try:
            said = stage.run(*self.within("--boot", name), fails_ok=True)
            return json.loads(said.decode(errors="replace").strip().split("\n")[-1])
        except (stage.StageError, ValueError) as e:
            return {"ok": False, "reason": "the test itself failed: %s" % e, "seconds": time.monotonic() - started,
                    "rows": {}, "tail": []}

    def prepare(self):
        """Inside the private network: the enrolled disk and the image that all boots share."""
        machine = stage.Set(self.base)
        stage.enroll(machine, PROGRAMS)
        stage.prepare_image(machine, os.path.join(PROGRAMS, "latchkey"))

    def chosen(self):
        """The names that BOOTS asks for."""
        asked = [name for name in os.environ.get("BOOTS", "").split(",") if name]
        names = [name for name in asked if self.ours(name)] if asked else list(self.cases)
        for name in names:
            if name not in self.cases:
                raise stage.StageError("BOOTS: there is no boot %s; there are %s" % (name, " ".join(self.cases)))
        return names

    def report(self, name, result, number):
        """The case's lines; returns how many of its verdicts are bad."""
        bad = 0
        for ok, what, wrong in self.cases[name].verdicts(name, result):
            number += 1
            bad += not ok
            print("%s %d - %s" % ("ok" if ok else "not ok", number, what))
            for line in [] if ok else wrong:
                print("#   %s" % line)
        print("# %.0f s, log in %s" % (result["seconds"], os.path.relpath(os.path.join(LOGS, name + ".log"))))
        sys.stdout.flush()
        return bad

    def tap(self, names):
        """Two boots at a time, reported in the order in which they end."""
        print("1..%d" % sum(self.cases[name].count for name in names), flush=True)
        number = failed = 0
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            running = {pool.submit(self.result_of, name): name for name in names}
            for done in concurrent.futures.as_completed(running):
                name = running[done]
                failed += self.report(name, done.result(), number)
                number += self.cases[name].count
        return 1 if failed else 0

    def main(self):
        """Prepare, run, report."""
        word = sys.argv[1] if sys.argv[1:] else None
        if word == "--list":
            for name, case in self.cases.items():
                print("%-14s %s" % (name, case.about))
            return 0
        if word == "--boot":
            return self.one(sys.argv[2])
        try:
            if word == "--prepare":
                self.prepare()
                return 0
            names = self.chosen()
            if not names:
                print("1..0 # SKIP BOOTS picks none of these boots")
                return 0
            os.makedirs(LOGS, exist_ok=True)
            stage.prepare_disk(stage.Set(self.base))
            if self.outside:
                self.outside()
            stage.run(*self.within("--prepare"))
        except stage.StageError as e:
            print(e, file=sys.stderr) if word == "--prepare" else print("Bail out! %s" % e)
            return 1
        return self.tap(names)
