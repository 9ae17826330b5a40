"""A file system in this process: the kernel's FUSE protocol over /dev/fuse, without a library.

`Mount(fs, path)` mounts and serves `fs` in a thread.  The file system is an object with
  node(ino)                    an object with `mode` (type and permissions) and `size`
  lookup(ino, name)            the ino of a child
  children(ino)                [(name, ino)]
  mkdir(ino, name)             the new ino;   rmdir(ino, name)
  open(ino, accmode)           a handle with read(offset, size), write(offset, data), flush()
Each may raise OSError, whose errno goes to the caller.  Nothing is cached by the kernel, so that
every read and write arrives here.  flush() is called for close(2), which waits for it; the kernel's
message that a file is released comes later and is no good for what must happen at close.

The file system ends with the process, or with close().
"""

import ctypes
import errno
import os
import stat
import struct
import threading
import traceback

(LOOKUP, FORGET, GETATTR, SETATTR, SYMLINK, MKNOD, MKDIR, UNLINK, RMDIR, RENAME, LINK, OPEN, READ,
 WRITE, STATFS, RELEASE, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, CREATE, INTERRUPT, DESTROY,
 BATCH_FORGET, RENAME2) = (
     1, 2, 3, 4, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 25, 26, 27, 28, 29, 35, 36, 38, 42, 45)
ROOT = 1
DIRECT_IO = 1           # FOPEN_DIRECT_IO
MAX_WRITE = 65536
MS_NOSUID, MS_NODEV, MS_NOEXEC, MNT_DETACH = 2, 4, 8, 2

libc = ctypes.CDLL(None, use_errno=True)


def _call(result, what):
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, "%s: %s" % (what, os.strerror(code)))


def _refusing(code):
    def handler(_self, _ino, _body):
        raise OSError(code, os.strerror(code))
    return handler


def _quiet(_self, _ino, _body):
    """Answered with success and nothing."""
    return b""


