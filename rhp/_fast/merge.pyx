"""Putting packets together in place.

A packet is read once (`piece_read`), compared with the base (`continues`), and only then is its checksum summed,
because that costs more than all the rest. The base's first checksum is summed when a second packet wants to join it.

The rules are those of Linux's GRO (tcp_offload.c, udp_offload.c and gro.h of 6.18), in places stricter: what is cut
again must be what came in, octet for octet. The one exception is GRO's own: IPv4 packets with DF and one constant
identification count up from there when they are cut (RFC 6864 section 4.1: it has no meaning in them).
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memmove, memset

from rhp._fast.checksum cimport checksum_add, checksum_finish
from rhp._fast.frame cimport FRAME_HEADER, FRAME_MAX_TAGS, FRAME_TAG, TYPE_IP4, TYPE_IP6
from rhp._fast.octets cimport load_be16, load_be32, store_be16
from rhp._fast.parcel cimport SUPER_NONE, SUPER_TCP4, SUPER_TCP6, SUPER_UDP, parcel_t

cdef enum:
    TYPE_VLAN = 0x8100
    TYPE_SERVICE_VLAN = 0x88a8
    TCP = 6
    UDP = 17
    IP4_HEADER = 20
    IP6_HEADER = 40
    TCP_HEADER = 20
    UDP_HEADER = 8
    TCP_CHECKSUM = 16               # Offset of the field in the header.
    UDP_CHECKSUM = 6
    NOT_DF = 0xbfff                 # Of IPv4's flags and fragment offset.
    FLAG_FIN = 0x01
    FLAG_PSH = 0x08
    FLAG_ACK = 0x10
    FLAGS_LAST = FLAG_FIN | FLAG_PSH
    FLAGS_NEVER = 0xa6              # CWR, URG, RST, SYN.
    IP_TOTAL_MAX = 65535
    UDP_PACKETS_MAX = 64            # Of Linux's GRO, and of UDP_SEGMENT before 6.9.
    # A base that begins further back is moved to the front; behind it must be room for a super-frame and a packet.
    BASE_FURTHEST = 64512
    # Of the face for tests only.
    TEST_HEAD_ROOM = 64
    TEST_TRAILER = 20

ctypedef struct piece_t:
    const uint8_t* data
    uint32_t len
    uint16_t network
    uint16_t transport
    uint16_t headers
    uint8_t protocol
    uint8_t flags                   # TCP's; 0 for UDP.


cdef bint read_tcp(piece_t* piece) noexcept nogil:
    """Whether this is plain data of an established connection."""
    cdef const uint8_t* tcp = piece.data + piece.transport
    cdef uint32_t header
    if piece.len <= <uint32_t>piece.transport + TCP_HEADER:
        return False
    header = (tcp[12] >> 4) * 4
    # A pure ACK carries nothing that could be merged, and its arrival must be seen as often as it was sent.
    if header < TCP_HEADER or piece.transport + header >= piece.len:
        return False
    piece.headers = <uint16_t>(piece.transport + header)
    piece.flags = tcp[13]
    if piece.flags & FLAGS_NEVER or not piece.flags & FLAG_ACK:
        return False
    # The other zero of one's complement: it verifies, but is not what would be computed again.
    return load_be16(tcp + TCP_CHECKSUM) != 0xffff


cdef bint read_udp(piece_t* piece) noexcept nogil:
    """Whether this is a datagram with payload and checksum, and nothing behind it."""
    cdef const uint8_t* udp = piece.data + piece.transport
    if piece.len <= <uint32_t>piece.transport + UDP_HEADER or load_be16(udp + 4) != piece.len - piece.transport:
        return False
    piece.headers = piece.transport + UDP_HEADER
    piece.flags = 0
    return load_be16(udp + UDP_CHECKSUM) != 0


cdef bint read_ip4(piece_t* piece) noexcept nogil:
    """Whether this is a whole IPv4 packet without options and padding, with a right header checksum (RFC 791)."""
    cdef const uint8_t* ip = piece.data + piece.network
    if piece.len < <uint32_t>piece.network + IP4_HEADER or ip[0] != 0x45:
        return False
    if load_be16(ip + 2) != piece.len - piece.network or load_be16(ip + 6) & NOT_DF:
        return False
    if load_be16(ip + 10) == 0xffff or checksum_finish(checksum_add(ip, IP4_HEADER, 0)) != 0:
        return False
    piece.transport = piece.network + IP4_HEADER
    piece.protocol = ip[9]
    return True


cdef bint read_ip6(piece_t* piece) noexcept nogil:
    """Whether this is a whole IPv6 packet without padding (RFC 8200). Extension headers show as another protocol."""
    cdef const uint8_t* ip = piece.data + piece.network
    if piece.len < <uint32_t>piece.network + IP6_HEADER or piece.len - piece.network > IP_TOTAL_MAX:
        return False
    if <uint32_t>load_be16(ip + 4) + IP6_HEADER != piece.len - piece.network:
        return False
    piece.transport = piece.network + IP6_HEADER
    piece.protocol = ip[6]
    return True


cdef bint behind_tags(piece_t* piece, uint16_t network) noexcept nogil:
    """Finds the IP header of a frame whose type stands in front of `network`, or behind tags there (IEEE 802.1Q)."""
    cdef uint16_t kind = load_be16(piece.data + network - 2)
    cdef int tags = 0
    while (kind == TYPE_VLAN or kind == TYPE_SERVICE_VLAN) and tags < FRAME_MAX_TAGS:
        network += FRAME_TAG
        tags += 1
        if piece.len <= network:
            return False
        kind = load_be16(piece.data + network - 2)
    piece.network = network
    return kind == (TYPE_IP4 if piece.data[network] >> 4 == 4 else TYPE_IP6)


cdef bint piece_read(piece_t* piece, const uint8_t* data, uint32_t len, uint16_t network, bint udp) noexcept nogil:
    """Reads one packet; False when it is of no kind that is ever merged. Checksums of the payload are not looked at."""
    cdef bint good
    cdef int version
    piece.data = data
    piece.len = len
    piece.network = 0
    if len <= network or network not in (0, FRAME_HEADER) or (network and not behind_tags(piece, network)):
        return False
    version = data[piece.network] >> 4
    if version == 4:
        good = read_ip4(piece)
    else:
        good = version == 6 and read_ip6(piece)
    if not good:
        return False
    if piece.protocol == TCP:
        return read_tcp(piece)
    return udp and piece.protocol == UDP and read_udp(piece)


cdef uint64_t pseudo_sum(const uint8_t* ip, uint32_t transport_len, uint8_t protocol) noexcept nogil:
    """The sum of the pseudo-header of either IP version (RFC 9293 section 3.1)."""
    if ip[0] >> 4 == 4:
        return checksum_add(ip + 12, 8, <uint64_t>transport_len + protocol)
    return checksum_add(ip + 8, 32, <uint64_t>transport_len + protocol)


cdef bint checksum_right(const uint8_t* data, uint32_t len, uint16_t network, uint16_t transport,
                         uint8_t protocol) noexcept nogil:
    cdef uint64_t total = pseudo_sum(data + network, len - transport, protocol)
    return checksum_finish(checksum_add(data + transport, len - transport, total)) == 0


cdef bint same_ip4(merge_t* merge, const uint8_t* base, const uint8_t* ip) noexcept nogil:
    """All but length, identification and checksum; the identification counts on, or stands still with DF."""
    cdef uint16_t step = <uint16_t>(load_be16(ip + 4) - load_be16(base + 4))
    if load_be16(base) != load_be16(ip) or load_be32(base + 6) != load_be32(ip + 6) or memcmp(base + 12, ip + 12, 8):
        return False
    # The second packet decides which it is. All flags but DF are known to be zero.
    if merge.packets == 1:
        merge.fixed_id = step == 0 and load_be16(ip + 6) != 0
    return step == (0 if merge.fixed_id else <uint16_t>merge.packets)


cdef bint same_tcp(merge_t* merge, const uint8_t* base, const uint8_t* tcp, uint32_t header) noexcept nogil:
    """All but sequence number, checksum, PSH and FIN; the sequence number is where the base ends (RFC 9293)."""
    if load_be32(base) != load_be32(tcp) or load_be32(tcp + 4) != merge.sequence:
        return False
    # Acknowledgement, data offset, flags and window.
    if load_be32(base + 8) != load_be32(tcp + 8) or base[12] != tcp[12] or (base[13] ^ tcp[13]) & ~FLAGS_LAST:
        return False
    if load_be16(base + 14) != load_be16(tcp + 14) or load_be16(base + 18) != load_be16(tcp + 18):
        return False
    return memcmp(base + TCP_HEADER, tcp + TCP_HEADER, header - TCP_HEADER) == 0


cdef bint continues(merge_t* merge, const piece_t* piece) noexcept nogil:
    """Whether the packet's headers say that it comes next in the base."""
    cdef const uint8_t* base = merge.first
    cdef const uint8_t* data = piece.data
    cdef uint32_t network = piece.network
    cdef uint32_t payload = piece.len - piece.headers
    if merge.parcel.network != network or merge.headers != piece.headers or merge.protocol != piece.protocol:
        return False
    if payload > merge.parcel.segment_size or merge.parcel.len - network + payload > IP_TOTAL_MAX:
        return False
    if memcmp(base, data, network) or base[network] >> 4 != data[network] >> 4:
        return False
    if data[network] >> 4 == 4:
        if not same_ip4(merge, base + network, data + network):
            return False
    elif load_be32(base + network) != load_be32(data + network) or memcmp(base + network + 6, data + network + 6, 34):
        return False
    if piece.protocol == UDP:
        return load_be32(base + piece.transport) == load_be32(data + piece.transport)
    return same_tcp(merge, base + piece.transport, data + piece.transport, piece.headers - piece.transport)


