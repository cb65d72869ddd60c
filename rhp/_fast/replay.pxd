"""The anti-replay window as a ring of words (RFC 6479), and the high half of an extended sequence number (RFC 4303 A2).

Two calls: `replay_check`, then authenticate, then `replay_commit`. One thread owns a window; there is no lock.
"""

from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    REPLAY_WORDS = 128              # 8192 bits: the widest window and the word that is being cleared.

ctypedef struct replay_t:
    uint64_t top                    # The highest sequence number committed; 0 at first.
    uint32_t window                 # Packets that may arrive late, 32..4096.
    uint32_t mask                   # Words in use (a power of two), less one.
    uint64_t words[REPLAY_WORDS]    # Those that the mask reaches; memory may end behind them.

# Octets that a window of so many packets needs; 0 packets: none is kept.
cdef size_t replay_size(uint32_t window) noexcept nogil
# 0, or -1 when the window is not within 32..4096.
cdef int replay_init(replay_t* replay, uint32_t window) noexcept nogil
# The 64-bit number that a received low half stands for. 0 when it lies before the start of the SA.
cdef uint64_t replay_infer(const replay_t* replay, uint32_t low) noexcept nogil
# 0 when the packet is new, or -DROP_ESP_ZERO_SEQUENCE, -DROP_ESP_TOO_OLD, -DROP_ESP_REPLAYED. Changes nothing.
cdef int replay_check(const replay_t* replay, uint64_t seq) noexcept nogil
# Only after `replay_check` said 0 and the packet was authenticated.
cdef void replay_commit(replay_t* replay, uint64_t seq) noexcept nogil
