"""A lane's counters: totals, and one for each drop reason. One thread writes, any thread reads."""

from libc.stdint cimport uint64_t

from atomic cimport RELAXED, store64

from rhp._fast.drops cimport DROP_COUNT

cdef enum total_t:
    TOTAL_TAP_IN = 0                # Frames read from the TAP.
    TOTAL_TAP_OUT                   # Frames written to the TAP.
    TOTAL_ESP_IN                    # ESP packets received.
    TOTAL_ESP_OUT                   # ESP packets handed to the kernel.
    TOTAL_IKE_IN                    # Datagrams behind the non-ESP marker.
    TOTAL_KEEPALIVES                # NAT keep-alives swallowed.
    TOTAL_FLOODED                   # Frames sent to more than one place.
    TOTAL_PEER_TO_PEER              # Frames from one peer to another without the TAP.
    TOTAL_ARP_ANSWERED
    TOTAL_ND_ANSWERED
    TOTAL_MSS_CLAMPED
    TOTAL_MAC_LEARNED
    TOTAL_MAC_MOVED
    TOTAL_MAC_TABLE_FULL            # A station that found no room in the table.
    TOTAL_SEND_CALLS
    TOTAL_RECEIVE_CALLS
    TOTAL_RECEIVE_ERRORS
    TOTAL_WAKEUPS
    TOTAL_COUNT

ctypedef struct stats_t:
    uint64_t totals[TOTAL_COUNT]
    uint64_t drops[DROP_COUNT]

cdef inline void bump(uint64_t* counter, uint64_t by) noexcept nogil:
    """Counts, in the thread that owns the counter; others may read it with a relaxed load."""
    store64(counter, counter[0] + by, RELAXED)

# Adds the counters to `values`, a dict of name to int that may be empty. Needs the GIL.
cdef int stats_add(const stats_t* stats, dict values) except -1
