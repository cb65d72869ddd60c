"""The anti-replay window (RFC 4303 section 3.4.3), as one large number whose bits are the packets seen."""

from __future__ import annotations

_HALF = 1 << 32
_LOW = _HALF - 1


class Window:
    """`size` packets wide; `top` is the highest number authenticated so far."""

    def __init__(self, size: int, top: int = 0) -> None:
        if not 32 <= size <= 4096:
            raise ValueError(f"a replay window is 32 to 4096 packets, not {size}")
        self.size = size
        self.top = top
        self._seen = 0

    def whole(self, low: int, esn: bool) -> int:
        """The number that the 32 bits on the wire stand for: the one that is the nearest above the window's edge.

        That is what appendix A2.2 of RFC 4303 says in cases; 0 for one that lies before the beginning.
        """
        if not esn:
            return low
        edge = self.top - (self.size - 1)
        found = edge + ((low - edge) & _LOW)
        return found if 0 < found < 1 << 64 else 0

    def check(self, number: int) -> str | None:
        """Why it is not new, or None when it is."""
        if number == 0:
            return "esp-zero-sequence"
        age = self.top - number
        if age >= self.size:
            return "esp-too-old"
        return "esp-replayed" if age >= 0 and self._seen >> age & 1 else None

    def commit(self, number: int) -> None:
        """Mark one as seen that was checked and authenticated."""
        if number > self.top:
            ahead = number - self.top
            # Whatever is far ahead leaves nothing of the old window; a shift by that much would take memory.
            self._seen = self._seen << ahead & (1 << self.size) - 1 if ahead < self.size else 0
            self.top = number
        self._seen |= 1 << self.top - number
