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
    TOTAL_SUPER_IN                  # Of the frames read from the TAP: those that stand for many.
    TOTAL_SUPER_OUT                 # Of the frames written to the TAP.
    TOTAL_TAP_OCTETS_IN
    TOTAL_TAP_OCTETS_OUT
    TOTAL_MERGED                    # ESP packets that joined a super-frame, the first of each not counted.
    TOTAL_TRAINS_IN                 # Messages that held more than one datagram.
    TOTAL_TRAINS_OUT
    TOTAL_TRAINS_REFUSED            # Sent again one by one.
    TOTAL_OVERSIZED                 # Frames too long for their path, sent in fragments.
    TOTAL_TOO_BIG_ANSWERED          # By ICMP, instead of being sent.
    TOTAL_PATH_PROBES
    TOTAL_PATH_ANSWERS              # To probes: sent to the peer, or got from it.
    TOTAL_TRAIN_PACKETS_IN          # Datagrams that came, or left, as part of a train.
    TOTAL_TRAIN_PACKETS_OUT
    TOTAL_HELD                      # ESP packets that had overtaken others and were held for their turn.
    TOTAL_COUNT

ctypedef struct stats_t:
    uint64_t totals[TOTAL_COUNT]
    uint64_t drops[DROP_COUNT]

cdef inline void bump(uint64_t* counter, uint64_t by) noexcept nogil:
    """Counts, in the thread that owns the counter; others may read it with a relaxed load."""
    store64(counter, counter[0] + by, RELAXED)

# Adds the counters of `more` to those of `total`, which is the caller's own.
cdef void stats_sum(stats_t* total, const stats_t* more) noexcept nogil
# Adds the counters to `values`, a dict of name to int that may be empty. Needs the GIL.
cdef int stats_add(const stats_t* stats, dict values) except -1
