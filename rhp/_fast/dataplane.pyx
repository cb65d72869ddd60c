"""The Python face of the packet path: ports, SAs, the hub's settings, events and counters.

The control thread makes what the lanes carry, mails it to them and keeps the Python objects that own it.
"""

import os

cimport cython
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset
from posix.time cimport timespec

from atomic cimport RELAXED, load64, store64
from linux_system cimport CLOCK_MONOTONIC, clock_gettime, read, write

from rhp._fast.address cimport address_parse
from rhp._fast.events cimport ring_drain, ring_empty
from rhp._fast.frame cimport FRAME_HEADER
from rhp._fast.hub cimport *
from rhp._fast.lane cimport DATAGRAM_MAX
from rhp._fast.lanes cimport Lanes
from rhp._fast.lineage cimport HubPort, SaPair, mac_number
from rhp._fast.mailbox cimport *
from rhp._fast.mirror cimport MIRROR_EVERY_PORT, MIRROR_LONGEST
from rhp._fast.neighbour cimport *
from rhp._fast.packet cimport address_t
from rhp._fast.reorder cimport ORDERING_DROP, ORDERING_HOLD, ORDERING_OFF
from rhp._fast.sadb cimport PORT_IP, port_lane_t
from rhp._fast.selector cimport selector_is_host, selector_t
from rhp._fast.stats cimport stats_add

from rhp._fast import params

Encapsulation, PortKind, SaParams, Selector = params.Encapsulation, params.PortKind, params.SaParams, params.Selector

# The number of the TAP's hub port.
TAP_PORT = 0
MAX_AGEING = 1 << 32                # Seconds.
ORDERINGS = {"off": ORDERING_OFF, "drop": ORDERING_DROP, "hold": ORDERING_HOLD}


cdef uint64_t milliseconds() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <uint64_t>now.tv_sec * 1000 + <uint64_t>now.tv_nsec / 1000000


