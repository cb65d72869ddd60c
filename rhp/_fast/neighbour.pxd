"""Which MAC an inner IP address has: what ARP and ND proxy answer from, and where inbound tunnel traffic is sent.

One open-addressed table for each hub, of all lanes. Static entries come from the control plane (a peer's own addresses,
with its pseudo-MAC); the others are learned from ARP, ND and traffic towards tunnel-mode peers, and age like MACs. An
entry is wider than a word, so each has a sequence lock: a reader that meets a writer looks again or goes without, a
lane that wants to write and meets another writer goes without; only the control thread waits.
"""

from libc.stdint cimport uint64_t

from rhp._fast.packet cimport address_t
from rhp._fast.rate cimport rate_t

cdef enum:
    NEIGHBOUR_PROBE = 16

ctypedef struct neighbour_t:
    uint64_t turn                   # Odd while it is being written.
    uint64_t high
    uint64_t low
    uint64_t word                   # MAC, static bit and port as in the MAC table; 0 = free.
    uint64_t seen                   # Milliseconds.

ctypedef struct neighbours_t:
    uint64_t mask                   # Of an index of `entries`: their number is a power of two.
    uint64_t seed
    neighbour_t* entries            # NEIGHBOUR_PROBE more than there are slots.

# What a lookup found.
ctypedef struct found_t:
    uint64_t mac
    int port
    bint fixed                      # From the control plane, so a peer's may be answered for.

# A table of `slots` entries, a power of two of 256 and more.
cdef neighbours_t* neighbours_new(int slots) noexcept nogil
cdef void neighbours_free(neighbours_t* table) noexcept nogil
cdef bint neighbour_find(
    const neighbours_t* table, address_t address, uint64_t now, uint64_t ageing, found_t* found,
) noexcept nogil
# `allowance` bounds how many new ones somebody makes known; NULL: as many as there is room for.
cdef void neighbour_learn(
    neighbours_t* table, address_t address, uint64_t mac, int port, uint64_t now, uint64_t ageing, rate_t* allowance,
) noexcept nogil
# For the control thread. `neighbour_set`: 0, or -1 when the probe is full of static entries.
cdef int neighbour_set(neighbours_t* table, address_t address, uint64_t mac, int port) noexcept nogil
cdef bint neighbour_remove(neighbours_t* table, address_t address) noexcept nogil
cdef void neighbours_forget_port(neighbours_t* table, int port) noexcept nogil
