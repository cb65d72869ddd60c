"""Ethernet frames: addresses, the type behind VLAN tags (IEEE 802.1Q), and which frames go first."""

from libc.stdint cimport uint8_t, uint16_t, uint64_t

cdef enum:
    FRAME_HEADER = 14
    FRAME_TAG = 4
    FRAME_MAX_TAGS = 2              # A service tag and a customer tag (802.1ad).
    TYPE_IP4 = 0x0800
    TYPE_ARP = 0x0806
    TYPE_IP6 = 0x86dd

ctypedef struct frame_t:
    uint64_t destination            # 48 bits, first octet highest.
    uint64_t source
    uint16_t ethertype              # Behind the tags; 0 when the frame ends inside them.
    uint16_t network                # Offset of what follows the type.

cdef inline bint mac_is_group(uint64_t mac) noexcept nogil:
    """Multicast or broadcast: the lowest bit of the first octet."""
    return (mac >> 40) & 1

# 0, or -DROP_FRAME_RUNT.
cdef int frame_parse(const uint8_t* data, size_t len, frame_t* frame) noexcept nogil
# A small frame that keeps the network itself alive: ARP, ND, OSPF, VRRP, RIP, BGP. Served before bulk.
cdef bint frame_is_control(const uint8_t* data, size_t len, const frame_t* frame) noexcept nogil
