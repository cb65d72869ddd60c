"""How long a tunnel took: from the first we knew of an IKE SA to its first installed child."""

from __future__ import annotations

from rhp.ike import events

MOST_RUNNING = 10_000


class Stopwatch:
    """Measures by the engine's events. What never comes to an end is forgotten, the oldest first."""

    def __init__(self) -> None:
        self._began: dict[int, float] = {}
        self.established_ms: dict[int, float] = {}

    def heard(self, event: events.Event, now: float) -> float | None:
        """Look at an event; gives the milliseconds when it is the first child of its IKE SA."""
        match event:
            case events.StateChanged(ike_id=ike_id):
                if ike_id not in self._began and ike_id not in self.established_ms:
                    self._began[ike_id] = now
                    if len(self._began) > MOST_RUNNING:
                        del self._began[next(iter(self._began))]
            case events.ChildEstablished(ike_id=ike_id):
                began = self._began.pop(ike_id, None)
                if began is not None:
                    self.established_ms[ike_id] = round((now - began) * 1000.0, 1)
                    return self.established_ms[ike_id]
            case events.IkeReauthenticated(handshake_id=handshake_id):
                self._began.pop(handshake_id, None)
            case events.IkeClosed() | events.InitiationFailed() | events.HandshakeRefused():
                self._began.pop(event.ike_id, None)
                self.established_ms.pop(event.ike_id, None)
        return None
