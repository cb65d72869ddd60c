"""A whole lane: what the TAP hands over, and what the sockets receive, ESP with the right keys among it.

Every datagram is explained by a counter. What leaves for a peer is opened with the peer's key and is sound where it was
cut from a super-frame; what leaves for the TAP can be cut again, and is sound where it was merged.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove, memset

from linux_system cimport read, write

from rhp._fast.esp cimport esp_open
from rhp._fast.etherip cimport etherip_valid
from rhp._fast.forward cimport forward_frame
from rhp._fast.frame cimport frame_parse, frame_t
from rhp._fast.inbound cimport inbound_finish, inbound_overdue, inbound_process
from rhp._fast.lane cimport BATCH, DATAGRAM_MAX, SLOT_STRIDE, queue_t, train_t
from rhp._fast.parcel cimport SUPER_NONE, SUPER_TCP4, SUPER_TCP6, SUPER_UDP, VNET_HEADER, parcel_from_tap, parcel_t
from rhp._fast.seal cimport seal_finish
from rhp._fast.segment cimport segments_begin, segments_next, segments_restore, segments_t
from rhp._fast.stats cimport TOTAL_TAP_OUT
from rhp._fast.tap cimport tap_read
from targets.flow cimport (
    flow_headers, flow_t, flow_take, flow_transport, flow_write, packet_mend, packet_sound, pseudo_folded,
)
from targets.scene cimport *
from targets.source cimport check, source_t, take, take8, take16

cdef enum:
    TURNS_MAX = 12
    MESSAGES_MAX = 4
    TRAIN_MAX = 24
    ROOM = 70000
    ETHERIP = 97
    DUMMY = 59
    PATH_TALK = 16
    WAIT_NS = 1000000
    # Of the TAP's; the kinds are those of `super_t`.
    NEEDS_CHECKSUM = 1

# Messages about the path in this input: an answer is told as an event and counted nowhere.
cdef uint64_t talks


# What the host's end of the TAP sees.

cdef void check_tap_frame(uint8_t* room, uint32_t len) noexcept nogil:
    cdef parcel_t parcel
    cdef segments_t cut
    cdef frame_t frame
    cdef uint8_t* data
    cdef uint32_t size = 0
    if scene.lane.hubs[0].offloads == 0:
        check(len >= 14, b"a frame for a plain TAP")
        return
    check(len >= VNET_HEADER + 14, b"a frame for the TAP")
    check(parcel_from_tap(&parcel, room + VNET_HEADER, len - VNET_HEADER) == 0, b"a header for the TAP")
    check(frame_parse(parcel.data, parcel.len, &frame) == 0, b"a frame's header")
    parcel.network = frame.network
    if parcel.kind == SUPER_NONE:
        return
    check(segments_begin(&cut, &parcel) == 0 and cut.count > 1, b"a super-frame for the TAP")
    data = segments_next(&cut, &size)
    while data != NULL:
        check(packet_sound(data, size, frame.network), b"what was merged")
        segments_restore(&cut)
        data = segments_next(&cut, &size)


cdef void read_tap() noexcept nogil:
    cdef uint8_t* room = <uint8_t*>malloc(ROOM)
    cdef uint64_t frames = 0
    cdef ssize_t len = read(scene.host, room, ROOM)
    while len > 0:
        check_tap_frame(room, <uint32_t>len)
        frames += 1
        len = read(scene.host, room, ROOM)
    check(frames == scene.lane.hubs[0].stats.totals[<int>TOTAL_TAP_OUT], b"as many frames as were counted")
    free(room)


# What the peers see.

cdef void open_train(const train_t* train, const uint8_t* data) noexcept nogil:
    cdef uint8_t* inner = <uint8_t*>malloc(DATAGRAM_MAX)
    cdef uint32_t left = train.octets
    cdef uint32_t len
    cdef uint8_t next_header = 0
    cdef int peer = 0
    cdef int size
    while scene.views[peer] != train.view:
        peer += 1
    check(train.segments == (train.octets + train.size - 1) // train.size, b"a train's segments")
    while left > 0:
        len = min(left, train.size)
        size = esp_open(scene.openers[peer], data, len, inner, &next_header)
        check(size >= 0, b"the peer opens what was sealed")
        if next_header == DUMMY:
            check(size == PATH_TALK, b"an answer about the path")
        elif peer < 2:
            check(next_header == ETHERIP and etherip_valid(inner, size), b"EtherIP")
        else:
            check(next_header == (4 if inner[0] >> 4 == 4 else 41), b"the next header of a tunnel")
        data += len
        left -= len
    free(inner)


cdef void read_queue() noexcept nogil:
    cdef const queue_t* queue = scene.lane.queues
    cdef unsigned int index
    check(queue.count <= BATCH, b"a queue's length")
    for index in range(queue.count):
        open_train(queue.trains + index, queue.slots + index * SLOT_STRIDE)


# From the TAP.

cdef void address_frame(uint8_t* data, source_t* source) noexcept nogil:
    cdef uint8_t who = take8(source)
    memcpy(data, scene.stations[who & 7], 6)
    memcpy(data + 6, scene.stations[who >> 3 & 7], 6)


cdef uint32_t write_frame(uint8_t* data, source_t* source, flow_t* flow) noexcept nogil:
    """A frame of the flow, or of noise, and sometimes a bit of both."""
    cdef uint8_t how = take8(source)
    cdef uint32_t len
    cdef uint16_t place
    if how & 1:
        len = 14 + take8(source)
        take(source, data, len)
    else:
        len = flow_write(flow, take16(source) % (40000 if how & 2 else 600), data)
        flow.sequence += len - flow_headers(flow)
        flow.id += 1
    if how & 4:
        place = take16(source)
        data[place % min(len, 120)] ^= take8(source)
        if how & 8 and flow.network:
            packet_mend(data, len, flow.network)
    if flow.network:
        address_frame(data, source)
    return len


cdef void describe(uint8_t* vnet, uint8_t* data, uint32_t len, source_t* source, const flow_t* flow) noexcept nogil:
    """The TAP's header: a super-frame's, a plain frame's, or noise."""
    cdef uint8_t how = take8(source) & 3
    cdef uint16_t fields[5]
    cdef uint16_t start = <uint16_t>flow_transport(flow)
    cdef uint16_t offset = 6 if flow.udp else 16
    cdef uint16_t sum
    memset(fields, 0, sizeof(fields))
    if how == 1:
        take(source, <uint8_t*>fields, sizeof(fields))
    elif how > 1 and len > flow_headers(flow):
        fields[0] = NEEDS_CHECKSUM
        if how == 2:
            fields[0] |= (SUPER_UDP if flow.udp else (SUPER_TCP4 if flow.version == 4 else SUPER_TCP6)) << 8
            fields[2] = 0x80 | take16(source) & 0xfff
        fields[3] = start
        fields[4] = offset
        sum = pseudo_folded(data + flow.network, len - start, 17 if flow.udp else 6)
        data[start + offset] = <uint8_t>(sum >> 8)
        data[start + offset + 1] = <uint8_t>sum
    memcpy(vnet, fields, VNET_HEADER)


