"""The line between guard and node: a socket pair whose messages the kernel keeps apart, and whose senders it names.

SOCK_SEQPACKET keeps the bounds of messages. SO_PASSCRED has the kernel write on each message which process sent it; one
from anybody else, to whom the descriptor may have come, is not read. Descriptors travel beside the octets (SCM_RIGHTS,
unix(7)). They go from the guard to the node alone: to close one that somebody else has prepared may take as long as he
likes (SO_LINGER, socket(7)), so the guard has the kernel refuse them, and never closes one in its loop.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from rhp.guard.messages import LARGEST

_KERNELS_MOST = 253
"""In one message of anybody (SCM_MAX_FD). Room for fewer would have the kernel close the rest while we read."""

_SO_PASSRIGHTS = 83
"""Since Linux 6.16: without it, whoever sends descriptors to this end gets an error."""

_CREDENTIALS = struct.Struct("=3i")
_INT = struct.Struct("=i")
# As plain numbers: flags that know their names are slow.
_CUT = int(socket.MSG_TRUNC | socket.MSG_CTRUNC)
_CLOSE_ON_EXEC = int(socket.MSG_CMSG_CLOEXEC)
_NO_SIGNAL = int(socket.MSG_NOSIGNAL)
_ROOM = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(_KERNELS_MOST * _INT.size)


class ChannelError(Exception):
    """A message that cannot be trusted or read as a whole; `reason` is a counter's name in kebab-case."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Smuggled(ChannelError):
    """Descriptors came to an end that takes none."""

    def __init__(self) -> None:
        super().__init__("unasked-descriptors")


class Received(NamedTuple):
    """One message: its octets, the descriptors that came along and are now ours, and who sent it."""

    octets: bytes
    fds: tuple[int, ...]
    pid: int
    uid: int


def pair() -> tuple[socket.socket, socket.socket]:
    """The two ends, closed on exec and blocking; both hear who sends."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    return ends


class Channel:
    """One end. `peer` is the process that may speak at the other end; `bare`, that it may send no descriptors."""

    def __init__(self, end: socket.socket, peer: int, *, bare: bool = False) -> None:
        self._end = end
        self._peer = peer
        self._bare = bare
        if bare:
            with suppress(OSError):  # An older kernel.
                end.setsockopt(socket.SOL_SOCKET, _SO_PASSRIGHTS, 0)
        self._buffer = bytearray(LARGEST + 1)

    def fileno(self) -> int:
        """The descriptor, for whoever waits for messages."""
        return self._end.fileno()

    def set_blocking(self, blocking: bool) -> None:
        """Whether `send` and `receive` wait."""
        self._end.setblocking(blocking)

    def send(self, octets: bytes, fds: Iterable[int] = ()) -> None:
        """Send one message; BlockingIOError where the other end has no room, OSError where there is no other end."""
        rights = b"".join(_INT.pack(fd) for fd in fds)
        if rights:
            self._end.sendmsg([octets], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)], _NO_SIGNAL)
        else:
            self._end.send(octets, _NO_SIGNAL)

    def receive(self) -> Received | None:
        """The next message, or None at the end of the line.

        BlockingIOError where there is none yet, `ChannelError` for one that is too long or somebody else's, and
        `Smuggled` for descriptors that nobody takes here.
        """
        try:
            length, told, flags, _ = self._end.recvmsg_into([self._buffer], _ROOM, _CLOSE_ON_EXEC)
        except ConnectionResetError:
            return None
        if not length and not told:
            return None
        fds, sender = _read(told)
        if fds and self._bare:
            close_aside(fds)
            raise Smuggled
        try:
            if flags & _CUT or length > LARGEST:
                raise ChannelError("too-long")
            if sender is None or sender[0] != self._peer:
                raise ChannelError("wrong-sender")
        except ChannelError:
            close_all(fds)
            raise
        return Received(bytes(memoryview(self._buffer)[:length]), fds, sender[0], sender[1])

    def close(self) -> None:
        """Hang up. Safe twice."""
        if not self._bare or self._end.fileno() < 0:
            self._end.close()
            return
        with suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)
        # What was not read yet goes with it, and may hold descriptors.
        close_aside((self._end.detach(),))


def close_all(fds: Iterable[int]) -> None:
    """Close descriptors that nobody wants."""
    for fd in fds:
        os.close(fd)


def close_aside(fds: Iterable[int]) -> None:
    """The same where closing may take long: in a thread that holds up nobody, the end of the process included."""
    threading.Thread(target=close_all, args=(tuple(fds),), daemon=True, name="rhp-close").start()


def _read(told: list[tuple[int, int, bytes]]) -> tuple[tuple[int, ...], tuple[int, int] | None]:
    """Descriptors, and the sender's process and user, out of the control messages."""
    fds: tuple[int, ...] = ()
    sender: tuple[int, int] | None = None
    for level, kind, data in told:
        if level != socket.SOL_SOCKET:
            continue
        if kind == socket.SCM_RIGHTS:
            whole = len(data) - len(data) % _INT.size
            fds += tuple(number for (number,) in _INT.iter_unpack(data[:whole]))
        elif kind == socket.SCM_CREDENTIALS and len(data) >= _CREDENTIALS.size:
            pid, uid, _ = _CREDENTIALS.unpack_from(data)
            sender = pid, uid
    return fds, sender
