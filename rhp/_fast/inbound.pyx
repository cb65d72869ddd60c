"""From the wire to the hub."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from atomic cimport RELAXED, store64
from linux_socket cimport MSG_TRUNC, mmsghdr, sockaddr_in6

from rhp._fast.address cimport endpoint_from_socket, endpoint_t
from rhp._fast.drops cimport *
from rhp._fast.esp cimport esp_ctx_new, esp_open, esp_replay_top
from rhp._fast.etherip cimport ETHERIP_HEADER, PROTOCOL_ETHERIP, etherip_valid
from rhp._fast.events cimport (
    EVENT_FIRST_INBOUND, EVENT_IKE, EVENT_NAT_MOVED, EVENT_RESERVE, EVENT_RESERVE_SAS, EVENT_UNKNOWN_SPI, event_t,
    ring_put,
)
from rhp._fast.forward cimport forward_frame, forward_packet
from rhp._fast.lane cimport BATCH, HEAD_ROOM, RAW_SOCKETS, SLOT_ROOM, SLOT_STRIDE, SPI_BUCKETS, lane_t, queue_t
from rhp._fast.octets cimport load_be16, load_be32, load_be64
from rhp._fast.outer cimport inbox_local
from rhp._fast.packet cimport address_equal, packet_parse, packet_t
from rhp._fast.rate cimport rate_take
from rhp._fast.sadb cimport ENCAPSULATION_ESP, ENCAPSULATION_UDP, sa_lane_t
from rhp._fast.selector cimport selectors_match
from rhp._fast.stats cimport TOTAL_ESP_IN, TOTAL_IKE_IN, TOTAL_KEEPALIVES, bump

cdef enum:
    SPI_OCTETS = 4
    FIRST_SPI = 256                 # Those below are reserved (RFC 4303 section 2.1).
    KEEPALIVE = 0xff
    PROTOCOL_IP4 = 4
    PROTOCOL_IP6 = 41
    PROTOCOL_NONE = 59
    UNKNOWN_SPI_BURST = 16
    UNKNOWN_SPI_MS = 100            # One more event may be told after so long.
    MOVED_BURST = 8
    MOVED_MS = 250
    IKE_HEADER = 28
    IKE_RESPONDER_SPI = 8           # Its offset in the IKE header; zero in the request that begins an IKE SA.


# The table of inbound SAs.

cdef inline sa_lane_t** bucket(const lane_t* lane, uint32_t spi) noexcept nogil:
    # The low bits name the lane, so they are the same for all in here.
    return lane.spis + (spi * 0x9e3779b1U >> 16) % SPI_BUCKETS


cdef void spi_insert(lane_t* lane, sa_lane_t* view) noexcept nogil:
    cdef sa_lane_t** first = bucket(lane, view.sa.spi_in)
    view.next = first[0]
    first[0] = view


cdef void spi_remove(lane_t* lane, sa_lane_t* view) noexcept nogil:
    cdef sa_lane_t** place = bucket(lane, view.sa.spi_in)
    while place[0] != NULL:
        if place[0] == view:
            place[0] = view.next
            return
        place = &place[0].next


cdef inline sa_lane_t* spi_find(const lane_t* lane, uint32_t spi) noexcept nogil:
    cdef sa_lane_t* view = bucket(lane, spi)[0]
    while view != NULL and view.sa.spi_in != spi:
        view = view.next
    return view


# What goes to the control thread.

cdef bint tell(lane_t* lane, event_t* event, const uint8_t* data, uint64_t reserve) noexcept nogil:
    """False when it was lost."""
    if ring_put(&lane.ring, event, data, reserve):
        return True
    bump(&lane.stats.drops[<int>DROP_EVENT_FULL], 1)
    return False


cdef void tell_datagram(
    lane_t* lane, const queue_t* socket, int index, event_t* event, const uint8_t* data, uint64_t reserve,
) noexcept nogil:
    """An event with the addresses of message `index`."""
    endpoint_from_socket(lane.inbox.sources + index, &event.remote)
    inbox_local(lane, socket, index, &event.local)
    tell(lane, event, data, reserve)


cdef bint names_an_sa(const uint8_t* ike, size_t len) noexcept nogil:
    """Whether the message belongs to an IKE SA that was begun: by its own word, but a flood has to say so first."""
    return len >= IKE_HEADER and load_be64(ike + IKE_RESPONDER_SPI) != 0


cdef void take_ike(lane_t* lane, const queue_t* socket, int index, const uint8_t* data, size_t len) noexcept nogil:
    cdef event_t event
    memset(&event, 0, sizeof(event))
    event.kind = EVENT_IKE
    event.length = <uint32_t>(len - SPI_OCTETS)
    bump(&lane.stats.totals[<int>TOTAL_IKE_IN], 1)
    tell_datagram(
        lane, socket, index, &event, data + SPI_OCTETS,
        EVENT_RESERVE if names_an_sa(data + SPI_OCTETS, event.length) else EVENT_RESERVE_SAS,
    )


cdef void take_unknown(lane_t* lane, const queue_t* socket, int index, uint32_t spi) noexcept nogil:
    cdef event_t event
    if spi >= FIRST_SPI and spi % lane.lanes != <uint32_t>lane.index:
        bump(&lane.stats.drops[<int>DROP_FOREIGN_LANE], 1)
        return
    bump(&lane.stats.drops[<int>DROP_UNKNOWN_SPI], 1)
    if spi < FIRST_SPI or not rate_take(&lane.unknown_spis, lane.now_ms, UNKNOWN_SPI_MS, UNKNOWN_SPI_BURST):
        return
    memset(&event, 0, sizeof(event))
    event.kind = EVENT_UNKNOWN_SPI
    event.number = spi
    tell_datagram(lane, socket, index, &event, NULL, EVENT_RESERVE_SAS)


cdef bint tell_sa(lane_t* lane, const sa_lane_t* view, int kind, const endpoint_t* remote) noexcept nogil:
    cdef event_t event
    memset(&event, 0, sizeof(event))
    event.kind = kind
    event.number = view.sa.spi_in
    if remote != NULL:
        event.remote = remote[0]
    return tell(lane, &event, NULL, 0)


cdef void check_peer(lane_t* lane, sa_lane_t* view, int which, const sockaddr_in6* source) noexcept nogil:
    """The newest authenticated packet came: was it from where we send to? (RFC 7296 section 2.23)"""
    cdef endpoint_t seen
    if which >= RAW_SOCKETS and view.encapsulation == ENCAPSULATION_UDP:
        return
    endpoint_from_socket(source, &seen)
    if address_equal(seen.address, view.peer.address) and (
        seen.port == view.peer.port or view.encapsulation == ENCAPSULATION_ESP
    ):
        view.peer_reported.version = 0
        return
    if (
        view.peer_reported.version == seen.version and view.peer_reported.port == seen.port
        and address_equal(view.peer_reported.address, seen.address)
    ):
        return
    # A peer that keeps changing must not fill the ring. What was not told stays to be told with a later packet.
    if rate_take(&view.moves, lane.now_ms, MOVED_MS, MOVED_BURST) and tell_sa(lane, view, EVENT_NAT_MOVED, &seen):
        view.peer_reported = seen


# ESP.

cdef void drop(lane_t* lane, sa_lane_t* view, int reason) noexcept nogil:
    bump(&lane.stats.drops[reason], 1)
    bump(&view.port.drops, 1)


cdef void leave_transport(
    lane_t* lane, sa_lane_t* view, uint8_t next_header, uint8_t* inner, size_t len,
) noexcept nogil:
    """Transport mode carries EtherIP and nothing else."""
    if next_header != PROTOCOL_ETHERIP:
        drop(lane, view, DROP_WRONG_NEXT_HEADER)
    elif not etherip_valid(inner, len):
        drop(lane, view, DROP_ETHERIP_HEADER)
    else:
        forward_frame(lane, view.port, inner + ETHERIP_HEADER, len - ETHERIP_HEADER)


cdef void leave_tunnel(
    lane_t* lane, sa_lane_t* view, uint8_t next_header, uint8_t* inner, size_t len,
) noexcept nogil:
    """Tunnel mode carries what the selectors allow; TFC padding behind the packet is cut by its own length."""
    cdef packet_t packet
    if next_header != PROTOCOL_IP4 and next_header != PROTOCOL_IP6:
        drop(lane, view, DROP_WRONG_NEXT_HEADER)
    elif packet_parse(inner, len, &packet) < 0 or (packet.version == 4) != (next_header == PROTOCOL_IP4):
        drop(lane, view, DROP_INNER_IP_MALFORMED)
    elif not selectors_match(&view.port.port.remote, &view.port.port.local, &packet):
        drop(lane, view, DROP_SELECTOR_IN)
    else:
        forward_packet(lane, view.port, inner, &packet)


cdef int open_packet(
    lane_t* lane, sa_lane_t* view, const uint8_t* data, size_t len, uint8_t* next_header,
) noexcept nogil:
    """The inner length, or -reason; the inside stands in the lane's slot."""
    cdef int size
    if view.opener == NULL:
        view.opener = esp_ctx_new(&view.sa.key_in, True)
        if view.opener == NULL:
            return -<int>DROP_ESP_CRYPTO_FAILED
    size = esp_open(view.opener, data, len, lane.opened + HEAD_ROOM, next_header)
    if size == -<int>DROP_ESP_REPLAYED or size == -<int>DROP_ESP_TOO_OLD:
        bump(&view.replay_drops, 1)
    elif size == -<int>DROP_ESP_BAD_ICV:
        bump(&view.auth_drops, 1)
    return size


