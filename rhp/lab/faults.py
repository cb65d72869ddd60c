"""What a bad network does to a tunnel's packets, decided by a seed. Nothing here reads a clock or opens a socket.

A `Line` is one direction. Every packet costs it the same number of draws whatever is switched on, so the same packets
meet the same fate in every run, and one more fault does not move the others. ARP, neighbour discovery and the like
pass untouched: a lost neighbour would only stall everything for a second and say nothing about the tunnel.
"""

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from rhp.lab.outerpacket import damaged, locate, too_big

QUEUE = 20_000
"""Packets that one direction holds at most."""
PATIENCE = 0.02
"""Seconds after which a packet that was to be overtaken goes on, overtaken or not."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares are 0 to 1 of the packets, each decided for itself; both directions suffer alike."""

    loss: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    """One bit is turned over, and the outer checksum made right again."""
    reorder: float = 0.0
    distance: int = 3
    """How many later packets overtake a reordered one."""
    delay: float = 0.0
    """Seconds that every packet is late."""
    mtu: int = 0
    """Octets of the longest outer IP packet that passes; 0 is any."""
    answer: bool = False
    """Tell the sender of a packet that is too long, by ICMP."""
    seed: int = 1


class Count(IntEnum):
    """What a line counts; the value is the place in its counters."""

    SEEN = 0
    PASSED = 1
    LOST = 2
    DUPLICATED = 3
    CORRUPTED = 4
    REORDERED = 5
    TOO_LONG = 6
    OVERFLOWED = 7
    LONGEST = 8
    """No count but a size: the longest IP packet that came, in octets."""


class Counters(Protocol):
    """A place for each `Count`: a list, or memory shared with whoever reads it."""

    def __getitem__(self, place: int, /) -> int: ...
    def __setitem__(self, place: int, value: int, /) -> None: ...


class Line:
    """One direction of the network. `name` makes its fate its own."""

    def __init__(self, name: str, faults: Faults, counters: Counters) -> None:
        self._name = name
        self._counters = counters
        self._turn = 0
        self._held: deque[tuple[int, float, bytes]] = deque()
        self._late: deque[tuple[float, bytes]] = deque()
        self.become(faults)

    def become(self, faults: Faults) -> None:
        """Take other faults from now on, with a fresh fate; what is under way stays so."""
        self._faults = faults
        self._fate = random.Random(f"{faults.seed}/{self._name}")  # noqa: S311 (a fate that can be repeated)

    def take(self, frame: bytes, now: float) -> bytes | None:
        """Take one frame in; the answer for its sender, if there is one. What passes comes out of `ready`."""
        found = locate(frame)
        if found is None:
            self._late.append((now, frame))
            return None
        faults, fate = self._faults, self._fate
        lost, doubled, broken, overtaken = (fate.random() for _ in range(4))
        bit = fate.getrandbits(24)
        self._count(Count.SEEN)
        self._counters[Count.LONGEST] = max(self._counters[Count.LONGEST], found.length)
        if faults.mtu and found.length > faults.mtu:
            self._count(Count.TOO_LONG)
            return too_big(frame, found, faults.mtu) if faults.answer else None
        self._turn += 1
        if lost < faults.loss:
            self._count(Count.LOST)
            return None
        if broken < faults.corrupt and found.body:
            self._count(Count.CORRUPTED)
            frame = damaged(frame, found, bit)
        copies = 2 if doubled < faults.duplicate else 1
        self._counters[Count.DUPLICATED] += copies - 1
        for _ in range(copies):
            self._place(frame, overtaken < faults.reorder, now)
        return None

    def ready(self, now: float) -> Iterator[bytes]:
        """Every frame whose time has come, in its order."""
        while self._held and (self._held[0][0] <= self._turn or self._held[0][1] <= now):
            self._late.append((now + self._faults.delay, self._held.popleft()[2]))
        while self._late and self._late[0][0] <= now:
            yield self._late.popleft()[1]

    def next_due(self) -> float | None:
        """When `ready` has something without another packet coming in."""
        dues = [self._held[0][1]] if self._held else []
        dues += [self._late[0][0]] if self._late else []
        return min(dues, default=None)

    def _place(self, frame: bytes, overtaken: bool, now: float) -> None:
        """Put one copy where it waits for its time."""
        if len(self._held) + len(self._late) >= QUEUE:
            self._count(Count.OVERFLOWED)
            return
        self._count(Count.PASSED)
        if overtaken:
            self._count(Count.REORDERED)
            self._held.append((self._turn + self._faults.distance, now + PATIENCE, frame))
        else:
            self._late.append((now + self._faults.delay, frame))

    def _count(self, what: Count) -> None:
        self._counters[what] += 1
