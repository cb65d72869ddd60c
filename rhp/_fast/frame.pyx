"""Ethernet frames."""

from libc.stdint cimport uint8_t, uint16_t

from rhp._fast.drops cimport DROP_FRAME_RUNT
from rhp._fast.octets cimport load_be16, load_mac

cdef enum:
    TYPE_VLAN = 0x8100
    TYPE_SERVICE_VLAN = 0x88a8
    PROTOCOL_TCP = 6
    PROTOCOL_UDP = 17
    PROTOCOL_ICMP6 = 58
    PROTOCOL_OSPF = 89
    PROTOCOL_VRRP = 112
    PORT_BGP = 179
    PORT_RIP = 520
    PORT_RIPNG = 521
    ND_FIRST = 133
    ND_LAST = 137


cdef int frame_parse(const uint8_t* data, size_t len, frame_t* frame) noexcept nogil:
    cdef int tags = 0
    if len < FRAME_HEADER:
        return -<int>DROP_FRAME_RUNT
    frame.destination = load_mac(data)
    frame.source = load_mac(data + 6)
    frame.ethertype = load_be16(data + 12)
    frame.network = FRAME_HEADER
    while (frame.ethertype == TYPE_VLAN or frame.ethertype == TYPE_SERVICE_VLAN) and tags < FRAME_MAX_TAGS:
        if <size_t>frame.network + FRAME_TAG > len:
            frame.ethertype = 0
            break
        frame.ethertype = load_be16(data + frame.network + 2)
        frame.network += FRAME_TAG
        tags += 1
    return 0


cdef bint is_control_packet(int protocol, const uint8_t* transport, size_t len) noexcept nogil:
    """Whether an IP packet of this protocol, whose transport header starts at `transport`, goes first."""
    cdef uint16_t source
    cdef uint16_t destination
    if protocol == PROTOCOL_OSPF or protocol == PROTOCOL_VRRP:
        return True
    if len < 4:
        return False
    if protocol == PROTOCOL_ICMP6:
        return ND_FIRST <= transport[0] <= ND_LAST
    source = load_be16(transport)
    destination = load_be16(transport + 2)
    if protocol == PROTOCOL_TCP:
        return source == PORT_BGP or destination == PORT_BGP
    if protocol == PROTOCOL_UDP:
        return destination == PORT_RIP or destination == PORT_RIPNG
    return False


cdef bint frame_is_control(const uint8_t* data, size_t len, const frame_t* frame) noexcept nogil:
    cdef size_t offset = frame.network
    cdef size_t header
    if frame.ethertype == TYPE_ARP:
        return True
    if frame.ethertype == TYPE_IP4 and len >= offset + 20:
        header = (data[offset] & 0x0f) * 4
        if header < 20 or offset + header > len:
            return False
        return is_control_packet(data[offset + 9], data + offset + header, len - offset - header)
    if frame.ethertype == TYPE_IP6 and len >= offset + 40:
        return is_control_packet(data[offset + 6], data + offset + 40, len - offset - 40)
    return False


def parse(bytes data) -> tuple[int, int, int, int] | None:
    """(destination, source, type, offset behind it) of a frame, or None for a runt."""
    cdef frame_t frame
    if frame_parse(<const uint8_t*><const char*>data, len(data), &frame) < 0:
        return None
    return frame.destination, frame.source, frame.ethertype, frame.network


def is_control(bytes data) -> bool:
    """Whether the frame is served before bulk; False for a runt."""
    cdef frame_t frame
    cdef const uint8_t* octets = <const uint8_t*><const char*>data
    if frame_parse(octets, len(data), &frame) < 0:
        return False
    return bool(frame_is_control(octets, len(data), &frame))
