"""Everything that only reads a frame, and what answers or clamps it: any octets, in an allocation of their length."""

from libc.stdint cimport uint8_t, uint16_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from rhp._fast.arpnd cimport (
    DISCOVERY_ANSWER_MAX, DISCOVERY_NONE, discovery_answer, discovery_is_question, discovery_read, discovery_t,
)
from rhp._fast.checksum cimport checksum_add, checksum_finish
from rhp._fast.etherip cimport etherip_valid
from rhp._fast.frame cimport frame_is_control, frame_parse, frame_t
from rhp._fast.mss cimport mss_clamp
from rhp._fast.packet cimport packet_parse, packet_t
from rhp._fast.rate cimport rate_t
from rhp._fast.toobig cimport TOOBIG_MAX, toobig_answer
from targets.flow cimport packet_mend, packet_sound
from targets.source cimport check, source_t, take, take8

cdef enum:
    MAC = 0x020304050607
    NOW_MS = 1000


cdef void try_questions(const uint8_t* data, size_t len, const frame_t* frame) noexcept nogil:
    """ARP and ND: read, answered, and the answer is one that would be believed."""
    cdef discovery_t discovery
    cdef discovery_t told
    cdef frame_t back
    cdef uint8_t* answer
    cdef size_t size
    discovery_read(data, len, frame, &discovery)
    if discovery.kind == DISCOVERY_NONE or not discovery_is_question(&discovery):
        return
    answer = <uint8_t*>malloc(DISCOVERY_ANSWER_MAX)
    size = discovery_answer(data, frame, &discovery, MAC, answer)
    check(size <= DISCOVERY_ANSWER_MAX, b"an answer's length")
    check(frame_parse(answer, size, &back) == 0 and back.source == MAC, b"an answer's header")
    discovery_read(answer, size, &back, &told)
    check(told.kind != DISCOVERY_NONE and not discovery_is_question(&told), b"an answer is an answer")
    free(answer)


cdef void try_clamp(uint8_t* data, size_t len, const frame_t* frame, uint16_t limit) noexcept nogil:
    """A clamp changes the MSS and the checksum, nothing else, and a right checksum stays right."""
    cdef uint8_t* before = <uint8_t*>malloc(len)
    cdef size_t changed = 0
    cdef size_t index
    cdef bint sound
    packet_mend(data, <unsigned int>len, frame.network)
    sound = packet_sound(data, <unsigned int>len, frame.network)
    memcpy(before, data, len)
    if mss_clamp(data, len, frame, limit, False):
        for index in range(len):
            changed += before[index] != data[index]
        check(0 < changed <= 4, b"a clamp changes four octets at most")
        check(not sound or packet_sound(data, <unsigned int>len, frame.network), b"a clamp keeps the checksum right")
    else:
        check(memcmp(before, data, len) == 0, b"without a clamp nothing changes")
    free(before)


cdef void try_too_big(const uint8_t* data, size_t len, const frame_t* frame, uint16_t limit) noexcept nogil:
    """The ICMP answer to a frame that is too long: whole, and never answered itself."""
    cdef uint8_t* answer = <uint8_t*>malloc(TOOBIG_MAX)
    cdef uint8_t* again = <uint8_t*>malloc(TOOBIG_MAX)
    cdef frame_t back
    cdef packet_t packet
    cdef rate_t rate
    cdef int size
    memset(&rate, 0, sizeof(rate))
    size = toobig_answer(data, len, frame, limit, &rate, NOW_MS, answer)
    if size > 0:
        check(size <= TOOBIG_MAX and frame_parse(answer, size, &back) == 0, b"a too-big answer's header")
        check(back.network == frame.network and back.ethertype == frame.ethertype, b"a too-big answer's tags")
        check(packet_parse(answer + back.network, size - back.network, &packet) == 0, b"a too-big answer's packet")
        check(packet.total + back.network == size, b"a too-big answer's length")
        check(toobig_answer(answer, size, &back, 60, &rate, NOW_MS, again) == 0, b"no error about an error")
    free(answer)
    free(again)


cdef void try_frame(uint8_t* data, size_t len, uint16_t limit) noexcept nogil:
    cdef frame_t frame
    cdef packet_t packet
    etherip_valid(data, len)
    checksum_finish(checksum_add(data, len, 0))
    if packet_parse(data, len, &packet) == 0:
        check(packet.transport <= packet.total <= len, b"a packet's lengths")
    if frame_parse(data, len, &frame) < 0:
        return
    check(frame.network <= len, b"a frame's header")
    frame_is_control(data, len, &frame)
    try_questions(data, len, &frame)
    try_too_big(data, len, &frame, limit)
    try_clamp(data, len, &frame, limit)


cdef int fuzz(const uint8_t* data, size_t size) noexcept nogil:
    cdef source_t source
    cdef uint8_t* exact
    cdef uint16_t limit
    cdef size_t len
    source.data = data
    source.left = size
    limit = 1 + take8(&source) * 8
    len = source.left
    exact = <uint8_t*>malloc(len)
    take(&source, exact, len)
    try_frame(exact, len, limit)
    free(exact)
    return 0


entry = <uintptr_t>fuzz
