"""How often something is told: a burst at first, then one more after every so many milliseconds. Inline only."""

from libc.stdint cimport uint64_t

ctypedef struct rate_t:
    uint64_t tokens                 # Zeroed memory is a full allowance.
    uint64_t refilled               # Milliseconds.


cdef inline bint rate_take(rate_t* rate, uint64_t now_ms, uint64_t every_ms, uint64_t burst) noexcept nogil:
    cdef uint64_t fresh = (now_ms - rate.refilled) / every_ms
    if fresh:
        rate.refilled = now_ms
        rate.tokens = min(burst, rate.tokens + fresh)
    if rate.tokens == 0:
        return False
    rate.tokens -= 1
    return True
