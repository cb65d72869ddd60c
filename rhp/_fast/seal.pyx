"""From a frame to the wire."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from atomic cimport RELAXED, cas64, load64, store64

from rhp._fast.drops cimport (
    DROP_ESP_CRYPTO_FAILED, DROP_ESP_OVERSIZED, DROP_EVENT_FULL, DROP_NO_OUTBOUND_SA, DROP_SEQUENCE_EXHAUSTED,
)
from rhp._fast.esp cimport esp_ctx_new, esp_seal, esp_sealed_len
from rhp._fast.etherip cimport ETHERIP_HEADER, PROTOCOL_ETHERIP, etherip_write
from rhp._fast.events cimport EVENT_NO_SA, EVENT_SA_LIMIT, event_t, ring_put
from rhp._fast.lane cimport BATCH, DATAGRAM_MAX, SOCKETS, lane_t
from rhp._fast.outer cimport queue_flush, queue_push, queue_slot
from rhp._fast.packet cimport packet_t
from rhp._fast.sa cimport esp_sequence_take
from rhp._fast.sadb cimport port_lane_t, sa_lane_t, sa_t
from rhp._fast.stats cimport bump

cdef enum:
    PROTOCOL_IP4 = 4
    PROTOCOL_IP6 = 41
    TELL_NO_SA_MS = 1000


cdef void tell_limit(lane_t* lane, sa_t* sa, uint64_t stage) noexcept nogil:
    """Once for each stage, whichever lane comes first: 1 = it nears its end, 2 = it is over."""
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


cdef int seal_into(
    lane_t* lane, sa_lane_t* view, uint8_t next_header, uint8_t* payload, size_t len, uint8_t* slot,
) noexcept nogil:
    """The packet's length, or -reason."""
    cdef uint64_t sequence
    cdef int size
    if view.sealer == NULL:
        view.sealer = esp_ctx_new(&view.sa.key_out, False)
        if view.sealer == NULL:
            return -<int>DROP_ESP_CRYPTO_FAILED
    size = esp_sealed_len(view.sealer, len)
    if size < 0 or size > DATAGRAM_MAX:
        return -<int>DROP_ESP_OVERSIZED
    sequence = take_sequence(lane, view)
    if sequence == 0:
        return -<int>DROP_SEQUENCE_EXHAUSTED
    return esp_seal(view.sealer, sequence, next_header, payload, len, slot)


cdef void seal(lane_t* lane, port_lane_t* port, uint8_t next_header, uint8_t* payload, size_t len) noexcept nogil:
    cdef sa_lane_t* view = port.outbound
    cdef uint8_t* slot
    cdef int size
    if view == NULL:
        tell_no_sa(lane, port)
        return
    slot = queue_slot(lane, view)
    if slot == NULL:
        bump(&port.drops, 1)
        return
    size = seal_into(lane, view, next_header, payload, len, slot)
    if size < 0:
        bump(&lane.stats.drops[-size], 1)
        bump(&port.drops, 1)
        return
    queue_push(lane, view, size)
    bump(&view.packets_out, 1)
    bump(&view.bytes_out, len)
    store64(&view.last_out, lane.now, RELAXED)
    bump(&port.packets_out, 1)
    bump(&port.bytes_out, len)


cdef void seal_frame(lane_t* lane, port_lane_t* port, uint8_t* data, size_t len) noexcept nogil:
    etherip_write(data - ETHERIP_HEADER)
    seal(lane, port, PROTOCOL_ETHERIP, data - ETHERIP_HEADER, len + ETHERIP_HEADER)


cdef void seal_packet(lane_t* lane, port_lane_t* port, uint8_t* data, const packet_t* packet) noexcept nogil:
    seal(lane, port, PROTOCOL_IP4 if packet.version == 4 else PROTOCOL_IP6, data, packet.total)


cdef void seal_finish(lane_t* lane) noexcept nogil:
    cdef int index
    for index in range(SOCKETS):
        if lane.queues[index].count:
            queue_flush(lane, lane.queues + index)
    if lane.taken != NULL:
        give_back(lane)
