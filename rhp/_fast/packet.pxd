"""IP packets inside the tunnel: addresses, protocol and ports, with every length checked (RFC 791, RFC 8200)."""

from libc.stdint cimport uint8_t, uint16_t, uint64_t

from rhp._fast.octets cimport load_be32, load_be64

# IPv4 addresses stand as ::ffff:a.b.c.d, so that one comparison serves both versions.
ctypedef struct address_t:
    uint64_t high
    uint64_t low

ctypedef struct packet_t:
    address_t source
    address_t destination
    uint8_t version
    uint8_t protocol                # The transport's, behind the extension headers of IPv6.
    bint fragment                   # Not the first one: there is no transport header.
    bint has_ports                  # `source_port` and `destination_port` were in the packet.
    uint16_t source_port            # For ICMP both hold type << 8 | code (RFC 7296 section 3.13.1).
    uint16_t destination_port
    uint16_t total                  # Octets of the packet by its own header, at most what was given.
    uint16_t transport              # Offset of the transport header.

cdef inline address_t address_from4(const uint8_t* octets) noexcept nogil:
    cdef address_t address
    address.high = 0
    address.low = (<uint64_t>0xffff << 32) | load_be32(octets)
    return address

cdef inline address_t address_from6(const uint8_t* octets) noexcept nogil:
    cdef address_t address
    address.high = load_be64(octets)
    address.low = load_be64(octets + 8)
    return address

cdef inline bint address_is4(address_t address) noexcept nogil:
    return address.high == 0 and (address.low >> 32) == 0xffff

cdef inline bint address_equal(address_t a, address_t b) noexcept nogil:
    return a.high == b.high and a.low == b.low

cdef inline bint address_within(address_t address, address_t start, address_t end) noexcept nogil:
    if address.high < start.high or (address.high == start.high and address.low < start.low):
        return False
    return address.high < end.high or (address.high == end.high and address.low <= end.low)

cdef inline bint address_is_group(address_t address) noexcept nogil:
    """An IPv4 or IPv6 multicast address, or IPv4's limited broadcast."""
    if address_is4(address):
        return ((address.low >> 28) & 0xf) == 0xe or (address.low & 0xffffffffU) == 0xffffffffU
    return (address.high >> 56) == 0xff

# 0, or -DROP_INNER_IP_MALFORMED.
cdef int packet_parse(const uint8_t* data, size_t len, packet_t* packet) noexcept nogil
