"""From a frame to the wire: cut what is too long for a packet; the port's SA, a sequence number, ESP, the train."""

from libc.stdint cimport uint8_t, uint64_t

from rhp._fast.lane cimport lane_t
from rhp._fast.parcel cimport parcel_t
from rhp._fast.sadb cimport port_lane_t, sa_lane_t, sa_t

# Sends a frame, with HEAD_ROOM and TAIL_ROOM around it, to the peer behind an Ethernet port: EtherIP in ESP. The frame
# is as it was afterwards, but for a checksum that is finished now.
cdef void seal_frame(lane_t* lane, port_lane_t* port, parcel_t* parcel) noexcept nogil
# Sends an IP packet that has passed the selectors to the peer behind an IP port: tunnel mode.
cdef void seal_packet(lane_t* lane, port_lane_t* port, parcel_t* parcel, int version) noexcept nogil
# Seals one payload, with TAIL_ROOM behind it, straight into the train; the view must have its sealer. 0, or -reason.
cdef int seal_packet_of(
    lane_t* lane, sa_lane_t* view, uint8_t next_header, uint8_t* payload, size_t len,
) noexcept nogil
# Tells the control thread of an SA's lifetime, once for each stage: 1 = it nears its end, 2 = it is over.
cdef void tell_limit(lane_t* lane, sa_t* sa, uint64_t stage) noexcept nogil
# Sends every queue, and gives sequence numbers back that were taken and not used. At the end of a batch.
cdef void seal_finish(lane_t* lane) noexcept nogil