class Mount(threading.Thread):
    """A mounted file system; `close()` (or the end of a `with`) unmounts it."""

    def __init__(self, fs, path):
        super().__init__(daemon=True, name="fuse")
        self.fs, self.path = fs, os.path.realpath(path)
        self.handles, self.next_handle, self.lock = {}, 1, threading.Lock()
        self.bugs = []
        self.fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        try:
            options = "fd=%d,rootmode=%o,user_id=%d,group_id=%d,default_permissions" % (
                self.fd, stat.S_IFDIR, os.getuid(), os.getgid())
            _call(libc.mount(b"latchkey-test", os.fsencode(self.path), b"fuse",
                             ctypes.c_ulong(MS_NOSUID | MS_NODEV | MS_NOEXEC), options.encode()),
                  "mount %s" % self.path)
        except OSError:
            os.close(self.fd)
            raise
        self.start()

    def close(self):
        """Unmount; whoever still has a file open there gets errors."""
        if self.fd >= 0:
            libc.umount2(os.fsencode(self.path), MNT_DETACH)
            self.join(10)
            os.close(self.fd)
            self.fd = -1

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    # --- the protocol --------------------------------------------------------------------------

    def run(self):
        """One request after the other, until the file system is gone."""
        while True:
            try:
                data = os.read(self.fd, MAX_WRITE + 4096)
            except OSError as e:
                if e.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
                    continue
                return
            _, opcode, unique, ino = struct.unpack_from("<IIQQ", data)
            if opcode in (FORGET, BATCH_FORGET, INTERRUPT):     # these want no answer
                continue
            reply, code = self.answer(opcode, ino, data[40:])
            try:
                os.write(self.fd, struct.pack("<IiQ", 16 + len(reply), -code, unique) + reply)
            except OSError as e:
                if e.errno not in (errno.ENOENT, errno.EINTR):  # the caller was interrupted
                    return
            if opcode == DESTROY:
                return

    def answer(self, opcode, ino, body):
        """(answer, errno); a bug of ours is EIO for the caller and is kept in `bugs`."""
        try:
            handler = self.HANDLERS.get(opcode)
            return (b"", errno.ENOSYS) if handler is None else (handler(self, ino, body), 0)
        except OSError as e:
            return b"", e.errno or errno.EIO
        except Exception:       # whatever it is, the caller must not hang
            self.bugs.append(traceback.format_exc())
            return b"", errno.EIO

    def init(self, _ino, _body):
        """Version 7.31, no options."""
        return struct.pack("<IIIIHHIIHHI28x", 7, 31, 65536, 0, 12, 9, MAX_WRITE, 1, 0, 0, 0)

    def attributes(self, ino):
        """struct fuse_attr."""
        node = self.fs.node(ino)
        return struct.pack("<QQQQQQIIIIIIIIII", ino, node.size, 0, 0, 0, 0, 0, 0, 0, node.mode,
                           2 if stat.S_ISDIR(node.mode) else 1, os.getuid(), os.getgid(), 0, 4096,
                           0)

    def getattr(self, ino, _body):
        """struct fuse_attr_out, valid for no time at all.  Changes (O_TRUNC) are ignored, as
        configfs does."""
        return struct.pack("<QII", 0, 0, 0) + self.attributes(ino)

    def entry(self, ino):
        """struct fuse_entry_out."""
        return struct.pack("<QQQQII", ino, 0, 0, 0, 0, 0) + self.attributes(ino)

    def lookup(self, ino, body):
        """A name in a directory."""
        return self.entry(self.fs.lookup(ino, body[:-1].decode()))

    def mkdir(self, ino, body):
        """struct fuse_mkdir_in, then the name."""
        return self.entry(self.fs.mkdir(ino, body[8:-1].decode()))

    def rmdir(self, ino, body):
        """The name."""
        self.fs.rmdir(ino, body[:-1].decode())
        return b""

    def handle(self, value):
        """struct fuse_open_out of a new handle."""
        with self.lock:
            number, self.next_handle = self.next_handle, self.next_handle + 1
            self.handles[number] = value
        return struct.pack("<QII", number, DIRECT_IO, 0)

    def open(self, ino, body):
        """struct fuse_open_in."""
        flags = struct.unpack_from("<I", body)[0]
        return self.handle(self.fs.open(ino, flags & os.O_ACCMODE))

    def opendir(self, ino, _body):
        """The names as they are now."""
        return self.handle([(".", ino), ("..", ROOT)] + self.fs.children(ino))

    def readdir(self, _ino, body):
        """struct fuse_read_in; `offset` counts entries."""
        number, offset, size = struct.unpack_from("<QQI", body)
        out = b""
        for at, (name, ino) in enumerate(self.handles[number][offset:], offset + 1):
            raw = name.encode()
            one = struct.pack("<QQII", ino, at, len(raw), self.fs.node(ino).mode >> 12) + raw
            one += bytes(-len(one) % 8)
            if len(out) + len(one) > size:
                break
            out += one
        return out

    def read(self, _ino, body):
        """struct fuse_read_in."""
        number, offset, size = struct.unpack_from("<QQI", body)
        return self.handles[number].read(offset, size)[:size]

    def write(self, _ino, body):
        """struct fuse_write_in (40 bytes), then the data."""
        number, offset, size = struct.unpack_from("<QQI", body)
        done = self.handles[number].write(offset, body[40:40 + size])
        return struct.pack("<II", done, 0)

    def flush(self, _ino, body):
        """struct fuse_flush_in."""
        self.handles[struct.unpack_from("<Q", body)[0]].flush()
        return b""

    def release(self, _ino, body):
        """struct fuse_release_in."""
        with self.lock:
            self.handles.pop(struct.unpack_from("<Q", body)[0], None)
        return b""

    def statfs(self, _ino, _body):
        """struct fuse_kstatfs: nothing to report."""
        return struct.pack("<QQQQQIIII24x", 0, 0, 0, 0, 0, 4096, 255, 0, 0)

    HANDLERS = {LOOKUP: lookup, GETATTR: getattr, SETATTR: getattr, MKDIR: mkdir, RMDIR: rmdir,
                OPEN: open, READ: read, WRITE: write, STATFS: statfs, RELEASE: release,
                FLUSH: flush, INIT: init, OPENDIR: opendir, READDIR: readdir, RELEASEDIR: release,
                DESTROY: _quiet, CREATE: _refusing(errno.EACCES), MKNOD: _refusing(errno.EPERM),
                SYMLINK: _refusing(errno.EPERM), LINK: _refusing(errno.EPERM),
                UNLINK: _refusing(errno.EPERM), RENAME: _refusing(errno.EPERM),
                RENAME2: _refusing(errno.EPERM)}
