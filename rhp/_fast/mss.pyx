"""The TCP maximum segment size of passing SYNs."""

from libc.stdint cimport uint8_t, uint16_t

from rhp._fast.checksum cimport checksum_replace
from rhp._fast.frame cimport TYPE_IP4, TYPE_IP6, frame_parse
from rhp._fast.octets cimport load_be16, store_be16
from rhp._fast.packet cimport packet_parse, packet_t

cdef enum:
    TCP = 6
    TCP_HEADER = 20
    FLAG_SYN = 0x02
    OPTION_END = 0
    OPTION_NOP = 1
    OPTION_MSS = 2
    IP6_EXTRA = 20                  # The IPv6 header is that much longer than IPv4's.


cdef bint may_hold_syn(const uint8_t* packet, size_t len, const frame_t* frame) noexcept nogil:
    """The cheap question asked of every frame: TCP with SYN set, or IPv6 whose first header is not the transport's."""
    cdef size_t header
    if frame.ethertype == TYPE_IP4:
        if len < 40 or packet[9] != TCP:
            return False
        header = (packet[0] & 0x0f) * 4
        return header + TCP_HEADER <= len and (packet[header + 13] & FLAG_SYN) != 0
    if frame.ethertype != TYPE_IP6 or len < 60:
        return False
    if packet[6] == TCP:
        return (packet[40 + 13] & FLAG_SYN) != 0
    return packet[6] == 0 or packet[6] == 43 or packet[6] == 60


cdef bint clamp_options(uint8_t* tcp, size_t header, uint16_t limit, bint unfinished) noexcept nogil:
    """Walk the options of a TCP header of `header` octets; True when an MSS option was lowered."""
    cdef size_t offset = TCP_HEADER
    cdef uint16_t before
    while offset < header:
        if tcp[offset] == OPTION_NOP:
            offset += 1
            continue
        if tcp[offset] == OPTION_END or offset + 2 > header or tcp[offset + 1] < 2:
            return False
        if offset + tcp[offset + 1] > header:
            return False
        if tcp[offset] == OPTION_MSS:
            if tcp[offset + 1] != 4:
                return False
            before = load_be16(tcp + offset + 2)
            if before <= limit:
                return False
            store_be16(tcp + offset + 2, limit)
            if not unfinished:
                checksum_replace(tcp + 16, before, limit, offset & 1)
            return True
        offset += tcp[offset + 1]
    return False


cdef bint mss_clamp(uint8_t* data, size_t len, const frame_t* frame, uint16_t limit, bint unfinished) noexcept nogil:
    cdef packet_t packet
    cdef uint8_t* network = data + frame.network
    cdef uint8_t* tcp
    cdef size_t header
    if not may_hold_syn(network, len - frame.network, frame):
        return False
    if packet_parse(network, len - frame.network, &packet) < 0 or packet.protocol != TCP or packet.fragment:
        return False
    if packet.total < packet.transport + TCP_HEADER:
        return False
    tcp = network + packet.transport
    header = (tcp[12] >> 4) * 4
    if not tcp[13] & FLAG_SYN or header < TCP_HEADER or packet.transport + header > packet.total:
        return False
    if packet.version == 6:
        limit = limit - IP6_EXTRA if limit > IP6_EXTRA else 1
    return clamp_options(tcp, header, limit, unfinished)


def clamp(bytes data, int limit) -> bytes:
    """The frame with its SYN's MSS lowered to `limit` (IPv6: 20 less), or as it was."""
    cdef frame_t frame
    # A copy of its own: a bytes object may be shared.
    copy = bytearray(data)
    cdef uint8_t* octets = <uint8_t*><char*>copy
    if not 0 < limit <= 65535:
        raise ValueError(f"MSS {limit} is not within 1..65535")
    if frame_parse(octets, len(copy), &frame) == 0:
        mss_clamp(octets, len(copy), &frame, <uint16_t>limit, False)
    return bytes(copy)