cdef void swap_covered(merge_t* merge) noexcept nogil:
    """Exchanges what stands at `place` with what is kept aside."""
    cdef uint8_t other[MERGE_KEPT_MAX]
    memcpy(other, merge.place, merge.covered)
    memcpy(merge.place, merge.kept, merge.covered)
    memcpy(merge.kept, other, merge.covered)


cdef bint base_verified(merge_t* merge, uint16_t transport) noexcept nogil:
    """Whether the base's first packet is sound. Leaves the base whole when it is, and as it was when it is not."""
    cdef parcel_t* base = &merge.parcel
    swap_covered(merge)
    if checksum_right(base.data, base.len, base.network, transport, merge.protocol):
        merge.verified = True
        return True
    swap_covered(merge)
    merge.closed = True
    return False


cdef void merge_init(merge_t* merge, uint8_t* room) noexcept nogil:
    memset(merge, 0, sizeof(merge_t))
    merge.room = merge.place = room


cdef uint8_t* merge_place(merge_t* merge, uint32_t front) noexcept nogil:
    merge.place_front = front
    merge.covered = 0
    merge.place = merge.room
    if merge.parcel.data != NULL:
        merge.covered = merge.headers + front
        merge.place = merge.parcel.data + merge.parcel.len - merge.covered
        memcpy(merge.kept, merge.place, merge.covered)
    return merge.place


