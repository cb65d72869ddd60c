"""The TAP queue of a lane: a batch of frames in, one frame out. A TAP that vanishes leaves the lane running."""

from libc.stdint cimport uint8_t, uint32_t

from rhp._fast.lane cimport lane_t

# Reads up to BATCH frames into the lane's slots and returns how many; `lengths` takes their octets. `polled` are the
# events epoll reported.
cdef int tap_read(lane_t* lane, uint32_t* lengths, uint32_t polled) noexcept nogil
cdef void tap_write(lane_t* lane, const uint8_t* data, size_t len) noexcept nogil
