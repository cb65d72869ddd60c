"""Hub ports and security associations: one shared description each, and each lane's own view of it.

The control thread makes and frees both. Lanes learn of them by mail and touch only their own view (`port_lane_t`,
`sa_lane_t`), so the packet path needs neither a lock nor a reference count: contexts, outer addresses and counters are
the lane's own. Two things are shared: the outbound sequence counter and the marks beside it, both atomic. An inbound
SA is in the table of one lane only, `spi % lanes`, and so is its replay window.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from linux_socket cimport sockaddr_in6, socklen_t

from rhp._fast.address cimport endpoint_t
from rhp._fast.esp cimport esp_ctx_t
from rhp._fast.mailbox cimport message_t
from rhp._fast.packet cimport address_t, packet_t
from rhp._fast.rate cimport budget_t, rate_t
from rhp._fast.routes cimport route_t
from rhp._fast.reorder cimport order_t
from rhp._fast.sa cimport esp_key_t, esp_sequence_t
from rhp._fast.selector cimport selectors_t

cdef enum:
    TAP_PORT = 0
    CACHE_LINE = 64
    SA_CONTROL_ROOM = 64            # Octets of an IP_PKTINFO or IPV6_PKTINFO control message.
    TRAIN_FIT_ALL = 65535

cdef enum port_kind_t:
    PORT_ETHERNET = 1
    PORT_IP = 2

cdef enum encapsulation_t:
    ENCAPSULATION_UDP = 0
    ENCAPSULATION_ESP = 1

cdef struct port_lane_s
cdef struct sa_lane_s

ctypedef struct port_t:
    int number
    int kind
    uint64_t pseudo_mac
    uint32_t isolate_group
    # Settings that follow the path's MTU, read with relaxed loads.
    uint64_t mss                    # 0 = no clamp.
    uint64_t limit                  # Octets of the longest frame that fits, Ethernet header included; 0 = not known.
    int prefixes                    # Of the remote side's ranges that are more than one host and less than everything.
    selectors_t local
    selectors_t remote
    port_lane_s* lanes

ctypedef struct sa_t:
    port_t* port
    uint32_t spi_in
    bint tunnel
    esp_key_t key_in
    esp_key_t key_out
    esp_sequence_t sequence
    uint64_t warn_at                # The sequence number that raises "sa-limit".
    uint64_t warned                 # Atomic: 0, 1 = told that it nears, 2 = told that it is over.
    # A lifetime of its own, in either direction; UINT64_MAX where there is none.
    bint limited                    # Whether there is any. Outbound packets have theirs in `sequence` and `warn_at`.
    uint64_t octet_limit
    uint64_t octet_warn
    uint64_t packet_limit
    uint64_t packet_warn
    uint64_t octets_out             # Atomic: sealed by all lanes; counted only where there is a limit.
    sa_lane_s* lanes

# Two whole cache lines, so that lanes do not share any.
cdef struct port_lane_s:
    port_t* port
    sa_lane_s* outbound             # NULL: nothing to send with.
    uint16_t hub                    # Its number.
    uint16_t next                   # The numbers of its neighbours in the hub's ring of Ethernet ports.
    uint16_t previous
    uint64_t told_no_sa             # Milliseconds.
    rate_t stations                 # New MACs that it may still make known.
    rate_t neighbours               # And new inner addresses.
    budget_t floods                 # Copies of its frames that may still be made.
    route_t* routes                 # As many as the port has prefixes.
    uint64_t packets_in
    uint64_t bytes_in
    uint64_t packets_out
    uint64_t bytes_out
    uint64_t drops
ctypedef port_lane_s port_lane_t

cdef struct sa_lane_s:
    sa_t* sa
    sa_lane_s* next                 # In the chain of the lane's SPI table.
    port_lane_t* port
    esp_ctx_t* sealer               # Made on first need.
    esp_ctx_t* opener
    uint64_t sequence_next          # Numbers taken from the shared counter and not used yet: next up to end.
    uint64_t sequence_end
    sa_lane_s* taken_next           # In the lane's list of SAs with such numbers.
    # Where to: template of every outgoing message header.
    int queue                       # Index of the lane's sockets.
    socklen_t remote_length
    size_t control_length
    sockaddr_in6 remote
    uint64_t control[SA_CONTROL_ROOM / 8]  # Words, for their alignment.
    # Where from.
    endpoint_t peer
    endpoint_t peer_reported        # The last other address told as "nat-moved",
    uint64_t peer_reported_ms       # and when.
    rate_t moves
    rate_t path_talk                # Questions and answers about the path.
    bint told_first                 # "first-inbound".
    order_t order                   # In-order delivery.
    uint8_t encapsulation
    uint32_t train                  # Its newest train in the queue, as long as the queue's turn is that one.
    uint64_t train_turn
    uint32_t train_fit              # Longer datagrams go alone on this path; 0: all do.
    # Counters.
    uint64_t packets_in
    uint64_t bytes_in
    uint64_t last_in
    uint64_t packets_out
    uint64_t bytes_out
    uint64_t last_out
    uint64_t replay_drops
    uint64_t auth_drops
    uint64_t gap[1]                 # Up to a whole cache line, or neighbouring lanes would wait for each other.
ctypedef sa_lane_s sa_lane_t

# Views for `lanes` lanes, each on cache lines of its own; NULL without memory.
cdef port_t* port_new(int lanes) noexcept nogil
cdef void port_free(port_t* port, int lanes) noexcept nogil
# Room for `count` prefixes in every lane; 0 or -1.
cdef int port_make_routes(port_t* port, int lanes, int count) noexcept nogil
cdef sa_t* sa_new(int lanes) noexcept nogil
# Frees contexts of all lanes and wipes the keys.
cdef void sa_free(sa_t* sa, int lanes) noexcept nogil
# Points a lane's view at a path; the kernel chooses the interface and keeps the source address.
cdef void sa_set_path(sa_lane_t* view, const message_t* message) noexcept nogil
# Whether an address is one that the port's remote side has for itself: in a selector that is not "everything", and not
# in a narrower one of our own side.
cdef bint port_owns(const port_t* port, address_t address) noexcept nogil
# Whether the two ports may exchange frames as far as isolate groups go.
cdef inline bint ports_apart(const port_t* a, const port_t* b) noexcept nogil:
    return a.isolate_group != 0 and a.isolate_group == b.isolate_group