cdef void count_inbound(lane_t* lane, sa_lane_t* view, int size) noexcept nogil:
    if not view.told_first:
        view.told_first = tell_sa(lane, view, EVENT_FIRST_INBOUND, NULL)
    bump(&view.packets_in, 1)
    bump(&view.bytes_in, size)
    store64(&view.last_in, lane.now, RELAXED)
    bump(&view.port.packets_in, 1)
    bump(&view.port.bytes_in, size)


cdef void take_esp(lane_t* lane, int which, int index, const uint8_t* data, size_t len) noexcept nogil:
    cdef sa_lane_t* view = spi_find(lane, load_be32(data))
    cdef uint8_t* inner = lane.opened + HEAD_ROOM
    cdef uint8_t next_header = 0
    cdef uint64_t top
    cdef int size
    bump(&lane.stats.totals[<int>TOTAL_ESP_IN], 1)
    if view == NULL:
        take_unknown(lane, lane.queues + which, index, load_be32(data))
        return
    top = 0 if view.opener == NULL else esp_replay_top(view.opener)
    size = open_packet(lane, view, data, len, &next_header)
    if size < 0:
        drop(lane, view, -size)
        return
    count_inbound(lane, view, size)
    # One that was overtaken on its way tells where the peer was, not where it is.
    if esp_replay_top(view.opener) > top:
        check_peer(lane, view, which, lane.inbox.sources + index)
    if next_header == PROTOCOL_NONE:
        drop(lane, view, DROP_DUMMY_PACKET)
    elif view.sa.tunnel:
        leave_tunnel(lane, view, next_header, inner, size)
    else:
        leave_transport(lane, view, next_header, inner, size)


