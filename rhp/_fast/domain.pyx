"""The control thread's side of hubs."""

from libc.stdint cimport uint8_t, uint64_t

from atomic cimport RELAXED, store64
from linux_system cimport close

from rhp._fast.hub cimport *
from rhp._fast.hub_lane cimport hub_drop, hub_make, hub_view
from rhp._fast.neighbour cimport neighbour_set, neighbours_forget_port
from rhp._fast.octets cimport load_mac
from rhp._fast.packet cimport address_t
from rhp._fast.reorder cimport ORDERING_DROP, ORDERING_HOLD, ORDERING_OFF
from rhp._fast.sadb cimport TAP_PORT
from rhp._fast.stats cimport stats_sum, stats_t

MAX_AGEING = 1 << 32                # Seconds.
ORDERINGS = {"off": <int>ORDERING_OFF, "drop": <int>ORDERING_DROP, "hold": <int>ORDERING_HOLD}


cdef unsigned long mac_number(object mac) except? 0:
    cdef bytes octets = bytes(mac)
    cdef uint64_t number
    if len(octets) != 6:
        raise ValueError(f"a MAC has six octets, not {len(octets)}")
    number = load_mac(<const uint8_t*><const char*>octets)
    if number == 0 or octets[0] & 1:
        raise ValueError(f"{octets.hex(':')} is no station's MAC")
    return number


cdef class Queue:
    """A lane's queue of a TAP."""

    def __cinit__(self, fd: int, offloads: int = 0) -> None:
        self.fd = fd
        self.offloads = offloads

    def __dealloc__(self) -> None:
        close(self.fd)


cdef class Domain:
    """One hub. ValueError for what cannot be."""

    def __cinit__(self, lanes: int, number: int, stations: int) -> None:
        self.lanes = lanes
        self.number = number
        self.static, self.fixed = {}, {}
        self.queues = [None] * lanes
        if not HUB_SLOTS_LEAST <= stations <= HUB_SLOTS:
            raise ValueError(f"a hub for {stations} stations is not within {HUB_SLOTS_LEAST}..{HUB_SLOTS}")
        self.hub = hub_make(number, lanes, 1 << (stations - 1).bit_length())
        if self.hub == NULL:
            raise MemoryError

    def __dealloc__(self) -> None:
        hub_drop(self.hub, self.lanes)

    cdef bint is_taken(self, uint64_t mac):
        """Whether it is the TAP's or a static entry's."""
        return mac == self.tap_mac or mac in self.static

    cdef int set_tap_mac(self, uint64_t mac) except -1:
        if self.tap_mac and self.tap_mac != mac:
            hub_remove_static(self.hub, self.tap_mac)
        self.tap_mac = mac
        self.set_static(mac, TAP_PORT)
        store64(&self.hub.tap_mac, mac, RELAXED)
        return 0

    cdef int set_static(self, uint64_t mac, int port) except -1:
        if hub_set_static(self.hub, mac, port) < 0:
            raise ValueError("the MAC table is full of static entries")
        return 0

    cdef int configure(
        self, object mac_ageing, object isolate, object arp_proxy, object answer_oversized, object ordering,
        dict wanted,
    ) except -1:
        if ordering not in ORDERINGS:
            raise ValueError(f"there is no ordering {ordering}")
        if not 0 < mac_ageing < MAX_AGEING:
            raise ValueError(f"an ageing time of {mac_ageing} s is out of range")
        if self.tap_mac in wanted:
            raise ValueError("a static MAC is the TAP's")
        for mac in self.static.keys() - wanted.keys():
            hub_remove_static(self.hub, mac)
        for mac, number in wanted.items():
            self.set_static(mac, number)
        self.static = wanted
        store64(&self.hub.ageing, <uint64_t>mac_ageing * 1000, RELAXED)
        store64(&self.hub.isolate, bool(isolate), RELAXED)
        store64(&self.hub.proxy, bool(arp_proxy), RELAXED)
        store64(&self.hub.answer, bool(answer_oversized), RELAXED)
        store64(&self.hub.ordering, ORDERINGS[ordering], RELAXED)
        return 0

    cdef int set_neighbour(self, uint64_t high, uint64_t low, uint64_t mac, int port) except -1:
        cdef address_t address
        address.high, address.low = high, low
        if neighbour_set(self.hub.neighbours, address, mac, port) < 0:
            raise ValueError("the neighbour table is full of static entries")
        return 0

    cdef void forget(self, int port) noexcept:
        hub_forget_port(self.hub, port)
        neighbours_forget_port(self.hub.neighbours, port)

    cdef void forget_settings(self, int port):
        self.static = {mac: number for mac, number in self.static.items() if number != port}
        self.fixed = {ip: entry for ip, entry in self.fixed.items() if entry[1] != port}

    cdef void count(self, int lane, stats_t* total) noexcept:
        stats_sum(total, &hub_view(self.hub, lane).stats)
