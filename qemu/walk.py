"""One guest, in which every error of the report sources happens to `latchkey probe` or `latchkey attest`, a row each.

Before each row the device is told what to do with which request (its plan), and forgets what was.  The verdict on a row
comes from four things: exit status, the last line, the number of requests that the device saw, and the least time
between two of them.  A program that asks once too often after an error that costs the message key gets ENOTTY from then
on; after any other it gets a good report and succeeds where it should have failed.

Mostly `probe`, which asks for one report and says what it thinks of it; `attest` makes an RSA key before, and that takes
seconds in an emulated machine.
"""

import os
import re

import boot
import cases
import sevguest
import stage

GUEST, TSM, OLD, AUTO = "sev-guest", "tsm", "sev", "auto"
PAUSE = 2000        # milliseconds between requests, at least
REBOOT = "until this machine is rebooted"
FINE = "no reboot is needed"
SET = "printf %s >/sys/module/emulated_tsm/parameters/%s"
FLOOR = {"prepare": SET % (1, "floor"), "undo": SET % (0, "floor")}
TDX = {"prepare": SET % ("tdx_guest", "provider"), "undo": SET % ("sev_guest", "provider")}
GOOD = r"\bok +machine +%s, SEV-SNP report version %s,"
PATHS = {GUEST: "/dev/sev-guest", TSM: "/sys/kernel/config/tsm/report", OLD: "/dev/sev"}
BUSY = "err=EBUSY\n"
ERRNO = {"EIO": 5, "ENXIO": 6, "ENOMEM": 12, "EFAULT": 14, "EBUSY": 16, "EINVAL": 22, "ENOTTY": 25, "ENOSR": 63,
         "EBADMSG": 74, "ETIMEDOUT": 110}


class Row:
    """What the device does, and what has to come of it.

    plan      for the device; names of errors instead of numbers
    status    exit status
    requests  that the device sees
    said      patterns for the last line and for what probe says of the machine
    prepare   shell commands before, undo: after
    verb, key, options   of latchkey
    """

    def __init__(self, source, about, plan, status, requests, *said, prepare="", undo="", verb="probe",
                 key="--key " + stage.KEY, options=""):
        self.source, self.about, self.status, self.requests = source, about, status, requests
        self.plan = re.sub(r"err=(\w+)", lambda m: "err=%d" % ERRNO[m.group(1)], plan)
        self.said, self.prepare, self.undo = said, prepare, undo
        self.command = " ".join((verb, "--evidence", source, key, options))

    def commands(self, number):
        """The row as shell commands."""
        return "row %d '%s' '%s' '%s' '%s'\n" % (number, self.plan, self.command, self.prepare, self.undo)

    def wrong(self, found):
        """What is not as it should be, as lines."""
        if found is None:
            return ["the guest did not come to this row"]
        status, requests, gap, said = found
        out = []
        if status != self.status:
            out.append("exit status %d instead of %d" % (status, self.status))
        if requests != self.requests:
            out.append("the device saw %d requests instead of %d" % (requests, self.requests))
        if gap is not None and gap < PAUSE:
            out.append("only %d ms between two requests" % gap)
        out += ["the last line has no /%s/" % pattern for pattern in self.said if not re.search(pattern, said)]
        return out + ["it said: " + said] if out else []


def fails(source, about, plan, *said, **more):
    """A row that ends after one request, the machine usable."""
    return Row(source, about, plan, 71, 1, FINE, *said, **more)


def costs(source, about, plan, *said, **more):
    """A row that ends after one request, with the message key or its counter gone."""
    return Row(source, about, plan, 71, 1, REBOOT, *said, **more)


def good(source, about, plan="", requests=1, *said, version=2, path=None, **more):
    """A row with a report in the end; no key is named, so probe stops before it attests (78)."""
    return Row(source, about, plan, 78, requests, GOOD % (path or PATHS[source], version), *said, key="", **more)


