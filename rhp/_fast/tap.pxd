"""The TAP queue of a lane: a batch of frames in, one frame out, super-frames among them where the TAP has offloads.

A TAP that vanishes leaves the lane running.
"""

from libc.stdint cimport uint32_t

from rhp._fast.lane cimport lane_t
from rhp._fast.parcel cimport parcel_t

# Reads up to BATCH frames, or BATCH_OCTETS, into the lane's slots, describes them and returns how many. `polled` are
# the events epoll reported.
cdef int tap_read(lane_t* lane, parcel_t* parcels, uint32_t polled) noexcept nogil
# The octets in front of the frame are overwritten.
cdef void tap_write(lane_t* lane, const parcel_t* parcel) noexcept nogil
