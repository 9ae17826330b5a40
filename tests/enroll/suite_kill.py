#!/usr/bin/python3
"""TAP: latchkeyctl killed at every point; the volume opens all the same, and the same command again ends well."""

import itertools
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import lab  # noqa: E402
import killing  # noqa: E402
import scenes  # noqa: E402

METHODS = {"call": "before and after a call of cryptsetup", "file": "at a change of latchkeyctl's own to a file",
           "cut": "in the middle of a write to the device"}


class Try:
    """One kill of one scene."""

    def __init__(self, b, scene):
        self.b, self.scene = b, scene
        self.image = scene.fresh(b)
        self.log = b.dir + ".log"

    def run(self, tools, inject=None, strace=False):
        """The verb, with this cryptsetup and under strace if asked for."""
        argv = self.scene.argv(self.b, self.image) + ["--cryptsetup", tools.wrapper]
        return self.b.call(killing.traced(argv, self.log, inject) if strace else argv, self.scene.stdin)

    def settled(self):
        """After the kill: what is wrong, or None."""
        wrong = self.scene.still_opens(self.b, self.image)
        if wrong:
            return wrong
        again = self.run(killing.Tools(self.b, self.image))
        if again.status != 0:
            return "the same command again fails: %s" % again
        wrong = self.scene.complete(self.b, self.image)
        return "after the same command again (%s): %s" % (again.err.strip(), wrong) if wrong else None


def points_of(b, scene):
    """From one run that nobody disturbs: [(method, argument)]."""
    t = Try(b, scene)
    tools = killing.Tools(b, t.image, untrue=scene.untrue)
    r = t.run(tools, strace=True)
    assert (r.status != 0) == (scene.untrue > 0), "%s, undisturbed: %s" % (scene.name, r)
    wrong = scene.as_it_was(t.image) if scene.untrue else scene.complete(b, t.image)
    assert wrong is None, "%s, undisturbed: %s" % (scene.name, wrong)
    calls, writes = tools.turn() if scene.untrue else (0, 0)
    return ([("call", (n + 1, when)) for n in range(calls, tools.count("calls")) for when in ("before", "after")] +
            [("file", change) for change in thinned(killing.changes(t.log, b.dir))] +
            [("cut", n + 1) for n in range(writes, tools.count("writes"))])


def thinned(changes):
    """Where one place is written many times in a row (the blocks of a key slot), the first and the last ones and
    every eighth in between."""
    kept = []
    for _, run in itertools.groupby(changes, lambda change: (change[0], change[2])):
        run = list(run)
        kept += [c for i, c in enumerate(run) if i < 3 or i >= len(run) - 3 or i % 8 == 0]
    return kept


def kill_at_call(t, argument):
    """Before or after the Nth call."""
    r = t.run(killing.Tools(t.b, t.image, argument[0], argument[1], t.scene.untrue))
    return None if r.status == -9 else "was not killed: %s" % r


def kill_at_file(t, argument):
    """At the Nth system call of a kind, which has to be the one that is meant: others of its kind may come before."""
    name, nth, place = argument
    for which in (nth, nth + 1, nth - 1, nth + 2, nth - 2):
        r = t.run(killing.Tools(t.b, t.image, untrue=t.scene.untrue), (name, which), True)
        reached = killing.changes(t.log, t.b.dir)
        if r.status in (-9, 137) and reached and (reached[-1][0], reached[-1][2]) == (name, place):
            return None
        t.image = t.scene.fresh(t.b)
    return "was never killed at %s of %s: %s" % (name, place, r)


def cut_write(t, argument):
    """Half of the Nth write; all die."""
    r = t.run(killing.Tools(t.b, t.image, untrue=t.scene.untrue, cut=argument))
    return None if r.status == -9 else "was not killed: %s" % r


KILL = {"call": kill_at_call, "file": kill_at_file, "cut": cut_write}


def work(b, share):
    """This worker's points of every scene."""
    for scene in scenes.SCENES:
        if sys.argv[1:] and scene.name not in sys.argv[1:]:
            continue
        b.ctl.reset()
        scene.prepare(b)
        points = points_of(b, scene)
        lab.put(scene=scene.name, points=[[m, a] for m, a in points])
        for method, argument in points[share::lab.WORKERS]:
            t = Try(b, scene)
            wrong = KILL[method](t, argument) or t.settled()
            lab.put(scene=scene.name, method=method, argument=argument, wrong=wrong)
        scene.forget()


def tell(said, broken):
    """A line for each scene and method."""
    number, counted, failed = 0, {}, broken
    found = {m["scene"]: m["points"] for m in said if "points" in m}
    for name, points in found.items():
        for method, about in METHODS.items():
            wanted = [p for p in points if p[0] == method]
            tried = [m for m in said if m["scene"] == name and m.get("method") == method]
            wrong = [m for m in tried if m["wrong"]]
            number += 1
            good = wanted and not wrong and len(tried) == len(wanted)
            failed = failed or not good
            print("%s %d - %s, killed %s: %d points" % ("ok" if good else "not ok", number, name, about, len(tried)))
            if len(tried) != len(wanted):
                print("# %d of %d points were tried" % (len(tried), len(wanted)))
            for m in wrong[:5]:
                print("# at %s:" % m["argument"])
                for line in m["wrong"].splitlines():
                    print("#   " + line)
            counted[name] = counted.get(name, 0) + len(tried)
    number += 1
    print("%s %d - both processes ran to their end" % ("not ok" if broken else "ok", number))
    print("1..%d" % number)
    print("# counted: kill points: " + ", ".join("%s %d" % pair for pair in counted.items()))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(lab.main(work, tell, killing.build))
