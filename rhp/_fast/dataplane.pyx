"""The Python face of the packet path: ports, SAs, the hub's settings, events and counters.

The control thread makes what the lanes carry, mails it to them and keeps the Python objects that own it.
"""

import os

cimport cython
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset
from posix.time cimport timespec

from atomic cimport RELAXED, RELEASE, load64, store64
from linux_system cimport CLOCK_MONOTONIC, clock_gettime, read, write

from rhp._fast.address cimport address_parse
from rhp._fast.domain cimport Domain, mac_number
from rhp._fast.entry cimport HUB_MAX_PORT
from rhp._fast.events cimport ring_drain, ring_empty
from rhp._fast.frame cimport FRAME_HEADER
from rhp._fast.hub cimport *
from rhp._fast.lane cimport DATAGRAM_MAX
from rhp._fast.lanes cimport Lanes
from rhp._fast.lineage cimport HubPort, SaPair
from rhp._fast.mailbox cimport *
from rhp._fast.mirror cimport MIRROR_EVERY_PORT, MIRROR_LONGEST
from rhp._fast.neighbour cimport *
from rhp._fast.packet cimport address_t
from rhp._fast.sadb cimport PORT_IP
from rhp._fast.selector cimport selector_is_host, selector_t
from rhp._fast.stats cimport stats_add, stats_t

from rhp._fast import params

Encapsulation, PortKind, SaParams, Selector = params.Encapsulation, params.PortKind, params.SaParams, params.Selector

TAP_PORT = 0                        # The number of the TAP's port in every hub.


cdef uint64_t milliseconds() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <uint64_t>now.tv_sec * 1000 + <uint64_t>now.tv_nsec / 1000000


