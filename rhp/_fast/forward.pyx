"""The hub's decisions."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from atomic cimport RELAXED, load64

from rhp._fast.arpnd cimport (
    DISCOVERY_ARP_REQUEST, DISCOVERY_NONE, discovery_answer, discovery_is_question, discovery_read, discovery_t,
)
from rhp._fast.drops cimport (
    DROP_FLOOD_LIMIT, DROP_HUB_ISOLATED, DROP_HUB_SAME_PORT, DROP_HUB_SPOOFED_MAC, DROP_NOT_IP, DROP_SELECTOR_OUT,
    DROP_TAP_HEADER, DROP_TOO_BIG,
)
from rhp._fast.entry cimport table_share_take
from rhp._fast.frame cimport (
    FRAME_HEADER, TYPE_ARP, TYPE_IP4, TYPE_IP6, frame_is_control, frame_parse, frame_t, mac_is_group,
)
from rhp._fast.hub cimport (
    HUB_UNKNOWN, LEARN_FULL, LEARN_MOVED, LEARN_NEW, LEARN_SPOOFED, LEARN_UNKNOWN, hub_insert, hub_lookup,
    hub_recognise, learn_t,
)
from rhp._fast.hub_lane cimport hub_lane_t
from rhp._fast.lane cimport HEAD_ROOM, lane_t
from rhp._fast.mirror cimport mirror_copy
from rhp._fast.mss cimport mss_clamp
from rhp._fast.neighbour cimport found_t, neighbour_find, neighbour_learn
from rhp._fast.octets cimport store_be16, store_mac
from rhp._fast.packet cimport address_is4, address_is_group, address_t, packet_parse, packet_t
from rhp._fast.parcel cimport SUPER_NONE, SUPER_UDP, parcel_plain, parcel_t
from rhp._fast.rate cimport budget_t, budget_take
from rhp._fast.routes cimport route_next, route_search, route_search_t
from rhp._fast.sadb cimport PORT_ETHERNET, PORT_IP, TAP_PORT, port_lane_t, port_owns, ports_apart
from rhp._fast.seal cimport seal_frame, seal_packet
from rhp._fast.selector cimport selectors_match
from rhp._fast.stats cimport (
    TOTAL_ARP_ANSWERED, TOTAL_FLOODED, TOTAL_MAC_LEARNED, TOTAL_MAC_MOVED, TOTAL_MAC_TABLE_FULL, TOTAL_MSS_CLAMPED,
    TOTAL_ND_ANSWERED, TOTAL_OVERSIZED, TOTAL_PEER_TO_PEER, TOTAL_TOO_BIG_ANSWERED, bump,
)
from rhp._fast.tap cimport tap_write
from rhp._fast.toobig cimport toobig_answer

cdef enum:
    IP6_NEXT_HEADER = 6
    ICMP6 = 58
    # Copies that one sender may have made by flooding: a tenth of what a lane can send, half a second of it at once.
    FLOOD_PER_MS = 50
    FLOOD_BURST = 25000
    FLOOD_BULK = 20000              # What is left is for control traffic: who floods data is still asked by ARP and ND.
    FLOOD_TAP = 4                   # Shares of the TAP, behind which a whole site may live.
    FLOOD_UNIT = 1500               # Octets that count as one frame, if segments are not shorter.
    UDP_HEADER = 8
    TCP_DATA_OFFSET = 12


cdef inline int number_of(const port_lane_t* port) noexcept nogil:
    return TAP_PORT if port == NULL else port.port.number


cdef void drop(hub_lane_t* hub, port_lane_t* source, int reason) noexcept nogil:
    bump(&hub.stats.drops[reason], 1)
    if source != NULL:
        bump(&source.drops, 1)


cdef bint allowed(const hub_lane_t* hub, const port_lane_t* source, const port_lane_t* target) noexcept nogil:
    """Whether two ports may exchange frames; NULL is the TAP, which everybody sees."""
    if source == NULL or target == NULL:
        return True
    return not load64(&hub.hub.isolate, RELAXED) and not ports_apart(source.port, target.port)


cdef void clamp(
    hub_lane_t* hub, const port_lane_t* port, const parcel_t* parcel, const frame_t* frame,
) noexcept nogil:
    """A SYN is never in a super-frame."""
    cdef uint16_t limit
    if port == NULL or parcel.kind != SUPER_NONE:
        return
    limit = <uint16_t>load64(&port.port.mss, RELAXED)
    if limit > frame.network - FRAME_HEADER:
        # VLAN tags take their share of what the path carries.
        limit -= frame.network - FRAME_HEADER
    if limit and mss_clamp(parcel.data, parcel.len, frame, limit, parcel.unfinished):
        bump(&hub.stats.totals[<int>TOTAL_MSS_CLAMPED], 1)


# Learning.

cdef bint learn(lane_t* lane, hub_lane_t* hub, port_lane_t* source, uint64_t mac) noexcept nogil:
    """False when the sender claims a fixed address of another port."""
    cdef learn_t result = hub_recognise(hub.hub, mac, number_of(source), lane.now_ms)
    if result == LEARN_UNKNOWN:
        # No peer may fill the table and so have everybody's frames flooded.
        if source != NULL and not table_share_take(&source.stations, hub.hub.mask, lane.now_ms):
            result = LEARN_FULL
        else:
            result = hub_insert(hub.hub, mac, number_of(source), lane.now_ms)
    if result == LEARN_NEW:
        bump(&hub.stats.totals[<int>TOTAL_MAC_LEARNED], 1)
    elif result == LEARN_MOVED:
        bump(&hub.stats.totals[<int>TOTAL_MAC_MOVED], 1)
    elif result == LEARN_FULL:
        bump(&hub.stats.totals[<int>TOTAL_MAC_TABLE_FULL], 1)
    return result != LEARN_SPOOFED


cdef void learn_neighbour(
    lane_t* lane, hub_lane_t* hub, port_lane_t* source, address_t address, uint64_t mac,
) noexcept nogil:
    neighbour_learn(
        hub.hub.neighbours, address, mac, number_of(source), lane.now_ms, load64(&hub.hub.ageing, RELAXED),
        NULL if source == NULL else &source.neighbours,
    )


# ARP and ND.

cdef bint owner_of(
    lane_t* lane, hub_lane_t* hub, const port_lane_t* source, const discovery_t* discovery, uint64_t* mac,
) noexcept nogil:
    """Whether we may answer for the target, and with which MAC: an entry of the control plane, or a peer's range.

    Never for an address that somebody was seen to have, nor back to the port where it lives, nor for this host, which
    answers for itself. A probe for an address inside a range stays unanswered, since nobody said that it is in use.
    """
    cdef found_t found
    cdef route_search_t search
    cdef port_lane_t* port
    if neighbour_find(hub.hub.neighbours, discovery.target, lane.now_ms, load64(&hub.hub.ageing, RELAXED), &found):
        mac[0] = found.mac
        if not found.fixed or found.port == number_of(source) or found.port == TAP_PORT:
            return False
        return lane.ports[found.port] != NULL and allowed(hub, source, lane.ports[found.port])
    if discovery.probe:
        return False
    route_search(&search, discovery.target)
    port = <port_lane_t*>route_next(hub.routes, &search)
    while port != NULL:
        if port != source and allowed(hub, source, port) and port_owns(port.port, discovery.target):
            mac[0] = port.port.pseudo_mac
            return True
        port = <port_lane_t*>route_next(hub.routes, &search)
    return False


cdef void reply(lane_t* lane, hub_lane_t* hub, port_lane_t* source, size_t len) noexcept nogil:
    """The answer stands in the lane's small slot."""
    cdef parcel_t parcel
    parcel_plain(&parcel, lane.answer + HEAD_ROOM, <uint32_t>len)
    if source == NULL:
        tap_write(lane, hub, &parcel)
    elif source.port.kind == PORT_ETHERNET:
        seal_frame(lane, source, &parcel)
    else:
        # Only ICMP is sent back into a tunnel-mode SA, and without its Ethernet header.
        parcel_plain(&parcel, lane.answer + HEAD_ROOM + FRAME_HEADER, <uint32_t>(len - FRAME_HEADER))
        seal_packet(lane, source, &parcel, parcel.data[0] >> 4)


