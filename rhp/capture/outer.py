"""Packets between this machine and its peers, as they stand on the outer network: a packet socket of the kernel."""

from __future__ import annotations

import socket
import struct
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from rhp.capture.bpf import attach, program

_ETH_P_ALL = 3
_SO_TIMESTAMPNS = 35
_PACKET_OUTGOING = 4
_BUFFER = 8 << 20
_LONGEST = 1 << 16
_IDLE = 0.2
_LOOPBACK = "lo"


@dataclass(frozen=True, slots=True)
class OuterPacket:
    """An IP packet on `interface`: nanoseconds since 1970, its first octets, and how many it had."""

    interface: str
    outward: bool
    time: int
    data: bytes
    length: int


class OuterListener:
    """Hears what has one of these UDP ports, or is ESP, on every interface but `deaf`. Raises PermissionError.

    Make it in the network namespace of the node.
    """

    def __init__(self, ports: Collection[int], octets: int, deaf: Collection[str] = ()) -> None:
        self._octets, self._deaf = octets, frozenset(deaf)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        self._socket.setblocking(False)
        attach(self._socket, program(ports))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        with suppress(BlockingIOError):
            while self._socket.recv(1) is not None:
                pass  # What came before the filter stood.
        self._socket.settimeout(_IDLE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *about: object) -> None:
        self._socket.close()

    def packets(self) -> Iterator[OuterPacket | None]:
        """Give packets as they come, and None now and then while there are none. Ends when it has been closed."""
        while self._socket.fileno() >= 0:
            try:
                data, notes, _, where = self._socket.recvmsg(_LONGEST, 64)
            except TimeoutError:
                yield None
                continue
            except OSError:
                return
            name, kind = where[0], where[2]
            # On the loopback everything is seen as it goes and as it comes.
            if name not in self._deaf and not (name == _LOOPBACK and kind == _PACKET_OUTGOING):
                yield OuterPacket(name, kind == _PACKET_OUTGOING, _stamp(notes), data[: self._octets], len(data))


def _stamp(notes: list[tuple[int, int, bytes]]) -> int:
    for level, kind, value in notes:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("@ll", value[: struct.calcsize("@ll")])
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return 0
