"""What the engine's events add up to, by connection and reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from rhp.ike import events
from rhp.ike.errors import Fault
from rhp.node.metrics.families import SETUP_BUCKETS

MOST_SERIES = 4096
"""Of one metric. Reasons are words of ours, but a few name what a peer sent; beyond this they are all "other"."""
OTHER = "other"


class Counts:
    """Counters by the names of `families`; the keys are the values of its labels, the connection first."""

    def __init__(self) -> None:
        self.by_name: dict[str, Counter[tuple[str, ...]]] = {}
        self.setups = [0] * (len(SETUP_BUCKETS) + 1)
        self.setup_seconds = 0.0

    def heard(self, event: events.Event, setup_ms: float | None = None) -> None:
        """Count an event of the engine; `setup_ms` is how long a tunnel took that stands with it."""
        if setup_ms is not None:
            self._setup(setup_ms / 1000.0)
        match event:
            case events.IkeEstablished():
                self._add("rhp_handshakes_total", event.connection, event.role, "yes" if event.resumed else "no")
            case events.InitiationFailed() if event.fault is not Fault.NONE:
                self._add("rhp_handshake_failures_total", event.connection, "initiator", event.reason)
            case events.HandshakeRefused():
                self._add("rhp_handshake_failures_total", event.connection, "responder", event.reason)
            case events.AuthenticationFailed():
                self._add("rhp_authentication_failures_total", event.connection, event.role, event.reason)
            case events.ChildFailed():
                self._add("rhp_child_failures_total", event.connection, event.reason)
            case events.IkeRekeyed():
                self._add("rhp_rekeys_total", event.connection, "ike")
            case events.ChildRekeyed():
                self._add("rhp_rekeys_total", event.connection, "child")
            case events.IkeReauthenticated():
                self._add("rhp_rekeys_total", event.connection, "reauthentication")
            case events.PathChanged():
                self._add("rhp_moves_total", event.connection, event.reason)
            case events.IkeClosed():
                self._add("rhp_ike_closed_total", event.connection, event.reason)
            case events.Redirected():
                self._add("rhp_redirects_total", event.connection)

    def forget(self, gone: Callable[[str], bool]) -> None:
        """Drop what belongs to connections that have gone."""
        for counter in self.by_name.values():
            for key in [key for key in counter if gone(key[0])]:
                del counter[key]

    def _add(self, name: str, *labels: str) -> None:
        counter = self.by_name.setdefault(name, Counter())
        if len(counter) >= MOST_SERIES and labels not in counter:
            labels = (*labels[:-1], OTHER)
        counter[labels] += 1

    def _setup(self, seconds: float) -> None:
        place = next((index for index, bound in enumerate(SETUP_BUCKETS) if seconds <= bound), len(SETUP_BUCKETS))
        self.setups[place] += 1
        self.setup_seconds += seconds