@cython.no_gc
cdef class DataPlane(Lanes):
    """Lanes, hubs and security associations; see dataplane.pyi for what each call does."""

    cdef int _next_port
    cdef dict _ports                # number -> HubPort
    cdef dict _pairs                # spi_in -> SaPair
    cdef int _next_hub
    cdef set _resting               # Numbers of ports in `_leaving`.
    cdef set _resting_hubs          # And those of hubs.

    def __cinit__(self, lanes: int = 1, steering: str = "flow", spare: int = 0) -> None:
        self._ports, self._pairs = {}, {}
        self._resting, self._resting_hubs = set(), set()

    def __dealloc__(self) -> None:
        # Before the ports and SAs go that running lanes look at.
        self._stop()
        self._let_go()

    cdef void _let_go(self) noexcept:
        self._leaving = []
        self._pairs = {}
        for port in (self._ports or {}).values():
            # A port and its pairs know each other.
            (<HubPort>port).pairs.clear()
        self._ports = {}

    # Mail.

    cdef void _collect(self) noexcept:
        """Let go of what no lane can know any more."""
        cdef HubPort port
        cdef Domain domain
        cdef int lane
        while self._leaving and self._gone(self._leaving[0][0]):
            leaving = self._leaving.pop(0)[1]
            if isinstance(leaving, HubPort):
                # A lane may have learned something for the port after it was forgotten the first time.
                port = leaving
                port.domain.forget(port.port.number)
                self._resting.discard(port.port.number)
            elif isinstance(leaving, Domain):
                domain = leaving
                for lane in range(self.prepared):
                    domain.count(lane, self._past + lane)
                self._resting_hubs.discard(domain.number)

    cdef void _mail_port(self, int kind, HubPort port) noexcept:
        cdef message_t message
        memset(&message, 0, sizeof(message))
        message.kind = <mail_t>kind
        message.port = port.port
        self._mail(&message)

    cdef void _mail_pair(self, int kind, SaPair pair) noexcept:
        cdef message_t message = pair.where
        message.kind = <mail_t>kind
        self._mail(&message)

    cdef void _choose_outbound(self, HubPort port) noexcept:
        """Tell each lane which pair it sends on."""
        cdef message_t message
        cdef SaPair pair
        cdef int lane
        memset(&message, 0, sizeof(message))
        message.kind = MAIL_OUTBOUND
        message.port = port.port
        for lane in range(self.prepared):
            pair = port.outbound_of(lane)
            message.sa = NULL if pair is None else pair.sa
            self._mail_to(lane, &message)

    # Ports.

    cdef int _free_number(self) except -1:
        for _ in range(HUB_MAX_PORT):
            self._next_port = self._next_port % HUB_MAX_PORT + 1
            if self._next_port not in self._ports and self._next_port not in self._resting:
                return self._next_port
        raise ValueError("every hub port is taken")

    def add_port(
        self, kind: str, *, pseudo_mac: bytes | None = None, isolate_group: int = 0, mss: int = 0,
        local_ts: object = (), remote_ts: object = (), hub: int = 0,
    ) -> int:
        cdef Domain domain = self._domain(hub)
        cdef HubPort port
        self._collect()
        port = HubPort(domain, self._free_number(), kind, pseudo_mac, isolate_group, mss, local_ts, remote_ts)
        if port.port.kind == PORT_IP and domain.is_taken(port.port.pseudo_mac):
            raise ValueError("the pseudo-MAC is the TAP's or a static entry's")
        self._ports[port.port.number] = port
        self._mail_port(MAIL_ADD_PORT, port)
        try:
            self._publish(port)
        except ValueError:
            self.remove_port(port.port.number)
            raise
        return port.port.number

    cdef int _publish(self, HubPort port) except -1:
        """The pseudo-MAC of an IP port lives there, and so do the single addresses of the remote side."""
        cdef Domain domain = port.domain
        cdef selector_t* selector
        cdef int index
        if port.port.kind != PORT_IP:
            return 0
        domain.set_static(port.port.pseudo_mac, port.port.number)
        for index in range(port.port.remote.count):
            selector = port.port.remote.items + index
            if selector_is_host(selector):
                domain.set_neighbour(
                    selector.start.high, selector.start.low, port.port.pseudo_mac, port.port.number,
                )
        return 0

    cdef HubPort _port(self, object number):
        self._check()
        if number not in self._ports:
            raise KeyError(f"there is no hub port {number}")
        return self._ports[number]

    def remove_port(self, port: int) -> None:
        cdef HubPort leaving = self._port(port)
        cdef HubPort other
        self._collect()
        for pair in list(leaving.pairs):
            self._retire(pair)
        del self._ports[port]
        self._resting.add(port)
        self._mail_port(MAIL_REMOVE_PORT, leaving)
        self._leave(leaving)
        leaving.domain.forget(port)
        leaving.domain.forget_settings(port)
        # A peer that connected anew has two ports with one pseudo-MAC for a moment: what the newer one took over from
        # the older one goes back if it is the newer one that leaves.
        for other in self._ports.values():
            if (
                leaving.port.kind == PORT_IP and other.domain is leaving.domain
                and other.port.pseudo_mac == leaving.port.pseudo_mac
            ):
                self._publish(other)
        self._collect()

    def set_port_path(self, port: int, *, mss: int, limit: int) -> None:
        cdef HubPort found = self._port(port)
        if not 0 <= mss <= 65535 or not 0 <= limit <= 65535 + FRAME_HEADER:
            raise ValueError("no such size of segments or frames")
        store64(&found.port.mss, mss, RELAXED)
        store64(&found.port.limit, limit, RELAXED)

    # Security associations.

    def allocate_spi(self, lane: int | None = None) -> int:
        cdef uint32_t value
        cdef uint32_t wanted
        self._check()
        if lane is not None:
            self._check_lane(lane)
        wanted = int.from_bytes(os.urandom(4), "big") % self.lanes if lane is None else lane
        while True:
            value = int.from_bytes(os.urandom(4), "big")
            value += wanted - value % <uint32_t>self.prepared
            if value >= 256 and value not in self._pairs and value % <uint32_t>self.prepared == wanted:
                return value

    def install(self, sa: SaParams) -> None:
        cdef HubPort port = self._port(sa.port)
        cdef SaPair pair
        self._collect()
        if sa.spi_in in self._pairs:
            raise ValueError(f"an SA with SPI {sa.spi_in:#010x} is installed already")
        pair = SaPair(port, self.prepared, sa)
        self._pairs[sa.spi_in] = pair
        port.pairs.append(pair)
        self._mail_pair(MAIL_INSTALL, pair)
        if pair.active:
            self._choose_outbound(port)

    cdef SaPair _pair(self, object spi_in):
        self._check()
        if spi_in not in self._pairs:
            raise KeyError(f"there is no SA with SPI {spi_in:#010x}")
        return self._pairs[spi_in]

    cdef void _retire(self, SaPair pair) noexcept:
        del self._pairs[pair.sa.spi_in]
        pair.port.pairs.remove(pair)
        self._choose_outbound(pair.port)
        self._mail_pair(MAIL_RETIRE, pair)
        self._leave(pair)

    def retire(self, spi_in: int) -> None:
        cdef SaPair pair = self._pair(spi_in)
        self._collect()
        self._retire(pair)
        self._collect()

    def migrate(self, spi_in: int, local: tuple[str, int], remote: tuple[str, int], encapsulation: str) -> None:
        cdef SaPair pair = self._pair(spi_in)
        pair.set_path(local, remote, encapsulation)
        self._mail_pair(MAIL_MIGRATE, pair)

    def probe(self, spi_in: int, octets: int) -> None:
        cdef SaPair pair = self._pair(spi_in)
        cdef message_t message = pair.where
        if not 0 < octets <= DATAGRAM_MAX:
            raise ValueError(f"a packet of {octets} octets is out of range")
        message.kind = MAIL_PROBE
        message.octets = octets
        self._mail(&message)

    def activate(self, spi_in: int) -> None:
        cdef SaPair pair = self._pair(spi_in)
        pair.active = True
        self._choose_outbound(pair.port)

    def deactivate(self, spi_in: int) -> None:
        cdef SaPair pair = self._pair(spi_in)
        pair.active = False
        self._choose_outbound(pair.port)

    # Hubs.

    def add_hub(self, *, stations: int = 4096) -> int:
        cdef Domain domain
        self._check()
        self._collect()
        for _ in range(MAX_HUBS):
            self._next_hub = self._next_hub % (MAX_HUBS - 1) + 1
            if self._next_hub not in self._hubs and self._next_hub not in self._resting_hubs:
                break
        else:
            raise ValueError("every hub is taken")
        domain = Domain(self.prepared, self._next_hub, stations)
        self._hubs[domain.number] = domain
        self._mail_hub(MAIL_ADD_HUB, domain)
        return domain.number

    def remove_hub(self, hub: int) -> None:
        cdef Domain domain = self._domain(hub)
        if hub == 0 or any(port.domain is domain for port in self._ports.values()):
            raise ValueError(f"hub {hub} still has ports" if hub else "hub 0 is always there")
        del self._hubs[hub]
        self._resting_hubs.add(hub)
        self._mail_hub(MAIL_REMOVE_HUB, domain)
        self._leave(domain)
        self._collect()

    def hubs(self) -> list[int]:
        self._check()
        return sorted(self._hubs)

    def set_hub(
        self, *, mac_ageing: int = 600, isolate: bool = False, arp_proxy: bool = True, answer_oversized: bool = False,
        ordering: str = "off", static: object = (), hub: int = 0,
    ) -> None:
        cdef Domain domain = self._domain(hub)
        cdef HubPort port
        wanted = {}
        for mac, number in static:
            if number != TAP_PORT and self._port(number).domain is not domain:
                raise KeyError(f"there is no hub port {number} in hub {hub}")
            wanted[mac_number(mac)] = number
        for port in self._ports.values():
            if port.port.kind == PORT_IP and port.domain is domain and port.port.pseudo_mac in wanted:
                raise ValueError("a static MAC is a peer's pseudo-MAC")
        domain.configure(mac_ageing, isolate, arp_proxy, answer_oversized, ordering, wanted)

    def add_neighbour(self, ip: str, mac: bytes, port: int, hub: int = 0) -> None:
        cdef Domain domain = self._domain(hub)
        cdef address_t address
        cdef uint64_t number = mac_number(mac)
        address_parse(ip, &address)
        if port != TAP_PORT:
            domain = self._port(port).domain
        domain.set_neighbour(address.high, address.low, number, port)
        domain.fixed[(address.high, address.low)] = (number, port)

    def remove_neighbour(self, ip: str, hub: int = 0) -> None:
        cdef Domain domain = self._domain(hub)
        cdef address_t address
        address_parse(ip, &address)
        if domain.fixed.pop((address.high, address.low), None) is None:
            raise KeyError(f"{ip} is no neighbour")
        neighbour_remove(domain.hub.neighbours, address)

    def macs(self, hub: int = 0) -> list[tuple[bytes, int, float]]:
        return hub_list(self._domain(hub).hub, milliseconds())

    def hub_counters(self, hub: int, lane: int | None = None) -> dict[str, int]:
        cdef Domain domain = self._domain(hub)
        cdef stats_t total
        cdef int index
        values = {}
        if lane is not None:
            self._check_lane(lane)
        memset(&total, 0, sizeof(total))
        for index in range(self.lanes) if lane is None else (lane,):
            domain.count(index, &total)
        stats_add(&total, values)
        return values

    # Events and counters.

    def poll_events(self, limit: int = 256) -> list[tuple]:
        cdef uint64_t value = 0
        cdef int index
        cdef bint more = False
        found = []
        self._check()
        # Before anything is looked at, so that what a lane says meanwhile wakes us again.
        read(self.event_fd, &value, sizeof(value))
        self._collect()
        # Every lane has its share first, so that strangers who keep lane 0 busy with IKE cannot silence the others.
        for index in range(self.lanes):
            ring_drain(&self._lane[index].ring, found, min(limit - len(found), max(1, limit // self.lanes)))
        for index in range(self.lanes):
            ring_drain(&self._lane[index].ring, found, limit - len(found))
            more |= not ring_empty(&self._lane[index].ring)
        if more:
            value = 1
            write(self.event_fd, &value, sizeof(value))
        return found

    # Capturing.

    def capture(self, octets: int, port: int | None = None) -> None:
        cdef int index
        self._check()
        if not 0 <= octets <= MIRROR_LONGEST:
            raise ValueError(f"{octets} octets of a frame cannot be kept")
        if port is not None:
            self._port(port)
        for index in range(self.prepared):
            store64(&self._lane[index].mirror.port, MIRROR_EVERY_PORT if port is None else port, RELAXED)
            # The port before the octets, which set it going.
            store64(&self._lane[index].mirror.octets, octets, RELEASE)

    def poll_frames(self, limit: int = 256) -> list[tuple]:
        cdef int index
        found = []
        self._check()
        for index in range(self.prepared):
            ring_drain(&self._lane[index].mirror.ring, found, limit - len(found))
        return found

    def frames_lost(self) -> int:
        cdef int index
        self._check()
        return sum([load64(&self._lane[index].mirror.lost, RELAXED) for index in range(self.prepared)])

    def counters(self) -> dict[str, int]:
        cdef stats_t total
        cdef int index
        values = {}
        self._check()
        memset(&total, 0, sizeof(total))
        for index in range(self.lanes):
            self._count(index, &total)
        stats_add(&total, values)
        return values

    def lane_counters(self, lane: int) -> dict[str, int]:
        cdef stats_t total
        values = {}
        self._check_lane(lane)
        memset(&total, 0, sizeof(total))
        self._count(lane, &total)
        stats_add(&total, values)
        return values

    def sa_counters(self, spi_in: int) -> dict[str, int]:
        return self._pair(spi_in).counters()

    def port_counters(self, port: int, lane: int | None = None) -> dict[str, int]:
        cdef HubPort found = self._port(port)
        if lane is not None:
            self._check_lane(lane)
        return found.counters(range(self.lanes) if lane is None else (lane,))
