"""From a frame to the wire."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from atomic cimport RELAXED, add64, cas64, load64, store64

from rhp._fast.drops cimport (
    DROP_ESP_CRYPTO_FAILED, DROP_ESP_OVERSIZED, DROP_EVENT_FULL, DROP_LIFETIME_OVER, DROP_NO_OUTBOUND_SA,
    DROP_NO_SOCKET, DROP_SEQUENCE_EXHAUSTED,
)
from rhp._fast.esp cimport esp_ctx_new, esp_seal, esp_sealed_len
from rhp._fast.etherip cimport ETHERIP_HEADER, PROTOCOL_ETHERIP, etherip_write
from rhp._fast.events cimport EVENT_NO_SA, EVENT_SA_LIMIT, event_t, ring_put
from rhp._fast.frame cimport FRAME_HEADER
from rhp._fast.lane cimport BATCH, DATAGRAM_MAX, SOCKETS, lane_t
from rhp._fast.mirror cimport mirror_copy
from rhp._fast.outer cimport queue_flush, queue_push, queue_slot
from rhp._fast.parcel cimport SUPER_NONE, parcel_finish, parcel_t
from rhp._fast.sa cimport esp_sequence_take
from rhp._fast.sadb cimport port_lane_t, sa_lane_t, sa_t
from rhp._fast.segment cimport segments_begin, segments_next, segments_restore, segments_t
from rhp._fast.stats cimport bump

cdef enum:
    PROTOCOL_IP4 = 4
    PROTOCOL_IP6 = 41
    TELL_NO_SA_MS = 1000


cdef void tell_limit(lane_t* lane, sa_t* sa, uint64_t stage) noexcept nogil:
    """Whichever lane comes first."""
    cdef event_t event
    cdef uint64_t told = load64(&sa.warned, RELAXED)
    while told < stage:
        if cas64(&sa.warned, &told, stage, False, RELAXED, RELAXED):
            memset(&event, 0, sizeof(event))
            event.kind = EVENT_SA_LIMIT
            event.number = sa.spi_in
            event.detail = stage == 2
            if not ring_put(&lane.ring, &event, NULL, 0):
                bump(&lane.stats.drops[<int>DROP_EVENT_FULL], 1)
                # Nobody knows yet: the next packet tells it again.
                cas64(&sa.warned, &stage, told, False, RELAXED, RELAXED)
            return


cdef uint64_t take_sequence(lane_t* lane, sa_lane_t* view) noexcept nogil:
    """The next number, or 0 at the end. Takes as many as this batch may need, so that lanes seldom meet."""
    cdef sa_t* sa = view.sa
    cdef uint64_t next = load64(&sa.sequence.next, RELAXED)
    cdef uint32_t count = lane.expected if 0 < lane.expected < BATCH else BATCH
    if view.sequence_next < view.sequence_end:
        view.sequence_next += 1
        return view.sequence_next - 1
    if next + count > sa.sequence.last:
        # The very last ones go one by one, so that none is lost to a batch that does not fit.
        count = 1
    next = esp_sequence_take(&sa.sequence, count)
    if next == 0:
        tell_limit(lane, sa, 2)
        return 0
    if next + count > sa.warn_at:
        tell_limit(lane, sa, 1)
    if count > 1 and view.sequence_end == 0:
        view.taken_next = lane.taken
        lane.taken = view
    if count > 1:
        view.sequence_next = next + 1
        view.sequence_end = next + count
    return next


cdef bint spend(lane_t* lane, sa_t* sa, size_t len) noexcept nogil:
    """Whether so many octets are left of an SA's lifetime; they are spent then."""
    cdef uint64_t spent = add64(&sa.octets_out, len, RELAXED) + len
    if spent > sa.octet_limit:
        tell_limit(lane, sa, 2)
        return False
    if spent > sa.octet_warn:
        tell_limit(lane, sa, 1)
    return True


cdef void give_back(lane_t* lane) noexcept nogil:
    """Unused numbers return to the counter if nobody took more meanwhile; else they stay a gap, which ESP allows."""
    cdef sa_lane_t* view
    cdef uint64_t expected
    while lane.taken != NULL:
        view = lane.taken
        lane.taken = view.taken_next
        view.taken_next = NULL
        if view.sequence_next < view.sequence_end:
            expected = view.sequence_end
            cas64(&view.sa.sequence.next, &expected, view.sequence_next, False, RELAXED, RELAXED)
        view.sequence_next = view.sequence_end = 0