cdef void from_tap(source_t* source, flow_t* flow) noexcept nogil:
    """One frame, read as the lane reads it."""
    cdef uint8_t* room = <uint8_t*>malloc(ROOM)
    cdef uint32_t front = VNET_HEADER if scene.lane.hubs[0].offloads else 0
    cdef parcel_t parcels[BATCH]
    cdef uint64_t before = scene_counted() + talks
    cdef uint32_t len = write_frame(room + VNET_HEADER, source, flow)
    describe(room, room + VNET_HEADER, len, source, flow)
    scene_open_frames()
    if write(scene.host, room + VNET_HEADER - front, len + front) > 0:
        if tap_read(scene.lane, scene.lane.hubs[0], parcels, 0) > 0:
            scene_close_frame(parcels[0].data, parcels[0].len)
            scene.lane.expected = 1
            forward_frame(scene.lane, scene.lane.hubs[0], NULL, parcels)
        read_queue()
        seal_finish(scene.lane)
        check(scene_counted() + talks > before, b"a frame is explained")
    scene_open_frames()
    free(room)


# From the sockets.

cdef uint32_t write_path_talk(uint8_t* out, uint8_t how, source_t* source) noexcept nogil:
    """A dummy packet, or one in which two nodes talk about their path, which is no more than an event."""
    global talks
    talks += 1
    memset(out, 0, PATH_TALK)
    if how & 1:
        memcpy(out, b"rhp path", 8)
    out[8] = 1 + (how >> 1 & 1)
    take(source, out + 12, 4)
    return PATH_TALK


cdef uint32_t write_inner(uint8_t* out, int peer, uint8_t* next_header, source_t* source, flow_t* flow) noexcept nogil:
    """What a peer seals: EtherIP or an IP packet, mostly."""
    cdef flow_t now = flow[0]
    cdef uint32_t len
    cdef uint8_t how = take8(source)
    now.network = 0 if peer >= 2 else (flow.network if flow.network else 14)
    len = write_frame(out + 2, source, &now)
    flow.sequence = now.sequence
    flow.id = now.id
    out[0] = 0x30
    out[1] = 0
    next_header[0] = ETHERIP
    if peer >= 2:
        memmove(out, out + 2, len)
        next_header[0] = 4 if out[0] >> 4 == 4 else 41
    else:
        len += 2
    if how == 255:
        next_header[0] = take8(source)
    if how == 254:
        out[0] ^= take8(source)
    if how >> 2 == 62:
        next_header[0] = DUMMY
        return write_path_talk(out, how, source)
    return len


