"""A batch of packets out of ESP, put together as a lane does it and cut again: what comes out is what went in.

The packets belong to two flows that differ little. Each is in sequence, short, repeated, out of order or changed in one
octet, with a checksum that is mended or not.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from rhp._fast.merge cimport (
    MERGE_ROOM, merge_append, merge_begin, merge_cancel, merge_finish, merge_init, merge_join, merge_part, merge_place,
    merge_t,
)
from rhp._fast.parcel cimport SUPER_NONE, parcel_t, parcel_to_tap
from rhp._fast.segment cimport segments_begin, segments_next, segments_restore, segments_t
from targets.flow cimport (
    FLOW_PACKET_MAX, flow_headers, flow_t, flow_take, flow_write, packet_mend, packet_sound,
)
from targets.source cimport check, source_t, take8, take16

cdef enum:
    HEAD_ROOM = 64
    TRAILER_MAX = 32
    PACKETS_MAX = 80
    OCTETS_MAX = 100000

# What went in and has not come out yet.
ctypedef struct expected_t:
    uint8_t* packets[PACKETS_MAX]
    uint32_t lengths[PACKETS_MAX]
    bint sound[PACKETS_MAX]
    int first
    int count
    uint32_t network


cdef bint same_but_identification(const uint8_t* a, const uint8_t* b, uint32_t len, uint32_t network) noexcept nogil:
    """Equal, but for the identification of IPv4 packets with DF, which means nothing (RFC 6864), and its checksum."""
    if memcmp(a, b, network + 4) or memcmp(a + network + 6, b + network + 6, 4):
        return False
    if memcmp(a + network + 12, b + network + 12, len - network - 12):
        return False
    return a[network] >> 4 == 4 and (a[network + 6] & 0x40) != 0


cdef void arrived(expected_t* expected, const uint8_t* data, uint32_t len, bint merged) noexcept nogil:
    """The next packet that a receiver sees."""
    cdef int index = expected.first
    check(index < expected.count, b"no more packets than went in")
    check(len == expected.lengths[index], b"a packet's length")
    check(
        memcmp(data, expected.packets[index], len) == 0
        or (merged and same_but_identification(data, expected.packets[index], len, expected.network)),
        b"a packet's octets",
    )
    check(expected.sound[index] or not merged, b"nothing with a wrong checksum is merged")
    expected.first += 1


cdef void shipped(expected_t* expected, parcel_t* parcel) noexcept nogil:
    cdef segments_t cut
    cdef uint32_t len = 0
    cdef uint8_t* data
    if parcel.kind == SUPER_NONE:
        check(not parcel.unfinished, b"a packet alone is finished")
        arrived(expected, parcel.data, parcel.len, False)
        return
    check(parcel.len - parcel.network <= 65535, b"a super-frame's length")
    check(segments_begin(&cut, parcel) == 0, b"a super-frame can be cut")
    check(cut.count > 1, b"a super-frame is more than one packet")
    data = segments_next(&cut, &len)
    while data != NULL:
        arrived(expected, data, len, True)
        # The header of EtherIP, and a trailer of ESP, which puts back what it covers.
        memset(data - 2, 0x30, 2)
        segments_restore(&cut)
        data = segments_next(&cut, &len)
    parcel_to_tap(parcel)


cdef void settle(merge_t* merge, expected_t* expected) noexcept nogil:
    cdef parcel_t parcel
    if merge.parcel.data != NULL:
        merge_finish(merge, &parcel)
        shipped(expected, &parcel)


cdef void opened(merge_t* merge, expected_t* expected, uint8_t* data, uint32_t len, bint udp) noexcept nogil:
    """A packet stands where it was to be opened to."""
    cdef parcel_t parcel
    # Tags are found by the merge itself.
    cdef uint16_t network = 14 if expected.network else 0
    if merge.parcel.data != NULL:
        if merge_append(merge, len, network, udp):
            return
        merge_part(merge)
        settle(merge, expected)
        merge_join(merge)
    if merge_begin(merge, len, network, udp):
        return
    memset(&parcel, 0, sizeof(parcel))
    parcel.data = data
    parcel.len = len
    shipped(expected, &parcel)


cdef uint32_t write_packet(flow_t* flow, uint8_t* out, uint32_t full, source_t* source) noexcept nogil:
    """The flow's next packet, or something like it."""
    cdef uint8_t how = take8(source)
    cdef flow_t now = flow[0]
    cdef uint32_t payload = full
    cdef uint32_t len
    cdef uint32_t place
    if how & 1:
        payload = take8(source)
    if how & 2:
        now.flags |= take8(source)
    len = flow_write(&now, payload, out)
    if how & 4:
        place = take16(source) % len
        if how & 8:
            place %= flow_headers(flow)
        out[place] ^= take8(source)
        if how & 16:
            packet_mend(out, len, flow.network)
    if not how & 32:
        flow.sequence += payload
    if not how & 64:
        flow.id += 1
    if how & 128:
        # Padding behind the packet.
        out[len] = take8(source)
        len += 1
    return len


cdef void deliver(merge_t* merge, expected_t* expected, const uint8_t* packet, uint32_t len, bint udp,
                  uint8_t how) noexcept nogil:
    cdef uint32_t front = 2 if expected.network else 0
    cdef uint8_t* place = merge_place(merge, front)
    memcpy(place + front, packet, len)
    memset(place, 0x30, front)
    # What ESP leaves behind the payload.
    memset(place + front + len, 0xee, TRAILER_MAX)
    if how == 7:
        # Authentic, but refused for its inside.
        merge_cancel(merge)
        return
    expected.packets[expected.count] = <uint8_t*>malloc(len)
    memcpy(expected.packets[expected.count], packet, len)
    expected.lengths[expected.count] = len
    expected.sound[expected.count] = packet_sound(packet, len, expected.network)
    expected.count += 1
    opened(merge, expected, place + front, len, udp)


cdef int fuzz(const uint8_t* data, size_t size) noexcept nogil:
    cdef source_t source
    cdef expected_t expected
    cdef merge_t merge
    cdef flow_t flows[2]
    cdef uint8_t* memory = <uint8_t*>malloc(HEAD_ROOM + MERGE_ROOM)
    cdef uint8_t* packet = <uint8_t*>malloc(FLOW_PACKET_MAX + 1)
    cdef uint32_t full
    cdef uint32_t octets = 0
    cdef uint32_t len
    cdef uint8_t how
    cdef bint udp
    cdef int index
    source.data = data
    source.left = size
    memset(&expected, 0, sizeof(expected))
    flow_take(&flows[0], &source)
    flows[1] = flows[0]
    flows[1].window += take8(&source) & 1
    flows[1].fill += take8(&source) & 1
    flows[1].sequence += take8(&source)
    expected.network = flows[0].network
    udp = take8(&source) & 1
    full = take16(&source)
    full = full % 60000 if full & 0x8000 else full % 1500
    merge_init(&merge, memory + HEAD_ROOM)
    while source.left > 0 and expected.count < PACKETS_MAX and octets < OCTETS_MAX:
        how = take8(&source)
        len = write_packet(&flows[how >> 7], packet, full, &source)
        octets += len
        deliver(&merge, &expected, packet, len, udp, how & 7)
    settle(&merge, &expected)
    check(expected.first == expected.count, b"everything came out")
    for index in range(expected.count):
        free(expected.packets[index])
    free(packet)
    free(memory)
    return 0


entry = <uintptr_t>fuzz
