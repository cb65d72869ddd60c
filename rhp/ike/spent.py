"""Tickets that must not be used again (RFC 5723 section 6.2): their ids, until they expire."""

from collections.abc import Callable

MOST = 65536
"""So many are remembered; beyond it the oldest is forgotten. A thief gains nothing by that: without the SK_d that goes
with a ticket nobody gets further than to a half-open IKE SA."""


Watcher = Callable[[bytes, int], None]


class SpentTickets:
    """A set of ids that forgets what is over. Dates are seconds since 1970."""

    __slots__ = ("_expires", "_limit", "_watcher")

    def __init__(self, limit: int = MOST) -> None:
        self._limit = limit
        self._watcher: Watcher | None = None
        self._expires: dict[bytes, int] = {}

    def __contains__(self, ticket_id: bytes) -> bool:
        return ticket_id in self._expires

    def __len__(self) -> int:
        return len(self._expires)

    def add(self, ticket_id: bytes, expires: int, now: int) -> None:
        """Remember one. They come in about the order in which they expire, so only the oldest are looked at."""
        while self._expires and (oldest := next(iter(self._expires))):
            if self._expires[oldest] > now and len(self._expires) < self._limit:
                break
            del self._expires[oldest]
        self._expires[ticket_id] = expires
        if self._watcher is not None:
            self._watcher(ticket_id, expires)

    def watch(self, watcher: Watcher) -> None:
        """Have `watcher` told of every ticket that is added from now on, and of the date when it expires."""
        self._watcher = watcher

    def items(self) -> list[tuple[bytes, int]]:
        """Every id with the date when it expires, the oldest first."""
        return list(self._expires.items())
