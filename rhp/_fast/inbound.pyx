"""From the wire to the hub."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from atomic cimport RELAXED, load64, store64
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
from rhp._fast.frame cimport FRAME_HEADER
from rhp._fast.lane cimport (
    HEAD_ROOM, OFFLOAD_TSO4, OFFLOAD_USO4, RAW_SOCKETS, SLOT_ROOM, SLOT_STRIDE, SPI_BUCKETS, lane_t, queue_t,
)
from rhp._fast.merge cimport (
    merge_append, merge_begin, merge_cancel, merge_finish, merge_join, merge_part, merge_place,
)
from rhp._fast.octets cimport load_be16, load_be32, load_be64
from rhp._fast.outer cimport inbox_local, inbox_segment
from rhp._fast.packet cimport address_equal, packet_parse, packet_t
from rhp._fast.parcel cimport parcel_plain, parcel_t
from rhp._fast.pathmtu cimport path_hear
from rhp._fast.rate cimport rate_take
from rhp._fast.reorder cimport (
    ORDER_EARLY, ORDER_LATE, ORDERING_HOLD, ORDERING_OFF, held_t, order_t, reorder_arrived, reorder_free, reorder_full,
    reorder_hold, reorder_most, reorder_overdue, reorder_ready,
)
from rhp._fast.sadb cimport ENCAPSULATION_ESP, ENCAPSULATION_UDP, sa_lane_t
from rhp._fast.seal cimport tell_limit
from rhp._fast.selector cimport selectors_match
from rhp._fast.stats cimport TOTAL_ESP_IN, TOTAL_HELD, TOTAL_IKE_IN, TOTAL_KEEPALIVES, TOTAL_MERGED, bump

cdef enum:
    SPI_OCTETS = 4
    FIRST_SPI = 256                 # Those below are reserved (RFC 4303 section 2.1).
    KEEPALIVE = 0xff
    PROTOCOL_IP4 = 4
    PROTOCOL_IP6 = 41
    PROTOCOL_NONE = 59
    KIND_ESP = 0
    KIND_IKE = 1
    KIND_KEEPALIVE = 2
    UNKNOWN_SPI_BURST = 16
    UNKNOWN_SPI_MS = 100            # One more event may be told after so long.
    MOVED_BURST = 8
    MOVED_MS = 250
    MOVED_AGAIN_MS = 5000           # Who is still there is told again, lest it was taken for a late packet.
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
        and lane.now_ms - view.peer_reported_ms < MOVED_AGAIN_MS
    ):
        return
    # A peer that keeps changing must not fill the ring. What was not told stays to be told with a later packet.
    if rate_take(&view.moves, lane.now_ms, MOVED_MS, MOVED_BURST) and tell_sa(lane, view, EVENT_NAT_MOVED, &seen):
        view.peer_reported = seen
        view.peer_reported_ms = lane.now_ms


# ESP.

cdef void drop(lane_t* lane, sa_lane_t* view, int reason) noexcept nogil:
    bump(&lane.stats.drops[reason], 1)
    bump(&view.port.drops, 1)


cdef void ship(lane_t* lane, sa_lane_t* view, parcel_t* parcel) noexcept nogil:
    """On to the hub. What stands in a tunnel is looked at again, because it may have grown to a super-frame."""
    cdef packet_t packet
    if not view.sa.tunnel:
        forward_frame(lane, lane.hubs[view.port.hub], view.port, parcel)
    elif packet_parse(parcel.data, parcel.len, &packet) == 0:
        forward_packet(lane, view.port, parcel, &packet)


cdef void ship_merged(lane_t* lane) noexcept nogil:
    """What has been put together so far."""
    cdef parcel_t parcel
    merge_finish(&lane.merge, &parcel)
    ship(lane, lane.merge_view, &parcel)


cdef void collect(lane_t* lane, sa_lane_t* view, uint8_t* data, uint32_t len, uint16_t network) noexcept nogil:
    """A frame, or the IP packet of a tunnel, that stands where `merge_place` said: merge it, or send it on."""
    cdef parcel_t parcel
    cdef int offloads = lane.hubs[view.port.hub].offloads
    cdef bint udp = offloads & OFFLOAD_USO4
    if lane.merge.parcel.data != NULL:
        if merge_append(&lane.merge, len, network, udp):
            bump(&lane.stats.totals[<int>TOTAL_MERGED], 1)
            return
        merge_part(&lane.merge)
        ship_merged(lane)
        merge_join(&lane.merge)
    if offloads & OFFLOAD_TSO4 and merge_begin(&lane.merge, len, network, udp):
        lane.merge_view = view
        return
    parcel_plain(&parcel, data, len)
    ship(lane, view, &parcel)


cdef int leave_transport(sa_lane_t* view, uint8_t next_header, const uint8_t* inner, size_t len) noexcept nogil:
    """Transport mode carries EtherIP and nothing else: the frame's length, or -reason."""
    if next_header != PROTOCOL_ETHERIP:
        return -<int>DROP_WRONG_NEXT_HEADER
    if not etherip_valid(inner, len):
        return -<int>DROP_ETHERIP_HEADER
    return <int>(len - ETHERIP_HEADER)


