"""Many datagrams with one system call: `sendmmsg` and `recvmmsg` of the C library, for generators in Python."""

import ctypes
import os

from rhp.lab.errors import LabError

_MSG_DONTWAIT = 0x40

_libc = ctypes.CDLL(None, use_errno=True)


class _IoVec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("len", ctypes.c_size_t))


class _MsgHdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint32),
        ("iov", ctypes.POINTER(_IoVec)),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _MMsgHdr(ctypes.Structure):
    _fields_ = (("hdr", _MsgHdr), ("len", ctypes.c_uint))


class Messages:
    """`count` messages of `size` octets.

    All share one buffer, or with `apart` each has its own; message `n` then stands at `n * size` of `octets`.
    """

    def __init__(self, count: int, size: int, *, apart: bool = False) -> None:
        self.count = count
        self.size = size
        self._buffer = (ctypes.c_ubyte * (size * (count if apart else 1)))()
        self.octets = memoryview(self._buffer).cast("B")
        start = ctypes.addressof(self._buffer)
        steps = range(0, size * count, size) if apart else [0] * count
        self._vectors = (_IoVec * count)(*(_IoVec(start + step, size) for step in steps))
        self._array = (_MMsgHdr * count)()
        self._name: ctypes.Array[ctypes.c_char] | None = None
        for message, vector in zip(self._array, self._vectors, strict=True):
            message.hdr.iov = ctypes.pointer(vector)
            message.hdr.iovlen = 1

    def address(self, name: bytes) -> None:
        """Where all of them go: a `struct sockaddr_in`, for a socket that is not connected."""
        self._name = ctypes.create_string_buffer(name, len(name))
        for message in self._array:
            message.hdr.name = ctypes.addressof(self._name)
            message.hdr.namelen = len(name)

    def send(self, fd: int, count: int) -> int:
        """Send the first `count` with one call; how many were taken. Raises `LabError` when not even one was."""
        done = int(_libc.sendmmsg(fd, self._array, count, 0))
        if done < 0:
            raise LabError(f"the datagrams could not be sent: {os.strerror(ctypes.get_errno())}")
        return done

    def receive(self, fd: int) -> int:
        """Receive as many as there are at once, without waiting; how many came."""
        return max(int(_libc.recvmmsg(fd, self._array, self.count, _MSG_DONTWAIT, None)), 0)
