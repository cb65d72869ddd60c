"""Opening what a node stands on: the IKE port, the NAT-T sockets of the lanes, and raw ESP.

Everything privileged is asked of the guard. Descriptors are handed to the data plane, which keeps copies; the node
keeps the IKE sockets, and one NAT-T socket per family to send IKE from, whose reading is the data plane's.
"""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rhp.guard.guard import Guard
from rhp.guard.protocol import Descriptors, NetworkQuestion, OpenRawEsp, OpenUdp, Refused
from rhp.net.udp import UdpSocket
from rhp.node.errors import StartError
from rhp.node.settings import NodeSettings

if TYPE_CHECKING:
    from rhp._fast.dataplane import DataPlane

ANY: dict[int, str] = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}  # noqa: S104  # A gateway serves all its addresses.
_IF_INET6 = Path("/proc/net/if_inet6")
_MOST_LANES = 8


class Edges:
    """The node's sockets: `ike` and `natt` by address family."""

    def __init__(self) -> None:
        self.ike: dict[int, UdpSocket] = {}
        self.natt: dict[int, UdpSocket] = {}

    def close(self) -> None:
        """Close every socket. Safe twice."""
        for edge in (*self.ike.values(), *self.natt.values()):
            edge.close()

    def counters(self) -> dict[str, int]:
        """The sockets' counters, summed over the families."""
        total: Counter[str] = Counter()
        for prefix, edges in (("ike", self.ike), ("natt", self.natt)):
            for edge in edges.values():
                total.update({f"{prefix}-{name}": count for name, count in edge.counters.items()})
        return dict(total)


def lane_count(wanted: int | None, cores: int | None = None) -> int:
    """The number of lanes: as wanted, else one on two cores or fewer, where a second thread only adds wake-ups."""
    if wanted is not None:
        return wanted
    cores = cores or os.cpu_count() or 1
    return 1 if cores <= 2 else min(_MOST_LANES, cores - 1)


def families(if_inet6: Path = _IF_INET6) -> tuple[int, ...]:
    """The address families of this machine: IPv6 may be switched off."""
    return (socket.AF_INET, socket.AF_INET6) if if_inet6.exists() else (socket.AF_INET,)


async def open_sockets(guard: Guard, plane: DataPlane, settings: NodeSettings, *, raw_esp: bool, edges: Edges) -> None:
    """Open the ports and give the lanes theirs; raises `StartError`, and `edges` holds what is to be closed."""
    for family in families():
        (fd,) = await _opened(guard, OpenUdp(ANY[family], settings.port))
        edges.ike[family] = UdpSocket(fd)
        for lane in range(plane.lanes):
            (fd,) = await _opened(guard, OpenUdp(ANY[family], settings.natt_port, reuse=plane.lanes > 1))
            if lane == 0:
                edges.natt[family] = UdpSocket(fd)
            _attach(plane.attach_udp, lane, fd, family, keep=lane == 0)
            if raw_esp:
                (fd,) = await _opened(guard, OpenRawEsp(6 if family == socket.AF_INET6 else 4))
                _attach(plane.attach_raw, lane, fd, family)


async def _opened(guard: Guard, question: NetworkQuestion) -> tuple[int, ...]:
    answer = await guard.ask(question)
    if isinstance(answer, Descriptors):
        return answer.fds
    raise StartError(answer.reason if isinstance(answer, Refused) else "the guard gave no descriptor")


def _attach(attach: Callable[[int, int, int], None], lane: int, fd: int, family: int, *, keep: bool = False) -> None:
    try:
        attach(lane, fd, family)
    finally:
        if not keep:
            os.close(fd)
