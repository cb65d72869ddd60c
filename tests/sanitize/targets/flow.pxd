"""Packets of one TCP or UDP flow, written and judged without any code of the packet path."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from targets.source cimport source_t

cdef enum:
    FLOW_HEADERS_MAX = 192
    FLOW_PACKET_MAX = 65535 + 22

ctypedef struct flow_t:
    uint32_t network                # 0, or the Ethernet header with no, one or two tags: 14, 18, 22.
    int version
    bint udp
    uint32_t options                # Octets of TCP options.
    uint8_t fill                    # What options and payload are made of.
    uint8_t flags
    bint dont_fragment
    uint8_t ttl
    uint16_t id
    uint32_t sequence
    uint16_t window

cdef void flow_take(flow_t* flow, source_t* source) noexcept nogil
cdef uint32_t flow_headers(const flow_t* flow) noexcept nogil
cdef uint32_t flow_transport(const flow_t* flow) noexcept nogil
# Writes a whole packet with `payload` octets and right checksums; gives its length.
cdef uint32_t flow_write(const flow_t* flow, uint32_t payload, uint8_t* out) noexcept nogil
# Writes the checksums of a packet anew, by what its headers say; nothing where they do not add up.
cdef void packet_mend(uint8_t* data, uint32_t len, uint32_t network) noexcept nogil
# Whether IP and transport checksum of a whole packet without extension headers are right; True where there is none.
cdef bint packet_sound(const uint8_t* data, uint32_t len, uint32_t network) noexcept nogil
# The folded sum of the pseudo-header, not inverted, of a packet of which `transport` octets follow the IP header.
cdef uint16_t pseudo_folded(const uint8_t* ip, uint32_t transport, uint8_t protocol) noexcept nogil