def attested(source, about, plan="", requests=1):
    """A row whose report the attestation service believes."""
    return Row(source, about, plan, 0, requests, "attested: .*x-ms-attestation-type=sevsnpvm", verb="attest")


def both(*args, kind=fails):
    """The row for /dev/sev-guest and for configfs-tsm."""
    return [kind(GUEST, *args), kind(TSM, *args)]


ROWS = [
    good(GUEST, "a report", "", 1, "VMPL 0,"),
    good(TSM, "a report"),
    good(OLD, "a report"),
    good(GUEST, "certificates too large: again, without them", "err=EIO exit=0x100000000 need=0x5000", 2),
    good(GUEST, "throttled once: again", "err=EIO exit=0x200000000", 2),
    good(TSM, "throttled by another program once: again", BUSY, 2),
    attested(GUEST, "throttled once, and certificates too large: attested with those of the metadata service",
             "err=EIO exit=0x200000000\nerr=EIO exit=0x100000000 need=0x5000", 3),
    Row(GUEST, "throttled for good: three requests", "err=EIO exit=0x200000000\n" * 9, 71, 3, "throttles", "try again in some seconds"),
    costs(GUEST, "EIO, firmware 0x16", "err=EIO exit=0x16", "invalid parameter", "set vmpl", "exitinfo2 0x16",
          verb="attest"),
    costs(GUEST, "EIO, firmware 0x1d", "err=EIO exit=0x1d", "sequence numbers differ"),
    costs(GUEST, "EIO, firmware 0x27", "err=EIO exit=0x27", "invalid key", "unmask the VCEK"),
    costs(GUEST, "EIO, firmware 0x13", "err=EIO exit=0x13", "hardware error"),
    costs(GUEST, "EIO, no status", "err=EIO", "no status says why"),
    costs(GUEST, "EIO, untouched status", "err=EIO exit=0xff", "no status was returned"),
    costs(GUEST, "EIO, no call of the firmware", "err=EIO exit=0xffffffff", "no firmware call was made"),
    costs(GUEST, "EIO, another error of the hypervisor", "err=EIO exit=0x300000000", "hypervisor failed"),
    costs(TSM, "EIO", "err=EIO exit=0x16", "firmware or the hypervisor failed", "kernel's log", verb="attest"),
    *both("ETIMEDOUT", "err=ETIMEDOUT", "throttled the request for a minute", kind=costs),
    *both("ENOTTY", "err=ENOTTY", "VMPCK", kind=costs),
    costs(GUEST, "ENOTTY, with the throttle's number left over", "err=ENOTTY exit=0x200000000", "VMPCK"),
    *both("EBADMSG", "err=EBADMSG", "cannot be decrypted", kind=costs),
    *both("ENOSR", "err=ENOSR", "sequence numbers of the message key are used up", kind=costs),
    *both("EINVAL", "err=EINVAL", "refuses the request's form"),
    *both("EFAULT", "err=EFAULT", "cannot reach the buffers"),
    *both("ENOMEM", "err=ENOMEM", "no memory"),
    fails(GUEST, "status 0x16 in the answer", "status=0x16", "invalid parameter", "set vmpl"),
    fails(GUEST, "status 0x27 in the answer", "status=0x27", "invalid key"),
    fails(TSM, "ENXIO for a status in the answer", "status=0x16", "firmware refused", "check the VMPL"),
    *both("a report that is too short", "size=1183", "1183 bytes"),
    fails(GUEST, "a report longer than the answer", "size=3969", "3969 bytes"),
    good(GUEST, "a longer report of a later firmware", "size=1248"),
    *both("a report of version 5", "@0=5", kind=lambda *args: good(*args, version=5)),
    *both("a report of zeros", "zero", "all zeros"),
    *both("a report over other data", "other", "other data"),
    *both("a report of version 1", "@0=1", "version"),
    Row(TSM, "another program all the time: three requests", BUSY * 9, 71, 3, "another program", FINE),
    good(TSM, "a lowest privilege level: asked for", "", 1, "VMPL 1,", **FLOOR),
    Row(TSM, "a level below the lowest", "", 71, 0, "privlevel_floor", FINE, options="--vmpl 0", **FLOOR),
    Row(TSM, "another kind of machine", "", 71, 0, "provider of reports is not sev_guest", FINE, **TDX),
    good(AUTO, "configfs-tsm is of another kind of machine: /dev/sev-guest", path=PATHS[GUEST], **TDX),
    Row(AUTO, "a failure of configfs-tsm is no reason to ask /dev/sev-guest", "err=EFAULT", 71, 1, PATHS[TSM]),
    costs(OLD, "EIO, firmware 0x16", "err=EIO exit=0x16", "invalid parameter"),
    fails(OLD, "status 0x27 in the answer", "status=0x27", "invalid key"),
    fails(OLD, "EINVAL: the device of a host", "err=EINVAL", "does not know report requests"),
]

