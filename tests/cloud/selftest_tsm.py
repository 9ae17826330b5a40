"""configfs-tsm as tsm_fuse.py has it: what works, what is refused, who signed, what is spoiled."""

import errno
import os

import certtable
import snp
import tsm_fuse

DATA = bytes(range(64))


class Guest:
    """A client that does one thing at a time; each gives its result, or the errno's name."""

    def __init__(self, tsm):
        self.tsm, self.path = tsm, os.path.join(tsm.path, "guest")

    @staticmethod
    def attempt(function, *args):
        """The result, or the name of the errno."""
        try:
            return function(*args)
        except OSError as e:
            return errno.errorcode[e.errno]

    def mkdir(self, name="guest"):
        """A request directory."""
        self.path = os.path.join(self.tsm.path, name)
        return self.attempt(os.mkdir, self.path)

    def rmdir(self):
        """Its end."""
        return self.attempt(os.rmdir, self.path)

    def get(self, name, flags=os.O_RDONLY):
        """A whole attribute, 700 bytes at a time."""
        def read():
            fd = os.open(os.path.join(self.path, name), flags)
            try:
                return b"".join(iter(lambda: os.read(fd, 700), b""))
            finally:
                os.close(fd)
        return self.attempt(read)

    def put(self, name, *pieces, flags=os.O_WRONLY):
        """write(2) once for each piece, then close(2)."""
        def write():
            fd = os.open(os.path.join(self.path, name), flags)
            try:
                return [os.write(fd, p) for p in pieces]
            finally:
                os.close(fd)
        return self.attempt(write)

    def generation(self):
        """The counter."""
        return int(self.get("generation"))


def plain(t, tsm):
    """A report from mkdir to rmdir."""
    g = Guest(tsm)
    t.equal(g.mkdir(), None, "tsm: mkdir")
    t.equal(g.mkdir(), "EEXIST", "tsm: a name that is taken")
    t.equal(sorted(os.listdir(g.path)), sorted(tsm_fuse.ATTRIBUTES), "tsm: attributes")
    t.equal([g.get(n) for n in ("provider", "generation", "privlevel_floor")],
            [b"sev_guest\n", b"0\n", b"0\n"], "tsm: text attributes")
    t.equal([g.get("outblob"), g.get("auxblob")], ["EINVAL"] * 2, "tsm: no inblob, no report")
    t.equal((g.put("inblob", DATA), g.generation()), ([64], 1), "tsm: inblob is a generation")
    report = g.get("outblob")
    got, product = snp.verify_report(report, tsm.host.vcek_pem + tsm.host.chain_pem,
                                     tsm.host.trusted())
    t.equal((len(report), got.report_data, got.vmpl, product.name), (1184, DATA, 0, "Milan"),
            "tsm: outblob is a report of the host's over inblob, which verifies")
    t.equal(g.get("auxblob"), certtable.make("right", tsm.host), "tsm: auxblob is the table")
    t.equal((g.get("outblob"), tsm.requests), (report, 1), "tsm: a report is made once")
    t.equal(g.generation(), 1, "tsm: reading is no generation")
    t.equal((g.rmdir(), tsm.left(), g.get("outblob")), (None, [], "ENOENT"), "tsm: rmdir")
    t.equal([e[0] for e in tsm.log], ["mkdir", "inblob", "firmware", "rmdir"], "tsm: the log")


def generations(t, tsm):
    """What counts as a write, and when it is taken."""
    g = Guest(tsm)
    g.mkdir()
    t.equal((g.put("privlevel", b"2\n"), g.put("inblob", DATA), g.generation()),
            ([2], [64], 2), "tsm: privlevel and inblob are two")
    t.equal(snp.Report(g.get("outblob")).vmpl, 2, "tsm: the report is of that level")
    t.equal((g.put("inblob", DATA[::-1]), snp.Report(g.get("outblob")).report_data, tsm.requests),
            ([64], DATA[::-1], 2), "tsm: another inblob, another report")
    t.equal((g.put("privlevel", b"3"), snp.Report(g.get("outblob")).vmpl, g.generation()),
            ([1], 3, 4), "tsm: another level, another report")
    fd = os.open(os.path.join(g.path, "inblob"), os.O_WRONLY)
    os.write(fd, DATA[:32])
    t.equal(g.generation(), 4, "tsm: inblob does not count before it is closed")
    os.write(fd, DATA[32:])
    os.close(fd)
    t.equal((g.generation(), snp.Report(g.get("outblob")).report_data), (5, DATA),
            "tsm: two writes before one close are one inblob")
    t.equal((g.put("inblob"), g.generation()), ([], 5), "tsm: closing without a write is nothing")
    t.equal((g.put("inblob", DATA, flags=os.O_WRONLY | os.O_TRUNC), g.generation()), ([64], 6),
            "tsm: O_TRUNC changes nothing")
    other = Guest(tsm)
    other.mkdir("other")
    t.equal((other.generation(), other.get("outblob")), (0, "EINVAL"), "tsm: others are others")
    other.rmdir()
    g.rmdir()


