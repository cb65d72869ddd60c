"""Tickets that must not be used again (RFC 5723 section 6.2): their ids, until they expire."""

MOST = 65536
"""So many are remembered; beyond it the oldest is forgotten. A thief gains nothing by that: without the SK_d that goes
with a ticket nobody gets further than to a half-open IKE SA."""


class SpentTickets:
    """A set of ids that forgets what is over. Dates are seconds since 1970."""

    __slots__ = ("_expires", "_limit")

    def __init__(self, limit: int = MOST) -> None:
        self._limit = limit
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
