#!/usr/bin/python3
"""Control the running simulator (from inside its namespace), as a command or a library.

  ctl.py ping | wait
  ctl.py fault ENDPOINT KIND [NAME=VALUE...]     faults.py lists them all
         e.g.  fault maa status status=503 count=2     fault vault tamper what=flip
  ctl.py clear [ENDPOINT]        ctl.py faults        ctl.py reset
  ctl.py log [SINCE]             JSON lines, each request with its checks and verdict
  ctl.py setting NAME VALUE      world.py lists them   ctl.py settings
  ctl.py rotate SERVICE KEY      SERVICE is vault or hsm; prints the new version
  ctl.py policy SERVICE KEY FILE|-
  ctl.py attr SERVICE KEY NAME=VALUE... [version=ID]   enabled nbf exp exportable release
  ctl.py identities NAME...      only these of names.IDENTITIES are assigned to the VM
  ctl.py tcb HEX                 new host firmware (16 hex digits, as tcbm has them)
  ctl.py host [PRODUCT [HEX]]    another host: Milan, Genoa or Turin, with this firmware
"""

import http.client
import json
import os
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import names  # noqa: E402


class CtlError(RuntimeError):
    """The simulator is not there, or did not like the request."""


class Ctl:
    """A client of the control interface."""

    def __init__(self, address=names.ADMIN):
        self.address = address

    def call(self, method, path, body=None):
        """One operation; its JSON answer."""
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data)
            response = connection.getresponse()
            value = json.loads(response.read())
        except (OSError, http.client.HTTPException) as e:
            raise CtlError("the simulator does not answer at %s:%d: %s" % (*self.address, e)) \
                from None
        finally:
            connection.close()
        if response.status != 200:
            raise CtlError(value["error"])
        return value

    def wait(self, seconds=60):
        """Wait until the simulator answers."""
        end = time.monotonic() + seconds
        while True:
            try:
                return self.call("GET", "/ping")
            except CtlError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def fault(self, endpoint, kind, **more):
        """Set a fault; its number.  Of `refuse`, when nobody listens any more."""
        more = {name.rstrip("_").replace("_", "-"): value for name, value in more.items()}
        number = self.call("POST", "/faults", dict(more, endpoint=endpoint, kind=kind))["id"]
        if kind == "refuse" and not more:
            self.unheard(*names.LISTENERS[endpoint])
        return number

    @staticmethod
    def unheard(address, port, seconds=60):
        """Wait until connections are refused."""
        end = time.monotonic() + seconds
        while True:
            try:
                socket.create_connection((address, port), 5).close()
            except ConnectionRefusedError:
                return
            if time.monotonic() > end:
                raise CtlError("%s still listens" % address)
            time.sleep(0.01)

    def tamper(self, endpoint, what, **more):
        """Set a tamper fault."""
        return self.fault(endpoint, "tamper", what=what, **more)

    def clear(self, endpoint=None):
        """Clear faults."""
        return self.call("DELETE", "/faults" + ("?endpoint=" + endpoint if endpoint else ""))

    def reset(self):
        """Everything back to the start: faults, settings, identities, keys."""
        return self.call("POST", "/reset", {})

    def log(self, since=0, service=None):
        """Log entries, of one service if given."""
        entries = self.call("GET", "/log?since=%d" % since)
        return [e for e in entries if service in (None, e["service"])]

    def mark(self):
        """The number of the last log entry: `log(mark)` later gives what is new."""
        entries = self.log()
        return entries[-1]["seq"] if entries else 0

    def setting(self, name, value):
        """Change a setting."""
        return self.call("POST", "/settings", {name: value})

    def rotate(self, service, key):
        """New version of a key; its id."""
        return self.call("POST", "/keys/%s/%s/rotate" % (service, key), {})["version"]

    def policy(self, service, key, policy):
        """Replace a release policy."""
        return self.call("POST", "/keys/%s/%s/policy" % (service, key), policy)

    def attributes(self, service, key, **changes):
        """Change attributes (the current version's, or `version`'s)."""
        return self.call("POST", "/keys/%s/%s/attributes" % (service, key), changes)

    def keys(self):
        """All keys with their versions and policies."""
        return self.call("GET", "/keys")

    def identities(self, *wanted):
        """Assign only these identities (by name in names.IDENTITIES)."""
        return self.call("POST", "/identities",
                         [i for i in names.IDENTITIES if i["name"] in wanted])

    def tcb(self, value):
        """The host gets other firmware: THIM answers with this TCB's VCEK from now on."""
        return self.call("POST", "/host", {"tcb": value})

    def host(self, product=None, tcb=None):
        """Another host (its own firmware unless `tcb` is given); what THIM says of it, and its
        product, chip_id and old_tcb."""
        if product is None and tcb is None:
            return self.call("GET", "/host")
        return self.call("POST", "/host", {"product": product, "tcb": tcb})


def value_of(text):
    """A value on the command line: JSON if it is some, else text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def pairs(words):
    """NAME=VALUE words as a dict."""
    return {name: value_of(value) for name, _, value in (w.partition("=") for w in words)}


def run(ctl, verb, args):
    """One command; what it returns is printed."""
    if verb == "fault":
        more = pairs(args[2:])
        return ctl.call("POST", "/faults", dict(more, endpoint=args[0], kind=args[1]))
    if verb == "policy":
        with (sys.stdin if args[2] == "-" else open(args[2], encoding="utf-8")) as f:
            return ctl.policy(args[0], args[1], json.load(f))
    if verb == "attr":
        return ctl.attributes(args[0], args[1], **pairs(args[2:]))
    if verb == "log":
        for entry in ctl.log(int(args[0]) if args else 0):
            print(json.dumps(entry))
        return None
    simple = {"ping": lambda: ctl.call("GET", "/ping"), "wait": ctl.wait, "reset": ctl.reset,
              "clear": lambda: ctl.clear(*args), "faults": lambda: ctl.call("GET", "/faults"),
              "settings": lambda: ctl.call("GET", "/settings"), "keys": ctl.keys,
              "setting": lambda: ctl.setting(args[0], value_of(args[1])),
              "rotate": lambda: ctl.rotate(*args), "tcb": lambda: ctl.tcb(*args),
              "host": lambda: ctl.host(*args),
              "identities": lambda: ctl.identities(*args)}
    return simple[verb]()


def main():
    """The command line."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    try:
        result = run(Ctl(), sys.argv[1], sys.argv[2:])
    except CtlError as e:
        sys.exit("ctl: %s" % e)
    except (IndexError, KeyError):
        sys.exit(__doc__)
    if result is not None:
        print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
