"""From a frame to the wire: the port's SA, a sequence number, ESP, the socket's queue."""

from libc.stdint cimport uint8_t

from rhp._fast.lane cimport lane_t
from rhp._fast.packet cimport packet_t
from rhp._fast.sadb cimport port_lane_t

# Sends a frame, with HEAD_ROOM and TAIL_ROOM around it, to the peer behind an Ethernet port: EtherIP in ESP.
cdef void seal_frame(lane_t* lane, port_lane_t* port, uint8_t* data, size_t len) noexcept nogil
# Sends an IP packet that has passed the selectors to the peer behind an IP port: tunnel mode.
cdef void seal_packet(lane_t* lane, port_lane_t* port, uint8_t* data, const packet_t* packet) noexcept nogil
# Sends every queue, and gives sequence numbers back that were taken and not used. At the end of a batch.
cdef void seal_finish(lane_t* lane) noexcept nogil
