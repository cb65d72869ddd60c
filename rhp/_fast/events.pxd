"""What a lane tells the control thread: a bounded ring of octets for each lane, and one eventfd for all.

One writer and one reader per ring, so nobody waits: a lane that finds no room counts the event as lost and goes on
with its packets. Datagrams leave a reserve free, so that a flood of them cannot hide what a lane has to say of its own;
those that belong to no IKE SA leave half of the ring free, so that a flood of new handshakes cannot hide the messages
of SAs that exist.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from rhp._fast.address cimport endpoint_t

cdef enum:
    EVENT_RING = 1 << 20            # Octets.
    EVENT_RESERVE = 1 << 16         # Octets kept free for the lane's own events.
    EVENT_RESERVE_SAS = 1 << 19     # Octets kept free for those and for datagrams that name an IKE SA.

cdef enum event_kind_t:
    EVENT_SKIP = 0                  # Fills the end of the ring.
    EVENT_IKE
    EVENT_UNKNOWN_SPI
    EVENT_SA_LIMIT
    EVENT_FIRST_INBOUND
    EVENT_NO_SA
    EVENT_TAP_LOST
    EVENT_NAT_MOVED
    EVENT_PATH_ANSWER
    EVENT_FRAME

ctypedef struct event_t:
    uint32_t size                   # Octets of the record, header and data, a multiple of 8.
    uint32_t kind
    uint32_t number                 # SPI, port or lane.
    uint32_t detail                 # errno; EVENT_SA_LIMIT: 1 = over; EVENT_PATH_ANSWER, EVENT_FRAME: whole octets.
    uint32_t hub                    # For EVENT_TAP_LOST.
    endpoint_t remote
    endpoint_t local
    uint64_t time                   # CLOCK_MONOTONIC in nanoseconds; of EVENT_FRAME.
    uint32_t length                 # Octets of data behind the header.

ctypedef struct ring_t:
    uint8_t* data
    int fd                          # The eventfd; shared, not owned.
    bint pending                    # Written since the last `ring_signal`.
    uint64_t head                   # The writer's.
    uint64_t gap[7]
    uint64_t tail                   # The reader's.

cdef int ring_init(ring_t* ring, int fd) noexcept nogil
cdef void ring_clear(ring_t* ring) noexcept nogil
# False when fewer than `reserve` octets would be left. `event.size` is filled here; `data` may be NULL when
# `event.length` is 0.
cdef bint ring_put(ring_t* ring, event_t* event, const uint8_t* data, uint64_t reserve) noexcept nogil
# Has the next `ring_signal` wake the control thread although nothing was put: it waits to let go of keys, memory or a
# descriptor that the lane knew.
cdef inline void ring_nudge(ring_t* ring) noexcept nogil:
    ring.pending = True

# Wakes the control thread when something was put since the last call. Once a batch.
cdef void ring_signal(ring_t* ring) noexcept nogil
# Moves up to `limit` events to `found` as tuples and returns how many. Needs the GIL.
cdef int ring_drain(ring_t* ring, list found, int limit) except -1
cdef bint ring_empty(const ring_t* ring) noexcept nogil