cdef int leave_tunnel(sa_lane_t* view, uint8_t next_header, const uint8_t* inner, size_t len) noexcept nogil:
    """Tunnel mode carries what the selectors allow; TFC padding behind the packet is cut by its own length.

    The packet's length, or -reason.
    """
    cdef packet_t packet
    if next_header != PROTOCOL_IP4 and next_header != PROTOCOL_IP6:
        return -<int>DROP_WRONG_NEXT_HEADER
    if packet_parse(inner, len, &packet) < 0 or (packet.version == 4) != (next_header == PROTOCOL_IP4):
        return -<int>DROP_INNER_IP_MALFORMED
    if not selectors_match(&view.port.port.remote, &view.port.port.local, &packet):
        return -<int>DROP_SELECTOR_IN
    return packet.total


cdef int open_packet(
    sa_lane_t* view, const uint8_t* data, size_t len, uint8_t* inner, uint8_t* next_header,
) noexcept nogil:
    """The inner length, or -reason."""
    cdef int size
    if view.opener == NULL:
        view.opener = esp_ctx_new(&view.sa.key_in, True)
        if view.opener == NULL:
            return -<int>DROP_ESP_CRYPTO_FAILED
    size = esp_open(view.opener, data, len, inner, next_header)
    if size == -<int>DROP_ESP_REPLAYED or size == -<int>DROP_ESP_TOO_OLD:
        bump(&view.replay_drops, 1)
    elif size == -<int>DROP_ESP_BAD_ICV:
        bump(&view.auth_drops, 1)
    return size


cdef bint has_lifetime(lane_t* lane, const sa_lane_t* view) noexcept nogil:
    """Whether an SA may take one more packet. Only this lane opens them, so its own counters are all there is."""
    if view.bytes_in < view.sa.octet_limit and view.packets_in < view.sa.packet_limit:
        return True
    tell_limit(lane, view.sa, 2)
    return False


cdef void count_inbound(lane_t* lane, sa_lane_t* view, int size) noexcept nogil:
    if not view.told_first:
        view.told_first = tell_sa(lane, view, EVENT_FIRST_INBOUND, NULL)
    bump(&view.packets_in, 1)
    bump(&view.bytes_in, size)
    store64(&view.last_in, lane.now, RELAXED)
    bump(&view.port.packets_in, 1)
    bump(&view.port.bytes_in, size)
    if view.sa.limited and (view.bytes_in > view.sa.octet_warn or view.packets_in > view.sa.packet_warn):
        tell_limit(lane, view.sa, 1)


cdef void refuse(lane_t* lane, sa_lane_t* view, int reason) noexcept nogil:
    """The packet that was opened, or was to be, goes no further."""
    merge_cancel(&lane.merge)
    drop(lane, view, reason)


