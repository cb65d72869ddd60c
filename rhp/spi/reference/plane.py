"""The data plane: the calls of the control thread, as `rhp.spi.esp.DataPlane` has them. `traffic` carries the packets.

One lock is held by every call and for every packet, so nothing here happens at the same time as anything else. The
lanes are the places of queues and sockets, and one thread serves them all.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from rhp._fast.params import Encapsulation, PortKind, SaParams, Selector
from rhp.spi.esp import PORT_COUNTERS, TAP_PORT, Event, Frame
from rhp.spi.reference.counts import added_up
from rhp.spi.reference.hub import MOST_PORTS, STATIONS, Hub, Port, checked_mac
from rhp.spi.reference.links import Socket, TapQueue
from rhp.spi.reference.pairs import Pair
from rhp.spi.reference.selectors import Range
from rhp.spi.reference.traffic import Traffic
from rhp.spi.reference.worker import Worker

LOWEST_SPI = 256
MOST_HUBS = 4095


class ReferencePlane:
    """See `rhp.spi.esp.DataPlane`, whose words are not repeated here."""

    def __init__(self, lanes: int, spare: int = 0) -> None:
        if lanes < 1 or spare < 0:
            raise ValueError(f"{lanes} lanes and {spare} spare ones cannot be; write at least one lane")
        self._lanes, self._prepared = lanes, lanes + spare
        self._traffic = Traffic()
        self._lock = self._traffic.lock
        self._worker = Worker(self._traffic)
        self._taps: dict[tuple[int, int], TapQueue] = {}
        self._sockets: dict[tuple[int, int, bool], Socket] = {}
        self._next_lane = 0
        self._cpus: tuple[int, ...] = ()
        self._closed = False

    @property
    def event_fd(self) -> int:
        """See the interface."""
        return self._traffic.events.fd

    @property
    def lanes(self) -> int:
        """See the interface."""
        return self._lanes

    @property
    def prepared(self) -> int:
        """See the interface."""
        return self._prepared

    def poll_events(self, limit: int = 256) -> Sequence[Event]:
        """See the interface."""
        return self._traffic.events.take(limit)

    # Descriptors.

    def attach_tap(self, lane: int, fd: int, mac: bytes, offloads: int = 0, hub: int = 0) -> None:
        """See the interface."""
        self._check_lane(lane)
        with self._lock:
            self._hub(hub).set_own(mac)
            if (before := self._taps.pop((hub, lane), None)) is not None:
                self._worker.leave(before)
            queue = self._taps[hub, lane] = TapQueue(fd, offloads)
            if self._worker.running and lane < self._lanes:
                self._worker.serve_tap(lane, hub, queue)

    def attach_udp(
        self, lane: int, fd: int, family: int, *, tail: bool | None = None, with_doors: bool = False
    ) -> None:
        """See the interface."""
        self._attach_socket(lane, fd, family, raw=False, doors=with_doors)

    def attach_raw(self, lane: int, fd: int, family: int) -> None:
        """See the interface."""
        self._attach_socket(lane, fd, family, raw=True, doors=False)

    def offloads(self, lane: int, hub: int = 0) -> dict[str, int | tuple[int, bool]]:
        """See the interface; there are none."""
        self._check_lane(lane)
        self._hub(hub)
        found: dict[str, int | tuple[int, bool]] = {"tap": 0}
        for at, family, raw in sorted(self._sockets):
            if at == lane:
                found[f"{'esp' if raw else 'udp'}{4 if family == 2 else 6}"] = (1, False)
        return found

    def _attach_socket(self, lane: int, fd: int, family: int, *, raw: bool, doors: bool) -> None:
        with self._lock:
            self._check_rests(lane)
            made = Socket(fd, family, raw=raw)
            try:
                made.share(lane, self._prepared, doors=doors)
            except OSError:
                made.close()
                raise
            if (before := self._sockets.pop((lane, family, raw), None)) is not None:
                before.close()
            self._sockets[lane, family, raw] = made

    def _check_lane(self, lane: int) -> None:
        if not 0 <= lane < self._prepared:
            raise ValueError(f"there is no lane {lane}")

    def _check_rests(self, lane: int) -> None:
        self._check_lane(lane)
        if self._closed or (self._worker.running and lane < self._lanes):
            raise RuntimeError(f"lane {lane} is at work")

    # The thread.

    def pin(self, cpus: Sequence[int]) -> None:
        """See the interface; the one thread may run on all of them."""
        if self._worker.running:
            raise RuntimeError("the lanes are running")
        if len(cpus) not in (0, self._lanes):
            raise ValueError(f"{list(cpus)} is not one processor for each of {self._lanes} lanes")
        self._cpus = tuple(cpus)

    def cpu(self, lane: int) -> tuple[int | None, int]:
        """See the interface; the time is the one thread's, and stands with lane 0."""
        self._check_lane(lane)
        pinned = self._cpus[lane] if lane < len(self._cpus) else None
        return pinned, self._worker.spent_ns() if lane == 0 else 0

    def start(self) -> None:
        """See the interface."""
        if self._closed or self._worker.running:
            raise RuntimeError("the lanes are running, or closed")
        for lane in range(self._lanes):
            self._take_up(lane)
        self._worker.start(self._cpus)

    def add_lane(self) -> int:
        """See the interface."""
        if self._lanes == self._prepared:
            raise ValueError(f"all {self._lanes} lanes are in use")
        lane, self._lanes = self._lanes, self._lanes + 1
        if self._worker.running:
            self._take_up(lane)
        return lane

    def stop(self) -> None:
        """See the interface."""
        self._worker.stop()

    def close(self) -> None:
        """See the interface."""
        if self._closed:
            return
        self.stop()
        self._closed = True
        for queue in self._taps.values():
            queue.close()
        for link in self._sockets.values():
            link.close()
        self._worker.close()
        self._traffic.close()

    def _take_up(self, lane: int) -> None:
        sockets = [one for (at, _, _), one in self._sockets.items() if at == lane]
        self._worker.serve_sockets(lane, sockets)
        for (hub, at), queue in self._taps.items():
            if at == lane:
                self._worker.serve_tap(lane, hub, queue)

    # Ports and SAs.

    def allocate_spi(self, lane: int | None = None) -> int:
        """See the interface."""
        if lane is None:
            lane, self._next_lane = self._next_lane % self._lanes, self._next_lane + 1
        if not 0 <= lane < self._lanes:
            raise ValueError(f"there is no lane {lane}")
        system = random.SystemRandom()
        while True:
            spi = system.randrange(LOWEST_SPI, 1 << 32)
            spi -= (spi - lane) % self._prepared
            if spi >= LOWEST_SPI and spi not in self._traffic.pairs:
                return spi

    def add_port(
        self,
        kind: PortKind,
        *,
        pseudo_mac: bytes | None = None,
        isolate_group: int = 0,
        mss: int = 0,
        local_ts: Sequence[Selector] = (),
        remote_ts: Sequence[Selector] = (),
        hub: int = 0,
    ) -> int:
        """See the interface."""
        if kind not in ("ethernet", "ip") or (kind == "ip") != (pseudo_mac is not None):
            raise ValueError('a port is "ethernet", or "ip" with a pseudo-MAC')
        mac = None if pseudo_mac is None else checked_mac(pseudo_mac)
        near, far = tuple(map(Range.of, local_ts)), tuple(map(Range.of, remote_ts))
        with self._lock:
            home, number = self._hub(hub), self._free_number()
            port = Port(number, kind, mac, isolate_group, near, far, mss, hub=hub)
            home.add(port)
            self._traffic.ports[number] = port
        return number

    def _free_number(self) -> int:
        """The lowest number of a port that is free; ValueError without one."""
        for number in range(1, MOST_PORTS + 1):
            if number not in self._traffic.ports:
                return number
        raise ValueError("every hub port is taken")

    def set_port_path(self, port: int, *, mss: int, limit: int) -> None:
        """See the interface; what is too long travels in fragments."""
        self._traffic.ports[port].mss = mss

    def remove_port(self, port: int) -> None:
        """See the interface."""
        with self._lock:
            gone = self._traffic.ports.pop(port)
            self._hub(gone.hub).remove(port)
            for spi in gone.spis:
                del self._traffic.pairs[spi]

    def install(self, sa: SaParams) -> None:
        """See the interface."""
        with self._lock:
            if sa.port not in self._traffic.ports:
                raise KeyError(sa.port)
            if sa.spi_in in self._traffic.pairs:
                raise ValueError(f"SPI {sa.spi_in:08x} is in use")
            self._traffic.pairs[sa.spi_in] = Pair(sa)
            self._traffic.ports[sa.port].spis.append(sa.spi_in)

    def retire(self, spi_in: int) -> None:
        """See the interface."""
        with self._lock:
            pair = self._traffic.pairs.pop(spi_in)
            self._traffic.ports[pair.port].spis.remove(spi_in)

    def migrate(
        self, spi_in: int, local: tuple[str, int], remote: tuple[str, int], encapsulation: Encapsulation
    ) -> None:
        """See the interface."""
        with self._lock:
            pair = self._traffic.pairs[spi_in]
            pair.local, pair.remote, pair.encapsulation = local, remote, encapsulation
            pair.moved_ns = 0

    def probe(self, spi_in: int, octets: int) -> None:
        """See the interface; nothing is sent."""
        self._traffic.pairs[spi_in]

    def activate(self, spi_in: int) -> None:
        """See the interface."""
        self._traffic.pairs[spi_in].active = True

    def deactivate(self, spi_in: int) -> None:
        """See the interface."""
        self._traffic.pairs[spi_in].active = False

    # Hubs.

    def _hub(self, number: int) -> Hub:
        if number not in self._traffic.hubs:
            raise KeyError(f"no hub {number}")
        return self._traffic.hubs[number]

    def add_hub(self, *, stations: int = STATIONS) -> int:
        """See the interface."""
        with self._lock:
            number = next((one for one in range(1, MOST_HUBS + 1) if one not in self._traffic.hubs), None)
            if number is None:
                raise ValueError("every hub is taken")
            self._traffic.hubs[number] = Hub(number, stations)
        return number

    def remove_hub(self, hub: int) -> None:
        """See the interface."""
        with self._lock:
            if hub == 0 or self._hub(hub).ports:
                raise ValueError(f"hub {hub} still has ports" if hub else "hub 0 is always there")
            self._traffic.remove_hub(hub)
            for key in [key for key in self._taps if key[0] == hub]:
                self._worker.leave(self._taps.pop(key))

    def hubs(self) -> Sequence[int]:
        """See the interface."""
        return sorted(self._traffic.hubs)

    def set_hub(
        self,
        *,
        mac_ageing: int = 600,
        isolate: bool = False,
        arp_proxy: bool = True,
        answer_oversized: bool = False,
        ordering: Literal["off", "drop", "hold"] = "off",
        static: Sequence[tuple[bytes, int]] = (),
        hub: int = 0,
    ) -> None:
        """See the interface."""
        if ordering != "off":
            raise ValueError('the ESP provider "reference" keeps no order; write hub.ordering = "off"')
        if answer_oversized:
            raise ValueError('the ESP provider "reference" answers no oversized frame; write hub.oversize = "fragment"')
        with self._lock:
            self._hub(hub).configure(ageing=mac_ageing, isolate=isolate, proxies=arp_proxy, static=static)

    def add_neighbour(self, ip: str, mac: bytes, port: int, hub: int = 0) -> None:
        """See the interface."""
        with self._lock:
            home = self._hub(hub if port == TAP_PORT else self._traffic.ports[port].hub)
            home.add_neighbour(ip, mac, port)

    def remove_neighbour(self, ip: str, hub: int = 0) -> None:
        """See the interface."""
        with self._lock:
            self._hub(hub).remove_neighbour(ip)

    def macs(self, hub: int = 0) -> Sequence[tuple[bytes, int, float]]:
        """See the interface."""
        with self._lock:
            return self._hub(hub).macs(self._traffic.seconds())

    # Copies.

    def capture(self, octets: int, port: int | None = None) -> None:
        """See the interface."""
        with self._lock:
            if port is not None:
                self._traffic.ports[port]
            self._traffic.copies.begin(octets, port)

    def poll_frames(self, limit: int = 256) -> Sequence[Frame]:
        """See the interface."""
        return self._traffic.copies.take(limit)

    def frames_lost(self) -> int:
        """See the interface."""
        return self._traffic.copies.lost

    # Counters.

    def counters(self) -> dict[str, int]:
        """See the interface."""
        with self._lock:
            counted = [counts for lane in range(self._prepared) for counts in self._counted(lane)]
            return {**added_up(counted), "drop-event-full": self._traffic.events.lost}

    def lane_counters(self, lane: int) -> dict[str, int]:
        """See the interface."""
        self._check_lane(lane)
        with self._lock:
            return added_up(self._counted(lane))

    def _counted(self, lane: int) -> list[Counter[str]]:
        return [self._traffic.counts[lane], *(hub.counts[lane] for hub in self._traffic.hubs.values())]

    def hub_counters(self, hub: int, lane: int | None = None) -> dict[str, int]:
        """See the interface."""
        if lane is not None:
            self._check_lane(lane)
        with self._lock:
            return added_up(counts for at, counts in self._hub(hub).counts.items() if lane in (None, at))

    def sa_counters(self, spi_in: int) -> dict[str, int]:
        """See the interface."""
        with self._lock:
            return dict(self._traffic.pairs[spi_in].counts)

    def port_counters(self, port: int, lane: int | None = None) -> dict[str, int]:
        """See the interface."""
        with self._lock:
            counts = self._traffic.ports[port].counts
            total: Counter[str] = Counter(dict.fromkeys(PORT_COUNTERS, 0))
            for at, found in counts.items():
                if lane in (None, at):
                    total.update(found)
            return dict(total)

    @property
    def running(self) -> bool:
        """Whether it carries packets."""
        return self._worker.running

    def __enter__(self) -> ReferencePlane:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
