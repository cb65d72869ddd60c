"""Cutting a super-frame in place."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from rhp._fast.checksum cimport checksum_add, checksum_finish, checksum_pseudo6
from rhp._fast.drops cimport DROP_SUPER_FRAME
from rhp._fast.octets cimport load_be16, load_be32, store_be16, store_be32
from rhp._fast.parcel cimport SUPER_NONE, SUPER_TCP4, SUPER_TCP6, SUPER_UDP, parcel_finish, parcel_plain, parcel_t

cdef enum:
    TCP = 6
    UDP = 17
    HOP_BY_HOP = 0
    ROUTING = 43
    DESTINATION_OPTIONS = 60
    IP4_HEADER = 20
    IP6_HEADER = 40
    TCP_HEADER = 20
    UDP_HEADER = 8
    TCP_CHECKSUM = 16
    UDP_CHECKSUM = 6
    EXTENSION_UNIT = 8
    NOT_WHOLE = 0x3fff              # More fragments, or an offset.
    FLAG_FIN = 0x01
    FLAG_PSH = 0x08
    FLAG_CWR = 0x80
    IP_TOTAL_MAX = 65535


cdef int read_ip4(segments_t* cut, const uint8_t* ip, uint32_t room) noexcept nogil:
    """The protocol, or -1."""
    cdef uint32_t header = (ip[0] & 0x0f) * 4
    if room < IP4_HEADER or header < IP4_HEADER or load_be16(ip + 2) != room or load_be16(ip + 6) & NOT_WHOLE:
        return -1
    cut.transport = cut.parcel.network + header
    return ip[9]


cdef int read_ip6(segments_t* cut, const uint8_t* ip, uint32_t room) noexcept nogil:
    """The protocol, or -1. Linux lets a device cut behind those extension headers that are the same in each segment."""
    cdef uint32_t header = IP6_HEADER
    cdef int protocol
    if room < IP6_HEADER or <uint32_t>load_be16(ip + 4) + IP6_HEADER != room:
        return -1
    protocol = ip[6]
    while protocol == HOP_BY_HOP or protocol == ROUTING or protocol == DESTINATION_OPTIONS:
        if header + EXTENSION_UNIT > room or header > SEGMENT_HEADERS_MAX:
            return -1
        cut.routed |= protocol == ROUTING
        protocol = ip[header]
        header += (ip[header + 1] + 1) * EXTENSION_UNIT
    cut.transport = cut.parcel.network + header
    return protocol


cdef int read_network(segments_t* cut, const parcel_t* parcel) noexcept nogil:
    """The IP header against what is said of the frame. 0 or -1."""
    cdef const uint8_t* ip = parcel.data + parcel.network
    cdef uint32_t room = parcel.len - parcel.network
    cdef int protocol = -1
    cut.version = ip[0] >> 4
    cut.udp = parcel.kind == SUPER_UDP
    cut.routed = False
    if cut.version == 4 and parcel.kind != SUPER_TCP6:
        protocol = read_ip4(cut, ip, room)
    elif cut.version == 6 and parcel.kind != SUPER_TCP4:
        protocol = read_ip6(cut, ip, room)
    return 0 if protocol == (UDP if cut.udp else TCP) and cut.transport == parcel.checksum_start else -1


cdef int read_transport(segments_t* cut, const parcel_t* parcel) noexcept nogil:
    cdef uint32_t header = UDP_HEADER
    if not cut.udp:
        if cut.transport + TCP_HEADER > parcel.len:
            return -1
        header = (parcel.data[cut.transport + 12] >> 4) * 4
        if header < TCP_HEADER:
            return -1
    cut.headers = cut.transport + header
    return 0 if cut.headers < parcel.len and cut.headers <= SEGMENT_HEADERS_MAX else -1


cdef uint64_t pseudo_sum(const segments_t* cut, const uint8_t* ip, const uint8_t* field) noexcept nogil:
    """Of the pseudo-header without its length."""
    if cut.version == 4:
        return checksum_add(ip + 12, 8, ip[9])
    if not cut.routed:
        return checksum_pseudo6(ip + 8, 0, UDP if cut.udp else TCP)
    # Only the sender knows for sure where such a packet ends, and has left the sum in the checksum field.
    return load_be16(field) + (~(cut.parcel.len - cut.transport) & 0xffff)


cdef void read_sums(segments_t* cut) noexcept nogil:
    """Whatever a segment changes becomes zero in the template, and the rest is summed once."""
    cdef uint8_t* ip = cut.template + cut.parcel.network
    cdef uint8_t* start = cut.template + cut.transport
    cut.transport_sum = pseudo_sum(cut, ip, start + (UDP_CHECKSUM if cut.udp else TCP_CHECKSUM))
    if cut.version == 4:
        cut.id = load_be16(ip + 4)
        store_be32(ip + 2, 0)
        store_be16(ip + 10, 0)
        cut.network_sum = checksum_add(ip, cut.transport - cut.parcel.network, 0)
    if cut.udp:
        store_be32(start + 4, 0)
    else:
        cut.sequence = load_be32(start + 4)
        cut.flags = start[13]
        store_be32(start + 4, 0)
        start[13] = 0
        store_be16(start + TCP_CHECKSUM, 0)
    cut.transport_sum = checksum_add(start, cut.headers - cut.transport, cut.transport_sum)


cdef int read_super(segments_t* cut, const parcel_t* parcel) noexcept nogil:
    """The headers, and what stays the same in all segments. 0 or -1."""
    if parcel.kind != SUPER_TCP4 and parcel.kind != SUPER_TCP6 and parcel.kind != SUPER_UDP:
        return -1
    if parcel.len <= parcel.network or parcel.len - parcel.network > IP_TOTAL_MAX or parcel.segment_size == 0:
        return -1
    if read_network(cut, parcel) < 0 or read_transport(cut, parcel) < 0:
        return -1
    memcpy(cut.template, parcel.data, cut.headers)
    cut.count = (parcel.len - cut.headers + parcel.segment_size - 1) / parcel.segment_size
    read_sums(cut)
    return 0


cdef int segments_begin(segments_t* cut, const parcel_t* parcel) noexcept nogil:
    cut.parcel = parcel[0]
    cut.index = 0
    cut.count = 1
    cut.headers = 0
    if parcel.kind == SUPER_NONE:
        parcel_finish(&cut.parcel)
        return 0
    return 0 if read_super(cut, parcel) == 0 else -<int>DROP_SUPER_FRAME


cdef inline void write_network(const segments_t* cut, uint8_t* ip, uint32_t total) noexcept nogil:
    """`total` octets from the IP header on."""
    cdef uint16_t id = <uint16_t>(cut.id + cut.index)
    if cut.version == 6:
        store_be16(ip + 4, <uint16_t>(total - IP6_HEADER))
        return
    store_be16(ip + 2, <uint16_t>total)
    store_be16(ip + 4, id)
    store_be16(ip + 10, checksum_finish(cut.network_sum + total + id))


cdef inline void write_udp(const segments_t* cut, uint8_t* start, uint32_t len, const uint8_t* payload) noexcept nogil:
    """`len` octets from the UDP header on, which the pseudo-header says once more."""
    cdef uint16_t value = checksum_finish(checksum_add(payload, len - UDP_HEADER, cut.transport_sum + len + len))
    store_be16(start + 4, <uint16_t>len)
    store_be16(start + UDP_CHECKSUM, value if value else 0xffff)


cdef inline void write_tcp(const segments_t* cut, uint8_t* start, uint32_t len, const uint8_t* payload) noexcept nogil:
    """`len` octets from the TCP header on."""
    cdef uint32_t sequence = cut.sequence + cut.index * cut.parcel.segment_size
    cdef uint8_t flags = cut.flags
    cdef uint64_t total
    if cut.index > 0:
        flags &= ~FLAG_CWR
    if cut.index + 1 < cut.count:
        flags &= ~(FLAG_FIN | FLAG_PSH)
    store_be32(start + 4, sequence)
    start[13] = flags
    total = cut.transport_sum + len + (sequence >> 16) + (sequence & 0xffff) + flags
    store_be16(start + TCP_CHECKSUM, checksum_finish(checksum_add(payload, len - <uint32_t>(payload - start), total)))


cdef uint8_t* segments_next(segments_t* cut, uint32_t* len) noexcept nogil:
    cdef uint32_t offset = cut.index * cut.parcel.segment_size
    cdef uint8_t* start = cut.parcel.data + offset
    cdef uint32_t size
    if cut.index >= cut.count:
        return NULL
    if cut.parcel.kind == SUPER_NONE:
        cut.index = 1
        len[0] = cut.parcel.len
        return start
    size = cut.headers + min(cut.parcel.len - cut.headers - offset, <uint32_t>cut.parcel.segment_size)
    memcpy(cut.kept, start - SEGMENT_FRONT, cut.headers + SEGMENT_FRONT)
    memcpy(start, cut.template, cut.headers)
    write_network(cut, start + cut.parcel.network, size - cut.parcel.network)
    # Only the payload is read again: the header's own sum is known, and what was just written is slow to read.
    if cut.udp:
        write_udp(cut, start + cut.transport, size - cut.transport, start + cut.headers)
    else:
        write_tcp(cut, start + cut.transport, size - cut.transport, start + cut.headers)
    len[0] = size
    cut.index += 1
    return start


cdef void segments_restore(segments_t* cut) noexcept nogil:
    cdef uint8_t* start
    if cut.parcel.kind != SUPER_NONE:
        start = cut.parcel.data + (cut.index - 1) * cut.parcel.segment_size
        memcpy(start - SEGMENT_FRONT, cut.kept, cut.headers + SEGMENT_FRONT)


# For tests and tools.

cdef enum:
    TEST_HEAD_ROOM = 64


def segments(
    bytes frame, int kind, int segment_size, int network=14, *, checksum_start=None, checksum_offset=None,
) -> list[bytes]:
    """The packets that a super-frame stands for; see segment.pyi."""
    cdef parcel_t parcel
    cdef segments_t cut
    cdef uint8_t* memory
    cdef uint8_t* data
    cdef uint32_t len_ = 0
    cdef size_t size = len(frame)
    cdef int at = network
    if not 0 <= network < <int>size or not 0 <= segment_size <= 65535 or not 0 <= kind <= 255:
        raise ValueError("an offset or a size is out of range")
    if checksum_start is None:
        # Behind the IP header, as the kernel would say where there are no extension headers.
        at += 40 if frame[network] >> 4 == 6 else (frame[network] & 0x0f) * 4
        checksum_start = at
    if checksum_offset is None:
        checksum_offset = 6 if kind == <int>SUPER_UDP else 16
    memory = <uint8_t*>malloc(TEST_HEAD_ROOM + size)
    if memory == NULL:
        raise MemoryError
    found = []
    try:
        memcpy(memory + TEST_HEAD_ROOM, <const uint8_t*><const char*>frame, size)
        parcel_plain(&parcel, memory + TEST_HEAD_ROOM, <uint32_t>size)
        parcel.kind = <uint8_t>kind
        parcel.network = <uint16_t>network
        parcel.segment_size = <uint16_t>segment_size
        parcel.checksum_start = checksum_start
        parcel.checksum_offset = checksum_offset
        parcel.unfinished = True
        if segments_begin(&cut, &parcel) < 0:
            raise ValueError("not a super-frame")
        data = segments_next(&cut, &len_)
        while data != NULL:
            found.append(data[:len_])
            segments_restore(&cut)
            data = segments_next(&cut, &len_)
        if kind != <int>SUPER_NONE and memory[TEST_HEAD_ROOM:TEST_HEAD_ROOM + size] != frame:
            raise SystemError("the super-frame is not as it was")
    finally:
        free(memory)
    return found
