"""A virtual hub: what all lanes share of it, its settings and its MAC table, without a lock.

A node has hub 0 and as many more as it is told to have. Each has tables of its own, so no hub can fill another's, and
a station or an address is looked up among those of its own hub only.

The MAC table: open addressing with a bounded probe. An entry is one atomic word, 48 bits of MAC, one bit "static" and
15 bits of port, beside the time it was last seen. A word changes by compare-and-swap only, so a static entry is never
overwritten by a lane that learns; a station that moved changes the port inside its word. Removed entries leave holes
that a lookup walks over, which is why the probe is bounded and never stops early. Losing a race costs one flooded
frame.
Times are CLOCK_MONOTONIC in milliseconds; an age is only written when it is a second old, to keep the line shared.
"""

from libc.stdint cimport uint64_t

from rhp._fast.neighbour cimport neighbours_t

cdef enum:
    MAX_HUBS = 4096
    HUB_SLOTS = 32768               # Of hub 0, and the most.
    HUB_SLOTS_LEAST = 256
    HUB_PROBE = 24                  # With 16, one of 10,000 stations found no room in one hub of a hundred.
    HUB_UNKNOWN = -1

cdef enum learn_t:
    LEARN_KEPT = 0                  # Known already, or no address that can be learned.
    LEARN_NEW
    LEARN_MOVED
    LEARN_FULL                      # No room within the probe; frames to this station are flooded.
    LEARN_SPOOFED                   # A static address of another port.
    LEARN_UNKNOWN                   # Not in the table yet.

ctypedef struct hub_entry_t:
    uint64_t word
    uint64_t seen

ctypedef struct hub_t:
    uint64_t mask                   # Of an index of `entries`: their number is a power of two.
    uint64_t seed                   # Secret, so that nobody can aim at one probe.
    uint64_t ageing                 # Milliseconds. This and the next five are settings, read with relaxed loads.
    uint64_t isolate                # Peers see the TAP only.
    uint64_t proxy                  # Answer ARP and ND.
    uint64_t answer                 # Answer frames that are too long for a path, where their sender can be told.
    uint64_t ordering               # ordering_t, of what comes in for Ethernet ports.
    uint64_t tap_mac                # 0: the TAP has none yet.
    hub_entry_t* entries            # HUB_PROBE more than there are slots, so that a probe need not wrap.
    neighbours_t* neighbours
    int number
    void* lanes                     # Each lane's own view: hub_lane_t of rhp._fast.hub_lane.

# A table of `slots` entries, a power of two. NULL without memory or randomness.
cdef hub_t* hub_new(int slots) noexcept nogil
cdef void hub_free(hub_t* hub) noexcept nogil
# The port behind which `mac` lives, or HUB_UNKNOWN.
cdef int hub_lookup(const hub_t* hub, uint64_t mac, uint64_t now) noexcept nogil
# Learning in two steps, so that the caller may refuse new stations: the first says LEARN_UNKNOWN for one.
cdef learn_t hub_recognise(hub_t* hub, uint64_t mac, int port, uint64_t now) noexcept nogil
cdef learn_t hub_insert(hub_t* hub, uint64_t mac, int port, uint64_t now) noexcept nogil
# 0, or -1 when the probe is full of static entries. For the control thread, like the two below.
cdef int hub_set_static(hub_t* hub, uint64_t mac, int port) noexcept nogil
cdef void hub_remove_static(hub_t* hub, uint64_t mac) noexcept nogil
cdef void hub_forget_port(hub_t* hub, int port) noexcept nogil
# (mac, port, age in seconds) of everything that has not expired. Needs the GIL.
cdef list hub_list(const hub_t* hub, uint64_t now)
