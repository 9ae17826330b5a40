"""A pty that stands in for /dev/tpmrm0: commands are framed, logged, counted, spoiled on demand.

Log: one line per message, `C LENGTH HEX` for commands and `R LENGTH HEX` for responses, `INIT` and
`FINALIZE` when a client comes and goes, `# ...` for injected faults; at the end of each client a
line `# count NAME=N ...`.  Like the kernel's resource manager, the relay flushes a client's
transient objects and sessions when the client closes the device.

Faults, as COMMAND[#N]:ACTION.  COMMAND is a name of part 3 (NV_Read, RSA_Decrypt, ...; `any` is
every command), N counts that command from 1 (without it: every time).  ACTION is one of
  retry=K      TPM_RC_RETRY (0x922) for the first K matches, then the real answer
  lockout      TPM_RC_LOCKOUT (0x921)
  rc=HEX       any response code
  delay=SECS   waits before the command
  extend=PCR   extends that register of the SHA-256 bank before the command
  reset        TPM restart before the command (a new NULL seed: transient keys are gone)
  drop         no answer at all
  garbage      an answer that is no TPM response
  cut=BYTES    only the first BYTES of the answer
"""

import errno
import os
import pty
import select
import signal
import struct
import sys
import time
import tty

import swtpm
import tpm2

MAX_COMMAND = 4096
RC_RETRY, RC_LOCKOUT = 0x922, 0x921


class Fault:
    """One parsed fault specification."""

    ACTIONS = ("retry", "lockout", "rc", "delay", "extend", "reset", "drop", "garbage", "cut")

    def __init__(self, spec):
        try:
            what, action = spec.split(":", 1)
            self.command, _, nth = what.partition("#")
            self.nth = int(nth) if nth else None
            self.action, _, self.value = action.partition("=")
            if self.action not in self.ACTIONS or (
                    self.command != "any" and self.command not in tpm2.CODES):
                raise ValueError
            number = {"retry": int, "extend": int, "cut": int, "delay": float,
                      "rc": lambda text: int(text, 16)}.get(self.action)
            self.number = number(self.value) if number else None
        except ValueError:
            raise SystemExit("vtpm: no fault specification: %s" % spec) from None
        self.left = self.number if self.action == "retry" else None

    def matches(self, name, count):
        """Does it strike this command?"""
        return self.command in ("any", name) and self.nth in (None, count) and self.left != 0


def error(code):
    """A response that only holds a response code."""
    return struct.pack(">HII", tpm2.ST_NO_SESSIONS, 10, code)


class Relay:
    """Moves messages between the pty's master and swtpm."""

    def __init__(self, tpmdir, log, faults):
        self.tpmdir = tpmdir
        self.process = swtpm.Swtpm(tpmdir)
        self.log = open(log, "a", encoding="ascii", buffering=1) if log else None
        self.faults = [Fault(spec) for spec in faults]
        self.counts = {}

    def note(self, kind, data=b""):
        """One line of the log."""
        if self.log:
            self.log.write("%s %d %s\n" % (kind, len(data), data.hex()) if data else kind + "\n")

    def inject(self, name, count):
        """Apply faults before a command: a ready answer, None to go on, or 'drop'."""
        answer = None
        for fault in self.faults:
            if not fault.matches(name, count):
                continue
            self.note("# fault %s %s" % (fault.action, fault.value))
            if fault.action == "retry":
                fault.left -= 1
                answer = error(RC_RETRY)
            elif fault.action == "lockout":
                answer = error(RC_LOCKOUT)
            elif fault.action == "rc":
                answer = error(fault.number)
            elif fault.action == "delay":
                time.sleep(fault.number)
            elif fault.action == "extend":
                swtpm.Tpm(self.process).pcr_extend(fault.number, b"\xee" * 32)
            elif fault.action == "reset":
                self.process.close()
                self.process = swtpm.Swtpm(self.tpmdir)
            elif fault.action == "drop":
                answer = b""
            elif fault.action == "garbage":
                answer = b"\x00\x01garbage"
        return answer

    def exchange(self, data):
        """Answer one command."""
        code = struct.unpack(">I", data[6:10])[0]
        name = tpm2.CODE_NAMES.get(code, "0x%x" % code)
        self.counts[name] = self.counts.get(name, 0) + 1
        self.note("C", data)
        answer = self.inject(name, self.counts[name])
        if answer is None:
            answer = self.process.transact(data)
            for fault in self.faults:
                if fault.action == "cut" and fault.matches(name, self.counts[name]):
                    answer = answer[:fault.number]
        self.note("R", answer)
        return answer

    def client_gone(self):
        """Do what the kernel's resource manager does when the device is closed."""
        tpm = swtpm.Tpm(self.process)
        for first in (0x80000000, 0x02000000, 0x03000000):
            for handle in tpm.handles(first):
                tpm.flush(handle)
        self.note("# count " + " ".join("%s=%d" % item for item in sorted(self.counts.items())))
        self.note("FINALIZE 0")
        self.counts.clear()


def frame(buffer):
    """Split off a whole command: (command or None, rest).  Nonsense is dropped."""
    if len(buffer) < 10:
        return None, buffer
    size = struct.unpack(">I", buffer[2:6])[0]
    if not 10 <= size <= MAX_COMMAND:
        return None, b""
    return (buffer[:size], buffer[size:]) if len(buffer) >= size else (None, buffer)


def open_pty(link):
    """A raw pty with its slave linked at `link`; the master."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    temp = "%s.new.%d" % (link, os.getpid())
    os.symlink(os.ttyname(slave), temp)
    os.rename(temp, link)
    os.close(slave)
    return master


def pump(relay, master):
    """Serve clients, one after the other, for ever."""
    poller, buffer, present = select.poll(), b"", False
    poller.register(master, select.POLLIN)
    while True:
        events = poller.poll()[0][1]
        if events & select.POLLIN:
            try:
                data = os.read(master, MAX_COMMAND)
            except OSError as e:
                if e.errno != errno.EIO:
                    raise
                data = b""
            if data and not present:
                relay.note("INIT 11 " + b"/dev/tpmrm0".hex())
                present = True
            buffer += data
            while True:
                command, buffer = frame(buffer)
                if command is None:
                    break
                answer = relay.exchange(command)
                if answer:
                    os.write(master, answer)
        elif events & select.POLLHUP:       # nobody has the slave open
            if present:
                relay.client_gone()
                present, buffer = False, b""
            time.sleep(0.002)


def serve(tpmdir, link, log=None, faults=(), pid_file=None):
    """Serve until SIGTERM or SIGINT; then take the link away and let the TPM save its state."""
    def stop(*unused):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    relay = Relay(tpmdir, log, faults)
    master = open_pty(link)
    if pid_file:
        with open(pid_file, "w", encoding="ascii") as f:
            f.write("%d\n" % os.getpid())
    try:
        print("vtpm: %s is ready" % link, flush=True)
        pump(relay, master)
    except KeyboardInterrupt:
        pass
    except EOFError as e:
        sys.exit("vtpm: %s" % e)
    finally:
        for path in filter(None, (link, pid_file)):
            if os.path.lexists(path):
                os.unlink(path)
        relay.process.close()


class Device:
    """A client of the device file: `transact` for swtpm.Tpm."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)

    def transact(self, data):
        """One command, one response."""
        os.write(self.fd, data)
        out = b""
        while len(out) < 10 or len(out) < struct.unpack(">I", out[2:6])[0]:
            out += os.read(self.fd, MAX_COMMAND)
        return out

    def close(self):
        """Close the device."""
        os.close(self.fd)
