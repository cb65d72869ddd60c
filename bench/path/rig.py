"""Two data planes in one process: what the near one seals goes to the far one through loopback sockets.

A TAP is one end of a socket pair. Its queue is filled while the lanes stand still; then they are started, and timed
until the queue is empty, so that nothing else runs beside them and no generator is measured. What the near plane sealed
waits in the far plane's sockets, and is its work when its turn comes. System calls and the kernel's loopback are in it.
"""

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.path.traffic import Traffic
from rhp._fast.dataplane import DataPlane
from rhp._fast.params import SaParams

AES_GCM_16 = 20
KEY = 20
"""Octets of an AES-128 key and its salt."""
ADDRESS = "127.0.0.1"
OFFLOADS = 0x01 | 0x02 | 0x04
"""TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6."""
QUEUE = 1 << 29
"""Octets of each queue, so that all that is prepared fits."""
PATIENCE = 20.0

_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33


@dataclass(frozen=True, slots=True)
class Run:
    """What one plane did with its work: wall seconds, and seconds of processor time that its lanes took."""

    seconds: float
    cpu_seconds: float


class Plane:
    """A data plane with a TAP and a UDP socket for each lane, all of them queues that somebody fills.

    The work is done in the hub of that number, and the others before it rest.
    """

    def __init__(self, lanes: int, hub: int = 0) -> None:
        self.plane = DataPlane(lanes)
        self.hub = hub
        self.spis: list[int] = []
        self.hosts: list[socket.socket] = []
        self._queues: list[socket.socket] = []
        self.port = 0
        # Each lane on a core of its own, where there are so many: a short run must not depend on who woke where.
        cpus = sorted(os.sched_getaffinity(0))
        self.plane.pin([cpus[lane % len(cpus)] for lane in range(lanes)])
        for idle in range(hub):
            self._rest(idle)
            self.plane.add_hub()
        for lane in range(lanes):
            host, queue = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            for one in (host, queue, udp):
                one.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, QUEUE)
                one.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, QUEUE)
            udp.bind((ADDRESS, self.port))
            self.port = udp.getsockname()[1]
            self.plane.attach_tap(lane, queue.fileno(), station(0), offloads=OFFLOADS, hub=hub)
            self.plane.attach_udp(lane, udp.fileno(), socket.AF_INET)
            self.hosts.append(host)
            self._queues += [queue, udp]

    def _rest(self, hub: int) -> None:
        """Give a hub its queues and a port, for which nobody has anything."""
        for lane in range(self.plane.lanes):
            host, queue = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.plane.attach_tap(lane, queue.fileno(), station(0), offloads=OFFLOADS, hub=hub)
            queue.close()
            self._queues.append(host)
        self.plane.add_port("ethernet", hub=hub)

    def close(self) -> None:
        """Close it and its queues."""
        self.plane.close()
        for one in (*self.hosts, *self._queues):
            one.close()

    def work(self, counter: str, packets: int, seen: str) -> Run:
        """Start the lanes, wait until `counter` has grown by `packets`, and stop them.

        `seen` names the time stamp of an SA's last packet, by which the end is known to a few microseconds. Raises
        RuntimeError when packets go missing.
        """
        before = self.plane.counters()
        began = time.monotonic_ns()
        self.plane.start()
        try:
            while self.plane.counters()[counter] - before[counter] < packets:
                if time.monotonic_ns() - began > PATIENCE * 1e9:
                    raise RuntimeError(f"{counter} stands still: {self._grown(before)}")
                time.sleep(0.002)
            spent = lane_seconds()
        finally:
            self.plane.stop()
        ended = max(self.plane.sa_counters(spi)[seen] for spi in self.spis)
        return Run((ended - began) / 1e9, spent)

    def _grown(self, before: dict[str, int]) -> dict[str, int]:
        return {name: value - before[name] for name, value in self.plane.counters().items() if value != before[name]}

    def drain(self) -> None:
        """Take everything that was written to the TAPs."""
        for host in self.hosts:
            host.setblocking(False)
            try:
                while host.recv(70000):
                    pass
            except BlockingIOError:
                host.setblocking(True)


class Rig:
    """A near and a far plane with `peers` pairs of SAs between them in one hub, for the time of a `with`.

    `macs[lane]` are the stations at the far end whose frames the near plane's lane of that number seals.
    """

    def __init__(self, lanes: int, peers: int, hub: int = 0) -> None:
        self.near, self.far = Plane(lanes, hub), Plane(lanes, hub)
        self.macs: list[list[bytes]] = [[] for _ in range(lanes)]
        self._stations: list[tuple[bytes, int]] = []
        self.add_peers(peers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close both planes."""
        self.near.close()
        self.far.close()

    def add_peers(self, count: int) -> None:
        """Install that many more peers, turn about for the lanes. Both hubs know all stations from the start."""
        lanes = len(self.macs)
        for number in range(len(self._stations) + 1, len(self._stations) + count + 1):
            near, far = (side.plane.add_port("ethernet", hub=side.hub) for side in (self.near, self.far))
            lane = number % lanes
            spis = self.near.plane.allocate_spi(lane), self.far.plane.allocate_spi(lane)
            keys = os.urandom(KEY), os.urandom(KEY)
            _install(self.near, near, spis, keys, self.far.port)
            _install(self.far, far, spis[::-1], keys[::-1], self.near.port)
            self.macs[lane].append(station(number))
            self._stations.append((station(number), near))
        self.near.plane.set_hub(static=self._stations, hub=self.near.hub)
        self.far.plane.set_hub(static=[(mac, 0) for mac, _ in self._stations], hub=self.far.hub)

    def run(self, traffic: Sequence[Traffic], *, back: bool = False) -> tuple[Run, Run]:
        """Carry one traffic for each lane from near to far, or `back`: how long (sealing, opening) took."""
        sender, receiver = (self.far, self.near) if back else (self.near, self.far)
        for host, one in zip(sender.hosts, traffic, strict=True):
            for frame in one.frames:
                host.send(frame)
        packets = sum(one.packets for one in traffic)
        sealing = sender.work("esp-packets-out", packets, "last_out_ns")
        opening = receiver.work("esp-packets-in", packets, "last_in_ns")
        receiver.drain()
        return sealing, opening


def station(number: int) -> bytes:
    """The MAC of the station behind peer `number`; 0 is the TAP's own."""
    return b"\x02\x01" + number.to_bytes(4, "big")


def _install(side: Plane, port: int, spis: tuple[int, int], keys: tuple[bytes, bytes], remote_port: int) -> None:
    """A pair of SAs; `spis` and `keys` are (inbound, outbound)."""
    (spi_in, spi_out), (key_in, key_out) = spis, keys
    side.plane.install(
        SaParams(
            port,
            spi_in,
            spi_out,
            mode="ethernet",
            encryption=AES_GCM_16,
            encryption_key_in=key_in,
            encryption_key_out=key_out,
            local_ip=ADDRESS,
            remote_ip=ADDRESS,
            local_port=side.port,
            remote_port=remote_port,
        )
    )
    side.spis.append(spis[0])


def lane_seconds() -> float:
    """Processor time of the lanes' threads that run in this process, in seconds."""
    spent = 0
    for task in Path("/proc/self/task").iterdir():
        if (task / "comm").read_text().startswith("rhp-lane"):
            spent += int((task / "schedstat").read_text().split()[0])
    return spent / 1e9
