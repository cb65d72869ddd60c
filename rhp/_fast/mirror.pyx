"""Copies of what the tunnels carry."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from atomic cimport ACQUIRE, RELAXED, load64

from rhp._fast.events cimport EVENT_FRAME, event_t, ring_put
from rhp._fast.stats cimport bump


cdef void mirror_copy(
    mirror_t* mirror, int port, bint outward, const uint8_t* data, uint32_t len, uint64_t now,
) noexcept nogil:
    cdef uint64_t octets = load64(&mirror.octets, ACQUIRE)
    cdef uint64_t wanted = load64(&mirror.port, RELAXED)
    cdef event_t event
    if octets == 0 or (wanted != MIRROR_EVERY_PORT and wanted != <uint64_t>port):
        return
    memset(&event, 0, sizeof(event))
    event.kind = EVENT_FRAME
    event.number = <uint32_t>port | (MIRROR_OUTWARD if outward else 0)
    event.detail = len
    event.time = now
    event.length = <uint32_t>min(octets, <uint64_t>len)
    if not ring_put(&mirror.ring, &event, data, 0):
        bump(&mirror.lost, 1)