# Datagrams.

cdef int raw_header(const uint8_t* data, size_t len) noexcept nogil:
    """Raw IPv4 sockets deliver the IP header: its length, or -reason."""
    cdef size_t header
    if len < 20 or data[0] >> 4 != 4:
        return -<int>DROP_RAW_IP_HEADER
    header = (data[0] & 0x0f) * 4
    if header < 20 or header > len or load_be16(data + 2) > len:
        return -<int>DROP_RAW_IP_HEADER
    return <int>header


cdef int classify(lane_t* lane, int which, int index, size_t* offset) noexcept nogil:
    """0 when message `index` holds ESP at `offset`, 1 when it was IKE or a keep-alive and is done with, or -reason."""
    cdef const mmsghdr* message = lane.inbox.messages + index
    cdef const uint8_t* data = lane.inbox.slots + index * SLOT_STRIDE + HEAD_ROOM
    cdef size_t len = message.msg_len
    cdef int header
    offset[0] = 0
    if message.msg_hdr.msg_flags & MSG_TRUNC or len > SLOT_ROOM:
        return -<int>DROP_DATAGRAM_TRUNCATED
    if which >= RAW_SOCKETS:
        if which == RAW_SOCKETS:
            header = raw_header(data, len)
            if header < 0:
                return header
            offset[0] = header
        return 0 if len - offset[0] >= SPI_OCTETS else -<int>DROP_DATAGRAM_SHORT
    if len == 1 and data[0] == KEEPALIVE:
        bump(&lane.stats.totals[<int>TOTAL_KEEPALIVES], 1)
        return 1
    if len < SPI_OCTETS:
        return -<int>DROP_DATAGRAM_SHORT
    if load_be32(data) == 0:
        take_ike(lane, lane.queues + which, index, data, len)
        return 1
    return 0


cdef void inbound_process(lane_t* lane, int which, int count) noexcept nogil:
    cdef int esp[BATCH]
    cdef size_t offsets[BATCH]
    cdef const uint8_t* data
    cdef int found = 0
    cdef int index
    cdef int result
    for index in range(count):
        result = classify(lane, which, index, offsets + found)
        if result == 0:
            esp[found] = index
            found += 1
        elif result < 0:
            bump(&lane.stats.drops[-result], 1)
    for index in range(found):
        lane.expected = found - index
        data = lane.inbox.slots + esp[index] * SLOT_STRIDE + HEAD_ROOM + offsets[index]
        take_esp(lane, which, esp[index], data, lane.inbox.messages[esp[index]].msg_len - offsets[index])