@cython.no_gc
cdef class DataPlane(Lanes):
    """Lanes, hub and security associations; see dataplane.pyi for what each call does."""

    cdef int _next_port
    cdef dict _ports                # number -> HubPort
    cdef dict _pairs                # spi_in -> SaPair
    cdef dict _static               # MAC -> port of set_hub
    cdef dict _fixed                # address of add_neighbour -> (MAC, port)
    cdef set _resting               # Numbers of ports in `_leaving`.

    def __cinit__(self, lanes: int = 1, steering: str = "flow", spare: int = 0) -> None:
        self._ports, self._pairs, self._static, self._fixed = {}, {}, {}, {}
        self._resting = set()

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
        while self._leaving and self._gone(self._leaving[0][0]):
            leaving = self._leaving.pop(0)[1]
            if isinstance(leaving, HubPort):
                # A lane may have learned something for the port after it was forgotten the first time.
                port = leaving
                self._forget(port.port.number)
                self._resting.discard(port.port.number)

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
        local_ts: object = (), remote_ts: object = (),
    ) -> int:
        cdef HubPort port
        self._check()
        self._collect()
        port = HubPort(
            self.prepared, self._free_number(), kind, pseudo_mac, isolate_group, mss, local_ts, remote_ts,
        )
        if port.port.kind == PORT_IP and self._is_taken(port.port.pseudo_mac):
            raise ValueError("the pseudo-MAC is the TAP's or a static entry's")
        self._ports[port.port.number] = port
        self._mail_port(MAIL_ADD_PORT, port)
        try:
            self._publish(port)
        except ValueError:
            self.remove_port(port.port.number)
            raise
        return port.port.number

    cdef bint _is_taken(self, uint64_t mac):
        return mac == self._tap_mac or mac in self._static

    cdef int _publish(self, HubPort port) except -1:
        """The pseudo-MAC of an IP port lives there, and so do the single addresses of the remote side."""
        cdef selector_t* selector
        cdef int index
        if port.port.kind != PORT_IP:
            return 0
        self._set_static(port.port.pseudo_mac, port.port.number)
        for index in range(port.port.remote.count):
            selector = port.port.remote.items + index
            if selector_is_host(selector):
                self._set_neighbour(selector.start, port.port.pseudo_mac, port.port.number)
        return 0

    cdef int _set_static(self, uint64_t mac, int port) except -1:
        if hub_set_static(self._hub, mac, port) < 0:
            raise ValueError("the MAC table is full of static entries")
        return 0

    cdef int _set_neighbour(self, address_t address, uint64_t mac, int port) except -1:
        if neighbour_set(self._neighbours, address, mac, port) < 0:
            raise ValueError("the neighbour table is full of static entries")
        return 0

    cdef void _forget(self, int port) noexcept:
        hub_forget_port(self._hub, port)
        neighbours_forget_port(self._neighbours, port)

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
        self._forget(port)
        self._static = {mac: number for mac, number in self._static.items() if number != port}
        self._fixed = {ip: entry for ip, entry in self._fixed.items() if entry[1] != port}
        # A peer that connected anew has two ports with one pseudo-MAC for a moment: what the newer one took over from
        # the older one goes back if it is the newer one that leaves.
        for other in self._ports.values():
            if leaving.port.kind == PORT_IP and other.port.pseudo_mac == leaving.port.pseudo_mac:
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

    # Hub.

    def set_hub(
        self, *, mac_ageing: int = 600, isolate: bool = False, arp_proxy: bool = True, answer_oversized: bool = False,
        ordering: str = "off", static: object = (),
    ) -> None:
        cdef HubPort port
        wanted = {}
        self._check()
        if ordering not in ORDERINGS:
            raise ValueError(f"there is no ordering {ordering}")
        if not 0 < mac_ageing < MAX_AGEING:
            raise ValueError(f"an ageing time of {mac_ageing} s is out of range")
        for mac, number in static:
            if number != TAP_PORT and number not in self._ports:
                raise KeyError(f"there is no hub port {number}")
            wanted[mac_number(mac)] = number
        for port in self._ports.values():
            if port.port.kind == PORT_IP and port.port.pseudo_mac in wanted:
                raise ValueError("a static MAC is a peer's pseudo-MAC")
        if self._tap_mac in wanted:
            raise ValueError("a static MAC is the TAP's")
        for mac in self._static.keys() - wanted.keys():
            hub_remove_static(self._hub, mac)
        for mac, number in wanted.items():
            self._set_static(mac, number)
        self._static = wanted
        store64(&self._hub.ageing, <uint64_t>mac_ageing * 1000, RELAXED)
        store64(&self._hub.isolate, isolate, RELAXED)
        store64(&self._hub.proxy, arp_proxy, RELAXED)
        store64(&self._hub.answer, answer_oversized, RELAXED)
        store64(&self._hub.ordering, ORDERINGS[ordering], RELAXED)

    def add_neighbour(self, ip: str, mac: bytes, port: int) -> None:
        cdef address_t address
        cdef uint64_t number = mac_number(mac)
        address_parse(ip, &address)
        if port != TAP_PORT:
            self._port(port)
        self._check()
        self._set_neighbour(address, number, port)
        self._fixed[(address.high, address.low)] = (number, port)

    def remove_neighbour(self, ip: str) -> None:
        cdef address_t address
        self._check()
        address_parse(ip, &address)
        if self._fixed.pop((address.high, address.low), None) is None:
            raise KeyError(f"{ip} is no neighbour")
        neighbour_remove(self._neighbours, address)

    def macs(self) -> list[tuple[bytes, int, float]]:
        self._check()
        return hub_list(self._hub, milliseconds())

    # Events and counters.

    def poll_events(self, limit: int = 256) -> list[tuple]:
        cdef uint64_t value = 0
        cdef int index
        cdef bint more = False
        found = []
        self._check()
        self._collect()
        read(self.event_fd, &value, sizeof(value))
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
            store64(&self._lane[index].mirror.octets, octets, RELAXED)

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
        cdef int index
        values = {}
        self._check()
        for index in range(self.lanes):
            self._count_missed(index)
            stats_add(&self._lane[index].stats, values)
        return values

    def lane_counters(self, lane: int) -> dict[str, int]:
        values = {}
        self._check_lane(lane)
        self._count_missed(lane)
        stats_add(&self._lane[lane].stats, values)
        return values

    def sa_counters(self, spi_in: int) -> dict[str, int]:
        return self._pair(spi_in).counters()

    def port_counters(self, port: int, lane: int | None = None) -> dict[str, int]:
        cdef port_lane_t* view
        cdef HubPort found = self._port(port)
        cdef int index
        values = dict.fromkeys(("packets_in", "bytes_in", "packets_out", "bytes_out", "drops"), 0)
        if lane is not None:
            self._check_lane(lane)
        for index in range(self.lanes) if lane is None else (lane,):
            view = found.port.lanes + index
            values["packets_in"] += load64(&view.packets_in, RELAXED)
            values["bytes_in"] += load64(&view.bytes_in, RELAXED)
            values["packets_out"] += load64(&view.packets_out, RELAXED)
            values["bytes_out"] += load64(&view.bytes_out, RELAXED)
            values["drops"] += load64(&view.drops, RELAXED)
        return values