def refusals(t, tsm):
    """What is refused, with its number."""
    g = Guest(tsm)
    g.mkdir()
    for level in (b"4", b"-1", b"x", b"", b"1 ", b"08", b"1\n\n"):
        t.ok(g.put("privlevel", level) in ("EINVAL", [0]), "tsm: privlevel %r" % level)
    t.equal([g.put("privlevel", x) for x in (b"0x3", b"02\n", b"0")], [[3], [3], [1]],
            "tsm: levels in any base")
    tsm.floor = 2
    t.equal((g.get("privlevel_floor"), g.put("privlevel", b"1"), g.put("privlevel", b"2")),
            (b"2\n", "EINVAL", [1]), "tsm: no level below the floor")
    tsm.reset()
    before = g.generation()
    t.equal((g.put("inblob", bytes(65)), g.generation()), ("EFBIG", before), "tsm: 65 bytes")
    t.equal(g.put("inblob", DATA, b"x"), "EFBIG", "tsm: 64 bytes and one")
    t.equal(g.generation(), before + 1, "tsm: of which 64 count")
    for size in (1, 32, 63):
        g.put("inblob", bytes(size))
        t.equal((g.get("outblob"), tsm.requests), ("EINVAL", 0), "tsm: an inblob of %d" % size)
    t.equal([g.get("inblob"), g.put("outblob", b"x"), g.put("generation", b"1"),
             g.get("privlevel"), g.get("outblob", os.O_RDWR)], ["EACCES"] * 5, "tsm: modes")
    call = Guest.attempt
    t.equal([call(os.mkdir, g.path + "/sub"), call(os.unlink, g.path + "/inblob"),
             call(os.rename, g.path, g.path + "2"), call(os.symlink, "x", tsm.path + "/link"),
             call(os.open, tsm.path + "/file", os.O_WRONLY | os.O_CREAT),
             call(os.rmdir, tsm.path + "/none")],
            ["EPERM"] * 4 + ["EACCES", "ENOENT"], "tsm: nothing else can be made or removed")
    fd = os.open(os.path.join(g.path, "outblob"), os.O_RDONLY)
    g.rmdir()
    t.equal(call(os.read, fd, 10), "ENOENT", "tsm: reading what was removed")
    os.close(fd)
    tsm.provider = None
    t.equal(g.mkdir(), "ENXIO", "tsm: no provider")
    tsm.provider = "tdx_guest"
    g.mkdir()
    t.equal(g.get("provider"), b"tdx_guest\n", "tsm: another provider")
    tsm.has_floor = False
    t.ok("privlevel" not in os.listdir(g.path) and g.get("privlevel_floor") == "ENOENT",
         "tsm: an older kernel has no privlevel")
    g.rmdir()


