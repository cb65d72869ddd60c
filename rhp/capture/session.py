"""One capture: two threads that listen, and one that writes until there is enough.

the node's control socket (inner frames) --+
                                           +-- queue -> wanted? -> the file
packet socket (outer packets) -------------+
"""

from __future__ import annotations

import queue
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rhp.capture.match import Wanted
from rhp.capture.outer import OuterListener, OuterPacket
from rhp.capture.pcapng import LinkType, PcapngWriter
from rhp.node.control.client import Session as Node
from rhp.node.control.protocol import Request

_WAITING = 256
"""Messages between the threads; one of the node's has up to 128 KiB of frames."""
_TICK = 0.2


@dataclass(frozen=True, slots=True)
class Limits:
    """When a capture ends by itself: octets of the file, packets in it, seconds."""

    octets: int
    count: int | None = None
    seconds: float | None = None


@dataclass(slots=True)
class Summary:
    """What was written, and what was not; `ended` is "count", "size", "time", "node" or "interrupt"."""

    inner: int = 0
    outer: int = 0
    lost: int = 0
    octets: int = 0
    ended: str = "interrupt"


@dataclass(slots=True)
class Session:
    """Writes what is wanted to `writer`; make it in the network namespace of the node.

    `interface` names the node's TAP, for the file and because nothing outer is heard there. `outer_wanted` judges an
    outer IP packet, `wanted` an inner frame.
    """

    writer: PcapngWriter
    interface: str
    wanted: Wanted
    outer_wanted: Callable[[bytes], bool]
    limits: Limits
    summary: Summary = field(default_factory=Summary)
    _came: queue.Queue[Any] = field(default_factory=lambda: queue.Queue(_WAITING))
    _places: dict[str, int] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def hear_inner(self, control_socket: Path, connection: str | None, octets: int) -> None:
        """Have the node copy its frames; raises `ControlError` when it refuses."""
        fields = {"octets": str(octets), **({"connection": connection} if connection else {})}
        node = self._stack.enter_context(Node(control_socket))
        _, copies = node.follow(Request("capture", fields))
        self._listen(self._pass_inner, copies)

    def hear_outer(self, ports: Collection[int], octets: int) -> None:
        """Listen on the outer interfaces. Raises PermissionError."""
        listener = self._stack.enter_context(OuterListener(ports, octets, (self.interface,)))
        self._listen(self._pass_outer, listener.packets())

    def run(self) -> Summary:
        """Write until a limit is reached, the node ends, or Ctrl-C."""
        deadline = None if self.limits.seconds is None else time.monotonic() + self.limits.seconds
        with self._stack, suppress(KeyboardInterrupt):
            while not self._is_over(deadline):
                with suppress(queue.Empty):
                    self._write(self._came.get(timeout=_TICK))
        self.summary.octets = self.writer.size
        return self.summary

    def _listen(self, target: Callable[[Iterator[Any]], None], source: Iterator[Any]) -> None:
        threading.Thread(target=target, args=(source,), daemon=True).start()

    def _pass_inner(self, copies: Iterator[dict[str, Any]]) -> None:
        # However it ends, the capture ends with it.
        with suppress(OSError, ValueError):
            for line in copies:
                self._came.put(line)
        self._came.put(None)

    def _pass_outer(self, packets: Iterator[OuterPacket | None]) -> None:
        for packet in packets:
            if packet is not None and self.outer_wanted(packet.data):
                self._came.put(packet)

    def _is_over(self, deadline: float | None) -> bool:
        written = self.summary.inner + self.summary.outer
        if self.summary.ended == "node":
            return True
        if self.limits.count is not None and written >= self.limits.count:
            self.summary.ended = "count"
        elif self.writer.size >= self.limits.octets:
            self.summary.ended = "size"
        elif deadline is not None and time.monotonic() >= deadline:
            self.summary.ended = "time"
        return self.summary.ended != "interrupt"

    def _write(self, came: OuterPacket | dict[str, Any] | None) -> None:
        if came is None:
            self.summary.ended = "node"
        elif isinstance(came, OuterPacket):
            self._write_outer(came)
        else:
            self.summary.lost = came["lost"]
            for frame in came["frames"]:
                if not self._is_over(None):
                    self._write_inner(frame)

    def _write_inner(self, frame: dict[str, Any]) -> None:
        data = b64decode(frame["data"])
        if not self.wanted.takes_frame(data):
            return
        place = self._place(self.interface, LinkType.ETHERNET)
        comment = f"{frame['connection']}: {frame['peer']}"
        self.writer.packet(place, frame["time"], data, frame["length"], outward=frame["outward"], comment=comment)
        self.summary.inner += 1

    def _write_outer(self, packet: OuterPacket) -> None:
        place = self._place(packet.interface, LinkType.RAW_IP)
        self.writer.packet(place, packet.time, packet.data, packet.length, outward=packet.outward)
        self.summary.outer += 1

    def _place(self, name: str, link_type: LinkType) -> int:
        if name not in self._places:
            self._places[name] = self.writer.interface(name, link_type)
        return self._places[name]
