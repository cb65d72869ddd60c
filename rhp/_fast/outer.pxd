"""The outer sockets: batches of datagrams in and out, UDP encapsulation (RFC 3948) and raw protocol 50 alike.

Out: a packet is sealed straight into the next slot of its socket's queue; its message header points at the SA's
template (destination and source address). One sendmmsg per batch and socket. In: one recvmmsg per batch, with the
packet information that tells which of our addresses was meant.
"""

from libc.stdint cimport uint8_t

from rhp._fast.address cimport endpoint_t
from rhp._fast.lane cimport lane_t, queue_t
from rhp._fast.sadb cimport sa_lane_t

# The next slot of the socket that this SA's path leaves by (room: SLOT_ROOM), or NULL when there is no such socket.
cdef uint8_t* queue_slot(lane_t* lane, sa_lane_t* view) noexcept nogil
# The slot now holds a datagram of `len` octets for the SA's peer.
cdef void queue_push(lane_t* lane, sa_lane_t* view, size_t len) noexcept nogil
# Sends everything; what the kernel refuses is a counted drop.
cdef void queue_flush(lane_t* lane, queue_t* queue) noexcept nogil
# A batch of datagrams into the lane's inbox: how many, 0 when there is nothing.
cdef int inbox_receive(lane_t* lane, queue_t* socket) noexcept nogil
# Makes the inbox ready for the next batch after `count` messages of it were used.
cdef void inbox_reset(lane_t* lane, int count) noexcept nogil
# The address of ours that message `index` of the inbox was sent to; unspecified when the kernel did not tell.
cdef void inbox_local(const lane_t* lane, const queue_t* socket, int index, endpoint_t* local) noexcept nogil