cdef bint discover(
    lane_t* lane, hub_lane_t* hub, port_lane_t* source, const uint8_t* data, size_t len, const frame_t* frame,
) noexcept nogil:
    """Learn from ARP and ND and answer questions; True when the frame was answered and goes no further."""
    cdef discovery_t discovery
    cdef uint64_t mac
    discovery_read(data, len, frame, &discovery)
    if discovery.kind == DISCOVERY_NONE:
        return False
    if discovery.known_sender and hub.ip_count:
        learn_neighbour(lane, hub, source, discovery.sender, frame.source)
    if not load64(&hub.hub.proxy, RELAXED) or not discovery_is_question(&discovery):
        return False
    if not owner_of(lane, hub, source, &discovery, &mac):
        return False
    if discovery.kind == DISCOVERY_ARP_REQUEST:
        bump(&hub.stats.totals[<int>TOTAL_ARP_ANSWERED], 1)
    else:
        bump(&hub.stats.totals[<int>TOTAL_ND_ANSWERED], 1)
    reply(lane, hub, source, discovery_answer(data, frame, &discovery, mac, lane.answer + HEAD_ROOM))
    return True


cdef inline bint may_discover(const uint8_t* data, size_t len, const frame_t* frame) noexcept nogil:
    return frame.ethertype == TYPE_ARP or (
        frame.ethertype == TYPE_IP6 and len > FRAME_HEADER + IP6_NEXT_HEADER
        and data[FRAME_HEADER + IP6_NEXT_HEADER] == ICMP6
    )


