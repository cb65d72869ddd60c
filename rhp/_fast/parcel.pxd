"""A frame on its way through the hub: one Ethernet frame, or a super-frame that stands for many.

A super-frame is a TCP segment or a UDP datagram longer than any packet, which was never cut, or was put together again;
its segments share their headers and carry `segment_size` octets of payload each, the last one the rest. What the host
left undone of a checksum is done when the frame leaves through a tunnel; towards the TAP it may stay undone.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

cdef enum:
    VNET_HEADER = 10                # struct virtio_net_hdr: in front of each frame of a TAP with IFF_VNET_HDR.

# The numbers of VIRTIO_NET_HDR_GSO_*, which the kernel's headers of Debian 12 do not all know.
cdef enum super_t:
    SUPER_NONE = 0                  # One frame.
    SUPER_TCP4 = 1
    SUPER_TCP6 = 4
    SUPER_UDP = 5                   # UDP_L4, of either IP version.

ctypedef struct parcel_t:
    uint8_t* data                   # The Ethernet header (inside a tunnel-mode SA: the IP header).
    uint32_t len                    # Octets from there; at most 65535 behind the Ethernet header.
    uint16_t network                # Offset of the IP header; 0 where `data` is the IP header itself.
    uint16_t segment_size           # Octets of payload in each segment of a super-frame.
    uint16_t checksum_start         # With `unfinished`: offset of the transport header from `data`.
    uint16_t checksum_offset        # And of the checksum field from there: 16 (TCP) or 6 (UDP).
    uint8_t kind                    # super_t
    bint unfinished                 # The checksum field holds the folded sum of the pseudo-header, not inverted.

# A plain, finished frame.
cdef inline void parcel_plain(parcel_t* parcel, uint8_t* data, uint32_t len) noexcept nogil:
    parcel.data = data
    parcel.len = len
    parcel.network = parcel.segment_size = parcel.checksum_start = parcel.checksum_offset = 0
    parcel.kind = SUPER_NONE
    parcel.unfinished = False

# Reads the VNET_HEADER octets in front of `data` and describes the frame there. 0, or -DROP_TAP_HEADER when the header
# and the frame cannot both be true (lengths, offsets, a kind that was not asked for).
cdef int parcel_from_tap(parcel_t* parcel, uint8_t* data, uint32_t len) noexcept nogil
# Writes the VNET_HEADER octets in front of `parcel.data`.
cdef void parcel_to_tap(const parcel_t* parcel) noexcept nogil
# Finishes the checksum of one frame (kind SUPER_NONE) in place; a super-frame's is done segment by segment.
cdef void parcel_finish(parcel_t* parcel) noexcept nogil