cdef void tell_no_sa(lane_t* lane, port_lane_t* port) noexcept nogil:
    cdef event_t event
    bump(&lane.stats.drops[<int>DROP_NO_OUTBOUND_SA], 1)
    bump(&port.drops, 1)
    if port.told_no_sa != 0 and lane.now_ms - port.told_no_sa < TELL_NO_SA_MS:
        return
    port.told_no_sa = lane.now_ms
    memset(&event, 0, sizeof(event))
    event.kind = EVENT_NO_SA
    event.number = port.port.number
    if not ring_put(&lane.ring, &event, NULL, 0):
        bump(&lane.stats.drops[<int>DROP_EVENT_FULL], 1)


cdef int seal_packet_of(
    lane_t* lane, sa_lane_t* view, uint8_t next_header, uint8_t* payload, size_t len,
) noexcept nogil:
    """Into the train: 0, or -reason."""
    cdef int size = esp_sealed_len(view.sealer, len)
    cdef uint64_t sequence
    cdef uint8_t* slot
    if size < 0 or size > DATAGRAM_MAX:
        return -<int>DROP_ESP_OVERSIZED
    slot = queue_slot(lane, view, size)
    if slot == NULL:
        return -<int>DROP_NO_SOCKET
    if view.sa.limited and not spend(lane, view.sa, len):
        return -<int>DROP_LIFETIME_OVER
    sequence = take_sequence(lane, view)
    if sequence == 0:
        return -<int>DROP_SEQUENCE_EXHAUSTED
    size = esp_seal(view.sealer, sequence, next_header, payload, len, slot)
    if size < 0:
        return size
    queue_push(lane, view, size)
    return 0


cdef void count_dropped(lane_t* lane, port_lane_t* port, int reason, uint64_t packets) noexcept nogil:
    bump(&lane.stats.drops[reason], packets)
    bump(&port.drops, packets)


cdef void count_sealed(
    lane_t* lane, port_lane_t* port, sa_lane_t* view, uint64_t packets, uint64_t octets,
) noexcept nogil:
    bump(&view.packets_out, packets)
    bump(&view.bytes_out, octets)
    store64(&view.last_out, lane.now, RELAXED)
    bump(&port.packets_out, packets)
    bump(&port.bytes_out, octets)


cdef void seal(
    lane_t* lane, port_lane_t* port, uint8_t next_header, uint32_t front, parcel_t* parcel,
) noexcept nogil:
    """Each packet that the parcel stands for, with `front` octets of EtherIP before it."""
    cdef sa_lane_t* view = port.outbound
    cdef segments_t cut
    cdef uint64_t packets = 0
    cdef uint64_t octets = 0
    cdef unsigned int others = lane.expected
    cdef uint32_t len = 0
    cdef uint8_t* data
    cdef int result
    if view == NULL:
        tell_no_sa(lane, port)
        return
    if view.sealer == NULL:
        view.sealer = esp_ctx_new(&view.sa.key_out, False)
        if view.sealer == NULL:
            count_dropped(lane, port, DROP_ESP_CRYPTO_FAILED, 1)
            return
    if parcel.unfinished and parcel.kind == SUPER_NONE:
        # Once, also for a frame that goes to many.
        parcel_finish(parcel)
    result = segments_begin(&cut, parcel)
    if result < 0:
        count_dropped(lane, port, -result, 1)
        return
    data = segments_next(&cut, &len)
    while data != NULL:
        lane.expected = others + cut.count - cut.index
        if front:
            etherip_write(data - ETHERIP_HEADER)
        result = seal_packet_of(lane, view, next_header, data - front, len + front)
        segments_restore(&cut)
        if result < 0:
            count_dropped(lane, port, -result, 1)
        else:
            packets += 1
            octets += len + front
        data = segments_next(&cut, &len)
    lane.expected = others
    if packets:
        count_sealed(lane, port, view, packets, octets)


cdef void seal_frame(lane_t* lane, port_lane_t* port, parcel_t* parcel) noexcept nogil:
    if load64(&lane.mirror.octets, RELAXED):
        mirror_copy(&lane.mirror, port.port.number, True, parcel.data, parcel.len, lane.now)
    seal(lane, port, PROTOCOL_ETHERIP, ETHERIP_HEADER, parcel)


cdef void seal_packet(lane_t* lane, port_lane_t* port, parcel_t* parcel, int version) noexcept nogil:
    if load64(&lane.mirror.octets, RELAXED):
        # Its Ethernet header still stands in front of it.
        mirror_copy(
            &lane.mirror, port.port.number, True, parcel.data - FRAME_HEADER, parcel.len + FRAME_HEADER, lane.now,
        )
    seal(lane, port, PROTOCOL_IP4 if version == 4 else PROTOCOL_IP6, 0, parcel)


cdef void seal_finish(lane_t* lane) noexcept nogil:
    cdef int index
    for index in range(SOCKETS):
        if lane.queues[index].count:
            queue_flush(lane, lane.queues + index)
    if lane.taken != NULL:
        give_back(lane)
