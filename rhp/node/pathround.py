"""One asking of a path: which sizes get an answer. Pure; whoever holds it sends the probes.

Three sizes are asked: one that passes everywhere, the one in use, and what the first hop carries. Each is asked three
times before its silence counts, and no silence counts unless the smallest was answered, for other peers answer nothing.
If the size in use is silent, something swallows packets without a word; then halving finds out what does pass.
"""

from __future__ import annotations

TRIES = 3
SEARCH_TRIES = 2
GRAIN = 8
"""A search ends when it knows the size up to so many octets."""


class PathRound:
    """Sizes are octets of outer packets. `carries` is the verdict when `done`, None when nothing was learned."""

    def __init__(self, least: int, current: int, widest: int) -> None:
        self.widest = widest
        self.carries: int | None = None
        self.done = False
        self._least, self._current = least, current
        self._heard: set[int] = set()
        self._tries = 0
        self._between: tuple[int, int] | None = None

    @property
    def searching(self) -> bool:
        """Whether the size in use was found not to pass."""
        return self._between is not None and not self.done

    def ask(self) -> list[int]:
        """The sizes to ask now: at the beginning, and every few seconds until it is done."""
        self._tries += 1
        if self._between is not None:
            return self._search()
        if self._tries <= TRIES:
            return sorted({self._least, self._current, self.widest} - self._heard)
        if self._current in self._heard:
            self._finish(self._current)
        elif self._least in self._heard:
            self._between, self._tries = (self._least, self._current), 1
            return self._search()
        else:
            self._finish(None)
        return []

    def answered(self, size: int) -> list[int]:
        """A probe of that size arrived at the peer; the sizes to ask at once."""
        if self.done:
            return []
        self._heard.add(size)
        if size >= self.widest:
            self._finish(size)
        elif self._between is not None and self._between[0] < size < self._between[1]:
            self._between, self._tries = (size, self._between[1]), 1
            return self._search()
        return []

    def _search(self) -> list[int]:
        low, high = self._between or (0, 0)
        if self._tries > SEARCH_TRIES:
            high = _middle(low, high)
            self._between, self._tries = (low, high), 1
        if high - low <= GRAIN:
            self._finish(low)
            return []
        return [_middle(low, high)]

    def _finish(self, size: int | None) -> None:
        self.carries, self.done = size, True


def _middle(low: int, high: int) -> int:
    """Of ESP in any suite and its outer headers, every packet is a multiple of four octets long."""
    return (low + high) // 2 & ~3
