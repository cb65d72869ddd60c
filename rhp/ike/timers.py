"""All deadlines of the engine in one heap.

A timer is cancelled by forgetting what it would have done; its entry leaves the heap when it comes up, or earlier when
the forgotten ones outnumber the live ones. So starting and stopping cost O(log n), and a tick with nothing due looks at
one entry, however many SAs there are.
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush

Action = Callable[[float], None]

_COMPACT_FROM = 1024


class Timer:
    """One deadline; `action(now)` is called once, unless the timer is cancelled before."""

    __slots__ = ("action", "when")

    def __init__(self, when: float, action: Action) -> None:
        self.when = when
        self.action: Action | None = action


class Timers:
    """The heap. Times are seconds on the engine's clock."""

    __slots__ = ("_cancelled", "_heap", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._serial = 0
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def start(self, when: float, action: Action) -> Timer:
        """Call `action` when `when` is reached; timers of the same moment run in the order of their starting."""
        timer = Timer(when, action)
        self._serial += 1
        heappush(self._heap, (when, self._serial, timer))
        return timer

    def cancel(self, timer: Timer | None) -> None:
        """Forget a timer; one that ran, was cancelled or is None is fine."""
        if timer is None or timer.action is None:
            return
        timer.action = None
        self._cancelled += 1
        if self._cancelled > _COMPACT_FROM and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].action is not None]
            heapify(self._heap)
            self._cancelled = 0

    def next_deadline(self) -> float | None:
        """The earliest live deadline, or None."""
        heap = self._heap
        while heap:
            when, _, timer = heap[0]
            if timer.action is not None:
                return when
            heappop(heap)
            self._cancelled -= 1
        return None

    def pop_due(self, now: float) -> Action | None:
        """Take out the earliest action whose time has come, or None when there is none."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            timer = heappop(heap)[2]
            action, timer.action = timer.action, None
            if action is not None:
                return action
            self._cancelled -= 1
        return None
