"""Child SA lineages on the data plane: one hub port each, the pairs of SAs on it, its routes and its share of the MTU.

The first `InstallSA` of a lineage makes the port, rekeys only change the pairs behind it, and the last `RemoveSA` takes
it away, so that what the hub has learned outlives a rekey. Ports of one peer form an isolate group: should two tunnels
to the same peer exist for a moment, a broadcast from one never returns through the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import count
from typing import TYPE_CHECKING

from rhp._fast.params import SaParams, Selector
from rhp.guard.protocol import AddRoute
from rhp.ike.effects import ActivateSA, InstallSA, MigrateSA, RemoveSA
from rhp.node.mtu import Carriage, inner_mtu, tcp_mss
from rhp.node.pseudomac import pseudo_mac
from rhp.node.selectors import networks
from rhp.node.settings import HubSettings
from rhp.wire.ts import TrafficSelector

if TYPE_CHECKING:
    from rhp._fast.dataplane import DataPlane

IpAddress = IPv4Address | IPv6Address


@dataclass(slots=True)
class Lineage:
    """One child of one peer: its hub port, the inbound SPIs that live on it, and what was done for it."""

    child_id: int
    ike_id: int
    port: int
    connection: str
    child_name: str
    peer: tuple[int, bytes]
    mode: str
    local_ts: tuple[TrafficSelector, ...]
    remote_ts: tuple[TrafficSelector, ...]
    remote_ip: IpAddress
    mtu: int
    pseudo_mac: bytes | None
    spis: list[int] = field(default_factory=list)
    routes: list[AddRoute] = field(default_factory=list)
    last_in_ns: int = 0


class Children:
    """Keeps the data plane in step with the engine's Child SAs."""

    def __init__(self, plane: DataPlane, hub: HubSettings) -> None:
        self._plane = plane
        self._hub = hub
        self._lineages: dict[int, Lineage] = {}
        self._by_spi: dict[int, Lineage] = {}
        self._groups: dict[tuple[str, tuple[int, bytes]], int] = {}
        self._group_numbers = count(1)

    def __iter__(self) -> Iterator[Lineage]:
        return iter(list(self._lineages.values()))

    def get(self, child_id: int) -> Lineage | None:
        """The lineage of that id, or None."""
        return self._lineages.get(child_id)

    def install(self, effect: InstallSA) -> Lineage:
        """Publish a pair of SAs, on a new port for a new lineage. ValueError when the data plane cannot take it."""
        mtu = inner_mtu(effect.suite, Carriage(effect.mode, effect.encapsulation, effect.path.remote.ip.version))
        lineage = self._lineages.get(effect.child_id)
        fresh = lineage is None
        if lineage is None:
            lineage = self._add(effect, mtu)
        try:
            self._plane.install(_params(effect, lineage.port))
        except ValueError:
            if fresh:
                self._drop(lineage)
            raise
        lineage.spis.append(effect.spi_in)
        lineage.mtu = mtu
        lineage.remote_ip = effect.path.remote.ip
        self._by_spi[effect.spi_in] = lineage
        return lineage

    def remove(self, effect: RemoveSA) -> Lineage | None:
        """Take a pair away; give the lineage when it ended with it."""
        lineage = self._by_spi.pop(effect.spi_in, None)
        if lineage is not None:
            lineage.spis.remove(effect.spi_in)
            self._plane.retire(effect.spi_in)
        ended = self._lineages.get(effect.child_id) if effect.last else None
        if ended is not None:
            self._drop(ended)
        return ended

    def migrate(self, effect: MigrateSA) -> None:
        """Move a pair to another path; one that has gone meanwhile is ignored."""
        lineage = self._by_spi.get(effect.spi_in)
        if lineage is None:
            return
        local, remote = effect.path.local, effect.path.remote
        self._plane.migrate(
            effect.spi_in, (str(local.ip), local.port), (str(remote.ip), remote.port), effect.encapsulation
        )
        lineage.remote_ip = remote.ip

    def activate(self, effect: ActivateSA) -> None:
        """Send outbound traffic on a pair; one that has gone meanwhile is ignored."""
        if effect.spi_in in self._by_spi:
            self._plane.activate(effect.spi_in)

    def smallest_mtu(self) -> int | None:
        """The MTU that fits all live lineages, or None without one."""
        return min((lineage.mtu for lineage in self._lineages.values()), default=None)

    def heard_from(self) -> list[int]:
        """The ids of the lineages that got authenticated packets since the last question."""
        heard: list[int] = []
        for lineage in self._lineages.values():
            last = max((self._plane.sa_counters(spi)["last_in_ns"] for spi in lineage.spis), default=0)
            if last > lineage.last_in_ns:
                lineage.last_in_ns = last
                heard.append(lineage.child_id)
        return heard

    def set_hub(self) -> None:
        """Tell the hub its behaviour, and which static MAC lives behind which port at the moment."""
        ports = {lineage.connection: lineage.port for lineage in self._lineages.values() if lineage.mode == "ethernet"}
        self._plane.set_hub(
            mac_ageing=self._hub.mac_ageing,
            isolate=self._hub.isolate,
            arp_proxy=self._hub.arp_proxy,
            static=[(entry.mac, ports[entry.connection]) for entry in self._hub.static if entry.connection in ports],
        )

    def _add(self, effect: InstallSA, mtu: int) -> Lineage:
        peer = (int(effect.peer.id_type), effect.peer.data)
        mac: bytes | None = None
        if effect.mode == "tunnel":
            taken = {one.pseudo_mac for one in self._lineages.values() if one.pseudo_mac and one.peer != peer}
            mac = pseudo_mac(effect.connection, effect.child_name, peer, taken)
        port = self._plane.add_port(
            "ip" if effect.mode == "tunnel" else "ethernet",
            pseudo_mac=mac,
            isolate_group=self._group(effect.connection, peer),
            mss=self._mss(mtu),
            local_ts=[_selector(one) for one in effect.local_ts],
            remote_ts=[_selector(one) for one in effect.remote_ts],
        )
        lineage = Lineage(
            child_id=effect.child_id,
            ike_id=effect.ike_id,
            port=port,
            connection=effect.connection,
            child_name=effect.child_name,
            peer=peer,
            mode=effect.mode,
            local_ts=effect.local_ts,
            remote_ts=effect.remote_ts,
            remote_ip=effect.path.remote.ip,
            mtu=mtu,
            pseudo_mac=mac,
        )
        self._lineages[effect.child_id] = lineage
        self._follow_static()
        return lineage

    def _drop(self, lineage: Lineage) -> None:
        del self._lineages[lineage.child_id]
        for spi in lineage.spis:
            self._by_spi.pop(spi, None)
        self._plane.remove_port(lineage.port)
        group = (lineage.connection, lineage.peer)
        if not any((other.connection, other.peer) == group for other in self._lineages.values()):
            self._groups.pop(group, None)
        self._follow_static()

    def _follow_static(self) -> None:
        if self._hub.static:
            self.set_hub()

    def _group(self, connection: str, peer: tuple[int, bytes]) -> int:
        if (connection, peer) not in self._groups:
            self._groups[connection, peer] = next(self._group_numbers)
        return self._groups[connection, peer]

    def _mss(self, mtu: int) -> int:
        clamp = self._hub.mss_clamp
        if clamp == "auto" or clamp is True:
            return tcp_mss(mtu)
        return int(clamp)


