"""The anti-replay window.

A ring of 64-bit words holds one bit for each sequence number. Moving the window right clears only the words that it
enters, never shifts (RFC 6479), so the ring is at least one word wider than the window. `top` is always the full
64-bit number; without ESN its high half stays zero.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from rhp._fast.drops cimport DROP_ESP_REPLAYED, DROP_ESP_TOO_OLD, DROP_ESP_ZERO_SEQUENCE
from rhp._fast.drops cimport drop_name
from rhp._fast.sa cimport ESP_REPLAY_MAX, ESP_REPLAY_MIN


cdef uint32_t words_for(uint32_t window) noexcept nogil:
    """One word more than the window fills, rounded up to a power of two: 2 to 128 words."""
    cdef uint32_t words = 2
    while words * 64 < window + 64:
        words *= 2
    return words


cdef size_t replay_size(uint32_t window) noexcept nogil:
    cdef size_t front = sizeof(replay_t) - REPLAY_WORDS * sizeof(uint64_t)
    return front if window == 0 else front + words_for(window) * sizeof(uint64_t)


cdef int replay_init(replay_t* replay, uint32_t window) noexcept nogil:
    if window < ESP_REPLAY_MIN or window > ESP_REPLAY_MAX:
        return -1
    memset(replay, 0, replay_size(window))
    replay.window = window
    replay.mask = words_for(window) - 1
    return 0


cdef uint64_t replay_infer(const replay_t* replay, uint32_t low) noexcept nogil:
    # RFC 4303 appendix A2.2, with Th:Tl the top and `bottom` the low half of the window's left edge.
    cdef uint32_t top_low = <uint32_t>replay.top
    cdef uint64_t high = replay.top >> 32
    cdef uint32_t bottom = top_low - (replay.window - 1)
    if top_low >= replay.window - 1:
        # Case A: the window lies within one subspace; a lower number can only come from the next one.
        if low < bottom:
            high += 1
            if high >> 32:
                return 0
    elif low >= bottom:
        # Case B: the window reaches back into the previous subspace, which does not exist before the first.
        if high == 0:
            return 0
        high -= 1
    return (high << 32) | low


cdef int replay_check(const replay_t* replay, uint64_t seq) noexcept nogil:
    if seq == 0:
        return -DROP_ESP_ZERO_SEQUENCE
    if seq > replay.top:
        return 0
    if replay.top - seq >= replay.window:
        return -DROP_ESP_TOO_OLD
    if (replay.words[(seq >> 6) & replay.mask] >> (seq & 63)) & 1:
        return -DROP_ESP_REPLAYED
    return 0


cdef void replay_commit(replay_t* replay, uint64_t seq) noexcept nogil:
    cdef uint64_t word, steps
    if seq > replay.top:
        word = replay.top >> 6
        steps = (seq >> 6) - word
        if steps > replay.mask:
            memset(replay.words, 0, (replay.mask + 1) * sizeof(uint64_t))
        else:
            while steps:
                word += 1
                replay.words[word & replay.mask] = 0
                steps -= 1
        replay.top = seq
    replay.words[(seq >> 6) & replay.mask] |= <uint64_t>1 << (seq & 63)


cdef class ReplayWindow:
    """One window for tests and tools; the packet path uses `replay_t` itself."""

    cdef replay_t _replay

    def __cinit__(self, window: int, *, top: int = 0) -> None:
        if replay_init(&self._replay, window):
            raise ValueError(f"a replay window is {ESP_REPLAY_MIN} to {ESP_REPLAY_MAX} packets, not {window}")
        self._replay.top = top

    @property
    def top(self) -> int:
        """The highest sequence number committed."""
        return self._replay.top

    def infer(self, low: int) -> int:
        """The 64-bit number that the 32-bit `low` stands for; 0 when it lies before the start of the SA."""
        return replay_infer(&self._replay, low)

    def check(self, seq: int) -> str | None:
        """None when the packet is new, else the drop reason's name."""
        cdef int reason = replay_check(&self._replay, seq)
        return None if reason == 0 else drop_name(-reason).decode("ascii")

    def commit(self, seq: int) -> None:
        """Marks `seq` as seen, after `check` returned None."""
        replay_commit(&self._replay, seq)
