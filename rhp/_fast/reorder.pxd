"""In-order delivery of an inbound SA by its ESP sequence numbers, for networks that cannot bear a changed order.

Ethernet promises that frames of one conversation are not reordered (IEEE 802.1Q section 6.5.3); the Internet does not.
    "drop": what was overtaken is dropped, so nothing waits for anything.
    "hold": what has overtaken something waits for it, in a pool of the lane, until the gap fills, REORDER_HOLD_NS are
            over or the pool is full. What comes later still is dropped.

    while reorder_full(pool): send on what reorder_most gives, then what reorder_ready gives
    verdict = reorder_arrived(order, sequence, hold)    # of a packet that was authenticated
    ORDER_LATE:  drop it
    ORDER_EARLY: reorder_hold(pool, ...), which copies it
    ORDER_NEXT:  send it on, then what reorder_ready gives
    once a turn: while reorder_overdue gives something: send it on, then what reorder_ready gives
    Each of these packets is freed when it was sent on.

One lane owns it all; everything is bounded by REORDER_SLOTS.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    REORDER_SLOTS = 64
    REORDER_HOLD_NS = 4000000

# The setting.
cdef enum ordering_t:
    ORDERING_OFF = 0
    ORDERING_DROP = 1
    ORDERING_HOLD = 2

cdef enum verdict_t:
    ORDER_NEXT = 0
    ORDER_EARLY
    ORDER_LATE

# Of one SA.
ctypedef struct order_t:
    uint64_t next                   # The sequence number that is next; 0 until `reorder_begin`.
    uint64_t held                   # A bit for each slot of the pool that holds a packet of this SA.

ctypedef struct held_t:
    order_t* order
    void* owner                     # The caller's.
    uint64_t sequence
    uint64_t until                  # When it waits no longer.
    uint8_t* data
    uint32_t len
    uint8_t next_header

# Of one lane.
ctypedef struct reorder_t:
    uint64_t used                   # A bit for each slot that holds a packet.
    held_t slots[REORDER_SLOTS]

# `room`: REORDER_SLOTS times `stride` octets.
cdef void reorder_init(reorder_t* pool, uint8_t* room, size_t stride) noexcept nogil
cdef int reorder_arrived(order_t* order, uint64_t sequence, bint hold) noexcept nogil
# The pool must not be full and `len` at most the stride.
cdef void reorder_hold(
    reorder_t* pool, order_t* order, void* owner, uint64_t sequence, uint64_t now, const uint8_t* data, uint32_t len,
    uint8_t next_header,
) noexcept nogil
# The packet that is next now, or NULL. The SA's order goes on behind what this and the next two give.
cdef held_t* reorder_ready(reorder_t* pool, order_t* order) noexcept nogil
# The first packet of an SA of which one has waited too long, or NULL.
cdef held_t* reorder_overdue(reorder_t* pool, uint64_t now) noexcept nogil
# The first packet of the SA that holds most, so that nobody takes the others' room; the pool must not be empty.
cdef held_t* reorder_most(reorder_t* pool) noexcept nogil
cdef void reorder_free(reorder_t* pool, held_t* held) noexcept nogil
# Frees what is held of an SA; how many these were.
cdef int reorder_forget(reorder_t* pool, order_t* order) noexcept nogil
# When the first of all waits no longer; the pool must not be empty.
cdef uint64_t reorder_deadline(const reorder_t* pool) noexcept nogil

cdef inline bint reorder_full(const reorder_t* pool) noexcept nogil:
    return pool.used == <uint64_t>-1
