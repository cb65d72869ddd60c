"""Frames as the TAP describes them: struct virtio_net_hdr, in the byte order of the machine."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset

from rhp._fast.checksum cimport checksum_add, checksum_finish
from rhp._fast.drops cimport DROP_TAP_HEADER
from rhp._fast.frame cimport FRAME_HEADER
from rhp._fast.octets cimport store_be16

cdef enum:
    NEEDS_CHECKSUM = 1              # VIRTIO_NET_HDR_F_NEEDS_CSUM
    WITH_ECN = 0x80                 # VIRTIO_NET_HDR_GSO_ECN: CWR is set, which the flags tell as well.
    UDP_CHECKSUM = 6

ctypedef struct vnet_t:
    uint8_t flags
    uint8_t kind
    uint16_t headers                # Not to be trusted: the kernel gives what it has at hand.
    uint16_t segment_size
    uint16_t checksum_start
    uint16_t checksum_offset


cdef int parcel_from_tap(parcel_t* parcel, uint8_t* data, uint32_t len) noexcept nogil:
    cdef vnet_t vnet
    memcpy(&vnet, data - VNET_HEADER, VNET_HEADER)
    parcel_plain(parcel, data, len)
    parcel.kind = vnet.kind & ~WITH_ECN
    if vnet.flags & NEEDS_CHECKSUM:
        if vnet.checksum_start < FRAME_HEADER or <uint32_t>vnet.checksum_start + vnet.checksum_offset + 2 > len:
            return -<int>DROP_TAP_HEADER
        parcel.unfinished = True
        parcel.checksum_start = vnet.checksum_start
        parcel.checksum_offset = vnet.checksum_offset
    if parcel.kind == SUPER_NONE:
        return 0
    if parcel.kind != SUPER_TCP4 and parcel.kind != SUPER_TCP6 and parcel.kind != SUPER_UDP:
        return -<int>DROP_TAP_HEADER
    if vnet.segment_size == 0 or not parcel.unfinished:
        return -<int>DROP_TAP_HEADER
    parcel.segment_size = vnet.segment_size
    return 0


cdef void parcel_to_tap(const parcel_t* parcel) noexcept nogil:
    cdef vnet_t vnet
    memset(&vnet, 0, sizeof(vnet))
    if parcel.unfinished:
        vnet.flags = NEEDS_CHECKSUM
        vnet.checksum_start = parcel.checksum_start
        vnet.checksum_offset = parcel.checksum_offset
    if parcel.kind != SUPER_NONE:
        vnet.kind = parcel.kind
        vnet.segment_size = parcel.segment_size
        vnet.headers = parcel.checksum_start + (
            8 if parcel.kind == SUPER_UDP else (parcel.data[parcel.checksum_start + 12] >> 4) * 4
        )
    memcpy(parcel.data - VNET_HEADER, &vnet, VNET_HEADER)


cdef void parcel_finish(parcel_t* parcel) noexcept nogil:
    cdef uint8_t* start = parcel.data + parcel.checksum_start
    cdef uint16_t value
    if not parcel.unfinished:
        return
    parcel.unfinished = False
    # The sum of the pseudo-header stands in the field and is summed with the rest.
    value = checksum_finish(checksum_add(start, parcel.len - parcel.checksum_start, 0))
    if value == 0 and parcel.checksum_offset == UDP_CHECKSUM:
        # Zero would say that there is no checksum (RFC 768).
        value = 0xffff
    store_be16(start + parcel.checksum_offset, value)


# For tests and tools.

def from_tap(bytes data) -> tuple[bytes, int, int, int, int, bool]:
    """What a read of the TAP holds; see parcel.pyi."""
    cdef parcel_t parcel
    # A copy of its own: the frame is described where it stands.
    copy = bytearray(data)
    cdef uint8_t* octets = <uint8_t*><char*>copy
    if len(data) <= VNET_HEADER:
        raise ValueError("no frame behind the header")
    if parcel_from_tap(&parcel, octets + VNET_HEADER, <uint32_t>(len(data) - VNET_HEADER)) < 0:
        raise ValueError("header and frame do not agree")
    return (
        bytes(copy[VNET_HEADER:]), parcel.kind, parcel.segment_size, parcel.checksum_start, parcel.checksum_offset,
        bool(parcel.unfinished),
    )


def to_tap(
    bytes frame, int kind, int segment_size, int checksum_start, int checksum_offset, unfinished, *, finish=False,
) -> bytes:
    """What is written to the TAP for a frame; see parcel.pyi."""
    cdef parcel_t parcel
    copy = bytearray(VNET_HEADER) + frame
    if not 0 <= checksum_start < len(frame) - 8 or not 0 <= checksum_offset < len(frame) - checksum_start - 1:
        raise ValueError("the checksum stands outside the frame")
    parcel_plain(&parcel, <uint8_t*><char*>copy + VNET_HEADER, <uint32_t>len(frame))
    parcel.kind = <uint8_t>kind
    parcel.segment_size = <uint16_t>segment_size
    parcel.checksum_start = <uint16_t>checksum_start
    parcel.checksum_offset = <uint16_t>checksum_offset
    parcel.unfinished = bool(unfinished)
    if finish:
        parcel_finish(&parcel)
    parcel_to_tap(&parcel)
    return bytes(copy)
