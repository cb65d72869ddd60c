"""How often something may happen: a burst at first, then so much more with every millisecond. Inline only."""

from libc.stdint cimport uint64_t

ctypedef struct rate_t:
    uint64_t used                   # Zeroed memory is a full allowance, also in the first minutes of a machine's clock.
    uint64_t given                  # Milliseconds: up to when it was given back.


cdef inline bint rate_take(rate_t* rate, uint64_t now_ms, uint64_t every_ms, uint64_t burst) noexcept nogil:
    cdef uint64_t fresh = (now_ms - rate.given) / every_ms
    if fresh:
        rate.given = now_ms
        rate.used -= min(fresh, rate.used)
    if rate.used >= burst:
        return False
    rate.used += 1
    return True


# The same for what has a cost.
ctypedef struct budget_t:
    uint64_t spent                  # Zeroed memory has spent nothing.
    uint64_t paid                   # Milliseconds.


cdef inline bint budget_take(
    budget_t* budget, uint64_t now_ms, uint64_t cost, uint64_t per_ms, uint64_t most,
) noexcept nogil:
    """False when `most` is spent already; the last one may go beyond it."""
    cdef uint64_t back = (now_ms - budget.paid) * per_ms
    budget.paid = now_ms
    budget.spent = budget.spent - back if budget.spent > back else 0
    if budget.spent >= most:
        return False
    budget.spent += cost
    return True
