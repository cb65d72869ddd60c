"""A lane: one native thread that carries packets from its TAP queue to its sockets and back, run to completion.

It never holds the GIL, takes no lock and allocates nothing per packet. One turn of its loop:
    wait (epoll) -> for each socket: trains -> mailbox -> IKE and keep-alives -> ESP -> merge -> hub -> TAP or peer
                 -> for each hub's TAP: a batch -> mailbox -> control frames -> bulk -> hub -> cut, seal -> one sendmmsg
                 -> wake the control thread if there are events
A batch is bounded in octets as well as in frames, so that what was read is still in the cache when it is sent.
The mailbox is read after a batch was received and before it is looked at, so that a packet sent in answer to something
the control plane did meets the lane as that left it.

Every buffer is a slot with room in front (headers of EtherIP, Ethernet and the TAP) and behind (the ESP trailer).
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from linux_socket cimport mmsghdr, sockaddr_in6
from linux_system cimport iovec, pthread_t

from rhp._fast.events cimport ring_t
from rhp._fast.hub_lane cimport hub_lane_t
from rhp._fast.mailbox cimport mailbox_t
from rhp._fast.merge cimport merge_t
from rhp._fast.mirror cimport mirror_t
from rhp._fast.rate cimport rate_t
from rhp._fast.reorder cimport reorder_t
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
    RECEIVE_CONTROL_ROOM = 128      # Packet information, and the size of a train's segments.
    TRAIN_CONTROL_ROOM = 96         # The source address, and the size of a train's segments.
    BATCH_OCTETS = 65536            # A batch of the TAP ends with the frame that reaches this.
    SOCKETS = 4                     # UDP over IPv4 and IPv6, raw protocol 50 over IPv4 and IPv6.
    RAW_SOCKETS = 2                 # The index of the first raw one.
    SPI_BUCKETS = 65536
    MAX_PORTS = 0x8000
    # What epoll reports, in the low half of its word: the index of a socket, or one of these.
    EVENT_WAKE = SOCKETS
    EVENT_TAP = SOCKETS + 1         # And behind it the number of a hub, whose turn stands in the high half.

# What the TAP of a lane does for it: the TUN_F_* bits of TUNSETOFFLOAD. None: no header in front of its frames.
cdef enum offload_t:
    OFFLOAD_CHECKSUM = 0x01
    OFFLOAD_TSO4 = 0x02
    OFFLOAD_TSO6 = 0x04
    OFFLOAD_ECN = 0x08
    OFFLOAD_USO4 = 0x20
    OFFLOAD_USO6 = 0x40

# Datagrams of one SA, equal in length but for the last, that the kernel takes and cuts as one (UDP_SEGMENT).
ctypedef struct train_t:
    sa_lane_t* view
    uint32_t octets
    uint32_t segments
    uint32_t size                   # Octets of the first datagram.
    bint closed                     # A shorter one has ended it.
    uint64_t control[TRAIN_CONTROL_ROOM / 8]  # Words, for their alignment.

# Trains on their way out of one socket, and how the same socket receives.
ctypedef struct queue_t:
    int fd                          # -1: there is none.
    uint16_t local_port
    uint8_t tail                    # Octets of a keep-alive that end a train of equal datagrams: 0 or 1.
    unsigned int count              # Trains.
    unsigned int segments_max       # In a train; 1: the kernel cuts none here.
    uint64_t turn                   # Counts the flushes, from 1: what an SA remembers of its train is of one turn.
    train_t* open                   # What the slot given last continues; NULL: it begins a train.
    bint receives_trains            # UDP_GRO is on.
    bint grouped                    # What came last came in trains: one at a time is quicker then.
    train_t* trains
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
    int cpu                         # The only one that it runs on; -1: any.
    # Descriptors.
    int wake                        # eventfd: mail, or the order to stop.
    int epoll                       # -1 while the lane rests.
    queue_t queues[SOCKETS]
    # Buffers.
    inbox_t inbox
    uint8_t* frames                 # BATCH slots of the TAPs.
    uint8_t* opened                 # Where inner packets are opened and put together.
    merge_t merge
    sa_lane_t* merge_view           # Whose packets `merge` holds; only within a batch.
    uint8_t* held                   # REORDER_SLOTS slots: packets that wait for those they have overtaken.
    reorder_t reorder
    uint8_t* answer                 # One small slot: ARP and ND answers.
    # The lane's view of hubs, ports and SAs.
    hub_lane_t** hubs               # By number.
    port_lane_t** ports             # By number.
    sa_lane_t** spis                # Chains by SPI.
    sa_lane_t* taken                # SAs that hold unused sequence numbers.
    unsigned int expected           # Frames of this batch that may still be sealed.
    # Time, read once a turn.
    uint64_t now                    # Nanoseconds of CLOCK_MONOTONIC.
    uint64_t now_ms
    rate_t unknown_spis
    hub_lane_t* due                 # Hubs to which somebody came whom the host may have asked for.
    # Talk with the control thread.
    mailbox_t mailbox
    ring_t ring
    mirror_t mirror
    uint64_t stop                   # Atomic.
    pthread_t thread
    bint running                    # The control thread's: the thread is there.
    uint64_t cpu_ns                 # Processor time of the threads before this one.
    stats_t stats

# 0, or an errno: the thread runs with all signals blocked and the name rhp-lane-N.
cdef int lane_start(lane_t* lane) noexcept nogil
# Returns when the thread is gone.
cdef void lane_stop(lane_t* lane) noexcept nogil
# Reads the mailbox to its end. By the lane's thread, or by the control thread while that does not run.
cdef void lane_read_mail(lane_t* lane) noexcept nogil
cdef void lane_wake(lane_t* lane) noexcept nogil
# Nanoseconds of processor time so far, by the control thread.
cdef uint64_t lane_cpu_time(const lane_t* lane) noexcept nogil
