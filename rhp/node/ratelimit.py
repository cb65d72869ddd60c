"""How many lines a peer, or all of them together, may cause."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

MOST_SOURCES = 1024


class RateLimit:
    """A bucket of `burst` tokens that refills with `rate` a second; the time is given."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, float(burst)
        self._tokens, self._last = float(burst), 0.0
        self.suppressed = 0

    def allows(self, now: float) -> bool:
        """Take a token; without one, count what is suppressed."""
        self._refill(now)
        if self._tokens < 1.0:
            self.suppressed += 1
            return False
        self._tokens -= 1.0
        return True

    def take_suppressed(self) -> int:
        """How many were suppressed since the last question."""
        count, self.suppressed = self.suppressed, 0
        return count

    def rested(self, now: float) -> bool:
        """Whether it is as good as a new one, so that nothing is lost when it is forgotten."""
        self._refill(now)
        return self._tokens >= self._burst and not self.suppressed

    def _refill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._last) * self._rate)
        self._last = now


class SourceLimits(Generic[K]):
    """A bucket for each source, of which at most `MOST_SOURCES` are remembered, those that were heard of last."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, burst
        self._buckets: OrderedDict[K, RateLimit] = OrderedDict()
        self._evicted = 0

    def __len__(self) -> int:
        return len(self._buckets)

    def allows(self, source: K, now: float) -> bool:
        """Take a token of that source."""
        bucket = self._buckets.get(source)
        if bucket is None:
            bucket = self._buckets[source] = RateLimit(self._rate, self._burst)
            if len(self._buckets) > MOST_SOURCES:
                self._evicted += self._buckets.popitem(last=False)[1].suppressed
        self._buckets.move_to_end(source)
        return bucket.allows(now)

    def take_suppressed(self, source: K) -> int:
        """How many of that source were suppressed since the last question."""
        bucket = self._buckets.get(source)
        return bucket.take_suppressed() if bucket is not None else 0

    def take_evicted(self) -> int:
        """How many were suppressed of sources that are forgotten."""
        count, self._evicted = self._evicted, 0
        return count

    def take_all(self, now: float) -> Iterator[tuple[K, int]]:
        """The sources of which lines were suppressed, with their number; what has rested is forgotten."""
        for source, bucket in list(self._buckets.items()):
            if count := bucket.take_suppressed():
                yield source, count
            elif bucket.rested(now):
                del self._buckets[source]
