"""How long somebody waits who starts a client and pings: from the moment the process serves to the first answer.

The pings begin before the process does, one every `EVERY` seconds, so that what a host does that asked in vain, as for
an address by ARP, counts as well. The cable has no delay.
"""

import contextlib
import socket
import struct
import threading
import time
from statistics import median

from rhp.lab.errors import LabError
from rhp.lab.lab import Lab
from rhp.lab.namespace import Namespace
from rhp.lab.pair import INNER, PairOptions, configuration
from rhp.lab.rhpnode import READY, RhpNode
from rhp.lab.topology import cable

EVERY = 0.001
ROUNDS = 5
PATIENCE = 15.0
# An echo request, whose checksum and identifier the kernel fills in.
_ECHO = struct.pack("!BBHHH", 8, 0, 0, 0, 1)


class Pinger(threading.Thread):
    """Pings `address` until an answer comes; `answered` is when, on the monotonic clock, None if none came."""

    def __init__(self, namespace: Namespace, address: str) -> None:
        super().__init__(name="pinger")
        namespace.sysctl("net.ipv4.ping_group_range", "0 0")
        self._socket = namespace.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
        self._socket.setblocking(False)
        self._address = address
        self.answered: float | None = None

    def run(self) -> None:
        """Ping."""
        end = time.monotonic() + PATIENCE
        with self._socket:
            while self.answered is None and time.monotonic() < end:
                # Until the interface is there, there is no way.
                with contextlib.suppress(OSError):
                    self._socket.sendto(_ECHO, (self._address, 0))
                time.sleep(EVERY)
                with contextlib.suppress(BlockingIOError):
                    self._socket.recv(100)
                    self.answered = time.monotonic()


class Watcher(threading.Thread):
    """Waits until a log says that its node serves; `served` is when."""

    def __init__(self, node: RhpNode) -> None:
        super().__init__(name="watcher")
        self._before = node.process.text().count(READY)
        self._process = node.process
        self.served: float | None = None

    def run(self) -> None:
        """Wait."""
        end = time.monotonic() + PATIENCE
        while self.served is None and time.monotonic() < end:
            time.sleep(EVERY / 2)
            if self._process.text().count(READY) > self._before:
                self.served = time.monotonic()


def once(client: Namespace, node: RhpNode) -> float:
    """Start the client, which rests, once more; the milliseconds until the first answer."""
    pinger, watcher = Pinger(client, INNER[1]), Watcher(node)
    pinger.start()
    watcher.start()
    node.start()
    pinger.join()
    watcher.join()
    node.stop()
    if pinger.answered is None or watcher.served is None:
        raise LabError(f"no ping came back:\n{node.process.tail()}")
    return (pinger.answered - watcher.served) * 1e3


def measure() -> dict[str, dict[str, float]]:
    """The median and the longest of some rounds."""
    with Lab() as lab:
        client, gateway = cable(lab)
        lab.keep(RhpNode(gateway, lab.path("gateway"), configuration(2, PairOptions())))
        node = lab.keep(RhpNode(client, lab.path("client"), configuration(1, PairOptions())))
        node.stop()
        times = [once(client, node) for _ in range(ROUNDS)]
    return {"first_ping_ms": {"rhp": round(median(times), 1), "rhp-longest": round(max(times), 1)}}