cdef uint8_t* make_place(lane_t* lane, const sa_lane_t* view) noexcept nogil:
    """Where the next packet of this SA shall stand."""
    if lane.merge.parcel.data != NULL and lane.merge_view.port != view.port:
        ship_merged(lane)
    return merge_place(&lane.merge, 0 if view.sa.tunnel else ETHERIP_HEADER)


cdef void deliver(lane_t* lane, sa_lane_t* view, uint8_t* inner, int size, uint8_t next_header) noexcept nogil:
    """A packet of `size` octets that stands where `make_place` said."""
    if next_header == PROTOCOL_NONE:
        if path_hear(lane, view, inner, size):
            merge_cancel(&lane.merge)
            return
        size = -<int>DROP_DUMMY_PACKET
    elif view.sa.tunnel:
        size = leave_tunnel(view, next_header, inner, size)
    else:
        size = leave_transport(view, next_header, inner, size)
    if size < 0:
        refuse(lane, view, -size)
    elif view.sa.tunnel:
        collect(lane, view, inner, <uint32_t>size, 0)
    else:
        collect(lane, view, inner + ETHERIP_HEADER, <uint32_t>size, FRAME_HEADER)


# In-order delivery.

cdef void deliver_held(lane_t* lane, held_t* held) noexcept nogil:
    """One that has waited, and what follows it without a gap."""
    cdef order_t* order = held.order
    cdef sa_lane_t* view = <sa_lane_t*>held.owner
    cdef uint8_t* inner
    while held != NULL:
        inner = make_place(lane, view)
        memcpy(inner, held.data, held.len)
        reorder_free(&lane.reorder, held)
        deliver(lane, view, inner, <int>held.len, held.next_header)
        held = reorder_ready(&lane.reorder, order)


cdef void inbound_overdue(lane_t* lane) noexcept nogil:
    cdef held_t* held = reorder_overdue(&lane.reorder, lane.now)
    while held != NULL:
        deliver_held(lane, held)
        held = reorder_overdue(&lane.reorder, lane.now)


cdef uint64_t sequence_of(const sa_lane_t* view, const uint8_t* data) noexcept nogil:
    """All 64 bits of the sequence number of a packet that was let in: none is higher than the highest so far."""
    cdef uint64_t top = esp_replay_top(view.opener)
    cdef uint64_t sequence = (top & ~<uint64_t>0xffffffffU) | load_be32(data + SPI_OCTETS)
    return sequence if sequence <= top else sequence - (<uint64_t>1 << 32)


cdef void deliver_in_turn(
    lane_t* lane, sa_lane_t* view, bint hold, uint64_t sequence, uint8_t* inner, int size, uint8_t next_header,
) noexcept nogil:
    cdef int verdict = reorder_arrived(&view.order, sequence, hold)
    cdef held_t* held
    if verdict == ORDER_LATE:
        refuse(lane, view, DROP_OVERTAKEN)
    elif verdict == ORDER_EARLY:
        bump(&lane.stats.totals[<int>TOTAL_HELD], 1)
        reorder_hold(
            &lane.reorder, &view.order, view, sequence, lane.now, inner, <uint32_t>size, next_header,
        )
        merge_cancel(&lane.merge)
    else:
        deliver(lane, view, inner, size, next_header)
        held = reorder_ready(&lane.reorder, &view.order)
        if held != NULL:
            deliver_held(lane, held)


