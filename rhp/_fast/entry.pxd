"""What an entry of the hub's tables says, of stations and of addresses, and how many new ones a peer may make known.

Inline only.
"""

from libc.stdint cimport uint64_t

from rhp._fast.rate cimport rate_t, rate_take

cdef enum:
    # The low bits of an entry's word; the MAC stands above them.
    HUB_STATIC = 0x8000
    HUB_MAX_PORT = 0x7fff
    # What one peer may make known: this share of a table at once, and one more of it in so many milliseconds by the
    # size of the share. With the default ageing that is a third of the table at most.
    TABLE_SHARE = 8
    TABLE_SHARE_MS = 409600


cdef inline bint table_share_take(rate_t* rate, uint64_t mask, uint64_t now_ms) noexcept nogil:
    """Whether somebody may make one more known in a table of mask + 1 entries, which are 256 or more."""
    cdef uint64_t burst = (mask + 1) / TABLE_SHARE
    return rate_take(rate, now_ms, TABLE_SHARE_MS / burst, burst)