# Too long for the path.

cdef inline size_t longest(const parcel_t* parcel) noexcept nogil:
    """Octets of the longest frame that the parcel stands for."""
    cdef size_t header = UDP_HEADER
    if parcel.kind == SUPER_NONE:
        return parcel.len
    if parcel.kind != SUPER_UDP and <uint32_t>parcel.checksum_start + TCP_DATA_OFFSET < parcel.len:
        header = (parcel.data[parcel.checksum_start + TCP_DATA_OFFSET] >> 4) * 4
    return parcel.checksum_start + header + parcel.segment_size


cdef inline bint is_oversized(const port_lane_t* target, const parcel_t* parcel) noexcept nogil:
    cdef uint64_t limit = load64(&target.port.limit, RELAXED)
    return limit != 0 and parcel.len > limit and longest(parcel) > limit


cdef bint told(
    lane_t* lane, hub_lane_t* hub, port_lane_t* source, const port_lane_t* target, const parcel_t* parcel,
    const frame_t* frame,
) noexcept nogil:
    """What becomes of a frame that is too long: True when its sender was told; else it goes in fragments."""
    cdef uint32_t limit = <uint32_t>load64(&target.port.limit, RELAXED)
    cdef int size = 0
    if load64(&hub.hub.answer, RELAXED):
        size = toobig_answer(
            parcel.data, parcel.len, frame, limit, &hub.answers, lane.now_ms, lane.answer + HEAD_ROOM,
        )
    if size == 0:
        bump(&hub.stats.totals[<int>TOTAL_OVERSIZED], 1)
        return False
    if size > 0:
        bump(&hub.stats.totals[<int>TOTAL_TOO_BIG_ANSWERED], 1)
        reply(lane, hub, source, size)
    drop(hub, source, DROP_TOO_BIG)
    return True


# Delivery.

cdef void enter_tunnel(
    lane_t* lane, hub_lane_t* hub, port_lane_t* source, port_lane_t* target, const parcel_t* parcel,
    const frame_t* frame,
) noexcept nogil:
    """An IP port: the Ethernet header ends here."""
    cdef packet_t packet
    cdef parcel_t inner = parcel[0]
    if frame.network != FRAME_HEADER or (frame.ethertype != TYPE_IP4 and frame.ethertype != TYPE_IP6):
        drop(hub, target, DROP_NOT_IP)
        return
    if (
        packet_parse(parcel.data + FRAME_HEADER, parcel.len - FRAME_HEADER, &packet) < 0
        or (packet.version == 4) != (frame.ethertype == TYPE_IP4)
    ):
        drop(hub, target, DROP_NOT_IP)
        return
    if not selectors_match(&target.port.local, &target.port.remote, &packet):
        drop(hub, target, DROP_SELECTOR_OUT)
        return
    learn_neighbour(lane, hub, source, packet.source, frame.source)
    inner.data += FRAME_HEADER
    inner.len = packet.total
    inner.network = 0
    if inner.unfinished:
        inner.checksum_start -= FRAME_HEADER
        if <uint32_t>inner.checksum_start + inner.checksum_offset + 2 > inner.len:
            # It would stand in the padding behind the packet.
            drop(hub, target, DROP_TAP_HEADER)
            return
    seal_packet(lane, target, &inner, packet.version)