cdef void merge_cancel(merge_t* merge) noexcept nogil:
    memcpy(merge.place, merge.kept, merge.covered)
    merge.covered = 0


cdef bint merge_append(merge_t* merge, uint32_t len, uint16_t network, bint udp) noexcept nogil:
    cdef piece_t piece
    cdef uint8_t* data = merge.place + merge.place_front
    cdef uint32_t payload
    if merge.parcel.data == NULL or merge.closed or merge.front != merge.place_front:
        return False
    if not piece_read(&piece, data, len, network, udp) or not continues(merge, &piece):
        return False
    if not checksum_right(data, len, piece.network, piece.transport, piece.protocol):
        return False
    if merge.verified:
        memcpy(merge.place, merge.kept, merge.covered)
    elif not base_verified(merge, piece.transport):
        return False
    merge.covered = 0
    payload = len - piece.headers
    merge.parcel.len += payload
    merge.packets += 1
    merge.sequence += payload
    merge.flags |= piece.flags & FLAGS_LAST
    merge.closed = payload < merge.parcel.segment_size or merge.flags != 0
    if piece.protocol == UDP and merge.packets == UDP_PACKETS_MAX:
        merge.closed = True
    return True


cdef void merge_part(merge_t* merge) noexcept nogil:
    swap_covered(merge)


cdef void merge_join(merge_t* merge) noexcept nogil:
    memcpy(merge.place, merge.kept, merge.covered)
    merge.covered = 0


cdef bint merge_begin(merge_t* merge, uint32_t len, uint16_t network, bint udp) noexcept nogil:
    cdef piece_t piece
    cdef uint8_t* data = merge.place + merge.place_front
    if not piece_read(&piece, data, len, network, udp) or piece.flags & FLAGS_LAST:
        return False
    merge.sequence = load_be32(data + piece.transport + 4) + len - piece.headers
    if merge.place > merge.room + BASE_FURTHEST:
        memmove(merge.room, merge.place, merge.place_front + len)
        data = merge.room + merge.place_front
    memset(&merge.parcel, 0, sizeof(parcel_t))
    merge.parcel.data = data
    merge.parcel.len = len
    merge.parcel.network = piece.network
    merge.parcel.segment_size = <uint16_t>(len - piece.headers)
    merge.front = merge.place_front
    merge.packets = 1
    merge.headers = piece.headers
    memcpy(merge.first, data, piece.headers)
    merge.protocol = piece.protocol
    merge.flags = 0
    merge.fixed_id = merge.verified = merge.closed = False
    return True


