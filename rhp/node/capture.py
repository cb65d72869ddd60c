"""Copies of what the tunnels carry, for who asked at the control socket: one at a time, and never in the lanes' way.

    lane: copies into its ring -> this: takes them, says whose they are -> control socket -> `rhp capture`

Whatever cannot keep up loses copies, which are counted, and no packets.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rhp.node.children import Lineage
from rhp.node.control.protocol import Request
from rhp.node.control.server import CommandRefused, Put
from rhp.node.journal import Journal
from rhp.pki.identity import format_identity
from rhp.wire.identity import Identity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rhp.spi.esp import DataPlane, Frame

MOST_OCTETS = 65550
"""The longest frame."""
_AT_ONCE = 256
_LINE_OCTETS = 128 * 1024


@dataclass(slots=True)
class _Client:
    put: Put
    connection: str
    frames: int = 0
    refused: int = 0
    lost_before: int = 0


class Capture:
    """Begins, serves and ends a capture. `children` gives the lineages of now, `later` has the loop call soon."""

    def __init__(
        self,
        plane: DataPlane,
        children: Callable[[], Iterator[Lineage]],
        journal: Journal,
        later: Callable[[Callable[[], None]], object],
    ) -> None:
        self._plane = plane
        self._children = children
        self._journal = journal
        self._later = later
        self._client: _Client | None = None
        self._names: dict[int, tuple[str, str]] = {}

    def begin(self, request: Request, put: Put) -> Callable[[], None]:
        """Give copies to `put` from now on; what it returns ends that. Raises `CommandRefused`."""
        if self._client is not None:
            raise CommandRefused("a capture is running already; end it first")
        octets = request.fields["octets"]
        if not octets.isascii() or not octets.isdigit() or not 0 < int(octets[:6]) <= MOST_OCTETS:
            raise CommandRefused(f"of a frame between 1 and {MOST_OCTETS} octets can be kept")
        while self._plane.poll_frames(_AT_ONCE):
            pass  # What an earlier capture left.
        client = _Client(put, request.fields.get("connection", ""), lost_before=self._plane.frames_lost())
        self._client = client
        # Ports that an earlier capture knew may be others' by now.
        self._names.clear()
        self._plane.capture(int(octets))
        self._journal.write("capture begun", connection=client.connection or None, octets=int(octets))
        return self._end

    def drain(self) -> None:
        """Take what the lanes have copied and pass it on; called when they have told something."""
        client = self._client
        if client is None:
            return
        frames = self._plane.poll_frames(_AT_ONCE)
        for line in _lines(self._described(frames, client)):
            sent = {"frames": line, "lost": self._plane.frames_lost() - client.lost_before + client.refused}
            if client.put(sent):
                client.frames += len(line)
            else:
                client.refused += len(line)
        if len(frames) == _AT_ONCE:
            self._later(self.drain)

    def _end(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        self._plane.capture(0)
        lost = self._plane.frames_lost() - client.lost_before + client.refused
        self._journal.write("capture ended", connection=client.connection or None, frames=client.frames, lost=lost)

    def _described(self, frames: Sequence[Frame], client: _Client) -> Iterator[dict[str, Any]]:
        if any(port not in self._names for port, *_ in frames):
            # Numbers of ports that have gone are given again, so only those of now are kept.
            self._names = {one.port: (one.connection, _peer(one)) for one in self._children()}
        since = time.time_ns() - time.monotonic_ns()
        for port, outward, at, length, data in frames:
            connection, peer = self._names.get(port, ("", ""))
            if client.connection in ("", connection):
                yield {
                    "time": at + since,
                    "outward": outward,
                    "connection": connection,
                    "peer": peer,
                    "length": length,
                    "data": b64encode(data).decode(),
                }


def _peer(lineage: Lineage) -> str:
    return format_identity(Identity(*lineage.peer))


def _lines(described: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """As many frames as fit one line of bounded length."""
    line: list[dict[str, Any]] = []
    octets = 0
    for one in described:
        line.append(one)
        octets += len(one["data"])
        if octets >= _LINE_OCTETS:
            yield line
            line, octets = [], 0
    if line:
        yield line
