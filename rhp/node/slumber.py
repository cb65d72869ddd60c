"""Whether this machine has slept: its clock of time since the start then gains on the one that all deadlines are by."""

from __future__ import annotations

import time
from collections.abc import Callable

LEAST_SECONDS = 10.0
"""A shorter sleep costs a peer less than it waits for an answer anyway."""


def slept_since_start() -> float:
    """Seconds that this machine has been suspended in all: CLOCK_MONOTONIC leaves them out (clock_gettime(2))."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


class Slumber:
    """Looks now and then. `slept` gives the seconds of all sleeps."""

    def __init__(self, slept: Callable[[], float] = slept_since_start) -> None:
        self._slept = slept
        self._before = slept()

    def look(self) -> float | None:
        """How long the machine has slept since the last look; None for not at all, or a moment."""
        now = self._slept()
        gained, self._before = now - self._before, now
        return gained if gained > LEAST_SECONDS else None
