"""The control thread's side of hubs: each Python object owns what it names and frees it with itself."""

from libc.stdint cimport uint64_t

from rhp._fast.hub cimport hub_t
from rhp._fast.stats cimport stats_t


cdef class Queue:
    """A lane's queue of a TAP: a descriptor that stays open until no lane looks at it any more."""

    cdef int fd
    cdef readonly int offloads


cdef class Domain:
    cdef hub_t* hub
    cdef int lanes
    cdef readonly int number
    cdef uint64_t tap_mac           # 0: none yet.
    cdef dict static                # MAC -> port of `configure`
    cdef dict fixed                 # address of add_neighbour -> (MAC, port)
    cdef list queues                # Of each lane: Queue or None.
    cdef bint is_taken(self, uint64_t mac)
    cdef int set_tap_mac(self, uint64_t mac) except -1
    cdef int set_static(self, uint64_t mac, int port) except -1
    # Settings for the lanes, and the static entries as a whole. ValueError before anything is changed.
    cdef int configure(
        self, object mac_ageing, object isolate, object arp_proxy, object answer_oversized, object ordering,
        dict wanted,
    ) except -1
    cdef int set_neighbour(self, uint64_t high, uint64_t low, uint64_t mac, int port) except -1
    # What is known of a port: by its stations and addresses, and what was said of it.
    cdef void forget(self, int port) noexcept
    cdef void forget_settings(self, int port)
    # Adds what one lane has counted here.
    cdef void count(self, int lane, stats_t* total) noexcept

# A station's MAC as a number, first octet highest. ValueError.
cdef unsigned long mac_number(object mac) except? 0
