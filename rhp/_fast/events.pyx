"""What a lane tells the control thread."""

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from atomic cimport ACQUIRE, RELEASE, load64, store64
from linux_system cimport write

from rhp._fast.address cimport endpoint_text


cdef int ring_init(ring_t* ring, int fd) noexcept nogil:
    ring.head = ring.tail = 0
    ring.pending = False
    ring.fd = fd
    ring.data = <uint8_t*>malloc(EVENT_RING)
    return 0 if ring.data != NULL else -1


cdef void ring_clear(ring_t* ring) noexcept nogil:
    free(ring.data)
    ring.data = NULL


cdef bint ring_put(ring_t* ring, event_t* event, const uint8_t* data, uint64_t reserve) noexcept nogil:
    cdef uint64_t used = ring.head - load64(&ring.tail, ACQUIRE)
    cdef uint64_t place = ring.head % EVENT_RING
    cdef uint64_t size = (sizeof(event_t) + event.length + 7) & ~<uint64_t>7
    cdef uint64_t skip = EVENT_RING - place if place + size > EVENT_RING else 0
    if used + skip + size + reserve > EVENT_RING:
        return False
    if skip:
        # Records are multiples of 8, so the two words of a filler always fit.
        (<event_t*>(ring.data + place)).size = <unsigned int>skip
        (<event_t*>(ring.data + place)).kind = EVENT_SKIP
        place = 0
    event.size = <unsigned int>size
    memcpy(ring.data + place, event, sizeof(event_t))
    if event.length:
        memcpy(ring.data + place + sizeof(event_t), data, event.length)
    store64(&ring.head, ring.head + skip + size, RELEASE)
    ring.pending = True
    return True


cdef void ring_signal(ring_t* ring) noexcept nogil:
    cdef uint64_t one = 1
    if ring.pending:
        ring.pending = False
        # A full counter means that the other side has not looked for 2^64 batches; it is awake anyway.
        write(ring.fd, &one, sizeof(one))


cdef bint ring_empty(const ring_t* ring) noexcept nogil:
    return load64(&ring.head, ACQUIRE) == ring.tail


cdef object event_tuple(const event_t* event):
    cdef const char* data = <const char*>event + sizeof(event_t)
    if event.kind == EVENT_IKE:
        return (
            "ike", endpoint_text(&event.remote), event.remote.port, endpoint_text(&event.local), event.local.port,
            data[:event.length],
        )
    if event.kind == EVENT_UNKNOWN_SPI:
        return (
            "unknown-spi", event.number, endpoint_text(&event.remote), event.remote.port,
            endpoint_text(&event.local), event.local.port,
        )
    if event.kind == EVENT_SA_LIMIT:
        return "sa-limit", event.number, "over" if event.detail else "near"
    if event.kind == EVENT_FIRST_INBOUND:
        return "first-inbound", event.number
    if event.kind == EVENT_NO_SA:
        return "no-sa", event.number
    if event.kind == EVENT_TAP_LOST:
        return "tap-lost", event.number, event.detail, event.hub
    if event.kind == EVENT_NAT_MOVED:
        return "nat-moved", event.number, endpoint_text(&event.remote), event.remote.port
    if event.kind == EVENT_PATH_ANSWER:
        return "path-answer", event.number, event.detail
    if event.kind == EVENT_FRAME:
        return (
            event.number & 0x7fffffff, bool(event.number & <unsigned int>0x80000000), event.time, event.detail,
            data[:event.length],
        )
    raise SystemError("an event of an unknown kind")


cdef int ring_drain(ring_t* ring, list found, int limit) except -1:
    cdef const event_t* event
    cdef int count = 0
    while count < limit and not ring_empty(ring):
        event = <const event_t*>(ring.data + ring.tail % EVENT_RING)
        if event.kind != EVENT_SKIP:
            found.append(event_tuple(event))
            count += 1
        store64(&ring.tail, ring.tail + event.size, RELEASE)
    return count