cdef void complete_ip(uint8_t* ip, uint32_t total) noexcept nogil:
    """The length, and the checksum over it, of an IP packet that became `total` octets long."""
    if ip[0] >> 4 == 6:
        store_be16(ip + 4, <uint16_t>(total - IP6_HEADER))
        return
    store_be16(ip + 2, <uint16_t>total)
    store_be16(ip + 10, 0)
    store_be16(ip + 10, checksum_finish(checksum_add(ip, IP4_HEADER, 0)))


cdef void complete_super(merge_t* merge, parcel_t* parcel) noexcept nogil:
    """Makes the first packet's headers those of the super-frame."""
    cdef uint8_t* ip = parcel.data + parcel.network
    cdef bint four = ip[0] >> 4 == 4
    cdef uint32_t transport = parcel.network + (IP4_HEADER if four else IP6_HEADER)
    cdef uint8_t* header = parcel.data + transport
    complete_ip(ip, parcel.len - parcel.network)
    parcel.unfinished = True
    parcel.checksum_start = <uint16_t>transport
    if merge.protocol == UDP:
        parcel.kind = SUPER_UDP
        parcel.checksum_offset = UDP_CHECKSUM
        store_be16(header + 4, <uint16_t>(parcel.len - transport))
    else:
        parcel.kind = SUPER_TCP4 if four else SUPER_TCP6
        parcel.checksum_offset = TCP_CHECKSUM
        header[13] |= merge.flags
    store_be16(
        header + parcel.checksum_offset, ~checksum_finish(pseudo_sum(ip, parcel.len - transport, merge.protocol))
    )


cdef void merge_finish(merge_t* merge, parcel_t* parcel) noexcept nogil:
    parcel[0] = merge.parcel
    merge.parcel.data = NULL
    if merge.packets == 1:
        parcel.segment_size = 0
        parcel.kind = SUPER_NONE
        return
    complete_super(merge, parcel)


cdef object parcel_tuple(const parcel_t* parcel):
    return (
        (<const char*>parcel.data)[:parcel.len], parcel.kind, parcel.segment_size, parcel.checksum_start,
        parcel.checksum_offset, bool(parcel.unfinished),
    )


cdef int drive(merge_t* merge, bytes frame, bint udp, uint16_t network, uint32_t front, list shipped) except -1:
    """One packet's way through the merge, as a lane goes it."""
    cdef uint8_t* place = merge_place(merge, front)
    cdef uint32_t length = <uint32_t>len(frame)
    cdef parcel_t parcel
    memset(place, 0x30, front)
    memcpy(place + front, <const char*>frame, length)
    # What ESP leaves behind the payload.
    memset(place + front + length, 0xee, TEST_TRAILER)
    if merge.parcel.data != NULL:
        if merge_append(merge, length, network, udp):
            return 0
        merge_part(merge)
        merge_finish(merge, &parcel)
        shipped.append(parcel_tuple(&parcel))
        merge_join(merge)
    if not merge_begin(merge, length, network, udp):
        memset(&parcel, 0, sizeof(parcel))
        parcel.data = place + front
        parcel.len = length
        shipped.append(parcel_tuple(&parcel))
    return 0


def merged(frames, udp, int network=14, int front=2) -> list[tuple[bytes, int, int, int, int, bool]]:
    """What comes out when `frames` arrive in this order in one batch; see merge.pyi."""
    cdef merge_t merge
    cdef parcel_t parcel
    cdef uint8_t* memory
    if not 0 <= network <= 65535 or not 0 <= front <= MERGE_KEPT_MAX // 2:
        raise ValueError(f"offset {network} or front {front} is out of range")
    frames = [bytes(frame) for frame in frames]
    if max(map(len, frames), default=0) > 65535 + network:
        raise ValueError("a frame is longer than any packet")
    memory = <uint8_t*>malloc(TEST_HEAD_ROOM + MERGE_ROOM)
    if memory == NULL:
        raise MemoryError
    shipped = []
    try:
        merge_init(&merge, memory + TEST_HEAD_ROOM)
        for frame in frames:
            drive(&merge, frame, bool(udp), <uint16_t>network, <uint32_t>front, shipped)
        if merge.parcel.data != NULL:
            merge_finish(&merge, &parcel)
            shipped.append(parcel_tuple(&parcel))
    finally:
        free(memory)
    return shipped