cdef inline bint reaches_tap_only(const hub_lane_t* hub, const port_lane_t* source) noexcept nogil:
    """Peers that are kept apart from one another flood to nobody else."""
    return source != NULL and load64(&hub.hub.isolate, RELAXED) != 0


cdef bint may_flood(
    lane_t* lane, hub_lane_t* hub, port_lane_t* source, const parcel_t* parcel, const frame_t* frame,
) noexcept nogil:
    """Whether the sender has not yet used up its share of copies. What is not multiplied needs no share."""
    cdef budget_t* budget = &hub.floods if source == NULL else &source.floods
    cdef uint64_t copies = hub.ethernet_count
    cdef uint64_t shares = FLOOD_TAP if source == NULL else 1
    cdef uint64_t most = FLOOD_BULK
    cdef uint32_t unit = FLOOD_UNIT
    if source != NULL and source.port.kind != PORT_ETHERNET:
        copies += 1
    if copies <= 1 or reaches_tap_only(hub, source):
        return True
    if frame_is_control(parcel.data, parcel.len, frame):
        most = FLOOD_BURST
    if parcel.kind != SUPER_NONE:
        # Small segments that were put together leave one by one again.
        unit = min(unit, <uint32_t>parcel.segment_size)
    copies *= 1 + parcel.len / unit
    return budget_take(budget, lane.now_ms, copies, FLOOD_PER_MS * shares, most * shares)


cdef void flood(
    lane_t* lane, hub_lane_t* hub, port_lane_t* source, parcel_t* parcel, const frame_t* frame,
) noexcept nogil:
    cdef port_lane_t* target
    cdef int number
    if not may_flood(lane, hub, source, parcel, frame):
        drop(hub, source, DROP_FLOOD_LIMIT)
        return
    bump(&hub.stats.totals[<int>TOTAL_FLOODED], 1)
    if source != NULL:
        tap_write(lane, hub, parcel)
    if reaches_tap_only(hub, source):
        return
    number = hub.first
    for _ in range(hub.ethernet_count):
        target = lane.ports[number]
        number = target.next
        if target != source and allowed(hub, source, target):
            clamp(hub, target, parcel, frame)
            if is_oversized(target, parcel):
                bump(&hub.stats.totals[<int>TOTAL_OVERSIZED], 1)
            seal_frame(lane, target, parcel)


cdef void deliver(
    lane_t* lane, hub_lane_t* hub, port_lane_t* source, parcel_t* parcel, const frame_t* frame,
) noexcept nogil:
    """To where the destination lives."""
    cdef port_lane_t* target = NULL
    cdef int number = HUB_UNKNOWN
    parcel.network = frame.network
    # A SYN is clamped for the peer it comes from as well, so that also a host without a clamp of its own fits.
    clamp(hub, source, parcel, frame)
    if not mac_is_group(frame.destination):
        number = hub_lookup(hub.hub, frame.destination, lane.now_ms)
    if number > TAP_PORT:
        target = lane.ports[number]
        if target == NULL:
            number = HUB_UNKNOWN
    if number == HUB_UNKNOWN:
        flood(lane, hub, source, parcel, frame)
    elif target == source:
        drop(hub, source, DROP_HUB_SAME_PORT)
    elif target == NULL:
        tap_write(lane, hub, parcel)
    elif not allowed(hub, source, target):
        drop(hub, source, DROP_HUB_ISOLATED)
    elif not is_oversized(target, parcel) or not told(lane, hub, source, target, parcel, frame):
        if source != NULL:
            bump(&hub.stats.totals[<int>TOTAL_PEER_TO_PEER], 1)
        clamp(hub, target, parcel, frame)
        if target.port.kind == PORT_ETHERNET:
            seal_frame(lane, target, parcel)
        else:
            enter_tunnel(lane, hub, source, target, parcel, frame)


