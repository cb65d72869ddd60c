"""What the data plane tells the control thread: a bounded queue, and a descriptor that says that it holds something."""

from __future__ import annotations

import contextlib
import os
from collections import deque

from rhp.spi.esp import Event

MOST_EVENTS = 4096


class Bell:
    """Rung by one thread under the plane's lock, listened to by another; `lost` counts what found no room."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.lost = 0
        self._waiting: deque[Event] = deque()

    def ring(self, event: Event) -> None:
        """Tell it, if there is room."""
        if len(self._waiting) >= MOST_EVENTS:
            self.lost += 1
            return
        self._waiting.append(event)
        self.wake()

    def wake(self) -> None:
        """Have the descriptor say that there is something."""
        os.eventfd_write(self.fd, 1)

    def take(self, limit: int) -> list[Event]:
        """The oldest events. The descriptor stays readable as long as more are left."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.fd)
        # A deque's two ends may be used by two threads.
        found = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        if self._waiting:
            os.eventfd_write(self.fd, 1)
        return found

    def close(self) -> None:
        """Give the descriptor back."""
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1
