"""The hub's decisions."""

from libc.stdint cimport uint8_t, uint64_t

from atomic cimport RELAXED, load64

from rhp._fast.arpnd cimport (
    DISCOVERY_ARP_REQUEST, DISCOVERY_NONE, discovery_answer, discovery_is_question, discovery_read, discovery_t,
)
from rhp._fast.drops cimport (
    DROP_HUB_ISOLATED, DROP_HUB_SAME_PORT, DROP_HUB_SPOOFED_MAC, DROP_NOT_IP, DROP_SELECTOR_OUT,
)
from rhp._fast.frame cimport FRAME_HEADER, TYPE_ARP, TYPE_IP4, TYPE_IP6, frame_parse, frame_t, mac_is_group
from rhp._fast.hub cimport (
    HUB_UNKNOWN, LEARN_FULL, LEARN_MOVED, LEARN_NEW, LEARN_SPOOFED, LEARN_UNKNOWN, hub_insert, hub_lookup,
    hub_recognise, learn_t,
)
from rhp._fast.lane cimport HEAD_ROOM, lane_t
from rhp._fast.mss cimport mss_clamp
from rhp._fast.neighbour cimport found_t, neighbour_find, neighbour_learn
from rhp._fast.octets cimport store_be16, store_mac
from rhp._fast.packet cimport address_is4, address_is_group, address_t, packet_parse, packet_t
from rhp._fast.rate cimport rate_take
from rhp._fast.sadb cimport PORT_ETHERNET, PORT_IP, TAP_PORT, port_lane_t, port_owns, ports_apart
from rhp._fast.seal cimport seal_frame, seal_packet
from rhp._fast.selector cimport selectors_match
from rhp._fast.stats cimport (
    TOTAL_ARP_ANSWERED, TOTAL_FLOODED, TOTAL_MAC_LEARNED, TOTAL_MAC_MOVED, TOTAL_MAC_TABLE_FULL, TOTAL_MSS_CLAMPED,
    TOTAL_ND_ANSWERED, TOTAL_PEER_TO_PEER, bump,
)
from rhp._fast.tap cimport tap_write

cdef enum:
    IP6_NEXT_HEADER = 6
    ICMP6 = 58
    # New MACs of one peer: with the default ageing, a third of the table at most.
    STATIONS_BURST = 4096
    STATIONS_MS = 100


cdef inline int number_of(const port_lane_t* port) noexcept nogil:
    return TAP_PORT if port == NULL else port.port.number


cdef void drop(lane_t* lane, port_lane_t* source, int reason) noexcept nogil:
    bump(&lane.stats.drops[reason], 1)
    if source != NULL:
        bump(&source.drops, 1)


cdef bint allowed(const lane_t* lane, const port_lane_t* source, const port_lane_t* target) noexcept nogil:
    """Whether two ports may exchange frames; NULL is the TAP, which everybody sees."""
    if source == NULL or target == NULL:
        return True
    return not load64(&lane.hub.isolate, RELAXED) and not ports_apart(source.port, target.port)


cdef void clamp(lane_t* lane, const port_lane_t* port, uint8_t* data, size_t len, const frame_t* frame) noexcept nogil:
    if port != NULL and port.port.mss and mss_clamp(data, len, frame, port.port.mss):
        bump(&lane.stats.totals[<int>TOTAL_MSS_CLAMPED], 1)


# Learning.

cdef bint learn(lane_t* lane, port_lane_t* source, uint64_t mac) noexcept nogil:
    """False when the sender claims a fixed address of another port."""
    cdef learn_t result = hub_recognise(lane.hub, mac, number_of(source), lane.now_ms)
    if result == LEARN_UNKNOWN:
        # No peer may fill the table and so have everybody's frames flooded.
        if source != NULL and not rate_take(&source.stations, lane.now_ms, STATIONS_MS, STATIONS_BURST):
            result = LEARN_FULL
        else:
            result = hub_insert(lane.hub, mac, number_of(source), lane.now_ms)
    if result == LEARN_NEW:
        bump(&lane.stats.totals[<int>TOTAL_MAC_LEARNED], 1)
    elif result == LEARN_MOVED:
        bump(&lane.stats.totals[<int>TOTAL_MAC_MOVED], 1)
    elif result == LEARN_FULL:
        bump(&lane.stats.totals[<int>TOTAL_MAC_TABLE_FULL], 1)
    return result != LEARN_SPOOFED


