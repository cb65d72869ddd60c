"""In-order delivery by sequence numbers."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

cdef extern from * nogil:
    int first_bit "__builtin_ctzll" (uint64_t value)
    int bit_count "__builtin_popcountll" (uint64_t value)

cdef enum:
    # Of the face for tests only.
    TEST_STRIDE = 64


cdef void reorder_init(reorder_t* pool, uint8_t* room, size_t stride) noexcept nogil:
    cdef int index
    memset(pool, 0, sizeof(reorder_t))
    for index in range(REORDER_SLOTS):
        pool.slots[index].data = room + index * stride


cdef int reorder_arrived(order_t* order, uint64_t sequence, bint hold) noexcept nogil:
    if sequence < order.next:
        return ORDER_LATE
    if hold and sequence > order.next:
        return ORDER_EARLY
    order.next = sequence + 1
    return ORDER_NEXT


cdef void reorder_hold(
    reorder_t* pool, order_t* order, void* owner, uint64_t sequence, uint64_t now, const uint8_t* data, uint32_t len,
    uint8_t next_header,
) noexcept nogil:
    cdef int index = first_bit(~pool.used)
    cdef held_t* held = pool.slots + index
    pool.used |= <uint64_t>1 << index
    order.held |= <uint64_t>1 << index
    held.order = order
    held.owner = owner
    held.sequence = sequence
    held.until = now + REORDER_HOLD_NS
    held.len = len
    held.next_header = next_header
    memcpy(held.data, data, len)


cdef held_t* lowest(reorder_t* pool, const order_t* order) noexcept nogil:
    """The packet of an SA with the lowest number, or NULL."""
    cdef uint64_t left = order.held
    cdef held_t* held
    cdef held_t* found = NULL
    while left:
        held = pool.slots + first_bit(left)
        left &= left - 1
        if found == NULL or held.sequence < found.sequence:
            found = held
    return found


cdef const held_t* longest(const reorder_t* pool) noexcept nogil:
    """The packet that waits longest of all."""
    cdef uint64_t left = pool.used
    cdef const held_t* held
    cdef const held_t* found = NULL
    while left:
        held = pool.slots + first_bit(left)
        left &= left - 1
        if found == NULL or held.until < found.until:
            found = held
    return found


cdef held_t* reorder_ready(reorder_t* pool, order_t* order) noexcept nogil:
    cdef held_t* held = lowest(pool, order)
    if held == NULL or held.sequence != order.next:
        return NULL
    order.next += 1
    return held


cdef held_t* give_up_gap(reorder_t* pool, order_t* order) noexcept nogil:
    """The first packet of an SA that holds some, as if what is missing before it had come."""
    cdef held_t* held = lowest(pool, order)
    order.next = held.sequence + 1
    return held


cdef held_t* reorder_overdue(reorder_t* pool, uint64_t now) noexcept nogil:
    cdef const held_t* held
    if pool.used == 0:
        return NULL
    held = longest(pool)
    # It cannot go before those of its SA that come before it.
    return give_up_gap(pool, held.order) if held.until <= now else NULL


cdef held_t* reorder_most(reorder_t* pool) noexcept nogil:
    cdef uint64_t left = pool.used
    cdef order_t* order
    cdef order_t* found = NULL
    while left:
        order = pool.slots[first_bit(left)].order
        left &= ~order.held
        if found == NULL or bit_count(order.held) > bit_count(found.held):
            found = order
    return give_up_gap(pool, found)


cdef void reorder_free(reorder_t* pool, held_t* held) noexcept nogil:
    cdef uint64_t bit = <uint64_t>1 << (held - pool.slots)
    pool.used &= ~bit
    held.order.held &= ~bit


cdef int reorder_forget(reorder_t* pool, order_t* order) noexcept nogil:
    cdef int count = bit_count(order.held)
    pool.used &= ~order.held
    order.held = 0
    return count


cdef uint64_t reorder_deadline(const reorder_t* pool) noexcept nogil:
    return longest(pool).until


cdef class Reorder:
    """A pool and some SAs, whose packets carry their own number; driven as a lane does it, for tests."""

    cdef reorder_t _pool
    cdef uint8_t* _room
    cdef order_t* _orders
    cdef int _count
    cdef bint _hold
    cdef int _late
    cdef list _sent

    def __cinit__(self, bint hold, int orders=1):
        cdef int index
        if not 0 < orders <= 1000:
            raise ValueError("between 1 and 1000 SAs")
        self._room = <uint8_t*>calloc(REORDER_SLOTS, TEST_STRIDE)
        self._orders = <order_t*>calloc(orders, sizeof(order_t))
        if self._room == NULL or self._orders == NULL:
            raise MemoryError
        reorder_init(&self._pool, self._room, TEST_STRIDE)
        for index in range(orders):
            self._orders[index].next = 1
        self._count = orders
        self._hold = hold

    def __dealloc__(self):
        free(self._room)
        free(self._orders)

    @property
    def held(self) -> int:
        """Packets in the pool."""
        return bit_count(self._pool.used)

    @property
    def late(self) -> int:
        """Packets that came too late."""
        return self._late

    @property
    def deadline(self) -> int | None:
        """When something must be done next, in nanoseconds."""
        return reorder_deadline(&self._pool) if self._pool.used else None

    def arrive(self, uint64_t sequence, uint64_t now=0, int order=0) -> list[tuple[int, int]]:
        """What a packet sets free, as (SA, sequence number) each."""
        cdef order_t* own = self._order(order)
        cdef int verdict
        self._sent = []
        while reorder_full(&self._pool):
            self._send_from(reorder_most(&self._pool))
        verdict = reorder_arrived(own, sequence, self._hold)
        if verdict == ORDER_LATE:
            self._late += 1
        elif verdict == ORDER_NEXT:
            self._sent.append((order, sequence))
            self._send_ready(own)
        else:
            reorder_hold(&self._pool, own, <void*>own, sequence, now, <uint8_t*>&sequence, sizeof(sequence), 0)
        return self._sent

    def turn(self, uint64_t now) -> list[tuple[int, int]]:
        """What has waited long enough."""
        cdef held_t* held
        self._sent = []
        held = reorder_overdue(&self._pool, now)
        while held != NULL:
            self._send_from(held)
            held = reorder_overdue(&self._pool, now)
        return self._sent

    def forget(self, int order) -> int:
        """Ends an SA; how many packets of it were held."""
        return reorder_forget(&self._pool, self._order(order))

    cdef order_t* _order(self, int order) except NULL:
        if not 0 <= order < self._count:
            raise IndexError("no such SA")
        return self._orders + order

    cdef int _send_from(self, held_t* held) except -1:
        cdef order_t* order = held.order
        self._send(held)
        return self._send_ready(order)

    cdef int _send(self, held_t* held) except -1:
        cdef uint64_t sequence
        memcpy(&sequence, held.data, sizeof(sequence))
        self._sent.append((<int>(<order_t*>held.owner - self._orders), sequence))
        reorder_free(&self._pool, held)
        return 0

    cdef int _send_ready(self, order_t* order) except -1:
        cdef held_t* held = reorder_ready(&self._pool, order)
        while held != NULL:
            self._send(held)
            held = reorder_ready(&self._pool, order)
        return 0
