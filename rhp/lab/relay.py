"""A bad network between two hosts: a process that hands frames from one cable to the other and mistreats some of them.

    host a (eth0) --- port1 [ the namespace "net": the relay ] port2 --- (eth0) host b

The kernel has no netem everywhere, and netem cannot damage a packet so that its checksum stays right. The relay works
on whole frames (AF_PACKET), so IPv4 and IPv6, UDP and protocol 50 meet the same faults. The hosts' interfaces have no
offload for sending: the kernel cuts every train and finishes every checksum before the cable, as before a plain
network card, so a fault strikes one packet and not sixty-four.
"""

import json
import mmap
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from rhp.lab.faults import Count, Faults, Line
from rhp.lab.frames import ETH_P_ALL
from rhp.lab.lab import Lab
from rhp.lab.namespace import Namespace
from rhp.lab.process import wait_until
from rhp.lab.programs import find
from rhp.lab.room import make_room
from rhp.lab.topology import PORT

PORTS = ("port1", "port2")
LINES = ("there", "back")
"""From host a to host b, and from b to a."""
OFFLOADS = ("tx", "sg", "tso", "gso", "tx-udp-segmentation")

_LONGEST_FRAME = 9216
_BATCH = 64
_BUFFER = 16 << 20
_SO_SNDBUFFORCE = 32
_SOL_PACKET = 263
_PACKET_IGNORE_OUTGOING = 23
_IDLE = 0.05
_PLACES = len(LINES) * len(Count) + 1
"""The counters of both lines, and behind them how often the faults were read."""


@dataclass(frozen=True, slots=True)
class Relayed:
    """Two hosts, addressed as on a cable, and what lies between them."""

    a: Namespace
    b: Namespace
    relay: "Relay"


def relayed(lab: Lab, faults: Faults | None = None, *, mtu: int = 1500, gro: bool = False) -> Relayed:
    """Make two hosts with a relay between; with `gro` their interfaces put trains together as they receive."""
    a, b, middle = lab.namespace("a"), lab.namespace("b"), lab.namespace("net")
    middle.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
    for number, (host, port) in enumerate(zip((a, b), PORTS, strict=True), 1):
        host.link(middle, PORT, port, mtu)
        host.address(PORT, f"192.0.2.{number}/24", f"2001:db8::{number}/64")
        options = [word for offload in OFFLOADS for word in (offload, "off")]
        host.run([find("ethtool"), "-K", PORT, *options, "gro", "on" if gro else "off"])
    return Relayed(a, b, lab.keep(Relay(middle, lab.path("relay"), faults or Faults())))


class Relay:
    """The relay's process, steered and read from outside; `faults` may be changed while packets flow."""

    def __init__(self, namespace: Namespace, folder: Path, faults: Faults) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._orders, self._counters = folder / "faults.json", folder / "counters"
        self._counters.write_bytes(bytes(_PLACES * 8))
        self._orders.write_text(json.dumps(asdict(faults)))
        command = [sys.executable, "-m", "rhp.lab.relay", str(folder)]
        self._process = namespace.start(command, folder / "log")
        try:
            self._process.wait_for("relay started", 30)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it: nothing passes any more. Safe to call twice."""
        self._process.stop()

    def become(self, faults: Faults) -> None:
        """Change the faults; returns when they hold."""
        before = self._places()[-1]
        self._orders.write_text(json.dumps(asdict(faults)))
        self._process.send(signal.SIGHUP)
        wait_until(lambda: self._places()[-1] > before, 30, "the relay taking other faults", 0.005)

    @contextmanager
    def held(self) -> Iterator[None]:
        """As long as the `with` lasts nothing passes; what came meanwhile passes afterwards."""
        self._process.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send(signal.SIGCONT)

    def count(self, what: Count, lines: Sequence[str] = LINES) -> int:
        """One counter, summed over the directions."""
        places = self._places()
        return sum(places[LINES.index(line) * len(Count) + what] for line in lines)

    def longest(self) -> int:
        """The longest IP packet that came, in octets."""
        places = self._places()
        return max(places[number * len(Count) + Count.LONGEST] for number in range(len(LINES)))

    def _places(self) -> tuple[int, ...]:
        return struct.unpack(f"={_PLACES}Q", self._counters.read_bytes())


class _Loop:
    """The process itself: both sockets and both lines in one thread."""

    def __init__(self, folder: Path) -> None:
        self._orders = folder / "faults.json"
        with (folder / "counters").open("r+b") as file:
            self._places = memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")
        faults, size = self._read(), len(Count)
        self._lines = [
            Line(name, faults, self._places[number * size : (number + 1) * size]) for number, name in enumerate(LINES)
        ]
        self._sockets = [_open(port) for port in PORTS]
        self._asked = False
        signal.signal(signal.SIGHUP, self._ask)

    def run(self) -> None:
        """Hand frames on until a signal ends the process."""
        poll = select.poll()
        for opened in self._sockets:
            poll.register(opened, select.POLLIN)
        numbers = {opened.fileno(): number for number, opened in enumerate(self._sockets)}
        while True:
            for descriptor, _ in poll.poll(self._wait() * 1000):
                self._receive(numbers[descriptor])
            now = time.monotonic()
            for number, line in enumerate(self._lines):
                for frame in line.ready(now):
                    self._send(1 - number, frame)
            if self._asked:
                self._asked = False
                self._obey()

    def _receive(self, number: int) -> None:
        """Take a batch from one side; between two frames the line gives out what is ready, so that order is exact."""
        near, line, now = self._sockets[number], self._lines[number], time.monotonic()
        with suppress(BlockingIOError):
            for _ in range(_BATCH):
                answer = line.take(near.recv(_LONGEST_FRAME), now)
                if answer is not None:
                    self._send(number, answer)
                for frame in line.ready(now):
                    self._send(1 - number, frame)

    def _send(self, number: int, frame: bytes) -> None:
        """Send a frame; an interface that takes no more drops it, as a full one on the way would, and says so."""
        try:
            self._sockets[number].send(frame)
        except OSError:
            self._places[(1 - number) * len(Count) + Count.OVERFLOWED] += 1

    def _wait(self) -> float:
        """Seconds until something is due, within what a signal may wait."""
        dues = [due for line in self._lines if (due := line.next_due()) is not None]
        return max(0.0, min([_IDLE, *(due - time.monotonic() for due in dues)]))

    def _ask(self, *_: object) -> None:
        self._asked = True

    def _obey(self) -> None:
        faults = self._read()
        for line in self._lines:
            line.become(faults)
        self._places[_PLACES - 1] += 1

    def _read(self) -> Faults:
        return Faults(**json.loads(self._orders.read_text()))


def _open(port: str) -> socket.socket:
    """A packet socket that sees what comes in on `port`, and never blocks."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    opened.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    make_room(opened, _BUFFER)
    opened.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _BUFFER)
    opened.bind((port, ETH_P_ALL))
    opened.setblocking(False)
    return opened


def main() -> None:
    """Serve the folder that the command line names."""
    loop = _Loop(Path(sys.argv[1]))
    print("relay started", flush=True)
    loop.run()


if __name__ == "__main__":
    main()
