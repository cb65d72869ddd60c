"""How many datagrams a second pass without loss: a paced sender and a counter in one thread, frugal with the cores.

iperf3 spends a system call and a look at the clock on each datagram, and so measures itself. Here one thread wakes
every few hundred microseconds, sends what has fallen due with one `sendmmsg`, and takes what has arrived out of a large
receive buffer with `recvmmsg`, so that most of both cores is left to the program that is measured.
"""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from rhp.lab.mmsg import Messages
from rhp.lab.namespace import Namespace
from rhp.lab.room import make_room

LOSS = 0.001
"""The share that may get lost before a rate no longer counts as carried."""
BATCH = 64
"""Datagrams in one call at the most, so that no burst alone fills a queue."""
RECEIVE_BATCH = 1024
RECEIVE_BUFFER = 16 << 20
TICK = 0.0002
"""Seconds between two looks at the clock."""
SETTLE = 0.1
"""Seconds for the last datagrams to arrive."""
STEPS = 7


@dataclass(frozen=True, slots=True)
class Burst:
    """What one stretch of sending came to; `seconds` is how long the sender took."""

    sent: int
    arrived: int
    seconds: float

    @property
    def kpps(self) -> float:
        """Thousands of datagrams a second that arrived."""
        return self.arrived / self.seconds / 1e3

    @property
    def carried(self) -> bool:
        """True when next to nothing got lost."""
        return self.sent > 0 and self.sent - self.arrived <= self.sent * LOSS


class Datagrams:
    """A sender in one namespace and a counter in another, for the time of a `with`; `size` is the payload in octets."""

    def __init__(self, client: Namespace, server: Namespace, address: str, size: int = 64) -> None:
        self._receiver = server.socket(socket.AF_INET, socket.SOCK_DGRAM)
        make_room(self._receiver, RECEIVE_BUFFER)
        self._receiver.bind((address, 0))
        self._sender = client.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sender.connect(self._receiver.getsockname())
        self._out = Messages(BATCH, size)
        self._in = Messages(RECEIVE_BATCH, 1)

    def __enter__(self) -> "Datagrams":
        return self

    def __exit__(self, *_: object) -> None:
        self._sender.close()
        self._receiver.close()

    def burst(self, rate: float, seconds: float) -> Burst:
        """Send `rate` datagrams a second (or as many as can be sent) for `seconds`."""
        self._receive()
        sent = arrived = 0
        began = now = time.perf_counter()
        while now - began < seconds:
            due = min(int(rate * (now - began)) - sent, BATCH)
            if due > 0:
                sent += self._send(due)
            arrived += self._receive()
            # A sender that is behind does not rest.
            if due < BATCH:
                time.sleep(TICK)
            now = time.perf_counter()
        time.sleep(SETTLE)
        return Burst(sent, arrived + self._receive(), now - began)

    def _send(self, count: int) -> int:
        return self._out.send(self._sender.fileno(), count)

    def _receive(self) -> int:
        """Take all that waits; how many there were."""
        total = 0
        while True:
            done = self._in.receive(self._receiver.fileno())
            total += done
            if done < RECEIVE_BATCH:
                return total


def highest_carried(burst: Callable[[float], Burst], steps: int = STEPS) -> float:
    """The highest rate that was carried, in thousands a second, by bisection on a logarithmic scale.

    The first burst, at a rate no program can carry, gives the range. A rate at which a burst fails gets a second one,
    because a machine may stumble once. What counts is what arrived, not what was asked for.
    """
    flooded = burst(1e7)
    if flooded.carried:
        return flooded.kpps
    low, high, best = flooded.sent / flooded.seconds / 256, flooded.sent / flooded.seconds, 0.0
    for _ in range(steps):
        middle = (low * high) ** 0.5
        tries = (burst(middle) for _ in range(2))
        good = next((one for one in tries if one.carried), None)
        if good is None:
            high = middle
        else:
            low, best = middle, max(best, good.kpps)
    return best
