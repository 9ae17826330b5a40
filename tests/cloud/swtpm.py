"""A software TPM as a child process, and commands to it.

swtpm gets one end of a socket pair: no path, no port, and it ends when our end closes.
"""

import os
import socket
import struct
import subprocess

import tpm2


class Swtpm:
    """swtpm over the state in `directory`; TPM2_Startup(CLEAR) is done by swtpm itself."""

    def __init__(self, directory, log=None):
        directory = os.path.realpath(directory)
        os.makedirs(directory, exist_ok=True)
        ours, theirs = socket.socketpair()
        argv = ["swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + directory,
                "--fd", str(theirs.fileno()), "--flags", "not-need-init,startup-clear"]
        if log:
            argv += ["--log", "file=%s,level=1" % os.path.realpath(log)]
        try:
            self.process = subprocess.Popen(argv, pass_fds=[theirs.fileno()],
                                            stdin=subprocess.DEVNULL,
                                            stderr=subprocess.DEVNULL)
        except FileNotFoundError:
            raise SystemExit("swtpm is not installed") from None
        theirs.close()
        self.socket = ours
        self.socket.settimeout(60)

    def transact(self, data):
        """One raw command, one raw response."""
        self.socket.sendall(data)
        response = self._read(10)
        return response + self._read(struct.unpack(">I", response[2:6])[0] - 10)

    def _read(self, n):
        out = b""
        while len(out) < n:
            piece = self.socket.recv(n - len(out))
            if not piece:
                raise EOFError("swtpm closed the connection")
            out += piece
        return out

    def close(self):
        """Orderly shutdown: the state on disk is complete afterwards."""
        try:
            self.transact(tpm2.command(tpm2.CODES["Shutdown"], b"\0\0", False))
        except (OSError, EOFError):
            pass
        self.socket.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


