"""The journal's native protocol: a datagram of fields for each line, so that `journalctl RHP_CONNECTION=office` works.

Fields are lines "NAME=value"; a value that holds a line break follows its name as eight octets of length, little
endian, and itself (systemd's "Native Journal Protocol"). The socket never waits: what a stuck journal does not take is
counted, and told with the first line that it takes again.
"""

from __future__ import annotations

import logging
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

JOURNAL_SOCKET = Path("/run/systemd/journal/socket")
IDENTIFIER = "rhp"
_LONGEST_MESSAGE = 16 * 1024
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG_PRIORITY = 7


class JournalHandler(logging.Handler):
    """Writes lines to the journal; OSError when there is none."""

    def __init__(self, path: Path = JOURNAL_SOCKET) -> None:
        super().__init__()
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.connect(self._path)
        except OSError:
            self._socket.close()
            raise
        self.lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Send one line; never raises."""
        try:
            entry = encode(record, self.format(record), self.lost)
            try:
                self._send(entry)
            except BlockingIOError:
                self.lost += 1
            else:
                self.lost = 0
        except Exception:
            self.lost += 1
            # The journal is gone, or will not have this line: standard error is all that is left.
            with suppress(OSError, ValueError):
                print(record.getMessage(), file=sys.stderr)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        super().close()

    def _send(self, entry: bytes) -> None:
        try:
            self._socket.send(entry)
        except BlockingIOError:
            raise
        except OSError:
            # A journal that was started anew has another socket under the same path.
            self._socket.connect(self._path)
            self._socket.send(entry)


def encode(record: logging.LogRecord, message: str, lost: int = 0) -> bytes:
    """One entry: MESSAGE, PRIORITY and SYSLOG_IDENTIFIER, then the event's own fields in capitals behind RHP_."""
    return b"".join(_field(name, value) for name, value in _fields(record, message, lost))


def _fields(record: logging.LogRecord, message: str, lost: int) -> Iterator[tuple[str, str]]:
    yield "MESSAGE", message[:_LONGEST_MESSAGE]
    yield "PRIORITY", str(next((number for level, number in _PRIORITIES if record.levelno >= level), _DEBUG_PRIORITY))
    yield "SYSLOG_IDENTIFIER", IDENTIFIER
    yield "RHP_SUBSYSTEM", record.name.rpartition(".")[2]
    if event := getattr(record, "event", None):
        yield "RHP_EVENT", event
    for name, value in getattr(record, "fields", {}).items():
        yield f"RHP_{name.upper()}", str(value)
    if lost:
        yield "RHP_LOST_BEFORE", str(lost)


def _field(name: str, value: str) -> bytes:
    octets = value.encode("utf-8", "backslashreplace")
    if b"\n" in octets:
        return name.encode() + b"\n" + struct.pack("<Q", len(octets)) + octets + b"\n"
    return name.encode() + b"=" + octets + b"\n"