INIT = """
ip link set lo up; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; ip route add default via 10.0.2.2
mount -t configfs config /sys/kernel/config
/{folder}/emulated-sev /{folder} {state} sev-guest sev tsm || echo emulated-sev: exit $?
row() {{
	eval "$4"
	rm -f {state}/seen
	echo "$2" >{state}/plan
	latchkey $3 --attest {attest} --trust /etc/trust.pem --timeout 300 --kmsg no >/run/out 2>/run/said
	echo "row|$1|$?|$(cat {state}/seen 2>/dev/null | sed -n 's/.* after \\([-0-9]*\\) ms.*/\\1/p' |
		tr '\\n' ' ')|$(tail -n 1 /run/said) $(grep '^ok  *machine' /run/out)"
	eval "$5"
}}
{rows}
echo "all rows"
poweroff -f
"""
FOUND = re.compile(r"^row\|(\d+)\|(\d+)\|([-0-9 ]*)\|(.*)$", re.M)


def read(text):
    """{row: (status, requests, least gap or None, last line)} of the serial line."""
    out = {}
    for number, status, gaps, said in FOUND.findall(text):
        gaps = [int(gap) for gap in gaps.split()]
        out[int(number)] = (int(status), len(gaps), min(gaps[1:], default=None), said)
    return out


class Walk(cases.Case):
    """The guest as a case with a verdict for each row."""

    count = 1 + len(ROWS)

    def run(self, shared, folder, log):
        twin = shared.copy(folder)
        init = INIT.format(folder=sevguest.FOLDER, state=sevguest.STATE, attest=stage.ATTEST,
                           rows="".join(row.commands(number) for number, row in enumerate(ROWS)))
        modules = sevguest.kernel_modules("virtio_net", "cuse", "tsm")
        modules["emulated_tsm"] = sevguest.content(sevguest.MODULE)
        files = {"bin/latchkey": (0o755, sevguest.content(os.path.join(cases.PROGRAMS, "latchkey"))),
                 "etc/resolv.conf": (0o644, b"nameserver 10.0.2.3\n"),
                 "etc/trust.pem": (0o644, sevguest.content(os.path.join(shared.config, "trust.pem")))}
        twin.initrd = os.path.join(folder, "initrd.img")
        with open(twin.initrd, "wb") as f:
            f.write(sevguest.tiny(shared.cloud, init, files, modules))
        with stage.cloud(twin.cloud, os.path.join(folder, "cloud.log")):
            verdict = boot.Boot(os.path.join(stage.KERNEL, "vmlinuz"), twin.initrd, twin.disk, log, network=False,
                                expect=["all rows"], refuse=["Kernel panic"], timeout=cases.LIMIT).run()
        found = read(verdict.text)
        verdict.rows = {number: row.wrong(found.get(number)) for number, row in enumerate(ROWS)}
        return verdict

    def verdicts(self, name, result):
        wrong = {int(number): lines for number, lines in result["rows"].items()}
        return super().verdicts(name, result) + [
            (wrong.get(number) == [], "%s: %s: %s" % (name, row.source, row.about), wrong.get(number, ["no boot"]))
            for number, row in enumerate(ROWS)]
