"""The built-in event sink, "jsonl": `events.jsonl` in the node's state folder, one JSON object a line.

The file is begun anew when it has `MOST_OCTETS`; the one before it stays beside it as `events.jsonl.1`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from rhp.spi.events import Event, EventSink, EventSinkProvider, SinkPlace

FILE = "events.jsonl"
MOST_OCTETS = 16 << 20


class JsonLines:
    """One such file, with mode 0600; each event is written at once."""

    def __init__(self, path: Path, most: int = MOST_OCTETS) -> None:
        self._path = path
        self._most = most
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = self._opened()

    def take(self, event: Event) -> None:
        """Append it; OSError where the disk has no room."""
        line = json.dumps(event, default=str, separators=(",", ":")).encode() + b"\n"
        if os.fstat(self._fd).st_size + len(line) > self._most:
            self._turn()
        written = os.write(self._fd, line)
        if written < len(line):
            # A line that is cut off would spoil the next one, too.
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)
            raise OSError("the file took only a part of the line")

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _opened(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _turn(self) -> None:
        os.replace(self._path, self._path.with_name(self._path.name + ".1"))  # noqa: PTH105  # Both stay names here.
        before, self._fd = self._fd, self._opened()
        os.close(before)


class JsonLinesProvider:
    """Opens it in the state folder."""

    api_version = 1

    def open(self, place: SinkPlace) -> EventSink:
        """See `rhp.spi.events.EventSinkProvider`."""
        return JsonLines(place.state_dir / FILE)


PROVIDER: EventSinkProvider = JsonLinesProvider()
