"""A stream of numbered datagrams between two namespaces, with an exact account of each one's fate.

It is paced to a rate, and never has more than `window` datagrams under way: the sender sees how far the receiver has
come, and what was overtaken counts as gone. So, on an idle machine and a busy one alike, a healthy tunnel loses
nothing, and whatever happens to the tunnel for a moment can cost no more than the window, unless it lasts.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from rhp.lab.errors import LabError, NotReached
from rhp.lab.namespace import Namespace
from rhp.lab.room import make_room

WINDOW = 256
SIZE = 1390
"""Octets of a datagram's payload; with UDP and IPv4 it fits the narrowest tunnel MTU that the lab uses."""
TRAIN = 16
"""Datagrams that one send call hands to the kernel as one super-frame (UDP_SEGMENT)."""
PROBE_SECONDS = 0.02
"""While nothing comes through at all, one datagram goes out this often, to see when it does again."""

_UDP_SEGMENT = 103
_UDP_GRO = 104
_LIMIT = 4_000_000
_NUMBER = struct.Struct("!Q")
_BUFFER = 4 << 20


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the datagrams; `silence` is the longest pause between two arrivals, in seconds."""

    sent: int
    received: int
    doubled: int
    damaged: int
    overtaken: int
    silence: float
    gbps: float

    @property
    def lost(self) -> int:
        """How many never came."""
        return self.sent - self.received


class Stream:
    """A stream to `address`, flowing as long as the `with` lasts, at `gbps` at most; `account` is there afterwards."""

    account: Account

    def __init__(
        self, sender: Namespace, receiver: Namespace, address: str, *, gbps: float = 1.0, window: int = WINDOW
    ) -> None:
        self._window = window
        self._pause = TRAIN * SIZE * 8 / (gbps * 1e9)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._in = receiver.socket(family, socket.SOCK_DGRAM)
        make_room(self._in, _BUFFER)
        self._in.setsockopt(socket.IPPROTO_UDP, _UDP_GRO, 1)
        self._in.bind((address, 0))
        self._in.settimeout(0.05)
        self._out = sender.socket(family, socket.SOCK_DGRAM)
        self._out.connect(self._in.getsockname()[:2])
        self._sent = 0
        self._came = bytearray(_LIMIT)
        self._newest = -1
        self._doubled = self._damaged = self._overtaken = self._received = 0
        self._silence = 0.0
        self._ending = threading.Event()
        self._ended = threading.Event()
        self._failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._guarded, args=(one,)) for one in (self._send, self._receive)]

    def __enter__(self) -> Self:
        self._begin = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Send no more, wait for what is under way, and close the account."""
        self._ending.set()
        self._threads[0].join()
        took = time.monotonic() - self._begin
        quiet, received = 0, -1
        while quiet < 20 and self._received < self._sent:
            quiet, received = (quiet + 1, received) if received == self._received else (0, self._received)
            time.sleep(0.05)
        self._ended.set()
        self._threads[1].join()
        self._in.close()
        self._out.close()
        if self._failures:
            raise LabError(f"the stream broke: {self._failures[0]!r}")
        self.account = Account(
            self._sent,
            self._received,
            self._doubled,
            self._damaged,
            self._overtaken,
            self._silence,
            self._received * SIZE * 8 / took / 1e9,
        )

    def progress(self, datagrams: int, timeout: float = 30.0) -> None:
        """Wait until so many more have arrived; raises `NotReached`."""
        goal, deadline = self._received + datagrams, time.monotonic() + timeout
        while self._received < goal:
            if time.monotonic() > deadline or self._failures:
                raise NotReached(f"the stream stands still: {goal - self._received} of {datagrams} are missing")
            time.sleep(0.005)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Run one of the two loops; what it raises is told at the end."""
        try:
            work()
        except BaseException as error:
            self._failures.append(error)

    def _send(self) -> None:
        body = bytes(index % 251 for index in range(SIZE - _NUMBER.size))
        train = [(socket.IPPROTO_UDP, _UDP_SEGMENT, struct.pack("=H", SIZE))]
        due = moved = time.monotonic()
        before = -1
        while not self._ending.is_set() and self._sent + TRAIN < _LIMIT:
            now = time.monotonic()
            if self._newest != before:
                before, moved = self._newest, now
            if self._sent - self._newest + TRAIN > self._window + 1:
                if now - moved > PROBE_SECONDS:
                    self._give(_numbered(range(self._sent, self._sent + 1), body), ())
                    self._sent, moved = self._sent + 1, now
                time.sleep(0.0001)
            elif now < due:
                time.sleep(due - now)
            else:
                self._give(_numbered(range(self._sent, self._sent + TRAIN), body), train)
                self._sent += TRAIN
                due = max(due + self._pause, now - 0.005)

    def _give(self, data: Sequence[bytes], notes: Sequence[tuple[int, int, bytes]]) -> None:
        """Hand a train to the kernel, which may have no way to the address for a moment."""
        try:
            self._out.sendmsg(data, notes)
        except OSError as error:
            if isinstance(error, BlockingIOError):
                raise
            time.sleep(0.001)

    def _receive(self) -> None:
        tail = bytes(index % 251 for index in range(SIZE - _NUMBER.size))
        last = time.monotonic()
        while not self._ended.is_set():
            try:
                data, notes, _, _ = self._in.recvmsg(65536, socket.CMSG_SPACE(4))
            except TimeoutError:
                continue
            now = time.monotonic()
            self._silence, last = max(self._silence, now - last), now
            size = struct.unpack("=i", notes[0][2])[0] if notes else len(data)
            for start in range(0, len(data), size or 1):
                self._note(data[start : start + size], tail)

    def _note(self, datagram: bytes, tail: bytes) -> None:
        """Enter one datagram into the account."""
        number = _NUMBER.unpack_from(datagram)[0] if len(datagram) == SIZE else _LIMIT
        if number >= self._sent + TRAIN or datagram[_NUMBER.size :] != tail:
            self._damaged += 1
        elif self._came[number]:
            self._doubled += 1
        else:
            self._came[number] = 1
            self._received += 1
            if number > self._newest:
                self._newest = number
            else:
                self._overtaken += 1


def _numbered(numbers: range, body: bytes) -> list[bytes]:
    """The octets of datagrams with these numbers, one behind the other."""
    return [part for number in numbers for part in (_NUMBER.pack(number), body)]
