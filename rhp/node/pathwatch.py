"""Finding out how long packets to each peer may be, and making everything fit it.

Packets that carry something are never marked "don't fragment", so over IPv4 a path that is narrower than we think costs
fragments and nothing else. To learn of it, the data plane sends probes that may not be fragmented: when a tunnel comes
up or moves, every minute while it is in use, and when old knowledge runs out. Three voices answer:
    a router, by ICMP, that cannot pass a probe on; it counts when it quotes a live SPI of that peer (rhp.net.icmp),
    the peer, if it is a node of this kind, whom a probe has reached,
    and silence, where the peer answers small probes and never long ones: then ICMP is filtered (rhp.node.pathround).
Then MSS, hub and interface follow. Over IPv6, where routers never fragment, every packet is such a probe.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from rhp.net.icmp import TooBig
from rhp.node.children import Children, Lineage
from rhp.node.journal import Journal
from rhp.node.mtu import outer_headers
from rhp.node.pathmtu import PathMtus
from rhp.node.pathround import PathRound
from rhp.node.tunnels import LooksAfterTunnels

if TYPE_CHECKING:
    from rhp.spi.esp import DataPlane

IpAddress = IPv4Address | IPv6Address

LOOK_SECONDS = 2.0
PROBE_SECONDS = 60.0
PASSES_EVERYWHERE = 1280
"""What IPv6 demands of every link (RFC 8200 section 5), and IPv4 has nearly everywhere."""


@dataclass(slots=True)
class _Asking:
    """The newest round on a port: from where to whom, since when, and how much the port had sent by then."""

    local: IpAddress
    remote: IpAddress
    at: float
    sent: int
    round: PathRound
    concluded: bool = False


class PathWatch:
    """Keeps `paths` true, and the children and tunnels in step with it."""

    def __init__(
        self, plane: DataPlane, children: Children, tunnels: LooksAfterTunnels, journal: Journal, paths: PathMtus
    ) -> None:
        self._plane = plane
        self._children = children
        self._tunnels = tunnels
        self._journal = journal
        self._paths = paths
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._asking: dict[int, _Asking] = {}
        self.counters: Counter[str] = Counter()

    def start(self) -> None:
        """Begin to look after the paths."""
        self._timer = self._loop.call_later(LOOK_SECONDS, self._look_again)

    def stop(self) -> None:
        """Look no more. Safe twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def heard(self, message: TooBig) -> None:
        """A router says that a packet was too long."""
        lineage = self._children.sends_on(message.spi)
        if lineage is None or lineage.remote_ip != message.remote:
            self.counters["icmp-unproven"] += 1
            return
        self.counters["icmp-believed"] += 1
        if self._paths.told(message.remote, message.mtu, self._loop.time(), "icmp"):
            self._follow(message.remote)
        asking = self._asking.get(lineage.port)
        size = max(message.mtu, self._paths.mtu(message.remote))
        if asking is not None and size < asking.round.widest:
            # The next router may carry less still: a new round, for what this one lets pass.
            asking.round, asking.concluded = self._round(message.remote, size), False
            self._probe(lineage, asking.round.ask())

    def answered(self, spi_in: int, octets: int) -> None:
        """The peer says that a probe of so many octets of ESP reached it."""
        lineage = self._children.get(spi_in)
        asking = self._asking.get(lineage.port) if lineage is not None else None
        if lineage is None or asking is None:
            return
        self.counters["path-answers"] += 1
        self._probe(lineage, asking.round.answered(octets + outer_headers(lineage.carriage)))
        self._conclude(asking)

    def look(self, now: float) -> None:
        """Ask the paths that are to be asked, and forget what is gone."""
        live = {lineage.port: lineage for lineage in self._children}
        self._asking = {port: asking for port, asking in self._asking.items() if port in live}
        self._paths.keep({lineage.remote_ip for lineage in live.values()})
        for remote in self._paths.widened(now):
            self._follow(remote)
        if self._paths.fixed is None:
            for lineage in live.values():
                self._ask(lineage, now)

    def _ask(self, lineage: Lineage, now: float) -> None:
        asking = self._asking.get(lineage.port)
        if asking is None or self._is_due(lineage, asking, now):
            asking = self._begin(lineage, now)
        if asking.round.done:
            return
        self._probe(lineage, asking.round.ask())
        if asking.round.searching and self._paths.told(asking.remote, PASSES_EVERYWHERE, now, "silence"):
            self._follow(asking.remote)
        self._conclude(asking)

    def _is_due(self, lineage: Lineage, asking: _Asking, now: float) -> bool:
        if _moved(lineage, asking) or self._paths.is_old(lineage.remote_ip, now):
            return True
        return asking.round.done and now - asking.at >= PROBE_SECONDS and self._sent(lineage) > asking.sent

    def _begin(self, lineage: Lineage, now: float) -> _Asking:
        remote, before = lineage.remote_ip, self._asking.get(lineage.port)
        # After a move what was known is of another path, even where the peer is the same.
        anew = self._paths.forget if before is not None and _moved(lineage, before) else self._paths.look_again
        if anew(remote):
            self._follow(remote)
        self._paths.asked(remote, now)
        asked = self._round(remote, self._paths.first_hop(remote))
        asking = _Asking(lineage.local_ip, remote, now, self._sent(lineage), asked)
        self._asking[lineage.port] = asking
        return asking

    def _round(self, remote: IpAddress, widest: int) -> PathRound:
        current = self._paths.mtu(remote)
        return PathRound(min(PASSES_EVERYWHERE, current), current, widest)

    def _conclude(self, asking: _Asking) -> None:
        carries = asking.round.carries
        if not asking.round.done or asking.concluded:
            return
        asking.concluded = True
        if carries is not None and self._paths.carries(asking.remote, carries, self._loop.time()):
            self._follow(asking.remote)

    def _probe(self, lineage: Lineage, sizes: Iterable[int]) -> None:
        for size in sizes:
            if lineage.spis:
                self._plane.probe(lineage.spis[-1], size - outer_headers(lineage.carriage))

    def _sent(self, lineage: Lineage) -> int:
        return self._plane.port_counters(lineage.port)["packets_out"]

    def _follow(self, remote: IpAddress) -> None:
        mtu, source = self._paths.mtu(remote), self._paths.source(remote)
        for lineage in self._children:
            if lineage.remote_ip == remote:
                self._children.fit(lineage)
                self._journal.write(
                    "path mtu changed", connection=lineage.connection, path=str(remote), mtu=mtu, reason=source
                )
        self._tunnels.follow_mtu()

    def _look_again(self) -> None:
        self._timer = self._loop.call_later(LOOK_SECONDS, self._look_again)
        self.look(self._loop.time())


def _moved(lineage: Lineage, asking: _Asking) -> bool:
    return (asking.local, asking.remote) != (lineage.local_ip, lineage.remote_ip)