cdef void forward_frame(lane_t* lane, hub_lane_t* hub, port_lane_t* source, parcel_t* parcel) noexcept nogil:
    cdef frame_t frame
    cdef int reason = frame_parse(parcel.data, parcel.len, &frame)
    if load64(&lane.mirror.octets, RELAXED) and source != NULL:
        mirror_copy(&lane.mirror, source.port.number, False, parcel.data, parcel.len, lane.now)
    if reason < 0:
        drop(hub, source, -reason)
        return
    if not learn(lane, hub, source, frame.source):
        drop(hub, source, DROP_HUB_SPOOFED_MAC)
        return
    if may_discover(parcel.data, parcel.len, &frame) and discover(lane, hub, source, parcel.data, parcel.len, &frame):
        return
    deliver(lane, hub, source, parcel, &frame)


# Out of a tunnel-mode SA.

cdef uint64_t group_mac(address_t address) noexcept nogil:
    """The Ethernet address of an IP group (RFC 1112 section 6.4, RFC 2464 section 7)."""
    if not address_is4(address):
        return (<uint64_t>0x3333 << 32) | (address.low & 0xffffffffU)
    if (address.low & 0xffffffffU) == 0xffffffffU:
        return (<uint64_t>0xffff << 32) | 0xffffffffU
    return (<uint64_t>0x01005e << 24) | (address.low & 0x7fffff)


cdef bint tunnel_accepts(
    const port_lane_t* source, const port_lane_t* target, const packet_t* packet,
) noexcept nogil:
    return (
        target != NULL and target != source and target.port.kind == PORT_IP
        and selectors_match(&target.port.local, &target.port.remote, packet)
    )


cdef uint64_t mac_for(
    lane_t* lane, hub_lane_t* hub, const port_lane_t* source, const packet_t* packet,
) noexcept nogil:
    """Where an inner packet goes: a group, another tunnel-mode peer, a station that was seen, or else this host."""
    cdef address_t address = packet.destination
    cdef port_lane_t* target
    cdef route_search_t search
    cdef found_t found
    if address_is_group(address):
        return group_mac(address)
    if neighbour_find(hub.hub.neighbours, address, lane.now_ms, load64(&hub.hub.ageing, RELAXED), &found):
        target = lane.ports[found.port]
        if found.port != source.port.number and (
            target == NULL or target.port.kind == PORT_ETHERNET or tunnel_accepts(source, target, packet)
        ):
            return found.mac
        return load64(&hub.hub.tap_mac, RELAXED)
    route_search(&search, address)
    target = <port_lane_t*>route_next(hub.routes, &search)
    while target != NULL:
        if port_owns(target.port, address) and tunnel_accepts(source, target, packet):
            return target.port.pseudo_mac
        target = <port_lane_t*>route_next(hub.routes, &search)
    return load64(&hub.hub.tap_mac, RELAXED)


cdef void forward_packet(
    lane_t* lane, port_lane_t* source, parcel_t* parcel, const packet_t* packet,
) noexcept nogil:
    cdef hub_lane_t* hub = lane.hubs[source.hub]
    cdef uint8_t* header = parcel.data - FRAME_HEADER
    cdef frame_t frame
    frame.destination = mac_for(lane, hub, source, packet)
    frame.source = source.port.pseudo_mac
    frame.ethertype = TYPE_IP4 if packet.version == 4 else TYPE_IP6
    frame.network = FRAME_HEADER
    store_mac(header, frame.destination)
    store_mac(header + 6, frame.source)
    store_be16(header + 12, frame.ethertype)
    parcel.data = header
    parcel.len = FRAME_HEADER + packet.total
    if load64(&lane.mirror.octets, RELAXED):
        mirror_copy(&lane.mirror, source.port.number, False, parcel.data, parcel.len, lane.now)
    if parcel.unfinished:
        parcel.checksum_start += FRAME_HEADER
    deliver(lane, hub, source, parcel, &frame)
