"""One lane without a thread: a TAP with all offloads, two Ethernet peers, two peers in tunnel mode, and their keys."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from rhp._fast.esp cimport esp_ctx_t
from rhp._fast.lane cimport lane_t
from rhp._fast.sadb cimport sa_lane_t

cdef enum:
    PEERS = 4                       # Hub ports 1 and 2 are Ethernet, 3 and 4 tunnel mode.
    STATIONS = 8

ctypedef struct scene_t:
    lane_t* lane
    int host                        # The other end of the TAP.
    sa_lane_t* views[PEERS]
    # The peers' ends of the SAs, made anew for each input.
    esp_ctx_t* sealers[PEERS]
    esp_ctx_t* openers[PEERS]
    uint64_t sequences[PEERS]
    uint8_t stations[STATIONS][6]   # MACs: of everybody, of nobody, and a group.

cdef scene_t scene

# Everything as on the first day: tables, counters, contexts and sequence numbers.
cdef void scene_reset() noexcept nogil
# Seals what a peer has to say; the packet's length, or -reason.
cdef int scene_seal(int peer, uint8_t next_header, const uint8_t* payload, size_t len, uint8_t* out) noexcept nogil
# Message `index` of the inbox: a datagram, or a train of them. Everything around it is out of bounds from now on.
cdef void scene_message(int index, const uint8_t* data, size_t len, uint16_t segment) noexcept nogil
# Every slot of the TAP may be touched again, or only that of one frame with the room that the path may use.
cdef void scene_open_frames() noexcept nogil
cdef void scene_close_frame(uint8_t* data, uint32_t len) noexcept nogil
# Whether nothing ever came to the other hub.
cdef bint scene_apart() noexcept nogil
# All that a lane counts, but for calls and octets.
cdef uint64_t scene_counted() noexcept nogil