def faults(t, tsm):
    """Errors and spoiled answers."""
    def ask():
        g = Guest(tsm)
        g.mkdir()
        g.put("inblob", DATA)
        before = g.generation()
        out = g.get("outblob")
        aux = g.get("auxblob")
        after = g.generation()
        g.rmdir()
        return out, aux, (before, after)

    good = ask()[0]
    for error in ("EBUSY", "ENXIO", "EINVAL", "ENOMEM") + tsm_fuse.WIPING:
        tsm.reset()
        tsm.fault("firmware", error, count=1)
        first, second, _ = ask()
        wiped = error in tsm_fuse.WIPING
        t.equal((first, second == "ENOTTY", tsm.requests), (error, wiped, 2),
                "tsm: %s of the firmware, key %s" % (error, "lost" if wiped else "kept"))
        tsm.reboot()
        t.equal(len(ask()[0]), 1184, "tsm: and all is well after a reboot")
    for step in ("provider", "generation", "privlevel_floor", "outblob", "auxblob"):
        tsm.reset()
        tsm.fault(step, "EIO", count=1)
        g = Guest(tsm)
        g.mkdir()
        g.put("inblob", DATA)
        t.equal((g.get(step), g.get(step) != "EIO"), ("EIO", True), "tsm: an error at " + step)
        g.rmdir()
    for step in ("inblob", "privlevel"):
        tsm.reset()
        tsm.fault(step, "EBUSY")
        g = Guest(tsm)
        g.mkdir()
        t.equal((g.put(step, b"1"), g.generation()), ("EBUSY", 0), "tsm: an error at " + step)
        g.rmdir()
    tsm.reset()
    tsm.fault("mkdir", "ENXIO", skip=1)
    t.equal((Guest(tsm).mkdir("a"), Guest(tsm).mkdir("b")), (None, "ENXIO"), "tsm: mkdir fails")
    tsm.fault("rmdir", "EBUSY", count=1)
    g.path = os.path.join(tsm.path, "a")
    t.equal([g.rmdir(), g.rmdir()], ["EBUSY", None], "tsm: rmdir fails")
    for what, test in (("short", lambda b: len(b) == 1183), ("long", lambda b: len(b) == 1185),
                       ("empty", lambda b: b == b""), ("zero", lambda b: b == bytes(1184)),
                       ("other-data", lambda b: snp.Report(b).report_data[:63] == DATA[:63]
                        and snp.Report(b).report_data != DATA),
                       ("signature", lambda b: b[:0x2A0] != good[:0x2A0])):
        tsm.reset()
        tsm.fault("firmware", what=what)
        t.ok(test(ask()[0]), "tsm: a report that is %s" % what)
    tsm.reset()
    tsm.fault("inblob", what="interfere")
    out, _, (before, _) = ask()
    t.ok(before == 2 and snp.Report(out).report_data != DATA, "tsm: another writer after ours")
    tsm.reset()
    tsm.fault("outblob", what="interfere")
    out, _, generation = ask()
    t.equal((generation, snp.Report(out).report_data), ((1, 2), DATA), "tsm: another after reading")
    for wrong in (("nowhere", "EIO"), ("mkdir", "EWHAT"), ("mkdir", None, "short"), ("firmware",)):
        try:
            tsm.fault(*wrong)
            t.ok(False, "tsm: a fault that is none: %r" % (wrong,))
        except ValueError:
            t.ok(True, "tsm: a fault that is none: %r" % (wrong,))
    tsm.reset()


def settings(t, env, tsm):
    """Fields of the report, products, tables."""
    def report(**fields):
        tsm.report = fields
        g = Guest(tsm)
        g.mkdir()
        g.put("inblob", DATA)
        out = g.get("outblob"), g.get("auxblob")
        g.rmdir()
        return out

    for fields in ({"policy": snp.POLICY | snp.POLICY_DEBUG}, {"measurement": b"\1" * 48},
                   {"host_data": b"\2" * 32}, {"vmpl": 3}, {"version": 3}, {"version": 5}):
        got = snp.Report(report(**fields)[0])
        name, value = next(iter(fields.items()))
        t.equal(getattr(got, name), value, "tsm: the report's %s" % name)
    for product in ("Genoa", "Turin"):
        env.ctl.host(product)
        raw, table = report()
        chain = certtable.blobs(tsm.host)
        got, of = snp.verify_report(raw, tsm.host.vcek_pem + tsm.host.chain_pem,
                                    tsm.host.trusted())
        t.ok(of.name == product and all(blob in table for blob in chain.values()),
             "tsm: a host of another product, %s, version %d" % (product, got.version))
    env.ctl.reset()
    tsm.stale = 1
    host = tsm.host
    old, new = report()[0], report()[0]
    snp.verify_report(old, host.vcek(host.old_tcb)[1] + host.chain_pem, host.trusted())
    t.equal([snp.Report(r).reported_tcb for r in (old, new)], [host.old_tcb, host.tcb],
            "tsm: a report of older firmware, once")
    for kind in certtable.KINDS:
        tsm.table = kind
        table = report()[1]
        t.equal(table, certtable.make(kind, tsm.host) if kind != "other-vcek" else table,
                "tsm: the table '%s' has %d bytes" % (kind, len(table)))
    tsm.table = b"raw"
    t.equal(report()[1], b"raw", "tsm: a table of the test's own")
    tsm.reset()


def run(t, env):
    """All of them."""
    if not os.path.exists("/dev/fuse"):
        t.skip("configfs-tsm", "this machine has no /dev/fuse")
        return
    with tsm_fuse.Tsm(env.state) as tsm:
        for group in (plain, generations, refusals, faults):
            tsm.reset()
            t.run(group.__name__, group, tsm)
        t.run("settings", settings, env, tsm)
        t.equal((tsm.left(), tsm.mount.bugs), ([], []), "tsm: nothing is left, no bug of ours")
    t.ok(not os.path.exists(tsm.path), "tsm: unmounted")
