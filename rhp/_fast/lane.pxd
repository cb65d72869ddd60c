"""A lane: one native thread that carries packets from its TAP queue to its sockets and back, run to completion.

It never holds the GIL, takes no lock and allocates nothing per packet. One turn of its loop:
    wait (epoll) -> for each socket: a batch of datagrams -> mailbox -> IKE and keep-alives -> ESP -> hub -> TAP or peer
                 -> TAP: a batch of frames -> mailbox -> control frames -> bulk -> hub -> seal -> one sendmmsg a socket
                 -> wake the control thread if there are events
The mailbox is read after a batch was received and before it is looked at, so that a packet sent in answer to something
the control plane did meets the lane as that left it.

Every buffer is a slot with room in front (an EtherIP or Ethernet header) and behind (the ESP trailer).
"""

from libc.stdint cimport uint8_t, uint16_t, uint64_t

from linux_socket cimport mmsghdr, sockaddr_in6
from linux_system cimport iovec, pthread_t

from rhp._fast.events cimport ring_t
from rhp._fast.hub cimport hub_t
from rhp._fast.mailbox cimport mailbox_t
from rhp._fast.neighbour cimport neighbours_t
from rhp._fast.rate cimport rate_t
from rhp._fast.sadb cimport port_lane_t, sa_lane_t
from rhp._fast.stats cimport stats_t

cdef enum:
    BATCH = 64
    HEAD_ROOM = 64
    TAIL_ROOM = 64
    # Room for a whole 64 KB datagram. An odd number of cache lines, so that the slots' first lines, which are the
    # busiest, spread over the sets of a cache; pages that no packet needs are never touched.
    SLOT_STRIDE = 67136
    SLOT_ROOM = SLOT_STRIDE - HEAD_ROOM - TAIL_ROOM
    DATAGRAM_MAX = 65507
    RECEIVE_CONTROL_ROOM = 64
    SOCKETS = 4                     # UDP over IPv4 and IPv6, raw protocol 50 over IPv4 and IPv6.
    RAW_SOCKETS = 2                 # The index of the first raw one.
    SPI_BUCKETS = 65536
    MAX_PORTS = 0x8000

# Datagrams on their way out of one socket.
ctypedef struct queue_t:
    int fd                          # -1: there is none.
    uint16_t local_port
    unsigned int count
    uint8_t* slots
    mmsghdr* messages
    iovec* vectors

# Datagrams that just came in.
ctypedef struct inbox_t:
    uint8_t* slots
    mmsghdr* messages
    iovec* vectors
    sockaddr_in6* sources
    uint8_t* controls

ctypedef struct lane_t:
    int index
    int lanes
    hub_t* hub
    neighbours_t* neighbours
    # Descriptors.
    int wake                        # eventfd: mail, or the order to stop.
    int epoll
    int tap_fd                      # Owned; -1: none.
    int tap                         # The same while it is of use; -1: none, or lost.
    uint64_t tap_mac
    queue_t queues[SOCKETS]
    # Buffers.
    inbox_t inbox
    uint8_t* frames                 # BATCH slots of the TAP.
    uint8_t* opened                 # One slot: the inner frame or packet.
    uint8_t* answer                 # One small slot: ARP and ND answers.
    # The lane's view of ports and SAs.
    port_lane_t** ports             # By number.
    port_lane_t** ethernet          # Dense, for flooding.
    port_lane_t** routed            # Dense: IP ports that own ranges.
    int ethernet_count
    int routed_count
    int ip_count
    sa_lane_t** spis                # Chains by SPI.
    sa_lane_t* taken                # SAs that hold unused sequence numbers.
    unsigned int expected           # Frames of this batch that may still be sealed.
    # Time, read once a turn.
    uint64_t now                    # Nanoseconds of CLOCK_MONOTONIC.
    uint64_t now_ms
    rate_t unknown_spis
    # Talk with the control thread.
    mailbox_t mailbox
    ring_t ring
    uint64_t stop                   # Atomic.
    pthread_t thread
    stats_t stats

# 0, or an errno: the thread runs with all signals blocked and the name rhp-lane-N.
cdef int lane_start(lane_t* lane) noexcept nogil
# Returns when the thread is gone.
cdef void lane_stop(lane_t* lane) noexcept nogil
# Reads the mailbox to its end. By the lane's thread, or by the control thread while that does not run.
cdef void lane_read_mail(lane_t* lane) noexcept nogil
cdef void lane_wake(lane_t* lane) noexcept nogil
