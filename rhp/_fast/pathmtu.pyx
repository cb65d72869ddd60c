"""Asking the path how long a packet may be."""

from libc.stdint cimport uint8_t
from libc.string cimport memset

from linux_socket cimport *

from rhp._fast.drops cimport DROP_ESP_CRYPTO_FAILED, DROP_EVENT_FULL
from rhp._fast.esp cimport esp_ctx_new, esp_ctx_t, esp_sealed_len
from rhp._fast.events cimport EVENT_PATH_ANSWER, EVENT_RESERVE, event_t, ring_put
from rhp._fast.lane cimport HEAD_ROOM, queue_t
from rhp._fast.octets cimport load_be32, load_be64, store_be32, store_be64
from rhp._fast.outer cimport queue_flush
from rhp._fast.rate cimport rate_take
from rhp._fast.seal cimport seal_finish, seal_packet_of
from rhp._fast.stats cimport TOTAL_PATH_ANSWERS, TOTAL_PATH_PROBES, bump

cdef enum:
    NO_NEXT_HEADER = 59
    LARGEST_BLOCK = 16              # Octets to which padding aligns, in any suite.
    PATH_HEADER = 16
    PATH_QUESTION = 1
    PATH_ANSWER = 2
    # Of one SA: a peer asks three sizes every few seconds, and a dozen one after the other when it searches.
    TALK_BURST = 32
    TALK_MS = 100

cdef extern from *:
    """
    #define RHP_PATH_MAGIC 0x7268702070617468ULL  /* "rhp path" */
    """
    const unsigned long long MAGIC "RHP_PATH_MAGIC"


cdef void write_header(uint8_t* payload, uint8_t kind, uint32_t octets) noexcept nogil:
    memset(payload, 0, PATH_HEADER)
    store_be64(payload, MAGIC)
    payload[8] = kind
    store_be32(payload + 12, octets)


cdef bint ready(lane_t* lane, sa_lane_t* view) noexcept nogil:
    """Whether the view can seal."""
    if view.sealer == NULL:
        view.sealer = esp_ctx_new(&view.sa.key_out, False)
        if view.sealer == NULL:
            bump(&lane.stats.drops[<int>DROP_ESP_CRYPTO_FAILED], 1)
    return view.sealer != NULL


cdef size_t payload_for(esp_ctx_t* sealer, uint32_t octets) noexcept nogil:
    """The most octets of payload that are sealed to `octets`; 0 where not even an empty packet fits."""
    cdef int empty = esp_sealed_len(sealer, 0)
    cdef size_t len
    if empty < 0 or <uint32_t>empty > octets:
        return 0
    # Close below, for the padding depends on the length; then the last steps.
    len = octets - empty - LARGEST_BLOCK if octets > <uint32_t>empty + LARGEST_BLOCK else 0
    while len < octets and esp_sealed_len(sealer, len + 1) <= <int>octets:
        len += 1
    return len


cdef void path_probe(lane_t* lane, sa_lane_t* view, uint32_t octets) noexcept nogil:
    cdef queue_t* queue = lane.queues + view.queue
    cdef bint six = view.remote.sin6_family == AF_INET6
    cdef int level = IPPROTO_IPV6 if six else IPPROTO_IP
    cdef int option = IPV6_MTU_DISCOVER if six else IP_MTU_DISCOVER
    cdef int probing = IP_PMTUDISC_PROBE
    cdef int before = 0
    cdef socklen_t length = sizeof(before)
    cdef uint8_t* payload = lane.answer + HEAD_ROOM
    cdef unsigned int others = lane.expected
    cdef size_t size
    if queue.fd < 0 or getsockopt(queue.fd, level, option, &before, &length) < 0:
        return
    if not ready(lane, view):
        return
    size = payload_for(view.sealer, octets)
    memset(payload, 0, size)
    if size >= PATH_HEADER:
        write_header(payload, PATH_QUESTION, octets)
    # The option is the socket's, so what waits goes before it is set.
    queue_flush(lane, queue)
    setsockopt(queue.fd, level, option, &probing, sizeof(probing))
    lane.expected = 1
    if seal_packet_of(lane, view, NO_NEXT_HEADER, payload, size) == 0:
        bump(&lane.stats.totals[<int>TOTAL_PATH_PROBES], 1)
    seal_finish(lane)
    lane.expected = others
    setsockopt(queue.fd, level, option, &before, sizeof(before))


cdef void answer(lane_t* lane, sa_lane_t* view, uint32_t octets) noexcept nogil:
    """It goes with the batch, as everything that is sent in answer to a packet."""
    if not ready(lane, view):
        return
    write_header(lane.answer + HEAD_ROOM, PATH_ANSWER, octets)
    if seal_packet_of(lane, view, NO_NEXT_HEADER, lane.answer + HEAD_ROOM, PATH_HEADER) == 0:
        bump(&lane.stats.totals[<int>TOTAL_PATH_ANSWERS], 1)


cdef void tell_answer(lane_t* lane, const sa_lane_t* view, uint32_t octets) noexcept nogil:
    cdef event_t event
    memset(&event, 0, sizeof(event))
    event.kind = EVENT_PATH_ANSWER
    event.number = view.sa.spi_in
    event.detail = octets
    bump(&lane.stats.totals[<int>TOTAL_PATH_ANSWERS], 1)
    if not ring_put(&lane.ring, &event, NULL, EVENT_RESERVE):
        bump(&lane.stats.drops[<int>DROP_EVENT_FULL], 1)


cdef bint path_hear(lane_t* lane, sa_lane_t* view, const uint8_t* payload, size_t len) noexcept nogil:
    cdef uint32_t octets
    if len < PATH_HEADER or load_be64(payload) != MAGIC:
        return False
    if payload[8] != PATH_QUESTION and payload[8] != PATH_ANSWER:
        return False
    if not rate_take(&view.path_talk, lane.now_ms, TALK_MS, TALK_BURST):
        return False
    octets = load_be32(payload + 12)
    if payload[8] == PATH_ANSWER:
        tell_answer(lane, view, octets)
        return True
    if view.port.outbound == NULL:
        return False
    answer(lane, view.port.outbound, octets)
    return True
