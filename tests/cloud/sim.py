#!/usr/bin/python3
"""The simulated cloud: IMDS, MAA (two instances), Key Vault, Managed HSM, AMD's KDS, DNS, in one.

  ns --state DIR sim.py --state DIR [--verbose] [--ready-fd N] [--pid-file FILE]

Runs in the foreground inside `ns` (it needs the addresses there); stops on SIGTERM or SIGINT.  What
it needs is made in DIR at the first start and kept: certificates (pki.py, amd.py), keys (keys.py),
DIR/ca.pem for clients, DIR/latchkey/root.conf ready to use, and DIR/requests.jsonl, the log of this
run.  --ready-fd N writes a line to that descriptor and closes it when all services listen;
--pid-file FILE is written at the same moment.  Control: ctl.py.

`Sim` starts it from Python, in a namespace that the caller is already in.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)
import admin  # noqa: E402
import dns  # noqa: E402
import imds  # noqa: E402
import kds  # noqa: E402
import keys  # noqa: E402
import maa  # noqa: E402
import names  # noqa: E402
import pki  # noqa: E402
import server  # noqa: E402
import vault  # noqa: E402
import world as worlds  # noqa: E402

CONFIG = """\
# Settings for the simulated cloud; goes where NAME.conf is looked for (/etc/latchkey).
key = https://%(vault)s/keys/rsa2048
attest = https://%(maa)s
trust = %(state)s/ca.pem
"""

HELP = """\
simulated cloud, state in %(state)s
  IMDS         http://%(imds)s/metadata/...
  attestation  https://%(maa)s  (%(maa_ip)s)
               https://%(maa2)s  (%(maa2_ip)s)
  vault        https://%(vault)s  (%(vault_ip)s)
  Managed HSM  https://%(hsm)s  (%(hsm_ip)s)
  AMD's KDS    https://%(kds)s  (%(kds_ip)s)
  keys         %(keys)s
               of guests with an SNP device: %(snp)s
               cannot be released: %(special)s
  name server  127.0.0.1, knows these names only
  trust        %(state)s/ca.pem
  settings     %(state)s/latchkey/root.conf
  log          %(state)s/requests.jsonl
  control      %(here)s/ctl.py (inside the namespace)
  enter        nsenter -t %(pid)s -n -m
  stop         Ctrl-C, or kill %(stop)s
"""


def facts(world):
    """What the texts above name."""
    return {"state": world.state, "here": HERE, "imds": names.IMDS, "maa": names.MAA_HOST,
            "maa_ip": names.MAA, "maa2": names.MAA2_HOST, "maa2_ip": names.MAA2,
            "vault": names.VAULT_HOST, "vault_ip": names.VAULT, "hsm": names.HSM_HOST,
            "hsm_ip": names.HSM, "kds": names.KDS_HOST, "kds_ip": names.KDS,
            "keys": " ".join(keys.KINDS), "snp": " ".join(keys.SNP),
            "special": " ".join(s for s in keys.SPECIAL if s != "nested"),
            "pid": os.environ.get("LATCHKEY_NS_PID", "PID"),
            "stop": os.environ.get("LATCHKEY_NS_PID", str(os.getpid()))}


def write_config(world):
    """A configuration that works as it is."""
    directory = os.path.join(world.state, "latchkey")
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, "root.conf")
    pki.write_private(path, (CONFIG % facts(world)).encode())
    os.chmod(path, 0o644)


def start(state):
    """Start every service; the World."""
    world = worlds.World(state)
    write_config(world)
    listeners = [server.Listener(world, imds.Imds(world), names.IMDS, 80)]
    for service, address, certificate in (
            maa.services(world) + vault.services(world) + kds.services(world)):
        listeners.append(server.Listener(world, service, address, 443, certificate))
    dns.start(world)
    admin.start(world)
    for listener in listeners:
        listener.start()
    return world


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", required=True, metavar="DIR")
    parser.add_argument("--verbose", action="store_true", help="print each request")
    parser.add_argument("--quiet", action="store_true", help="print nothing at the start")
    parser.add_argument("--ready-fd", type=int, metavar="N")
    parser.add_argument("--pid-file", metavar="FILE")
    args = parser.parse_args()
    done = threading.Event()
    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, lambda *unused: done.set())
    try:
        world = start(args.state)
    except OSError as e:
        sys.exit("sim: %s (run it inside tests/cloud/ns)" % e)
    world.log.verbose = args.verbose
    if not args.quiet:
        print(HELP % facts(world), end="", flush=True)
    if args.pid_file:
        with open(args.pid_file, "w", encoding="ascii") as f:
            f.write("%d\n" % os.getpid())
    if args.ready_fd is not None:
        os.write(args.ready_fd, b"ready\n")
        os.close(args.ready_fd)
    done.wait()
    if args.pid_file and os.path.exists(args.pid_file):
        os.unlink(args.pid_file)
    os._exit(0)         # threads may sit in faults that never end


class Sim:
    """The simulator as a child process: `with Sim(state) as sim:` it is ready."""

    def __init__(self, state, *options):
        ready, child_end = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "sim.py"), "--state", state, "--quiet",
             "--ready-fd", str(child_end), *options], pass_fds=[child_end])
        os.close(child_end)
        with os.fdopen(ready, "rb") as f:
            if f.read() != b"ready\n":
                raise SystemExit("the simulator did not start")

    def stop(self):
        """End it."""
        self.process.terminate()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()


if __name__ == "__main__":
    main()
