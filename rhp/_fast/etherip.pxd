"""EtherIP (RFC 3378): two octets in front of a whole Ethernet frame, version 3 and twelve reserved zero bits."""

from libc.stdint cimport uint8_t

cdef enum:
    ETHERIP_HEADER = 2
    PROTOCOL_ETHERIP = 97

cdef inline void etherip_write(uint8_t* header) noexcept nogil:
    header[0] = 0x30
    header[1] = 0x00

cdef inline bint etherip_valid(const uint8_t* header, size_t len) noexcept nogil:
    """The RFC wants anything else discarded."""
    return len >= ETHERIP_HEADER and header[0] == 0x30 and header[1] == 0x00