class Tpm:
    """Commands over anything that has `transact(bytes) -> bytes`."""

    def __init__(self, transport):
        self.transport = transport

    def run(self, name, handles=(), auth=None, parameters=b"", out_handle=False):
        """One command: (handle or None, response parameters).  TpmError when it fails."""
        body = b"".join(struct.pack(">I", h) for h in handles) + (auth or b"") + parameters
        raw = self.transport.transact(tpm2.command(tpm2.CODES[name], body, auth is not None))
        code = struct.unpack(">I", raw[6:10])[0]
        if code:
            raise tpm2.TpmError(name, code)
        r = tpm2.Reader(raw[10:])
        handle = r.u32() if out_handle else None
        return handle, r.take(r.u32()) if auth is not None else r.take(len(r.data) - r.at)

    def capability(self, prop):
        """One fixed TPM property."""
        out = self.run("GetCapability", (), None, struct.pack(">III", 6, prop, 1))[1]
        return struct.unpack(">I", out[-4:])[0]

    def handles(self, first):
        """Handles in use, starting at `first`."""
        out = tpm2.Reader(self.run("GetCapability", (), None, struct.pack(">III", 1, first, 64))[1])
        out.take(5)
        return [out.u32() for _ in range(out.u32())]

    def create_primary(self, hierarchy, template):
        """CreatePrimary with empty passwords: (handle, TPM2B_PUBLIC)."""
        handle, out = self.run("CreatePrimary", (hierarchy,), tpm2.password(),
                               struct.pack(">HHH", 4, 0, 0) + template + struct.pack(">HI", 0, 0),
                               True)
        return handle, tpm2.sized(tpm2.Reader(out).sized())

    def read_public(self, handle):
        """TPM2B_PUBLIC of an object."""
        return tpm2.sized(tpm2.Reader(self.run("ReadPublic", (handle,))[1]).sized())

    def flush(self, handle):
        """FlushContext."""
        self.run("FlushContext", (), None, struct.pack(">I", handle))

    def evict(self, handle, persistent):
        """EvictControl: make persistent, or remove when both are the same."""
        self.run("EvictControl", (tpm2.RH_OWNER, handle), tpm2.password(),
                 struct.pack(">I", persistent))

    def nv_define(self, index, size, attributes=tpm2.NV_ATTRIBUTES):
        """Define an index by the platform."""
        public = struct.pack(">IHIHH", index, tpm2.ALG_SHA256, attributes, 0, size)
        self.run("NV_DefineSpace", (tpm2.RH_PLATFORM,), tpm2.password(),
                 tpm2.sized(b"") + tpm2.sized(public))

    def nv_undefine(self, index):
        """Remove an index made by the platform."""
        self.run("NV_UndefineSpace", (tpm2.RH_PLATFORM, index), tpm2.password())

    def nv_size(self, index):
        """The size of an index."""
        public = tpm2.Reader(self.run("NV_ReadPublic", (index,))[1]).sized()
        return struct.unpack(">H", public[-2:])[0]

    def nv_write(self, index, data, chunk=1024):
        """Write a whole index with its own (empty) password."""
        for at in range(0, len(data), chunk):
            self.run("NV_Write", (index, index), tpm2.password(),
                     tpm2.sized(data[at:at + chunk]) + struct.pack(">H", at))

    def nv_read(self, index, chunk=1024):
        """Read a whole index with the owner's password."""
        out, size = b"", self.nv_size(index)
        while len(out) < size:
            n = min(chunk, size - len(out))
            data = self.run("NV_Read", (tpm2.RH_OWNER, index), tpm2.password(),
                            struct.pack(">HH", n, len(out)))[1]
            out += tpm2.Reader(data).sized()
        return out

    def pcr_read(self, pcrs=tpm2.PCRS):
        """SHA-256 values of at most eight registers."""
        r = tpm2.Reader(self.run("PCR_Read", (), None, tpm2.pcr_selection(pcrs))[1])
        r.take(4 + len(tpm2.pcr_selection(pcrs)))
        return [r.sized() for _ in range(r.u32())]

    def pcr_extend(self, pcr, digest):
        """Extend one register of the SHA-256 bank."""
        self.run("PCR_Extend", (pcr,), tpm2.password(),
                 struct.pack(">IH", 1, tpm2.ALG_SHA256) + digest)

    def quote(self, pcrs=tpm2.PCRS, extra=b"", key=tpm2.AK_HANDLE):
        """(TPMS_ATTEST, bare signature) of a quote."""
        r = tpm2.Reader(self.run("Quote", (key,), tpm2.password(), tpm2.sized(extra) + struct.pack(
            ">H", tpm2.ALG_NULL) + tpm2.pcr_selection(pcrs))[1])
        return r.sized(), tpm2.rsassa(r.take(len(r.data) - r.at))

    def certify(self, handle, key=tpm2.AK_HANDLE):
        """(TPMS_ATTEST, bare signature) of a certification of `handle`."""
        r = tpm2.Reader(self.run("Certify", (handle, key), tpm2.password(2),
                                 struct.pack(">HH", 0, tpm2.ALG_NULL))[1])
        return r.sized(), tpm2.rsassa(r.take(len(r.data) - r.at))

    def policy_session(self, digest, pcrs=tpm2.PCRS):
        """A policy session that satisfies PolicyPCR."""
        handle = self.run("StartAuthSession", (tpm2.RH_NULL, tpm2.RH_NULL), None, tpm2.sized(
            bytes(16)) + struct.pack(">HBHH", 0, 1, tpm2.ALG_NULL, tpm2.ALG_SHA256), True)[0]
        self.run("PolicyPCR", (handle,), None, tpm2.sized(digest) + tpm2.pcr_selection(pcrs))
        return handle

    def rsa_decrypt(self, handle, session, ciphertext, scheme):
        """RSA_Decrypt under a policy session."""
        out = self.run("RSA_Decrypt", (handle,), tpm2.session(session),
                       tpm2.sized(ciphertext) + scheme + tpm2.sized(b""))[1]
        return tpm2.Reader(out).sized()
