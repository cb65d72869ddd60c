"""Opening what a node stands on: the sockets of the IKE and NAT-T ports, and raw ESP.

Everything privileged is asked of the guard. On each port two sockets hear IKE, and the kernel shares it out between
them: one has the messages of IKE SAs that exist, the other those that begin one, so that a flood of these fills its own
queue alone. On the NAT-T port the lanes' sockets are of the same group and have the ESP; their descriptors are handed
to the data plane, which keeps copies.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rhp.guard.guard import Guard
from rhp.guard.protocol import Descriptors, NetworkQuestion, OpenIcmp, OpenRawEsp, OpenUdp, Refused
from rhp.net.icmp import IcmpSocket
from rhp.net.udp import UdpSocket
from rhp.node.errors import StartError
from rhp.node.settings import NodeSettings

if TYPE_CHECKING:
    from rhp._fast.gate import Gate
    from rhp.ike.path import Endpoint
    from rhp.node.gatekeeper import Gatekeeper
    from rhp.spi.esp import DataPlane

ANY: dict[int, str] = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}  # noqa: S104  # A gateway serves all its addresses.
_IF_INET6 = Path("/proc/net/if_inet6")
_MOST_LANES = 8


class DeliverTo(Protocol):
    """Takes a datagram, our endpoint and the peer's, and whether it came to the NAT-T port."""

    def __call__(self, datagram: bytes, local: Endpoint, remote: Endpoint, *, natt: bool) -> None:
        """Deliver one."""
        ...


class Edges:
    """The node's sockets: `ike` and `natt` by address family, and `icmp`, one for each.

    IKE is sent from these; `begin_ike` and `begin_natt` only hear, what begins an IKE SA. `deaf` says why ICMP is not
    heard, where it is not.
    """

    def __init__(self) -> None:
        self.ike: dict[int, UdpSocket] = {}
        self.natt: dict[int, UdpSocket] = {}
        self.begin_ike: dict[int, UdpSocket] = {}
        self.begin_natt: dict[int, UdpSocket] = {}
        self.gate: Gate | None = None
        self.icmp: list[IcmpSocket] = []
        self.deaf: str | None = None

    def close(self) -> None:
        """Close every socket. Safe twice."""
        for edge in (*self._ike(), *self._natt()):
            edge.close()
        for heard in self.icmp:
            heard.close()

    def listen(self, loop: asyncio.AbstractEventLoop, deliver: DeliverTo, keeper: Gatekeeper) -> None:
        """Hand the IKE that the gate lets in to `deliver` from now on."""
        for natt, edges in ((False, self._ike()), (True, self._natt())):
            for edge in edges:
                edge.listen(loop, partial(deliver, natt=natt), keeper.reader(natt=natt))

    def _ike(self) -> tuple[UdpSocket, ...]:
        return (*self.ike.values(), *self.begin_ike.values())

    def _natt(self) -> tuple[UdpSocket, ...]:
        return (*self.natt.values(), *self.begin_natt.values())

    def counters(self) -> dict[str, int]:
        """The sockets' and the gate's counters, summed over the families."""
        total: Counter[str] = Counter()
        for prefix, edges in (("ike", self._ike()), ("natt", self._natt())):
            for edge in edges:
                total.update({f"{prefix}-{name}": count for name, count in edge.counters.items()})
        if self.gate is not None:
            total.update({f"gate-{name}": count for name, count in self.gate.counters().items()})
            total["gate-full"] = sum(self.gate.missed(edge.fd) for edge in (*self._ike(), *self._natt()))
        for heard in self.icmp:
            total.update({f"icmp-{name}": count for name, count in heard.counters.items()})
        return dict(total)


def lane_count(wanted: int | None, cpus: Sequence[int] = (), cores: int | None = None) -> int:
    """The number of lanes: as wanted, else one for each of `cpus`, else by the cores that this process may use.

    On two cores or fewer it is one, because a second thread only adds wake-ups there; above, one core is left for
    everything else.
    """
    if wanted is not None or cpus:
        return wanted or len(cpus)
    cores = cores or len(os.sched_getaffinity(0))
    return 1 if cores <= 2 else min(_MOST_LANES, cores - 1)


def families(if_inet6: Path = _IF_INET6) -> tuple[int, ...]:
    """The address families of this machine: IPv6 may be switched off."""
    return (socket.AF_INET, socket.AF_INET6) if if_inet6.exists() else (socket.AF_INET,)


async def open_sockets(guard: Guard, plane: DataPlane, settings: NodeSettings, *, raw_esp: bool, edges: Edges) -> None:
    """Open the ports and give the lanes theirs; raises `StartError`, and `edges` holds what is to be closed."""
    from rhp._fast.gate import Gate, steer

    edges.gate = Gate()
    for family in families():
        version = 6 if family == socket.AF_INET6 else 4
        await _open_doors(guard, settings.port, family, (edges.ike, edges.begin_ike))
        steer(edges.ike[family].fd)
        # The gate's sockets are the first of their group; the lanes' are numbered behind them.
        await _open_doors(guard, settings.natt_port, family, (edges.natt, edges.begin_natt))
        for doors in (edges.natt, edges.begin_natt):
            edges.gate.join(doors[family].fd)
        for lane in range(plane.lanes):
            await open_lane(guard, plane, settings, lane, family, raw_esp=raw_esp)
        # Not needed to serve: without it nobody tells of narrow paths, and packets to them go in fragments.
        heard = await guard.ask(OpenIcmp(version))
        if isinstance(heard, Descriptors):
            edges.icmp.append(IcmpSocket(heard.fds[0], settings.natt_port))
        elif isinstance(heard, Refused):
            edges.deaf = heard.reason


async def open_lane(
    guard: Guard,
    plane: DataPlane,
    settings: NodeSettings,
    lane: int,
    family: int,
    *,
    raw_esp: bool,
) -> None:
    """Give a lane its sockets of one family; raises `StartError`."""
    (fd,) = await _opened(guard, OpenUdp(ANY[family], settings.natt_port, reuse=True))
    _attach(partial(plane.attach_udp, with_doors=True), lane, fd, family)
    if raw_esp:
        (fd,) = await _opened(guard, OpenRawEsp(6 if family == socket.AF_INET6 else 4))
        _attach(plane.attach_raw, lane, fd, family)


async def _open_doors(guard: Guard, port: int, family: int, doors: Sequence[dict[int, UdpSocket]]) -> None:
    """The sockets of a port that hear IKE, in the order in which the kernel counts them."""
    for door in doors:
        (fd,) = await _opened(guard, OpenUdp(ANY[family], port, reuse=True))
        door[family] = UdpSocket(fd)


async def _opened(guard: Guard, question: NetworkQuestion) -> tuple[int, ...]:
    answer = await guard.ask(question)
    if isinstance(answer, Descriptors):
        return answer.fds
    raise StartError(answer.reason if isinstance(answer, Refused) else "the guard gave no descriptor")


def _attach(attach: Callable[[int, int, int], None], lane: int, fd: int, family: int) -> None:
    try:
        attach(lane, fd, family)
    finally:
        os.close(fd)
