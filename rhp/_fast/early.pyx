"""What this host asked before there was anybody to ask."""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from rhp._fast.parcel cimport parcel_plain, parcel_t


cdef void early_keep(early_t* early, const parcel_t* parcel, uint64_t now_ms) noexcept nogil:
    cdef early_frame_t* frame
    if parcel.len > EARLY_OCTETS or parcel.unfinished:
        return
    frame = early.frames + early.next
    early.next = (early.next + 1) % EARLY_FRAMES
    frame.at_ms = now_ms
    frame.len = parcel.len
    memcpy(frame.room + EARLY_ROOM, parcel.data, parcel.len)


cdef bint early_take(early_t* early, uint64_t now_ms, parcel_t* parcel) noexcept nogil:
    cdef early_frame_t* frame
    cdef int index
    # From the oldest on.
    for index in range(EARLY_FRAMES):
        frame = early.frames + (early.next + <unsigned int>index) % EARLY_FRAMES
        if frame.len == 0:
            continue
        parcel_plain(parcel, frame.room + EARLY_ROOM, frame.len)
        frame.len = 0
        if now_ms - frame.at_ms < EARLY_MS:
            return True
    return False