cdef void learn_neighbour(lane_t* lane, const port_lane_t* source, address_t address, uint64_t mac) noexcept nogil:
    neighbour_learn(
        lane.neighbours, address, mac, number_of(source), lane.now_ms, load64(&lane.hub.ageing, RELAXED),
    )


# ARP and ND.

cdef bint owner_of(
    lane_t* lane, const port_lane_t* source, const discovery_t* discovery, uint64_t* mac,
) noexcept nogil:
    """Whether we may answer for the target, and with which MAC: an entry of the control plane, or a peer's range.

    Never for an address that somebody was seen to have, nor back to the port where it lives, nor for this host, which
    answers for itself. A probe for an address inside a range stays unanswered, since nobody said that it is in use.
    """
    cdef found_t found
    cdef port_lane_t* port
    cdef int index
    if neighbour_find(lane.neighbours, discovery.target, lane.now_ms, load64(&lane.hub.ageing, RELAXED), &found):
        mac[0] = found.mac
        if not found.fixed or found.port == number_of(source) or found.port == TAP_PORT:
            return False
        return lane.ports[found.port] != NULL and allowed(lane, source, lane.ports[found.port])
    if discovery.probe:
        return False
    for index in range(lane.routed_count - 1, -1, -1):
        port = lane.routed[index]
        if port != source and allowed(lane, source, port) and port_owns(port.port, discovery.target):
            mac[0] = port.port.pseudo_mac
            return True
    return False


cdef void reply(lane_t* lane, port_lane_t* source, size_t len) noexcept nogil:
    """The answer stands in the lane's small slot."""
    if source == NULL:
        tap_write(lane, lane.answer + HEAD_ROOM, len)
    else:
        seal_frame(lane, source, lane.answer + HEAD_ROOM, len)


cdef bint discover(
    lane_t* lane, port_lane_t* source, const uint8_t* data, size_t len, const frame_t* frame,
) noexcept nogil:
    """Learn from ARP and ND and answer questions; True when the frame was answered and goes no further."""
    cdef discovery_t discovery
    cdef uint64_t mac
    discovery_read(data, len, frame, &discovery)
    if discovery.kind == DISCOVERY_NONE:
        return False
    if discovery.known_sender and lane.ip_count:
        learn_neighbour(lane, source, discovery.sender, frame.source)
    if not load64(&lane.hub.proxy, RELAXED) or not discovery_is_question(&discovery):
        return False
    if not owner_of(lane, source, &discovery, &mac):
        return False
    if discovery.kind == DISCOVERY_ARP_REQUEST:
        bump(&lane.stats.totals[<int>TOTAL_ARP_ANSWERED], 1)
    else:
        bump(&lane.stats.totals[<int>TOTAL_ND_ANSWERED], 1)
    reply(lane, source, discovery_answer(data, frame, &discovery, mac, lane.answer + HEAD_ROOM))
    return True


cdef inline bint may_discover(const uint8_t* data, size_t len, const frame_t* frame) noexcept nogil:
    return frame.ethertype == TYPE_ARP or (
        frame.ethertype == TYPE_IP6 and len > FRAME_HEADER + IP6_NEXT_HEADER
        and data[FRAME_HEADER + IP6_NEXT_HEADER] == ICMP6
    )


# Delivery.

cdef void enter_tunnel(
    lane_t* lane, port_lane_t* source, port_lane_t* target, uint8_t* data, size_t len, const frame_t* frame,
) noexcept nogil:
    """An IP port: the Ethernet header ends here."""
    cdef packet_t packet
    if frame.network != FRAME_HEADER or (frame.ethertype != TYPE_IP4 and frame.ethertype != TYPE_IP6):
        drop(lane, target, DROP_NOT_IP)
        return
    if (
        packet_parse(data + FRAME_HEADER, len - FRAME_HEADER, &packet) < 0
        or (packet.version == 4) != (frame.ethertype == TYPE_IP4)
    ):
        drop(lane, target, DROP_NOT_IP)
        return
    if not selectors_match(&target.port.local, &target.port.remote, &packet):
        drop(lane, target, DROP_SELECTOR_OUT)
        return
    learn_neighbour(lane, source, packet.source, frame.source)
    seal_packet(lane, target, data + FRAME_HEADER, &packet)


