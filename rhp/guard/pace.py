"""How often something may be done: some times at once, and then only every so many seconds."""

from __future__ import annotations

from collections.abc import Callable


class Pace:
    """Counts by `clock`, in seconds."""

    def __init__(self, at_once: int, every: float, clock: Callable[[], float]) -> None:
        self._at_once = float(at_once)
        self._every = every
        self._clock = clock
        self._tokens, self._refilled = self._at_once, clock()

    def wait(self) -> float:
        """Do it once more: the seconds to wait before."""
        now = self._clock()
        grown = self._tokens + (now - self._refilled) / self._every
        self._tokens, self._refilled = min(self._at_once, grown) - 1.0, now
        return max(0.0, -self._tokens * self._every)
