"""The memory of a lane: slots, tables, rings and queues, all made before its thread starts."""

from libc.stdint cimport uint16_t

from rhp._fast.lane cimport lane_t

# Memory for lane `index` of `lanes`; NULL without it. `event_fd` stays the caller's.
cdef lane_t* lane_new(int index, int lanes, int event_fd) noexcept nogil
cdef void lane_free(lane_t* lane) noexcept nogil
# Buffers of a socket; 0 or -1. The descriptor is the lane's from now on.
cdef int lane_give_socket(lane_t* lane, int which, int fd, uint16_t local_port) noexcept nogil