def routes_of(lineage: Lineage, interface: str, ours: Iterable[IpAddress]) -> list[AddRoute]:
    """The routes that bring a child's traffic to the TAP, each from the first of `ours` that its selectors allow."""
    if lineage.mode != "tunnel":
        return []
    allowed = networks(lineage.local_ts)
    sources = [ip for ip in ours if any(ip in net for net in allowed)]
    return [
        AddRoute(
            destination=str(net),
            interface=interface,
            source=next((str(ip) for ip in sources if ip.version == net.version), None),
        )
        for net in networks(lineage.remote_ts)
    ]


def covers(route: AddRoute, ip: IpAddress) -> bool:
    """Whether a route would catch packets to `ip`, as a default route catches the tunnel's own."""
    net = _network(route.destination)
    return ip.version == net.version and ip in net


def _network(text: str) -> IPv4Network | IPv6Network:
    return IPv6Network(text) if ":" in text else IPv4Network(text)


def _selector(selector: TrafficSelector) -> Selector:
    return Selector(
        str(selector.start), str(selector.end), int(selector.protocol), selector.start_port, selector.end_port
    )


def _params(effect: InstallSA, port: int) -> SaParams:
    local, remote, suite = effect.path.local, effect.path.remote, effect.suite
    return SaParams(
        port=port,
        spi_in=effect.spi_in,
        spi_out=effect.spi_out,
        mode=effect.mode,
        encryption=suite.encryption.id,
        encryption_key_in=effect.encr_in.expose(),
        encryption_key_out=effect.encr_out.expose(),
        local_ip=str(local.ip),
        remote_ip=str(remote.ip),
        local_port=local.port,
        remote_port=remote.port,
        integrity=suite.integrity.id if suite.integrity is not None else 0,
        integrity_key_in=effect.integ_in.expose(),
        integrity_key_out=effect.integ_out.expose(),
        esn=suite.esn,
        replay_window=effect.replay_window,
        encapsulation=effect.encapsulation,
        outbound_active=effect.outbound_active,
    )
