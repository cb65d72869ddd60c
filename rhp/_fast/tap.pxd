"""A lane's queue of a hub's TAP: a batch of frames in, one out, super-frames among them where the TAP has offloads.

A TAP that vanishes leaves the lane running.
"""

from libc.stdint cimport uint32_t

from rhp._fast.hub_lane cimport hub_lane_t
from rhp._fast.lane cimport lane_t
from rhp._fast.parcel cimport parcel_t

# Reads up to BATCH frames, or BATCH_OCTETS, into the lane's slots, describes them and returns how many. `polled` are
# the events epoll reported.
cdef int tap_read(lane_t* lane, hub_lane_t* hub, parcel_t* parcels, uint32_t polled) noexcept nogil
# The octets in front of the frame are overwritten.
cdef void tap_write(lane_t* lane, hub_lane_t* hub, const parcel_t* parcel) noexcept nogil
# Another queue, or -1 for none, from now on; an earlier one is let go.
cdef void tap_use(lane_t* lane, hub_lane_t* hub, int fd, int offloads, uint32_t turn) noexcept nogil
# Has epoll report the queue, if there is one, as `EVENT_TAP` and the hub's number; 0 or an errno.
cdef int tap_watch(lane_t* lane, hub_lane_t* hub) noexcept nogil
# It does so no more.
cdef void tap_unwatch(lane_t* lane, hub_lane_t* hub) noexcept nogil
