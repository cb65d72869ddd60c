"""What the TAP may hand over: a header of the kernel's and a frame, cut into segments.

Half of the inputs are a sound super-frame with a few octets changed, the others are the fuzzer's octets as they come.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy

from rhp._fast.frame cimport frame_parse, frame_t
from rhp._fast.parcel cimport (
    SUPER_NONE, SUPER_TCP4, SUPER_TCP6, SUPER_UDP, VNET_HEADER, parcel_from_tap, parcel_t, parcel_to_tap,
)
from rhp._fast.segment cimport SEGMENT_FRONT, segments_begin, segments_next, segments_restore, segments_t
from targets.flow cimport flow_headers, flow_t, flow_take, flow_transport, flow_write, packet_sound, pseudo_folded
from targets.source cimport check, source_t, take, take8, take16

cdef enum:
    CHANGES_MAX = 7


cdef void put_half(uint8_t* field, uint16_t value) noexcept nogil:
    field[0] = <uint8_t>(value >> 8)
    field[1] = <uint8_t>value


cdef uint32_t write_super(uint8_t* room, source_t* source, uint16_t* network) noexcept nogil:
    """A vnet header and a super-frame as the kernel would hand them over; the octets of both."""
    cdef uint8_t* data = room + VNET_HEADER
    cdef flow_t flow
    cdef uint16_t vnet[5]
    cdef uint8_t shape = take8(source)
    cdef uint32_t payload
    cdef uint32_t len
    flow_take(&flow, source)
    payload = take16(source)
    vnet[2] = take16(source)
    # Thousands of segments show no more than a few dozen.
    if not shape & 1:
        payload &= 0x7ff
        vnet[2] &= 0x7f if shape & 2 else 0x7ff
    elif shape & 2:
        vnet[2] |= 0x400
    else:
        vnet[2] |= 0x4000
    if payload > 65535 + flow.network - flow_headers(&flow):
        payload = 65535 + flow.network - flow_headers(&flow)
    len = flow_write(&flow, payload, data)
    network[0] = <uint16_t>flow.network
    vnet[0] = SUPER_UDP if flow.udp else (SUPER_TCP4 if flow.version == 4 else SUPER_TCP6)
    vnet[0] = <uint16_t>(vnet[0] << 8 | 1)
    vnet[1] = <uint16_t>flow_headers(&flow)
    vnet[3] = <uint16_t>flow_transport(&flow)
    vnet[4] = 6 if flow.udp else 16
    memcpy(room, vnet, VNET_HEADER)
    put_half(
        data + vnet[3] + vnet[4],
        pseudo_folded(data + flow.network, len - flow_transport(&flow), 17 if flow.udp else 6),
    )
    return VNET_HEADER + len


cdef void change(uint8_t* room, uint32_t len, source_t* source, int count) noexcept nogil:
    cdef uint16_t place
    for _ in range(count):
        place = take16(source)
        # Mostly headers.
        room[place % (min(len, 100) if place & 0x8000 else len)] ^= take8(source)


cdef void check_segment(const segments_t* cut, const uint8_t* whole, const uint8_t* data, uint32_t len) noexcept nogil:
    """One segment of a super-frame against the octets that it was cut from."""
    cdef uint32_t first = (cut.index - 1) * cut.parcel.segment_size
    cdef uint32_t payload = len - cut.headers
    check(len > cut.headers and payload <= cut.parcel.segment_size, b"a segment's length")
    check(payload == cut.parcel.segment_size or cut.index == cut.count, b"only the last segment is short")
    check(memcmp(data + cut.headers, whole + cut.headers + first, payload) == 0, b"a segment's payload")
    check(packet_sound(data, len, cut.parcel.network), b"a segment's checksums")


cdef void cut_all(const parcel_t* parcel, const uint8_t* whole) noexcept nogil:
    """Cuts everything, with EtherIP in front of each, and finds the super-frame whole afterwards."""
    cdef segments_t cut
    cdef uint32_t len = 0
    cdef uint32_t sum = 0
    cdef uint8_t* data
    if segments_begin(&cut, parcel) < 0:
        return
    data = segments_next(&cut, &len)
    while data != NULL:
        if parcel.kind != SUPER_NONE:
            check_segment(&cut, whole, data, len)
            sum += len - cut.headers
        put_half(data - SEGMENT_FRONT, 0x3000)
        segments_restore(&cut)
        data = segments_next(&cut, &len)
    check(cut.index == cut.count, b"as many segments as were said")
    if parcel.kind != SUPER_NONE:
        check(sum == parcel.len - cut.headers, b"all of the payload")
        check(memcmp(whole, parcel.data, parcel.len) == 0, b"the super-frame is whole again")


cdef void try_frame(uint8_t* room, uint32_t len, uint16_t network, bint raw) noexcept nogil:
    cdef uint8_t* whole
    cdef parcel_t parcel
    cdef frame_t frame
    if parcel_from_tap(&parcel, room + VNET_HEADER, len - VNET_HEADER) < 0:
        return
    parcel.network = network
    if raw or network:
        # As the hub does it.
        if frame_parse(parcel.data, parcel.len, &frame) < 0:
            return
        parcel.network = frame.network
    whole = <uint8_t*>malloc(parcel.len)
    memcpy(whole, parcel.data, parcel.len)
    cut_all(&parcel, whole)
    # Flooding sends it a second time.
    cut_all(&parcel, whole)
    if parcel.kind == SUPER_NONE or parcel.checksum_start + 20U <= parcel.len:
        parcel_to_tap(&parcel)
    free(whole)


cdef int fuzz(const uint8_t* data, size_t size) noexcept nogil:
    cdef source_t source
    cdef uint8_t* room
    cdef uint8_t* exact
    cdef uint16_t network = 0
    cdef uint8_t shape
    cdef uint32_t len
    source.data = data
    source.left = size
    shape = take8(&source)
    if shape & 1:
        room = <uint8_t*>malloc(VNET_HEADER + 65535 + 22)
        len = write_super(room, &source, &network)
        change(room, len, &source, (shape >> 1) & CHANGES_MAX)
    else:
        len = VNET_HEADER + <uint32_t>source.left
        if len > VNET_HEADER + 65535 + 22:
            return 0
        room = <uint8_t*>malloc(len)
        take(&source, room, len)
    # An allocation as long as the frame, so that the first octet behind it is out of bounds.
    exact = <uint8_t*>malloc(len)
    memcpy(exact, room, len)
    free(room)
    try_frame(exact, len, network, not shape & 1)
    free(exact)
    return 0


entry = <uintptr_t>fuzz
