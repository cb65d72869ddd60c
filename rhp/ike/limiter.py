"""A token bucket, for answers that anybody can provoke."""


class Limiter:
    """Allows `rate` events a second, and as many at once."""

    __slots__ = ("_rate", "_since", "_tokens")

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tokens = float(rate)
        self._since: float | None = None

    def allow(self, now: float) -> bool:
        """Whether one more is within the rate; it counts if so."""
        if self._since is not None:
            self._tokens = min(self._rate, self._tokens + (now - self._since) * self._rate)
        self._since = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
