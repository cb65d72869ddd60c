"""IP packets inside the tunnel."""

from libc.stdint cimport uint8_t, uint16_t

from rhp._fast.drops cimport DROP_INNER_IP_MALFORMED
from rhp._fast.octets cimport load_be16

cdef enum:
    MAX_EXTENSIONS = 8
    HOP_BY_HOP = 0
    ICMP = 1
    TCP = 6
    UDP = 17
    DCCP = 33
    ROUTING = 43
    FRAGMENT = 44
    AUTHENTICATION = 51
    ICMP6 = 58
    DESTINATION_OPTIONS = 60
    SCTP = 132
    UDP_LITE = 136


cdef void read_ports(const uint8_t* data, packet_t* packet) noexcept nogil:
    """Ports or ICMP's type and code, when the packet holds them."""
    cdef const uint8_t* transport = data + packet.transport
    cdef size_t room = packet.total - packet.transport
    cdef int protocol = packet.protocol
    packet.has_ports = False
    packet.source_port = 0
    packet.destination_port = 0
    if packet.fragment or room < 4:
        return
    if protocol == TCP or protocol == UDP or protocol == SCTP or protocol == DCCP or protocol == UDP_LITE:
        packet.source_port = load_be16(transport)
        packet.destination_port = load_be16(transport + 2)
        packet.has_ports = True
    elif (protocol == ICMP and packet.version == 4) or (protocol == ICMP6 and packet.version == 6):
        packet.source_port = packet.destination_port = load_be16(transport)
        packet.has_ports = True


cdef int parse4(const uint8_t* data, size_t len, packet_t* packet) noexcept nogil:
    cdef size_t header = (data[0] & 0x0f) * 4
    cdef size_t total
    if len < 20 or header < 20:
        return -<int>DROP_INNER_IP_MALFORMED
    total = load_be16(data + 2)
    if total < header or total > len:
        return -<int>DROP_INNER_IP_MALFORMED
    packet.version = 4
    packet.protocol = data[9]
    packet.fragment = (load_be16(data + 6) & 0x1fff) != 0
    packet.source = address_from4(data + 12)
    packet.destination = address_from4(data + 16)
    packet.total = <uint16_t>total
    packet.transport = <uint16_t>header
    read_ports(data, packet)
    return 0


cdef int skip_extensions(const uint8_t* data, packet_t* packet) noexcept nogil:
    """Walk to the transport header. A chain that is too long or leaves the packet is malformed."""
    cdef size_t offset = 40
    cdef size_t length
    cdef int count = 0
    cdef int kind = data[6]
    while kind in (HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS, AUTHENTICATION):
        if count == MAX_EXTENSIONS or offset + 8 > packet.total:
            return -<int>DROP_INNER_IP_MALFORMED
        count += 1
        length = 8
        if kind == FRAGMENT:
            packet.fragment = (load_be16(data + offset + 2) & 0xfff8) != 0
        elif kind == AUTHENTICATION:
            length = (<size_t>data[offset + 1] + 2) * 4
        else:
            length = (<size_t>data[offset + 1] + 1) * 8
        if offset + length > packet.total:
            return -<int>DROP_INNER_IP_MALFORMED
        kind = data[offset]
        offset += length
        if packet.fragment:
            # What follows is the middle of something; its "headers" would be the attacker's choice.
            break
    packet.protocol = <uint8_t>kind
    packet.transport = <uint16_t>offset
    return 0


cdef int parse6(const uint8_t* data, size_t len, packet_t* packet) noexcept nogil:
    cdef size_t total
    if len < 40:
        return -<int>DROP_INNER_IP_MALFORMED
    total = <size_t>load_be16(data + 4) + 40
    if total > len or total > 65535:
        return -<int>DROP_INNER_IP_MALFORMED
    packet.version = 6
    packet.fragment = False
    packet.source = address_from6(data + 8)
    packet.destination = address_from6(data + 24)
    packet.total = <uint16_t>total
    if skip_extensions(data, packet) < 0:
        return -<int>DROP_INNER_IP_MALFORMED
    read_ports(data, packet)
    return 0


cdef int packet_parse(const uint8_t* data, size_t len, packet_t* packet) noexcept nogil:
    if len < 20:
        return -<int>DROP_INNER_IP_MALFORMED
    if data[0] >> 4 == 4:
        return parse4(data, len, packet)
    if data[0] >> 4 == 6:
        return parse6(data, len, packet)
    return -<int>DROP_INNER_IP_MALFORMED


def parse(bytes data) -> tuple[int, int, int, int, int | None, int | None] | None:
    """(version, protocol, total length, transport offset, source port, destination port), or None when malformed.

    Ports are None when the packet does not hold them.
    """
    cdef packet_t packet
    if packet_parse(<const uint8_t*><const char*>data, len(data), &packet) < 0:
        return None
    if not packet.has_ports:
        return packet.version, packet.protocol, packet.total, packet.transport, None, None
    return (
        packet.version, packet.protocol, packet.total, packet.transport, packet.source_port, packet.destination_port,
    )
