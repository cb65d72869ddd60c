"""Copies of the frames that tunnels carry, as long as somebody wants them; what nobody takes in time is counted."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from rhp.spi.esp import Frame

LONGEST = 65550
MOST_COPIES = 1024


class Copies:
    """Kept by one thread under the plane's lock, taken by another; `tell` is called for each that is kept."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self.lost = 0
        self._tell = tell
        self._octets = 0
        self._port: int | None = None
        self._waiting: deque[Frame] = deque()

    def begin(self, octets: int, port: int | None) -> None:
        """Keep so much of each frame from now on, of one port or of all; 0 octets is nothing at all."""
        if not 0 <= octets <= LONGEST:
            raise ValueError(f"{octets} octets of a frame cannot be kept")
        self._octets, self._port = octets, port

    def keep(self, port: int, outward: bool, frame: bytes) -> None:
        """A port's tunnel carries this frame."""
        if not self._octets or self._port not in (None, port):
            return
        if len(self._waiting) >= MOST_COPIES:
            self.lost += 1
            return
        self._waiting.append((port, outward, time.monotonic_ns(), len(frame), frame[: self._octets]))
        self._tell()

    def take(self, limit: int) -> list[Frame]:
        """The oldest of them."""
        # A deque's two ends may be used by two threads.
        return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
