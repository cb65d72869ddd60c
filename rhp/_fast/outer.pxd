"""The outer sockets: batches of datagrams in and out, UDP encapsulation (RFC 3948) and raw protocol 50 alike.

Out: a packet is sealed straight into its SA's train in the socket's queue, or into the next slot, where it begins a
new one; the message header points at the SA's template (destination and source address). One sendmmsg per batch and
socket. A path whose device refuses trains gets each datagram alone from then on, the refused ones included.
In: recvmmsg, with the packet information that tells which of our addresses was meant and, with UDP_GRO, the size of a
train's datagrams.
"""

from libc.stdint cimport uint8_t

from rhp._fast.address cimport endpoint_t
from rhp._fast.lane cimport lane_t, queue_t
from rhp._fast.sadb cimport sa_lane_t

# Where a datagram of `len` octets (at most DATAGRAM_MAX) for the SA's peer is to be written, or NULL when there is no
# socket that its path leaves by.
cdef uint8_t* queue_slot(lane_t* lane, sa_lane_t* view, size_t len) noexcept nogil
# The datagram is there.
cdef void queue_push(lane_t* lane, sa_lane_t* view, size_t len) noexcept nogil
# Sends everything; what the kernel refuses is a counted drop.
cdef void queue_flush(lane_t* lane, queue_t* queue) noexcept nogil
# A batch of datagrams into the lane's inbox: how many, 0 when there is nothing.
cdef int inbox_receive(lane_t* lane, queue_t* socket) noexcept nogil
# Makes the inbox ready for the next batch after `count` messages of it were used.
cdef void inbox_reset(lane_t* lane, int count) noexcept nogil
# Octets of each datagram in message `index` of the inbox: the whole message unless it is a train.
cdef size_t inbox_segment(const lane_t* lane, int index) noexcept nogil
# What trains this socket can send and receive, asked of the kernel once.
cdef void queue_probe(queue_t* queue) noexcept nogil
# The address of ours that message `index` of the inbox was sent to; unspecified when the kernel did not tell.
cdef void inbox_local(const lane_t* lane, const queue_t* socket, int index, endpoint_t* local) noexcept nogil