cdef uint32_t write_esp(uint8_t* out, int peer, source_t* source, flow_t* flow) noexcept nogil:
    cdef uint8_t* inner = <uint8_t*>malloc(ROOM)
    cdef uint8_t next_header = 0
    cdef uint32_t len = write_inner(inner, peer, &next_header, source, flow)
    cdef uint8_t change = take8(source)
    cdef int size = scene_seal(peer, next_header, inner, len, out)
    free(inner)
    if size < 0:
        return 0
    if change == 255:
        out[take16(source) % size] ^= take8(source)
    if change == 254:
        size = take16(source) % size
    if change == 253:
        # Once more with the same number.
        scene.sequences[peer] -= 1
    return size


cdef uint32_t write_train(uint8_t* out, source_t* source, flow_t* flow, uint16_t* segment) noexcept nogil:
    """Datagrams of one length, the last may be shorter, of one peer."""
    cdef uint8_t how = take8(source)
    cdef uint8_t* next = <uint8_t*>malloc(ROOM)
    cdef uint32_t total = 0
    cdef uint32_t len = 1
    cdef int count = 0
    segment[0] = 0
    while count < TRAIN_MAX and len > 0 and source.left > 0:
        len = write_esp(next, how & 3, source, flow)
        if segment[0] == 0:
            segment[0] = <uint16_t>len
        if len > segment[0] or total + len > DATAGRAM_MAX:
            break
        memcpy(out + total, next, len)
        total += len
        count += 1
        if len < segment[0] or count > how >> 3:
            break
    free(next)
    return total


cdef uint32_t write_datagram(uint8_t* out, int which, source_t* source, flow_t* flow, uint16_t* segment) noexcept nogil:
    cdef uint8_t how = take8(source) & 7
    cdef uint32_t len
    segment[0] = 0
    if how < 5 and which != 2:
        return write_train(out, source, flow, segment)
    if how < 6:
        # Protocol 50 with its IP header.
        memset(out, 0, 20)
        len = 20 + write_esp(out + 20, take8(source) & 3, source, flow)
        out[0] = 0x45 ^ take8(source)
        out[2] = <uint8_t>(len >> 8)
        out[3] = <uint8_t>len
        return min(len, <uint32_t>DATAGRAM_MAX)
    len = take8(source)
    segment[0] = take8(source) if how == 7 else 0
    take(source, out, len)
    if take8(source) & 1:
        memset(out, 0, min(len, 4U))
    return len


cdef void from_socket(source_t* source, flow_t* flow) noexcept nogil:
    cdef uint8_t* room = <uint8_t*>malloc(ROOM)
    cdef uint8_t how = take8(source)
    cdef int count = 1 + (how >> 2) % MESSAGES_MAX
    cdef int rounds = 1 + (how >> 6)
    cdef uint64_t before = scene_counted() + talks
    cdef uint16_t segment = 0
    cdef uint32_t len
    cdef int index
    for _ in range(rounds):
        for index in range(count):
            len = write_datagram(room, how & 3, source, flow, &segment)
            scene_message(index, room, len, segment)
        inbound_process(scene.lane, how & 3, count)
    # What was held waits at most so long.
    scene.lane.now += take8(source) * <uint64_t>WAIT_NS
    inbound_overdue(scene.lane)
    inbound_finish(scene.lane)
    read_queue()
    seal_finish(scene.lane)
    check(scene_counted() + talks >= before + rounds * count, b"datagrams are explained")
    free(room)


cdef void settings(source_t* source) noexcept nogil:
    cdef uint8_t how = take8(source)
    cdef int peer
    if how & 1:
        scene.lane.hubs[0].offloads = 0x0f
    if how & 2:
        scene.lane.hubs[0].offloads = 0
    scene.lane.hubs[0].hub.isolate = how >> 2 & 1
    scene.lane.hubs[0].hub.answer = how >> 3 & 1
    for peer in range(PEERS):
        scene.views[peer].port.port.limit = 600 if how & 16 else 0
        scene.views[peer].port.port.mss = 536 if how & 32 else 0
    scene.lane.queues[0].segments_max = 1 if how & 64 else 64
    how = take8(source)
    scene.lane.hubs[0].hub.ordering = how % 3
    scene.lane.queues[0].tail = how >> 7


cdef int fuzz(const uint8_t* data, size_t size) noexcept nogil:
    cdef source_t source
    cdef flow_t flow
    source.data = data
    source.left = size
    global talks
    scene_reset()
    talks = 0
    settings(&source)
    flow_take(&flow, &source)
    for _ in range(TURNS_MAX):
        if source.left == 0:
            break
        if take8(&source) & 1:
            from_tap(&source, &flow)
        else:
            from_socket(&source, &flow)
    read_tap()
    check(scene_apart(), b"no word to another hub")
    return 0


entry = <uintptr_t>fuzz