cdef void take_esp(lane_t* lane, int which, int index, const uint8_t* data, size_t len) noexcept nogil:
    cdef sa_lane_t* view = spi_find(lane, load_be32(data))
    cdef uint8_t* inner
    cdef uint8_t next_header = 0
    cdef uint64_t ordering
    cdef uint64_t top
    cdef int size
    bump(&lane.stats.totals[<int>TOTAL_ESP_IN], 1)
    if view == NULL:
        take_unknown(lane, lane.queues + which, index, load_be32(data))
        return
    if view.sa.limited and not has_lifetime(lane, view):
        drop(lane, view, DROP_LIFETIME_OVER)
        return
    ordering = ORDERING_OFF if view.sa.tunnel else load64(&lane.hubs[view.port.hub].hub.ordering, RELAXED)
    if ordering == ORDERING_HOLD and reorder_full(&lane.reorder):
        deliver_held(lane, reorder_most(&lane.reorder))
    inner = make_place(lane, view)
    top = 0 if view.opener == NULL else esp_replay_top(view.opener)
    size = open_packet(view, data, len, inner, &next_header)
    if size < 0:
        refuse(lane, view, -size)
        return
    count_inbound(lane, view, size)
    # One that was overtaken on its way tells where the peer was, not where it is.
    if esp_replay_top(view.opener) > top:
        check_peer(lane, view, which, lane.inbox.sources + index)
    if ordering == ORDERING_OFF:
        deliver(lane, view, inner, size, next_header)
        return
    if view.order.next == 0:
        view.order.next = top + 1
    deliver_in_turn(lane, view, ordering == ORDERING_HOLD, sequence_of(view, data), inner, size, next_header)


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


cdef int classify(const uint8_t* data, size_t len, int which, size_t* offset) noexcept nogil:
    """What a datagram is: 0 = ESP at `offset`, 1 = IKE, 2 = a keep-alive, or -reason."""
    cdef int header
    offset[0] = 0
    if which >= RAW_SOCKETS:
        if which == RAW_SOCKETS:
            header = raw_header(data, len)
            if header < 0:
                return header
            offset[0] = header
        return KIND_ESP if len - offset[0] >= SPI_OCTETS else -<int>DROP_DATAGRAM_SHORT
    if len == 1 and data[0] == KEEPALIVE:
        return KIND_KEEPALIVE
    if len < SPI_OCTETS:
        return -<int>DROP_DATAGRAM_SHORT
    return KIND_IKE if load_be32(data) == 0 else KIND_ESP


cdef void take_first(lane_t* lane, int which, int index, const uint8_t* data, size_t len) noexcept nogil:
    """Everything but ESP."""
    cdef size_t offset = 0
    cdef int kind = classify(data, len, which, &offset)
    if kind == KIND_ESP:
        lane.expected += 1
    elif kind == KIND_IKE:
        take_ike(lane, lane.queues + which, index, data, len)
    elif kind == KIND_KEEPALIVE:
        bump(&lane.stats.totals[<int>TOTAL_KEEPALIVES], 1)
    else:
        bump(&lane.stats.drops[-kind], 1)


cdef void take_second(lane_t* lane, int which, int index, const uint8_t* data, size_t len) noexcept nogil:
    cdef size_t offset = 0
    if classify(data, len, which, &offset) == KIND_ESP:
        take_esp(lane, which, index, data + offset, len - offset)
        lane.expected -= 1


cdef void split(
    lane_t* lane, int which, int index, void (*take)(lane_t*, int, int, const uint8_t*, size_t) noexcept nogil,
) noexcept nogil:
    """Each datagram of a message: a train holds many of one length, and the last may be shorter."""
    cdef const uint8_t* data = lane.inbox.slots + index * SLOT_STRIDE + HEAD_ROOM
    cdef size_t left = lane.inbox.messages[index].msg_len
    cdef size_t segment = inbox_segment(lane, index)
    cdef size_t len
    while left > 0:
        len = min(left, segment)
        take(lane, which, index, data, len)
        data += len
        left -= len


cdef void inbound_process(lane_t* lane, int which, int count) noexcept nogil:
    cdef mmsghdr* message
    cdef int index
    lane.expected = 0
    for index in range(count):
        message = lane.inbox.messages + index
        if message.msg_hdr.msg_flags & MSG_TRUNC or message.msg_len > SLOT_ROOM:
            bump(&lane.stats.drops[<int>DROP_DATAGRAM_TRUNCATED], 1)
            message.msg_len = 0
        elif message.msg_len == 0:
            bump(&lane.stats.drops[<int>DROP_DATAGRAM_SHORT], 1)
        else:
            split(lane, which, index, take_first)
    for index in range(count):
        split(lane, which, index, take_second)


cdef void inbound_finish(lane_t* lane) noexcept nogil:
    if lane.merge.parcel.data != NULL:
        ship_merged(lane)
