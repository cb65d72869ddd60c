"""An event sink that sends each event as a datagram to `events.sock` in the node's state folder.

Whoever binds that socket hears them from then on; as long as nobody does, there is nobody to miss them.
"""

import json
import socket
from pathlib import Path

from rhp.spi.events import Event, EventSinkProvider, SinkPlace

SOCKET = "events.sock"


class Datagrams:
    """One socket to send from."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(1.0)

    def take(self, event: Event) -> None:
        """Send it; a listener that does not read is waited for a second, then the event is counted as failed."""
        try:
            self._socket.sendto(json.dumps(event, default=str).encode(), str(self._path))
        except (FileNotFoundError, ConnectionRefusedError):
            return

    def close(self) -> None:
        """Close it."""
        self._socket.close()


class Provider:
    """What the entry point names."""

    api_version = 1

    def open(self, place: SinkPlace) -> Datagrams:
        """A sink for one node."""
        return Datagrams(place.state_dir / SOCKET)


PROVIDER: EventSinkProvider = Provider()
