"""Cases for guests that have their SNP report themselves: the programs against tsm_fuse.py."""

import atexit
import functools
import os

import e2e
import jose
import tsm_fuse
from e2e import STATE

_MOUNTED = []


def tsm_case(function):
    """Register a case that also gets a fresh configfs-tsm, where nothing may be left afterwards."""
    @functools.wraps(function)
    def run(b):
        if not os.path.exists("/dev/fuse"):
            raise e2e.Skip("this machine has no /dev/fuse")
        if not _MOUNTED:
            _MOUNTED.append(tsm_fuse.Tsm(STATE))
            atexit.register(_MOUNTED[0].close)
        tsm = _MOUNTED[0]
        tsm.reset()
        function(b, tsm)
        assert not tsm.left(), "report directories were left behind: %s" % tsm.left()
        assert not tsm.mount.bugs, "\n".join(tsm.mount.bugs)
    run.__wrapped__ = None
    e2e.CASES.append(run)
    return run


def source(tsm):
    """The options that name it."""
    return ("--evidence", "tsm", "--snp-path", tsm.path)


def attest(b, tsm, *args, **more):
    """latchkey attest."""
    return b.attest(*source(tsm), *args, **more)


def release(b, tsm, key="snp", *args, **more):
    """latchkey release."""
    return b.release(key, *source(tsm), *args, **more)


def claims(result):
    """The claims of the token that was written out."""
    return jose.Jws(result.ok().out.decode().strip()).claims()


def asked(b, mark):
    """What was asked since, in order: thim, kds, bearer, guest (AzureGuest), attest, release."""
    words = (("thim", "/certification"), ("kds", "/vcek/v1"), ("bearer", "oauth2"),
             ("guest", "AzureGuest"), ("attest", "SevSnpVm"), ("release", "/release"))
    found = [next((w for w, part in words if part in e.get("path", "")), None)
             for e in b.ctl.log(mark)]
    return [w for w in found if w]