cdef void flood(
    lane_t* lane, port_lane_t* source, uint8_t* data, size_t len, const frame_t* frame,
) noexcept nogil:
    cdef port_lane_t* target
    cdef int index
    bump(&lane.stats.totals[<int>TOTAL_FLOODED], 1)
    if source != NULL:
        tap_write(lane, data, len)
    for index in range(lane.ethernet_count):
        target = lane.ethernet[index]
        if target != source and allowed(lane, source, target):
            clamp(lane, target, data, len, frame)
            seal_frame(lane, target, data, len)


cdef void deliver(
    lane_t* lane, port_lane_t* source, uint8_t* data, size_t len, const frame_t* frame,
) noexcept nogil:
    """To where the destination lives."""
    cdef port_lane_t* target = NULL
    cdef int number = HUB_UNKNOWN
    clamp(lane, source, data, len, frame)
    if not mac_is_group(frame.destination):
        number = hub_lookup(lane.hub, frame.destination, lane.now_ms)
    if number > TAP_PORT:
        target = lane.ports[number]
        if target == NULL:
            number = HUB_UNKNOWN
    if number == HUB_UNKNOWN:
        flood(lane, source, data, len, frame)
    elif target == source:
        drop(lane, source, DROP_HUB_SAME_PORT)
    elif target == NULL:
        tap_write(lane, data, len)
    elif not allowed(lane, source, target):
        drop(lane, source, DROP_HUB_ISOLATED)
    else:
        if source != NULL:
            bump(&lane.stats.totals[<int>TOTAL_PEER_TO_PEER], 1)
        clamp(lane, target, data, len, frame)
        if target.port.kind == PORT_ETHERNET:
            seal_frame(lane, target, data, len)
        else:
            enter_tunnel(lane, source, target, data, len, frame)


cdef void forward_frame(lane_t* lane, port_lane_t* source, uint8_t* data, size_t len) noexcept nogil:
    cdef frame_t frame
    cdef int reason = frame_parse(data, len, &frame)
    if reason < 0:
        drop(lane, source, -reason)
        return
    if not learn(lane, source, frame.source):
        drop(lane, source, DROP_HUB_SPOOFED_MAC)
        return
    if may_discover(data, len, &frame) and discover(lane, source, data, len, &frame):
        return
    deliver(lane, source, data, len, &frame)


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


cdef uint64_t mac_for(lane_t* lane, const port_lane_t* source, const packet_t* packet) noexcept nogil:
    """Where an inner packet goes: a group, another tunnel-mode peer, a station that was seen, or else this host."""
    cdef address_t address = packet.destination
    cdef port_lane_t* target
    cdef found_t found
    cdef int index
    if address_is_group(address):
        return group_mac(address)
    if neighbour_find(lane.neighbours, address, lane.now_ms, load64(&lane.hub.ageing, RELAXED), &found):
        target = lane.ports[found.port]
        if found.port != source.port.number and (
            target == NULL or target.port.kind == PORT_ETHERNET or tunnel_accepts(source, target, packet)
        ):
            return found.mac
        return lane.tap_mac
    for index in range(lane.routed_count - 1, -1, -1):
        target = lane.routed[index]
        if port_owns(target.port, address) and tunnel_accepts(source, target, packet):
            return target.port.pseudo_mac
    return lane.tap_mac


cdef void forward_packet(lane_t* lane, port_lane_t* source, uint8_t* data, const packet_t* packet) noexcept nogil:
    cdef uint8_t* header = data - FRAME_HEADER
    cdef frame_t frame
    frame.destination = mac_for(lane, source, packet)
    frame.source = source.port.pseudo_mac
    frame.ethertype = TYPE_IP4 if packet.version == 4 else TYPE_IP6
    frame.network = FRAME_HEADER
    store_mac(header, frame.destination)
    store_mac(header + 6, frame.source)
    store_be16(header + 12, frame.ethertype)
    deliver(lane, source, header, FRAME_HEADER + packet.total, &frame)
